"""A person's tasks: listed, claimed, drafted, completed, approved, handed over.

Every act locks the case, then its step, then the task, and looks at the task only after that: whoever comes second is
told what happened, and what they wrote is kept as a draft.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, or_, select
from sqlalchemy.orm import Session, joinedload

from engine import absences, deployments, history, identity, process_instances, steps, task_forms, undo
from engine.bpmn.execution import Execution
from engine.errors import InvalidInput, NotAllowed, NotFound, NotOpen, Stale
from engine.forms import Form
from engine.identity import Person
from engine.model import ProcessInstance, Step, User, UserTask

OPEN = ("open", "submitted")
_ENDED = {
    "completed": "The task is already completed.",
    "closed": "The deadline has passed and the step is closed.",
    "skipped": "The step was skipped by the owner of the case.",
    "withdrawn": "The task was withdrawn.",
    "pending": "It is not this party's turn yet.",
}


@dataclass(frozen=True, kw_only=True)
class Held:
    """A task with everything locked that an act on it may change."""

    instance: ProcessInstance
    step: Step
    task: UserTask


#: One statement for three locks: PostgreSQL takes them in the order named here, and gives each row as it is once its
#: lock is held. Which step and case a task has never changes, so what was joined is still right then.
_HELD = (
    select(ProcessInstance, Step, UserTask)
    .join(Step, Step.instance_id == ProcessInstance.id)
    .join(UserTask, UserTask.step_id == Step.id)
    .where(UserTask.id == bindparam("task"))
    .options(joinedload(ProcessInstance.community, innerjoin=True))
    .with_for_update(of=[ProcessInstance, Step, UserTask])
    .execution_options(populate_existing=True)
)


def hold(session: Session, task_id: int) -> Held:
    """Lock the task's case, then its step and the task itself, and read them afresh. Raises NotFound."""
    held = session.execute(_HELD, {"task": task_id}).one_or_none()
    if held is None:
        raise NotFound("There is no such task.")
    instance, step, task = held
    return Held(instance=instance, step=step, task=task)


def require_open(held: Held, revision: int | None, *states: str) -> None:
    """Raises NotOpen or Stale when the task is not as the caller saw it."""
    process_instances.require_active(held.instance)
    if held.task.state not in (states or OPEN):
        raise NotOpen(
            _ENDED.get(held.task.state, "The task is not waiting for this."),
            task=held.task.public_id,
            state=held.task.state,
            **history.last_act(held.instance, held.task.id),
        )
    if revision is not None and revision != held.task.revision:
        raise Stale(
            "Someone else has changed the task since you opened it. What you wrote is kept as a draft.",
            task=held.task.public_id,
            revision=held.task.revision,
            **history.last_act(held.instance, held.task.id),
        )


# --- lists ------------------------------------------------------------------------------------------------------------


def waits_for(person: Person) -> ColumnElement[bool]:
    """Tasks where the ball is with this person or one they stand in for, or free in a group of theirs; none of a case
    that is suspended.
    """
    mine = UserTask.assignee_id.in_(person.acts_for) & (UserTask.state == "open")
    free = UserTask.assignee_id.is_(None) & UserTask.candidate_group_id.in_(person.acts_in) & (UserTask.state == "open")
    to_approve = UserTask.approver_id.in_(person.acts_for) & (UserTask.state == "submitted")
    theirs = (UserTask.community_id == person.community_id) & or_(mine, free, to_approve)
    # Few cases are suspended, and an index finds them.
    at_rest = select(ProcessInstance.id).where(
        ProcessInstance.community_id == person.community_id, ProcessInstance.state == "suspended"
    )
    return theirs & UserTask.instance_id.not_in(at_rest)


def is_free(task: UserTask) -> bool:
    """May any member of its group take it?"""
    return task.state == "open" and task.assignee_id is None


# --- acts -------------------------------------------------------------------------------------------------------------


def claim(session: Session, task_id: int, *, actor: Person, now: datetime, revision: int | None = None) -> UserTask:
    """Take a free task of one's group. Raises NotOpen naming who has it."""
    held = hold(session, task_id)
    require_open(held, None, "open")
    task = held.task
    if task.assignee_id == actor.id:
        return task
    if task.assignee_id is not None:
        other = session.get_one(User, task.assignee_id)
        raise NotOpen(
            f"Expected to claim {task.name!r}, but {other.name} already has it.",
            assignee=other.key,
            **history.last_act(held.instance, task.id),
        )
    if task.candidate_group_id not in actor.acts_in:
        raise NotAllowed("The task is for a group you are not in.")
    require_open(held, revision, "open")
    _assign(session, held, actor.id, "claimed", actor=actor, now=now)
    return task


