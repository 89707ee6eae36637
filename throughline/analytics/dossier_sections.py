"""The sections of a dossier's page that tell the trade: prices, times, knowledge, costs, soulprint, look-alikes.

Belongs here: from a dossier to headed markup. Does not belong here: what proves it (dossier_proof), the page (dossier).
"""

from __future__ import annotations

from collections.abc import Mapping

from throughline.analytics.dossier_markup import (
    Html,
    amount,
    code,
    joined,
    mark,
    note,
    number,
    percent,
    safe,
    stamp,
    table,
    tag,
    when,
    words,
)
from throughline.analytics.dossier_pictures import price_svg, spans_svg
from throughline.trading.types import PATHS
from throughline.verification.dossier import Dossier
from throughline.verification.dossier_similar import Rate
from throughline.verification.dossier_volumes import REFERENCE, input_name

_FURTHEST = 4.0
"""Standard scores beyond it are drawn at it."""


def prices(dossier: Dossier) -> Html:
    """Return the price path, or why there is none."""
    path = dossier.prices
    if not path.bars:
        return note(f"No prices: {path.why}.")
    interval = (path.interval_seconds or 0) / 3600
    parts = [tag("div", Html(price_svg(dossier)), "scroll")]
    told = f"{len(path.bars)} bars of {interval:g} h from the sealed days."
    if dossier.chain.outcome:
        told += " What came after the end is drawn faint."
    if dossier.barriers:
        limits = dossier.barriers
        told += (
            f" Barriers stand on the market price of the fill, {number(limits.base)}: stop {-limits.stop_loss:+.0%}, "
            f"target {limits.take_profit:+.0%}, at most {limits.max_hold_hours} h."
        )
    elif dossier.chain.execution is None:
        told += " No entry was made, so no barrier was set."
    if dossier.exit_price:
        told += f" Market price of the exit, before spread and impact: {number(dossier.exit_price)}."
    return joined([*parts, note(told)])


def times(dossier: Dossier) -> Html:
    """Return the timeline, as a picture and as a table."""
    if not dossier.timeline:
        return note("Its records hold no times.")
    rows = [(words(item.what), stamp(item.time), words(item.detail), item.table) for item in dossier.timeline]
    listed = table("What happened, by the market's time (UTC)", ("event", "UTC", "what", "record"), rows, (1, 2, 3))
    if dossier.chain.decided_at is None:
        return listed
    return joined([tag("div", Html(spans_svg(dossier)), "scroll"), listed])


def known(dossier: Dossier) -> Html:
    """Return what was known at the decision, each input with its times and the check of its bytes."""
    told = dossier.knowledge
    if told.why:
        return note(f"Nothing is recorded: {told.why}.")
    checks = {item.hash: item for item in dossier.artifacts}
    rows = []
    for item in told.inputs:
        held = checks.get(item.artifact or "")
        rows.append(
            (
                input_name(item.name),
                number(item.value) if _is_number(item.value) else item.value,
                stamp(item.event_time),
                stamp(item.available_at),
                item.availability,
                item.source,
                mark(held.ok, "bytes hold", "bytes BROKEN", "bytes expired") if held else None,
            )
        )
    head = ("input", "value", "happened (UTC)", "known from (UTC)", "availability", "source", "stored bytes")
    listed = (
        table("What was known at the decision", head, rows, (2, 3, 4, 5, 6)) if rows else note("No input is recorded.")
    )
    return joined([tag("p", told.rationale) if told.rationale else "", listed, _volumes(dossier)])


def _volumes(dossier: Dossier) -> Html:
    """Return the 24 h volumes, each with its source, its times and its use; nothing where none is known."""
    found = dossier.knowledge.volumes
    if not found:
        return Html("")
    rows = [
        (item.what, number(item.usd), stamp(item.event_time), stamp(item.available_at), item.source, item.use)
        for item in found
    ]
    head = ("24 h volume", "USD", "until (UTC)", "known from (UTC)", "source", "used for")
    return joined([tag("h3", "24 h volumes"), table("24 h volumes at the decision", head, rows, (2, 3, 4, 5))])


