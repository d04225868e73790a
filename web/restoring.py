"""Restoring a back-up: proved whole first, then everything in one transaction, and nothing said twice afterwards."""

import json
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Date,
    Insert,
    LargeBinary,
    Text,
    Time,
    bindparam,
    cast,
    column,
    insert,
    inspect,
    select,
    table,
    text,
)
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from engine import checks
from engine.database import Database, UtcDateTime
from engine.errors import InvalidInput
from engine.model import Base, ProcessInstance
from notifications import checks as mail_checks
from notifications import holding_back
from web import migrating
from web.backup import Contents, NoBackup, columns_of, examine, lines_of
from web.figures import gather

#: Rows, or bytes of rows, that are written together.
ROWS_AT_ONCE, BYTES_AT_ONCE = 500, 8_000_000
#: Overdue cases that are told by name.
NAMED = 20
#: What `avtaleflyt migrate` itself puts into an empty database.
_ALWAYS_THERE = ("community",)

_READ: Mapping[str, Callable[[str], object]] = {
    "bytes": b64decode,
    "moment": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
}
_TYPES: Mapping[str, Any] = {
    "bytes": LargeBinary(),
    "moment": UtcDateTime(),
    "date": Date(),
    "time": Time(),
    "json": Text(),
}


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What came back, and what that leaves to be done."""

    contents: Contents
    #: What waits for a worker, mails apart.
    overdue: checks.Overdue
    #: The cases whose timers are overdue, the longest waiting first, and since when; at most NAMED.
    cases: Sequence[tuple[str, datetime]]
    #: Open tasks whose due date has passed: people see them so.
    tasks_overdue: int
    #: Mails that will leave as soon as a worker runs.
    mails_due: int
    #: Mails that may have left after the back-up: a person decides.
    mails_uncertain: int


def restore(database: Database, path: Path, *, now: datetime, stopped: datetime, replace: bool) -> Restored:
    """Let the database be what the back-up holds, brought to this program's schema; on any failure, as it was.

    Mails that were due before the old system `stopped` may have left: they become uncertain. Raises NoBackup, and
    InvalidInput for a database with rows unless it is to be replaced.
    """
    contents = examine(path)
    if not migrating.knows(contents.schema):
        raise InvalidInput(f"{path} was made by a newer version of the program. Install that version first.")
    with migrating.alone(database) as connection:
        if not replace and (filled := _first_filled(connection)) is not None:
            raise InvalidInput(
                f"The database is not empty: there are rows in {filled}. Name an empty one in AVTALEFLYT_DATABASE_URL, "
                "or give --replace to lose what is there."
            )
        _clear(connection)
        migrating.upgrade(connection, contents.schema)
        _load(connection, path, contents)
        migrating.upgrade(connection, "head")
        with Session(connection) as session:
            uncertain = holding_back.hold_back(session, before=stopped)
            return Restored(
                contents=contents, overdue=checks.overdue(session, now=now), cases=_cases_due(session, now),
                tasks_overdue=gather(session, now).overdue_tasks,
                mails_due=mail_checks.due(session, now=now), mails_uncertain=uncertain,
            )  # fmt: skip


def _cases_due(session: Session, now: datetime) -> list[tuple[str, datetime]]:
    due = (ProcessInstance.state == "active") & (ProcessInstance.wake_at <= now)
    query = select(ProcessInstance.public_id, ProcessInstance.wake_at).where(due).order_by(ProcessInstance.wake_at)
    return [(case, since) for case, since in session.execute(query.limit(NAMED)) if since is not None]


def _first_filled(connection: Connection) -> str | None:
    present = set(inspect(connection).get_table_names()) - set(_ALWAYS_THERE)
    tables = [known for known in Base.metadata.sorted_tables if known.name in present]
    queries = ((known.name, select(text("1")).select_from(known).limit(1)) for known in tables)
    return next((name for name, query in queries if connection.execute(query).first() is not None), None)


def _clear(connection: Connection) -> None:
    Base.metadata.drop_all(connection)
    connection.execute(text("DROP TABLE IF EXISTS alembic_version"))


# --- loading ----------------------------------------------------------------------------------------------------------


def _load(connection: Connection, path: Path, contents: Contents) -> None:
    found = inspect(connection)
    for name in contents.rows:
        if not found.has_table(name):
            raise NoBackup(f"{path} holds a table {name}, which its schema {contents.schema} does not have.")
    with _in_any_order(connection):
        _load_rows(connection, path)
    if connection.dialect.name == "postgresql":
        _count_on(connection, contents)


def _load_rows(connection: Connection, path: Path) -> None:
    into: _Into | None = None
    for line in lines_of(path):
        begun = columns_of(line)
        if into is not None and line.startswith(b"["):
            into.add(line)
        elif into is not None:
            into.flush()
        if begun is not None:
            into = _Into(connection, *begun)


class _Into:
    """One table, filled some rows at a time."""

    def __init__(self, connection: Connection, name: str, columns: Sequence[Sequence[str]]) -> None:
        self._connection = connection
        self._columns = columns
        self._insert = _insert(connection, name, columns)
        self._rows: list[dict[str, object]] = []
        self._bytes = 0

    def add(self, line: bytes) -> None:
        """Read a row and write it, now or with others."""
        values = json.loads(line)
        self._rows.append(
            {
                f"p_{name}": _READ[kind](value) if value is not None and kind in _READ else value
                for (name, kind), value in zip(self._columns, values, strict=True)
            }
        )
        self._bytes += len(line)
        if len(self._rows) >= ROWS_AT_ONCE or self._bytes >= BYTES_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what is left."""
        if self._rows:
            self._connection.execute(self._insert, self._rows)
        self._rows, self._bytes = [], 0


