"""The waiting elements that people fulfil: opened from the live state, counted by rows, closed by whatever ends them.

`synchronise` is the one place where the live state becomes rows. Rows are the truth about people; the live state is the
truth about tokens.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import cached_property
from typing import Any

from sqlalchemy import bindparam, exists, func, select
from sqlalchemy.orm import Session

from engine import hand_dates, history
from engine.bpmn.execution import Execution, Waiting
from engine.bpmn.expressions import ExpressionError, UndefinedName, evaluate, parse
from engine.bpmn.reading import UserTaskElement
from engine.calendar import Calendar
from engine.errors import ElementFailed
from engine.model import Group, InstanceParticipant, ProcessInstance, Step, User, UserTask, new_public_id

OPEN_TASK = ("open", "submitted", "pending")
#: The states stand in the text, so that the index of just these is always used.
_ASKED = UserTask.state.in_(bindparam("asked", OPEN_TASK, expanding=True, literal_execute=True))


def open_steps(session: Session, instance: ProcessInstance) -> dict[str, Step]:
    """The case's open steps by token, as this unit of work sees them, written or not."""
    query = select(Step).where(Step.instance_id == instance.id, Step.state == "open").with_for_update()
    return {step.token: step for step in session.scalars(query) if step.state == "open"}


class Opened:
    """The steps that are open before an act, asked of the database only where the caller does not hold them all.

    Whatever steps are open, their tokens wait in the live state: where only the step that the caller has locked waits
    there, or none, no other can be open. It saves a statement at most starts and completions.
    """

    def __init__(self, session: Session, instance: ProcessInstance, execution: Execution, held: Step | None) -> None:
        self._session = session
        self._instance = instance
        waiting = {w.token for w in execution.waiting(even_parked=True)}
        mine = {held.token: held} if held is not None else {}
        self._mine = mine if waiting <= mine.keys() else None

    def by_token(self) -> dict[str, Step]:
        """Those still open, as this unit of work sees them."""
        if self._mine is None:
            return open_steps(self._session, self._instance)
        return {token: step for token, step in self._mine.items() if step.state == "open"}


def open_tasks(session: Session, step: Step) -> list[UserTask]:
    """The step's tasks that still wait, locked, as this unit of work sees them."""
    query = select(UserTask).where(UserTask.step_id == step.id, _ASKED).with_for_update()
    return [task for task in session.scalars(query) if task.state in OPEN_TASK]


def output_of(execution: Execution, step: Step) -> dict[str, Any]:
    """What a step that asks several gives to the process: how many were asked, answered and stayed silent."""
    element = execution.element(step.call_path, step.element_id)
    name = element.properties.get("output")
    if element.multi_instance is None or not name:
        return {}
    return {name: {"total": step.total, "completed": step.completed, "silent": step.total - step.completed}}


def synchronise(
    session: Session, instance: ProcessInstance, execution: Execution, opened: Opened, *, now: datetime
) -> datetime | None:
    """Make steps and tasks say what the live state says: close what is gone, open what waits now.

    Answers when the next row closes whose step stays open for others who got more time. Everything that can fail is
    computed before the first row is touched. Raises ElementFailed, or NothingToAsk when a step had nobody to ask: the
    live state has then moved on and wants to be advanced again.
    """
    known = opened.by_token()
    waiting = {w.token: w for w in execution.waiting()}
    people = _People(session, instance)
    opening = [
        _prepare(session, instance, execution, element, people, now)
        for token, element in waiting.items()
        if token not in known
    ]
    # An incident holds what was to open; another that is open at the same element stays so.
    waits = {w.token for w in execution.waiting(even_parked=True)}
    for token, step in known.items():
        if token not in waits:
            end_step(session, instance, step, "closed" if token in execution.interrupted else "withdrawn", now=now)
    for step, tasks in opening:
        _open(session, instance, step, tasks, now)
    people.let_see()
    still_open = [step for token, step in known.items() if token in waits]
    set_deadlines(execution, [*still_open, *(step for step, _ in opening)])
    return _next_row_closing(session, execution, still_open, opening)


