"""Many rows at once: copies of a real case and its task, made inside the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Table, select, text, update
from sqlalchemy.orm import Session

from bench.surroundings import Place
from engine.model import Base, InstanceParticipant, User, UserTask
from notifications.model import Delivery
from tests.fakes import RecordingMailer

#: Copies of one kind get ids from a number of their own, so that they never meet.
OPEN_FROM, COMPLETED_FROM, WAITING_FROM = 1_000_000, 3_000_000, 7_000_000
#: When what waits for `let_leave` would leave by itself.
_FAR = datetime(2099, 1, 1, tzinfo=UTC)
_WAITING = (Delivery.state == "planned") & Delivery.rule.startswith("reminder")
#: Completed tasks of one copied case.
_PER_CASE = 10


def copies(session: Session, table: str, row_id: int, count: int, *, first: int, **columns: str) -> None:
    """Insert `count` copies of a row, with ids from `first` on.

    `columns` are SQL: of `n`, which counts from 0, and of `t`, the row that is copied. Public ids become digits.
    """
    found = Base.metadata.tables[table]
    given = {"id": f"{first} + n", **_public_id(found, first), **columns}
    names = [column.name for column in found.columns]
    values = [given.get(name, f't."{name}"') for name in names]
    listed = ", ".join(f'"{name}"' for name in names)
    session.execute(
        text(
            f"WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n + 1 < {count}) "
            f'INSERT INTO "{table}" ({listed}) '
            f'SELECT {", ".join(values)} FROM "{table}" t, counted WHERE t.id = :row_id'
        ),
        {"row_id": row_id},
    )


def _public_id(table: Table, first: int) -> Mapping[str, str]:
    return {"public_id": f"CAST({100_000_000_000 + first} + n AS TEXT)"} if "public_id" in table.columns else {}


@dataclass(frozen=True, kw_only=True)
class _Pattern:
    """The case that is copied: ids of its rows."""

    instance_id: int
    step_id: int
    task_id: int
    participant_id: int
    people: Sequence[int]

    @property
    def someone(self) -> str:
        """SQL that deals the copies out to everyone in turn."""
        cases = " ".join(f"WHEN {place} THEN {user_id}" for place, user_id in enumerate(self.people))
        return f"CASE n % {len(self.people)} {cases} END"


def _pattern(place: Place) -> _Pattern:
    task_id = place.world.open_task(place.database)
    with place.database.reading() as session:
        task = session.get_one(UserTask, task_id)
        takes_part = select(InstanceParticipant.id).where(InstanceParticipant.instance_id == task.instance_id)
        return _Pattern(
            instance_id=task.instance_id, step_id=task.step_id, task_id=task_id,
            participant_id=session.scalars(takes_part.limit(1)).one(),
            people=session.scalars(select(User.id).where(User.active).order_by(User.id)).all(),
        )  # fmt: skip


def fill(place: Place, *, open_tasks: int, completed_tasks: int = 0) -> None:
    """So many cases with an open task each, and so many completed tasks, dealt out to everyone."""
    pattern = _pattern(place)
    day = _days_later(place, "2026-09-07")
    with place.database.transaction() as session:
        _open(session, pattern, open_tasks, due=day)
        if completed_tasks:
            _completed(session, pattern, completed_tasks, due=day)
    with place.database.transaction() as session:
        session.execute(text("ANALYZE"))  # as the database does by itself after a while


def _open(session: Session, pattern: _Pattern, count: int, *, due: str) -> None:
    first = OPEN_FROM
    case, step = f"{first} + n", f"{first} + n"
    copies(session, "process_instance", pattern.instance_id, count, first=first, title="'Sak ' || n")
    copies(session, "instance_participant", pattern.participant_id, count, first=first, instance_id=case)
    copies(session, "step", pattern.step_id, count, first=first, instance_id=case, due_date=due)
    copies(
        session, "user_task", pattern.task_id, count, first=first, instance_id=case, step_id=step, due_date=due,
        assignee_id=pattern.someone, candidate_group_id="NULL",
    )  # fmt: skip


def _completed(session: Session, pattern: _Pattern, count: int, *, due: str) -> None:
    first, cases = COMPLETED_FROM, -(-count // _PER_CASE)
    case = f"{first} + n"
    ended = {"state": "'completed'", "ended_at": "t.started_at", "state_document": "NULL"}
    copies(session, "process_instance", pattern.instance_id, cases, first=first, title="'Sak ' || n", **ended)
    copies(session, "instance_participant", pattern.participant_id, cases, first=first, instance_id=case)
    copies(
        session, "step", pattern.step_id, cases, first=first, instance_id=case, due_date=due,
        state="'completed'", ended_at="t.opened_at",
    )  # fmt: skip
    of_case = f"{first} + n / {_PER_CASE}"
    copies(
        session, "user_task", pattern.task_id, count, first=first, instance_id=of_case, step_id=of_case,
        position=f"n % {_PER_CASE}", due_date=due, assignee_id=pattern.someone, candidate_group_id="NULL",
        state="'completed'", completed_by_id=pattern.someone, completed_at="t.opened_at",
    )  # fmt: skip


def cases(place: Place, pattern_id: int, count: int, *, wake_at: str) -> None:
    """So many copies of a case that waits for a timer; `wake_at` is SQL."""
    with place.database.transaction() as session:
        copies(session, "process_instance", pattern_id, count, first=WAITING_FROM, wake_at=wake_at)
    with place.database.transaction() as session:
        session.execute(text("ANALYZE"))


def reminders(place: Place, count: int, *, now: datetime) -> None:
    """So many cases, each with a reminder to somebody of its own that is due at `now`; none leaves before `let_leave`.

    One of them is real, the others are its copies.
    """
    reminder_id, count = _due_reminder(place, now), count - 1
    first = WAITING_FROM
    case = f"{first} + n"
    with place.database.transaction() as session:
        reminder = session.get_one(Delivery, reminder_id)
        task = session.get_one(UserTask, reminder.task_id)
        mine = {"instance_id": case, "step_id": case}
        copies(
            session, "user", reminder.recipient_id, count, first=first, key="'person' || n",
            email="'person' || n || '@example.org'",
        )  # fmt: skip
        copies(session, "process_instance", task.instance_id, count, first=first)
        copies(session, "step", task.step_id, count, first=first, instance_id=case)
        copies(session, "user_task", task.id, count, first=first, **mine, assignee_id=case, candidate_group_id="NULL")
        copies(
            session, "delivery", reminder_id, count, first=first, **mine, task_id=case, recipient_id=case,
            cause=f"'task:' || ({first} + n) || ':{reminder.rule}:1'", message_id="'<' || n || '@bench.example.org>'",
        )  # fmt: skip
        session.execute(update(Delivery).where(_WAITING).values(next_attempt_at=_FAR))
    with place.database.transaction() as session:
        session.execute(text("ANALYZE"))


def let_leave(place: Place, *, now: datetime) -> None:
    """All of these reminders are due at `now`."""
    with place.database.transaction() as session:
        session.execute(update(Delivery).where(_WAITING, Delivery.next_attempt_at == _FAR).values(next_attempt_at=now))


def _due_reminder(place: Place, now: datetime) -> int:
    """A real case whose first task is due in two working days; the id of its reminder that is due at `now`."""
    calendar = place.world.calendar(place.database)
    meeting = calendar.working_days_after(calendar.local_date(now), 2 + 5)
    began = now - timedelta(days=30)
    services = place.services(clock=lambda: began, mailer=RecordingMailer())
    instance_id = place.world.start(place.database, "motesak", meeting=meeting, now=began)
    while services.drain(began):
        continue
    with place.database.reading() as session:
        due = (Delivery.instance_id == instance_id) & (Delivery.state == "planned") & (Delivery.planned_at <= now)
        query = (
            select(Delivery.id).where(due, Delivery.rule.startswith("reminder")).order_by(Delivery.planned_at.desc())
        )
        return session.scalars(query.limit(1)).one()


def _days_later(place: Place, day: str) -> str:
    """SQL of a day within two hundred after `day`, another for each copy."""
    if place.database.is_sqlite:
        return f"date('{day}', '+' || (n % 200) || ' days')"
    return f"DATE '{day}' + (n % 200)"
