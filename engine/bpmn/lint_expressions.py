"""Expressions and scripts: are they in the language, and does anything set the names that they read?"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from lxml import etree

from engine.bpmn.documents import BPMN, CAMUNDA, NS, local_name, shown, tag
from engine.bpmn.expression_places import ExpressionPlace, expressions_of
from engine.bpmn.expressions import ExpressionError
from engine.bpmn.lint_drawing import Drawing, Node, finding
from engine.bpmn.lint_extensions import owner_of
from engine.errors import Finding

#: Languages whose expressions would mean something else.
_OTHER_LANGUAGES = ("javascript", "ecmascript", "groovy", "ruby", "feel", "mvel", "java")
#: The engine gives these a value where they mean something.
_ALWAYS_KNOWN = frozenset(
    {"due", "loopCounter", "nrOfInstances", "nrOfActiveInstances", "nrOfCompletedInstances"}
)  # fmt: skip


def expressions(
    drawing: Drawing, forms: Mapping[str, object], known_names: Collection[str] | None
) -> Iterator[Finding]:
    """Everything about expressions. Without `known_names` nobody knows what else sets names: they are not checked."""
    places = list(expressions_of(drawing.process))
    sound = []
    for place in places:
        try:
            place.names()
        except ExpressionError as error:
            message = f"{place.place}: {error}"
            yield finding("expression", place.element, message, "See the reference of expressions.")
        else:
            sound.append(place)
    yield from _languages(drawing)
    if known_names is not None and not _brings_unknown_names(drawing):
        yield from _unset(sound, {*known_names, *_ALWAYS_KNOWN, *_names_set(drawing, sound, forms)})


def _languages(drawing: Drawing) -> Iterator[Finding]:
    for element in drawing.process.iter(f"{{{BPMN}}}*"):
        language = element.get("language", "").lower()
        if any(other in language for other in _OTHER_LANGUAGES):
            message = f"Expressions in {shown(element.get('language', ''))} do not run."
            remedy = "Write it in the language of expressions, and leave out the attribute language."
            yield finding("expression", owner_of(element), message, remedy, at=element)


# --- names ------------------------------------------------------------------------------------------------------------


def _unset(places: Iterable[ExpressionPlace], known: set[str]) -> Iterator[Finding]:
    told: set[tuple[object, str]] = set()
    for place in places:
        if place.place == "camunda:out" or _hears_its_own(place):
            continue  # over what comes back, which is not known here
        for name in sorted(place.names() - known):
            if (place.element, name) not in told:
                told.add((place.element, name))
                message = f"{place.place}: nothing sets {shown(name)}."
                remedy = "Correct the name, or let a form, a script or a result set it."
                yield finding("name", place.element, message, remedy, warning=True)


def _hears_its_own(place: ExpressionPlace) -> bool:
    """Is it over what a function, a message or an event brings?"""
    brings = ("serviceTask", "receiveTask", "startEvent", "intermediateCatchEvent", "boundaryEvent")
    return place.place == "camunda:outputParameter" and local_name(place.element) in brings


def _brings_unknown_names(drawing: Drawing) -> bool:
    """Does some element set variables whose names stand nowhere in the model?"""
    return any(_is_open(node) for node in drawing.nodes())


def _is_open(node: Node) -> bool:
    if node.element.find("bpmn:extensionElements/camunda:inputOutput/camunda:outputParameter", NS) is not None:
        return False
    if node.kind == "callActivity":
        return node.element.find("bpmn:extensionElements/camunda:out[@target]", NS) is None
    if node.kind == "serviceTask":
        return bool(node.element.get(f"{{{CAMUNDA}}}topic"))
    if node.kind == "businessRuleTask":
        return not node.element.get(f"{{{CAMUNDA}}}resultVariable")
    if node.kind in ("endEvent", "intermediateThrowEvent", "sendTask"):
        return False
    return node.event in ("message", "signal")


def _names_set(drawing: Drawing, places: Iterable[ExpressionPlace], forms: Mapping[str, object]) -> Iterator[str]:
    for place in places:
        yield from place.names_set()
    for key in _forms_used(drawing, forms):
        yield from _keys(forms[key])
    for task in drawing.model.user_tasks.values():
        if task.properties.get("output"):
            yield task.properties["output"]
        if task.multi_instance is not None:
            yield task.multi_instance.item
    for marker in drawing.all("multiInstanceLoopCharacteristics"):
        yield from _marker(marker)
    for name in ("serviceTask", "businessRuleTask"):
        for task_element in drawing.all(name):
            yield task_element.get(f"{{{CAMUNDA}}}resultVariable", "")
    for parameter in drawing.process.iter(f"{{{CAMUNDA}}}inputParameter", f"{{{CAMUNDA}}}outputParameter"):
        yield parameter.get("name", "")
    for out in drawing.process.iter(f"{{{CAMUNDA}}}out"):
        yield out.get("target", "")
    for definition in drawing.all("errorEventDefinition", "escalationEventDefinition"):
        for name in ("errorCodeVariable", "errorMessageVariable", "escalationCodeVariable"):
            yield definition.get(f"{{{CAMUNDA}}}{name}", "")


def _marker(marker: etree._Element) -> Iterator[str]:
    yield marker.get(f"{{{CAMUNDA}}}elementVariable", "")
    yield (marker.findtext(tag("loopDataOutputRef")) or "").strip()
    for name in ("inputDataItem", "outputDataItem"):
        item = marker.find(tag(name))
        if item is not None:
            yield item.get("name") or item.get("id") or ""


def _forms_used(drawing: Drawing, forms: Mapping[str, object]) -> set[str]:
    tasks = drawing.model.user_tasks.values()
    if any("${" in task.properties.get("form", "") for task in tasks):
        return set(forms)  # which one is only known when the task opens
    used = {task.form_key for task in tasks} | {task.properties.get("form") for task in tasks}
    used |= {start.form_key for start in drawing.model.starts.values()}
    return {key for key in used if key in forms and key is not None}


def _keys(form: object) -> Iterator[str]:
    """What a form's answers are called, and the facts that they set."""
    waiting = [form]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            yield from (part[name] for name in ("key", "path", "setsFact") if isinstance(part.get(name), str))
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
