"""Which closed trades are selected: by `throughline.trades`, and by the command (`cli.trade_options`).

Belongs here: the fields and the test of one row. Does not belong here: reading rows (trades). Imports nothing heavy,
since the command line reads the fields to list its options.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal


@dataclass(frozen=True)
class Filters:
    """Which trades are selected; None and empty = all.

    instruments, reasons: names, any of them. since, until: days (UTC), both included, of the exit or of the entry as
    `by` names. won: True = pnl above zero, False = the others. flag: a flag that the trade must have.
    """

    instruments: Collection[str] = ()
    since: date | None = None
    until: date | None = None
    by: Literal["exit", "entry"] = "exit"
    reasons: Collection[str] = ()
    won: bool | None = None
    flag: str | None = None

    def match(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row of a table of trades is selected."""
        day = date.fromisoformat(str(row[f"{self.by}_time"])[:10])
        return (
            (not self.instruments or row["instrument"] in self.instruments)
            and (self.since is None or day >= self.since)
            and (self.until is None or day <= self.until)
            and (not self.reasons or row["reason"] in self.reasons)
            and (self.won is None or (float(row["pnl_usd"]) > 0) == self.won)
            and (self.flag is None or self.flag in str(row["flags"]).split())
        )
