"""Tasks, and the flows into and out of them."""

import pytest

from engine.bpmn.decisions import read_decisions
from engine.errors import ElementFailed
from tests.conformance.drawing import (
    boundary,
    listener,
    mapping,
    messenger,
    node,
    process,
    properties,
    refers,
    script,
    service,
    timer,
    user,
)
from tests.conformance.families import family
from tests.conformance.running import Run

ABSTRACT = process("start>a a>s s>end", node("task", "a"), script("s"))
LISTENED = process(
    "start>a a>s s>end",
    node("task", "a", extension=listener("start", "log = log + ['before']") + listener("end", "log = log + ['after']")),
    script("s"),
)


@family("task (abstract)", "process", "No work is specified: the token passes at once.", ABSTRACT, LISTENED)
class TestAbstractTask:
    def test_the_token_passes_at_once(self) -> None:
        assert Run(ABSTRACT).assert_over().log == ["s"]

    def test_its_listeners_run_around_it(self) -> None:
        assert Run(LISTENED).assert_over().log == ["before", "after", "s"]


USER = process(
    "start>a a>b b>end",
    user("a", extension=mapping(takes={"half": "${whole / 2}"}, gives={"double": "${answer * 2}"})),
    user("b"),
)


@family("user task", "process", "The token waits until people have done the work.", USER)
class TestUserTask:
    def test_it_waits_for_people_one_after_the_other(self) -> None:
        run = Run(USER, whole=10)
        assert run.waiting == ["a"]
        assert run.do("a", answer=4).waiting == ["b"]
        assert run.do("b").assert_over().variables["double"] == 8

    def test_what_is_mapped_in_is_seen_by_it_alone(self) -> None:
        run = Run(USER, whole=10)
        assert run.execution.value_at(run.token("a"), "${half}") == 5
        assert "half" not in run.do("a", answer=4).variables

    def test_it_is_not_completed_twice(self) -> None:
        run = Run(USER, whole=10)
        token = run.token("a")
        run.do("a", answer=1)
        with pytest.raises(ElementFailed, match="does not wait"):
            run.execution.complete(token, {})

    def test_a_mapping_that_fails_is_an_incident_at_the_task(self) -> None:
        with pytest.raises(ElementFailed, match="whole") as failed:
            Run(USER)
        assert (failed.value.element_id, failed.value.call_path) == ("a", "")


MANUAL = process("start>a a>end", node("manualTask", "a", 'camunda:assignee="person0"'))


@family("manual task", "process", "The token waits until a person says that the work outside is done.", MANUAL)
class TestManualTask:
    def test_it_waits_for_a_person(self) -> None:
        run = Run(MANUAL)
        assert run.waiting == ["a"]
        run.do("a").assert_over()


FUNCTION = process(
    "start>a a>s s>end caught>s2 s2>end2",
    service("a", extension=mapping(takes={"number": "${x + 1}"}, gives={"y": "${result * 10}"})),
    boundary("caught", "a", refers("error", "A")),
    script("s"),
    script("s2"),
)
BY_EXPRESSION = process(
    "start>a a>end", node("serviceTask", "a", 'camunda:expression="${x * 2}" camunda:resultVariable="y"')
)


@family(
    "service task",
    "process",
    "A registered function, or an expression, does the work; its error can be caught.",
    FUNCTION,
    BY_EXPRESSION,
)
class TestServiceTask:
    def test_the_function_gets_what_is_mapped_and_its_result_is_mapped_back(self) -> None:
        run = Run(FUNCTION, x=1)
        waiting = run.service("a")
        assert (waiting.topic, dict(waiting.inputs)) == ("topic", {"number": 2})
        run.serve("a", result=4).assert_over()
        assert (run.variables["y"], run.log) == (40, ["s"])

    def test_an_error_of_the_function_goes_to_the_boundary_event(self) -> None:
        run = Run(FUNCTION, x=1).fail("a", "A").assert_over()
        assert (run.log, "number" in run.variables) == (["s2"], False)

    def test_an_error_that_nothing_catches_is_an_incident(self) -> None:
        with pytest.raises(ElementFailed, match="Nothing catches the error B") as failed:
            Run(FUNCTION, x=1).fail("a", "B")
        assert failed.value.element_id == "a"

    def test_an_expression_is_evaluated_at_once(self) -> None:
        assert Run(BY_EXPRESSION, x=21).assert_over().variables["y"] == 42


