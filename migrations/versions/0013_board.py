"""What mail systems say after they accepted a mail, and the list of all mails.

Only adds: code of the version before goes on working on this schema.

Revision: 0013_board
After: 0012_absence
"""

import sqlalchemy as sa
from alembic import op

revision = "0013_board"
down_revision = "0012_absence"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("delivery", sa.Column("bounced_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("delivery", sa.Column("delayed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_delivery_message", "delivery", ["message_id"])
    op.create_index("ix_delivery_board", "delivery", ["community_id", "planned_at"])


def downgrade() -> None:
    op.drop_index("ix_delivery_board", table_name="delivery")
    op.drop_index("ix_delivery_message", table_name="delivery")
    op.drop_column("delivery", "delayed_at")
    op.drop_column("delivery", "bounced_at")
