"""The assumptions of a backtest as sentences: from the source, the settings and what the data lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from throughline.configuration import Configuration
from throughline.exits.registry import chosen, rule_of
from throughline.market.panel import SourceDescription
from throughline.rendering.formats import words

RUG_INPUTS = frozenset({"pool_reserve", "top10_share", "lp_locked_share"})
_INPUTS = {
    "market_cap": frozenset({"market_cap"}),
    "volume_24h": frozenset({"volume", "volume_24h"}),
    "rug_risk": RUG_INPUTS,
    "sentiment": frozenset({"sentiment"}),
}
_NAMES = {"market_cap": "market cap", "volume_24h": "volume", "rug_risk": "rug risk", "sentiment": "sentiment"}


def assumptions(
    source: SourceDescription, settings: Configuration, funnel: Sequence[Mapping[str, Any]], ambiguous: int
) -> list[str]:
    """Return the sentences in a fixed order. funnel: the range's sums; ambiguous: trades that met both barriers."""
    sentences = list(source.assumptions)
    if source.availability == "assumed":
        sentences.append("When each row became known is assumed, not observed.")
    sentences += _absent(source, settings, funnel)
    sentences += _fills(source, settings, ambiguous)
    if source.survivors_only:
        lost = source.attrition_per_48h
        sentences.append(
            "The universe holds survivors only: the pessimistic and base paths are charged an expected total loss of "
            f"{lost * 100:.3f} % per 48 h held."
            if lost
            else "The universe holds survivors only, and nothing is charged for the coins that went: the returns are "
            "too high by what those would have lost."
        )
    sentences.append(
        "Returns are marked to market: open positions are valued at their last price, before the costs of selling, and "
        "never closed by the end. "
        "Sharpe ratio and drawdown are those of day ends: what was lost and won back inside a day is not seen."
    )
    sentences.append(
        "The equal-weight and benchmark baselines are charged no costs and no attrition, and gain and lose nothing "
        "where a doubtful jump or a long gap ends a coin's history; random entries are sized, scaled and charged as "
        "the strategy's own trades are."
    )
    return sentences


def filters_without_data(source: SourceDescription, settings: Configuration) -> list[str]:
    """Return one sentence per filter that must remove every instrument, because the source lacks what it looks at.

    Each ends with the lines of configuration that switch the filter off.
    """
    return [
        _removes_all(name, f"the archive '{source.name}' has no {_NAMES[name]}")
        for name, inputs in _INPUTS.items()
        if _rejects_missing(settings, name) and not inputs & source.capabilities
    ]


def filters_without_values(settings: Configuration, funnel: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one sentence per filter that removed every instrument it saw for want of a value. funnel: the sums."""
    rows = {str(row["filter"]): row for row in funnel}
    return [
        _removes_all(name, f"not one instrument had a {_NAMES[name]} in these days")
        for name in _INPUTS
        if _rejects_missing(settings, name)
        and name in rows
        and int(rows[name]["seen"]) > 0
        and int(rows[name]["seen"]) == int(rows[name]["removed"]) == int(rows[name]["missing"])
    ]


def _rejects_missing(settings: Configuration, name: str) -> bool:
    rule = getattr(settings.strategy, name)
    return bool(rule.enabled) and rule.on_missing == "reject"


def _removes_all(name: str, cause: str) -> str:
    return (
        f"There can be no candidate: the filter '{name}' removes every instrument, because {cause}. Switch it off in "
        f"the file given with --config: [strategy.{name}] enabled = false"
    )


def _absent(source: SourceDescription, settings: Configuration, funnel: Sequence[Mapping[str, Any]]) -> list[str]:
    sentences = []
    missing = {str(row["filter"]): int(row["missing"]) for row in funnel}
    for name, inputs in _INPUTS.items():
        rule = getattr(settings.strategy, name)
        has = bool(inputs & source.capabilities)
        if not rule.enabled:
            sentences.append(f"The {_NAMES[name]} filter is switched off" + ("." if has else ": the data has none."))
        elif not has:
            done = "admitted with a flag" if rule.on_missing == "admit_flagged" else "rejected"
            sentences.append(f"The data has no {_NAMES[name]}: every instrument is {done} at that filter.")
        elif missing.get(name):
            done = "admitted with a flag" if rule.on_missing == "admit_flagged" else "rejected"
            sentences.append(
                f"An instrument without a {_NAMES[name]} was {done} at that filter, {missing[name]:,} times."
            )
    if not RUG_INPUTS & source.capabilities:
        sentences.append(
            "No claim is made about rug pulls: the data holds no holders, liquidity locks or pool reserves."
        )
    return sentences


def _fills(source: SourceDescription, settings: Configuration, ambiguous: int) -> list[str]:
    costs = settings.costs
    impact = f"{costs.impact_coefficient:g} x daily volatility x sqrt(share of 24 h volume)"
    sentences = [
        (
            f"Costs a side on the base path: fee {costs.fee * 100:.2f} %, half spread {costs.half_spread * 100:.2f} %, "
            f"impact {impact}, at least {costs.impact_floor * 100:.2f} % where that is unknown."
        )
    ]
    if source.close_only:
        sentences.append("The data has closes only: barriers are tested on closes and every fill is at a close.")
    for rule, given in ((rule_of(given), given) for given in chosen(settings.exits)):
        sentences += [f"Exit rule {words(rule.name)}: {rule.describe(given)}."]
    sentences.append(
        "At the first price after a gap a position is sold for its target at most. It ends at a first price that is "
        f"{source.doubtful_jump:g} times the close before it or more, or one part in as many or less, with or without "
        f"a gap: a fall counts in full, a rise up to {source.doubtful_jump:g} times the last close. A halt without any "
        f"price is worth {costs.halted_recovery:g} of the last "
        "close on the base path, by assumption."
    )
    if ambiguous:
        sentences.append(
            f"{ambiguous:,} trade(s) touched stop and target in one bar; the order inside a bar is unknown and booked "
            "as the stop (base), each with its interval."
        )
    return sentences
