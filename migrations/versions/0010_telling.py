"""When people want to be written to, the secretariat's own words in mails, and several mails that left as one.

Only adds: code of the version before goes on working on this schema.

Revision: 0010_telling
After: 0009_moves
"""

import sqlalchemy as sa
from alembic import op

from engine.database import UtcDateTime
from engine.model import Id

revision = "0010_telling"
down_revision = "0009_moves"
branch_labels = None
depends_on = None

CARRIED = sa.text("carrier_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "mail_preference",
        sa.Column("id", Id, primary_key=True),
        sa.Column(
            "community_id", Id, sa.ForeignKey("community.id", name="fk_mail_preference_community"), nullable=False
        ),
        sa.Column("user_id", Id, sa.ForeignKey("user.id", name="fk_mail_preference_user")),
        sa.Column("group_id", Id, sa.ForeignKey("group.id", name="fk_mail_preference_group")),
        sa.Column("how", sa.String(10)),
        sa.Column("hour", sa.Integer, nullable=False),
        sa.Column("weekday", sa.Integer, nullable=False),
        sa.Column("reminders", sa.Boolean, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("user_id", name="uq_mail_preference_user"),
        sa.UniqueConstraint("group_id", name="uq_mail_preference_group"),
        sa.CheckConstraint("(user_id IS NULL) <> (group_id IS NULL)", name="ck_mail_preference_whose"),
    )
    op.create_table(
        "mail_text",
        sa.Column("id", Id, primary_key=True),
        sa.Column("community_id", Id, sa.ForeignKey("community.id", name="fk_mail_text_community"), nullable=False),
        sa.Column("rule", sa.String(20), nullable=False),
        sa.Column("locale", sa.String(5), nullable=False),
        sa.Column("part", sa.String(10), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("by_id", Id, sa.ForeignKey("user.id", name="fk_mail_text_by"), nullable=False),
        sa.UniqueConstraint("community_id", "rule", "locale", "part", "revision", name="uq_mail_text_revision"),
    )
    with op.batch_alter_table("delivery") as delivery:
        delivery.add_column(sa.Column("carrier_id", Id))
        delivery.create_foreign_key("fk_delivery_carrier", "delivery", ["carrier_id"], ["id"])
    op.create_index(
        "ix_delivery_carrier", "delivery", ["carrier_id"], postgresql_where=CARRIED, sqlite_where=CARRIED
    )


def downgrade() -> None:
    op.drop_index("ix_delivery_carrier", table_name="delivery")
    with op.batch_alter_table("delivery") as delivery:
        delivery.drop_constraint("fk_delivery_carrier", type_="foreignkey")
        delivery.drop_column("carrier_id")
    op.drop_table("mail_text")
    op.drop_table("mail_preference")
