"""Dates that a case's owner sets by hand, July as a setting of the community, and how many cases a body treats.

Only adds: code of the version before goes on working on this schema.

Revision: 0008_hand_dates
After: 0007_done_by
"""

import sqlalchemy as sa
from alembic import op

revision = "0008_hand_dates"
down_revision = "0007_done_by"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "process_instance", sa.Column("hand_dates", sa.JSON(), nullable=False, server_default=sa.text("'{}'"))
    )
    op.add_column("community", sa.Column("july_allowed", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("body", sa.Column("capacity", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("body", "capacity")
    op.drop_column("community", "july_allowed")
    op.drop_column("process_instance", "hand_dates")