def end_step(session: Session, instance: ProcessInstance, step: Step, state: str, *, now: datetime) -> None:
    """End a step as completed, closed, skipped or withdrawn; tasks still open in it end with it.

    History keeps what state each of those was in: taking the act back opens them so again.
    """
    step.state, step.ended_at = state, now
    place = hand_dates.place_of(step.call_path, step.element_id)
    if place in instance.hand_dates:
        hand_dates.put(instance, place, None)  # it was this round's; in the next one the model says again
    left: dict[str, str] = {}
    if step.completed < step.total:
        for task in open_tasks(session, step):
            left[str(task.id)] = task.state
            task.state, task.revision = "withdrawn" if state == "completed" else state, task.revision + 1
    kept: dict[str, Any] = {"left": left} if left else {}
    history.record(
        session, instance, f"step-{state}", now=now, step=step.id, element=step.element_id, round=step.round,
        total=step.total, completed=step.completed, **kept,
    )  # fmt: skip


def set_deadlines(execution: Execution, steps: Iterable[Step]) -> None:
    """Let each closing step's timer wait for its latest open row."""
    for step in steps:
        if step.closes:
            moment = execution.calendar.end_of_day(step.due_date) if step.due_date else None
            execution.set_deadline(step.token, moment)


# --- rows that close before their step --------------------------------------------------------------------------------


def _next_row_closing(
    session: Session, execution: Execution, known: list[Step], opening: list[tuple[Step, list[UserTask]]]
) -> datetime | None:
    rows = [row for step, tasks in opening if step.closes for row in tasks]
    if closing := [step.id for step in known if step.closes and step.total > 1]:
        query = select(UserTask).where(UserTask.step_id.in_(closing), UserTask.state.in_(OPEN_TASK))
        rows += [row for row in session.scalars(query) if row.state in OPEN_TASK]
    early = [r.due_date for r in rows if r.due_date and r.step.due_date and r.due_date < r.step.due_date]
    return execution.calendar.end_of_day(min(early)) if early else None


def close_late_rows(session: Session, instance: ProcessInstance, execution: Execution, *, now: datetime) -> None:
    """In a step that closes, each row closes at its own due date, and the step with its last row."""
    waiting = execution.waiting(even_parked=True)
    if not any(w.element.closes and w.element.multi_instance for w in waiting):
        return  # most timers: nothing is asked of the database
    today = execution.calendar.local_date(now)
    for step in open_steps(session, instance).values():
        if not step.closes or step.total == 1 or step.due_date is None or step.due_date < today:
            continue  # its own timer closes it
        rows = open_tasks(session, step)
        late = [row for row in rows if row.due_date is not None and row.due_date < today]
        for row in late:
            row.state, row.revision = "closed", row.revision + 1
            history.record(session, instance, "task-closed", now=now, task_id=row.id, step=step.id, item=row.item)
        if len(late) == len(rows):
            execution.set_deadline(step.token, now)


# --- opening ----------------------------------------------------------------------------------------------------------


def _prepare(
    session: Session,
    instance: ProcessInstance,
    execution: Execution,
    waiting: Waiting,
    people: "_People",
    now: datetime,
) -> tuple[Step, list[UserTask]]:
    items = _items(execution, waiting)
    if items == []:
        nobody = Step(call_path=waiting.call_path, element_id=waiting.element.id, total=0, completed=0)
        execution.complete(waiting.token, output_of(execution, nobody))
        raise NothingToAsk(waiting)
    element, asked = waiting.element, items if items is not None else [None]
    step = Step(
        instance_id=instance.id, call_path=waiting.call_path, element_id=element.id, name=_title(execution, waiting),
        token=waiting.token, opened_at=now, total=len(asked), completed=0, state="open", closes=element.closes,
    )  # fmt: skip
    texts = [_texts(execution, waiting, item) for item in asked]
    people.look_up(texts)
    tasks = [
        _task(execution, waiting, step, instance, people, item, text, now)
        for item, text in zip(asked, texts, strict=True)
    ]
    sequential = element.multi_instance is not None and element.multi_instance.sequential
    for position, task in enumerate(tasks):
        task.position = position
        task.state = "pending" if sequential and position > 0 else "open"
    step.due_date = max((t.due_date for t in tasks if t.due_date), default=None)
    return step, tasks


