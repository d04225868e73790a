"""Events between two elements: waiting for something, and throwing it."""

from datetime import UTC, date, datetime

import pytest

from engine.errors import ElementFailed
from tests.conformance.drawing import (
    boundary,
    condition,
    event,
    mapping,
    plain,
    process,
    properties,
    refers,
    scope,
    script,
    sub_process,
    timer,
)
from tests.conformance.families import family
from tests.conformance.running import Run


def caught(identity: str, definition: str, extension: str = "") -> str:
    return event("intermediateCatchEvent", identity, definition, extension=extension)


def thrown(identity: str, definition: str = "", extension: str = "") -> str:
    return event("intermediateThrowEvent", identity, definition, extension=extension)


def waits_for(text: str, kind: str) -> bytes:
    return process("start>t t>s s>end", caught("t", timer(text, kind)), script("s"))


DATES = {
    "2026-06-01": datetime(2026, 5, 31, 22, 0, tzinfo=UTC),
    "2026-06-01T09:00:00Z": datetime(2026, 6, 1, 9, 0, tzinfo=UTC),
    "2026-06-01T09:00": datetime(2026, 6, 1, 7, 0, tzinfo=UTC),
    "${meeting}": datetime(2026, 6, 9, 22, 0, tzinfo=UTC),
    "${days_before(meeting, 1)}": datetime(2026, 6, 8, 22, 0, tzinfo=UTC),
}
DURATIONS = {
    "PT1H": datetime(2026, 5, 18, 9, 0, tzinfo=UTC),
    "P1D": datetime(2026, 5, 19, 8, 0, tzinfo=UTC),
    "${pause}": datetime(2026, 5, 20, 8, 0, tzinfo=UTC),
}
CYCLES = {
    "R3/PT10H": datetime(2026, 5, 18, 18, 0, tzinfo=UTC),
    "R/2026-05-20T09:00:00Z/P1Y": datetime(2026, 5, 20, 9, 0, tzinfo=UTC),
    "0 0 9 ? * MON-FRI": datetime(2026, 5, 19, 7, 0, tzinfo=UTC),
}


@family(
    "timer event",
    "intermediate, with a date",
    "The token waits until the date; an unknown date is waited for.",
    *(waits_for(text, "timeDate") for text in DATES),
)
class TestTimerDate:
    @pytest.mark.parametrize(("text", "due"), DATES.items())
    def test_it_fires_exactly_when_it_is_due(self, text: str, due: datetime) -> None:
        run = Run(waits_for(text, "timeDate"), facts={"meeting": date(2026, 6, 10)})
        assert (run.next_wake, run.log) == (due, [])
        assert run.until(due).assert_over().log == ["s"]

    def test_an_unknown_date_is_waited_for_and_a_moved_one_followed(self) -> None:
        run = Run(waits_for("${meeting}", "timeDate"))
        assert (run.next_wake, run.standing) == (None, ["t"])
        assert run.set_fact(meeting=date(2026, 6, 10)).next_wake == DATES["${meeting}"]
        assert run.set_fact(meeting=date(2026, 5, 19)).next_wake == datetime(2026, 5, 18, 22, 0, tzinfo=UTC)
        assert run.set_fact(meeting=date(2026, 5, 1)).assert_over().log == ["s"]

    def test_a_date_that_has_passed_fires_at_once(self) -> None:
        Run(waits_for("2020-01-01", "timeDate")).assert_over()

    def test_no_date_is_an_incident(self) -> None:
        with pytest.raises(ElementFailed, match="no date") as failed:
            Run(waits_for("${pause}", "timeDate"), pause="soon")
        assert failed.value.element_id == "t"


@family(
    "timer event",
    "intermediate, with a duration",
    "The token waits so long.",
    *(waits_for(text, "timeDuration") for text in DURATIONS),
)
class TestTimerDuration:
    @pytest.mark.parametrize(("text", "due"), DURATIONS.items())
    def test_it_counts_from_when_the_token_came(self, text: str, due: datetime) -> None:
        run = Run(waits_for(text, "timeDuration"), pause="P2D")
        assert run.next_wake == due
        assert run.until(due).assert_over().log == ["s"]

    def test_it_counts_anew_in_every_round(self) -> None:
        model = process(
            "start>xor xor>t t>a a>xor2 xor2>xor xor2=>end",
            caught("t", timer("P1D")),
            conditions={"xor2>xor": "${again}"},
        )
        run = Run(model).wait(days=1).wait(hours=5).do("a", again=True)
        assert run.next_wake == datetime(2026, 5, 20, 13, 0, tzinfo=UTC)
        run.wait(days=1).do("a", again=False).assert_over()


