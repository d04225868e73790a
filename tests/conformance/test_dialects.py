"""Models as people draw them, in the dialects of the modelers they use: they pass the gate and run unchanged."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from engine.errors import ElementFailed
from tests.conformance.families import errors_in
from tests.conformance.running import Run

FOLDER = Path(__file__).parent / "dialects"
MODELS = sorted(path.stem for path in FOLDER.glob("*.bpmn"))


def drawn(name: str) -> bytes:
    return (FOLDER / f"{name}.bpmn").read_bytes()


@pytest.mark.parametrize("name", MODELS)
def test_the_gate_accepts_it_as_it_is(name: str) -> None:
    assert errors_in(drawn(name), *([drawn("called")] if name == "calling" else [])) == []


def test_camunda_modeler_7() -> None:
    run = Run(drawn("camunda_7"))
    assert run.execution.value_at(run.token("Activity_approve"), "${limit}") == 5000
    assert run.do("Activity_approve", approved=True).services == ["Activity_book"]
    run.serve("Activity_book").assert_over()
    Run(drawn("camunda_7")).do("Activity_approve", approved=False).assert_over()


def test_a_plain_drawing_with_pools_and_lanes() -> None:
    run = Run(drawn("bpmn_io_plain"))
    assert [w.element.role for w in run.execution.waiting()] == ["Lane_clerk"]
    run.do("Activity_read")
    assert run.waiting == ["Activity_health", "Activity_law"]
    run.do("Activity_law").do("Activity_health").assert_over()


def test_the_default_namespace_and_ids_with_dashes() -> None:
    run = Run(drawn("default_namespace")).do("sid-A2", rounds=1)
    assert run.waiting == ["sid-A2"]
    assert run.do("sid-A2", rounds=3).assert_over().variables["noted"] == 3


def test_another_prefix_and_definitions_nobody_uses() -> None:
    run = Run(drawn("bpmn2_prefix"))
    assert [t.name for t in run.thrown] == ["reply"]
    assert run.listens_to == [("message", "reply")]
    assert run.message("reply")
    run.assert_over()
    late = Run(drawn("bpmn2_prefix"))
    assert late.next_wake == datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
    late.wait(weeks=2).assert_over()


@pytest.mark.parametrize(
    ("wanted", "made"), [(["pizza", "salad"], ["pizza", "salad"]), (["salad"], ["salad"]), ([], ["water"])]
)
def test_inclusive_choice_with_plain_and_wrapped_conditions(wanted: list[str], made: list[str]) -> None:
    run = Run(drawn("semantic_prefix"), wanted=wanted, made=[])
    assert (sorted(run.variables["made"]), run.waiting) == (made, ["EAID_T4"])
    run.do("EAID_T4").assert_over()


def test_timers_are_literal() -> None:
    run = Run(drawn("timers"), reminders=0)
    assert run.next_wake == datetime(2026, 5, 18, 12, 0, tzinfo=UTC)
    run.until(datetime(2026, 5, 18, 12, 0, tzinfo=UTC))
    assert run.wait(hours=1).variables["reminders"] == 1
    assert run.wait(hours=1).variables["reminders"] == 2
    assert run.next_wake == datetime(2026, 5, 19, 7, 0, tzinfo=UTC), "nine in the morning, a working day"
    assert run.until(datetime(2026, 5, 19, 7, 0, tzinfo=UTC)).variables["reminders"] == 3
    assert run.waiting == ["work"]
    run.until(datetime(2026, 5, 21, 12, 0, tzinfo=UTC)).assert_over()


@pytest.mark.parametrize(("event", "why"), [("each_year", "year"), ("by_hand", "hand"), (None, "hand")])
def test_one_of_several_starts_begins(event: str | None, why: str) -> None:
    run = Run(drawn("yearly"), event=event)
    assert (run.waiting, run.variables["why"], run.next_wake) == (["work"], why, None)
    run.do("work").assert_over()


@pytest.mark.parametrize(
    ("amount", "urgent", "size"),
    [(500, False, "large"), (500, True, "medium"), (5000, True, "huge"), (1, False, "small")],
)
def test_conditions_plain_and_wrapped(amount: int, urgent: bool, size: str) -> None:
    assert Run(drawn("conditions"), amount=amount, urgent=urgent).assert_over().variables["size"] == size


def test_several_as_camunda_writes_it() -> None:
    run = Run(drawn("several_camunda"), parties=[{"contact": f"person{n}"} for n in range(5)])
    assert len(run.waiting) == 5
    assert run.execution.text_at(run.token("each[3]/ask"), "${party.contact}") == "person3"
    run.do("each[4]/ask").do("each[0]/ask")
    assert len(run.waiting) == 3
    run.do("each[2]/ask").assert_over()


def test_several_as_the_standard_writes_it() -> None:
    run = Run(drawn("several_standard"), numbers=[1, 2, 3, 4, 5, 6], counted=0, doubled=7).assert_over()
    assert run.variables["squares"] == [1, 4, 9, 16, 25, None]
    assert (run.variables["counted"], run.variables["doubled"]) == (3, 112)


def test_functions_with_mappings_and_errors() -> None:
    run = Run(drawn("functions"), price=5, count=3)
    assert dict(run.service("charge").inputs) == {"amount": 15}
    run.serve("charge", result={"number": "r7"}).assert_over()
    assert (run.variables["receipt"], run.variables["total"]) == ("r7", 15)
    broke = Run(drawn("functions"), price=5, count=3).fail("charge", "NO_MONEY")
    assert broke.standing == ["apology", "apology/call_them"]
    broke.do("apology/call_them").assert_over()


def test_messages_whose_names_are_expressions() -> None:
    run = Run(drawn("correlated"), order=17)
    assert run.listens_to == [("message", "cancel"), ("message", "paid-17")]
    assert not run.message("paid-18")
    assert not run.message("cancel", "18")
    assert run.message("paid-17")
    assert [(t.kind, t.name) for t in run.assert_over().thrown] == [("message", "paid-17"), ("signal", "closing")]
    cancelled = Run(drawn("correlated"), order=17)
    assert cancelled.message("cancel", "17")
    cancelled.assert_over()


def test_calls_with_what_modelers_write_beside_the_mapping() -> None:
    run = Run(drawn("calling"), drawn("called"), paper="The plan", facts={"meeting": date(2026, 6, 10)})
    token = run.token("call/read")
    assert run.execution.value_at(token, "${meeting}") == date(2026, 6, 3)
    assert run.do("call/read", verdict="good").assert_over().variables["result"] == "The plan: good"


def test_handlers_links_and_artifacts() -> None:
    run = Run(drawn("handlers")).wait(hours=1)
    assert run.waiting == ["help/lend_a_hand", "work/write"]
    run.do("work/write").do("help/lend_a_hand").assert_over()


def test_a_drawing_without_events() -> None:
    run = Run(drawn("no_events"))
    assert run.waiting == ["a", "b"]
    assert run.do("a").waiting == ["b", "c"]
    run.do("b").do("c").assert_over()


def test_every_dialect_refuses_to_guess() -> None:
    with pytest.raises(ElementFailed, match="amount is not defined"):
        Run(drawn("functions").replace(b"price * count", b"amount * count"), price=1, count=1)
