"""A form bound to answers: each part with its words, options and answer, and whether it is hidden now."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from engine import form_answers
from engine.bpmn.expressions import Expression, ExpressionError, evaluate
from engine.calendar import Calendar
from engine.form_definitions import (
    ITEM_KEY,
    Component,
    Field,
    Group,
    Option,
    Rows,
    fields_of,
    read_options,
    rows_of,
)

Node: TypeAlias = "TextNode | FieldNode | GroupNode | RowsNode"

_NAME_IN_WORDS = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, kw_only=True)
class TextNode:
    """A text as it stands in the form now."""

    text: str
    hide: Expression | None
    hidden: bool


@dataclass(frozen=True, kw_only=True)
class FieldNode:
    """A field with its options and answer. `name` is unique in the form: `virker`, or `forslag-0-problem` in a row."""

    field: Field
    name: str
    label: str
    description: str
    options: tuple[Option, ...]
    value: object
    row_heading: str | None
    hidden: bool

    @property
    def full_label(self) -> str:
        """The label with its row's heading before it."""
        return f"{self.row_heading}: {self.label}" if self.row_heading else self.label


@dataclass(frozen=True, kw_only=True)
class GroupNode:
    """A group with what it holds; all of it is hidden when the group is."""

    group: Group
    label: str
    description: str
    nodes: tuple[Node, ...]
    hidden: bool


@dataclass(frozen=True, kw_only=True)
class RowNode:
    """One row. `item` is the id of the input item it is about, None when people add the rows themselves."""

    index: int
    heading: str
    item: str | None
    nodes: tuple[Node, ...]

    @property
    def is_empty(self) -> bool:
        return all(form_answers.is_empty(node.value) for node in field_nodes(self.nodes, hidden=True))


@dataclass(frozen=True, kw_only=True)
class RowsNode:
    """A repeated part and its rows."""

    rows: Rows
    label: str
    description: str
    items: tuple[RowNode, ...]
    hidden: bool

    @property
    def answered(self) -> tuple[RowNode, ...]:
        """The rows that count: fixed rows always, others once something is written in them."""
        return tuple(row for row in self.items if row.item is not None or not row.is_empty)


def field_nodes(nodes: Sequence[Node], *, hidden: bool = False) -> Iterator[FieldNode]:
    """All fields in the form's order, those in rows too; the hidden ones only when asked for."""
    for node in nodes:
        if node.hidden and not hidden:
            continue
        if isinstance(node, FieldNode):
            yield node
        elif isinstance(node, GroupNode):
            yield from field_nodes(node.nodes, hidden=hidden)
        elif isinstance(node, RowsNode):
            for row in node.answered:
                yield from field_nodes(row.nodes, hidden=hidden)


