"""What a model says, read straight from its XML: people, forms, dates, calls. No SpiffWorkflow here.

The XML is parsed without entities, DOCTYPE or network; attributes are BPMN's own and the `camunda:` namespace's, so
that the common desktop modelers edit them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from lxml import etree

from engine.bpmn.expressions import ExpressionError, parse
from engine.errors import Finding, ModelRefused

BPMN = "http://www.omg.org/spec/BPMN/20100524/MODEL"
CAMUNDA = "http://camunda.org/schema/1.0/bpmn"
NS = {"bpmn": BPMN, "camunda": CAMUNDA}
#: Larger models are refused before they are parsed.
MAX_BYTES = 5_000_000


def tag(name: str) -> str:
    """The qualified BPMN tag, such as `{…}userTask`."""
    return f"{{{BPMN}}}{name}"


@dataclass(frozen=True, kw_only=True)
class MultiInstance:
    """The marker that asks several at once (or one after the other)."""

    collection: str
    item: str
    sequential: bool
    completion_condition: str | None


@dataclass(frozen=True, kw_only=True)
class UserTaskElement:
    """A user task as its model describes it; texts that are expressions are still unevaluated."""

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

    @property
    def reminders(self) -> tuple[int, ...]:
        """Working days before the due date on which the silent are reminded."""
        text = self.properties.get("reminders", "10,3,0")
        return tuple(int(part) for part in text.split(",") if part.strip().isdigit())

    @property
    def minutes(self) -> int | None:
        """How long it takes, where the model says so."""
        text = self.properties.get("minutes", "")
        return int(text) if text.isdigit() else None

    @property
    def subject(self) -> str | None:
        """Template of a mail's subject."""
        return self.properties.get("subject")

    @property
    def action(self) -> str | None:
        """What the button says."""
        return self.properties.get("action")


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call activity and the names it binds for the called process."""

    id: str
    called: str
    bindings: Mapping[str, str]


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
    #: Names that expressions of this model read; only these answers become process variables.
    names_read: frozenset[str]
    root: etree._Element = field(repr=False, compare=False)


def parse_xml(xml: bytes) -> etree._Element:
    """The root element. Raises ModelRefused for anything that is not plain, self-contained XML."""
    if len(xml) > MAX_BYTES:
        raise _refuse(
            "size", None, f"The file is larger than {MAX_BYTES // 1_000_000} MB.", "Deploy one process per file."
        )
    if b"<!DOCTYPE" in xml or b"<!ENTITY" in xml:
        raise _refuse("doctype", None, "The file has a DOCTYPE or entities.", "Remove them; a BPMN model needs none.")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(xml, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        line: int | None = getattr(error, "lineno", None)
        raise _refuse(
            "xml", line, f"The file is not well-formed XML: {error}.", "Save it again from the modeler."
        ) from None
    if (root.getroottree().docinfo.encoding or "UTF-8").upper() not in ("UTF-8", "ASCII", "US-ASCII"):
        # Another encoding would also hide a DOCTYPE from the look at the bytes above.
        raise _refuse("encoding", 1, "The file is not in UTF-8.", "Save it as UTF-8.")
    if root.tag != tag("definitions"):
        raise _refuse("bpmn", line_of(root), "The file is not a BPMN 2.0 model.", "Its root must be bpmn:definitions.")
    return root


def line_of(element: etree._Element) -> int | None:
    """Where in the file the element begins."""
    return cast("int | None", element.sourceline)


def _refuse(rule: str, line: int | None, message: str, remedy: str) -> ModelRefused:
    finding = Finding(rule=rule, severity="error", element=None, name=None, line=line, message=message, remedy=remedy)
    return ModelRefused([finding])


def read(xml: str | bytes) -> Model:
    """The model's one executable process. Raises ModelRefused."""
    root = parse_xml(xml.encode() if isinstance(xml, str) else xml)
    processes = root.findall(tag("process"))
    executable = [p for p in processes if p.get("isExecutable") == "true"]
    if len(executable) != 1:
        raise _refuse(
            "one-process", line_of(root), f"The file has {len(executable)} executable processes.",
            'Give exactly one process isExecutable="true".',
        )  # fmt: skip
    process = executable[0]
    if not process.get("id"):
        raise _refuse("id", line_of(process), "The process has no id.", "Give it one, such as its file's name.")
    roles = {lane.get("id", ""): lane.get("name", "") for lane in process.iter(tag("lane"))}
    role_of = {
        (ref.text or "").strip(): lane.get("id", "")
        for lane in process.iter(tag("lane"))
        for ref in lane.findall(tag("flowNodeRef"))
    }
    start = process.find(tag("startEvent"))
    return Model(
        process_id=process.get("id", ""),
        name=process.get("name", process.get("id", "")),
        documentation=_documentation(process),
        start_form=start.get(f"{{{CAMUNDA}}}formKey") if start is not None else None,
        starter_groups=_listed(process.get(f"{{{CAMUNDA}}}candidateStarterGroups")),
        roles=roles,
        user_tasks={e.get("id", ""): _user_task(process, e, role_of) for e in process.iter(tag("userTask"))},
        calls={e.get("id", ""): _call(e) for e in process.iter(tag("callActivity"))},
        names_read=frozenset(_names(process)),
        root=root,
    )


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _documentation(element: etree._Element) -> str:
    return (element.findtext(tag("documentation")) or "").strip()


