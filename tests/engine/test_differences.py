"""What differs between two versions: found where it is, named once, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.bpmn.blank import blank
from engine.bpmn.differences import Content, Difference, differences
from engine.errors import ModelRefused
from tests.engine.drawing import call, closes, gateway, model, several, task, timer

ROOT = Path(__file__).parents[2]
ASK = ("start>ask ask>end", task("ask", 'camunda:dueDate="${meeting}"'))


def compared(old: bytes, new: bytes, **given: Any) -> list[Difference]:
    return differences(Content(xml=old.decode()), Content(xml=new.decode(), **given))


def said(found: list[Difference]) -> list[tuple[str, str, str]]:
    return [(d.kind, d.element_id, d.what) for d in found]


def test_a_version_does_not_differ_from_itself() -> None:
    for path in sorted((ROOT / "workflows").glob("*.bpmn")):
        assert compared(path.read_bytes(), path.read_bytes()) == []


def test_a_step_put_in_between_is_added_and_the_way_is_rerouted() -> None:
    old = model(*ASK)
    new = model("start>ask ask>again again>end", ASK[1], task("again"))
    assert said(compared(old, new)) == [
        ("added", "again", ""),
        ("added", "ask_again", ""),
        ("added", "again_end", ""),
        ("removed", "ask_end", ""),
    ]


def test_a_flow_that_leads_elsewhere_says_from_where_to_where() -> None:
    old = model("start>ask ask>end", ASK[1], task("other"))
    new = Content(xml=old.decode().replace('sourceRef="ask" targetRef="end"', 'sourceRef="ask" targetRef="other"'))
    (found,) = differences(Content(xml=old.decode()), new)
    assert (found.element_type, found.what, found.old, found.new) == ("sequenceFlow", "targetRef", "end", "other")
    assert found.element_name == "ask → other"


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (task("ask", 'camunda:dueDate="${meeting}"'), task("ask", 'camunda:dueDate="${ssu}"'), "camunda:dueDate"),
        (task("ask", 'camunda:assignee="a"'), task("ask", 'camunda:assignee="b"'), "camunda:assignee"),
        (task("ask", 'camunda:formKey="a"'), task("ask", 'camunda:formKey="b"'), "camunda:formKey"),
        (task("ask", 'camunda:priority="1"'), task("ask", 'camunda:priority="2"'), "camunda:priority"),
        (task("ask"), task("ask").replace('name="ask"', 'name="Spør"'), "name"),
        (
            task("ask", properties={"reminders": "5"}),
            task("ask", properties={"reminders": "5,1"}),
            "property reminders",
        ),
        (task("ask", properties={"approver": "a"}), task("ask", properties={"approver": "b"}), "property approver"),
        (
            task("ask", inner="<bpmn:documentation>Før</bpmn:documentation>"),
            task("ask", inner="<bpmn:documentation>Etter</bpmn:documentation>"),
            "documentation",
        ),
        (task("ask", inner=several("${a}")), task("ask", inner=several("${b}")), "camunda:collection"),
        (
            task("ask", inner=several(condition="${a}")),
            task("ask", inner=several(condition="${b}")),
            "completionCondition",
        ),
        (task("ask", inner=several()), task("ask", inner=several(sequential=True)), "isSequential"),
        (timer("ask", "${meeting}"), timer("ask", "${ssu}"), "timeDate"),
        (call("ask", "one"), call("ask", "two"), "calledElement"),
        (call("ask", "one", meeting="${ssu}"), call("ask", "one", meeting="${au}"), "in meeting"),
    ],
)
def test_a_changed_property_is_named(old: str, new: str, what: str) -> None:
    found = compared(model(ASK[0], old), model(ASK[0], new))
    assert said(found) == [("changed", "ask", what)]
    assert found[0].old != found[0].new


def test_a_changed_condition_and_default_are_named() -> None:
    flows = "start>g g>ask g>end ask>end2"
    old = model(flows, gateway("g", "end"), task("ask"), conditions={"g>ask": "${a}"})
    new = model(flows, gateway("g", "ask"), task("ask"), conditions={"g>end": "${a}"})
    assert {(d.element_id, d.what, d.old, d.new) for d in compared(old, new)} == {
        ("g", "default", "g → end", "g → ask"),
        ("g_ask", "conditionExpression", "${a}", ""),
        ("g_end", "conditionExpression", "", "${a}"),
    }


def test_a_boundary_timer_that_is_new_or_moved_to_another_task_is_told() -> None:
    tasks = ("start>ask ask>again again>end c>end2", task("ask"), task("again"))
    old, new = model(*tasks, closes("c", "ask")), model(*tasks, closes("c", "again"))
    assert said(compared(old, new)) == [("changed", "c", "attachedToRef")]
    without = model("start>ask ask>again again>end", task("ask"), task("again"))
    assert ("added", "c", "") in said(compared(without, old))


def test_another_role_is_told_by_its_name() -> None:
    text = blank("prove", "Prøve")
    moved = text.replace("<bpmn:flowNodeRef>first_step</bpmn:flowNodeRef>", "").replace(
        "</bpmn:lane>",
        '</bpmn:lane><bpmn:lane id="au" name="AU"><bpmn:flowNodeRef>first_step</bpmn:flowNodeRef></bpmn:lane>',
    )
    found = differences(Content(xml=text), Content(xml=moved))
    assert [(d.kind, d.element_id, d.old, d.new) for d in found] == [
        ("added", "au", "", ""),
        ("changed", "first_step", "Sekretariatet", "AU"),
    ]


def test_another_type_is_a_change_of_the_same_element() -> None:
    old, new = model(*ASK), model(ASK[0], '<bpmn:manualTask id="ask" name="ask" camunda:dueDate="${meeting}"/>')
    assert [row for row in said(compared(old, new)) if row[2] == "type"] == [("changed", "ask", "type")]


def test_what_is_only_redrawn_is_moved_and_comes_last() -> None:
    text = blank("prove", "Prøve")
    redrawn = text.replace('x="400" y="140"', 'x="410" y="140"').replace('name="Saken er ferdig"', 'name="Ferdig"')
    found = differences(Content(xml=text), Content(xml=redrawn))
    assert said(found) == [("changed", "end", "name"), ("moved", "first_step", "")]


def test_what_modelers_write_or_leave_out_as_they_please_is_no_difference() -> None:
    old = model("start>ask ask>end c>end2", task("ask", inner=several()), closes("c", "ask")).decode()
    new = old.replace('isSequential="false" ', "").replace(
        'attachedToRef="ask"', 'attachedToRef="ask" cancelActivity="true"'
    )
    assert old != new
    assert differences(Content(xml=old), Content(xml=new)) == []


def test_forms_are_compared_field_by_field() -> None:
    def form(*components: dict[str, Any]) -> dict[str, Any]:
        return {"id": "svar", "type": "default", "components": list(components)}

    outcome = {"type": "radio", "key": "utfall", "label": "Utfall"}
    inner = {"type": "textfield", "key": "navn", "label": "Navn"}
    old = Content(xml=model(*ASK).decode(), forms={"svar": form(outcome, inner), "gammelt": form()})
    group = {"type": "group", "label": "Hvem", "components": [{**inner, "validate": {"required": True}}]}
    new = Content(xml=old.xml, forms={"svar": form({**outcome, "label": "Hva nå?"}, group), "nytt": form()})
    found = differences(old, new)
    assert {(d.kind, d.element_id, d.what) for d in found if d.what != "text 1"} >= {
        ("changed", "svar", "field utfall"),
        ("changed", "svar", "field navn"),
        ("added", "nytt", ""),
        ("removed", "gammelt", ""),
    }
    assert {d.element_type for d in found} == {"form"}


def test_decisions_are_compared_line_by_line() -> None:
    old = Content(xml=model(*ASK).decode(), decisions={"hvem": "<a>\n<b>1</b>\n</a>"})
    new = Content(xml=old.xml, decisions={"hvem": "<a>\n<b>2</b>\n</a>", "ny": "<a/>"})
    assert [(d.kind, d.element_id, d.old, d.new) for d in differences(old, new)] == [
        ("changed", "hvem", "<b>1</b>", "<b>2</b>"),
        ("added", "ny", "", ""),
    ]


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ModelRefused):
        differences(Content(xml=model(*ASK).decode()), Content(xml="<html/>"))


def test_a_deep_and_wide_model_is_compared_without_recursion() -> None:
    deep = "<bpmn:extensionElements>" + "<camunda:x>" * 200 + "</camunda:x>" * 200 + "</bpmn:extensionElements>"
    wide = "".join(task(f"t{n}") for n in range(3000))
    old = model(ASK[0], task("ask", inner=deep), wide)
    assert compared(old, model(ASK[0], task("ask", inner=deep), wide, task("last"))) != []


def test_forms_of_the_project_are_read_whole() -> None:
    text = model(*ASK).decode()
    for path in sorted((ROOT / "workflows" / "forms").glob("*.json")):
        form = json.loads(path.read_text())
        assert differences(Content(xml=text, forms={"f": form}), Content(xml=text, forms={"f": form})) == []
