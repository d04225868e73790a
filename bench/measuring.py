"""How a row is measured: time and processor time, against an interleaved floor."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass


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
