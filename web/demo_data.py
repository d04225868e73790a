"""The demo's community, meetings and cases. The engine lives through the cases under a virtual clock.

What happened "last month" was started, answered, reminded and closed by the same code that runs today, at the
moments when it would have happened; so plans, mails, history and the dates of e-mails agree.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from email.message import EmailMessage
from typing import Self

import click
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from agreements import communities, starting
from agreements.starting import StartRequest
from engine import identity, process_instances, steering, task_forms, user_tasks
from engine.calendar import Calendar
from engine.database import Database
from engine.errors import InvalidInput
from engine.identity import Person
from engine.model import ClockOffset, Community, Job, ProcessInstance, Step, UserTask
from notifications import delivery
from notifications.mailer import wire_format
from notifications.model import ReceivedMail
from web import commands, demo_meetings, sample_answers
from web.demo_meetings import Pair
from web.services import Services

SECRETARIAT = "sekretariatet"
#: Why the demo's cases start in spite of what is odd about a date.
CONFIRMED = "Møtene er avtalt, og partene kjenner fristene."

log = logging.getLogger(__name__)


def load(services: Services) -> None:
    """Load the demo's community, deploy the models and, in a database without cases, live through the demo's cases.

    The clock's row is written last: cases without it are half a demo, or no demo at all, and are refused.
    """
    now = services.clock()
    with services.database.transaction() as session:
        community = communities.load(session, communities.read_data_file(commands.DEMO_DATA), now=now)
        commands.deploy_own(session, community, now=now)
        if session.scalar(select(ProcessInstance.id).limit(1)) is not None:
            if session.scalar(select(ClockOffset.id)) is None:
                raise InvalidInput(
                    "The database holds cases that are no whole demo: an earlier start was interrupted, "
                    "or they are real. Delete var/avtaleflyt.db, or point AVTALEFLYT_DATABASE_URL at an empty database."
                )
            return
        calendar = identity.calendar_of(community)
        meetings = demo_meetings.add(session, community, calendar, calendar.local_date(now))
        community_id = community.id
    click.echo("Living through half a year of demo cases …")
    scene = Scene(calendar=calendar, now=now, community_id=community_id)
    acts = [*_survey(scene, meetings.survey), *_mandate(scene, meetings.mandate), *_just_started(scene, meetings.far)]
    world = World(services, start=min(act.at for act in acts))
    for act in sorted(acts, key=lambda act: act.at):
        world.do(act)
    world.advance(now)
    with services.database.transaction() as session:
        session.add(ClockOffset(seconds=0))
    click.echo(f"Made {len(scene.cases)} cases and {world.mails} mails.")


# --- the virtual clock ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Act:
    """Something a person does at a moment."""

    at: datetime
    do: Callable[[Session, datetime], object]


class World:
    """Lets time pass: whatever is due happens at its own moment, and its mails arrive at once."""

    def __init__(self, services: Services, *, start: datetime) -> None:
        self.now = start
        self.mails = 0
        self._services = replace(services, mailer=_Kept(services.database, self))

    def do(self, act: Act) -> None:
        """Let time pass until the act's moment, then do it."""
        self.advance(act.at)
        with self._services.database.transaction() as session:
            act.do(session, self.now)
        self._services.drain(self.now)

    def advance(self, until: datetime) -> None:
        """Let everything happen that is due by then, each at its own moment."""
        while (due := self._next()) is not None and due <= until:
            self.now = max(self.now, due)
            if self._services.drain(self.now) == 0:
                log.warning("something due at %s could not be done", due)
                break
        self.now = max(self.now, until)

    def _next(self) -> datetime | None:
        with self._services.database.reading() as session:
            job = session.scalar(select(func.min(Job.run_at)).where(Job.state == "queued"))
            moments = (process_instances.next_wake(session), delivery.next_due(session), job)
        return min((moment for moment in moments if moment is not None), default=None)


class _Kept:
    """A mailer that delivers into the demo's mailboxes, at the world's time."""

    def __init__(self, database: Database, world: World) -> None:
        self._database = database
        self._world = world

    def conversation(self) -> AbstractContextManager[Self]:
        """Itself."""
        return nullcontext(self)

    def send(self, message: EmailMessage, to: str) -> None:
        """Keep the message."""
        subject = str(message["Subject"] or "")[:300]
        with self._database.transaction() as session:
            session.add(
                ReceivedMail(received_at=self._world.now, envelope_to=to, subject=subject, raw=wire_format(message))
            )
        self._world.mails += 1


