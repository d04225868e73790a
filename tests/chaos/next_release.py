"""The next release of the program, made from this one: its schema has a table and a column more, and it uses both."""

import shutil
from pathlib import Path

from tests.world import ROOT
from web import migrating

VERSION = "99.0"
SCHEMA = "9999_answered_by"
_PACKAGES = ("engine", "agreements", "notifications", "web", "migrations", "workflows")

_MIGRATION = f'''"""Which release took an answer. Only adds."""

import sqlalchemy as sa
from alembic import op

revision = "{SCHEMA}"
down_revision = "{migrating.newest()}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("user_task", sa.Column("answered_by", sa.String(length=40), nullable=True))
    op.create_table(
        "answered",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_answered"),
        sa.ForeignKeyConstraint(["task_id"], ["user_task.id"], name="fk_answered_task_id"),
    )


def downgrade() -> None:
    op.drop_table("answered")
    op.drop_column("user_task", "answered_by")
'''

_MODEL = f'''

class Answered(Base):
    """An answer that this release took. Retention: as the case."""

    __tablename__ = "answered"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("user_task.id"))


UserTask.answered_by = mapped_column(String(40), nullable=True)


def _answered(_mapper, connection, task) -> None:
    if task.state == "completed" and task.answered_by is None:
        task.answered_by = "{VERSION}"
        connection.execute(Answered.__table__.insert().values(task_id=task.id))


event.listen(UserTask, "before_update", _answered)
'''


def make(folder: Path) -> Path:
    """Write it into a folder; answers where it is."""
    for package in _PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "migrations" / "versions" / f"{SCHEMA}.py").write_text(_MIGRATION)
    model = folder / "engine" / "model.py"
    model.write_text(model.read_text().replace("import (\n    JSON,", "import (\n    event,\n    JSON,") + _MODEL)
    told = folder / f"avtaleflyt-{VERSION}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: avtaleflyt\nVersion: {VERSION}\n")
    return folder
