"""What if: a scenario as people write it, checked against the model, and how people then act in a rehearsal.

A scenario says what differs from the main path on which everyone answers on the due date:
`{"outcomes": {"anchor_findings:1": {"utfall": "tilbake"}}, "silent": ["larvik"], "late": {"horten": 3},
"postpone": {"ssu": "2026-12-11"}}`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, object_session

from agreements.model import Meeting
from engine import deployments, identity, process_instances, reasons, task_forms
from engine.bpmn.reading import UserTaskElement
from engine.deployments import Compiled
from engine.errors import InvalidInput
from engine.form_nodes import FieldNode, field_nodes
from engine.forms import Form
from engine.model import Community, ProcessDefinition, ProcessInstance, Step, UserTask
from engine.rehearsing import Scenario, plan_outcome

#: The question whose answer decides which way a case goes.
OUTCOME = "utfall"
#: Lists in a case's data of those that a step asks, each under a key.
_ASKED = ("parties", "reviewers", "hearing_bodies")
#: Where no meeting is known, the next one is so much later.
_LATER = timedelta(weeks=2)
_PARTS = ("outcomes", "silent", "late", "postpone")


@dataclass(frozen=True, kw_only=True)
class Question:
    """A step in which somebody decides which way the case goes."""

    element: str
    name: str
    #: Value and words of each way; `usual` is the one that the plan takes.
    ways: tuple[tuple[str, str], ...]
    usual: str
    #: Facts that each way sets, as the case calls them; those it need not set are left out.
    moves: Mapping[str, tuple[str, ...]]
    #: Does one decide, or do several answer?
    asks_one: bool


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a scenario may name."""

    #: Element -> the step's name.
    elements: Mapping[str, str]
    #: Key -> name of whom steps ask.
    asked: Mapping[str, str]
    questions: Mapping[str, Question]
    facts: frozenset[str]
    #: Fact -> the days on which that body is known to meet.
    meetings: Mapping[str, Sequence[date]]
    #: Element -> the round that somebody decides next; 1 where nobody has yet.
    rounds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """A checked scenario. Keys of outcomes are `element` or `element:round`; of the rest `element`, key or both."""

    outcomes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()
    late: Mapping[str, int] = field(default_factory=dict)
    postpone: Mapping[str, date] = field(default_factory=dict)


# --- what there is ----------------------------------------------------------------------------------------------------


def known_of_start(session: Session, definition: ProcessDefinition, data: Mapping[str, Any]) -> Known:
    """What a scenario of a case that is not started may name."""
    unborn = ProcessInstance(definition_id=definition.id, pins=deployments.pin(session, definition))
    return _known(session, definition.community_id, deployments.compiled(session, unborn), data)


def known_of_case(session: Session, instance: ProcessInstance) -> Known:
    """What a scenario of a running case may name."""
    known = _known(session, instance.community_id, deployments.compiled(session, instance), instance.data)
    steps = session.scalars(select(Step).where(Step.instance_id == instance.id).order_by(Step.round)).all()
    return replace(known, rounds={s.element_id: s.round + (s.state != "open") for s in steps})


def _known(session: Session, community_id: int, compiled: Compiled, data: Mapping[str, Any]) -> Known:
    community = session.get_one(Community, community_id)
    places = list(_places(compiled, "", {}))
    questions = {}
    for path, bound, task in places:
        form = compiled.form_to_ask(path, task.form_key, identity.calendar_of(community))
        if (question := _question(task, form, bound)) is not None:
            questions[task.id] = question
    meetings = _meetings(session, community_id)
    return Known(
        elements={task.id: task.name for _path, _bound, task in places},
        asked={str(i["key"]): str(i.get("name", i["key"])) for name in _ASKED for i in data.get(name) or ()},
        questions=questions,
        facts=frozenset(fact for q in questions.values() for facts in q.moves.values() for fact in facts),
        meetings=meetings,
    )


def _places(
    compiled: Compiled, path: str, bound: Mapping[str, str]
) -> Iterator[tuple[str, Mapping[str, str], UserTaskElement]]:
    """Every user task with its call path, and what the case calls the facts that are seen there."""
    model = compiled.specification.model_at(path)
    for task in model.user_tasks.values():
        yield path, bound, _as_called(task, bound)
    for call in model.calls.values():
        below = {name: bound.get(_bare(source), _bare(source)) for name, source in call.bindings.items()}
        yield from _places(compiled, f"{path}/{call.id}".lstrip("/"), below)


