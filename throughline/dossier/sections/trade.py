"""Sections of a dossier's page on the trade: prices, times, knowledge, decision, costs, soulprint, look-alikes.

Belongs here: from a dossier to blocks. Does not belong here: what proves it (proof) and the page's header (page).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from markupsafe import Markup

from throughline.dossier.pictures import price_chart, spans_chart
from throughline.dossier.read import Dossier
from throughline.dossier.similar import Rate
from throughline.dossier.volumes import REFERENCE, input_name
from throughline.rendering.blocks import Block, Bullets, Heading, Paragraph, Picture, Section
from throughline.rendering.formats import amount, clock_time, significant, words
from throughline.rendering.markup import (
    DASH,
    amount_coloured,
    code,
    element,
    joined,
    mark,
    percent_coloured,
    stamp,
)
from throughline.rendering.table import Table
from throughline.trading.types import PATHS

_FURTHEST = 4.0
"""Standard scores beyond it are drawn at it."""
_FILL_MODELS = (
    "Pessimistic: an ambiguous bar ends at the stop, costs are twice as high, halted positions are lost. Optimistic: "
    "only the fee is charged, and an ambiguous bar ends at the target. Each has its own cash, so sizes and entries may "
    "differ."
)


def _prices(dossier: Dossier) -> Iterator[Block]:
    path = dossier.prices
    if not path.bars:
        yield f"No prices: {path.why}."
        return
    yield Picture(price_chart(dossier), "price path")
    interval = (path.interval_seconds or 0) / 3600
    text = f"{len(path.bars)} bars of {interval:g} h from the sealed days."
    if dossier.chain.outcome:
        text += " What came after the end is drawn faint."
    if dossier.barriers:
        limits = dossier.barriers
        text += (
            f" The barriers are set from the market price of the fill, {significant(limits.base)}: stop "
            f"{-limits.stop_loss:+.0%}, target {limits.take_profit:+.0%}, at most {limits.max_hold_hours} h."
        )
        text += "".join(f" {words(level.rule).capitalize()}: {level.description}." for level in dossier.levels)
    elif dossier.chain.execution is None:
        text += " No entry was made, so no barrier was set."
    if dossier.exit_price:
        text += f" Market price of the exit, before spread and impact: {significant(dossier.exit_price)}."
    yield text


def _times(dossier: Dossier) -> Iterator[Block]:
    if not dossier.timeline:
        yield "Its records hold no times."
        return
    if dossier.chain.decided_at is not None:
        yield Picture(spans_chart(dossier), "spans of the trade")
    rows = [(words(item.what), stamp(item.time), words(item.detail), item.table) for item in dossier.timeline]
    yield Table(
        ("event", "UTC", "what", "record"), rows, (0, 1, 2, 3), caption="What happened, by the market's time (UTC)"
    )


def _known(dossier: Dossier) -> Iterator[Block]:
    known = dossier.knowledge
    if known.why:
        yield f"Nothing is recorded: {known.why}."
        return
    if known.rationale:
        yield Paragraph(known.rationale)
    checks = {item.hash: item for item in dossier.artifacts}
    rows = []
    for item in known.inputs:
        check = checks.get(item.artifact or "")
        rows.append(
            (
                input_name(item.name),
                significant(item.value) if _is_number(item.value) else item.value,
                stamp(item.event_time),
                stamp(item.available_at),
                item.availability,
                item.source,
                mark(check.ok, "bytes hold", "bytes BROKEN", "bytes expired") if check else None,
            )
        )
    header = ("input", "value", "happened (UTC)", "known from (UTC)", "availability", "source", "stored bytes")
    if rows:
        yield Table(header, rows, (0, 2, 3, 4, 5, 6), caption="What was known at the decision")
    else:
        yield "No input is recorded."
    if known.volumes:
        volumes = [
            (item.what, significant(item.usd), stamp(item.event_time), stamp(item.available_at), item.source, item.use)
            for item in known.volumes
        ]
        columns = ("24 h volume", "USD", "until (UTC)", "known from (UTC)", "source", "used for")
        yield Heading("24 h volumes")
        yield Table(columns, volumes, (0, 2, 3, 4, 5), caption="24 h volumes at the decision")


def _missing(dossier: Dossier) -> Iterator[Block]:
    if dossier.knowledge.why:
        yield "Without a research snapshot it is not known what was missing."
    elif not dossier.knowledge.missing:
        yield "Nothing that the strategy looks at was missing."
    else:
        yield "The strategy uses these inputs, but the data did not contain them:"
        yield Bullets([input_name(name) for name in dossier.knowledge.missing], chips=True)


def _decision(dossier: Dossier) -> Iterator[Block]:
    if dossier.chain.candidate is None:
        yield "No decision is recorded: the trade was registered by hand."
        return
    body = dossier.chain.candidate.body
    yield Paragraph(
        f"Strategy {body['strategy']}, model {body['model_version']}, arm {body['arm']}. "
        f"Opportunity {significant(body['opportunity_score'], 3) or 'not recorded'}, "
        f"confidence {significant(body['confidence'], 3) or 'not recorded'}."
    )
    features: Mapping[str, str | None] = body["features"]
    verdicts: Mapping[str, str] = body["verdicts"]
    rows = [
        (
            "24 h volume as the strategy used it" if name == REFERENCE else words(name),
            significant(features.get(name)),
            words(verdicts.get(name, "not a filter")),
        )
        for name in sorted({*features, *verdicts})
    ]
    if rows:
        yield Table(("filter", "value", "verdict"), rows, (0, 2), caption="Verdict of each filter")
    if dossier.chain.disposition:
        answer = dossier.chain.disposition.body
        yield Paragraph(joined([element("b", words(answer["disposition"])), f": {answer['reason']}"]))


def _costs(dossier: Dossier) -> Iterator[Block]:
    costs = dossier.costs
    if costs.why:
        yield f"No costs: {costs.why}."
        return
    paid = float(costs.notional) if costs.notional else None

    def share(usd: str | None, sign: int) -> Markup:
        return DASH if usd is None or not paid else percent_coloured(sign * 100 * float(usd) / paid)

    rows: list[tuple[object, ...]] = []
    if costs.gross is not None:
        rows.append(("gross result", amount_coloured(costs.gross), share(costs.gross, 1)))
    for line in costs.lines:
        less = None if line.usd is None else str(-float(line.usd))
        rows.append((line.what, amount_coloured(less), share(line.usd, -1)))
    net = ("net result", amount_coloured(costs.net), percent_coloured(costs.net_percent))
    rows.append(tuple(element("b", cell) for cell in net))
    yield Table(("", "USD", "of the notional"), rows, caption="From gross to net")
    text = f"Paid at entry: {amount(costs.notional)} USD." if costs.notional else "The notional is not recorded."
    if dossier.chain.outcome:
        text += " Spread and impact of the exit are recorded as one sum."
    yield text


def _paths(dossier: Dossier) -> Iterator[Block]:
    if dossier.paths_why:
        yield f"No fill models: {dossier.paths_why}."
        return
    ends = {item.path: item for item in dossier.paths}
    rows = []
    for name in [*(path for path in PATHS if path in ends), *sorted(set(ends) - set(PATHS))]:
        item = ends[name]
        rows.append(
            (
                name,
                words(item.termination_reason) if item.termination_reason else item.status,
                stamp(item.exit_time),
                amount_coloured(item.net_pnl_usd) if item.net_pnl_usd else None,
                percent_coloured(item.return_percent),
                None if item.ambiguous is None else "yes" if item.ambiguous else "no",
            )
        )
    header = ("fill model", "end", "UTC", "net USD", "return", "ambiguous")
    yield Table(header, rows, (0, 1, 2), caption="The trade in each fill model")
    yield _FILL_MODELS


def _soulprint(dossier: Dossier) -> Iterator[Block]:
    vector = dossier.soulprint
    if vector.why:
        yield f"No soulprint: {vector.why}."
        return
    origin = "as registered with the trade" if vector.origin == "soulprints" else "as the research snapshot has it"
    yield (
        f"Schema {vector.schema}, {origin}, measured against {vector.reference or 'no reference'}. The bar shows how "
        f"far a value lies from its usual one (middle), in the schema's units, cut at {_FURTHEST:g}."
    )
    rows = [(words(item.name), item.value, _score(item.score), item.doc) for item in vector.components]
    header = ("component", "value", "unusual", "what it measures")
    yield Table(header, rows, (0, 2, 3), caption="Components of the soulprint")
    if vector.missing:
        yield f"Not known: {', '.join(map(words, vector.missing))}."
    if vector.math:
        yield Heading("Growth arithmetic")
        growth = [(words(name), value or "not known") for name, value in vector.math.items()]
        yield Table(("", "value"), growth, caption="Growth arithmetic")
    if vector.simhash:
        yield Paragraph(joined(["SimHash ", code(vector.simhash)]), "sub")


def _similar(dossier: Dossier) -> Iterator[Block]:
    similar = dossier.similar
    if similar.why:
        yield f"No similar trades: {similar.why}."
        return
    yield (
        f"As of {clock_time(similar.as_of or '')} UTC, so nothing that ended later counts: {len(similar.matches)} of "
        f"{similar.searched} trades looked alike. {_win_rate(similar.win_rate)}"
    )
    if not similar.usable:
        yield Paragraph(f"{(similar.note or '').capitalize()}.", "warn")
    rows = [
        (
            item.symbol,
            f"{item.similarity:.2f}",
            stamp(item.opened_at),
            stamp(item.closed_at),
            words(item.termination_reason),
            percent_coloured(item.profit_percentage),
            code(f"{item.trade_hash[:16]}…"),
        )
        for item in similar.matches
    ]
    header = ("symbol", "similarity", "opened (UTC)", "closed (UTC)", "end", "net", "trade hash")
    yield Table(header, rows, (0, 2, 3, 4, 6), caption="Trades that looked alike and how they ended")
    if similar.quantiles:
        spread = ", ".join(f"{share:.0%} {value:+.1f} %" for share, value in similar.quantiles)
        yield f"Quantiles of their net returns: {spread}; mean {similar.mean_percent:+.2f} %."
    if similar.buckets:
        cells = [
            (
                code(item.key),
                item.trades,
                f"{item.win_rate.rate:.0%} ({item.win_rate.low:.0%} to {item.win_rate.high:.0%})"
                if item.win_rate
                else None,
                percent_coloured(item.mean_percent),
                item.note,
            )
            for item in similar.buckets
        ]
        yield Heading("Profit buckets it lies in")
        named = ("bucket", "trades", "win rate, shrunken", "mean net", "evidence")
        yield Table(named, cells, (0, 4), caption="Profit buckets")


def _win_rate(rate: Rate | None) -> str:
    if rate is None:
        return ""
    return (
        f"{rate.wins} of {rate.trades} won; shrunken win rate {rate.rate:.0%} "
        f"({rate.level:.0%} interval {rate.low:.0%} to {rate.high:.0%}; {rate.prior})."
    )


def _score(value: float | None) -> Markup:
    """Return a bar from the middle to a standard score, with its number."""
    if value is None:
        return DASH
    place = 50 + 50 * max(-_FURTHEST, min(_FURTHEST, value)) / _FURTHEST
    left, width = min(50.0, place), abs(place - 50.0)
    return Markup(
        '<span class="score" role="img" aria-label="{} scales from usual"><i style="left:{}%;width:{}%"></i></span> {}'
    ).format(f"{value:+.1f}", f"{left:.1f}", f"{max(1.0, width):.1f}", f"{value:+.1f}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _single(blocks: Callable[[Dossier], Iterable[Block]]) -> Callable[[Dossier], Iterable[Block]]:
    """Return the blocks of a dossier of one decision; a scan and a portfolio state have none of them."""
    return lambda dossier: blocks(dossier) if dossier.single else ()


SECTIONS = tuple(
    Section(title, order, _single(blocks))
    for title, order, blocks in (
        ("Price path", 10, _prices),
        ("Timeline of the chain", 20, _times),
        ("What was known", 30, _known),
        ("What was missing", 40, _missing),
        ("Who decided, and why", 50, _decision),
        ("Costs", 60, _costs),
        ("Three fill models", 70, _paths),
        ("Soulprint", 80, _soulprint),
        ("Similar trades, and how they ended", 90, _similar),
    )
)
