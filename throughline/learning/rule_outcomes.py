"""What became of the rule's candidates, read from the ledger for the judgement of the rule (cash). SQL only.

What a candidate came to is its shadow outcome, whether it was entered or not, so that a closed rule goes on being
judged by the same facts. A shadow that crossed a doubtful price jump says nothing of gain or loss, and counts like one
that never filled. Only first records count: a judgement of the past does not change by a later correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import Connection, text

from throughline.learning.cash import RuleOutcome
from throughline.learning.types import NOT_LABELS

_OUTCOMES = text(
    "SELECT c.partition, s.partition, told.body ->> 'return_percent', told.body -> 'flags' FROM candidates c "
    "LEFT JOIN shadow_outcomes s ON s.candidate_uuid = c.uuid AND s.partition < :until AND s.supersedes IS NULL "
    "LEFT JOIN LATERAL (SELECT convert_from(s.body, 'UTF8')::json AS body) told ON true "
    "WHERE c.experiment = :experiment AND c.partition >= :first AND c.partition < :until AND c.supersedes IS NULL "
    "ORDER BY c.partition, c.uuid"
)


def read_rule_outcomes(conn: Connection, experiment: str, since: datetime, as_of: datetime) -> tuple[RuleOutcome, ...]:
    """Return the candidates decided in [since, as_of) with what was known of them at `as_of`; both are midnights."""
    days = {"first": since.astimezone(UTC).date(), "until": as_of.astimezone(UTC).date()}
    rows = conn.execute(_OUTCOMES, {"experiment": experiment, **days})
    return tuple(
        RuleOutcome(decided, resolved, shadow_return(percent, flags)) for decided, resolved, percent, flags in rows
    )


def shadow_return(percent: str | None, flags: Sequence[str] | None) -> float | None:
    """Return the net return of a shadow; flags: of its body, None where it has none."""
    if percent is None or NOT_LABELS.intersection(flags or ()):
        return None
    return float(Decimal(percent) / 100)
