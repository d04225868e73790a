"""Answers that forms accept, made from the forms themselves."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from engine.bpmn.reading import UserTaskElement
from engine.form_definitions import ITEM_KEY, Field
from engine.form_nodes import FieldNode, GroupNode, Node, RowsNode
from engine.forms import Form
from engine.rehearsing import plan_outcome

#: Tried in turn where a field wants a pattern.
_TEXTS = ("Tekst", "https://www.example.org/dokument", "17/26", "12345678", "kari@example.org")
#: A form whose questions bring further questions more often than this never comes to rest.
_ROUNDS = 20


def sample_answers(
    form: Form, inputs: Mapping[str, object], outcome: str | None = None, *, day: date = date(2026, 12, 1), **given: Any
) -> dict[str, Any]:
    """Answers that fill the form so that it validates: `given` ones, `outcome` as `utfall`, and samples for the rest.

    `day` is what every required date is answered with. Raises AssertionError when no sample fits.
    """
    answers: dict[str, Any] = dict(given)
    if outcome is not None:
        answers["utfall"] = outcome
    for _ in range(_ROUNDS):
        if not form.validate(answers, inputs):
            return form.clean(answers, inputs)
        before = repr(answers)
        _fill(form.nodes(answers, inputs), answers, day)
        if repr(answers) == before:
            break
    raise AssertionError(f"No sample fits {form.id}: {form.validate(answers, inputs)}")


def main_path_answers(
    form: Form, inputs: Mapping[str, object], element: UserTaskElement, *, day: date, **given: Any
) -> dict[str, Any]:
    """Answers that take the model's main path."""
    # A form that the caller of a process names may have words of its own for the main outcome.
    main = form.clean(plan_outcome(element), inputs)
    refused = {problem.key for problem in form.validate(main, inputs)}
    kept = {name: value for name, value in main.items() if name not in refused}
    return sample_answers(form, inputs, day=day, **{**kept, **given})


def _fill(nodes: Sequence[Node], answers: dict[str, Any], day: date) -> None:
    for node in nodes:
        if node.hidden:
            continue
        if isinstance(node, FieldNode):
            _fill_field(node, answers, day)
        elif isinstance(node, GroupNode):
            _fill(node.nodes, answers, day)
        elif isinstance(node, RowsNode):
            _fill_rows(node, answers, day)


def _fill_field(node: FieldNode, answers: dict[str, Any], day: date) -> None:
    if node.field.required and node.value is None:
        answers[node.field.key] = _sample(node, day)


def _fill_rows(node: RowsNode, answers: dict[str, Any], day: date) -> None:
    rows = [dict(row) for row in answers.get(node.rows.path) or []]
    if node.rows.rows_from is None and node.rows.required and not rows:
        rows.append({})
        for component in node.rows.components:
            if isinstance(component, Field) and component.type in ("textfield", "textarea"):
                rows[0][component.key] = "Tekst"
                break
    while len(rows) < len(node.items):
        rows.append({})
    for row, item in zip(rows, node.items, strict=False):
        if item.item is not None:
            row[ITEM_KEY] = item.item
        _fill(item.nodes, row, day)
    if rows:
        answers[node.rows.path] = rows


def _sample(node: FieldNode, day: date) -> object:
    kind = node.field.type
    if kind in ("radio", "select", "checklist"):
        assert node.options, f"{node.field.key} offers nothing to choose from"
        value = node.options[0].value
        return [value] if kind == "checklist" else value
    if kind == "datetime":
        return day.isoformat()
    if kind == "checkbox":
        return True
    if kind == "number":
        return node.field.minimum or 1
    pattern = node.field.pattern or re.compile(".*")
    text = next(text for text in _TEXTS if pattern.fullmatch(text))
    return text.ljust(node.field.min_length, "x")
