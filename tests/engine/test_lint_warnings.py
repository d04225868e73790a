"""What lint warns of, because no engine error would show it; and what it must not warn of."""

from collections.abc import Mapping
from typing import Any

import pytest

from engine.bpmn.lint import MAX_FINDINGS, lint
from engine.bpmn.reading import read
from engine.errors import Finding
from tests.engine.drawing import call, closes, event, extended, gateway, model, node, scope, several, sub_process, task
from tests.engine.gate_drawing import ASK, CHOICE, DATE, DECLARED, FORKED, attached, replaced
from tests.engine.lab import FORM
from tests.world import sources

OTHER = task("other", 'camunda:dueDate="${meeting}"')
PARALLEL, CHOOSING = gateway("p", kind="parallel"), gateway("x", "other")
CHOSEN = {"x>ask": "${utfall}"}


def told(xml: bytes, **known: Any) -> list[Finding]:
    given = {"forms": {"svar": FORM}, "known_processes": frozenset({"annen"}), **known}
    return lint(read(xml), **given)


def warnings(xml: bytes, rule: str, **known: Any) -> list[str | None]:
    """Elements that the rule warns of."""
    found = [f for f in told(xml, **known) if f.rule == rule]
    assert all(f.severity == "warning" and f.message and f.remedy for f in found)
    return [f.element for f in found]


# --- paths ------------------------------------------------------------------------------------------------------------


def test_what_nothing_leads_to_is_named() -> None:
    assert warnings(model("start>ask ask>end other>end2", ASK, OTHER), "unreachable") == ["end2", "other"]
    circle = model("start>ask ask>end other>third third>other", ASK, OTHER, node("task", "third"))
    assert warnings(circle, "unreachable") == ["other", "third"]


def test_boundary_events_links_and_event_sub_processes_are_reached() -> None:
    link = '|name="A"'
    drawn = model(
        "start>ask ask>jump it>end2 land>end",
        ASK,
        closes("it", "ask"),
        event("intermediateThrowEvent", "link", attributes=link, identity="jump"),
        event("intermediateCatchEvent", "link", attributes=link, identity="land"),
        scope(
            "in>out",
            event("startEvent", "message", attributes='|messageRef="m"', identity="in"),
            node("endEvent", "out"),
            attributes='triggeredByEvent="true"',
            identity="listen",
        ),
        declared=DECLARED,
    )
    assert warnings(drawn, "unreachable") == []
    assert warnings(drawn, "dead-end") == []


def test_a_path_without_end_event_is_named() -> None:
    assert warnings(model("start>ask", ASK), "dead-end") == ["ask"]
    assert warnings(model("start>ask ask>end", ASK, closes("it", "ask")), "dead-end") == ["it"]


