"""The registries in words and tables, once for the tear sheet (HTML) and once for asset metadata (markdown).

Belongs here: sentences, tables, their order. Does not belong here: figures (`registry_analytics`) and drawing
(registry_pictures). What too few trades would give is said to be so, never shown as a number.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from throughline.analytics.registry_model import (
    MINIMUM_BEHIND,
    MINIMUM_GROUP,
    Modes,
    RegistryAnalytics,
)
from throughline.analytics.registry_words import (
    GROUP_HEAD,
    Row,
    difference_sentence,
    group_row,
    interval,
    p_text,
    probability_text,
    rho_text,
    share_text,
    tercile_rows,
)
from throughline.analytics.words import percent, ratio

_LARGEST_BUCKETS = 8
_LEADING = 3
"""Components named of a profit vector."""

INTERVALS = (
    "Intervals and p-values treat trades as independent. Trades that were open at the same time are not, so they are "
    "narrower than they should be; the number of entry days is the safer count of evidence."
)


@dataclass(frozen=True)
class Part:
    """One part of the section: a title, sentences, a picture by name, a table (first row its header)."""

    title: str
    sentences: Sequence[str] = ()
    picture: str | None = None
    rows: Sequence[Row] = ()


def registry_parts(told: RegistryAnalytics) -> list[Part]:
    """Return the section's parts in order; an empty registry gives one that says so."""
    if not told.trades:
        return [Part("No closed trade", [empty_sentence(told)])]
    return [
        _closed(told),
        _risk(told),
        _timing(told),
        _buckets(told),
        _largest(told),
        _soulprints(told),
        _patterns(told),
        _tracks(told),
        _across(told),
        _coverage(told),
        _links(told),
    ]


def empty_sentence(told: RegistryAnalytics) -> str:
    """Return why there is nothing to show."""
    if told.coverage.outcomes:
        return (
            f"The registry holds no closed trade of this experiment, though {told.coverage.outcomes:,} outcomes are "
            "recorded: materialize canonical_trades over these days."
        )
    return "The registry holds no closed trade of this experiment: no trade had closed."


def _closed(told: RegistryAnalytics) -> Part:
    counted = (
        f"{told.trades:,} closed trades, entered on {told.entry_days:,} days. Net returns are after all costs, of the "
        f"notional. Groups of fewer than {MINIMUM_GROUP} trades are counted, without rates."
    )
    sentences = [counted, INTERVALS]
    if told.quarantined:
        sentences.append(f"{told.quarantined:,} trades are in quarantine and left out.")
    strategies = [group_row(group, f"strategy {group.name.replace('_', ' ')}") for group in told.strategies]
    reasons = [group_row(group, f"ended by {group.name.replace('_', ' ')}") for group in told.reasons]
    return Part("Closed trades", sentences, rows=[GROUP_HEAD, group_row(told.total), *strategies, *reasons])


def _risk(told: RegistryAnalytics) -> Part:
    rows: list[Row] = [("", "trades", "Sharpe", "Sortino", "P(Sharpe > 0)", "payoff", "max drawdown", "ulcer index")]
    notes = []
    for name, risk in (("all trades", told.risk), *told.strategy_risk.items()):
        rows.append(
            (
                name.replace("_", " "),
                f"{risk.n:,}",
                ratio(risk.sharpe),
                ratio(risk.sortino),
                probability_text(risk.sharpe_probability),
                ratio(risk.payoff_ratio),
                "n/a" if risk.max_drawdown is None else percent(-risk.max_drawdown + 0.0),
                "n/a" if risk.ulcer is None else percent(risk.ulcer, signed=False),
            )
        )
        if risk.note:
            notes.append(f"{name.replace('_', ' ')}: {risk.note}.")
    sentence = (
        "By quantstats. Sharpe and Sortino are per trade, not annualised; P(Sharpe > 0), the probability of a true "
        "Sharpe above 0, assumes independent trades. The drawdown is that of starting cash plus closed profits, trade "
        "by trade, without open positions."
    )
    return Part("Risk-adjusted, trade by trade", [sentence, *notes], rows=rows)


