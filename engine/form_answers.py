"""One answer to one field: its right type, what is wrong with it, and how it reads as text."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date

from engine.form_definitions import ROW_LIMIT, TEXT_TYPES, Field, Option

MONTHS = (
    "januar", "februar", "mars", "april", "mai", "juni",
    "juli", "august", "september", "oktober", "november", "desember",
)  # fmt: skip

#: No-break space: between the parts of a date, and between a number and its unit.
NBSP = "\u00a0"
_WRITTEN_DATE = re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})")
#: The longest text a number is read from; more digits than this are no answer, and slow to read.
_NUMBER_LENGTH = 30


def is_empty(value: object) -> bool:
    """Whether nothing is answered. A box that is not ticked is no answer either."""
    return value is None or value is False or value == "" or value == []


def coerce(field: Field, options: Sequence[Option], raw: object) -> object:
    """The answer with its right type; what can't be read is returned as it came, for `problem` to refuse."""
    if raw is None or raw == "":
        return None
    if field.type in TEXT_TYPES:
        return _text(field, raw)
    if field.type == "number":
        return _number(raw)
    if field.type in {"radio", "select"}:
        return _choice(options, raw)
    if field.type in {"checklist", "filepicker"}:
        return _several(options, raw) if field.type == "checklist" else _as_list(raw)
    if field.type == "checkbox":
        return _ticked(raw)
    return _day(raw)


def problem(field: Field, options: Sequence[Option], value: object, inputs: Mapping[str, object]) -> str | None:
    """What is wrong with a coerced answer and what to do about it, or None."""
    if is_empty(value):
        return _missing(field, options) if field.required else None
    if field.type in TEXT_TYPES:
        return _text_problem(field, value)
    if field.type == "number":
        return _number_problem(field, value)
    if field.type in {"radio", "select", "checklist"}:
        return _choice_problem(field, options, value)
    if field.type == "filepicker":
        return _file_problem(field, value, inputs)
    if field.type == "checkbox":
        return None if isinstance(value, bool) else f"Svar ja eller nei på «{field.label}»."
    if is_iso_date(value):
        return None
    return f"Skriv en dato som finnes i «{field.label}», for eksempel 30.09.2026."


def in_words(
    field: Field,
    options: Sequence[Option],
    value: object,
    inputs: Mapping[str, object],
    show_date: Callable[[date], str],
) -> str:
    """An answer as a person reads it; "4 av 5" on a scale."""
    if field.is_scale and _is_step(value):
        return f"{value} av {max(int(str(option.value)) for option in options if _is_step(option.value))}"
    if isinstance(value, bool):
        return "Ja" if value else "Nei"
    if isinstance(value, float | int):
        return str(value).replace(".", ",").replace("-", "\u2212")
    if field.type == "datetime" and is_iso_date(value):
        return show_date(date.fromisoformat(str(value)))
    if isinstance(value, list):
        names = _file_names(inputs) if field.type == "filepicker" else {o.value: o.label for o in options}
        return ", ".join(str(names.get(item, item)) for item in value)
    return next((option.label for option in options if option.value == value), str(value))


def date_in_words(day: date) -> str:
    """`30. september 2026`, with no-break spaces."""
    return f"{day.day}.{NBSP}{MONTHS[day.month - 1]}{NBSP}{day.year}"


def is_row_list(value: object) -> bool:
    """Whether the answer to a repeated part has the right shape: nothing, or a list of objects."""
    return value is None or (isinstance(value, list) and all(isinstance(row, Mapping) for row in value))


def row_list(value: object) -> list[Mapping[str, object]]:
    """The rows of an answer; none where it has another shape."""
    return value if isinstance(value, list) and is_row_list(value) else []


def is_iso_date(value: object) -> bool:
    """Whether the answer is a date as it is stored: `2026-09-30`."""
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _text(field: Field, raw: object) -> object:
    if not isinstance(raw, str):
        return raw
    text = raw.replace("\r\n", "\n").replace("\r", "\n").strip()
    return (text if field.type == "textarea" else " ".join(text.split("\n"))) or None


def _number(raw: object) -> object:
    if not isinstance(raw, str):
        return raw
    text = re.sub(r"\s", "", raw).replace("\u2212", "-").replace(",", ".")
    if len(text) > _NUMBER_LENGTH or not re.fullmatch(r"-?\d+(\.\d+)?", text):
        return raw.strip() or None
    return float(text) if "." in text else int(text)