def release(session: Session, task_id: int, *, actor: Person, now: datetime) -> UserTask:
    """Give a claimed task back to its group."""
    held = hold(session, task_id)
    require_open(held, None, "open")
    if held.task.assignee_id not in actor.acts_for or held.task.candidate_group_id is None:
        raise NotAllowed("Only the one who took a group's task can give it back.")
    _assign(session, held, None, "released", actor=actor, now=now)
    return held.task


def delegate(
    session: Session, task_id: int, *, to: User, actor: Person, now: datetime, reason: str | None = None
) -> UserTask:
    """Hand an open task to another person. Its assignee may, the group's members may, and so may the owner."""
    held = hold(session, task_id)
    require_open(held, None, "open")
    if not (_fills(actor, held.task) or identity.owns(actor, held.instance)):
        raise NotAllowed("Only the one who has the task, or the owner of the case, can hand it over.")
    if to.community_id != held.task.community_id or not to.active:
        raise InvalidInput(f"{to.name} can't take tasks here.")
    steps.allow(session, held.instance, [to.id], [])
    _assign(session, held, to.id, "delegated", actor=actor, now=now, note=reason, to=to.key)
    return held.task


def _assign(
    session: Session,
    held: Held,
    user_id: int | None,
    kind: str,
    *,
    actor: Person,
    now: datetime,
    note: str | None = None,
    **data: Any,
) -> None:
    fills = _fills(actor, held.task)
    on_behalf = for_whom(actor, held) if fills else identity.in_the_owners_place(session, actor.id, held.instance)
    held.task.assignee_id = user_id
    held.task.revision += 1
    history.record(
        session,
        held.instance,
        kind,
        now=now,
        actor_id=actor.id,
        on_behalf_of_id=on_behalf,
        task_id=held.task.id,
        note=note,
        item=held.task.item,
        **data,
    )
    process_instances.touch(session, held.instance, now=now)


def save_draft(session: Session, task_id: int, answers: Mapping[str, Any], *, actor: Person, now: datetime) -> UserTask:
    """Keep what is written so far; nothing is checked, nobody is told, and the case does not move."""
    held = hold(session, task_id)
    require_open(held, None, "open")
    if not (_fills(actor, held.task) or held.task.approver_id in actor.acts_for):
        raise NotAllowed("Only the one who has the task can write in it.")
    first = held.task.draft is None
    held.task.draft = dict(answers)
    held.task.draft_saved_at, held.task.draft_by_id = now, actor.id
    if first:
        history.record(
            session, held.instance, "draft-saved", now=now, actor_id=actor.id, on_behalf_of_id=for_whom(actor, held),
            task_id=task_id, item=held.task.item,
        )  # fmt: skip
    return held.task


def complete(
    session: Session,
    task_id: int,
    answers: Mapping[str, Any],
    *,
    actor: Person,
    now: datetime,
    revision: int | None = None,
    reason: str | None = None,
) -> UserTask:
    """Send the answers. Where the task has an approver and someone else fills it in, it then waits for the approver.

    The owner may answer on behalf of a party, with a reason. Completing again with the same answers gives the first
    result.
    Raises InvalidAnswers, NotOpen, NotAllowed or Stale; nothing is then changed.
    """
    held = hold(session, task_id)
    with session.no_autoflush:  # one flush at the end writes each row once
        return _complete(session, held, answers, actor, now, revision, reason)


def _complete(
    session: Session, held: Held, answers: Mapping[str, Any], actor: Person, now: datetime, revision: int | None,
    reason: str | None,
) -> UserTask:  # fmt: skip
    form, inputs = task_forms.form_of(session, held.instance, held.task, answers)
    if _is_repeat(held.task, form, answers, inputs, actor):
        return held.task
    on_behalf = _require_may_answer(held, actor, reason)
    require_open(held, revision)
    clean = task_forms.checked(form, answers, inputs)
    held.task.revision += 1
    if held.task.approver_id not in (None, actor.id) and not on_behalf:
        _submit(session, held, clean, actor, now)
        return held.task
    kind = "answered-on-behalf" if on_behalf else "completed-task"
    behalf_of = (held.task.approver_id or held.task.assignee_id) if on_behalf else for_whom(actor, held)
    _record_answer(session, held, clean, kind, actor, now, reason, behalf_of)
    _count(session, held, form, inputs, now)
    return held.task


