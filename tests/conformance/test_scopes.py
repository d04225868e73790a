"""Sub-processes, calls and transactions: processes inside processes."""

from datetime import date

import pytest

from engine.errors import ElementFailed
from tests.conformance.drawing import (
    boundary,
    call,
    event,
    handler,
    mapping,
    plain,
    process,
    refers,
    scope,
    script,
    sub_process,
    timer,
    user,
)
from tests.conformance.families import family
from tests.conformance.running import Run

INNER = process(
    "start>inner inner>b b>end",
    sub_process(
        "inner",
        scope("start1>a a>s s>end1", user("a"), script("s", "double = share * 2")),
        extension=mapping(takes={"share": "${whole / 2}"}, gives={"result": "${double + answer}"}),
    ),
)
DEEP = process(
    "start>one one>b b>end",
    sub_process(
        "one",
        scope(
            "start1>two two>end1",
            sub_process(
                "two",
                scope("start2>three three>end2", sub_process("three", scope("start3>and and>a and>c a>end3 c>end3"))),
            ),
        ),
    ),
)
EMPTY = process("start>inner inner>a a>end", sub_process("inner", scope("start1>end1")))
TWICE = process(
    "start>and and>inner and>inner2x and>c c>inner inner>end inner2x>end",
    sub_process("inner", scope("start1>a a>end1")),
    sub_process("inner2x", scope("start2>b b>end2")),
)


@family(
    "embedded sub-process",
    "process, sub-process",
    "It runs a scope of its own that sees the variables around it, and ends when no token is left in it.",
    INNER,
    DEEP,
    EMPTY,
    TWICE,
)
class TestSubProcess:
    def test_it_shares_the_variables_and_keeps_what_is_mapped_to_itself(self) -> None:
        run = Run(INNER, whole=10)
        assert run.waiting == ["inner/a"]
        run.do("inner/a", answer=1)
        assert (run.waiting, run.variables["result"], "share" in run.variables) == (["b"], 11, False)
        run.do("b").assert_over()

    def test_it_ends_with_its_last_token_however_deep(self) -> None:
        run = Run(DEEP)
        assert run.waiting == ["one/two/three/a", "one/two/three/c"]
        assert run.do("one/two/three/a").waiting == ["one/two/three/c"]
        assert run.do("one/two/three/c").waiting == ["b"]

    def test_without_work_it_passes(self) -> None:
        assert Run(EMPTY).waiting == ["a"]

    def test_every_token_that_comes_in_has_its_own_scope(self) -> None:
        run = Run(TWICE).do("c")
        assert run.waiting == ["inner/a", "inner/a", "inner2x/b"]
        run.do("inner/a").do("inner/a").do("inner2x/b").assert_over()

    def test_what_fails_inside_is_an_incident_there(self) -> None:
        with pytest.raises(ElementFailed) as failed:
            Run(INNER, whole=10).do("inner/a", answer="x")
        assert failed.value.element_id == "inner"
        model = process("start>inner inner>end", sub_process("inner", scope("start1>s s>end1", script("s", "y = z"))))
        with pytest.raises(ElementFailed) as failed:
            Run(model)
        assert (failed.value.call_path, failed.value.element_id) == ("inner", "s")


CALLS = process("start>c c>b b>end", call("c", "called"))
CALLED = process("start>a a>s s>end", user("a"), script("s", "y = x + 1"), identity="called")
NAMED = process(
    "start>c c>b b>end",
    call("c", "called", '<camunda:in sourceExpression="${z * 10}" target="x"/><camunda:out source="y" target="mine"/>'),
)
MOVED = process("start>c c>end", call("c", "dated", '<camunda:in source="ssu" target="meeting"/>'))
DATED = process(
    "start>t t>end", event("intermediateCatchEvent", "t", timer("${meeting}", "timeDate")), identity="dated"
)
BESIDE = process("start>and and>c and>d c>and2 d>and2 and2>b b>end", call("c", "called"), user("d"))
CALLS_TWICE = process("start>and and>c and>d c>end d>end", call("c", "called"), call("d", "called"))
CHANGES_ITS_INPUT = process(
    "start>c c>end", call("c", "counting", '<camunda:in source="n" target="m"/><camunda:out source="m" target="n"/>')
)
COUNTING = process(
    "start>s s>xor xor>a xor=>end a>end",
    script("s", "m = m + 1"),
    conditions={"xor>a": "${m > 5}"},
    identity="counting",
)
RECURSIVE = process("start>c c>end2", call("c", "counted"))
COUNTED = process("start>s s>end", script("s"), identity="counted")


