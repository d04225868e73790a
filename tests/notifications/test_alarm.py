"""When a mail is late, and what is said to keep it."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mail_rows import OPENED, Case, oslo
from outbox import Outbox, send_all
from sqlalchemy import ColumnElement, update

from engine.database import Database
from engine.model import WorkerHeartbeat
from notifications import alarm
from notifications.alarm import Hindrance, Late
from notifications.model import Delivery
from tests.conftest import BACKENDS, Templates

NOW = oslo(9, 1)
TEN = timedelta(minutes=10)


@pytest.fixture(params=BACKENDS)
def case(request: pytest.FixtureRequest, templates: Templates) -> Iterator[Case]:
    """A survey that everybody was told of, with its reminders planned."""
    url = templates.copy(request.param, "empty", lambda database: None)
    database = Database(url)
    made = Case(database)
    made.survey()
    made.reconcile(OPENED)
    send_all(made, NOW, Outbox())
    yield made
    database.dispose()
    templates.drop(request.param, url)


def look(case: Case, now: datetime, per_minute: int = 600, only: Sequence[ColumnElement[bool]] = ()) -> Late | None:
    with case.database.reading() as session:
        return alarm.look(session, now=now, after=TEN, per_minute=per_minute, only=only)


def spoil(case: Case, mail: Delivery, **values: object) -> None:
    with case.database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.id == mail.id).values(values))


def test_a_mail_is_late_ten_minutes_after_its_time_and_its_hindrance_is_named(case: Case) -> None:
    mail, *others = case.deliveries("planned")
    due = mail.next_attempt_at
    together = [mail, *(m for m in others if m.next_attempt_at == due)]
    assert look(case, due + TEN - timedelta(seconds=1)) is None
    late = look(case, due + TEN)
    assert late == Late(count=len(together), since=due, hindrance=Hindrance.CLOCK)
    with case.database.transaction() as session:
        beat = due + TEN
        session.add(WorkerHeartbeat(name="a", kind="worker", version="1", started_at=beat, seen_at=beat))
    assert look(case, due + TEN) == Late(count=len(together), since=due, hindrance=Hindrance.SERVER)
    spoil(case, case.deliveries("sent")[0], taken_at=due + TEN)
    assert look(case, due + TEN, per_minute=1) == Late(count=len(together), since=due, hindrance=Hindrance.RATE)
    # Tried, and waiting for the next try: late from the time it was planned for.
    spoil(case, mail, attempts=1, next_attempt_at=due + timedelta(hours=8))
    assert look(case, due + TEN) == Late(count=len(together), since=due, hindrance=Hindrance.REFUSED)
    # Sent again by hand, and refused again: late from when it was asked for.
    spoil(case, mail, resent_at=due + timedelta(hours=7))
    assert look(case, due + TEN, only=(Delivery.id == mail.id,)) is None
    spoil(case, mail, resent_at=None)
    for other in together:
        spoil(case, other, attempts=0, next_attempt_at=due + timedelta(hours=8))
    assert look(case, due + TEN) is None, "put off, and not late"
    for other in together:
        spoil(case, other, state="sent")
    assert look(case, due + TEN) is None


@given(
    state=st.sampled_from(["planned", "sending", "sent", "failed", "uncertain", "cancelled"]),
    planned=st.integers(-60, 60), tried=st.integers(-60, 60), attempts=st.integers(0, 2),
    resent=st.none() | st.integers(-60, 60),
)  # fmt: skip
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_row_and_the_database_agree_about_what_is_late(
    case: Case, state: str, planned: int, tried: int, attempts: int, resent: int | None
) -> None:
    minutes = timedelta(minutes=1)
    moments = {
        "planned_at": NOW + planned * minutes, "next_attempt_at": NOW + tried * minutes,
        "resent_at": None if resent is None else NOW + resent * minutes,
    }  # fmt: skip
    mail = case.deliveries()[0]
    with case.database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.id != mail.id).values(state="cancelled"))
    spoil(case, mail, state=state, attempts=attempts, **moments)
    assert bool(look(case, NOW)) == alarm.is_late(state=state, attempts=attempts, now=NOW, after=TEN, **moments)
