"""The import gate: what no test proves to run as drawn is refused, with element, line and remedy.

Errors refuse a deployment; warnings tell what no engine error would show.
"""

from collections.abc import Iterator, Mapping

from lxml import etree

from engine.bpmn.expressions import ExpressionError, parse
from engine.bpmn.reading import BPMN, CAMUNDA, Model, expressions_of, is_literal, is_own_due_date, line_of, tag
from engine.errors import Finding

#: Elements of a process that run with the standard's meaning, and those that only document.
RUNS = {
    "startEvent", "endEvent", "userTask", "exclusiveGateway", "parallelGateway", "intermediateCatchEvent",
    "boundaryEvent", "callActivity", "subProcess", "sequenceFlow",
}  # fmt: skip
DOCUMENTS = {
    "laneSet", "documentation", "extensionElements", "textAnnotation", "association", "group", "dataObject",
    "dataObjectReference", "ioSpecification", "property",
}  # fmt: skip
_MARKERS = {"standardLoopCharacteristics", "multiInstanceLoopCharacteristics"}


def lint(model: Model, *, forms: Mapping[str, object], known_processes: frozenset[str]) -> list[Finding]:
    """Everything to say about `model`, errors first. `known_processes` are the ids that may be called."""
    process = next(p for p in model.root.iter(tag("process")) if p.get("id") == model.process_id)
    findings = [
        *_ids(process),
        *_elements(process),
        *_events(process),
        *_markers(process),
        *_gateways(process),
        *_flows(process),
        *_expressions(process),
        *_tasks(model, process, forms),
        *_calls(model, process, known_processes),
        *_diagram(model, process),
    ]
    return sorted(findings, key=lambda f: (f.severity != "error", f.line or 0))


def _finding(rule: str, element: etree._Element, message: str, remedy: str, *, warning: bool = False) -> Finding:
    return Finding(
        rule=rule, severity="warning" if warning else "error", element=element.get("id"), name=element.get("name"),
        line=line_of(element), message=message, remedy=remedy,
    )  # fmt: skip


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname


def _flow_elements(scope: etree._Element) -> Iterator[etree._Element]:
    for child in scope:
        if isinstance(child.tag, str) and child.tag.startswith(f"{{{BPMN}}}"):
            yield child
            if _local(child) in ("subProcess", "transaction", "adHocSubProcess"):
                yield from _flow_elements(child)


def _ids(process: etree._Element) -> Iterator[Finding]:
    seen: set[str] = set()
    for element in process.iter():
        identity = element.get("id")
        if identity is not None and identity in seen:
            yield _finding("id", element, f"The id {identity} is used more than once.", "Give each element its own.")
        seen.add(identity or "")


def _elements(process: etree._Element) -> Iterator[Finding]:
    for element in _flow_elements(process):
        kind = _local(element)
        if kind in RUNS | DOCUMENTS or kind in ("incoming", "outgoing") or kind in _MARKERS:
            continue
        yield _finding(
            "element", element, f"{kind} does not run yet.", "Use a user task, a gateway, a timer or a call."
        )
    for element in process.iter(tag("subProcess")):
        if element.get("triggeredByEvent") == "true":
            yield _finding("element", element, "Event sub-processes do not run yet.", "Use a boundary event.")
    if not process.findall(tag("startEvent")):
        yield _finding("start", process, "The process has no start event.", "Add one start event.")
    if len(process.findall(tag("startEvent"))) > 1:
        yield _finding("start", process, "The process has several start events.", "Keep one.")
    if not process.findall(tag("endEvent")):
        yield _finding("end", process, "The process has no end event.", "Add an end event.")


def _events(process: etree._Element) -> Iterator[Finding]:
    for event in process.iter(tag("startEvent"), tag("endEvent"), tag("intermediateCatchEvent"), tag("boundaryEvent")):
        definitions = [c for c in event if isinstance(c.tag, str) and _local(c).endswith("EventDefinition")]
        kind = _local(event)
        if kind in ("startEvent", "endEvent"):
            if definitions:
                yield _finding(
                    "event", event, f"A {kind} with {_local(definitions[0])} does not run yet.", "Use a plain event."
                )
            continue
        if [_local(d) for d in definitions] != ["timerEventDefinition"]:
            yield _finding("event", event, f"Only timers run on a {kind}.", "Use one timer with a timeDate.")
        elif definitions[0].find(tag("timeDate")) is None:
            yield _finding("timer", event, "Only timers with a date run yet.", "State a timeDate expression.")
        elif kind == "boundaryEvent":
            yield from _boundary(process, event, definitions[0])


def _boundary(process: etree._Element, event: etree._Element, timer: etree._Element) -> Iterator[Finding]:
    host = process.find(f".//*[@id='{event.get('attachedToRef')}']")
    if host is None or _local(host) != "userTask":
        yield _finding("boundary", event, "Boundary timers run on user tasks only.", "Attach it to a user task.")
    if event.get("cancelActivity", "true") != "true":
        yield _finding(
            "boundary", event, "A non-interrupting boundary timer does not run yet.", "Make it interrupting."
        )
    if not is_own_due_date(timer.findtext(tag("timeDate"))):
        yield _finding("boundary", event, "A boundary timer waits for its task's due date.", "Write ${due}.")