@family(
    "call activity",
    "process, sub-process",
    "It runs another process with variables of its own; all go in, and what it sets, or what is named, comes back.",
    CALLS,
    NAMED,
    MOVED,
    BESIDE,
    CALLS_TWICE,
    CHANGES_ITS_INPUT,
    RECURSIVE,
    together=(CALLED, DATED, COUNTING, COUNTED),
)
class TestCallActivity:
    def test_variables_go_in_and_come_back(self) -> None:
        run = Run(CALLS, CALLED, x=1)
        assert run.waiting == ["c/a"]
        run.do("c/a", note="n")
        assert (run.waiting, run.variables["y"], run.variables["note"]) == (["b"], 2, "n")
        run.do("b").assert_over()

    def test_only_what_is_named_comes_back(self) -> None:
        run = Run(NAMED, CALLED, z=2, x=0).do("c/a", note="n")
        assert (run.variables["mine"], run.variables["x"]) == (21, 0)
        assert {"note", "y"}.isdisjoint(run.variables)

    def test_what_a_call_binds_follows_when_it_moves(self) -> None:
        run = Run(MOVED, DATED, facts={"ssu": date(2026, 11, 27)})
        assert run.next_wake is not None
        assert run.next_wake.date() == date(2026, 11, 26), "midnight in Oslo, as UTC has it"
        run.set_fact(ssu=date(2026, 5, 1)).assert_over()

    def test_what_changed_outside_in_the_meantime_is_not_set_back(self) -> None:
        run = Run(BESIDE, CALLED, x=1).do("d", x=50).do("c/a")
        assert (run.variables["x"], run.variables["y"]) == (50, 2)

    def test_two_calls_have_variables_of_their_own(self) -> None:
        run = Run(CALLS_TWICE, CALLED, x=1)
        run.do("c/a", x=10)
        assert run.variables["y"] == 11
        run.do("d/a")
        assert run.variables["y"] == 2

    def test_the_called_process_may_change_what_it_was_given(self) -> None:
        run = Run(CHANGES_ITS_INPUT, COUNTING, n=5)
        assert run.waiting == ["c/a"]
        assert run.do("c/a").assert_over().variables["n"] == 6

    def test_what_it_was_given_can_be_named_to_come_back(self) -> None:
        model = process(
            "start>c c>end",
            call("c", "counted", '<camunda:in source="n" target="m"/><camunda:out source="m" target="k"/>'),
        )
        assert Run(model, COUNTED, n=5).assert_over().variables["k"] == 5

    def test_what_cannot_come_back_is_an_incident_at_the_call(self) -> None:
        with pytest.raises(ElementFailed, match="y is not defined") as failed:
            Run(process("start>c c>end", call("c", "counted", '<camunda:out source="y" target="k"/>')), COUNTED)
        assert failed.value.element_id == "c"

    def test_held_up_at_what_comes_back_it_stays_there_until_that_is_mended(self) -> None:
        model = process("start>c c>b b>end", call("c", "called", '<camunda:out source="y" target="k"/>'))
        run = Run(model, CALLED, x=1)
        run.execution.complete(run.token("c/a"), {})
        document = run.execution.save()
        run.execution.parked = frozenset({("c", "s")})
        run.execution.advance()
        assert run.standing == ["c", "c/s"], "the script is held up"
        assert [t.state for t in run.execution.tokens()] == ["running", "ready"]
        run.restore(document).parked = frozenset({("", "c")})
        run.execution.advance()
        assert run.standing == ["c"], "the called process is over, the call is held up"
        run.restore(run.execution.save()).advance()
        assert (run.waiting, run.variables["k"]) == (["b"], 2)

    def test_event_sub_processes_of_the_called_process_listen(self) -> None:
        listening = process("start>a a>end", handler("h", refers("message", "A"), ">e e>end2"), identity="called")
        run = Run(CALLS, listening)
        assert run.message("A")
        assert run.do("c/h/e").waiting == ["b"]


BOOKING = scope(
    "start1>and1 and1>a and1>c a>xor1 xor1>no xor1=>end1 c>end1",
    event("endEvent", "no", plain("cancel")),
    conditions={"xor1>no": "${refused}"},
)
TRANSACTION = process(
    "start>tx tx>b b>end cancelled>d d>end2 failed>f f>end3",
    sub_process("tx", BOOKING, kind="transaction"),
    boundary("cancelled", "tx", plain("cancel")),
    boundary("failed", "tx", refers("error", "A")),
)
CANCEL_DEEP = process(
    "start>tx tx>b b>end cancelled>d d>end2",
    sub_process(
        "tx",
        scope(
            "start1>inner inner>end1",
            sub_process("inner", scope("start2>a a>no", event("endEvent", "no", plain("cancel")))),
        ),
        kind="transaction",
    ),
    boundary("cancelled", "tx", plain("cancel")),
)


@family(
    "transaction",
    "with cancel end event and cancel boundary event",
    "It runs as a sub-process; a cancel end event ends all of it and the token goes on at the cancel boundary event.",
    TRANSACTION,
)
class TestTransaction:
    def test_it_runs_as_a_sub_process(self) -> None:
        run = Run(TRANSACTION).do("tx/a", refused=False).do("tx/c")
        assert run.waiting == ["b"]
        run.do("b").assert_over()

    def test_cancelled_it_ends_with_all_its_tokens(self) -> None:
        run = Run(TRANSACTION).do("tx/a", refused=True)
        assert run.standing == ["d"]
        run.do("d").assert_over()

    def test_a_cancel_deeper_inside_cancels_it_too(self) -> None:
        assert Run(CANCEL_DEEP).do("tx/inner/a").standing == ["d"]
