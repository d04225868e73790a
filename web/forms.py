"""Forms in pages: reads what a browser sent. `web.form_layout` lays a form out for `templates/form.html`.

What a form is and when it is answered well is `engine.forms`. Fields in rows are named `path-0-key`.
"""

import re
from collections.abc import Iterator, Mapping

from werkzeug.datastructures import FileStorage, MultiDict

from engine.form_definitions import ITEM_KEY, Field, Rows, fields_of, rows_of
from engine.forms import Answers, FieldError, Form, load
from web.form_layout import layout
from web.form_views import FormView

__all__ = ["Answers", "FieldError", "Form", "FormView", "is_row_button", "layout", "load", "parse", "uploads"]

ADD_ROW, REMOVE_ROW = "_legg_til", "_fjern"


def parse(form: Form, formdata: MultiDict[str, str], inputs: Mapping[str, object]) -> Answers:
    """The answers a browser sent, hidden parts left out; a press on a row's button adds or removes that row."""
    answers: Answers = {found.key: _sent(found, formdata, found.key) for found in fields_of(form.components)}
    removed = formdata.get(REMOVE_ROW)
    for rows in rows_of(form.components):
        names = [name for name in _row_names(rows, formdata) if name != removed]
        answers[rows.path] = [_sent_row(rows, formdata, name) for name in names]
    cleaned = form.clean(answers, inputs)
    added = formdata.get(ADD_ROW)
    for rows in rows_of(form.components):
        present = cleaned.get(rows.path)
        if rows.path == added and isinstance(present, list):
            cleaned[rows.path] = [*present, {}]
    return cleaned


def is_row_button(formdata: MultiDict[str, str]) -> bool:
    """Whether a row's button was pressed without script: save the draft and show the form again, at that part."""
    return ADD_ROW in formdata or REMOVE_ROW in formdata


def uploads(form: Form, files: MultiDict[str, FileStorage]) -> list[tuple[str, FileStorage]]:
    """The files that came with the form, as (field name, file).

    The caller stores each one, then adds its id under that name to the sent data before `parse`, and id -> file name
    to `inputs["files"]`.
    """
    keys = {found.key for found in _file_fields(form)}
    return [
        (name, file)
        for name, file in files.items(multi=True)
        if file.filename and name.rsplit("-", maxsplit=1)[-1] in keys
    ]


def _file_fields(form: Form) -> Iterator[Field]:
    everywhere = [form.components, *(rows.components for rows in rows_of(form.components))]
    return (found for parts in everywhere for found in fields_of(parts) if found.type == "filepicker")


def _sent(found: Field, formdata: MultiDict[str, str], name: str) -> object:
    if found.type in {"checklist", "filepicker"}:
        return formdata.getlist(name)
    return formdata.get(name)


def _sent_row(rows: Rows, formdata: MultiDict[str, str], name: str) -> dict[str, object]:
    row = {found.key: _sent(found, formdata, f"{name}-{found.key}") for found in fields_of(rows.components)}
    item = formdata.get(f"{name}-{ITEM_KEY}")
    return row if item is None else row | {ITEM_KEY: item}


def _row_names(rows: Rows, formdata: MultiDict[str, str]) -> list[str]:
    """The rows sent, in their order; script leaves gaps in the numbers where a row was removed."""
    pattern = re.compile(rf"{re.escape(rows.path)}-(\d{{1,6}})-\w+")
    found = {int(match[1]) for match in map(pattern.fullmatch, formdata) if match}
    return [f"{rows.path}-{number}" for number in sorted(found)]
