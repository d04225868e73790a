"""Fills in any form so that it validates: for the demo, for rehearsed cases and for tests.

Where the texts of the demo's people fit the form, they are used; whatever else is required gets something valid.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from engine import form_answers
from engine.calendar import Calendar
from engine.form_definitions import ITEM_KEY, TEXT_TYPES
from engine.form_nodes import FieldNode, GroupNode, Node, RowNode, RowsNode, field_nodes
from engine.forms import Answers, Form
from web.sample_texts import ANSWERS, INDICATORS, SURVEYS, Survey

#: Answering one question may bring up others; no form brings them up in more rounds than this.
_ROUNDS = 6
_SENTENCE = "Etter avtale mellom partene. "
_CHAPTERS = ("3", "4", "4.1.2", "4.6", "5")
_SHORT = ("https://www.example.org/avtaler", "17/26", "sak 17/26", "0000", "1")
#: A date that a form asks for lies this long after the case's meeting.
_AFTER_MEETING = timedelta(days=14)
_FAR = date(2027, 1, 14)


def fill(form: Form, inputs: Mapping[str, object], outcome: str | None = None) -> Answers:
    """Answers that the form takes. `outcome` answers the question `utfall`; without it, its first choice.

    A required file can't be made up: such a form still lacks it.
    """
    answers: Answers = dict(_texts(form, inputs))
    if outcome is not None:
        answers["utfall"] = outcome
    day = _day(form.calendar, inputs)
    for _ in range(_ROUNDS):
        before = dict(answers)
        _fill(form.nodes(answers, inputs), answers, day)
        if answers == before:
            break
    return form.clean(answers, inputs)


def half_filled(form: Form, inputs: Mapping[str, object]) -> Answers:
    """The survey as somebody leaves it who was called away: the first answers only."""
    whole = fill(form, inputs)
    rows = whole.get("chapter_scores")
    some = {"chapter_scores": rows[:3]} if isinstance(rows, list) else {}
    return {**some, "works": whole.get("works", "")}


# --- the texts --------------------------------------------------------------------------------------------------------


def _texts(form: Form, inputs: Mapping[str, object]) -> dict[str, object]:
    party = inputs.get("party")
    key = str(party.get("key", "")) if isinstance(party, Mapping) else ""
    if form.id == "answer_survey":
        return _survey(SURVEYS.get(key) or SURVEYS["sandefjord"])
    if form.id == "fetch_data":
        return {"indicators": INDICATORS.get(key, INDICATORS[""]), "missing": "Tallene kommer om en uke."}
    texts = dict(ANSWERS.get(form.id, {}))
    if form.id == "plan_and_clarify":
        texts["party_contacts"] = _contacts(inputs)
    return texts


def _survey(survey: Survey) -> dict[str, object]:
    return {
        "chapter_scores": [
            {ITEM_KEY: chapter, "score": score} for chapter, score in zip(_CHAPTERS, survey.scores, strict=True)
        ],
        "works": survey.works,
        "does_not_work": survey.does_not_work,
        "proposals": [
            {"chapter": chapter, "problem": problem, "proposal": proposal}
            for chapter, problem, proposal in survey.proposals
        ],
        "known_questions": [
            {ITEM_KEY: question, "recognised": recognised, "comment": comment}
            for question, (recognised, comment) in survey.known.items()
        ],
        "wants_dialogue_meeting": survey.wants_dialogue_meeting,
    }


def _contacts(inputs: Mapping[str, object]) -> list[dict[str, Any]]:
    parties = inputs.get("parties")
    if not isinstance(parties, list):
        return []
    return [
        {ITEM_KEY: party["key"], "contact": party.get("contact"), "deputy": party.get("approver")} for party in parties
    ]


# --- what is still required -------------------------------------------------------------------------------------------


def _fill(nodes: Sequence[Node], answers: Answers, day: date) -> None:
    for node in nodes:
        if node.hidden:
            continue
        if isinstance(node, FieldNode):
            if _lacks(node):
                answers[node.field.key] = _value(node, day)
        elif isinstance(node, GroupNode):
            _fill(node.nodes, answers, day)
        elif isinstance(node, RowsNode) and (node.items or node.rows.required):
            answers[node.rows.path] = [_row(row, day) for row in node.items] or [{}]


def _row(row: RowNode, day: date) -> Answers:
    visible = list(field_nodes(row.nodes))
    answers: Answers = {n.field.key: n.value for n in visible if not form_answers.is_empty(n.value)}
    answers |= {n.field.key: _value(n, day) for n in visible if _lacks(n)}
    if not answers and visible and row.item is None:
        answers[visible[0].field.key] = _value(visible[0], day)
    return answers if row.item is None else {ITEM_KEY: row.item, **answers}


def _lacks(node: FieldNode) -> bool:
    """Is it required, and without an answer that can stand?"""
    return form_answers.problem(node.field, node.options, node.value, {}) is not None


def _value(node: FieldNode, day: date) -> object:
    field = node.field
    if field.type in TEXT_TYPES:
        return _text(node)
    if field.type in ("radio", "select"):
        return node.options[0].value if node.options else None
    if field.type == "checklist":
        return [node.options[0].value] if node.options else []
    if field.type == "number":
        return max(field.minimum or 0, min(1, field.maximum if field.maximum is not None else 1))
    if field.type == "datetime":
        return day.isoformat()
    return True if field.type == "checkbox" else None


def _text(node: FieldNode) -> str:
    field = node.field
    if field.pattern is not None:
        return next((text for text in _SHORT if field.pattern.fullmatch(text)), _SHORT[0])
    times = -(-max(field.min_length, 1) // len(_SENTENCE)) + 1
    text = (_SENTENCE * times)[: max(field.min_length, len(_SENTENCE) - 1)]
    return text[: field.max_length].strip() or "x"


def _day(calendar: Calendar, inputs: Mapping[str, object]) -> date:
    known = [str(inputs[name]) for name in ("meeting", "ssu", "au") if form_answers.is_iso_date(inputs.get(name))]
    start = date.fromisoformat(known[0]) if known else _FAR
    return calendar.working_day_on_or_after(start + _AFTER_MEETING)
