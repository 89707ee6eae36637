"""What each experiment was set up from (paths, seed of the market) is kept per experiment, not per mode.

Until now only the active experiment of a mode had its inputs, so no other one could be run again or made active. A
cache of this machine's paths, and no part of any identity: mutable, like the choice of the active experiment.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, fill it from the active experiments, and drop their column."""
    op.create_table(
        "experiment_inputs",
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name=op.f("fk_experiment_inputs_experiment")),
        sa.PrimaryKeyConstraint("experiment", name=op.f("pk_experiment_inputs")),
    )
    op.execute(
        "INSERT INTO experiment_inputs (experiment, inputs, set_at) "
        "SELECT DISTINCT ON (experiment) experiment, inputs, set_at FROM active_experiments "
        "ORDER BY experiment, set_at DESC"
    )
    op.drop_column("active_experiments", "inputs")


def downgrade() -> None:
    """Give the active experiments their inputs back, and drop the table."""
    op.add_column("active_experiments", sa.Column("inputs", sa.Text(), server_default="{}", nullable=False))
    op.execute(
        "UPDATE active_experiments SET inputs = known.inputs FROM experiment_inputs AS known "
        "WHERE known.experiment = active_experiments.experiment"
    )
    op.alter_column("active_experiments", "inputs", server_default=None)
    op.drop_table("experiment_inputs")
