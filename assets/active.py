"""The asset that shows which experiment runs of a mode work on, and that can choose another one.

Belongs here: what the UI shows of the choice. Does not belong here: the rule (`throughline.experiment.choice`).

The definitions of a code location are loaded once, so a description cannot follow the choice. A materialisation can:
commands that change it report one, and a run of this asset shows how it stands, or changes it.
"""

# No `from __future__ import annotations` here: Dagster reads the types of `context` and `config` at run time.

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from assets.asset_factory import ACTIVE_EXPERIMENT, failure, mode_asset
from resources.definition_factory import ModeSpec, for_each_mode
from resources.home import Flows
from throughline.errors import ThroughlineError
from throughline.experiment.mode import find_mode
from throughline.rendering.blocks import markdown
from throughline.rendering.table import Table

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from throughline.analytics.experiments import Overview

SHOWN = 25
"""At most so many experiments are listed, the ones recorded last first."""
_DIFFERENCES = 6
"""So many differences of an experiment are listed."""


class ActiveConfig(dg.Config):
    """Which experiment to make the active one of the mode."""

    use: str | None = Field(
        default=None,
        description="ID of the experiment to make active, or the first 8 or more digits. None: the choice stays.",
    )


@for_each_mode
def active_assets(spec: ModeSpec) -> list[dg.AssetsDefinition]:
    """Return `active_experiment` of a mode."""
    mode = spec.name

    @mode_asset(
        spec,
        ACTIVE_EXPERIMENT,
        group="experiment",
        description=f"The active experiment of mode '{mode}', which runs use unless they name another, and all "
        f"experiments of the mode. {spec.mode.description} `throughline use ID`, or a run of this asset with the "
        "configuration `use: ID`, makes another one active. The tag throughline/experiment with an ID selects "
        "another experiment for a single run or backfill.",
    )
    def active_experiment(
        context: dg.AssetExecutionContext, config: ActiveConfig, home: dg.ResourceParam[Flows]
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from throughline.experiment.choice import use

        try:
            engine = home.flow(mode).engine()
            if config.use is not None:
                use(engine, config.use, mode)
            return dg.MaterializeResult(metadata=active_metadata(engine, mode))
        except ThroughlineError as error:
            raise failure(error, mode) from error

    return [active_experiment]


def active_metadata(engine: "Engine", mode: str) -> dict[str, Any]:
    """Return what the asset shows. Raises SettingsError where the mode has no active experiment."""
    from throughline.analytics.experiments import overviews
    from throughline.experiment.choice import choose

    chosen = choose(engine, mode)
    with engine.connect() as connection:
        experiments = overviews(connection, mode)
    active = next(item for item in experiments if item.id == chosen.experiment.id)
    metadata: dict[str, Any] = {
        "preview": dg.MetadataValue.md(_preview(active, experiments)),
        "experiment": active.id,
        "epoch": str(active.epoch),
        "market": find_mode(mode).market,
        "fills": find_mode(mode).fills,
        "sealed_days": active.days,
        "trades": active.trades,
        "source": chosen.experiment.source_hash,
        "seed": chosen.experiment.seed,
    }
    if active.last_day is not None:
        metadata["last_sealed_day"] = str(active.last_day)
    if active.total_return is not None:
        metadata["return_base"] = active.total_return
    if chosen.inputs:
        metadata["inputs"] = dg.MetadataValue.json(dict(chosen.inputs))
    return metadata


def _preview(active: "Overview", experiments: "list[Overview]") -> str:
    sealed = f"sealed from {active.first_day} to {active.last_day}" if active.last_day else "nothing sealed yet"
    lines = [f"**{active.id[:12]}** is active: from {active.epoch}, {sealed}."]
    head = ["", "experiment", "from", "last day", "trades", "return", "compared with", "differs in"]
    rows = [
        [
            "active" if item.active else "",
            f"`{item.id[:12]}`",
            str(item.epoch),
            str(item.last_day or "-"),
            f"{item.trades:,}",
            "-" if item.total_return is None else f"{item.total_return:+.2%}",
            "-" if item.compared_with is None else f"`{item.compared_with[:12]}`",
            _differences(item),
        ]
        for item in reversed(experiments[-SHOWN:])
    ]
    return markdown([*lines, Table(head, rows, left=range(len(head)))])


def _differences(item: "Overview") -> str:
    shown = [str(one) for one in item.differences[:_DIFFERENCES]]
    if len(item.differences) > _DIFFERENCES:
        shown.append(f"{len(item.differences) - _DIFFERENCES} more")
    return "; ".join(shown) or "-"
