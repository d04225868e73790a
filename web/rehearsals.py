"""A case rehearsed: lived in the sandbox on a virtual clock, with its mails really composed, planned and sent.

What is told of it are the rows that living leaves behind, as in a case that was lived for real. The mails go into a box
of their own; nothing leaves, and nothing is kept.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from typing import Self

from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements.functions import FUNCTIONS
from agreements.model import Body, Meeting
from agreements.starting import Prepared
from engine import deployments, identity, places, planning, process_instances, reasons, rehearsing
from engine.database import Database
from engine.identity import Person
from engine.model import Group, ProcessInstance, Step, User, UserTask
from engine.planning import PlannedStep
from engine.rehearsing import Copied, Onlooker, Rehearsal, Scenario, StartArguments
from notifications import copied, delivery, reconciling
from notifications.model import Delivery
from notifications.settings import NotificationSettings

#: When somebody never answers and no deadline ends that, so long is waited for what is still to be sent.
_PATIENCE = timedelta(days=60)
#: Everyone answers on the due date, along the main path.
_IN_TIME = Scenario()
_NO_KEY = "rehearsal"
#: Of what happens in a step at the same moment, in this order.
KINDS = ("timer", "step-opened", "task", "mail", "task-done", "step-closed", "end")


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happens. `who` is a person or group, `subject` a mail's or the name of what happens."""

    at: datetime
    kind: str
    element: str
    round: int
    who: str
    subject: str
    #: Who of several this is about; empty where a step asks one.
    item: str = ""
    #: Of an answer that `who` approved: whose it is, and since when it waited.
    writer: str = ""
    written_at: datetime | None = None
    #: Of a step that opens or closes: answers asked for and given.
    total: int = 0
    completed: int = 0
    due: date | None = None
    #: A mail's place among the mails.
    number: int | None = None
    #: Steps in the order in which they opened; 0 where it is about none.
    step: int = 0

    @property
    def order(self) -> tuple[datetime, bool, int, int]:
        """What happens first sorts first; at the same moment, the end last."""
        return self.at, self.kind == "end", self.step, KINDS.index(self.kind)


@dataclass(frozen=True, kw_only=True)
class RehearsedMail:
    """A mail as it would be sent."""

    number: int
    at: datetime
    to: str
    address: str
    sender: str
    subject: str
    text: str
    html: str
    rule: str
    element: str
    round: int
    step: int


@dataclass(frozen=True, kw_only=True)
class Lived:
    """A rehearsed case. `stands_at` are the steps at which it still waits when nobody does anything more."""

    events: tuple[Event, ...]
    mails: tuple[RehearsedMail, ...]
    steps: tuple[PlannedStep, ...]
    #: The case's dates at the end.
    facts: dict[str, date]
    #: What went wrong, in words; empty when nothing did.
    stopped: str
    stands_at: tuple[str, ...]
    ended: datetime


def of_start(
    session: Session,
    prepared: Prepared,
    *,
    now: datetime,
    settings: NotificationSettings,
    owner: Person | None = None,
    scenario: Scenario = _IN_TIME,
) -> Lived:
    """Rehearse a case from its start at `now`; `owner` is who would start it."""
    watching = _Watching(settings)
    group = identity.group(session, prepared.definition.community_id, prepared.owner_group)
    start = StartArguments(
        definition_id=prepared.definition.id, title=prepared.title, data=prepared.data, facts=prepared.facts,
        hand_dates=prepared.request.hand_dates, roles=prepared.roles, owner_group=prepared.owner_group,
        owner=owner.key if owner is not None and group.id in owner.group_ids else None,
    )  # fmt: skip
    onlooker = Onlooker(elapsed=watching.elapsed, happened=watching.happened)
    also = copied.of_community(prepared.definition.community_id)
    lived = rehearsing.rehearse(
        session, start, now=now, also=also, scenario=scenario, functions=FUNCTIONS, onlooker=onlooker
    )
    return _told(lived, watching, now)


