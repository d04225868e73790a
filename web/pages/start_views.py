"""What the first pages of a start show: processes, meetings to choose among, and people to ask."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from agreements import bodies, parties, start_needs
from agreements.model import EVERY_PROCESS, Body, Meeting, StartDefault
from agreements.start_needs import BODY_NAME, Needs
from agreements.starting import chosen_meetings
from engine import deployments
from engine.calendar import Calendar
from engine.errors import EngineError
from engine.identity import Person
from engine.model import Community, Group, Membership, ProcessDefinition, User
from web.formatting import dato, nbsp
from web.pages.start_state import StartState

OTHER, NONE = "annen", "ingen"

# --- Hva ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ProcessChoice:
    """A process the person may start."""

    key: str
    name: str
    description: str
    about: str


def processes(session: Session, person: Person) -> list[ProcessChoice]:
    """What the person may start, with what each is for: revisions of agreements first."""
    found = [_process(session, definition) for definition in start_needs.startable(session, person)]
    return sorted(found, key=lambda choice: choice.about)


def _process(session: Session, definition: ProcessDefinition) -> ProcessChoice:
    model = deployments.model_of(definition.xml, definition.key)
    about = start_needs.needs(session, definition).about
    return ProcessChoice(key=definition.key, name=definition.name, description=model.documentation, about=about)


# --- Møter --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class MeetingChoice:
    """A meeting one can choose, and what is odd about its date."""

    id: str
    date: date
    label: str
    place: str
    odd: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FactChoice:
    """One meeting that the process needs."""

    fact: str
    legend: str
    description: str
    required: bool
    choices: tuple[MeetingChoice, ...]
    bodies: tuple[Body, ...]
    chosen: str
    other_date: str
    other_body: str
    odd: tuple[str, ...] = ()
    error: str = ""


_LEGENDS = {
    "ssu": lambda: _("Hvilket SSU-møte skal vedta saken?"),
    "au": lambda: _("Hvilket AU-møte skal se på saken først?"),
    "meeting": lambda: _("Hvilket møte skal behandle saken?"),
}


def facts(
    session: Session,
    community: Community,
    needed: Needs,
    chosen: Mapping[str, str] | None,
    calendar: Calendar,
    today: date,
) -> list[FactChoice]:
    """The meetings to choose, with what is known of each body; the first one that comes is chosen beforehand."""
    every = bodies.all_of(session, community)
    query = select(Meeting).where(Meeting.community_id == community.id, Meeting.date >= today).order_by(Meeting.date)
    coming = list(session.scalars(query.options(selectinload(Meeting.body))))
    au = next((m for m in coming if m.body.key == "au"), None)
    # AU prepares for SSU: of SSU's meetings, the first one after AU's is the natural choice.
    possible = [m for m in coming if m.body.key != "ssu" or au is None or m.date > au.date]
    first = {m.body.key: m for m in reversed(possible)}
    return [
        _fact(fact.name, fact.required, every, coming, chosen, first.get(fact.name), calendar, today)
        for fact in needed.facts
    ]


def _fact(
    name: str,
    required: bool,
    every: Sequence[Body],
    coming: Sequence[Meeting],
    chosen: Mapping[str, str] | None,
    first: Meeting | None,
    calendar: Calendar,
    today: date,
) -> FactChoice:
    any_body = name == "meeting"
    choices = tuple(_meeting(m, calendar, today, any_body=any_body) for m in coming if any_body or m.body.key == name)
    given = (chosen or {}).get(name, "" if chosen is None else NONE)
    body_key, _sep, day = given.partition(":") if ":" in given else ("", "", "")
    if chosen is None:
        usual = first.public_id if first is not None else choices[0].id if choices else OTHER
        given = usual if required else NONE
    meets = tuple(b for b in every if b.group is not None and (any_body or b.key == name))
    return FactChoice(
        fact=name,
        legend=_LEGENDS[name](),
        description="" if required else _("Saken kan også gå uten et AU-møte. Da regnes fristen fra SSU."),
        required=required,
        choices=choices,
        bodies=meets if any_body else (),
        chosen=OTHER if day else given,
        other_date=day,
        other_body=body_key or (meets[0].key if meets else ""),
        odd=_odd(next((b for b in meets if b.key == body_key), None), day, calendar, today),
    )


def _meeting(meeting: Meeting, calendar: Calendar, today: date, *, any_body: bool) -> MeetingChoice:
    day = dato(meeting.date, today=today)
    return MeetingChoice(
        id=meeting.public_id,
        date=meeting.date,
        label=f"{meeting.body.short_name} {day}" if any_body else day[:1].upper() + day[1:],
        place=meeting.place,
        odd=tuple(nbsp(w.message) for w in bodies.meeting_warnings(calendar, meeting.body, meeting.date, today)),
    )


def _odd(body: Body | None, day: str, calendar: Calendar, today: date) -> tuple[str, ...]:
    if body is None or not day:
        return ()
    try:
        found = bodies.meeting_warnings(calendar, body, date.fromisoformat(day), today)
    except (ValueError, EngineError):
        return ()
    return tuple(nbsp(w.message) for w in found)


def reference(form: Mapping[str, str], fact: FactChoice) -> str:
    """The meeting a browser sent for the fact: a public id, `body:date`, or nothing."""
    value = form.get(f"mote-{fact.fact}", "")
    if value == OTHER:
        body = form.get(f"organ-{fact.fact}", "") or fact.fact
        day = form.get(f"dato-{fact.fact}", "").strip()
        return f"{body}:{day}" if day else ""
    return "" if value == NONE else value


def unclear(form: Mapping[str, str], facts: Iterable[FactChoice]) -> dict[str, str]:
    """Where a new date was written but another meeting is marked: which one is meant is not for us to guess."""
    text = _("Du har skrevet en dato. Marker «En annen dato», eller tøm feltet.")
    return {
        fact.fact: text
        for fact in facts
        if form.get(f"dato-{fact.fact}") not in (None, "", fact.other_date) and form.get(f"mote-{fact.fact}") != OTHER
    }


def check_meetings(session: Session, community: Community, needed: Needs, state: StartState) -> None:
    """Raises InvalidInput at the fact that doesn't fit."""
    chosen_meetings(session, community, state.request(), needed)


