"""Calendars by secret address: what programs read, how it changes, and that nobody else reads it."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest
from sqlalchemy import select

from agreements import calendars
from agreements.calendars import Entry
from agreements.model import Meeting
from engine.model import Group, Membership, ProcessInstance, UserTask
from tests.world import World

Client = Callable[[str], Any]
OSLO = ZoneInfo("Europe/Oslo")
STAMP = datetime(2026, 5, 18, 8, tzinfo=UTC)


def _open(client: Any, body: str = "") -> str:
    """Make an address; answers its path."""
    page = client.post("/kalender/adresse", data={"organ": body})
    assert page.status_code == 200, page.text[:2000]
    found = re.search(r'value="https://avtaleflyt.example.org(/kalender/[^"]+\.ics)"', page.text)
    assert found is not None
    return found[1]


def _events(app: Any, path: str) -> dict[str, Any]:
    """What a program reads there, by summary."""
    answer = app.test_client().get(path)
    assert answer.status_code == 200
    assert answer.content_type == "text/calendar; charset=utf-8"
    parsed = icalendar.Calendar.from_ical(answer.data)
    return {str(event["summary"]): event for event in parsed.walk("VEVENT")}


@pytest.fixture
def survey(world: World) -> int:
    """An evaluation of four parties, whose survey is open."""
    case = world.start(parties=("larvik", "horten", "faerder", "holmestrand"))
    world.proceed_to(case, "answer_survey")
    return case


def test_a_persons_deadlines_stand_in_their_calendar_and_change_there(
    app: Any, world: World, survey: int, client_for: Client
) -> None:
    larvik = client_for("radgiver.larvik")
    asked = world.task(survey, "answer_survey", "larvik")
    path = _open(larvik)
    name = f"Frist: {asked.name} for Larvik kommune"
    event = _events(app, path)[name]
    assert event["dtstart"].dt == asked.due_date
    assert event["dtend"].dt == asked.due_date + timedelta(days=1)
    assert (event["transp"], event["sequence"], event["status"]) == ("TRANSPARENT", 0, "CONFIRMED")
    assert str(event["url"]) == f"https://avtaleflyt.example.org/oppgaver/{asked.public_id}"
    first = app.test_client().get(path)
    etag = first.headers["ETag"]
    assert app.test_client().get(path, headers={"If-None-Match": etag}).status_code == 304
    assert app.test_client().head(path).status_code == 200
    later = asked.due_date + timedelta(days=1)
    with world.database.transaction() as session:
        task = session.get_one(UserTask, asked.id)
        task.due_date, task.due_generation = later, 2
    moved = _events(app, path)[name]
    assert (moved["uid"], moved["sequence"], moved["dtstart"].dt) == (event["uid"], 1, later)
    assert app.test_client().get(path, headers={"If-None-Match": etag}).status_code == 200
    with world.database.transaction() as session:
        task = session.get_one(UserTask, asked.id)
        task.state, task.step.ended_at = "withdrawn", world.clock()
    gone = _events(app, path)[name]
    assert (gone["uid"], gone["sequence"], gone["status"]) == (event["uid"], 2, "CANCELLED")


def test_an_address_is_shown_once_replaced_and_closed(app: Any, world: World, client_for: Client) -> None:
    larvik = client_for("radgiver.larvik")
    first = _open(larvik)
    assert first not in larvik.get("/kalender").text
    second = _open(larvik)
    assert app.test_client().get(first).status_code == 404
    answer = app.test_client().get(second)
    assert (answer.status_code, answer.headers["X-Robots-Tag"]) == (200, "noindex")
    assert larvik.post("/kalender/steng", data={"organ": ""}).status_code == 303
    assert app.test_client().get(second).status_code == 404
    assert app.test_client().get("/kalender/feil.ics").status_code == 404
    assert app.test_client().get("/kalender").status_code in (302, 401)
    with world.database.reading() as session:
        for feed in session.scalars(select(calendars.CalendarFeed)):
            assert feed.token_hash not in first + second
            assert second.split("/")[-1][:-4] != feed.token_hash


def test_reading_too_often_and_guessing_are_slowed(app: Any, client_for: Client) -> None:
    path, program = _open(client_for("radgiver.larvik")), app.test_client()
    answers = [program.get(path) for _ in range(61)]
    assert {a.status_code for a in answers[:60]} == {200}
    assert (answers[60].status_code, answers[60].data, "Retry-After" in answers[60].headers) == (429, b"", True)
    guesses = [program.get(f"/kalender/gjett{n}.ics").status_code for n in range(51)]
    assert (set(guesses[:50]), guesses[50]) == ({404}, 429)


def test_a_body_has_its_meetings_at_local_time_and_only_members_read_them(
    app: Any, world: World, client_for: Client
) -> None:
    with world.database.transaction() as session:
        meeting = session.scalars(select(Meeting).where(Meeting.key == "ssu-2026-11-27")).one()
        meeting.starts_at, meeting.place = time(12, 30), "Tønsberg; rom 2,\r\nATTENDEE:ond"
    member = client_for("leder.au")
    body = next(
        key for key in ("au", "ssu") if member.post("/kalender/adresse", data={"organ": key}).status_code == 200
    )
    outsider = client_for("tillitsvalgt.siv")
    assert outsider.post("/kalender/adresse", data={"organ": body}).status_code == 403
    administrator = client_for("administrator")
    path = _open(administrator, "ssu")
    found = [e for e in _read(app, path) if e["dtstart"].dt == datetime(2026, 11, 27, 12, 30, tzinfo=OSLO)]
    assert [str(e["summary"]) for e in found] == ["Møte i SSU"]
    assert found[0]["dtstart"].params["TZID"] == "Europe/Oslo"
    assert str(found[0]["location"]) == "Tønsberg; rom 2, ATTENDEE:ond"
    assert "attendee" not in found[0]
    with world.database.transaction() as session:
        moved = session.scalars(select(Meeting).where(Meeting.key == "ssu-2026-11-27")).one()
        moved.date, moved.sequence = date(2026, 12, 4), 1
    again = next(e for e in _read(app, path) if e["uid"] == found[0]["uid"])
    assert (again["sequence"], again["dtstart"].dt.date()) == (1, date(2026, 12, 4))
    # who leaves the body reads no more of it
    own = _open(member, body)
    assert app.test_client().get(own).status_code == 200
    with world.database.transaction() as session:
        user = world.user(session, "leder.au")
        group = session.scalars(select(Group.id).where(Group.key == body)).one()
        session.delete(session.get_one(Membership, (user.id, group)))
    assert app.test_client().get(own).status_code == 404


def _read(app: Any, path: str) -> list[Any]:
    return list(icalendar.Calendar.from_ical(app.test_client().get(path).data).walk("VEVENT"))


@pytest.mark.parametrize(
    ("day", "utc"),
    [
        (date(2026, 3, 28), 8), (date(2026, 3, 29), 7), (date(2026, 10, 24), 7), (date(2026, 10, 25), 8),
        (date(2030, 3, 31), 7), (date(2030, 10, 27), 8),
    ],
)  # fmt: skip
def test_nine_o_clock_stays_nine_o_clock_around_the_changes_of_summer_time(day: date, utc: int) -> None:
    entry = Entry(
        uid="a@b", summary="Møte", about=[], url="https://a.example.org", starts=datetime.combine(day, time(9), OSLO),
        sequence=0, stamp=STAMP,
    )  # fmt: skip
    text = calendars.rendered([entry], name="A", zone=OSLO, language="nb")
    parsed = icalendar.Calendar.from_ical(text)
    event = parsed.walk("VEVENT")[0]
    assert f"DTSTART;TZID=Europe/Oslo:{day:%Y%m%d}T090000" in text.decode()
    assert event["dtstart"].dt.astimezone(UTC).hour == utc
    # the zone as the file itself tells it
    told = parsed.walk("VTIMEZONE")[0].to_tz(lookup_tzid=False)
    assert datetime.combine(day, time(9), told).astimezone(UTC).hour == utc


@pytest.mark.parametrize(
    "bad", ["\r\nBEGIN:VALARM", "\nATTENDEE:mailto:x@y", "\x00\x0b\x85\u2028", ';,\\:"', "æ" * 200]
)
def test_nothing_anybody_writes_becomes_a_line_of_its_own(bad: str) -> None:
    entry = Entry(
        uid="a@b", summary=f"A{bad}", about=[f"B{bad}"], url="https://a.example.org", place=f"C{bad}",
        starts=date(2026, 5, 4), sequence=0, stamp=STAMP,
    )  # fmt: skip
    content = calendars.rendered([entry], name=f"N{bad}", zone=OSLO, language="nb")
    lines = content.decode().replace("\r\n ", "").split("\r\n")
    assert all(re.match(r"[A-Z-]+[;:]", line) for line in lines if line)
    assert not any(line.startswith(("ATTENDEE", "BEGIN:VALARM")) for line in lines)
    assert all(len(line) <= 75 for line in content.split(b"\r\n"))
    event = icalendar.Calendar.from_ical(content).walk("VEVENT")[0]
    kept = " ".join("".join(c if c.isprintable() else " " for c in bad).split())
    assert kept in str(event["summary"])
    assert kept in str(event["location"])


def test_a_deputy_reads_whose_deadline_it_is_and_an_ended_case_has_none(
    app: Any, world: World, survey: int, client_for: Client
) -> None:
    today = world.clock.today
    days = {"starts_on": today.isoformat(), "ends_on": (today + timedelta(days=3)).isoformat()}
    client_for("radgiver.larvik").post("/fravaer", data={**days, "deputy": "radgiver.horten"})
    path = _open(client_for("radgiver.horten"))
    events = _events(app, path)
    larvik = next(e for name, e in events.items() if name.endswith("for Larvik kommune"))
    assert "Du er stedfortreder for" in str(larvik["description"])
    with world.database.transaction() as session:
        session.get_one(ProcessInstance, survey).state = "suspended"
    assert not [name for name in _events(app, path) if name.startswith("Frist")]
