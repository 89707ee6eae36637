"""Which record `throughline trade` and `proof` are about: an ID, and the experiment where several have one.

Belongs here: the option and the refusal with the commands to choose from. Does not belong here: how an ID is resolved
(`throughline.storage.ids`).
"""

from __future__ import annotations

import shlex
import uuid
from typing import TYPE_CHECKING

import click

from throughline.errors import AmbiguousId

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from throughline.cli.options import Options
    from throughline.storage.ids import TypedId

_LISTED = 5
"""So many experiments are listed with their command; `throughline experiments` lists all."""

experiment_option = click.option(
    "--experiment", metavar="ID", help="Look in one experiment only (8 or more digits of its ID)."
)


def choose_record(
    connection: Connection, options: Options, command: str, typed: TypedId, experiment: str | None
) -> uuid.UUID:
    """Return the UUID of the record or trade that a person named.

    Args:
        connection: may read the ledger.
        options: the common options, for the command line that a refusal proposes.
        command: name of the command that asks (`trade`).
        typed: the ID or its beginning.
        experiment: ID of the experiment, or its first 8 or more digits; None = any.

    Raises:
        UnknownRecord: no experiment or no record has the ID.
        AmbiguousId: several have it; records of several experiments are listed with the command that names each.
    """
    from throughline.storage.ids import resolve_id, resolve_record

    within = None if experiment is None else resolve_id(connection, experiment, "experiment").id
    try:
        return resolve_record(connection, typed, "record", "trade", experiment=within)
    except AmbiguousId as error:
        if len(error.experiments) < 2:
            raise
        raise AmbiguousId(_choices(options, command, error), error.digits, error.experiments) from None


def _choices(options: Options, command: str, error: AmbiguousId) -> str:
    home = [] if options.home_path is None else ["--home", options.home_path]
    lines = [
        f"`{shlex.join(['throughline', command, error.digits, '--experiment', name[:12], *home])}`"
        for name in error.experiments[:_LISTED]
    ]
    left = len(error.experiments) - _LISTED
    more = f" and {left} more (`throughline experiments` lists them)" if left > 0 else ""
    return (
        f"'{error.digits}' begins the IDs of records of {len(error.experiments)} experiments; choose one: "
        f"{', '.join(lines)}{more}"
    )
