"""The schema: brought up to date by Alembic, on both databases."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from engine.database import Database

VERSIONS = Path(__file__).parent.parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(VERSIONS))
    return config


def migrate(database: Database) -> str:
    """Bring the schema to the newest version; answers that version. Running it again changes nothing."""
    config = _config()
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return newest()


def newest() -> str:
    """The version this code wants."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def present(database: Database) -> str | None:
    """The version the database has."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()