SCRIPT = process("start>a a>end", script("a", "total = 1\nif x > 2:\n    total = total + x\nelse:\n    total = 0"))


@family("script task", "process", "A script of the safe language sets variables.", SCRIPT)
class TestScriptTask:
    @pytest.mark.parametrize(("x", "total"), [(5, 6), (1, 0)])
    def test_it_sets_variables(self, x: int, total: int) -> None:
        assert Run(SCRIPT, x=x).assert_over().variables["total"] == total

    def test_what_it_can_not_do_is_an_incident_and_sets_nothing(self) -> None:
        with pytest.raises(ElementFailed, match="x is not defined") as failed:
            Run(SCRIPT)
        assert failed.value.element_id == "a"
        assert "total" not in failed.value.data


SEND = process("start>a a>end", messenger("sendTask", "a", "A", extension=mapping(takes={"number": "${x}"})))
SEND_INSIDE = process(
    "start>and and>a and>got a>and2 got>and2 and2>end",
    messenger("sendTask", "a", "A", extension=mapping(takes={"number": "${7}"})),
    messenger("receiveTask", "got", "A"),
)


@family("send task", "process", "A message leaves, with what is mapped as its content.", SEND, SEND_INSIDE)
class TestSendTask:
    def test_the_message_leaves_the_case(self) -> None:
        run = Run(SEND, x=3).assert_over()
        assert [(t.kind, t.name, dict(t.payload)) for t in run.thrown] == [("message", "A", {"number": 3})]

    def test_a_receiver_in_the_same_case_is_reached_once_and_nobody_else(self) -> None:
        run = Run(SEND_INSIDE).assert_over()
        assert (run.variables["number"], run.thrown) == (7, [])


RECEIVE = process(
    "start>a a>s s>end late>end2", messenger("receiveTask", "a", "A"), script("s"), boundary("late", "a", timer("P1D"))
)
RECEIVE_MAPPED = process(
    "start>a a>end",
    messenger(
        "receiveTask", "a", "A", extension=mapping(gives={"y": "${number + 1}"}) + properties(correlationKey="${key}")
    ),
)


@family("receive task", "process", "The token waits for a message.", RECEIVE, RECEIVE_MAPPED)
class TestReceiveTask:
    def test_it_waits_for_its_message_and_no_other(self) -> None:
        run = Run(RECEIVE)
        assert run.listens_to == [("message", "A")]
        assert not run.message("B")
        assert run.message("A", number=2)
        assert (run.assert_over().variables["number"], run.log) == (2, ["s"])

    def test_a_deadline_ends_the_waiting(self) -> None:
        run = Run(RECEIVE).wait(days=1).assert_over()
        assert (run.log, run.message("A")) == ([], False)

    def test_the_content_is_mapped_and_the_correlation_must_agree(self) -> None:
        run = Run(RECEIVE_MAPPED, key="larvik")
        assert not run.message("A", "siljan", number=1)
        assert run.message("A", "larvik", number=1)
        run.assert_over()
        assert (run.variables["y"], "number" in run.variables) == (2, False)


SIZE = """<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" name="d" namespace="n">
    <decision id="size" name="size"><decisionTable id="t" hitPolicy="UNIQUE">
    <input id="i"><inputExpression id="ie"><text>x</text></inputExpression></input>
    <output id="o" name="label"/>
    <rule id="r1"><inputEntry id="e1"><text>&lt; 10</text></inputEntry>
    <outputEntry id="o1"><text>"small"</text></outputEntry></rule>
    <rule id="r2"><inputEntry id="e2"><text>&gt;= 10</text></inputEntry>
    <outputEntry id="o2"><text>"large"</text></outputEntry></rule>
    </decisionTable></decision></definitions>"""
