"""Links in mails that act without signing in, open links beside surveys, and what was answered through those.

Only adds: code of the version before goes on working on this schema.

Revision: 0011_links
After: 0010_telling
"""

import sqlalchemy as sa
from alembic import op

revision = "0011_links"
down_revision = "0010_telling"
branch_labels = None
depends_on = None

#: 64 bits on PostgreSQL; SQLite only counts up by itself in an INTEGER key.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("community", sa.Column("mail_links", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.create_table(
        "task_link",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("task_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("purpose", sa.String(length=10), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("issue", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by_id", ID, nullable=True),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_task_link_community_id"),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"], name="fk_task_link_delivery_id"),
        sa.ForeignKeyConstraint(["task_id"], ["user_task.id"], name="fk_task_link_task_id"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_task_link_user_id"),
        sa.ForeignKeyConstraint(["revoked_by_id"], ["user.id"], name="fk_task_link_revoked_by_id"),
        sa.PrimaryKeyConstraint("id", name="pk_task_link"),
        sa.UniqueConstraint("public_id", name="uq_task_link_public_id"),
        sa.UniqueConstraint("digest", name="uq_task_link_digest"),
        sa.UniqueConstraint("delivery_id", "task_id", name="uq_task_link_delivery"),
    )
    op.create_index("ix_task_link_task", "task_link", ["task_id", "user_id"])
    op.create_index("ix_task_link_user_id", "task_link", ["user_id"])
    op.create_table(
        "respondent_link",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("step_id", ID, nullable=False),
        sa.Column("task_id", ID, nullable=False),
        sa.Column("role", sa.String(length=80), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_id", ID, nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_respondent_link_community_id"),
        sa.ForeignKeyConstraint(["step_id"], ["step.id"], name="fk_respondent_link_step_id"),
        sa.ForeignKeyConstraint(["task_id"], ["user_task.id"], name="fk_respondent_link_task_id"),
        sa.ForeignKeyConstraint(["created_by_id"], ["user.id"], name="fk_respondent_link_created_by_id"),
        sa.PrimaryKeyConstraint("id", name="pk_respondent_link"),
        sa.UniqueConstraint("public_id", name="uq_respondent_link_public_id"),
    )
    op.create_index("ix_respondent_link_step", "respondent_link", ["step_id"])
    op.create_table(
        "respondent_answer",
        sa.Column("id", ID, nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("link_id", ID, nullable=False),
        sa.Column("submission", sa.String(length=32), nullable=False),
        sa.Column("answered_on", sa.Date(), nullable=False),
        sa.Column("answers", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_respondent_answer_community_id"),
        sa.ForeignKeyConstraint(["link_id"], ["respondent_link.id"], name="fk_respondent_answer_link_id"),
        sa.PrimaryKeyConstraint("id", name="pk_respondent_answer"),
        sa.UniqueConstraint("link_id", "submission", name="uq_respondent_answer_submission"),
    )


def downgrade() -> None:
    op.drop_table("respondent_answer")
    op.drop_table("respondent_link")
    op.drop_table("task_link")
    op.drop_column("community", "mail_links")
