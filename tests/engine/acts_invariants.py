"""What holds after every act, whatever came before it: read from the rows by plain SQL, and from the live state."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import zstandard
from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from engine import history, process_instances, steps
from engine.bpmn.execution import Execution
from engine.model import Base, ProcessInstance, Step, UserTask
from tests.engine.lab import Lab

OPEN = "('open', 'submitted', 'pending')"
#: What may make a case stand in these models; everything else is a fault of the engine.
CAUSES = (
    "divided by zero", "The register is away", "Nothing catches the error tom", "There is no user", "needs a number",
    "is no date",
)  # fmt: skip
#: History's kind -> the state of the case that it leads to.
LEADS_TO = {
    "started": "active", "suspended": "suspended", "resumed": "active", "cancelled": "cancelled",
    "completed": "completed", "reopened": "active", "taken-back": "active",
}  # fmt: skip
#: History's kind -> what it makes of a task.
MAKES = {
    "completed-task": "answered", "answered-on-behalf": "answered", "approved": "answered", "taken-back": "open",
    "submitted": "open", "sent-back": "open",
}  # fmt: skip


def dump(lab: Lab) -> Mapping[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with lab.database.reading() as session:
        return {
            table.name: sorted((tuple(row) for row in session.execute(text(f'SELECT * FROM "{table.name}"'))), key=repr)
            for table in Base.metadata.sorted_tables
        }


@dataclass(frozen=True)
class Looker:
    """One look at the whole database."""

    session: Session
    now: datetime

    def rows(self, query: str, **given: Any) -> list[Row[Any]]:
        """What plain SQL answers."""
        return list(self.session.execute(text(query), given))

    def number(self, query: str, **given: Any) -> int:
        """The one number that plain SQL answers."""
        return int(self.session.execute(text(query), given).scalar_one())


def check(lab: Lab, given: Mapping[int, Mapping[str, Any]]) -> None:
    """All that must hold now; `given` are the answers that were accepted and not taken back, by task."""
    with lab.database.reading() as session:
        look = Looker(session, lab.clock())
        _counters_equal_the_rows(look)
        _open_work_belongs_to_running_cases(look)
        _ended_cases_wait_for_nothing(look)
        _nothing_stands_for_an_unknown_reason(look)
        _answers_are_kept(look, given)
        for instance in session.scalars(select(ProcessInstance).order_by(ProcessInstance.id)):
            _history_explains(look, instance)
            if instance.state in ("active", "suspended"):
                _rows_are_the_live_state(look, instance)


# --- rows among themselves --------------------------------------------------------------------------------------------


def _counters_equal_the_rows(look: Looker) -> None:
    wrong = look.rows(
        """
        SELECT s.id, s.element_id, s.state, s.total, s.completed, count(t.id) AS asked,
               sum(CASE WHEN t.state = 'completed' THEN 1 ELSE 0 END) AS answered,
               sum(CASE WHEN t.state = 'withdrawn' AND EXISTS (
                   SELECT 1 FROM history_event h WHERE h.task_id = t.id AND h.kind = 'party-removed'
               ) THEN 1 ELSE 0 END) AS removed
        FROM step s JOIN user_task t ON t.step_id = s.id GROUP BY s.id, s.element_id, s.state, s.total, s.completed
        """
    )
    for row in wrong:
        assert (row.total, row.completed) == (row.asked - row.removed, row.answered), f"counters of {row}"
    incidents = look.rows(
        """
        SELECT i.id, i.open_incidents,
               (SELECT count(*) FROM incident n WHERE n.instance_id = i.id AND n.resolved_at IS NULL) AS unresolved
        FROM process_instance i
        """
    )
    for row in incidents:
        assert row.open_incidents == row.unresolved, f"incidents of {row}"


def _open_work_belongs_to_running_cases(look: Looker) -> None:
    stray = look.rows(
        f"""
        SELECT t.id, t.state, s.state AS step, i.state AS instance FROM user_task t
        JOIN step s ON s.id = t.step_id JOIN process_instance i ON i.id = t.instance_id
        WHERE t.state IN {OPEN} AND (s.state <> 'open' OR i.state NOT IN ('active', 'suspended'))
        """
    )
    assert stray == [], "open tasks outside open steps of running cases"
    hollow = look.rows(
        f"""
        SELECT s.id, s.element_id, s.total, s.completed FROM step s WHERE s.state = 'open'
        AND NOT EXISTS (SELECT 1 FROM user_task t WHERE t.step_id = s.id AND t.state IN {OPEN})
        """
    )
    assert hollow == [], "open steps in which nobody can answer"


def _ended_cases_wait_for_nothing(look: Looker) -> None:
    for table, where in (
        ("step", "state = 'open'"),
        ("user_task", f"state IN {OPEN}"),
        ("incident", "resolved_at IS NULL"),
        ("event_subscription", "instance_id IS NOT NULL"),
    ):
        waiting = look.number(
            f"""
            SELECT count(*) FROM {table} WHERE {where} AND instance_id IN (
                SELECT id FROM process_instance WHERE state IN ('completed', 'cancelled'))
            """
        )
        assert waiting == 0, f"{table}: an ended case waits"
    untidy = look.rows(
        """
        SELECT id, state FROM process_instance WHERE
            (state IN ('completed', 'cancelled')) <> (ended_at IS NOT NULL)
            OR (state = 'completed') <> (state_document IS NULL)
            OR (state IN ('completed', 'cancelled') AND wake_at IS NOT NULL)
        """
    )
    assert untidy == [], "cases whose columns disagree about whether they have ended"


def _nothing_stands_for_an_unknown_reason(look: Looker) -> None:
    for row in look.rows("SELECT element_id, cause FROM incident"):
        assert row.element_id and any(known in row.cause for known in CAUSES), f"an incident nobody meant: {row}"
    for row in look.rows("SELECT kind, last_error FROM job WHERE last_error IS NOT NULL"):
        assert row.last_error.startswith("NobodyWaits"), f"a job that failed: {row}"


def _answers_are_kept(look: Looker, given: Mapping[int, Mapping[str, Any]]) -> None:
    kept = {task.id: task for task in look.session.scalars(select(UserTask).where(UserTask.id.in_(given)))}
    for task_id, answers in given.items():
        assert kept[task_id].state == "completed", f"the answer of task {task_id} is {kept[task_id].state}"
        assert kept[task_id].answers == answers, f"the answer of task {task_id} is another"


# --- history ----------------------------------------------------------------------------------------------------------


def _history_explains(look: Looker, instance: ProcessInstance) -> None:
    """The chain is whole, and the last event about each thing says the state that it is in."""
    events = history.events(look.session, instance)
    assert history.broken_at(instance, events) is None, f"the chain of case {instance.id} is broken"
    states = [LEADS_TO[event.kind] for event in events if event.kind in LEADS_TO]
    assert states[-1] == instance.state, f"history says that case {instance.id} is {states[-1]}"
    ended = {event.data["step"]: event.kind for event in events if re.match("step-(?!opened)", event.kind)}
    steps_of = look.rows("SELECT id, state FROM step WHERE instance_id = :i", i=instance.id)
    for step in steps_of:
        said = ended.get(step.id)
        assert step.state == "open" or said == f"step-{step.state}", f"step {step.id} is {step.state}, not {said}"
    assert len(steps_of) == sum(event.kind == "step-opened" for event in events), "a step opened without an event"
    answered = {event.task_id: MAKES[event.kind] for event in events if event.kind in MAKES}
    tasks = look.rows("SELECT id, state FROM user_task WHERE instance_id = :i", i=instance.id)
    for task in tasks:
        said = answered.get(task.id, "open")
        assert (task.state == "completed") == (said == "answered"), f"task {task.id} is {task.state}, not {said}"


# --- rows and the live state ------------------------------------------------------------------------------------------


def _rows_are_the_live_state(look: Looker, instance: ProcessInstance) -> None:
    execution = process_instances.execution_of(look.session, instance, look.now)
    opened = {row.token: row for row in _open_steps(look, instance)}
    waiting = {w.token: w for w in execution.waiting(even_parked=True)}
    # What an incident holds has no step yet, unless another was open there before.
    assert {w.token for w in execution.waiting()} <= opened.keys() <= waiting.keys(), (
        f"open steps {sorted(s.element_id for s in opened.values())}, waiting "
        f"{sorted(w.element.id for w in waiting.values())}"
    )
    for token, step in opened.items():
        place = (waiting[token].call_path, waiting[token].element.id)
        assert (step.call_path, step.element_id) == place, f"step {step.id} is at {place}"
        _dates_are_derived(look, execution, waiting[token], step)
    _wakes_in_time(look, instance, execution)
    _only_what_waits_is_subscribed(look, instance, execution)
    _document_is_small(instance, execution)


def _open_steps(look: Looker, instance: ProcessInstance) -> list[Step]:
    return list(look.session.scalars(select(Step).where(Step.instance_id == instance.id, Step.state == "open")))


def _open_tasks(look: Looker, step: Step) -> list[UserTask]:
    return list(
        look.session.scalars(select(UserTask).where(UserTask.step_id == step.id, UserTask.state.in_(steps.OPEN_TASK)))
    )


def _dates_are_derived(look: Looker, execution: Execution, waiting: Any, step: Step) -> None:
    rows = _open_tasks(look, step)
    for row in rows:
        derived = steps.due_date(execution, waiting, row.item_data or row.item)
        assert row.due_by_hand or row.due_date == derived, f"task {row.id} is due {row.due_date}, not {derived}"
    latest = max((row.due_date for row in rows if row.due_date), default=None)
    assert step.due_date == latest, f"{step.element_id} is due {step.due_date}, its rows at last {latest}"
    assert step.closes == waiting.element.closes


def _wakes_in_time(look: Looker, instance: ProcessInstance, execution: Execution) -> None:
    """Woken when the earliest timer is due or the next row closes; what was answered may leave an earlier moment."""
    moments = [execution.next_wake()]
    for step in _open_steps(look, instance):
        rows = [row.due_date for row in _open_tasks(look, step) if row.due_date]
        if step.closes and step.total > 1 and rows and min(rows) < max(rows):
            moments.append(execution.calendar.end_of_day(min(rows)))
    due = [moment for moment in moments if moment is not None]
    expected = min(due, default=None)
    if instance.wake_at != expected:
        assert instance.wake_at is not None and (expected is None or instance.wake_at < expected), (
            f"case {instance.id} wakes at {instance.wake_at}, not {expected}"
        )
        assert any(step.closes and step.total > 1 for step in _open_steps(look, instance)), "it wakes for nothing"
    before = execution.timers()
    execution.rederive_timers()
    assert execution.timers() == before, "a timer does not hang on what it did"


def _only_what_waits_is_subscribed(look: Looker, instance: ProcessInstance, execution: Execution) -> None:
    rows = look.rows(
        "SELECT kind, name, correlation, token FROM event_subscription WHERE instance_id = :i", i=instance.id
    )
    assert sorted(map(tuple, rows)) == sorted(execution.subscriptions()), "subscriptions"


def _document_is_small(instance: ProcessInstance, execution: Execution) -> None:
    """Nothing but scopes that run and tokens that live is kept."""
    assert instance.state_document is not None
    written = zstandard.decompress(instance.state_document)
    scopes = json.loads(written)["scopes"]
    live = {token.id for token in execution.tokens()}
    assert {token["id"] for scope in scopes for token in scope["tokens"]} == live
    assert all(scope["host"] in live for scope in scopes[1:]), "a scope inside a token that is gone"
    variables = sum(len(json.dumps(scope["data"])) for scope in scopes)
    assert len(written) < 200 + 200 * len(scopes) + 900 * len(live) + variables, "the document grows"


# --- when everything due is done --------------------------------------------------------------------------------------


def check_at_rest(lab: Lab) -> None:
    """What holds once all that is due has been done."""
    with lab.database.reading() as session:
        look = Looker(session, lab.clock())
        assert process_instances.take_due(session, look.now) is None
        _mails_are_for_those_who_are_asked(look)
        _late_rows_are_closed(look)


def _mails_are_for_those_who_are_asked(look: Looker) -> None:
    stray = look.rows(
        """
        SELECT d.id, d.rule, t.state, i.state AS instance FROM delivery d
        JOIN process_instance i ON i.id = d.instance_id LEFT JOIN user_task t ON t.id = d.task_id
        WHERE d.state = 'planned' AND (i.state <> 'active' OR t.state NOT IN ('open', 'submitted'))
        """
    )
    assert stray == [], "mails planned for those who are not asked"


def _late_rows_are_closed(look: Looker) -> None:
    today: date = (look.now + timedelta(hours=1)).date()
    late = look.rows(
        f"""
        SELECT t.id, t.due_date FROM user_task t JOIN step s ON s.id = t.step_id
        JOIN process_instance i ON i.id = t.instance_id
        WHERE i.state = 'active' AND s.closes AND t.state IN {OPEN} AND t.due_date < :today
        """,
        today=today.isoformat() if look.session.bind.dialect.name == "sqlite" else today,  # type: ignore[union-attr]
    )
    assert late == [], "rows of a closing step that are still open after their date"
