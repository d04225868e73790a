"""Answers to a form: what is asked now, is it answered well, and how the answers read as text.

Answers are a plain dict of JSON values: texts, numbers, booleans, ISO dates, lists of chosen values or file ids, and
lists of dicts for rows. The same rules serve pages, commands and the API. Messages are in Bokmål, name the field and
say what to do. `inputs` is the data the engine offers the form (options, fixed rows, names for the words).
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TypeAlias

from engine import form_answers
from engine.calendar import Calendar
from engine.errors import FieldProblem
from engine.form_definitions import (
    ITEM_KEY,
    Component,
    Definition,
    Field,
    FormError,
    fields_of,
    read_components,
    rows_of,
)
from engine.form_nodes import FieldNode, GroupNode, Node, Resolver, RowNode, RowsNode, field_nodes

__all__ = ["Answers", "FieldError", "Form", "FormError", "load", "parse_definition"]

#: Bytes of a form's file.
MAX_SIZE = 1_000_000

Answers: TypeAlias = dict[str, object]
FieldError: TypeAlias = FieldProblem


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
        return Resolver(self.components, self.calendar, answers, inputs).resolve()

    def clean(self, answers: Mapping[str, object], inputs: Mapping[str, object]) -> Answers:
        """The answers with values of the right type, without hidden fields, unknown keys and empty rows."""
        return _collect(self.nodes(answers, inputs))

    def validate(self, answers: Mapping[str, object], inputs: Mapping[str, object]) -> list[FieldError]:
        """What is missing or wrong, in the form's order; hidden fields are not asked for."""
        return self._validate(self.nodes(answers, inputs), answers, inputs)

    def _validate(
        self, nodes: Sequence[Node], answers: Mapping[str, object], inputs: Mapping[str, object]
    ) -> list[FieldError]:
        misshapen = {
            rows.path for rows in rows_of(self.components) if not form_answers.is_row_list(answers.get(rows.path))
        }
        return list(_problems(nodes, inputs, misshapen))

    def validate_json(
        self, data: Mapping[str, object], inputs: Mapping[str, object]
    ) -> tuple[Answers, list[FieldError]]:
        """For the API and commands: as `clean` and `validate`, and refuses keys that the form doesn't have."""
        nodes = self.nodes(data, inputs)
        return _collect(nodes), [*self._unknown(data), *self._validate(nodes, data, inputs)]

    def summary(
        self,
        answers: Mapping[str, object],
        inputs: Mapping[str, object],
        show_date: Callable[[date], str] = form_answers.date_in_words,
    ) -> list[tuple[str, str]]:
        """The answers as (label, text) in the form's order; what is hidden or unanswered is left out."""
        return [
            (
                node.full_label,
                form_answers.in_words(node.field, node.options, node.value, inputs, show_date),
            )
            for node in field_nodes(self.nodes(answers, inputs))
            if not form_answers.is_empty(node.value)
        ]

    def facts(self, answers: Mapping[str, object], inputs: Mapping[str, object]) -> dict[str, date]:
        """The dates that these answers set, by the fact's name (`properties.setsFact`)."""
        if not any(found.properties.get("setsFact") for found in self._fields()):
            return {}
        return {
            str(node.field.properties["setsFact"]): date.fromisoformat(str(node.value))
            for node in field_nodes(self.nodes(answers, inputs))
            if node.field.properties.get("setsFact") and form_answers.is_iso_date(node.value)
        }

    def _fields(self) -> Iterator[Field]:
        yield from fields_of(self.components)
        for rows in rows_of(self.components):
            yield from fields_of(rows.components)

    def _unknown(self, data: Mapping[str, object]) -> Iterator[FieldError]:
        known = [found.key for found in fields_of(self.components)] + [r.path for r in rows_of(self.components)]
        yield from (_unknown_key(key, known) for key in data if key not in known)
        for rows in rows_of(self.components):
            inside = [ITEM_KEY, *(found.key for found in fields_of(rows.components))]
            for index, row in enumerate(form_answers.row_list(data.get(rows.path))):
                yield from (_unknown_key(key, inside, f"{rows.path}-{index}-") for key in row if key not in inside)


def parse_definition(text: str | bytes) -> dict[str, object]:
    """The form definition in a JSON file, not yet checked. Raises FormError."""
    if len(text) > MAX_SIZE:
        raise FormError(f"A form is at most {MAX_SIZE // 1_000_000} MB.")
    try:
        definition = json.loads(text)
    except ValueError as error:
        raise FormError(f"The form is no JSON: {error}.") from None
    except RecursionError:
        raise FormError("The form's parts are nested too deeply.") from None
    if not isinstance(definition, dict):
        raise FormError("A form is an object with an id and components.")
    return definition


def load(definition: Definition, calendar: Calendar | None = None) -> Form:
    """Reads a form definition. Raises FormError, which names the component and the remedy."""
    if not isinstance(definition, Mapping):
        raise FormError("A form is an object with an id and components.")
    properties = definition.get("properties") or {}
    if not isinstance(properties, Mapping) or not definition.get("id"):
        raise FormError("A form needs an id, and its properties must be an object.")
    return Form(
        id=str(definition["id"]),
        components=read_components(definition.get("components")),
        properties=properties,
        calendar=calendar or Calendar(),
    )


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
    return {} if form_answers.is_empty(node.value) and node.value is not False else {node.field.key: node.value}


def _collect_row(row: RowNode) -> Answers:
    item: Answers = {} if row.item is None else {ITEM_KEY: row.item}
    return item | _collect(row.nodes)


def _problems(nodes: Sequence[Node], inputs: Mapping[str, object], misshapen: set[str]) -> Iterator[FieldError]:
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
        yield FieldProblem(key=rows.path, label=node.label, message=f"«{node.label}» må være en liste med rader.")
    elif rows.required and count == 0:
        yield FieldProblem(key=rows.path, label=node.label, message=f"Fyll ut minst én rad under «{node.label}».")
    elif rows.rows_from is None and count > rows.max_rows:
        message = f"«{node.label}» kan ha høyst {rows.max_rows} rader. Fjern {count - rows.max_rows}."
        yield FieldProblem(key=rows.path, label=node.label, message=message)


def _unknown_key(key: str, known: Sequence[str], prefix: str = "") -> FieldError:
    message = f"Skjemaet har ikke feltet «{key}». Feltene er {', '.join(known)}."
    return FieldProblem(key=prefix + key, label=key, message=message)
