"""The runner: evaluates suites with Great Expectations, a whole chunk of days in one batch per frame.

Belongs here: from the frames of a stage to plain columns, and from failing lines to the days that they belong to. Does
not belong here: Great Expectations itself (`validation`), what must hold (`suites/*.json`) and what follows from a
verdict (`gate`, `flow`).

All rules are row-level, therefore a chunk can be evaluated at once and each failing line counted for its own day: the
verdict of a day is the same whether the day is evaluated alone or within a range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

from throughline.errors import ThroughlineError
from throughline.quality.suite import FrameSuite, load_suite
from throughline.quality.validation import Columns, LocalValidator, Validator
from throughline.quality.verdict import Failure

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

SAMPLE_SIZE = 3
"""How many failing lines a failure names; the first ones by name, so that a sample does not depend on row order."""


class Thresholds(Protocol):
    """What the runner reads of the gate settings: their numbers by name."""

    def model_dump(self) -> dict[str, Any]:
        """Return name -> number."""
        ...


class GreatExpectationsRunner:
    """The default `GateRunner`.

    Args:
        thresholds: the experiment's `GateSettings`.
        validator: runs Great Expectations; None runs it in this process.

    Example:
        >>> runner = GreatExpectationsRunner(GateSettings())
        >>> failures = runner.evaluate("market_bars", rows, days, [date(2021, 1, 2)])
    """

    def __init__(self, thresholds: Thresholds, validator: Validator | None = None) -> None:
        self._thresholds = {name: float(value) for name, value in thresholds.model_dump().items()}
        self._validator = validator or LocalValidator()

    def suite(self, asset: str) -> tuple[str, str]:
        """Return name with version, and hash, of the asset's suite."""
        suite = load_suite(asset)
        return suite.name, suite.hash

    def evaluate(
        self, asset: str, rows: pd.DataFrame, days: pd.DataFrame, evaluated: Sequence[date]
    ) -> Mapping[date, tuple[Failure, ...]]:
        """Return the failures of each evaluated day, in the order of the suite.

        Args:
            asset: whose suite is evaluated.
            rows: one line per record with `partition` (date) and `key`, its label; where that is a number, `instrument`
                and `open_time` label the line.
            days: one line per day with `partition` and its counts.
            evaluated: the days. One without a line in `days` fails with the rule ``day_is_reported``; lines of other
                days are ignored.

        Raises:
            ThroughlineError: a declared column is missing or is not of its kind.
        """
        suite = load_suite(asset)
        failures: dict[date, list[Failure]] = {day: [] for day in evaluated}
        reported = set(days["partition"]) if len(days) else set()
        for day in evaluated:
            if day not in reported:
                failures[day].append(Failure("day_is_reported", 1, (day.isoformat(),)))
        for name, frame_suite, frame in (("days", suite.days, days), ("rows", suite.rows, rows)):
            if len(frame) == 0:
                continue
            counted = {rule.name: rule.counts for rule in frame_suite.rules if rule.counts}
            columns = plain_columns(frame, frame_suite, f"{asset}.{name}")
            for rule, lines in self._validator.broken_rules(asset, name, self._thresholds, columns):
                counts = frame[counted[rule]] if rule in counted else None
                for day, labels, count in _by_day(frame, lines, counts):
                    if day in failures:
                        failures[day].append(Failure(rule, count, tuple(sorted(labels)[:SAMPLE_SIZE])))
        return {day: tuple(items) for day, items in failures.items()}


def _by_day(
    frame: pd.DataFrame, lines: Sequence[int], counts: pd.Series[Any] | None
) -> list[tuple[date, list[str], int]]:
    """Return (day, labels of its failing lines, how much of it failed). counts: None counts the lines themselves."""
    failing = frame.iloc[list(lines)]
    labels = failing["key"] if "key" in failing else failing["partition"]
    if labels.dtype == "int64":  # bars: to label each of them would take longer than to evaluate them
        labels = failing["instrument"].astype(str) + "@" + failing["open_time"].astype(str)
    amounts = [1] * len(failing) if counts is None else counts.iloc[list(lines)].astype(int).tolist()
    result: dict[date, tuple[list[str], list[int]]] = {}
    for day, label, amount in zip(failing["partition"], labels, amounts, strict=True):
        day_labels, day_amounts = result.setdefault(day, ([], []))
        day_labels.append(str(label))
        day_amounts.append(amount)
    return [(day, names, sum(amounts)) for day, (names, amounts) in result.items()]


def plain_columns(frame: pd.DataFrame, suite: FrameSuite, name: str) -> Columns:
    """Return the columns that a suite declares, each in its kind: one dtype whatever the chunk holds.

    Raises:
        ThroughlineError: a column is missing or is not of its kind; `name` says of which frame.
    """
    columns: dict[str, NDArray[Any]] = {}
    for column, kind in {"partition": "day", **suite.columns}.items():
        if column not in frame:
            raise ThroughlineError(f"frame {name} has no column {column!r}, which its suite reads")
        try:
            columns[column] = _of_kind(frame[column], kind)
        except (TypeError, ValueError, AttributeError) as error:
            raise ThroughlineError(f"frame {name}: column {column!r} is not a {kind} in every row ({error})") from error
    for total, addends in suite.sums.items():
        columns[total] = sum((columns[addend] for addend in addends[1:]), columns[addends[0]])
    return columns


def _of_kind(values: pd.Series[Any], kind: str) -> NDArray[Any]:
    import numpy as np
    import pandas as pd

    if kind == "number":
        return np.asarray(values.to_numpy(dtype="float64", na_value=np.nan))
    if kind == "text":
        return np.asarray(values.to_numpy(dtype="object"))
    # Names and dates as numbers: Great Expectations hashes each frame, and hashing text is most of its time.
    codes, unique = pd.factorize(values)
    numbers = np.arange(len(unique) + 1, dtype="float64")
    if kind == "day":
        numbers[:-1] = [day.toordinal() for day in unique]
    numbers[-1] = np.nan  # code -1, a missing value, reads the last
    return np.asarray(numbers[codes])