# --- Hvem ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RoleChoice:
    """A lane and who may be it; `chosen` is `group:<key>`, `user:<key>` or nothing."""

    lane: str
    name: str
    chosen: str


@dataclass(frozen=True, kw_only=True)
class PartyRow:
    """A party with those who answer for it; `missing` says why it can't be asked."""

    key: str
    name: str
    contact: str
    approver: str
    deputy: str
    missing: str
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class BodyList:
    """Bodies that a step asks; `name` is reviewers or hearing_bodies."""

    name: str
    legend: str
    description: str
    options: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True, kw_only=True)
class People:
    """The page Hvem."""

    roles: tuple[RoleChoice, ...]
    groups: tuple[tuple[str, str], ...]
    users: tuple[tuple[str, str], ...]
    parties: tuple[PartyRow, ...]
    lists: tuple[BodyList, ...]
    errors: Mapping[str, str] = field(default_factory=dict)


def people(session: Session, community: Community, needed: Needs, state: StartState) -> People:
    """Who can be asked, with the usual ones chosen until somebody chooses otherwise."""
    groups = session.execute(
        select(Group.key, Group.name).where(Group.community_id == community.id).order_by(Group.name)
    ).all()
    asked = select(Membership.user_id)
    users = session.execute(
        select(User.key, User.name)
        .where(User.community_id == community.id, User.active, User.id.in_(asked))
        .order_by(User.name)
    ).all()
    own = {row.key for row in groups}
    named = {row.name: row.key for row in groups}
    return People(
        roles=tuple(
            RoleChoice(lane=lane, name=name, chosen=_bound(lane, state, own, named))
            for lane, name in needed.roles.items()
        ),
        groups=tuple((f"group:{row.key}", row.name) for row in groups),
        users=tuple((f"user:{row.key}", row.name) for row in users),
        parties=_parties(session, community, state) if needed.reads_list("parties") else (),
        lists=tuple(_lists(session, community, needed, state)),
    )


def _bound(lane: str, state: StartState, groups: set[str], named: Mapping[str, str]) -> str:
    if (whom := state.roles.get(lane)) is not None:
        kind, key = next(iter(whom.items()))
        return f"{kind}:{key}"
    if lane in groups:
        return f"group:{lane}"
    # The body that the case is about, when it exists under the name that was written.
    about = named.get(str(state.answers.get(BODY_NAME, "")).strip())
    return f"group:{about}" if about else ""


def _parties(session: Session, community: Community, state: StartState) -> tuple[PartyRow, ...]:
    return tuple(
        PartyRow(
            key=p.key,
            name=p.name,
            contact=p.contact.name if p.contact else "",
            approver=p.approver.name if p.approver else "",
            deputy=p.deputy.name if p.deputy else "",
            missing="" if p.contact and p.contact.active else _("Har ingen kontakt, og kan ikke spørres ennå."),
            chosen=state.parties is None or p.key in state.parties,
        )
        for p in parties.all_of(session, community)
    )


def _lists(session: Session, community: Community, needed: Needs, state: StartState) -> Iterable[BodyList]:
    query = select(StartDefault).where(StartDefault.community_id == community.id)
    defaults = {row.process_key: row for row in session.scalars(query)}
    usual = defaults.get(state.process) or defaults.get(EVERY_PROCESS)
    every = bodies.all_of(session, community)
    words = {
        "reviewers": (_("Hvem kvalitetssikrer?"), _("De leser funnene før saken går til AU.")),
        "hearing_bodies": (_("Hvem gir innspill?"), _("De får utkastet til uttalelse.")),
    }
    for name, (legend, description) in words.items():
        if needed.reads_list(name):
            chosen = state.bodies.get(name, getattr(usual, name) if usual else [])
            options = tuple((b.key, b.name, b.key in chosen) for b in every if b.group is not None)
            yield BodyList(name=name, legend=legend, description=description, options=options)
