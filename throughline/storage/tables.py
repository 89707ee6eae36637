"""The tables, as SQLAlchemy Core metadata: what the migrations make is tested against it.

Belongs here: the tables of the catalogue's records, and the tables that hold no records (experiments, seals, verdicts,
artifacts, the log, models). Does not belong here: what a kind of record is (`throughline.catalogue`), how rows are
written (ledger) or who may do it (roles).

A record table holds one immutable record a row: `body` is the canonical JSON that was hashed, the columns beside the
common ones are its projection. All times are UTC instants. Views ``current_<table>`` show the last of each chain of
corrections.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.types import TypeEngine

from throughline.catalogue import ColumnType, RecordKind, catalogue

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

MONEY = Numeric(38, 18)
"""Money, prices and quantities."""

COMMON = ("uuid", "experiment", "partition", "content_hash", "body", "supersedes", "run_id", "recorded_at")
"""Columns that every record table has; the rest is the projection."""

CHANGEABLE = {"append_only": False}
"""`info` of a table of settings or a cache. Every other table is append-only."""

_TYPES: Mapping[ColumnType, TypeEngine[Any]] = {
    "text": Text(),
    "texts": ARRAY(Text),
    "uuid": Uuid(),
    "instant": DateTime(timezone=True),
    "number": Numeric(),
    "money": MONEY,
    "integer": Integer(),
    "big_integer": BigInteger(),
}


def _instant() -> DateTime:
    return DateTime(timezone=True)


def _stamp(name: str) -> Column[Any]:
    return Column(name, _instant(), nullable=False, server_default=func.now())


def record_table(kind: RecordKind, target: MetaData) -> Table:
    """Create the table of a kind of record in `target`: the common columns, the projection and its indexes."""
    projected = []
    for column in kind.columns:
        parent = kind.references(column)
        keys = () if parent is None else (ForeignKey(f"{parent}.uuid"),)
        projected.append(Column(column.name, _TYPES[column.type], *keys, nullable=column.nullable))
    table = Table(
        kind.table,
        target,
        Column("uuid", Uuid, primary_key=True),
        Column("experiment", Text, ForeignKey("experiments.id"), nullable=False),
        Column("partition", Date, nullable=False),
        Column("content_hash", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("supersedes", Uuid, ForeignKey(f"{kind.table}.uuid"), nullable=True),
        Column("run_id", Text, nullable=True),
        _stamp("recorded_at"),
        *projected,
        CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name="content_hash"),
    )
    Index(None, table.c.experiment, table.c.partition)
    Index(f"uq_{kind.table}_supersedes", table.c.supersedes, unique=True)
    if kind.one_per_candidate:
        name, first = f"uq_{kind.table}_candidate_uuid", text("supersedes IS NULL")
        Index(name, table.c.candidate_uuid, unique=True, postgresql_where=first)
    for index in kind.indexes:
        columns = [table.c[name] for name in index.columns]
        Index(None, *columns, unique=index.unique, postgresql_using=index.method or None)
    return table


experiments = Table(
    "experiments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("mode", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("parent", Text, ForeignKey("experiments.id"), nullable=True),
    Column("data_revision", Text, nullable=True),
    _stamp("created_at"),
)

partition_seals = Table(
    "partition_seals",
    metadata,
    Column("experiment", Text, ForeignKey("experiments.id"), nullable=False),
    Column("asset", Text, nullable=False),
    Column("partition", Date, nullable=False),
    Column("root", Text, nullable=False),
    Column("leaves", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("blocked_by", Text, nullable=True),
    Column("artifact", Text, nullable=True),
    Column("details", Text, nullable=False),
    Column("run_id", Text, nullable=True),
    _stamp("sealed_at"),
    PrimaryKeyConstraint("experiment", "asset", "partition"),
)

gate_verdicts = Table(
    "gate_verdicts",
    metadata,
    Column("experiment", Text, ForeignKey("experiments.id"), nullable=False),
    Column("asset", Text, nullable=False),
    Column("partition", Date, nullable=False),
    Column("seal", Text, nullable=False),
    Column("suite", Text, nullable=False),
    Column("suite_hash", Text, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("failures", Text, nullable=False),
    _stamp("recorded_at"),
    PrimaryKeyConstraint("experiment", "asset", "partition", "seal", "suite_hash"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("location", Text, nullable=False),
    _stamp("created_at"),
)

artifact_tombstones = Table(
    "artifact_tombstones",
    metadata,
    Column("hash", Text, ForeignKey("artifacts.hash"), primary_key=True),
    Column("expired_at", _instant(), nullable=False),
    Column("reason", Text, nullable=False),
)

active_experiments = Table(
    "active_experiments",
    metadata,
    Column("mode", Text, primary_key=True),
    Column("experiment", Text, ForeignKey("experiments.id"), nullable=False),
    _stamp("set_at"),
    info=CHANGEABLE,
)
"""The experiment that a mode works on where none is named."""

experiment_inputs = Table(
    "experiment_inputs",
    metadata,
    Column("experiment", Text, ForeignKey("experiments.id"), primary_key=True),
    Column("inputs", Text, nullable=False),
    _stamp("set_at"),
    info=CHANGEABLE,
)
"""What an experiment was last run from on this machine (paths of its archive, or the seed of its market), as JSON."""

seal_events = Table(
    "seal_events",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("experiment", Text, ForeignKey("experiments.id"), nullable=True),
    Column("asset", Text, nullable=True),
    Column("partition", Date, nullable=True),
    Column("leaf_hash", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _stamp("recorded_at"),
)
"""The seal log (RFC 9162): one event a row in commit order, `seq` without gaps from 0."""
Index(
    "uq_seal_events_seal",
    seal_events.c.experiment,
    seal_events.c.asset,
    seal_events.c.partition,
    unique=True,
    postgresql_where=text("kind = 'seal'"),
)
Index("ix_seal_events_kind", seal_events.c.kind, seal_events.c.seq, postgresql_where=text("kind <> 'seal'"))

seal_heads = Table(
    "seal_heads",
    metadata,
    Column("tree_size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("signature", Text, nullable=False),
    _stamp("recorded_at"),
)
"""Signed heads of the seal log."""

registry_quarantine = Table(
    "registry_quarantine",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("table_name", Text, nullable=False),
    Column("row_uuid", Uuid, nullable=False),
    Column("action", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("finding", Text, nullable=False),
    _stamp("recorded_at"),
)
"""Entries taken out of use ('quarantine') and given back ('release'); the last action counts. Nothing is deleted."""

consistency_reports = Table(
    "consistency_reports",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("scope", Text, nullable=False),
    Column("checked_at", _instant(), nullable=False),
    Column("ok", Boolean, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("findings", Integer, nullable=False),
    Column("tree_size", BigInteger, nullable=False),
    Column("root", Text, nullable=False),
    Column("report", Text, nullable=False),
    _stamp("recorded_at"),
)
"""What each consistency check of the registry said; `report` is the hash of its artifact."""

models = Table(
    "models",
    metadata,
    Column("id", Text, primary_key=True),
    Column("experiment", Text, ForeignKey("experiments.id"), nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("file_hash", Text, nullable=True),
    _stamp("recorded_at"),
)
"""Every model that was trained, by its model id. `file_hash` is the artifact of its file: an attribute, since a dump is
not byte-stable; None where the labels were too few to train on."""
Index(None, models.c.experiment)

model_verdicts = Table(
    "model_verdicts",
    metadata,
    Column("model", Text, ForeignKey("models.id"), nullable=False),
    Column("gate", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("value", Text, nullable=True),
    Column("threshold", Text, nullable=True),
    Column("reason", Text, nullable=False),
    _stamp("recorded_at"),
    PrimaryKeyConstraint("model", "gate"),
)
"""What each gate said of a model, once."""

model_trials = Table(
    "model_trials",
    metadata,
    Column("experiment", Text, ForeignKey("experiments.id"), nullable=False),
    Column("trial", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _stamp("recorded_at"),
    PrimaryKeyConstraint("experiment", "trial"),
)
"""Every trial, by the hash of what was tried on what: a rerun adds none."""

holdout_openings = Table(
    "holdout_openings",
    metadata,
    Column("model", Text, ForeignKey("models.id"), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    _stamp("recorded_at"),
)
"""What a model's holdout said when it was opened: once for each model id. Models may share its days."""

