"""The runner: evaluates suites with Great Expectations, a whole chunk of days in one batch per frame.

Belongs here: handing frames to Great Expectations and attributing what fails to its days. Does not belong here: what
must hold (`suites/*.json`) and what follows from a verdict (`gate`, `flow`).

Great Expectations takes 5-9 s to import, so it is imported at the first evaluation of a process and never before, and
its telemetry is switched off first. All rules are row-level, therefore a chunk can be judged at once and each failing
line counted for its own day: the verdict of a day is the same whether the day is judged alone or within a range.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

from throughline.errors import ThroughlineError
from throughline.quality.suite import FrameSuite, load_suite, resolved_kwargs
from throughline.quality.verdict import Failure

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_SIZE = 3
"""How many failing lines a failure names; the first ones by name, so that a sample does not depend on row order."""

_NAMING_LINES = {
    "result_format": "COMPLETE",
    "include_unexpected_rows": False,
    "return_unexpected_index_query": False,
    "partial_unexpected_count": 0,
}


class Thresholds(Protocol):
    """What the runner reads of the gate settings: their numbers by name."""

    def model_dump(self) -> dict[str, Any]:
        """Return name -> number."""
        ...


class GreatExpectationsRunner:
    """The default `GateRunner`. thresholds: the experiment's `GateSettings`."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = {name: float(value) for name, value in thresholds.model_dump().items()}
        self._validators: dict[tuple[str, str], _FrameValidator] = {}

    def suite(self, asset: str) -> tuple[str, str]:
        """Return name with version, and hash, of the asset's suite."""
        suite = load_suite(asset)
        return suite.name, suite.hash

    def evaluate(
        self, asset: str, rows: pd.DataFrame, days: pd.DataFrame, wanted: Sequence[date]
    ) -> Mapping[date, tuple[Failure, ...]]:
        """Return the failures of each wanted day, in the order of the suite.

        rows: one line per record with `partition` (date) and `key` (text); days: one line per day with `partition` and
        its counts. A wanted day without a line in `days` fails with the rule ``day_is_reported``. Lines of other days
        are ignored. Raises ThroughlineError if a declared column is missing or is not of its kind.
        """
        suite = load_suite(asset)
        failures: dict[date, list[Failure]] = {day: [] for day in wanted}
        reported = set(days["partition"]) if len(days) else set()
        for day in wanted:
            if day not in reported:
                failures[day].append(Failure("day_is_reported", 1, (day.isoformat(),)))
        for name, frame_suite, frame in (("days", suite.days, days), ("rows", suite.rows, rows)):
            if len(frame) == 0:
                continue
            key = (asset, name)
            if key not in self._validators:
                self._validators[key] = _FrameValidator(f"{asset}.{name}", frame_suite, self._thresholds)
            counted = {rule.name: rule.counts for rule in frame_suite.rules if rule.counts}
            for rule, index in self._validators[key].failing(frame):
                counts = frame[counted[rule]] if rule in counted else None
                for day, labels, count in _by_day(frame, index, counts):
                    if day in failures:
                        failures[day].append(Failure(rule, count, tuple(sorted(labels)[:SAMPLE_SIZE])))
        return {day: tuple(items) for day, items in failures.items()}


def _by_day(
    frame: pd.DataFrame, index: Sequence[int], counts: pd.Series[Any] | None
) -> list[tuple[date, list[str], int]]:
    """Return (day, labels of its failing lines, how much of it failed). counts: None counts the lines themselves."""
    failing = frame.iloc[list(index)]
    labels = failing["key"] if "key" in failing else failing["partition"]
    amounts = [1] * len(failing) if counts is None else counts.iloc[list(index)].astype(int).tolist()
    result: dict[date, tuple[list[str], list[int]]] = {}
    for day, label, amount in zip(failing["partition"], labels, amounts, strict=True):
        found = result.setdefault(day, ([], []))
        found[0].append(str(label))
        found[1].append(amount)
    return [(day, names, sum(parts)) for day, (names, parts) in result.items()]


class _FrameValidator:
    """Great Expectations' side of one frame: an ephemeral context, a batch definition and the suite."""

    def __init__(self, name: str, suite: FrameSuite, thresholds: Mapping[str, float]) -> None:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        import great_expectations as gx
        import great_expectations.expectations as types

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_pandas(name).add_dataframe_asset(name)
        self._name = name
        self._suite = suite
        self._batches = asset.add_batch_definition_whole_dataframe("chunk")
        self._suite_of = gx.ExpectationSuite
        self._expectations = {
            rule.name: getattr(types, "".join(part.capitalize() for part in rule.type.split("_")))(
                **resolved_kwargs(rule, thresholds), meta={"rule": rule.name}
            )
            for rule in suite.rules
        }

    def failing(self, frame: pd.DataFrame) -> list[tuple[str, list[int]]]:
        """Return (rule, positions of the failing lines) of each broken rule, in the order of the suite.

        Two passes, because naming lines doubles the cost of a rule: yes or no for all, then the lines of the broken.
        """
        batch = self._batches.get_batch(batch_parameters={"dataframe": _prepared(frame, self._suite, self._name)})
        broken = [
            rule for rule, item in self._validate(batch, list(self._expectations), "BOOLEAN_ONLY") if not item.success
        ]
        if not broken:
            return []
        return [
            (rule, [int(position) for position in item.result["unexpected_index_list"]])
            for rule, item in self._validate(batch, broken, _NAMING_LINES)
        ]

    def _validate(self, batch: Any, rules: list[str], result_format: Any) -> list[tuple[str, Any]]:
        suite = self._suite_of(name=self._name, expectations=[self._expectations[rule] for rule in rules])
        results = {
            item.expectation_config.meta["rule"]: item
            for item in batch.validate(suite, result_format=result_format).results
        }
        for rule, item in results.items():
            if "raised_exception" not in item.exception_info or item.exception_info["raised_exception"]:
                raise ThroughlineError(
                    f"suite of {self._name}: rule {rule!r} could not be judged: {item.exception_info}"
                )
        return [(rule, results[rule]) for rule in rules]


def _prepared(frame: pd.DataFrame, suite: FrameSuite, name: str) -> pd.DataFrame:
    """Return the declared columns in their kinds, with positions as index: one dtype whatever the chunk holds."""
    import pandas as pd

    columns: dict[str, Any] = {}
    for column, kind in {"partition": "day", **suite.columns}.items():
        if column not in frame:
            raise ThroughlineError(f"frame {name} has no column {column!r}, which its suite reads")
        values = frame[column].reset_index(drop=True)
        try:
            columns[column] = _of_kind(values, kind)
        except (TypeError, ValueError, AttributeError) as error:
            raise ThroughlineError(f"frame {name}: column {column!r} is not a {kind} in every row ({error})") from error
    for total, addends in suite.sums.items():
        columns[total] = sum((columns[addend] for addend in addends[1:]), columns[addends[0]])
    return pd.DataFrame(columns)


def _of_kind(values: pd.Series[Any], kind: str) -> pd.Series[Any]:
    import numpy as np
    import pandas as pd

    if kind == "number":
        return values.astype("float64")
    if kind == "text":
        return values.astype("object")
    # Names and dates as numbers: Great Expectations hashes each frame, and hashing text is most of its time.
    codes, values_of = pd.factorize(values)
    numbers = np.arange(len(values_of) + 1, dtype="float64")
    if kind == "day":
        numbers[:-1] = [day.toordinal() for day in values_of]
    numbers[-1] = np.nan  # code -1, a missing value, reads the last
    return pd.Series(numbers[codes])
