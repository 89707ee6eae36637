"""Throughline's domain: a systematic crypto strategy from research to outcome, without any orchestrator.

Belongs here: everything that decides, prices, records, hashes or proves. Does not belong here: Dagster
(import-linter holds that line), wall clocks (a clock is passed in) and secrets.

`throughline.trades()` and `throughline.equity()` read an experiment into data frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from throughline.analytics.trades import equity, trades

__all__ = ["equity", "trades"]


def __getattr__(name: str) -> Any:
    """Return what people call by the package's name; imported when first asked for, since it brings the database."""
    if name in __all__:
        from throughline.analytics import trades as module

        return getattr(module, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
