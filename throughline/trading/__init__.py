"""Trading: fills, costs, exits, slots and cash, in one simulation engine.

Belongs here: what happens to an entry once it was decided, on bars that are already in memory. Pure: no database,
no files, no clock. Does not belong here: what to trade and how much (strategy), records and identities (tracking).

``from throughline.trading import simulate`` is the one entrance; assets, commands and benchmarks call it. The compiled
core is loaded with the first use of `simulate`, so importing this package stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from throughline.trading.types import (
    DISPOSITIONS,
    FLAGS,
    PATHS,
    REASONS,
    Bars,
    Costs,
    Entries,
    ExitRules,
    PathResult,
    PathState,
    Position,
    Simulation,
    SimulationInputError,
    flag_names,
)

if TYPE_CHECKING:
    from throughline.trading.engine import simulate, warm_up
    from throughline.trading.scaled import ScaledRun, simulate_scaled

__all__ = [
    "DISPOSITIONS",
    "FLAGS",
    "PATHS",
    "REASONS",
    "Bars",
    "Costs",
    "Entries",
    "ExitRules",
    "PathResult",
    "PathState",
    "Position",
    "ScaledRun",
    "Simulation",
    "SimulationInputError",
    "flag_names",
    "simulate",
    "simulate_scaled",
    "warm_up",
]


def __getattr__(name: str) -> Any:
    if name in ("simulate", "warm_up"):
        from throughline.trading import engine

        return getattr(engine, name)
    if name in ("ScaledRun", "simulate_scaled"):
        from throughline.trading import scaled

        return getattr(scaled, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