def _open(session: Session, instance: ProcessInstance, step: Step, tasks: list[UserTask], now: datetime) -> None:
    place = f"{step.call_path}/{step.element_id}"
    step.round = int(instance.rounds.get(place, 0)) + 1  # counted here: several may open at one place at once
    instance.rounds = {**instance.rounds, place: step.round}
    session.add_all([step, *tasks])
    history.record(
        session, instance, "step-opened", now=now, element=step.element_id, round=step.round, total=step.total,
        due=step.due_date.isoformat() if step.due_date else None,
    )  # fmt: skip


def describe_anew(session: Session, execution: Execution, waiting: Waiting, step: Step) -> None:
    """Let an open step and its tasks say what their element says now: name, form, priority, and whether it closes."""
    step.name, step.closes = _title(execution, waiting), waiting.element.closes
    for task in open_tasks(session, step):
        text = _texts(execution, waiting, task.item_data or task.item)
        form_key = text["form"] or waiting.element.form_key
        if (task.name, task.form_key) != (step.name, form_key):
            task.name, task.form_key, task.revision = step.name, form_key, task.revision + 1
        task.priority = waiting.element.priority


class NothingToAsk(Exception):
    """A step had nobody to ask and completed at once; the live state has moved on."""

    def __init__(self, waiting: Waiting) -> None:
        self.waiting = waiting
        super().__init__(waiting.element.id)


def _items(execution: Execution, waiting: Waiting) -> list[Any] | None:
    marker = waiting.element.multi_instance
    if marker is None:
        return None
    try:
        items = execution.value_at(waiting.token, marker.collection)
    except ExpressionError as error:
        raise _failure(waiting, f"collection: {error}") from error
    if not isinstance(items, list):
        raise _failure(waiting, f"The collection {marker.collection} is not a list.")
    return items


def _failure(waiting: Waiting, cause: str) -> ElementFailed:
    return ElementFailed(call_path=waiting.call_path, element_id=waiting.element.id, cause=cause)


def _title(execution: Execution, waiting: Waiting) -> str:
    return execution.text_at(waiting.token, waiting.element.properties.get("title")) or waiting.element.name


def item_scope(waiting: Waiting, item: Any) -> dict[str, object]:
    """The item variable, bound."""
    marker = waiting.element.multi_instance
    return {marker.item: item} if marker is not None else {}


def due_date(execution: Execution, waiting: Waiting, item: Any) -> date | None:
    """The date the model derives from the facts, or None while a name in it is not known."""
    if not waiting.element.due_date:
        return None
    try:
        value = execution.value_at(waiting.token, waiting.element.due_date, item_scope(waiting, item))
        if isinstance(value, str) and value:
            value = date.fromisoformat(value)
    except UndefinedName:
        return None
    except (ExpressionError, ValueError) as error:
        raise _failure(waiting, f"due date {waiting.element.due_date}: {error}") from error
    if value is not None and not isinstance(value, date):
        if value == "":
            return None
        raise _failure(waiting, f"The due date {waiting.element.due_date} gives {value!r}, which is no date.")
    return value


