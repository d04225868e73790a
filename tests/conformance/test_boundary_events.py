"""Events on the edge of an activity."""

from datetime import UTC, date, datetime

import pytest

from engine.errors import ElementFailed
from tests.conformance.drawing import (
    boundary,
    call,
    condition,
    event,
    mapping,
    messenger,
    node,
    plain,
    process,
    refers,
    scope,
    script,
    service,
    several,
    sub_process,
    timer,
    user,
)
from tests.conformance.families import family
from tests.conformance.running import Run

FLOWS = "start>a a>b b>end hit>c c>end2"


def on_task(definition: str, *, interrupting: bool = True, extension: str = "") -> bytes:
    return process(FLOWS, user("a"), boundary("hit", "a", definition, interrupting=interrupting, extension=extension))


def on_inner(definition: str, *, interrupting: bool = True) -> bytes:
    """On a sub-process with a sub-process inside, and two tokens there."""
    deep = sub_process("deep", scope("start2>d d>end3"))
    inner = sub_process("inner", scope("start1>and1 and1>deep and1>e deep>end4 e>end4", deep))
    return process(
        "start>inner inner>b b>end hit>c c>end2", inner, boundary("hit", "inner", definition, interrupting=interrupting)
    )


TIMER_ENDS = on_task(timer("P2D"))
TIMER_TELLS = on_task(timer("P2D"), interrupting=False)
TIMER_REPEATS = on_task(timer("R3/P1D", "timeCycle"), interrupting=False)
TIMER_ON_INNER = on_inner(timer("2026-06-01", "timeDate"))
TIMER_OF_FACT = on_task(timer("${meeting}", "timeDate"))


@family(
    "timer event",
    "boundary, interrupting",
    "When it fires, the activity ends with all inside it and the token goes on here.",
    TIMER_ENDS,
    TIMER_ON_INNER,
)
class TestTimerInterrupting:
    def test_the_activity_ends(self) -> None:
        run = Run(TIMER_ENDS)
        assert run.wait(days=1).waiting == ["a"]
        assert run.wait(days=1).standing == ["c"]
        run.do("c").assert_over()

    def test_an_activity_that_is_done_in_time_takes_its_timer_away(self) -> None:
        run = Run(TIMER_ENDS).do("a")
        assert (run.waiting, run.next_wake) == (["b"], None)
        assert run.wait(days=9).waiting == ["b"]

    def test_everything_nested_inside_ends(self) -> None:
        run = Run(TIMER_ON_INNER)
        assert run.waiting == ["inner/deep/d", "inner/e"]
        assert run.until(datetime(2026, 6, 1, tzinfo=UTC)).standing == ["c"]
        run.do("c").assert_over()

    def test_people_inside_give_what_they_have(self) -> None:
        run = Run(TIMER_ON_INNER)
        nested = run.token("inner/deep/d"), run.token("inner/e")
        run.now = datetime(2026, 6, 1, tzinfo=UTC)
        execution = run.restore(run.execution.save())
        execution.outputs = lambda token: {f"had{nested.index(token)}": True}
        execution.advance()
        assert execution.interrupted == set(nested)
        assert (run.variables["had0"], run.variables["had1"]) == (True, True)

    def test_a_date_that_moves_is_followed(self) -> None:
        run = Run(TIMER_OF_FACT)
        assert run.next_wake is None
        run.set_fact(meeting=date(2026, 6, 10))
        assert run.set_fact(meeting=date(2026, 6, 20)).next_wake == datetime(2026, 6, 19, 22, 0, tzinfo=UTC)
        assert run.set_fact(meeting=date(2026, 5, 1)).waiting == ["c"]


@family(
    "timer event",
    "boundary, not interrupting",
    "When it fires, a token goes on here as well; a cycle fires again.",
    TIMER_TELLS,
    TIMER_REPEATS,
)
class TestTimerNonInterrupting:
    def test_a_second_token_goes_on(self) -> None:
        run = Run(TIMER_TELLS).wait(days=2)
        assert (run.waiting, run.next_wake) == (["a", "c"], None)
        assert run.do("a").waiting == ["b", "c"]
        run.do("b").do("c").assert_over()

    def test_a_cycle_fires_as_often_as_it_says(self) -> None:
        run = Run(TIMER_REPEATS)
        for fired in (1, 2, 3):
            assert run.wait(days=1).waiting == ["a", *["c"] * fired]
        assert run.next_wake is None
        assert run.do("a").waiting == ["b", "c", "c", "c"]

    def test_missed_repetitions_fire_once(self) -> None:
        run = Run(TIMER_REPEATS).wait(days=2, hours=1)
        assert run.waiting == ["a", "c"]
        assert run.next_wake == datetime(2026, 5, 21, 8, 0, tzinfo=UTC)


