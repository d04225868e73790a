"""Rows about whole processes under load: the HTTP API, storms of timers and mails, memory, and how fast one starts."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from bench import bulk
from bench.measuring import RUNS, Row, Samples, count, row, say, told
from bench.processes import Client, Program, Visitor, mail_server, program, programs, visiting
from bench.surroundings import Place, Surroundings
from bench.world import ANSWERS, stamp
from engine.clock import utc_now
from engine.model import Community, ProcessInstance
from engine.scheduling import EmbeddedClock
from notifications.model import Delivery
from tests.fakes import RecordingMailer
from web import commands

CLIENTS = 8
HTTP_CASES = 400
WAITING_TIMERS = 100_000
DUE_TIMERS = 10_000
MAILS = 10_000
FEW_CASES, MANY_CASES = 100, 1_000
#: Pages are looked at for so long before the storm, in seconds.
_QUIET = 15.0
#: A storm that takes longer has failed, in seconds.
_PATIENCE = 900.0
_SECRETARIAT = "sekretariatet"
_API = "/api/v1"
_WORKERS = ("worker", "worker")


# --- the API ----------------------------------------------------------------------------------------------------------


def http_cases(on: Surroundings) -> Iterator[Row]:
    """Start and two completions by the HTTP API: two web processes, eight clients; a row per request, and the rate."""
    with on.fresh() as place, programs(place, "web", "web") as running:
        ports, token = [program.port for program in running], _token(place)
        with ThreadPoolExecutor(CLIENTS) as pool:
            _live(pool, ports, token, CLIENTS * 2)  # fills the caches of every process
            cases = on.many(HTTP_CASES)
            began = time.perf_counter()
            took = _live(pool, ports, token, cases)
            seconds = time.perf_counter() - began
    samples = Samples([took], [[0.0]])
    yield Row(
        name="http_cases", backend=on.backend, n=len(took), median_ms=samples.median_ms, p95_ms=samples.p95_ms,
        per_s=len(took) / seconds,
    )  # fmt: skip


def _token(place: Place) -> str:
    with place.database.transaction() as session:
        community = session.get_one(Community, place.world.community_id)
        return commands.make_token(session, community, _SECRETARIAT, now=utc_now())


def _live(pool: ThreadPoolExecutor, ports: list[int], token: str, cases: int) -> list[float]:
    """So many whole cases, dealt out to the clients; seconds that each completion took."""
    shares = [cases // CLIENTS + (place < cases % CLIENTS) for place in range(CLIENTS)]
    lived = pool.map(lambda place: _cases(ports[place % len(ports)], token, shares[place]), range(CLIENTS))
    return [seconds for found in lived for seconds in found]


def _cases(port: int, token: str, many: int) -> list[float]:
    client = Client(port, {"Authorization": f"Bearer {token}"})
    return [seconds for _ in range(many) for seconds in _case(client)]


def _case(client: Client) -> Iterator[float]:
    """Start a case, and complete its two tasks; seconds that each completion took."""
    meeting = _meeting_day()
    start = {"process": "motesak", "title": "Bench", "meetings": {"meeting": meeting.isoformat()}, "confirm": "Bench"}
    instance_id = _asked(client, "POST", "/process-instances", start)["id"]
    for answers in (ANSWERS, {"utfall": "tatt_til_orientering"}):
        (task,) = _asked(client, "GET", f"/tasks?instance={instance_id}")["tasks"]
        began = time.perf_counter()
        _asked(client, "POST", f"/tasks/{task['id']}/complete", answers)
        yield time.perf_counter() - began


def _meeting_day() -> date:
    """A Thursday some weeks ahead."""
    day = utc_now().date() + timedelta(days=42)
    return day + timedelta(days=(3 - day.weekday()) % 7)


def _asked(client: Client, method: str, address: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
    body = None if document is None else json.dumps(document).encode()
    status, content = client.send(method, _API + address, body)
    if status >= 300:
        raise RuntimeError(f"{method} {address}: {status} {content.decode()[:500]}")
    answer: dict[str, Any] = json.loads(content)
    return answer


# --- timers -----------------------------------------------------------------------------------------------------------


def idle_timers(on: Surroundings) -> Iterator[Row]:
    """One look of the clock while a hundred thousand timers wait."""
    with on.fresh() as place:
        with told(f"idle_timers: {on.many(WAITING_TIMERS)} waiting"):
            pattern = place.world.start(place.database, "bench_timer")
            bulk.cases(place, pattern, on.many(WAITING_TIMERS), wake_at="'2999-01-01 00:00:00'")
        services = place.services(utc_now, RecordingMailer())
        clock = EmbeddedClock(place.database, services.kinds, utc_now)
        samples = Samples()
        for _ in range(RUNS):
            samples.begin_run()
            for _ in range(20):
                samples.time(lambda: clock.look(utc_now()))
        counted = count(place.database, lambda: clock.look(utc_now()))
    yield row("idle_timers", on.backend, samples, counted=counted)


def due_storm(on: Surroundings) -> Iterator[Row]:
    """Ten thousand timers due in the same second, two workers, and somebody who looks at pages meanwhile."""
    due = on.many(DUE_TIMERS)
    with on.fresh() as place:
        pattern = place.world.start(place.database, "bench_timer")
        bulk.cases(place, pattern, due, wake_at="NULL")
        with programs(place, "web", *_WORKERS) as running, _reader(place, running[0]) as visitor:
            began = time.perf_counter()
            with place.database.transaction() as session:
                session.execute(
                    update(ProcessInstance)
                    .where(ProcessInstance.id >= bulk.WAITING_FROM)
                    .values(wake_at=utc_now() - timedelta(seconds=1))
                )
            _until(place, "due_storm", lambda session: _left(session) == 0)
            seconds = time.perf_counter() - began
    yield from _storm("due_storm", on, due, seconds, visitor)


def _left(session: Session) -> int:
    waiting = (ProcessInstance.id >= bulk.WAITING_FROM) & (ProcessInstance.state == "active")
    return session.scalars(select(func.count()).where(waiting).select_from(ProcessInstance)).one()


def _reader(place: Place, web: Program) -> Any:
    """Somebody who looks at their tasks by the API, whose token needs no signing in."""
    return visiting(web.port, f"{_API}/tasks?assignee=me", {"Authorization": f"Bearer {_token(place)}"})


def _until(place: Place, what: str, is_done: Callable[[Session], bool]) -> None:
    """Look now and then whether it is done. Raises TimeoutError."""
    began = told_at = time.perf_counter()
    while True:
        with place.database.reading() as session:
            if is_done(session):
                return
        now = time.perf_counter()
        if now - began > _PATIENCE:
            raise TimeoutError(f"{what} was not over after {_PATIENCE} s.")
        if now - told_at > 10:
            say(f"{what}: {now - began:.0f} s")
            told_at = now
        time.sleep(0.05)


def _storm(
    name: str, on: Surroundings, many: int, seconds: float, visitor: Visitor, quiet: Visitor | None = None
) -> Iterator[Row]:
    """How fast it went, and how pages were meanwhile; beside a quiet one, the ratio is of the slowest twentieths."""
    assert not visitor.failed, f"{visitor.failed} pages failed meanwhile"
    yield Row(name=name, backend=on.backend, n=many, per_s=many / seconds)
    meanwhile = Samples([visitor.took], [[0.0]])
    yield Row(
        name=f"{name}_pages_meanwhile", backend=on.backend, n=len(meanwhile), median_ms=meanwhile.median_ms,
        p95_ms=meanwhile.p95_ms, floor="p95 of quiet pages" if quiet else None,
        floor_ms=quiet.p95_ms if quiet else None, ratio=visitor.p95_ms / quiet.p95_ms if quiet else None,
    )  # fmt: skip


# --- mails ------------------------------------------------------------------------------------------------------------


def mail_storm(on: Surroundings) -> Iterator[Row]:
    """Ten thousand reminders due at 08:00 leave through a real mail server; pages meanwhile, beside quiet ones."""
    mails = on.many(MAILS)
    with on.fresh() as place, mail_server() as (counted, port):
        with told(f"mail_storm: {mails} reminders"):
            bulk.reminders(place, mails, now=utc_now())
            stamp(place.database)
        commands = ("serve",) if place.database.is_sqlite else ("web", *_WORKERS)
        with programs(place, *commands, smtp_port=port) as running:
            with _reader(place, running[0]) as quiet:
                time.sleep(_QUIET)
            assert counted.taken == 0, "nothing is due yet"
            with _reader(place, running[0]) as visitor:
                began = time.perf_counter()
                bulk.let_leave(place, now=utc_now())
                _until(place, "mail_storm", _all_sent)
                seconds = time.perf_counter() - began
    assert counted.taken == mails, f"{counted.taken} mails arrived of {mails}"
    yield from _storm("mail_storm", on, mails, seconds, visitor, quiet)


def _all_sent(session: Session) -> bool:
    unsent = Delivery.state.in_(("planned", "sending")) & (Delivery.next_attempt_at <= utc_now())
    return session.scalars(select(Delivery.id).where(unsent).limit(1)).first() is None


# --- memory -----------------------------------------------------------------------------------------------------------


def memory(on: Surroundings) -> Iterator[Row]:
    """What a worker and a web process hold after a thousand whole cases, beside after a hundred: `n` is kB."""
    with (
        on.fresh() as place,
        mail_server() as (_counted, port),
        programs(place, "web", "worker", smtp_port=port) as running,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        token, ports = _token(place), [running[0].port]
        _live(pool, ports, token, on.many(FEW_CASES))
        _until(place, "memory", _no_job_waits)
        few = [program.resident_kb for program in running]
        with told("memory: the many cases"):
            _live(pool, ports, token, on.many(MANY_CASES - FEW_CASES))
        _until(place, "memory", _no_job_waits)
        many = [program.resident_kb for program in running]
    for name, after_few, after_many in zip(("web", "worker"), few, many, strict=True):
        floor = f"after {on.many(FEW_CASES)} cases"
        yield Row(name=f"memory_{name}", backend=on.backend, n=after_many, floor=floor, ratio=after_many / after_few)


def _no_job_waits(session: Session) -> bool:
    waiting = "SELECT 1 FROM job WHERE state IN ('queued', 'leased') LIMIT 1"
    return session.execute(text(waiting)).first() is None


# --- starting ---------------------------------------------------------------------------------------------------------


def cold_start(on: Surroundings) -> Iterator[Row]:
    """From the start of a web process to its first page, beside the start of a Python that does nothing."""
    samples, floors = Samples(), Samples()
    with on.fresh() as place:
        for _ in range(RUNS):
            began = time.perf_counter()
            with program(place, "web", first="/logg-inn"):
                samples.wall[-1].append(time.perf_counter() - began)
            samples.cpu[-1].append(0.0)
            floors.time(lambda: subprocess.run([sys.executable, "-c", ""], check=True))
    floor = "a Python process that does nothing"
    yield Row(
        name="cold_start", backend=on.backend, n=RUNS, median_ms=samples.median_ms, p95_ms=samples.p95_ms, floor=floor,
        floor_ms=floors.median_ms, ratio=samples.median_ms / floors.median_ms,
    )  # fmt: skip
