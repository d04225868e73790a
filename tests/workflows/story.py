"""How a story is told: time passes, mails leave when they are due, and people act on their days."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine import deployments, identity, process_instances
from engine.bpmn.execution import Execution
from engine.model import Community, Job, ProcessInstance, Step, UserTask
from notifications import delivery
from notifications.model import Delivery
from tests.fakes import OSLO, RecordingMailer, oslo
from tests.world import World

#: Turns of the clock that a day may need before something is wrong.
MOST_TURNS = 500


@dataclass(frozen=True)
class Mail:
    """What left about one thing: when, to whom by key, the mail's subject and text, and the element it is about.

    Several such may have left as one mail, and then have its subject and text.
    """

    at: datetime
    to: str
    subject: str
    text: str
    element: str

    @property
    def day(self) -> date:
        """The local day."""
        return self.at.astimezone(OSLO).date()


class Story:
    """One case in a world whose clock and mails move together."""

    def __init__(self, world: World, services: Any, mailer: RecordingMailer) -> None:
        self.world = world
        self.case = 0
        self._services = services
        self._mailer = mailer

    # --- given ----------------------------------------------------------------------------------------------------

    def starts(self, process: str, **given: Any) -> "Story":
        """The secretariat starts the case, now."""
        self.case = self.world.start(process, **given)
        self.drain()
        return self

    def reaches(self, element: str) -> "Story":
        """Everyone has acted on the due date until this element waits."""
        self.world.proceed_to(self.case, element)
        return self

    # --- when -----------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Everything that is due now is done."""
        for _ in range(MOST_TURNS):
            if not self._services.drain(self.world.clock()):
                return
        raise AssertionError("there is no end to what is due")

    def until(self, day: date, hour: int = 12) -> "Story":
        """Time passes until that local hour; what falls due on the way happens in its moment."""
        target = oslo(day, hour)
        for _ in range(MOST_TURNS):
            moment = self._next_moment()
            if moment is None or moment > target:
                break
            self.world.clock.set(max(moment, self.world.clock()))
            self.drain()
        self.world.clock.set(target)
        self.drain()
        return self

    def _next_moment(self) -> datetime | None:
        with self.world.database.reading() as session:
            moments = (
                process_instances.next_wake(session),
                session.scalar(select(func.min(Job.run_at)).where(Job.state == "queued")),
                delivery.next_due(session),
            )
        return min((m for m in moments if m is not None), default=None)

    def does(
        self,
        element: str,
        outcome: str | None = None,
        *,
        on: date | None = None,
        item: str | None = None,
        **answers: Any,
    ) -> None:
        """Whoever has the element completes it, on that day at noon; all of a step that asks several."""
        if on is not None:
            self.until(on)
        for task in self.world.tasks(self.case, element):
            if item is None or task.item == item:
                self.world.complete(task.id, outcome, **answers)
        self.drain()

    # --- then -----------------------------------------------------------------------------------------------------

    def waits(self) -> dict[str, tuple[str, date | None]]:
        """Element -> who has it (a step that asks several: how many) and its due date."""
        found: dict[str, tuple[str, date | None]] = {}
        for task in self.world.tasks(self.case):
            element = task.step.element_id
            who = task.assignee.key if task.assignee else task.candidate_group.key if task.candidate_group else "?"
            if task.step.total > 1:
                who = f"{sum(1 for t in self.world.tasks(self.case, element))} av {task.step.total}"
            found[element] = (who, task.step.due_date)
        return found

    def visits(self) -> list[tuple[str, int, date | None, str]]:
        """Element, round, due date and state of every step, in the order they opened."""
        return [(s.element_id, s.round, s.due_date, s.state) for s in self.world.steps(self.case)]

    @property
    def state(self) -> str:
        """active, completed or cancelled."""
        return self.world.instance(self.case).state

    def value(self, element: str, expression: str) -> object:
        """What an expression comes to at an element that waits."""
        with self.world.database.reading() as session:
            instance = session.get_one(ProcessInstance, self.case)
            return _value(session, instance, element, expression, self.world.clock())

    def answers(self, element: str) -> dict[str, UserTask]:
        """Item -> the answered task of a step that asks several."""
        done = self.world.tasks(self.case, element, states=("completed",))
        return {task.item or "": task for task in done}

    def mails(self, *, since: date | None = None, rule: str | None = None) -> list[Mail]:
        """What the case had to say that left, by time."""
        with self.world.database.reading() as session:
            people = {u.id: u.key for u in session.scalars(select(identity.User))}
            query = select(Delivery).where(Delivery.instance_id == self.case, Delivery.state == "sent")
            rows = session.scalars(query.order_by(Delivery.sent_at, Delivery.id)).all()
            elements = {step.id: step.element_id for step in session.scalars(select(Step))}
        worded = {row.id: (row.subject or "", row.body_text or "") for row in rows}
        sent = [
            Mail(
                row.sent_at, people[row.recipient_id], *worded[row.carrier_id or row.id], elements.get(row.step_id, "")
            )
            for row in rows
            if row.sent_at is not None and (rule is None or row.rule.partition(":")[0] == rule)
        ]
        carriers = [row for row in rows if row.carrier_id is None]
        assert len(carriers) == len(self._mailer.messages), "a mail left that no row knows of"
        return [mail for mail in sent if since is None or mail.day >= since]

    def message_ids(self) -> list[str]:
        """The Message-ID of everything that was handed to the mail server."""
        return [str(message["Message-ID"]) for message in self._mailer.messages]

    def mails_by_subject(self, beginning: str) -> list[Mail]:
        """The mails whose subject begins so."""
        return [mail for mail in self.mails() if mail.subject.startswith(beginning)]


def _value(session: Session, instance: ProcessInstance, element: str, expression: str, now: datetime) -> object:
    compiled = deployments.compiled(session, instance)
    calendar = identity.calendar_of(session.get_one(Community, instance.community_id))
    assert instance.state_document is not None
    execution = Execution.restore(
        compiled.specification, instance.state_document, facts=instance.facts, calendar=calendar, now=now
    )
    token = next(w.token for w in execution.waiting() if w.element.id == element)
    return execution.value_at(token, expression)
