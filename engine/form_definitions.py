"""What a form asks for: reads a form definition (the bpmn.io form schema's vocabulary) into frozen parts.

A definition is checked as it is read: a form that loads can be shown and validated. Answers are `engine.forms`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from engine.bpmn.expressions import Expression, ExpressionError, parse
from engine.errors import InvalidInput

TEXT_LIMIT = 10_000
#: How many rows a repeated part has at most: without a word about it, and whatever it says.
ROW_LIMIT, HIGHEST_ROW_LIMIT = 50, 200
#: Components of a form, how deep groups stand in each other, characters of a pattern.
MAX_COMPONENTS, MAX_LEVELS, MAX_PATTERN = 1_000, 10, 500
#: The key under which a fixed row says which item of the input data it is about.
ITEM_KEY = "item"

FIELD_TYPES = frozenset(
    {"textfield", "textarea", "number", "radio", "select", "checklist", "checkbox", "datetime", "filepicker"}
)
CHOICE_TYPES = frozenset({"radio", "select", "checklist"})
TEXT_TYPES = frozenset({"textfield", "textarea"})
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

Scalar: TypeAlias = str | int | float | bool | None
Definition: TypeAlias = Mapping[str, object]


class FormError(InvalidInput):
    """The form definition can't be used."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """One answer to choose."""

    value: Scalar
    label: str


@dataclass(frozen=True, kw_only=True)
class Text:
    """Words between the fields, as Markdown."""

    text: str
    hide: Expression | None = None


@dataclass(frozen=True, kw_only=True)
class Field:
    """One question. `minimum` and `maximum` bound a number, the lengths bound a text in characters."""

    type: str
    key: str
    label: str
    description: str = ""
    required: bool = False
    min_length: int = 0
    max_length: int = TEXT_LIMIT
    minimum: float | None = None
    maximum: float | None = None
    pattern: re.Pattern[str] | None = None
    options: tuple[Option, ...] = ()
    values_key: str | None = None
    multiple: bool = False
    properties: Mapping[str, object] = field(default_factory=dict)
    hide: Expression | None = None

    @property
    def is_scale(self) -> bool:
        return self.properties.get("display") == "scale"


@dataclass(frozen=True, kw_only=True)
class Group:
    """A named part of the form. Its fields are answered beside all others, not below a key of its own."""

    label: str
    description: str = ""
    components: tuple["Component", ...]
    hide: Expression | None = None


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A part that is answered once per row; `rows_from` names the input data that fixes the rows."""

    path: str
    label: str
    description: str = ""
    components: tuple["Component", ...]
    rows_from: str | None = None
    max_rows: int = ROW_LIMIT
    required: bool = False
    properties: Mapping[str, object] = field(default_factory=dict)
    hide: Expression | None = None

    @property
    def is_one_question(self) -> bool:
        """Whether each row is the same single question about its item; the question then stands once, above."""
        return self.rows_from is not None and len(self.components) == 1 and isinstance(self.components[0], Field)

    @property
    def row_name(self) -> str:
        """What a row is called before its number: `Forslag nr.`, or the definition's `rowName`."""
        return str(self.properties.get("rowName") or f"{self.label} nr.")


Component: TypeAlias = Text | Field | Group | Rows


def read_components(raw: object) -> tuple[Component, ...]:
    """Reads a definition's `components`. Raises FormError naming the component and what is wrong with it."""
    _refuse_size(raw)
    components = tuple(_component(item, in_rows=False) for item in _list(raw, "components"))
    _refuse_repeated_keys(components)
    return components


def _refuse_size(raw: object) -> None:
    """Refuse what no form is as large or as deep as, before anything is read."""
    waiting, count = [(raw, 0)], 0
    while waiting:
        listed, level = waiting.pop()
        if not isinstance(listed, list | tuple):
            continue
        count += len(listed)
        if count > MAX_COMPONENTS:
            raise FormError(f"A form has at most {MAX_COMPONENTS} components.")
        if level > MAX_LEVELS:
            raise FormError(f"Groups stand in each other at most {MAX_LEVELS} levels deep.")
        waiting += [(item.get("components"), level + 1) for item in listed if isinstance(item, Mapping)]


