"""The stages of the catalogue as functions, in the order of the day, by the name of their asset.

Each is loaded when it first runs: with pandas and the compiled engine they would double what loading the Dagster code
location costs (benchmarks/load.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import cast

from throughline.catalogue import StageSpec, catalogue
from throughline.flow.context import DayResult, FlowContext, Stage


def _stage(spec: StageSpec) -> Stage:
    def run(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
        return cast(Stage, spec.function())(ctx, days)

    return run


STAGES: Mapping[str, Stage] = {asset: _stage(spec) for asset, spec in catalogue().stages.items()}
