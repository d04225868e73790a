"""From models to the specifications that SpiffWorkflow's workflows run: one per process and per sub-process inside it.

Built in a loop, not by recursion, so that neither long nor deeply nested models need a deep stack.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lxml import etree

from engine.bpmn import activities, event_elements, gateways, markers
from engine.bpmn.decisions import Decision
from engine.bpmn.elements import Element, Flow, Mappings
from engine.bpmn.event_definitions import EventDefinition, Vocabulary, definition_of, vocabulary
from engine.bpmn.reading import CAMUNDA, NS, Model, UserTaskElement, properties_of, tag
from engine.bpmn.tokens import ScopeSpec
from engine.errors import Finding, ModelRefused

_SCOPES = ("subProcess", "transaction")


@dataclass(frozen=True, kw_only=True)
class Specification:
    """A process with everything it calls, ready to run; immutable and shared between executions."""

    process_id: str
    spec: ScopeSpec
    subprocesses: Mapping[str, ScopeSpec]
    models: Mapping[str, Model]
    #: Process id -> decision id -> decision: each model has its own.
    decisions: Mapping[str, Mapping[str, Decision]] = field(default_factory=dict)

    @cached_property
    def listens(self) -> bool:
        """Does any element wait for messages or signals?"""
        catching = (event_elements.CatchEvent, event_elements.ReceiveTask, event_elements.EventSubProcess)
        found = (spec.definition.kind for spec in self._elements() if isinstance(spec, catching))
        return any(kind in ("message", "signal") for kind in found)

    @cached_property
    def topics(self) -> frozenset[str]:
        """The registered functions that elements ask for."""
        found = (spec.topic for spec in self._elements() if isinstance(spec, activities.ServiceTask))
        return frozenset(topic for topic in found if topic)

    @cached_property
    def has_conditions(self) -> bool:
        """Does any event wait for a condition?"""
        definitions = (getattr(spec, "definition", None) for spec in self._elements())
        return any(definition is not None and definition.kind == "conditional" for definition in definitions)

    def _elements(self) -> Iterator[Any]:
        return (spec for scope in self.subprocesses.values() for spec in scope.task_specs.values())

    def model_at(self, call_path: str) -> Model:
        """The model that runs below `call_path`: call activities lead into the models they call."""
        model = self.models[self.process_id]
        for segment in filter(None, call_path.split("/")):
            if (call := model.calls.get(segment.partition("[")[0])) is not None:
                model = self.models[call.called]
        return model

    def user_task_at(self, call_path: str, element_id: str) -> UserTaskElement | None:
        """The user task at that place; None where the path leads nowhere or there is none."""
        above: list[str] = []
        for segment in filter(None, call_path.split("/")):
            drawn = self.model_at("/".join(above)).process.iter()
            if all(node.get("id") != segment.partition("[")[0] for node in drawn):
                return None
            above.append(segment)
        return self.model_at(call_path).user_tasks.get(element_id)


def compile_models(
    main: Model, called: Iterable[Model] = (), decisions: Mapping[str, Mapping[str, Decision]] | None = None
) -> Specification:
    """The specification of `main`; `called` are the models it calls, directly or not. Raises ModelRefused."""
    models = {m.process_id: m for m in (main, *called)}
    built: dict[str, ScopeSpec] = {}
    for model in models.values():
        built.update(_Build(model).scopes())
    return Specification(
        process_id=main.process_id, spec=built[main.process_id], subprocesses=built, models=models,
        decisions=decisions or {},
    )  # fmt: skip


class _Build:
    """Turns one model into specifications."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.declared: Vocabulary = vocabulary(model.root)

    def scopes(self) -> dict[str, ScopeSpec]:
        """The process and every sub-process in it, by their names as specifications."""
        built: dict[str, ScopeSpec] = {}
        waiting: list[tuple[etree._Element, str | None]] = [(self.model.process, None)]
        while waiting:
            element, identity = waiting.pop()
            name = self._name(identity)
            scope = built[name] = ScopeSpec(name, self.model, identity)
            waiting += [(inner, inner.get("id", "")) for inner in element.findall("*") if _local(inner) in _SCOPES]
            try:
                self._fill(scope, element)
            except (KeyError, ValueError, TypeError) as error:
                raise _unreadable(element, error) from error
        return built

    def _name(self, identity: str | None) -> str:
        return self.model.process_id if identity is None else f"{self.model.process_id}/{identity}"

    def _fill(self, scope: ScopeSpec, element: etree._Element) -> None:
        nodes = [child for child in element if _local(child) in _BUILDERS]
        links = {
            self._definition(n, throws=False).name: n.get("id", "")
            for n in nodes if _local(n) == "intermediateCatchEvent" and self._definition(n, throws=False).kind == "link"
        }  # fmt: skip
        for node in nodes:
            _BUILDERS[_local(node)](self, scope, node, links)
        self._connect(scope, element)
        for node in nodes:
            self._decorate(scope, node)
        scope.starts.extend(self._starts(scope, nodes))
        scope.listeners.extend(n.get("id", "") for n in nodes if n.get("triggeredByEvent") == "true")

    def _connect(self, scope: ScopeSpec, element: etree._Element) -> None:
        defaults = {child.get("default") for child in element if isinstance(child.tag, str) and child.get("default")}
        for flow in element.findall(tag("sequenceFlow")):
            identity = flow.get("id", "")
            source, target = flow.get("sourceRef", ""), flow.get("targetRef", "")
            condition = (flow.findtext(tag("conditionExpression")) or "").strip() or None
            drawn = Flow(id=identity, target=target, condition=condition, default=identity in defaults)
            scope.task_specs[source].flows.append(drawn)
            scope.task_specs[target].incoming.append(identity)

    def _decorate(self, scope: ScopeSpec, node: etree._Element) -> None:
        spec = scope.task_specs[node.get("id", "")]
        if isinstance(spec, event_elements.BoundaryEvent):
            scope.task_specs[node.get("attachedToRef", "")].boundary.append(spec.name)
        elif isinstance(spec, activities.Activity):
            spec.marker = _marker(node, people=isinstance(spec, activities.UserTask))

    def _starts(self, scope: ScopeSpec, nodes: list[etree._Element]) -> Iterator[str]:
        drawn = [n for n in nodes if _local(n) == "startEvent"]
        if not drawn:
            # Without a start event everything that nothing leads to begins at once.
            yield from (
                spec.name for n in nodes
                if not (spec := scope.task_specs[n.get("id", "")]).incoming and n.get("triggeredByEvent") != "true"
                and not isinstance(spec, event_elements.BoundaryEvent) and not _is_link_target(spec)
            )  # fmt: skip
        for node in drawn:
            if scope.element_id is not None or self._definition(node, throws=False).kind == "none":
                yield node.get("id", "")

    def _definition(self, node: etree._Element, *, throws: bool) -> EventDefinition:
        correlation = properties_of(node).get("correlationKey", "")
        return definition_of(node, self.declared, throws=throws, correlation=correlation)

    # --- one method per kind of element -------------------------------------------------------------------------------

    def start(self, scope: ScopeSpec, node: etree._Element, links: Mapping[str, str]) -> None:
        event_elements.StartEvent(scope, _id(node), _mappings(node))

    def catch(self, scope: ScopeSpec, node: etree._Element, links: Mapping[str, str]) -> None:
        event_elements.CatchEvent(scope, _id(node), _mappings(node), self._definition(node, throws=False))

    def throw(self, scope: ScopeSpec, node: etree._Element, links: Mapping[str, str]) -> None:
        definition = self._definition(node, throws=True)
        if definition.kind == "link":
            event_elements.LinkThrow(scope, _id(node), _mappings(node), links[definition.name])
        else:
            event_elements.ThrowEvent(scope, _id(node), _mappings(node), definition)

    def boundary(self, scope: ScopeSpec, node: etree._Element, links: Mapping[str, str]) -> None:
        interrupting = node.get("cancelActivity", "true") == "true"
        event_elements.BoundaryEvent(
            scope, _id(node), _mappings(node), self._definition(node, throws=False), interrupting
        )

    def exclusive(self, scope: ScopeSpec, node: etree._Element, links: Mapping[str, str]) -> None:
        gateways.ExclusiveGateway(scope, _id(node), _mappings(node))

    def parallel(self, scope: ScopeSpec, node: etree._Element, links: Mapping[str, str]) -> None:
        gateways.ParallelGateway(scope, _id(node), _mappings(node))

    def inclusive(self, scope: ScopeSpec, node: etree._Element, links: Mapping[str, str]) -> None:
        gateways.InclusiveGateway(scope, _id(node), _mappings(node))

    def event_based(self, scope: ScopeSpec, node: etree._Element, links: Mapping[str, str]) -> None:
        gateways.EventBasedGateway(scope, _id(node), _mappings(node))

    def user_task(self, scope: ScopeSpec, node: etree._Element, links: Mapping[str, str]) -> None:
        activities.UserTask(scope, _id(node), _mappings(node))

    def no_task(self, scope: ScopeSpec, node: etree._Element, links: Mapping[str, str]) -> None:
        activities.Activity(scope, _id(node), _mappings(node))

    def script_task(self, scope: ScopeSpec, node: etree._Element, links: Mapping[str, str]) -> None:
        activities.ScriptTask(scope, _id(node), _mappings(node), node.findtext(tag("script")) or "")

    def service_task(self, scope: ScopeSpec, node: etree._Element, links: Mapping[str, str]) -> None:
        activities.ServiceTask(
            scope, _id(node), _mappings(node), _camunda(node, "topic"), _camunda(node, "expression"),
            _camunda(node, "resultVariable"),
        )  # fmt: skip

    def business_rule(self, scope: ScopeSpec, node: etree._Element, links: Mapping[str, str]) -> None:
        single = _camunda(node, "mapDecisionResult") == "singleEntry"
        activities.BusinessRuleTask(
            scope, _id(node), _mappings(node), _camunda(node, "decisionRef"), _camunda(node, "resultVariable"), single
        )

    def send(self, scope: ScopeSpec, node: etree._Element, links: Mapping[str, str]) -> None:
        event_elements.SendTask(scope, _id(node), _mappings(node), self._definition(node, throws=True))

    def receive(self, scope: ScopeSpec, node: etree._Element, links: Mapping[str, str]) -> None:
        event_elements.ReceiveTask(scope, _id(node), _mappings(node), self._definition(node, throws=False))

    def sub_process(self, scope: ScopeSpec, node: etree._Element, links: Mapping[str, str]) -> None:
        inner = self._name(_id(node))
        if node.get("triggeredByEvent") != "true":
            activities.SubProcess(scope, _id(node), _mappings(node), inner)
            return
        start = node.find(tag("startEvent"))
        assert start is not None, "lint demands a start event"
        interrupting = start.get("isInterrupting", "true") == "true"
        definition = self._definition(start, throws=False)
        event_elements.EventSubProcess(scope, _id(node), inner, definition, interrupting)

    def call(self, scope: ScopeSpec, node: etree._Element, links: Mapping[str, str]) -> None:
        returned = {
            out.get("target", ""): out.get("sourceExpression") or out.get("source") or ""
            for out in node.findall("bpmn:extensionElements/camunda:out", NS) if out.get("target")
        }  # fmt: skip
        called = self.model.calls[_id(node)].called
        activities.CallActivity(scope, _id(node), _mappings(node), called, returned or None)


