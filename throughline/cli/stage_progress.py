"""The progress bar of a run of days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from throughline.cli.screen import Bar
from throughline.flow import DayResult, RunSummary


@dataclass
class StageProgress(RunSummary):
    """A summary that shows on a bar which stage has finished; a day of a stage is a part of the bar's total."""

    bar: Bar | None = None

    def finished(self, asset: str, results: Sequence[DayResult]) -> None:
        """Keep the results and advance the bar."""
        super().finished(asset, results)
        if self.bar is not None:
            self.bar.step(len(results), f"{asset.replace('_', ' ')} to {results[-1].day}")
