"""From a mode and its inputs (paths, seed) to the market data provider. The inputs are no part of an identity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from throughline.clock import Clock
from throughline.errors import SettingsError
from throughline.market.panel import MarketDataProvider


def make_provider(mode: str, inputs: Mapping[str, Any], clock: Clock) -> MarketDataProvider:
    """Return the provider of `mode`.

    Args:
        mode: 'demo' or 'backtest'.
        inputs: 'demo' takes `seed` (int); 'backtest' takes `archive` (path of the description) and `data` (folder that
            its paths start from), and may take `data_also` (list of further folders that its files may lie in).
        clock: bars of an archive that close after its instant are left out.

    Raises:
        SettingsError: naming a missing input.
        ArchiveError: for unusable files.
    """
    if mode == "demo":
        from throughline.market.simulated import SimulatedProvider

        return SimulatedProvider(int(_required(mode, inputs, "seed")))
    if mode == "backtest":
        from throughline.market.archive import open_archive

        also = [Path(folder) for folder in inputs.get("data_also") or ()]
        archive, data = Path(_required(mode, inputs, "archive")), Path(_required(mode, inputs, "data"))
        return open_archive(archive, data, clock, also)
    raise SettingsError(f"mode '{mode}' has no market data provider: choose demo or backtest")


def _required(mode: str, inputs: Mapping[str, Any], name: str) -> Any:
    if inputs.get(name) is None:
        raise SettingsError(f"mode '{mode}' needs the input '{name}', which its active experiment does not name")
    return inputs[name]
