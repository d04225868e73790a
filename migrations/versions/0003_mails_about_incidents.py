"""Mails about incidents, which are about a case and no step.

Only widens: code of the version before goes on working on this schema.

Revision: 0003_mails_about_incidents
After: 0002_runs_as_drawn
"""

import sqlalchemy as sa
from alembic import op

revision = "0003_mails_about_incidents"
down_revision = "0002_runs_as_drawn"
branch_labels = None
depends_on = None

#: 64 bits on PostgreSQL; SQLite only counts up by itself in an INTEGER key.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("delivery") as table:
        table.alter_column("step_id", existing_type=ID, nullable=True)
        table.add_column(sa.Column("incident_id", ID, nullable=True))
        table.create_foreign_key("fk_delivery_incident_id", "incident", ["incident_id"], ["id"])


def downgrade() -> None:
    op.execute("DELETE FROM delivery WHERE step_id IS NULL")
    with op.batch_alter_table("delivery") as table:
        table.drop_constraint("fk_delivery_incident_id", type_="foreignkey")
        table.drop_column("incident_id")
        table.alter_column("step_id", existing_type=ID, nullable=False)