def _choice(options: Sequence[Option], raw: object) -> object:
    if isinstance(raw, bool | list | dict):
        return raw
    return next((option.value for option in options if str(option.value) == str(raw)), raw)


def _several(options: Sequence[Option], raw: object) -> object:
    chosen = [_choice(options, item) for item in _as_list(raw)]
    order = [option.value for option in options]
    if any(item not in order for item in chosen):
        return chosen
    return [value for value in order if value in chosen]


def _as_list(raw: object) -> list[object]:
    return [item for item in raw if item != ""] if isinstance(raw, list) else [raw]


def _ticked(raw: object) -> object:
    if isinstance(raw, str):
        return {
            "on": True,
            "true": True,
            "ja": True,
            "1": True,
            "false": False,
            "nei": False,
            "0": False,
        }.get(raw.lower(), raw)
    return raw


def _day(raw: object) -> object:
    if not isinstance(raw, str):
        return raw
    text = raw.strip()
    written = _WRITTEN_DATE.fullmatch(text)
    if written:
        text = f"{written[3]}-{int(written[2]):02}-{int(written[1]):02}"
    return text or None


def _missing(field: Field, options: Sequence[Option]) -> str:
    if field.properties.get("missing"):
        return str(field.properties["missing"])
    label = f"«{field.label}»"
    if field.is_scale:
        return _missing_on_scale(options, label)
    question = field.label.endswith("?")
    return {
        "number": f"Skriv et tall i {label}.",
        "radio": f"Velg et svar på {label}." if question else f"Velg et alternativ under {label}.",
        "select": f"Velg fra lista under {label}.",
        "checklist": f"Velg minst ett alternativ under {label}.",
        "checkbox": f"Kryss av for {label}.",
        "datetime": f"Velg en dato for {label}.",
        "filepicker": f"Legg ved minst én fil under {label}.",
    }.get(field.type, f"Svar på {label}." if question else f"Fyll ut {label}.")


def _missing_on_scale(options: Sequence[Option], label: str) -> str:
    steps = [option.label for option in options if _is_step(option.value)]
    others = "".join(f", eller «{option.label}»," for option in options if not _is_step(option.value))
    return f"Velg et tall fra {steps[0]} til {steps[-1]}{others} på {label}." if steps else f"Svar på {label}."


def _is_step(value: object) -> bool:
    """Whether an answer on a scale is one of its numbers, and not "Vet ikke"."""
    return not isinstance(value, bool) and str(value).isdigit()


def _text_problem(field: Field, value: object) -> str | None:
    if not isinstance(value, str):
        return f"«{field.label}» må være en tekst."
    if len(value) > field.max_length:
        return f"Kort ned «{field.label}» til høyst {field.max_length} tegn. Nå er det {len(value)}."
    if len(value) < field.min_length:
        return f"Skriv minst {field.min_length} tegn i «{field.label}»."
    if field.pattern and not field.pattern.fullmatch(value):
        hint = field.properties.get("patternMessage")
        return str(hint) if hint else f"Skriv «{field.label}» slik det står i forklaringen."
    return None


def _number_problem(field: Field, value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return f"Skriv et tall i «{field.label}», for eksempel 12 eller 3,5."
    if field.minimum is not None and value < field.minimum:
        return f"Skriv et tall som er {field.minimum:g} eller høyere i «{field.label}»."
    if field.maximum is not None and value > field.maximum:
        return f"Skriv et tall som er {field.maximum:g} eller lavere i «{field.label}»."
    return None


def _choice_problem(field: Field, options: Sequence[Option], value: object) -> str | None:
    allowed = [option.value for option in options]
    chosen = value if isinstance(value, list) and field.type == "checklist" else [value]
    if any(item not in allowed for item in chosen):
        return f"Velg blant alternativene under «{field.label}»."
    return None


def _file_problem(field: Field, value: object, inputs: Mapping[str, object]) -> str | None:
    names = _file_names(inputs)
    if not isinstance(value, list) or any(item not in names for item in value):
        return f"Legg ved fila på nytt under «{field.label}». Den vi fikk, finnes ikke lenger."
    most = ROW_LIMIT if field.multiple else 1
    if len(value) > most:
        return f"Legg ved høyst {most} {'fil' if most == 1 else 'filer'} under «{field.label}»."
    return None


def _file_names(inputs: Mapping[str, object]) -> Mapping[object, object]:
    """The files stored for this task: `inputs["files"]` maps each file's id to its name."""
    files = inputs.get("files")
    return files if isinstance(files, Mapping) else {}