# --- what people do ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Where the cases play. `cases` remembers the id of each by its name here."""

    calendar: Calendar
    now: datetime
    community_id: int
    cases: dict[str, int] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """The day it really is."""
        return self.calendar.local_date(self.now)

    def at(self, day: date, hour: int, minute: int = 0) -> datetime:
        """That moment, or now when it has not come yet: the demo's people never act in the future."""
        return min(self.calendar.at(day, time(hour, minute)), self.now)

    def start(self, at: datetime, case: str, request: StartRequest) -> Act:
        """The secretariat starts a case."""

        def do(session: Session, now: datetime) -> None:
            community = session.get_one(Community, self.community_id)
            secretariat = identity.user(session, community.id, SECRETARIAT)
            self.cases[case] = starting.start(
                session, community, request, actor=secretariat, now=now, confirmed=CONFIRMED
            ).id

        return Act(at=at, do=do)

    def complete(
        self, at: datetime, case: str, element: str, who: str, *, item: str | None = None, outcome: str | None = None
    ) -> Act:
        """Somebody answers a task of theirs or their group's."""

        def do(session: Session, now: datetime) -> None:
            task, person = self.task(session, case, element, item), self.person(session, who)
            if task.assignee_id is None:
                user_tasks.claim(session, task.id, actor=person, now=now)
            form, inputs = task_forms.form_of(session, task.instance, task)
            answers = sample_answers.fill(form, inputs, outcome)
            user_tasks.complete(session, task.id, answers, actor=person, now=now)

        return Act(at=at, do=do)

    def approve(self, at: datetime, case: str, element: str, item: str, who: str) -> Act:
        """A party's approver makes the answer the party's."""

        def do(session: Session, now: datetime) -> None:
            task = self.task(session, case, element, item)
            user_tasks.approve(session, task.id, actor=self.person(session, who), now=now)

        return Act(at=at, do=do)

    def draft(self, at: datetime, case: str, element: str, item: str, who: str) -> Act:
        """Somebody begins to answer and is called away."""

        def do(session: Session, now: datetime) -> None:
            task = self.task(session, case, element, item)
            form, inputs = task_forms.form_of(session, task.instance, task)
            answers = sample_answers.half_filled(form, inputs)
            user_tasks.save_draft(session, task.id, answers, actor=self.person(session, who), now=now)

        return Act(at=at, do=do)

    def extend(self, at: datetime, case: str, elements: tuple[str, ...], due: date, reason: str) -> Act:
        """The secretariat gives those who are silent more time."""

        def do(session: Session, now: datetime) -> None:
            silent = (
                select(UserTask.id)
                .join(Step)
                .where(
                    UserTask.instance_id == self.cases[case],
                    UserTask.state.in_(user_tasks.OPEN),
                    Step.element_id.in_(elements),
                )
            )
            secretariat = self.person(session, SECRETARIAT)
            for task_id in session.scalars(silent.order_by(UserTask.id)).all():
                steering.extend(session, task_id, due_date=due, actor=secretariat, now=now, reason=reason)

        return Act(at=at, do=do)

    def task(self, session: Session, case: str, element: str, item: str | None) -> UserTask:
        """The open task at an element of the case, for one party or body where several are asked."""
        query = (
            select(UserTask)
            .join(Step)
            .where(
                UserTask.instance_id == self.cases[case],
                UserTask.state.in_(user_tasks.OPEN),
                Step.element_id == element,
            )
        )
        return session.scalars(query if item is None else query.where(UserTask.item == item)).one()

    def person(self, session: Session, key: str) -> Person:
        """The person with that key."""
        return identity.person(session, identity.user(session, self.community_id, key))


# --- the cases --------------------------------------------------------------------------------------------------------


def _just_started(scene: Scene, meetings: Pair) -> list[Act]:
    """An evaluation of half a year ahead: the secretariat has it to plan."""
    request = StartRequest(
        process="delavtale_evaluering",
        agreement="digitalisering-ikt",
        meetings={"ssu": meetings.ssu, "au": meetings.au},
        data={
            "commissioning_decision": "18/26",
            "archive_reference": "26/02136-19",
            "questions": [
                {"name": "Det faglige samarbeidsutvalget for IKT er ikke opprettet"},
                {"name": "Pasientens legemiddelliste innføres til ulik tid hos partene"},
            ],
        },
    )
    return [scene.start(scene.at(scene.calendar.working_days_before(scene.today, 2), 10, 12), "new", request)]


