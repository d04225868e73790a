"""Moves of meetings and dates, who is told of them, requests for more time, and a meeting's number of moves.

Only adds: code of the version before goes on working on this schema.

Revision: 0009_moves
After: 0008_hand_dates
"""

import sqlalchemy as sa
from alembic import op

revision = "0009_moves"
down_revision = "0008_hand_dates"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
REQUESTED = sa.text("state = 'open'")


def upgrade() -> None:
    op.add_column("meeting", sa.Column("sequence", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.create_table(
        "move",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(12), nullable=False),
        sa.Column("community_id", ID, sa.ForeignKey("community.id", name="fk_move_community_id"), nullable=False),
        sa.Column("meeting_id", ID, sa.ForeignKey("meeting.id", name="fk_move_meeting_id")),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_id", ID, sa.ForeignKey("user.id", name="fk_move_by_id")),
        sa.Column("old", sa.Date()),
        sa.Column("new", sa.Date()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_move"),
        sa.UniqueConstraint("public_id", name="uq_move_public_id"),
    )
    op.create_index("ix_move_list", "move", ["community_id", "at"])
    op.create_index("ix_move_meeting_id", "move", ["meeting_id"])
    op.create_table(
        "move_notice",
        sa.Column("id", ID, nullable=False),
        sa.Column("move_id", ID, sa.ForeignKey("move.id", name="fk_move_notice_move_id"), nullable=False),
        sa.Column("user_id", ID, sa.ForeignKey("user.id", name="fk_move_notice_user_id"), nullable=False),
        sa.Column(
            "instance_id", ID, sa.ForeignKey("process_instance.id", name="fk_move_notice_instance_id"), nullable=False
        ),
        sa.Column("task_id", ID, sa.ForeignKey("user_task.id", name="fk_move_notice_task_id")),
        sa.Column("step_name", sa.String(300), nullable=False),
        sa.Column("old", sa.Date()),
        sa.Column("new", sa.Date()),
        sa.PrimaryKeyConstraint("id", name="pk_move_notice"),
    )
    op.create_index("ix_move_notice_instance", "move_notice", ["instance_id", "user_id"])
    op.create_index("ix_move_notice_move", "move_notice", ["move_id", "user_id"])
    _more_time_request()


def _more_time_request() -> None:
    table = "more_time_request"
    op.create_table(
        table,
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(12), nullable=False),
        sa.Column("community_id", ID, sa.ForeignKey("community.id", name=f"fk_{table}_community_id"), nullable=False),
        sa.Column(
            "instance_id", ID, sa.ForeignKey("process_instance.id", name=f"fk_{table}_instance_id"), nullable=False
        ),
        sa.Column("task_id", ID, sa.ForeignKey("user_task.id", name=f"fk_{table}_task_id"), nullable=False),
        sa.Column("asked_by_id", ID, sa.ForeignKey("user.id", name=f"fk_{table}_asked_by_id"), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("wanted", sa.Date(), nullable=False),
        sa.Column("due_date", sa.Date()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("answered_by_id", ID, sa.ForeignKey("user.id", name=f"fk_{table}_answered_by_id")),
        sa.Column("answered_at", sa.DateTime(timezone=True)),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("given", sa.Date()),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.UniqueConstraint("public_id", name=f"uq_{table}_public_id"),
    )
    op.create_index(
        "uq_more_time_request_open", table, ["task_id"], unique=True,
        sqlite_where=REQUESTED, postgresql_where=REQUESTED,
    )  # fmt: skip
    op.create_index("ix_more_time_request_instance", table, ["instance_id", "state"])


def downgrade() -> None:
    op.drop_table("more_time_request")
    op.drop_table("move_notice")
    op.drop_table("move")
    op.drop_column("meeting", "sequence")
