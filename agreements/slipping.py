"""What becomes of a case if nobody does anything, and what would come if everybody did: both lived in a sandbox."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements.cases import MEETING_FACTS
from agreements.functions import FUNCTIONS
from agreements.model import Body, Case, CaseMeeting, Meeting
from engine import identity, planning, rehearsing
from engine.model import Community, ProcessInstance, Step, UserTask
from engine.planning import PlannedStep
from engine.rehearsing import Scenario


@dataclass(frozen=True, kw_only=True)
class Closing:
    """A step that closes by itself although not all have answered."""

    name: str
    on: date
    answered: int
    asked: int


@dataclass(frozen=True, kw_only=True)
class Coming:
    """A date of a case that is still to come: a step's, or a meeting's where there is no step."""

    name: str
    day: date
    who: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Slip:
    """What slips when nobody acts any more."""

    #: Steps that wait now, and close when their time is up.
    closings: tuple[Closing, ...]
    #: The step that then stands for ever, and its due date; None where the case goes on to its end by itself.
    stands: Coming | None
    #: The step that would have followed it.
    next: Coming | None
    #: Meetings that the case then does not come to, the first on top.
    meetings: tuple[Coming, ...]
    #: A step that has too little time even if everybody acts on time from now on; with its due date.
    too_late: Coming | None
    #: Every due date to come if everybody acts, in the order of time.
    deadlines: tuple[Coming, ...]

    def lost_step(self, today: date) -> Coming | None:
        """The step that follows, unless it is over, or is the day of a meeting that is lost anyway."""
        following = self.next
        if following is None or following.day < today or following.day in {one.day for one in self.meetings}:
            return None
        return following


def slip(session: Session, instance_id: int, *, now: datetime) -> Slip:
    """Live the case twice from here, in silence and with everybody on time; nothing is changed."""
    instance = session.get_one(ProcessInstance, instance_id)
    calendar = identity.calendar_of(session.get_one(Community, instance.community_id))
    today = calendar.local_date(now)
    silent = _lived(session, instance_id, now, Scenario(silent=_nobody))
    acting = _lived(session, instance_id, now, Scenario())
    stands = _standing(silent)
    meetings = _meetings(session, instance, after=max(today, stands.due or today) if stands else None)
    return Slip(
        closings=tuple(_closings(session, instance, silent)),
        stands=Coming(name=stands.name, day=stands.due or stands.opens, who=stands.performers) if stands else None,
        next=_next(acting, stands),
        meetings=meetings,
        too_late=_too_late(acting, today),
        deadlines=tuple(
            Coming(name=step.name, day=step.due, who=step.performers)
            for step in sorted(acting, key=lambda step: step.due or date.max)
            if step.due is not None and step.due >= today and (step.ends is None or step.ends >= today)
        ),
    )


def _nobody(task: UserTask) -> bool:
    return True


def _lived(session: Session, instance_id: int, now: datetime, scenario: Scenario) -> Sequence[PlannedStep]:
    lived = rehearsing.continue_case(session, instance_id, now=now, scenario=scenario, functions=FUNCTIONS)
    try:
        return planning.steps(lived)
    finally:
        lived.database.dispose()


def _key(step: PlannedStep | Step) -> tuple[str, str, int]:
    return step.call_path, step.element if isinstance(step, PlannedStep) else step.element_id, step.round


def _standing(silent: Iterable[PlannedStep]) -> PlannedStep | None:
    """Of the steps that nobody ends, the one that was due first."""
    left = [step for step in silent if step.ends is None]
    return min(left, key=lambda step: (step.due or date.max, step.opens), default=None)


def _closings(session: Session, instance: ProcessInstance, silent: Iterable[PlannedStep]) -> Iterable[Closing]:
    ended = {_key(step): step for step in silent if step.ends is not None}
    waiting = select(Step).where(Step.instance_id == instance.id, Step.state == "open").order_by(Step.due_date, Step.id)
    for step in session.scalars(waiting):
        lived = ended.get(_key(step))
        if lived is not None and lived.ends is not None:
            yield Closing(name=step.name, on=step.due_date or lived.ends, answered=step.completed, asked=step.total)


def _next(acting: Sequence[PlannedStep], stands: PlannedStep | None) -> Coming | None:
    """The first step that opens once the one that stands is done."""
    if stands is None:
        return None
    done = next((step for step in acting if _key(step) == _key(stands)), None)
    if done is None or done.ends is None:
        return None
    position = acting.index(done)
    follow = (s for s in acting[position + 1 :] if s.opens >= done.ends and s.due is not None and s.due >= done.ends)
    found = next(follow, None)
    return Coming(name=found.name, day=found.due, who=found.performers) if found and found.due else None


def _too_late(acting: Iterable[PlannedStep], today: date) -> Coming | None:
    """The first step to come that opens after its due date, or with fewer working days than it must have."""
    for step in acting:
        if step.due is None or step.opens < today:
            continue
        minimum = step.minimum_working_days or 0
        if step.due < step.opens or (step.working_days is not None and step.working_days < minimum):
            return Coming(name=step.name, day=step.due, who=step.performers)
    return None


def _meetings(session: Session, instance: ProcessInstance, *, after: date | None) -> tuple[Coming, ...]:
    """The meetings from which the case takes dates, on that day or later; none without a day."""
    if after is None:
        return ()
    named = (
        select(CaseMeeting.fact, Body.short_name)
        .join(Case, Case.id == CaseMeeting.case_id)
        .join(Meeting, Meeting.id == CaseMeeting.meeting_id)
        .join(Body, Body.id == Meeting.body_id)
        .where(Case.instance_id == instance.id)
    )
    names = {row.fact: row.short_name for row in session.execute(named)}
    days = {fact: date.fromisoformat(instance.facts[fact]) for fact in MEETING_FACTS if fact in instance.facts}
    found = [Coming(name=names.get(f, f.upper()), day=day) for f, day in days.items() if day >= after]
    return tuple(sorted(found, key=lambda one: one.day))
