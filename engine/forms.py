"""Answers to a form: what is asked now, is it answered well, and how the answers read as text.

Answers are a plain dict of JSON values: texts, numbers, booleans, ISO dates, lists of chosen values or file ids, and
lists of dicts for rows. The same rules serve pages, commands and the API. Messages are in Bokmål, name the field and
say what to do. `inputs` is the data the engine offers the form (options, fixed rows, names for the words).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TypeAlias

from engine import form_answers
from engine.bpmn.expressions import Expression, ExpressionError, evaluate
from engine.calendar import Calendar
from engine.errors import FieldProblem
from engine.form_definitions import (
    ITEM_KEY,
    Component,
    Definition,
    Field,
    FormError,
    Group,
    Option,
    Rows,
    fields_of,
    read_components,
    read_options,
    rows_of,
)

Answers: TypeAlias = dict[str, object]
FieldError: TypeAlias = FieldProblem
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


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form ready to be asked. `calendar` serves date functions in conditions."""

    id: str
    components: tuple[Component, ...]
    properties: Mapping[str, object] = field(default_factory=dict)
    calendar: Calendar = field(default_factory=Calendar)

    @property
    def minutes(self) -> int | None:
        """How long answering takes, in minutes, where the definition says so."""
        value = self.properties.get("minutes")
        return int(str(value)) if value else None

    def nodes(self, answers: Mapping[str, object], inputs: Mapping[str, object]) -> tuple[Node, ...]:
        """The form as it stands with these answers, hidden parts included and marked."""
        return _Resolver(self, answers, inputs).resolve()

    def clean(self, answers: Mapping[str, object], inputs: Mapping[str, object]) -> Answers:
        """The answers with values of the right type, without hidden fields, unknown keys and empty rows."""
        return _collect(self.nodes(answers, inputs))

    def validate(self, answers: Mapping[str, object], inputs: Mapping[str, object]) -> list[FieldError]:
        """What is missing or wrong, in the form's order; hidden fields are not asked for."""
        nodes = self.nodes(answers, inputs)
        misshapen = {
            rows.path for rows in rows_of(self.components) if not _is_row_list(answers.get(rows.path))
        }
        return list(_problems(nodes, inputs, misshapen))

    def validate_json(
        self, data: Mapping[str, object], inputs: Mapping[str, object]
    ) -> tuple[Answers, list[FieldError]]:
        """For the API and commands: as `clean` and `validate`, and refuses keys that the form doesn't have."""
        return self.clean(data, inputs), [*self._unknown(data), *self.validate(data, inputs)]

    def summary(
        self,
        answers: Mapping[str, object],
        inputs: Mapping[str, object],
        show_date: Callable[[date], str] = form_answers.date_in_words,
    ) -> list[tuple[str, str]]:
        """The answers as (label, text) in the form's order; what is hidden or unanswered is left out."""
        return [
            (
                _summary_label(node),
                form_answers.in_words(node.field, node.options, node.value, inputs, show_date),
            )
            for node in field_nodes(self.nodes(answers, inputs))
            if not form_answers.is_empty(node.value)
        ]

    def facts(self, answers: Mapping[str, object], inputs: Mapping[str, object]) -> dict[str, date]:
        """The dates that these answers set, by the fact's name (`properties.setsFact`)."""
        return {
            str(node.field.properties["setsFact"]): date.fromisoformat(str(node.value))
            for node in field_nodes(self.nodes(answers, inputs))
            if node.field.properties.get("setsFact") and form_answers.is_iso_date(node.value)
        }

    def _unknown(self, data: Mapping[str, object]) -> Iterator[FieldError]:
        known = [found.key for found in fields_of(self.components)] + [
            r.path for r in rows_of(self.components)
        ]
        yield from (_unknown_key(key, known) for key in data if key not in known)
        for rows in rows_of(self.components):
            inside = [ITEM_KEY, *(found.key for found in fields_of(rows.components))]
            for index, row in enumerate(_row_list(data.get(rows.path))):
                yield from (
                    _unknown_key(key, inside, f"{rows.path}-{index}-") for key in row if key not in inside
                )


def load(definition: Definition, calendar: Calendar | None = None) -> Form:
    """Reads a form definition. Raises FormError, which names the component and the remedy."""
    properties = definition.get("properties") or {}
    if not isinstance(properties, Mapping) or not definition.get("id"):
        raise FormError("A form needs an id, and its properties must be an object.")
    return Form(
        id=str(definition["id"]),
        components=read_components(definition.get("components")),
        properties=properties,
        calendar=calendar or Calendar(),
    )


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


