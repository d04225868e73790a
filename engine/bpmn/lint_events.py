"""Where which event may stand, and what it needs there."""

from collections.abc import Iterator

from engine.bpmn import timers
from engine.bpmn.documents import shown, tag
from engine.bpmn.event_definitions import dangling_reference, definitions_in
from engine.bpmn.expressions import ExpressionError, parse
from engine.bpmn.lint_drawing import ACTIVITIES, PEOPLE, SUB_PROCESSES, Drawing, Node, Scope, finding
from engine.calendar import Calendar
from engine.errors import Finding

#: Which events run where. `start` is the process's own, `trigger` begins an event sub-process.
_ALLOWED = {
    "start": frozenset({"none", "message", "signal", "timer"}),
    "inner start": frozenset({"none"}),
    "trigger": frozenset({"message", "signal", "timer", "error", "escalation", "conditional"}),
    "intermediateCatchEvent": frozenset({"message", "signal", "timer", "conditional", "link"}),
    "intermediateThrowEvent": frozenset({"none", "message", "signal", "escalation", "link"}),
    "boundaryEvent": frozenset({"message", "signal", "timer", "error", "escalation", "conditional", "cancel"}),
    "endEvent": frozenset({"none", "message", "signal", "error", "escalation", "terminate", "cancel"}),
}
_CALLED = {
    "start": "the start of a process", "inner start": "the start of a sub-process",
    "trigger": "the start of an event sub-process", "intermediateCatchEvent": "a catching event between two elements",
    "intermediateThrowEvent": "a throwing event between two elements", "boundaryEvent": "a boundary event",
    "endEvent": "an end event",
}  # fmt: skip
_PLACES = ("startEvent", "intermediateCatchEvent", "intermediateThrowEvent", "boundaryEvent", "endEvent")
_TIMES = ("timeDate", "timeDuration", "timeCycle")
#: What may make an error or escalation rise to an event that sits on it.
_RAISES = {
    "error": SUB_PROCESSES | {"callActivity", "serviceTask"},
    "escalation": SUB_PROCESSES | {"callActivity"},
}


def events(drawing: Drawing) -> Iterator[Finding]:
    """Everything about events, and about the event sub-processes that they begin."""
    for node in drawing.nodes(*_PLACES):
        yield from _place(node)
        yield from _references(drawing, node)
        if node.event == "timer":
            yield from _timer(drawing, node)
        if node.event == "conditional" and node.definition and not node.definition.condition:
            yield finding("condition", node, "The conditional event has no condition.", "State one.")
    for node in drawing.nodes("sendTask", "receiveTask"):
        yield from _references(drawing, node)
    for node in drawing.nodes("boundaryEvent"):
        yield from _boundary(node)
    for node in drawing.nodes("endEvent"):
        if node.event == "cancel" and not _has_cancel_above(node.scope):
            message = "A cancel end event stands only inside a transaction that has a cancel boundary event."
            yield finding("event", node, message, "Draw the transaction and its boundary event.")
    for scope in drawing.scopes:
        yield from _links(scope)
        if scope.is_event_sub_process:
            yield from _event_sub_process(scope)


def _place(node: Node) -> Iterator[Finding]:
    place = _where(node)
    if node.event == "multiple" or node.element.get("parallelMultiple") == "true":
        yield finding("event", node, "An event with several definitions does not run.", "Draw one event for each.")
    elif node.child("eventDefinitionRef") is not None:
        message = "An event definition that stands elsewhere in the file does not run."
        yield finding("event", node, message, "Put the definition into the event.")
    elif node.event == "none" and "none" not in _ALLOWED[place]:
        yield finding("event", node, f"{_CALLED[place].capitalize()} needs something to wait for.", "Give it a type.")
    elif node.event not in _ALLOWED[place]:
        message = f"{node.event} does not run as {_CALLED[place]}."
        yield finding("event", node, message, f"Here run: {', '.join(sorted(_ALLOWED[place]))}.")


def _where(node: Node) -> str:
    if node.kind != "startEvent":
        return node.kind
    if node.scope.node is None:
        return "start"
    return "trigger" if node.scope.is_event_sub_process else "inner start"


def _references(drawing: Drawing, node: Node) -> Iterator[Finding]:
    parts = [node.element] if node.kind in ("sendTask", "receiveTask") else definitions_in(node.element)
    dangling = [reference for part in parts if (reference := dangling_reference(part, drawing.declared))]
    if dangling:
        message = f"It refers to {shown(dangling[0])}, which the file does not declare."
        yield finding("message", node, message, "Choose a message, signal, error or escalation that is there.")
    elif node.event in ("message", "signal") and node.definition and not node.definition.name.strip():
        yield finding("message", node, f"It names no {node.event}.", f"Choose the {node.event}, and give it a name.")
    elif node.event == "link" and node.definition and not node.definition.name:
        yield finding("link", node, "The link has no name.", "Give both of its ends the same name.")


# --- timers -----------------------------------------------------------------------------------------------------------


def _timer(drawing: Drawing, node: Node) -> Iterator[Finding]:
    definition = definitions_in(node.element)[0]
    times = [part for name in _TIMES for part in definition.findall(tag(name))]
    text = node.definition.timer if node.definition else ""
    if len(times) != 1 or not text:
        yield finding("timer", node, "The timer needs one date, duration or cycle.", "Write one, such as PT1H.")
    elif node.definition and node.definition.is_own_due_date:
        yield from _closing(node, node.definition.timer_kind)
    elif timers.literal(text):
        yield from _literal(node, node.definition.timer_kind if node.definition else "", text)
    elif _where(node) == "start" and _names(text):
        message = "The date that starts a process can't hang on a case: there is none yet."
        yield finding("timer", node, message, "Write a date, a duration or a cycle.")


