"""Market data: bars, their cleaning, and the providers that give them to everything above.

Belongs here: archive descriptions, readers, cleaning rules, the panel, the sealing of a day's bars, the simulated
market. Does not belong here: signals, filters, anything that decides. Importing this package imports numpy and nothing
heavier; pyarrow is imported when a file is read.
"""

from __future__ import annotations

from throughline.market.panel import (
    MarketDataProvider,
    MarketPanel,
    QuarantinedRow,
    Reference,
    SourceDescription,
)

__all__ = ["MarketDataProvider", "MarketPanel", "QuarantinedRow", "Reference", "SourceDescription"]
