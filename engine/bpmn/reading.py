"""What a model says, read straight from its XML: people, forms, dates, calls, events. No SpiffWorkflow here.

Attributes are BPMN's own and the `camunda:` namespace's, so that the common desktop modelers edit them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from lxml import etree

from engine.bpmn.documents import (
    BPMN,
    CAMUNDA,
    MAX_BYTES,
    NS,
    line_of,
    local_id,
    local_name,
    parse_plain_xml,
    properties_of,
    refusal,
    shown,
    tag,
)
from engine.bpmn.event_definitions import EventDefinition, is_own_due_date, vocabulary
from engine.bpmn.expression_places import EVENTS, ExpressionPlace, event_definition, expressions_of, names_read

__all__ = [
    "BPMN", "CAMUNDA", "MAX_BYTES", "NS", "Call", "ExpressionPlace", "Model", "MultiInstance", "ServiceTaskElement",
    "StartEventElement", "UserTaskElement", "expressions_of", "is_literal", "line_of", "parse_plain_xml", "parse_xml",
    "processes_in", "properties_of", "read", "tag",
]  # fmt: skip

#: XML elements in a process. Whoever draws has less than a hundredth of it.
MAX_ELEMENTS = 60_000
#: Of a user task that states none.
DEFAULT_PRIORITY = 50
_WHOLE_NUMBER = re.compile("[0-9]{1,6}")


def _whole(text: str) -> int | None:
    """The whole number that the text is, as far as a model may need one."""
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else None


@dataclass(frozen=True, kw_only=True)
class MultiInstance:
    """The marker that asks several at once (or one after the other)."""

    collection: str
    item: str
    sequential: bool
    completion_condition: str | None


@dataclass(frozen=True, kw_only=True)
class UserTaskElement:
    """A user or manual task as its model describes it; texts that are expressions are still unevaluated."""

    id: str
    name: str
    documentation: str
    role: str | None
    form_key: str | None
    assignee: str | None
    candidate_groups: str | None
    due_date: str | None
    priority: int
    multi_instance: MultiInstance | None
    properties: Mapping[str, str]
    #: Does an interrupting boundary timer `due` close it?
    closes: bool
    #: userTask or manualTask.
    kind: str = "userTask"

    @property
    def reminders(self) -> tuple[int, ...]:
        """Working days before the due date on which the silent are reminded."""
        text = self.properties.get("reminders", "10,3,0")
        return tuple(days for part in text.split(",") if (days := _whole(part.strip())) is not None)

    @property
    def minutes(self) -> int | None:
        """How long it takes, where the model says so."""
        return _whole(self.properties.get("minutes", ""))

    @property
    def subject(self) -> str | None:
        """Template of a mail's subject."""
        return self.properties.get("subject")

    @property
    def action(self) -> str | None:
        """What the button says."""
        return self.properties.get("action")

    def in_language(self, name: str, language: str) -> str | None:
        """The model's `subject` or `action` in that language; Bokmål's property has no ending."""
        return self.properties.get(name if language == "nb" else f"{name}_{language}")

    @property
    def telling(self) -> str | None:
        """When people are written to about it: `at once`, `daily 15` or `weekly 0 8`."""
        return self.properties.get("telling")

    @property
    def escalate_after(self) -> int | None:
        """Working days after the due date when somebody is told who is silent."""
        return _whole(self.properties.get("escalateAfter", ""))

    @property
    def escalate_to(self) -> str | None:
        """The role that is told then, where it is not the owner."""
        return self.properties.get("escalateTo")


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call activity and the names it binds for the called process."""

    id: str
    called: str
    bindings: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ServiceTaskElement:
    """A service task: asks the registered function `topic`, or evaluates `expression`; the other is empty."""

    id: str
    name: str
    topic: str
    expression: str


@dataclass(frozen=True, kw_only=True)
class StartEventElement:
    """A start event of the process itself, and what it waits for."""

    id: str
    name: str
    definition: EventDefinition
    form_key: str | None


@dataclass(frozen=True, kw_only=True)
class Model:
    """One process as its file describes it."""

    process_id: str
    name: str
    documentation: str
    start_form: str | None
    starter_groups: tuple[str, ...]
    roles: Mapping[str, str]
    user_tasks: Mapping[str, UserTaskElement]
    calls: Mapping[str, Call]
    services: Mapping[str, ServiceTaskElement]
    #: Ids of the decisions that its business rule tasks ask.
    decisions: frozenset[str]
    #: By id, those of the process itself, in the order of the file.
    starts: Mapping[str, StartEventElement]
    #: Messages and signals, as (kind, name); a name may be `${…}`.
    thrown: frozenset[tuple[str, str]]
    caught: frozenset[tuple[str, str]]
    #: Names that expressions of this model read; only these answers become process variables.
    names_read: frozenset[str]
    root: etree._Element = field(repr=False, compare=False)
    process: etree._Element = field(repr=False, compare=False)


def parse_xml(xml: bytes) -> etree._Element:
    """The root element of a model. Raises ModelRefused for anything that is not plain, self-contained BPMN."""
    root = parse_plain_xml(xml)
    if root.tag != tag("definitions"):
        raise refusal("bpmn", line_of(root), "The file is not a BPMN 2.0 model.", "Its root must be bpmn:definitions.")
    return root


def processes_in(xml: str | bytes) -> list[str]:
    """Ids of the executable processes, in the order of the file. Raises ModelRefused where none can be read."""
    return [process.get("id", "") for process in _executable(parse_xml(_encoded(xml)))]


def read(
    xml: str | bytes, process_id: str | None = None, *, decision_names: Mapping[str, frozenset[str]] | None = None
) -> Model:
    """The process with that id; without one, the file's only executable process. Raises ModelRefused.

    `decision_names` says which names a decision reads, by the decision's id: the model reads them too.
    """
    root = parse_xml(_encoded(xml))
    return _Reader(root, _chosen(root, process_id)).model(decision_names or {})


def _encoded(xml: str | bytes) -> bytes:
    # Half a character in a text is as wrong as half a character in a file.
    return xml.encode("utf-8", "surrogatepass") if isinstance(xml, str) else xml


def _executable(root: etree._Element) -> list[etree._Element]:
    """Processes that say they are executable; a file's only process need not say it."""
    processes = root.findall(tag("process"))
    if len(processes) == 1 and processes[0].get("isExecutable") is None:
        found = processes
    else:
        found = [p for p in processes if p.get("isExecutable", "").strip() in ("true", "1")]
    for process in found:
        if not process.get("id", "").strip():
            raise refusal("id", line_of(process), "The process has no id.", "Give it one, such as its file's name.")
    if not found:
        message = "The file has no executable process."
        raise refusal("one-process", line_of(root), message, 'Give a process isExecutable="true".')
    return found


