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

from throughline.dossier.story import Step
from throughline.proof.errors import ProofError
from throughline.proof.events import Event, Head, entry_leaves
from throughline.proof.settings import Proof
from throughline.proof.tree import root
from throughline.storage import tables

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


@dataclass(frozen=True)
class Claim:
    """What must stand in the log: the partition seal `root` of an asset's day, or, with `asset` None, the record
    `uuid` of `table` with its hash `root`, written by hand."""

    experiment: str
    root: str | None
    asset: str | None = None
    partition: str = ""
    table: str = ""
    uuid: str = ""

    @property
    def what(self) -> str:
        """The claim's name: ``asset/partition`` or ``table uuid``."""
        return f"{self.asset}/{self.partition}" if self.asset else f"{self.table} {self.uuid}"


def claim_of(step: Step) -> Claim:
    """Return what must stand in the log for a record: the seal of its day, or itself if it was written by hand."""
    seal = step.seal
    if seal:
        return Claim(step.experiment, seal.root, asset=seal.asset, partition=seal.partition)
    return Claim(step.experiment, step.recomputed, table=step.table, uuid=step.uuid)


def log_check(connection: Connection, proof: Proof | None, claims: Sequence[Claim]) -> LogCheck:
    """Return where each of `claims` stands in the seal log; the same claim twice is one place.

    Reads the leaf hashes of the whole log, 32 bytes an event, to recompute the newest head's root. proof: None leaves
    signature and anchor unchecked.
    """
    head, problems = _newest_head(connection)
    size = head.tree_size if head else 0
    signed, signature = _signature(head, proof)
    problems += [f"the newest head of the seal log is {signature}"] if signed is False else []
    anchored, trouble = _anchored_size(connection, proof)
    problems += trouble
    places = [_place(connection, proof, claim, size, anchored) for claim in dict.fromkeys(claims)]
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


def _signature(head: Head | None, proof: Proof | None) -> tuple[bool | None, str]:
    """Return whether the head is signed by the key of this machine (None: not checked), and a clause about it."""
    if head is None:
        return None, "no head has been signed yet"
    if proof is None:
        return None, f"said to be signed by key {head.key}; not checked"
    try:
        key = proof.signer.known_public_key()
    except ProofError as error:
        return None, f"said to be signed by key {head.key}; not checked ({error})"
    if key is None:
        return None, f"said to be signed by key {head.key}; not checked, since no signing key is on this machine"
    if head.signed_by(key):
        return True, f"signed by key {head.key}"
    return False, f"not signed by the key of this machine; it names key {head.key}"


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


def _place(connection: Connection, proof: Proof | None, claim: Claim, size: int, anchored: int | None) -> LogPlace:
    c = tables.seal_events.c
    statement = select(c.seq, c.leaf_hash, c.body).where(c.experiment == claim.experiment).order_by(c.seq)
    if claim.asset:
        day = date.fromisoformat(claim.partition)
        statement = statement.where(c.kind == "seal", c.asset == claim.asset, c.partition == day)
    else:
        told = cast(func.convert_from(c.body, "UTF8"), TEXT)
        statement = statement.where(c.kind == ENTRIES, told.contains(claim.uuid, autoescape=True))
    row = connection.execute(statement.limit(1)).one_or_none()
    if row is None:
        return LogPlace(claim.what, None, None, None, None)
    return LogPlace(
        what=claim.what,
        seq=row.seq,
        head=size if row.seq < size else None,
        anchored=None if anchored is None else row.seq < anchored,
        problem=_event_problem(proof, claim, row.seq, row.leaf_hash, bytes(row.body), anchored),
    )


def _event_problem(
    proof: Proof | None, claim: Claim, seq: int, leaf_hash: str, body: bytes, anchored: int | None
) -> str | None:
    try:
        event = Event.read(body)
    except ValueError as error:
        return f"event {seq} cannot be read ({error})"
    if event.leaf.hex() != leaf_hash or event.seq != seq:
        return f"event {seq} has another leaf hash or number than its body gives"
    if claim.asset and event.told.get("root") != claim.root:
        return f"event {seq} names the root {str(event.told.get('root'))[:16]}..., the seal is another"
    if claim.asset is None and (claim.table, claim.uuid, claim.root) not in entry_leaves(event):
        return f"event {seq} logs {claim.uuid} with another hash"
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
