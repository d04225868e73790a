"""`check` finds what is broken, says where, and finds nothing in what people and time have done."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from engine import checks, history, jobs, process_instances, standing
from engine.checks import Fault
from engine.model import (
    EventSubscription,
    HistoryEvent,
    Incident,
    Job,
    ProcessInstance,
    Step,
    UserTask,
    WorkerHeartbeat,
)
from tests.engine.drawing import closes, event, model, several, task, timer
from tests.engine.lab import Lab, events

DUE = "camunda:dueDate=\"${date('2026-06-10')}\""
#: People asked with a deadline, and a message that ends the case early.
DRAWN = model(
    "start>ask ask>end late>end2 start>hear hear>end3",
    task("ask", DUE, several()),
    closes("late", "ask"),
    event("intermediateCatchEvent", "message", attributes='|messageRef="m"', identity="hear"),
    declared='<bpmn:message id="m" name="stopp"/>',
)
ITEMS = [{"key": "a"}, {"key": "b"}]


@pytest.fixture
def case(lab: Lab) -> int:
    """A case that waits for two people, a deadline and a message."""
    lab.deploy(DRAWN)
    return lab.begin(data={"items": ITEMS})


def found(lab: Lab) -> list[Fault]:
    return list(checks.faults(lab.database, now=lab.clock()))


def rules(lab: Lab) -> set[str]:
    return {fault.rule for fault in found(lab)}


def spoil(lab: Lab, table: type[Any], **values: Any) -> None:
    """Change rows as nobody should."""
    with lab.database.transaction() as session:
        session.execute(update(table).values(values))


def worked(session: Session, lab: Lab) -> None:
    """A worker takes a job now, and does it."""
    session.add(Job(kind="tell", run_at=lab.clock(), state="done", lease_until=lab.clock() + jobs.LEASE))


def test_nothing_is_found_in_what_people_and_time_have_done(lab: Lab, case: int) -> None:
    assert found(lab) == []
    lab.send(lab.tasks(case)[0].id, "person0")
    assert found(lab) == []
    lab.clock.set(lab.instance(case).wake_at or lab.clock())
    assert lab.wake(case)
    assert found(lab) == []


SPOILT: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "step-counters": (Step, {"completed": 1}),
    "incident-counter": (ProcessInstance, {"open_incidents": 1}),
    "stray-task": (Step, {"state": "completed"}),
    "nobody-asked": (UserTask, {"state": "withdrawn"}),
    "case-end": (ProcessInstance, {"state": "cancelled"}),
    "history-chain": (HistoryEvent, {"kind": "another"}),
    "state-unreadable": (ProcessInstance, {"state_document": b"nothing of ours"}),
    "step-stray": (Step, {"token": "00000000-0000-0000-0000-000000000000"}),
    "step-missing": (Step, {"token": "00000000-0000-0000-0000-000000000000"}),
    "wake": (ProcessInstance, {"wake_at": None}),
    "subscription-missing": (EventSubscription, {"name": "another"}),
    "subscription-stray": (EventSubscription, {"name": "another"}),
}


@pytest.mark.parametrize("rule", SPOILT)
def test_what_is_spoilt_is_found_in_its_case_with_a_remedy(lab: Lab, case: int, rule: str) -> None:
    table, values = SPOILT[rule]
    spoil(lab, table, **values)
    fault = next(f for f in found(lab) if f.rule == rule)
    assert fault.case == lab.instance(case).public_id
    assert fault.what
    assert fault.remedy


def test_a_running_case_without_a_live_state_is_found(lab: Lab, case: int) -> None:
    spoil(lab, ProcessInstance, state_document=None)
    assert rules(lab) == {"state-unreadable"}


def test_an_event_that_was_taken_out_of_the_history_is_found(lab: Lab, case: int) -> None:
    with lab.database.transaction() as session:
        session.execute(delete(HistoryEvent).where(HistoryEvent.sequence == 2))
    assert rules(lab) == {"history-chain"}


def test_a_step_without_any_of_the_tasks_that_it_counts_is_found(lab: Lab, case: int) -> None:
    with lab.database.transaction() as session:
        session.execute(delete(UserTask))
    assert rules(lab) == {"step-counters", "nobody-asked"}


def test_rows_that_hang_on_another_case_are_found(lab: Lab, case: int) -> None:
    other = lab.begin(data={"items": ITEMS})
    theirs = lab.tasks(other)[0]
    with lab.database.transaction() as session:
        session.execute(update(UserTask).where(UserTask.id == theirs.id).values(instance_id=case))
    assert {(f.rule, f.case) for f in found(lab)} == {("orphan", lab.instance(case).public_id)}
    spoil_one(lab, theirs, instance_id=other)
    assert found(lab) == []
    event = events(lab, case)[0]
    spoil_one(lab, event, task_id=theirs.id)
    assert "orphan" in rules(lab)
    spoil_one(lab, event, task_id=None)
    assert "orphan" not in rules(lab)


def spoil_one(lab: Lab, row: Any, **values: Any) -> None:
    """Change one row as nobody should."""
    with lab.database.transaction() as session:
        session.execute(update(type(row)).where(type(row).id == row.id).values(values))


@pytest.mark.parametrize("backend", ["sqlite"])  # PostgreSQL never lets go of the rule
def test_a_row_whose_case_is_gone_is_found_in_a_file_that_was_written_to_without_the_rule(lab: Lab, case: int) -> None:
    with lab.database.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA foreign_keys=OFF")
        driver.execute("UPDATE instance_participant SET instance_id = 4711")
        driver.execute("PRAGMA foreign_keys=ON")
    assert rules(lab) == {"orphan"}


# --- what the history says is what the rows say -----------------------------------------------------------------------


def tell(lab: Lab, case: int, kind: str, **data: Any) -> None:
    """Let something be in the history, whole, that never happened."""
    with lab.database.transaction() as session:
        history.record(session, process_instances.locked(session, case), kind, now=lab.clock(), **data)


@pytest.mark.parametrize(
    ("rule", "kinds"),
    [
        ("started-once", ["started"]),
        ("ended-once", ["completed", "cancelled"]),
        ("step-once", ["step-opened"]),
    ],
)
def test_what_happened_twice_by_the_history_is_found(lab: Lab, case: int, rule: str, kinds: list[str]) -> None:
    for kind in kinds:
        tell(lab, case, kind)
    assert rules(lab) == {rule}


def test_a_step_that_was_closed_twice_is_found_unless_an_answer_was_taken_back(lab: Lab, case: int) -> None:
    lab.clock.set(lab.instance(case).wake_at or lab.clock())
    assert lab.wake(case)
    (step,) = lab.steps(case, state="closed")
    tell(lab, case, "step-closed", step=step.id)
    assert rules(lab) == {"step-once"}
    tell(lab, case, "taken-back")
    assert rules(lab) == set()


def test_a_step_and_a_case_of_whose_end_the_history_knows_nothing_are_found(lab: Lab, case: int) -> None:
    spoil(lab, Step, state="skipped")
    spoil(lab, UserTask, state="skipped")
    spoil(lab, EventSubscription, instance_id=None)
    spoil(lab, ProcessInstance, state="completed", ended_at=lab.clock(), wake_at=None)
    assert rules(lab) == {"step-once", "ended-once"}


# --- when everything has ended ----------------------------------------------------------------------------------------


def test_what_is_left_to_do_is_a_fault_only_where_everything_is_said_to_have_ended(lab: Lab, case: int) -> None:
    def unended() -> list[str | None]:
        with lab.database.reading() as session:
            return [fault.case for fault in checks.unended(session)]

    public_id = lab.instance(case).public_id
    assert unended() == [public_id, None], "the case runs, and its mails are to be reconciled"
    with lab.database.transaction() as session:
        held = process_instances.locked(session, case)
        process_instances.cancel(session, held, now=lab.clock(), actor_id=None, reason="Slutt")
    spoil(lab, Job, state="failed")
    assert unended() == [None, None]
    spoil(lab, Job, state="done")
    assert unended() == []
    assert found(lab) == []


def test_every_case_is_looked_at_however_many_there_are(lab: Lab, case: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CASES_AT_ONCE", 2)
    more = [lab.begin(data={"items": ITEMS}) for _ in range(4)]
    spoil(lab, ProcessInstance, state_document=None)
    assert sorted(f.case or "" for f in found(lab)) == sorted(lab.instance(i).public_id for i in (case, *more))


@pytest.mark.parametrize("rule", ["step-missing", "wake", "subscription-missing"])
def test_suspending_and_resuming_makes_the_rows_agree_again(lab: Lab, case: int, rule: str) -> None:
    table, values = SPOILT[rule]
    spoil(lab, table, **values)
    assert rule in rules(lab)
    with lab.database.transaction() as session:
        held = process_instances.locked(session, case)
        standing.suspend(session, held, now=lab.clock(), actor_id=None, reason="Rydding")
        standing.resume(session, held, now=lab.clock(), actor_id=None)
    assert found(lab) == []


# --- what a living worker would have done -----------------------------------------------------------------------------


@pytest.fixture
def waiting(lab: Lab) -> int:
    """A case that waits for time; its jobs are done."""
    lab.deploy(model("start>later later>ask ask>end", timer("later", "${date('2026-06-10')}"), task("ask")))
    case = lab.begin()
    spoil(lab, Job, state="done")
    return case


def test_an_overdue_timer_is_no_fault_while_no_worker_lives(lab: Lab, waiting: int) -> None:
    lab.clock.advance(days=60)
    assert found(lab) == []
    with lab.database.reading() as session:
        assert checks.last_work(session) is None
        assert checks.overdue(session, now=lab.clock()).timers == checks.overdue(session, now=lab.clock()).total == 1


def test_a_timer_that_a_living_worker_left_is_found(lab: Lab, waiting: int) -> None:
    due = lab.instance(waiting).wake_at
    assert due is not None
    for moment, expected in ((due + timedelta(minutes=4), set()), (due + timedelta(minutes=5), {"timer-overdue"})):
        lab.clock.set(moment)
        with lab.database.transaction() as session:
            worked(session, lab)
        assert rules(lab) == expected


def test_a_start_by_timer_that_a_living_worker_left_is_found(lab: Lab) -> None:
    moment = "<bpmn:timeDate>2026-06-10T08:00:00Z</bpmn:timeDate>"
    lab.deploy(model("start>ask ask>end", task("ask"), start=event("startEvent", "timer", moment, identity="start")))
    lab.clock.advance(days=60)
    assert rules(lab) == set()
    with lab.database.transaction() as session:
        worked(session, lab)
    assert rules(lab) == {"timer-overdue"}


def test_a_worker_that_has_just_begun_may_still_catch_up(lab: Lab, waiting: int) -> None:
    begun = lab.clock.advance(days=60)
    for seen, expected in ((begun, set()), (begun + checks.PATIENCE, {"timer-overdue"})):
        with lab.database.transaction() as session:
            session.execute(delete(WorkerHeartbeat))
            session.add(WorkerHeartbeat(name="w", kind="worker", version="1", started_at=begun, seen_at=seen))
        assert rules(lab) == expected


def test_a_job_that_a_living_worker_left_is_found(lab: Lab, waiting: int) -> None:
    spoil(lab, Job, state="queued")
    lab.clock.advance(minutes=6)
    with lab.database.transaction() as session:
        worked(session, lab)
    assert rules(lab) == {"job-overdue"}


def test_a_job_whose_lease_nobody_took_over_is_found(lab: Lab, waiting: int) -> None:
    spoil(lab, Job, state="leased", lease_until=lab.clock() + jobs.LEASE)
    lab.clock.advance(minutes=50)
    with lab.database.transaction() as session:
        worked(session, lab)
    assert rules(lab) == set()
    lab.clock.advance(minutes=20)
    with lab.database.transaction() as session:
        worked(session, lab)
    assert rules(lab) == {"job-stuck"}


def test_a_case_that_stands_for_an_unresolved_incident_is_no_fault(lab: Lab, waiting: int) -> None:
    lab.clock.advance(days=60)
    with lab.database.transaction() as session:
        process_instances.stand_still(session, waiting, "The model is gone", now=lab.clock())
    assert found(lab) == []
    spoil(lab, Incident, resolved_at=lab.clock())
    assert rules(lab) == {"incident-counter", "wake"}
