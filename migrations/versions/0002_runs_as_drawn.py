"""Drafts, decisions, subscriptions, incidents that retry by themselves, undo, and migration of running cases.

Only adds: code of the version before goes on working on this schema.

Revision: 0002_runs_as_drawn
After: 0001_initial
"""

import sqlalchemy as sa
from alembic import op

revision = "0002_runs_as_drawn"
down_revision = "0001_initial"
branch_labels = None
depends_on = None

#: 64 bits on PostgreSQL; SQLite only counts up by itself in an INTEGER key.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
EMPTY = sa.text("'{}'")
RETRIED = sa.text("retry_at IS NOT NULL AND resolved_at IS NULL")


def upgrade() -> None:
    with op.batch_alter_table("process_definition") as table:
        table.add_column(sa.Column("decisions", sa.JSON(), nullable=False, server_default=EMPTY))
    with op.batch_alter_table("process_instance") as table:
        table.add_column(sa.Column("undo_document", sa.LargeBinary(), nullable=True))
        table.add_column(sa.Column("undo", sa.JSON(), nullable=True))
    with op.batch_alter_table("incident") as table:
        table.add_column(sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")))
        table.add_column(sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True))
        table.add_column(sa.Column("data", sa.JSON(), nullable=False, server_default=EMPTY))
        table.add_column(sa.Column("resolution", sa.String(length=10), nullable=True))
    op.create_index(
        "ix_incident_retry", "incident", ["retry_at"], unique=False, postgresql_where=RETRIED, sqlite_where=RETRIED
    )
    op.create_table(
        "model_draft",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("xml", sa.Text(), nullable=False),
        sa.Column("forms", sa.JSON(), nullable=False),
        sa.Column("decisions", sa.JSON(), nullable=False),
        sa.Column("based_on_id", ID, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_id", ID, nullable=True),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("saved_by_id", ID, nullable=True),
        sa.ForeignKeyConstraint(["based_on_id"], ["process_definition.id"], name="fk_model_draft_based_on_id"),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_model_draft_community_id"),
        sa.ForeignKeyConstraint(["created_by_id"], ["user.id"], name="fk_model_draft_created_by_id"),
        sa.ForeignKeyConstraint(["saved_by_id"], ["user.id"], name="fk_model_draft_saved_by_id"),
        sa.PrimaryKeyConstraint("id", name="pk_model_draft"),
        sa.UniqueConstraint("public_id", name="uq_model_draft_public_id"),
    )
    op.create_index("ix_model_draft_list", "model_draft", ["community_id", "saved_at"], unique=False)
    op.create_table(
        "event_subscription",
        sa.Column("id", ID, nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("correlation", sa.String(length=200), nullable=False),
        sa.Column("instance_id", ID, nullable=True),
        sa.Column("definition_id", ID, nullable=True),
        sa.Column("token", sa.String(length=120), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fired", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_event_subscription_community_id"),
        sa.ForeignKeyConstraint(["definition_id"], ["process_definition.id"], name="fk_event_subscription_definition_id"),
        sa.ForeignKeyConstraint(["instance_id"], ["process_instance.id"], name="fk_event_subscription_instance_id"),
        sa.PrimaryKeyConstraint("id", name="pk_event_subscription"),
    )
    op.create_index(
        "ix_event_subscription_catch", "event_subscription", ["community_id", "kind", "name", "correlation"], unique=False
    )
    op.create_index("ix_event_subscription_instance", "event_subscription", ["instance_id"], unique=False)
    op.create_index("ix_event_subscription_due", "event_subscription", ["due_at"], unique=False)
    op.create_table(
        "instance_migration",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("instance_id", ID, nullable=False),
        sa.Column("migrated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("migrated_by_id", ID, nullable=True),
        sa.Column("from_definition_id", ID, nullable=False),
        sa.Column("to_definition_id", ID, nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("document_before", sa.LargeBinary(), nullable=True),
        sa.Column("reverted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reverted_by_id", ID, nullable=True),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_instance_migration_community_id"),
        sa.ForeignKeyConstraint(
            ["from_definition_id"], ["process_definition.id"], name="fk_instance_migration_from_definition_id"
        ),
        sa.ForeignKeyConstraint(["instance_id"], ["process_instance.id"], name="fk_instance_migration_instance_id"),
        sa.ForeignKeyConstraint(["migrated_by_id"], ["user.id"], name="fk_instance_migration_migrated_by_id"),
        sa.ForeignKeyConstraint(["reverted_by_id"], ["user.id"], name="fk_instance_migration_reverted_by_id"),
        sa.ForeignKeyConstraint(
            ["to_definition_id"], ["process_definition.id"], name="fk_instance_migration_to_definition_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_instance_migration"),
        sa.UniqueConstraint("public_id", name="uq_instance_migration_public_id"),
    )
    op.create_index("ix_instance_migration_instance", "instance_migration", ["instance_id"], unique=False)


def downgrade() -> None:
    for name in ("instance_migration", "event_subscription", "model_draft"):
        op.drop_table(name)
    op.drop_index("ix_incident_retry", table_name="incident")
    with op.batch_alter_table("incident") as table:
        for column in ("resolution", "data", "retry_at", "attempts"):
            table.drop_column(column)
    with op.batch_alter_table("process_instance") as table:
        table.drop_column("undo")
        table.drop_column("undo_document")
    with op.batch_alter_table("process_definition") as table:
        table.drop_column("decisions")
