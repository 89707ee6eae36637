"""Each kind of record as lines of text, for the story of a trade in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from throughline.analytics.sentences import interval_reason
from throughline.dossier.volumes import day_volumes, input_name
from throughline.rendering.formats import amount_usd as usd
from throughline.rendering.formats import percent_points, second, words
from throughline.rendering.table import Table

Body = Mapping[str, Any]

_COMMON = {"experiment", "partition", "schema_version"}
"""Fields that every body has; a story shows them beside it."""


def record_title(table: str) -> str:
    """Return what a record of `table` is called in a story: its own title, or the name of the table."""
    return TITLES.get(table, table.replace("_", " ").capitalize())


def describe(table: str, body: Body) -> list[str]:
    """Return the lines that say what a body of `table` says; one line where it cannot be read.

    A kind of record without lines of its own says its fields by name.
    """
    try:
        return _TEXTS.get(table, _fields)(body)
    except (KeyError, TypeError, ValueError, AttributeError):
        return ["its body cannot be read"]


def _fields(body: Body) -> list[str]:
    shown = {key: value for key, value in body.items() if isinstance(value, str | int)}
    return [f"{key.replace('_', ' ')}: {shown[key]}" for key in sorted(shown.keys() - _COMMON)]


def _scan(body: Body) -> list[str]:
    gone = ", ".join(f"{row['filter']} {row['removed']}" for row in body["funnel"] if row["removed"]) or "none"
    seen = f"{body['instruments']} instruments, {body['eligible']} eligible"
    return [
        f"at {second(body['decision_time'])}: {seen}, {body['triggered']} triggered, {body['admitted']} admitted",
        f"removed by filter: {gone}",
    ]


def _candidate(body: Body) -> list[str]:
    scores = f"opportunity {body['opportunity_score']}, confidence {body['confidence']}"
    return [
        f"{body['side']} {body['instrument']} (segment {body['segment']}) by {body['strategy']}",
        f"{scores}, intended size {usd(body['notional_usd'])}",
        f"decided by model {body['model_version']}, arm {body['arm']}",
        *_scores(body["decision"]),
        f"without a value: {', '.join(body['missing']) or 'nothing'}",
    ]


def _scores(decision: Body | None) -> list[str]:
    """Return what each model decided; nothing where the rule alone decides."""
    if decision is None:
        return []
    lines = [f"episode {decision['episode']}, bucket {decision['bucket'] or 'none: no model was on trial'}"]
    for line in decision["scores"]:
        if line["error"] is not None:
            lines.append(f"{line['role']} {line['model'][:12]} could not score: {line['error']}")
            continue
        numbers = ""
        if line["probability"] is not None:
            chance, expected = 100 * float(line["probability"]), 100 * float(line["expected_return"])
            numbers = f", {chance:.1f} % for a gain, {expected:+.2f} % expected"
        lines.append(f"{line['role']} {line['model'][:12]} would {'take' if line['take'] else 'decline'} it{numbers}")
    return lines


def _research(body: Body) -> list[str]:
    header = ("input", "value", "known at", "availability", "source")
    rows = [
        (
            input_name(str(item.get("name", "-"))),
            str(item.get("value", "-")),
            second(item.get("available_at")),
            str(item.get("availability", "-")),
            str(item.get("source", "-")),
        )
        for item in body["inputs"]
    ]
    return [
        body["trade_rationale"],
        f"code {(body['code_version'] or 'not recorded')[:12]}, settings {body['configuration'].split('#')[-1]}",
        *Table(header, rows, left=(0, 2, 3, 4)).lines(),
        *_volumes(body),
        f"missing: {', '.join(input_name(name) for name in body['missing']) or 'nothing'}",
    ]


def _volumes(body: Body) -> list[str]:
    """Return a line for each 24 h volume: which it is, what it is of, and what it was used for."""
    return [
        f"24 h volume {usd(item.usd)}, {item.what} ({item.source or 'source not recorded'}, until "
        f"{second(item.event_time)}); used for {item.use}"
        for item in day_volumes(body)
    ]


def _disposition(body: Body) -> list[str]:
    return [f"{body['disposition']}: {body['reason']}"]


def _execution(body: Body) -> list[str]:
    part = "unknown share" if body["participation"] is None else f"{float(body['participation']) * 100:.3f} %"
    filled = f"bought {float(body['quantity']):,.8g} at {float(body['entry_price']):.8g}"
    charged = (
        f"spread {usd(body['spread_cost_usd'])}, impact {usd(body['impact_cost_usd'])}, fee {usd(body['fee_usd'])}"
    )
    partly = ", partly" if body["partial"] else ""
    return [
        f"{filled} on {second(body['fill_time'])} ({usd(body['notional_usd'])}{partly})",
        f"market price {float(body['raw_price']):.8g}, {charged}, {part} of the bar's volume",
    ]


def _outcome(body: Body) -> list[str]:
    why = words(body["termination_reason"])
    hours = body["time_in_market_seconds"] / 3600
    taken = f"fees {usd(body['fees_usd'])}, costs {usd(body['costs_usd'])}, attrition {usd(body['attrition_usd'])}"
    net = f"net {usd(body['realized_pnl_usd'], signed=True)} ({percent_points(body['realized_pnl_percent'])})"
    lines = [
        f"{why} at {float(body['exit_price']):.8g} on {second(body['exit_time'])}, after {hours:.1f} h",
        f"{net}: gross {usd(body['gross_pnl_usd'], signed=True)}, {taken}",
    ]
    why_not_exact = interval_reason(body)
    if why_not_exact:
        low, high = usd(body["pnl_low_usd"], signed=True), usd(body["pnl_high_usd"], signed=True)
        lines.append(f"between {low} and {high}: {why_not_exact}")
    if body["flags"]:
        lines.append(f"flags: {', '.join(body['flags'])}")
    return lines


def _shadow(body: Body) -> list[str]:
    why = words(body["termination_reason"])
    if body["return_percent"] is None:
        return [f"{why}: no fill at the reference size"]
    size = usd(body["reference_notional_usd"])
    gave = f"{percent_points(body['return_percent'])} by {why} on {second(body['exit_time'])}"
    lines = [f"at the reference size of {size}: {gave} (never counted as profit)"]
    if body.get("flags"):  # records of the first release have none
        lines.append(f"flags: {', '.join(body['flags'])}")
    return lines


def _labelled(body: Body) -> list[str]:
    label, values = body["label"], body["features"]["values"]
    known = sum(value is not None for value in values.values())
    return [
        f"{body['source']} label {100 * float(label['net_return']):+.2f} % net, known on {second(body['resolved_at'])}",
        f"{known} of {len(values)} features known, vector {body['features']['hash'][:16]}...",
    ]


def _state(body: Body) -> list[str]:
    return [
        f"{name}: equity {usd(path['equity_usd'])}, cash {usd(path['cash_usd'])}, {len(path['positions'])} open, "
        f"{len(path['closed'])} closed this day"
        for name, path in body["paths"].items()
    ]


def _shadows(body: Body) -> list[str]:
    return [f"{body['open_shadows']} open at the end of the day"]


def _trade(body: Body) -> list[str]:
    bought = f"{body['action']} {float(body['amount']):,.8g} {body['symbol']} at {float(body['entry_price']):.8g}"
    why = words(body["termination_reason"])
    net = f"net {usd(body['profit_usd'], signed=True)} ({percent_points(body['profit_percentage'])})"
    lines = [
        f"{bought}, closed at {float(body['exit_price']):.8g} on {second(body['closed_at'])} by {why}",
        f"{net}, fees {usd(body['fees_usd'])}",
        f"by {body['strategy_id']}, model {body['model_version']}",
    ]
    named = [f"{name} {str(identity)[:16]}..." for name, identity in sorted(body["specialized_hashes"].items())]
    return [*lines, f"linked to {', '.join(named) or 'nothing'}"]


def _soulprint(body: Body) -> list[str]:
    known = len(body["values"]) - len(body["missing"])
    share = f"{known} of {len(body['values'])} components known, measured against {body['reference'] or 'no reference'}"
    return [
        f"{body['schema']} of {body['subject']} at {second(body['decision_time'])}: {share}",
        f"identity {body['soulprint'][:16]}..., SimHash {body['simhash'] or 'none: too little is known'}",
    ]


def _bucket(body: Body) -> list[str]:
    best, worst = (
        "unknown" if body[name] is None else f"{percent_points(body[name])}"
        for name in ("max_favorable_percent", "max_adverse_percent")
    )
    why = words(body["exits"]["reason"])
    return [
        f"best {best} and worst {worst} of the entry price before the exit by {why}",
        f"in {len(body['buckets'])} bucket(s): {', '.join(body['buckets'])}",
    ]


TITLES: Mapping[str, str] = {
    "market_scans": "Scan",
    "candidates": "Candidate",
    "research_docs": "Research snapshot",
    "dispositions": "Disposition",
    "executions": "Execution",
    "outcomes": "Outcome",
    "shadow_outcomes": "Shadow outcome",
    "portfolio_states": "Portfolio state",
    "shadow_states": "Open shadows",
    "trade_features": "Features and label",
    "canonical_trades": "Canonical trade",
    "soulprints": "Soulprint",
    "profit_buckets": "Profit bucket entry",
}
_TEXTS: Mapping[str, Callable[[Body], list[str]]] = {
    "market_scans": _scan,
    "candidates": _candidate,
    "research_docs": _research,
    "dispositions": _disposition,
    "executions": _execution,
    "outcomes": _outcome,
    "shadow_outcomes": _shadow,
    "portfolio_states": _state,
    "shadow_states": _shadows,
    "trade_features": _labelled,
    "canonical_trades": _trade,
    "soulprints": _soulprint,
    "profit_buckets": _bucket,
}
