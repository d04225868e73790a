"""What machines ask: alive, ready, the numbers, and log lines that hold ids and nothing about people."""

import dataclasses
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from engine import history, jobs
from engine.database import Database
from engine.heartbeats import Pulse
from engine.model import ProcessInstance, User, UserTask
from notifications.mailer import PermanentFailure
from notifications.model import Delivery
from tests.conftest import BACKENDS
from tests.engine.counting import counting
from tests.world import World
from web import health, logs, migrating
from web.app import create_app
from web.figures import gather

ROOT = Path(__file__).parents[2]
Client = Callable[[str], Any]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def versioned(world: World, version: str | None = None) -> None:
    """Say which version the schema has."""
    with world.database.transaction() as session:
        session.execute(text("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL)"))
        session.execute(text("DELETE FROM alembic_version"))
        given = {"version": version or migrating.newest()}
        session.execute(text("INSERT INTO alembic_version VALUES (:version)"), given)


def away(services: Any, tmp_path: Path) -> Any:
    """The services, on a database that can't be opened."""
    database = Database(f"sqlite:///{tmp_path}/no/such/folder/a.db")
    return create_app(dataclasses.replace(services, database=database)).test_client()


# --- alive and ready --------------------------------------------------------------------------------------------------


def test_a_living_process_says_so_even_without_its_database(services: Any, tmp_path: Path) -> None:
    assert away(services, tmp_path).get("/healthz").status_code == 200


def test_it_is_ready_with_a_database_of_its_own_version(app: Any, world: World) -> None:
    versioned(world)
    assert app.test_client().get("/readyz").status_code == 200


@pytest.mark.parametrize(("version", "status"), [("0001_initial", 503), ("9999_of_the_next_release", 200), (None, 200)])
def test_an_older_schema_is_not_ready_and_a_widened_one_is(
    app: Any, world: World, version: str | None, status: int
) -> None:
    versioned(world, version)
    answer = app.test_client().get("/readyz")
    assert answer.status_code == status
    assert ("avtaleflyt migrate" in answer.text) == (status == 503)


def test_without_a_schema_it_is_not_ready(app: Any) -> None:
    assert app.test_client().get("/readyz").status_code == 503


def test_without_its_database_it_is_not_ready(services: Any, tmp_path: Path) -> None:
    answer = away(services, tmp_path).get("/readyz")
    assert (answer.status_code, answer.text) == (503, "The database does not answer.\n")


def test_a_clock_that_stands_still_beside_the_pages_is_not_ready(services: Any, world: World) -> None:
    versioned(world)
    pulse = Pulse(world.database, kind="serve", version="1")
    client = create_app(services, pulse).test_client()
    assert client.get("/readyz").status_code == 503
    pulse.beat(world.clock())
    assert client.get("/readyz").status_code == 200
    world.clock.set(world.clock() + health.STANDS_STILL)
    assert client.get("/readyz").status_code == 200
    world.clock.advance(seconds=1)
    assert client.get("/readyz").text == "The clock in this process stands still.\n"


# --- numbers ----------------------------------------------------------------------------------------------------------


def numbers(client: Any, **headers: str) -> dict[str, float]:
    """Each line of the answer by its name and labels."""
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    lines = (line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _space, value in lines}


def test_a_running_survey_is_counted(app: Any, world: World, services: Any, mailer: Any) -> None:
    case = world.start()
    world.proceed_to(case, "answer_survey")
    client = app.test_client()
    before = numbers(client)
    assert before["avtaleflyt_database_up"] == 1
    assert before["avtaleflyt_open_tasks"] == len(world.tasks(case))
    assert before["avtaleflyt_overdue_tasks"] == 0
    assert before['avtaleflyt_cases{state="active"}'] == 1
    assert before['avtaleflyt_cases{state="suspended"}'] == 0
    assert before['avtaleflyt_jobs{kind="reconcile",state="queued"}'] > 0
    # When the tasks' day has passed and nobody has looked
    world.clock.to(date(2026, 12, 1), 12)
    late = numbers(client)
    assert late["avtaleflyt_overdue_tasks"] == late["avtaleflyt_open_tasks"]
    assert late["avtaleflyt_wakes_due"] == 1
    waited = world.clock() - world.instance(case).wake_at
    assert late["avtaleflyt_wake_lag_seconds"] == waited.total_seconds()
    assert late['avtaleflyt_job_lag_seconds{kind="reconcile",state="queued"}'] > timedelta(days=100).total_seconds()
    # When the clock has turned
    while services.drain(world.clock()):
        continue
    caught_up = numbers(client)
    assert caught_up["avtaleflyt_wake_lag_seconds"] == 0
    assert 'avtaleflyt_jobs{kind="reconcile",state="queued"}' not in caught_up
    assert caught_up["avtaleflyt_mails_last_hour"] == len(mailer.messages) > 0
    world.clock.advance(hours=1)
    assert numbers(client)["avtaleflyt_mails_last_hour"] == 0
    assert caught_up["avtaleflyt_oldest_unsent_seconds"] == 0


