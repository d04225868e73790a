"""Somebody asks for more time for their task; the owner answers. One party's extension leaves the others' date alone.

A request counts while its task waits: once the task is answered there is nothing to ask for.
"""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, joinedload

from agreements.model import MoreTimeRequest
from engine import history, identity, process_instances, steering, user_tasks
from engine.errors import InvalidInput, NotAllowed, NotFound, NotOpen
from engine.identity import Person
from engine.model import ProcessInstance, UserTask
from engine.user_tasks import Held


def ask(
    session: Session, task_id: int, *, wanted: date, reason: str, actor: Person, now: datetime, revision: int | None
) -> MoreTimeRequest:
    """Ask the owner for another due date. A second request for the same task takes the place of the first.

    Raises NotAllowed for a task that is not theirs, NotOpen and Stale as answering it does, and InvalidInput for a date
    that gives no more time, or without a reason.
    """
    held = user_tasks.hold(session, task_id)
    if not _is_theirs(actor, held.task):
        raise NotAllowed("Bare den som har oppgaven, kan be om mer tid.")
    user_tasks.require_open(held, revision, "open")
    _check(held, wanted, reason, now)
    request = waiting_of_task(session, task_id)
    if request is None:
        request = MoreTimeRequest(
            community_id=held.task.community_id, instance_id=held.instance.id, task_id=task_id, state="open"
        )
        session.add(request)
    request.asked_by_id, request.asked_at = actor.id, now
    request.wanted, request.due_date, request.reason = wanted, held.task.due_date, reason.strip()
    _record(session, held, request, "more-time-asked", actor, now, reason)
    session.flush()  # the page that comes next reads it
    return request


def grant(
    session: Session, public_id: str, *, day: date, actor: Person, now: datetime, reason: str, revision: int | None
) -> MoreTimeRequest:
    """Give the task the due date `day`, which need not be the one asked for; the others of its step keep theirs."""
    request, held = _to_answer(session, public_id, actor, revision)
    _settle(request, "granted", actor, now, reason)
    request.given = day
    steering.extend(session, held.task.id, due_date=day, actor=actor, now=now, reason=reason)
    return request


def refuse(
    session: Session, public_id: str, *, actor: Person, now: datetime, reason: str, revision: int | None
) -> MoreTimeRequest:
    """Let the task keep its due date, with a reason that whoever asked is told."""
    request, held = _to_answer(session, public_id, actor, revision)
    if not reason.strip():
        raise InvalidInput("Skriv hvorfor det ikke går. Den som spurte, får lese det.", field="reason")
    _settle(request, "refused", actor, now, reason)
    _record(session, held, request, "more-time-refused", actor, now, reason)
    return request


# --- reading ----------------------------------------------------------------------------------------------------------


def waiting(*conditions: ColumnElement[bool], session: Session) -> Sequence[MoreTimeRequest]:
    """Requests that wait for an answer, the oldest first, with task and who asked."""
    query = (
        select(MoreTimeRequest)
        .join(UserTask, UserTask.id == MoreTimeRequest.task_id)
        .join(ProcessInstance, ProcessInstance.id == MoreTimeRequest.instance_id)
        .where(MoreTimeRequest.state == "open", UserTask.state == "open", *conditions)
        .options(
            joinedload(MoreTimeRequest.task), joinedload(MoreTimeRequest.instance), joinedload(MoreTimeRequest.asked_by)
        )
        .order_by(MoreTimeRequest.asked_at, MoreTimeRequest.id)
    )
    return session.scalars(query).all()


def waiting_for(session: Session, person: Person) -> Sequence[MoreTimeRequest]:
    """Requests in running cases that the person owns."""
    return waiting(identity.steered_instances(person), ProcessInstance.state == "active", session=session)


def waiting_of_case(session: Session, instance_id: int) -> Sequence[MoreTimeRequest]:
    """Requests that wait in one case."""
    return waiting(MoreTimeRequest.instance_id == instance_id, session=session)


def waiting_of_task(session: Session, task_id: int) -> MoreTimeRequest | None:
    """The task's request that waits."""
    query = select(MoreTimeRequest).where(MoreTimeRequest.task_id == task_id, MoreTimeRequest.state == "open")
    return session.scalar(query)


def find(session: Session, person: Person, public_id: str) -> MoreTimeRequest:
    """A request in a case that the person steers. Raises NotFound or NotAllowed."""
    found = session.scalar(select(MoreTimeRequest).where(MoreTimeRequest.public_id == public_id))
    if found is None or found.community_id != person.community_id:
        raise NotFound("Forespørselen finnes ikke.")
    identity.require_owner(person, found.instance)
    return found


# --- parts ------------------------------------------------------------------------------------------------------------


def _is_theirs(actor: Person, task: UserTask) -> bool:
    free = task.assignee_id is None and task.candidate_group_id in actor.acts_in
    mine = free or task.assignee_id in actor.acts_for
    return mine and task.community_id == actor.community_id


def _check(held: Held, wanted: date, reason: str, now: datetime) -> None:
    calendar = identity.calendar_of(held.instance.community)
    calendar.why_closed(wanted)  # refuses a year whose holidays nobody knows
    if wanted < calendar.local_date(now) or (held.task.due_date is not None and wanted <= held.task.due_date):
        raise InvalidInput("Velg en dag etter fristen du har.", field="wanted")
    if not reason.strip():
        raise InvalidInput("Skriv hvorfor du trenger mer tid.", field="reason")


def _to_answer(session: Session, public_id: str, actor: Person, revision: int | None) -> tuple[MoreTimeRequest, Held]:
    found = find(session, actor, public_id)
    held = user_tasks.hold(session, found.task_id)
    query = select(MoreTimeRequest).where(MoreTimeRequest.id == found.id)
    request = session.scalars(query.with_for_update().execution_options(populate_existing=True)).one()
    user_tasks.require_open(held, revision, "open")
    if request.state != "open":
        raise NotOpen("Forespørselen er alt besvart.", **history.last_act(held.instance))
    return request, held


def _settle(request: MoreTimeRequest, state: str, actor: Person, now: datetime, reason: str) -> None:
    request.state, request.answer = state, reason.strip()
    request.answered_by_id, request.answered_at = actor.id, now


def _record(
    session: Session, held: Held, request: MoreTimeRequest, kind: str, actor: Person, now: datetime, reason: str
) -> None:
    # A refusal is the owner's: history finds for whom by itself.
    behalf_of = user_tasks.for_whom(actor, held) if kind == "more-time-asked" else None
    history.record(
        session, held.instance, kind, now=now, actor_id=actor.id, on_behalf_of_id=behalf_of, task_id=held.task.id,
        note=reason.strip() or None, item=held.task.item,
        old=request.due_date.isoformat() if request.due_date else None, new=request.wanted.isoformat(),
    )  # fmt: skip
    process_instances.touch(session, held.instance, now=now)
