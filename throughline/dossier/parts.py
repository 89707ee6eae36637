"""The parts of a dossier that follow from its story alone: what was known, what it cost, how each path ended. Pure.

Belongs here: reading the records of one story together. Does not belong here: asking the database (dossier) and how
anything is shown (cli, analytics). Amounts are USD as decimal text, times UTC text, None = not recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from throughline.catalogue import catalogue
from throughline.dossier.story import Step, Story
from throughline.dossier.volumes import DayVolume, day_volumes
from throughline.identity import decimal_text, score_text
from throughline.rendering.formats import significant, words

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Chain:
    """The latest record of each kind in a story, None where there is none (a scan of many candidates has no chain)."""

    candidate: Step | None
    research: Step | None
    disposition: Step | None
    execution: Step | None
    outcome: Step | None
    shadow: Step | None
    trade: Step | None
    soulprint: Step | None
    bucket: Step | None

    @property
    def decided_at(self) -> str | None:
        """The instant of decision."""
        step = self.candidate or self.soulprint
        return step.body.get("decision_time") if step else None


def chain_of(story: Story) -> Chain:
    """Return the chain of a story, corrections in place of what they correct."""
    single = story.candidate is not None or story.found_in in catalogue().registries
    corrected = {step.supersedes for step in story.steps}

    def latest(table: str) -> Step | None:
        steps = [step for step in story.steps if step.table == table and step.uuid not in corrected]
        return steps[-1] if single and steps else None

    trade = latest("canonical_trades")

    def entry(table: str) -> Step | None:
        steps = [step for step in story.steps if step.table == table]
        own = [step for step in steps if trade and step.body.get("canonical", {}).get("uuid") == trade.uuid]
        return own[-1] if own else steps[-1] if steps and trade is None else None

    return Chain(
        candidate=latest("candidates"),
        research=latest("research_docs"),
        disposition=latest("dispositions"),
        execution=latest("executions"),
        outcome=latest("outcomes"),
        shadow=latest("shadow_outcomes"),
        trade=trade,
        soulprint=entry("soulprints"),
        bucket=entry("profit_buckets"),
    )


@dataclass(frozen=True)
class Known:
    """One input of a decision. event_time: when it happened; available_at: when it could be known; availability:
    observed or assumed; artifact: the hash of the stored bytes that hold it."""

    name: str
    value: str
    event_time: str | None
    available_at: str | None
    availability: str | None
    source: str | None
    artifact: str | None


@dataclass(frozen=True)
class Knowledge:
    """What was known at the decision and what was missing. why: a sentence without a research record; volumes: the
    24 h volumes, which may be two (`volumes`)."""

    rationale: str | None
    inputs: tuple[Known, ...]
    missing: tuple[str, ...]
    why: str | None
    volumes: tuple[DayVolume, ...] = ()


def knowledge(chain: Chain) -> Knowledge:
    """Return what was known according to the research snapshot."""
    if chain.research is None:
        return Knowledge(None, (), (), "no research snapshot belongs to this record")
    body = chain.research.body

    def text(item: Body, name: str) -> str | None:
        value = item.get(name)
        return None if value is None else str(value)

    inputs = tuple(
        Known(
            name=str(item.get("name", "?")),
            value=str(item.get("value", "?")),
            event_time=text(item, "event_time"),
            available_at=text(item, "available_at"),
            availability=text(item, "availability"),
            source=text(item, "source"),
            artifact=text(item, "artifact"),
        )
        for item in body.get("inputs", ())
    )
    missing = tuple(str(name) for name in body.get("missing", ()))
    return Knowledge(text(body, "trade_rationale"), inputs, missing, None, day_volumes(body))


@dataclass(frozen=True)
class CostLine:
    """One deduction from the gross result. usd: None where it is not recorded."""

    what: str
    usd: str | None


@dataclass(frozen=True)
class Costs:
    """From gross to net. lines: what was deducted; notional: what was paid at entry; why: a sentence where no trade
    was closed."""

    gross: str | None
    lines: tuple[CostLine, ...]
    net: str | None
    net_percent: str | None
    notional: str | None
    why: str | None


def costs(chain: Chain) -> Costs:
    """Return the costs of a closed trade, by kind and side as far as the records separate them.

    The exit's spread and impact are recorded as one sum: the outcome's costs less those of the entry.
    """
    trade, entry, ended = chain.trade, chain.execution, chain.outcome
    if ended is None or entry is None:
        if trade is None:
            return Costs(None, (), None, None, None, "no trade was closed, so nothing was charged yet")
        body = trade.body
        sums = (
            CostLine("fees", body.get("fees_usd")),
            CostLine("spread and impact", body.get("costs_usd")),
            CostLine("attrition", body.get("attrition_usd")),
        )
        return Costs(None, sums, body["profit_usd"], body["profit_percentage"], body.get("notional_usd"), None)
    spread, impact, fee = (entry.body.get(name) for name in ("spread_cost_usd", "impact_cost_usd", "fee_usd"))
    lines = (
        CostLine("spread at entry", spread),
        CostLine("impact at entry", impact),
        CostLine("fee at entry", fee),
        CostLine("spread and impact at exit", _less(ended.body.get("costs_usd"), spread, impact)),
        CostLine("fee at exit", _less(ended.body.get("fees_usd"), fee)),
        CostLine("attrition (expected loss of a survivors-only universe)", ended.body.get("attrition_usd")),
    )
    return Costs(
        gross=ended.body.get("gross_pnl_usd"),
        lines=lines,
        net=ended.body.get("realized_pnl_usd"),
        net_percent=ended.body.get("realized_pnl_percent"),
        notional=entry.body.get("notional_usd"),
        why=None,
    )


def _less(total: str | None, *parts: str | None) -> str | None:
    """Return total - parts; None where one of them is unknown. What doubles lose in the last digits is no amount."""
    if total is None or any(part is None for part in parts):
        return None
    left = Decimal(total) - sum((Decimal(part) for part in parts if part is not None), start=Decimal(0))
    return decimal_text(Decimal(0) if abs(left) < Decimal("1e-9") * max(Decimal(1), abs(Decimal(total))) else left)


def raw_exit_price(chain: Chain) -> str | None:
    """Return the market price of the exit before costs: entry price + gross / quantity; None if unknown."""
    if chain.execution is None or chain.outcome is None:
        return None
    gross, entry = chain.outcome.body.get("gross_pnl_usd"), chain.execution.body
    if gross is None or entry.get("raw_price") is None or not Decimal(entry["quantity"]):
        return None
    return score_text(Decimal(entry["raw_price"]) + Decimal(gross) / Decimal(entry["quantity"]))


@dataclass(frozen=True)
class PathEnd:
    """How one fill model ended the trade. status: closed, open or not taken; state: the portfolio state that records it
    (UUID and day); amounts None where it is not closed."""

    path: str
    status: str
    exit_time: str | None
    termination_reason: str | None
    net_pnl_usd: str | None
    return_percent: str | None
    ambiguous: bool | None
    state: str
    partition: str


def path_ends(states: Sequence[Step], candidate: str) -> tuple[PathEnd, ...]:
    """Return how each path of the portfolio states (by day) ended `candidate`; the last state counts."""
    ends: dict[str, PathEnd] = {}
    for state in states:
        for name, path in state.body["paths"].items():
            if name in ends and ends[name].status != "open":
                continue
            closed = [line for line in path["closed"] if line["candidate"] == candidate]
            is_open = any(item["key"] == candidate for item in path["positions"])
            line = closed[0] if closed else {}
            status = "closed" if closed else "open" if is_open else "not taken"
            ends[name] = PathEnd(
                path=name,
                status=status,
                exit_time=line.get("exit_time"),
                termination_reason=line.get("termination_reason"),
                net_pnl_usd=line.get("net_pnl_usd"),
                return_percent=line.get("return_percent"),
                ambiguous=line.get("ambiguous"),
                state=state.uuid,
                partition=state.partition,
            )
    return tuple(ends.values())


@dataclass(frozen=True)
class Moment:
    """Something that happened to the trade at an instant of the market (UTC text). table: the record that holds it."""

    time: str
    what: str
    detail: str
    table: str


def timeline(chain: Chain, known: Knowledge, deadline: str | None) -> tuple[Moment, ...]:
    """Return what happened, by the market's time; equal instants stay in the chain's order."""
    moments: list[Moment] = []
    events = [item for item in known.inputs if item.event_time]
    if events:
        oldest = min(events, key=lambda item: str(item.event_time))
        moments.append(Moment(str(oldest.event_time), "oldest input", oldest.name, "research_docs"))
    available = [item for item in known.inputs if item.available_at]
    if available:
        newest = max(available, key=lambda item: str(item.available_at))
        moments.append(Moment(str(newest.available_at), "newest input available", newest.name, "research_docs"))
    if chain.candidate:
        body = chain.candidate.body
        moments.append(Moment(body["decision_time"], "decision", f"{body['side']} by {body['strategy']}", "candidates"))
    if chain.disposition:
        body = chain.disposition.body
        moments.append(Moment(body["decision_time"], str(body["disposition"]), str(body["reason"]), "dispositions"))
    if chain.execution:
        body = chain.execution.body
        moments.append(
            Moment(body["fill_time"], "entry filled", f"at {significant(body['entry_price'])}", "executions")
        )
    elif chain.trade:
        body = chain.trade.body
        moments.append(
            Moment(body["opened_at"], "opened", f"at {significant(body['entry_price'])}", "canonical_trades")
        )
    if chain.shadow and chain.shadow.body.get("exit_time"):
        body = chain.shadow.body
        reason = words(body["termination_reason"])
        moments.append(Moment(body["exit_time"], "shadow outcome resolved", reason, "shadow_outcomes"))
    if chain.outcome:
        body = chain.outcome.body
        reason = words(body["termination_reason"])
        moments.append(Moment(body["exit_time"], "closed", reason, "outcomes"))
    elif chain.trade:
        body = chain.trade.body
        reason = words(body["termination_reason"])
        moments.append(Moment(body["closed_at"], "closed", reason, "canonical_trades"))
    if deadline:
        moments.append(Moment(deadline, "time limit", "the longest hold that the exit rules allow", "executions"))
    return tuple(sorted(moments, key=lambda item: item.time))
