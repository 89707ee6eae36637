"""The ledger: experiments, the chain from scan to outcome, seals, verdicts, artifacts.

Beside the tables: the views ``current_<table>``, and triggers that refuse UPDATE, DELETE and TRUNCATE on everything
append-only to everyone but the tables' owner. They fire per statement (a change of no row is refused too) and also
under ``session_replication_role = replica``.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LEDGER = (
    "market_scans",
    "candidates",
    "research_docs",
    "dispositions",
    "executions",
    "outcomes",
    "shadow_outcomes",
    "portfolio_states",
)
APPEND_ONLY = (
    "experiments",
    *LEDGER,
    "partition_seals",
    "gate_verdicts",
    "artifacts",
    "artifact_tombstones",
)

REFUSE = """
CREATE FUNCTION throughline_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- where a database URL's user may create no roles, every session is the owner's: then what it declares counts
    IF current_user = (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = TG_RELID)
       AND coalesce(current_setting('throughline.role', true), '') IN ('', 'owner') THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% on % is refused: records are never changed, only corrected by a new entry', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$
"""


def upgrade() -> None:
    """Make everything."""
    op.create_table(
        "artifacts",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_artifacts")),
    )
    op.create_table(
        "experiments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("data_revision", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["parent"], ["experiments.id"], name=op.f("fk_experiments_parent")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
    )
    op.create_table(
        "active_experiments",
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_active_experiments_experiment")),
        sa.PrimaryKeyConstraint("mode", name=op.f("pk_active_experiments")),
    )
    op.create_table(
        "artifact_tombstones",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("expired_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["hash"], ["artifacts.hash"], name=op.f("fk_artifact_tombstones_hash")),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_artifact_tombstones")),
    )
    op.create_table(
        "gate_verdicts",
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("seal", sa.Text(), nullable=False),
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("suite_hash", sa.Text(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_gate_verdicts_experiment")),
        sa.PrimaryKeyConstraint(
            "experiment", "asset", "partition", "seal", "suite_hash", name=op.f("pk_gate_verdicts")
        ),
    )
    op.create_table(
        "market_scans",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("supersedes", sa.Uuid(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("decision_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("instruments", sa.Integer(), nullable=False),
        sa.Column("triggered", sa.Integer(), nullable=False),
        sa.Column("admitted", sa.Integer(), nullable=False),
        sa.CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name=op.f("ck_market_scans_content_hash")),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_market_scans_experiment")),
        sa.ForeignKeyConstraint(["supersedes"], ["market_scans.uuid"], name=op.f("fk_market_scans_supersedes")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_market_scans")),
    )
    op.create_index(
        op.f("ix_market_scans_experiment_partition"), "market_scans", ["experiment", "partition"], unique=False
    )
    op.create_index("uq_market_scans_supersedes", "market_scans", ["supersedes"], unique=True)
    op.create_table(
        "partition_seals",
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("leaves", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("blocked_by", sa.Text(), nullable=True),
        sa.Column("artifact", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("sealed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_partition_seals_experiment")),
        sa.PrimaryKeyConstraint("experiment", "asset", "partition", name=op.f("pk_partition_seals")),
    )
    op.create_table(
        "portfolio_states",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("supersedes", sa.Uuid(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("previous_uuid", sa.Uuid(), nullable=True),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cash_usd", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("equity_usd", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("open_positions", sa.Integer(), nullable=False),
        sa.CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name=op.f("ck_portfolio_states_content_hash")),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_portfolio_states_experiment")),
        sa.ForeignKeyConstraint(
            ["previous_uuid"], ["portfolio_states.uuid"], name=op.f("fk_portfolio_states_previous_uuid")
        ),
        sa.ForeignKeyConstraint(["supersedes"], ["portfolio_states.uuid"], name=op.f("fk_portfolio_states_supersedes")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_portfolio_states")),
    )
    op.create_index(
        op.f("ix_portfolio_states_experiment_partition"), "portfolio_states", ["experiment", "partition"], unique=False
    )
    op.create_index("uq_portfolio_states_supersedes", "portfolio_states", ["supersedes"], unique=True)
    op.create_table(
        "candidates",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("supersedes", sa.Uuid(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("scan_uuid", sa.Uuid(), nullable=True),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("decision_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Numeric(), nullable=False),
        sa.Column("opportunity_score", sa.Numeric(), nullable=True),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("params_ptr", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name=op.f("ck_candidates_content_hash")),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_candidates_experiment")),
        sa.ForeignKeyConstraint(["scan_uuid"], ["market_scans.uuid"], name=op.f("fk_candidates_scan_uuid")),
        sa.ForeignKeyConstraint(["supersedes"], ["candidates.uuid"], name=op.f("fk_candidates_supersedes")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_candidates")),
    )
    op.create_index(op.f("ix_candidates_experiment_partition"), "candidates", ["experiment", "partition"], unique=False)
    op.create_index("uq_candidates_supersedes", "candidates", ["supersedes"], unique=True)
    op.create_table(
        "dispositions",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("supersedes", sa.Uuid(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("candidate_uuid", sa.Uuid(), nullable=False),
        sa.Column("disposition", sa.Text(), nullable=False),
        sa.CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name=op.f("ck_dispositions_content_hash")),
        sa.ForeignKeyConstraint(["candidate_uuid"], ["candidates.uuid"], name=op.f("fk_dispositions_candidate_uuid")),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_dispositions_experiment")),
        sa.ForeignKeyConstraint(["supersedes"], ["dispositions.uuid"], name=op.f("fk_dispositions_supersedes")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_dispositions")),
    )
    op.create_index(
        op.f("ix_dispositions_experiment_partition"), "dispositions", ["experiment", "partition"], unique=False
    )
    op.create_index(
        "uq_dispositions_candidate_uuid",
        "dispositions",
        ["candidate_uuid"],
        unique=True,
        postgresql_where=sa.text("supersedes IS NULL"),
    )
    op.create_index("uq_dispositions_supersedes", "dispositions", ["supersedes"], unique=True)
    op.create_table(
        "research_docs",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("supersedes", sa.Uuid(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("candidate_uuid", sa.Uuid(), nullable=False),
        sa.Column("initial_market_cap", sa.Numeric(), nullable=True),
        sa.Column("volume_24h", sa.Numeric(), nullable=True),
        sa.Column("contract_address", sa.Text(), nullable=True),
        sa.Column("trade_rationale", sa.Text(), nullable=False),
        sa.CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name=op.f("ck_research_docs_content_hash")),
        sa.ForeignKeyConstraint(["candidate_uuid"], ["candidates.uuid"], name=op.f("fk_research_docs_candidate_uuid")),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_research_docs_experiment")),
        sa.ForeignKeyConstraint(["supersedes"], ["research_docs.uuid"], name=op.f("fk_research_docs_supersedes")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_research_docs")),
    )
    op.create_index(
        op.f("ix_research_docs_experiment_partition"), "research_docs", ["experiment", "partition"], unique=False
    )
    op.create_index(
        "uq_research_docs_candidate_uuid",
        "research_docs",
        ["candidate_uuid"],
        unique=True,
        postgresql_where=sa.text("supersedes IS NULL"),
    )
    op.create_index("uq_research_docs_supersedes", "research_docs", ["supersedes"], unique=True)
    op.create_table(
        "shadow_outcomes",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("supersedes", sa.Uuid(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("candidate_uuid", sa.Uuid(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("return_percent", sa.Numeric(), nullable=True),
        sa.Column("termination_reason", sa.Text(), nullable=False),
        sa.CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name=op.f("ck_shadow_outcomes_content_hash")),
        sa.ForeignKeyConstraint(
            ["candidate_uuid"], ["candidates.uuid"], name=op.f("fk_shadow_outcomes_candidate_uuid")
        ),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_shadow_outcomes_experiment")),
        sa.ForeignKeyConstraint(["supersedes"], ["shadow_outcomes.uuid"], name=op.f("fk_shadow_outcomes_supersedes")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_shadow_outcomes")),
    )
    op.create_index(
        op.f("ix_shadow_outcomes_experiment_partition"), "shadow_outcomes", ["experiment", "partition"], unique=False
    )
    op.create_index(
        "uq_shadow_outcomes_candidate_uuid",
        "shadow_outcomes",
        ["candidate_uuid"],
        unique=True,
        postgresql_where=sa.text("supersedes IS NULL"),
    )
    op.create_index("uq_shadow_outcomes_supersedes", "shadow_outcomes", ["supersedes"], unique=True)
    op.create_table(
        "executions",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("supersedes", sa.Uuid(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("candidate_uuid", sa.Uuid(), nullable=False),
        sa.Column("research_uuid", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("fill_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_price", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("notional_usd", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("fee_usd", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name=op.f("ck_executions_content_hash")),
        sa.ForeignKeyConstraint(["candidate_uuid"], ["candidates.uuid"], name=op.f("fk_executions_candidate_uuid")),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_executions_experiment")),
        sa.ForeignKeyConstraint(["research_uuid"], ["research_docs.uuid"], name=op.f("fk_executions_research_uuid")),
        sa.ForeignKeyConstraint(["supersedes"], ["executions.uuid"], name=op.f("fk_executions_supersedes")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_executions")),
    )
    op.create_index(op.f("ix_executions_experiment_partition"), "executions", ["experiment", "partition"], unique=False)
    op.create_index(
        "uq_executions_candidate_uuid",
        "executions",
        ["candidate_uuid"],
        unique=True,
        postgresql_where=sa.text("supersedes IS NULL"),
    )
    op.create_index("uq_executions_supersedes", "executions", ["supersedes"], unique=True)
    op.create_table(
        "outcomes",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("supersedes", sa.Uuid(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("candidate_uuid", sa.Uuid(), nullable=False),
        sa.Column("execution_uuid", sa.Uuid(), nullable=False),
        sa.Column("exit_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("exit_price", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("realized_pnl_usd", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("realized_pnl_percent", sa.Numeric(), nullable=False),
        sa.Column("time_in_market_seconds", sa.BigInteger(), nullable=False),
        sa.Column("termination_reason", sa.Text(), nullable=False),
        sa.CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name=op.f("ck_outcomes_content_hash")),
        sa.ForeignKeyConstraint(["candidate_uuid"], ["candidates.uuid"], name=op.f("fk_outcomes_candidate_uuid")),
        sa.ForeignKeyConstraint(["execution_uuid"], ["executions.uuid"], name=op.f("fk_outcomes_execution_uuid")),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_outcomes_experiment")),
        sa.ForeignKeyConstraint(["supersedes"], ["outcomes.uuid"], name=op.f("fk_outcomes_supersedes")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_outcomes")),
    )
    op.create_index(op.f("ix_outcomes_experiment_partition"), "outcomes", ["experiment", "partition"], unique=False)
    op.create_index(
        "uq_outcomes_candidate_uuid",
        "outcomes",
        ["candidate_uuid"],
        unique=True,
        postgresql_where=sa.text("supersedes IS NULL"),
    )
    op.create_index("uq_outcomes_supersedes", "outcomes", ["supersedes"], unique=True)

    op.execute(REFUSE)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION throughline_refuse_change()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only")
    for table in LEDGER:
        op.execute(
            f"CREATE VIEW current_{table} AS SELECT * FROM {table} AS record "
            f"WHERE NOT EXISTS (SELECT 1 FROM {table} AS later WHERE later.supersedes = record.uuid)"
        )


def downgrade() -> None:
    """Drop everything."""
    for table in LEDGER:
        op.execute(f"DROP VIEW current_{table}")
    op.drop_index("uq_outcomes_supersedes", table_name="outcomes")
    op.drop_index("uq_outcomes_candidate_uuid", table_name="outcomes", postgresql_where=sa.text("supersedes IS NULL"))
    op.drop_index(op.f("ix_outcomes_experiment_partition"), table_name="outcomes")
    op.drop_table("outcomes")
    op.drop_index("uq_executions_supersedes", table_name="executions")
    op.drop_index(
        "uq_executions_candidate_uuid", table_name="executions", postgresql_where=sa.text("supersedes IS NULL")
    )
    op.drop_index(op.f("ix_executions_experiment_partition"), table_name="executions")
    op.drop_table("executions")
    op.drop_index("uq_shadow_outcomes_supersedes", table_name="shadow_outcomes")
    op.drop_index(
        "uq_shadow_outcomes_candidate_uuid",
        table_name="shadow_outcomes",
        postgresql_where=sa.text("supersedes IS NULL"),
    )
    op.drop_index(op.f("ix_shadow_outcomes_experiment_partition"), table_name="shadow_outcomes")
    op.drop_table("shadow_outcomes")
    op.drop_index("uq_research_docs_supersedes", table_name="research_docs")
    op.drop_index(
        "uq_research_docs_candidate_uuid", table_name="research_docs", postgresql_where=sa.text("supersedes IS NULL")
    )
    op.drop_index(op.f("ix_research_docs_experiment_partition"), table_name="research_docs")
    op.drop_table("research_docs")
    op.drop_index("uq_dispositions_supersedes", table_name="dispositions")
    op.drop_index(
        "uq_dispositions_candidate_uuid", table_name="dispositions", postgresql_where=sa.text("supersedes IS NULL")
    )
    op.drop_index(op.f("ix_dispositions_experiment_partition"), table_name="dispositions")
    op.drop_table("dispositions")
    op.drop_index("uq_candidates_supersedes", table_name="candidates")
    op.drop_index(op.f("ix_candidates_experiment_partition"), table_name="candidates")
    op.drop_table("candidates")
    op.drop_index("uq_portfolio_states_supersedes", table_name="portfolio_states")
    op.drop_index(op.f("ix_portfolio_states_experiment_partition"), table_name="portfolio_states")
    op.drop_table("portfolio_states")
    op.drop_table("partition_seals")
    op.drop_index("uq_market_scans_supersedes", table_name="market_scans")
    op.drop_index(op.f("ix_market_scans_experiment_partition"), table_name="market_scans")
    op.drop_table("market_scans")
    op.drop_table("gate_verdicts")
    op.drop_table("artifact_tombstones")
    op.drop_table("active_experiments")
    op.drop_table("experiments")
    op.drop_table("artifacts")
    op.execute("DROP FUNCTION throughline_refuse_change()")
