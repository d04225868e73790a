"""Event sub-processes: what a scope does when something happens while it runs."""

from datetime import UTC, datetime

import pytest

from engine.errors import ElementFailed
from tests.conformance.drawing import (
    boundary,
    call,
    condition,
    event,
    handler,
    mapping,
    process,
    refers,
    scope,
    script,
    sub_process,
    timer,
)
from tests.conformance.families import family
from tests.conformance.running import Run


def listening(definition: str, *, interrupting: bool = True, extension: str = "") -> bytes:
    """A process with two tokens, one of them inside a sub-process, and an event sub-process."""
    return process(
        "start>and and>a and>inner a>b b>end inner>end",
        sub_process("inner", scope("start1>c c>end1")),
        handler("h", definition, ">e e>end2", interrupting=interrupting, extension=extension),
    )


def inside(definition: str, *, interrupting: bool = True) -> bytes:
    """The same inside a sub-process, with a task after it."""
    body = scope("start1>c c>c2 c2>end1", handler("h", definition, ">e e>end2", interrupting=interrupting))
    return process("start>inner inner>a a>end", sub_process("inner", body))


TIMER = timer("P1D")


@family(
    "event sub-process: timer",
    "process and sub-process, interrupting",
    "When it fires, it takes the place of everything else in its scope.",
    listening(TIMER),
    inside(TIMER),
)
class TestTimerInterrupting:
    def test_it_takes_the_place_of_everything_else(self) -> None:
        run = Run(listening(TIMER))
        assert run.next_wake == datetime(2026, 5, 19, 8, 0, tzinfo=UTC)
        assert run.wait(days=1).standing == ["h", "h/e"]
        run.do("h/e").assert_over()

    def test_what_ends_in_time_leaves_no_timer(self) -> None:
        run = Run(listening(TIMER)).do("a").do("inner/c")
        assert run.next_wake is not None
        run.do("b").assert_over()

    def test_a_process_that_is_over_is_not_woken(self) -> None:
        run = Run(listening(TIMER)).do("a").do("inner/c").do("b")
        assert run.wait(days=9).waiting == []

    def test_inside_a_sub_process_the_rest_goes_on_afterwards(self) -> None:
        run = Run(inside(TIMER)).wait(days=1)
        assert run.waiting == ["inner/h/e"]
        assert run.do("inner/h/e").waiting == ["a"]
        run.do("a").assert_over()


CYCLE = timer("R2/P1D", "timeCycle")


@family(
    "event sub-process: timer",
    "process and sub-process, not interrupting",
    "When it fires, it runs beside the rest; a cycle runs it again.",
    listening(CYCLE, interrupting=False),
    inside(TIMER, interrupting=False),
)
class TestTimerNonInterrupting:
    def test_it_runs_beside_the_rest_each_time(self) -> None:
        run = Run(listening(CYCLE, interrupting=False)).wait(days=1)
        assert run.waiting == ["a", "h/e", "inner/c"]
        assert run.wait(days=1).waiting == ["a", "h/e", "h/e", "inner/c"]
        assert run.next_wake is None
        run.do("h/e").do("a").do("inner/c").do("b")
        assert run.waiting == ["h/e"]
        run.do("h/e").assert_over()

    def test_its_scope_waits_for_it(self) -> None:
        run = Run(inside(TIMER, interrupting=False)).wait(days=1).do("inner/c").do("inner/c2")
        assert run.waiting == ["inner/h/e"]
        assert run.do("inner/h/e").waiting == ["a"]


@family(
    "event sub-process: message",
    "process and sub-process, interrupting",
    "The message makes it take the place of everything else in its scope.",
    listening(refers("message", "A"), extension=mapping(gives={"y": "${number}"})),
    inside(refers("message", "A")),
)
class TestMessageInterrupting:
    def test_it_takes_the_place_of_everything_else(self) -> None:
        run = Run(listening(refers("message", "A"), extension=mapping(gives={"y": "${number}"})))
        assert run.message("A", number=2)
        assert (run.standing, run.variables["y"], run.listens_to) == (["h", "h/e"], 2, [])
        assert not run.message("A", number=3)
        run.do("h/e").assert_over()

    def test_only_its_own_scope_ends(self) -> None:
        run = Run(inside(refers("message", "A")))
        assert run.message("A")
        assert run.do("inner/h/e").waiting == ["a"]
        assert not run.message("A")


@family(
    "event sub-process: message",
    "process and sub-process, not interrupting",
    "Every message runs it once more beside the rest.",
    listening(refers("message", "A"), interrupting=False),
)
class TestMessageNonInterrupting:
    def test_every_message_runs_it(self) -> None:
        run = Run(listening(refers("message", "A"), interrupting=False))
        assert run.message("A")
        assert run.message("A")
        assert run.waiting == ["a", "h/e", "h/e", "inner/c"]
        run.do("h/e").do("a").do("b").do("inner/c")
        assert run.message("A"), "the process still runs, so it still listens"
        run.do("h/e").do("h/e").assert_over()


