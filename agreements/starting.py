"""Starting a case: what pages, the API and commands ask for becomes a process instance with its case and meetings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from agreements import bodies, cases, meeting_checks, start_contents, start_needs
from agreements.dates import day
from agreements.findings import ChosenMeeting, Finding
from agreements.meeting_checks import Register
from agreements.model import Agreement, CaseMeeting, Meeting
from agreements.start_contents import BODY_CHOICES, StartRequest
from agreements.start_needs import Needs
from engine import deployments, history, identity, process_instances
from engine.errors import FieldProblem, InvalidAnswers, InvalidInput, NotAllowed
from engine.identity import Person
from engine.model import (
    Community,
    Group,
    Membership,
    ProcessDefinition,
    ProcessInstance,
    User,
)

__all__ = [
    "ChosenMeeting", "Prepared", "StartRequest", "StartWarning", "already_started", "prepare", "register_of", "start",
]  # fmt: skip

#: What is odd about a start, by the name it is asked for under.
StartWarning = Finding

#: A fact's body, where the model doesn't say which body meets.
_BODY_OF = {"ssu": "ssu", "au": "au"}
_DECIDING_BODY = "ssu"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A start that can be planned. `data`, `facts` and `roles` are what the engine is given.

    `problems` stand between the plan and the start: answers, title or agreement that are missing.
    """

    request: StartRequest
    definition: ProcessDefinition
    needs: Needs
    title: str
    agreement: Agreement | None
    meetings: tuple[ChosenMeeting, ...]
    facts: Mapping[str, date]
    data: Mapping[str, Any]
    roles: Mapping[str, Mapping[str, str]]
    owner_group: str
    case_number: str
    archive_reference: str
    commissioned_by: str
    problems: tuple[FieldProblem, ...]
    warnings: tuple[StartWarning, ...]


def prepare(session: Session, community: Community, request: StartRequest, *, now: datetime) -> Prepared:
    """Check the request against the model and the community; nothing is written.

    Raises InvalidInput, whose data has `field`: a fact, `role-<lane>`, parties, reviewers, hearing_bodies or
    agreement. Raises NotFound for a process, agreement or meeting that isn't there.
    """
    definition = deployments.latest(session, community.id, request.process)
    needed = start_needs.needs(session, definition)
    calendar = identity.calendar_of(community)
    agreement = start_contents.find_agreement(session, community, request, needed)
    chosen = chosen_meetings(session, community, request, needed)
    answers, problems = start_contents.read_answers(request, needed, agreement)
    title = request.title or start_contents.default_title(definition, needed, agreement, answers)
    facts = {meeting.fact: meeting.date for meeting in chosen}
    data = start_contents.instance_data(session, community, request, needed, agreement, answers, chosen)
    roles = _roles(session, community, request, needed)
    _check_people(session, community, needed, data, roles)
    identity.group(session, community.id, request.owner_group)
    models = start_needs.models(session, definition)
    paper_days = {name: data[name] for name in cases.PAPER_DAYS.values() if name in data}
    due = meeting_checks.deadlines(
        models[definition.key], models, {**paper_days, **facts}, calendar, request.hand_dates
    )
    today = calendar.local_date(now)
    register = register_of(session, chosen, today)
    return Prepared(
        request=request,
        definition=definition,
        needs=needed,
        title=title.strip() or definition.name,
        agreement=agreement,
        meetings=chosen,
        facts=facts,
        data=data,
        roles=roles,
        owner_group=request.owner_group,
        case_number=(request.case_number or start_contents.number_of(answers)).strip(),
        archive_reference=(request.archive_reference or str(answers.get("archive_reference") or "")).strip(),
        commissioned_by=start_contents.commissioned_by(session, community, answers),
        problems=(*problems, *start_contents.missing(needed, agreement, title)),
        warnings=meeting_checks.findings(chosen, due, register, calendar, today),
    )


def start(
    session: Session,
    community: Community,
    request: StartRequest,
    *,
    actor: User,
    now: datetime,
    confirmed: str | None = None,
    findings: Sequence[Finding] = (),
) -> ProcessInstance:
    """Start the case and bind its meetings; those given as a date are added to the register.

    `confirmed` says why it starts in spite of warnings; it goes into the case's history. `findings` are those that
    `plan_proposals.odd` finds beside the warnings of `prepare`, and want a reason as these do. A repeated start with
    the same idempotency key answers the first one's case. Raises NotAllowed, and InvalidInput as `prepare` does,
    for warnings without a reason and, as InvalidAnswers, for an answer that breaks the start form's rules.
    """
    require_may_start(session, identity.person(session, actor), request.process)
    if (existing := already_started(session, community, request.idempotency_key)) is not None:
        return existing
    prepared = prepare(session, community, request, now=now)
    if wrong := [p for p in prepared.problems if _was_given(request, p.key)]:
        raise InvalidAnswers(wrong)
    reason = (confirmed or "").strip()
    odd = tuple({(f.code, f.message): f for f in (*prepared.warnings, *findings)}.values())
    if odd and not reason:
        raise InvalidInput(_unconfirmed(odd), field="confirmed")
    instance = _start(session, prepared, actor, now)
    if cases.case_of(session, instance.id) is not None:
        return instance  # another start with the same key was committed a moment ago
    _open_case(session, prepared, instance)
    if odd:
        kept = [{"code": w.code, "fact": w.fact, "date": w.date.isoformat()} for w in odd]
        history.record(session, instance, "warnings-confirmed", now=now, actor_id=actor.id, note=reason, warnings=kept)
    return instance


