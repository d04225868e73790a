"""What a case that starts is about: its agreement or body, its title, and the answers of the start form."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from agreements import cases
from agreements.dates import day
from agreements.findings import ChosenMeeting
from agreements.model import Agreement
from agreements.start_needs import BODY_NAME, LISTS, Needs
from engine.errors import FieldProblem, InvalidInput
from engine.model import Community, ProcessDefinition

#: What a request may choose among the community's bodies.
BODY_CHOICES = ("reviewers", "hearing_bodies")
_MAX_TITLE = 300


@dataclass(frozen=True, kw_only=True)
class StartRequest:
    """What somebody wants to start.

    `meetings`: fact -> a date, a meeting's public id, or "body:2026-11-27" for a meeting still to be added.
    `parties`: keys; None means all. `roles`: lane -> {"group": key} or {"user": key}, for those that differ from
    the group of the lane's own key. `data`: the start form's answers, and the keys of `reviewers` and
    `hearing_bodies` where they differ from the usual ones.
    """

    process: str
    title: str | None = None
    agreement: str | None = None
    meetings: Mapping[str, date | str] = field(default_factory=dict)
    parties: tuple[str, ...] | None = None
    roles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    case_number: str | None = None
    archive_reference: str | None = None
    owner_group: str = "sekretariat"
    idempotency_key: str | None = None
    #: Due dates set by hand, by the step's place in the model: "call path/element".
    hand_dates: Mapping[str, date] = field(default_factory=dict)


# --- what it is about ---------------------------------------------------------------------------------


def find_agreement(session: Session, community: Community, request: StartRequest, needed: Needs) -> Agreement | None:
    """The agreement the request names. Raises InvalidInput for a case that is about a body, and NotFound."""
    if not request.agreement:
        return None
    if needed.about == "body":
        raise InvalidInput("Saken handler om et organ, ikke en avtale. Fjern avtalen.", field="agreement")
    return cases.find_agreement(session, community, request.agreement)


def default_title(
    definition: ProcessDefinition, needed: Needs, agreement: Agreement | None, answers: Mapping[str, Any]
) -> str:
    """What people call the case unless they say otherwise; empty where only they can say."""
    if needed.about == "body":
        return title_about(definition.name, str(answers.get(BODY_NAME) or ""))
    if agreement is None:
        return "" if needed.about == "title" else definition.name
    return title_about(definition.name, agreement.name[:1].lower() + agreement.name[1:])


def title_about(process_name: str, subject: str) -> str:
    """ "Mandat for fagutvalg" about "Fagutvalg HR" is "Mandat for Fagutvalg HR": the subject stands for the kind."""
    for preposition in (" av ", " for ", " om "):
        before, found, _kind = process_name.rpartition(preposition)
        if found and subject:
            return before + preposition + subject
    return f"{process_name}: {subject}" if subject else process_name


def missing(needed: Needs, agreement: Agreement | None, title: str) -> Iterator[FieldProblem]:
    """What must be there before the case can start, beside the start form's answers."""
    if needed.about == "agreement" and agreement is None:
        yield FieldProblem(key="agreement", label="Avtale", message="Velg avtalen saken handler om.")
    if not title.strip():
        yield FieldProblem(key="title", label="Tittel", message="Skriv en tittel på saken.")
    elif len(title) > _MAX_TITLE:
        text = f"Tittelen er for lang: høyst {_MAX_TITLE} tegn."
        yield FieldProblem(key="title", label="Tittel", message=text)


def number_of(answers: Mapping[str, Any]) -> str:
    """The case's number among the answers, if one is."""
    number = str(answers.get("case_number") or answers.get("commissioning_decision") or "").strip()
    # "17/26" or "2024.18"; what is longer is a description, and stays in the answers.
    return number if len(number) <= 30 else ""


def commissioned_by(session: Session, community: Community, answers: Mapping[str, Any]) -> str:
    """Who asked for it and where, as people read it: "SSU 7. mai 2026, sak 17/26"."""
    number = str(answers.get("commissioning_decision") or "").strip()
    listed = cases.agenda_case(session, community.id, number) if number else None
    if listed is None:
        return f"sak {number}" if number else ""
    held = listed.meeting
    return f"{held.body.short_name} {day(held.date, year_of=held.date)} {held.date.year}, sak {number}"


# --- the start form -----------------------------------------------------------------------------------


def read_answers(
    request: StartRequest, needed: Needs, agreement: Agreement | None
) -> tuple[dict[str, Any], tuple[FieldProblem, ...]]:
    """The start form's answers, cleaned, and what is wrong with them. An agreement's questions are carried in."""
    given = {key: value for key, value in request.data.items() if key not in BODY_CHOICES}
    if agreement is not None and "questions" not in given:
        given["questions"] = agreement.questions
    if "questions" in given:
        given["questions"] = [_question_row(question) for question in given["questions"]]
    answers, problems = needed.form.validate_json(given, form_inputs(agreement))
    return answers, tuple(problems)


def _question_row(question: object) -> dict[str, str]:
    name = question.get("name") if isinstance(question, Mapping) else question
    return {"name": str(name or "")}


def form_inputs(agreement: Agreement | None) -> dict[str, object]:
    """What a start form offers to choose from."""
    return {
        "agreement": agreement.name if agreement else "",
        "chapters": list(agreement.chapters) if agreement else [],
        "questions": list(agreement.questions) if agreement else [],
    }


def instance_data(
    session: Session,
    community: Community,
    request: StartRequest,
    needed: Needs,
    agreement: Agreement | None,
    answers: Mapping[str, Any],
    meetings: Iterable[ChosenMeeting],
) -> dict[str, Any]:
    """The instance's data: the answers, what later forms offer, the lists that steps run over, and paper deadlines."""
    known = {q["name"]: q["key"] for q in (agreement.questions if agreement else [])}
    paper_days = {cases.PAPER_DAYS[meeting.fact]: meeting.body.paper_working_days for meeting in meetings}
    extra = {**answers, **form_inputs(agreement), **paper_days}
    extra["questions"] = [
        {"key": known.get(question["name"], f"q{number}"), "name": question["name"]}
        for number, question in enumerate(answers.get("questions") or [], start=1)
    ]
    if not needed.lists:
        return extra
    try:
        return cases.start_data(
            session,
            community,
            process_key=request.process,
            party_keys=request.parties if needed.reads_list("parties") else None,
            reviewers=_bodies_for("reviewers", request, needed),
            hearing_bodies=_bodies_for("hearing_bodies", request, needed),
            extra=extra,
        )
    except InvalidInput as error:
        raise InvalidInput(error.message, **{"field": _list_at_fault(error, request), **error.data}) from None


def _bodies_for(name: str, request: StartRequest, needed: Needs) -> Sequence[str] | None:
    """Keys as given; None for the usual ones; nothing where no step asks them."""
    if not needed.reads_list(name):
        return []
    given = request.data.get(name)
    return None if given is None else [str(key) for key in given]


def _list_at_fault(error: InvalidInput, request: StartRequest) -> str:
    body = error.data.get("body") or error.data.get("key")
    for name in BODY_CHOICES:
        if body and body in (request.data.get(name) or ()):
            return name
    return LISTS[0]
