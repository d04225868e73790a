"""Telling a database that is away, or full, from a fault of ours: what failed then is tried again later."""

from enum import StrEnum

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

#: SQLSTATE classes and codes: connections, resources, shut down or starting; deadlock, serialisation, lock not given.
_AWAY = ("08", "53", "57P0", "40001", "40P01", "55P03", "58030")
_FULL = "53100"
#: SQLite's primary result codes: busy, locked, an error of the disk, a file that can't be opened or written.
_SQLITE_AWAY = frozenset({5, 6, 8, 10, 14})
_SQLITE_FULL = 13


class Outage(StrEnum):
    """Why nothing can be read or saved now."""

    AWAY = "away"
    FULL = "full"


def outage(error: BaseException) -> Outage | None:
    """Is this error the database's being away or full? None for every other, such as a statement that is wrong."""
    if isinstance(error, PoolTimeout):
        return Outage.AWAY
    if not isinstance(error, DBAPIError):
        return None
    code = getattr(error.orig, "sqlite_errorcode", None)
    return _of_postgresql(error) if code is None else _of_sqlite(code)


def _of_sqlite(code: int) -> Outage | None:
    primary = code & 0xFF
    if primary == _SQLITE_FULL:
        return Outage.FULL
    return Outage.AWAY if primary in _SQLITE_AWAY else None


def _of_postgresql(error: DBAPIError) -> Outage | None:
    state = getattr(error.orig, "sqlstate", None)
    if state == _FULL:
        return Outage.FULL
    if state is None:
        # No server has said anything: there is no connection, or there is none any more.
        gone = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
        return Outage.AWAY if gone else None
    return Outage.AWAY if state.startswith(_AWAY) else None
