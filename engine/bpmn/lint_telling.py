"""What a model says about mails: when, how often, to whom, and in which words."""

import re
from collections.abc import Collection, Iterator, Mapping

from engine.bpmn.documents import shown
from engine.bpmn.lint_drawing import PEOPLE, Drawing, Node, finding
from engine.errors import Finding

#: Nobody is written to at other hours, so there are none to choose.
_HOUR = "(0?[89]|1[0-9])"
_TELLING = re.compile(f"at once|daily {_HOUR}|weekly [0-4] {_HOUR}")
_NUMBERS = ("minutes", "escalateAfter")
#: Beside Bokmål, which the others fall back to.
_LANGUAGES = ("nn", "en")
_PLACEHOLDERS = ("{name}", "{due}", "{case}", "{party}")
_BRACES = re.compile(r"\{[^{}]*\}|[{}]")


def telling(drawing: Drawing) -> Iterator[Finding]:
    """Everything about the mails of tasks."""
    for node in drawing.nodes(*PEOPLE):
        said = drawing.model.user_tasks[node.id].properties
        yield from _moments(node, said)
        yield from _numbers(node, said)
        yield from _role(node, said, drawing.model.roles)
        yield from _words(node, said)


def _moments(node: Node, said: Mapping[str, str]) -> Iterator[Finding]:
    when = said.get("telling")
    if when is not None and not _TELLING.fullmatch(" ".join(when.split())):
        message = f"When people are written to can't be {shown(when)}."
        yield finding("telling", node, message, "Write `at once`, `daily 15` or `weekly 0 8`.")
    days = said.get("reminders", "")
    if not all(part.strip().isdecimal() for part in days.split(",") if part.strip()):
        message = f"The reminders {shown(days)} are no numbers of working days."
        yield finding("telling", node, message, "Write whole numbers with commas, such as 10,3,0.")


def _numbers(node: Node, said: Mapping[str, str]) -> Iterator[Finding]:
    for name in _NUMBERS:
        if name in said and not said[name].strip().isdecimal():
            message = f"{name} is {shown(said[name])}, which is no whole number."
            yield finding("telling", node, message, "Write a whole number.")


def _role(node: Node, said: Mapping[str, str], roles: Collection[str]) -> Iterator[Finding]:
    role = said.get("escalateTo")
    if role is not None and role not in roles:
        message = f"There is no role {shown(role)} that could be told who is silent."
        yield finding("telling", node, message, "Write the id of a lane.")


def _words(node: Node, said: Mapping[str, str]) -> Iterator[Finding]:
    for name in ("subject", "action"):
        translated = [f"{name}_{language}" for language in _LANGUAGES if f"{name}_{language}" in said]
        if translated and name not in said:
            message = f"{translated[0]} stands without {name}."
            yield finding("telling", node, message, "Write it in Bokmål too.")
    for name in ("subject", *(f"subject_{language}" for language in _LANGUAGES)):
        unknown = [found for found in _BRACES.findall(said.get(name, "")) if found not in _PLACEHOLDERS]
        if unknown:
            message = f"{shown(unknown[0])} means nothing in {name}."
            yield finding("telling", node, message, "Use {name}, {due}, {case} and {party}.")
