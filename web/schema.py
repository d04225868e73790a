"""How the database's schema stands to this program.

A migration widens the schema, so that the release before goes on working beside the new one. One that takes something
away says in its name, and every later one says again, which release it takes nothing from: `0012_from_0009_…` may be
worked on by every program whose newest migration is 0009 or later.
"""

import re
from functools import cache

from engine.database import Database
from web import migrating

_newest = cache(migrating.newest)
_FLOOR = re.compile(r"\d{4}_from_(\d{4})_")


def standing(database: Database) -> str:
    """How the database's schema is: missing, behind, current, newer or outgrown.

    On a newer one, which a later release has widened, this program goes on working; of an outgrown one it needs what
    is no longer there.
    """
    version = migrating.present(database)
    if version is None:
        return "missing"
    if version == _newest():
        return "current"
    if migrating.knows(version):
        return "behind"
    return "newer" if floor(version) <= int(_newest()[:4]) else "outgrown"


def floor(version: str) -> int:
    """The number of the oldest program that may work on a schema of that version."""
    found = _FLOOR.match(version)
    return int(found[1]) if found else 0