def missing(dossier: Dossier) -> Html:
    """Return what was not known."""
    if dossier.knowledge.why:
        return note("Without a research snapshot it is not known what was missing.")
    names = dossier.knowledge.missing
    if not names:
        return note("Nothing that the strategy looks at was missing.")
    chips = joined(tag("li", input_name(name)) for name in names)
    said = note("The strategy uses these inputs, but the data did not contain them:")
    return joined([said, tag("ul", chips, "chips")])


def judged(dossier: Dossier) -> Html:
    """Return who decided and what each filter said."""
    head = dossier.chain.candidate
    if head is None:
        return note("No decision is recorded: the trade was registered by hand.")
    body = head.body
    told = (
        f"Strategy {body['strategy']}, model {body['model_version']}, arm {body['arm']}. "
        f"Opportunity {number(body['opportunity_score'], 3) or 'not recorded'}, "
        f"confidence {number(body['confidence'], 3) or 'not recorded'}."
    )
    parts: list[object] = [tag("p", told)]
    features: Mapping[str, str | None] = body["features"]
    verdicts: Mapping[str, str] = body["verdicts"]
    names = sorted({*features, *verdicts})
    rows = [
        (_feature_name(name), number(features.get(name)), words(verdicts.get(name, "not a filter"))) for name in names
    ]
    if rows:
        parts.append(table("Verdict of each filter", ("filter", "value", "verdict"), rows, (2,)))
    if dossier.chain.disposition:
        answer = dossier.chain.disposition.body
        parts.append(tag("p", joined([tag("b", words(answer["disposition"])), f": {answer['reason']}"])))
    return joined(parts)


def _feature_name(name: str) -> str:
    return "24 h volume as the strategy used it" if name == REFERENCE else words(name)


def charged(dossier: Dossier) -> Html:
    """Return the way from gross to net."""
    told = dossier.costs
    if told.why:
        return note(f"No costs: {told.why}.")
    rows: list[tuple[object, ...]] = []
    paid = float(told.notional) if told.notional else None

    def share(usd: str | None, sign: int) -> Html:
        return safe(None) if usd is None or not paid else percent(sign * 100 * float(usd) / paid)

    if told.gross is not None:
        rows.append(("gross result", amount(told.gross, sign=True), share(told.gross, 1)))
    for line in told.lines:
        less = None if line.usd is None else str(-float(line.usd))
        rows.append((line.what, amount(less, sign=True), share(line.usd, -1)))
    rows.append((tag("b", "net result"), tag("b", amount(told.net, sign=True)), tag("b", percent(told.net_percent))))
    listed = table("From gross to net", ("", "USD", "of the notional"), rows)
    under = f"Paid at entry: {float(told.notional):,.2f} USD." if told.notional else "The notional is not recorded."
    if dossier.chain.outcome:
        under += " Spread and impact of the exit are recorded as one sum."
    return joined([listed, note(under)])


def paths(dossier: Dossier) -> Html:
    """Return how the three fill models ended the trade."""
    if dossier.paths_why:
        return note(f"No fill models: {dossier.paths_why}.")
    ends = {item.path: item for item in dossier.paths}
    rows = []
    for name in [*(path for path in PATHS if path in ends), *sorted(set(ends) - set(PATHS))]:
        item = ends[name]
        how = words(item.termination_reason) if item.termination_reason else item.status
        rows.append(
            (
                name,
                how,
                stamp(item.exit_time),
                amount(item.net_pnl_usd, sign=True) if item.net_pnl_usd else None,
                percent(item.return_percent),
                None if item.ambiguous is None else "yes" if item.ambiguous else "no",
            )
        )
    head = ("fill model", "end", "UTC", "net USD", "return", "ambiguous")
    explained = (
        "Pessimistic: an ambiguous bar ends at the stop, costs twice as high, halted positions lost. Optimistic: fee "
        "only, an ambiguous bar ends at the target. Each has its own cash, so sizes and entries may differ."
    )
    return joined([table("The trade in each fill model", head, rows, (1, 2)), note(explained)])


