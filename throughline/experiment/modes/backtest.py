"""Mode `backtest`: an archive of real data, decided day by day as it was known then, with simulated fills."""

from __future__ import annotations

from throughline.experiment.mode import Mode

_ARGUMENTS = "--archive FILE --data DIR --start D --end D"

MODE = Mode(
    name="backtest",
    description="Stored data of a real market, decided day by day with what was known then; fills are simulated.",
    market="history",
    provider="archive",
    fills="simulated",
    commands={
        "backtest": f"throughline backtest {_ARGUMENTS}",
        "walk-forward": f"throughline walk-forward {_ARGUMENTS}",
    },
    rank=10,
)