def fields_of(components: Sequence[Component]) -> Iterator[Field]:
    """All fields at this level, through groups but not into rows."""
    for component in components:
        if isinstance(component, Field):
            yield component
        elif isinstance(component, Group):
            yield from fields_of(component.components)


def rows_of(components: Sequence[Component]) -> Iterator[Rows]:
    """All repeated parts, through groups."""
    for component in components:
        if isinstance(component, Rows):
            yield component
        elif isinstance(component, Group):
            yield from rows_of(component.components)


def conditions_of(components: Sequence[Component]) -> Iterator[Expression]:
    """Every condition, those inside groups and rows too."""
    for component in components:
        if component.hide is not None:
            yield component.hide
        if isinstance(component, Group | Rows):
            yield from conditions_of(component.components)


def _component(raw: object, *, in_rows: bool) -> Component:
    definition = _mapping(raw, "component")
    kind = definition.get("type")
    where = f"{kind} {definition.get('key') or definition.get('path') or definition.get('label') or ''}".strip()[:100]
    if not isinstance(kind, str):
        raise FormError(f"{where}: a component's type is a text.", component=where)
    if kind in FIELD_TYPES:
        return _field(definition, where)
    if kind == "text":
        return Text(text=_text(definition, "text", where), hide=_hide(definition, where))
    if kind == "group":
        return _group(definition, where, in_rows=in_rows)
    if kind == "dynamiclist" and not in_rows:
        return _rows(definition, where)
    if kind == "dynamiclist":
        raise FormError(f"{where}: a dynamiclist can't stand inside another.", component=where)
    raise FormError(f"{where}: unknown component type {kind!r}.", component=where)


def _group(definition: Definition, where: str, *, in_rows: bool) -> Group:
    return Group(
        label=_text(definition, "label", where),
        description=_text(definition, "description", where),
        components=tuple(_component(item, in_rows=in_rows) for item in _list(definition.get("components"), where)),
        hide=_hide(definition, where),
    )


def _rows(definition: Definition, where: str) -> Rows:
    properties = _mapping(definition.get("properties") or {}, where)
    validate = _mapping(definition.get("validate") or {}, where)
    components = tuple(_component(item, in_rows=True) for item in _list(definition.get("components"), where))
    if any(found.key == ITEM_KEY for found in fields_of(components)):
        raise FormError(f"{where}: the key {ITEM_KEY!r} is taken, it names the row.", component=where)
    rows_from = properties.get("rowsFrom")
    return Rows(
        path=_key(definition.get("path") or definition.get("key"), where),
        label=_text(definition, "label", where),
        description=_text(definition, "description", where),
        components=components,
        rows_from=str(rows_from) if rows_from else None,
        max_rows=min(_whole(properties, "maxRows", ROW_LIMIT, where), HIGHEST_ROW_LIMIT),
        required=validate.get("required") is True,
        properties=properties,
        hide=_hide(definition, where),
    )


def _field(definition: Definition, where: str) -> Field:
    validate = _mapping(definition.get("validate") or {}, where)
    properties = _mapping(definition.get("properties") or {}, where)
    kind = str(definition["type"])
    if kind == "datetime" and definition.get("subtype", "date") != "date":
        raise FormError(f"{where}: only subtype 'date' is supported.", component=where)
    values_key = definition.get("valuesKey")
    return Field(
        type=kind,
        key=_key(definition.get("key"), where),
        label=_text(definition, "label", where) or _text(definition, "dateLabel", where) or str(definition.get("key")),
        description=_text(definition, "description", where),
        required=validate.get("required") is True,
        min_length=_whole(validate, "minLength", 0, where),
        max_length=_whole(validate, "maxLength", TEXT_LIMIT, where),
        minimum=_number(validate, "min", where),
        maximum=_number(validate, "max", where),
        pattern=_pattern(validate.get("pattern"), where),
        options=_options(definition, properties, kind, where),
        values_key=str(values_key) if values_key else None,
        multiple=definition.get("multiple") is True,
        properties=properties,
        hide=_hide(definition, where),
    )