def _names(expression: str) -> frozenset[str]:
    try:
        return parse(expression).names
    except ExpressionError:
        return frozenset()  # said by the rule expression


def _literal(node: Node, kind: str, text: str) -> Iterator[Finding]:
    calendar = Calendar()
    try:
        if kind == "timeDate":
            timers.parse_date(text, calendar)
        elif kind == "timeDuration":
            timers.parse_duration(text)
        else:
            timers.parse_cycle(text, calendar)
    except timers.TimerError as error:
        yield finding("timer", node, shown(error.message.removesuffix(error.remedy).strip(), 300), error.remedy)


def _closing(node: Node, kind: str) -> Iterator[Finding]:
    """A timer that waits for the due date of the task it sits on."""
    host = node.scope.nodes.get(node.element.get("attachedToRef", "")) if node.kind == "boundaryEvent" else None
    if host is None or host.kind not in PEOPLE:
        message = "Only a boundary event on a user task can wait for ${due}, the task's due date."
        yield finding("boundary", node, message, "Write the date, or attach it to a user task.")
    elif kind != "timeDate":
        yield finding("boundary", node, "The due date is a date, not a duration or cycle.", "Use timeDate.")
    elif node.element.get("cancelActivity") == "false":
        message = "A timer at ${due} that does not interrupt its task does not run."
        yield finding("boundary", node, message, "Make it interrupting, or write the date itself.")
    elif host.child("standardLoopCharacteristics") is not None:
        message = "A timer at ${due} does not run on a task with a standard loop: each turn has its own due date."
        yield finding("boundary", node, message, "Draw the loop with a gateway.")


# --- boundary events --------------------------------------------------------------------------------------------------


def _boundary(node: Node) -> Iterator[Finding]:
    host = node.scope.nodes.get(node.element.get("attachedToRef", ""))
    if host is None or host.kind not in ACTIVITIES or host.is_event_sub_process:
        message = "It is not attached to a task, sub-process or call beside it."
        yield finding("boundary", node, message, "Attach it to one.")
        return
    interrupting = node.element.get("cancelActivity", "true") == "true"
    if node.event in ("error", "cancel") and not interrupting:
        yield finding("boundary", node, f"A boundary event of {node.event} always interrupts.", "Make it interrupting.")
    if node.event == "cancel" and host.kind != "transaction":
        yield finding("boundary", node, "A cancel event sits on a transaction only.", "Attach it to one.")
    if node.event in _RAISES and host.kind not in _RAISES[node.event]:
        message = f"It never happens: a {host.kind} raises no {node.event}."
        yield finding("never", node, message, "Remove it.", warning=True)
    if node.event == "cancel" and host.kind == "transaction" and not _cancels(host):
        message = "It never happens: no cancel end event is in the transaction."
        yield finding("never", node, message, "Draw one, or remove the event.", warning=True)


def _cancels(transaction: Node) -> bool:
    ends = transaction.element.iter(tag("cancelEventDefinition"))
    return next(ends, None) is not None


def _has_cancel_above(scope: Scope) -> bool:
    return any(
        around.node is not None
        and around.node.kind == "transaction"
        and any(event.event == "cancel" for event in around.node.boundary)
        for around in scope.around()
    )


# --- links and event sub-processes ------------------------------------------------------------------------------------


def _links(scope: Scope) -> Iterator[Finding]:
    linked = [n for n in scope.nodes.values() if n.event == "link" and n.definition and n.definition.name]
    catching: dict[str, list[Node]] = {}
    throwing: dict[str, list[Node]] = {}
    for node in linked:
        ends = catching if node.kind == "intermediateCatchEvent" else throwing
        ends.setdefault(node.definition.name if node.definition else "", []).append(node)
    for name, nodes in throwing.items():
        if name not in catching:
            for node in nodes:
                message = f"No link event catches {shown(name)} in the same process or sub-process."
                yield finding("link", node, message, "Draw it, or give both ends the same name.")
    for name, nodes in catching.items():
        for node in nodes[1:]:
            yield finding("link", node, f"Several link events catch {shown(name)}.", "Keep one.")
        if name not in throwing:
            yield finding("link", nodes[0], f"No link event leads to {shown(name)}.", "Draw it, or remove this one.")


def _event_sub_process(scope: Scope) -> Iterator[Finding]:
    node = scope.node
    assert node is not None, "the process itself is no event sub-process"
    starts = [inner for inner in scope.nodes.values() if inner.kind == "startEvent"]
    if len(starts) != 1:
        message = f"An event sub-process has one start event; this one has {len(starts)}."
        yield finding("start", node, message, "Keep exactly one.")
    for start in starts:
        if start.event == "error" and start.element.get("isInterrupting") == "false":
            yield finding("event", start, "An error always interrupts.", "Make the start event interrupting.")
    if node.kind == "transaction":
        yield finding("event", node, "A transaction is not begun by an event.", "Use an event sub-process.")
    if node.boundary:
        message = "Nothing can be attached to an event sub-process."
        yield finding("boundary", node.boundary[0], message, "Put an event sub-process inside it.")
