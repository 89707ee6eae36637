"""The registries: canonical trades, soulprints, profit buckets; the seal log with its heads; quarantine and reports.

All of them are append-only like the ledger, by the same triggers; the registries have views ``current_<table>`` too.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

REGISTRY = ("canonical_trades", "soulprints", "profit_buckets")
APPEND_ONLY = (*REGISTRY, "seal_events", "seal_heads", "registry_quarantine", "consistency_reports")


def upgrade() -> None:
    """Make everything."""
    op.create_table(
        "consistency_reports",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("findings", sa.Integer(), nullable=False),
        sa.Column("tree_size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_consistency_reports")),
    )
    op.create_table(
        "registry_quarantine",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_uuid", sa.Uuid(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("finding", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_registry_quarantine")),
    )
    op.create_table(
        "seal_heads",
        sa.Column("tree_size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tree_size", name=op.f("pk_seal_heads")),
    )
    op.create_table(
        "seal_events",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=True),
        sa.Column("asset", sa.Text(), nullable=True),
        sa.Column("partition", sa.Date(), nullable=True),
        sa.Column("leaf_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_seal_events_experiment")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_seal_events")),
    )
    op.create_index(
        "uq_seal_events_seal",
        "seal_events",
        ["experiment", "asset", "partition"],
        unique=True,
        postgresql_where=sa.text("kind = 'seal'"),
    )
    op.create_table(
        "canonical_trades",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("supersedes", sa.Uuid(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("candidate_uuid", sa.Uuid(), nullable=True),
        sa.Column("outcome_uuid", sa.Uuid(), nullable=True),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("strategy_id", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_price", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("exit_price", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("amount", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("fees_usd", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("profit_usd", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("profit_percentage", sa.Numeric(), nullable=False),
        sa.Column("termination_reason", sa.Text(), nullable=False),
        sa.Column("soulprint", sa.Text(), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name=op.f("ck_canonical_trades_content_hash")),
        sa.ForeignKeyConstraint(
            ["candidate_uuid"], ["candidates.uuid"], name=op.f("fk_canonical_trades_candidate_uuid")
        ),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_canonical_trades_experiment")),
        sa.ForeignKeyConstraint(["outcome_uuid"], ["outcomes.uuid"], name=op.f("fk_canonical_trades_outcome_uuid")),
        sa.ForeignKeyConstraint(["supersedes"], ["canonical_trades.uuid"], name=op.f("fk_canonical_trades_supersedes")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_canonical_trades")),
    )
    op.create_index(op.f("ix_canonical_trades_content_hash"), "canonical_trades", ["content_hash"], unique=False)
    op.create_index(
        op.f("ix_canonical_trades_experiment_partition"), "canonical_trades", ["experiment", "partition"], unique=False
    )
    op.create_index(op.f("ix_canonical_trades_symbol"), "canonical_trades", ["symbol"], unique=False)
    op.create_index(
        "uq_canonical_trades_candidate_uuid",
        "canonical_trades",
        ["candidate_uuid"],
        unique=True,
        postgresql_where=sa.text("supersedes IS NULL"),
    )
    op.create_index("uq_canonical_trades_supersedes", "canonical_trades", ["supersedes"], unique=True)
    op.create_table(
        "profit_buckets",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("supersedes", sa.Uuid(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("canonical_uuid", sa.Uuid(), nullable=False),
        sa.Column("canonical_hash", sa.Text(), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("buckets", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("max_favorable_percent", sa.Numeric(), nullable=True),
        sa.Column("max_adverse_percent", sa.Numeric(), nullable=True),
        sa.CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name=op.f("ck_profit_buckets_content_hash")),
        sa.ForeignKeyConstraint(
            ["canonical_uuid"], ["canonical_trades.uuid"], name=op.f("fk_profit_buckets_canonical_uuid")
        ),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_profit_buckets_experiment")),
        sa.ForeignKeyConstraint(["supersedes"], ["profit_buckets.uuid"], name=op.f("fk_profit_buckets_supersedes")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_profit_buckets")),
    )
    op.create_index(
        op.f("ix_profit_buckets_buckets"), "profit_buckets", ["buckets"], unique=False, postgresql_using="gin"
    )
    op.create_index(op.f("ix_profit_buckets_canonical_uuid"), "profit_buckets", ["canonical_uuid"], unique=True)
    op.create_index(
        op.f("ix_profit_buckets_experiment_partition"), "profit_buckets", ["experiment", "partition"], unique=False
    )
    op.create_index("uq_profit_buckets_supersedes", "profit_buckets", ["supersedes"], unique=True)
    op.create_table(
        "soulprints",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("supersedes", sa.Uuid(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("canonical_uuid", sa.Uuid(), nullable=False),
        sa.Column("canonical_hash", sa.Text(), nullable=False),
        sa.Column("soulprint", sa.Text(), nullable=False),
        sa.Column("schema", sa.Text(), nullable=False),
        sa.Column("decision_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("simhash", sa.Text(), nullable=True),
        sa.CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name=op.f("ck_soulprints_content_hash")),
        sa.ForeignKeyConstraint(
            ["canonical_uuid"], ["canonical_trades.uuid"], name=op.f("fk_soulprints_canonical_uuid")
        ),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_soulprints_experiment")),
        sa.ForeignKeyConstraint(["supersedes"], ["soulprints.uuid"], name=op.f("fk_soulprints_supersedes")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_soulprints")),
    )
    op.create_index(op.f("ix_soulprints_canonical_uuid"), "soulprints", ["canonical_uuid"], unique=True)
    op.create_index(op.f("ix_soulprints_experiment_partition"), "soulprints", ["experiment", "partition"], unique=False)
    op.create_index(op.f("ix_soulprints_soulprint"), "soulprints", ["soulprint"], unique=False)
    op.create_index("uq_soulprints_supersedes", "soulprints", ["supersedes"], unique=True)

    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION throughline_refuse_change()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only")
    for table in REGISTRY:
        op.execute(
            f"CREATE VIEW current_{table} AS SELECT * FROM {table} AS record "
            f"WHERE NOT EXISTS (SELECT 1 FROM {table} AS later WHERE later.supersedes = record.uuid)"
        )


def downgrade() -> None:
    """Drop everything."""
    for table in REGISTRY:
        op.execute(f"DROP VIEW current_{table}")
    op.drop_index("uq_soulprints_supersedes", table_name="soulprints")
    op.drop_index(op.f("ix_soulprints_soulprint"), table_name="soulprints")
    op.drop_index(op.f("ix_soulprints_experiment_partition"), table_name="soulprints")
    op.drop_index(op.f("ix_soulprints_canonical_uuid"), table_name="soulprints")
    op.drop_table("soulprints")
    op.drop_index("uq_profit_buckets_supersedes", table_name="profit_buckets")
    op.drop_index(op.f("ix_profit_buckets_experiment_partition"), table_name="profit_buckets")
    op.drop_index(op.f("ix_profit_buckets_canonical_uuid"), table_name="profit_buckets")
    op.drop_index(op.f("ix_profit_buckets_buckets"), table_name="profit_buckets", postgresql_using="gin")
    op.drop_table("profit_buckets")
    op.drop_index("uq_canonical_trades_supersedes", table_name="canonical_trades")
    op.drop_index(
        "uq_canonical_trades_candidate_uuid",
        table_name="canonical_trades",
        postgresql_where=sa.text("supersedes IS NULL"),
    )
    op.drop_index(op.f("ix_canonical_trades_symbol"), table_name="canonical_trades")
    op.drop_index(op.f("ix_canonical_trades_experiment_partition"), table_name="canonical_trades")
    op.drop_index(op.f("ix_canonical_trades_content_hash"), table_name="canonical_trades")
    op.drop_table("canonical_trades")
    op.drop_index("uq_seal_events_seal", table_name="seal_events", postgresql_where=sa.text("kind = 'seal'"))
    op.drop_table("seal_events")
    op.drop_table("seal_heads")
    op.drop_table("registry_quarantine")
    op.drop_table("consistency_reports")
