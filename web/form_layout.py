"""Lays a form out: sections, ids, marks, errors in their places, and which parts fold or may vanish."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from markdown_it import MarkdownIt
from markupsafe import Markup

from engine.bpmn.expressions import Expression
from engine.form_answers import is_empty
from engine.form_definitions import Field, Rows, fields_of, rows_of
from engine.form_nodes import FieldNode, GroupNode, Node, RowNode, RowsNode, TextNode, field_nodes
from engine.forms import FieldError, Form
from web import form_conditions
from web.form_views import (
    FieldView,
    FormView,
    GroupView,
    OptionView,
    PartView,
    RowsView,
    RowView,
    SectionView,
    TextView,
)

#: Stands for the row's number in the template from which script makes new rows.
ROW_PLACE = "__rad__"

_MARKDOWN = MarkdownIt("js-default", {"html": False, "linkify": False})
_SUBJECT = "pasientopplysninger"
_REMINDER = "Ikke skriv pasientopplysninger."
_WARNING = (
    "Beskriv hendelser uten navn, alder, diagnose eller dato som kan peke på én pasient. "
    "Andre parter leser det du skriver."
)
#: A text that opens with a sentence in bold: the heading of a warning.
_HEADED = re.compile(r"\*\*(.+?)\.?\*\*\s*(.*)", re.DOTALL)


def layout(
    form: Form, answers: Mapping[str, object], inputs: Mapping[str, object], errors: Sequence[FieldError] = ()
) -> FormView:
    """The form with these answers and errors, ready for the macros of `templates/form.html`."""
    return _Layout(form, answers, inputs, errors).view()


class _Layout:
    def __init__(
        self,
        form: Form,
        answers: Mapping[str, object],
        inputs: Mapping[str, object],
        errors: Sequence[FieldError],
    ) -> None:
        self.form, self.answers, self.inputs = form, answers, inputs
        self.nodes = form.nodes(answers, inputs)
        self.fields = [*fields_of(form.components)]
        self.fields += [found for rows in rows_of(form.components) for found in fields_of(rows.components)]
        self.asked = {found.key for found in self.fields}
        self.messages: dict[str, list[str]] = {}
        for error in errors:
            self.messages.setdefault(error.key, []).append(error.message)
        self.all_required = len(self.fields) > 1 and all(found.required for found in self.fields)
        #: Where an error's link leads, by the field's name.
        self.targets: dict[str, str] = {}

    def view(self) -> FormView:
        sections = tuple(section for section in self._sections() if section.parts)
        numbered = [section for section in sections if section.label]
        numbers = {section.id: place for place, section in enumerate(numbered, start=1)}
        return FormView(
            sections=tuple(replace(section, number=numbers.get(section.id)) for section in sections),
            numbered=len(numbered),
            errors=tuple((self.targets.get(key, ""), text) for key, texts in self.messages.items() for text in texts),
            warning=self._warning(sections),
            all_required=self.all_required,
            has_files=any(found.type == "filepicker" for found in self.fields),
        )

    def _warning(self, sections: Sequence[SectionView]) -> TextView | None:
        given = any(isinstance(part, TextView) and part.kind == "warning" for s in sections for part in s.parts)
        if given or not any(self._warns(found) for found in self.fields):
            return None
        text = str(self.form.properties.get("patientWarning") or _WARNING)
        return TextView(kind="warning", heading=_REMINDER.rstrip("."), html=_markup(text), hide="")

    def _warns(self, found: Field) -> bool:
        """Whether free text is asked for. A definition may say otherwise with the property `patientData`."""
        asked = self.form.properties.get("patientData", True) is not False
        return asked and found.properties.get("patientData", found.type == "textarea") is True

    # --- sections ---

    def _sections(self) -> Iterator[SectionView]:
        loose: list[Node] = []
        for place, node in enumerate(self.nodes):
            if not isinstance(node, GroupNode):
                loose.append(node)
                continue
            yield self._section(f"del-{place}-foran", "", "", loose, None)
            loose = []
            if not self._gone(node):
                yield self._section(f"del-{place}", node.label, node.description, node.nodes, node.group.hide)
        yield self._section("del-sist", "", "", loose, None)

    def _section(
        self, section_id: str, label: str, description: str, nodes: Sequence[Node], hide: Expression | None
    ) -> SectionView:
        return SectionView(
            id=section_id,
            number=None,
            label=label,
            description=description,
            parts=self._parts(nodes),
            hide=self._rule(hide),
        )

    def _parts(self, nodes: Sequence[Node]) -> tuple[PartView, ...]:
        return tuple(self._part(node) for node in nodes if not self._gone(node))

    def _gone(self, node: Node) -> bool:
        """Hidden whatever is answered, or a list about items of which there are none."""
        if isinstance(node, RowsNode) and node.rows.rows_from and not node.items:
            return True
        hide = _hide_of(node)
        return node.hidden and hide is not None and not (hide.names & self.asked)

    def _part(self, node: Node) -> PartView:
        if isinstance(node, FieldNode):
            return self._field(node)
        if isinstance(node, RowsNode):
            return self._rows(node)
        if isinstance(node, TextNode):
            return self._text(node)
        parts = self._parts(node.nodes)
        hide = self._rule(node.group.hide)
        return GroupView(label=node.label, description=node.description, parts=parts, hide=hide)

    def _text(self, node: TextNode) -> TextView:
        hide = self._rule(node.hide)
        headed = _HEADED.fullmatch(node.text)
        if headed and _SUBJECT in headed[1]:
            return TextView(kind="warning", heading=headed[1], html=_markup(headed[2]), hide=hide)
        return TextView(kind="text", heading="", html=_markup(node.text), hide=hide)

    # --- fields ---

    def _field(self, node: FieldNode) -> FieldView:
        found, field_id = node.field, f"f-{node.name}"
        options = self._options(node)
        in_choice = bool(options) and found.type != "select"
        self.targets[node.name] = options[0].id if in_choice else field_id
        return FieldView(
            kind="scale" if found.is_scale else found.type,
            id=field_id,
            name=node.name,
            label=node.label,
            description=self._description(node),
            required=found.required,
            mark_required=found.required and not self.all_required,
            value=_shown(node.value),
            options=options,
            files=self._files(node),
            multiple=found.multiple,
            max_length=found.max_length,
            low=str(found.properties.get("low", "")),
            high=str(found.properties.get("high", "")),
            errors=tuple(self.messages.get(node.name, ())),
            hide=self._rule(found.hide),
        )

    def _description(self, node: FieldNode) -> str:
        if not self._warns(node.field) or _SUBJECT in node.description:
            return node.description
        return f"{node.description} {_REMINDER}".strip()

    def _options(self, node: FieldNode) -> tuple[OptionView, ...]:
        chosen = node.value if isinstance(node.value, list) else [node.value]
        views = [
            OptionView(
                id=f"f-{node.name}-{place}",
                value=str(option.value),
                label=option.label,
                chosen=option.value in chosen,
            )
            for place, option in enumerate(node.options)
        ]
        return _with_spoken_ends(node.field, views) if node.field.is_scale else tuple(views)

    def _files(self, node: FieldNode) -> tuple[tuple[str, str], ...]:
        names = self.inputs.get("files")
        if node.field.type != "filepicker" or not isinstance(node.value, list) or not isinstance(names, Mapping):
            return ()
        return tuple((str(item), str(names[item])) for item in node.value if item in names)

    # --- rows ---

    def _rows(self, node: RowsNode) -> RowsView:
        rows, fixed = node.rows, node.rows.rows_from is not None
        folding = fixed and not rows.is_one_question and len(node.items) > 1
        items = [self._row(rows, row) for row in node.items]
        blank = None if fixed else self._blank(rows)
        if blank is not None and not items:
            items = [_moved(blank, ROW_PLACE, "0")]
        view_id = f"rader-{rows.path}"
        self.targets[rows.path] = view_id
        return RowsView(
            id=view_id,
            path=rows.path,
            label=self._rows_label(node),
            description=node.description,
            row_name=rows.row_name,
            add_label=_add_label(node),
            max_rows=rows.max_rows,
            next_number=len(items),
            items=tuple(_folded(items) if folding else items),
            blank=blank,
            folding=folding,
            errors=tuple(self.messages.get(rows.path, ())),
            hide=self._rule(rows.hide),
        )

    def _rows_label(self, node: RowsNode) -> str:
        question = node.rows.components[0]
        return question.label if node.rows.is_one_question and isinstance(question, Field) else node.label

    def _row(self, rows: Rows, row: RowNode) -> RowView:
        parts = self._parts(row.nodes)
        errors = any(self.messages.get(node.name) for node in field_nodes(row.nodes))
        required = any(found.required for found in fields_of(rows.components))
        return RowView(
            name=f"{rows.path}-{row.index}",
            heading=row.heading,
            item=row.item,
            answered=not row.is_empty,
            open=errors or required,
            parts=parts,
        )

    def _blank(self, rows: Rows) -> RowView:
        """An empty row with a place for its number."""
        fresh = _Layout(self.form, {**self.answers, rows.path: [{}]}, self.inputs, ())
        node = next(found for found in _rows_nodes(fresh.nodes) if found.rows is rows)
        row = fresh._row(rows, node.items[0])
        return _moved(row, "0", ROW_PLACE)

    def _rule(self, hide: Expression | None) -> str:
        return form_conditions.rule(hide, self.asked, self.inputs)


def _hide_of(node: Node) -> Expression | None:
    if isinstance(node, FieldNode):
        return node.field.hide
    if isinstance(node, GroupNode):
        return node.group.hide
    return node.rows.hide if isinstance(node, RowsNode) else node.hide


def _with_spoken_ends(found: Field, views: Sequence[OptionView]) -> tuple[OptionView, ...]:
    steps = [view.value for view in views if view.value.isdigit()]
    ends = {steps[0]: "low", steps[-1]: "high"} if steps else {}
    return tuple(
        replace(view, spoken=str(found.properties.get(ends[view.value], ""))) if view.value in ends else view
        for view in views
    )


def _add_label(node: RowsNode) -> str:
    properties = node.rows.properties
    thing = str(properties.get("rowName") or node.label)
    return str(properties.get("addLabel") or f"Legg til {thing[:1].lower()}{thing[1:]}")


def _folded(items: Sequence[RowView]) -> list[RowView]:
    """The first row is open: it shows what the others ask."""
    return [replace(item, open=item.open or place == 0) for place, item in enumerate(items)]


def _rows_nodes(nodes: Sequence[Node]) -> Iterator[RowsNode]:
    for node in nodes:
        if isinstance(node, RowsNode):
            yield node
        elif isinstance(node, GroupNode):
            yield from _rows_nodes(node.nodes)


def _moved(row: RowView, old: str, new: str) -> RowView:
    """The same row under another number: in its own name, and in its fields' names and ids."""
    path = row.name.removesuffix(f"-{old}")
    prefixes = (f"{path}-{old}-", f"{path}-{new}-")
    return replace(row, name=f"{path}-{new}", parts=tuple(_renamed(part, *prefixes) for part in row.parts))


def _renamed(part: PartView, old: str, new: str) -> PartView:
    if isinstance(part, FieldView):
        options = tuple(replace(option, id=option.id.replace(old, new, 1)) for option in part.options)
        return replace(part, id=part.id.replace(old, new, 1), name=part.name.replace(old, new, 1), options=options)
    if isinstance(part, GroupView):
        return replace(part, parts=tuple(_renamed(inner, old, new) for inner in part.parts))
    return part


def _markup(text: str) -> Markup:
    # The renderer is set to escape HTML in the text.
    return Markup(_MARKDOWN.render(text))


def _shown(value: object) -> str:
    if is_empty(value) or isinstance(value, list):
        return ""
    return str(value).replace(".", ",") if isinstance(value, float) else str(value)