def _as_called(task: UserTaskElement, bound: Mapping[str, str]) -> UserTaskElement:
    """The task with the title and the form that its caller writes out for it, such as `${'behandle_mandatet'}`."""
    given = [bound.get(_bare(task.properties.get(name, "")), "") for name in ("title", "form")]
    title, form = [text[1:-1] if text[:1] == text[-1:] == "'" else "" for text in given]
    return replace(task, name=title or task.name, form_key=form or task.form_key)


def _bare(source: str) -> str:
    return source.strip().removeprefix("${").removesuffix("}").strip()


def _question(task: UserTaskElement, form: Form, bound: Mapping[str, str]) -> Question | None:
    asked = next((n.field for n in field_nodes(form.nodes({}, {})) if n.field.key == OUTCOME), None)
    if asked is None:
        return None
    ways = tuple((str(option.value), option.label) for option in asked.options)
    return Question(
        element=task.id, name=task.name, ways=ways, usual=str(plan_outcome(task).get(OUTCOME, "")),
        moves={value: tuple(_moved(form, value, bound)) for value, _label in ways},
        asks_one=task.multi_instance is None,
    )  # fmt: skip


def _moved(form: Form, way: str, bound: Mapping[str, str]) -> Iterator[str]:
    for node in field_nodes(form.nodes({OUTCOME: way}, {})):
        if node.field.required and (fact := node.field.properties.get("setsFact")):
            yield bound.get(str(fact), str(fact))


def _meetings(session: Session, community_id: int) -> Mapping[str, Sequence[date]]:
    found: dict[str, list[date]] = {}
    query = select(Meeting).where(Meeting.community_id == community_id).order_by(Meeting.date)
    for meeting in session.scalars(query):
        found.setdefault(meeting.body.key, []).append(meeting.date)
    return found


# --- checking ---------------------------------------------------------------------------------------------------------


def read(document: object, known: Known) -> Wishes:
    """A scenario as it was written. Raises InvalidInput that names what there is."""
    if not isinstance(document, dict):
        raise InvalidInput('A scenario is a JSON object, such as {"silent": ["larvik"]}.')
    for part in document:
        _require(part, _PARTS, "A scenario has no {name!r}. It has: {names}.")
    silent = _expect(document, "silent", list)
    for whom in silent:
        _require_whom(str(whom), known)
    return Wishes(
        outcomes={key: _outcome(key, value, known) for key, value in _expect(document, "outcomes", dict).items()},
        silent=frozenset(str(whom) for whom in silent),
        late={key: _days(key, value, known) for key, value in _expect(document, "late", dict).items()},
        postpone={fact: _postponed(fact, value, known) for fact, value in _expect(document, "postpone", dict).items()},
    )


def _expect(document: Mapping[str, Any], part: str, kind: type) -> Any:
    value = document.get(part, kind())
    if not isinstance(value, kind):
        raise InvalidInput(f"{part!r} in a scenario is a JSON {'array' if kind is list else 'object'}.")
    return value


def _require(name: str, names: Sequence[str] | Mapping[str, object] | frozenset[str], text: str) -> None:
    if name not in names:
        raise InvalidInput(text.format(name=name, names=", ".join(sorted(names)) or "none"), field="scenario")


def _outcome(key: str, answers: object, known: Known) -> Mapping[str, Any]:
    element, colon, number = key.partition(":")
    _require(element, known.elements, "There is no step {name!r} in this process. There are: {names}.")
    if colon and not (number.isdigit() and int(number) > 0):
        raise InvalidInput(f"{key!r} names no round: write {element}:1 for the first.", field="scenario")
    if not isinstance(answers, dict):
        raise InvalidInput(f'The outcome of {key!r} is an object, such as {{"utfall": "…"}}.', field="scenario")
    if OUTCOME in answers and element in known.questions:
        ways = [value for value, _label in known.questions[element].ways]
        _require(str(answers[OUTCOME]), ways, f"{element} has no outcome {{name!r}}. It has: {{names}}.")
    return answers


def _require_whom(whom: str, known: Known) -> None:
    element, colon, item = whom.partition(":")
    if colon:
        _require(element, known.elements, "There is no step {name!r} in this process. There are: {names}.")
        _require(item, known.asked, "Nobody of the name {name!r} is asked. There are: {names}.")
    elif whom not in known.elements:
        _require(whom, known.asked, "Neither a step nor somebody who is asked is called {name!r}. Asked are: {names}.")