def answer_unchecked(session: Session, task_id: int, answers: Mapping[str, Any], *, now: datetime) -> UserTask:
    """Answer as whoever fills the task in, without checking the form: for rehearsals, where nobody writes texts.

    With an approver, the answer waits for `approve_unchecked`.
    """
    held = hold(session, task_id)
    require_open(held, None)
    task = held.task
    actor = _whoever_is_there(session, task.assignee_id or _any_member(session, task))
    task.revision += 1
    if task.approver_id not in (None, actor.id):
        _submit(session, held, dict(answers), actor, now)
        return task
    form, inputs = task_forms.form_of(session, held.instance, task)
    _record_answer(session, held, dict(answers), "completed-task", actor, now, None, for_whom(actor, held))
    _count(session, held, form, inputs, now)
    return task


def approve_unchecked(session: Session, task_id: int, *, now: datetime) -> UserTask:
    """Approve as whoever is there to: for rehearsals."""
    task = session.get_one(UserTask, task_id)
    assert task.approver_id is not None, "only what has an approver is submitted"
    return approve(session, task_id, actor=_whoever_is_there(session, task.approver_id), now=now)


def _whoever_is_there(session: Session, user_id: int) -> Person:
    [there] = absences.present(session, [user_id])
    return identity.person(session, session.get_one(User, there))


def _any_member(session: Session, task: UserTask) -> int:
    members = identity.members(session, task.candidate_group_id or 0)
    if not members:
        raise InvalidInput(f"The group {task.candidate_group.key if task.candidate_group else '?'} has no members.")
    return members[0].id


def _is_repeat(
    task: UserTask, form: Form, answers: Mapping[str, Any], inputs: Mapping[str, object], actor: Person
) -> bool:
    """The same person pressed twice: the first press counted."""
    sent = actor.id in (task.completed_by_id, task.submitted_by_id) and task.state in ("completed", "submitted")
    return sent and task.answers == form.clean(answers, inputs)


def _fills(actor: Person, task: UserTask) -> bool:
    if task.assignee_id is not None:
        return task.assignee_id in actor.acts_for
    return task.candidate_group_id in actor.acts_in


def for_whom(actor: Person, held: Held) -> int | None:
    """Whom they stand in for in this task, as its filler or else as its approver; None where it is their own."""
    task = held.task
    if _fills(actor, task):
        return actor.on_behalf_of(task)
    return actor.in_place_of(task.approver_id)


def _require_may_answer(held: Held, actor: Person, reason: str | None) -> bool:
    """Whether the owner answers for the one asked. Raises NotAllowed."""
    if _fills(actor, held.task) or held.task.approver_id in actor.acts_for:
        return False
    if not identity.owns(actor, held.instance):
        raise NotAllowed(f"The task {held.task.name!r} is assigned to someone else.")
    if not (reason or "").strip():
        raise InvalidInput("Say why you answer on their behalf; the reason is kept in the case's history.")
    return True


def _submit(session: Session, held: Held, clean: dict[str, Any], actor: Person, now: datetime) -> None:
    task, on_behalf = held.task, for_whom(actor, held)
    task.state, task.answers, task.submitted_by_id, task.submitted_at = "submitted", clean, actor.id, now
    task.assignee_id = task.assignee_id or actor.id
    history.record(
        session, held.instance, "submitted", now=now, actor_id=actor.id, on_behalf_of_id=on_behalf, task_id=task.id,
        item=task.item,
    )  # fmt: skip
    process_instances.touch(session, held.instance, now=now)