def require_may_start(session: Session, person: Person, process: str) -> None:
    """Raises NotAllowed where the person may not start the process, NotFound where there is none."""
    definition = deployments.latest(session, person.community_id, process)
    if not start_needs.may_start(person, definition):
        raise NotAllowed(f"Du kan ikke starte «{definition.name}». Be sekretariatet gjøre det.")


def _was_given(request: StartRequest, key: str) -> bool:
    """Pages ask for everything; a program may leave answers out, and what it gives must be right."""
    root = key.partition("-")[0]
    return bool(request.title) if root == "title" else root in request.data


def already_started(session: Session, community: Community, idempotency_key: str | None) -> ProcessInstance | None:
    """The case that an earlier start with this key made."""
    if not idempotency_key:
        return None
    query = select(ProcessInstance).where(
        ProcessInstance.community_id == community.id, ProcessInstance.idempotency_key == idempotency_key
    )
    return session.scalar(query)


def _start(session: Session, prepared: Prepared, actor: User, now: datetime) -> ProcessInstance:
    owner_group = identity.group(session, prepared.definition.community_id, prepared.owner_group)
    person = identity.person(session, actor)
    return process_instances.start(
        session,
        prepared.definition,
        now=now,
        actor=actor,
        title=prepared.title,
        data=prepared.data,
        facts=prepared.facts,
        roles=prepared.roles,
        by_hand=prepared.request.hand_dates,
        # An administrator who helps out doesn't become the one who is asked about the case.
        owner=actor if owner_group.id in person.group_ids else None,
        owner_group=owner_group,
        idempotency_key=prepared.request.idempotency_key,
    )


def _open_case(session: Session, prepared: Prepared, instance: ProcessInstance) -> None:
    case = cases.open_case(
        session,
        instance,
        agreement=prepared.agreement,
        case_number=prepared.case_number,
        archive_reference=prepared.archive_reference,
        commissioned_by=prepared.commissioned_by,
    )
    for chosen in prepared.meetings:
        meeting = chosen.meeting or bodies.meeting_on(session, chosen.body, chosen.date)
        cases.bind_meeting(session, case, chosen.fact, meeting)


def _unconfirmed(warnings: Sequence[StartWarning]) -> str:
    listed = " ".join(w.message for w in warnings)
    return f"{listed} Si hvorfor saken skal starte likevel; begrunnelsen står i historikken."


# --- meetings -----------------------------------------------------------------------------------------


def chosen_meetings(
    session: Session, community: Community, request: StartRequest, needed: Needs
) -> tuple[ChosenMeeting, ...]:
    """The request's meetings, those that the process reads and no others. Raises as `prepare` does."""
    calendar = identity.calendar_of(community)
    known = {fact.name for fact in needed.facts}
    for name in request.meetings:
        if name not in known:
            names = ", ".join(sorted(known)) or "ingen"
            text = f"Prosessen bruker ikke møtet «{name}». Møtene den bruker: {names}."
            raise InvalidInput(text, field=name)
    chosen = []
    for fact in needed.facts:
        given = request.meetings.get(fact.name)
        if given:
            chosen.append(_meeting(session, community, fact.name, given))
        elif fact.required:
            word = "møtet" if fact.name == "meeting" else f"møtet i {fact.name.upper()}"
            raise InvalidInput(f"Velg {word}. Alle frister regnes ut fra det.", field=fact.name)
    for meeting in chosen:
        calendar.why_closed(meeting.date)  # refuses a year whose holidays nobody knows
    return tuple(chosen)


def register_of(session: Session, chosen: Sequence[ChosenMeeting], today: date) -> Register:
    """The coming meetings of the bodies whose meetings were chosen, and how many cases go to each."""
    wanted = select(Meeting).where(Meeting.body_id.in_({c.body.id for c in chosen}), Meeting.date >= today)
    coming: dict[str, list[Meeting]] = {}
    for meeting in session.scalars(wanted.options(selectinload(Meeting.body)).order_by(Meeting.date)):
        coming.setdefault(meeting.body.key, []).append(meeting)
    ids = [meeting.id for found in coming.values() for meeting in found]
    counted = (
        select(CaseMeeting.meeting_id, func.count()).where(CaseMeeting.meeting_id.in_(ids))
        .group_by(CaseMeeting.meeting_id)
    )  # fmt: skip
    return Register(coming=coming, cases={row[0]: row[1] for row in session.execute(counted)})


