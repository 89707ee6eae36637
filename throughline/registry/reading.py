"""Which trades a question is about: of which experiment, known by when, and not in quarantine.

Belongs here: the conditions and look-ups that statistics and patterns share. Does not belong here: what comes of them.

A trade is known from its exit on. A correction is known from the end of the day on which it was recorded; from then on
what it corrects is not known. A question as of an instant never sees a later correction.
"""

from __future__ import annotations

import uuid as uuids
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from throughline.experiment.mode import mode_names
from throughline.identity import SCHEMA_VERSION, canonical_bytes, content_hash
from throughline.storage.ids import resolve_id, resolve_record
from throughline.storage.queries import as_row, get_active, read_experiment, register_experiment
from throughline.storage.records import LedgerRow
from throughline.storage.tables import canonical_trades, ledger_table, projection
from throughline.tracking.system import MODE

HAND = "registry"
"""Name of the tracking experiment that holds trades registered by hand."""

KNOWN_FROM = (
    "CASE WHEN {t}.supersedes IS NULL THEN {t}.closed_at"
    " ELSE greatest({t}.closed_at, ({t}.partition + 1)::timestamp AT TIME ZONE 'UTC') END"
)
USABLE = (
    f"(CAST(:as_of AS timestamptz) IS NULL OR {KNOWN_FROM.format(t='t')} <= :as_of)"
    " AND NOT EXISTS (SELECT 1 FROM canonical_trades AS later WHERE later.supersedes = t.uuid"
    f" AND (CAST(:as_of AS timestamptz) IS NULL OR {KNOWN_FROM.format(t='later')} <= :as_of))"
    " AND t.uuid <> ALL(CAST(:quarantined AS uuid[]))"
)
"""Condition on ``canonical_trades AS t`` with the parameters of `usable`."""


def usable(as_of: datetime | None, quarantined: frozenset[uuids.UUID]) -> dict[str, Any]:
    """Return the parameters of `USABLE`. as_of: aware (else ValueError), None = all that is recorded."""
    if as_of is not None and as_of.tzinfo is None:
        raise ValueError(f"as_of {as_of} has no time zone: pass an aware datetime")
    return {"as_of": as_of, "quarantined": [str(uuid) for uuid in sorted(quarantined)]}


def hand_experiment() -> tuple[str, bytes]:
    """Return id and body of the experiment that holds trades registered by hand."""
    body = canonical_bytes({"mode": MODE, "name": HAND, "schema_version": SCHEMA_VERSION})
    return content_hash("experiment", body), body


def register_hand_experiment(connection: Connection) -> str:
    """Record the experiment of trades registered by hand, where it is not yet; return its id."""
    name, body = hand_experiment()
    register_experiment(connection, name, MODE, body)
    return name


@dataclass(frozen=True)
class Chosen:
    """The experiment that a question is about. mode: its mode; rule: why it is this one, in words."""

    experiment: str
    mode: str
    rule: str


def choose_experiment(connection: Connection, named: str | None = None) -> Chosen:
    """Return the experiment that a question is about.

    The one that `named` names (its ID or 8 or more digits of it). Without a name, the active experiment of the first
    mode that has one (backtest, then demo: `Mode.rank`), else the trades registered by hand. Which experiment ran last
    plays no part, so an answer does not change because another command runs. Raises UnknownRecord for a name that fits
    none.
    """
    if named is not None:
        experiment = require_experiment(connection, named)
        stored = read_experiment(connection, experiment)
        return Chosen(experiment, stored.mode if stored else MODE, "named in the question")
    for mode in mode_names():
        active = get_active(connection, mode)
        if active is not None:
            return Chosen(active.experiment, mode, f"the active experiment of mode '{mode}'")
    return Chosen(hand_experiment()[0], MODE, "the trades registered by hand: no mode has an active experiment")


def require_experiment(connection: Connection, experiment: str) -> str:
    """Return the whole ID of the experiment that `experiment`, an ID or the beginning of one, names.

    That of the trades registered by hand is known before the first such trade is. Raises UnknownRecord where the home
    has none, or several.
    """
    if experiment == hand_experiment()[0]:
        return experiment
    return resolve_id(connection, experiment, "experiment").id


def find_trade(connection: Connection, trade_hash: str) -> LedgerRow:
    """Return the canonical trade that a trade hash, or the beginning of one, names, of whichever experiment.

    Raises UnknownRecord where it names none, or several.
    """
    uuid = resolve_record(connection, trade_hash, "trade")
    rows = connection.execute(select(canonical_trades).where(canonical_trades.c.uuid == uuid)).mappings()
    return as_row(rows.one(), projection(canonical_trades))


def entries_of(connection: Connection, table: str, trade: uuids.UUID) -> list[LedgerRow]:
    """Return the entries of a specialised registry that name a canonical trade, by uuid."""
    source = ledger_table(table)
    statement = select(source).where(source.c.canonical_uuid == trade).order_by(source.c.uuid)
    return [as_row(row, projection(source)) for row in connection.execute(statement).mappings()]


def corrected_by(connection: Connection, trade: uuids.UUID) -> LedgerRow | None:
    """Return the trade that corrects this one, None where none does."""
    statement = select(canonical_trades).where(canonical_trades.c.supersedes == trade)
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else as_row(row, projection(canonical_trades))
