"""What a process instance is about: agreement, number, meetings; and what its forms and start are given."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from agreements import bodies, parties
from agreements.model import EVERY_PROCESS, Agreement, Case, CaseMeeting, Meeting, StartDefault
from engine.errors import InvalidInput, NotFound
from engine.model import Community, Membership, ProcessInstance, User

#: Facts that are a meeting's date. The first two belong to the body of that key; `meeting` to any.
MEETING_FACTS = ("ssu", "au", "meeting")
_BODY_FACTS = frozenset({"ssu", "au"})
#: Fact -> what models call the working days before the meeting at which its body wants the papers.
PAPER_DAYS = {fact: f"{fact}_paper_days" for fact in MEETING_FACTS}

#: What start_data sets itself.
_ITEMS = ("parties", "reviewers", "hearing_bodies")


@dataclass(frozen=True, kw_only=True)
class AgendaCase:
    """A numbered case on the agenda of a meeting."""

    number: str
    title: str
    archive: str
    meeting: Meeting


# --- the case -----------------------------------------------------------------------------------------


def open_case(
    session: Session,
    instance: ProcessInstance,
    *,
    agreement: Agreement | None = None,
    case_number: str = "",
    archive_reference: str = "",
    commissioned_by: str = "",
) -> Case:
    """Say what the instance is about. A number found on an agenda brings its archive reference along.

    Raises InvalidInput when the instance has its case already, or the agreement is another community's.
    """
    if case_of(session, instance.id) is not None:
        raise InvalidInput("Saken er alt opprettet. Åpne den i stedet.", instance=instance.public_id)
    if agreement is not None and agreement.community_id != instance.community_id:
        raise InvalidInput("Avtalen hører til et annet helsefellesskap. Velg en av deres egne.")
    number = _within(case_number, 30, "Saksnummeret")
    listed = agenda_case(session, instance.community_id, number) if number else None
    case = Case(
        instance_id=instance.id,
        agreement_id=agreement.id if agreement else None,
        case_number=number,
        archive_reference=_within(archive_reference, 60, "Arkivreferansen") or (listed.archive if listed else ""),
        commissioned_by=commissioned_by.strip(),
    )
    session.add(case)
    session.flush()  # its meetings need its id
    return case


def case_of(session: Session, instance_id: int) -> Case | None:
    """What the instance is about; None where nobody said."""
    query = select(Case).where(Case.instance_id == instance_id).options(selectinload(Case.agreement))
    return session.scalar(query)


def find_agreement(session: Session, community: Community, key: str) -> Agreement:
    """The agreement with that key. Raises NotFound."""
    query = select(Agreement).where(Agreement.community_id == community.id, Agreement.key == key)
    found = session.scalar(query)
    if found is None:
        raise NotFound(f"Det finnes ingen avtale med nøkkelen «{key}».", key=key)
    return found


def agenda_case(session: Session, community_id: int, number: str) -> AgendaCase | None:
    """The case with that number on the latest agenda that has one; None when no agenda has."""
    query = select(Meeting).where(Meeting.community_id == community_id).order_by(Meeting.date.desc())
    for meeting in session.scalars(query):
        for entry in meeting.agenda:
            if entry["number"] == number:
                return AgendaCase(number=number, title=entry["title"], archive=entry["archive"], meeting=meeting)
    return None


# --- its meetings -------------------------------------------------------------------------------------


def bind_meeting(session: Session, case: Case, fact: str, meeting: Meeting) -> CaseMeeting:
    """Let the case take `fact` from the meeting's date, instead of from another meeting.

    The engine's own facts are set by the caller, see `facts_of`. Raises InvalidInput for an unknown fact, and
    for a meeting of another body or community.
    """
    _check_binding(case, fact, meeting)
    bound = session.get(CaseMeeting, (case.id, fact))
    if bound is None:
        bound = CaseMeeting(case_id=case.id, fact=fact, meeting_id=meeting.id)
        session.add(bound)
    bound.meeting_id = meeting.id
    session.flush()  # what reads the case's meetings next sees this one
    session.refresh(bound)
    return bound


def meetings_of(session: Session, case: Case) -> dict[str, Meeting]:
    """Fact name -> the meeting it is taken from."""
    query = select(CaseMeeting).where(CaseMeeting.case_id == case.id).order_by(CaseMeeting.fact)
    return {bound.fact: bound.meeting for bound in session.scalars(query)}


def facts_of(session: Session, case: Case) -> dict[str, str]:
    """Fact name -> ISO date, as the engine's `set_facts` takes them."""
    return {fact: meeting.date.isoformat() for fact, meeting in meetings_of(session, case).items()}


def cases_at(session: Session, meeting: Meeting) -> list[tuple[Case, str]]:
    """The cases that take a fact from the meeting, with the fact's name: those that move when it moves."""
    query = select(CaseMeeting).where(CaseMeeting.meeting_id == meeting.id)
    query = query.order_by(CaseMeeting.case_id, CaseMeeting.fact)
    return [(bound.case, bound.fact) for bound in session.scalars(query)]


