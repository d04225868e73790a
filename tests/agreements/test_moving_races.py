"""A meeting moves while the reminder of its old date is being taken and sent: nobody is left with the old date."""

from collections.abc import Callable, Iterator
from datetime import date
from email.message import EmailMessage
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from agreements import move_trials, moving
from agreements.functions import FUNCTIONS
from agreements.model import Meeting
from agreements.moving import Preview
from engine import deployments, jobs
from notifications import delivery
from notifications.model import Delivery
from notifications.settings import NotificationSettings
from tests.concurrency import at_once, nothing_broken_off
from tests.conftest import BACKENDS
from tests.fakes import RecordingMailer
from tests.world import MEETING_CASE, World

SETTINGS = NotificationSettings(base_url="https://avtaleflyt.example.org", element=deployments.element)
OWNER, LATER = "sekretariatet", date(2026, 12, 11)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def unbroken(world: World) -> Iterator[None]:
    with nothing_broken_off(world.database):
        yield


def send_due(world: World, mailer: RecordingMailer) -> None:
    while delivery.send_one(world.database, mailer, now=world.clock(), settings=SETTINGS):
        continue


def plan(world: World) -> None:
    """The jobs that acts have asked for."""
    while jobs.run_one(world.database, delivery.handlers(SETTINGS), world.clock()):
        continue


def begin(world: World) -> tuple[int, date]:
    """A case on the morning when its first reminder is due; answers it, and the date that the reminder is of."""
    case = world.start(MEETING_CASE, meetings={"meeting": "ssu:2026-11-27"})
    plan(world)
    send_due(world, RecordingMailer())
    first = min((mail for mail in mails(world, case) if mail.state == "planned"), key=lambda mail: mail.planned_at)
    assert first.due_date is not None
    world.clock.set(first.planned_at)
    return case, first.due_date


def tried(world: World) -> Preview:
    """What the owner looks at."""
    with world.database.reading() as session:
        meeting = session.scalars(select(Meeting).where(Meeting.key == "ssu-2026-11-27")).one()
        change = moving.of_meeting(session, meeting, LATER, today=world.clock.today)
        given: dict[str, Any] = {"actor": world.person(session, OWNER), "now": world.clock()}
        return move_trials.preview(session, change, world=moving.World(functions=FUNCTIONS), **given)


def move(world: World, seen: Preview) -> None:
    with world.database.transaction() as session:
        actor = world.person(session, OWNER)
        moving.commit(session, seen, token=seen.token, actor=actor, now=world.clock(), reason="Salen er opptatt")


def mails(world: World, case: int) -> list[Delivery]:
    query = select(Delivery).where(Delivery.instance_id == case, Delivery.state != "cancelled").order_by(Delivery.id)
    with world.database.reading() as session:
        return list(session.scalars(query))


def reminders(world: World, case: int, person: int) -> set[tuple[str, date | None]]:
    """What one person has got, or is to get, of reminders: state and the date that they are of."""
    found = [mail for mail in mails(world, case) if mail.rule.startswith("reminder") and mail.recipient_id == person]
    return {(mail.state, mail.due_date) for mail in found}


def assert_everybody_knows(world: World, case: int, seen: Preview, old: date) -> None:
    """Each is told of the move once, and reminded of the new date only, unless the old reminder had left before."""
    [step] = [step for step in seen.cases[0].outcome.moved if step.key[1] == "send_notice"]
    told = [mail.recipient_id for mail in mails(world, case) if mail.rule == "dates_changed" and mail.state == "sent"]
    assert sorted(told) == sorted(seen.told)
    assert set(step.people) <= set(told)
    for person in step.people:
        found = reminders(world, case, person)
        assert ("planned", step.new) in found
        assert found <= {("planned", step.new), ("sent", old)}


def moves_with_the_first(act: Callable[[], None]) -> Callable[[EmailMessage, str], None]:
    """Does it once, while the first mail is on its way to the server."""
    waiting = [act]

    def before(_message: EmailMessage, _to: str) -> None:
        if waiting:
            waiting.pop()()

    return before


def test_what_is_taken_before_the_move_leaves_and_nothing_of_the_old_date_after_it(world: World) -> None:
    case, old = begin(world)
    seen = tried(world)
    mailer = RecordingMailer(moves_with_the_first(partial(move, world, seen)))
    send_due(world, mailer)  # the mails are not planned anew yet, and still hold the old date
    assert len(mailer.messages) == 1
    plan(world)
    send_due(world, mailer)
    assert len(mailer.messages) == 1 + len(seen.told)
    assert_everybody_knows(world, case, seen, old)


def test_a_meeting_moved_while_its_reminders_are_taken(world: World) -> None:
    case, old = begin(world)
    seen, mailer = tried(world), RecordingMailer()

    def moved() -> None:
        move(world, seen)
        plan(world)

    assert at_once([moved, partial(send_due, world, mailer), partial(send_due, world, mailer)]) == [None] * 3
    send_due(world, mailer)
    assert len({m["Message-ID"] for m in mailer.messages}) == len(mailer.messages)
    assert_everybody_knows(world, case, seen, old)
