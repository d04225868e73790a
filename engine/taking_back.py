"""Taking back one's own answer while nothing has happened since.

An answer that only counted is uncounted. One that moved the case has its whole effect undone: the case is as it was
before, what opened afterwards is withdrawn, and what ended with it is open again.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import deployments, history, incidents, process_instances, steps, task_forms, user_tasks
from engine.bpmn.execution import Execution
from engine.errors import NotAllowed, NotOpen
from engine.identity import Person
from engine.model import HistoryEvent, ProcessInstance, Step, UserTask
from engine.user_tasks import Held

#: What may happen after an answer without being built on it.
_HARMLESS = ("reminded", "address-corrected", "mail-resent")
#: Why an answer can't be taken back, by code.
REFUSALS = {
    "not-yours": "Only the one who sent the answer can take it back.",
    "suspended": "The case is suspended. Wait until its owner resumes it.",
    "cancelled": "The case was cancelled.",
    "moved-on": "Something has happened in the case since the answer was sent. Ask its owner to correct the answer.",
    "went-out": "The answer let the case send a message. Ask its owner to correct the answer.",
    "step-over": "The step has ended. Ask the owner of the case to correct the answer.",
    "next-begun": "The next one has begun to answer. Ask the owner of the case to correct the answer.",
    "dates": "The answer moved dates that others hang on. Ask the owner of the case to move them.",
}


def why_not(session: Session, held: Held, actor: Person) -> str | None:
    """The code of what stands in the way of taking the answer back, or None."""
    instance, step, task = held.instance, held.step, held.task
    if task.state != "completed" or task.completed_by_id != actor.id or actor.community_id != task.community_id:
        return "not-yours"
    if instance.state in ("suspended", "cancelled"):
        return instance.state
    if _moved_the_case(instance, task):
        went_out = (instance.undo or {}).get("went_out")
        return "moved-on" if _has_moved_on(session, instance) else "went-out" if went_out else None
    if step.state != "open" or instance.state != "active":
        return "step-over" if step.total > 1 else "moved-on"
    form, inputs = task_forms.form_of(session, instance, task)
    if form.facts(task.answers or {}, inputs):
        return "dates"
    return "next-begun" if _next_has_begun(session, held) else None


def take_back(session: Session, task_id: int, *, actor: Person, now: datetime, reason: str = "") -> UserTask:
    """Open the task again, with the answers as its draft; what an approver approved waits for them once more.

    Taking it back twice is taking it back once. Raises NotAllowed for another's answer, else NotOpen with the code of
    REFUSALS as its `reason`.
    """
    held = user_tasks.hold(session, task_id)
    if held.task.state in user_tasks.OPEN and _was_taken_back_by(session, held.task, actor):
        return held.task
    code = why_not(session, held, actor)
    if code is not None:
        raise (NotAllowed if code == "not-yours" else NotOpen)(REFUSALS[code], reason=code, task=held.task.public_id)
    history.record(
        session, held.instance, "taken-back", now=now, actor_id=actor.id,
        on_behalf_of_id=user_tasks.for_whom(actor, held), task_id=task_id, note=reason or None, step=held.step.id,
        item=held.task.item,
    )  # fmt: skip
    moved = _moved_the_case(held.instance, held.task)
    _reopen(held.task, actor, now)
    held.step.completed -= 1
    if moved:
        _undo(session, held, now)
    else:
        _back_in_turn(session, held)
        _follow_dates(session, held, now)
        held.step.due_date = process_instances.latest_due(session, held.step)
        # It may be the first row to close: the case then wakes earlier than it would have.
        process_instances.run(session, held.instance, now=now, act=None)
    return held.task


def _moved_the_case(instance: ProcessInstance, task: UserTask) -> bool:
    return instance.undo is not None and instance.undo.get("task") == task.id


def _was_taken_back_by(session: Session, task: UserTask, actor: Person) -> bool:
    query = select(HistoryEvent.kind, HistoryEvent.actor_id).where(HistoryEvent.task_id == task.id)
    last = session.execute(query.order_by(HistoryEvent.sequence.desc()).limit(1)).first()
    return last is not None and tuple(last) == ("taken-back", actor.id)


def _has_moved_on(session: Session, instance: ProcessInstance) -> bool:
    """Every act raises the revision, and whatever does not is history."""
    kept = instance.undo or {}
    if kept.get("revision") != instance.revision:
        return True
    later = (HistoryEvent.instance_id == instance.id) & (HistoryEvent.sequence > kept["length"])
    query = select(HistoryEvent.id).where(later, HistoryEvent.kind.not_in(_HARMLESS))
    return session.scalar(query.limit(1)) is not None


# --- the row ----------------------------------------------------------------------------------------------------------


def _reopen(task: UserTask, actor: Person, now: datetime) -> None:
    approved = task.submitted_by_id is not None and task.approver_id == task.completed_by_id != task.submitted_by_id
    task.completed_by_id, task.completed_at, task.revision = None, None, task.revision + 1
    if approved:
        task.state = "submitted"
        return
    task.state, task.draft, task.answers = "open", task.answers, None
    task.draft_saved_at, task.draft_by_id = now, actor.id


def _next(session: Session, held: Held) -> UserTask | None:
    """The row that this answer opened, in a step that asks one after the other."""
    element = deployments.element(session, held.instance, held.step)
    if element.multi_instance is None or not element.multi_instance.sequential:
        return None
    query = select(UserTask).where(UserTask.step_id == held.step.id, UserTask.position > held.task.position)
    return session.scalars(query.order_by(UserTask.position).limit(1)).first()


def _next_has_begun(session: Session, held: Held) -> bool:
    following = _next(session, held)
    if following is None or following.state == "pending":
        return False
    query = select(HistoryEvent.id).where(HistoryEvent.task_id == following.id)
    return following.state != "open" or session.scalar(query.limit(1)) is not None


def _back_in_turn(session: Session, held: Held) -> None:
    following = _next(session, held)
    if following is not None and following.state == "open":
        following.state, following.revision = "pending", following.revision + 1


def _follow_dates(session: Session, held: Held, now: datetime) -> None:
    """Dates that moved while the task was answered moved past it; now its own follows them."""
    if held.task.due_by_hand:
        return

    def act(execution: Execution) -> None:
        waiting = next(w for w in execution.waiting(even_parked=True) if w.token == held.step.token)
        due = steps.due_date(execution, waiting, held.task.item_data or held.task.item)
        process_instances.move_due_date(held.task, due)

    process_instances.refusing(act)(process_instances.execution_of(session, held.instance, now))


# --- the case ---------------------------------------------------------------------------------------------------------


def _undo(session: Session, held: Held, now: datetime) -> None:
    """Restore the live state, open what ended in the act, and let the rows follow: what is later is withdrawn."""
    instance = held.instance
    kept = instance.undo or {}
    instance.state, instance.ended_at, instance.state_document = "active", None, instance.undo_document
    dates_moved = "facts" in kept
    instance.facts, instance.data = kept.get("facts", instance.facts), kept.get("data", instance.data)
    instance.undo, instance.undo_document = None, None
    since = (HistoryEvent.instance_id == instance.id) & (HistoryEvent.sequence > kept["since"])
    events = session.scalars(select(HistoryEvent).where(since).order_by(HistoryEvent.sequence)).all()
    _resolve_later(session, instance, events, now)
    _open_again(session, instance, events, now)
    session.flush()  # what is open again is found by the run
    if dates_moved:
        process_instances.run(session, instance, now=now, act=process_instances.rederiving(session, instance))
    else:
        process_instances.run(session, instance, now=now, act=None)


def _resolve_later(session: Session, instance: ProcessInstance, events: Sequence[HistoryEvent], now: datetime) -> None:
    later = {event.data["incident"] for event in events if event.kind == "incident"}
    for incident in incidents.open_incidents(session, instance):
        if incident.public_id in later:
            incidents.resolve(instance, incident, "gone", now=now)


def _open_again(session: Session, instance: ProcessInstance, events: Sequence[HistoryEvent], now: datetime) -> None:
    """The steps that the act ended and that wait in the restored state, with the tasks that were left in them."""
    ended = {e.data["step"]: e.data.get("left", {}) for e in events if e.kind.startswith("step-") and "step" in e.data}
    waiting = {w.token for w in process_instances.execution_of(session, instance, now).waiting(even_parked=True)}
    for step in session.scalars(select(Step).where(Step.id.in_(ended), Step.token.in_(waiting)).with_for_update()):
        step.state, step.ended_at = "open", None
        left = {int(task_id): state for task_id, state in ended[step.id].items()}
        for task in session.scalars(select(UserTask).where(UserTask.id.in_(left)).with_for_update()):
            task.state, task.revision = left[task.id], task.revision + 1
        step.due_date = process_instances.latest_due(session, step) or step.due_date