def _insert(connection: Connection, name: str, columns: Sequence[Sequence[str]]) -> Insert:
    """Exactly the columns of the back-up: no default of this program's comes in between."""
    into = table(name, *(column(c, JSON() if kind == "json" else _TYPES.get(kind)) for c, kind in columns))
    values: dict[str, Any] = {}
    for c, kind in columns:
        value = bindparam(f"p_{c}", type_=_TYPES.get(kind))
        # PostgreSQL wants the text to be called JSON; SQLite would read it as a number.
        is_cast = kind == "json" and connection.dialect.name == "postgresql"
        values[c] = cast(value, JSON()) if is_cast else value
    return insert(into).values(values)


@contextmanager
def _in_any_order(connection: Connection) -> Iterator[None]:
    """Let a row come before the row of the same table that it points at, such as a body before the one above it."""
    if connection.dialect.name == "sqlite":
        yield  # `migrating.alone` looks at the end whether everything points at something
        return
    found, quote = inspect(connection), connection.dialect.identifier_preparer.quote
    own = [
        f"ALTER TABLE {quote(name)} ALTER CONSTRAINT {quote(key['name'] or '')}"
        for name in found.get_table_names()
        for key in found.get_foreign_keys(name)
        if key["referred_table"] == name
    ]
    for constraint in own:
        connection.execute(text(f"{constraint} DEFERRABLE INITIALLY DEFERRED"))
    yield
    connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    for constraint in own:
        connection.execute(text(f"{constraint} NOT DEFERRABLE"))


def _count_on(connection: Connection, contents: Contents) -> None:
    """Let new rows be numbered after those that came back. SQLite does so by itself."""
    found, quote = inspect(connection), connection.dialect.identifier_preparer.quote
    for name in contents.rows:
        if any(c["name"] == "id" for c in found.get_columns(name)):
            last = f"(SELECT max(id) FROM {quote(name)})"
            counter = "pg_get_serial_sequence(:name, 'id')"
            query = text(f"SELECT setval({counter}, {last}) WHERE {counter} IS NOT NULL AND {last} IS NOT NULL")
            connection.execute(query, {"name": quote(name)})
