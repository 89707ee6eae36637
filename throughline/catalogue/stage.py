"""What one stage of the day is: the asset it makes, what it stands on, its gate, and the function that runs it.

Belongs here: `StageSpec`. Does not belong here: the declared stages (`stages/`, `registries`), running them (`flow`)
and what Dagster makes of them (`assets`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Literal

GROUPS = ("market", "decisions", "trading", "learning", "registry")
"""The groups in the order in which their stages run where nothing else decides; other groups come after them."""

Gate = Literal["none", "soft", "hard"]


@dataclass(frozen=True, kw_only=True)
class StageSpec:
    """One stage: for a range of days it computes, judges and seals the records of one asset.

    Args:
        asset: name of the asset; in Dagster its key is the mode and this name.
        group: part of the flow that it belongs to (`GROUPS`).
        description: what the asset holds, for people.
        run: the function ``(FlowContext, days) -> list[DayResult]`` as "module:function". It is imported when the stage
            first runs: pandas and the compiled engine would double what loading the Dagster code location costs.
        shared: whether several stages name this function; it is then called with the keyword `asset`.
        upstream: the assets whose same day must be sealed, with a gate that is open, before this stage reads it.
            Records that are reached by a link of another record are not listed: their hash is in that record.
        follows_itself: whether the day before of the same asset must be sealed.
        closes_day: whether the stage stands on all others; it lists no `upstream` then, and there is one such stage.
        written_by: the asset whose transaction writes the rows that this stage judges and seals; None = its own.
        gate: "none", or the asset has a suite (``quality/suites/ASSET.json``): where a day fails it, "soft" blocks what
            stands on it and goes on with the next day, "hard" raises.
        blockable: whether a day of the asset is blocked (no rows) where an upstream day failed its gate or is blocked.
        kinds: what it runs on, for Dagster's asset pages.

    Example:
        >>> spec = StageSpec(
        ...     asset="notes", group="learning", description="Notes on each trade.", run="notes:write_notes",
        ...     upstream=("outcomes",),
        ... )
        >>> spec.gated
        False
    """

    asset: str
    group: str
    description: str
    run: str
    shared: bool = False
    upstream: tuple[str, ...] = ()
    follows_itself: bool = False
    closes_day: bool = False
    written_by: str | None = None
    gate: Gate = "none"
    blockable: bool = False
    kinds: tuple[str, ...] = ("python", "postgres")

    @property
    def gated(self) -> bool:
        """Whether the asset has a quality suite."""
        return self.gate != "none"

    def function(self) -> Any:
        """Import and return the function that runs the stage."""
        module, _, name = self.run.partition(":")
        function = getattr(import_module(module), name)
        return partial(function, asset=self.asset) if self.shared else function