def _options(definition: Definition, properties: Definition, kind: str, where: str) -> tuple[Option, ...]:
    if kind not in CHOICE_TYPES or definition.get("valuesKey"):
        return ()
    if "values" in definition:
        return read_options(definition["values"], where)
    if properties.get("display") == "scale":
        return (
            *(Option(value=n, label=str(n)) for n in range(1, 6)),
            Option(value="vet_ikke", label="Vet ikke"),
        )
    raise FormError(f"{where}: give values or valuesKey.", component=where)


def read_options(raw: object, where: str) -> tuple[Option, ...]:
    """Options from texts, {label, value} or {name, key}. Raises FormError on anything else."""
    return tuple(_option(item, where) for item in _list(raw, where))


def _option(raw: object, where: str) -> Option:
    if isinstance(raw, str):
        return Option(value=raw, label=raw)
    item = _mapping(raw, where)
    value = item.get("value", item.get("key"))
    if not isinstance(value, str | int | float):
        raise FormError(f"{where}: an option needs a value that is a text or a number.", component=where)
    return Option(value=value, label=str(item.get("label") or item.get("name") or value))


def _hide(definition: Definition, where: str) -> Expression | None:
    source = _mapping(definition.get("conditional") or {}, where).get("hide")
    if not source:
        return None
    try:
        return parse(str(source).removeprefix("="))
    except ExpressionError as error:
        raise FormError(f"{where}: the condition can't be read: {error}", component=where) from error


def _refuse_repeated_keys(components: Sequence[Component]) -> None:
    names = [item.key for item in fields_of(components)] + [item.path for item in rows_of(components)]
    for rows in rows_of(components):
        names += [f"{rows.path}-{item.key}" for item in fields_of(rows.components)]
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    if repeated:
        raise FormError(f"Keys used more than once: {', '.join(repeated)}.", component=repeated[0])


def _key(raw: object, where: str) -> str:
    if isinstance(raw, str) and _KEY.fullmatch(raw):
        return raw
    raise FormError(
        f"{where}: a key has letters, digits and underscore only, and starts with a letter.", component=where
    )


def _text(definition: Definition, name: str, where: str) -> str:
    value = definition.get(name, "")
    if isinstance(value, str):
        return value.strip()
    raise FormError(f"{where}: {name} must be a text.", component=where)


def _whole(definition: Definition, name: str, default: int, where: str) -> int:
    value = definition.get(name, default)
    try:
        number = int(str(value))
    except ValueError as error:
        raise FormError(f"{where}: {name} must be a whole number.", component=where) from error
    if number < 0:
        raise FormError(f"{where}: {name} must not be negative.", component=where)
    return number


def _number(definition: Definition, name: str, where: str) -> float | None:
    value = definition.get(name)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise FormError(f"{where}: {name} must be a number.", component=where)


def _pattern(raw: object, where: str) -> re.Pattern[str] | None:
    if not raw:
        return None
    if len(str(raw)) > MAX_PATTERN:
        raise FormError(f"{where}: a pattern has at most {MAX_PATTERN} characters.", component=where)
    try:
        return re.compile(str(raw))
    except (re.error, OverflowError, RecursionError, Warning) as error:  # Warning: where they are errors, as in tests
        raise FormError(f"{where}: the pattern can't be read: {error}", component=where) from error


def _mapping(raw: object, where: str) -> Mapping[str, object]:
    if isinstance(raw, Mapping):
        return raw
    raise FormError(f"{where}: expected an object.", component=where)


def _list(raw: object, where: str) -> Sequence[object]:
    if isinstance(raw, list | tuple):
        return raw
    raise FormError(f"{where}: expected a list.", component=where)