def test_a_task_is_overdue_after_its_day_where_the_community_is(app: Any, world: World) -> None:
    world.start()
    with world.database.transaction() as session:
        session.execute(update(UserTask).values(due_date=world.clock.today))
    client = app.test_client()
    world.clock.to(world.clock.today, 23, 59)
    assert numbers(client)["avtaleflyt_overdue_tasks"] == 0
    world.clock.advance(minutes=1)
    assert numbers(client)["avtaleflyt_overdue_tasks"] == 1


def test_mails_that_do_not_leave_are_late_and_those_refused_are_counted(
    app: Any, world: World, services: Any, mailer: Any
) -> None:
    case = world.start()
    world.proceed_to(case, "answer_survey")
    while jobs.run_one(world.database, services.handlers, world.clock()):
        continue
    client = app.test_client()
    assert numbers(client)["avtaleflyt_oldest_unsent_seconds"] == 0
    with world.database.reading() as session:
        first = session.scalar(select(func.min(Delivery.planned_at)).where(Delivery.state == "planned"))
    world.clock.set(first + timedelta(hours=2))
    found = numbers(client)
    assert found["avtaleflyt_oldest_unsent_seconds"] == timedelta(hours=2).total_seconds()
    assert found['avtaleflyt_deliveries{state="planned"}'] > 0

    def refuse(message: object, to: str) -> None:
        raise PermanentFailure("550 no such user")

    mailer._before = refuse
    while services.drain(world.clock()):
        continue
    found = numbers(client)
    assert found['avtaleflyt_deliveries{state="failed"}'] > 0
    assert found["avtaleflyt_oldest_unsent_seconds"] == 0


def test_workers_are_alive_until_they_have_been_silent_for_three_minutes(app: Any, world: World) -> None:
    client = app.test_client()
    assert numbers(client)["avtaleflyt_workers_alive"] == 0
    pulses = [Pulse(world.database, kind="worker", version="1") for _ in range(2)]
    for pulse in pulses:
        pulse.beat(world.clock())
    assert numbers(client)["avtaleflyt_workers_alive"] == 2
    pulses[0].stop()
    assert numbers(client)["avtaleflyt_workers_alive"] == 1
    world.clock.advance(minutes=3)
    assert numbers(client)["avtaleflyt_workers_alive"] == 0
    pulses[1].beat(world.clock())
    assert numbers(client)["avtaleflyt_workers_alive"] == 1


def test_requests_are_timed_by_endpoint_without_any_id(client_for: Client, world: World) -> None:
    case = world.instance(world.start())
    client = client_for("sekretariatet")
    client.get(f"/saker/{case.public_id}")
    client.get("/finnes/ikke-1234")
    found = numbers(client)
    labels = 'endpoint="cases.show",method="GET",status="200"'
    assert found[f"avtaleflyt_request_duration_seconds_count{{{labels}}}"] == 1
    assert found[f"avtaleflyt_request_duration_seconds_sum{{{labels}}}"] > 0
    labels = 'endpoint="none",method="GET",status="404"'
    assert found[f"avtaleflyt_request_duration_seconds_count{{{labels}}}"] == 1
    assert not any(case.public_id in name or "1234" in name for name in found)


def test_without_its_database_only_that_is_told(services: Any, tmp_path: Path) -> None:
    found = numbers(away(services, tmp_path))
    assert found["avtaleflyt_database_up"] == 0
    assert "avtaleflyt_open_tasks" not in found


def test_a_reading_costs_few_statements(world: World) -> None:
    world.start()
    with counting(world.database) as counted, world.database.reading() as session:
        gather(session, world.clock())
    assert len(counted) <= (13 if world.database.is_sqlite else 12), str(counted)  # SQLite is told to begin


def test_only_this_machine_may_read_the_numbers(app: Any) -> None:
    client = app.test_client()
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    assert client.get("/metrics", environ_base=elsewhere).status_code == 403
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        assert client.get("/metrics", headers={header: "127.0.0.1"}).status_code == 403, header
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": "::1"}).status_code == 200