@family(
    "timer event",
    "intermediate, with a cycle",
    "The token waits until the first of the moments.",
    *(waits_for(text, "timeCycle") for text in CYCLES),
)
class TestTimerCycle:
    @pytest.mark.parametrize(("text", "due"), CYCLES.items())
    def test_it_fires_once_at_the_first_moment(self, text: str, due: datetime) -> None:
        run = Run(waits_for(text, "timeCycle"))
        assert run.next_wake == due
        assert run.until(due).assert_over().log == ["s"]


MESSAGE = process(
    "start>m m>a a>end",
    caught("m", refers("message", "A"), mapping(gives={"y": "${number}"}) + properties(correlationKey="${key}")),
)
MESSAGES = process(
    "start>and and>m and>n m>a n>a a>end", caught("m", refers("message", "A")), caught("n", refers("message", "A"))
)


@family(
    "message event",
    "intermediate catch",
    "The token waits for a message; one message reaches one receiver.",
    MESSAGE,
    MESSAGES,
)
class TestMessageCatch:
    def test_it_waits_for_its_own_message(self) -> None:
        run = Run(MESSAGE, key=7)
        assert run.listens_to == [("message", "A")]
        assert not run.message("A", "8", number=1)
        assert not run.signal("A", number=1)
        assert run.message("A", "7", number=1)
        assert (run.waiting, run.variables["y"], run.listens_to) == (["a"], 1, [])
        run.do("a").assert_over()

    def test_one_message_reaches_one_receiver(self) -> None:
        run = Run(MESSAGES)
        assert run.message("A")
        assert run.standing == ["a", "n"]
        assert run.message("A")
        assert not run.message("A")
        run.do("a").do("a").assert_over()


SIGNALS = process(
    "start>and and>m and>n and>inner m>a n>a inner>a a>end",
    caught("m", refers("signal", "A")),
    caught("n", refers("signal", "A")),
    sub_process("inner", scope("start1>o o>end1", caught("o", refers("signal", "A")))),
)


@family("signal event", "intermediate catch", "Everybody who waits for the signal goes on.", SIGNALS)
class TestSignalCatch:
    def test_everybody_hears_it(self) -> None:
        run = Run(SIGNALS)
        assert not run.signal("B")
        assert run.signal("A", number=5)
        assert (run.waiting, run.variables["number"]) == (["a", "a", "a"], 5)
        run.do("a").do("a").do("a").assert_over()


CONDITION = process("start>and and>c and>a c>b b>end a>end", caught("c", condition("${x > 1 and meeting is not None}")))
PASSING = process(
    "start>and and>c and>s s>t t>end c>b b>end",
    caught("c", condition("${x == 1}")),
    script("s", "x = 1"),
    script("t", "x = 0"),
)


@family("conditional event", "intermediate catch", "The token waits until its condition holds.", CONDITION, PASSING)
class TestConditionalCatch:
    def test_it_goes_on_when_the_data_change(self) -> None:
        run = Run(CONDITION, x=1, meeting="2026-01-01")
        assert run.waiting == ["a"]
        assert run.do("a", x=2).waiting == ["b"]
        run.do("b").assert_over()

    def test_a_condition_that_holds_is_not_waited_for(self) -> None:
        assert Run(CONDITION, x=2, meeting="2026-01-01").waiting == ["a", "b"]

    def test_what_has_no_value_yet_is_waited_for_and_facts_count(self) -> None:
        run = Run(CONDITION, x=2)
        assert run.waiting == ["a"]
        assert run.set_fact(meeting=date(2026, 6, 1)).waiting == ["a", "b"]

    def test_what_held_only_for_a_moment_was_noticed(self) -> None:
        run = Run(PASSING)
        assert (run.waiting, run.variables["x"]) == (["b"], 0)
        run.do("b").assert_over()

    def test_a_condition_that_fails_is_an_incident_there(self) -> None:
        with pytest.raises(ElementFailed) as failed:
            Run(CONDITION, x="two", meeting="2026-01-01")
        assert failed.value.element_id == "c"


LINKS = process(
    "start>and and>a and>b a>out b>out2 in>c c>end",
    thrown("out", plain("link", 'name="L"')),
    thrown("out2", plain("link", 'name="L"')),
    caught("in", plain("link", 'name="L"')),
)
LINK_LOOP = process(
    "start>a a>xor xor>out xor=>end in>a",
    thrown("out", plain("link", 'name="L"')),
    caught("in", plain("link", 'name="L"')),
    conditions={"xor>out": "${again}"},
)