model_registrations = Table(
    "model_registrations",
    metadata,
    Column("model", Text, ForeignKey("models.id"), primary_key=True),
    Column("mlflow_run", Text, nullable=False),
    Column("mlflow_version", Text, nullable=False),
    _stamp("recorded_at"),
)
"""Under which run and version MLflow shows a model."""

model_events = Table(
    "model_events",
    metadata,
    Column("experiment", Text, ForeignKey("experiments.id"), nullable=False),
    Column("seq", Integer, nullable=False, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("effective_at", _instant(), nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _stamp("recorded_at"),
    PrimaryKeyConstraint("experiment", "seq"),
)
"""What happened to an experiment's models, in order: who serves at an instant follows from it and from nothing else."""

model_scores = Table(
    "model_scores",
    metadata,
    Column("model", Text, ForeignKey("models.id"), nullable=False),
    Column("candidate_uuid", Uuid, ForeignKey("candidates.uuid"), nullable=False),
    Column("features_hash", Text, nullable=False),
    Column("probability", Text, nullable=False),
    Column("expected_return", Text, nullable=False),
    Column("take", Boolean, nullable=False),
    _stamp("recorded_at"),
    PrimaryKeyConstraint("model", "candidate_uuid"),
)
"""Scores by models that were trained after the decision; those of its time are in the candidate."""

canary_looks = Table(
    "canary_looks",
    metadata,
    Column("experiment", Text, ForeignKey("experiments.id"), nullable=False),
    Column("model", Text, ForeignKey("models.id"), nullable=False),
    Column("as_of", _instant(), nullable=False),
    Column("verdict", Text, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _stamp("recorded_at"),
    PrimaryKeyConstraint("experiment", "model", "as_of"),
)
"""What the judge said at each look."""

hot_features = Table(
    "hot_features",
    metadata,
    Column("namespace", Text, nullable=False),
    Column("instrument", Text, nullable=False),
    Column("event_time", _instant(), nullable=False),
    Column("entry", LargeBinary, nullable=False),
    PrimaryKeyConstraint("namespace", "instrument"),
    info=CHANGEABLE,
)
"""The latest feature vector per instrument, where no Redis is configured. A cache: what is true is in the ledger."""

_RECORDS: Mapping[str, Table] = {name: record_table(kind, metadata) for name, kind in catalogue().records.items()}

LEDGER: tuple[Table, ...] = tuple(_RECORDS.values())
"""The record tables, parents before children."""

REGISTRY: tuple[Table, ...] = tuple(_RECORDS[name] for name in catalogue().registries)
"""The tables of the registries, parents before children."""

CHAIN: tuple[Table, ...] = tuple(table for table in LEDGER if table not in REGISTRY)
"""The tables of the chain from scan to outcome and of what is learned from it, parents before children."""

APPEND_ONLY: tuple[Table, ...] = tuple(table for table in metadata.sorted_tables if table.info is not CHANGEABLE)
"""Tables that nobody but the owner may update, delete from or truncate, parents before children."""

MUTABLE: tuple[Table, ...] = tuple(table for table in metadata.sorted_tables if table not in APPEND_ONLY)
"""Tables of settings and caches."""

LISTED: tuple[Table, ...] = tuple(
    table for table in APPEND_ONLY if table not in (*LEDGER, partition_seals, seal_events, seal_heads)
)
"""Append-only tables of which the seal log lists every row by its hash. Records of the ledger and seals have events of
their own: a seal's event covers all columns of the seal, and the records behind it."""


def __getattr__(name: str) -> Table:
    """Return the table of a kind of record as an attribute of this module: ``tables.outcomes``."""
    if name not in _RECORDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _RECORDS[name]


def ledger_table(name: str) -> Table:
    """Return the record table `name`. Raises KeyError for any other name."""
    return _RECORDS[name]


def projection(table: Table) -> tuple[str, ...]:
    """Return the names of the projection columns of a record table, in order."""
    return tuple(column.name for column in table.columns if column.name not in COMMON)


def view_name(table: Table) -> str:
    """Return the name of the view that shows the latest of each chain of corrections."""
    return f"current_{table.name}"
