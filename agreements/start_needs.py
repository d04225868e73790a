"""What a process needs before it can start, read from its model: meetings, people, lists, and what it is about."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.orm import Session

from agreements.cases import MEETING_FACTS
from engine import deployments
from engine.bpmn.expressions import ExpressionError, parse
from engine.bpmn.reading import Model, expressions_of, tag
from engine.form_definitions import fields_of
from engine.forms import Form, load
from engine.identity import Person
from engine.model import ProcessDefinition

#: Lists that a start computes from the community's parties and bodies.
LISTS = ("parties", "reviewers", "hearing_bodies")
#: The field of a start form that names the body a case is about.
BODY_NAME = "body_name"
_EMPTY_FORM = {"id": "empty", "type": "default", "components": []}


@dataclass(frozen=True, kw_only=True)
class NeededFact:
    """A meeting whose date the model reads; without an optional one the model has another way to its dates."""

    name: str
    required: bool


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What has to be given, or has a default, when the process starts.

    `about` is agreement, body or title: what the case is named after. `roles` are the lanes that somebody must
    be bound to, key and name; `lists` are those of `LISTS` that the model runs over.
    """

    facts: tuple[NeededFact, ...]
    roles: Mapping[str, str]
    every_role: Mapping[str, str]
    lists: frozenset[str]
    about: Literal["agreement", "body", "title"]
    form: Form

    def reads_list(self, name: str) -> bool:
        """Does a step of the process run over this list?"""
        return name in self.lists


def may_start(person: Person, definition: ProcessDefinition) -> bool:
    """Is the person in one of the groups that the model lets start it, or an administrator here?"""
    if person.community_id != definition.community_id:
        return False
    groups = deployments.model_of(definition.xml, definition.key).starter_groups
    return person.is_admin or bool(person.group_keys & set(groups))


def startable(session: Session, person: Person) -> list[ProcessDefinition]:
    """The newest version of every process the person may start, by name."""
    found = deployments.latest_definitions(session, person.community_id)
    return [definition for definition in found if may_start(person, definition)]


def needs(session: Session, definition: ProcessDefinition) -> Needs:
    """What a start of this definition takes."""
    model = deployments.model_of(definition.xml, definition.key)
    deployed = models(session, definition)
    whole = list(_with_called(model, deployed))
    names = frozenset().union(*(m.names_read for m in whole))
    form = load(definition.forms.get(model.start_form or "", _EMPTY_FORM))
    return Needs(
        facts=tuple(_facts(model, deployed)),
        roles={key: name for m in whole for key, name in m.roles.items() if key in _performing(m)},
        every_role={key: name for m in whole for key, name in m.roles.items()},
        lists=names & set(LISTS),
        about=_about(definition, form),
        form=form,
    )


def models(session: Session, definition: ProcessDefinition) -> dict[str, Model]:
    """The models that a start now would run on, by process id."""
    latest = deployments.latest_models(session, definition.community_id)
    return {**latest, definition.key: deployments.model_of(definition.xml, definition.key)}


def _about(definition: ProcessDefinition, form: Form) -> Literal["agreement", "body", "title"]:
    """A start form that asks for a body's name is about that body; forms that ask by chapter, about an agreement."""
    if any(found.key == BODY_NAME for found in fields_of(form.components)):
        return "body"
    return "agreement" if '"chapters"' in _quoted(definition.forms.values()) else "title"


def _quoted(value: object) -> str:
    """Every text in the forms, in quotes."""
    if isinstance(value, Mapping):
        return "".join(_quoted(inner) for inner in value.values())
    if isinstance(value, str):
        return f'"{value}"'
    return "".join(_quoted(inner) for inner in value) if isinstance(value, Iterable) else ""


def _with_called(model: Model, deployed: Mapping[str, Model]) -> Iterator[Model]:
    seen: set[str] = set()
    waiting = [model]
    while waiting:
        present = waiting.pop()
        if present.process_id not in seen:
            seen.add(present.process_id)
            yield present
            waiting += [deployed[call.called] for call in present.calls.values() if call.called in deployed]


def _performing(model: Model) -> set[str]:
    """Lanes whose own people do a task; other tasks say themselves whom they ask."""
    tasks = model.user_tasks.values()
    return {task.role for task in tasks if task.role and not (task.assignee or task.candidate_groups)}


def _facts(model: Model, deployed: Mapping[str, Model]) -> Iterator[NeededFact]:
    read = dict(_facts_read(model, deployed))
    yield from (NeededFact(name=name, required=read[name]) for name in MEETING_FACTS if name in read)


def _facts_read(model: Model, deployed: Mapping[str, Model]) -> dict[str, bool]:
    """Meeting fact -> must it be known? What a call binds, the called process does not ask for."""
    found: dict[str, bool] = {}
    for name, needed in _names_with_need(model):
        if name in MEETING_FACTS:
            found[name] = found.get(name, False) or needed
    for call in model.calls.values():
        if call.called in deployed:
            inner = _facts_read(deployed[call.called], deployed)
            for name in inner.keys() - call.bindings.keys():
                found[name] = found.get(name, False) or inner[name]
    return found


def _names_with_need(model: Model) -> Iterator[tuple[str, bool]]:
    for process in model.root.findall(tag("process")):
        for place in expressions_of(process):
            try:
                if place.kind == "script":
                    yield from ((name, True) for name in place.names())
                elif place.is_evaluated:
                    yield from _names_in(parse(place.source).tree, needed=True)
            except ExpressionError:
                continue  # lint refuses such a model


def _names_in(node: ast.AST, *, needed: bool) -> Iterator[tuple[str, bool]]:
    """Names with whether they must have a value: all but the last choice of `first_given` may be without."""
    if isinstance(node, ast.Name):
        yield node.id, needed
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        optional = node.args[:-1] if node.func.id == "first_given" else []
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            yield from _names_in(argument, needed=needed and argument not in optional)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _names_in(child, needed=needed)