def soulprint(dossier: Dossier) -> Html:
    """Return the soulprint's components with how unusual each is."""
    told = dossier.soulprint
    if told.why:
        return note(f"No soulprint: {told.why}.")
    rows = [(words(item.name), item.value, _score(item.score), item.doc) for item in told.components]
    origin = "as registered with the trade" if told.origin == "soulprints" else "as the research snapshot has it"
    parts: list[object] = [
        note(
            f"Schema {told.schema}, {origin}, measured against {told.reference or 'no reference'}. "
            "The bar shows how far a value lies from its usual one (middle), in the schema's units, cut at "
            f"{_FURTHEST:g}."
        ),
        table("Components of the soulprint", ("component", "value", "unusual", "what it measures"), rows, (2, 3)),
    ]
    if told.missing:
        parts.append(note(f"Not known: {', '.join(words(name) for name in told.missing)}."))
    if told.math:
        rows_of_math = [(words(name), value or "not known") for name, value in told.math.items()]
        parts += [tag("h3", "Growth arithmetic"), table("Growth arithmetic", ("", "value"), rows_of_math)]
    if told.simhash:
        parts.append(tag("p", joined(["SimHash ", code(told.simhash)]), "sub"))
    return joined(parts)


def similar(dossier: Dossier) -> Html:
    """Return the look-alikes as of the decision and how they ended."""
    told = dossier.similar
    if told.why:
        return note(f"No similar trades: {told.why}.")
    rows = [
        (
            item.symbol,
            f"{item.similarity:.2f}",
            stamp(item.opened_at),
            stamp(item.closed_at),
            words(item.termination_reason),
            percent(item.profit_percentage),
            code(f"{item.trade_hash[:16]}…"),
        )
        for item in told.matches
    ]
    head = ("symbol", "similarity", "opened (UTC)", "closed (UTC)", "end", "net", "trade hash")
    parts: list[object] = [
        note(
            f"As of {when(told.as_of)} UTC, so nothing that ended later counts: {len(told.matches)} of {told.searched} "
            f"trades looked alike. {_rated(told.win_rate)}"
        )
    ]
    if not told.usable:
        parts.append(tag("p", f"{(told.note or '').capitalize()}.", "warn"))
    parts.append(table("Trades that looked alike and how they ended", head, rows, (2, 3, 4, 6)))
    if told.quantiles:
        spread = ", ".join(f"{share:.0%} {value:+.1f} %" for share, value in told.quantiles)
        parts.append(note(f"Quantiles of their net returns: {spread}; mean {told.mean_percent:+.2f} %."))
    if told.buckets:
        cells = [
            (
                code(item.key),
                item.trades,
                f"{item.win_rate.rate:.0%} ({item.win_rate.low:.0%} to {item.win_rate.high:.0%})"
                if item.win_rate
                else None,
                percent(item.mean_percent),
                item.note,
            )
            for item in told.buckets
        ]
        named = ("bucket", "trades", "win rate, shrunken", "mean net", "standing")
        parts += [tag("h3", "Profit buckets it fell into"), table("Profit buckets", named, cells, (4,))]
    return joined(parts)


def _rated(rate: Rate | None) -> str:
    if rate is None:
        return ""
    return (
        f"{rate.wins} of {rate.trades} won; shrunken win rate {rate.rate:.0%} "
        f"({rate.level:.0%} interval {rate.low:.0%} to {rate.high:.0%}; {rate.prior})."
    )


def _score(value: float | None) -> Html:
    if value is None:
        return safe(None)
    place = 50 + 50 * max(-_FURTHEST, min(_FURTHEST, value)) / _FURTHEST
    left, width = min(50.0, place), abs(place - 50.0)
    bar = f'<i style="left:{left:.1f}%;width:{max(1.0, width):.1f}%"></i>'
    return Html(f'<span class="score" role="img" aria-label="{value:+.1f} scales from usual">{bar}</span> {value:+.1f}')


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
