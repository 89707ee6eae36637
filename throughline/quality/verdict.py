"""The verdict on an asset and day. Data, never an exception (docs/architecture.md, Gates)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Failure:
    """One broken rule of a suite.

    Args:
        rule: its name.
        rows: how much of the day broke it, in the rule's unit (`throughline.quality.suite.count_words`).
        sample: labels of a few lines that broke it.
    """

    rule: str
    rows: int
    sample: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The verdict of the suite `suite` (with hash `suite_hash`) on the day of an asset whose seal is `seal`."""

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
        self, asset: str, rows: pd.DataFrame, days: pd.DataFrame, evaluated: Sequence[date]
    ) -> Mapping[date, tuple[Failure, ...]]:
        """Return the failures of each evaluated day, which depend on the lines of that day alone.

        Args:
            asset: whose suite is evaluated.
            rows: one line per record with a `partition` column (date) and a `key` column (a label of the line). Bars
                have a number as key, and the columns `instrument` and `open_time` (ms), which label them.
            days: one line per day with `partition` and the day's counts.
            evaluated: the days that an answer is returned for.
        """
        ...