def _timing(told: RegistryAnalytics) -> Part:
    groups = [*told.weekdays, *told.hours]
    rows = [
        group_row(item, f"{item.name}:00" if item.name.isdigit() else item.name)
        for item in groups
        if item.win_rate is not None
    ]
    few = sum(item.win_rate is None for item in groups)
    sentences = [
        "By UTC time of entry. Kruskal-Wallis: "
        + difference_sentence("weekdays", told.weekdays_test)
        + " "
        + difference_sentence("hours", told.hours_test)
    ]
    if few:
        sentences.append(f"{few} weekdays or hours have too few trades for a row.")
    return Part("By weekday and hour", sentences, "timing", [GROUP_HEAD, *rows] if rows else ())


def _buckets(told: RegistryAnalytics) -> Part:
    found = told.effectiveness
    enough = sum(item.n >= MINIMUM_GROUP for item in told.buckets)
    asked = (
        f"{len(told.buckets):,} buckets are in use, {enough:,} with {MINIMUM_GROUP} trades or more. The "
        "shrunken win rate of a trade's buckets, among trades that had closed before its decision, is compared with "
        f"its outcome; {found.judged:,} of {found.trades:,} trades had at least {MINIMUM_BEHIND} such trades."
    )
    sentences = [asked]
    if found.note:
        sentences.append(f"{found.note}.")
    elif found.brier is not None and found.brier_base is not None and found.gain is not None:
        low, high = found.gain_low, found.gain_high
        if low is None or high is None or low <= 0 <= high:
            verdict = "the buckets predict no better than the win rate of all earlier trades"
        else:
            better = "better" if low > 0 else "worse"
            verdict = f"the buckets predict {better} than the win rate of all earlier trades"
        sentences.append(
            f"Rank correlation with net return {rho_text(found.correlation)}. Brier score {found.brier:.4f} against "
            f"{found.brier_base:.4f} of the base rate, gain {found.gain:+.4f}"
            + ("" if low is None or high is None else f" ({low:+.4f} to {high:+.4f})")
            + f": {verdict}."
        )
    head = (
        "by predicted rate",
        "trades",
        "buckets predicted",
        "base rate predicted",
        "won (95 %)",
        "mean net return (95 %)",
    )
    return Part("Do the profit buckets predict returns?", sentences, "buckets", tercile_rows(found.terciles, head))


def _largest(told: RegistryAnalytics) -> Part:
    ordered = sorted(told.buckets, key=lambda item: (-item.n, item.name))[:_LARGEST_BUCKETS]
    # Without the schema's name, which all keys share.
    rows = [group_row(item, item.name.split("|", 1)[-1].replace("|", " ").replace("_", " ")) for item in ordered]
    sentence = (
        f"The {len(rows)} buckets with the most trades, at the end; a trade lies in several. They describe the "
        "past: the best of them is best by chance."
    )
    return Part("The largest profit buckets", [sentence], rows=[GROUP_HEAD, *rows])


def _soulprints(told: RegistryAnalytics) -> Part:
    rows: list[Row] = [("component", "trades", "rank correlation (95 %)", "p", "p adjusted")]
    rows += [
        (item.name.replace("_", " "), f"{item.n:,}", rho_text(item), p_text(item.p_value), p_text(item.adjusted))
        for item in told.soulprints.correlations
    ]
    asked = [item for item in told.soulprints.correlations if item.adjusted is not None]
    strong = [item.name.replace("_", " ") for item in asked if item.adjusted is not None and item.adjusted < 0.05]
    if strong:
        verdict = f"these are significant at 5 %: {', '.join(strong)}"
    else:
        verdict = "none is significant at 5 %"
    sentence = (
        "Spearman's rank correlation of each component with net return, over all trades at once. Of "
        f"{len(asked)} tested, after Benjamini and Hochberg's adjustment for multiple tests, {verdict}."
        if asked
        else "Too few trades for any correlation of a component with net return."
    )
    return Part("Soulprints and net return", [sentence], "soulprints", rows)


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


def _patterns(told: RegistryAnalytics) -> Part:
    found = told.soulprints
    rows: list[Row] = []
    if found.vectors:
        rows.append(("month", "trades", "same direction as the month before (cosine)", "leading components"))
    for item in found.vectors:
        leading = sorted(item.vector.items(), key=lambda pair: -abs(pair[1]))[:_LEADING]
        names = ", ".join(f"{name.replace('_', ' ')} {'+' if value > 0 else '-'}" for name, value in leading)
        rows.append((item.month, f"{item.n:,}", ratio(item.cosine), names))
    sentences = [_modes_sentence(found.modes, len(found.components))]
    if rows:
        sentences.append(
            "The profit vector of a month is the mean of standardised soulprint x net return: the direction of "
            "profit. A cosine near 1 means that the direction stayed, near 0 that last month does not predict this one."
        )
    return Part("Patterns and profit vectors over time", sentences, rows=rows)


