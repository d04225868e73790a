"""What must hold in every moment of a life, read from the rows and reckoned anew beside the product."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from sqlalchemy import Row, select
from sqlalchemy.orm import Session, joinedload

from engine import checks, deployments, hand_dates, identity
from engine.calendar import Calendar
from engine.model import Absence, Community, Incident, Membership, ProcessInstance, UserTask
from notifications import checks as mail_checks
from notifications.model import Delivery, MailPreference

if TYPE_CHECKING:
    from tests.time.living import Life

MORNING, EVENING = time(8), time(20)
#: Due dates that the model takes over as they are given, such as ${au}: a meeting's own day, or a date in an answer.
_GIVEN = re.compile(r"^\$\{\s*[\w.]+\s*\}$")
#: A step shorter than this many working days skips the early reminders.
_SHORT = 10
_ABOUT_A_WAITING_TASK = ("assigned", "reminder", "overdue", "due_changed", "approval", "sent_back", "remind_now")
_MAIL = (
    Delivery.id, Delivery.cause, Delivery.rule, Delivery.recipient_id, Delivery.task_id, Delivery.step_id,
    Delivery.state, Delivery.planned_at, Delivery.due_date, Delivery.sent_at, Delivery.carrier_id,
    Delivery.message_id, Delivery.last_error,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Promise:
    """Whoever has the task is written to about it on this morning, unless it is answered or moved before."""

    moment: datetime
    task_id: int


class Rows:
    """Everything of one moment."""

    def __init__(self, session: Session, now: datetime) -> None:
        self.session, self.now = session, now

    @cached_property
    def calendar(self) -> Calendar:
        """The community's."""
        return identity.calendar_of(self.session.scalars(select(Community)).one())

    @property
    def today(self) -> date:
        """The local day."""
        return self.calendar.local_date(self.now)

    @cached_property
    def waiting(self) -> list[UserTask]:
        """Tasks that wait for somebody in running cases."""
        query = (
            select(UserTask)
            .join(ProcessInstance, ProcessInstance.id == UserTask.instance_id)
            .where(UserTask.state.in_(("open", "submitted")), ProcessInstance.state == "active")
            .options(joinedload(UserTask.step), joinedload(UserTask.instance))
        )
        return list(self.session.scalars(query))

    @cached_property
    def mails(self) -> list[Row[tuple[object, ...]]]:
        """Every mail, without what it says."""
        return list(self.session.execute(select(*_MAIL)))

    @cached_property
    def away(self) -> Mapping[int, int]:
        """Who is away today -> whom they named."""
        rows = self.session.scalars(select(Absence).where(Absence.state.in_(("planned", "current"))))
        return {a.user_id: a.deputy_id for a in rows if a.starts_on <= self.today <= a.ends_on}

    def instead(self, person: int) -> int:
        """Who gets what this person would; themselves where nobody is there to stand in."""
        asked = person
        for _ in range(5):
            if asked not in self.away:
                return asked
            asked = self.away[asked]
        return asked if asked not in self.away else person

    def holders(self, task: UserTask) -> set[int]:
        """Who is to act on the task."""
        asked = task.approver_id if task.state == "submitted" else task.assignee_id
        group = select(Membership.user_id).where(Membership.group_id == task.candidate_group_id)
        people = [asked] if asked is not None else self.session.scalars(group)
        return {self.instead(person) for person in people}


def promises(session: Session, now: datetime, before: datetime) -> Iterator[Promise]:
    """The mornings to come on which those who are silent hear of their tasks."""
    rows = Rows(session, now)
    for task in rows.waiting:
        for day in _reminder_days(session, task, rows.calendar):
            moment = rows.calendar.at(day, MORNING)
            if max(now, task.opened_at) < moment <= before:
                yield Promise(moment=moment, task_id=task.id)


def _reminder_days(session: Session, task: UserTask, calendar: Calendar) -> Iterator[date]:
    if task.due_date is None:
        return
    short = calendar.working_days_between(calendar.local_date(task.opened_at), task.due_date) < _SHORT
    for days in deployments.element(session, task.instance, task.step).reminders:
        if days == 0 or not short:
            yield calendar.working_days_before(task.due_date, days)
    if not task.step.closes:
        yield calendar.working_days_after(task.due_date, 1)


# --- at every stop ----------------------------------------------------------------------------------------------------


def look(life: Life) -> None:
    """All that must hold now that everything due has been done."""
    with life.world.database.reading() as session:
        rows = Rows(session, life.now)
        assert not session.scalars(select(Incident).where(Incident.resolved_at.is_(None))).all()
        _deadlines_are_on_working_days(rows)
        _each_mail_left_at_its_time(rows)
        _each_left_once(rows, life)
        for mail in rows.mails:
            if mail.state == "sent" and mail.id not in life.seen:
                _said_to_whom_it_concerns(rows, mail)
        life.seen.update(mail.id for mail in rows.mails if mail.state == "sent")
        _nobody_is_forgotten(rows)
        _deputies_stand_in(rows)