@family(
    "event sub-process: signal",
    "process and sub-process, interrupting",
    "The signal makes it take the place of everything else in its scope.",
    listening(refers("signal", "A")),
    inside(refers("signal", "A")),
)
class TestSignalInterrupting:
    def test_it_takes_the_place_of_everything_else(self) -> None:
        run = Run(listening(refers("signal", "A")))
        assert run.signal("A")
        assert run.standing == ["h", "h/e"]
        run.do("h/e").assert_over()

    def test_a_scope_that_is_taken_away_does_not_hear_it(self) -> None:
        body = scope("start1>c c>end1", handler("h1", refers("signal", "A"), ">e1 e1>end2"))
        model = process(
            "start>inner inner>end", sub_process("inner", body), handler("h", refers("signal", "A"), ">e e>end3")
        )
        run = Run(model)
        assert run.signal("A")
        assert run.standing == ["h", "h/e"]


@family(
    "event sub-process: signal",
    "process and sub-process, not interrupting",
    "Every signal runs it once more beside the rest.",
    listening(refers("signal", "A"), interrupting=False),
    inside(refers("signal", "A"), interrupting=False),
)
class TestSignalNonInterrupting:
    def test_every_signal_runs_it(self) -> None:
        run = Run(inside(refers("signal", "A"), interrupting=False))
        assert run.signal("A")
        assert run.signal("A")
        assert run.waiting == ["inner/c", "inner/h/e", "inner/h/e"]
        run.do("inner/c").do("inner/c2").do("inner/h/e").do("inner/h/e").do("a").assert_over()


def failing(code: str, *handlers: str) -> bytes:
    deep = sub_process("deep", scope("start2>d d>end3", event("endEvent", "end3", refers("error", code))))
    body = scope("start1>and1 and1>deep and1>c deep>end1 c>end1", deep, *handlers)
    return process(
        "start>inner inner>a a>end hit>b b>end4", sub_process("inner", body), boundary("hit", "inner", refers("error"))
    )


ON_A = handler("h", refers("error", "A"), ">e e>end2")
RETHROWS = handler("h", refers("error", "A"), ">e e>end2", event("endEvent", "end2", refers("error", "A")))


@family(
    "event sub-process: error",
    "process and sub-process",
    "It catches an error from anywhere inside its scope and takes the place of the rest.",
    failing("A", ON_A),
    failing("A", RETHROWS),
    failing("B", ON_A),
)
class TestError:
    def test_it_catches_before_what_sits_outside(self) -> None:
        run = Run(failing("A", ON_A)).do("inner/deep/d")
        assert run.standing == ["hit", "inner", "inner/h", "inner/h/e"]
        assert run.do("inner/h/e").waiting == ["a"]
        run.do("a").assert_over()

    def test_another_code_goes_on_to_the_boundary(self) -> None:
        run = Run(failing("B", ON_A)).do("inner/deep/d")
        assert run.standing == ["b"]

    def test_what_it_throws_itself_goes_on_to_the_boundary(self) -> None:
        run = Run(failing("A", RETHROWS)).do("inner/deep/d").do("inner/h/e")
        assert run.standing == ["b"]
        run.do("b").assert_over()

    def test_an_error_in_another_event_sub_process_is_caught(self) -> None:
        raising = handler(
            "g", refers("signal", "A"), ">f f>end5", event("endEvent", "end5", refers("error", "A")), interrupting=False
        )
        run = Run(failing("C", ON_A, raising))
        assert run.signal("A")
        assert run.do("inner/g/f").waiting == ["inner/h/e"]
        run.do("inner/h/e").do("a").assert_over()

    def test_it_catches_an_error_of_a_called_process(self) -> None:
        called = process("start>d d>end", event("endEvent", "end", refers("error", "A")), identity="called")
        run = Run(process("start>c c>a a>end", call("c", "called"), ON_A), called).do("c/d")
        assert run.standing == ["h", "h/e"]
        run.do("h/e").assert_over()


def escalating(*, interrupting: bool) -> bytes:
    return process(
        "start>a a>x x>b b>end",
        event("intermediateThrowEvent", "x", refers("escalation", "A"), extension=mapping(takes={"number": "${7}"})),
        handler("h", refers("escalation", "A"), ">e e>end2", interrupting=interrupting),
    )


@family(
    "event sub-process: escalation",
    "process and sub-process, interrupting",
    "An escalation inside its scope makes it take the place of the rest.",
    escalating(interrupting=True),
)
class TestEscalationInterrupting:
    def test_it_takes_the_place_of_the_rest(self) -> None:
        run = Run(escalating(interrupting=True)).do("a")
        assert (run.standing, run.variables["number"]) == (["h", "h/e"], 7)
        run.do("h/e").assert_over()


