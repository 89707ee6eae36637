"""Learning: labelled feature rows, models with their verdicts, trials and events, scores, canary looks, hot features.

All but the hot features, which are a cache, are append-only like the ledger.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

APPEND_ONLY = (
    "trade_features",
    "models",
    "model_verdicts",
    "model_trials",
    "holdout_openings",
    "model_registrations",
    "model_events",
    "model_scores",
    "canary_looks",
)


def upgrade() -> None:
    """Make everything."""
    op.create_table(
        "hot_features",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "instrument", name=op.f("pk_hot_features")),
    )
    op.create_table(
        "model_events",
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_model_events_experiment")),
        sa.PrimaryKeyConstraint("experiment", "seq", name=op.f("pk_model_events")),
    )
    op.create_table(
        "model_trials",
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("trial", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_model_trials_experiment")),
        sa.PrimaryKeyConstraint("experiment", "trial", name=op.f("pk_model_trials")),
    )
    op.create_table(
        "models",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("file_hash", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_models_experiment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
    )
    op.create_index(op.f("ix_models_experiment"), "models", ["experiment"], unique=False)
    op.create_table(
        "canary_looks",
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_canary_looks_experiment")),
        sa.ForeignKeyConstraint(["model"], ["models.id"], name=op.f("fk_canary_looks_model")),
        sa.PrimaryKeyConstraint("experiment", "model", "as_of", name=op.f("pk_canary_looks")),
    )
    op.create_table(
        "holdout_openings",
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["models.id"], name=op.f("fk_holdout_openings_model")),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_holdout_openings")),
    )
    op.create_table(
        "model_registrations",
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("mlflow_run", sa.Text(), nullable=False),
        sa.Column("mlflow_version", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["models.id"], name=op.f("fk_model_registrations_model")),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_model_registrations")),
    )
    op.create_table(
        "model_verdicts",
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("gate", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("threshold", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["models.id"], name=op.f("fk_model_verdicts_model")),
        sa.PrimaryKeyConstraint("model", "gate", name=op.f("pk_model_verdicts")),
    )
    op.create_table(
        "model_scores",
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("candidate_uuid", sa.Uuid(), nullable=False),
        sa.Column("features_hash", sa.Text(), nullable=False),
        sa.Column("probability", sa.Text(), nullable=False),
        sa.Column("expected_return", sa.Text(), nullable=False),
        sa.Column("take", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["candidate_uuid"], ["candidates.uuid"], name=op.f("fk_model_scores_candidate_uuid")),
        sa.ForeignKeyConstraint(["model"], ["models.id"], name=op.f("fk_model_scores_model")),
        sa.PrimaryKeyConstraint("model", "candidate_uuid", name=op.f("pk_model_scores")),
    )
    op.create_table(
        "trade_features",
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
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("net_return", sa.Numeric(), nullable=False),
        sa.Column("features_hash", sa.Text(), nullable=False),
        sa.Column("schema", sa.Text(), nullable=False),
        sa.CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name=op.f("ck_trade_features_content_hash")),
        sa.ForeignKeyConstraint(["candidate_uuid"], ["candidates.uuid"], name=op.f("fk_trade_features_candidate_uuid")),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_trade_features_experiment")),
        sa.ForeignKeyConstraint(
            ["research_uuid"], ["research_docs.uuid"], name=op.f("fk_trade_features_research_uuid")
        ),
        sa.ForeignKeyConstraint(["supersedes"], ["trade_features.uuid"], name=op.f("fk_trade_features_supersedes")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_trade_features")),
    )
    op.create_index(
        op.f("ix_trade_features_candidate_uuid_source"), "trade_features", ["candidate_uuid", "source"], unique=False
    )
    op.create_index(
        op.f("ix_trade_features_experiment_partition"), "trade_features", ["experiment", "partition"], unique=False
    )
    op.create_index("uq_trade_features_supersedes", "trade_features", ["supersedes"], unique=True)

    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION throughline_refuse_change()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only")
    op.execute(
        "CREATE VIEW current_trade_features AS SELECT * FROM trade_features AS record "
        "WHERE NOT EXISTS (SELECT 1 FROM trade_features AS later WHERE later.supersedes = record.uuid)"
    )


def downgrade() -> None:
    """Drop everything."""
    op.execute("DROP VIEW current_trade_features")
    op.drop_index("uq_trade_features_supersedes", table_name="trade_features")
    op.drop_index(op.f("ix_trade_features_experiment_partition"), table_name="trade_features")
    op.drop_index(op.f("ix_trade_features_candidate_uuid_source"), table_name="trade_features")
    op.drop_table("trade_features")
    op.drop_table("model_scores")
    op.drop_table("model_verdicts")
    op.drop_table("model_registrations")
    op.drop_table("holdout_openings")
    op.drop_table("canary_looks")
    op.drop_index(op.f("ix_models_experiment"), table_name="models")
    op.drop_table("models")
    op.drop_table("model_trials")
    op.drop_table("model_events")
    op.drop_table("hot_features")
