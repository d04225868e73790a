"""Decisions, read from DMN files: decision tables and literal expressions, and what they require of each other.

What is not proven to run is refused with its place and a remedy. Described in docs/reference/decisions.md.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar, cast, get_args

from lxml import etree

from engine.bpmn.decision_cells import Cell, read_cell
from engine.bpmn.decision_tables import (
    CONSTANTS,
    TYPES,
    Aggregation,
    Decision,
    DecisionError,
    HitPolicy,
    Input,
    Node,
    Output,
    Rule,
    Table,
    decide,
)
from engine.bpmn.expressions import Expression, ExpressionError, parse
from engine.bpmn.reading import line_of, parse_plain_xml
from engine.errors import Finding, ModelRefused

__all__ = ["Decision", "DecisionError", "decide", "read_decisions"]

#: Decisions of a file, columns and rules of a table, cells of a file, findings told about a file.
MAX_DECISIONS = 100
MAX_COLUMNS = 50
MAX_RULES = 1_000
MAX_CELLS = 10_000
MAX_FINDINGS = 100

#: The namespaces of DMN 1.1 to 1.5.
NAMESPACES = (
    "http://www.omg.org/spec/DMN/20151101/dmn.xsd",
    "http://www.omg.org/spec/DMN/20180521/MODEL/",
    "https://www.omg.org/spec/DMN/20191111/MODEL/",
    "https://www.omg.org/spec/DMN/20211108/MODEL/",
    "https://www.omg.org/spec/DMN/20230324/MODEL/",
)
#: What only documents, wherever it stands.
_DOCUMENTS = {
    "description", "extensionElements", "inputData", "knowledgeSource", "itemDefinition", "textAnnotation",
    "association", "group", "elementCollection", "performanceIndicator", "organizationUnit", "question",
    "allowedAnswers", "authorityRequirement", "supportedObjective", "impactedPerformanceIndicator", "decisionMaker",
    "decisionOwner", "usingProcess", "usingTask", "annotation", "annotationEntry",
}  # fmt: skip
#: What holds text.
_TEXTS = (
    "inputExpression", "inputValues", "outputValues", "defaultOutputEntry", "inputEntry", "outputEntry",
    "literalExpression",
)  # fmt: skip
#: What else may stand in each element.
_PARTS: Mapping[str, frozenset[str]] = {
    "definitions": frozenset({"decision"}),
    "decision": frozenset({"variable", "informationRequirement", "decisionTable", "literalExpression"}),
    "decisionTable": frozenset({"input", "output", "rule"}),
    "input": frozenset({"inputExpression", "inputValues"}),
    "output": frozenset({"outputValues", "defaultOutputEntry"}),
    "rule": frozenset({"inputEntry", "outputEntry"}),
    "informationRequirement": frozenset({"requiredDecision", "requiredInput"}),
    **dict.fromkeys(_TEXTS, frozenset({"text"})),
}
_FEEL = re.compile(r"feel|https?://www\.omg\.org/spec/(?:FEEL/\d+|DMN/\d+/FEEL/?)", re.IGNORECASE)
_WRITE_EXPRESSION = "Write it in the language of expressions; see the reference of decisions."

_Read = TypeVar("_Read")


def read_decisions(xml: bytes) -> dict[str, Decision]:
    """The decisions of a DMN file, by id. Raises ModelRefused with all that is wrong with it."""
    return _File(parse_plain_xml(xml)).decisions()


class _File:
    """One DMN file while it is read; what is wrong is collected."""

    def __init__(self, root: etree._Element) -> None:
        self.findings: list[Finding] = []
        self.root = root
        self.cells = 0
        self.namespace, _, local = str(root.tag).removeprefix("{").rpartition("}")
        if self.namespace not in NAMESPACES or local != "definitions":
            self.refuse(root, "The file is not a DMN model.", "Its root must be definitions of DMN 1.1 to 1.5.")
            raise self._refused()

    def decisions(self) -> dict[str, Decision]:
        """All of them, by id."""
        self._check_parts()
        elements = self._children(self.root, "decision")
        if not elements:
            self.refuse(self.root, "The file has no decision.", "Draw one, with a decision table.")
        if len(elements) > MAX_DECISIONS:
            self.refuse(
                self.root, f"The file has more than {MAX_DECISIONS} decisions.", "Deploy them in several files."
            )
        nodes = {node.id: node for element in elements[:MAX_DECISIONS] if (node := self._node(element))}
        found = self._linked(nodes, {element.get("id", ""): element for element in elements})
        if self.findings:
            raise self._refused()
        return found

    # --- findings ---

    def refuse(self, element: etree._Element, message: str, remedy: str) -> None:
        """Tell of something wrong with the element, or with the nearest around it that has an id."""
        around = [element, *element.iterancestors()]
        identity = next((each.get("id") for each in around if each.get("id")), None)
        name = next((each.get("name") for each in around if each.get("name")), None)
        finding = Finding(
            rule="dmn", severity="error", element=identity, name=name, line=line_of(element), message=message,
            remedy=remedy,
        )  # fmt: skip
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)

    def _refused(self) -> ModelRefused:
        return ModelRefused(self.findings)

    def _check_parts(self) -> None:
        """Refuse elements that would change the meaning and aren't understood, and ids used twice."""
        seen: set[str] = set()
        for element in self.root.iter("{*}*"):
            identity = element.get("id")
            if identity and identity in seen:
                self.refuse(element, f"The id {identity} is used more than once.", "Give each element its own.")
            seen.add(identity or "")
            parent = element.getparent()
            if parent is None or not self._is_dmn(element) or not self._is_dmn(parent):
                continue
            inside, kind = _local(parent), _local(element)
            if inside in _PARTS and kind not in _PARTS[inside] and kind not in _DOCUMENTS:
                message = f"{kind} in {inside} does not run."
                self.refuse(element, message, "Use decision tables and literal expressions.")

    # --- elements ---

    def _is_dmn(self, element: etree._Element) -> bool:
        return isinstance(element.tag, str) and etree.QName(element).namespace == self.namespace

    def _children(self, element: etree._Element, name: str) -> list[etree._Element]:
        return element.findall(f"{{{self.namespace}}}{name}")

    def _child(self, element: etree._Element, name: str) -> etree._Element | None:
        return next(iter(self._children(element, name)), None)

    def _text(self, element: etree._Element | None) -> str:
        """What stands in its `text`."""
        if element is None:
            return ""
        language = element.get("expressionLanguage") or self.root.get("expressionLanguage")
        if language and not _FEEL.fullmatch(language):
            message = f"The language {language[:60]} is not understood."
            self.refuse(element, message, f"{_WRITE_EXPRESSION} Remove expressionLanguage.")
        text = self._child(element, "text")
        if text is None:
            return ""
        # A comment in the middle would otherwise hide what follows.
        return "".join([text.text or "", *(child.tail or "" for child in text)]).strip()

    def _read(self, element: etree._Element, place: str, source: str, read: Callable[[str], _Read]) -> _Read | None:
        try:
            return read(source)
        except ExpressionError as error:
            self.refuse(element, f"{place}: {error}", _WRITE_EXPRESSION)
            return None

    def _type(self, element: etree._Element | None) -> str | None:
        """The type that its values must have."""
        written = "" if element is None else element.get("typeRef", "")
        name = written.rpartition(":")[2]
        if not name or name.lower() == "any":
            return None
        if name not in TYPES and element is not None:
            self.refuse(element, f"The type {written[:60]} is not understood.", f"Use one of {', '.join(TYPES)}.")
        return name

    # --- one decision ---

    def _node(self, element: etree._Element) -> Node | None:
        identity = element.get("id", "")
        if not identity:
            self.refuse(element, "The decision has no id.", "Give it one.")
        variable = self._child(element, "variable")
        name = "" if variable is None else variable.get("name", "")
        logic, type_name = self._logic(element, name or identity)
        if logic is None:
            return None
        return Node(
            id=identity,
            name=" ".join(element.get("name", identity).split()),
            bound_as=tuple({each: None for each in (name, identity) if each.isidentifier()}),
            requires=tuple(self._required(element)),
            logic=logic,
            type=type_name,
        )

    def _logic(self, element: etree._Element, name: str) -> tuple[Table | Expression | None, str | None]:
        logics = self._children(element, "decisionTable") + self._children(element, "literalExpression")
        if len(logics) != 1:
            message = f"The decision has {len(logics)} tables and expressions."
            self.refuse(element, message, "Give it one decision table or one literal expression.")
            return None, None
        (logic,) = logics
        if _local(logic) == "decisionTable":
            return self._table(logic, name), None
        type_name = self._type(logic) or self._type(self._child(element, "variable"))
        return self._read(logic, "the expression", self._text(logic), parse), type_name

    def _required(self, element: etree._Element) -> Iterator[str]:
        for requirement in self._children(element, "informationRequirement"):
            for required in self._children(requirement, "requiredDecision"):
                href = required.get("href", "")
                if not href.startswith("#"):
                    self.refuse(required, f"{href[:60]!r} is in another file.", "Draw the decision in this file.")
                yield href.removeprefix("#")

    # --- tables ---

    def _table(self, element: etree._Element, name: str) -> Table | None:
        rows = self._children(element, "rule")
        columns = [*self._children(element, "input"), *self._children(element, "output")]
        self.cells += len(rows) * len(columns)
        if len(rows) > MAX_RULES or len(columns) > MAX_COLUMNS or self.cells > MAX_CELLS:
            message = f"The table is larger than {MAX_RULES} rules, {MAX_COLUMNS} columns or {MAX_CELLS} cells."
            self.refuse(element, message, "Split it into several decisions.")
            return None
        policy, aggregation = self._policy(element)
        inputs = [self._input(each) for each in self._children(element, "input")]
        outputs = [self._output(each, name) for each in self._children(element, "output")]
        self._check_outputs(element, outputs, policy, aggregation)
        rules = [self._rule(row, number, len(inputs), len(outputs)) for number, row in enumerate(rows, start=1)]
        return Table(
            policy=policy,
            aggregation=aggregation,
            inputs=tuple(each for each in inputs if each is not None),
            outputs=tuple(outputs),
            rules=tuple(each for each in rules if each is not None),
        )

    def _policy(self, element: etree._Element) -> tuple[HitPolicy, Aggregation | None]:
        policy, aggregation = element.get("hitPolicy", "UNIQUE"), element.get("aggregation")
        if policy not in get_args(HitPolicy):
            remedy = f"Use {', '.join(get_args(HitPolicy))}; FIRST takes rules in the order they stand."
            self.refuse(element, f"The hit policy {policy[:60]} does not run.", remedy)
        if aggregation is not None and (aggregation not in get_args(Aggregation) or policy != "COLLECT"):
            remedy = "Use SUM, MIN, MAX or COUNT, with the hit policy COLLECT."
            self.refuse(element, f"The aggregation {aggregation[:60]} does not run here.", remedy)
        return cast("HitPolicy", policy), cast("Aggregation | None", aggregation)

    def _input(self, element: etree._Element) -> Input | None:
        asked = self._child(element, "inputExpression")
        source = self._text(asked)
        expression = self._read(element, "the input's expression", source, parse)
        allowed, type_name = self._allowed(element, "inputValues"), self._type(asked)
        if expression is None:
            return None
        label = _shown(element.get("label") or source)
        return Input(label=label, type=type_name, allowed=allowed, expression=expression)

    def _output(self, element: etree._Element, decision: str) -> Output:
        name = element.get("name", "") or decision
        default = self._text(self._child(element, "defaultOutputEntry"))
        return Output(
            label=_shown(element.get("label") or name),
            type=self._type(element),
            allowed=self._allowed(element, "outputValues"),
            name=name,
            default=self._read(element, "the default", default, parse) if default else None,
        )

    def _check_outputs(
        self, element: etree._Element, outputs: Sequence[Output], policy: str, aggregation: str | None
    ) -> None:
        if len({output.name for output in outputs}) < max(len(outputs), 1):
            self.refuse(element, "The table lacks outputs with names of their own.", "Name each output.")
        if aggregation is not None and len(outputs) > 1:
            self.refuse(element, "An aggregation goes over one output.", "Keep one output, or remove the aggregation.")
        if policy in ("COLLECT", "RULE ORDER") and any(output.default for output in outputs):
            message = f"A default output does not run with the hit policy {policy}."
            self.refuse(element, message, "Remove it: when no rule matches, the list is empty.")

    def _allowed(self, element: etree._Element, name: str) -> Cell | None:
        values = self._child(element, name)
        source = self._text(values)
        return self._read(element, "the allowed values", source, read_cell) if source else None

    def _rule(self, element: etree._Element, number: int, inputs: int, outputs: int) -> Rule | None:
        asked, answered = self._children(element, "inputEntry"), self._children(element, "outputEntry")
        if (len(asked), len(answered)) != (inputs, outputs):
            message = (
                f"Rule {number} has {len(asked)} and {len(answered)} cells for {inputs} inputs and {outputs} outputs."
            )
            self.refuse(element, message, "Give it one cell for each.")
            return None
        cells = [
            self._read(each, f"rule {number}, input {column}", self._text(each), read_cell)
            for column, each in enumerate(asked, start=1)
        ]
        values = [self._value(each, f"rule {number}, output {column}") for column, each in enumerate(answered, start=1)]
        return Rule(number=number, cells=tuple(cell for cell in cells if cell), values=tuple(values))

    def _value(self, element: etree._Element, place: str) -> Expression | None:
        source = self._text(element)
        return self._read(element, place, source, parse) if source else None

    # --- what requires what ---

    def _linked(self, nodes: Mapping[str, Node], elements: Mapping[str, etree._Element]) -> dict[str, Decision]:
        for node in nodes.values():
            for required in node.requires:
                if required not in elements:
                    message = f"It requires the decision {required[:60]!r}, which is not in the file."
                    self.refuse(elements[node.id], message, "Draw the requirement again.")
        try:
            order = [*TopologicalSorter({node.id: node.requires for node in nodes.values()}).static_order()]
        except CycleError as error:
            circle = error.args[1]
            self.refuse(elements[circle[0]], f"Decisions require each other: {', '.join(circle)}.", "Open the circle.")
            return {}
        return {
            identity: _decision(nodes, [each for each in order if each in _closure(nodes, identity)])
            for identity in nodes
        }