MESSAGE_ENDS = on_task(refers("message", "A"), extension=mapping(gives={"y": "${number}"}))
MESSAGE_TELLS = on_task(refers("message", "A"), interrupting=False)


@family(
    "message event",
    "boundary, interrupting",
    "The message ends the activity and the token goes on here.",
    MESSAGE_ENDS,
    on_inner(refers("message", "A")),
)
class TestMessageInterrupting:
    def test_the_activity_ends(self) -> None:
        run = Run(MESSAGE_ENDS)
        assert not run.message("B")
        assert run.message("A", number=3)
        assert (run.standing, run.variables["y"], run.listens_to) == (["c"], 3, [])
        assert not run.message("A")
        run.do("c").assert_over()

    def test_everything_nested_inside_ends(self) -> None:
        run = Run(on_inner(refers("message", "A")))
        assert run.message("A")
        assert run.standing == ["c"]

    def test_nothing_listens_once_the_activity_is_done(self) -> None:
        assert not Run(MESSAGE_ENDS).do("a").message("A")


@family("message event", "boundary, not interrupting", "Every message sends one more token on here.", MESSAGE_TELLS)
class TestMessageNonInterrupting:
    def test_every_message_counts(self) -> None:
        run = Run(MESSAGE_TELLS)
        assert run.message("A")
        assert run.message("A")
        assert run.waiting == ["a", "c", "c"]
        run.do("a").do("b").do("c").do("c").assert_over()


SIGNAL_ENDS = on_inner(refers("signal", "A"))
SIGNAL_TELLS = on_task(refers("signal", "A"), interrupting=False)


@family(
    "signal event",
    "boundary, interrupting",
    "The signal ends the activity and the token goes on here.",
    SIGNAL_ENDS,
    on_task(refers("signal", "A")),
)
class TestSignalInterrupting:
    def test_the_activity_ends(self) -> None:
        run = Run(SIGNAL_ENDS)
        assert run.signal("A", number=1)
        assert (run.standing, run.variables["number"]) == (["c"], 1)
        run.do("c").assert_over()


@family("signal event", "boundary, not interrupting", "Every signal sends one more token on here.", SIGNAL_TELLS)
class TestSignalNonInterrupting:
    def test_every_signal_counts(self) -> None:
        run = Run(SIGNAL_TELLS)
        for heard in (1, 2, 3):
            assert run.signal("A")
            assert run.waiting == ["a", *["c"] * heard]


def failing(*catching: str, code: str = "A") -> bytes:
    inside = scope("start1>d d>end1", event("endEvent", "end1", refers("error", code)))
    flows = " ".join(f"{identity}>{identity.upper()}" for identity in catching)
    ends = " ".join(f"{identity.upper()}>end" for identity in catching)
    nodes = [boundary(c, "inner", refers("error", {"one": "A", "two": "B"}.get(c, ""))) for c in catching]
    return process(f"start>inner inner>b b>end {flows} {ends}", sub_process("inner", inside), *nodes)


RAISED = process("start>c c>a a>end hit>b b>end", call("c", "called"), boundary("hit", "c", refers("error", "A")))
RAISES = process("start>d d>c2 c2>end", call("c2", "deepest"), identity="called")
DEEPEST = process("start>e e>end", event("endEvent", "end", refers("error", "A")), identity="deepest")
ON_SERVICE = process(
    "start>a a>b b>end hit>c c>end2", service("a"), boundary("hit", "a", refers("error", "A")), user("b"), user("c")
)