def test_a_token_opens_the_numbers_from_anywhere_and_is_then_asked_of_everybody(services: Any) -> None:
    settings = services.settings.model_copy(update={"metrics_token": _secret("a-long-token")})
    client = create_app(dataclasses.replace(services, settings=settings)).test_client()
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    for given in ("", "Bearer", "Bearer wrong", "a-long-token", "Bearer a-long-tokén"):
        answer = client.get("/metrics", headers={"Authorization": given})
        assert answer.status_code == 401, given
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    given = {"Authorization": "Bearer a-long-token"}
    assert client.get("/metrics", headers=given, environ_base=elsewhere).status_code == 200


def _secret(text: str) -> Any:
    from pydantic import SecretStr

    return SecretStr(text)


def test_every_number_is_documented_and_no_other(app: Any, world: World, services: Any) -> None:
    world.start()
    answer = app.test_client().get("/metrics").text
    given = set(re.findall(r"^# TYPE (avtaleflyt_\w+)", answer, flags=re.MULTILINE))
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    documented = set(re.findall(r"^\| `(avtaleflyt_\w+)", page, flags=re.MULTILINE))
    assert documented == {name.removesuffix("_created") for name in given}


# --- heartbeats -------------------------------------------------------------------------------------------------------


def test_a_heart_beats_once_a_minute_however_often_the_clock_turns(world: World) -> None:
    pulse, seen = Pulse(world.database, kind="serve", version="1"), []
    for seconds in (0, 59, 1):
        pulse.beat(world.clock.advance(seconds=seconds))
        with world.database.reading() as session:
            seen.append(session.execute(text("SELECT seen_at FROM worker_heartbeat")).scalars().all())
    assert seen[0] == seen[1] != seen[2]
    assert [len(rows) for rows in seen] == [1, 1, 1]


def test_a_process_that_was_killed_is_forgotten_after_a_day(world: World) -> None:
    Pulse(world.database, kind="worker", version="1").beat(world.clock())
    other = Pulse(world.database, kind="worker", version="2").beat
    other(world.clock.advance(hours=24))
    with world.database.reading() as session:
        assert len(session.execute(text("SELECT id FROM worker_heartbeat")).all()) == 2
    other(world.clock.advance(minutes=1))
    with world.database.reading() as session:
        assert session.execute(text("SELECT version FROM worker_heartbeat")).scalars().all() == ["2"]