def _closure(nodes: Mapping[str, Node], identity: str) -> set[str]:
    """The decision and all that it requires, directly or not."""
    waiting, found = [identity], set[str]()
    while waiting:
        each = waiting.pop()
        if each in nodes and each not in found:
            found.add(each)
            waiting.extend(nodes[each].requires)
    return found


def _decision(nodes: Mapping[str, Node], order: Sequence[str]) -> Decision:
    own = nodes[order[-1]]
    names: set[str] = set()
    for identity in order:
        bound = {
            name for required in nodes[identity].requires if required in nodes for name in nodes[required].bound_as
        }
        names |= _names(nodes[identity].logic) - bound
    return Decision(
        id=own.id,
        name=own.name,
        names_read=frozenset(names - CONSTANTS.keys()),
        nodes=tuple(nodes[identity] for identity in order),
    )


def _names(logic: Table | Expression) -> frozenset[str]:
    """The names that the logic reads."""
    if isinstance(logic, Expression):
        return logic.names
    columns = [*logic.inputs, *logic.outputs]
    cells = [cell for rule in logic.rules for cell in rule.cells] + [each.allowed for each in columns if each.allowed]
    expressions = [column.expression for column in logic.inputs]
    expressions += [each for rule in logic.rules for each in rule.values if each]
    expressions += [column.default for column in logic.outputs if column.default]
    return frozenset[str]().union(*(cell.names for cell in cells), *(each.names for each in expressions))


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname


def _shown(text: str) -> str:
    return " ".join(text.split())[:60]
