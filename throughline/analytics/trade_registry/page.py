"""The registries in words, tables and pictures: blocks for the tear sheet and for asset metadata.

Belongs here: sentences, tables, their order. Does not belong here: figures (analytics) and drawing (pictures). What too
few trades would give is said to be so, never shown as a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from markupsafe import Markup

from throughline.analytics.trade_registry.model import (
    MINIMUM_BEHIND,
    MINIMUM_GROUP,
    Modes,
    RegistryAnalytics,
)
from throughline.analytics.trade_registry.pictures import registry_pictures
from throughline.analytics.trade_registry.rows import (
    GROUP_HEAD,
    Row,
    difference_sentence,
    group_row,
    interval,
    rho_text,
    tercile_table,
)
from throughline.rendering.blocks import Block, Heading, Picture
from throughline.rendering.formats import p_value, percent, probability, ratio, share, words
from throughline.rendering.table import Table

_LARGEST_BUCKETS = 8
_LEADING = 3
"""Components named of a profit vector."""

INTERVALS = (
    "Intervals and p-values treat trades as independent. Trades that were open at the same time are not, so they are "
    "narrower than they should be; the number of entry days is the safer count of evidence."
)
Part = Iterator[Block]


def registry_blocks(figures: RegistryAnalytics) -> Iterator[Block]:
    """Yield the parts in order, each under its heading; an empty registry gives one that says so."""
    if not figures.trades:
        yield Heading("No closed trade")
        yield empty_sentence(figures)
        return
    pictures = registry_pictures(figures)
    for title, part in (
        ("Closed trades", _closed(figures)),
        ("Risk-adjusted, trade by trade", _risk(figures)),
        ("By weekday and hour", _timing(figures, pictures)),
        ("Do the profit buckets predict returns?", _buckets(figures, pictures)),
        ("The largest profit buckets", _largest(figures)),
        ("Soulprints and net return", _soulprints(figures, pictures)),
        ("Patterns and profit vectors over time", _patterns(figures)),
        ("Profit by component", _tracks(pictures)),
        ("Across registries: do near soulprints end alike?", _across(figures)),
        ("Coverage", _coverage(figures)),
        ("Linkage health", _links(figures)),
    ):
        yield Heading(title)
        yield from part


def _picture(pictures: Mapping[str, Markup], name: str, title: str) -> Iterator[Block]:
    if name in pictures:
        yield Picture(pictures[name], title)


def empty_sentence(figures: RegistryAnalytics) -> str:
    """Return why there is nothing to show."""
    if figures.coverage.outcomes:
        return (
            f"The registry holds no closed trade of this experiment, though {figures.coverage.outcomes:,} outcomes are "
            "recorded: materialize canonical_trades over these days."
        )
    return "The registry holds no closed trade of this experiment: no trade had closed."


def _closed(figures: RegistryAnalytics) -> Part:
    yield (
        f"{figures.trades:,} closed trades, entered on {figures.entry_days:,} days. Net returns are after all costs, "
        f"of the notional. Groups of fewer than {MINIMUM_GROUP} trades are counted, without rates."
    )
    yield INTERVALS
    if figures.quarantined:
        yield f"{figures.quarantined:,} trades are in quarantine and left out."
    strategies = [group_row(group, f"strategy {words(group.name)}") for group in figures.strategies]
    reasons = [group_row(group, f"ended by {words(group.name)}") for group in figures.reasons]
    yield Table(GROUP_HEAD, [group_row(figures.total), *strategies, *reasons], caption="Groups of closed trades")


def _risk(figures: RegistryAnalytics) -> Part:
    yield (
        "Sharpe and Sortino are per trade, not annualised; P(Sharpe > 0), the probability of a true Sharpe above 0, "
        "assumes independent trades. The drawdown is that of starting cash plus closed profits, trade by trade, "
        "without open positions."
    )
    rows: list[Row] = []
    for name, risk in (("all trades", figures.risk), *figures.strategy_risk.items()):
        rows.append(
            (
                words(name),
                f"{risk.n:,}",
                ratio(risk.sharpe),
                ratio(risk.sortino),
                probability(risk.sharpe_probability),
                ratio(risk.payoff_ratio),
                percent(None if risk.max_drawdown is None else -risk.max_drawdown + 0.0),
                percent(risk.ulcer, signed=False),
            )
        )
        if risk.note:
            yield f"{words(name)}: {risk.note}."
    header = ("", "trades", "Sharpe", "Sortino", "P(Sharpe > 0)", "payoff", "max drawdown", "ulcer index")
    yield Table(header, rows, caption="Risk-adjusted figures")


def _timing(figures: RegistryAnalytics, pictures: Mapping[str, Markup]) -> Part:
    yield (
        "By UTC time of entry. Kruskal-Wallis: "
        f"{difference_sentence('weekdays', figures.weekdays_test)} {difference_sentence('hours', figures.hours_test)}"
    )
    groups = [*figures.weekdays, *figures.hours]
    rows = [
        group_row(item, f"{item.name}:00" if item.name.isdigit() else item.name)
        for item in groups
        if item.win_rate is not None
    ]
    if len(rows) < len(groups):
        yield f"{len(groups) - len(rows)} weekdays or hours have too few trades for a row."
    yield from _picture(pictures, "timing", "Mean net return by time of entry")
    if rows:
        yield Table(GROUP_HEAD, rows, caption="Trades by weekday and hour of entry")


def _buckets(figures: RegistryAnalytics, pictures: Mapping[str, Markup]) -> Part:
    score = figures.effectiveness
    enough = sum(item.n >= MINIMUM_GROUP for item in figures.buckets)
    yield (
        f"{len(figures.buckets):,} buckets are in use, {enough:,} with {MINIMUM_GROUP} trades or more. The shrunken "
        "win rate of a trade's buckets, among trades that had closed before its decision, is compared with its "
        f"outcome; {score.judged:,} of {score.trades:,} trades had at least {MINIMUM_BEHIND} such trades."
    )
    if score.note:
        yield f"{score.note}."
    elif score.brier is not None and score.brier_base is not None and score.gain is not None:
        low, high = score.gain_low, score.gain_high
        verdict = {None: "no better", True: "better", False: "worse"}[_direction(low, high)]
        between = "" if low is None or high is None else f" ({low:+.4f} to {high:+.4f})"
        yield (
            f"Rank correlation with net return {rho_text(score.correlation)}. Brier score {score.brier:.4f} against "
            f"{score.brier_base:.4f} of the base rate, gain {score.gain:+.4f}{between}: the buckets predict {verdict} "
            "than the win rate of all earlier trades."
        )
    yield from _picture(pictures, "buckets", "Predicted and actual win rates")
    header = ("by predicted rate", "trades", "buckets predicted", "base rate predicted", "won (95 %)")
    yield from tercile_table(score.terciles, (*header, "mean net return (95 %)"))


def _direction(low: float | None, high: float | None) -> bool | None:
    """Return whether an interval lies above zero (True), below it (False), or on both sides of it (None)."""
    if low is None or high is None or low <= 0 <= high:
        return None
    return low > 0


def _largest(figures: RegistryAnalytics) -> Part:
    ordered = sorted(figures.buckets, key=lambda item: (-item.n, item.name))[:_LARGEST_BUCKETS]
    yield (
        f"The {len(ordered)} buckets with the most trades, at the end; a trade lies in several. They describe the "
        "past: the best of them is best by chance."
    )
    # Without the schema's name, which all keys share.
    rows = [group_row(item, words(item.name.split("|", 1)[-1].replace("|", " "))) for item in ordered]
    yield Table(GROUP_HEAD, rows, caption="The largest profit buckets")


def _soulprints(figures: RegistryAnalytics, pictures: Mapping[str, Markup]) -> Part:
    asked = [item for item in figures.soulprints.correlations if item.adjusted is not None]
    strong = [words(item.name) for item in asked if item.adjusted is not None and item.adjusted < 0.05]
    verdict = f"these are significant at 5 %: {', '.join(strong)}" if strong else "none is significant at 5 %"
    yield (
        "Spearman's rank correlation of each component with net return, over all trades at once. Of "
        f"{len(asked)} tested, after Benjamini and Hochberg's adjustment for multiple tests, {verdict}."
        if asked
        else "Too few trades for any correlation of a component with net return."
    )
    yield from _picture(pictures, "soulprints", "Rank correlations of the soulprint's components")
    rows = [
        (words(item.name), f"{item.n:,}", rho_text(item), p_value(item.p_value), p_value(item.adjusted))
        for item in figures.soulprints.correlations
    ]
    header = ("component", "trades", "rank correlation (95 %)", "p", "p adjusted")
    yield Table(header, rows, caption="Rank correlation of each component with net return")


def _modes_sentence(modes: Modes, components: int) -> str:
    if modes.explained_fitted is None or modes.explained_held is None or modes.energies is None:
        return f"Patterns: {modes.note or 'the later trades do not vary'}."
    first = modes.energies["feature"][0]
    return (
        f"Mode energies of [trade x component x scale] (averages over the last {', '.join(map(str, modes.scales))} "
        f"decisions), fitted on the first {modes.fitted:,} trades: the leading component pattern holds "
        f"{first * 100:.0f} % of the variation, the first {modes.kept} together {modes.explained_fitted * 100:.0f} %, "
        f"and {modes.explained_held * 100:.0f} % of the {modes.held:,} later trades (without any pattern: "
        f"{modes.kept / components * 100:.0f} %)."
    )


def _patterns(figures: RegistryAnalytics) -> Part:
    prints = figures.soulprints
    yield _modes_sentence(prints.modes, len(prints.components))
    if not prints.vectors:
        return
    yield (
        "The profit vector of a month is the mean of standardised soulprint x net return: the direction of profit. A "
        "cosine near 1 means that the direction stayed, near 0 that last month does not predict this one."
    )
    rows = []
    for item in prints.vectors:
        leading = sorted(item.vector.items(), key=lambda pair: -abs(pair[1]))[:_LEADING]
        names = ", ".join(f"{words(name)} {'+' if value > 0 else '-'}" for name, value in leading)
        rows.append((item.month, f"{item.n:,}", ratio(item.cosine), names))
    header = ("month", "trades", "same direction as the month before (cosine)", "leading components")
    yield Table(header, rows, left=(0, 3), caption="Profit vectors by month")


def _tracks(pictures: Mapping[str, Markup]) -> Part:
    if "tracks" not in pictures:
        yield "Too few trades to split by a median of earlier ones."
        return
    yield (
        "Cumulative net profit of the trades whose component lay above (solid) and at or below (dashed) the median of "
        "all earlier decisions: a split that could have been made at the time."
    )
    yield from _picture(pictures, "tracks", "Cumulative net profit by component")


def _across(figures: RegistryAnalytics) -> Part:
    near = figures.neighbours
    correlations = ", ".join(f"{words(item.name)} {rho_text(item)}" for item in figures.canonical)
    yield f"Canonical entries: rank correlation with net return of {correlations}."
    if near.note:
        yield f"Near soulprints: {near.note}."
    elif near.agreement is not None and near.random is not None:
        verdict = {None: "no more", True: "more", False: "less"}[_direction(near.low, near.high)]
        yield (
            f"{near.judged:,} trades beside the nearest soulprint that had closed before: both won or both lost in "
            f"{near.agreement * 100:.1f} % of the pairs, {near.random * 100:.1f} % with a random earlier trade, "
            f"difference {interval(near.difference, near.low, near.high)}: near soulprints end {verdict} alike than "
            f"any two trades. Rank correlation of the two net returns {rho_text(near.correlation)}."
        )
    header = ("by similarity", "pairs", "cosine", "random pair alike", "alike (95 %)", "mean net return (95 %)")
    yield from tercile_table(near.terciles, header, decimals=True)


def _coverage(figures: RegistryAnalytics) -> Part:
    item = figures.coverage
    gaps = ", ".join(f"{words(name)} {count:,}" for name, count in item.missing.items())
    yield f"Trades without a component: {gaps}." if gaps else "Every soulprint has all its components."
    rows = [
        (name, f"{part:,}", f"{whole:,}", share(part, whole))
        for name, part, whole in (
            ("outcomes with a canonical entry", item.outcomes_with_trade, item.outcomes),
            ("trades with a soulprint", item.with_soulprint, item.trades),
            ("trades with a similarity key", item.with_simhash, item.trades),
            ("trades in a known bucket", item.with_known_bucket, item.trades),
        )
    ]
    yield Table(("", "count", "of", "share"), rows, caption="Coverage of the registries")


def _links(figures: RegistryAnalytics) -> Part:
    broken = sum(item.missing + item.differing for item in figures.links)
    yield (
        f"{f'{broken:,} links are not whole.' if broken else 'Every link is whole.'} These are counts over columns; "
        "`throughline verify` recomputes the hashes."
    )
    rows = [
        (
            words(item.source),
            words(item.target),
            *(f"{n:,}" for n in (item.rows, item.whole, item.missing, item.differing)),
        )
        for item in figures.links
    ]
    header = ("from", "to", "rows", "whole", "missing", "other hash")
    yield Table(header, rows, left=(0, 1), caption="Links between the registries")
