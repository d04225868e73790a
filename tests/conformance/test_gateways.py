"""Gateways: where tokens part and meet."""

import pytest

from engine.errors import ElementFailed
from tests.conformance.drawing import (
    boundary,
    condition,
    event,
    messenger,
    process,
    refers,
    scope,
    sub_process,
    timer,
    user,
)
from tests.conformance.families import family
from tests.conformance.running import Run


def caught(identity: str, definition: str) -> str:
    return event("intermediateCatchEvent", identity, definition)


XOR = process(
    "start>xor xor>a xor>b xor=>c a>xor2 b>xor2 c>xor2 xor2>d d>end",
    conditions={"xor>a": "${x > 2}", "xor>b": "x > 1"},
)
XOR_STRICT = process("start>xor xor>a xor>b a>end b>end", conditions={"xor>a": "${x > 2}", "xor>b": "${x < 2}"})
XOR_MERGE = process("start>and and>a and>b a>xor b>xor xor>c c>end")
XOR_LOOP = process("start>xor xor>a a>xor2 xor2>xor xor2=>b b>end", conditions={"xor2>xor": "${answer == 'back'}"})


@family(
    "exclusive gateway",
    "split, merge, loop",
    "Each token goes on along the first flow whose condition is met, else the default; coming in, each token passes.",
    XOR,
    XOR_MERGE,
    XOR_LOOP,
)
class TestExclusiveGateway:
    @pytest.mark.parametrize(("x", "taken"), [(3, "a"), (2, "b"), (1, "c")])
    def test_one_flow_is_taken(self, x: int, taken: str) -> None:
        run = Run(XOR, x=x)
        assert run.waiting == [taken]
        assert run.do(taken).waiting == ["d"]
        run.do("d").assert_over()

    def test_a_name_nothing_has_set_takes_the_default(self) -> None:
        assert Run(XOR).waiting == ["c"]

    def test_without_default_it_is_an_incident_at_the_gateway(self) -> None:
        with pytest.raises(ElementFailed, match="x is not defined") as failed:
            Run(XOR_STRICT)
        assert failed.value.element_id == "xor"
        with pytest.raises(ElementFailed, match="No condition"):
            Run(XOR_STRICT, x=2)

    def test_a_condition_that_fails_is_an_incident_even_with_a_default(self) -> None:
        with pytest.raises(ElementFailed, match="to put in order"):
            Run(XOR, x="two")

    def test_a_merge_lets_every_token_pass(self) -> None:
        run = Run(XOR_MERGE).do("a")
        assert run.waiting == ["b", "c"]
        assert run.do("b").waiting == ["c", "c"]
        run.do("c").do("c").assert_over()

    def test_a_loop_goes_back_as_often_as_the_answer_says(self) -> None:
        run = Run(XOR_LOOP)
        for _ in range(3):
            assert run.do("a", answer="back").waiting == ["a"]
        assert run.do("a", answer="on").waiting == ["b"]
        run.do("b").assert_over()


AND = process("start>and and>a and>b and>c a>and2 b>and2 c>and2 and2>d d>end")
AND_TWICE = process("start>and and>a and>b a>xor b>xor xor>and2 and>c c>and2 and2>d d>end")
AND_LOOP = process(
    "start>xor xor>and and>a and>b a>and2 b>and2 and2>xor2 xor2>xor xor2=>end", conditions={"xor2>xor": "${again}"}
)
AND_BOTH = process("start>and and>a and>b a>and2 b>and2 and2>c and2>d c>end d>end")


