"""A case with rows of its own: a survey of parties, 1 to 30 September 2026, and the acts of its people."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import history
from engine.database import Database
from engine.model import (
    Base,
    Community,
    Deployment,
    Group,
    Incident,
    Membership,
    ProcessDefinition,
    ProcessInstance,
    Step,
    User,
    UserTask,
)
from notifications.model import Delivery
from notifications.reconciling import reconcile
from notifications.settings import NotificationSettings

Row = TypeVar("Row")

OSLO = ZoneInfo("Europe/Oslo")
PARTIES = ("Larvik", "Sandefjord", "Færder")


def oslo(month: int, day: int, hour: int = 8, minute: int = 0) -> datetime:
    """A local moment of 2026, in UTC."""
    return datetime(2026, month, day, hour, minute, tzinfo=OSLO).astimezone(UTC)


OPENED = oslo(9, 1, 0)
DUE = date(2026, 9, 30)


@dataclass
class SurveyElement:
    """What the model says of the survey."""

    reminders: tuple[int, ...] = (10, 3, 0)
    subject: str | None = "Svar innen {due}: {case}"
    action: str | None = "Svar nå"
    minutes: int | None = 15
    telling: str | None = None
    escalate_after: int | None = None
    escalate_to: str | None = None

    def in_language(self, name: str, language: str) -> str | None:
        """Its words are in Bokmål only."""
        return {"subject": self.subject, "action": self.action}[name] if language == "nb" else None


class Case:
    """Rows in a database of its own, changed the way the engine changes them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.element = SurveyElement()
        self.settings = NotificationSettings(
            base_url="https://avtaleflyt.example.org", element=lambda session, instance, step: self.element
        )
        Base.metadata.create_all(database.engine)
        with database.transaction() as session:
            self.instance_id = self._rows(session)

    def _rows(self, session: Session) -> int:
        community = _saved(
            session,
            Community(key="vestfold", name="Helsefellesskapet i Vestfold", email="sekretariatet@example.org"),
        )
        self.community_id = community.id
        self.owner = self.person("sekretariat", "Sekretariatet")
        self.group = Group(community_id=community.id, key="sekretariat", name="Sekretariatet")
        session.add_all([self.owner, self.group])
        deployment = _saved(session, Deployment(community_id=community.id, deployed_at=OPENED))
        definition = _saved(
            session,
            ProcessDefinition(
                community_id=community.id, deployment_id=deployment.id, key="delavtale_evaluering", version=1,
                name="Evaluering", checksum="0", xml="", forms={},
            ),
        )  # fmt: skip
        return _saved(session, self._instance(definition)).id

    def _instance(self, definition: ProcessDefinition) -> ProcessInstance:
        return ProcessInstance(
            community_id=self.community_id, definition_id=definition.id, public_id="sakensnummer",
            title="Evaluering av delavtale om helhetlige pasientforløp", started_at=OPENED,
            owner_id=self.owner.id, data={"commissioning_decision": "17/26"},
        )  # fmt: skip

    def person(self, key: str, name: str) -> User:
        """A person who is not saved yet."""
        return User(community_id=self.community_id, key=key, name=name, email=f"{key}@example.org")

    def survey(
        self,
        *,
        opened: datetime = OPENED,
        due: date | None = DUE,
        closes: bool = True,
        parties: Sequence[str] = PARTIES,
    ) -> list[int]:
        """Open the survey; one task for each party's contact."""
        with self.database.transaction() as session:
            step = _saved(session, self.step("Svar på undersøkelsen", opened, due, closes, len(parties)))
            return [self._party_task(session, step, name, opened) for name in parties]

    def step(self, name: str, opened: datetime, due: date | None, closes: bool, total: int) -> Step:
        """A step that is not saved yet."""
        return Step(
            instance_id=self.instance_id, element_id=name, name=name, token="t", opened_at=opened,
            due_date=due, closes=closes, total=total,
        )  # fmt: skip

    def _party_task(self, session: Session, step: Step, name: str, opened: datetime) -> int:
        key = f"kommunalsjef.{name.lower().replace('æ', 'e')}"
        contact = _saved(session, self.person(key, f"Kommunalsjef {name}"))
        approver = _saved(session, self.person(f"radmann.{key}", f"Kommunedirektør {name}"))
        task = UserTask(
            public_id=f"task{name.lower()}"[:12], community_id=self.community_id,
            instance_id=self.instance_id, step_id=step.id, position=PARTIES.index(name), name=step.name,
            item=name.lower(), item_name=f"{name} kommune", item_data={"contact": key},
            assignee_id=contact.id, approver_id=approver.id, opened_at=opened, due_date=step.due_date,
        )  # fmt: skip
        return _saved(session, task).id

    def crowd(self, size: int, *, opened: datetime = OPENED, due: date | None = DUE) -> list[int]:
        """Ask so many people one thing each, in one step that closes; answers the tasks' ids."""
        with self.database.transaction() as session:
            step = _saved(session, self.step("Svar på undersøkelsen", opened, due, True, size))
            people = [self.person(f"person{n}", f"Person {n}") for n in range(size)]
            session.add_all(people)
            session.flush()  # the tasks need their ids
            tasks = [
                UserTask(
                    public_id=f"oppgave{n:05}", community_id=self.community_id, instance_id=self.instance_id,
                    step_id=step.id, position=n, name=step.name, item=str(n), item_name=f"Part {n}",
                    item_data={"contact": person.key}, assignee_id=person.id, opened_at=opened, due_date=due,
                )
                for n, person in enumerate(people)
            ]  # fmt: skip
            session.add_all(tasks)
            session.flush()  # the caller needs their ids
            return [task.id for task in tasks]

    def group_task(self, *members: str, opened: datetime = OPENED, due: date | None = DUE, closes: bool = False) -> int:
        """Open a step that any of the members may take."""
        with self.database.transaction() as session:
            step = _saved(session, self.step("Planlegg og avklar parter", opened, due, closes, 1))
            for key in members:
                user = _saved(session, self.person(key, key.title()))
                session.add(Membership(user_id=user.id, group_id=self.group.id))
            task = UserTask(
                public_id="planlegging", community_id=self.community_id, instance_id=self.instance_id,
                step_id=step.id, name=step.name, candidate_group_id=self.group.id, opened_at=opened,
                due_date=due,
            )  # fmt: skip
            return _saved(session, task).id

    def incident(self, *, retry_at: datetime | None = None) -> int:
        """Something automatic fails; without `retry_at` the engine has given up trying it."""
        with self.database.transaction() as session:
            session.get_one(ProcessInstance, self.instance_id).open_incidents += 1
            incident = Incident(
                community_id=self.community_id, instance_id=self.instance_id, element_id="which",
                cause="Division by zero", created_at=OPENED, retry_at=retry_at,
            )  # fmt: skip
            return _saved(session, incident).id

    def set_incident(self, incident_id: int, **values: Any) -> None:
        """Set columns of an incident."""
        with self.database.transaction() as session:
            incident = session.get_one(Incident, incident_id)
            for name, value in values.items():
                setattr(incident, name, value)

    def change(self, task_id: int, **values: Any) -> None:
        """Set columns of a task; a changed due date is a new generation."""
        with self.database.transaction() as session:
            task = session.get_one(UserTask, task_id)
            if "due_date" in values:
                task.due_generation += 1
            for name, value in values.items():
                setattr(task, name, value)

    def submit(self, task_id: int, at: datetime) -> None:
        """The filler sends the answers to the approver."""
        with self.database.transaction() as session:
            task = session.get_one(UserTask, task_id)
            task.state, task.submitted_at, task.submitted_by_id = "submitted", at, task.assignee_id

    def send_back(self, task_id: int, at: datetime) -> None:
        """The approver returns the answers."""
        with self.database.transaction() as session:
            task = session.get_one(UserTask, task_id)
            instance = session.get_one(ProcessInstance, self.instance_id)
            history.record(session, instance, "sent-back", now=at, actor_id=task.approver_id, task_id=task.id)
            task.state = "open"

    def set_instance(self, **values: Any) -> None:
        """Set columns of the case."""
        with self.database.transaction() as session:
            instance = session.get_one(ProcessInstance, self.instance_id)
            for name, value in values.items():
                setattr(instance, name, value)

    def add_person(self, key: str, name: str) -> int:
        """Save another person; answers the id."""
        with self.database.transaction() as session:
            return _saved(session, self.person(key, name)).id

    def reconcile(self, now: datetime) -> None:
        """Plan the mails anew."""
        with self.database.transaction() as session:
            reconcile(session, self.instance_id, now=now, settings=self.settings)

    def deliveries(self, *states: str, task_id: int | None = None) -> list[Delivery]:
        """The case's mails, by time; of one task when it is given."""
        query = select(Delivery).order_by(Delivery.planned_at, Delivery.id)
        if states:
            query = query.where(Delivery.state.in_(states))
        if task_id is not None:
            query = query.where(Delivery.task_id == task_id)
        with self.database.reading() as session:
            return list(session.scalars(query))

    def planned(self, task_id: int | None = None) -> list[tuple[str, datetime]]:
        """Rule and time of what is planned."""
        return [(d.rule, d.planned_at) for d in self.deliveries("planned", task_id=task_id)]


def _saved(session: Session, row: Row) -> Row:
    session.add(row)
    session.flush()  # the rows that follow need its id
    return row


class BreakingDatabase(Database):
    """The same database, where something is raised in the n-th transaction, just before the commit."""

    def __init__(self, living: Database, transactions: int, error: BaseException) -> None:
        self.__dict__.update(living.__dict__)
        self._left, self._error = transactions, error

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One unit of work."""
        with super().transaction() as session:
            yield session
            self._left -= 1
            if self._left == 0:
                raise self._error
