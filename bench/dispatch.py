"""How work reaches the workers: `python -m bench.dispatch` measures polling against the dispatcher, on PostgreSQL.

It prints one JSON line per figure: from the commit of an act to the effect of its job, jobs a second with two workers,
what a look costs that finds nothing, what two idle workers ask of the database, and timers that are due at once.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, text, update

from bench.world import NOW, BenchWorld, build_world
from engine import deployments, dispatching, jobs, scheduling
from engine.clock import utc_now
from engine.database import Database
from engine.deployments import Source
from engine.model import Job, ProcessInstance
from notifications.model import Delivery
from tests.engine.counting import counting
from tests.postgres import PostgresServer
from web.services import build
from web.settings import Settings

MODES = ("polling", "procrastinate")
FAR = datetime(2099, 1, 1, tzinfo=UTC)
#: Waits for a day, then asks somebody.
TIMER = b"""<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
    xmlns:camunda="http://camunda.org/schema/1.0/bpmn" targetNamespace="https://avtaleflyt.example.org/bench">
  <bpmn:process id="bench_timer" name="Timer" isExecutable="true">
    <bpmn:startEvent id="start"/>
    <bpmn:sequenceFlow id="a" sourceRef="start" targetRef="later"/>
    <bpmn:intermediateCatchEvent id="later">
      <bpmn:timerEventDefinition><bpmn:timeDuration>P1D</bpmn:timeDuration></bpmn:timerEventDefinition>
    </bpmn:intermediateCatchEvent>
    <bpmn:sequenceFlow id="b" sourceRef="later" targetRef="ask"/>
    <bpmn:userTask id="ask" name="Ask" camunda:assignee="sekretariatet"/>
    <bpmn:sequenceFlow id="c" sourceRef="ask" targetRef="end"/>
    <bpmn:endEvent id="end"/>
  </bpmn:process>
</bpmn:definitions>"""


# --- processes --------------------------------------------------------------------------------------------------------


def settings_of(url: str, mode: str) -> dict[str, str]:
    """The environment of a process in that mode."""
    return {
        "AVTALEFLYT_DATABASE_URL": url, "AVTALEFLYT_DISPATCHER": mode, "AVTALEFLYT_SECRET_KEY": "only-for-the-bench",
        "AVTALEFLYT_SMTP_HOST": "127.0.0.1", "AVTALEFLYT_SMTP_PORT": "9", "AVTALEFLYT_LOG_LEVEL": "ERROR",
    }  # fmt: skip


@contextmanager
def workers(database: Database, mode: str, count: int = 2) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many `avtaleflyt worker` processes, whose clocks turn."""
    environment = {**os.environ, **settings_of(database.url, mode)}
    command = [sys.executable, "-m", "web.cli", "worker"]
    running = [subprocess.Popen(command, env=environment) for _ in range(count)]
    try:
        alive = text("SELECT count(*) FROM worker_heartbeat")
        wait_until(lambda: scalar(database, alive) == count)
        if mode == "procrastinate":
            listening = text("SELECT count(*) FROM procrastinate.procrastinate_workers")
            wait_until(lambda: scalar(database, listening) >= 2 * count)
        yield running
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(60)
        with database.transaction() as session:
            session.execute(text("DELETE FROM worker_heartbeat"))


def wait_until(is_so: Callable[[], bool], *, pause_seconds: float = 0.02, patience_seconds: float = 600) -> None:
    """Look until it is so."""
    end = time.monotonic() + patience_seconds
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError("it did not come to pass")
        time.sleep(pause_seconds)


def scalar(database: Database, query: object) -> int:
    """One number."""
    with database.reading() as session:
        return int(session.scalar(query) or 0)  # type: ignore[call-overload]


