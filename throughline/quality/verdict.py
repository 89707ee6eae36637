"""What a gate says: a verdict per asset and day. Data, never an exception (docs/architecture.md, Gates)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Failure:
    """One broken rule of a suite: its name, how much of the day broke it, and a few lines in words.

    rows: what the rule counts (`throughline.quality.suite.count_words`), rows for most.
    """

    rule: str
    rows: int
    sample: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What the suite `suite` (with hash `suite_hash`) says of one asset's day whose seal is `seal`."""

    asset: str
    day: date
    seal: str
    suite: str
    suite_hash: str
    failures: tuple[Failure, ...]

    @property
    def passed(self) -> bool:
        """True if no rule was broken."""
        return not self.failures


class GateRunner(Protocol):
    """Evaluates the suites. The default implementation is Great Expectations."""

    def suite(self, asset: str) -> tuple[str, str]:
        """Return name with version, and hash, of the asset's suite."""
        ...

    def evaluate(
        self, asset: str, rows: pd.DataFrame, days: pd.DataFrame, wanted: Sequence[date]
    ) -> Mapping[date, tuple[Failure, ...]]:
        """Return the failures of each wanted day.

        rows: one line per record with a `partition` column (date) and a `key` column (a name for the line); days: one
        line per day with `partition` and the day's counts. The answer for a day depends on that day's lines alone.
        """
        ...
