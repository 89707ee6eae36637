"""What is kept out of the market: what a deciding model declines, what a closed rule would take, a challenger's share.

A challenger's share is capped by notional as well as by count: a few large positions would otherwise be most of the
fund. What is open counts with its notional at entry, what a candidate asks for today with that size.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from throughline.configuration import Configuration
from throughline.learning.types import RULE
from throughline.storage.queries import read_named
from throughline.tracking.day_records import Candidate
from throughline.trading.types import PathState

CANARY = "canary"


def canary_exposure(conn: Connection, state: PathState) -> float:
    """Return the entry notional (USD) of the open positions that a challenger decided."""
    notional = {UUID(item.key): item.notional for item in state.positions}
    rows = read_named(conn, "candidates", notional)
    return sum(notional[key] for key, row in rows.items() if Candidate.of(row).arm == CANARY)


def model_refusals(candidates: Sequence[Candidate], exposure: float, settings: Configuration) -> dict[str, str]:
    """Return key -> 'declined', 'rule_closed' or 'canary_cap' for the candidates that may not enter.

    In order of decision, then of score, then of UUID: the challenger's candidates are admitted while its open
    positions and the sizes they ask for stay within its share of the fund.

    Args:
        candidates: those of a day that a gate does not close.
        exposure: USD in the challenger's open positions, as `canary_exposure` gives it.
        settings: the experiment's.
    """
    refused: dict[str, str] = {}
    room = settings.canary.max_notional_share * settings.sizing.small_fund_usd - exposure
    for item in sorted(candidates, key=lambda item: (item.decision_time, -item.opportunity, item.key)):
        if item.take is False:
            refused[item.key] = "rule_closed" if item.model == RULE else "declined"
        elif item.arm == CANARY:
            if item.notional > room:
                refused[item.key] = "canary_cap"
            else:
                room -= item.notional
    return refused
