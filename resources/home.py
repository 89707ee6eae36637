"""The resource `home`: the Throughline home that assets, schedules and sensors work on.

Belongs here: its typed configuration, which the UI shows, and the flows of its modes. Does not belong here: what a flow
does (`resources.flow`).

Addresses of servers may hold passwords, so the configuration names their environment variables and never holds the
addresses themselves: ``HomeResource(folder="/srv/home", database_url=dg.EnvVar("THROUGHLINE_DATABASE_URL"))``.
"""

# No `from __future__ import annotations` here: Dagster reads the types of the fields at run time.

import threading
from functools import cache
from typing import Protocol

import dagster as dg
from pydantic import Field

from resources.flow import Flow, HomeFlow
from resources.settings import ARTIFACTS_VARIABLE, DATABASE_VARIABLE, REDIS_VARIABLE, Settings
from throughline.errors import SettingsError
from throughline.storage.home import Home

HOME = "home"
"""Key of the resource."""

_OPENING = threading.Lock()


class Flows(Protocol):
    """What definitions ask the resource `home` for. Tests and commands put `OpenFlows` in its place."""

    def flow(self, mode: str) -> Flow:
        """Return the flow of a mode."""
        ...


class HomeResource(dg.ConfigurableResource[None]):
    """A Throughline home: its database, files and market data.

    Fields that may hold a password name an environment variable, which is read when a run starts.
    """

    folder: str = Field(description="Folder that holds all state of the home.")
    database_url: str | None = Field(
        default=None, description=f"PostgreSQL server ({DATABASE_VARIABLE}). None: the embedded server of the home."
    )
    artifacts: str | None = Field(
        default=None, description=f"Artifact store ({ARTIFACTS_VARIABLE}). None: a folder of the home."
    )
    redis_url: str | None = Field(
        default=None, description=f"Redis server for the latest feature vectors ({REDIS_VARIABLE}). None: PostgreSQL."
    )

    def flow(self, mode: str) -> Flow:
        """Return the flow of a mode. It stays open in this process, so that runs share server, bars and provider."""
        settings = Settings(
            home=Home.locate(self.folder),
            database_url=self.database_url,
            artifacts=self.artifacts,
            redis_url=self.redis_url,
        )
        with _OPENING:
            return _home_flow(settings, mode)


@cache
def _home_flow(settings: Settings, mode: str) -> HomeFlow:
    """Return the one flow of a mode and home in this process: Dagster makes the resource anew for each run and tick."""
    return HomeFlow(settings, mode)


class OpenFlows:
    """Flows that the caller opened, in the place of `HomeResource`.

    Args:
        flows: one for each mode that is asked for.
    """

    def __init__(self, *flows: Flow) -> None:
        self._flows = {flow.mode: flow for flow in flows}

    def flow(self, mode: str) -> Flow:
        """Return the flow of a mode. Raises SettingsError where the caller opened none for it."""
        if mode not in self._flows:
            raise SettingsError(f"no flow of mode '{mode}' is open here: {', '.join(self._flows) or 'none'}")
        return self._flows[mode]


def home_resource(settings: Settings) -> HomeResource:
    """Return the resource for the settings of this machine."""
    return HomeResource(
        folder=str(settings.home.path),
        database_url=_variable(DATABASE_VARIABLE, settings.database_url),
        artifacts=_variable(ARTIFACTS_VARIABLE, settings.artifacts),
        redis_url=_variable(REDIS_VARIABLE, settings.redis_url),
    )


def _variable(name: str, value: str | None) -> str | None:
    """Return the reference to a variable that is set, None for one that is not."""
    return None if value is None else dg.EnvVar(name)
