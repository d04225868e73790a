"""Rows about one act: completing a task, starting a case, both ends of a survey, sending back, a whole year."""

from collections.abc import Iterator
from threading import Barrier, Thread
from typing import Any

from sqlalchemy import func, select

from agreements import starting
from agreements.starting import StartRequest
from bench.measuring import Act, Row, Samples, alternating, count, row
from bench.peers import FLOOR, RawSpiff, floors
from bench.surroundings import Place, Surroundings
from engine import deployments
from engine.model import Community, ProcessInstance, UserTask
from notifications.settings import NotificationSettings
from tests.fakes import FakeClock
from tests.world import AGREEMENT, AU, EVALUATION, SSU, World
from web import rehearsals

PER_RUN = 20
PARTIES = 1_000
END = 50
SEND_BACKS = 100
END_CLICKS = 10
CROWD = 50
YEARS = 5


def complete_task(on: Surroundings) -> Iterator[Row]:
    """The first task of a two-task case: who is it, may they, does the form hold, one commit, history."""
    with on.fresh() as place:
        raw = RawSpiff()
        kinds = [_completions(place), floors(place.database, place.world), raw.completions()]
        yield from _beside("complete_task", on, place, kinds)


def start_instance(on: Surroundings) -> Iterator[Row]:
    """Start a two-task case."""
    with on.fresh() as place:
        kinds = [_starts(place), floors(place.database, place.world), RawSpiff().starts()]
        yield from _beside("start_instance", on, place, kinds)


def _beside(name: str, on: Surroundings, place: Place, kinds: list[Iterator[Act]]) -> Iterator[Row]:
    """The act beside the floor, and the peer that keeps nothing."""
    found = alternating(place.database, kinds, on.many(PER_RUN))
    act, floor, raw = found.samples
    yield row(name, on.backend, act, counted=found.counted[0], floor=FLOOR, against=floor)
    beside = "SpiffWorkflow alone in memory, which keeps nothing"
    yield row(f"{name}_beside_spiffworkflow", on.backend, act, floor=beside, against=raw)


def _completions(place: Place) -> Iterator[Act]:
    while True:
        task_id = place.world.open_task(place.database)
        yield lambda task_id=task_id: place.world.complete(place.database, task_id)


def _starts(place: Place) -> Iterator[Act]:
    while True:
        yield lambda: place.world.start(place.database, "motesak")


# --- a survey ---------------------------------------------------------------------------------------------------------


def survey_answer(on: Surroundings) -> Iterator[Row]:
    """Answers at both ends of a survey, turn about: neither statements nor bytes written may grow."""
    parties, end = on.many(PARTIES), on.many(END)
    with on.fresh() as place:
        late = place.world.open_survey(place.database, parties)
        for task_id in late[: -(end + 2)]:
            place.world.answer(place.database, task_id)
        early = place.world.open_survey(place.database, parties)[: end + 2]
        late = late[-(end + 2) :]
        first, last = Samples(), Samples()
        for early_id, late_id in zip(early[:end], late[:end], strict=True):
            first.time(lambda task_id=early_id: place.world.answer(place.database, task_id))
            last.time(lambda task_id=late_id: place.world.answer(place.database, task_id))
        counted = [
            count(place.database, lambda t=ids[end]: place.world.answer(place.database, t)) for ids in (early, late)
        ]
    name = f"of_{parties}"
    yield row(f"survey_answer_first_{name}", on.backend, first, counted=counted[0])
    floor = "the first answers"
    yield row(f"survey_answer_last_{name}", on.backend, last, counted=counted[1], floor=floor, against=first)
    yield _bytes(f"survey_answer_bytes_{name}", on.backend, counted[1].bytes_written, floor, counted[0].bytes_written)


def _bytes(name: str, backend: str, many: int, floor: str, few: int) -> Row:
    """Bytes beside bytes: `n` and a ratio, nothing that has a time."""
    return Row(name=name, backend=backend, n=many, floor=floor, ratio=many / few)


# --- sending back -----------------------------------------------------------------------------------------------------


