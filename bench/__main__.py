"""`make bench`: completing a task, starting a case, and both ends of a survey of 200 parties, on both databases."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier, Thread

from sqlalchemy import select

from bench.measuring import Row, Samples, timed
from bench.world import BenchWorld, build_world
from engine.database import Database
from engine.model import ProcessInstance
from tests.engine.counting import counting
from tests.postgres import PostgresServer

ROUNDS = 5
PER_ROUND = 20
PARTIES = 200
CROWD = 50


@contextmanager
def backends() -> Iterator[dict[str, Database]]:
    """A SQLite file and a PostgreSQL of our own."""
    server = PostgresServer()
    with TemporaryDirectory() as folder:
        databases = {
            "sqlite": Database(f"sqlite:///{Path(folder) / 'bench.db'}"),
            "postgresql": Database(server.create(), pool_size=60),
        }
        yield databases
        for database in databases.values():
            database.dispose()
    server.close()


def floor(database: Database, world: BenchWorld) -> None:
    """The least that keeping anything costs: lock, load, change and commit one row."""
    with database.transaction() as session:
        row = session.scalars(
            select(ProcessInstance).where(ProcessInstance.id == world.floor_instance).with_for_update()
        ).one()
        row.revision += 1


def alternating(
    name: str, backend: str, database: Database, world: BenchWorld, acts: Iterator[Callable[[], object]]
) -> Row:
    """Rounds of acts and floors, turn about; counted over one more act."""
    samples, floors = Samples([], []), Samples([], [])
    next(acts)()  # the first one fills caches
    for _ in range(ROUNDS):
        for _ in range(PER_ROUND):
            timed(next(acts), samples)
        for _ in range(PER_ROUND):
            timed(lambda: floor(database, world), floors)
    act = next(acts)
    with counting(database) as counter:
        act()
    return Row(
        name=name, backend=backend, n=len(samples.wall), median_ms=round(samples.median_ms, 2),
        p95_ms=round(samples.p95_ms, 2), cpu_ms=round(samples.cpu_ms, 2), per_s=round(1000 / samples.median_ms, 1),
        statements=len(counter), commits=counter.commits, floor="load-change-save of one row",
        floor_ms=round(floors.median_ms, 2), ratio=round(samples.median_ms / floors.median_ms, 2),
    )  # fmt: skip


def completions(database: Database, world: BenchWorld) -> Iterator[Callable[[], object]]:
    """Endlessly: the first task of a fresh two-task case, completed with form check, authorization and history."""
    while True:
        task_id = world.open_task(database)
        yield lambda task_id=task_id: world.complete(database, task_id)


def starts(database: Database, world: BenchWorld) -> Iterator[Callable[[], object]]:
    """Endlessly: start a two-task case."""
    while True:
        yield lambda: world.start(database, "motesak")


def survey_answers(backend: str, database: Database, world: BenchWorld) -> None:
    """Answers at both ends of a survey: neither statements nor bytes may grow."""
    task_ids = world.open_survey(database, PARTIES)
    medians = {}
    for end, ids in (("first", task_ids[:20]), ("middle", task_ids[20:-21]), ("last", task_ids[-21:-1])):
        samples = Samples([], [])
        for task_id in ids[:-1]:
            timed(lambda task_id=task_id: world.answer(database, task_id), samples)
        with counting(database) as counter:
            world.answer(database, ids[-1])
        medians[end] = samples.median_ms
        if end != "middle":
            Row(
                name=f"survey_answer_{end}_of_{PARTIES}", backend=backend, n=len(samples.wall),
                median_ms=round(samples.median_ms, 2), p95_ms=round(samples.p95_ms, 2), cpu_ms=round(samples.cpu_ms, 2),
                per_s=None, statements=len(counter), commits=counter.commits, floor="the first answers",
                floor_ms=round(medians["first"], 2), ratio=round(samples.median_ms / medians["first"], 2),
            ).print()  # fmt: skip


def crowd(backend: str, database: Database, world: BenchWorld) -> None:
    """Fifty people answer the same case at once."""
    task_ids = world.open_survey(database, CROWD)
    samples, barrier, errors = Samples([], []), Barrier(CROWD), []

    def answer(task_id: int) -> None:
        barrier.wait()
        try:
            timed(lambda: world.answer(database, task_id), samples)
        except Exception as error:  # counted: none may happen
            errors.append(error)

    threads = [Thread(target=answer, args=(task_id,)) for task_id in task_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        sys.exit(f"{len(errors)} of {CROWD} answers failed: {errors[0]}")
    Row(
        name=f"crowd_of_{CROWD}", backend=backend, n=CROWD, median_ms=round(samples.median_ms, 1),
        p95_ms=round(samples.p95_ms, 1), cpu_ms=None, per_s=None, statements=None, commits=None, floor=None,
        floor_ms=None, ratio=None,
    ).print()  # fmt: skip


def main() -> None:
    """Print one JSON line per row."""
    with backends() as databases:
        for backend, database in databases.items():
            world = build_world(database)
            alternating("complete_task", backend, database, world, completions(database, world)).print()
            alternating("start_instance", backend, database, world, starts(database, world)).print()
            survey_answers(backend, database, world)
            crowd(backend, database, world)


if __name__ == "__main__":
    main()