@family(
    "parallel gateway",
    "split, join, both, loop",
    "A token goes out on every flow; coming in, it waits for one token on each flow, and uses up no more.",
    AND,
    AND_TWICE,
    AND_LOOP,
    AND_BOTH,
)
class TestParallelGateway:
    def test_it_joins_when_every_flow_has_its_token(self) -> None:
        run = Run(AND)
        assert run.waiting == ["a", "b", "c"]
        run.do("b").do("a")
        assert (run.waiting, run.standing) == (["c"], ["and2", "and2", "c"])
        assert run.do("c").waiting == ["d"]
        run.do("d").assert_over()

    def test_two_tokens_on_one_flow_are_not_two_flows(self) -> None:
        run = Run(AND_TWICE).do("a").do("b")
        assert run.waiting == ["c"]
        assert run.do("c").waiting == ["d"]
        assert not run.do("d").execution.completed, "the second token waits at the join, as it is drawn"
        assert run.standing == ["and2"]

    def test_it_joins_anew_in_every_round_of_a_loop(self) -> None:
        run = Run(AND_LOOP)
        for again in (True, True, False):
            assert run.waiting == ["a", "b"]
            run.do("b").do("a", again=again)
        run.assert_over()

    def test_it_may_join_and_split_at_once(self) -> None:
        run = Run(AND_BOTH).do("a").do("b")
        assert run.waiting == ["c", "d"]
        run.do("d").do("c").assert_over()


OR = process(
    "start>or or>a or>b or=>c a>or2 b>or2 c>or2 or2>d d>end", conditions={"or>a": "${x > 1}", "or>b": "${x > 2}"}
)
OR_LONG = process(
    "start>or or>a or>b or=>c a>a2 a2>or2 b>or2 c>or2 or2>d d>end",
    conditions={"or>a": "${x > 1}", "or>b": "${x > 2}"},
)
OR_UNSTRUCTURED = process(
    "start>and and>a and>b a>xor xor>or xor=>c c>end2 b>or or>d d>end", conditions={"xor>or": "${join}"}
)
OR_LOOP = process(
    "start>xor xor>or or>a or=>b a>or2 b>or2 or2>xor2 xor2>xor xor2=>end",
    conditions={"or>a": "${x}", "xor2>xor": "${again}"},
)
OR_BOUNDARY = process(
    "start>and and>a and>b a>or b>or late>c c>or or>d d>end", boundary("late", "b", timer("P1D"), interrupting=False)
)
OR_INNER = process("start>and and>inner and>a inner>or a>or or>d d>end", sub_process("inner", scope("start1>b b>end1")))
OR_CYCLE = process("start>and and>a and>b a>or b>xor xor>b xor=>or or>d d>end", conditions={"xor>b": "${again}"})


@family(
    "inclusive gateway",
    "split, join, unstructured, loop",
    "A token goes out on every flow whose condition is met, else the default; coming in, it waits as long as a token "
    "may still come along an empty flow.",
    OR,
    OR_LONG,
    OR_UNSTRUCTURED,
    OR_LOOP,
    OR_BOUNDARY,
    OR_INNER,
    OR_CYCLE,
)
class TestInclusiveGateway:
    @pytest.mark.parametrize(("x", "taken"), [(1, ["c"]), (2, ["a"]), (3, ["a", "b"])])
    def test_it_waits_for_what_it_started(self, x: int, taken: list[str]) -> None:
        run = Run(OR, x=x)
        assert run.waiting == taken
        for element in taken:
            assert "d" not in run.waiting
            run.do(element)
        assert run.waiting == ["d"]
        run.do("d").assert_over()

    def test_a_longer_branch_is_waited_for(self) -> None:
        run = Run(OR_LONG, x=3).do("b")
        assert run.do("a").waiting == ["a2"]
        assert run.do("a2").waiting == ["d"]

    def test_without_default_an_undefined_name_is_an_incident(self) -> None:
        model = process("start>or or>a or>b a>end b>end", conditions={"or>a": "${x}", "or>b": "${x}"})
        with pytest.raises(ElementFailed) as failed:
            Run(model)
        assert failed.value.element_id == "or"
        with pytest.raises(ElementFailed, match="No outgoing flow"):
            Run(model, x=False)

    @pytest.mark.parametrize(("join", "then"), [(True, ["d"]), (False, ["c", "d"])])
    def test_a_token_that_takes_another_way_is_not_waited_for_any_more(self, join: bool, then: list[str]) -> None:
        run = Run(OR_UNSTRUCTURED, join=join).do("b")
        assert run.waiting == ["a"]
        assert run.do("a").waiting == then

    def test_it_joins_anew_in_every_round(self) -> None:
        run = Run(OR_LOOP, x=True)
        assert run.do("a", again=True, x=False).waiting == ["b"]
        run.do("b", again=False).assert_over()

    def test_what_a_boundary_event_may_still_send_is_waited_for(self) -> None:
        run = Run(OR_BOUNDARY).do("a")
        assert run.waiting == ["b"]
        run.wait(days=1)
        assert run.do("b").waiting == ["c"]
        assert run.do("c").waiting == ["d"]
        run.do("d").assert_over()

    def test_what_did_not_come_from_a_boundary_event_is_not_waited_for(self) -> None:
        assert Run(OR_BOUNDARY).do("a").do("b").waiting == ["d"]

    def test_who_may_also_come_along_a_flow_that_has_a_token_is_not_waited_for(self) -> None:
        """BPMN 2.0, section 13.4.3, conditions iv to vi."""
        model = process(
            "start>and and>a and>b a>xor b>xor xor>or late>or or>d d>end",
            user("b"),
            boundary("late", "b", timer("P1D"), interrupting=False),
        )
        assert Run(model).do("a").waiting == ["b", "d"]

    def test_what_runs_inside_a_sub_process_is_waited_for(self) -> None:
        run = Run(OR_INNER).do("a")
        assert run.waiting == ["inner/b"]
        assert run.do("inner/b").waiting == ["d"]

    def test_a_loop_before_it_is_waited_for(self) -> None:
        run = Run(OR_CYCLE).do("a")
        assert run.do("b", again=True).waiting == ["b"]
        assert run.do("b", again=False).waiting == ["d"]


