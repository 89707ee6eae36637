"""The tables, as SQLAlchemy Core metadata: the single truth that migrations are tested against.

Belongs here: columns, keys, links along the chain, and which tables are append-only. Does not belong here: how rows
are written (ledger) or who may do it (roles).

Ledger tables hold one immutable record a row: `body` is the canonical JSON that was hashed, the columns beside the
common ones are its projection. All times are UTC instants. Views ``current_<table>`` show the last of each chain of
corrections.
"""

from __future__ import annotations

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


def _instant() -> DateTime:
    return DateTime(timezone=True)


def _stamp(name: str) -> Column[Any]:
    return Column(name, _instant(), nullable=False, server_default=func.now())


def _candidate() -> Column[Any]:
    return Column("candidate_uuid", ForeignKey("candidates.uuid"), nullable=False)


def _ledger(name: str, *columns: Any, one_per_candidate: bool = False) -> Table:
    """Return a ledger table: the common columns, the projection, and its indexes."""
    table = Table(
        name,
        metadata,
        Column("uuid", Uuid, primary_key=True),
        Column("experiment", Text, ForeignKey("experiments.id"), nullable=False),
        Column("partition", Date, nullable=False),
        Column("content_hash", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("supersedes", Uuid, ForeignKey(f"{name}.uuid"), nullable=True),
        Column("run_id", Text, nullable=True),
        _stamp("recorded_at"),
        *columns,
        CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name="content_hash"),
    )
    Index(None, table.c.experiment, table.c.partition)
    Index(f"uq_{name}_supersedes", table.c.supersedes, unique=True)
    if one_per_candidate:
        Index(
            f"uq_{name}_candidate_uuid",
            table.c.candidate_uuid,
            unique=True,
            postgresql_where=text("supersedes IS NULL"),
        )
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

market_scans = _ledger(
    "market_scans",
    Column("decision_time", _instant(), nullable=False),
    Column("instruments", Integer, nullable=False),
    Column("triggered", Integer, nullable=False),
    Column("admitted", Integer, nullable=False),
)

