"""IDs as people type them: any unique beginning of at least 8 hex digits, resolved in one place.

Belongs here: what may be typed, and which experiment, model, trade or record it names. Does not belong here: what is
done with the record, and short forms of IDs in printed tables.

A UUID may be typed with or without hyphens, and every ID in upper or lower case. Chain UUIDs begin with the time of
their event, so records of one minute share their first 8 digits and records of one instant their first 12. Experiments
over the same days therefore share the beginnings of their trades' UUIDs, and the experiment has to be named as well:
trade hashes, experiments and models are the IDs to shorten in a table.
"""

from __future__ import annotations

import re
import uuid as uuids
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Table, func, select

from throughline.errors import AmbiguousId, UnknownRecord, printable
from throughline.storage import tables

LEAST_DIGITS = 8
"""Fewer digits name nothing: an ID of 7 digits is a typing error more often than it is unique."""
Kind = Literal["experiment", "model", "trade", "record"]
"""trade: the hash of a canonical trade; record: the UUID of a row of a ledger table."""

_HEX = re.compile(r"[0-9a-f]+")
_LONGEST = 64
_UUID_DIGITS = 32
_SHOWN = 5
_LISTED_BY: dict[Kind, str] = {
    "experiment": "throughline experiments",
    "model": "throughline models",
    "trade": "throughline trades",
    "record": "throughline trades",
}


@dataclass(frozen=True)
class TypedId:
    """What a person typed. text: as typed, safe to print; digits: its 8 to 64 hex digits in lower case."""

    text: str
    digits: str


@dataclass(frozen=True)
class MatchedId:
    """What an ID names. id: the whole ID as text; table: where it stands; uuid: of a trade or record, else None."""

    kind: Kind
    id: str
    table: str
    uuid: uuids.UUID | None = None


@dataclass(frozen=True)
class _Match:
    """A row that fits. chain: what all records of one chain share, None where the row belongs to none."""

    record: MatchedId
    chain: uuids.UUID | None = None


def parse_id(text: str, *kinds: Kind) -> TypedId:
    """Return an ID that a person typed, without asking a database.

    Args:
        text: hex digits, at least `LEAST_DIGITS`; hyphens, case, surrounding space, braces, ``urn:uuid:`` in front and
            the dots with which a shortened ID is printed (``0123456789ab...``) do not matter.
        kinds: what it may name, so that an error says which command lists that.

    Returns:
        The ID with its digits.

    Raises:
        UnknownRecord: it has fewer than 8 or more than 64 digits, or something that is no hex digit.
    """
    typed = text.strip()
    shown = printable(typed[: _LONGEST + 8])
    digits = typed.lower().removeprefix("urn:uuid:").strip("{}").removesuffix("...").removesuffix("…").replace("-", "")
    problem = None
    if not _HEX.fullmatch(digits):
        problem = f"is not an ID: give a UUID or a hash, or the first {LEAST_DIGITS} or more of its hex digits"
    elif len(digits) < LEAST_DIGITS:
        problem = f"is too short for an ID: give its first {LEAST_DIGITS} or more hex digits"
    elif len(digits) > _LONGEST:
        problem = f"is too long for an ID: a UUID has {_UUID_DIGITS} hex digits and a hash has {_LONGEST}"
    if problem is not None:
        raise UnknownRecord(f"'{shown}' {problem}{f' ({_listed(kinds)})' if kinds else ''}")
    return TypedId(shown, digits)