RACE = process(
    "start>race race>m race>t m>a t>b a>end b>end", caught("m", refers("message", "A")), caught("t", timer("P2D"))
)
RACE_TIMERS = process(
    "start>race race>t race>u t>a u>b a>end b>end", caught("t", timer("P2D")), caught("u", timer("P1D"))
)
RACE_ALL = process(
    "start>race race>r race>s race>c r>a s>b c>d a>end b>end d>end",
    messenger("receiveTask", "r", "A"),
    caught("s", refers("signal", "A")),
    caught("c", condition("${x > 1}")),
)
RACE_LOOP = process(
    "start>xor xor>race race>m race>t m>xor t>end", caught("m", refers("message", "A")), caught("t", timer("P2D"))
)


@family(
    "event-based gateway",
    "process",
    "The first of the events behind it decides where the token goes; the others are withdrawn.",
    RACE,
    RACE_TIMERS,
    RACE_ALL,
    RACE_LOOP,
)
class TestEventBasedGateway:
    def test_the_message_comes_first(self) -> None:
        run = Run(RACE)
        assert (run.waiting, run.listens_to) == ([], [("message", "A")])
        assert run.message("A")
        assert (run.waiting, run.listens_to, run.next_wake) == (["a"], [], None)
        run.do("a").assert_over()

    def test_the_timer_comes_first(self) -> None:
        run = Run(RACE).wait(days=2)
        assert (run.waiting, run.message("A")) == (["b"], False)
        run.do("b").assert_over()

    def test_of_two_timers_the_earlier_wins(self) -> None:
        run = Run(RACE_TIMERS).wait(days=1)
        assert (run.waiting, run.next_wake) == (["b"], None)

    def test_of_two_timers_that_passed_together_the_earlier_wins(self) -> None:
        assert Run(RACE_TIMERS).wait(days=9).waiting == ["b"]

    @pytest.mark.parametrize("first", ["r", "s"])
    def test_receive_task_and_signal_take_part(self, first: str) -> None:
        run = Run(RACE_ALL)
        assert run.message("A") if first == "r" else run.signal("A")
        assert run.waiting == ["a" if first == "r" else "b"]
        assert run.listens_to == []

    def test_a_condition_takes_part_and_may_hold_at_once(self) -> None:
        assert Run(RACE_ALL, x=2).waiting == ["d"]

    def test_it_waits_anew_in_every_round(self) -> None:
        run = Run(RACE_LOOP)
        for _ in range(3):
            run.wait(days=1)
            assert run.message("A")
        assert not run.wait(days=1).execution.completed
        run.wait(days=1).assert_over()
