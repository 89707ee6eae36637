"""Great Expectations: a frame of plain columns in, the positions of the lines that break each rule out.

Belongs here: everything that imports Great Expectations. Does not belong here: from records to columns and from lines
to days (`runner`), in which process it runs (`helper`).

Great Expectations takes 3 to 9 s to import, so it is imported at the first validation of a process and never before,
and its telemetry is switched off first.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from throughline.errors import ThroughlineError
from throughline.quality.suite import FrameSuite, load_suite, resolved_kwargs

if TYPE_CHECKING:
    from numpy.typing import NDArray

Columns = Mapping[str, "NDArray[Any]"]
"""Column name -> values, float64 or text, all of one length."""
BrokenRules = Sequence[tuple[str, Sequence[int]]]
"""(rule, positions of the lines that break it) of each broken rule, in the order of the suite."""

_NAMING_LINES = {
    "result_format": "COMPLETE",
    "include_unexpected_rows": False,
    "return_unexpected_index_query": False,
    "partial_unexpected_count": 0,
}


class Validator(Protocol):
    """Validates frames, in this process or in another one."""

    def broken_rules(self, asset: str, frame: str, thresholds: Mapping[str, float], columns: Columns) -> BrokenRules:
        """Return the broken rules of a frame.

        Args:
            asset: whose suite is meant.
            frame: 'rows' or 'days'.
            thresholds: the experiment's gate settings by name.
            columns: the columns that the suite declares.

        Raises:
            ThroughlineError: a rule could not be evaluated.
        """
        ...


class LocalValidator:
    """Validates in this process. What Great Expectations needs for a frame is made once."""

    def __init__(self) -> None:
        self._frames: dict[tuple[str, str, tuple[tuple[str, float], ...]], _FrameValidator] = {}

    def broken_rules(self, asset: str, frame: str, thresholds: Mapping[str, float], columns: Columns) -> BrokenRules:
        """Return the broken rules of a frame, as `Validator` says."""
        key = (asset, frame, tuple(sorted(thresholds.items())))
        if key not in self._frames:
            self._frames[key] = _FrameValidator(f"{asset}.{frame}", _suite(asset, frame), thresholds)
        return self._frames[key].broken_rules(columns)


def _suite(asset: str, frame: str) -> FrameSuite:
    suite = load_suite(asset)
    return suite.rows if frame == "rows" else suite.days


@cache
def _expectation_class(name: str) -> Any:
    """Return the class of an expectation type, with a configuration that is made once for each object.

    Great Expectations asks for it 690 times a frame and makes it anew each time, which was half of what a small frame
    took (45 ms). A class of the same name takes the place of the one that it is derived from.
    """
    import great_expectations.expectations as types
    from great_expectations.compatibility.pydantic import PrivateAttr

    base = getattr(types, "".join(part.capitalize() for part in name.split("_")))

    def configuration(self: Any) -> Any:
        if self._configuration is None:
            self._configuration = base.configuration.fget(self)
        return self._configuration

    members = {"_configuration": PrivateAttr(None), "configuration": property(configuration), "__module__": __name__}
    registry = logging.getLogger("great_expectations.expectations.registry")
    level = registry.level
    registry.setLevel(logging.ERROR)  # it warns that the class takes the place of another one, which is meant
    try:
        return type(base.__name__, (base,), members)
    finally:
        registry.setLevel(level)


class _FrameValidator:
    """Great Expectations' side of one frame: an ephemeral context, a batch definition and the suite."""

    def __init__(self, name: str, suite: FrameSuite, thresholds: Mapping[str, float]) -> None:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        import great_expectations as gx

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_pandas(name).add_dataframe_asset(name)
        self._name = name
        self._batches = asset.add_batch_definition_whole_dataframe("chunk")
        self._suite_of = gx.ExpectationSuite
        self._expectations = {
            rule.name: _expectation_class(rule.type)(**resolved_kwargs(rule, thresholds), meta={"rule": rule.name})
            for rule in suite.rules
        }

    def broken_rules(self, columns: Columns) -> BrokenRules:
        """Return the broken rules of a frame.

        Two passes, because naming lines doubles the cost of a rule: yes or no for all, then the lines of the broken.
        """
        import pandas as pd

        batch = self._batches.get_batch(batch_parameters={"dataframe": pd.DataFrame(dict(columns))})
        results = self._validate(batch, list(self._expectations), "BOOLEAN_ONLY")
        broken = [rule for rule, result in results if not result.success]
        if not broken:
            return []
        return [
            (rule, [int(position) for position in result.result["unexpected_index_list"]])
            for rule, result in self._validate(batch, broken, _NAMING_LINES)
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
                    f"suite of {self._name}: rule {rule!r} could not be evaluated: {item.exception_info}"
                )
        return [(rule, results[rule]) for rule in rules]