def of_case(
    session: Session,
    instance: ProcessInstance,
    *,
    now: datetime,
    settings: NotificationSettings,
    scenario: Scenario = _IN_TIME,
) -> Lived:
    """Rehearse what is left of a running case; what has happened and what was sent is not told again."""
    watching = _Watching(settings)
    onlooker = Onlooker(elapsed=watching.elapsed, happened=watching.happened)
    lived = rehearsing.continue_case(
        session, instance.id, now=now, scenario=scenario, functions=FUNCTIONS, onlooker=onlooker,
        also=(
            *_register(instance.community_id), *copied.of_community(instance.community_id), *copied.of_case(instance.id)
        ),
    )  # fmt: skip
    return _told(lived, watching, now)


def _register(community_id: int) -> tuple[Copied, ...]:
    """The bodies and their meetings, which mails name."""
    return (Body, Body.community_id == community_id), (Meeting, Meeting.community_id == community_id)


# --- looking on -------------------------------------------------------------------------------------------------------


class _Watching:
    """Sends the sandbox's mails at their planned moments into a box, and notes which timers fire."""

    def __init__(self, settings: NotificationSettings) -> None:
        # Links look as they will, and open nothing: they are signed by nobody.
        keys = (lambda: (_NO_KEY,)) if settings.link_keys() else settings.link_keys
        self._settings = replace(settings, mails_per_minute=sys.maxsize, link_keys=keys)
        self._now = datetime.min.replace(tzinfo=UTC)
        #: Message-ID and message, in the order in which they left.
        self.sent: list[tuple[datetime, EmailMessage, str]] = []
        #: Moment, call path and element of each timer that fired.
        self.fired: list[tuple[datetime, str, str]] = []

    def conversation(self) -> AbstractContextManager[Self]:
        """Itself: this is the mailer."""
        return nullcontext(self)

    def send(self, message: EmailMessage, to: str) -> None:
        """Keep a mail."""
        self.sent.append((self._now, message, to))

    def happened(self, sandbox: Database, instance_id: int, now: datetime) -> None:
        """After an act: plan the mails as things now stand."""
        with sandbox.transaction() as session:
            reconciling.reconcile(session, instance_id, now=now, settings=self._settings)

    def elapsed(self, sandbox: Database, instance_id: int, until: datetime) -> None:
        """Let time pass: everything planned until then leaves, each mail at its moment."""
        timers = self._timers_at(sandbox, instance_id, until)
        self.fired += timers
        while True:
            with sandbox.reading() as session:
                due = delivery.next_due(session)
            # What a timer does comes before the mails of the same moment, as in the clock's turns.
            if due is None or due > until or (due == until and timers):
                return
            self._now = max(due, self._now)
            if not delivery.send_batch(sandbox, self, clock=lambda: self._now, settings=self._settings):
                return

    def _timers_at(self, sandbox: Database, instance_id: int, until: datetime) -> list[tuple[datetime, str, str]]:
        """The timers that fire now."""
        with sandbox.reading() as session:
            instance = session.get_one(ProcessInstance, instance_id)
            if instance.state != "active" or instance.wake_at is None or instance.wake_at > until:
                return []
            timers = process_instances.execution_of(session, instance, until).timers()
        return [(until, *place) for place, due in timers if due is not None and due <= until]


# --- telling ----------------------------------------------------------------------------------------------------------


def _told(rehearsal: Rehearsal, watching: _Watching, since: datetime) -> Lived:
    database, instance_id = rehearsal.database, rehearsal.instance_id
    with database.reading() as session:
        waits = session.get_one(ProcessInstance, instance_id).state == "active"
    if waits:
        watching.elapsed(database, instance_id, rehearsal.ended + _PATIENCE)
    with database.reading() as session:
        instance = session.get_one(ProcessInstance, instance_id)
        mails = tuple(_mails(session, instance, watching.sent))
        known = [*events_of(session, instance), *map(_of_mail, mails), *_timers(session, instance, watching.fired)]
        events = sorted((e for e in known if e.at >= since), key=lambda e: e.order)
        open_steps = select(Step.name).where(Step.instance_id == instance_id, Step.state == "open")
        stands_at = tuple(session.scalars(open_steps)) if instance.state == "active" else ()
        facts = reasons.facts_of(instance)
    told = Lived(
        events=tuple(events), mails=mails,
        steps=planning.steps(rehearsal), facts=facts, stopped=rehearsal.stopped, stands_at=stands_at,
        ended=rehearsal.ended,
    )  # fmt: skip
    database.dispose()
    return told


