"""Activities: who does them, what they call or ask, and how often they run."""

from collections.abc import Collection, Iterator, Mapping

from lxml import etree

from engine.bpmn.documents import CAMUNDA, NS, shown, tag
from engine.bpmn.lint_drawing import ACTIVITIES, PEOPLE, Drawing, Node, finding
from engine.bpmn.lint_elements import MAX_KEY
from engine.bpmn.reading import UserTaskElement
from engine.errors import Finding

#: Formats of scripts that mean the language of expressions.
FORMATS = frozenset({"", "avtaleflyt", "python"})
_STANDARD_PERFORMERS = ("resourceRole", "performer", "humanPerformer", "potentialOwner")


def tasks(
    drawing: Drawing,
    forms: Mapping[str, object],
    known_processes: Collection[str],
    decisions: Collection[str] | None,
    known_groups: Collection[str] | None,
    known_functions: Collection[str] | None,
) -> Iterator[Finding]:
    """Everything about activities. What is None is not checked."""
    user_tasks = drawing.model.user_tasks
    for node in drawing.nodes(*ACTIVITIES):
        if node.kind in PEOPLE:
            yield from _performers(node, user_tasks[node.id], known_groups)
            yield from _due(node, user_tasks[node.id])
            yield from _form(node, user_tasks[node.id], forms)
        elif node.kind == "serviceTask":
            yield from _service(node, known_functions)
        elif node.kind == "scriptTask":
            yield from _script(node)
        elif node.kind == "businessRuleTask":
            yield from _rule(node, decisions)
        elif node.kind == "callActivity":
            yield from _call(drawing, node, known_processes)
        elif node.kind == "receiveTask" and node.element.get("instantiate") == "true":
            yield finding("element", node, "A receive task that starts a process does not run.", "Draw a start event.")
        yield from _markers(node)
    yield from _starts(drawing, forms, known_groups)


def _camunda(element: etree._Element, name: str) -> str:
    return element.get(f"{{{CAMUNDA}}}{name}", "").strip()


# --- people -----------------------------------------------------------------------------------------------------------


def _performers(node: Node, task: UserTaskElement, groups: Collection[str] | None) -> Iterator[Finding]:
    if not (task.assignee or task.candidate_groups or task.role):
        yield finding("performer", node, "Nobody performs the task.", "Put it in a lane or name an assignee.")
    for name in _STANDARD_PERFORMERS:
        if node.child(name) is not None:
            message = f"Who performs a task is not read from {name}."
            yield finding("performer", node, message, "Use a lane, camunda:assignee or camunda:candidateGroups.")
    group = (task.candidate_groups or "").strip()
    if "${" in group or not group:
        return
    if "," in group:
        yield finding("group", node, "The task names several groups.", "Name one, or make a group of them.")
    elif groups is not None and group not in groups:
        yield finding(
            "group", node, f"There is no group {shown(group)}.", "Choose a group that is there.", warning=True
        )


def _due(node: Node, task: UserTaskElement) -> Iterator[Finding]:
    if not task.due_date and task.closes:
        message = "A timer closes the task at a due date it does not have."
        yield finding("due", node, message, "State camunda:dueDate.")
    elif not task.due_date:
        yield finding("due", node, "The task has no due date.", "State camunda:dueDate.", warning=True)
    priority = _camunda(node.element, "priority")
    if priority and not priority.isdecimal():
        message = f"The priority {shown(priority)} is no whole number; the task gets the usual one."
        yield finding("value", node, message, "Write a whole number.", warning=True)


def _form(node: Node, task: UserTaskElement, forms: Mapping[str, object]) -> Iterator[Finding]:
    chosen = (task.properties.get("form") or "").strip()
    for key in (task.form_key, None if "${" in chosen else chosen):
        yield from _known_form(node, key, forms)


def _known_form(where: Node | etree._Element, key: str | None, forms: Mapping[str, object]) -> Iterator[Finding]:
    if not key:
        return
    if len(key) > MAX_KEY:
        yield finding("long", where, f"The form's key has more than {MAX_KEY} characters.", "Shorten it.")
    elif key not in forms:
        yield finding("form", where, f"There is no form {shown(key)}.", f"Add forms/{shown(key)}.json.")


def _starts(drawing: Drawing, forms: Mapping[str, object], groups: Collection[str] | None) -> Iterator[Finding]:
    for start in drawing.nodes("startEvent"):
        if start.scope.node is None:
            yield from _known_form(start, _camunda(start.element, "formKey"), forms)
    for group in drawing.model.starter_groups if groups is not None else ():
        if group not in (groups or ()):
            message = f"There is no group {shown(group)} that could start it."
            yield finding("group", drawing.process, message, "Choose a group that is there.", warning=True)


# --- what is done by the engine ---------------------------------------------------------------------------------------


def _service(node: Node, functions: Collection[str] | None) -> Iterator[Finding]:
    topic, kind = _camunda(node.element, "topic"), _camunda(node.element, "type")
    if not topic and not _camunda(node.element, "expression"):
        message = "The service task names no function."
        yield finding("service", node, message, "State camunda:topic, a registered function, or camunda:expression.")
    elif topic and kind != "external":
        yield finding("service", node, "A topic needs camunda:type external.", 'Set camunda:type="external".')
    elif topic and functions is not None and topic not in functions:
        listed = f"Functions are: {', '.join(sorted(functions))}." if functions else "No functions are registered."
        yield finding("function", node, f"There is no function {shown(topic)}.", listed)


