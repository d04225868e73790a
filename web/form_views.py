"""What `templates/form.html` shows: a form's parts with ids, values and errors, and nothing left to decide."""

from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup


@dataclass(frozen=True, kw_only=True)
class OptionView:
    """One choice: `spoken` is what a screen reader hears in addition ("svært dårlig")."""

    id: str
    value: str
    label: str
    chosen: bool
    spoken: str = ""


@dataclass(frozen=True, kw_only=True)
class FieldView:
    """One field. `kind` is the definition's type, or `scale`; `hide` is a rule for `conditions.js`, or empty."""

    kind: str
    id: str
    name: str
    label: str
    description: str
    required: bool
    mark_required: bool
    value: str
    options: tuple[OptionView, ...]
    files: tuple[tuple[str, str], ...]
    multiple: bool
    max_length: int
    low: str
    high: str
    errors: tuple[str, ...]
    hide: str


@dataclass(frozen=True, kw_only=True)
class TextView:
    """Words between fields, as safe HTML; with a heading when they are a warning."""

    kind: Literal["text", "warning"]
    heading: str
    html: Markup
    hide: str


@dataclass(frozen=True, kw_only=True)
class RowView:
    """One row; `name` is the prefix of its fields (`forslag-0`). Rows that are not `open` are folded."""

    name: str
    heading: str
    item: str | None
    answered: bool
    open: bool
    parts: tuple["PartView", ...]


@dataclass(frozen=True, kw_only=True)
class RowsView:
    """A repeated part. `blank` is what a new row looks like, None when the rows are fixed.

    `folding`: many fixed rows of several fields each, shown as disclosures.
    """

    id: str
    path: str
    label: str
    description: str
    row_name: str
    add_label: str
    max_rows: int
    next_number: int
    items: tuple[RowView, ...]
    blank: RowView | None
    folding: bool
    errors: tuple[str, ...]
    hide: str
    kind: Literal["rows"] = "rows"


@dataclass(frozen=True, kw_only=True)
class GroupView:
    """A group inside another part of the form."""

    label: str
    description: str
    parts: tuple["PartView", ...]
    hide: str
    kind: Literal["group"] = "group"


PartView = FieldView | TextView | RowsView | GroupView


@dataclass(frozen=True, kw_only=True)
class SectionView:
    """A part of the page; `number` counts the named ones from 1, None for fields outside groups."""

    id: str
    number: int | None
    label: str
    description: str
    parts: tuple[PartView, ...]
    hide: str


@dataclass(frozen=True, kw_only=True)
class FormView:
    """A whole form. `errors` are (id to link to, message); `warning` is the patient-data warning, once in full."""

    sections: tuple[SectionView, ...]
    numbered: int
    errors: tuple[tuple[str, str], ...]
    warning: TextView | None
    all_required: bool
    has_files: bool