def _mails(
    session: Session, instance: ProcessInstance, sent: Sequence[tuple[datetime, EmailMessage, str]]
) -> list[RehearsedMail]:
    rows = {d.message_id: d for d in session.scalars(select(Delivery).where(Delivery.instance_id == instance.id))}
    steps = {s.id: s for s in session.scalars(select(Step).where(Step.instance_id == instance.id))}
    tasks = session.execute(select(UserTask.id, UserTask.step_id).where(UserTask.instance_id == instance.id))
    step_of = {row.id: row.step_id for row in tasks}
    found = []
    for number, (at, message, to) in enumerate(sent):
        row = rows[str(message["Message-ID"])]
        step = steps.get(row.step_id or step_of.get(row.task_id or 0) or 0)
        found.append(
            RehearsedMail(
                number=number, at=at, to=message["To"].addresses[0].display_name or to, address=to,
                sender=str(message["From"]), subject=str(message["Subject"]), text=_part(message, "plain"),
                html=_part(message, "html"), rule=row.rule, element=step.element_id if step else "",
                round=step.round if step else 0, step=step.id if step else 0,
            )
        )  # fmt: skip
    return found


def _part(message: EmailMessage, kind: str) -> str:
    body = message.get_body(preferencelist=(kind,))
    return str(body.get_content()).strip() if body is not None else ""


def events_of(session: Session, instance: ProcessInstance) -> list[Event]:
    """What the rows say has happened in a case: steps, tasks and its end; rehearsed and lived alike."""
    steps = session.scalars(select(Step).where(Step.instance_id == instance.id).order_by(Step.id)).all()
    tasks = session.scalars(select(UserTask).where(UserTask.instance_id == instance.id).order_by(UserTask.id)).all()
    found = [event for step in steps for event in _of_step(step)]
    found += [event for task in tasks for event in _of_task(session, task)]
    if instance.ended_at is not None:
        found.append(Event(at=instance.ended_at, kind="end", element="", round=0, who="", subject=instance.title))
    return sorted(found, key=lambda e: e.order)


def _of_mail(mail: RehearsedMail) -> Event:
    return Event(
        at=mail.at, kind="mail", element=mail.element, round=mail.round, who=mail.to, subject=mail.subject,
        number=mail.number, step=mail.step,
    )  # fmt: skip


def _timers(session: Session, instance: ProcessInstance, fired: Sequence[tuple[datetime, str, str]]) -> Iterator[Event]:
    specification = deployments.compiled(session, instance).specification
    for at, path, element in fired:
        name = places.name_at(specification, path, element)
        yield Event(at=at, kind="timer", element=element, round=0, who="", subject=name)


def _of_step(step: Step) -> list[Event]:
    def event(at: datetime, kind: str) -> Event:
        return Event(
            at=at, kind=kind, element=step.element_id, round=step.round, who="", subject=step.name, total=step.total,
            completed=step.completed, due=step.due_date, step=step.id,
        )  # fmt: skip

    opened = [event(step.opened_at, "step-opened")]
    return opened + ([event(step.ended_at, "step-closed")] if step.ended_at is not None else [])


def _of_task(session: Session, task: UserTask) -> list[Event]:
    def event(at: datetime, kind: str, who: str, writer: str = "") -> Event:
        return Event(
            at=at, kind=kind, element=task.step.element_id, round=task.step.round, who=who, subject=task.name,
            item=task.item or "", writer=writer, written_at=task.submitted_at if writer else None, due=task.due_date,
            step=task.step_id,
        )  # fmt: skip

    found = [event(task.opened_at, "task", _performer(task))]
    if task.completed_at is not None and task.completed_by_id is not None:
        writer = session.get_one(User, task.submitted_by_id).name if task.submitted_by_id is not None else ""
        found.append(event(task.completed_at, "task-done", session.get_one(User, task.completed_by_id).name, writer))
    return found


def _performer(task: UserTask) -> str:
    whom: User | Group | None = task.assignee or task.candidate_group
    return whom.name if whom is not None else ""