def resolve_id(
    connection: Connection,
    typed: TypedId | str | uuids.UUID,
    *kinds: Kind,
    experiment: str | None = None,
    modes: Collection[str] | None = None,
    among: Sequence[Table] = tables.LEDGER,
) -> MatchedId:
    """Return the one experiment, model, trade or record that an ID, or the beginning of it, names.

    A whole ID names its own row even where it is also the beginning of another ID. Records of one chain that share the
    digits name that chain, by the last of them: a proof of the last record holds those before it. A scan with the same
    digits is the one that made the chain's candidate and does not make them ambiguous.

    Args:
        connection: may read the tables of the asked kinds.
        typed: what a person typed, parsed (`parse_id`) or not, or a UUID.
        kinds: what it may name; at least one.
        experiment: whole ID of the experiment that a model, trade or record must belong to; None = any.
        modes: modes that an experiment may have; None = any.
        among: ledger tables in which a record may stand.

    Returns:
        What it names, with the whole ID.

    Raises:
        UnknownRecord: it names nothing (the message says which command lists what there is), or is no ID.
        AmbiguousId: it names several things (the message lists the first of them).
    """
    asked = typed if isinstance(typed, TypedId) else parse_id(str(typed), *kinds)
    matches: list[_Match] = []
    for kind in kinds:
        matches += _matches(connection, kind, asked.digits, experiment, modes, among)
    whole = [match for match in matches if match.record.id.replace("-", "") == asked.digits]
    if whole:
        return whole[0].record
    if not matches:
        raise UnknownRecord(_unknown(asked, kinds, experiment, among))
    if len(matches) == 1:
        return matches[0].record
    # A scan has the instant of all its candidates, so where its digits fit one chain only, it made no other candidate.
    steps = [match for match in matches if match.record.table != tables.market_scans.name]
    chains = {match.chain for match in steps}
    if len(chains) == 1 and None not in chains:
        return steps[-1].record
    experiments = _experiments(connection, asked.digits, among) if "record" in kinds and experiment is None else ()
    raise AmbiguousId(_ambiguous(asked, matches, experiments), asked.text, experiments)


def resolve_record(
    connection: Connection,
    typed: TypedId | str | uuids.UUID,
    *kinds: Literal["record", "trade"],
    experiment: str | None = None,
    among: Sequence[Table] = tables.LEDGER,
) -> uuids.UUID:
    """Return the UUID of the one record or trade that an ID names; arguments and errors as in `resolve_id`."""
    resolved = resolve_id(connection, typed, *kinds, experiment=experiment, among=among).uuid
    assert resolved is not None  # records and trades have one
    return resolved


def _matches(
    connection: Connection,
    kind: Kind,
    digits: str,
    experiment: str | None,
    modes: Collection[str] | None,
    among: Sequence[Table],
) -> list[_Match]:
    """Return the rows of a kind whose ID begins with `digits`, at most one more a table than a message shows."""
    if kind == "record":
        return [match for table in among for match in _records(connection, table, digits, experiment)]
    source, column = {
        "experiment": (tables.experiments, tables.experiments.c.id),
        "model": (tables.models, tables.models.c.id),
        "trade": (tables.canonical_trades, tables.canonical_trades.c.content_hash),
    }[kind]
    conditions: list[ColumnElement[bool]] = [column.startswith(digits)]
    if kind in ("model", "trade") and experiment is not None:
        conditions.append(source.c.experiment == experiment)
    if kind == "experiment" and modes is not None:
        conditions.append(tables.experiments.c.mode.in_(modes))
    uuid = source.c.uuid if kind == "trade" else None
    chosen = [column] if uuid is None else [column, uuid]
    statement = select(*chosen).where(*conditions).order_by(column.collate("C")).limit(_SHOWN + 1)
    return [
        _Match(MatchedId(kind, str(row[0]), source.name, row[1] if uuid is not None else None))
        for row in connection.execute(statement)
    ]


