"""An index of who is still to answer in each step, so that an answer costs the same however many were asked.

Only adds: code of the version before goes on working on this schema.

Revision: 0006_asked_in_step
After: 0005_mail_rate
"""

import sqlalchemy as sa
from alembic import op

revision = "0006_asked_in_step"
down_revision = "0005_mail_rate"
branch_labels = None
depends_on = None

ASKED = sa.text("state IN ('open', 'submitted', 'pending')")


def upgrade() -> None:
    op.create_index(
        "ix_user_task_asked",
        "user_task",
        ["step_id", "due_date"],
        unique=False,
        postgresql_where=ASKED,
        sqlite_where=ASKED,
    )


def downgrade() -> None:
    op.drop_index("ix_user_task_asked", table_name="user_task")
