"""How a row is measured: time, processor time, statements and commits, beside a floor taken turn about with it."""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from engine.database import Database
from tests.engine.counting import Counted, counting

#: Runs of a row, each followed by one of its floor: what counts is the median of their medians.
RUNS = 5

#: Does the thing that is measured, once.
Act = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the bench; what has no meaning in a row is None."""

    name: str
    backend: str
    n: int
    median_ms: float | None = None
    p95_ms: float | None = None
    cpu_ms: float | None = None
    per_s: float | None = None
    statements: float | None = None
    commits: float | None = None
    floor: str | None = None
    floor_ms: float | None = None
    ratio: float | None = None

    def as_json(self) -> str:
        """The line, with figures as long as they are worth."""
        rounded = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in asdict(self).items()}
        return json.dumps(rounded)


@dataclass
class Samples:
    """Times of one kind of act, in seconds, run by run."""

    wall: list[list[float]] = field(default_factory=lambda: [[]])
    cpu: list[list[float]] = field(default_factory=lambda: [[]])

    def __len__(self) -> int:
        return sum(map(len, self.wall))

    def begin_run(self) -> None:
        """What is timed from now on belongs to another run."""
        self.wall.append([])
        self.cpu.append([])

    def time(self, act: Act) -> None:
        """Do the act once and keep how long it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        act()
        self.wall[-1].append(time.perf_counter() - wall)
        self.cpu[-1].append(time.process_time() - cpu)

    @property
    def median_ms(self) -> float:
        return _median_of_medians(self.wall)

    @property
    def cpu_ms(self) -> float:
        return _median_of_medians(self.cpu)

    @property
    def p95_ms(self) -> float:
        return percentile([second for run in self.wall for second in run], 0.95) * 1000


def _median_of_medians(runs: list[list[float]]) -> float:
    return statistics.median(statistics.median(run) for run in runs if run) * 1000


def percentile(values: list[float], part: float) -> float:
    """The value that `part` of them don't exceed."""
    return sorted(values)[max(0, round(len(values) * part) - 1)]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The samples of some acts that were measured turn about, and what the last of each sent to the database."""

    samples: list[Samples]
    counted: list[Counted]


def alternating(database: Database, kinds: list[Iterator[Act]], per_run: int) -> Measured:
    """Five runs of each kind of act, turn about; statements are counted over one more act of each."""
    samples = [Samples([], []) for _ in kinds]
    for acts in kinds:
        next(acts)()  # the first one fills caches
    for _ in range(RUNS):
        for acts, kept in zip(kinds, samples, strict=True):
            kept.begin_run()
            for _ in range(per_run):
                kept.time(next(acts))
    return Measured(samples=samples, counted=[count(database, next(acts)) for acts in kinds])


def count(database: Database, act: Act) -> Counted:
    """What the act sends to the database."""
    with counting(database) as counted:
        act()
    return counted


def statements(counted: Counted) -> int:
    """How many, without those that begin a transaction: PostgreSQL's driver sends that with the first."""
    return sum(not statement.startswith("BEGIN") for statement in counted.statements)


def row(
    name: str, backend: str, samples: Samples, *, counted: Counted | None = None,
    floor: str | None = None, against: Samples | None = None,
) -> Row:  # fmt: skip
    """The row of an act done again and again by one client, beside a floor where there is one."""
    return Row(
        name=name, backend=backend, n=len(samples), median_ms=samples.median_ms, p95_ms=samples.p95_ms,
        cpu_ms=samples.cpu_ms, per_s=1000 / samples.median_ms,
        statements=None if counted is None else statements(counted),
        commits=None if counted is None else counted.commits,
        floor=floor, floor_ms=None if against is None else against.median_ms,
        ratio=None if against is None else samples.median_ms / against.median_ms,
    )  # fmt: skip


def say(words: str) -> None:
    """Tell on stderr how far it has come; stdout has only rows."""
    print(words, file=sys.stderr, flush=True)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Say what begins, and how long it took."""
    began = time.perf_counter()
    say(f"{what} …")
    yield
    say(f"{what}: {time.perf_counter() - began:.1f} s")
