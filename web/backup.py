"""Back-ups: every row of every table in one file, taken while the system runs, the same for both databases.

The file is compressed lines of JSON: a head, then for each table its columns and its rows, then how many rows there
were and a checksum over everything before. It knows the schema's version, so a newer program can restore it.
"""

import hashlib
import json
import os
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, BinaryIO

import zstandard
from sqlalchemy import JSON, Column, Date, DateTime, LargeBinary, Table, Text, Time, cast, select
from sqlalchemy.orm import Session

from engine.database import Database, UtcDateTime
from engine.errors import InvalidInput
from engine.model import Base
from web import migrating

#: Raised when this module writes something older code can't restore.
FORMAT = 1
#: Rows read at a time; fewer where a row may hold a whole file.
ROWS_AT_ONCE, FILES_AT_ONCE = 500, 8
_LEVEL = 6


class NoBackup(InvalidInput):
    """The file is no whole back-up."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a back-up says of itself."""

    #: The schema's version.
    schema: str
    taken_at: datetime
    #: Table -> number of rows.
    rows: dict[str, int]

    @property
    def total(self) -> int:
        """Rows of all tables."""
        return sum(self.rows.values())


def write(database: Database, path: Path, *, now: datetime) -> Contents:
    """Write all rows, as they are at one moment, into a new file that only its owner may read. Raises InvalidInput."""
    if path.exists():
        raise InvalidInput(f"{path} exists already. Give another name, or remove it first.")
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with _private(unfinished) as file, database.snapshot() as session:
            contents = _write(session, file, now)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except OSError as error:
        raise InvalidInput(f"{path} can't be written: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return contents


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _write(session: Session, file: BinaryIO, now: datetime) -> Contents:
    schema = migrating.version_of(session.connection())
    if schema != migrating.newest():
        raise InvalidInput("The database's schema is not this program's. Run `avtaleflyt migrate` first.")
    rows: dict[str, int] = {}
    with zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).stream_writer(file, closefd=False) as stream:
        lines = _Lines(stream.write)
        lines.add({"avtaleflyt": FORMAT, "schema": schema, "taken_at": now.isoformat()})
        for table in Base.metadata.sorted_tables:
            rows[table.name] = _write_table(session, table, lines)
        lines.add({"rows": rows})
        lines.add({"sha256": lines.digest()})
    return Contents(schema=schema, taken_at=now, rows=rows)


class _Lines:
    """Writes lines of JSON and keeps the checksum of them all."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._sum = hashlib.sha256()

    def add(self, value: object) -> None:
        """One more line."""
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self._sum.update(line)
        self._write(line)

    def digest(self) -> str:
        """SHA-256 of the lines so far."""
        return self._sum.hexdigest()


def _write_table(session: Session, table: Table, lines: _Lines) -> int:
    kinds = [_kind(column) for column in table.columns]
    lines.add({"table": table.name, "columns": [[c.name, k] for c, k in zip(table.columns, kinds, strict=True)]})
    # JSON as the text that is stored, so that nothing of it changes: neither its order nor null against nothing.
    query = select(*(cast(c, Text) if k == "json" else c for c, k in zip(table.columns, kinds, strict=True)))
    at_once = FILES_AT_ONCE if "bytes" in kinds else ROWS_AT_ONCE
    count = 0
    ordered = query.order_by(*table.primary_key.columns).execution_options(yield_per=at_once)
    with session.execute(ordered) as found:
        for row in found:
            lines.add([_plain(value) for value in row])
            count += 1
    return count


def _kind(column: Column[Any]) -> str:
    types = {JSON: "json", LargeBinary: "bytes", UtcDateTime: "moment", DateTime: "moment", Date: "date", Time: "time"}
    return next((kind for type_, kind in types.items() if isinstance(column.type, type_)), "plain")


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return value.isoformat() if isinstance(value, date | time) else value


# --- reading ----------------------------------------------------------------------------------------------------------


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a back-up, each with its end. Raises NoBackup."""
    try:
        with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
            rest = b""
            while chunk := stream.read(1 << 20):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from (line + b"\n" for line in whole)
            if rest:
                raise NoBackup(f"{path} breaks off in the middle.")
    except OSError as error:
        raise NoBackup(f"{path} can't be read: {error.strerror}.") from error
    except zstandard.ZstdError as error:
        raise NoBackup(f"{path} is no back-up, or it is damaged: {error}.") from error


def examine(path: Path) -> Contents:
    """Read the whole file and prove that it is as it was written. Raises NoBackup."""
    total, before, last = hashlib.sha256(), b"", b""
    head: dict[str, Any] | None = None
    for line in lines_of(path):
        head = head if head is not None else _document(path, line)
        if last:
            total.update(last)
        before, last = last, line
    if head is None or head.get("avtaleflyt", FORMAT + 1) > FORMAT:
        raise NoBackup(f"{path} is no back-up that this version of the program can read.")
    if not before or _document(path, last).get("sha256") != total.hexdigest():
        raise NoBackup(f"{path} is not as it was written: its checksum is another. Take an older back-up.")
    rows = _document(path, before)["rows"]
    return Contents(schema=head["schema"], taken_at=datetime.fromisoformat(head["taken_at"]), rows=rows)


def _document(path: Path, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise NoBackup(f"{path} is no back-up, or it breaks off in the middle.")
    return found


def columns_of(line: bytes) -> tuple[str, Sequence[Sequence[str]]] | None:
    """The table that begins with this line, and its columns with their kinds; None for any other line."""
    if not line.startswith(b'{"table":'):
        return None
    found = json.loads(line)
    return found["table"], found["columns"]
