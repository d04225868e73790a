"""The dispatcher is chosen by a setting, and its tables are made by `migrate`."""

from pathlib import Path

import pytest

from engine import dispatching
from engine.errors import InvalidInput
from tests.conftest import Templates
from web import running, services
from web.settings import Settings


def test_sqlite_has_no_other_processes_to_tell(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'a.db'}", dispatcher="procrastinate")
    with pytest.raises(InvalidInput, match="needs PostgreSQL"):
        services.build(settings)


def test_migrate_makes_the_dispatchers_tables_only_where_one_is_chosen(templates: Templates) -> None:
    url = templates.postgres.create()
    polling = services.build(Settings(database_url=url))
    running.migrate(polling)
    assert dispatching.standing(polling.database) == "missing"
    chosen = services.build(Settings(database_url=url, dispatcher="procrastinate"))
    assert running.migrate(chosen) == running.migrate(chosen)
    assert dispatching.standing(chosen.database) == "current"
    for served in (polling, chosen):
        served.database.dispose()
    templates.drop("postgresql", url)
