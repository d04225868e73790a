"""Indexes of what someone has completed and sent on for approval, so that the list of it reads only theirs.

Only adds: code of the version before goes on working on this schema.

Revision: 0007_done_by
After: 0006_asked_in_step
"""

import sqlalchemy as sa
from alembic import op

revision = "0007_done_by"
down_revision = "0006_asked_in_step"
branch_labels = None
depends_on = None

COMPLETED = sa.text("completed_by_id IS NOT NULL")
SUBMITTED = sa.text("submitted_by_id IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_user_task_completed", "user_task", ["completed_by_id", "completed_at"],
        postgresql_where=COMPLETED, sqlite_where=COMPLETED,
    )  # fmt: skip
    op.create_index(
        "ix_user_task_submitted", "user_task", ["submitted_by_id", "state"],
        postgresql_where=SUBMITTED, sqlite_where=SUBMITTED,
    )  # fmt: skip


def downgrade() -> None:
    op.drop_index("ix_user_task_submitted", table_name="user_task")
    op.drop_index("ix_user_task_completed", table_name="user_task")
