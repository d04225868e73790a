"""`python -m bench.scale --communities 1000`: a year of so many health communities in one PostgreSQL, measured.

One community lives a year through the engine, with its mails; SQL then multiplies its rows. One JSON line per figure.
The server is the tests' own and waits for no disk, so sizes, plans, statements and growth are the result, not times.
"""

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Column, String, Table, select, text
from sqlalchemy.engine import Connection

from bench.world import stamp
from engine import scheduling
from engine.database import Database
from engine.model import Base, ProcessInstance
from notifications import delivery
from tests.engine.counting import counting
from tests.fakes import START, FakeClock, RecordingMailer, oslo
from tests.postgres import PostgresServer
from tests.world import EVALUATION, MANDATE, MEETING_CASE, SSU, World, create_schema, load_community
from web import backup, services
from web.app import create_app
from web.figures import gather
from web.services import Services
from web.settings import Settings

#: Cases of one community in a year that end, and that are under way at the year's end with where they wait.
ENDED = {EVALUATION: 3, MANDATE: 12, MEETING_CASE: 60}
#: The evaluation comes last: no later case moves the clock past the end of its survey.
UNDER_WAY = {(MANDATE, "give_input"): 2, (MEETING_CASE, "behandle_saken"): 8, (EVALUATION, "answer_survey"): 1}
#: Ids of the copies: those of the first community, moved by so much for each.
STRIDE = 1_000_000
COPIES_AT_ONCE = 25
ROUNDS = 30
#: Of one process, not of a community.
_NOT_COPIED = {"clock_offset", "received_mail", "worker_heartbeat"}
_PAGES = {"my_tasks": "/oppgaver", "cases": "/saker", "operations": "/drift", "metrics": "/metrics"}


def say(name: str, **figures: object) -> None:
    """One line."""
    print(json.dumps({"name": name, **figures}), flush=True)


# --- one community's year ---------------------------------------------------------------------------------------------


def live_a_year(world: World, served: Services) -> None:
    """Every case from its start, each from the same day; people answer on the day it is due, so all reminders leave."""
    for process, count in ENDED.items():
        for _ in range(count):
            world.clock.set(START)
            _live(world, served, _started(world, process), until=None)
    for (process, element), count in UNDER_WAY.items():
        for _ in range(count):
            world.clock.set(START)
            _live(world, served, _started(world, process), until=element)
    world.clock.set(START)


def _started(world: World, process: str) -> int:
    return world.start(process, meetings={"ssu": SSU}) if process == MANDATE else world.start(process)


def _live(world: World, served: Services, case: int, until: str | None) -> None:
    _drain(world, served)
    while world.instance(case).state == "active" and not (until and world.tasks(case, until)):
        _send_until(world, served, _next_act_at(world, case))
        world._next_act(case)
        _drain(world, served)


def _next_act_at(world: World, case: int) -> datetime:
    days = [task.due_date for task in world.tasks(case) if task.due_date is not None]
    moments = [oslo(min(days))] if days else []
    wake_at = world.instance(case).wake_at
    return min([*moments, *([wake_at] if wake_at else [])], default=world.clock())


def _send_until(world: World, served: Services, moment: datetime) -> None:
    while True:
        with world.database.reading() as session:
            due = delivery.next_due(session)
        if due is None or due >= moment:
            return
        world.clock.set(max(world.clock(), due))
        _drain(world, served)


def _drain(world: World, served: Services) -> None:
    while served.drain(world.clock()):
        continue


# --- many communities -------------------------------------------------------------------------------------------------


