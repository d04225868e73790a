"""Behind a pooler each transaction may have another session, so nothing of a session is relied upon."""

import re
from pathlib import Path

import pytest
from sqlalchemy import select, text

from engine.database import Database
from engine.model import UserTask
from tests.world import World

ROOT = Path(__file__).parents[2]
#: What outlives its transaction.
_OF_A_SESSION = re.compile(
    r"pg_(try_)?advisory_(lock|unlock)\b|\bLISTEN\b|[\"']SET\s+(?!LOCAL|CONSTRAINTS)[A-Za-z_]+\s*(=|TO\b)"
    r"|TEMP(ORARY)? TABLE|WITH HOLD|session_replication_role"
)


@pytest.fixture(params=["postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def prepared(database: Database) -> int | None:
    """Statements that the session keeps after the same query was asked eight times."""
    with database.reading() as session:
        for _ in range(8):
            session.execute(select(UserTask.id).where(UserTask.id == 1))
        return session.scalar(text("SELECT count(*) FROM pg_prepared_statements"))


def test_no_statement_is_prepared_behind_a_pooler(world: World) -> None:
    assert prepared(world.database)
    behind = Database(world.database.url)
    behind.behind_pooler()
    assert prepared(behind) == 0
    behind.dispose()


def test_nothing_is_kept_in_a_session() -> None:
    sources = [
        p
        for folder in ("engine", "agreements", "notifications", "web", "migrations")
        for p in ROOT.glob(f"{folder}/**/*.py")
    ]
    found = {path.name for path in sources if _OF_A_SESSION.search(path.read_text())}
    assert found == set()
    for words in ("SELECT pg_advisory_lock(7)", "LISTEN work", '"SET search_path = other"', "CREATE TEMP TABLE a"):
        assert _OF_A_SESSION.search(words), words
