"""Rows about pages and lists among many cases and tasks, and about what a page weighs."""

import re
from collections.abc import Iterator
from datetime import date

from flask.testing import FlaskClient

from bench import bulk
from bench.measuring import RUNS, Row, Samples, count, row, told
from bench.surroundings import Place, Surroundings
from bench.world import NOW
from tests.engine.counting import counting
from tests.fakes import FakeClock, RecordingMailer
from tests.world import EVALUATION, World
from web.app import create_app

PER_RUN = 10
#: Cases with an open task each, beside the one that is looked at.
AMONG = 10_000
OPEN_TASKS, COMPLETED_TASKS = 100_000, 1_000_000
OWNER, PARTY = "sekretariatet", "radgiver.larvik"
_ACCEPTED = "gzip, deflate, br, zstd"
_LINKED = re.compile(r'(?:href|src)="(/static/[^"]+)"')
_FONT = re.compile(r'url\("?(?:\./)?(inter-[^")]+)"?\)')


class Site:
    """The application on a database, with people signed in."""

    def __init__(self, place: Place, clock: FakeClock | None = None) -> None:
        services = place.services(clock=clock or FakeClock(NOW), mailer=RecordingMailer())
        self.database = place.database
        self.world = World(place.database, FakeClock(NOW), place.world.community_id)
        self._app = create_app(services)

    def browser(self, key: str) -> FlaskClient:
        """Somebody's, who is signed in."""
        client = self._app.test_client()
        with self.database.reading() as session, client.session_transaction() as cookie:
            user = self.world.user(session, key)
            cookie["_user_id"] = f"{user.id}:{user.session_version}"
        return client

    def get(self, browser: FlaskClient, address: str) -> bytes:
        """The answer, which must be a good one; as a browser asks for it."""
        answer = browser.get(address, headers={"Accept-Encoding": _ACCEPTED})
        assert answer.status_code == 200, f"{address}: {answer.status}"
        return answer.data


def _visits(name: str, on: Surroundings, site: Site, key: str, address: str) -> Row:
    """Five runs of visits to a page."""
    browser, samples = site.browser(key), Samples()
    site.get(browser, address)  # the first one compiles its templates, its statements and the case's model
    for _ in range(RUNS):
        samples.begin_run()
        for _ in range(PER_RUN):
            samples.time(lambda: site.get(browser, address))
    return row(name, on.backend, samples, counted=count(site.database, lambda: site.get(browser, address)))


# --- pages ------------------------------------------------------------------------------------------------------------


def pages(on: Surroundings) -> Iterator[Row]:
    """Mine oppgaver, a task, a case and the list of cases, with ten thousand open tasks about."""
    with on.fresh() as place:
        site = Site(place)
        task, case = _survey(site)
        with told(f"pages: {on.many(AMONG)} cases"):
            bulk.fill(place, open_tasks=on.many(AMONG))
        visited = {
            "mine": (OWNER, "/oppgaver"), "mine_of_party": (PARTY, "/oppgaver"), "task": (PARTY, f"/oppgaver/{task}"),
            "case": (OWNER, f"/saker/{case}"), "cases": (OWNER, "/saker"), "cases_of_party": (PARTY, "/saker"),
        }  # fmt: skip
        for name, (key, address) in visited.items():
            yield _visits(f"pages_{name}", on, site, key, address)


def _survey(site: Site) -> tuple[str, str]:
    """An evaluation whose survey is open and half answered: addresses of one party's task, and of the case."""
    world = site.world
    world.clock.to(date(2026, 5, 18))
    instance_id = world.start(EVALUATION)
    world.proceed_to(instance_id, "answer_survey")
    world.clock.set(NOW)
    for party in ("horten", "tonsberg", "siv"):
        world.complete(world.task(instance_id, "answer_survey", party).id)
    return world.task(instance_id, "answer_survey", "larvik").public_id, world.instance(instance_id).public_id


# --- my tasks ---------------------------------------------------------------------------------------------------------


def my_tasks(on: Surroundings) -> Iterator[Row]:
    """The API's list with a hundred thousand open tasks and a million completed; the index is asserted."""
    with on.fresh() as place:
        site = Site(place)
        with told(f"my_tasks: {on.many(OPEN_TASKS)} open and {on.many(COMPLETED_TASKS)} completed tasks"):
            bulk.fill(place, open_tasks=on.many(OPEN_TASKS), completed_tasks=on.many(COMPLETED_TASKS))
        _assert_index(site, "/api/v1/tasks?assignee=me", "ix_user_task_assignee")
        yield _visits("my_tasks", on, site, PARTY, "/api/v1/tasks?assignee=me")
        yield _visits("my_tasks_all_one_may_see", on, site, PARTY, "/api/v1/tasks")
        yield _visits("my_tasks_all_of_owner", on, site, OWNER, "/api/v1/tasks")


def _assert_index(site: Site, address: str, index: str) -> None:
    """The database's own plan for the list reads it from the index, and reads no table whole."""
    browser = site.browser(PARTY)
    plans = "\n".join(plan for asked in _asked(site, browser, address) for plan in asked)
    assert index in plans, plans
    assert "Seq Scan on user_task" not in plans, plans
    assert "SCAN user_task" not in plans, plans


def _asked(site: Site, browser: FlaskClient, address: str) -> Iterator[list[str]]:
    """The plan of each statement that the address sends about tasks."""
    explain = "EXPLAIN QUERY PLAN" if site.database.is_sqlite else "EXPLAIN"
    with counting(site.database) as counted:
        site.get(browser, address)
    with site.database.engine.connect() as connection:
        for statement, values in zip(counted.statements, counted.values, strict=True):
            if "FROM user_task" in statement:
                rows = connection.exec_driver_sql(f"{explain} {statement}", values)
                yield [str(found[-1]) for found in rows]


# --- weight -----------------------------------------------------------------------------------------------------------


def page_weight(on: Surroundings) -> Iterator[Row]:
    """Mine oppgaver at the first visit, with all it asks for, as it leaves the program: `n` is bytes."""
    with on.fresh() as place:
        site = Site(place)
        browser = site.browser(OWNER)
        page = site.get(browser, "/oppgaver")
        plain = browser.get("/oppgaver").get_data(as_text=True)
        linked = sorted(set(_LINKED.findall(plain)))
        styles = "".join(browser.get(address).text for address in linked if address.endswith(".css"))
        fonts = sorted({f"/static/dist/{name}" for name in _FONT.findall(styles)})
        assert fonts, "the style names its fonts"
        weight = len(page) + sum(len(site.get(browser, address)) for address in [*linked, *fonts])
    yield Row(name="page_weight", backend=on.backend, n=weight)