candidates = _ledger(
    "candidates",
    Column("scan_uuid", ForeignKey("market_scans.uuid"), nullable=True),
    Column("instrument", Text, nullable=False),
    Column("segment", Text, nullable=False),
    Column("decision_time", _instant(), nullable=False),
    Column("strategy", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("confidence", Numeric, nullable=False),
    Column("opportunity_score", Numeric, nullable=True),
    Column("model_version", Text, nullable=False),
    Column("params_ptr", Text, nullable=False),
    Column("created_by", Text, nullable=False),
)

research_docs = _ledger(
    "research_docs",
    _candidate(),
    Column("initial_market_cap", Numeric, nullable=True),
    Column("volume_24h", Numeric, nullable=True),
    Column("contract_address", Text, nullable=True),
    Column("trade_rationale", Text, nullable=False),
    one_per_candidate=True,
)

dispositions = _ledger(
    "dispositions",
    _candidate(),
    Column("disposition", Text, nullable=False),
    one_per_candidate=True,
)

executions = _ledger(
    "executions",
    _candidate(),
    Column("research_uuid", ForeignKey("research_docs.uuid"), nullable=False),
    Column("order_id", Text, nullable=False),
    Column("instrument", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("fill_time", _instant(), nullable=False),
    Column("entry_price", MONEY, nullable=False),
    Column("quantity", MONEY, nullable=False),
    Column("notional_usd", MONEY, nullable=False),
    Column("fee_usd", MONEY, nullable=False),
    one_per_candidate=True,
)

outcomes = _ledger(
    "outcomes",
    _candidate(),
    Column("execution_uuid", ForeignKey("executions.uuid"), nullable=False),
    Column("exit_time", _instant(), nullable=False),
    Column("exit_price", MONEY, nullable=False),
    Column("realized_pnl_usd", MONEY, nullable=False),
    Column("realized_pnl_percent", Numeric, nullable=False),
    Column("time_in_market_seconds", BigInteger, nullable=False),
    Column("termination_reason", Text, nullable=False),
    one_per_candidate=True,
)

shadow_outcomes = _ledger(
    "shadow_outcomes",
    _candidate(),
    Column("resolved_at", _instant(), nullable=False),
    Column("return_percent", Numeric, nullable=True),
    Column("termination_reason", Text, nullable=False),
    one_per_candidate=True,
)

portfolio_states = _ledger(
    "portfolio_states",
    Column("previous_uuid", Uuid, ForeignKey("portfolio_states.uuid"), nullable=True),
    Column("as_of", _instant(), nullable=False),
    Column("cash_usd", MONEY, nullable=False),
    Column("equity_usd", MONEY, nullable=False),
    Column("open_positions", Integer, nullable=False),
)

canonical_trades = _ledger(
    "canonical_trades",
    Column("candidate_uuid", ForeignKey("candidates.uuid"), nullable=True),
    Column("outcome_uuid", ForeignKey("outcomes.uuid"), nullable=True),
    Column("symbol", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("strategy_id", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("opened_at", _instant(), nullable=False),
    Column("closed_at", _instant(), nullable=False),
    Column("entry_price", MONEY, nullable=False),
    Column("exit_price", MONEY, nullable=False),
    Column("amount", MONEY, nullable=False),
    Column("fees_usd", MONEY, nullable=False),
    Column("profit_usd", MONEY, nullable=False),
    Column("profit_percentage", Numeric, nullable=False),
    Column("termination_reason", Text, nullable=False),
    Column("soulprint", Text, nullable=False),
    Column("pattern", Text, nullable=False),
    one_per_candidate=True,
)
Index(None, canonical_trades.c.content_hash)
Index(None, canonical_trades.c.symbol)

soulprints = _ledger(
    "soulprints",
    Column("canonical_uuid", ForeignKey("canonical_trades.uuid"), nullable=False),
    Column("canonical_hash", Text, nullable=False),
    Column("soulprint", Text, nullable=False),
    Column("schema", Text, nullable=False),
    Column("decision_time", _instant(), nullable=False),
    Column("simhash", Text, nullable=True),
)
Index(None, soulprints.c.canonical_uuid, unique=True)
Index(None, soulprints.c.soulprint)

profit_buckets = _ledger(
    "profit_buckets",
    Column("canonical_uuid", ForeignKey("canonical_trades.uuid"), nullable=False),
    Column("canonical_hash", Text, nullable=False),
    Column("pattern", Text, nullable=False),
    Column("buckets", ARRAY(Text), nullable=False),
    Column("closed_at", _instant(), nullable=False),
    Column("max_favorable_percent", Numeric, nullable=True),
    Column("max_adverse_percent", Numeric, nullable=True),
)
Index(None, profit_buckets.c.canonical_uuid, unique=True)
Index(None, profit_buckets.c.buckets, postgresql_using="gin")

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
)
"""The experiment that a mode works on where none is named."""

experiment_inputs = Table(
    "experiment_inputs",
    metadata,
    Column("experiment", Text, ForeignKey("experiments.id"), primary_key=True),
    Column("inputs", Text, nullable=False),
    _stamp("set_at"),
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

trade_features = _ledger(
    "trade_features",
    _candidate(),
    Column("research_uuid", ForeignKey("research_docs.uuid"), nullable=False),
    Column("source", Text, nullable=False),
    Column("resolved_at", _instant(), nullable=False),
    Column("net_return", Numeric, nullable=False),
    Column("features_hash", Text, nullable=False),
    Column("schema", Text, nullable=False),
)
Index(None, trade_features.c.candidate_uuid, trade_features.c.source)

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
"""Every trial that was ever made, by the hash of what was tried on what: a rerun adds none."""

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
)
"""The latest feature vector per instrument, where no Redis is configured. A cache: what is true is in the ledger."""

CHAIN: tuple[Table, ...] = (
    market_scans,
    candidates,
    research_docs,
    dispositions,
    executions,
    outcomes,
    shadow_outcomes,
    portfolio_states,
    trade_features,
)
"""The tables of the chain, parents before children."""

REGISTRY: tuple[Table, ...] = (canonical_trades, soulprints, profit_buckets)
"""The tables of the registries, parents before children."""

LEDGER: tuple[Table, ...] = (*CHAIN, *REGISTRY)
"""The ledger tables, parents before children."""

LEARNING: tuple[Table, ...] = (
    models,
    model_verdicts,
    model_trials,
    holdout_openings,
    model_registrations,
    model_events,
    model_scores,
    canary_looks,
)
"""The tables of models and what became of them, parents before children."""

APPEND_ONLY: tuple[Table, ...] = (
    experiments,
    *LEDGER,
    partition_seals,
    gate_verdicts,
    artifacts,
    artifact_tombstones,
    seal_events,
    seal_heads,
    registry_quarantine,
    consistency_reports,
    *LEARNING,
)
"""Tables that nobody but the owner may update, delete from or truncate."""

MUTABLE: tuple[Table, ...] = (active_experiments, experiment_inputs, hot_features)

COMMON = ("uuid", "experiment", "partition", "content_hash", "body", "supersedes", "run_id", "recorded_at")
"""Columns that every ledger table has; the rest is the projection."""


def ledger_table(name: str) -> Table:
    """Return the ledger table `name`. Raises KeyError for any other name."""
    return _BY_NAME[name]


def projection(table: Table) -> tuple[str, ...]:
    """Return the names of the projection columns of a ledger table, in order."""
    return tuple(column.name for column in table.columns if column.name not in COMMON)


def view_name(table: Table) -> str:
    """Return the name of the view that shows the latest of each chain of corrections."""
    return f"current_{table.name}"


_BY_NAME = {table.name: table for table in LEDGER}
