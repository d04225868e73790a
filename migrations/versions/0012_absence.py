"""Absence with a deputy, and calendars by secret address.

Only adds: code of the version before goes on working on this schema.

Revision: 0012_absence
After: 0011_links
"""

import sqlalchemy as sa
from alembic import op

revision = "0012_absence"
down_revision = "0011_links"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STANDS_IN = sa.text("stand_in_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "absence",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(12), nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("deputy_id", ID, nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("stand_in_id", ID, nullable=True),
        sa.Column("registered_by_id", ID, nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("ends_on >= starts_on", name="ck_absence_order"),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_absence_community_id"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_absence_user_id"),
        sa.ForeignKeyConstraint(["deputy_id"], ["user.id"], name="fk_absence_deputy_id"),
        sa.ForeignKeyConstraint(["stand_in_id"], ["user.id"], name="fk_absence_stand_in_id"),
        sa.ForeignKeyConstraint(["registered_by_id"], ["user.id"], name="fk_absence_registered_by_id"),
        sa.PrimaryKeyConstraint("id", name="pk_absence"),
        sa.UniqueConstraint("public_id", name="uq_absence_public_id"),
    )
    op.create_index("ix_absence_user", "absence", ["user_id", "starts_on"])
    op.create_index("ix_absence_list", "absence", ["community_id", "state", "starts_on"])
    op.create_index(
        "ix_absence_stand_in", "absence", ["stand_in_id"], postgresql_where=STANDS_IN, sqlite_where=STANDS_IN
    )
    op.create_table(
        "calendar_feed",
        sa.Column("id", ID, nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("body_id", ID, nullable=True),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_calendar_feed_community_id"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_calendar_feed_user_id"),
        sa.ForeignKeyConstraint(["body_id"], ["body.id"], name="fk_calendar_feed_body_id"),
        sa.PrimaryKeyConstraint("id", name="pk_calendar_feed"),
        sa.UniqueConstraint("token_hash", name="uq_calendar_feed_token_hash"),
    )
    op.create_table(
        "invitation",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(12), nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("instance_id", ID, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("former", sa.Date(), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_invitation_community_id"),
        sa.ForeignKeyConstraint(["instance_id"], ["process_instance.id"], name="fk_invitation_instance_id"),
        sa.PrimaryKeyConstraint("id", name="pk_invitation"),
        sa.UniqueConstraint("public_id", name="uq_invitation_public_id"),
        sa.UniqueConstraint("instance_id", "name", name="uq_invitation_instance_id_name"),
    )
    op.create_index("ix_calendar_feed_user", "calendar_feed", ["user_id", "body_id"])


def downgrade() -> None:
    op.drop_table("invitation")
    op.drop_table("calendar_feed")
    op.drop_table("absence")