def _records(connection: Connection, table: Table, digits: str, experiment: str | None) -> list[_Match]:
    """Return the rows of a ledger table whose UUID begins with `digits`, of one experiment or of all."""
    within = _begins(table, digits)
    if within is None:
        return []
    chain: Any = table.c.get("candidate_uuid")
    source: Any = table
    if table.name == "candidates":
        chain = table.c.uuid
    elif "canonical_uuid" in table.c:
        trades = tables.canonical_trades.alias("trade")
        source = table.join(trades, trades.c.uuid == table.c.canonical_uuid, isouter=True)
        chain = func.coalesce(trades.c.candidate_uuid, trades.c.uuid)
    elif table.name == "canonical_trades":
        chain = func.coalesce(table.c.candidate_uuid, table.c.uuid)
    statement = select(table.c.uuid, *([] if chain is None else [chain])).select_from(source)
    statement = statement.where(within).order_by(table.c.uuid).limit(_SHOWN + 1)
    if experiment is not None:
        statement = statement.where(table.c.experiment == experiment)
    return [
        _Match(MatchedId("record", str(row[0]), table.name, row[0]), None if chain is None else row[1])
        for row in connection.execute(statement)
    ]


def _begins(table: Table, digits: str) -> ColumnElement[bool] | None:
    """Return the condition that a row's UUID begins with `digits`, as a range that the primary key serves; None where
    no UUID can."""
    if len(digits) > _UUID_DIGITS:
        return None
    first, last = (uuids.UUID(digits.ljust(_UUID_DIGITS, end)) for end in "0f")
    return table.c.uuid.between(first, last)


def _experiments(connection: Connection, digits: str, among: Sequence[Table]) -> tuple[str, ...]:
    """Return the experiments of all records but scans whose UUID begins with `digits`, in order of their ID."""
    experiments: set[str] = set()
    for table in among:
        if table.name == tables.market_scans.name:
            continue
        within = _begins(table, digits)
        if within is not None:
            experiments.update(connection.execute(select(table.c.experiment).where(within).distinct()).scalars())
    return tuple(sorted(experiments))


def _unknown(asked: TypedId, kinds: Sequence[Kind], experiment: str | None, among: Sequence[Table]) -> str:
    """Return the sentence for an ID that names nothing."""
    words: list[str] = list(kinds)
    if kinds == ("record",) and len(among) == 1:
        words = [f"record of {among[0].name}"]
    where = "this home" if experiment is None else f"experiment {experiment[:12]}"
    whole = len(asked.digits) in (_UUID_DIGITS, _LONGEST)
    has = "has the ID" if whole else "has an ID that begins with"
    return f"no {' or '.join(words)} of {where} {has} '{asked.text}': {_listed(kinds)}"


def _listed(kinds: Sequence[Kind]) -> str:
    commands = [f"`{command}`" for command in dict.fromkeys(_LISTED_BY[kind] for kind in kinds)]
    return f"{' and '.join(commands)} {'list' if len(commands) > 1 else 'lists'} them"


def _ambiguous(asked: TypedId, matches: Sequence[_Match], experiments: Sequence[str]) -> str:
    """Return the sentence for an ID that several things begin with; it lists the first of them."""
    if len(experiments) > 1:
        names = ", ".join(name[:12] for name in experiments[:_SHOWN])
        more = f" and {len(experiments) - _SHOWN} more" if len(experiments) > _SHOWN else ""
        return (
            f"'{asked.text}' begins the IDs of records of {len(experiments)} experiments ({names}{more}): name the "
            "experiment, or give more digits"
        )
    chains = list(dict.fromkeys(str(match.chain) for match in matches if match.chain is not None))
    if len(chains) > 1:  # the records of one candidate share their digits with it: the candidate says which is meant
        listed = [f"candidates {chain}" for chain in chains]
        listed += [_described(match.record) for match in matches if match.record.kind != "record"]
    else:
        listed = [_described(match.record) for match in matches]
    shown = ", ".join(listed[:_SHOWN])
    more = ", and more" if len(listed) > _SHOWN else ""
    return f"'{asked.text}' begins the IDs of several things: {shown}{more}; give more of its digits"


def _described(record: MatchedId) -> str:
    return f"{record.table} {record.id}" if record.kind == "record" else f"{record.kind} {record.id}"
