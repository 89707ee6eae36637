"""The registry of soulprints: what the market looked like when a trade was decided.

A soulprint is the vector of the signals as of the decision (`throughline.signals.vector`), with the hash of its content
for identity and a SimHash for similarity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from throughline.catalogue import Column, RecordKind, StageSpec, TableIndex
from throughline.errors import InvalidTrade
from throughline.given_values import instant
from throughline.identity import parse_time, time_text
from throughline.registries import NULL, TRADES, Body, ClosedTrade, Fields, Problem, QuickEntry, Registry, places
from throughline.registries._given import require_agreement, require_fields

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from throughline.storage.records import LedgerRow

RECORD = RecordKind(
    table="soulprints",
    kind="soulprint",
    asset="soulprints",
    event_time="decision_time",
    parent="canonical",
    natural_key=("schema",),
    links={"canonical": "canonical_trades"},
    columns=(
        Column("canonical_uuid", "uuid", "canonical.uuid"),
        Column("canonical_hash", "text", "canonical.hash"),
        Column("soulprint"),
        Column("schema"),
        Column("decision_time", "instant"),
        Column("simhash", nullable=True),
    ),
    versions={
        1: "canonical decision_time experiment missing partition reference schema simhash soulprint subject values",
    },
    indexes=(TableIndex(("canonical_uuid",), unique=True), TableIndex(("soulprint",))),
)

STAGE = StageSpec(
    asset="soulprints",
    group="registry",
    description="The vector of what the market looked like when each of the day's trades was decided.",
    run="throughline.flow.registry:seal_entries",
    shared=True,
    upstream=("canonical_trades",),
    written_by="canonical_trades",
    gate="hard",
)


@dataclass(frozen=True, slots=True)
class Soulprint:
    """The causal vector of a decision.

    Args:
        subject: segment or symbol that it describes.
        decision_time: instant of the decision, as in records.
        values: component -> canonical decimal, None where it is missing.
        reference: name of the series that it was measured against; None = none.
    """

    subject: str
    decision_time: str
    values: Mapping[str, str | None]
    reference: str | None = None

    @property
    def hash(self) -> str:
        """Identity of the vector (SHA-256)."""
        from throughline.signals.vector import soulprint_hash

        return soulprint_hash(self.decision_time, self.subject, self.values)

    @property
    def simhash(self) -> int | None:
        """Similarity key (64 bits), None where too little of the vector is known."""
        from throughline.signals.simhash import simhash
        from throughline.signals.vector import vector_from_text

        return simhash(vector_from_text(self.values))


def soulprint_of(research: LedgerRow) -> Soulprint:
    """Return the soulprint of the trade behind a research record, which holds the signals as of the decision.

    A record written by hand may hold none: then every component is missing.
    """
    from throughline.signals.vector import vector_text
    from throughline.tracking.versions import read_body

    body = read_body("research_docs", research.body)
    signals = body["signals"] or {"values": vector_text({}), "reference": None}
    segment = (body.get("scan_row") or {}).get("segment") or body["instrument"]
    return Soulprint(segment, body["decision_time"], signals["values"], signals["reference"])


def simhash_text(value: int | None) -> str | None:
    """Return a SimHash as it stands in records: 16 hex digits, None where there is none."""
    return None if value is None else f"{value:016x}"


class Soulprints(Registry):
    """The registry of soulprints; its facts of a trade are a `Soulprint`."""

    record = RECORD
    identity = "soulprint"

    def given(self, data: Mapping[str, Any], trade: Body) -> Soulprint:
        """Read vector {component: number | None}, decision_time (None = the entry) and reference."""
        from throughline.signals.vector import require_vector, vector_text

        require_fields(self.name, data, ("confidence", "decision_time", "reference", "strategy_id", "vector"))
        require_agreement(self.name, data, trade)
        try:
            values = vector_text(require_vector(data.get("vector") or {}))
        except ValueError as error:
            raise InvalidTrade(f"soulprints.vector: {error}") from error
        decided = trade["opened_at"]
        if data.get("decision_time") is not None:
            decided = time_text(instant("soulprints.decision_time", data["decision_time"]))
            if parse_time(decided) > parse_time(trade["opened_at"]):
                raise InvalidTrade(f"soulprints.decision_time {decided} lies after the entry {trade['opened_at']}")
        return Soulprint(trade["segment"] or trade["symbol"], decided, values, data.get("reference"))

    def observed(self, closed: ClosedTrade) -> Soulprint:
        """Return the soulprint in the trade's research record."""
        return soulprint_of(closed.research)

    def entry(self, facts: Soulprint, trade: Body, others: Mapping[str, Body]) -> dict[str, Any]:
        """Return vector, identity and SimHash."""
        from throughline.signals.vector import SOULPRINT_SCHEMA

        return {
            "decision_time": facts.decision_time,
            "missing": sorted(name for name, text in facts.values.items() if text is None),
            "reference": facts.reference,
            "schema": SOULPRINT_SCHEMA,
            "simhash": simhash_text(facts.simhash),
            "soulprint": facts.hash,
            "subject": facts.subject,
            "values": dict(facts.values),
        }

    def derived(self, research: LedgerRow) -> Mapping[str, Any]:
        """Return the vector, its subject, instant and reference: all of them are in the research record."""
        soulprint = soulprint_of(research)
        return {
            "decision_time": soulprint.decision_time,
            "reference": soulprint.reference,
            "subject": soulprint.subject,
            "values": dict(soulprint.values),
        }

    def own_problems(self, entry: Body) -> Iterator[Problem]:
        """Identity, SimHash and what is called missing follow from the values."""
        from throughline.signals.vector import SOULPRINT_SCHEMA

        soulprint = Soulprint(entry["subject"], entry["decision_time"], entry["values"], entry["reference"])
        try:
            identity, mark = soulprint.hash, simhash_text(soulprint.simhash)
        except ValueError as error:
            yield Problem("hash_mismatch", f"its values are no vector of {SOULPRINT_SCHEMA} ({error})")
            return
        missing = sorted(name for name, value in entry["values"].items() if value is None)
        for sentence, expected, actual in (
            ("its values hash to another soulprint than it says", identity, entry["soulprint"]),
            ("its schema is unknown", SOULPRINT_SCHEMA, entry["schema"]),
            ("its SimHash does not follow from its values", mark, entry["simhash"]),
            ("what it calls missing is not what its values lack", missing, entry["missing"]),
        ):
            if expected != actual:
                yield Problem("hash_mismatch", sentence, expected, actual)

    def problems(self, entry: Body, trade: Body, others: Mapping[str, Body]) -> Iterator[Problem]:
        """It was decided before the trade was opened, and is about what was traded."""
        decided, opened = entry["decision_time"], trade["opened_at"]
        if decided > opened:
            yield Problem("wrong_order", "was decided after its trade was opened", f"{opened} or before", decided)
        subject = trade["segment"] or trade["symbol"]
        if entry["subject"] != subject:
            sentence = f"subject is {entry['subject']}, its trade gives {subject}"
            yield Problem("inconsistent", sentence, subject, entry["subject"])

    def frame(self, bodies: Sequence[Body]) -> dict[str, list[Any]]:
        """Return how many components each vector has, and how many of them are missing."""
        return {
            "components": [len(body["values"]) for body in bodies],
            "missing": [len(body["missing"]) for body in bodies],
        }

    def statistics(self, connection: Connection, experiment: str, entries: str) -> dict[str, Any]:
        """Return `soulprint_coverage`: how many soulprints have a SimHash (`known`), and their share."""
        from sqlalchemy import text

        statement = text(f"SELECT count(simhash), count(*) FROM ({entries}) AS e")
        known, whole = connection.execute(statement, {"experiment": experiment}).one()
        return {"soulprint_coverage": {"known": known, "share": known / whole if whole else None}}

    @property
    def compared(self) -> tuple[str, ...]:
        """Subject, what is missing, and the components in the order of their names."""
        from throughline.signals.vector import NAMES

        return ("subject", "missing", *(f"values.{name}" for name in sorted(NAMES)))

    def certain(self, entries: Sequence[QuickEntry]) -> Mapping[str, int | None]:
        """Return UUID -> SimHash of the soulprints whose hash, SimHash and missing components certainly follow."""
        from throughline.registries._soulprint_vectors import missing_holds, simhashes, values_of

        simhash = places(RECORD.table)["simhash"]
        read = [(entry.uuid, entry.fields, values_of(entry.text, entry.fields)) for entry in entries]
        known = [(uuid, fields, values) for uuid, fields, values in read if values is not None]
        marks = simhashes([values for _, _, values in known])
        return {
            uuid: mark
            for (uuid, fields, _), mark in zip(known, marks, strict=True)
            if fields is not None
            and fields[simhash] == (NULL if mark is None else f"{mark:016x}")
            and missing_holds(fields)
        }

    def fits(self, entry: Fields, trade: Fields, others: Mapping[str, tuple[Fields, Any]]) -> bool:
        """Compare instant and subject with the trade."""
        own, of = places(RECORD.table), places(TRADES)
        segment = trade[of["segment"]]
        return entry[own["decision_time"]] <= trade[of["opened_at"]] and entry[own["subject"]] == (
            trade[of["symbol"]] if segment == NULL else segment
        )


REGISTRY = Soulprints()
