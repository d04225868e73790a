"""The models in workflows/ are complete as drawings and as work."""

import json
import re
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

WORKFLOWS = Path(__file__).parents[2] / "workflows"
MODELS = sorted(WORKFLOWS.glob("*.bpmn"))
FORMS = sorted((WORKFLOWS / "forms").glob("*.json"))

NS = {
    "bpmn": "http://www.omg.org/spec/BPMN/20100524/MODEL",
    "bpmndi": "http://www.omg.org/spec/BPMN/20100524/DI",
    "dc": "http://www.omg.org/spec/DD/20100524/DC",
    "di": "http://www.omg.org/spec/DD/20100524/DI",
    "camunda": "http://camunda.org/schema/1.0/bpmn",
}
BPMN = f"{{{NS['bpmn']}}}"
CAMUNDA = f"{{{NS['camunda']}}}"
FLOW_NODES = (
    "startEvent",
    "endEvent",
    "userTask",
    "callActivity",
    "exclusiveGateway",
    "parallelGateway",
    "intermediateCatchEvent",
    "boundaryEvent",
)
STRUCTURE = ("documentation", "laneSet", "sequenceFlow")
COMPONENTS = {
    "text",
    "group",
    "textfield",
    "textarea",
    "number",
    "radio",
    "select",
    "checklist",
    "checkbox",
    "datetime",
    "filepicker",
    "dynamiclist",
}
PATIENTS = "Ikke skriv pasientopplysninger."

Node = Any  # an lxml element; its stubs cannot express the shape of our documents
Form = dict[str, Any]
Box = tuple[float, float, float, float]

each_model = pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
each_form = pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)


def root(path: Path) -> Node:
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    return etree.parse(str(path), parser).getroot()


def process(path: Path) -> Node:
    (only,) = root(path).findall("bpmn:process", NS)
    return only


def flow_nodes(path: Path) -> dict[str, Node]:
    return {node.get("id"): node for node in process(path) if node.tag.removeprefix(BPMN) in FLOW_NODES}


def flows(path: Path) -> list[Node]:
    return list(process(path).findall("bpmn:sequenceFlow", NS))


def user_tasks(path: Path) -> list[Node]:
    return list(process(path).findall("bpmn:userTask", NS))


def properties(node: Node) -> dict[str, str]:
    found = node.findall("bpmn:extensionElements/camunda:properties/camunda:property", NS)
    return {item.get("name"): item.get("value") for item in found}


def form(key: str) -> Form:
    loaded: Form = json.loads((WORKFLOWS / "forms" / f"{key}.json").read_text(encoding="utf-8"))
    return loaded


def scopes(components: list[Form]) -> Iterator[list[Form]]:
    """The fields that share one namespace of keys: groups belong to their parent, a list has its own rows."""
    here: list[Form] = []
    waiting = list(components)
    while waiting:
        component = waiting.pop(0)
        if component["type"] == "group":
            waiting = component["components"] + waiting
            continue
        here.append(component)
        if component["type"] == "dynamiclist":
            yield from scopes(component["components"])
    yield here


def fields(key: str) -> list[Form]:
    return [component for scope in scopes(form(key)["components"]) for component in scope]


def outcomes(key: str) -> set[str]:
    return {value["value"] for field in fields(key) if field.get("key") == "utfall" for value in field["values"]}


def compared_outcomes(expression: str) -> set[str]:
    """The literals that an expression holds up against `utfall`."""
    found = re.findall(r"utfall\s*(?:==|!=|not in|in)\s*(\[[^\]]*\]|'[^']*')", expression)
    return {literal for part in found for literal in re.findall(r"'([^']*)'", part)}


def forms_of_call(call: Node) -> set[str]:
    called = user_tasks(WORKFLOWS / f"{call.get('calledElement')}.bpmn")
    given = [item.get("sourceExpression") for item in call.iter(f"{CAMUNDA}in")]
    named = {name for text in given for name in re.findall(r"'([^']+)'", text)}
    existing = {path.stem for path in FORMS}
    return {task.get(f"{CAMUNDA}formKey") for task in called} | (named & existing)


def deciding_outcomes(path: Path, gateway: str) -> set[str]:
    """The outcomes of the nearest earlier steps on every path into a gateway."""
    nodes, waiting, seen, found = flow_nodes(path), [gateway], {gateway}, set[str]()
    while waiting:
        target = waiting.pop()
        for source in {flow.get("sourceRef") for flow in flows(path) if flow.get("targetRef") == target}:
            values = set().union(*(outcomes(key) for key in forms_at(nodes[source])))
            found |= values
            if not values and source not in seen:
                waiting.append(source)
                seen.add(source)
    return found


def forms_at(node: Node) -> set[str]:
    if node.tag == f"{BPMN}callActivity":
        return forms_of_call(node)
    return {node.get(f"{CAMUNDA}formKey")} if node.tag == f"{BPMN}userTask" else set()


