"""History is whole, shows where it was tampered with, and lets a note be erased."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from engine import history, process_instances
from engine.model import HistoryEvent, ProcessInstance
from tests.engine.drawing import model, task
from tests.engine.lab import WITH_FORM, Lab, assert_chain_whole, events

MEETING = date(2026, 6, 10)


@pytest.fixture
def case(lab: Lab) -> int:
    """A case with some history, a note in the third event."""
    lab.deploy(
        model("start>ask ask>then then>end", task("ask", f'{WITH_FORM} camunda:dueDate="${{meeting}}"'), task("then"))
    )
    started = lab.begin(facts={"meeting": MEETING})
    with lab.database.transaction() as session:
        held = process_instances.locked(session, started)
        process_instances.set_facts(
            session, held, {"meeting": date(2026, 6, 11)}, now=lab.clock(), actor_id=1, reason="Møtet er flyttet"
        )
    lab.send(lab.task(started, "ask").id, "person1", utfall="ja")
    return started


def broken_at(lab: Lab, case: int) -> int | None:
    with lab.database.reading() as session:
        instance = session.get_one(ProcessInstance, case)
        return history.broken_at(instance, history.events(session, instance))


def change(lab: Lab, case: int, sequence: int, **values: Any) -> None:
    with lab.database.transaction() as session:
        row = update(HistoryEvent).where(HistoryEvent.instance_id == case, HistoryEvent.sequence == sequence)
        session.execute(row.values(**values))


def test_every_act_is_in_the_chain_in_order(lab: Lab, case: int) -> None:
    chain = events(lab, case)
    assert [e.sequence for e in chain] == list(range(1, len(chain) + 1))
    assert [e.kind for e in chain] == [
        "started",
        "step-opened",
        "facts-set",
        "completed-task",
        "step-completed",
        "step-opened",
    ]
    assert chain[2].data == {"old": {"meeting": "2026-06-10"}, "new": {"meeting": "2026-06-11"}}
    assert_chain_whole(lab, case)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "cancelled"},
        {"actor_id": 2},
        {"on_behalf_of_id": 2},
        {"data": {"old": {}, "new": {"meeting": "2026-06-12"}}},
        {"note": "Møtet er ikke flyttet"},
        {"note_digest": "0" * 64},
        {"request_id": "en annen"},
        {"hash": "0" * 64},
        {"task_id": 1},
    ],
    ids=lambda values: next(iter(values)),
)
def test_a_changed_event_is_found_where_it_stands(lab: Lab, case: int, values: dict[str, Any]) -> None:
    change(lab, case, 3, **values)
    assert broken_at(lab, case) == 3


def test_a_changed_time_is_found(lab: Lab, case: int) -> None:
    change(lab, case, 3, at=lab.clock() + timedelta(seconds=1))
    assert broken_at(lab, case) == 3


def remove(sequence: int) -> Callable[[Any, int], Any]:
    return lambda session, case: session.execute(
        delete(HistoryEvent).where(HistoryEvent.instance_id == case, HistoryEvent.sequence == sequence)
    )


@pytest.mark.parametrize("sequence", [1, 3, 6])
def test_a_removed_event_is_missed(lab: Lab, case: int, sequence: int) -> None:
    with lab.database.transaction() as session:
        remove(sequence)(session, case)
    assert broken_at(lab, case) == sequence


def test_an_event_added_behind_our_back_is_found(lab: Lab, case: int) -> None:
    with lab.database.transaction() as session:
        session.add(
            HistoryEvent(instance_id=case, sequence=7, at=lab.clock(), kind="completed", data={}, hash="0" * 64)
        )
    assert broken_at(lab, case) == 7


def test_a_note_can_be_erased_and_the_chain_still_holds(lab: Lab, case: int) -> None:
    assert events(lab, case)[2].note == "Møtet er flyttet"
    change(lab, case, 3, note=None, note_salt=None)
    assert broken_at(lab, case) is None


def test_the_same_note_has_another_digest_each_time(lab: Lab, case: int) -> None:
    with lab.database.transaction() as session:
        held = process_instances.locked(session, case)
        for _ in range(2):
            history.record(session, held, "noted", now=lab.clock(), note="Samme")
    first, second = events(lab, case)[-2:]
    assert first.note_digest != second.note_digest


def test_an_act_bears_the_request_that_did_it(lab: Lab) -> None:
    lab.deploy(model("start>ask ask>end", task("ask")))
    token = history.request_id.set("foresporsel-1")
    try:
        case = lab.begin()
    finally:
        history.request_id.reset(token)
    assert {e.request_id for e in events(lab, case)} == {"foresporsel-1"}
