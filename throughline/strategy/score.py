"""How good a signal is: an opportunity score, a confidence, and the words for both. Rational functions only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from throughline.configuration import SizingSettings, StrategySettings
from throughline.identity import sig10


@dataclass(frozen=True)
class Score:
    """opportunity and confidence in [0, 1]; parts: the known components; missing: features without a value."""

    opportunity: float
    confidence: float
    parts: Mapping[str, float]
    missing: tuple[str, ...]


_WEIGHTS = {"momentum": 0.4, "volatility": 0.2, "liquidity": 0.2, "safety": 0.1, "sentiment": 0.1}


def score(features: Mapping[str, float | None], settings: StrategySettings, sizing: SizingSettings) -> Score:
    """Score one signal from its features (None = missing).

    Components are x / (x + x0), which is bounded, rising and one half at x0: momentum against its minimum, volatility
    against the target volatility, volume against ten times the volume floor; safety is 1 - rug risk. The opportunity
    is the weighted mean of the known ones; confidence is the opportunity times the share of the weights that is known:
    what is not known lowers confidence and never raises the score.
    """
    parts: dict[str, float] = {}
    momentum, volatility, volume = features["momentum"], features["volatility"], features["volume_24h"]
    if momentum is not None:
        parts["momentum"] = max(momentum, 0.0) / (max(momentum, 0.0) + settings.momentum_minimum)
    if volatility is not None:
        parts["volatility"] = volatility / (volatility + sizing.target_volatility)
    if volume is not None:
        floor = 10.0 * (settings.volume_24h.minimum or 100_000.0)
        parts["liquidity"] = volume / (volume + floor)
    if features["rug_risk"] is not None:
        parts["safety"] = 1.0 - features["rug_risk"]
    if features["sentiment"] is not None:
        parts["sentiment"] = min(max(features["sentiment"], 0.0), 1.0)
    # fsum, because the built-in sum adds floats in another way from Python 3.12 on.
    known = math.fsum(_WEIGHTS[name] for name in _WEIGHTS if name in parts)
    total = math.fsum(_WEIGHTS[name] * parts[name] for name in _WEIGHTS if name in parts)
    opportunity = sig10(total / known) if known else 0.0
    return Score(
        opportunity=opportunity,
        confidence=sig10(total),
        parts={name: sig10(value) for name, value in sorted(parts.items())},
        missing=tuple(sorted(name for name, value in features.items() if value is None)),
    )


def rationale(instrument: str, features: Mapping[str, float | None], result: Score, verdicts: Mapping[str, str]) -> str:
    """Return the reason for the candidate in words."""

    def percent(value: float | None) -> str:
        return "unknown" if value is None else f"{value * 100:.1f} %"

    def usd(value: float | None) -> str:
        return "unknown" if value is None else f"${value:,.0f}"

    admitted = sorted(name for name, verdict in verdicts.items() if verdict == "missing_admitted")
    off = sorted(name for name, verdict in verdicts.items() if verdict == "off")
    words = (
        f"{instrument} rose {percent(features['momentum'])} on closed bars with a daily volatility of "
        f"{percent(features['volatility'])}, a 24 h volume of {usd(features['volume_24h'])} and a market cap of "
        f"{usd(features['market_cap'])}; rug risk {percent(features['rug_risk'])}. Opportunity "
        f"{result.opportunity:.3f}, confidence {result.confidence:.3f}."
    )
    if admitted:
        words += f" Admitted without a value: {', '.join(admitted)}."
    if off:
        words += f" Filters switched off: {', '.join(off)}."
    return words
