"""Cases that turn ten thousand times, are a thousand wide, or never come to rest."""

import time

import pytest

from engine.errors import ElementFailed
from tests.conformance.drawing import boundary, loop, process, refers, scope, script, several, sub_process, timer, user
from tests.conformance.running import Run

TURNS = 10_000
COUNTING = script("s", "n = n + 1")
BY_GATEWAY = process("start>xor xor>s s>xor2 xor2>xor xor2=>end", COUNTING, conditions={"xor2>xor": "${n < turns}"})
BY_MARKER = process("start>s s>end", script("s", "n = n + 1", inner=loop("${n < turns}")))
ASKING = process("start>xor xor>s s>a a>xor2 xor2>xor xor2=>end", COUNTING, conditions={"xor2>xor": "${n < turns}"})
ASKING_WITH_EVENTS = process(
    "start>xor xor>s s>inner inner>xor2 xor2>xor xor2=>end late>end2 told>end3",
    COUNTING,
    sub_process(
        "inner", scope("start1>a a>end1 tick>end4", user("a"), boundary("tick", "a", timer("P1D"), interrupting=False))
    ),
    boundary("late", "inner", timer("P9D")),
    boundary("told", "inner", refers("signal", "A"), interrupting=False),
    conditions={"xor2>xor": "${n < turns}"},
)


@pytest.mark.parametrize("model", [BY_GATEWAY, BY_MARKER])
def test_ten_thousand_automatic_turns(model: bytes) -> None:
    run = Run(model, n=0, turns=TURNS).assert_over()
    assert run.variables["n"] == TURNS


@pytest.mark.parametrize(("model", "place"), [(ASKING, "a"), (ASKING_WITH_EVENTS, "inner/a")])
def test_ten_thousand_turns_with_people_leave_the_document_as_small_as_it_was(model: bytes, place: str) -> None:
    run = Run(model, n=100_000, turns=100_000 + TURNS)
    sizes = set()
    for turn in range(TURNS - 1):
        if turn % 10 == 0:
            run.restore(run.execution.save())
        if turn % 1000 == 0:
            sizes.add(run.size)
        (waiting,) = run.execution.waiting()
        run.execution.complete(waiting.token, {})
        run.execution.advance()
    assert (run.waiting, sizes) == ([place], {run.size})
    run.do(place).assert_over()
    assert run.variables["n"] == 100_000 + TURNS


WIDE = process(
    "start>inner inner>b b>end late>c c>end2",
    sub_process(
        "inner",
        scope("start1>a a>s s>end1", user("a"), script("s", "answer = item * 2")),
        inner=several(gives=("answers", "answer")),
    ),
    boundary("late", "inner", timer("P1D")),
)
WIDE_SCRIPT = process("start>s s>end", script("s", "square = item * item", inner=several(gives=("squares", "square"))))


def test_a_thousand_instances_at_once() -> None:
    items = list(range(1000))
    assert Run(WIDE_SCRIPT, items=items).assert_over().variables["squares"] == [n * n for n in items]
    run = Run(WIDE, items=items)
    assert len(run.waiting) == 1000
    run.do("inner[999]/a")
    assert len(run.waiting) == 999
    for number, waiting in enumerate(run.execution.waiting()):
        if number % 400 == 0:
            run.restore(run.execution.save())  # one act completes no more than 500
        run.execution.complete(waiting.token, {})
    run.execution.advance()
    assert (run.waiting, run.variables["answers"]) == (["b"], [n * 2 for n in items])


def test_a_thousand_instances_are_interrupted_together() -> None:
    assert Run(WIDE, items=list(range(1000))).wait(days=1).standing == ["c"]


ENDLESS = {
    "a loop": process("start>xor xor>s s>xor2 xor2>xor xor2=>end", COUNTING, conditions={"xor2>xor": "${True}"}),
    "a loop marker": process("start>s s>end", script("s", "n = n + 1", inner=loop("${True}"))),
    "a timer that is always due": process(
        "start>a a>end late>s s>a", user("a"), boundary("late", "a", timer("PT0S")), COUNTING
    ),
    "tokens that double": process("start>xor xor>and and>xor and>s s>end", COUNTING),
    "tokens that double and wait": process("start>xor xor>and and>xor and>a a>end"),
    "a sub-process in a loop": process(
        "start>xor xor>inner inner>xor2 xor2>xor xor2=>end",
        sub_process("inner", scope("start1>end1")),
        conditions={"xor2>xor": "${True}"},
    ),
}


@pytest.mark.parametrize("model", ENDLESS.values(), ids=ENDLESS.keys())
def test_an_endless_automatic_loop_is_an_incident_within_seconds(model: bytes) -> None:
    began = time.process_time()
    with pytest.raises(ElementFailed, match="loops for ever"):
        Run(model, n=0)
    assert time.process_time() - began < 20