@family(
    "event sub-process: escalation",
    "process and sub-process, not interrupting",
    "An escalation inside its scope runs it beside the rest.",
    escalating(interrupting=False),
)
class TestEscalationNonInterrupting:
    def test_it_runs_beside_the_rest(self) -> None:
        run = Run(escalating(interrupting=False)).do("a")
        assert run.waiting == ["b", "h/e"]
        run.do("b").do("h/e").assert_over()

    def test_what_it_throws_itself_does_not_start_it_again(self) -> None:
        model = process(
            "start>x x>b b>end",
            event("intermediateThrowEvent", "x", refers("escalation", "A")),
            handler(
                "h",
                refers("escalation", "A"),
                ">y y>e e>end2",
                event("intermediateThrowEvent", "y", refers("escalation", "A")),
                interrupting=False,
            ),
        )
        assert Run(model).waiting == ["b", "h/e"]


@family(
    "event sub-process: conditional",
    "process and sub-process, interrupting",
    "When its condition becomes true, it takes the place of the rest.",
    listening(condition("${x > 1}")),
    inside(condition("${x > 1}")),
)
class TestConditionalInterrupting:
    def test_it_takes_the_place_of_the_rest(self) -> None:
        run = Run(listening(condition("${x > 1}")), x=1)
        assert run.do("a", x=2).standing == ["h", "h/e"]
        run.do("h/e").assert_over()

    def test_a_condition_that_holds_from_the_start_fires_at_once(self) -> None:
        assert Run(inside(condition("${x > 1}")), x=2).waiting == ["inner/h/e"]

    def test_it_stops_what_would_run_on_automatically(self) -> None:
        body = scope(
            "start1>s s>t t>end1", script("s", "x = 2"), script("t"), handler("h", condition("${x > 1}"), ">e e>end2")
        )
        run = Run(process("start>inner inner>a a>end", sub_process("inner", body)), x=1)
        assert (run.waiting, run.log) == (["inner/h/e"], [])


@family(
    "event sub-process: conditional",
    "process and sub-process, not interrupting",
    "Every time its condition becomes true, it runs beside the rest.",
    listening(condition("${x > 1}"), interrupting=False),
)
class TestConditionalNonInterrupting:
    def test_it_runs_each_time_the_condition_becomes_true(self) -> None:
        run = Run(listening(condition("${x > 1}"), interrupting=False), x=1).do("a", x=2)
        assert run.waiting == ["b", "h/e", "inner/c"]
        assert run.do("h/e", x=0).waiting == ["b", "inner/c"]
        assert run.do("inner/c", x=3).waiting == ["b", "h/e"]
        run.do("b").do("h/e").assert_over()


TOGETHER = process(
    "start>a a>end",
    handler("tick", timer("R/P1D", "timeCycle"), ">b b>end1", interrupting=False),
    handler("told", refers("message", "A"), ">c c>end2", interrupting=False),
    handler("stop", refers("signal", "A"), ">d d>end3"),
    handler("late", timer("P9D"), ">e e>end4"),
)
NESTED = process(
    "start>a a>end",
    handler(
        "outer",
        refers("message", "A"),
        ">b b>end1",
        handler("deep", refers("message", "B"), ">c c>end2", interrupting=False),
        interrupting=False,
    ),
)


@family(
    "event sub-processes",
    "several, nested, repeated",
    "Each listens for itself; one that interrupts ends the others for good.",
    TOGETHER,
    NESTED,
)
class TestSeveral:
    def test_they_listen_side_by_side_until_one_interrupts(self) -> None:
        run = Run(TOGETHER).wait(days=1)
        assert run.message("A")
        assert run.wait(days=1).waiting == ["a", "tick/b", "tick/b", "told/c"]
        assert run.signal("A")
        assert (run.standing, run.next_wake, run.listens_to) == (["stop", "stop/d"], None, [])
        run.do("stop/d").assert_over()

    def test_once_one_has_interrupted_no_other_comes(self) -> None:
        run = Run(TOGETHER)
        assert run.signal("A")
        assert not run.message("A")
        assert run.wait(days=30).waiting == ["stop/d"]

    def test_one_may_listen_inside_another(self) -> None:
        run = Run(NESTED)
        assert not run.message("B")
        assert run.message("A")
        assert run.message("B")
        assert run.waiting == ["a", "outer/b", "outer/deep/c"]
        run.do("outer/b").do("outer/deep/c").do("a").assert_over()

    def test_a_handler_that_fails_is_an_incident_inside_it(self) -> None:
        run = Run(
            process("start>a a>end", handler("h", refers("message", "A"), ">s s>end2", script("s", "y = missing")))
        )
        with pytest.raises(ElementFailed, match="missing") as failed:
            run.message("A")
        assert (failed.value.call_path, failed.value.element_id) == ("h", "s")
