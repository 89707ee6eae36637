"""How large a position is wished: from a small fund, smaller where volatility is high, never much of the volume."""

from __future__ import annotations

from throughline.experiment.config import SizingSettings
from throughline.identity import sig10


def position_size(volatility: float | None, volume_24h: float | None, settings: SizingSettings) -> float:
    """Return the wished notional in USD; zero where it would be below the minimum position.

    fund / positions x min(1, target volatility / volatility) (Moreira & Muir 2017, as risk control, see
    reference/trading.md section 5), at most `max_volume_share` of the 24 h volume where that is known. Unknown
    volatility is not small: it gets half a position.
    """
    share = settings.small_fund_usd / settings.max_positions
    if volatility is None:
        share *= 0.5
    elif volatility > settings.target_volatility:
        share *= settings.target_volatility / volatility
    if volume_24h is not None:
        share = min(share, settings.max_volume_share * volume_24h)
    return sig10(share) if share >= settings.minimum_position_usd else 0.0
