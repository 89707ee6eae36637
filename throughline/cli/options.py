"""Options that every command has, in front of or behind its name: --home, --database, --json."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from throughline.storage.home import HOME_VARIABLE, Home

if TYPE_CHECKING:
    from throughline.cli.stopwatch import Stopwatch
    from throughline.cli.wiring import Wiring
    from throughline.storage.artifacts import ArtifactStore
    from throughline.storage.database import Database

DATABASE_VARIABLE = "THROUGHLINE_DATABASE_URL"
ARTIFACTS_VARIABLE = "THROUGHLINE_ARTIFACTS"
REDIS_VARIABLE = "THROUGHLINE_REDIS_URL"

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Options:
    """The options that every command has.

    Args:
        wiring: how the command reaches what lies above the domain.
        home_path: --home; None is THROUGHLINE_HOME, else the default.
        database: URL of a PostgreSQL server; None is the home's embedded one.
        json: print one JSON object on stdout and nothing else.
        started: `time.perf_counter()` at the start of the process.
    """

    wiring: Wiring
    home_path: str | None = None
    database: str | None = None
    json: bool = False
    started: float = field(default_factory=time.perf_counter)

    @property
    def home(self) -> Home:
        """The home. Raises SettingsError where it cannot be named."""
        return Home.locate(self.home_path)

    @property
    def redis_url(self) -> str | None:
        """The Redis that serves vectors to online readers; None keeps them in the database."""
        return os.environ.get(REDIS_VARIABLE, "").strip() or None

    def stopwatch(self) -> Stopwatch:
        """Return a stopwatch that has run since the process started; its first lap is counted as 'start'."""
        from throughline.cli.stopwatch import Stopwatch

        watch = Stopwatch(self.started)
        watch.lap("start")
        return watch

    @contextmanager
    def open(self) -> Iterator[tuple[Database, ArtifactStore]]:
        """Open the home's database and artifact store; the last process out stops the embedded server."""
        from throughline.storage.artifacts import ArtifactStore
        from throughline.storage.database import open_database

        home = self.home
        with open_database(home, self.database or os.environ.get(DATABASE_VARIABLE, "").strip() or None) as database:
            store = os.environ.get(ARTIFACTS_VARIABLE, "").strip() or home.artifacts
            yield database, ArtifactStore(store)


def common(command: Command) -> Command:
    """Give a command (or the group) the common options; it is called with `options` in their place.

    An option behind the command's name wins over the same one in front of it.
    """

    @wraps(command)
    def wrapped(*args: Any, home: str | None, database: str | None, as_json: bool, **kwargs: Any) -> Any:
        context = click.get_current_context()
        options: Options = context.obj if isinstance(context.obj, Options) else Options(wiring=context.obj)
        options = replace(
            options,
            home_path=home if home is not None else options.home_path,
            database=database or options.database,
            json=as_json or options.json,
        )
        context.obj = options
        return command(*args, options=options, **kwargs)

    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else."),
        click.option(
            "--database",
            metavar="URL",
            help=f"PostgreSQL server to use instead of the embedded one ({DATABASE_VARIABLE}).",
        ),
        click.option("--home", metavar="DIR", help=f"Folder that holds all state ({HOME_VARIABLE}; ~/.throughline)."),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]