def _chosen(root: etree._Element, process_id: str | None) -> etree._Element:
    executable = _executable(root)
    if process_id is not None:
        executable = [process for process in executable if process.get("id") == process_id]
    if len(executable) != 1:
        which = "executable processes" if process_id is None else f"executable processes {shown(process_id)}"
        message = f"The file has {len(executable)} {which}."
        raise refusal(
            "one-process", line_of(root), message, "Leave isExecutable to exactly one, or name the one meant."
        )
    (process,) = executable
    if sum(1 for _ in islice(process.iter(), MAX_ELEMENTS + 1)) > MAX_ELEMENTS:
        message = f"The process has more than {MAX_ELEMENTS} elements and parts of elements."
        raise refusal("size", line_of(process), message, "Split it, and call the parts as processes.")
    return process


class _Reader:
    """Goes through one process once, and sorts what it finds."""

    def __init__(self, root: etree._Element, process: etree._Element) -> None:
        self.root = root
        self.process = process
        self.declared = vocabulary(root)
        self.found: dict[str, list[etree._Element]] = {}
        for element in process.iter(f"{{{BPMN}}}*"):
            self.found.setdefault(local_name(element), []).append(element)

    def model(self, decision_names: Mapping[str, frozenset[str]]) -> Model:
        """The process as a model."""
        process, lanes = self.process, self._all("lane")
        starts = {start.id: start for start in self._starts()}
        decisions = {
            (rule.get(f"{{{CAMUNDA}}}decisionRef") or "").strip() for rule in self._all("businessRuleTask")
        } - {""}  # fmt: skip
        read_by_decisions = frozenset().union(*(decision_names.get(d, frozenset()) for d in decisions))
        return Model(
            process_id=process.get("id", ""),
            name=_name(process),
            documentation=_documentation(process),
            start_form=_start_form(starts),
            starter_groups=_listed(process.get(f"{{{CAMUNDA}}}candidateStarterGroups")),
            roles={lane.get("id", ""): lane.get("name", "") for lane in lanes},
            user_tasks=self._user_tasks(lanes),
            calls={e.get("id", ""): _call(e) for e in self._all("callActivity")},
            services={e.get("id", ""): _service(e) for e in self._all("serviceTask")},
            decisions=frozenset(decisions),
            starts=starts,
            thrown=frozenset(self._events(throws=True)),
            caught=frozenset(self._events(throws=False)),
            names_read=frozenset(names_read(process)) | read_by_decisions,
            root=self.root,
            process=process,
        )

    def _all(self, *kinds: str) -> list[etree._Element]:
        return [element for kind in kinds for element in self.found.get(kind, ())]

    def _starts(self) -> Iterator[StartEventElement]:
        for start in self.process.findall(tag("startEvent")):
            form = start.get(f"{{{CAMUNDA}}}formKey")
            definition = event_definition(start, self.declared)
            yield StartEventElement(id=start.get("id", ""), name=_name(start), definition=definition, form_key=form)

    def _events(self, *, throws: bool) -> Iterator[tuple[str, str]]:
        for event in self._all(*(kind for kind, does in EVENTS.items() if does is throws)):
            definition = event_definition(event, self.declared)
            if definition.kind in ("message", "signal"):
                yield definition.kind, definition.name

    def _user_tasks(self, lanes: list[etree._Element]) -> dict[str, UserTaskElement]:
        role_of = {
            (ref.text or "").strip(): lane.get("id", "") for lane in lanes for ref in lane.findall(tag("flowNodeRef"))
        }
        closed = {e.get("attachedToRef") for e in self._all("boundaryEvent") if _closes(e)}
        return {
            e.get("id", ""): _user_task(e, _role(e, role_of), closes=e.get("id") in closed)
            for e in self._all("userTask", "manualTask")
        }


