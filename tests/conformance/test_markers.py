"""Activities that run several times: standard loop and multi-instance."""

from typing import Any

import pytest

from engine.errors import ElementFailed
from tests.conformance.drawing import (
    boundary,
    call,
    condition,
    event,
    handler,
    loop,
    mapping,
    messenger,
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


def looped(marker: str) -> bytes:
    return process("start>s s>end", script("s", "n = n + 1", inner=marker))


def looped_inner(marker: str, *around: str, flows: str = "") -> bytes:
    inner = sub_process("inner", scope("start1>a a>end1"), inner=marker)
    return process(f"start>inner inner>b b>end {flows}", inner, *around)


AFTER = looped(loop("${n < 3}"))
BEFORE = looped(loop("${n < 3}", before=True))
AT_MOST = looped(loop("${True}", maximum="4"))
ONLY_AT_MOST = looped(loop(maximum="4"))
BY_COUNTER = looped(loop("${loopCounter < 3}"))
LOOPED_INNER = looped_inner(loop("${again}"))
LOOPED_USER = process("start>a a>b b>end", user("a", inner=loop("${again}")))
LOOPED_CALL = process("start>c c>end", call("c", "called", inner=loop("${n < 3}")))
COUNTS = process("start>s s>end", script("s", "n = n + 1"), identity="called")
LOOP_WITH_EVENTS = looped_inner(
    loop("${again}"),
    boundary("hit", "inner", refers("message", "A")),
    boundary("tell", "inner", timer("P1D"), interrupting=False),
    flows="hit>c c>end2 tell>d d>end3",
)


@family(
    "standard loop",
    "task, sub-process, call; before and after, with a maximum",
    "The activity runs again while its condition holds, tested before or after each turn, at most so many times.",
    AFTER,
    BEFORE,
    AT_MOST,
    BY_COUNTER,
    LOOPED_INNER,
    LOOPED_USER,
    LOOPED_CALL,
    LOOP_WITH_EVENTS,
    together=(COUNTS,),
)
class TestStandardLoop:
    @pytest.mark.parametrize(
        ("model", "start", "turned"),
        [
            (AFTER, 0, 3),
            (AFTER, 7, 8),
            (BEFORE, 0, 3),
            (BEFORE, 7, 7),
            (AT_MOST, 0, 4),
            (ONLY_AT_MOST, 0, 4),
            (BY_COUNTER, 0, 3),
        ],
    )
    def test_it_turns_while_its_condition_holds(self, model: bytes, start: int, turned: int) -> None:
        assert Run(model, n=start).assert_over().variables["n"] == turned

    def test_people_are_asked_again(self) -> None:
        run = Run(LOOPED_USER)
        for _ in range(3):
            assert run.do("a", again=True).waiting == ["a"]
        assert run.do("a", again=False).waiting == ["b"]

    def test_a_sub_process_turns_as_a_whole(self) -> None:
        run = Run(LOOPED_INNER)
        assert run.waiting == ["inner/a"]
        assert run.do("inner/a", again=True).waiting == ["inner/a"]
        assert run.do("inner/a", again=False).waiting == ["b"]
        run.do("b").assert_over()

    def test_a_called_process_decides_about_the_next_turn(self) -> None:
        assert Run(LOOPED_CALL, COUNTS, n=0).assert_over().variables["n"] == 3

    def test_boundary_events_listen_across_the_turns(self) -> None:
        run = Run(LOOP_WITH_EVENTS).do("inner/a", again=True).wait(days=1)
        assert run.waiting == ["d", "inner/a"]
        assert run.do("inner/a", again=True).next_wake is None, "it fired once for the whole activity"
        assert run.message("A")
        assert run.standing == ["c", "d"]
        run.do("c").do("d").assert_over()

    def test_a_condition_that_fails_is_an_incident(self) -> None:
        with pytest.raises(ElementFailed, match="n is not defined") as failed:
            Run(BEFORE)
        assert failed.value.element_id == "s"


def each(marker: str, *around: str, flows: str = "", **given: str) -> bytes:
    """A sub-process per item, with a user task in it."""
    inner = sub_process("inner", scope("start1>a a>end1"), inner=marker, **given)
    return process(f"start>inner inner>b b>end {flows}", inner, *around)


def each_script(marker: str) -> bytes:
    return process("start>s s>end", script("s", "log = log + [item]\nsquare = item * item", inner=marker))


PARALLEL = each(several())
PARALLEL_SCRIPT = each_script(several(gives=("squares", "square")))
BY_COUNT = process("start>s s>end", script("s", "log = log + [loopCounter]", inner=several(count="${n}")))
BY_LITERAL = process("start>s s>end", script("s", "log = log + [loopCounter]", inner=several(count="3")))
GATHERED = each(several(gives=("answers", "answer")))
ENOUGH = each(several(until="${nrOfCompletedInstances >= 2}"))
HALF = each(several(until="${nrOfCompletedInstances / nrOfInstances >= 0.5}"))
FUNCTIONS = process(
    "start>a a>end hit>b b>end2",
    service("a", inner=several(gives=("results", "result")), extension=mapping(takes={"of": "${item}"})),
    boundary("hit", "a", refers("error", "A")),
)
RECEIVES = process(
    "start>a a>end",
    messenger(
        "receiveTask",
        "a",
        "A",
        inner=several(),
        extension='<camunda:properties><camunda:property name="correlationKey" value="${item}"/></camunda:properties>',
    ),
)
EACH_CALL = process(
    "start>c c>end",
    call("c", "called", '<camunda:out source="y" target="y"/>', inner=several(gives=("results", "y"))),
)
EACH_CALL_ALL = process("start>c c>end", call("c", "called", inner=several(gives=("results", "y"))))
CALLED = process("start>a a>s s>end", user("a"), script("s", "y = item * factor"), identity="called")
NESTED = process(
    "start>outer outer>b b>end",
    sub_process(
        "outer",
        scope(
            "start1>inner inner>end1",
            sub_process(
                "inner",
                scope("start2>a a>end2"),
                inner=several("item.members", "member", gives=("names", "answer")),
            ),
        ),
        inner=several(),
    ),
)
PEOPLE_INSIDE = each(
    several(),
    boundary("late", "inner", timer("P1D")),
    boundary("told", "inner", refers("signal", "A"), interrupting=False),
    flows="late>c c>end2 told>d d>end3",
)
FAILING = process(
    "start>inner inner>b b>end hit>c c>end2",
    sub_process(
        "inner",
        scope(
            "start1>a a>xor1 xor1>no xor1=>end1",
            event("endEvent", "no", refers("error", "A")),
            conditions={"xor1>no": "${answer == 'no'}"},
        ),
        inner=several(),
    ),
    boundary("hit", "inner", refers("error", "A")),
)


@family(
    "multi-instance, parallel",
    "task, sub-process, call; by collection or cardinality",
    "The activity runs once per item, all at once; it is done when all are, or when its completion condition holds.",
    PARALLEL,
    PARALLEL_SCRIPT,
    BY_COUNT,
    BY_LITERAL,
    GATHERED,
    ENOUGH,
    HALF,
    FUNCTIONS,
    RECEIVES,
    EACH_CALL,
    NESTED,
    PEOPLE_INSIDE,
    FAILING,
    together=(CALLED,),
)
class TestParallel:
    def test_each_item_runs_at_once_in_any_order(self) -> None:
        run = Run(PARALLEL, items=["x", "y", "z"])
        assert run.waiting == ["inner[0]/a", "inner[1]/a", "inner[2]/a"]
        assert run.execution.value_at(run.token("inner[1]/a"), "${item}") == "y"
        run.do("inner[2]/a").do("inner[0]/a")
        assert run.waiting == ["inner[1]/a"]
        assert run.do("inner[1]/a").waiting == ["b"]
        assert {"item", "loopCounter"}.isdisjoint(run.variables)
        run.do("b").assert_over()

    def test_no_items_pass_at_once(self) -> None:
        assert Run(PARALLEL, items=[]).waiting == ["b"]
        assert Run(GATHERED, items=[]).variables["answers"] == []

    def test_what_each_gives_is_gathered_in_the_order_of_the_items(self) -> None:
        run = Run(PARALLEL_SCRIPT, items=[1, 2, 3]).assert_over()
        assert (run.log, run.variables["squares"]) == ([1, 2, 3], [1, 4, 9])
        run = Run(GATHERED, items=["x", "y", "z"]).do("inner[2]/a", answer=3).do("inner[0]/a", answer=1)
        run.do("inner[1]/a", answer=2)
        assert (run.variables["answers"], "answer" in run.variables) == ([1, 2, 3], False)

    @pytest.mark.parametrize(("model", "n"), [(BY_COUNT, 3), (BY_LITERAL, 0)])
    def test_a_number_of_instances_will_do(self, model: bytes, n: int) -> None:
        assert Run(model, n=n).assert_over().log == [0, 1, 2]

    @pytest.mark.parametrize(
        ("model", "count", "answers"), [(ENOUGH, 5, 2), (ENOUGH, 1, 1), (HALF, 4, 2), (HALF, 5, 3)]
    )
    def test_enough_withdraws_the_others(self, model: bytes, count: int, answers: int) -> None:
        run = Run(model, items=list(range(count)))
        for number in range(answers):
            assert "b" not in run.waiting
            run.do(f"inner[{number}]/a")
        assert run.standing == ["b"]
        run.do("b").assert_over()

    @pytest.mark.parametrize("items", [None, 5, "text"])
    def test_what_is_no_list_is_an_incident(self, items: Any) -> None:
        with pytest.raises(ElementFailed, match="Expected a list") as failed:
            Run(PARALLEL, items=items)
        assert failed.value.element_id == "inner"

    @pytest.mark.parametrize("n", [-1, "many", 1.5, True, 10_001])
    def test_what_is_no_number_is_an_incident(self, n: Any) -> None:
        with pytest.raises(ElementFailed, match="Expected a whole number"):
            Run(BY_COUNT, n=n)

    def test_functions_get_their_items_and_their_results_are_gathered(self) -> None:
        run = Run(FUNCTIONS, items=["x", "y"])
        assert sorted(w.inputs["of"] for w in run.execution.waiting_services()) == ["x", "y"]
        run.serve("a", result=1).serve("a", result=2).assert_over()
        assert run.variables["results"] == [1, 2]

    def test_an_error_in_one_ends_all(self) -> None:
        run = Run(FUNCTIONS, items=["x", "y"]).fail("a", "A")
        assert (run.standing, run.services) == (["b"], [])
        run = Run(FAILING, items=["x", "y", "z"]).do("inner[1]/a", answer="yes")
        assert run.do("inner[2]/a", answer="no").standing == ["c"]
        run.do("c").assert_over()

    def test_each_sends_what_is_mapped_and_no_more(self) -> None:
        sends = messenger("sendTask", "a", "A", inner=several(), extension=mapping(takes={"to": "${item}"}))
        run = Run(process("start>a a>end", sends), items=["x", "y"]).assert_over()
        assert [dict(t.payload) for t in run.thrown] == [{"to": "x"}, {"to": "y"}]

    def test_each_waits_for_a_message_of_its_own(self) -> None:
        run = Run(RECEIVES, items=["x", "y"])
        assert run.listens_to == [("message", "A"), ("message", "A")]
        assert not run.message("A", "z")
        assert run.message("A", "y")
        assert not run.message("A", "y")
        assert run.message("A", "x")
        run.assert_over()

    @pytest.mark.parametrize("model", [EACH_CALL, EACH_CALL_ALL])
    def test_each_call_has_variables_of_its_own(self, model: bytes) -> None:
        run = Run(model, CALLED, items=[1, 2], factor=10)
        assert run.waiting == ["c[0]/a", "c[1]/a"]
        run.do("c[1]/a", factor=100).do("c[0]/a").assert_over()
        assert run.variables["results"] == [10, 200]

    def test_they_nest(self) -> None:
        run = Run(NESTED, items=[{"members": ["x", "y"]}, {"members": []}, {"members": ["z"]}])
        assert run.waiting == ["outer[0]/inner[0]/a", "outer[0]/inner[1]/a", "outer[2]/inner[0]/a"]
        run.do("outer[0]/inner[1]/a", answer=1).do("outer[2]/inner[0]/a", answer=2).do("outer[0]/inner[0]/a", answer=3)
        assert (run.waiting, run.variables["names"]) == (["b"], [3, 1])

    def test_boundary_events_stand_around_all_of_them(self) -> None:
        run = Run(PEOPLE_INSIDE, items=["x", "y"]).do("inner[0]/a")
        assert run.signal("A")
        assert run.waiting == ["d", "inner[1]/a"]
        assert run.wait(days=1).standing == ["c", "d"]

    def test_terminate_ends_one_instance(self) -> None:
        model = process(
            "start>inner inner>b b>end",
            sub_process(
                "inner",
                scope("start1>and1 and1>a and1>c a>stop c>end1", event("endEvent", "stop", plain("terminate"))),
                inner=several(),
            ),
        )
        run = Run(model, items=["x", "y"]).do("inner[0]/a")
        assert run.waiting == ["inner[1]/a", "inner[1]/c"]
        assert run.do("inner[1]/a").waiting == ["b"]

    def test_each_instance_has_event_sub_processes_of_its_own(self) -> None:
        body = scope("start1>a a>end1", handler("h", condition("${item == wanted}"), ">e e>end2"))
        run = Run(
            process("start>inner inner>b b>end", sub_process("inner", body, inner=several())),
            items=["x", "y"],
            wanted="",
        )
        run.execution.set_variable("", "wanted", "y")
        run.wait(hours=1)
        assert run.waiting == ["inner[0]/a", "inner[1]/h/e"]


SEQUENTIAL = each(several(sequential=True, gives=("answers", "answer"), until="${nrOfCompletedInstances >= limit}"))
SEQUENTIAL_SCRIPT = each_script(several(sequential=True, gives=("squares", "square")))
SEQUENTIAL_FUNCTION = process(
    "start>a a>end", service("a", inner=several(sequential=True, gives=("results", "result")))
)
SEQUENTIAL_CALL = process("start>c c>end", call("c", "called", inner=several(sequential=True, gives=("results", "y"))))


@family(
    "multi-instance, sequential",
    "task, sub-process, call; by collection or cardinality",
    "The activity runs once per item, one after the other, until all are done or its completion condition holds.",
    SEQUENTIAL,
    SEQUENTIAL_SCRIPT,
    SEQUENTIAL_FUNCTION,
    SEQUENTIAL_CALL,
    together=(CALLED,),
)
class TestSequential:
    def test_one_after_the_other(self) -> None:
        run = Run(SEQUENTIAL, items=["x", "y", "z"], limit=9)
        for number in range(3):
            assert run.waiting == [f"inner[{number}]/a"]
            run.do(f"inner[{number}]/a", answer=number)
        assert (run.waiting, run.variables["answers"]) == (["b"], [0, 1, 2])

    def test_enough_begins_no_more(self) -> None:
        run = Run(SEQUENTIAL, items=["x", "y", "z"], limit=1).do("inner[0]/a", answer="ok")
        assert (run.standing, run.variables["answers"]) == (["b"], ["ok", None, None])

    def test_the_items_are_those_there_were_at_the_beginning(self) -> None:
        run = Run(SEQUENTIAL, items=["x", "y"], limit=9).do("inner[0]/a", items=[])
        assert run.execution.value_at(run.token("inner[1]/a"), "${item}") == "y"

    def test_automatic_work_in_order(self) -> None:
        run = Run(SEQUENTIAL_SCRIPT, items=[3, 2, 1]).assert_over()
        assert (run.log, run.variables["squares"]) == ([3, 2, 1], [9, 4, 1])
        assert Run(SEQUENTIAL_SCRIPT, items=[]).assert_over().variables["squares"] == []

    def test_functions_are_asked_one_at_a_time(self) -> None:
        run = Run(SEQUENTIAL_FUNCTION, items=["x", "y"])
        assert run.services == ["a"]
        assert run.serve("a", result=1).services == ["a"]
        assert run.serve("a", result=2).assert_over().variables["results"] == [1, 2]

    def test_calls_one_at_a_time(self) -> None:
        run = Run(SEQUENTIAL_CALL, CALLED, items=[1, 2], factor=10)
        assert run.do("c[0]/a").waiting == ["c[1]/a"]
        assert run.do("c[1]/a").assert_over().variables["results"] == [10, 20]


SEVERAL_PEOPLE = process("start>a a>b b>end", user("a", inner=several()))


@family(
    "multi-instance",
    "user task, manual task",
    "The people are asked at once, or one after the other; to the interpreter that is one activity.",
    SEVERAL_PEOPLE,
)
class TestPeople:
    def test_it_is_one_activity(self) -> None:
        run = Run(SEVERAL_PEOPLE, items=["x", "y"])
        assert run.standing == ["a"]
        assert run.do("a").waiting == ["b"]