def cpu_seconds(processes: list[subprocess.Popen[bytes]]) -> float:
    """Processor time that the processes have used."""
    ticks = 0
    for process in processes:
        with open(f"/proc/{process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


# --- figures ----------------------------------------------------------------------------------------------------------


def latency(database: Database, world: BenchWorld, mode: str, samples: int) -> dict[str, object]:
    """From the commit of a start to the end of the job that it asked for."""
    hints = _telling(database, mode)
    taken, of_act = [], 0
    with workers(database, mode):
        for number in range(samples):
            time.sleep(0.03 + (number % 7) / 7 * 0.3)  # so that acts come at any moment of the clock's pause
            with counting(database) as counted:
                begun = world.start(database, "motesak")
                # Of the act only: the hint goes its own way.
                of_act = sum("procrastinate" not in s and "search_path" not in s for s in counted.statements)
            committed = time.perf_counter()
            open_jobs = select(func.count()).where(Job.instance_id == begun, Job.state != "done")
            wait_until(lambda query=open_jobs: scalar(database, query) == 0, pause_seconds=0.001)  # type: ignore[misc]
            taken.append(time.perf_counter() - committed)
    if hints is not None:
        hints.stop()
    taken.sort()
    return {
        "n": samples, "median_ms": round(statistics.median(taken) * 1000, 1),
        "p95_ms": round(taken[round(samples * 0.95) - 1] * 1000, 1), "statements": of_act,
    }  # fmt: skip


def _telling(database: Database, mode: str) -> dispatching.Hints | None:
    database.tell = lambda moments: None
    if mode == "polling":
        return None
    hints = dispatching.Hints(database, utc_now)
    hints.start()
    database.tell = hints.hear
    return hints


def throughput(database: Database, world: BenchWorld, mode: str, count: int) -> dict[str, object]:
    """Jobs a second of two workers: mails planned anew, asked for one transaction at a time."""
    case = world.start(database, "motesak")
    hints = _telling(database, mode)
    with workers(database, mode) as processes:
        before, begun = cpu_seconds(processes), time.perf_counter()
        for number in range(count):
            with database.transaction() as session:
                key = f"bench:{mode}:{number}:{begun}"
                jobs.enqueue(session, "reconcile", run_at=utc_now(), instance_id=case, unique_key=key)
        asked = time.perf_counter() - begun
        wait_until(lambda: scalar(database, select(func.count()).where(Job.state != "done")) == 0)
        took, cpu = time.perf_counter() - begun, cpu_seconds(processes) - before
    if hints is not None:
        hints.stop()
    return {
        "n": count, "per_s": round(count / took, 1), "asked_per_s": round(count / asked, 1),
        "cpu_ms": round(cpu / count * 1000, 2),
    }  # fmt: skip


def idle(database: Database, mode: str, seconds: float) -> dict[str, object]:
    """What two workers with nothing to do ask of the database and the processor."""
    query = text("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")
    connections = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    quieten(database)
    with workers(database, mode) as processes:
        time.sleep(3)
        before, cpu = scalar(database, query), cpu_seconds(processes)
        time.sleep(seconds)
        after, used = scalar(database, query), cpu_seconds(processes) - cpu
        held = scalar(database, connections)
    return {
        "seconds": seconds, "transactions_per_s": round((after - before) / seconds, 2),
        "cpu_percent": round(used / seconds * 100, 2), "connections": held,
    }  # fmt: skip


def quieten(database: Database) -> None:
    """Nothing is due any more, and no mail is to be sent."""
    served = build(Settings(database_url=database.url))
    with database.transaction() as session:
        session.execute(update(ProcessInstance).values(wake_at=None))
    while served.drain(utc_now()):
        continue
    with database.transaction() as session:
        session.execute(update(Delivery).values(state="cancelled"))


def idle_tick(database: Database, timers: int, looks: int = 200) -> dict[str, object]:
    """A look with so many waiting timers: its time, its statements, and the plan's indexes. Leaves the timers."""
    many_timers(database, timers, FAR)
    served = build(Settings(database_url=database.url))
    clock = scheduling.EmbeddedClock(database, served.kinds, utc_now)
    clock.look(utc_now())
    with counting(database) as counted:
        clock.look(utc_now())
    taken, cpu = [], time.process_time()
    for _ in range(looks):
        begun = time.perf_counter()
        clock.look(utc_now())
        taken.append(time.perf_counter() - begun)
    cpu = time.process_time() - cpu
    taken.sort()
    return {
        "n": timers, "median_ms": round(statistics.median(taken) * 1000, 2),
        "p95_ms": round(taken[round(looks * 0.95) - 1] * 1000, 2), "cpu_ms": round(cpu / looks * 1000, 2),
        "statements": sum(s != "BEGIN" for s in counted.statements), "commits": counted.commits,
    }  # fmt: skip


def many_timers(database: Database, count: int, wake_at: datetime) -> None:
    """Let so many cases wait for a moment: copies of one row, each the whole case as far as waiting goes."""
    own = ("id", "public_id", "idempotency_key")
    names = ", ".join(c.name for c in ProcessInstance.__table__.columns if c.name not in own)
    with database.transaction() as session:
        last = session.scalar(select(func.max(ProcessInstance.id)))
        session.execute(
            text(
                f"INSERT INTO process_instance (public_id, {names}) "
                f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < :count) "
                f"SELECT 't' || CAST(n AS TEXT), {names} FROM process_instance, c WHERE process_instance.id = :last"
            ),
            {"count": count, "last": last},
        )
        made = update(ProcessInstance).where(ProcessInstance.id > last).values(wake_at=wake_at, state="active")
        session.execute(made)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def due_storm(database: Database, world: BenchWorld, mode: str, cases: int) -> dict[str, object]:
    """So many timers of real cases, due at once: wakes a second of two workers, and their processor time for each."""
    with database.transaction() as session:
        deployments.deploy(session, world.community_id, [Source(xml=TIMER, forms={})], now=NOW, actor_id=None)
        session.execute(update(ProcessInstance).values(wake_at=None))
    for _ in range(cases):
        world.start(database, "bench_timer")
    waiting = select(func.count()).where(ProcessInstance.state == "active", ProcessInstance.wake_at.is_not(None))
    # Their day is long over; until the workers are ready they seem to wait.
    due = ProcessInstance.wake_at.is_not(None)
    with database.transaction() as session:
        session.execute(update(ProcessInstance).where(due).values(wake_at=FAR))
        session.execute(update(Job).values(state="done"))
    with workers(database, mode) as processes:
        before, begun = cpu_seconds(processes), time.perf_counter()
        with database.transaction() as session:
            session.execute(update(ProcessInstance).where(due).values(wake_at=NOW + timedelta(days=1)))
        wait_until(lambda: scalar(database, waiting) == 0, pause_seconds=0.1)
        took, cpu = time.perf_counter() - begun, cpu_seconds(processes) - before
        wait_until(lambda: scalar(database, select(func.count()).where(Job.state != "done")) == 0, pause_seconds=0.1)
        whole = time.perf_counter() - begun
    return {
        "n": cases, "per_s": round(cases / took, 1), "with_jobs_per_s": round(cases / whole, 1),
        "cpu_ms": round(cpu / cases * 1000, 2),
    }  # fmt: skip


# --- all of it --------------------------------------------------------------------------------------------------------


def show(name: str, mode: str, figures: Mapping[str, object]) -> None:
    """One JSON line."""
    print(json.dumps({"name": name, "backend": "postgresql", "mode": mode, **figures}), flush=True)


def main() -> None:
    """Measure everything in both modes, turn about."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--idle-seconds", type=float, default=20)
    parser.add_argument("--storm", type=int, default=2000)
    given = parser.parse_args()
    server = PostgresServer()
    database = Database(server.create())
    try:
        world = build_world(database)
        with database.engine.begin() as connection:
            dispatching.install(connection)
        served = build(Settings(database_url=database.url))
        while served.drain(utc_now()):
            continue
        for _ in range(given.rounds):
            for mode in MODES:
                show("commit_to_effect", mode, latency(database, world, mode, given.samples))
                show("jobs", mode, throughput(database, world, mode, given.jobs))
                show("idle", mode, idle(database, mode, given.idle_seconds))
                show("due_storm", mode, due_storm(database, world, mode, given.storm))
        show("idle_timers", "any", idle_tick(database, 100_000))
    finally:
        database.dispose()
        server.close()


if __name__ == "__main__":
    main()
