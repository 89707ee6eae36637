"""The entry point of the `throughline` command: the commands of the domain, with Dagster passed in.

Belongs here: wiring, and what only a process of our own may do (environment, signals). Does not belong here: what a
command does (`throughline.cli`). Dagster is imported by the commands that run days or the UI, and by no other: `trade`,
`verify` and `experiments` answer without it.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster import AssetCheckEvaluation, AssetMaterialization, DagsterInstance

    from resources.settings import Settings
    from throughline.cli.options import Options
    from throughline.cli.wiring import RunRange, Shown
    from throughline.flow.context import FlowContext
    from throughline.flow.run import RunListener
    from throughline.quality.helper import HelperValidator
    from throughline.storage.artifacts import ArtifactStore
    from throughline.storage.database import Database

REPO = Path(__file__).resolve().parent.parent


class DagsterWiring:
    """Runs days as runs of the mode's Dagster job, and the UI as `dagster dev`.

    Use it as a context manager: the Dagster instance is opened when it is first needed and kept for the command.
    """

    def __init__(self) -> None:
        self._opened = ExitStack()
        self._instance: DagsterInstance | None = None
        self._validator: HelperValidator | None = None

    def __enter__(self) -> DagsterWiring:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def validator(self) -> HelperValidator:
        """Return the helper process that runs Great Expectations; the first call starts it."""
        from throughline.quality.helper import HelperValidator

        if self._validator is None:
            self._validator = self._opened.enter_context(HelperValidator())
        return self._validator

    @contextmanager
    def open_range(self, options: Options, context: FlowContext, listener: RunListener) -> Iterator[RunRange]:
        """Yield a function that materializes every daily asset of the experiment's mode over a range."""
        from dagster import DagsterExecutionInterruptedError

        from pipelines.backfill import range_runner

        run = range_runner(_settings(options), context, listener, self._dagster(options))

        def run_range(start: date, end: date) -> None:
            try:
                run(start, end)
            except DagsterExecutionInterruptedError as stop:
                raise KeyboardInterrupt from stop

        yield run_range

    def show(self, options: Options, database: Database, artifacts: ArtifactStore, shown: Shown) -> None:
        """Report what a command produced to the home's Dagster instance, as materialisations of its assets."""
        from assets.command_events import events_of

        self._report(options, events_of(shown, database.engine("reader")))

    def show_active(self, options: Options, database: Database, mode: str) -> None:
        """Report which experiment of a mode is active now, as a materialisation of `<mode>/active_experiment`."""
        from dagster import AssetKey, AssetMaterialization

        from assets.active import active_metadata
        from assets.asset_factory import ACTIVE_EXPERIMENT

        metadata = active_metadata(database.engine("reader"), mode)
        self._report(options, [AssetMaterialization(AssetKey([mode, ACTIVE_EXPERIMENT]), metadata=metadata)])

    def dev(self, options: Options, host: str, port: int) -> int:
        """Run the UI until it is stopped."""
        from pipelines.dev import run_dev

        settings = _settings(options)
        return run_dev(settings.home, host, port, url=settings.database_url)

    def _dagster(self, options: Options) -> DagsterInstance:
        from resources.dagster_instance import make_instance

        if self._instance is None:
            settings = _settings(options)
            self._instance = self._opened.enter_context(make_instance(settings.home, settings.database_url))
        return self._instance

    def _report(self, options: Options, events: Iterable[AssetMaterialization | AssetCheckEvaluation]) -> None:
        """Report asset events that belong to no run."""
        for event in events:
            self._dagster(options).report_runless_asset_event(event)


def _settings(options: Options) -> Settings:
    from resources.settings import load_settings

    settings = load_settings()
    return replace(settings, home=options.home, database_url=options.database or settings.database_url)


def _interrupted(number: int, _: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line of this process and exit with its code."""
    started = time.perf_counter()
    # Until the command can answer for itself, an interrupt ends the process silently instead of by a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from dotenv import load_dotenv

    from throughline.cli import run
    from throughline.cli.streams import prepare

    prepare()
    load_dotenv(REPO / ".env")  # telemetry off; what is exported already wins
    # A shell starts background jobs with INT ignored, and TERM would end us without giving the database back.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # a terminal that is closed; ignored under nohup
        signal.signal(signal.SIGHUP, _interrupted)
    try:
        with DagsterWiring() as wiring:
            code = run(sys.argv[1:], wiring, started)
    except KeyboardInterrupt:  # a second one, while the first was answered
        code = 130
    for number in (signal.SIGINT, signal.SIGTERM):  # nothing is left to stop
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


if __name__ == "__main__":
    main()