_BUILDERS: Mapping[str, Any] = {
    "startEvent": _Build.start,
    "endEvent": _Build.throw,
    "intermediateThrowEvent": _Build.throw,
    "intermediateCatchEvent": _Build.catch,
    "boundaryEvent": _Build.boundary,
    "exclusiveGateway": _Build.exclusive,
    "parallelGateway": _Build.parallel,
    "inclusiveGateway": _Build.inclusive,
    "eventBasedGateway": _Build.event_based,
    "userTask": _Build.user_task,
    "manualTask": _Build.user_task,
    "task": _Build.no_task,
    "scriptTask": _Build.script_task,
    "serviceTask": _Build.service_task,
    "businessRuleTask": _Build.business_rule,
    "sendTask": _Build.send,
    "receiveTask": _Build.receive,
    "subProcess": _Build.sub_process,
    "transaction": _Build.sub_process,
    "callActivity": _Build.call,
}


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _id(node: etree._Element) -> str:
    return node.get("id", "")


def _camunda(node: etree._Element, name: str) -> str:
    return node.get(f"{{{CAMUNDA}}}{name}", "").strip()


def _is_link_target(spec: Element) -> bool:
    return isinstance(spec, event_elements.CatchEvent) and spec.definition.kind == "link"


def _mappings(node: etree._Element) -> Mappings:
    """Camunda's input and output parameters, and scripts that its execution listeners hold."""
    extension = node.find("bpmn:extensionElements", NS)
    if extension is None:
        return Mappings()
    mapping = "camunda:inputOutput/camunda:"
    return Mappings(
        inputs={p.get("name", ""): p.text or "" for p in extension.findall(mapping + "inputParameter", NS)},
        outputs={p.get("name", ""): p.text or "" for p in extension.findall(mapping + "outputParameter", NS)},
        before=_scripts(extension, "start"),
        after=_scripts(extension, "end"),
    )


