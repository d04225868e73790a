"""Sessions, the UTC column type, and the only commit in the project.

SQLite serves one process: a transaction takes a process-wide lock and begins IMMEDIATE, so that writers queue in memory
instead of failing on a busy file. PostgreSQL locks rows. `reading()` never writes.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import DateTime, Dialect, Engine, Insert, Select, create_engine, event, insert
from sqlalchemy.engine import Connection
from sqlalchemy.orm import DeclarativeBase, ORMExecuteState, Session
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool
from sqlalchemy.types import TypeDecorator
from sqlalchemy.util import LRUCache

#: How many compiled statements are kept for an address.
_STATEMENTS = 1_000
#: How many others may open a new file of SQLite's in the same moment.
_MEETINGS = 20


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"Expected an aware datetime, got the naive {value!r}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


#: When the next of something is due: a query that reads the head of an index.
MomentQuery = Select[datetime] | Select[datetime | None]
#: Lane of work -> the earliest moment at which something of it is due.
Moments = Mapping[str, datetime]
_ANNOUNCED = "announced moments"
_APPENDED = "appended rows"


def announce(session: Session, lane: str, at: datetime) -> None:
    """Let whoever works in that lane know, once the transaction is committed, that something is due `at` a moment.

    It costs no statement and decides nothing: whatever is due is found by a query, only perhaps a little later.
    """
    moments = session.info.setdefault(_ANNOUNCED, {})
    moments[lane] = min(at, moments.get(lane, at))


def append(session: Session, table: type[DeclarativeBase], **values: object) -> None:
    """Add a row that is never looked at again in this unit of work, such as of history; the same columns every time.

    It is written with the next flush, before a query of that table, and at the latest with the commit: one journey for
    all rows of a table, past the unit of work, which takes three times as long to follow rows that do not change.
    """
    session.info.setdefault(_APPENDED, {}).setdefault(table, []).append(values)


@event.listens_for(Session, "before_flush")
@event.listens_for(Session, "before_commit")
def _write_appended(session: Session, *_: object) -> None:
    for table, rows in session.info.pop(_APPENDED, {}).items():
        session.connection().execute(_insertion(table), rows)


@event.listens_for(Session, "do_orm_execute")
def _write_what_is_asked_for(asked: ORMExecuteState) -> None:
    # A session that holds nothing else to write does not flush by itself.
    waiting = asked.session.info.get(_APPENDED)
    if waiting and any(mapper.class_ in waiting for mapper in asked.all_mappers):
        _write_appended(asked.session)


@lru_cache
def _insertion(table: type[DeclarativeBase]) -> Insert:
    return insert(table.__table__).inline()  # type: ignore[arg-type]  # a table, as every model has; asks for no ids


class Database:
    """One database and the two ways into it."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = url
        self.engine = _create(url, pool_size)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._writer = threading.RLock()
        self._writing = self.engine.execution_options(begin="BEGIN IMMEDIATE")
        frozen = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._frozen = self.engine.execution_options(**frozen)
        #: Is told, after the commit, what a transaction announced; must neither wait nor fail.
        self.tell: Callable[[Moments], None] = lambda moments: None

    def behind_pooler(self) -> None:
        """Prepare no statement: a pooler that hands connections on gives the next transaction another session."""
        event.listen(self.engine, "connect", lambda connection, _: setattr(connection, "prepare_threshold", None))

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one consistent state; nothing it does is kept."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """As `reading`, and every query sees the moment of the first one, however long they take."""
        with Session(self._frozen, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One unit of work: committed at the end, undone whole on any exception."""
        with self._writer if self.is_sqlite else nullcontext(), self._unit() as session:
            yield session
        if moments := session.info.get(_ANNOUNCED):
            self.tell(moments)

    @contextmanager
    def _unit(self) -> Iterator[Session]:
        with Session(self._writing, expire_on_commit=False) as session:
            try:
                yield session
                session.commit()
            except BaseException:
                session.rollback()
                raise

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _create(url: str, pool_size: int) -> Engine:
    """An engine with connections of its own, which knows what was compiled for the same address before."""
    first, compiled = _first(url, pool_size)
    known = {"compiled_cache": compiled}
    # Parameters are what people wrote: an error that ends in a log must not quote them.
    engine = Engine(first.pool.recreate(), first.dialect, first.url, hide_parameters=True, execution_options=known)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "begin", _begin_sqlite)
    return engine


@lru_cache(maxsize=16)
def _first(url: str, pool_size: int) -> tuple[Engine, MutableMapping[Any, Any]]:
    """What engines for one address share: an engine that never connects, and the statements compiled so far.

    Each plan opens a database in memory; compiling its statements anew took a quarter of its time.
    """
    compiled: MutableMapping[Any, Any] = LRUCache(_STATEMENTS)
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=pool_size, max_overflow=10, pool_pre_ping=True), compiled
    if url in ("sqlite://", "sqlite:///:memory:"):
        engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        engine = create_engine(url, pool_size=pool_size, max_overflow=20)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine, compiled


def _prepare_sqlite(connection: object, _record: ConnectionPoolEntry) -> None:
    # The driver's own transaction handling begins too late; we say BEGIN ourselves.
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA busy_timeout=10000")
    _write_ahead(cursor)
    for pragma in ("foreign_keys=ON", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Have the file keep a write-ahead log. Of two that open a new file at once, SQLite refuses one without waiting."""
    for _attempt in range(_MEETINGS):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            # Waits until the other is done; a file that can't be written says so here.
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute("COMMIT")
        else:
            return
    cursor.execute("PRAGMA journal_mode=WAL")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