def _script(node: Node) -> Iterator[Finding]:
    if not (node.element.findtext(tag("script")) or "").strip():
        yield finding("script", node, "The script task has no script.", "Write one, or use a plain task.")
    yield from script_format(node, node.element.get("scriptFormat", ""))


def script_format(node: Node, scripts: str) -> Iterator[Finding]:
    """Refuse a script in another language than ours."""
    if scripts.strip().lower() not in FORMATS:
        message = f"Scripts in {shown(scripts)} do not run."
        yield finding("script", node, message, "Write it in the language of expressions, and leave out scriptFormat.")


def _rule(node: Node, decisions: Collection[str] | None) -> Iterator[Finding]:
    decision = _camunda(node.element, "decisionRef")
    if not decision or "${" in decision:
        message = "The business rule task names no decision."
        yield finding("decision", node, message, "State camunda:decisionRef, the decision's id.")
    elif decisions is not None and decision not in decisions:
        yield finding("decision", node, f"There is no decision {shown(decision)}.", "Add its DMN file.")
    mapped = _camunda(node.element, "mapDecisionResult")
    if mapped not in ("", "singleEntry", "singleResult"):
        message = f"mapDecisionResult {shown(mapped)} does not run."
        yield finding("decision", node, message, "Choose singleEntry or singleResult.")


def _call(drawing: Drawing, node: Node, known: Collection[str]) -> Iterator[Finding]:
    called = drawing.model.calls[node.id].called
    if called == drawing.model.process_id:
        yield finding("call", node, "The process calls itself.", "Draw the loop with a gateway.")
    elif called not in known:
        message = f"It calls {shown(called) or 'nothing'}, which is not deployed."
        yield finding("call", node, message, "Deploy that model too.")
    mapped = [("in", b) for b in node.element.findall("bpmn:extensionElements/camunda:in", NS)]
    mapped += [("out", b) for b in node.element.findall("bpmn:extensionElements/camunda:out", NS)]
    for direction, binding in mapped:
        whole = binding.get("variables") == "all" or (direction == "in" and binding.get("businessKey"))
        if not whole and not (binding.get("target") and (binding.get("source") or binding.get("sourceExpression"))):
            message = f"A camunda:{direction} needs a source and a target."
            yield finding("mapping", node, message, "State both.", at=binding)
        elif direction == "out" and binding.get("variables") == "all" and _names_some(node):
            message = "All variables come back, or those that are named; not both."
            yield finding("mapping", node, message, "Remove one of them.", at=binding)


def _names_some(node: Node) -> bool:
    return node.element.find("bpmn:extensionElements/camunda:out[@target]", NS) is not None


# --- markers ----------------------------------------------------------------------------------------------------------


def _markers(node: Node) -> Iterator[Finding]:
    loop, several = node.child("standardLoopCharacteristics"), node.child("multiInstanceLoopCharacteristics")
    if node.is_event_sub_process and (loop is not None or several is not None):
        yield finding("multi", node, "An event sub-process runs once per event.", "Remove the marker.")
    elif loop is not None and several is not None:
        yield finding("multi", node, "The element has two markers.", "Keep one.")
    elif loop is not None:
        yield from _loop(node, loop)
    elif several is not None:
        yield from _several(node, several)


def _loop(node: Node, loop: etree._Element) -> Iterator[Finding]:
    condition, maximum = (loop.findtext(tag("loopCondition")) or "").strip(), loop.get("loopMaximum")
    if not condition and maximum is None:
        yield finding("loop", node, "The loop never ends.", "State a loopCondition or a loopMaximum.")
    if maximum is not None and not (maximum.isdecimal() and maximum.isascii() and 0 < len(maximum) <= len("10000")):
        yield finding("loop", node, f"loopMaximum is {shown(maximum)!r}.", "Write a whole number.")


def _several(node: Node, marker: etree._Element) -> Iterator[Finding]:
    listed = _camunda(marker, "collection") or (marker.findtext(tag("loopDataInputRef")) or "").strip()
    counted = (marker.findtext(tag("loopCardinality")) or "").strip()
    if node.kind in PEOPLE and not listed:
        yield finding("multi", node, "The task does not say whom to ask.", "Set camunda:collection.")
    elif not listed and not counted:
        yield finding("multi", node, "It does not say how many.", "Set camunda:collection or loopCardinality.")
    result, item = marker.find(tag("loopDataOutputRef")), marker.find(tag("outputDataItem"))
    if node.kind in PEOPLE and (result is not None or item is not None):
        message = "Answers of several people are not collected in a variable."
        yield finding("multi", node, message, "Use the property output: it counts them.")
    elif (result is None) != (item is None):
        message = "loopDataOutputRef and outputDataItem only work together."
        yield finding("multi", node, message, "State both, or neither.")
    if marker.get("behavior", "All") != "All":
        message = f"The behavior {shown(marker.get('behavior', ''))} does not run."
        yield finding("multi", node, message, "Draw an event after it.")