@family(
    "link event",
    "intermediate throw and catch",
    "The token jumps to the catching link of the same name in its scope.",
    LINKS,
    LINK_LOOP,
)
class TestLink:
    def test_every_throw_jumps_to_the_one_catch(self) -> None:
        run = Run(LINKS).do("a")
        assert run.waiting == ["b", "c"]
        assert run.do("b").waiting == ["c", "c"]
        run.do("c").do("c").assert_over()

    def test_it_may_lead_back(self) -> None:
        run = Run(LINK_LOOP)
        for _ in range(3):
            assert run.do("a", again=True).waiting == ["a"]
        run.do("a", again=False).assert_over()


THROWN = {
    kind: process("start>e e>a a>end", thrown("e", refers(kind, "A"), mapping(takes={"number": "${x}"})))
    for kind in ("message", "signal")
}
INTERRUPTS_ITSELF = process(
    "start>inner inner>a a>end heard>b b>end2",
    sub_process("inner", scope("start1>e e>c c>end1", thrown("e", refers("message", "A")))),
    boundary("heard", "inner", refers("message", "A")),
)
PASSED = process("start>e e>a a>end", thrown("e"))


@family("none event", "intermediate throw", "The token passes; the event only names a point that is reached.", PASSED)
class TestNoneThrow:
    def test_the_token_passes(self) -> None:
        assert Run(PASSED).waiting == ["a"]


@family(
    "message event",
    "intermediate throw",
    "A message leaves and the token goes on.",
    THROWN["message"],
    INTERRUPTS_ITSELF,
)
class TestMessageThrow:
    def test_the_message_leaves_once_and_the_token_goes_on(self) -> None:
        run = Run(THROWN["message"], x=3)
        assert [(t.kind, t.name, dict(t.payload)) for t in run.thrown] == [("message", "A", {"number": 3})]
        assert run.waiting == ["a"]
        run.do("a").assert_over()

    def test_it_may_interrupt_the_scope_it_was_thrown_in(self) -> None:
        run = Run(INTERRUPTS_ITSELF)
        assert run.standing == ["b"]
        run.do("b").assert_over()


@family(
    "signal event",
    "intermediate throw",
    "Everybody who waits for the signal hears it and the token goes on.",
    THROWN["signal"],
)
class TestSignalThrow:
    def test_the_signal_leaves_and_the_token_goes_on(self) -> None:
        run = Run(THROWN["signal"], x=3)
        assert [(t.kind, t.name, dict(t.payload)) for t in run.thrown] == [("signal", "A", {"number": 3})]
        assert run.waiting == ["a"]

    def test_all_in_the_case_hear_it(self) -> None:
        model = process(
            "start>and and>m and>n and>e m>a n>a e>b a>end b>end",
            caught("m", refers("signal", "A")),
            caught("n", refers("signal", "A")),
            thrown("e", refers("signal", "A")),
        )
        run = Run(model)
        assert (run.waiting, len(run.thrown)) == (["a", "a", "b"], 1)


ESCALATED = process(
    "start>inner inner>a a>end caught>b b>end2",
    sub_process("inner", scope("start1>e e>c c>end1", thrown("e", refers("escalation", "A")))),
    boundary("caught", "inner", refers("escalation", "A"), interrupting=False),
)
ESCALATED_FOR_GOOD = process(
    "start>inner inner>a a>end caught>b b>end2",
    sub_process("inner", scope("start1>e e>c c>end1", thrown("e", refers("escalation", "A")))),
    boundary("caught", "inner", refers("escalation", "A")),
)
ESCALATED_TO_NOBODY = process("start>e e>a a>end", thrown("e", refers("escalation", "A")))


@family(
    "escalation event",
    "intermediate throw",
    "The nearest event that catches it is told and the token goes on, unless that event interrupts.",
    ESCALATED,
    ESCALATED_FOR_GOOD,
    ESCALATED_TO_NOBODY,
)
class TestEscalationThrow:
    def test_the_token_goes_on(self) -> None:
        run = Run(ESCALATED)
        assert run.waiting == ["b", "inner/c"]
        run.do("inner/c").do("a").do("b").assert_over()

    def test_an_interrupting_catch_ends_the_scope(self) -> None:
        run = Run(ESCALATED_FOR_GOOD)
        assert run.standing == ["b"]
        run.do("b").assert_over()

    def test_nobody_has_to_catch_it(self) -> None:
        assert Run(ESCALATED_TO_NOBODY).waiting == ["a"]
