"""Where processes and sub-processes begin and end."""

import pytest

from engine.errors import ElementFailed, InvalidInput
from tests.conformance.drawing import (
    boundary,
    call,
    event,
    mapping,
    plain,
    process,
    refers,
    scope,
    script,
    sub_process,
    timer,
)
from tests.conformance.families import family
from tests.conformance.running import Run


def ended(identity: str, definition: str, extension: str = "") -> str:
    return event("endEvent", identity, definition, extension=extension)


def begun(identity: str, definition: str, extension: str = "") -> str:
    return event("startEvent", identity, definition, extension=extension)


NONE = process("start>a a>end")
TWO_STARTS = process("start>a start2>b a>end b>end")
NO_START = process("a>end b>end2")
INNER_STARTS = process("start>inner inner>end", sub_process("inner", scope("start1>a start2>b a>end1 b>end1")))


@family(
    "none start event",
    "process, sub-process",
    "A token begins here; without any start event, wherever no flow leads.",
    NONE,
)
class TestNoneStart:
    def test_a_token_begins(self) -> None:
        Run(NONE).do("a").assert_over()

    @pytest.mark.parametrize("model", [TWO_STARTS, NO_START])
    def test_every_beginning_gets_a_token(self, model: bytes) -> None:
        run = Run(model)
        assert run.waiting == ["a", "b"]
        run.do("b").do("a").assert_over()

    def test_so_it_is_in_a_sub_process(self) -> None:
        run = Run(INNER_STARTS)
        assert run.waiting == ["inner/a", "inner/b"]
        assert not run.do("inner/a").execution.completed
        run.do("inner/b").assert_over()


BY_EVENT = process(
    "start>a begun>b a>end b>end", begun("begun", refers("message", "A"), mapping(gives={"y": "${number * 2}"}))
)
TWO_EVENTS = process(
    "begun>a begun2>b a>end b>end", begun("begun", refers("message", "A")), begun("begun2", refers("signal", "A"))
)
BY_SIGNAL = process("begun>b b>end", begun("begun", refers("signal", "A")))
BY_TIMER = process("begun>b b>end", begun("begun", timer("2026-11-27", "timeDate")))


@family("message start event", "process", "A message starts a case, which gets the message's content.", BY_EVENT)
class TestMessageStart:
    def test_only_the_event_that_came_begins(self) -> None:
        run = Run(BY_EVENT, event="begun", payload={"number": 4})
        assert run.waiting == ["b"]
        assert run.variables["y"] == 8
        run.do("b").assert_over()

    def test_started_by_a_person_the_plain_start_event_begins(self) -> None:
        run = Run(BY_EVENT)
        assert (run.waiting, run.listens_to) == (["a"], [])


@family(
    "message start event",
    "several, in one process",
    "Each is a way of its own to begin a case; only the one whose event came gets a token.",
    TWO_EVENTS,
)
class TestSeveralEventStarts:
    @pytest.mark.parametrize(("event", "task"), [("begun", "a"), ("begun2", "b")])
    def test_the_event_that_came_begins(self, event: str, task: str) -> None:
        run = Run(TWO_EVENTS, event=event)
        assert run.waiting == [task]
        run.do(task).assert_over()

    def test_without_an_event_nothing_can_begin(self) -> None:
        with pytest.raises(InvalidInput, match="no plain start event"):
            Run(TWO_EVENTS)

    def test_called_it_is_an_incident_at_the_call(self) -> None:
        called = TWO_EVENTS.replace(b'"prove"', b'"called"')
        with pytest.raises(ElementFailed, match="no start event without a trigger") as failed:
            Run(process("start>c c>end", call("c", "called")), called)
        assert failed.value.element_id == "c"


@family("signal start event", "process", "A signal starts a case, which gets the signal's content.", BY_SIGNAL)
class TestSignalStart:
    def test_the_signal_begins(self) -> None:
        run = Run(BY_SIGNAL, event="begun", payload={"number": 4})
        assert (run.waiting, run.variables["number"]) == (["b"], 4)
        run.do("b").assert_over()


@family("timer start event", "process", "Time starts a case: at a date, or again and again.", BY_TIMER)
class TestTimerStart:
    def test_the_timer_begins_and_then_waits_for_nothing(self) -> None:
        run = Run(BY_TIMER, event="begun")
        assert (run.waiting, run.next_wake) == (["b"], None)
        run.do("b").assert_over()


TWO_ENDS = process("start>and and>a and>b a>end b>end2")
DEAD_END = process("start>and and>a and>b a>end")


@family(
    "none end event", "process, sub-process", "The token ends; the scope is over when no token is left in it.", TWO_ENDS
)
class TestNoneEnd:
    @pytest.mark.parametrize("model", [TWO_ENDS, DEAD_END])
    def test_the_case_is_over_with_its_last_token(self, model: bytes) -> None:
        run = Run(model).do("a")
        assert run.waiting == ["b"]
        run.do("b").assert_over()


THROWS = {
    kind: process("start>a a>end", ended("end", refers(kind, "A"), mapping(takes={"number": "${x}"})))
    for kind in ("message", "signal")
}


@family("message end event", "process, sub-process", "A message leaves, then the token ends.", THROWS["message"])
class TestMessageEnd:
    def test_the_message_leaves_once(self) -> None:
        run = Run(THROWS["message"], x=3).do("a").assert_over()
        assert [(t.kind, t.name, dict(t.payload)) for t in run.thrown] == [("message", "A", {"number": 3})]