def _task(
    execution: Execution,
    waiting: Waiting,
    step: Step,
    instance: ProcessInstance,
    people: "_People",
    item: Any,
    text: Mapping[str, str | None],
    now: datetime,
) -> UserTask:
    element = waiting.element
    role = instance.roles.get(element.role or "", {})
    assignee, candidate_group = text["assignee"], text["group"]
    if assignee is None and candidate_group is None:
        assignee, candidate_group = role.get("user"), role.get("group")
    if assignee is None and candidate_group is None:
        raise _failure(waiting, f"Nobody is bound to the role {element.role!r}.")
    named = item if isinstance(item, Mapping) else {}
    by_hand = hand_dates.at(instance, hand_dates.place_of(step.call_path, step.element_id))
    return UserTask(
        public_id=new_public_id(),
        community_id=instance.community_id,
        instance_id=instance.id,
        step=step,
        revision=1,
        due_generation=1,
        due_by_hand=by_hand is not None,
        name=step.name,
        item=str(named.get("key", item)) if item is not None and named.get("key", None) is not None else None,
        item_name=named.get("name"),
        item_data=dict(named) if named else None,
        assignee_id=people.user(assignee, waiting),
        candidate_group_id=people.group(candidate_group, waiting),
        approver_id=people.user(text["approver"], waiting),
        form_key=text["form"] or element.form_key,
        priority=element.priority,
        opened_at=now,
        due_date=by_hand or due_date(execution, waiting, item),
    )


def _texts(execution: Execution, waiting: Waiting, item: Any) -> dict[str, str | None]:
    """What the element's keys come to for one item."""
    element, scope = waiting.element, item_scope(waiting, item)
    keys = {
        "assignee": element.assignee,
        "group": element.candidate_groups,
        "approver": element.properties.get("approver"),
        "form": element.properties.get("form"),
    }
    return {name: execution.text_at(waiting.token, source, scope) for name, source in keys.items()}


class _People:
    """Finds users and groups by key, and lets those asked see the case."""

    def __init__(self, session: Session, instance: ProcessInstance) -> None:
        self._session = session
        self._instance = instance
        # Those bound to roles were found, and let in, when the case started.
        bound = instance.roles.values()
        self._users: dict[str, int] = {r["user"]: r["id"] for r in bound if "user" in r}
        self._groups: dict[str, int] = {r["group"]: r["id"] for r in bound if "group" in r}
        self._outside: set[tuple[int | None, int | None]] = set()

    def look_up(self, texts: Iterable[Mapping[str, str | None]]) -> None:
        """Find everybody that these name, with one query for users and one for groups."""
        asked = list(texts)
        users = self._read(User, {t[name] for t in asked for name in ("assignee", "approver")} - self._users.keys())
        groups = self._read(Group, {t["group"] for t in asked} - self._groups.keys())
        self._users |= {key: id_ for key, id_, _ in users}
        self._groups |= {key: id_ for key, id_, _ in groups}
        self._outside |= {(id_, None) for _, id_, inside in users if not inside}
        self._outside |= {(None, id_) for _, id_, inside in groups if not inside}

    def _read(self, table: type[User] | type[Group], keys: set[str | None]) -> list[tuple[str, int, bool]]:
        """Key, id, and whether they see the case already."""
        wanted = sorted(key for key in keys if key)
        if not wanted:
            return []
        theirs = InstanceParticipant.user_id if table is User else InstanceParticipant.group_id
        sees = (InstanceParticipant.instance_id == self._instance.id) & (theirs == table.id)
        query = (
            select(table.key, table.id, InstanceParticipant.id)
            .outerjoin(InstanceParticipant, sees)
            .where(table.community_id == self._instance.community_id, table.key.in_(wanted))
        )
        return [(key, id_, participant is not None) for key, id_, participant in self._session.execute(query)]

    def user(self, key: str | None, waiting: Waiting) -> int | None:
        return self._known_id("user", self._users, key, waiting)

    def group(self, key: str | None, waiting: Waiting) -> int | None:
        return self._known_id("group", self._groups, key, waiting)

    def _known_id(self, kind: str, held: Mapping[str, int], key: str | None, waiting: Waiting) -> int | None:
        if not key:
            return None
        if key not in held:
            raise _failure(waiting, f"There is no {kind} {key!r}.")
        return held[key]

    def let_see(self) -> None:
        """Let those see the case who did not yet."""
        pending = {
            (row.user_id, row.group_id)
            for row in self._session.new
            if isinstance(row, InstanceParticipant) and row.instance_id == self._instance.id
        }
        for user_id, group_id in sorted(self._outside - pending, key=str):
            row = InstanceParticipant(instance_id=self._instance.id, user_id=user_id, group_id=group_id)
            self._session.add(row)