def multiply(database: Database, communities: int) -> None:
    """Copy the first community's rows until there are so many communities."""
    with database.engine.connect() as connection:
        # What the copies point at exists by the way they are made, so it is not looked up row by row.
        connection.execute(text("SET session_replication_role = replica"))
        connection.commit()
        for first in range(1, communities, COPIES_AT_ONCE):
            last = min(first + COPIES_AT_ONCE, communities) - 1
            for table in Base.metadata.sorted_tables:
                if table.name not in _NOT_COPIED:
                    connection.execute(text(_copying(table)), {"first": first, "last": last, "stride": STRIDE})
            connection.commit()
        connection.execute(text("SET session_replication_role = origin"))
        _count_on(connection)
        connection.commit()
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def _copying(table: Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    values = ", ".join(_copied(column) for column in table.columns)
    first_key = next(iter(table.primary_key.columns)).name
    copies = "generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS copies(k)"
    chosen = f'SELECT {values} FROM "{table.name}" AS t, {copies} WHERE t."{first_key}" <= :stride'
    return f'INSERT INTO "{table.name}" ({names}) {chosen}'


def _copied(column: Column[Any]) -> str:
    own, moved = f't."{column.name}"', "k * CAST(:stride AS bigint)"
    if column.foreign_keys or column.name == "id":
        return f"{own} + {moved}"
    if column.name == "public_id":
        # Real ids have no 0 in them, so that none is like a copy's.
        return f"lpad(to_hex(k), 4, '0') || substr({own}, 5)"
    if column.name in ("pins", "roles"):
        one = f"jsonb_set(CAST(value AS jsonb), '{{id}}', to_jsonb(CAST(value->>'id' AS bigint) + {moved}))"
        return f"(SELECT coalesce(json_object_agg(key, {one}), '{{}}') FROM json_each({own}))"
    if column.unique and isinstance(column.type, String):
        return f"{own} || '-' || k"
    return own


def _count_on(connection: Connection) -> None:
    for table in Base.metadata.sorted_tables:
        if "id" in table.columns:
            counter = f"pg_get_serial_sequence('\"{table.name}\"', 'id')"
            connection.execute(
                text(f'SELECT setval({counter}, max(id)) FROM "{table.name}" HAVING max(id) IS NOT NULL')
            )


# --- figures ----------------------------------------------------------------------------------------------------------


def sizes(database: Database, communities: int) -> None:
    """Rows and bytes of each table, and of one community's share."""
    total = 0
    with database.reading() as session:
        for table in Base.metadata.sorted_tables:
            rows = session.scalar(text(f'SELECT count(*) FROM "{table.name}"')) or 0
            name = f'"{table.name}"'
            size = "SELECT pg_table_size(CAST(:t AS regclass)), pg_indexes_size(CAST(:t AS regclass))"
            heap, indexes = session.execute(text(size), {"t": name}).one()
            total += heap + indexes
            if rows >= communities:
                say(f"table:{table.name}", rows=rows, table_mb=_mb(heap), index_mb=_mb(indexes))
    say("database", mb=_mb(total), kb_per_community=round(total / communities / 1000))


def _mb(size: int) -> float:
    return round(size / 1_000_000, 1)


def measured(name: str, database: Database, act: Callable[[], object], rounds: int = ROUNDS) -> None:
    """Median and p95 of an act that may be done again and again, and its statements."""
    act()  # the first one fills caches
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        act()
        times.append((time.perf_counter() - began) * 1000)
    with counting(database) as counter:
        act()
    p95 = sorted(times)[max(0, round(len(times) * 0.95) - 1)]
    say(name, median_ms=round(statistics.median(times), 2), p95_ms=round(p95, 2), statements=len(counter))


def acts(world: World) -> None:
    """Starting a case and completing its first task, whose rows come last in every index."""
    measured("start_instance", world.database, lambda: world.start(MEETING_CASE))
    waiting = _fresh_tasks(world)
    measured("complete_task", world.database, lambda: world.fill(next(waiting)))


def _fresh_tasks(world: World) -> Iterator[int]:
    while True:
        yield world.tasks(world.start(MEETING_CASE))[0].id


def pages(world: World, served: Services) -> None:
    """What the secretariat and an administrator open."""
    with world.database.reading() as session:
        settings = served.settings.model_copy(update={"community": _key(session, world)})
        cases = select(ProcessInstance).where(
            ProcessInstance.community_id == world.community_id, ProcessInstance.state == "active"
        )
        case = next(c for c in session.scalars(cases.order_by(ProcessInstance.id)) if c.wake_at)
        address = f"/saker/{case.public_id}"
    app = create_app(dataclasses.replace(served, settings=settings))
    app.config.update(WTF_CSRF_ENABLED=False)
    client = app.test_client()
    client.post("/velg-hvem-du-er", data={"user": "administrator"})
    for name, path in {**_PAGES, "case": address}.items():
        measured(f"page:{name}", world.database, lambda path=path: _opened(client, path), rounds=10)


def _key(session: Any, world: World) -> str:
    return str(session.scalar(text("SELECT key FROM community WHERE id = :id"), {"id": world.community_id}))


def _opened(client: Any, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200, f"{path}: {answer.status}"
    answer.close()


def ticks(world: World, served: Services) -> None:
    """A turn of the clock that finds nothing to do, and the numbers that are told of the whole."""
    world.clock.set(START)
    statement = scheduling.looking(served.kinds)

    def look() -> None:
        with world.database.reading() as session:
            scheduling.next_moments(session, statement)

    measured("idle_tick", world.database, look)
    measured("figures", world.database, lambda: _gathered(world), rounds=5)


def _gathered(world: World) -> None:
    with world.database.reading() as session:
        gather(session, world.clock())


def backed_up(world: World) -> None:
    """How long a back-up takes, and how large it is."""
    with TemporaryDirectory() as folder:
        path, began = Path(folder) / "backup", time.perf_counter()
        contents = backup.write(world.database, path, now=world.clock())
        say("backup", rows=contents.total, seconds=round(time.perf_counter() - began, 1), mb=_mb(path.stat().st_size))


# --- all of it --------------------------------------------------------------------------------------------------------


def main() -> None:
    """Build, measure with one community, multiply, measure again in the middle of them, and remove everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--communities", type=int, default=1000)
    communities = parser.parse_args().communities
    server = PostgresServer()
    try:
        database = Database(server.create())
        _run(database, communities)
        database.dispose()
    finally:
        server.close()


def _run(database: Database, communities: int) -> None:
    create_schema(database)
    load_community(database)
    stamp(database)
    clock = FakeClock()
    world = World.of(database, clock)
    settings = Settings(database_url=database.url, demo=True, secret_key="x" * 64, base_url="https://a.example.org")
    served = dataclasses.replace(services.build(settings, clock=clock, mailer=RecordingMailer()), database=database)
    began = time.perf_counter()
    live_a_year(world, served)
    say("a_year_lived", seconds=round(time.perf_counter() - began, 1))
    began = time.perf_counter()
    multiply(database, communities)
    say("multiplied", communities=communities, seconds=round(time.perf_counter() - began, 1))
    sizes(database, communities)
    middle = dataclasses.replace(world, community_id=world.community_id + communities // 2 * STRIDE)
    ticks(middle, served)
    acts(middle)
    pages(middle, served)
    backed_up(middle)


if __name__ == "__main__":
    main()
