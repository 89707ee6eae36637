"""What commands receive from outside: how a range of days is run, who validates, and how the UI is started.

``pipelines/command.py`` passes in Dagster; `DirectWiring` runs the stages without it (tests, scripts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
    from throughline.flow.run import RunListener
    from throughline.learning.cash import RuleJudgement
    from throughline.learning.events import ServingState
    from throughline.learning.nightly import Challenger
    from throughline.learning.types import Judgement
    from throughline.quality.validation import Validator
    from throughline.registry.consistency import ConsistencyResult
    from throughline.registry.consistency import Report as ConsistencyReport
    from throughline.storage.artifacts import ArtifactStore
    from throughline.storage.database import Database

RunRange = Callable[[date, date], None]
"""Runs every stage over [start, end]. Raises what the stages raise."""


@dataclass(frozen=True)
class Looked:
    """An evaluation of the canary.

    Args:
        as_of: its instant.
        judgement: its result; None where no model is on trial or watched.
        before: who serves before it.
        after: who serves after it.
        rule: the decision on the rule; None where the rule was not evaluated.
    """

    as_of: datetime
    judgement: Judgement | None
    before: ServingState
    after: ServingState
    rule: RuleJudgement | None = None


@dataclass(frozen=True)
class Shown:
    """What a command produced that the UI has assets for.

    Args:
        experiment: what it belongs to.
        report: the report with its files.
        challengers: the models that were trained, each with the reason why it does not serve (None: it does, or its
            trial begins).
        looked: an evaluation of the canary.
        state: the serving models may have changed.
        checked: a check of the registries and its findings.
    """

    experiment: Experiment
    report: PublishedReport | None = None
    challengers: Sequence[tuple[Challenger, str | None]] = ()
    looked: Looked | None = None
    state: bool = False
    checked: tuple[ConsistencyResult, ConsistencyReport] | None = None


class Wiring(Protocol):
    """How commands reach what lies above the domain."""

    def validator(self) -> Validator | None:
        """Return what runs Great Expectations; None runs it in this process."""
        ...

    def open_range(
        self, options: Options, context: FlowContext, listener: RunListener
    ) -> AbstractContextManager[RunRange]:
        """Return a context that yields a function which runs every stage over a range.

        Args:
            options: the common options.
            context: the run.
            listener: hears how each stage of each chunk ends.
        """
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
    """Runs the stages in this process without an orchestrator; has no UI.

    Args:
        days: that are run at once.

    Example:
        >>> run(["demo", "--home", "/tmp/home"], DirectWiring())
    """

    def __init__(self, days: int = 60) -> None:
        self._days = days

    def validator(self) -> Validator | None:
        """Return None: Great Expectations runs in this process."""
        return None

    @contextmanager
    def open_range(self, options: Options, context: FlowContext, listener: RunListener) -> Iterator[RunRange]:
        """Yield a function that runs every stage over a range, chunk by chunk."""
        from throughline.flow.run import days_between, run_days, stage_runner

        runner = stage_runner(context, listener)
        yield lambda start, end: run_days(days_between(start, end), runner, chunk_days=self._days)

    def show(self, options: Options, database: Database, artifacts: ArtifactStore, shown: Shown) -> None:
        """Show nothing: there is no UI without Dagster."""

    def show_active(self, options: Options, database: Database, mode: str) -> None:
        """Show nothing: there is no UI without Dagster."""

    def dev(self, options: Options, host: str, port: int) -> int:
        """Refuse: there is no UI without Dagster."""
        raise SettingsError("the UI needs Dagster: start it with the installed command `throughline dev`")
