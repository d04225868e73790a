"""How a row is measured: time, processor time, statements and commits, against an interleaved floor."""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from sqlalchemy import event

from engine.database import Database


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the bench."""

    name: str
    backend: str
    n: int
    median_ms: float | None
    p95_ms: float | None
    cpu_ms: float | None
    per_s: float | None
    statements: float | None
    commits: float | None
    floor: str | None
    floor_ms: float | None
    ratio: float | None

    def print(self) -> None:
        """As one JSON line."""
        print(json.dumps(asdict(self)), flush=True)


@dataclass
class Counter:
    """Statements and commits since it was made."""

    statements: int = 0
    commits: int = 0


@contextmanager
def counting(database: Database) -> Iterator[Counter]:
    """Count what goes to the database inside the block."""
    counter = Counter()

    def statement(*_: object) -> None:
        counter.statements += 1

    def commit(*_: object) -> None:
        counter.commits += 1

    event.listen(database.engine, "before_cursor_execute", statement)
    event.listen(database.engine, "commit", commit)
    try:
        yield counter
    finally:
        event.remove(database.engine, "before_cursor_execute", statement)
        event.remove(database.engine, "commit", commit)


@dataclass
class Samples:
    """Times of one kind of act."""

    wall: list[float]
    cpu: list[float]

    @property
    def median_ms(self) -> float:
        return statistics.median(self.wall) * 1000

    @property
    def p95_ms(self) -> float:
        return sorted(self.wall)[max(0, round(len(self.wall) * 0.95) - 1)] * 1000

    @property
    def cpu_ms(self) -> float:
        return statistics.median(self.cpu) * 1000


def timed(act: Callable[[], object], samples: Samples) -> None:
    """Do the act once and keep its times."""
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    samples.wall.append(time.perf_counter() - wall)
    samples.cpu.append(time.process_time() - cpu)
