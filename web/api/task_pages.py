"""Open tasks page by page, each page found by its place in an index, never by counting rows from the start."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select, tuple_, union_all
from sqlalchemy.orm import Session, defer, joinedload

from engine import identity, user_tasks
from engine.errors import InvalidInput
from engine.identity import Person
from engine.model import ProcessInstance, Step, UserTask

#: Narrows a query of tasks to those that are seen for one reason.
_Way = Callable[[Select[int]], Select[int]]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which tasks. `sort` is due, -due or opened; `overdue_on` is the day before which a due date is past."""

    sort: str
    limit: int
    cursor: str | None = None
    assignee: str | None = None
    group: str | None = None
    instance: str | None = None
    overdue_on: date | None = None
    words: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Place:
    """The last task of the page before. Tasks without a due date come last, whichever way the others go."""

    due: date | None
    id: int


def page(session: Session, person: Person, wanted: Wanted) -> tuple[list[UserTask], str | None]:
    """One page of the open tasks that the person may see, and the cursor of the next. Raises InvalidInput."""
    after = _read(wanted.cursor, wanted.sort) if wanted.cursor else None
    filters = [UserTask.community_id == person.community_id, *_filters(session, person, wanted)]
    found = _found(session, _ways(person, wanted), filters, wanted, after)
    if len(found) <= wanted.limit:
        return found, None
    last = found[wanted.limit - 1]
    return found[: wanted.limit], _written(wanted.sort, last)


def _found(
    session: Session, ways: Sequence[_Way], filters: list[ColumnElement[bool]], wanted: Wanted, after: _Place | None
) -> list[UserTask]:
    many = wanted.limit + 1
    if wanted.sort == "opened":
        beyond = [UserTask.id > after.id] if after else []
        return _first(session, ways, [*filters, *beyond], (UserTask.id.asc(),), many)
    found: list[UserTask] = []
    if after is None or after.due is not None:
        down = wanted.sort == "-due"
        place = tuple_(UserTask.due_date, UserTask.id)
        beyond = [UserTask.due_date.is_not(None)]
        if after is not None:
            last = tuple_(after.due, after.id)
            beyond.append(place < last if down else place > last)
        columns = (UserTask.due_date, UserTask.id)
        order = [column.desc() if down else column.asc() for column in columns]
        found = _first(session, ways, [*filters, *beyond], order, many)
        after = None
    if len(found) < many:
        beyond = [UserTask.due_date.is_(None)] + ([UserTask.id > after.id] if after else [])
        found += _first(session, ways, [*filters, *beyond], (UserTask.id.asc(),), many - len(found))
    return found


def _first(
    session: Session,
    ways: Sequence[_Way],
    filters: Sequence[ColumnElement[bool]],
    order: Sequence[ColumnElement[Any]],
    many: int,
) -> list[UserTask]:
    """The first of the tasks in order.

    Each way and each state is asked for by itself, because an index begins with it: the first of all are among the
    first of each.
    """
    firsts = [
        select(
            way(select(UserTask.id)).where(UserTask.state == state, *filters).order_by(*order).limit(many).subquery()
        )
        for way in ways
        for state in user_tasks.OPEN
    ]
    query = select(UserTask).where(UserTask.id.in_(union_all(*firsts))).order_by(*order).limit(many)
    return list(session.scalars(with_row(query)))


def with_row(query: Select[UserTask]) -> Select[UserTask]:
    """The query with everything that a task's row shows, and without what people wrote."""
    case = joinedload(UserTask.instance).load_only(ProcessInstance.public_id, ProcessInstance.title)
    step = joinedload(UserTask.step).load_only(Step.element_id)
    people = [joinedload(r) for r in (UserTask.assignee, UserTask.approver, UserTask.candidate_group)]
    left_out = [defer(column) for column in (UserTask.draft, UserTask.answers, UserTask.item_data)]
    return query.options(case, step, *people, *left_out)


# --- conditions -------------------------------------------------------------------------------------------------------


def _ways(person: Person, wanted: Wanted) -> list[_Way]:
    """Each way in which a task comes to be seen: it concerns the person, or they own its case."""
    if person.is_admin or wanted.assignee == "me":
        return [lambda tasks: tasks]
    if wanted.instance is not None:
        # A case has few tasks, and an index that finds them: all ways at once.
        return [lambda tasks: tasks.join(UserTask.instance).where(or_(*_concerns(person), *_owns(person)))]
    return [*map(_where, _concerns(person)), *map(_where_case, _owns(person))]


def _concerns(person: Person) -> list[ColumnElement[bool]]:
    acts_for = sorted(person.acts_for)
    theirs = [column == user_id for user_id in acts_for for column in (UserTask.assignee_id, UserTask.approver_id)]
    theirs += [UserTask.candidate_group_id == group_id for group_id in sorted(person.acts_in)]
    return theirs


def _owns(person: Person) -> list[ColumnElement[bool]]:
    owned = [ProcessInstance.owner_id == user_id for user_id in sorted(person.acts_for)]
    return owned + [ProcessInstance.owner_group_id == group_id for group_id in sorted(person.acts_in)]


def _where(condition: ColumnElement[bool]) -> _Way:
    return lambda tasks: tasks.where(condition)


def _where_case(condition: ColumnElement[bool]) -> _Way:
    # The database chooses: the cases first where they are few, else the tasks in order until the page is full.
    return lambda tasks: tasks.join(UserTask.instance).where(condition)


def _filters(session: Session, person: Person, wanted: Wanted) -> list[ColumnElement[bool]]:
    filters: list[ColumnElement[bool]] = []
    if wanted.assignee is not None:
        me = wanted.assignee == "me"
        filters.append(
            UserTask.assignee_id
            == (person.id if me else identity.user(session, person.community_id, wanted.assignee).id)
        )
    if wanted.group is not None:
        filters.append(UserTask.candidate_group_id == identity.group(session, person.community_id, wanted.group).id)
    if wanted.instance is not None:
        filters.append(UserTask.instance_id == identity.instance_by_id(session, person, wanted.instance).id)
    if wanted.overdue_on is not None:
        filters.append(and_(UserTask.due_date.is_not(None), UserTask.due_date < wanted.overdue_on))
    if wanted.words is not None:
        in_title = select(ProcessInstance.id).where(
            ProcessInstance.community_id == person.community_id,
            ProcessInstance.title.icontains(wanted.words, autoescape=True),
        )
        filters.append(
            or_(
                UserTask.name.icontains(wanted.words, autoescape=True),
                UserTask.item_name.icontains(wanted.words, autoescape=True),
                UserTask.instance_id.in_(in_title),
            )
        )
    return filters


# --- cursors ----------------------------------------------------------------------------------------------------------


def _written(sort: str, task: UserTask) -> str:
    due = task.due_date.isoformat() if task.due_date and sort != "opened" else None
    return base64.urlsafe_b64encode(json.dumps([sort, due, task.id]).encode()).decode().rstrip("=")


def _read(cursor: str, sort: str) -> _Place:
    try:
        written = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        wanted, due, identity_ = written
        if wanted != sort or type(identity_) is not int or not 0 <= identity_ < 2**63:
            raise ValueError("not ours")
        return _Place(due=date.fromisoformat(due) if due is not None else None, id=identity_)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput("The cursor is not one of ours for this sort. Begin again without it.") from error