def _markers(process: etree._Element) -> Iterator[Finding]:
    for element in process.iter(tag("standardLoopCharacteristics")):
        yield _finding("loop", element.getparent(), "Standard loops do not run yet.", "Draw the loop with a gateway.")  # type: ignore[arg-type]
    for marker in process.iter(tag("multiInstanceLoopCharacteristics")):
        host = marker.getparent()
        assert host is not None
        if _local(host) != "userTask":
            yield _finding("multi", host, "Multi-instance runs on user tasks only.", "Move the marker to a user task.")
        if not marker.get(f"{{{CAMUNDA}}}collection"):
            yield _finding("multi", host, "The multi-instance task names no collection.", "Set camunda:collection.")


def _gateways(process: etree._Element) -> Iterator[Finding]:
    leaving: dict[str | None, list[etree._Element]] = {}
    for flow in process.iter(tag("sequenceFlow")):
        leaving.setdefault(flow.get("sourceRef"), []).append(flow)
    choosing = {g.get("id"): g for g in process.iter(tag("exclusiveGateway")) if len(leaving.get(g.get("id"), ())) > 1}
    for source, flows in leaving.items():
        gateway = choosing.get(source)
        for flow in flows:
            yield from _condition(flow, gateway)
    for identity, gateway in choosing.items():
        if gateway.get("default") not in [flow.get("id") for flow in leaving[identity]]:
            yield _finding("default", gateway, "The gateway has no default flow.", "Mark one flow as default.")


def _condition(flow: etree._Element, gateway: etree._Element | None) -> Iterator[Finding]:
    conditional = flow.find(tag("conditionExpression")) is not None
    if gateway is None:
        if conditional:
            message = "A condition counts only where an exclusive gateway chooses between flows."
            yield _finding("condition", flow, message, "Remove the condition, or draw a gateway.")
    elif conditional and gateway.get("default") == flow.get("id"):
        yield _finding("condition", flow, "The default flow has a condition.", "Remove it: it is what is left.")
    elif not conditional and gateway.get("default") not in (None, flow.get("id")):
        message = "The flow has no condition and is not the default."
        yield _finding("condition", flow, message, "State a condition.")


def _flows(process: etree._Element) -> Iterator[Finding]:
    nodes = [e for e in _flow_elements(process) if _local(e) in RUNS - {"sequenceFlow"}]
    ids = {n.get("id") for n in nodes}
    sources, targets = [], set()
    for flow in process.iter(tag("sequenceFlow")):
        sources.append(flow.get("sourceRef"))
        targets.add(flow.get("targetRef"))
        for end in ("sourceRef", "targetRef"):
            if flow.get(end) not in ids:
                yield _finding("flow", flow, f"The flow's {end} names nothing.", "Draw the flow again.")
    for node in nodes:
        kind, identity = _local(node), node.get("id")
        if kind not in ("startEvent", "boundaryEvent") and identity not in targets:
            yield _finding("unreachable", node, "Nothing leads here.", "Connect or remove it.")
        if kind != "endEvent" and identity not in sources:
            yield _finding("dead-end", node, "Nothing leads on from here.", "Connect it to an end event.")
        if kind not in ("exclusiveGateway", "parallelGateway") and sources.count(identity) > 1:
            yield _finding("several-flows", node, "Several flows leave this element.", "Put a gateway after it.")


def _expressions(process: etree._Element) -> Iterator[Finding]:
    for element, place, source in expressions_of(process):
        if is_literal(source) and place in ("camunda:assignee", "camunda:candidateGroups", "property approver"):
            continue
        try:
            parse(source)
        except ExpressionError as error:
            yield _finding("expression", element, f"{place}: {error}", "See the reference of expressions.")


def _tasks(model: Model, process: etree._Element, forms: Mapping[str, object]) -> Iterator[Finding]:
    elements = {e.get("id"): e for e in process.iter(tag("userTask"))}
    for task in model.user_tasks.values():
        element = elements[task.id]
        if task.form_key and task.form_key not in forms:
            yield _finding("form", element, f"There is no form {task.form_key}.", f"Add forms/{task.form_key}.json.")
        if not (task.assignee or task.candidate_groups or task.role):
            yield _finding("performer", element, "Nobody performs the task.", "Put it in a lane or name an assignee.")
        if not task.due_date:
            yield _finding("due", element, "The task has no due date.", "State camunda:dueDate.", warning=True)
        if task.closes and not task.due_date:
            yield _finding(
                "due", element, "A timer closes the task at a due date it does not have.", "State camunda:dueDate."
            )


def _calls(model: Model, process: etree._Element, known: frozenset[str]) -> Iterator[Finding]:
    for element in process.iter(tag("callActivity")):
        called = model.calls[element.get("id", "")].called
        if called not in known:
            yield _finding(
                "call", element, f"It calls {called or 'nothing'}, which is not deployed.", "Deploy that model too."
            )
        if called == model.process_id:
            yield _finding("call", element, "The process calls itself.", "Draw the loop with a gateway.")


def _diagram(model: Model, process: etree._Element) -> Iterator[Finding]:
    if model.root.find(".//{http://www.omg.org/spec/BPMN/20100524/DI}BPMNShape") is None:
        yield _finding("diagram", process, "The model has no diagram.", "Save it from a modeler.", warning=True)
