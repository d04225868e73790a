"""How the database's schema stands to this program."""

from functools import cache

from engine.database import Database
from web import migrating

_newest = cache(migrating.newest)


def standing(database: Database) -> str:
    """missing, behind, current, or newer: on a schema that the next release has widened this one goes on working."""
    version = migrating.present(database)
    if version is None:
        return "missing"
    if version == _newest():
        return "current"
    return "behind" if migrating.knows(version) else "newer"