def approve(session: Session, task_id: int, *, actor: Person, now: datetime, revision: int | None = None) -> UserTask:
    """The approver makes the submitted answers the party's answer."""
    held = hold(session, task_id)
    if held.task.state == "completed" and held.task.completed_by_id == actor.id:
        return held.task
    if held.task.approver_id not in actor.acts_for:
        raise NotAllowed("Only the approver can approve the answer.")
    require_open(held, revision, "submitted")
    held.task.revision += 1
    form, inputs = task_forms.form_of(session, held.instance, held.task)
    behalf_of = actor.in_place_of(held.task.approver_id)
    _record_answer(session, held, dict(held.task.answers or {}), "approved", actor, now, None, behalf_of)
    _count(session, held, form, inputs, now)
    return held.task


def send_back(
    session: Session, task_id: int, *, actor: Person, now: datetime, note: str, revision: int | None = None
) -> UserTask:
    """The approver wants the answer changed: the filler has the ball again, with the answers as a draft."""
    held = hold(session, task_id)
    if held.task.approver_id not in actor.acts_for:
        raise NotAllowed("Only the approver can send the answer back.")
    require_open(held, revision, "submitted")
    task = held.task
    task.state, task.draft, task.revision = "open", task.answers, task.revision + 1
    task.draft_saved_at, task.draft_by_id = now, task.submitted_by_id
    history.record(
        session,
        held.instance,
        "sent-back",
        now=now,
        actor_id=actor.id,
        on_behalf_of_id=actor.in_place_of(task.approver_id),
        task_id=task.id,
        note=note or None,
        item=task.item,
    )
    process_instances.touch(session, held.instance, now=now)
    return task


def _record_answer(
    session: Session, held: Held, clean: dict[str, Any], kind: str, actor: Person, now: datetime, note: str | None,
    behalf_of: int | None,
) -> None:  # fmt: skip
    task = held.task
    task.state, task.answers, task.draft = "completed", clean, None
    task.completed_by_id, task.completed_at = actor.id, now
    history.record(
        session, held.instance, kind, now=now, actor_id=actor.id, on_behalf_of_id=behalf_of, task_id=task.id, note=note,
        item=task.item, step=held.step.id, outcome=clean.get("utfall"),
    )  # fmt: skip


def _count(session: Session, held: Held, form: Form, inputs: Mapping[str, object], now: datetime) -> None:
    """Count the answer; only the one that fulfils the step moves the case, and can be undone with its whole effect."""
    instance, step, task = held.instance, held.step, held.task
    was = undo.before(instance)
    step.completed += 1
    _set_facts(session, held, form, inputs, now)
    element = deployments.element(session, instance, step)
    beside = steps.Beside(session, task)
    if not steps.is_fulfilled(step, element, beside):
        if element.multi_instance is not None and element.multi_instance.sequential:
            steps.open_next(session, step)
        process_instances.follow_rows(session, instance, step, beside.latest, now=now)
        return
    went_out = fulfil(session, held, now, _variables(session, held, task))
    undo.keep(instance, was, step, task, went_out=went_out)


def fulfil(session: Session, held: Held, now: datetime, variables: Mapping[str, Any]) -> bool:
    """Enough have answered: end the step, and let the case go on with `variables`; answers what `run` does."""
    steps.end_step(session, held.instance, held.step, "completed", now=now)
    return move_on(session, held.instance, held.step, now, variables)


def move_on(
    session: Session, instance: ProcessInstance, step: Step, now: datetime, variables: Mapping[str, Any]
) -> bool:
    """Complete the step's element in the live state, and let the case go on from there; answers what `run` does."""

    def act(execution: Execution) -> None:
        execution.complete(step.token, {**variables, **steps.output_of(execution, step)})

    return process_instances.run(session, instance, now=now, act=act, held=step)


def _variables(session: Session, held: Held, task: UserTask) -> dict[str, Any]:
    """Of the answers, what the model's expressions read; everything else stays in its row."""
    if held.step.total > 1 or task.item is not None:
        return {}
    read = process_instances.names_read(session, held.instance)
    return {name: value for name, value in (task.answers or {}).items() if name in read}


def _set_facts(session: Session, held: Held, form: Form, inputs: Mapping[str, object], now: datetime) -> None:
    """Dates in the answers that the form binds to facts, such as a new meeting."""
    facts = form.facts(held.task.answers or {}, inputs)
    if facts:
        process_instances.answer_facts(
            session, held.instance, held.step, facts, now=now, actor_id=held.task.completed_by_id
        )
        session.flush()  # the dates that moved are read below