DECISION = read_decisions(SIZE.encode())
RULE = process(
    "start>a a>end",
    node(
        "businessRuleTask",
        "a",
        'camunda:decisionRef="size" camunda:resultVariable="y" camunda:mapDecisionResult="singleEntry"',
    ),
)


@family("business rule task", "process", "A decision table decides from the variables.", RULE, decisions={"size": SIZE})
class TestBusinessRuleTask:
    @pytest.mark.parametrize(("x", "label"), [(9, "small"), (10, "large")])
    def test_the_decision_gives_a_variable(self, x: int, label: str) -> None:
        assert Run(RULE, decisions=DECISION, x=x).assert_over().variables["y"] == label

    def test_a_decision_without_its_input_is_an_incident(self) -> None:
        with pytest.raises(ElementFailed) as failed:
            Run(RULE, decisions=DECISION)
        assert failed.value.element_id == "a"


FORK = process("start>a a>b a>c b>end c>end2")
MERGE = process("start>and and>a and>b a>c b>c c>end", user("c"))
CHOICE = process(
    "start>a a>b a>c a=>d a>e b>end c>end e>end d>end",
    conditions={"a>b": "${x > 1}", "a>c": "${x > 2}", "a>e": "${x > 3}"},
)
BESIDE = process("start>a a>b a>c b>end c>end", conditions={"a>b": "${x > 1}"})


@family(
    "sequence flow",
    "several out of or into a task",
    "Every flow out is taken; every token in runs the task.",
    FORK,
    MERGE,
)
class TestSeveralFlows:
    def test_several_flows_out_are_taken_at_once(self) -> None:
        run = Run(FORK).do("a")
        assert run.waiting == ["b", "c"]
        assert run.do("c").waiting == ["b"]
        run.do("b").assert_over()

    def test_every_token_that_comes_in_runs_the_task(self) -> None:
        run = Run(MERGE).do("a")
        assert run.waiting == ["b", "c"]
        assert run.do("b").waiting == ["c", "c"]
        assert run.do("c").waiting == ["c"]
        run.do("c").assert_over()


@family(
    "sequence flow",
    "conditional, out of a task",
    "Every flow whose condition is met is taken, with those that have none; the default only where none is.",
    CHOICE,
    BESIDE,
)
class TestConditionalFlowsFromTasks:
    @pytest.mark.parametrize(("x", "taken"), [(4, ["b", "c", "e"]), (3, ["b", "c"]), (2, ["b"]), (1, ["d"])])
    def test_every_flow_whose_condition_is_met_is_taken(self, x: int, taken: list[str]) -> None:
        assert Run(CHOICE, x=x).do("a").waiting == taken

    def test_a_name_nothing_has_set_takes_the_default(self) -> None:
        assert Run(CHOICE).do("a").waiting == ["d"]

    def test_the_answer_itself_may_decide(self) -> None:
        assert Run(CHOICE).do("a", x=2).waiting == ["b"]

    def test_beside_a_flow_without_condition_none_has_to_be_met(self) -> None:
        assert Run(BESIDE, x=2).do("a").waiting == ["b", "c"]
        assert Run(BESIDE, x=1).do("a").waiting == ["c"]

    def test_without_default_an_undefined_name_is_an_incident(self) -> None:
        with pytest.raises(ElementFailed, match="x is not defined") as failed:
            Run(BESIDE).do("a")
        assert failed.value.element_id == "a"


SELF = process("start>a a>a a=>end", conditions={"a>a": "${again}"})


@family("sequence flow", "from a task to itself", "The task runs again.", SELF)
class TestFlowToItself:
    def test_the_task_runs_until_the_answer_says_enough(self) -> None:
        run = Run(SELF)
        for _ in range(3):
            assert run.do("a", again=True).waiting == ["a"]
        run.do("a", again=False).assert_over()
