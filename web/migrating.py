"""The schema: brought up to date by Alembic, on both databases."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.engine import Connection

from engine.database import Database

# Alembic is imported by whoever migrates or is asked about it: with what it brings along it takes a tenth of the time
# in which a web process starts.
if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

VERSIONS = Path(__file__).parent.parent / "migrations"
#: Names the lock that lets one process migrate a PostgreSQL database at a time; any number, always the same.
_LOCK = 7_283_411


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(VERSIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def migrate(database: Database) -> str:
    """Bring the schema to the newest version; answers the version it has. Running it again changes nothing.

    A schema that a later release has widened is left alone. Any number of processes may do this at once: one migrates,
    the others wait and find nothing to do.
    """
    with alone(database) as connection:
        found = version_of(connection)
        if found is not None and not knows(found):
            return found
        upgrade(connection, "head")
    return newest()


def upgrade(connection: Connection, version: str) -> None:
    """Bring the schema to a version, in the transaction of a connection that `alone` gave."""
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, version)


def knows(version: str) -> bool:
    """Can this code bring a database from that version to the newest?"""
    return any(script.revision == version for script in _scripts().walk_revisions())


def _scripts() -> "ScriptDirectory":
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config())


def newest() -> str:
    """The version this code wants."""
    return str(_scripts().get_current_head())


def present(database: Database) -> str | None:
    """The version the database has."""
    with database.engine.connect() as connection:
        return version_of(connection)


def version_of(connection: Connection) -> str | None:
    """The version that a connection sees."""
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


@contextmanager
def alone(database: Database) -> Iterator[Connection]:
    """A connection in a transaction of its own, with every other migration kept out until it ends."""
    if not database.is_sqlite:
        with database.engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield connection
        return
    alone = database.engine.execution_options(begin="BEGIN IMMEDIATE")
    # SQLite alters a table by making it anew; the rows that point at it must not go with the old one.
    with alone.connect() as connection, _without_foreign_keys(connection), connection.begin():
        yield connection
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise RuntimeError(f"The migration leaves a row of {broken[0]} that points at nothing; it was undone.")


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    # Straight to the driver: inside a transaction, which SQLAlchemy would begin, SQLite ignores this.
    driver = connection.connection.driver_connection
    assert driver is not None, "the connection is open"
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")
