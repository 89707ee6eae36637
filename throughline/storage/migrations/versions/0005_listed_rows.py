"""The seal log lists the rows of every append-only table: an index for the events that are no seals.

Rows that older releases wrote stay as they are. The first publish of this release adopts them into the log.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.create_index(
        "ix_seal_events_kind", "seal_events", ["kind", "seq"], unique=False, postgresql_where=sa.text("kind <> 'seal'")
    )


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("ix_seal_events_kind", table_name="seal_events")
