"""The entry point of the `throughline` command: the domain's commands with Dagster handed in.

Belongs here: wiring, and what only a process of our own may do (environment, signals). Does not belong here: what a
command does (`throughline.cli`). Dagster is imported by the commands that run days or the UI, and by no other: `trade`,
`verify` and `experiments` answer without it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resources.settings import Settings
    from throughline.cli.options import Options
    from throughline.cli.wiring import Progress, RunRange, Shown
    from throughline.flow.context import FlowContext
    from throughline.storage.artifacts import ArtifactStore
    from throughline.storage.database import Database

REPO = Path(__file__).resolve().parent.parent


class DagsterWiring:
    """Runs days as runs of the mode's Dagster job, and the UI as `dagster dev`."""

    def chunk_days(self) -> int:
        """Return the days per run."""
        from resources.settings import load_settings

        return load_settings().chunk_days

    def run_range(
        self, options: Options, context: FlowContext, start: date, end: date, progress: Progress
    ) -> Mapping[str, float]:
        """Materialize every daily asset of the experiment's mode over [start, end]; return asset -> seconds."""
        from dagster import DagsterExecutionInterruptedError

        from pipelines.backfill import materialize_range

        try:
            return materialize_range(_settings(options), context, start, end, progress=progress).seconds
        except DagsterExecutionInterruptedError as stop:
            raise KeyboardInterrupt from stop

    @contextmanager
    def open_range(self, options: Options, context: FlowContext, progress: Progress) -> Iterator[RunRange]:
        """Yield a function that materializes a range; definitions and instance are made once."""
        from dagster import DagsterExecutionInterruptedError

        from pipelines.backfill import open_range

        with open_range(_settings(options), context, progress=progress) as (run, result):

            def run_range(start: date, end: date) -> Mapping[str, float]:
                try:
                    run(start, end)
                except DagsterExecutionInterruptedError as stop:
                    raise KeyboardInterrupt from stop
                return result.seconds

            yield run_range

    def show(self, options: Options, database: Database, artifacts: ArtifactStore, shown: Shown) -> None:
        """Report what a command produced to the home's Dagster instance, as materialisations of its assets."""
        from assets.command_events import events_of

        _report(options, events_of(shown, database.engine("reader")))

    def show_active(self, options: Options, database: Database, mode: str) -> None:
        """Report which experiment of a mode is active now, as a materialisation of `<mode>/active_experiment`."""
        from dagster import AssetKey, AssetMaterialization

        from assets.active import active_metadata
        from assets.asset_factory import ACTIVE_EXPERIMENT

        metadata = active_metadata(database.engine("reader"), mode)
        _report(options, [AssetMaterialization(AssetKey([mode, ACTIVE_EXPERIMENT]), metadata=metadata)])

    def dev(self, options: Options, host: str, port: int) -> int:
        """Run the UI until it is stopped."""
        from pipelines.dev import run_dev

        settings = _settings(options)
        return run_dev(settings.home, host, port, url=settings.database_url)


def _report(options: Options, events: Iterable[Any]) -> None:
    """Report asset events that belong to no run."""
    from resources.dagster_instance import make_instance

    settings = _settings(options)
    with make_instance(settings.home, settings.database_url) as instance:
        for event in events:
            instance.report_runless_asset_event(event)


def _settings(options: Options) -> Settings:
    from resources.settings import load_settings

    settings = load_settings()
    return replace(settings, home=options.home, database_url=options.database or settings.database_url)


def _interrupted(number: int, _: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line of this process and exit with its code."""
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
        code = run(sys.argv[1:], DagsterWiring())
    except KeyboardInterrupt:  # a second one, while the first was answered
        code = 130
    for number in (signal.SIGINT, signal.SIGTERM):  # nothing is left to stop
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


if __name__ == "__main__":
    main()
