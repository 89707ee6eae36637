"""What commands are handed from outside: how a range of days is run, and how the UI is started.

``pipelines/command.py`` hands in Dagster; `DirectWiring` runs the stages without it (tests, scripts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

from throughline.errors import SettingsError

if TYPE_CHECKING:
    from throughline.analytics.published import PublishedReport
    from throughline.cli.options import Options
    from throughline.experiment.identity import Experiment
    from throughline.flow.context import FlowContext
    from throughline.learning.cash import RuleJudgement
    from throughline.learning.events import ServingState
    from throughline.learning.nightly import Challenger
    from throughline.learning.types import Judgement
    from throughline.registry.consistency import ConsistencyResult
    from throughline.registry.consistency import Report as ConsistencyReport
    from throughline.storage.artifacts import ArtifactStore
    from throughline.storage.database import Database

Progress = Callable[[str, date, date], None]
"""Called after each stage of each chunk with the asset and the chunk's first and last day."""


RunRange = Callable[[date, date], Mapping[str, float]]
"""Runs every stage over [start, end]; returns asset -> seconds. Raises what the stages raise."""


@dataclass(frozen=True)
class Looked:
    """A look of the judge. judgement: None where nobody is on trial or watched; before, after: who serves before the
    look and after it; rule: what is said of the rule, None where it was not looked at."""

    as_of: datetime
    judgement: Judgement | None
    before: ServingState
    after: ServingState
    rule: RuleJudgement | None = None


@dataclass(frozen=True)
class Shown:
    """What a command produced that the UI has assets for.

    experiment: what it belongs to; report: the report with its files; challengers: the models that were trained, each
    with the reason why it does not serve (None: it does, or its trial begins); looked: a look of the judge; state: the
    serving models may have changed; checked: a check of the registries and what it found.
    """

    experiment: Experiment
    report: PublishedReport | None = None
    challengers: Sequence[tuple[Challenger, str | None]] = ()
    looked: Looked | None = None
    state: bool = False
    checked: tuple[ConsistencyResult, ConsistencyReport] | None = None


class Wiring(Protocol):
    """How commands reach what lies above the domain."""

    def chunk_days(self) -> int:
        """Return the days per chunk, for the progress bar."""
        ...

    def run_range(
        self, options: Options, context: FlowContext, start: date, end: date, progress: Progress
    ) -> Mapping[str, float]:
        """Run every stage over [start, end]; return asset -> seconds. Raises what the stages raise."""
        ...

    def open_range(
        self, options: Options, context: FlowContext, progress: Progress
    ) -> AbstractContextManager[RunRange]:
        """Return a context that yields a function which runs every stage over a range; what it needs is opened once."""
        ...

    def show(self, options: Options, database: Database, artifacts: ArtifactStore, shown: Shown) -> None:
        """Show what a command produced as materialisations of the same assets that a run of the UI gives."""
        ...

    def show_active(self, options: Options, database: Database, mode: str) -> None:
        """Show which experiment of a mode is active now."""
        ...

    def dev(self, options: Options, host: str, port: int) -> int:
        """Run the UI until it is stopped; return its exit code."""
        ...


class DirectWiring:
    """Runs the stages in this process without an orchestrator; has no UI."""

    def __init__(self, days: int = 60) -> None:
        self._days = days

    def chunk_days(self) -> int:
        """Return the days per chunk."""
        return self._days

    def run_range(
        self, options: Options, context: FlowContext, start: date, end: date, progress: Progress
    ) -> Mapping[str, float]:
        """Run every stage over [start, end], chunk by chunk."""
        from throughline.flow import run_range

        seconds: dict[str, float] = {}
        for day in run_range(context, start, end, chunk_days=self._days, progress=progress):
            seconds[day.asset] = seconds.get(day.asset, 0.0) + day.seconds
        return seconds

    @contextmanager
    def open_range(self, options: Options, context: FlowContext, progress: Progress) -> Iterator[RunRange]:
        """Yield a function that runs every stage over a range."""
        yield lambda start, end: dict(self.run_range(options, context, start, end, progress))

    def show(self, options: Options, database: Database, artifacts: ArtifactStore, shown: Shown) -> None:
        """Show nothing: there is no UI without Dagster."""

    def show_active(self, options: Options, database: Database, mode: str) -> None:
        """Show nothing: there is no UI without Dagster."""

    def dev(self, options: Options, host: str, port: int) -> int:
        """Refuse: there is no UI without Dagster."""
        raise SettingsError("the UI needs Dagster: start it with the installed command `throughline dev`")
