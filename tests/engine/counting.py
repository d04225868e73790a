"""Counts what an act sends to the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event

from engine.database import Database


@dataclass
class Counted:
    """The statements of a block, the bytes of the values it writes, and its commits."""

    statements: list[str] = field(default_factory=list)
    #: What each statement was given.
    values: list[Any] = field(default_factory=list)
    bytes_written: int = 0
    commits: int = 0

    def __len__(self) -> int:
        return len(self.statements)

    def __str__(self) -> str:
        return "\n".join(f"{n}. {' '.join(s.split())[:160]}" for n, s in enumerate(self.statements, 1))


@contextmanager
def counting(database: Database) -> Iterator[Counted]:
    """Count the statements and commits of the block."""
    counted = Counted()

    def statement(_connection: object, _cursor: object, text: str, values: object, *_: object) -> None:
        counted.statements.append(text)
        counted.values.append(values)
        if text.lstrip().startswith(("INSERT", "UPDATE")):
            counted.bytes_written += len(repr(values))

    def commit(*_: object) -> None:
        counted.commits += 1

    event.listen(database.engine, "before_cursor_execute", statement)
    event.listen(database.engine, "commit", commit)
    try:
        yield counted
    finally:
        event.remove(database.engine, "before_cursor_execute", statement)
        event.remove(database.engine, "commit", commit)
