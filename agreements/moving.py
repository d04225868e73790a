"""Moving a meeting, the dates of a case or of one step: what is asked for, what it would bring, and the move itself.

`move_trials` fills in what it would bring. A date that would break the order of a case is never moved silently: it
becomes a choice, and what is done is what was shown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements import bodies, cases
from agreements.model import Body, Case, CaseMeeting, Meeting, Move, MoveNotice
from engine import identity, process_instances, steering
from engine.errors import InvalidInput, Stale
from engine.identity import Person
from engine.model import Community, ProcessInstance, new_public_id
from engine.planning import PlannedStep
from engine.rehearsing import Copied
from engine.service_tasks import Function

#: A step of a case: where it stands in the model, and its round.
Key = tuple[str, str, int]
#: Looks at the copy when the change is made and nothing has happened since, such as at its planned mails.
Look = Callable[[Session, ProcessInstance], Any]


def _nothing(session: Session, instance: ProcessInstance) -> None:
    """Nobody looks."""


@dataclass(frozen=True, kw_only=True)
class CaseChange:
    """What is changed in one case; everything else follows from it."""

    instance_id: int
    #: Fact -> its new date.
    facts: Mapping[str, date] = field(default_factory=dict)
    #: Place of a step -> its due date by hand; None gives it back to the model.
    hand_dates: Mapping[str, date | None] = field(default_factory=dict)
    #: Task -> its new due date; the others of its step keep theirs.
    due_dates: Mapping[int, date] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Change:
    """What somebody wants to move."""

    cases: tuple[CaseChange, ...]
    #: The meeting that moves, from and to; None where only dates of cases do.
    meeting_id: int | None = None
    old: date | None = None
    new: date | None = None
    #: The meeting that the body has on the new date already: the cases go over to it, and the moved one stays as it is.
    onto_id: int | None = None
    #: Titles of cases on hold, which keep their dates.
    on_hold: tuple[str, ...] = ()
    #: Bodies (ids) that are to have a meeting on a day beside those they have.
    extra: tuple[tuple[int, date], ...] = ()


@dataclass(frozen=True, kw_only=True)
class World:
    """What a copy of a case needs beyond the engine's rows: given by whoever composes the program."""

    functions: Mapping[str, Function]
    also: Callable[[ProcessInstance], Sequence[Copied]] = lambda instance: ()
    look: Look = _nothing


# --- the preview ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A step whose due date changes, and the ids of those whose task it is or will be."""

    key: Key
    name: str
    before: PlannedStep | None
    after: PlannedStep | None
    people: tuple[int, ...]
    #: Person -> their open task, where its own due date moves; empty where the step has not opened yet.
    tasks: Mapping[int, int]
    #: Person -> the due date of that task, before and after.
    own: Mapping[int, tuple[date | None, date | None]]

    @property
    def old(self) -> date | None:
        """The due date as it stands."""
        return self._common(0, self.before)

    @property
    def new(self) -> date | None:
        """The due date as it would be."""
        return self._common(1, self.after)

    def of(self, person: int) -> tuple[date | None, date | None]:
        """What moves for that person."""
        return self.own.get(person, (self.old, self.new))

    def _common(self, side: int, step: PlannedStep | None) -> date | None:
        """What all whose date moves have in common; else the step's, which is the latest of its tasks'."""
        dates = {both[side] for both in self.own.values()}
        return dates.pop() if len(dates) == 1 else step.due if step else None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a case goes when it is changed so."""

    change: CaseChange
    moved: tuple[Moved, ...]
    #: Steps that keep their due date.
    unchanged: tuple[PlannedStep, ...]
    #: Before and after, of steps that get fewer working days.
    tighter: tuple[tuple[PlannedStep, PlannedStep], ...]
    #: Steps that would open after they are due, and did not before.
    broken: tuple[PlannedStep, ...]
    stopped: str
    #: What `World.look` saw.
    seen: Any


@dataclass(frozen=True, kw_only=True)
class Option:
    """One way out of a choice. `kind` is keep, earlier or follow."""

    key: str
    kind: str
    #: The steps whose date is then set by hand, and to what; none where they follow.
    dates: tuple[tuple[PlannedStep, date], ...]
    outcome: Outcome

    @property
    def works(self) -> bool:
        """Is the order of the case whole then?"""
        return not self.outcome.broken


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A date that can't follow: what it would be, and what that would break. The first option is recommended."""

    #: The steps whose dates would move too far, before and after.
    movers: tuple[tuple[PlannedStep, PlannedStep], ...]
    #: The steps that would open too late.
    broken: tuple[PlannedStep, ...]
    options: tuple[Option, ...]


