"""The migrations lead to exactly the tables that the code declares, on both databases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event, inspect, text

from engine.database import Database
from engine.model import Base
from tests.conftest import BACKENDS, Templates
from web import migrating


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bare(backend: str, templates: Templates) -> Iterator[Database]:
    """A database without a single table."""
    url = templates._new(backend)
    database = Database(url)
    yield database
    database.dispose()
    templates.drop(backend, url)


def differences(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))


def tables(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names())


def test_a_migrated_database_has_every_table_as_the_code_declares_it(bare: Database) -> None:
    assert migrating.migrate(bare) == migrating.newest() == migrating.present(bare)
    assert differences(bare) == []
    assert tables(bare) == {*Base.metadata.tables, "alembic_version"}


def test_a_migrated_database_has_every_index_and_constraint_by_its_name(bare: Database) -> None:
    migrating.migrate(bare)
    found = inspect(bare.engine)
    for name, table in Base.metadata.tables.items():
        assert {i["name"] for i in found.get_indexes(name)} >= {i.name for i in table.indexes}
        assert {c["name"] for c in found.get_unique_constraints(name)} >= {
            c.name for c in table.constraints if type(c).__name__ == "UniqueConstraint"
        }
        assert {c["name"] for c in found.get_foreign_keys(name)} == {c.name for c in table.foreign_key_constraints}


def test_migrating_again_changes_nothing(bare: Database) -> None:
    migrating.migrate(bare)
    with bare.transaction() as session:
        session.execute(text("INSERT INTO clock_offset (seconds) VALUES (7)" if bare.is_sqlite else _WITH_ID))
    migrating.migrate(bare)
    with bare.reading() as session:
        assert session.scalar(text("SELECT seconds FROM clock_offset")) == 7


_WITH_ID = "INSERT INTO clock_offset (id, seconds) VALUES (1, 7)"


def test_processes_that_migrate_at_once_wait_for_each_other(bare: Database) -> None:
    # On SQLite each process has a database object of its own, so the file is what they meet at.
    databases = [Database(bare.url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(migrating.migrate, databases)) == {migrating.newest()}
    for database in databases:
        database.dispose()
    assert differences(bare) == []


def test_the_first_migration_can_be_undone(bare: Database) -> None:
    migrating.migrate(bare)
    config = migrating._config()
    with migrating.alone(bare) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert tables(bare) == {"alembic_version"}


def test_a_migration_that_breaks_leaves_the_database_as_it_was(bare: Database) -> None:
    def refuse(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if "CREATE TABLE user_task" in statement:
            raise ValueError("broken")

    event.listen(bare.engine, "before_cursor_execute", refuse)
    with pytest.raises(ValueError, match="broken"):
        migrating.migrate(bare)
    event.remove(bare.engine, "before_cursor_execute", refuse)
    assert tables(bare) == set()
    assert migrating.present(bare) is None
    migrating.migrate(bare)
    assert differences(bare) == []


def test_foreign_keys_hold_again_after_migrating(bare: Database) -> None:
    migrating.migrate(bare)
    if bare.is_sqlite:
        with bare.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
