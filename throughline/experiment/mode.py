"""Modes: where the market data of an experiment comes from, how its orders are filled, and which commands run it.

Belongs here: what a mode declares, and the look-up. Does not belong here: the modes (`throughline.experiment.modes`,
one file each) and how market data is opened (`throughline.experiment.provider`).

Records that are written by hand belong to experiments without market data (`throughline.tracking.system.MODE`). They
have no partitions and no seals, and are no mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from throughline.discovery import discover
from throughline.errors import SettingsError, shown

Market = Literal["invented", "history", "live"]
"""Kind of market: generated from a seed, read from stored data of the past, or received as it happens."""


@dataclass(frozen=True)
class Mode:
    """A mode of operation. Each is one file of `throughline/experiment/modes/`.

    Attributes:
        name: key prefix of its assets, value of `--mode`, and part of the identity of its experiments.
        description: one sentence for the UI.
        market: kind of market; only providers of this kind serve the mode.
        provider: market data provider that is used where none is named.
        fills: name of the order destination (`throughline/trading/execution/clients/`).
        commands: commands that run days of this mode -> how each is called. The first one is what a user without an
            experiment of this mode should run.
        rank: where a question names no mode, the mode of lowest rank is meant.
        warning: sentence at the top of each report, empty for none.
        first_day: epoch where a caller names none; None = the first day of the market data.
        end_offset: last daily partition, in days after yesterday (UTC).
        running_schedules: schedules that run as soon as the daemon does, without the prefix of the mode (`daily`).
        opens_with_ui: its command ends with the address of the UI.

    Example:
        >>> default_mode().fills
        'simulated'
    """

    name: str
    description: str
    market: Market
    provider: str
    fills: str
    commands: Mapping[str, str]
    rank: int
    warning: str = ""
    first_day: date | None = None
    end_offset: int = 0
    running_schedules: frozenset[str] = field(default_factory=frozenset)
    opens_with_ui: bool = False

    def allows(self, command: str) -> bool:
        """Return whether `throughline COMMAND` runs days of this mode."""
        return command in self.commands

    @property
    def first_command(self) -> str:
        """The command line that makes the first experiment of this mode."""
        return next(iter(self.commands.values()))


def all_modes() -> tuple[Mode, ...]:
    """Return the modes, by rank and name."""
    modes = discover("throughline.experiment.modes", "MODE", Mode)
    return tuple(sorted(modes.values(), key=lambda mode: (mode.rank, mode.name)))


def mode_names() -> tuple[str, ...]:
    """Return the names of the modes, in the same order as `all_modes`."""
    return tuple(mode.name for mode in all_modes())


def default_mode() -> Mode:
    """Return the mode that is meant where none is named."""
    return all_modes()[0]


def find_mode(name: str) -> Mode:
    """Return the mode of a name. Raises SettingsError, with the names that exist, where there is none."""
    for mode in all_modes():
        if mode.name == name:
            return mode
    raise SettingsError(f"mode {shown(name)} does not exist: choose one of {', '.join(mode_names())}")


def mode_warning(name: str) -> str:
    """Return the warning of a mode, empty where it has none or is no mode (records written by hand)."""
    return next((mode.warning for mode in all_modes() if mode.name == name), "")
