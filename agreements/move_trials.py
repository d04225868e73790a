"""What a move would bring: every case that follows is lived to its end in copies, as it is and as it would be.

A trial does in the copy what the move does in the case. Nothing computes dates beside it; each choice has been lived.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements.model import Agreement, Body, Case, CaseMeeting, Meeting
from agreements.moving import (
    CaseChange,
    CasePreview,
    Change,
    Choice,
    Key,
    Moved,
    Option,
    Outcome,
    Preview,
    World,
    apply,
)
from engine import absences, identity, planning, process_instances, rehearsing
from engine.calendar import Calendar
from engine.errors import InvalidInput, NotAllowed, NotOpen
from engine.identity import Person
from engine.model import ProcessInstance, Step, UserTask
from engine.planning import PlannedStep
from engine.rehearsing import Copied


def preview(session: Session, change: Change, *, actor: Person, now: datetime, world: World) -> Preview:
    """Live every case that follows, as it is and as it would be; nothing is changed. Raises NotAllowed."""
    tried = tuple(_preview_case(session, case, actor=actor, now=now, world=world) for case in change.cases)
    found = Preview(change=change, cases=tried, invited=_invited(session, change), stand_ins={})
    return replace(found, stand_ins=absences.stand_ins(session, _everybody(found)))


def _everybody(tried: Preview) -> set[int]:
    """Those who are concerned, whichever option is chosen."""
    options = (option.outcome for case in tried.cases if case.choice is not None for option in case.choice.options)
    moved = (step for outcome in options for step in outcome.moved)
    return {*tried.concerned, *(person for step in moved for person in step.people)}


def coming(
    session: Session, instance: ProcessInstance, *, actor: Person, now: datetime, world: World
) -> tuple[PlannedStep, ...]:
    """The steps of a running case that are open or still to come, as they are due now. Raises NotOpen."""
    process_instances.require_active(instance)
    trial = _Trial(session, instance, actor, now, world)
    return tuple(step for key, step in trial.now.steps.items() if key not in trial.ended)


def _preview_case(session: Session, change: CaseChange, *, actor: Person, now: datetime, world: World) -> CasePreview:
    instance = session.get_one(ProcessInstance, change.instance_id)
    if not identity.owns(actor, instance):
        raise NotAllowed(f"Saken «{instance.title}» følger med, og den er ikke din. Be sekretariatet flytte datoen.")
    process_instances.require_active(instance)
    trial = _Trial(session, instance, actor, now, world)
    moved = trial.outcome(change)
    # What one person is given is answered with yes or no; there is no other date to choose.
    choice = _choice(trial, moved) if moved.broken and not change.due_dates else None
    return CasePreview(
        instance_id=instance.id, public_id=instance.public_id, title=instance.title, revision=instance.revision,
        outcome=choice.options[0].outcome if choice else moved, choice=choice, seen=trial.now.seen,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Life:
    """A copy that has been lived to its end."""

    steps: Mapping[Key, PlannedStep]
    people: Mapping[Key, tuple[int, ...]]
    #: Open task -> its due date when the change is made.
    dues: Mapping[int, date | None]
    stopped: str
    seen: Any


class _Trial:
    """One case, lived as it is and as often as there are ways to change it."""

    def __init__(self, session: Session, instance: ProcessInstance, actor: Person, now: datetime, world: World) -> None:
        self._session = session
        self._instance, self._instance_id = instance, instance.id
        self._actor = actor
        self._moment = now
        self._world = world
        ended = select(Step).where(Step.instance_id == instance.id, Step.state != "open")
        self.ended = {(s.call_path, s.element_id, s.round) for s in session.scalars(ended)}
        self._open = _open_tasks(session, instance.id)
        self.calendar = identity.calendar_of(instance.community)
        self.now = self._live(CaseChange(instance_id=instance.id))

    def outcome(self, change: CaseChange) -> Outcome:
        """How the case goes when it is changed so."""
        after = self._live(change)
        pairs = [
            (key, self.now.steps.get(key), after.steps.get(key))
            for key in dict.fromkeys((*self.now.steps, *after.steps))
            if key not in self.ended
        ]
        moved = [
            self._moved(key, old, new, after)
            for key, old, new in pairs
            if _due(old) != _due(new) or self._tasks_moved(key, after)
        ]
        both = [(old, new) for _, old, new in pairs if old is not None and new is not None]
        keys = {step.key for step in moved}
        return Outcome(
            change=change,
            moved=tuple(sorted(moved, key=lambda step: step.new or step.old or date.max)),
            unchanged=tuple(new for _, new in both if new.due is not None and _key(new) not in keys),
            tighter=tuple((old, new) for old, new in both if _is_tighter(old, new) and not _is_broken(new)),
            broken=tuple(new for old, new in both if _is_broken(new) and not _is_broken(old)),
            stopped=after.stopped,
            seen=after.seen,
        )

    def _live(self, change: CaseChange) -> _Life:
        seen: list[Any] = []
        dues: dict[int, date | None] = {}

        def changed(session: Session, instance: ProcessInstance) -> None:
            apply(session, instance, change, actor=self._actor, now=self._moment, reason="Prøvd.")
            session.flush()  # whoever looks reads the rows
            dues.update(_dues(session, instance.id))
            seen.append(self._world.look(session, instance))

        lived = rehearsing.continue_case(
            self._session, self._instance_id, now=self._moment, change=changed, functions=self._world.functions,
            also=(*_register(self._session, self._instance_id), *self._world.also(self._instance)),
        )  # fmt: skip
        try:
            planned = planning.steps(lived)
            with lived.database.reading() as session:
                people = _performers(session, self._instance_id)
        finally:
            lived.database.dispose()
        found = {_key(step): step for step in planned}
        return _Life(steps=found, people=people, dues=dues, stopped=lived.stopped, seen=seen[0])

    def _moved(self, key: Key, old: PlannedStep | None, new: PlannedStep | None, after: _Life) -> Moved:
        named = new or old
        assert named is not None, "a step of one of the two"
        people = after.people.get(key) or self.now.people.get(key, ())
        tasks = self._tasks_moved(key, after)
        if key in self._open:  # of a step that has begun, those who have something else to keep to
            people = tuple(tasks)
        own = {person: (self.now.dues[task], after.dues.get(task)) for person, task in tasks.items()}
        return Moved(key=key, name=named.name, before=old, after=new, people=people, tasks=tasks, own=own)

    def _tasks_moved(self, key: Key, after: _Life) -> dict[int, int]:
        """Person -> their open task of the step, where its due date moves."""
        opened = self._open.get(key, {})
        return {person: task for person, task in opened.items() if self.now.dues.get(task) != after.dues.get(task)}


def _key(step: PlannedStep) -> Key:
    return step.call_path, step.element, step.round


def _due(step: PlannedStep | None) -> date | None:
    return step.due if step is not None else None


def _is_broken(step: PlannedStep) -> bool:
    """Would it open after it is due?"""
    return step.due is not None and step.due < step.opens


def _is_tighter(old: PlannedStep, new: PlannedStep) -> bool:
    return old.working_days is not None and new.working_days is not None and new.working_days < old.working_days


def _register(session: Session, instance_id: int) -> tuple[Copied, ...]:
    """What the case is about, which functions of its model read."""
    community = select(ProcessInstance.community_id).where(ProcessInstance.id == instance_id).scalar_subquery()
    about = select(Case.id).where(Case.instance_id == instance_id)
    return (
        (Body, Body.community_id == community),
        (Meeting, Meeting.community_id == community),
        (Agreement, Agreement.community_id == community),
        (Case, Case.instance_id == instance_id),
        (CaseMeeting, CaseMeeting.case_id.in_(about)),
    )


def _open_tasks(session: Session, instance_id: int) -> dict[Key, dict[int, int]]:
    """Step -> person -> their open task."""
    query = select(UserTask, Step).join(Step, Step.id == UserTask.step_id)
    waiting = query.where(UserTask.instance_id == instance_id, UserTask.state.in_(("open", "submitted")))
    found: dict[Key, dict[int, int]] = {}
    for task, step in session.execute(waiting.order_by(UserTask.position)):
        for person in _holders(session, task):
            found.setdefault((step.call_path, step.element_id, step.round), {}).setdefault(person, task.id)
    return found


def _dues(session: Session, instance_id: int) -> dict[int, date | None]:
    """Waiting task -> its due date."""
    waiting = (UserTask.instance_id == instance_id) & UserTask.state.in_(("open", "submitted"))
    rows = session.execute(select(UserTask.id, UserTask.due_date).where(waiting))
    return {row.id: row.due_date for row in rows}


def _performers(session: Session, instance_id: int) -> dict[Key, tuple[int, ...]]:
    """Step -> those whose tasks it has or had."""
    query = select(UserTask, Step).join(Step, Step.id == UserTask.step_id).where(UserTask.instance_id == instance_id)
    found: dict[Key, dict[int, None]] = {}
    for task, step in session.execute(query.order_by(UserTask.position)):
        people = found.setdefault((step.call_path, step.element_id, step.round), {})
        people.update(dict.fromkeys(_holders(session, task)))
    return {key: tuple(people) for key, people in found.items()}


def _holders(session: Session, task: UserTask) -> Sequence[int]:
    if task.state == "submitted" and task.approver_id is not None:
        return (task.approver_id,)
    if task.assignee_id is not None:
        return (task.assignee_id,)
    return [user.id for user in identity.members(session, task.candidate_group_id)] if task.candidate_group_id else []


def _invited(session: Session, change: Change) -> tuple[int, ...]:
    if change.meeting_id is None or not change.cases:
        return ()
    group = session.get_one(Meeting, change.meeting_id).body.group_id
    return tuple(user.id for user in identity.members(session, group)) if group is not None else ()


# --- choices ----------------------------------------------------------------------------------------------------------


def _choice(trial: _Trial, moved: Outcome) -> Choice:
    """What can be done about the dates that would come too late for the steps after them, the best first."""
    hit = min(moved.broken, key=lambda step: (step.due or date.max, step.opens))
    movers = _movers(trial, moved, hit)
    usable: list[Option] = []
    for kind, dates in _ways_out(trial.calendar, hit, movers):
        option = _tried(trial, moved.change, kind, dates)
        if option is not None and option.works:
            usable.append(option)
            break  # each trial is a life, and dates that stand trouble nobody: there is nothing better to look for
    follow = Option(key="follow", kind="follow", dates=(), outcome=moved)
    return Choice(movers=movers, broken=moved.broken, options=(*usable, follow))


def _movers(trial: _Trial, moved: Outcome, hit: PlannedStep) -> tuple[tuple[PlannedStep, PlannedStep], ...]:
    """The steps whose moved dates make the step open too late; itself, where it is its own date that came too early."""
    pairs = [(step.before, step.after) for step in moved.moved if step.before is not None and step.after is not None]
    assert hit.due is not None, "a step without a date is not late"
    late = tuple(
        (old, new)
        for old, new in pairs
        if new.due is not None and old.due is not None and old.due <= hit.due < new.due and new.opens < hit.opens
    )
    if late:
        return late
    return ((trial.now.steps[_key(hit)], hit),)


def _ways_out(
    calendar: Calendar, hit: PlannedStep, movers: Sequence[tuple[PlannedStep, PlannedStep]]
) -> Iterable[tuple[str, tuple[tuple[PlannedStep, date], ...]]]:
    """Dates by hand worth trying: those that were, and then the last ones that leave the next step its time."""
    yield "keep", tuple((new, old.due) for old, new in movers if old.due is not None)
    least = hit.minimum_working_days or 1
    if any(new.element == hit.element for _, new in movers):
        eve = calendar.working_days_before(hit.opens, 1)
        yield "earlier", tuple((new, calendar.working_days_after(eve, least)) for _, new in movers)
    elif hit.due is not None:
        last = calendar.working_days_before(hit.due, least)
        yield "earlier", tuple((new, last) for _, new in movers)


def _tried(trial: _Trial, change: CaseChange, kind: str, dates: tuple[tuple[PlannedStep, date], ...]) -> Option | None:
    by_hand = {step.place: day for step, day in dates}
    try:
        outcome = trial.outcome(replace(change, hand_dates={**change.hand_dates, **by_hand}))
    except (InvalidInput, NotOpen):
        return None  # such as a day that has been
    return Option(key=kind, kind=kind, dates=dates, outcome=outcome)
