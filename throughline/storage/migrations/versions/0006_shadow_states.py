"""The state of the open shadows at the end of a day: what was simulated anew from the ten days before is carried.

Append-only like every record table, by the same triggers, with a view of what no correction replaces.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLE = "shadow_states"


def upgrade() -> None:
    """Make the table with its indexes, triggers and view."""
    op.create_table(
        TABLE,
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
        sa.Column("open_shadows", sa.Integer(), nullable=False),
        sa.CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name=op.f("ck_shadow_states_content_hash")),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_shadow_states_experiment")),
        sa.ForeignKeyConstraint(["previous_uuid"], ["shadow_states.uuid"], name=op.f("fk_shadow_states_previous_uuid")),
        sa.ForeignKeyConstraint(["supersedes"], ["shadow_states.uuid"], name=op.f("fk_shadow_states_supersedes")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_shadow_states")),
    )
    op.create_index(op.f("ix_shadow_states_experiment_partition"), TABLE, ["experiment", "partition"], unique=False)
    op.create_index("uq_shadow_states_supersedes", TABLE, ["supersedes"], unique=True)
    op.execute(
        f"CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {TABLE} "
        "FOR EACH STATEMENT EXECUTE FUNCTION throughline_refuse_change()"
    )
    op.execute(f"ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER {TABLE}_append_only")
    op.execute(
        f"CREATE VIEW current_{TABLE} AS SELECT * FROM {TABLE} AS record "
        f"WHERE NOT EXISTS (SELECT 1 FROM {TABLE} AS later WHERE later.supersedes = record.uuid)"
    )


def downgrade() -> None:
    """Drop everything."""
    op.execute(f"DROP VIEW current_{TABLE}")
    op.drop_index("uq_shadow_states_supersedes", table_name=TABLE)
    op.drop_index(op.f("ix_shadow_states_experiment_partition"), table_name=TABLE)
    op.drop_table(TABLE)
