"""How large a position to ask for: from a small fund, smaller where volatility is high, never much of the volume."""

from __future__ import annotations

import numpy as np

from throughline.configuration import SizingSettings
from throughline.strategy.windows import F64, round_sig10


def position_size(volatility: F64, volume_24h: F64, settings: SizingSettings) -> F64:
    """Return the notional to ask for in USD per cell; zero where it would be below the minimum position.

    fund / positions x min(1, target volatility / volatility) (Moreira & Muir 2017, as risk
    control), at most `max_volume_share` of the 24 h volume where that is known. Unknown
    volatility is not small: it gets half a position.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.where(np.isnan(volatility), 0.5, np.minimum(1.0, settings.target_volatility / volatility))
        notional = settings.small_fund_usd / settings.max_positions * scale
        notional = np.fmin(notional, settings.max_volume_share * volume_24h)
        return round_sig10(np.where(notional >= settings.minimum_position_usd, notional, 0.0))