def _deadlines_are_on_working_days(rows: Rows) -> None:
    """What the model derives lies on a working day, and in July only where that is allowed."""
    for task in rows.waiting:
        element = deployments.element(rows.session, task.instance, task.step)
        given = _GIVEN.match(element.due_date or "") or task.due_by_hand
        by_hand = hand_dates.place_of(task.step.call_path, task.step.element_id) in task.instance.hand_dates
        if task.due_date is None or given or by_hand or task.due_date.isoformat() in task.instance.facts.values():
            continue
        assert rows.calendar.is_working_day(task.due_date), f"{task.name} is due on {task.due_date}"
        assert rows.calendar.july_allowed or task.due_date.month != 7, f"{task.name} is due on {task.due_date}"


def _each_mail_left_at_its_time(rows: Rows) -> None:
    """Planned for later, sent in its moment, or cancelled with a reason."""
    for mail in rows.mails:
        assert mail.state in ("planned", "sent", "cancelled"), mail
        assert mail.state != "cancelled" or mail.last_error, mail
        assert mail.state != "planned" or mail.planned_at > rows.now, mail
        if mail.state == "sent":
            assert mail.sent_at == mail.planned_at, mail
            _is_at_a_decent_hour(rows.calendar, mail.sent_at, mail.due_date)


def _is_at_a_decent_hour(calendar: Calendar, sent: datetime, due: date | None) -> None:
    local = sent.astimezone(calendar.zone)
    assert MORNING <= local.time() < EVENING, local
    urgent = due is not None and due < calendar.working_day_on_or_after(local.date())
    assert calendar.is_working_day(local.date()) or urgent, (local, due)


def _each_left_once(rows: Rows, life: Life) -> None:
    """One mail of each that left alone or carries others, and no cause told twice to anybody."""
    left = Counter(str(message["Message-ID"]) for message in life.mailer.messages)
    assert left == Counter(m.message_id for m in rows.mails if m.state == "sent" and m.carrier_id is None)
    causes = Counter((m.cause, m.recipient_id) for m in rows.mails)
    assert max(causes.values(), default=1) == 1, causes.most_common(1)
    carriers = {m.id for m in rows.mails if m.state == "sent" and m.carrier_id is None}
    assert {m.carrier_id for m in rows.mails if m.state == "sent" and m.carrier_id is not None} <= carriers


def _said_to_whom_it_concerns(rows: Rows, mail: Row[tuple[object, ...]]) -> None:
    """Of a mail that has just left: nobody who has answered is reminded, and for the absent their deputy is."""
    if mail.rule.partition(":")[0] in _ABOUT_A_WAITING_TASK:
        task = next((task for task in rows.waiting if task.id == mail.task_id), None)
        assert task is not None, f"{mail} is about a task that waits for nobody"
        assert mail.recipient_id in rows.holders(task), f"{mail} went to someone else than {rows.holders(task)}"
        assert (mail.rule == "approval") <= (task.state == "submitted"), mail
    if mail.rule == "escalation":
        silent = [t for t in rows.waiting if t.step_id == mail.step_id and t.due_date and t.due_date < rows.today]
        assert any(mail.recipient_id not in rows.holders(task) for task in silent), mail


def _nobody_is_forgotten(rows: Rows) -> None:
    """Whoever has a task was told of it, or will be when people are at work again; and is reminded when promised."""
    told = {(m.task_id, m.recipient_id) for m in rows.mails if m.state in ("sent", "planned")}
    today = {
        (m.task_id, m.recipient_id) for m in rows.mails
        if m.state == "sent" and rows.calendar.local_date(m.sent_at) == rows.today
    }  # fmt: skip
    choosy = set(rows.session.scalars(select(MailPreference.user_id)))
    for task in rows.waiting:
        holders = rows.holders(task)
        assert holders <= {person for id_, person in told if id_ == task.id}, f"{task.name} {holders}"
        due_now = rows.today in set(_reminder_days(rows.session, task, rows.calendar))
        if due_now and rows.now == rows.calendar.at(rows.today, MORNING) > task.opened_at:
            assert holders - choosy <= {person for id_, person in today if id_ == task.id}, (
                f"{task.name} {task.due_date}"
            )


def _deputies_stand_in(rows: Rows) -> None:
    for absence in rows.session.scalars(select(Absence)):
        instead = rows.instead(absence.user_id)
        current = absence.state in ("planned", "current") and absence.starts_on <= rows.today <= absence.ends_on
        assert absence.told == current, absence.public_id
        assert absence.stand_in_id == (instead if current and instead != absence.user_id else None), absence.public_id


# --- now and then, and at the end -------------------------------------------------------------------------------------


def prove(life: Life) -> None:
    """What `avtaleflyt check` proves."""
    database = life.world.database
    with database.reading() as session:
        found = list(mail_checks.faults(session, worked=checks.last_work(session)))
    assert not [*found, *checks.faults(database, now=life.now)]


def look_at_the_end(life: Life) -> None:
    """Every case has ended, and nothing is left to do or to say."""
    look(life)
    prove(life)
    with life.world.database.reading() as session:
        left = list(chain(checks.unended(session), mail_checks.unended(session)))
    assert not left