def _role(task: etree._Element, role_of: Mapping[str, str]) -> str | None:
    """The lane that lists the task, or else the sub-process that it is in."""
    current: etree._Element | None = task
    while current is not None and current.get("id") not in role_of:
        current = current.getparent()
    return None if current is None else role_of[current.get("id", "")]


def _start_form(starts: Mapping[str, StartEventElement]) -> str | None:
    """What a person who starts the case fills in: the plain start event's form, else the first's."""
    plain = [start for start in starts.values() if start.definition.kind == "none"]
    return next((start.form_key for start in (plain or starts.values())), None)


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _documentation(element: etree._Element) -> str:
    return (element.findtext(tag("documentation")) or "").strip()


def _name(element: etree._Element) -> str:
    return " ".join((element.get("name") or element.get("id") or "").split())


def _user_task(element: etree._Element, role: str | None, *, closes: bool) -> UserTaskElement:
    identity = element.get("id", "")
    priority = _whole(element.get(f"{{{CAMUNDA}}}priority", "").strip())
    return UserTaskElement(
        id=identity,
        name=_name(element),
        documentation=_documentation(element),
        role=role,
        form_key=element.get(f"{{{CAMUNDA}}}formKey"),
        assignee=element.get(f"{{{CAMUNDA}}}assignee"),
        candidate_groups=element.get(f"{{{CAMUNDA}}}candidateGroups"),
        due_date=element.get(f"{{{CAMUNDA}}}dueDate"),
        priority=DEFAULT_PRIORITY if priority is None else priority,
        multi_instance=_multi_instance(element),
        properties=properties_of(element),
        closes=closes,
        kind=local_name(element),
    )


def _closes(event: etree._Element) -> bool:
    timer = event.findtext(f"{tag('timerEventDefinition')}/{tag('timeDate')}")
    return event.get("cancelActivity", "true") == "true" and is_own_due_date(timer)


def _multi_instance(element: etree._Element) -> MultiInstance | None:
    marker = element.find(tag("multiInstanceLoopCharacteristics"))
    if marker is None:
        return None
    condition = (marker.findtext(tag("completionCondition")) or "").strip()
    item = marker.find(tag("inputDataItem"))
    named = (item.get("name") or item.get("id")) if item is not None else None
    listed = (marker.findtext(tag("loopDataInputRef")) or "").strip()
    return MultiInstance(
        collection=marker.get(f"{{{CAMUNDA}}}collection", "").strip() or listed,
        item=marker.get(f"{{{CAMUNDA}}}elementVariable") or named or "item",
        sequential=marker.get("isSequential") == "true",
        completion_condition=condition or None,
    )


def _call(element: etree._Element) -> Call:
    bound = element.findall("bpmn:extensionElements/camunda:in", NS)
    bindings = {
        b.get("target", ""): b.get("sourceExpression") or b.get("source") or "" for b in bound if b.get("target")
    }
    return Call(id=element.get("id", ""), called=local_id(element.get("calledElement")), bindings=bindings)


def _service(element: etree._Element) -> ServiceTaskElement:
    topic, expression = (element.get(f"{{{CAMUNDA}}}{name}", "").strip() for name in ("topic", "expression"))
    identity, name = element.get("id", ""), _name(element)
    return ServiceTaskElement(id=identity, name=name, topic=topic, expression="" if topic else expression)


def is_literal(text: str) -> bool:
    """Is this plain text, such as a user key, rather than `${…}`?"""
    return not text.strip().startswith("${")
