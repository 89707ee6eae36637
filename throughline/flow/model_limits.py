"""What is kept out of the market: what a deciding model declines, what a closed rule would take, a challenger's share.

A challenger's share is capped by notional as well as by count: a few large positions would otherwise be most of the
fund. What is open counts with its notional at entry, what is wished today with its wished size.
"""

from __future__ import annotations

import json
import uuid as uuid_module
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from throughline.configuration import Configuration
from throughline.learning.types import RULE
from throughline.storage.queries import read_named
from throughline.storage.records import LedgerRow
from throughline.trading.types import PathState

CANARY = "canary"


def canary_exposure(conn: Connection, state: PathState) -> float:
    """Return the entry notional (USD) of the open positions that a challenger decided."""
    held = {item.key: item for item in state.positions}
    rows = read_named(conn, "candidates", [uuid_module.UUID(key) for key in held])
    return sum(held[str(key)].notional for key, row in rows.items() if json.loads(row.body)["arm"] == CANARY)


def model_refusals(
    told: Mapping[str, tuple[LedgerRow, Mapping[str, Any]]], exposure: float, settings: Configuration
) -> dict[str, str]:
    """Return candidate -> 'declined', 'rule_closed' or 'canary_cap' for those (row, body) that may not enter.

    In order of decision, then of score, then of UUID: the challenger's candidates are admitted while what it holds,
    `exposure`, and their wished sizes stay within its share of the fund.
    """
    refused: dict[str, str] = {}
    room = settings.canary.max_notional_share * settings.sizing.small_fund_usd - exposure
    order = sorted(
        told.items(),
        key=lambda item: (item[1][1]["decision_time"], -float(item[1][1]["opportunity_score"]), item[0]),
    )
    for key, (_, body) in order:
        decision = body["decision"]
        if decision is not None and not decision["take"]:
            refused[key] = "rule_closed" if body["model_version"] == RULE else "declined"
        elif body["arm"] == CANARY:
            wished = float(body["notional_usd"])
            if wished > room:
                refused[key] = "canary_cap"
            else:
                room -= wished
    return refused