@family(
    "error event",
    "boundary, interrupting",
    "An error from inside, or of the task itself, ends the activity; the nearest catch wins.",
    failing("one"),
    failing("one", "two"),
    failing("one", "any"),
    ON_SERVICE,
)
class TestErrorBoundary:
    def test_the_code_chooses(self) -> None:
        assert Run(failing("one", "two")).do("inner/d").waiting == ["ONE"]
        assert Run(failing("one", "two", code="B")).do("inner/d").waiting == ["TWO"]

    def test_without_a_code_it_catches_what_no_code_does(self) -> None:
        assert Run(failing("any", "one")).do("inner/d").waiting == ["ONE"]
        run = Run(failing("any", "one", code="C")).do("inner/d")
        assert run.standing == ["ANY"]
        run.do("ANY").assert_over()

    def test_another_code_is_not_caught(self) -> None:
        with pytest.raises(ElementFailed, match="Nothing catches the error C"):
            Run(failing("one", "two", code="C")).do("inner/d")

    def test_it_rises_through_calls(self) -> None:
        run = Run(RAISED, RAISES, DEEPEST).do("c/d")
        assert run.waiting == ["c/c2/e"]
        assert run.do("c/c2/e").standing == ["b"]
        run.do("b").assert_over()

    def test_the_nearest_catches(self) -> None:
        inside = scope("start2>d d>end1", event("endEvent", "end1", refers("error", "A")))
        middle = scope(
            "start1>deep deep>end2 near>e e>end2",
            sub_process("deep", inside),
            boundary("near", "deep", refers("error")),
        )
        run = Run(
            process(
                "start>inner inner>b b>end far>c c>end",
                sub_process("inner", middle),
                boundary("far", "inner", refers("error", "A")),
            )
        )
        assert run.do("inner/deep/d").waiting == ["inner/e"]
        assert run.do("inner/e").waiting == ["b"]

    def test_the_code_and_the_message_can_be_had_as_variables(self) -> None:
        told = plain("error", 'camunda:errorCodeVariable="code" camunda:errorMessageVariable="message"')
        run = Run(process("start>a a>end hit>c c>end2", service("a"), boundary("hit", "a", told))).fail("a", "A")
        assert (run.variables["code"], run.variables["message"], run.waiting) == ("A", "it went wrong", ["c"])

    def test_an_error_of_a_function_is_caught_on_its_task(self) -> None:
        run = Run(ON_SERVICE)
        assert run.services == ["a"]
        assert run.fail("a", "A").standing == ["c"]


def escalating(*, interrupting: bool) -> bytes:
    inside = scope(
        "start1>e e>and1 and1>d and1>f d>end1 f>end1", event("intermediateThrowEvent", "e", refers("escalation", "A"))
    )
    return process(
        "start>inner inner>b b>end hit>c c>end2",
        sub_process("inner", inside),
        boundary("hit", "inner", refers("escalation", "A"), interrupting=interrupting),
    )


@family(
    "escalation event",
    "boundary, interrupting",
    "An escalation from inside ends the activity and the token goes on here.",
    escalating(interrupting=True),
)
class TestEscalationInterrupting:
    def test_the_activity_ends(self) -> None:
        run = Run(escalating(interrupting=True))
        assert run.standing == ["c"]
        run.do("c").assert_over()


@family(
    "escalation event",
    "boundary, not interrupting",
    "An escalation from inside sends a token on here as well.",
    escalating(interrupting=False),
)
class TestEscalationNonInterrupting:
    def test_the_activity_goes_on(self) -> None:
        run = Run(escalating(interrupting=False))
        assert run.waiting == ["c", "inner/d", "inner/f"]
        run.do("c").do("inner/d").do("inner/f").do("b").assert_over()

    def test_the_code_can_be_had_as_a_variable(self) -> None:
        told = plain("escalation", 'camunda:escalationCodeVariable="code"')
        inside = scope("start1>e e>d d>end1", event("intermediateThrowEvent", "e", refers("escalation", "B")))
        model = process(
            "start>inner inner>b b>end hit>c c>end",
            sub_process("inner", inside),
            boundary("hit", "inner", told, interrupting=False),
        )
        assert Run(model).variables["code"] == "B"

    def test_another_code_is_not_caught_and_does_no_harm(self) -> None:
        inside = scope("start1>e e>d d>end1", event("intermediateThrowEvent", "e", refers("escalation", "B")))
        model = process(
            "start>inner inner>b b>end hit>c c>end",
            sub_process("inner", inside),
            boundary("hit", "inner", refers("escalation", "A"), interrupting=False),
        )
        assert Run(model).waiting == ["inner/d"]


CONDITION_ENDS = process(
    "start>and and>a and>x a>b x>b b>end hit>c c>end2",
    user("a"),
    boundary("hit", "a", condition("${level > 3}")),
    user("x"),
)
CONDITION_TELLS = process(
    "start>and and>a and>x a>end x>x2 x2>x3 x3>end hit>c c>end2",
    user("a"),
    boundary("hit", "a", condition("${level > 3}"), interrupting=False),
)
CONDITION_ON_AUTOMATIC = process(
    "start>inner inner>b b>end hit>c c>end2",
    sub_process("inner", scope("start1>s s>t t>end1", script("s", "level = 4"), script("t"))),
    boundary("hit", "inner", condition("${level > 3}")),
)


@family(
    "conditional event",
    "boundary, interrupting",
    "When its condition becomes true, the activity ends.",
    CONDITION_ENDS,
    CONDITION_ON_AUTOMATIC,
)
class TestConditionalInterrupting:
    def test_it_fires_when_the_data_change(self) -> None:
        run = Run(CONDITION_ENDS, level=1)
        assert run.waiting == ["a", "x"]
        assert run.do("x", level=4).waiting == ["b", "c"]

    def test_it_fires_at_once_when_it_holds_already(self) -> None:
        assert Run(CONDITION_ENDS, level=4).waiting == ["c", "x"]

    def test_the_answer_that_ends_the_activity_is_not_interrupted_by_itself(self) -> None:
        assert Run(CONDITION_ENDS, level=1).do("a", level=4).waiting == ["b", "x"]

    def test_it_stops_what_would_run_on_automatically(self) -> None:
        run = Run(CONDITION_ON_AUTOMATIC, level=1)
        assert (run.waiting, run.log) == (["c"], [])


