"""Where the records of a trade stand in the seal log, and whether the newest signed head and the anchor cover them.

Belongs here: the few events of one trade, the tree that holds them, the newest head, the anchored copies. Does not
belong here: judging the whole log against the whole database (proof.audit), and files to hand on (proof.prove).

The newest head covers every event before it, whichever key signed the heads in between; so one signature is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, cast, func, select
from sqlalchemy.dialects.postgresql import TEXT

from throughline.proof.errors import ProofError
from throughline.proof.events import Event, Head
from throughline.proof.settings import Proof
from throughline.proof.tree import root
from throughline.storage import tables
from throughline.verification.story import Step

ENTRIES = "entries"
"""Kind of the events that log records written by hand, which have no partition seal."""


@dataclass(frozen=True)
class LogPlace:
    """Where a partition seal, or a record written by hand, stands in the log.

    what: ``asset/partition``, or ``table uuid``; seq: the event's number, None where it is not logged yet; head: size
    of the newest head if that covers the event; anchored: whether the anchor's newest head does, None where no anchor
    was looked at; problem: what does not hold.
    """

    what: str
    seq: int | None
    head: int | None
    anchored: bool | None
    problem: str | None


@dataclass(frozen=True)
class LogCheck:
    """The log as far as this trade goes. key_id: of the newest head; signature: in words, `signed` None where it could
    not be checked; anchored_size: events that the anchor's newest head covers; strength: what the anchor is worth."""

    places: tuple[LogPlace, ...]
    tree_size: int
    key_id: str | None
    signed_at: str | None
    signed: bool | None
    signature: str
    anchor: str | None
    anchored_size: int | None
    strength: str | None
    problems: tuple[str, ...]


def log_check(connection: Connection, proof: Proof | None, steps: Sequence[Step]) -> LogCheck:
    """Return where the seals behind `steps` (or the steps themselves, if written by hand) stand in the seal log.

    Reads the leaf hashes of the whole log, 32 bytes an event, to recompute the newest head's root. proof: None leaves
    signature and anchor unchecked.
    """
    head, problems = _newest_head(connection)
    size = head.tree_size if head else 0
    key = proof.signer.known_public_key() if proof else None
    signed: bool | None = None
    if head is None:
        signature = "no head has been signed yet"
    elif key is None:
        signature = f"signed by key {head.key}; not checked, since no signing key is on this machine"
    else:
        signed = head.signed_by(key)
        signature = f"signed by key {head.key}" if signed else f"not signed by the key of this machine ({head.key})"
        problems += [] if signed else [f"the newest head of the seal log is {signature}"]
    anchored, trouble = _anchored_size(connection, proof)
    problems += trouble
    places = [_place(connection, proof, step, size, anchored) for step in _once(steps)]
    return LogCheck(
        places=tuple(places),
        tree_size=size,
        key_id=head.key if head else None,
        signed_at=str(head.told["recorded_at"]) if head else None,
        signed=signed,
        signature=signature,
        anchor=proof.anchor.location if proof else None,
        anchored_size=anchored,
        strength=proof.strength if proof else None,
        problems=(*problems, *(f"{place.what} in the seal log: {place.problem}" for place in places if place.problem)),
    )


def _once(steps: Sequence[Step]) -> list[Step]:
    """Return one step per sealed partition, and every step that was written by hand."""
    kept: dict[tuple[str, str, str], Step] = {}
    for step in steps:
        seal = step.seal
        key = (step.experiment, seal.asset, seal.partition) if seal else (step.experiment, step.table, step.uuid)
        kept.setdefault(key, step)
    return list(kept.values())


