"""Which processes the clock turns in, and an index that counts mails by their state.

Only adds: code of the version before goes on working on this schema.

Revision: 0004_worker_heartbeat
After: 0003_mails_about_incidents
"""

import sqlalchemy as sa
from alembic import op

revision = "0004_worker_heartbeat"
down_revision = "0003_mails_about_incidents"
branch_labels = None
depends_on = None

#: 64 bits on PostgreSQL; SQLite only counts up by itself in an INTEGER key.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "worker_heartbeat",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_worker_heartbeat"),
        sa.UniqueConstraint("name", name="uq_worker_heartbeat_name"),
    )
    op.create_index("ix_delivery_state", "delivery", ["state", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_delivery_state", table_name="delivery")
    op.drop_table("worker_heartbeat")
