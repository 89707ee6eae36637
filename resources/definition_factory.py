"""Definitions that are found by being there: marked functions in modules of assets/, sensors/ and pipelines/jobs/.

Belongs here: what such a function receives, the two markers, and collecting what the functions return. Does not belong
here: any definition, and putting them together (`pipelines.build`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from throughline.discovery import package_modules
from throughline.experiment.mode import Mode

AssetJob = UnresolvedAssetJobDefinition
"""What `dagster.define_asset_job` returns."""
Definition = (
    dg.AssetsDefinition
    | dg.AssetChecksDefinition
    | dg.JobDefinition
    | AssetJob
    | dg.ScheduleDefinition
    | dg.SensorDefinition
)
Factory = TypeVar("Factory", bound=Callable[..., Iterable[Definition]])
_MARK = "_makes_definitions_for"


@dataclass(frozen=True)
class ModeSpec:
    """What the definitions of one mode share.

    Attributes:
        mode: the mode.
        partitions: daily partitions (UTC) of all its daily assets.
        chunk_days: days per run of a backfill.

    Example:
        >>> spec.group("trading")  # doctest: +SKIP
        'backtest_trading'
    """

    mode: Mode
    partitions: dg.TimeWindowPartitionsDefinition
    chunk_days: int

    @property
    def name(self) -> str:
        """Name of the mode."""
        return self.mode.name

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the jobs of this mode."""
        return {"throughline/mode": self.name}

    def key(self, name: str) -> dg.AssetKey:
        """Return the key of an asset of this mode."""
        return dg.AssetKey([self.name, name])

    def schedule_status(self, name: str) -> dg.DefaultScheduleStatus:
        """Return whether a schedule runs by default. name: without the prefix of the mode."""
        running = name in self.mode.running_schedules
        return dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED

    def group(self, stage: str) -> str:
        """Return the asset group of a stage. It names the mode too, so that the lineage page shows modes apart."""
        return f"{self.name}_{stage}"


def for_each_mode(factory: Factory) -> Factory:
    """Mark a function that is called with the `ModeSpec` of each mode and returns definitions."""
    setattr(factory, _MARK, "mode")
    return factory


def for_location(factory: Factory) -> Factory:
    """Mark a function that is called once, with the `ModeSpec`s of all modes, and returns definitions."""
    setattr(factory, _MARK, "location")
    return factory


def collect(packages: Sequence[str], specs: Sequence[ModeSpec]) -> Iterator[Definition]:
    """Yield what the marked functions of the packages' modules return.

    Args:
        packages: dotted names, for example ``assets``.
        specs: the modes.
    """
    for module in (module for package in packages for module in package_modules(package)):
        for item in list(vars(module).values()):
            mark = getattr(item, _MARK, None) if callable(item) else None
            if mark is None or item.__module__ != module.__name__:
                continue
            if mark == "location":
                yield from item(specs)
            else:
                for spec in specs:
                    yield from item(spec)