def _newest_head(connection: Connection) -> tuple[Head | None, list[str]]:
    c = tables.seal_heads.c
    row = connection.execute(select(c.body, c.signature).order_by(c.tree_size.desc()).limit(1)).one_or_none()
    if row is None:
        return None, []
    try:
        head = Head.read(bytes(row.body), row.signature)
    except ValueError as error:
        return None, [f"the newest head of the seal log cannot be read ({error})"]
    e = tables.seal_events.c
    statement = select(e.leaf_hash).where(e.seq < head.tree_size).order_by(e.seq)
    leaves = [bytes.fromhex(item) for item in connection.execute(statement).scalars()]
    if len(leaves) != head.tree_size:
        return head, [f"the newest head of the seal log stands for {head.tree_size} events, there are {len(leaves)}"]
    if root(leaves).hex() != head.root:
        return head, ["the root of the newest head of the seal log does not follow from its events"]
    return head, []


def _anchored_size(connection: Connection, proof: Proof | None) -> tuple[int | None, list[str]]:
    """Return how many events the anchor's newest head covers, which the database must have with the same bytes."""
    if proof is None:
        return None, []
    try:
        sizes = proof.anchor.head_sizes()
        anchored = proof.anchor.head(sizes[-1]) if sizes else None
    except (ProofError, ValueError) as error:
        return None, [f"the anchor {proof.anchor.location} cannot be read ({error})"]
    if anchored is None:
        return 0, []
    c = tables.seal_heads.c
    row = connection.execute(select(c.body, c.signature).where(c.tree_size == anchored.tree_size)).one_or_none()
    if row is None or (bytes(row.body), row.signature) != (anchored.body, anchored.signature):
        return anchored.tree_size, [f"the seal log does not have the anchored head {anchored.tree_size}"]
    return anchored.tree_size, []


def _place(connection: Connection, proof: Proof | None, step: Step, size: int, anchored: int | None) -> LogPlace:
    seal = step.seal
    what = f"{seal.asset}/{seal.partition}" if seal else f"{step.table} {step.uuid}"
    c = tables.seal_events.c
    statement = select(c.seq, c.leaf_hash, c.body).where(c.experiment == step.experiment).order_by(c.seq)
    if seal:
        day = date.fromisoformat(seal.partition)
        statement = statement.where(c.kind == "seal", c.asset == seal.asset, c.partition == day)
    else:
        told = cast(func.convert_from(c.body, "UTF8"), TEXT)
        statement = statement.where(c.kind == ENTRIES, told.contains(step.uuid, autoescape=True))
    row = connection.execute(statement.limit(1)).one_or_none()
    if row is None:
        return LogPlace(what, None, None, None, None)
    return LogPlace(
        what=what,
        seq=row.seq,
        head=size if row.seq < size else None,
        anchored=None if anchored is None else row.seq < anchored,
        problem=_event_problem(proof, step, row.seq, row.leaf_hash, bytes(row.body), anchored),
    )


def _event_problem(
    proof: Proof | None, step: Step, seq: int, leaf_hash: str, body: bytes, anchored: int | None
) -> str | None:
    try:
        event = Event.read(body)
    except ValueError as error:
        return f"event {seq} cannot be read ({error})"
    if event.leaf.hex() != leaf_hash or event.seq != seq:
        return f"event {seq} has another leaf hash or number than its body gives"
    if step.seal and event.told.get("root") != step.seal.root:
        return f"event {seq} names the root {str(event.told.get('root'))[:16]}..., the seal is another"
    rows = {(str(row[0]), str(row[1]), str(row[2])) for row in event.told.get("rows", ())}
    if step.seal is None and (step.table, step.uuid, step.recomputed) not in rows:
        return f"event {seq} logs {step.uuid} with another hash"
    if proof is None or anchored is None or seq >= anchored:
        return None
    return _copy_problem(proof, event)


def _copy_problem(proof: Proof, event: Event) -> str | None:
    """Compare an event with its anchored copy."""
    try:
        held = next((item for item in proof.anchor.segments() if item[0] <= event.seq <= item[1]), None)
        if held is None:
            return f"the anchor has no copy of event {event.seq}"
        copy = next(item for item in proof.anchor.read_segment(*held) if item.event.seq == event.seq)
    except (ProofError, ValueError, StopIteration) as error:
        return f"the anchor's copy of event {event.seq} cannot be read ({error})"
    return None if copy.event.body == event.body else f"event {event.seq} is not the one that was anchored"
