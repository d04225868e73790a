"""Sessions, the UTC column type, and the only commit in the project.

SQLite serves one process: a transaction takes a process-wide lock and begins IMMEDIATE, so that writers queue in memory
instead of failing on a busy file. PostgreSQL locks rows. `reading()` never writes.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool
from sqlalchemy.types import TypeDecorator


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
        if self.is_sqlite:
            with self._writer, self._unit() as session:
                yield session
        else:
            with self._unit() as session:
                yield session

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
    # Parameters are what people wrote: an error that ends in a log must not quote them.
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=pool_size, max_overflow=10, pool_pre_ping=True, hide_parameters=True)
    if url in ("sqlite://", "sqlite:///:memory:"):
        connect = {"check_same_thread": False}
        engine = create_engine(url, poolclass=StaticPool, connect_args=connect, hide_parameters=True)
    else:
        engine = create_engine(url, pool_size=pool_size, max_overflow=20, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: object, _record: ConnectionPoolEntry) -> None:
    # The driver's own transaction handling begins too late; we say BEGIN ourselves.
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "busy_timeout=10000", "foreign_keys=ON", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