@dataclass(frozen=True, kw_only=True)
class CasePreview:
    """One case: how it goes now, and how it would."""

    instance_id: int
    public_id: str
    title: str
    revision: int
    #: As the change is; where there is a choice, as the first of its options is.
    outcome: Outcome
    choice: Choice | None
    #: What `World.look` saw in the case as it stands.
    seen: Any


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The whole move before it is done."""

    change: Change
    cases: tuple[CasePreview, ...]
    #: Members of the body whose meeting moves.
    invited: tuple[int, ...]
    #: Of all these people, those who are away -> who stands in for them, and is told instead.
    stand_ins: Mapping[int, int]

    @property
    def token(self) -> str:
        """What was looked at: a move that is done on anything else is refused."""
        return ",".join(f"{case.public_id}:{case.revision}" for case in self.cases)

    @property
    def told(self) -> tuple[int, ...]:
        """Ids of those who get a mail: one each, about everything."""
        return tuple(sorted({self.reader(person) for person in self.concerned}))

    @property
    def concerned(self) -> tuple[int, ...]:
        """Ids of those whose tasks or meeting move, whether they are here or away."""
        moved = (person for case in self.cases for step in case.outcome.moved for person in step.people)
        return tuple(sorted({*moved, *self.invited}))

    def reader(self, person: int) -> int:
        """Who is told in the person's place: they themselves, unless they are away."""
        return self.stand_ins.get(person, person)

    def chosen(self, options: Mapping[str, str]) -> "Preview":
        """With these options (case -> key of the option) instead of the recommended ones. Raises InvalidInput."""
        return replace(self, cases=tuple(_chosen(case, options.get(case.public_id)) for case in self.cases))


def _chosen(case: CasePreview, key: str | None) -> CasePreview:
    if case.choice is None or key is None:
        return case
    found = next((option for option in case.choice.options if option.key == key), None)
    if found is None:
        raise InvalidInput("Valget finnes ikke lenger. Se på forslaget på nytt.", case=case.public_id)
    return replace(case, outcome=found.outcome)


# --- what is to be changed --------------------------------------------------------------------------------------------


def of_meeting(session: Session, meeting: Meeting, to: date, *, today: date) -> Change:
    """The change that moves a coming meeting, and every running case that hangs on it.

    Raises InvalidInput where the meeting has been held, or the new date is not a coming one.
    """
    if meeting.date < today:
        raise InvalidInput("Møtet har vært, og kan ikke flyttes. Legg til et nytt møte i stedet.")
    if to < today:
        raise InvalidInput("Møtet kan ikke flyttes til en dag som har vært. Velg en dag som kommer.", field="til")
    if to == meeting.date:
        raise InvalidInput("Møtet er alt den dagen. Velg en annen.", field="til")
    onto = session.scalar(select(Meeting.id).where(Meeting.body_id == meeting.body_id, Meeting.date == to))
    facts: dict[int, dict[str, date]] = {}
    on_hold = []
    for case, fact in cases.cases_at(session, meeting):
        instance = case.instance
        if instance.facts.get(fact) != meeting.date.isoformat():
            continue  # moved by itself since: it no longer hangs on this meeting
        if instance.state == "active":
            facts.setdefault(instance.id, {})[fact] = to
        elif instance.state == "suspended":
            on_hold.append(instance.title)
    changes = tuple(CaseChange(instance_id=id_, facts=moved) for id_, moved in sorted(facts.items()))
    return Change(cases=changes, meeting_id=meeting.id, old=meeting.date, new=to, onto_id=onto, on_hold=tuple(on_hold))


def of_case(
    instance: ProcessInstance,
    *,
    facts: Mapping[str, date] | None = None,
    hand_dates: Mapping[str, date | None] | None = None,
    due_dates: Mapping[int, date] | None = None,
    extra: tuple[tuple[int, date], ...] = (),
) -> Change:
    """The change of dates in one case. Raises InvalidInput where there is none."""
    change = CaseChange(
        instance_id=instance.id, facts=facts or {}, hand_dates=hand_dates or {}, due_dates=due_dates or {}
    )
    if not (change.facts or change.hand_dates or change.due_dates):
        raise InvalidInput("Ingen dato er endret. Velg en ny dato.")
    return Change(cases=(change,), extra=extra)


# --- doing it ---------------------------------------------------------------------------------------------------------


