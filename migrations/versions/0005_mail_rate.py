"""When a mail was last taken to be sent, from which the rate of mails is counted.

Only adds: code of the version before goes on working on this schema.

Revision: 0005_mail_rate
After: 0004_worker_heartbeat
"""

import sqlalchemy as sa
from alembic import op

revision = "0005_mail_rate"
down_revision = "0004_worker_heartbeat"
branch_labels = None
depends_on = None

TAKEN = sa.text("taken_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("delivery", sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_delivery_taken", "delivery", ["taken_at"], unique=False, postgresql_where=TAKEN, sqlite_where=TAKEN
    )


def downgrade() -> None:
    op.drop_index("ix_delivery_taken", table_name="delivery")
    with op.batch_alter_table("delivery") as table:
        table.drop_column("taken_at")