def send_backs(on: Surroundings) -> Iterator[Row]:
    """The first clicks of a case beside those after a hundred send-backs, in time and in bytes of state."""
    rounds, first, last = on.many(SEND_BACKS), Samples(), Samples()
    with on.fresh() as place:
        _send_back(place, place.world.start(place.database, "bench_send_back"), Samples())  # fills caches
        instance_id = place.world.start(place.database, "bench_send_back")
        few = max(_send_back(place, instance_id, first) for _ in range(END_CLICKS))
        for _ in range(rounds):
            _send_back(place, instance_id, Samples())
        many = max(_send_back(place, instance_id, last) for _ in range(END_CLICKS))
    floor = "the first clicks"
    yield row(f"send_backs_first_of_{rounds}", on.backend, first)
    yield row(f"send_backs_last_of_{rounds}", on.backend, last, floor=floor, against=first)
    yield _bytes(f"send_backs_bytes_of_{rounds}", on.backend, many, floor, few)


def _send_back(place: Place, instance_id: int, samples: Samples) -> int:
    """Write, and be sent back; answers the bytes of state afterwards."""
    samples.time(lambda: _click(place, instance_id, {}))
    samples.time(lambda: _click(place, instance_id, {"verdict": "no"}))
    return _bytes_of_state(place, instance_id)


def _click(place: Place, instance_id: int, answers: dict[str, Any]) -> None:
    with place.database.reading() as session:
        open_task = select(UserTask.id).where(UserTask.instance_id == instance_id, UserTask.state == "open")
        task_id = session.scalars(open_task).one()
    place.world.send(place.database, task_id, answers)


def _bytes_of_state(place: Place, instance_id: int) -> int:
    size = select(func.length(ProcessInstance.state_document)).where(ProcessInstance.id == instance_id)
    with place.database.reading() as session:
        return session.scalars(size).one() or 0


# --- a crowd, and a year ----------------------------------------------------------------------------------------------


def crowd(on: Surroundings) -> Iterator[Row]:
    """Fifty people answer one case in the same moment; a failed answer ends the bench."""
    with on.fresh() as place:
        task_ids = place.world.open_survey(place.database, CROWD)
        place.world.answer(place.database, place.world.open_survey(place.database, 2)[0])  # fills caches
        samples, barrier, errors = Samples(), Barrier(CROWD), list[Exception]()

        def answer(task_id: int) -> None:
            barrier.wait()
            try:
                samples.time(lambda: place.world.answer(place.database, task_id))
            except Exception as error:  # counted: none may happen
                errors.append(error)

        threads = [Thread(target=answer, args=(task_id,)) for task_id in task_ids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if errors:
        raise ExceptionGroup(f"{len(errors)} of {CROWD} answers failed", errors)
    yield Row(name=f"crowd_of_{CROWD}", backend=on.backend, n=CROWD, median_ms=samples.median_ms, p95_ms=samples.p95_ms)


def virtual_year(on: Surroundings) -> Iterator[Row]:
    """The whole evaluation with seven parties, from its start to its end, everyone acting on the day it is due."""
    samples = Samples()
    with on.fresh() as place:
        for number in range(YEARS + 1):
            world = World(place.database, FakeClock(), place.world.community_id)
            act: Act = lambda world=world: world.proceed_to_end(world.start(EVALUATION))  # noqa: E731
            if number:
                samples.time(act)
            else:
                act()  # the first one fills caches
    yield row("virtual_year", on.backend, samples)


def rehearsal(on: Surroundings) -> Iterator[Row]:
    """The same evaluation before its start, rehearsed with every mail as text and HTML; nothing is written."""
    samples = Samples()
    settings = NotificationSettings(base_url="https://avtaleflyt.example.org", element=deployments.element)
    with on.fresh() as place, place.database.reading() as session:
        community, clock = session.get_one(Community, place.world.community_id), FakeClock()
        request = StartRequest(
            process=EVALUATION,
            agreement=AGREEMENT,
            meetings={"ssu": SSU, "au": AU},
            data={"commissioning_decision": "17/26"},
        )
        prepared = starting.prepare(session, community, request, now=clock())
        act: Act = lambda: rehearsals.of_start(session, prepared, now=clock(), settings=settings)  # noqa: E731
        act()  # the first one fills caches
        for _ in range(YEARS):
            samples.time(act)
    yield row("rehearsal", on.backend, samples)
