"""The leader's weekly mail, what a community chooses for everybody, and when a mail was sent again.

Only adds and widens: code of the version before goes on working on this schema.

Revision: 0014_leader_week
After: 0013_board
"""

import sqlalchemy as sa
from alembic import op

from engine.database import UtcDateTime
from engine.model import Id

revision = "0014_leader_week"
down_revision = "0013_board"
branch_labels = None
depends_on = None

OF_ALL = sa.text("user_id IS NULL AND group_id IS NULL")


def upgrade() -> None:
    op.create_table(
        "weekly_overview",
        sa.Column("id", Id, primary_key=True),
        sa.Column(
            "community_id", Id, sa.ForeignKey("community.id", name="fk_weekly_overview_community"), nullable=False
        ),
        sa.Column("user_id", Id, sa.ForeignKey("user.id", name="fk_weekly_overview_user"), nullable=False),
        sa.Column("pages", sa.JSON, nullable=False),
        sa.Column("next_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("user_id", name="uq_weekly_overview_user"),
    )
    op.create_index("ix_weekly_overview_next", "weekly_overview", ["next_at"])
    with op.batch_alter_table("delivery") as delivery:
        delivery.alter_column("instance_id", existing_type=Id, nullable=True)
        delivery.add_column(sa.Column("resent_at", UtcDateTime))
    with op.batch_alter_table("mail_preference") as preference:
        preference.drop_constraint("ck_mail_preference_whose", type_="check")
        preference.create_check_constraint("ck_mail_preference_whose", "user_id IS NULL OR group_id IS NULL")
    op.create_index(
        "uq_mail_preference_community", "mail_preference", ["community_id"], unique=True, postgresql_where=OF_ALL,
        sqlite_where=OF_ALL,
    )  # fmt: skip


def downgrade() -> None:
    op.drop_index("uq_mail_preference_community", table_name="mail_preference")
    op.execute("DELETE FROM mail_preference WHERE user_id IS NULL AND group_id IS NULL")
    with op.batch_alter_table("mail_preference") as preference:
        preference.drop_constraint("ck_mail_preference_whose", type_="check")
        preference.create_check_constraint("ck_mail_preference_whose", "(user_id IS NULL) <> (group_id IS NULL)")
    op.execute("DELETE FROM delivery WHERE instance_id IS NULL")
    with op.batch_alter_table("delivery") as delivery:
        delivery.drop_column("resent_at")
        delivery.alter_column("instance_id", existing_type=Id, nullable=False)
    op.drop_index("ix_weekly_overview_next", table_name="weekly_overview")
    op.drop_table("weekly_overview")