@family(
    "conditional event",
    "boundary, not interrupting",
    "Every time its condition becomes true, a token goes on here.",
    CONDITION_TELLS,
)
class TestConditionalNonInterrupting:
    def test_it_fires_each_time_the_condition_becomes_true(self) -> None:
        run = Run(CONDITION_TELLS, level=1).do("x", level=4)
        assert run.waiting == ["a", "c", "x2"]
        assert run.do("x2", level=5).waiting == ["a", "c", "x3"], "it was true already"
        assert run.do("c", level=1).do("x3", level=6).waiting == ["a", "c"]


SEVERAL = process(
    "start>a a>end tick>c c>end2 late>d d>end3 told>e e>end4",
    user("a"),
    boundary("tick", "a", timer("R/P1D", "timeCycle"), interrupting=False),
    boundary("late", "a", timer("P3D")),
    boundary("told", "a", refers("signal", "A"), interrupting=False),
)
ON_RECEIVE = process(
    "start>a a>b b>end hit>c c>end2", messenger("receiveTask", "a", "A"), boundary("hit", "a", refers("message", "B"))
)
ON_AUTOMATIC = process("start>a a>end hit>c c>end", script("a"), boundary("hit", "a", timer("PT0S")))
ON_CALL = process("start>c c>b b>end hit>d d>end", call("c", "called"), boundary("hit", "c", refers("message", "B")))
CALLED = process("start>e e>end", node("userTask", "e", 'camunda:assignee="person0"'), identity="called")


@family(
    "boundary events",
    "several on one activity; on any activity",
    "Each listens for itself; the one that interrupts ends the others.",
    SEVERAL,
    ON_RECEIVE,
    ON_AUTOMATIC,
)
class TestSeveralBoundaryEvents:
    def test_they_listen_side_by_side_until_one_interrupts(self) -> None:
        run = Run(SEVERAL).wait(days=1)
        assert run.signal("A")
        assert run.waiting == ["a", "c", "e"]
        assert run.wait(days=2).waiting == ["c", "c", "d", "e"]
        assert (run.next_wake, run.listens_to) == (None, [])
        run.do("c").do("c").do("d").do("e").assert_over()

    def test_a_receive_task_has_its_own_message_and_that_of_the_event(self) -> None:
        assert Run(ON_RECEIVE).message("A")
        run = Run(ON_RECEIVE)
        assert run.message("B")
        assert run.waiting == ["c"]

    def test_what_runs_at_once_is_over_before_any_event(self) -> None:
        Run(ON_AUTOMATIC).assert_over()

    def test_of_two_tokens_in_the_activity_one_is_interrupted(self) -> None:
        model = process(
            "start>and and>inner and>x x>inner inner>b b>end hit>c c>end",
            sub_process("inner", scope("start1>a a>end1")),
            boundary("hit", "inner", refers("message", "A")),
        )
        run = Run(model).do("x")
        assert run.message("A")
        assert run.waiting == ["c", "inner/a"]
        assert run.do("inner/a").waiting == ["b", "c"]

    def test_of_timers_due_together_the_outer_one_wins(self) -> None:
        inside = sub_process("deep", scope("start1>a a>end1"))
        model = process(
            "start>inner inner>b b>end far>c c>end",
            sub_process(
                "inner", scope("start2>deep deep>end2 near>d d>end2", inside, boundary("near", "deep", timer("P1D")))
            ),
            boundary("far", "inner", timer("P1D")),
        )
        assert Run(model).wait(days=1).standing == ["c"]

    def test_one_stands_for_every_instance_of_several(self) -> None:
        escalates = event("intermediateThrowEvent", "e", refers("escalation", "A"))
        model = process(
            "start>inner inner>b b>end hit>c c>end",
            sub_process("inner", scope("start1>e e>a a>end1", escalates), inner=several()),
            boundary("hit", "inner", refers("escalation", "A"), interrupting=False),
        )
        assert Run(model, items=[1, 2]).waiting == ["c", "c", "inner[0]/a", "inner[1]/a"]

    def test_a_call_ends_with_all_inside_it(self) -> None:
        run = Run(ON_CALL, CALLED)
        assert run.waiting == ["c/e"]
        assert run.message("B")
        assert run.standing == ["d"]
