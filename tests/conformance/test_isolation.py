"""Cases on one specification share nothing, and neither do threads."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from engine.bpmn.execution import Thrown
from tests.conformance.drawing import (
    boundary,
    call,
    handler,
    loop,
    process,
    refers,
    scope,
    script,
    several,
    sub_process,
    timer,
    user,
)
from tests.conformance.running import NOW, Run, compiled

EVERYTHING = process(
    "start>and and>each and>again and>c each>and2 again>and2 c>and2 and2>xor xor>b xor=>end b>end late>d d>end2",
    sub_process(
        "each", scope("start1>a a>s s>end1", user("a"), script("s", "total = total + weight")), inner=several()
    ),
    sub_process("again", scope("start2>e e>end3"), inner=loop("${turns < 3}")),
    call("c", "called", '<camunda:out source="y" target="y"/>'),
    boundary("late", "each", timer("P5D"), interrupting=False),
    handler("tick", timer("R/P1D", "timeCycle"), ">t t>end4", script("t", "ticks = ticks + 1"), interrupting=False),
    handler("stop", refers("signal", "A"), ">f f>end5"),
    conditions={"xor>b": "${total > 2}"},
)
CALLED = process("start>x x>y y>end", user("x"), script("y", "y = weight * 2"), identity="called")


def begun(weight: int) -> Run:
    return Run(EVERYTHING, CALLED, items=[1, 2], weight=weight, turns=0, total=0, ticks=0)


def lived(weight: int, *, stopped: bool = False) -> tuple[object, ...]:
    """One case's life from beginning to end; what came of it."""
    run = begun(weight)
    run.do("each[1]/a").do("again/e", turns=1).wait(days=1)
    run.do("c/x").do("again/e", turns=2).wait(days=1)
    if stopped:
        assert run.signal("A")
        run.do("stop/f")
    else:
        run.do("again/e", turns=3).wait(days=3).do("each[0]/a").do("d")
        if weight > 1:
            run.do("b")
    run.assert_over()
    return tuple(run.variables[name] for name in ("weight", "total", "turns", "ticks", "y"))


def test_two_cases_in_turn_do_what_each_does_alone() -> None:
    first, second = begun(1), begun(10)
    for run in (first, second):
        run.do("each[1]/a")
    second.wait(days=1)
    assert (first.variables["ticks"], second.variables["ticks"]) == (0, 1)
    assert first.signal("A")
    assert first.standing == ["stop", "stop/f"]
    assert second.waiting == ["again/e", "c/x", "each[0]/a"]
    first.do("stop/f").assert_over()
    second.do("c/x").do("each[0]/a")
    assert (second.variables["total"], second.variables["y"], second.waiting) == (20, 20, ["again/e"])


def test_a_case_after_one_that_was_interrupted_is_whole() -> None:
    expected = lived(1), lived(3)
    lived(2, stopped=True)
    assert (lived(1), lived(3)) == expected == ((1, 2, 3, 3, 2), (3, 6, 3, 3, 6))


def test_eight_threads_on_one_specification() -> None:
    compiled(EVERYTHING, CALLED)
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda n: lived(n % 5, stopped=n % 3 == 0), range(48)))
    alone = [lived(n % 5, stopped=n % 3 == 0) for n in range(48)]
    assert results == alone


def test_a_specification_is_not_changed_by_what_runs_on_it() -> None:
    specification = compiled(EVERYTHING, CALLED)
    before = {name: sorted(scope.task_specs) for name, scope in specification.subprocesses.items()}
    lived(1)
    lived(1, stopped=True)
    assert {name: sorted(scope.task_specs) for name, scope in specification.subprocesses.items()} == before


def test_variables_of_one_case_are_not_those_of_another_that_began_with_the_same_list() -> None:
    shared = ["x"]
    first = Run(process("start>s s>a a>end", script("s", "items = items + ['y']")), items=shared)
    assert (first.variables["items"], shared) == (["x", "y"], ["x"])


def test_every_document_along_the_way_leads_to_the_same_end() -> None:
    """A case that is restored from each of its documents goes on as the one that was never saved."""
    run = begun(4)
    documents = [run.execution.save()]
    for place in ("each[0]/a", "c/x"):
        run.do(place)
        documents.append(run.execution.save())
    for position, document in enumerate(documents):
        run.now = NOW + timedelta(days=9)
        restored = run.restore(document)
        restored.advance()
        assert restored.variables()["ticks"] == 1, "missed repetitions come once"
        restored.deliver(Thrown(kind="signal", name="A", correlation="", payload={}))
        restored.advance()
        assert [w.call_path for w in restored.waiting()] == ["stop"], position