def _check_binding(case: Case, fact: str, meeting: Meeting) -> None:
    if fact not in MEETING_FACTS:
        names = ", ".join(MEETING_FACTS)
        raise InvalidInput(f"«{fact}» er ikke en møtedato. Bruk en av disse: {names}.", fact=fact)
    if meeting.community_id != case.instance.community_id:
        raise InvalidInput("Møtet hører til et annet helsefellesskap. Velg et av deres egne.", fact=fact)
    if fact in _BODY_FACTS and meeting.body.key != fact:
        text = f"Møtet er i {meeting.body.short_name}. Velg et møte i {fact.upper()}."
        raise InvalidInput(text, fact=fact, body=meeting.body.key)


# --- what a start and the forms are given -------------------------------------------------------------


def start_data(
    session: Session,
    community: Community,
    *,
    process_key: str,
    party_keys: Iterable[str] | None = None,
    reviewers: Iterable[str] | None = None,
    hearing_bodies: Iterable[str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The process variables of a start: parties, reviewers and hearing_bodies as lists of items, and `extra`.

    None means all parties, or the community's usual bodies for this process; an empty list of bodies means
    none. Raises InvalidInput as `parties.items` and `bodies.body_items` do, and when `extra` holds one of the
    three.
    """
    given = dict(extra or {})
    for name in _ITEMS:
        if name in given:
            raise InvalidInput(f"«{name}» regnes ut ved start og kan ikke gis i tillegg. Fjern det.", name=name)
    usual = _usual(session, community.id, process_key)
    checking = usual.reviewers if reviewers is None else reviewers
    hearing = usual.hearing_bodies if hearing_bodies is None else hearing_bodies
    return {
        **given,
        "parties": parties.items(session, community, party_keys),
        "reviewers": bodies.body_items(session, community, checking),
        "hearing_bodies": bodies.body_items(session, community, hearing),
    }


def form_inputs(session: Session, instance: ProcessInstance) -> dict[str, Any]:
    """What forms offer to choose from, besides the row's own party or body.

    title, agreement (name, or ""), chapters, questions, parties, bodies and people; default_reviewers and
    default_hearing_bodies are the values among `bodies` that are chosen beforehand.
    """
    community = _community(session, instance)
    case = case_of(session, instance.id)
    about = case.agreement if case else None
    usual = _usual(session, community.id, instance.definition.key)
    return {
        "title": instance.title,
        "agreement": about.name if about else "",
        "chapters": list(about.chapters) if about else [],
        "questions": _questions(session, instance, about),
        "parties": [_choice(p.name, p.key) for p in parties.all_of(session, community)],
        "bodies": [_choice(b.name, b.group.key) for b in bodies.all_of(session, community) if b.group],
        "people": _people(session, community),
        "default_reviewers": list(usual.reviewers),
        "default_hearing_bodies": list(usual.hearing_bodies),
    }


def _questions(session: Session, instance: ProcessInstance, about: Agreement | None) -> list[dict[str, str]]:
    """The instance's own; else its agreement's; about no agreement: those of the first that has any."""
    own = instance.data.get("questions")
    if isinstance(own, list) and own:
        named = [_question(number, question) for number, question in enumerate(own, start=1)]
        return [question for question in named if question["name"]]
    if about is not None:
        return list(about.questions)
    query = select(Agreement).where(Agreement.community_id == instance.community_id)
    every = session.scalars(query.order_by(Agreement.position, Agreement.id))
    return next((list(a.questions) for a in every if a.questions), [])


def _question(number: int, given: object) -> dict[str, str]:
    """A question as forms take it; a row of a start form may have no key, and a plain list has only texts."""
    if isinstance(given, Mapping):
        return {"key": str(given.get("key") or f"q{number}"), "name": str(given.get("name") or "").strip()}
    return {"key": f"q{number}", "name": str(given).strip()}


def _people(session: Session, community: Community) -> list[dict[str, str]]:
    """Active people who are in some group; one who only administers answers for nothing."""
    query = select(User).where(User.community_id == community.id, User.active)
    query = query.where(User.id.in_(select(Membership.user_id))).order_by(func.lower(User.name), User.id)
    return [_choice(user.name, user.key) for user in session.scalars(query)]


def _usual(session: Session, community_id: int, process_key: str) -> StartDefault:
    query = select(StartDefault).where(StartDefault.community_id == community_id)
    by_process = {
        row.process_key: row
        for row in session.scalars(query.where(StartDefault.process_key.in_((process_key, EVERY_PROCESS))))
    }
    none = StartDefault(community_id=community_id, process_key=process_key, reviewers=[], hearing_bodies=[])
    return by_process.get(process_key) or by_process.get(EVERY_PROCESS) or none


def _community(session: Session, instance: ProcessInstance) -> Community:
    return session.get_one(Community, instance.community_id)


def _choice(label: str, value: str) -> dict[str, str]:
    return {"label": label, "value": value}


def _within(text: str, length: int, what: str) -> str:
    text = text.strip()
    if len(text) > length:
        raise InvalidInput(f"{what} er for langt: høyst {length} tegn.")
    return text
