"""Invitations to dialogue meetings: each change reaches the calendars of those invited, once, under the same UID."""

from datetime import date
from typing import Any

import icalendar
import pytest
from sqlalchemy import select

from engine.model import User, UserTask
from tests.notifications.mail_rows import OPENED, Case, oslo
from tests.notifications.outbox import Outbox, send_all

FIRST = {"name": "Dialogmøte 1", "date": "2026-10-20"}


@pytest.fixture
def plan(case: Case) -> int:
    """The planning step, answered; Larvik and Sandefjord are parties."""
    case.survey(parties=("Larvik", "Sandefjord"))
    parties = [{"contact": "kommunalsjef.larvik"}, {"contact": "kommunalsjef.sandefjord"}]
    case.set_instance(data={"parties": parties})
    task = case.group_task()
    _answer(case, task, FIRST)
    return task


def _answer(case: Case, task: int, *meetings: dict[str, str]) -> None:
    case.change(task, form_key="plan_and_clarify", state="completed", answers={"meeting_dates": list(meetings)})


def _mails(case: Case, day: int, month: int = 9) -> list[tuple[str, str, Any]]:
    """What is sent on that day: who is invited by what, and the event."""
    mailer = Outbox()
    case.reconcile(oslo(month, day))
    case.reconcile(oslo(month, day, 9))
    send_all(case, oslo(month, day, 10), mailer)
    send_all(case, oslo(month, day, 11), mailer)
    found = []
    for message in mailer.messages:
        for part in message.walk():
            if part.get_content_type() == "text/calendar":
                calendar = icalendar.Calendar.from_ical(part.get_content())
                assert part.get_param("method") == str(calendar["method"])
                found.append((str(message["Subject"]), str(calendar["method"]), calendar.walk("VEVENT")[0]))
    return found


def test_a_meeting_is_announced_moved_and_called_off_to_those_invited(case: Case, plan: int) -> None:
    first = _mails(case, 2)
    assert [(subject, method) for subject, method, _ in first] == [
        ("Innkalling: dialogmøte 1 20. oktober", "REQUEST"), ("Innkalling: dialogmøte 1 20. oktober", "REQUEST"),
    ]  # fmt: skip
    event = first[0][2]
    assert (event["sequence"], event["dtstart"].dt, event["status"]) == (0, date(2026, 10, 20), "CONFIRMED")
    assert {str(e["attendee"]) for _, _, e in first} == {
        "mailto:kommunalsjef.larvik@example.org", "mailto:kommunalsjef.sandefjord@example.org",
    }  # fmt: skip
    assert str(event["organizer"]) == "mailto:sekretariatet@example.org"
    assert _mails(case, 3) == []
    _answer(case, plan, FIRST | {"date": "2026-10-22"}, {"name": "Workshop", "date": "2026-10-29"})
    moved = _mails(case, 4)
    assert sorted({(s, m, e["sequence"]) for s, m, e in moved}) == [
        ("Flyttet til 22. oktober: dialogmøte 1", "REQUEST", 1), ("Innkalling: workshop 29. oktober", "REQUEST", 0),
    ]  # fmt: skip
    assert {e["uid"] for s, _, e in moved if "dialogmøte" in s} == {event["uid"]}
    case.set_instance(state="cancelled")
    off = _mails(case, 7)
    assert {(s, m, e["sequence"], e["status"]) for s, m, e in off} == {
        ("Avlyst: dialogmøte 1 22. oktober", "CANCEL", 2, "CANCELLED"),
        ("Avlyst: workshop 29. oktober", "CANCEL", 1, "CANCELLED"),
    }
    assert len(off) == 4


def test_what_changes_before_anyone_is_told_is_told_as_it_is(case: Case, plan: int) -> None:
    case.reconcile(OPENED)
    _answer(case, plan, {"name": "Nytt møte", "date": "2026-10-21"})
    sent = _mails(case, 2)
    assert {subject for subject, _, _ in sent} == {"Innkalling: nytt møte 21. oktober"}
    # what has been held is left alone
    case.set_instance(state="cancelled")
    assert _mails(case, 1, month=11) == []


def test_a_meetings_name_and_a_guests_stay_what_they_are(case: Case, plan: int) -> None:
    _answer(case, plan, {"name": "Møte\r\nATTENDEE:mailto:ond@example.org", "date": "2026-10-20"})
    with case.database.transaction() as session:
        guest = session.scalars(select(User).where(User.key == "kommunalsjef.larvik")).one()
        guest.name = 'Kari "K"; Nordmann:\r\nBEGIN:VALARM'
        assert session.get_one(UserTask, plan).answers is not None
    for _, _, event in _mails(case, 2):
        assert not isinstance(event["attendee"], list)
        assert event.subcomponents == []
        assert str(event["summary"]) == "Møte ATTENDEE:mailto:ond@example.org"