def commit(
    session: Session, tried: Preview, *, token: str, actor: Person, now: datetime, reason: str, public_id: str = ""
) -> Move:
    """Do what the preview showed, in this unit of work; `token` is what the person looked at.

    Whoever may ask twice gives the move its `public_id`, and finds it by that. Raises Stale when a case or the
    meeting has changed since, and InvalidInput without a reason; nothing is then kept.
    """
    if not reason.strip():
        raise InvalidInput("Skriv hvorfor datoene flyttes. Begrunnelsen står i historikken.", field="reason")
    change = tried.change
    # Cases first, in the order that every act takes them.
    held = [process_instances.locked(session, case.instance_id) for case in tried.cases]
    seen = ",".join(f"{instance.public_id}:{instance.revision}" for instance in held)
    if token != seen or tried.token != seen or not _still(session, change, now):
        raise Stale("Dette har endret seg siden du åpnet siden. Se på forslaget på nytt.")
    for case, instance in zip(tried.cases, held, strict=True):
        identity.require_owner(actor, instance)
        apply(session, instance, case.outcome.change, actor=actor, now=now, reason=reason)
    _move_meeting(session, change)
    _follow_meetings(session, change)
    move = Move(
        public_id=public_id or new_public_id(), community_id=actor.community_id, meeting_id=change.meeting_id, at=now,
        by_id=actor.id, old=change.old, new=change.new, reason=reason.strip(),
    )  # fmt: skip
    session.add(move)
    session.flush()  # those who are told need its id
    session.add_all(_notices(move, tried))
    session.flush()  # what plans the mails reads them
    return move


def find(session: Session, community_id: int, public_id: str) -> Move | None:
    """The move of that id, if it has been made."""
    return session.scalar(select(Move).where(Move.community_id == community_id, Move.public_id == public_id))


def _still(session: Session, change: Change, now: datetime) -> bool:
    """Does the meeting stand where it stood, with the same cases?"""
    if change.meeting_id is None:
        return True
    query = select(Meeting).where(Meeting.id == change.meeting_id)
    meeting = session.scalars(query.with_for_update().execution_options(populate_existing=True)).one()
    assert change.new is not None, "a meeting moves to a day"
    if meeting.date != change.old:
        return False
    today = identity.calendar_of(session.get_one(Community, meeting.community_id)).local_date(now)
    return of_meeting(session, meeting, change.new, today=today) == change


def apply(
    session: Session, instance: ProcessInstance, change: CaseChange, *, actor: Person, now: datetime, reason: str
) -> None:
    """Change the case. Dates by hand come first: what keeps its date must not be moved and closed on the way."""
    for place, day in change.hand_dates.items():
        steering.set_date(session, instance, place, day, actor=actor, now=now, reason=reason)
    if change.facts:
        process_instances.set_facts(session, instance, change.facts, now=now, actor_id=actor.id, reason=reason)
    for task_id, due in change.due_dates.items():
        steering.extend(session, task_id, due_date=due, actor=actor, now=now, reason=reason)


def _move_meeting(session: Session, change: Change) -> None:
    """Give the meeting its date; where the body meets that day already, the cases go over to that meeting."""
    if change.meeting_id is None or change.new is None:
        return
    meeting = session.get_one(Meeting, change.meeting_id)
    if change.onto_id is None:
        meeting.date, meeting.sequence = change.new, meeting.sequence + 1
        session.flush()  # the cases are looked up by the meeting's new day


def _follow_meetings(session: Session, change: Change) -> None:
    """Let each case take its dates from the meeting that its body has on the new day, where it has one."""
    for body_id, day in change.extra:
        bodies.meeting_on(session, session.get_one(Body, body_id), day)
    for case in change.cases:
        bound = select(CaseMeeting).join(Case, Case.id == CaseMeeting.case_id)
        for taken in session.scalars(bound.where(Case.instance_id == case.instance_id)).all():
            to = case.facts.get(taken.fact)
            same = (Meeting.body_id == taken.meeting.body_id) & (Meeting.date == to)
            if to is not None and (meeting := session.scalar(select(Meeting).where(same))) is not None:
                cases.bind_meeting(session, taken.case, taken.fact, meeting)


def _notices(move: Move, tried: Preview) -> list[MoveNotice]:
    """One row for each date and person; those who only meet are told of the meeting."""
    rows = [
        _notice(move, case, step, person, tried) for case in tried.cases for step in case.outcome.moved
        for person in step.people
    ]  # fmt: skip
    rows += [
        MoveNotice(
            move_id=move.id, user_id=person, instance_id=tried.cases[0].instance_id, task_id=None, step_name="",
            old=move.old, new=move.new,
        )
        for person in dict.fromkeys(map(tried.reader, tried.invited))
    ]  # fmt: skip
    return rows


def _notice(move: Move, case: CasePreview, step: Moved, person: int, tried: Preview) -> MoveNotice:
    old, new = step.of(person)
    return MoveNotice(
        move_id=move.id, user_id=tried.reader(person), instance_id=case.instance_id, task_id=step.tasks.get(person),
        step_name=step.name, old=old, new=new,
    )  # fmt: skip
