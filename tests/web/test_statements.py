"""What a page costs: few statements, and no more when there is much about; lists read from their indexes."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import update

from bench import bulk
from bench.surroundings import Place
from bench.world import BenchWorld
from engine.model import UserTask
from tests.conftest import BACKENDS
from tests.engine.counting import Counted, counting
from tests.world import World
from web.pages import task_lists

OWNER, PARTY = "sekretariatet", "radgiver.larvik"
#: A page of a case or task, and of lists.
MOST = 12
#: Cases about, so many that a page of a list is full.
ABOUT = 120
Client = Callable[[str], Any]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Plans and statements are each database's own."""
    return str(request.param)


def asked(world: World, browser: Any, address: str) -> Counted:
    """What the page asks the database for, once everything is compiled."""
    assert browser.get(address).status_code == 200, address
    with counting(world.database) as counted:
        browser.get(address)
    # The demo asks how far its clock runs ahead, and a transaction of SQLite says that it begins.
    kept = [
        (text, values)
        for text, values in zip(counted.statements, counted.values, strict=True)
        if not text.startswith("BEGIN") and "clock_offset" not in text
    ]
    return Counted(statements=[text for text, _ in kept], values=[values for _, values in kept])


def plan(world: World, counted: Counted) -> str:
    """The database's plans of these statements."""
    explain = "EXPLAIN QUERY PLAN" if world.database.is_sqlite else "EXPLAIN"
    with world.database.engine.connect() as connection:
        if not world.database.is_sqlite:
            # A table as small as these is read whole whatever its indexes; so it is only where none would do.
            connection.exec_driver_sql("SET enable_seqscan = off")
        rows = [
            row
            for text, values in zip(counted.statements, counted.values, strict=True)
            for row in connection.exec_driver_sql(f"{explain} {text}", values)
        ]
    return "\n".join(str(row[-1]) for row in rows)


def test_pages_cost_few_statements_however_much_is_about(world: World, client_for: Client, tmp_path: Any) -> None:
    case = world.start()
    world.proceed_to(case, "answer_survey")
    world.clock.to(date(2026, 9, 9))
    world.complete(world.task(case, "answer_survey", "horten").id)
    task, instance = world.task(case, "answer_survey", "larvik"), world.instance(case)
    pages = {
        (OWNER, "/oppgaver"), (PARTY, "/oppgaver"), (PARTY, f"/oppgaver/{task.public_id}"),
        (OWNER, f"/oppgaver/{task.public_id}"), (OWNER, f"/saker/{instance.public_id}"),
        (PARTY, f"/saker/{instance.public_id}"), (OWNER, f"/saker/{instance.public_id}/historikk"),
        (OWNER, "/saker"), (PARTY, "/saker?vis=mine"), (OWNER, "/oppgaver/ferdige"), (OWNER, "/moter"),
        (OWNER, "/avtaler"), (OWNER, "/modeller"), (OWNER, "/e-poster"), (PARTY, "/e-poster"),
        (PARTY, "/oversikt"), (OWNER, "/sok?q=Sak"), (OWNER, "/api/v1/tasks"), (PARTY, "/api/v1/tasks?assignee=me"),
    }  # fmt: skip
    browsers = {key: client_for(key) for key in (OWNER, PARTY)}
    few = {page: len(asked(world, browsers[page[0]], page[1])) for page in pages}
    fill(world, tmp_path)
    many = {page: asked(world, browsers[page[0]], page[1]) for page in pages}
    over = {page: str(counted) for page, counted in many.items() if len(counted) > MOST}
    assert not over, "\n\n".join(f"{page}\n{text}" for page, text in over.items())
    # A list of several pages also counts what stands on the others.
    grown = {page: (few[page], len(counted)) for page, counted in many.items() if len(counted) > few[page] + 1}
    assert not grown


def test_lists_read_what_is_theirs_from_an_index(world: World, client_for: Client, tmp_path: Any) -> None:
    fill(world, tmp_path)
    browser = client_for(PARTY)
    mine = plan(world, asked(world, browser, "/api/v1/tasks?assignee=me"))
    assert "ix_user_task_assignee" in mine
    done = plan(world, asked(world, browser, "/oppgaver/ferdige"))
    assert "ix_user_task_completed" in done
    for found in (mine, done):
        assert "Seq Scan on user_task" not in found, found
        assert "SCAN user_task" not in found, found


def fill(world: World, folder: Any) -> None:
    """Many cases with an open task, dealt out to everyone, and ten times as many completed tasks."""
    bench = BenchWorld(community_id=world.community_id, user_id=0, floor_instance=0)
    place = Place(database=world.database, world=bench, folder=folder)
    bulk.fill(place, open_tasks=ABOUT, completed_tasks=ABOUT * 10)


def test_a_long_list_is_read_page_by_page_and_counted_whole(world: World, client_for: Client, tmp_path: Any) -> None:
    fill(world, tmp_path)
    with world.database.transaction() as session:
        owner = world.user(session, OWNER).id
        session.execute(update(UserTask).where(UserTask.state == "open").values(assignee_id=owner))
    browser = client_for(OWNER)
    first, second, third = (browser.get(f"/oppgaver?side={number}").text for number in (1, 2, 3))
    addresses = [{part.split('"')[0] for part in text.split('href="/oppgaver/')[1:]} for text in (first, second)]
    assert len(addresses[0] - {"ferdige"}) == task_lists.WAITING_SIZE
    assert not (addresses[0] & addresses[1]) - {"ferdige"}
    assert "Side 1" in first and "Neste side" in first and "Forrige side" not in first
    assert "Side 3" in third and "Neste side" not in third
    assert browser.get("/oppgaver?side=9").location == "/oppgaver"
    assert str(ABOUT + 1) in first  # all of them are counted, not those of the page
