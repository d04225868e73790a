"""Who is told what about a task or an incident, and when: pure, from dates and rules.

A `Ball` is a task that waits for someone. Every answer is a `Wanted`; `reconciling` makes the rows
agree with them. When a mail may leave, its moment is moved to by `timing`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from engine.calendar import Calendar
from notifications import timing
from notifications.timing import MORNING

#: A step that had fewer working days than this when it opened gets only the reminder on the due date.
SHORT_STEP_WORKING_DAYS = 10
#: Working days after the due date: the silent are told, and then the owner.
OVERDUE_AFTER = 1
ESCALATION_AFTER = 2

#: What others arrange themselves by is never gathered.
PROMPT = ("invitation", "dates_changed")
#: These speak of one due date, and are void when it has moved.
OF_ONE_DATE = ("reminder", "overdue", "due_changed")


@dataclass(frozen=True, kw_only=True)
class Ball:
    """A task that waits for someone, and who that is."""

    task_id: int
    step_id: int
    #: Filled in, and now with its approver?
    submitted: bool
    opened_at: datetime
    submitted_at: datetime | None
    submitted_by: int | None
    #: The latest time an approver sent it back.
    sent_back_at: datetime | None
    due_date: date | None
    due_generation: int
    #: Does the step close when its time is up?
    closes: bool
    #: Working days before the due date.
    reminders: tuple[int, ...]
    #: Ids of those who are to act.
    holders: tuple[int, ...]
    #: Person -> the due date they were last told of.
    told: Mapping[int, date | None]
    #: The group that shares it, and when the model wants its people to be written to.
    group_id: int | None = None
    telling: str | None = None
    #: Ids of those who are told when it is late, and so many working days after its due date.
    escalate_to: tuple[int, ...] = ()
    escalate_after: int = ESCALATION_AFTER


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One mail that ought to be sent, unless it has been."""

    cause: str
    rule: str
    #: None where the mail is about an incident, whose id then stands below.
    step_id: int | None
    task_id: int | None
    recipient_id: int
    planned_at: datetime
    due_date: date | None
    due_generation: int
    #: Said as soon as it is known; otherwise it hangs on a date, and is dropped when that is past.
    at_once: bool
    incident_id: int | None = None
    #: As of the task.
    group_id: int | None = None
    telling: str | None = None

    @property
    def key(self) -> tuple[str, int]:
        """What makes it the same mail."""
        return self.cause, self.recipient_id


def kind(rule: str) -> str:
    """`reminder` for `reminder:3`."""
    return rule.partition(":")[0]


def wanted_of_task(ball: Ball, calendar: Calendar, now: datetime) -> Iterator[Wanted]:
    """What those who hold the task ought to be told."""
    for person in ball.holders:
        yield from _at_once(ball, person, now)
        yield from _on_dates(ball, person, calendar)


def wanted_of_late(balls: Iterable[Ball], calendar: Calendar) -> Iterator[Wanted]:
    """One mail per step and due date about those who are silent; never to someone about their own silence."""
    late = [ball for ball in balls if not ball.closes and ball.due_date is not None]
    ordered = sorted(late, key=lambda ball: (ball.step_id, ball.due_date or date.min))
    for (step_id, due), group in groupby(ordered, key=lambda ball: (ball.step_id, ball.due_date or date.min)):
        silent = list(group)
        after = calendar.working_days_after(due, silent[0].escalate_after)
        for person in silent[0].escalate_to:
            if all(person in ball.holders for ball in silent):
                continue
            yield Wanted(
                cause=f"step:{step_id}:escalation:{due.isoformat()}", rule="escalation", step_id=step_id,
                task_id=None, recipient_id=person, due_date=due, due_generation=1, at_once=False,
                planned_at=calendar.at(after, MORNING),
            )  # fmt: skip


def wanted_of_incident(incident_id: int, owners: Iterable[int], now: datetime) -> Iterator[Wanted]:
    """One mail to each owner about an incident that the engine tries no more: without a person the case stands."""
    for owner in owners:
        yield Wanted(
            cause=f"incident:{incident_id}", rule="incident", step_id=None, task_id=None, recipient_id=owner,
            planned_at=now, due_date=None, due_generation=1, at_once=True,
            incident_id=incident_id,
        )  # fmt: skip


def _at_once(ball: Ball, person: int, planned_at: datetime) -> Iterator[Wanted]:
    if ball.submitted:
        yield _wanted(ball, person, "approval", planned_at, nth=_stamp(ball.submitted_at), at_once=True)
    else:
        # Once per person, whatever becomes of the date: a moved date has a mail of its own.
        yield _wanted(ball, person, "assigned", planned_at, nth="1", at_once=True)
        # Who stood in may be gone when it comes back.
        back = person == ball.submitted_by or ball.submitted_by not in ball.holders
        if ball.sent_back_at is not None and back:
            yield _wanted(ball, person, "sent_back", planned_at, nth=_stamp(ball.sent_back_at), at_once=True)
    if ball.due_date is not None and ball.told.get(person, ball.due_date) != ball.due_date:
        yield _wanted(ball, person, "due_changed", planned_at, at_once=True)


def _on_dates(ball: Ball, person: int, calendar: Calendar) -> Iterator[Wanted]:
    if ball.due_date is None:
        return
    # Whoever is asked that morning is not reminded as well.
    opened = timing.next_moment(ball.opened_at, calendar, timing.AT_ONCE)
    for before in _reminders(ball, ball.due_date, calendar):
        morning = calendar.at(calendar.working_days_before(ball.due_date, before), MORNING)
        if morning > opened:
            yield _wanted(ball, person, f"reminder:{before}", morning)
    if not ball.closes:
        after = calendar.working_days_after(ball.due_date, OVERDUE_AFTER)
        yield _wanted(ball, person, "overdue", calendar.at(after, MORNING))


def _reminders(ball: Ball, due: date, calendar: Calendar) -> tuple[int, ...]:
    length = calendar.working_days_between(calendar.local_date(ball.opened_at), due)
    if length >= SHORT_STEP_WORKING_DAYS:
        return ball.reminders
    return tuple(before for before in ball.reminders if before == 0)


def _wanted(
    ball: Ball, person: int, rule: str, planned_at: datetime, *, nth: str | None = None, at_once: bool = False
) -> Wanted:
    return Wanted(
        cause=f"task:{ball.task_id}:{rule}:{nth or ball.due_generation}", rule=rule, step_id=ball.step_id,
        task_id=ball.task_id, recipient_id=person, planned_at=planned_at, due_date=ball.due_date,
        due_generation=ball.due_generation, at_once=at_once, group_id=ball.group_id, telling=ball.telling,
    )  # fmt: skip


def _stamp(moment: datetime | None) -> str:
    return f"{moment:%Y%m%dT%H%M%S}" if moment else "1"