def allow(
    session: Session, instance: ProcessInstance, user_ids: Iterable[int | None], group_ids: Iterable[int | None]
) -> None:
    """Let users and groups see the case, if they don't yet."""
    rows = session.execute(
        select(InstanceParticipant.user_id, InstanceParticipant.group_id).where(
            InstanceParticipant.instance_id == instance.id
        )
    )
    held = {(row.user_id, row.group_id) for row in rows}
    users, groups = set(user_ids) - {u for u, _ in held}, set(group_ids) - {g for _, g in held}
    admit(session, instance, users, groups)


def admit(
    session: Session, instance: ProcessInstance, user_ids: Iterable[int | None], group_ids: Iterable[int | None]
) -> None:
    """Let users and groups see the case who certainly don't yet, such as in a new one."""
    wanted = {(u, None) for u in user_ids if u} | {(None, g) for g in group_ids if g}
    for user_id, group_id in sorted(wanted, key=str):
        session.add(InstanceParticipant(instance_id=instance.id, user_id=user_id, group_id=group_id))


# --- counting ---------------------------------------------------------------------------------------------------------


class Beside:
    """The other tasks of a step that still wait: looked at once, and only where somebody asks."""

    def __init__(self, session: Session, task: UserTask) -> None:
        self._session = session
        self._others = (UserTask.step_id == task.step_id) & (UserTask.id != task.id) & _ASKED

    @property
    def wait(self) -> bool:
        """Does anybody else still have to answer?"""
        return self._found[0]

    @property
    def latest(self) -> date | None:
        """The latest due date among them."""
        return self._found[1]

    @cached_property
    def _found(self) -> tuple[bool, date | None]:
        # Two heads of an index, so that it costs the same however many were asked.
        latest = select(func.max(UserTask.due_date)).where(self._others).scalar_subquery()
        wait, day = self._session.execute(select(exists().where(self._others), latest)).one()
        return wait, day


def is_fulfilled(step: Step, element: UserTaskElement, beside: Beside) -> bool:
    """Have enough answered, with the task that `beside` looks around? The condition sees BPMN's counters."""
    if step.completed >= step.total:
        return True
    # Rows that close at their own dates may have left this one alone.
    if step.closes and not beside.wait:
        return True
    marker = element.multi_instance
    if marker is None or marker.completion_condition is None:
        return False
    counters = {
        "nrOfInstances": step.total,
        "nrOfActiveInstances": step.total - step.completed,
        "nrOfCompletedInstances": step.completed,
    }
    return bool(evaluate(parse(marker.completion_condition), counters, Calendar()))


def add_row(
    session: Session,
    instance: ProcessInstance,
    execution: Execution,
    step: Step,
    item: Mapping[str, Any],
    now: datetime,
) -> UserTask:
    """Ask one more in an open step: a row after the others, with its own people and due date. Raises ElementFailed."""
    waiting = next(w for w in execution.waiting(even_parked=True) if w.token == step.token)
    people, text = _People(session, instance), _texts(execution, waiting, item)
    people.look_up([text])
    task = _task(execution, waiting, step, instance, people, item, text, now)
    marker = waiting.element.multi_instance
    in_turn = marker is not None and marker.sequential and bool(open_tasks(session, step))
    last = session.scalar(select(func.max(UserTask.position)).where(UserTask.step_id == step.id))
    task.position, task.state = (last if last is not None else -1) + 1, "pending" if in_turn else "open"
    step.total += 1
    session.add(task)
    people.let_see()
    return task


def open_next(session: Session, step: Step) -> None:
    """Open the next row of a step that asks one after the other."""
    query = select(UserTask).where(UserTask.step_id == step.id, UserTask.state == "pending")
    if (task := session.scalars(query.order_by(UserTask.position).limit(1)).first()) is not None:
        task.state, task.revision = "open", task.revision + 1