def properties_of(element: etree._Element) -> dict[str, str]:
    """The element's camunda:properties."""
    found = element.findall("bpmn:extensionElements/camunda:properties/camunda:property", NS)
    return {p.get("name", ""): p.get("value", "") for p in found}


def _user_task(process: etree._Element, element: etree._Element, role_of: Mapping[str, str]) -> UserTaskElement:
    identity = element.get("id", "")
    priority = element.get(f"{{{CAMUNDA}}}priority", "50")
    return UserTaskElement(
        id=identity,
        name=" ".join((element.get("name") or identity).split()),
        documentation=_documentation(element),
        role=role_of.get(identity),
        form_key=element.get(f"{{{CAMUNDA}}}formKey"),
        assignee=element.get(f"{{{CAMUNDA}}}assignee"),
        candidate_groups=element.get(f"{{{CAMUNDA}}}candidateGroups"),
        due_date=element.get(f"{{{CAMUNDA}}}dueDate"),
        priority=int(priority) if priority.isdigit() else 50,
        multi_instance=_multi_instance(element),
        properties=properties_of(element),
        closes=any(_closes(event, identity) for event in process.iter(tag("boundaryEvent"))),
    )


def _closes(event: etree._Element, task_id: str) -> bool:
    timer = event.findtext(f"{tag('timerEventDefinition')}/{tag('timeDate')}")
    return (
        event.get("attachedToRef") == task_id
        and event.get("cancelActivity", "true") == "true"
        and is_own_due_date(timer)
    )


def is_own_due_date(expression: str | None) -> bool:
    """Does a boundary timer wait for the due date of the task it sits on?"""
    return (expression or "").strip().removeprefix("${").removesuffix("}").strip() == "due"


def _multi_instance(element: etree._Element) -> MultiInstance | None:
    marker = element.find(tag("multiInstanceLoopCharacteristics"))
    if marker is None:
        return None
    condition = (marker.findtext(tag("completionCondition")) or "").strip()
    return MultiInstance(
        collection=marker.get(f"{{{CAMUNDA}}}collection", ""),
        item=marker.get(f"{{{CAMUNDA}}}elementVariable", "item"),
        sequential=marker.get("isSequential") == "true",
        completion_condition=condition or None,
    )


def _call(element: etree._Element) -> Call:
    bound = element.findall("bpmn:extensionElements/camunda:in", NS)
    bindings = {
        b.get("target", ""): b.get("sourceExpression") or b.get("source") or "" for b in bound if b.get("target")
    }
    return Call(id=element.get("id", ""), called=element.get("calledElement", ""), bindings=bindings)


def expressions_of(process: etree._Element) -> Iterator[tuple[etree._Element, str, str]]:
    """Every place where a model holds an expression, as (element, place, source)."""
    for element in process.iter(tag("userTask")):
        for name in ("dueDate", "assignee", "candidateGroups"):
            if source := element.get(f"{{{CAMUNDA}}}{name}"):
                yield element, f"camunda:{name}", source
        for name in ("approver", "title", "form"):
            if source := properties_of(element).get(name):
                yield element, f"property {name}", source
        for marker in element.findall(tag("multiInstanceLoopCharacteristics")):
            yield element, "camunda:collection", marker.get(f"{{{CAMUNDA}}}collection", "")
            if source := (marker.findtext(tag("completionCondition")) or "").strip():
                yield element, "completionCondition", source
    for flow in process.iter(tag("sequenceFlow")):
        if source := (flow.findtext(tag("conditionExpression")) or "").strip():
            yield flow, "conditionExpression", source
    for kind in ("timeDate", "timeDuration", "timeCycle"):
        for timer in process.iter(tag(kind)):
            event = timer.getparent().getparent()  # type: ignore[union-attr]
            yield event, kind, (timer.text or "").strip()  # type: ignore[misc]
    for bound in process.iterfind(".//camunda:in", NS):
        call = bound.getparent().getparent()  # type: ignore[union-attr]
        yield call, "camunda:in", bound.get("sourceExpression") or bound.get("source") or ""  # type: ignore[misc]


def is_literal(text: str) -> bool:
    """Is this plain text, such as a user key, rather than `${…}`?"""
    return not text.strip().startswith("${")


def _names(process: etree._Element) -> Iterator[str]:
    for _element, _place, source in expressions_of(process):
        try:
            yield from parse(source).names
        except ExpressionError:
            continue  # lint reports it with its place
