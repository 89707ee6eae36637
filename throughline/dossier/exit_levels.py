"""The levels of a trade's exit rules, recomputed in plain Python from its fill and the sealed bars.

Belongs here: asking each rule (`throughline.exits`) and writing its answer as text. Does not belong here: how levels
are drawn. The barriers and the time limit of a trade need no bars; they are `throughline.dossier.prices.Barriers`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from throughline.configuration import ExitSettings
from throughline.dossier.prices import PriceBar, PricePath
from throughline.exits.registry import chosen, rule_of
from throughline.exits.rule import Bar, Entry
from throughline.identity import decimal_text, parse_time, time_text

Body = Mapping[str, Any]


@dataclass(frozen=True)
class RuleLevel:
    """A level of an optional exit rule.

    Args:
        rule: The rule's name.
        reason: The reason that the level gives.
        description: The rule's settings in words.
        points: (UTC text since when, price as decimal text, None = no level), in order of time.
    """

    rule: str
    reason: str
    description: str
    points: tuple[tuple[str, str | None], ...]


def rule_levels(execution: Body, outcome: Body | None, exits: ExitSettings, path: PricePath) -> tuple[RuleLevel, ...]:
    """Return the levels of the optional rules from the fill to the end of the trade, or of the bars while it is open.

    Args:
        execution: Body of the execution.
        outcome: Body of the outcome, None while the trade is open.
        exits: The exit settings of the experiment.
        path: The sealed bars around the trade.
    """
    entry = Entry(Decimal(execution["raw_price"]), parse_time(execution["fill_time"]))
    last = parse_time(outcome["exit_bar_open"]) if outcome else None
    bars = _bars_between(path, parse_time(execution["fill_bar_open"]), last)
    answer = []
    for settings in chosen(exits):
        rule = rule_of(settings)
        for level in rule.recompute(settings, entry, bars):
            points = [point for point in level.points if last is None or point[0] <= last]
            texts = tuple((time_text(at), None if price is None else decimal_text(price)) for at, price in points)
            answer.append(RuleLevel(rule.name, level.reason, rule.describe(settings), texts))
    return tuple(answer)


def _bars_between(path: PricePath, first: datetime, last: datetime | None) -> Sequence[Bar]:
    """Return the bars that open from `first` on and before `last`: those that a level of the exit bar may follow."""
    length = timedelta(seconds=path.interval_seconds or 0)
    bars = ((parse_time(bar.open_time), bar) for bar in path.bars)
    return [_bar(bar, at, at + length) for at, bar in bars if at >= first and (last is None or at < last)]


def _bar(bar: PriceBar, opens: datetime, closes: datetime) -> Bar:
    close = Decimal(bar.close)
    return Bar(
        opens=opens,
        closes=closes,
        open=close if bar.open is None else Decimal(bar.open),
        high=close if bar.high is None else Decimal(bar.high),
        low=close if bar.low is None else Decimal(bar.low),
        close=close,
        traded=bar.volume is None or Decimal(bar.volume) != 0,
        close_only=bar.open is None,
    )