class _Resolver:
    """Binds a form to answers. Parts are decided in order: what is hidden counts as unanswered further down."""

    def __init__(self, form: Form, answers: Mapping[str, object], inputs: Mapping[str, object]) -> None:
        self.form = form
        self.answers = answers
        self.inputs = inputs
        self.scope: dict[str, object] = dict(inputs)
        self.scope.update({rows.path: _row_list(answers.get(rows.path)) for rows in rows_of(form.components)})
        for found in fields_of(form.components):
            self.scope[found.key] = form_answers.coerce(found, self._options(found), answers.get(found.key))

    def resolve(self) -> tuple[Node, ...]:
        return self._nodes(self.form.components, self.answers, self.scope, hidden=False)

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
                inner = self._nodes(
                    component.components, answers, scope, hidden=gone, prefix=prefix, heading=heading
                )
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
        given = _row_list(self.answers.get(rows.path))
        items = self._fixed_rows(rows, given) if rows.rows_from else [(None, None, row) for row in given]
        nodes = []
        for index, (item, name, row) in enumerate(items):
            heading = name or f"{self._words(rows.row_name)} {index + 1}"
            inner_scope = scope | {found.key: row.get(found.key) for found in fields_of(rows.components)}
            prefix = f"{rows.path}-{index}-"
            inner = self._nodes(
                rows.components, row, inner_scope, hidden=hidden, prefix=prefix, heading=heading
            )
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
            return bool(evaluate(hide, scope, self.form.calendar))
        except ExpressionError:
            # A condition that can't be decided must not make a question vanish.
            return False

    def _words(self, text: str) -> str:
        return _NAME_IN_WORDS.sub(lambda match: _name_of(self.inputs.get(match[1]), match[0]), text)


def _name_of(value: object, otherwise: str) -> str:
    if isinstance(value, Mapping):
        value = value.get("name") or value.get("label")
    return str(value) if isinstance(value, str | int) else otherwise


def _collect(nodes: Sequence[Node]) -> Answers:
    found: Answers = {}
    for node in nodes:
        if node.hidden:
            continue
        if isinstance(node, FieldNode):
            found |= _collect_field(node)
        elif isinstance(node, GroupNode):
            found |= _collect(node.nodes)
        elif isinstance(node, RowsNode):
            found[node.rows.path] = [_collect_row(row) for row in node.answered]
    return found


def _collect_field(node: FieldNode) -> Answers:
    if node.field.type == "checkbox" and node.value is None:
        return {node.field.key: False}
    return (
        {} if form_answers.is_empty(node.value) and node.value is not False else {node.field.key: node.value}
    )


def _collect_row(row: RowNode) -> Answers:
    item: Answers = {} if row.item is None else {ITEM_KEY: row.item}
    return item | _collect(row.nodes)


def _problems(
    nodes: Sequence[Node], inputs: Mapping[str, object], misshapen: set[str]
) -> Iterator[FieldError]:
    for node in nodes:
        if node.hidden:
            continue
        if isinstance(node, FieldNode):
            yield from _field_problem(node, inputs)
        elif isinstance(node, GroupNode):
            yield from _problems(node.nodes, inputs, misshapen)
        elif isinstance(node, RowsNode):
            yield from _rows_problems(node, misshapen)
            for row in node.answered:
                yield from _problems(row.nodes, inputs, misshapen)


def _field_problem(node: FieldNode, inputs: Mapping[str, object]) -> Iterator[FieldError]:
    labelled = replace(node.field, label=node.label)
    message = form_answers.problem(labelled, node.options, node.value, inputs)
    if message:
        where = f"{node.row_heading}: " if node.row_heading else ""
        yield FieldProblem(key=node.name, label=node.full_label, message=where + message)


def _rows_problems(node: RowsNode, misshapen: set[str]) -> Iterator[FieldError]:
    rows, count = node.rows, len(node.answered)
    if rows.path in misshapen:
        yield FieldProblem(
            key=rows.path, label=node.label, message=f"«{node.label}» må være en liste med rader."
        )
    elif rows.required and count == 0:
        yield FieldProblem(
            key=rows.path, label=node.label, message=f"Fyll ut minst én rad under «{node.label}»."
        )
    elif rows.rows_from is None and count > rows.max_rows:
        message = f"«{node.label}» kan ha høyst {rows.max_rows} rader. Fjern {count - rows.max_rows}."
        yield FieldProblem(key=rows.path, label=node.label, message=message)


def _unknown_key(key: str, known: Sequence[str], prefix: str = "") -> FieldError:
    message = f"Skjemaet har ikke feltet «{key}». Feltene er {', '.join(known)}."
    return FieldProblem(key=prefix + key, label=key, message=message)


def _is_row_list(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(row, Mapping) for row in value))


def _row_list(value: object) -> list[Mapping[str, object]]:
    return value if isinstance(value, list) and _is_row_list(value) else []