def _scripts(extension: etree._Element, event: str) -> tuple[str, ...]:
    listeners = extension.findall("camunda:executionListener", NS)
    return tuple(
        script.text or ""
        for listener in listeners
        if listener.get("event") == event and (script := listener.find("camunda:script", NS)) is not None
    )


def _marker(node: etree._Element, *, people: bool) -> activities.Marker | None:
    loop = node.find(tag("standardLoopCharacteristics"))
    if loop is not None:
        maximum = loop.get("loopMaximum")
        return markers.StandardLoop(
            condition=(loop.findtext(tag("loopCondition")) or "").strip() or None,
            maximum=int(maximum) if maximum else None,
            test_before=loop.get("testBefore") == "true",
        )
    several = node.find(tag("multiInstanceLoopCharacteristics"))
    if several is None or people:
        return None  # people asked at once are rows, not tokens
    return _multi_instance(several)


def _multi_instance(several: etree._Element) -> markers.MultiInstance:
    output = several.find(tag("outputDataItem"))
    item = several.find(tag("inputDataItem"))
    return markers.MultiInstance(
        sequential=several.get("isSequential") == "true",
        collection=_camunda(several, "collection") or (several.findtext(tag("loopDataInputRef")) or "").strip() or None,
        cardinality=(several.findtext(tag("loopCardinality")) or "").strip() or None,
        item=_camunda(several, "elementVariable") or (item.get("name") or item.get("id") if item is not None else None),
        result=(several.findtext(tag("loopDataOutputRef")) or "").strip() or None,
        result_item=(output.get("name") or output.get("id")) if output is not None else None,
        completion_condition=(several.findtext(tag("completionCondition")) or "").strip() or None,
    )


def _unreadable(element: etree._Element, error: Exception) -> ModelRefused:
    finding = Finding(
        rule="runs", severity="error", element=element.get("id"), name=element.get("name"), line=element.sourceline,  # type: ignore[arg-type]
        message=f"The interpreter can't read what stands inside: {error}", remedy="Change or remove the element.",
    )  # fmt: skip
    return ModelRefused([finding])