def boxes(path: Path) -> dict[str, Box]:
    shapes = {}
    for shape in root(path).iter(f"{{{NS['bpmndi']}}}BPMNShape"):
        bounds = shape.find("dc:Bounds", NS)
        x, y, width, height = (float(bounds.get(name)) for name in ("x", "y", "width", "height"))
        shapes[shape.get("bpmnElement")] = (x, y, x + width, y + height)
    return shapes


def edges(path: Path) -> dict[str, list[tuple[float, float]]]:
    found = {}
    for edge in root(path).iter(f"{{{NS['bpmndi']}}}BPMNEdge"):
        points = [(float(point.get("x")), float(point.get("y"))) for point in edge.findall("di:waypoint", NS)]
        found[edge.get("bpmnElement")] = points
    return found


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_the_three_models_are_there() -> None:
    assert {path.stem for path in MODELS} >= {"motesak", "delavtale_evaluering", "fagutvalg_mandat"}


@each_model
def test_file_name_is_the_id_of_an_executable_process(path: Path) -> None:
    assert process(path).get("id") == path.stem
    assert process(path).get("isExecutable") == "true"


@each_model
def test_ids_are_unique_and_references_hold(path: Path) -> None:
    ids = [node.get("id") for node in root(path).iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    for flow in flows(path):
        assert flow.get("sourceRef") in flow_nodes(path)
        assert flow.get("targetRef") in flow_nodes(path)
    for boundary in process(path).findall("bpmn:boundaryEvent", NS):
        assert boundary.get("attachedToRef") in flow_nodes(path)


@each_model
def test_only_elements_the_engine_runs_are_used(path: Path) -> None:
    assert {node.tag.removeprefix(BPMN) for node in process(path)} <= {*FLOW_NODES, *STRUCTURE}


@each_model
def test_every_node_has_a_shape_and_every_flow_an_edge(path: Path) -> None:
    lanes = {lane.get("id") for lane in process(path).iter(f"{BPMN}lane")}
    pools = {pool.get("id") for pool in root(path).iter(f"{BPMN}participant")}
    assert set(boxes(path)) == set(flow_nodes(path)) | lanes | pools
    assert set(edges(path)) == {flow.get("id") for flow in flows(path)}


@each_model
def test_shapes_do_not_overlap_and_edges_run_square(path: Path) -> None:
    drawn = {key: box for key, box in boxes(path).items() if key in flow_nodes(path)}
    hosts = {key: node.get("attachedToRef") for key, node in flow_nodes(path).items()}
    for one, other in combinations(drawn, 2):
        attached = hosts[one] == other or hosts[other] == one
        assert attached or not overlap(drawn[one], drawn[other]), f"{one} lies on {other}"
    for flow, points in edges(path).items():
        for (x1, y1), (x2, y2) in pairwise(points):
            assert x1 == x2 or y1 == y2, f"{flow} has a slanting segment"


@each_model
def test_edges_begin_and_end_at_their_nodes(path: Path) -> None:
    drawn, lines = boxes(path), edges(path)
    for flow in flows(path):
        points = lines[flow.get("id")]
        assert touches(points[0], drawn[flow.get("sourceRef")]), flow.get("id")
        assert touches(points[-1], drawn[flow.get("targetRef")]), flow.get("id")


def touches(point: tuple[float, float], box: Box) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


@each_model
def test_every_node_stands_in_exactly_one_lane_and_inside_it(path: Path) -> None:
    drawn = boxes(path)
    placed = {}
    for lane in process(path).iter(f"{BPMN}lane"):
        for reference in lane.findall("bpmn:flowNodeRef", NS):
            assert reference.text not in placed
            placed[reference.text] = lane.get("id")
    assert set(placed) == set(flow_nodes(path))
    for node, lane_id in placed.items():
        left, top, right, bottom = drawn[lane_id]
        box = drawn[node]
        assert left <= box[0] and top <= box[1] and box[2] <= right and box[3] <= bottom, node


@each_model
def test_every_node_lies_on_a_way_from_start_to_end(path: Path) -> None:
    nodes = flow_nodes(path)
    pairs = [(flow.get("sourceRef"), flow.get("targetRef")) for flow in flows(path)]
    pairs += [(node.get("attachedToRef"), key) for key, node in nodes.items() if node.get("attachedToRef")]
    starts = {key for key, node in nodes.items() if node.tag == f"{BPMN}startEvent"}
    ends = {key for key, node in nodes.items() if node.tag == f"{BPMN}endEvent"}
    assert reached(starts, pairs) == set(nodes)
    assert reached(ends, [(target, source) for source, target in pairs]) == set(nodes)


def reached(start: set[str], pairs: list[tuple[str, str]]) -> set[str]:
    known, before = set(start), set[str]()
    while known != before:
        before = set(known)
        known |= {target for source, target in pairs if source in known}
    return known


@each_model
def test_every_user_task_says_what_by_when_and_with_which_form(path: Path) -> None:
    for task in user_tasks(path):
        assert task.get("name")
        assert (task.findtext("bpmn:documentation", "", NS)).strip(), task.get("id")
        assert re.fullmatch(r"\$\{.+\}", task.get(f"{CAMUNDA}dueDate") or ""), task.get("id")
        key = task.get(f"{CAMUNDA}formKey")
        assert (WORKFLOWS / "forms" / f"{key}.json").exists(), task.get("id")
        assert properties(task)["minutes"] == str(form(key)["properties"]["minutes"]), task.get("id")


@each_model
def test_a_process_starts_with_a_form(path: Path) -> None:
    (start,) = process(path).findall("bpmn:startEvent", NS)
    assert form(start.get(f"{CAMUNDA}formKey"))["id"] == f"{path.stem}_start"


@each_model
def test_a_step_for_many_names_its_item_and_its_result(path: Path) -> None:
    for task in user_tasks(path):
        marker = task.find("bpmn:multiInstanceLoopCharacteristics", NS)
        if marker is None:
            continue
        item = marker.get(f"{CAMUNDA}elementVariable")
        people = task.get(f"{CAMUNDA}assignee") or task.get(f"{CAMUNDA}candidateGroups")
        assert people.startswith(f"${{{item}."), task.get("id")
        assert properties(task)["output"]


@each_model
def test_a_choice_has_a_default_and_conditions_on_the_rest(path: Path) -> None:
    for gateway in process(path).findall("bpmn:exclusiveGateway", NS):
        outgoing = [flow for flow in flows(path) if flow.get("sourceRef") == gateway.get("id")]
        if len(outgoing) == 1:
            continue
        assert gateway.get("name")
        default = [flow for flow in outgoing if flow.get("id") == gateway.get("default")]
        conditions = [flow for flow in outgoing if flow.findtext("bpmn:conditionExpression", None, NS)]
        assert len(default) == 1 and default[0] not in conditions
        assert len(conditions) == len(outgoing) - 1
        assert all(flow.get("name") for flow in outgoing)


@each_model
def test_conditions_ask_for_outcomes_that_the_forms_offer(path: Path) -> None:
    for flow in flows(path):
        asked = compared_outcomes(flow.findtext("bpmn:conditionExpression", "", NS))
        assert asked <= deciding_outcomes(path, flow.get("sourceRef")), flow.get("id")


@each_model
def test_a_plan_can_answer_every_step_that_has_an_outcome(path: Path) -> None:
    for task in user_tasks(path):
        key, planned = task.get(f"{CAMUNDA}formKey"), properties(task).get("planOutcome", "")
        answers = dict(part.strip().split("=") for part in planned.split(";") if part)
        assert set(answers) <= {field.get("key") for field in fields(key)}
        assert ("utfall" in answers) == bool(outcomes(key)), task.get("id")
        assert not outcomes(key) or answers["utfall"] in outcomes(key), task.get("id")


@each_model
def test_a_call_leads_to_a_model_and_a_form_that_exist(path: Path) -> None:
    for call in process(path).findall("bpmn:callActivity", NS):
        given = {item.get("target"): item.get("sourceExpression") for item in call.iter(f"{CAMUNDA}in")}
        assert (WORKFLOWS / f"{call.get('calledElement')}.bpmn").exists()
        assert "meeting" in given
        if "treatment_form" in given:
            assert form(given["treatment_form"].strip("${}'"))


def test_every_form_is_used() -> None:
    used = set[str | None]()
    for path in MODELS:
        for node in flow_nodes(path).values():
            used |= {node.get(f"{CAMUNDA}formKey"), *forms_at(node)}
    assert {path.stem for path in FORMS} == {key for key in used if key}


@each_form
def test_form_has_its_files_name_and_known_components(path: Path) -> None:
    assert form(path.stem)["id"] == path.stem
    assert form(path.stem)["properties"]["minutes"] > 0
    for field in fields(path.stem):
        assert field["type"] in COMPONENTS
        assert field["type"] == "text" or field["label"]


@each_form
def test_keys_are_unique_within_their_rows(path: Path) -> None:
    for scope in scopes(form(path.stem)["components"]):
        keys = [component.get("key") or component.get("path") for component in scope if component["type"] != "text"]
        assert None not in keys
        assert len(keys) == len(set(keys))


@each_form
def test_choices_have_alternatives(path: Path) -> None:
    for field in fields(path.stem):
        if field["type"] in {"radio", "select", "checklist"}:
            assert bool(field.get("values")) != bool(field.get("valuesKey")), field["key"]
        if field.get("key") == "utfall":
            assert field["type"] == "radio" and field["validate"]["required"]


@each_form
def test_free_text_warns_against_patient_data(path: Path) -> None:
    for field in fields(path.stem):
        if field["type"] == "textarea":
            assert PATIENTS in field["description"], field["key"]


@each_form
def test_hidden_fields_ask_for_outcomes_that_the_form_offers(path: Path) -> None:
    for field in fields(path.stem):
        hide = field.get("conditional", {}).get("hide", "")
        assert compared_outcomes(hide) <= outcomes(path.stem), field