class Resolver:
    """Binds a form to answers. Parts are decided in order: what is hidden counts as unanswered further down."""

    def __init__(
        self,
        components: Sequence[Component],
        calendar: Calendar,
        answers: Mapping[str, object],
        inputs: Mapping[str, object],
    ) -> None:
        self.components = components
        self.calendar = calendar
        self.answers = answers
        self.inputs = inputs
        self.scope: dict[str, object] = dict(inputs)
        self.scope.update({rows.path: form_answers.row_list(answers.get(rows.path)) for rows in rows_of(components)})
        for found in fields_of(components):
            self.scope[found.key] = form_answers.coerce(found, self._options(found), answers.get(found.key))

    def resolve(self) -> tuple[Node, ...]:
        return self._nodes(self.components, self.answers, self.scope, hidden=False)

    def _nodes(
        self,
        components: Sequence[Component],
        answers: Mapping[str, object],
        scope: dict[str, object],
        *,
        hidden: bool,
        prefix: str = "",
        heading: str | None = None,
    ) -> tuple[Node, ...]:
        found: list[Node] = []
        for component in components:
            gone = hidden or self._is_hidden(component.hide, scope)
            if isinstance(component, Field):
                node = self._field(component, answers, prefix, heading, hidden=gone)
                scope[component.key] = None if gone else node.value
                found.append(node)
            elif isinstance(component, Group):
                inner = self._nodes(component.components, answers, scope, hidden=gone, prefix=prefix, heading=heading)
                found.append(self._group(component, inner, hidden=gone))
            elif isinstance(component, Rows):
                found.append(self._rows(component, scope, hidden=gone))
            else:
                found.append(TextNode(text=self._words(component.text), hide=component.hide, hidden=gone))
        return tuple(found)

    def _field(
        self,
        component: Field,
        answers: Mapping[str, object],
        prefix: str,
        heading: str | None,
        *,
        hidden: bool,
    ) -> FieldNode:
        options = self._options(component)
        return FieldNode(
            field=component,
            name=prefix + component.key,
            label=self._words(component.label),
            description=self._words(component.description),
            options=options,
            value=form_answers.coerce(component, options, answers.get(component.key)),
            row_heading=heading,
            hidden=hidden,
        )

    def _group(self, group: Group, nodes: tuple[Node, ...], *, hidden: bool) -> GroupNode:
        label, description = self._words(group.label), self._words(group.description)
        return GroupNode(group=group, label=label, description=description, nodes=nodes, hidden=hidden)

    def _rows(self, rows: Rows, scope: dict[str, object], *, hidden: bool) -> RowsNode:
        given = form_answers.row_list(self.answers.get(rows.path))
        items = self._fixed_rows(rows, given) if rows.rows_from else [(None, None, row) for row in given]
        nodes = []
        for index, (item, name, row) in enumerate(items):
            heading = name or f"{self._words(rows.row_name)} {index + 1}"
            inner_scope = scope | {found.key: row.get(found.key) for found in fields_of(rows.components)}
            prefix = f"{rows.path}-{index}-"
            inner = self._nodes(rows.components, row, inner_scope, hidden=hidden, prefix=prefix, heading=heading)
            if rows.is_one_question:
                inner = tuple(_about(node, heading) for node in inner)
            nodes.append(RowNode(index=index, heading=heading, item=item, nodes=inner))
        label, description = self._words(rows.label), self._words(rows.description)
        return RowsNode(rows=rows, label=label, description=description, items=tuple(nodes), hidden=hidden)

    def _fixed_rows(
        self, rows: Rows, given: Sequence[Mapping[str, object]]
    ) -> list[tuple[str | None, str | None, Mapping[str, object]]]:
        by_item = {str(row.get(ITEM_KEY)): row for row in given if ITEM_KEY in row}
        options = read_options(self.inputs.get(str(rows.rows_from)) or [], rows.path)
        # A row without an item id is matched by its place, so that a person at the command line may leave the ids out.
        by_place = [row for row in given if ITEM_KEY not in row]
        found: list[tuple[str | None, str | None, Mapping[str, object]]] = []
        for place, option in enumerate(options):
            item = str(option.value)
            row = by_item.get(item) or (by_place[place] if place < len(by_place) else {})
            found.append((item, option.label, row))
        return found

    def _options(self, component: Field) -> tuple[Option, ...]:
        if not component.values_key:
            return component.options
        return read_options(self.inputs.get(component.values_key) or [], component.key)

    def _is_hidden(self, hide: Expression | None, scope: Mapping[str, object]) -> bool:
        if hide is None:
            return False
        try:
            return bool(evaluate(hide, scope, self.calendar))
        except ExpressionError:
            # A condition that can't be decided must not make a question vanish.
            return False

    def _words(self, text: str) -> str:
        return _NAME_IN_WORDS.sub(lambda match: _name_of(self.inputs.get(match[1]), match[0]), text)


def _about(node: Node, heading: str) -> Node:
    """The one question of a fixed row bears the row's heading as its label: "Kapittel 3" says enough."""
    return replace(node, label=heading, row_heading=None) if isinstance(node, FieldNode) else node


def _name_of(value: object, otherwise: str) -> str:
    if isinstance(value, Mapping):
        value = value.get("name") or value.get("label")
    return str(value) if isinstance(value, str | int) else otherwise