def _meeting(session: Session, community: Community, fact: str, given: date | str) -> ChosenMeeting:
    body_key, d = _BODY_OF.get(fact), given
    if isinstance(given, str):
        if ":" not in given:
            return _known_meeting(fact, bodies.find_meeting(session, community, given))
        body_key, _, text = given.partition(":")
        d = _parsed(text, fact)
    if not isinstance(d, date):
        raise InvalidInput(f"«{given}» er ikke en dato. Skriv den som 2026-11-27.", field=fact)
    same_day = select(Meeting).where(Meeting.community_id == community.id, Meeting.date == d)
    held = [m for m in session.scalars(same_day) if body_key in (None, m.body.key)]
    if len(held) == 1:
        return _known_meeting(fact, held[0])
    if body_key is None and held:
        text = f"Flere organer møtes {day(d, year_of=d)}. Velg et møte, eller si hvilket organ."
        raise InvalidInput(text, field=fact)
    # Where nobody is known to meet that day, it is the deciding body's meeting.
    body_key = body_key or _DECIDING_BODY
    body = bodies.find_body(session, community, body_key)
    _require_body(fact, body.key, body.short_name)
    return ChosenMeeting(fact=fact, date=d, body=body, meeting=None)


def _known_meeting(fact: str, meeting: Meeting) -> ChosenMeeting:
    _require_body(fact, meeting.body.key, meeting.body.short_name)
    return ChosenMeeting(fact=fact, date=meeting.date, body=meeting.body, meeting=meeting)


def _require_body(fact: str, body_key: str, name: str) -> None:
    if _BODY_OF.get(fact, body_key) != body_key:
        raise InvalidInput(f"Møtet er i {name}. Velg et møte i {fact.upper()}.", field=fact)


def _parsed(text: str, fact: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"«{text}» er ikke en dato. Skriv den som 2026-11-27.", field=fact) from None


# --- who ----------------------------------------------------------------------------------------------


def _roles(session: Session, community: Community, request: StartRequest, needed: Needs) -> dict[str, dict[str, str]]:
    for lane in request.roles:
        if lane not in needed.every_role:
            names = ", ".join(sorted(needed.every_role))
            raise InvalidInput(f"Prosessen har ingen rolle «{lane}». Rollene: {names}.", field=f"role-{lane}")
    bound = default_roles(session, community, needed)
    for lane, whom in request.roles.items():
        _check_exists(session, community, lane, whom)
        bound[lane] = dict(whom)
    for lane, name in needed.roles.items():
        if lane not in bound:
            raise InvalidInput(f"Velg hvem som er «{name}».", field=f"role-{lane}")
    return bound


def default_roles(session: Session, community: Community, needed: Needs) -> dict[str, dict[str, str]]:
    """Each lane's own group, where there is one of that key."""
    query = select(Group.key).where(Group.community_id == community.id, Group.key.in_(needed.every_role))
    return {key: {"group": key} for key in session.scalars(query)}


def _check_exists(session: Session, community: Community, lane: str, whom: Mapping[str, str]) -> None:
    try:
        if "group" in whom:
            identity.group(session, community.id, whom["group"])
        else:
            identity.user(session, community.id, whom.get("user", ""))
    except InvalidInput:
        text = "Den du valgte, finnes ikke eller er slått av. Velg en annen."
        raise InvalidInput(text, field=f"role-{lane}") from None


def _check_people(
    session: Session,
    community: Community,
    needed: Needs,
    data: Mapping[str, Any],
    roles: Mapping[str, Mapping[str, str]],
) -> None:
    """Raises InvalidInput when somebody is to be asked in a group where nobody is."""
    performing = {lane: roles[lane] for lane in needed.roles}
    asked = {whom["group"]: f"role-{lane}" for lane, whom in performing.items() if "group" in whom}
    asked |= {item["group"]: name for name in BODY_CHOICES for item in data.get(name, ())}
    active = select(Membership.group_id).join(User).where(User.active)
    query = (
        select(Group.key, Group.name)
        .where(Group.community_id == community.id, Group.key.in_(asked), Group.id.not_in(active))
        .order_by(func.lower(Group.name))
    )
    for row in session.execute(query):
        text = f"{row.name} har ingen medlemmer, så ingen får oppgaven. Legg til et medlem, eller velg en annen."
        raise InvalidInput(text, field=asked[row.key], body=row.key)
