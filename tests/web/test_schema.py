"""Old and new programs on one schema: a release widens it, and says by a migration's name what it takes away."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from engine.database import Database
from tests.world import World
from web import migrating, schema

#: What a migration calls when older programs would miss something, or meet what they can't fill.
TAKES_AWAY = re.compile(r"drop_(table|column)|rename_table|new_column_name|type_=sa\.|nullable=False\)$", re.MULTILINE)


@pytest.fixture
def at_version(world: World) -> Callable[[str], Database]:
    """The world's database, which says that its schema has another version."""

    def stamped(version: str) -> Database:
        with world.database.transaction() as session:
            session.execute(text("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL)"))
            session.execute(text("DELETE FROM alembic_version"))
            session.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": version})
        return world.database

    return stamped


def own() -> int:
    return int(migrating.newest()[:4])


@pytest.mark.parametrize(
    ("version", "stands"),
    [
        ("0001_initial", "behind"),
        ("9999_widened", "newer"),
        ("9999_from_0001_took_away", "newer"),
        (f"9999_from_{own():04}_took_away", "newer"),
        (f"9999_from_{own() + 1:04}_took_away", "outgrown"),
    ],
)
def test_a_later_schema_is_worked_on_unless_its_name_says_that_we_are_too_old(
    at_version: Callable[[str], Database], version: str, stands: str
) -> None:
    assert schema.standing(at_version(version)) == stands


def test_a_program_that_the_schema_has_left_behind_takes_no_requests(
    at_version: Callable[[str], Database], app: Any
) -> None:
    for version, status in ((migrating.newest(), 200), ("9999_widened", 200), ("9999_from_9998_took_away", 503)):
        at_version(version)
        assert app.test_client().get("/readyz").status_code == status, version


def test_migrating_leaves_a_schema_alone_that_a_later_release_has_widened(
    at_version: Callable[[str], Database],
) -> None:
    database = at_version("9999_widened")
    assert migrating.migrate(database) == migrating.present(database) == "9999_widened"


def test_a_migration_that_takes_something_away_says_from_whom_and_no_later_one_forgets_it() -> None:
    scripts = sorted((migrating.VERSIONS / "versions").glob("0*.py"))
    floors = [schema.floor(path.stem) for path in scripts]
    assert floors == sorted(floors)
    for path, before, now in zip(scripts, [0, *floors], floors, strict=False):
        upgrade = path.read_text().partition("def upgrade")[2].partition("def downgrade")[0]
        assert now > before or not TAKES_AWAY.search(upgrade), f"{path.name} takes something away"
        assert now < int(path.stem[:4])
