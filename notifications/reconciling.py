"""Makes the planned mails of one case agree with its tasks, dates, incidents and rules.

The wanted mails are computed anew each time; rows that have left are never touched, and their cause is
spent. Running it twice changes nothing. The case's row is locked, so that two runs never plan the same mail.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.orm import Session

from engine import absences, identity, process_instances
from engine.calendar import Calendar
from engine.database import announce
from engine.model import (
    HistoryEvent,
    Incident,
    Membership,
    ProcessInstance,
    Step,
    User,
    UserTask,
    new_public_id,
)
from notifications import invitations, moves, preferences, rules, timing, uncovered
from notifications.model import TOLD, UNSENT, Delivery
from notifications.rules import Ball, Wanted
from notifications.settings import Element, NotificationSettings

#: The lane in which mails are sent: they don't wait for cases, nor cases for them.
LANE = "mails"
#: Reminding by hand reaches a task at most this often.
REMIND_PAUSE = timedelta(hours=1)

#: History's word for an approver's return of an answer.
SENT_BACK = "sent-back"

_COLUMNS = (
    Delivery.id, Delivery.cause, Delivery.rule, Delivery.recipient_id, Delivery.task_id, Delivery.state,
    Delivery.planned_at, Delivery.due_date, Delivery.composed_at,
)  # fmt: skip
_Known = Row[int, str, str, int, int | None, str, datetime, date | None, datetime | None]


def reconcile(session: Session, instance_id: int, *, now: datetime, settings: NotificationSettings) -> None:
    """Plan what is missing, move what has a new time, cancel what is no longer wanted. Raises NotFound."""
    instance = process_instances.locked(session, instance_id)
    calendar = identity.calendar_of(instance.community)
    known = session.execute(select(*_COLUMNS).where(Delivery.instance_id == instance.id)).all()
    owners = _owners(session, instance)
    of_moves, told = moves.wanted(session, instance, now=now)
    balls = _balls(session, instance, known, told, owners, settings)
    wanted = [w for ball in balls for w in rules.wanted_of_task(ball, calendar, now)]
    wanted += rules.wanted_of_late(balls, calendar)
    wanted += of_moves if instance.state == "active" else []
    wanted += invitations.wanted(session, instance, now=now)
    wanted += uncovered.wanted(session, instance, owners, now=now)
    for incident_id in _given_up(session, instance):
        wanted += rules.wanted_of_incident(incident_id, owners, now)
    by_key = {w.key: w for w in _as_chosen(session, instance.community_id, wanted, calendar)}
    _correct(session, [row for row in known if row.state in UNSENT], by_key, _by_hand(balls), now)
    spent = {(row.cause, row.recipient_id) for row in known}
    _insert(session, instance, [w for w in by_key.values() if w.key not in spent], now, settings)


def remind_now(
    session: Session,
    instance: ProcessInstance,
    tasks: Sequence[UserTask],
    *,
    now: datetime,
    actor: User,
    settings: NotificationSettings,
) -> int:
    """Remind those who hold the tasks, at night the next morning; answers how many mails that made.

    A task that was reminded of by hand within the last hour is passed over. The caller checks that `actor`
    may do this.
    """
    process_instances.locked(session, instance.id)
    waiting = [task for task in tasks if task.instance_id == instance.id and task.state in ("open", "submitted")]
    recent = _reminded_since(session, [task.id for task in waiting], now - REMIND_PAUSE)
    holders = holders_of_each(session, waiting)
    calendar = identity.calendar_of(instance.community)
    wanted = [
        _reminder_by_hand(task, person, now, calendar)
        for task in waiting if task.id not in recent
        for person in holders[task.id]
    ]  # fmt: skip
    _insert(session, instance, wanted, now, settings, asked_by_id=actor.id)
    return len(wanted)


def holders_of(session: Session, task: UserTask) -> tuple[int, ...]:
    """Ids of the active people who are to act on the task now."""
    return holders_of_each(session, [task])[task.id]


def holders_of_each(session: Session, tasks: Sequence[UserTask]) -> dict[int, tuple[int, ...]]:
    """Who has the ball: the approver of a submitted task, else the assignee, else the whole group.

    For those who are away it is with whoever stands in.
    """
    people = {t.id: t.approver_id if t.state == "submitted" else t.assignee_id for t in tasks}
    groups = {t.candidate_group_id for t in tasks if people[t.id] is None and t.state == "open"}
    members = _members(session, groups)
    asked = {person for person in people.values() if person is not None}
    query = select(User.id).where(User.id.in_(asked), User.active)
    active = set(session.scalars(query)) if asked else set()
    holders: dict[int, tuple[int, ...]] = {}
    for task in tasks:
        person = people[task.id]
        if person is not None:
            holders[task.id] = (person,) if person in active else ()
        else:
            holders[task.id] = members.get(task.candidate_group_id, ()) if task.state == "open" else ()
    instead = absences.stand_ins(session, {person for those in holders.values() for person in those})
    return {task: tuple(dict.fromkeys(instead.get(p, p) for p in those)) for task, those in holders.items()}


# --- reading the case ---


def _balls(
    session: Session,
    instance: ProcessInstance,
    known: Sequence[_Known],
    told_otherwise: Sequence[moves.Told],
    owners: tuple[int, ...],
    settings: NotificationSettings,
) -> list[Ball]:
    """The tasks that wait for someone; none while the case stands still."""
    if instance.state != "active":
        return []
    waiting = (UserTask.instance_id == instance.id) & UserTask.state.in_(("open", "submitted"))
    query = select(UserTask, Step).join(Step, Step.id == UserTask.step_id).where(waiting).order_by(UserTask.id)
    rows = session.execute(query).all()
    tasks, steps = [task for task, _ in rows], {step.id: step for _, step in rows}
    elements = {s.id: settings.element(session, instance, s) for s in steps.values()}
    told_when_late = {s: _escalated_to(session, instance, e, owners) for s, e in elements.items()}
    holders, told = holders_of_each(session, tasks), _told(known, told_otherwise)
    returned = _sent_back(session, instance, tasks)
    return [
        Ball(
            task_id=t.id, step_id=t.step_id, submitted=t.state == "submitted", opened_at=t.opened_at,
            submitted_at=t.submitted_at, submitted_by=t.submitted_by_id, sent_back_at=returned.get(t.id),
            due_date=t.due_date, due_generation=t.due_generation, closes=steps[t.step_id].closes,
            reminders=elements[t.step_id].reminders, holders=holders[t.id], told=told[t.id],
            group_id=t.candidate_group_id, telling=elements[t.step_id].telling,
            escalate_to=told_when_late[t.step_id],
            escalate_after=_after(elements[t.step_id]),
        )
        for t in tasks
    ]  # fmt: skip


def _after(element: Element) -> int:
    return rules.ESCALATION_AFTER if element.escalate_after is None else element.escalate_after


def _escalated_to(
    session: Session, instance: ProcessInstance, element: Element, owners: tuple[int, ...]
) -> tuple[int, ...]:
    """Those of the role that the model names, else the owners."""
    role = instance.roles.get(element.escalate_to or "")
    if not role:
        return owners
    if "group" in role:
        return absences.present(session, _members(session, [role["id"]]).get(role["id"], ()))
    named = session.scalars(select(User.id).where(User.id == role["id"], User.active)).all()
    return absences.present(session, named)


def _as_chosen(session: Session, community_id: int, wanted: Sequence[Wanted], calendar: Calendar) -> Iterator[Wanted]:
    """What these people want to hear, each at the moment that they chose."""
    groups = {w.group_id for w in wanted if w.group_id is not None}
    choices = preferences.read(session, {w.recipient_id for w in wanted}, groups, community_id)
    for want in wanted:
        if not choices.is_off(want.rule, want.recipient_id):
            chosen = choices.preference(want.recipient_id, want.group_id, want.telling)
            preference = timing.AT_ONCE if rules.kind(want.rule) in rules.PROMPT else chosen
            leaves = timing.planned(want.planned_at, want.due_date, calendar, preference)
            yield replace(want, planned_at=leaves)


def _members(session: Session, groups: Iterable[int | None]) -> Mapping[int | None, tuple[int, ...]]:
    if not (wanted := {g for g in groups if g is not None}):
        return {}
    query = (
        select(Membership.group_id, User.id)
        .join(User, User.id == Membership.user_id)
        .where(Membership.group_id.in_(wanted), User.active)
        .order_by(User.id)
    )
    members: dict[int | None, tuple[int, ...]] = {}
    for group_id, user_id in session.execute(query):
        members[group_id] = (*members.get(group_id, ()), user_id)
    return members


def _given_up(session: Session, instance: ProcessInstance) -> Sequence[int]:
    """Ids of the incidents that the engine tries no more; none while the case is on hold."""
    if instance.state != "active" or not instance.open_incidents:
        return ()
    waits_for_a_person = Incident.resolved_at.is_(None) & Incident.retry_at.is_(None)
    query = select(Incident.id).where(Incident.instance_id == instance.id, waits_for_a_person)
    return session.scalars(query.order_by(Incident.id)).all()


def _owners(session: Session, instance: ProcessInstance) -> tuple[int, ...]:
    if instance.owner_id is None:
        members = _members(session, [instance.owner_group_id])
        return absences.present(session, members.get(instance.owner_group_id, ()))
    owner = session.scalars(select(User.id).where(User.id == instance.owner_id, User.active)).all()
    return absences.present(session, owner)


def _told(known: Sequence[_Known], otherwise: Sequence[moves.Told]) -> dict[int | None, dict[int, date | None]]:
    """Task -> person -> the due date of the latest mail that reached them, or may have, or sums up a move for them."""
    told: dict[int | None, dict[int, date | None]] = defaultdict(dict)
    said = [
        (row.composed_at, row.id, row.task_id, row.recipient_id, row.due_date)
        for row in known
        if row.state in TOLD and row.composed_at is not None and row.rule not in moves.RULES
    ]
    said += [(t.at, sys.maxsize, t.task_id, t.person, t.due_date) for t in otherwise]
    for _at, _id, task_id, person, due_date in sorted(said, key=lambda row: row[:2]):
        told[task_id][person] = due_date
    return told


def _sent_back(session: Session, instance: ProcessInstance, tasks: Sequence[UserTask]) -> dict[int, datetime]:
    """When each of the tasks was last sent back by its approver; only what was once submitted can be."""
    if not any(task.submitted_at for task in tasks):
        return {}
    query = (
        select(HistoryEvent.task_id, func.max(HistoryEvent.at))
        .where(HistoryEvent.instance_id == instance.id, HistoryEvent.kind == SENT_BACK)
        .group_by(HistoryEvent.task_id)
    )
    return {task_id: at for task_id, at in session.execute(query) if task_id is not None}


def _by_hand(balls: Iterable[Ball]) -> set[tuple[int, int]]:
    """Where a reminder that was asked for by hand still has a reader."""
    return {(ball.task_id, person) for ball in balls for person in ball.holders}


# --- writing the difference ---


@dataclass(frozen=True)
class _Difference:
    cancel: list[int]
    plan: list[tuple[int, Wanted]]


def _correct(
    session: Session,
    unsent: Sequence[_Known],
    wanted: Mapping[tuple[str, int], Wanted],
    by_hand: set[tuple[int, int]],
    now: datetime,
) -> None:
    difference = _compare(unsent, wanted, by_hand, now)
    # Compare-and-set: a worker that has just claimed the row wins, and what it sends was wanted a moment ago.
    cancel = update(Delivery).where(Delivery.id.in_(difference.cancel), Delivery.state == "planned")
    if difference.cancel:
        session.execute(cancel.values(state="cancelled", last_error="No longer wanted."))
    for identity_, want in difference.plan:
        row = update(Delivery).where(Delivery.id == identity_, Delivery.state.in_(UNSENT))
        session.execute(row.values(_planned(want)))
        announce(session, LANE, want.planned_at)


def _compare(
    unsent: Sequence[_Known],
    wanted: Mapping[tuple[str, int], Wanted],
    by_hand: set[tuple[int, int]],
    now: datetime,
) -> _Difference:
    difference = _Difference([], [])
    for row in unsent:
        planned, want = row.state == "planned", wanted.get((row.cause, row.recipient_id))
        if row.rule == "remind_now":
            if planned and (row.task_id, row.recipient_id) not in by_hand:
                difference.cancel.append(row.id)
        elif want is None or (_is_past(want, now) and want.planned_at != row.planned_at):
            if planned:
                difference.cancel.append(row.id)
        elif _is_to_plan(row, want, now):
            difference.plan.append((row.id, want))
    return difference


def _is_to_plan(row: _Known, want: Wanted, now: datetime) -> bool:
    """Is it wanted again after being cancelled, or at another time than planned?"""
    if row.state == "cancelled":
        return not _is_past(want, now)
    if want.at_once and row.planned_at <= now:
        # It waits only to be taken; reckoned from now, it would be put off for ever.
        return bool(want.planned_at < row.planned_at)
    return bool(want.planned_at != row.planned_at)


def _is_past(want: Wanted, now: datetime) -> bool:
    """Does it hang on a date whose time has gone by? Such a mail is never planned anew."""
    return not want.at_once and want.planned_at < now


def _planned(want: Wanted) -> dict[str, object]:
    return {
        "state": "planned", "planned_at": want.planned_at, "next_attempt_at": want.planned_at, "attempts": 0,
        "due_date": want.due_date, "due_generation": want.due_generation, "last_error": None,
    }  # fmt: skip


def _insert(
    session: Session,
    instance: ProcessInstance,
    wanted: Iterable[Wanted],
    now: datetime,
    settings: NotificationSettings,
    asked_by_id: int | None = None,
) -> None:
    rows: list[dict[str, Any]] = []
    for want in wanted:
        if _is_past(want, now):
            continue
        public_id = new_public_id()
        rows.append(
            _planned(want) | {
                "public_id": public_id, "message_id": f"<{public_id}@{settings.host}>", "cause": want.cause,
                "rule": want.rule, "community_id": instance.community_id, "instance_id": instance.id,
                "step_id": want.step_id, "task_id": want.task_id, "incident_id": want.incident_id,
                "recipient_id": want.recipient_id, "asked_by_id": asked_by_id,
            }
        )  # fmt: skip
    if rows:
        session.execute(insert(Delivery), rows)
        announce(session, LANE, min(row["planned_at"] for row in rows))


# --- reminding by hand ---


def _reminded_since(session: Session, tasks: Sequence[int], since: datetime) -> set[int | None]:
    query = select(Delivery.task_id).where(
        Delivery.task_id.in_(tasks), Delivery.rule == "remind_now", Delivery.planned_at > since
    )
    return set(session.scalars(query))


def _reminder_by_hand(task: UserTask, person: int, now: datetime, calendar: Calendar) -> Wanted:
    leaves = timing.planned(now, task.due_date, calendar, timing.AT_ONCE)
    return Wanted(
        cause=f"task:{task.id}:remind_now:{now:%Y%m%dT%H%M%S}", rule="remind_now", step_id=task.step_id,
        task_id=task.id, recipient_id=person, planned_at=leaves, due_date=task.due_date,
        due_generation=task.due_generation, at_once=True,
    )  # fmt: skip
