"""Cash as a policy in a report: when the rule was closed, or would have been, and what that saved or cost.

Belongs here: putting events or the replay of looks beside the trades of the closed time. Does not belong here: the
judgement (`throughline.learning.cash`), sentences (sentences). Reads the ledger, writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from throughline.experiment.identity import Experiment
from throughline.flow.context import shadow_reach_days
from throughline.learning.cash import closed_stretches, replay
from throughline.learning.event_log import read_events
from throughline.learning.events import RULE_KINDS
from throughline.learning.rule_outcomes import read_rule_outcomes
from throughline.learning.types import RULE

_TRADES = text(
    "SELECT c.decision_time, c.model_version, o.realized_pnl_usd FROM candidates c JOIN outcomes o "
    "ON o.candidate_uuid = c.uuid WHERE c.experiment = :experiment AND c.supersedes IS NULL AND c.partition >= :first "
    "AND o.partition <= :last AND NOT EXISTS (SELECT 1 FROM outcomes later WHERE later.supersedes = o.uuid)"
)


@dataclass(frozen=True)
class Change:
    """The rule closed ('close') or opened ('open') at an instant, and why."""

    at: datetime
    verdict: str
    reason: str


@dataclass(frozen=True)
class CashReport:
    """Cash as a policy in [start, end] of an experiment.

    acts: whether the changes took place; else they are what the looks of a walk, on Mondays, would have changed.
    changes: from the epoch to the end of `end`, in order. closed: whether the rule is (or would be) closed at that end.
    trades, pnl_usd: closed trades of the base path that the rule decided in the range while it was (or would have been)
    closed, and their net profit: what cash would have left out. candidates, mean_return: the rule's candidates of that
    time whose shadows are known, and their mean net return; None without one.
    """

    acts: bool
    changes: Sequence[Change]
    closed: bool
    trades: int
    pnl_usd: float
    candidates: int
    mean_return: float | None

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "acts": self.acts,
            "changes": [
                {"at": f"{item.at:%Y-%m-%dT%H:%M:%SZ}", "verdict": item.verdict, "reason": item.reason}
                for item in self.changes
            ],
            "closed": self.closed,
            "trades": self.trades,
            "pnl_usd": self.pnl_usd,
            "candidates": self.candidates,
            "mean_return": self.mean_return,
        }


def cash_report(conn: Connection, experiment: Experiment, start: date, end: date) -> CashReport:
    """Return the effect of cash as a policy in [start, end]; every day up to `end` must have its session."""
    settings = experiment.configuration
    epoch, until = _midnight(experiment.epoch), _midnight(end + timedelta(days=1))
    outcomes = read_rule_outcomes(conn, experiment.id, epoch, until)
    if settings.closes_rule:
        changes = [
            Change(event.effective_at, "close" if event.kind == "rule_closed" else "open", event.reason)
            for event in read_events(conn, experiment.id)
            if event.kind in RULE_KINDS and event.effective_at <= until
        ]
    else:
        looks = replay(
            outcomes,
            settings.cash,
            epoch=experiment.epoch,
            until=until,
            take_profit=settings.exits.take_profit,
            reach_days=shadow_reach_days(settings.exits),
        )
        changes = [Change(look.as_of, look.verdict, look.reason) for look in looks]
    stretches = closed_stretches([(item.at, item.verdict == "close") for item in changes], until)
    closed_times = [(max(first, _midnight(start)), last) for first, last in stretches]

    def inside(at: datetime) -> bool:
        return any(first <= at < last for first, last in closed_times)

    trades = [
        float(pnl)
        for at, model, pnl in conn.execute(_TRADES, {"experiment": experiment.id, "first": start, "last": end})
        if model == RULE and inside(at)
    ]
    returns = [item.net_return for item in outcomes if item.net_return is not None and inside(_midnight(item.decided))]
    return CashReport(
        acts=settings.closes_rule,
        changes=changes,
        closed=bool(changes) and changes[-1].verdict == "close",
        trades=len(trades),
        pnl_usd=sum(sorted(trades)),
        candidates=len(returns),
        mean_return=sum(returns) / len(returns) if returns else None,
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
