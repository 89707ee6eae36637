"""The order destination `simulated`: the engine fills orders from bars that are known, under all three fill models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from throughline.trading import simulate
from throughline.trading.execution.port import TradingDay
from throughline.trading.types import PathResult


class SimulatedExecution:
    """`throughline.trading.simulate` behind the port.

    Example:
        ``execution_client("simulated").run_day(day)["base"].trades``
    """

    name = "simulated"
    sends_orders = False

    def run_day(self, day: TradingDay) -> Mapping[str, PathResult]:
        """Fill the orders of the day and follow its positions, path by path."""
        return {
            path: simulate(
                day.bars,
                replace(day.entries, notional=day.entries.notional * day.scale.get(path, 1.0)),
                day.rules,
                day.costs,
                day.max_positions,
                state={path: state},
                keys=day.keys,
                until=day.until,
                paths=(path,),
                overlap=day.independent,
                blocked=day.blocked,
                minimum_notional=day.minimum_notional,
            ).paths[path]
            for path, state in day.states.items()
        }


CLIENT = SimulatedExecution()