def _days(whom: str, days: object, known: Known) -> int:
    _require_whom(whom, known)
    if not isinstance(days, int) or isinstance(days, bool) or not 0 < days <= 250:
        raise InvalidInput(f"{whom!r} is late by a number of working days, 1 to 250, not {days!r}.", field="scenario")
    return days


def _postponed(fact: str, day: object, known: Known) -> date:
    _require(fact, known.facts, "Nobody in this process can postpone {name!r}. What can be: {names}.")
    try:
        return date.fromisoformat(str(day))
    except ValueError:
        raise InvalidInput(f"{day!r} is no date. Write it as 2026-11-27.", field="scenario") from None


# --- acting -----------------------------------------------------------------------------------------------------------


def scenario(wishes: Wishes, known: Known) -> Scenario:
    """How people act when it is so."""
    return Scenario(
        answers=partial(_answers, wishes.outcomes, _postponing(wishes.postpone, known), wishes.postpone, known),
        silent=partial(_is_silent, wishes.silent),
        late=partial(_late, wishes.late),
    )


def _postponing(postpone: Mapping[str, date], known: Known) -> dict[str, tuple[str, str]]:
    """Where each date is put off: `element:1`, and the answer that moves the fewest other dates."""
    found = {}
    for fact in postpone:
        moving = [
            (len(facts), question.element, way)
            for question in known.questions.values() for way, facts in question.moves.items() if fact in facts
        ]  # fmt: skip
        _count, element, way = min(moving, key=lambda found: found[0])
        found[f"{element}:1"] = (way, fact)
    return found


def _is_silent(silent: frozenset[str], task: UserTask) -> bool:
    # Where a step waits for everyone, the case would stand there for ever: a party that is silent at large answers.
    element, item = task.step.element_id, task.item or ""
    return f"{element}:{item}" in silent or element in silent or (item in silent and task.step.closes)


def _late(late: Mapping[str, int], task: UserTask) -> int:
    element, item = task.step.element_id, task.item or ""
    return next((late[key] for key in (f"{element}:{item}", element, item) if key in late), 0)


def _answers(
    outcomes: Mapping[str, Mapping[str, Any]], putting_off: Mapping[str, tuple[str, str]],
    postpone: Mapping[str, date], known: Known, step: Step, element: UserTaskElement,
) -> Mapping[str, Any] | None:  # fmt: skip
    place = f"{step.element_id}:{step.round}"
    given, fact = outcomes.get(place, outcomes.get(step.element_id)), None
    if given is None:
        if place not in putting_off:
            return None
        way, fact = putting_off[place]
        given = {OUTCOME: way}
    session = object_session(step)
    assert session is not None, "a rehearsal answers inside its transaction"
    instance = session.get_one(ProcessInstance, step.instance_id)
    if fact is not None and date.fromisoformat(instance.facts[fact]) >= postpone[fact]:
        return None  # it is put off as far already
    return {**_dates(session, instance, step, given, postpone, known), **given}


def _dates(
    session: Session, instance: ProcessInstance, step: Step, given: Mapping[str, Any], postpone: Mapping[str, date],
    known: Known,
) -> dict[str, str]:  # fmt: skip
    """The dates that this outcome must give, where the scenario does not: the next meetings there are."""
    task = session.scalars(select(UserTask).where(UserTask.step_id == step.id).limit(1)).one()
    form, inputs = task_forms.form_of(session, instance, task)
    asked = [n for n in field_nodes(form.nodes(given, inputs)) if n.field.type == "datetime" and n.value is None]
    execution = process_instances.execution_of(session, instance, step.opened_at)
    now_facts = reasons.facts_of(instance)
    found: dict[str, str] = {}
    latest = date.min
    # What must be given first: an optional date is given only where those have come past it.
    for node in sorted(asked, key=lambda n: not n.field.required):
        name = node.field.properties.get("setsFact")
        if name is None:
            if node.field.required and step.due_date is not None:
                found[node.field.key] = step.due_date.isoformat()
            continue
        fact = execution.root_fact(step.token, str(name))
        day = _moved_to(node, now_facts.get(fact), postpone.get(fact), latest, known.meetings.get(fact, ()))
        if day is not None:
            found[node.field.key], latest = day.isoformat(), max(latest, day)
    return found


def _moved_to(
    node: FieldNode, was: date | None, wished: date | None, latest: date, meetings: Sequence[date]
) -> date | None:
    if not node.field.required and (was is None or was > latest):
        return None
    after = max(day for day in (was, latest) if day is not None)
    if wished is not None and wished > after:
        return wished
    return next((day for day in meetings if day > after), after + _LATER)