def _survey(scene: Scene, meetings: Pair) -> list[Act]:
    """An evaluation whose survey is open: four of seven have answered, one has a draft, one waits for approval."""
    calendar, at, ssu = scene.calendar, scene.at, meetings.ssu
    planned = calendar.working_days_before(calendar.last_working_day(ssu, 5), 10)
    anchored = calendar.last_working_day(ssu, 5)
    informed = calendar.working_days_after(calendar.first_working_day_of(ssu, 3), 6)
    request = StartRequest(
        process="delavtale_evaluering",
        agreement="helhetlige-pasientforlop",
        meetings={"ssu": ssu, "au": meetings.au},
        data={"commissioning_decision": "17/26", "archive_reference": "26/02136-18"},
    )
    return [
        scene.start(at(calendar.working_days_before(planned, 12), 9, 20), "survey", request),
        scene.complete(at(calendar.working_days_before(planned, 2), 14, 5), "survey", "plan_and_clarify", SECRETARIAT),
        scene.complete(at(anchored, 11, 30), "survey", "anchor_plan", "leder.au", outcome="forankret"),
        scene.complete(at(informed, 10, 15), "survey", "inform_and_start", SECRETARIAT),
        *_answers(scene, ssu),
    ]


def _answers(scene: Scene, ssu: date) -> list[Act]:
    calendar = scene.calendar
    opened, due = calendar.first_working_day_of(ssu, 2), calendar.last_working_day(ssu, 2)
    last = calendar.working_days_before(min(due, scene.today), 1)
    days = max(calendar.working_days_between(opened, last), 1)
    survey, data = "answer_survey", "fetch_data"

    def at(share: float, hour: int, minute: int) -> datetime:
        """That share of the way through the days on which the survey has been open."""
        return scene.at(calendar.working_days_after(opened, round(days * share)), hour, minute)

    acts = [
        scene.complete(at(0.1, 9, 40), "survey", survey, "radgiver.sandefjord", item="sandefjord"),
        scene.approve(at(0.2, 12, 10), "survey", survey, "sandefjord", "kommunalsjef.sandefjord"),
        scene.complete(at(0.3, 10, 25), "survey", data, "radgiver.sandefjord", item="sandefjord", outcome="levert"),
        scene.complete(at(0.35, 13, 15), "survey", survey, "radgiver.holmestrand", item="holmestrand"),
        scene.approve(at(0.45, 8, 50), "survey", survey, "holmestrand", "kommunalsjef.holmestrand"),
        scene.complete(at(0.5, 11, 5), "survey", survey, "radgiver.siv", item="siv"),
        scene.complete(at(0.5, 14, 30), "survey", data, "radgiver.siv", item="siv", outcome="levert"),
        scene.approve(at(0.6, 9, 15), "survey", survey, "siv", "samhandlingssjef.siv"),
        scene.complete(at(0.7, 15, 20), "survey", survey, "radgiver.tonsberg", item="tonsberg"),
        scene.approve(at(0.8, 10, 45), "survey", survey, "tonsberg", "kommunalsjef.tonsberg"),
        scene.draft(at(0.85, 14, 10), "survey", survey, "faerder", "radgiver.faerder"),
        scene.complete(at(1, 13, 35), "survey", survey, "radgiver.horten", item="horten"),
    ]
    if due < calendar.working_days_after(scene.today, 3):
        longer = calendar.working_days_after(scene.today, 6)
        reason = "Tre parter trenger noen dager til for å forankre svaret."
        acts.append(scene.extend(scene.at(last, 15, 0), "survey", (survey, data), longer, reason))
    return acts


def _mandate(scene: Scene, ssu: date) -> list[Act]:
    """A mandate that has been drafted, heard and cleared, and waits for SSU's meeting."""
    calendar = scene.calendar
    body, leader, managers = "forum-psykisk-rus", "leder.forum-psykisk-rus", "leder.lederforum-helse"
    heard = "give_input"

    def at(working_days: int, hour: int, minute: int) -> datetime:
        return scene.at(calendar.working_days_before(ssu, working_days), hour, minute)

    request = StartRequest(
        process="fagutvalg_mandat",
        meetings={"ssu": ssu},
        roles={"fagutvalg": {"group": body}},
        data={
            "body_name": "Samhandlingsforum for ledere psykisk helse og rus",
            "commissioning_decision": "2024.27",
            "questions": [{"name": "Skal ledelsen veksle mellom sykehuset og kommunene?"}],
        },
    )
    return [
        scene.start(at(38, 13, 0), "mandate", request),
        scene.complete(at(27, 14, 40), "mandate", "draft_mandate", leader),
        scene.complete(at(20, 9, 5), "mandate", heard, "tillitsvalgt.siv", item="tillitsvalgte", outcome="ingen"),
        scene.complete(at(18, 12, 20), "mandate", heard, "leder.fsu", item="fsu", outcome="innspill"),
        scene.complete(at(16, 15, 10), "mandate", heard, managers, item="lederforum-helse", outcome="innspill"),
        scene.complete(at(10, 10, 0), "mandate", "revise_draft", leader),
        scene.complete(at(8, 11, 15), "mandate", "clarify_in_au", "leder.au", outcome="klar"),
        scene.complete(at(6, 9, 45), "mandate", "send_notice", SECRETARIAT),
    ]
