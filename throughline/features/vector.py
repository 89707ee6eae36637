"""The feature vector: a pure function of what a research snapshot says, with its schema and its hash.

Belongs here: which features there are, in which category, and how each follows from the snapshot. Does not belong here:
where snapshots come from (flow), selection, scaling and imputation (learning, inside the training folds).

What trained and what served cannot differ: the candidate stage makes the vector from the very mapping that the research
stage freezes, and anyone can make it again from the stored record. Missing stays None and never becomes a number here.
Logarithms are rounded to 10 significant digits with everything else, before anything reads them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from throughline.identity import hash_body, parse_time, score_text, time_to_ms
from throughline.market.blocks import segment_ms
from throughline.signals.vector import NAMES as SIGNALS

Category = Literal["market", "on_chain", "social", "rug", "execution"]
Snapshot = Mapping[str, Any]
"""The part of a research body that features read: `decision_time`, `scan_row`, `scores` and `signals`."""

REFERENCES = ("pool_reserve", "top10_share", "lp_locked_share")
"""References that are features as they are (market cap, volume and sentiment come with the scan's own features)."""

SCHEMA_NAME = "features/1"


@dataclass(frozen=True)
class Feature:
    """One feature: its name, the seed's category, what it means with its unit, and how a snapshot gives it."""

    name: str
    category: Category
    doc: str
    read: Callable[[Snapshot], float | None]


def _number(text: Any) -> float | None:
    return None if text is None else float(text)


def _scan(name: str) -> Callable[[Snapshot], float | None]:
    return lambda snapshot: _number(snapshot["scan_row"]["features"][name])


def _signal(name: str) -> Callable[[Snapshot], float | None]:
    return lambda snapshot: _number(snapshot["signals"]["values"][name])


def _reference(name: str) -> Callable[[Snapshot], float | None]:
    return lambda snapshot: _number(snapshot["scan_row"]["references"].get(name))


def _score(name: str) -> Callable[[Snapshot], float | None]:
    return lambda snapshot: _number(snapshot["scores"][name])


def _log10(read: Callable[[Snapshot], float | None]) -> Callable[[Snapshot], float | None]:
    def logarithm(snapshot: Snapshot) -> float | None:
        value = read(snapshot)
        return None if value is None or value < 0.0 else math.log10(1.0 + value)  # a drained pool is not a missing one

    return logarithm


def _ratio(
    above: Callable[[Snapshot], float | None], below: Callable[[Snapshot], float | None]
) -> Callable[[Snapshot], float | None]:
    def ratio(snapshot: Snapshot) -> float | None:
        top, bottom = above(snapshot), below(snapshot)
        return None if top is None or bottom is None or bottom <= 0.0 else top / bottom

    return ratio


def _notional(snapshot: Snapshot) -> float | None:
    return _number(snapshot["scan_row"]["notional_usd"])


def _hour(snapshot: Snapshot) -> float:
    moment = parse_time(snapshot["decision_time"])
    return moment.hour + moment.minute / 60.0


def _weekday(snapshot: Snapshot) -> float:
    return float(parse_time(snapshot["decision_time"]).weekday())


def _age_days(snapshot: Snapshot) -> float:
    """Days since the first bar of the segment: a lower bound of the token's age."""
    started = segment_ms(snapshot["scan_row"]["segment"])
    return (time_to_ms(parse_time(snapshot["decision_time"])) - started) / 86_400_000


def _missing_signals(snapshot: Snapshot) -> float:
    return sum(value is None for value in snapshot["signals"]["values"].values()) / len(SIGNALS)


FEATURES: tuple[Feature, ...] = (
    Feature("momentum", "market", "return over the momentum window, fraction", _scan("momentum")),
    Feature("volatility", "market", "daily standard deviation of bar returns, fraction", _scan("volatility")),
    Feature("log_volume_24h", "market", "log10 of 1 + the 24 h volume in USD", _log10(_scan("volume_24h"))),
    Feature("log_market_cap", "market", "log10 of 1 + the market cap in USD", _log10(_scan("market_cap"))),
    Feature("turnover", "market", "24 h volume over market cap", _ratio(_scan("volume_24h"), _scan("market_cap"))),
    *(Feature(f"signal_{name}", "market", f"soulprint component {name}", _signal(name)) for name in SIGNALS),
    Feature(
        "log_pool_reserve", "on_chain", "log10 of 1 + the pool's reserve in USD", _log10(_reference("pool_reserve"))
    ),
    Feature("top10_share", "on_chain", "share of the ten largest holders", _reference("top10_share")),
    Feature("age_days", "on_chain", "days since the segment's first bar: the token's age at least", _age_days),
    Feature("sentiment", "social", "sentiment in [0, 1]", _scan("sentiment")),
    Feature("rug_risk", "rug", "rug risk in [0, 1]", _scan("rug_risk")),
    Feature("reserve_drop", "rug", "fall of the pool's reserve over 24 h, fraction", _scan("reserve_drop")),
    Feature("lp_locked_share", "rug", "share of the liquidity that is locked", _reference("lp_locked_share")),
    Feature("confidence", "execution", "confidence of the rule, [0, 1]", _score("confidence")),
    Feature("opportunity", "execution", "opportunity score of the rule", _score("opportunity")),
    Feature("hour", "execution", "hour of the decision, UTC, [0, 24)", _hour),
    Feature("weekday", "execution", "weekday of the decision, Monday = 0", _weekday),
    Feature("log_notional", "execution", "log10 of 1 + the wished size in USD", _log10(_notional)),
    Feature("volume_share", "execution", "wished size over the 24 h volume", _ratio(_notional, _scan("volume_24h"))),
    Feature("missing_signals", "execution", "share of the soulprint's components that are missing", _missing_signals),
)
"""All features, in the order of the columns."""

NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)


@dataclass(frozen=True)
class FeatureVector:
    """The features of one decision as they stand in records (text of 10 significant digits, None = missing)."""

    values: Mapping[str, str | None]
    hash: str

    def numbers(self) -> NDArray[np.float64]:
        """Return the values in the order of `NAMES`, NaN where missing: shape [k]."""
        return np.array([math.nan if (text := self.values[name]) is None else float(text) for name in NAMES])


@cache
def feature_schema() -> str:
    """Return the hash of names, order, categories and meaning: a model of another schema is refused."""
    listed = [[item.name, item.category, item.doc] for item in FEATURES]
    return hash_body("feature_schema", {"features": listed, "name": SCHEMA_NAME, "signals": list(SIGNALS)})


def vector_hash(values: Mapping[str, str | None]) -> str:
    """Return the identity of a vector: over its schema and its values (text of 10 significant digits, or None)."""
    return hash_body("feature_vector", {"schema": feature_schema(), "values": dict(values)})


def feature_vector(snapshot: Snapshot) -> FeatureVector:
    """Return the vector of a research body, or of the part of it that is known when the candidate is made.

    Raises KeyError for a body that lacks what features read (one written by hand).
    """
    values: dict[str, str | None] = {}
    for item in FEATURES:
        value = item.read(snapshot)
        values[item.name] = None if value is None or not math.isfinite(value) else score_text(value)
    return FeatureVector(values, vector_hash(values))