SIGNAL_HEARD = process(
    "start>and and>a and>b a>end b>end2 heard>c c>end3",
    ended("end", refers("signal", "A")),
    boundary("heard", "b", refers("signal", "A"), interrupting=False),
)


@family(
    "signal end event",
    "process, sub-process",
    "Everybody who waits for the signal hears it, then the token ends.",
    THROWS["signal"],
    SIGNAL_HEARD,
)
class TestSignalEnd:
    def test_the_signal_leaves(self) -> None:
        run = Run(THROWS["signal"], x=3).do("a").assert_over()
        assert [(t.kind, t.name, dict(t.payload)) for t in run.thrown] == [("signal", "A", {"number": 3})]

    def test_it_may_interrupt_the_scope_it_ends(self) -> None:
        model = process(
            "start>inner inner>b b>end heard>c c>end2",
            sub_process("inner", scope("start1>a a>end1", ended("end1", refers("signal", "A")))),
            boundary("heard", "inner", refers("signal", "A")),
        )
        assert Run(model).do("inner/a").standing == ["c"]

    def test_it_is_heard_in_the_case_and_outside(self) -> None:
        run = Run(SIGNAL_HEARD).do("a")
        assert run.waiting == ["b", "c"]
        assert [t.name for t in run.thrown] == ["A"]
        run.do("b").do("c").assert_over()


ERROR = process(
    "start>inner inner>a a>end caught>b b>end2",
    sub_process("inner", scope("start1>and1 and1>c and1>d c>end1 d>end9", ended("end1", refers("error", "A")))),
    boundary("caught", "inner", refers("error", "A")),
)
ERROR_UNCAUGHT = process("start>a a>end", ended("end", refers("error", "A")))


@family(
    "error end event",
    "process, sub-process",
    "The error rises to the nearest event that catches it and ends what is between; uncaught it is an incident.",
    ERROR,
)
class TestErrorEnd:
    def test_it_ends_the_scope_with_all_its_tokens(self) -> None:
        run = Run(ERROR)
        assert run.waiting == ["inner/c", "inner/d"]
        assert run.do("inner/c").standing == ["b"]
        run.do("b").assert_over()

    def test_uncaught_it_is_an_incident_at_the_end_event(self) -> None:
        run = Run(ERROR_UNCAUGHT)
        with pytest.raises(ElementFailed, match="Nothing catches the error A") as failed:
            run.do("a")
        assert failed.value.element_id == "end"


ESCALATION = process(
    "start>inner inner>a a>end caught>b b>end2",
    sub_process("inner", scope("start1>and1 and1>c and1>d c>end1 d>end9", ended("end1", refers("escalation", "A")))),
    boundary("caught", "inner", refers("escalation", "A"), interrupting=False),
)
ESCALATION_UNCAUGHT = process("start>a a>end", ended("end", refers("escalation", "A")))


@family(
    "escalation end event",
    "process, sub-process",
    "The nearest event that catches it is told; the rest goes on unless that event interrupts.",
    ESCALATION,
    ESCALATION_UNCAUGHT,
)
class TestEscalationEnd:
    def test_the_rest_goes_on(self) -> None:
        run = Run(ESCALATION).do("inner/c")
        assert run.waiting == ["b", "inner/d"]
        assert run.do("inner/d").waiting == ["a", "b"]
        run.do("a").do("b").assert_over()

    def test_uncaught_it_only_ends_its_token(self) -> None:
        Run(ESCALATION_UNCAUGHT).do("a").assert_over()


TERMINATE = process(
    "start>and and>a and>b and>inner a>end b>end2 inner>end3",
    ended("end", plain("terminate")),
    sub_process("inner", scope("start1>c c>end1")),
)
TERMINATE_INSIDE = process(
    "start>and and>inner and>d inner>a a>end d>end3",
    sub_process("inner", scope("start1>and1 and1>b and1>c b>end1 c>end2", ended("end1", plain("terminate")))),
)
TERMINATE_CALLED = process("start>c c>a a>end", call("c", "called"))
CALLED_THAT_TERMINATES = process(
    "start>and and>b and>d b>end d>end2", ended("end", plain("terminate")), identity="called"
)


@family(
    "terminate end event",
    "process, sub-process, called process",
    "Every token of its scope ends, and with it what runs inside; the scope around goes on.",
    TERMINATE,
    TERMINATE_INSIDE,
)
class TestTerminateEnd:
    def test_it_ends_the_whole_process(self) -> None:
        run = Run(TERMINATE)
        assert run.waiting == ["a", "b", "inner/c"]
        run.do("a").assert_over()

    def test_inside_a_sub_process_it_ends_that_alone(self) -> None:
        run = Run(TERMINATE_INSIDE).do("inner/b")
        assert run.waiting == ["a", "d"]
        run.do("a").do("d").assert_over()

    def test_inside_a_called_process_it_ends_that_alone(self) -> None:
        run = Run(TERMINATE_CALLED, CALLED_THAT_TERMINATES).do("c/b")
        assert run.waiting == ["a"]
        run.do("a").assert_over()


ORDER = process("start>s s>t t>end", script("s"), script("t"))


@family("sequence flow", "process", "The token goes on along it.", ORDER)
class TestSequenceFlow:
    def test_one_after_the_other(self) -> None:
        assert Run(ORDER).assert_over().log == ["s", "t"]