JOINS: Mapping[str, tuple[bytes, list[str]]] = {
    "a parallel join of a choice": (
        model("start>x x>ask x>other ask>p other>p p>end", CHOOSING, PARALLEL, ASK, OTHER, conditions=CHOSEN), ["p"],
    ),
    "a parallel join of a task and what interrupts it": (
        model("start>ask ask>p it>p p>end", PARALLEL, ASK, closes("it", "ask")), ["p"],
    ),
    "a choice joined after parallel paths": (
        model("start>p p>ask p>other ask>j other>j j>end", PARALLEL, gateway("j"), ASK, OTHER), ["j"],
    ),
    "a task after parallel paths": (
        model("start>p p>ask p>other ask>t other>t t>end", PARALLEL, node("task", "t"), ASK, OTHER), ["t"],
    ),
    "a task after several flows of a task": (
        model("start>ask ask>other ask>t other>t t>end", node("task", "t"), ASK, OTHER), ["t"],
    ),
    "a parallel join of parallel paths": (
        model("start>p p>ask p>other ask>j other>j j>end", PARALLEL, gateway("j", kind="parallel"), ASK, OTHER), [],
    ),
    "a choice joined": (
        model("start>x x>ask x>other ask>j other>j j>end", CHOOSING, gateway("j"), ASK, OTHER, conditions=CHOSEN), [],
    ),
    "a choice inside a parallel path": (
        model("start>p p>x p>t x>ask x>other ask>m other>m m>j t>j j>end", PARALLEL, CHOOSING, ASK, OTHER,
              gateway("m"), node("task", "t"), gateway("j", kind="parallel"), conditions=CHOSEN),
        [],
    ),
    "a loop": (
        model("start>m m>ask ask>x x>m x>end", gateway("m"), ASK, gateway("x", "end"), conditions={"x>m": "${utfall}"}),
        [],
    ),
    "parallel paths that end in the same event": (
        model("start>p p>ask p>other ask>end other>end", PARALLEL, ASK, OTHER), [],
    ),
    "an inclusive join": (
        model("start>p p>ask p>other ask>j other>j j>end", PARALLEL, gateway("j", kind="inclusive"), ASK, OTHER), [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", JOINS)
def test_a_join_of_another_kind_than_its_split_is_named(name: str) -> None:
    drawn, expected = JOINS[name]
    assert warnings(drawn, "join") == expected


def test_a_choice_without_default_is_named() -> None:
    assert warnings(model(FORKED, gateway("g"), ASK, conditions=CHOICE), "default") == ["g"]
    assert warnings(model("start>ask ask>end", ASK, conditions={"ask>end": "${a}"}), "default") == ["ask"]
    assert warnings(model(FORKED, gateway("g", "end"), ASK, conditions={"g>ask": "${a}"}), "default") == []


@pytest.mark.parametrize(
    ("drawn", "element"),
    [
        (attached("error"), "it"),
        (attached("escalation"), "it"),
        (attached("escalation", node("serviceTask", "ask", "", 'camunda:expression="${1}"')), "it"),
        (attached("cancel", scope("in>out", node("startEvent", "in"), node("endEvent", "out"), kind="transaction",
                                  identity="ask")), "it"),
    ],
)  # fmt: skip
def test_an_event_that_never_happens_is_named(drawn: bytes, element: str) -> None:
    assert warnings(drawn, "never") == [element]


def test_an_error_of_what_can_fail_is_no_matter() -> None:
    for host in (sub_process("ask", "a"), call("ask", "annen"), node("serviceTask", "ask", "", 'camunda:topic="t"')):
        assert warnings(attached("error", host), "never") == []


# --- people, groups, diagrams -----------------------------------------------------------------------------------------


def test_a_task_without_due_date_is_named() -> None:
    assert warnings(model("start>ask ask>end", task("ask")), "due") == ["ask"]


def test_an_unknown_group_is_named_where_the_groups_are_known() -> None:
    drawn = replaced("isExecutable", 'camunda:candidateStarterGroups="sekretariat, feil" isExecutable',
                     model("start>ask ask>end", task("ask", 'camunda:candidateGroups="ukjent"')))  # fmt: skip
    assert warnings(drawn, "group") == []
    assert warnings(drawn, "group", known_groups={"sekretariat"}) == ["prove", "ask"]
    assert warnings(drawn, "group", known_groups={"sekretariat", "feil", "ukjent"}) == []


def test_a_priority_that_is_no_number_is_named() -> None:
    assert warnings(model("start>ask ask>end", task("ask", 'camunda:priority="${viktig}"')), "value") == ["ask"]
    assert warnings(model("start>ask ask>end", task("ask", 'camunda:priority="70"')), "value") == []


SHAPES = (
    '<i:BPMNDiagram xmlns:i="http://www.omg.org/spec/BPMN/20100524/DI"><i:BPMNPlane bpmnElement="prove">{}'
    "</i:BPMNPlane></i:BPMNDiagram></bpmn:definitions>"
)


def drawn_with(*shapes: str) -> bytes:
    inner = "".join(f'<i:BPMNShape bpmnElement="{shape}"/>' for shape in shapes)
    return replaced("</bpmn:definitions>", SHAPES.format(inner))


def test_a_missing_diagram_is_named() -> None:
    assert warnings(model("start>ask ask>end", ASK), "diagram") == ["prove"]
    assert warnings(drawn_with("start", "ask", "end"), "diagram") == []


def test_what_is_drawn_and_not_there_and_what_is_there_and_not_drawn_is_named() -> None:
    found = [f.message for f in told(drawn_with("start", "ask", "borte")) if f.rule == "diagram"]
    assert found == ["The element is not drawn.", "The diagram draws borte, which is not in the model."]


# --- functions and decisions: errors, where they are known ------------------------------------------------------------


def test_an_unknown_function_is_refused_where_the_functions_are_known() -> None:
    drawn = model("start>it it>end", node("serviceTask", attributes='camunda:type="external" camunda:topic="regn"'))
    assert [f.rule for f in told(drawn) if f.severity == "error"] == []
    assert [f.rule for f in told(drawn, known_functions=set()) if f.severity == "error"] == ["function"]
    assert [f.rule for f in told(drawn, known_functions={"regn"}) if f.severity == "error"] == []


def test_an_unknown_decision_is_refused_where_the_decisions_are_known() -> None:
    drawn = model("start>it it>end", node("businessRuleTask", attributes='camunda:decisionRef="trinn"'))
    assert [f.rule for f in told(drawn) if f.severity == "error"] == []
    assert [f.rule for f in told(drawn, decisions=set()) if f.severity == "error"] == ["decision"]
    assert [f.rule for f in told(drawn, decisions={"trinn"}) if f.severity == "error"] == []


# --- names ------------------------------------------------------------------------------------------------------------


def unset(xml: bytes, *known: str) -> list[str]:
    found = [f for f in told(xml, known_names=frozenset(known)) if f.rule == "name"]
    assert all(f.severity == "warning" and f.remedy for f in found)
    return [f.message for f in found]


def deciding(source: str, *before: str, flows: str = "start>t t>x x>ask x>end ask>end") -> bytes:
    return model(flows, *before, gateway("x", "end"), task("ask"), conditions={"x>ask": source})


def test_a_name_that_nothing_sets_is_named() -> None:
    drawn = deciding("${utfal == 1 and ssu}", node("task", "t"))
    assert unset(drawn, "ssu") == ["conditionExpression: nothing sets utfal."]
    assert unset(drawn, "ssu", "utfal") == []
    assert [f for f in told(drawn) if f.rule == "name"] == []  # nobody said what is known


@pytest.mark.parametrize(
    "before",
    [
        task("t", 'camunda:formKey="svar"'),
        node("scriptTask", "t", "<bpmn:script>utfall = 1</bpmn:script>"),
        extended("task", '<camunda:executionListener event="end"><camunda:script>utfall = 1</camunda:script>'
                 "</camunda:executionListener>", identity="t"),
        node("serviceTask", "t", "", 'camunda:expression="${1}" camunda:resultVariable="utfall"'),
        node("businessRuleTask", "t", "", 'camunda:decisionRef="d" camunda:resultVariable="utfall"'),
        extended("task", '<camunda:inputOutput><camunda:outputParameter name="utfall">${1}</camunda:outputParameter>'
                 "</camunda:inputOutput>", identity="t"),
        extended("callActivity", '<camunda:out source="vedtak" target="utfall"/>', "", 'calledElement="annen"', "t"),
        task("t", inner=several(), properties={"output": "utfall"}).replace("${items}", "${[1]}"),
        # What these bring, nobody can know from the model.
        call("t", "annen"),
        node("receiveTask", "t", "", 'messageRef="m"'),
        node("serviceTask", "t", "", 'camunda:type="external" camunda:topic="regn"'),
        node("businessRuleTask", "t", "", 'camunda:decisionRef="d"'),
    ],
)  # fmt: skip
def test_a_name_that_something_sets_is_not_named(before: str) -> None:
    drawn = replaced("<bpmn:process ", DECLARED + "<bpmn:process ", deciding("${utfall == 1}", before))
    assert unset(drawn) == []


def test_what_the_engine_knows_is_not_named() -> None:
    marker = several("${[1]}", "party", condition="${nrOfInstances > 1}")
    asking = task("ask", 'camunda:dueDate="${party.date}"', inner=marker)
    assert unset(model("start>ask ask>end it>end2", asking, closes("it", "ask"))) == []


def test_the_projects_own_models_give_no_warning_at_all() -> None:
    from web.commands import START_NAMES

    for source in sources():
        called = {"treatment_title", "treatment_form"}
        assert told(source.xml, forms=source.forms, known_processes={"motesak"}, known_names=START_NAMES | called) == []


# --- how much is told -------------------------------------------------------------------------------------------------


def test_errors_come_first_and_what_is_too_much_is_counted() -> None:
    many = "".join(node("complexGateway", f"g{number}") for number in range(300))
    found = told(model("start>end", many, node("task", "last")))
    assert len(found) == MAX_FINDINGS + 1
    assert [f.severity for f in found[:MAX_FINDINGS]] == ["error"] * MAX_FINDINGS
    assert (found[-1].rule, found[-1].severity, found[-1].message) == ("many", "error", "And 103 more findings.")


def test_findings_stand_in_the_order_of_the_file() -> None:
    found = told(model("start>a a>end b>end2", "\n", node("task", "a", DATE), "\n", node("complexGateway", "b")))
    errors = [f.line or 0 for f in found if f.severity == "error"]
    assert errors == sorted(errors)
    assert [f.severity for f in found] == sorted(f.severity for f in found)