def _tracks(told: RegistryAnalytics) -> Part:
    sentence = (
        "Cumulative net profit of the trades whose component lay above (solid) and at or below (dashed) the median of "
        "all earlier decisions: a split that could have been made at the time."
    )
    if not told.soulprints.tracks:
        return Part("Profit by component", ["Too few trades to split by a median of earlier ones."])
    return Part("Profit by component", [sentence], "tracks")


def _across(told: RegistryAnalytics) -> Part:
    found = told.neighbours
    sentences = [
        "Canonical entries: rank correlation with net return of "
        + ", ".join(f"{item.name.replace('_', ' ')} {rho_text(item)}" for item in told.canonical)
        + "."
    ]
    if found.note:
        sentences.append(f"Near soulprints: {found.note}.")
    elif found.agreement is not None and found.random is not None:
        low, high = found.low, found.high
        verdict = "near soulprints end no more alike than any two trades"
        if low is not None and high is not None and (low > 0 or high < 0):
            verdict = f"near soulprints end {'more' if low > 0 else 'less'} alike than any two trades"
        sentences.append(
            f"{found.judged:,} trades beside the nearest soulprint that had closed before: both won or both lost in "
            f"{found.agreement * 100:.1f} % of the pairs, {found.random * 100:.1f} % with a random earlier trade, "
            f"difference {interval(found.difference, low, high)}: {verdict}. Rank correlation of the two net returns "
            f"{rho_text(found.correlation)}."
        )
    head = ("by similarity", "pairs", "cosine", "random pair alike", "alike (95 %)", "mean net return (95 %)")
    return Part(
        "Across registries: do near soulprints end alike?", sentences, rows=tercile_rows(found.terciles, head, True)
    )


def _coverage(told: RegistryAnalytics) -> Part:
    item = told.coverage
    rows: list[Row] = [
        ("", "count", "of", "share"),
        *(
            (name, f"{part:,}", f"{whole:,}", share_text(part, whole))
            for name, part, whole in (
                ("outcomes with a canonical entry", item.outcomes_with_trade, item.outcomes),
                ("trades with a soulprint", item.with_soulprint, item.trades),
                ("trades with a similarity key", item.with_simhash, item.trades),
                ("trades in a known bucket", item.with_known_bucket, item.trades),
            )
        ),
    ]
    gaps = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in item.missing.items())
    sentence = f"Trades without a component: {gaps}." if gaps else "Every soulprint has all its components."
    return Part("Coverage", [sentence], rows=rows)


def _links(told: RegistryAnalytics) -> Part:
    rows: list[Row] = [("from", "to", "rows", "whole", "missing", "other hash")]
    rows += [
        (
            item.source.replace("_", " "),
            item.target.replace("_", " "),
            *(f"{n:,}" for n in (item.rows, item.whole, item.missing, item.differing)),
        )
        for item in told.links
    ]
    broken = sum(item.missing + item.differing for item in told.links)
    sentence = f"{broken:,} links are not whole." if broken else "Every link is whole."
    return Part(
        "Linkage health",
        [f"{sentence} These are counts over columns; `throughline verify` recomputes the hashes."],
        rows=rows,
    )


def registry_markdown(told: RegistryAnalytics, pictures: Mapping[str, bytes]) -> str:
    """Return the section as markdown for asset metadata. pictures: PNG bytes by name, as `registry_pictures` gives."""
    blocks = []
    for part in registry_parts(told):
        blocks.append(f"### {part.title}")
        blocks += part.sentences
        if part.picture is not None and part.picture in pictures:
            data = base64.b64encode(pictures[part.picture]).decode()
            blocks.append(f"![{part.title}](data:image/png;base64,{data})")
        if part.rows:
            head, *rest = part.rows
            lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rest]
            cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
            blocks.append("\n".join(f"| {' | '.join(line)} |" for line in cells))
    return "\n\n".join(blocks) + "\n"
