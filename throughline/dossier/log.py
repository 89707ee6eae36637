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
from throughline.proof.anchor import Anchor
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


class SealLog:
    """The seal log and its anchor as of one snapshot, read once for all dossiers that are compiled from it.

    Reads the leaf hashes of the whole log, 32 bytes an event, to recompute the newest head's root.

    Args:
        connection: may read the log; with `proof.anchor` of one `proof.snapshot.anchored_snapshot`.
        proof: key and anchor of the home; None leaves signature and anchor unchecked.

    Example:
        >>> with anchored_snapshot(engine, proof.anchor) as (connection, anchor):
        ...     SealLog(connection, replace(proof, anchor=anchor)).check([claim_of(step)]).problems
    """

    def __init__(self, connection: Connection, proof: Proof | None) -> None:
        self._connection, self._proof = connection, proof
        self._head, head_problems = _newest_head(connection)
        self._size = self._head.tree_size if self._head else 0
        self._signed, self._signature = _signature(self._head, proof)
        unsigned = [f"the newest head of the seal log is {self._signature}"] if self._signed is False else []
        self._anchored, anchor_problems = _anchored_size(connection, proof)
        self._problems = (*head_problems, *unsigned, *anchor_problems)
        self._segments: dict[tuple[int, int], dict[int, bytes]] = {}

    def check(self, claims: Sequence[Claim]) -> LogCheck:
        """Return where each of `claims` stands in the seal log; the same claim twice is one place."""
        places = [self._place(claim) for claim in dict.fromkeys(claims)]
        wrong = (f"{place.what} in the seal log: {place.problem}" for place in places if place.problem)
        return LogCheck(
            places=tuple(places),
            tree_size=self._size,
            key_id=self._head.key if self._head else None,
            signed_at=str(self._head.told["recorded_at"]) if self._head else None,
            signed=self._signed,
            signature=self._signature,
            anchor=self._proof.anchor.location if self._proof else None,
            anchored_size=self._anchored,
            strength=self._proof.strength if self._proof else None,
            problems=(*self._problems, *wrong),
        )

    def _place(self, claim: Claim) -> LogPlace:
        c = tables.seal_events.c
        statement = select(c.seq, c.leaf_hash, c.body).where(c.experiment == claim.experiment).order_by(c.seq)
        if claim.asset:
            day = date.fromisoformat(claim.partition)
            statement = statement.where(c.kind == "seal", c.asset == claim.asset, c.partition == day)
        else:
            body = cast(func.convert_from(c.body, "UTF8"), TEXT)
            statement = statement.where(c.kind == ENTRIES, body.contains(claim.uuid, autoescape=True))
        row = self._connection.execute(statement.limit(1)).one_or_none()
        if row is None:
            return LogPlace(claim.what, None, None, None, None)
        return LogPlace(
            what=claim.what,
            seq=row.seq,
            head=self._size if row.seq < self._size else None,
            anchored=None if self._anchored is None else row.seq < self._anchored,
            problem=self._event_problem(claim, row.seq, row.leaf_hash, bytes(row.body)),
        )

    def _event_problem(self, claim: Claim, seq: int, leaf_hash: str, body: bytes) -> str | None:
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
        if self._proof is None or self._anchored is None or seq >= self._anchored:
            return None
        return self._copy_problem(self._proof.anchor, event)

    def _copy_problem(self, anchor: Anchor, event: Event) -> str | None:
        """Compare an event with its anchored copy; each segment is read once."""
        try:
            segment = next((item for item in anchor.segments() if item[0] <= event.seq <= item[1]), None)
            if segment is None:
                return f"the anchor has no copy of event {event.seq}"
            if segment not in self._segments:
                copies = {item.event.seq: item.event.body for item in anchor.read_segment(*segment)}
                self._segments[segment] = copies
        except (ProofError, ValueError) as error:
            return f"the anchor's copy of event {event.seq} cannot be read ({error})"
        same = self._segments[segment][event.seq] == event.body
        return None if same else f"event {event.seq} is not the one that was anchored"


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
        return None, f"names key {head.key}; not checked"
    try:
        key = proof.signer.known_public_key()
    except ProofError as error:
        return None, f"names key {head.key}; not checked ({error})"
    if key is None:
        return None, f"names key {head.key}; not checked, since no signing key is on this machine"
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
