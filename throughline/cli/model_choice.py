"""Which experiment and which model a command is about: the options, and what they select.

Belongs here: --experiment, --mode and IDs of models. Does not belong here: the rule itself
(`throughline.experiment.choice`) and how an ID is resolved (`throughline.storage.ids`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from throughline.experiment.mode import default_mode, mode_names

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from throughline.experiment.identity import Experiment

Command = TypeVar("Command", bound=Callable[..., Any])


def which(command: Command) -> Command:
    """Give a command the options that say which experiment is meant."""
    for option in (
        click.option("--experiment", metavar="ID", help="Use this experiment (8 or more digits of its ID)."),
        click.option(
            "--mode",
            type=click.Choice(mode_names()),
            default=default_mode().name,
            show_default=True,
            help="Use the active experiment of this mode.",
        ),
    ):
        command = option(command)
    return command


def choose_experiment(engine: Engine, mode: str, given: str | None) -> Experiment:
    """Return the experiment that is meant (`throughline.experiment.choice`)."""
    from throughline.experiment.choice import choose

    return choose(engine, None if given else mode, given).experiment


def choose_model(conn: Connection, experiment: Experiment, given: str) -> str:
    """Return the ID of the model that `given` names. Raises UnknownRecord where it names none, or more than one."""
    from throughline.storage.ids import resolve_id

    return resolve_id(conn, given, "model", experiment=experiment.id).id