# --- log lines --------------------------------------------------------------------------------------------------------


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What is logged as JSON from now on."""
    stream, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(stream), root.level
    handler.setFormatter(logs.JsonLines())
    root.addHandler(handler)
    root.setLevel("INFO")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(level)


def test_each_request_is_one_line_with_ids_only(
    client_for: Client, world: World, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    case = world.instance(world.start())
    client = client_for("sekretariatet")
    answer = client.get(f"/saker/{case.public_id}")
    client.get("/invitasjon/a-secret-token")
    client.get("/saker/kari.nordmann")
    client.get("/sok?q=pasient")
    client.get("/healthz")
    requests = [line for line in lines() if line["logger"] == "web.request"]
    _signing_in, seen, invited, guessed, searched = requests
    assert seen["request_id"] == answer.headers["X-Request-Id"]
    assert (seen["method"], seen["route"], seen["status"]) == ("GET", "/saker/<id>", 200)
    assert seen["case"] == case.public_id
    assert seen["ms"] > 0
    with world.database.reading() as session:
        assert seen["user"] == world.user(session, "sekretariatet").id
    assert (invited["route"], guessed["route"], searched["route"]) == ("/invitasjon/<token>", "/saker/<id>", "/sok")
    assert "case" not in guessed
    everything = json.dumps(lines())
    assert not [word for word in ("sekretariatet", "kari", "a-secret", "pasient") if word in everything]


FREE_TEXT = "Kari Nordmann ble skrevet ut for tidlig"


def test_a_whole_story_is_logged_without_a_word_about_anybody(
    client_for: Client, world: World, services: Any, mailer: Any, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    case = world.instance(world.start())
    world.proceed_to(case.id, "answer_survey")
    survey = world.task(case.id, "answer_survey", "larvik")
    party, owner, approver = (client_for(key) for key in ("radgiver.larvik", "sekretariatet", "kommunalsjef.larvik"))
    address = f"/oppgaver/{survey.public_id}"
    # When a party drafts, attaches, answers and approves, in words of its own
    party.post(f"{address}/utkast", data={"revision": 1, "works_well": FREE_TEXT})
    file = {"dokumenter": (io.BytesIO(b"%PDF-1.4"), f"{FREE_TEXT}.pdf"), "revision": "1"}
    party.post(f"{address}/dokumenter", data=file, content_type="multipart/form-data")
    world.fill(survey.id, works_well=FREE_TEXT)
    approver.get(address)
    world.approve(survey.id)
    # and its owner steers, searches, and asks for what is not there
    for act in ("sett-pa-vent", "fortsett"):
        seen = {"revision": str(world.instance(case.id).revision), "reason": FREE_TEXT}
        assert owner.post(f"/saker/{case.public_id}/{act}", data=seen).status_code == 303
    owner.get("/sok", query_string={"q": FREE_TEXT})
    owner.get(f"/saker/{FREE_TEXT}")
    # and someone guesses, with and without a token
    app = owner.application.test_client()
    app.post("/logg-inn", data={"email": "radgiver.larvik@example.org", "password": FREE_TEXT})
    app.get("/api/v1/tasks", headers={"Authorization": f"Bearer {FREE_TEXT}"})

    # and mails are refused, a message reaches nobody, and the live state of the case breaks at its deadline
    def refuse(message: object, to: str) -> None:
        raise PermanentFailure(f"550 <{to}> is unknown: {FREE_TEXT}")

    mailer._before = refuse
    payload = {"community": world.community_id, "name": FREE_TEXT, "correlation": FREE_TEXT, "payload": {}}
    with world.database.transaction() as session:
        jobs.enqueue(session, "deliver-message", run_at=world.clock(), payload=payload)
        session.execute(update(ProcessInstance).values(state_document=FREE_TEXT.encode()))
        people = session.execute(select(User.name, User.email, User.key)).all()
    world.clock.to(date(2026, 10, 2), 12)
    while services.drain(world.clock()):
        continue
    # Then lines tell of it all, and of nobody
    told = lines()
    assert len([line for line in told if line["logger"] == "web.request"]) >= 12
    assert [line["case"] for line in told if line["event"] == "wake failed"] == [case.public_id]
    everything = json.dumps(told, ensure_ascii=False)
    names = {name for name, _email, _key in people} | {key for _name, _email, key in people if "." in key}
    assert [words for words in {*names, FREE_TEXT, "Kari", case.title, "@example.org"} if words in everything] == []


def test_a_fault_is_told_without_what_it_quotes(
    app: Any, services: Any, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    def fail() -> None:
        try:
            raise ValueError("Kari Nordmann svarte nei")
        except ValueError as error:
            raise KeyError("kari@example.org") from error

    app.add_url_rule("/brekk", "brekk", fail)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    answer = app.test_client().get("/brekk")
    assert answer.status_code == 500
    [fault] = [line for line in lines() if line["level"] == "ERROR"]
    assert fault["error"] == "KeyError"
    assert fault["request_id"] == answer.headers["X-Request-Id"]
    assert "which led to" in fault["trace"]
    assert "in fail" in fault["trace"]
    assert "Kari Nordmann svarte nei\n" not in fault["trace"].replace(
        'raise ValueError("Kari Nordmann svarte nei")', ""
    )
    assert fault["trace"].endswith("KeyError\n")


def test_a_database_error_quotes_no_values(world: World) -> None:
    twice = User(community_id=world.community_id, key="sekretariatet", name="Kari Nordmann", email="k@example.org")

    def add() -> None:
        with world.database.transaction() as session:
            session.add(twice)

    with pytest.raises(IntegrityError) as caught:
        add()
    assert "Kari Nordmann" not in str(caught.value)
    assert logs._saying(caught.value) == ""
    away = OperationalError("SELECT 1", {}, OSError("connection refused"))
    assert logs._saying(away) == ": connection refused"


def test_a_line_for_people_says_the_same() -> None:
    record = logging.makeLogRecord({"name": "web.request", "levelname": "INFO", "msg": "request", "status": 200})
    record.case, record.user = "abcdefghjkmn", None
    history.request_id.set(None)
    assert logs.TextLines().format(record) == "INFO web.request: request status=200 case=abcdefghjkmn"


def test_no_line_quotes_an_address_that_is_a_secret(app: Any) -> None:
    places = {rule.rule.split("/")[1] for rule in app.url_map.iter_rules() if "<token>" in rule.rule}
    assert places == set(logs.SECRET_PLACES)
    for place in places:
        said = {
            "levelname": "ERROR",
            "msg": "Error handling request %s",
            "args": (f"/{place}/abc-1.s3cret/utkast?x=1",),
        }
        for form in (logs.TextLines(), logs.JsonLines()):
            line = form.format(logging.makeLogRecord(said))
            assert "s3cret" not in line
            assert f"/{place}/…/utkast" in line


def test_a_broken_case_is_logged_by_its_public_id(
    world: World, services: Any, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    case = world.instance(world.start())
    with world.database.transaction() as session:
        broken = {"state_document": b"not a document", "wake_at": world.clock()}
        session.execute(update(ProcessInstance).where(ProcessInstance.id == case.id).values(**broken))
    services.drain(world.clock())
    [line] = [line for line in lines() if line["event"] == "wake failed"]
    assert line["case"] == case.public_id
