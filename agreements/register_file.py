"""The file that describes a community: its shape, and all that must hold before a row of it is written.

A file is whole: every key it mentions, it also defines. Whatever is wrong is refused with the name of the
thing and what to do about it.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Literal, Protocol, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from engine.errors import InvalidInput

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")

Key = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=80)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Weekday = Literal[0, 1, 2, 3, 4]


class Entry(BaseModel):
    """A part of the file; a field we do not know is a misspelling, not something to ignore."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CommunityEntry(Entry):
    """The community itself."""

    key: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=40)]
    name: Name
    email: str
    timezone: str = "Europe/Oslo"
    closing_days: tuple[dt.date, ...] = ()
    closed_eves: bool = True
    july_allowed: bool = False


class UserEntry(Entry):
    """A person or role."""

    key: Key
    name: Name
    email: str = ""
    active: bool = True
    is_admin: bool = False


class GroupEntry(Entry):
    """People who may take each other's tasks, beside the groups of bodies and parties."""

    key: Key
    name: Name
    leader: str | None = None
    members: tuple[str, ...] = ()


class PartyEntry(Entry):
    """A party; its group holds contact, deputy, approver and `members`."""

    key: Key
    name: Name
    kind: Literal["hospital", "municipality"]
    contact: str | None = None
    deputy: str | None = None
    approver: str | None = None
    members: tuple[str, ...] = ()


class BodyEntry(Entry):
    """A body; its group holds `leader` and `members`, unless it was never established."""

    key: Key
    name: Name
    short_name: Name
    level: int | None = None
    parent: str | None = None
    usual_weekday: Weekday | None = None
    paper_working_days: int = 5
    capacity: Annotated[int, Field(ge=1)] | None = None
    established: bool = True
    leader: str | None = None
    members: tuple[str, ...] = ()


class AgendaEntry(Entry):
    """A numbered case of a meeting."""

    number: Name
    title: Name
    types: tuple[str, ...] = ()
    archive: str = ""
    page: int | None = None


class MeetingEntry(Entry):
    """A meeting."""

    key: Key
    body: str
    date: dt.date
    starts_at: dt.time | None = None
    place: str = ""
    note: str = ""
    papers_dated: dt.date | None = None
    agenda: tuple[AgendaEntry, ...] = ()


class ChapterEntry(Entry):
    """A numbered chapter, as forms offer it."""

    label: Name
    value: Name


class QuestionEntry(Entry):
    """A question carried into the next evaluation."""

    key: Key
    name: Name


class AgreementEntry(Entry):
    """An agreement, sub-agreement, guideline or annex."""

    key: Key
    name: Name
    kind: Literal["agreement", "sub-agreement", "guideline", "annex"]
    parent: str | None = None
    adopted: dt.date | None = None
    adopted_case: str = ""
    in_force_from: dt.date | None = None
    revised: dt.date | None = None
    chapters: tuple[ChapterEntry, ...] = ()
    questions: tuple[QuestionEntry, ...] = ()


class StartDefaultEntry(Entry):
    """Whom a process asks unless its starter chooses otherwise."""

    reviewers: tuple[str, ...] = ()
    hearing_bodies: tuple[str, ...] = ()


class RegisterFile(Entry):
    """The whole file."""

    source: str = ""
    community: CommunityEntry
    users: tuple[UserEntry, ...]
    groups: tuple[GroupEntry, ...] = ()
    parties: tuple[PartyEntry, ...]
    bodies: tuple[BodyEntry, ...]
    agreements: tuple[AgreementEntry, ...] = ()
    meetings: tuple[MeetingEntry, ...] = ()
    start_defaults: dict[str, StartDefaultEntry] = {}


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...


class _Hanging(_Keyed, Protocol):
    @property
    def parent(self) -> str | None: ...


H = TypeVar("H", bound=_Hanging)


def parse(data: Mapping[str, object]) -> RegisterFile:
    """The file's contents, checked as a whole. Raises InvalidInput with the first thing that is wrong."""
    try:
        file = RegisterFile.model_validate(data)
    except ValidationError as error:
        raise _in_words(error, data) from error
    _check_community(file.community)
    _check_keys(file)
    _check_people(file)
    _check_parties(file)
    _check_bodies(file)
    _check_agreements(file)
    _check_meetings(file)
    _check_start_defaults(file)
    return file


def is_address(text: str) -> bool:
    """Whether mail can be sent to `text`."""
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


def parents_first(entries: Sequence[H]) -> list[H]:
    """The entries, each after what it hangs under. Every parent must be there, without circles."""
    placed: dict[str, H] = {}
    waiting = list(entries)
    while waiting:
        ready = [e for e in waiting if e.parent is None or e.parent in placed]
        placed.update((e.key, e) for e in ready)
        waiting = [e for e in waiting if e.key not in placed]
    return list(placed.values())


# --- the checks ---------------------------------------------------------------------------------------


def _check_community(community: CommunityEntry) -> None:
    if not is_address(community.email):
        raise _refuse("Helsefellesskapet", community.key, "har ingen gyldig e-postadresse. Fyll ut «email».")
    try:
        ZoneInfo(community.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        text = f"har en ukjent tidssone, «{community.timezone}». Skriv for eksempel «Europe/Oslo»."
        raise _refuse("Helsefellesskapet", community.key, text) from error


def _check_keys(file: RegisterFile) -> None:
    _unique("Brukeren", (u.key for u in file.users))
    # Parties and bodies have a group with their own key, so the three share one set of keys.
    _unique("Gruppen", (e.key for part in (file.parties, file.bodies, file.groups) for e in part))
    _unique("Avtalen", (a.key for a in file.agreements))
    _unique("Møtet", (m.key for m in file.meetings))
    _unique("Møtet", (f"{m.body} {m.date.isoformat()}" for m in file.meetings))


def _check_people(file: RegisterFile) -> None:
    users = {u.key for u in file.users}
    for thing, key, people in _people(file):
        for person in people:
            if person not in users:
                raise _refuse(
                    thing,
                    key,
                    f"viser til brukeren «{person}», som ikke finnes. Legg den til i «users».",
                )


def _people(file: RegisterFile) -> Iterator[tuple[str, str, list[str]]]:
    for party in file.parties:
        yield "Parten", party.key, members_of_party(party)
    for body in file.bodies:
        yield "Organet", body.key, members(body)
    for group in file.groups:
        yield "Gruppen", group.key, members(group)


def members(entry: BodyEntry | GroupEntry) -> list[str]:
    """User keys of the entry's group, the leader first, each once."""
    return _once([entry.leader, *entry.members])


def members_of_party(party: PartyEntry) -> list[str]:
    """User keys of the party's group, each once."""
    return _once([party.contact, party.deputy, party.approver, *party.members])


def _check_parties(file: RegisterFile) -> None:
    users = {u.key: u for u in file.users}
    for party in file.parties:
        if party.contact is None:
            raise _refuse("Parten", party.key, "har ingen kontakt. Skriv en brukers nøkkel i «contact».")
        contact = users[party.contact]
        if not is_address(contact.email):
            text = f"har en kontakt uten gyldig e-postadresse. Fyll ut «email» hos brukeren «{contact.key}»."
            raise _refuse("Parten", party.key, text)
        if not contact.active:
            text = f"har en kontakt som er slått av, «{contact.key}». Velg en annen i «contact»."
            raise _refuse("Parten", party.key, text)
    for user in file.users:
        if user.active and not is_address(user.email):
            raise _refuse("Brukeren", user.key, "har ingen gyldig e-postadresse. Fyll ut «email».")


def _check_bodies(file: RegisterFile) -> None:
    active = {u.key for u in file.users if u.active}
    for body in file.bodies:
        if body.established and not active.intersection(members(body)):
            text = "har ingen aktive medlemmer. Fyll ut «members», eller sett «established» til false."
            raise _refuse("Organet", body.key, text)
        if not body.established and members(body):
            text = "er ikke opprettet, men har medlemmer. Fjern dem, eller fjern «established»."
            raise _refuse("Organet", body.key, text)
        if not 0 <= body.paper_working_days <= 60:
            raise _refuse("Organet", body.key, "må ha «paper_working_days» fra 0 til 60.")
    _check_parents("Organet", file.bodies)


def _check_agreements(file: RegisterFile) -> None:
    _check_parents("Avtalen", file.agreements)
    for agreement in file.agreements:
        _unique(f"Kapitlet i avtalen {agreement.key},", (c.value for c in agreement.chapters))
        _unique(f"Spørsmålet i avtalen {agreement.key},", (q.key for q in agreement.questions))


def _check_meetings(file: RegisterFile) -> None:
    for meeting in file.meetings:
        _known("Møtet", meeting.key, "organet", meeting.body, file.bodies)
        if meeting.papers_dated is not None and meeting.papers_dated > meeting.date:
            raise _refuse("Møtet", meeting.key, "har papirer datert etter møtet. Rett «papers_dated».")


def _check_start_defaults(file: RegisterFile) -> None:
    established = [b for b in file.bodies if b.established]
    for process_key, default in file.start_defaults.items():
        for body in (*default.reviewers, *default.hearing_bodies):
            _known("Standardvalget", process_key, "organet", body, established)


def _check_parents(thing: str, entries: Sequence[_Hanging]) -> None:
    by_key = {e.key: e for e in entries}
    for entry in entries:
        if entry.parent is not None:
            _known(thing, entry.key, "det overordnede", entry.parent, entries)
        above, parent = {entry.key}, entry.parent
        while parent is not None:
            if parent in above:
                raise _refuse(thing, entry.key, "er til slutt underordnet seg selv. Rett «parent».")
            above.add(parent)
            parent = by_key[parent].parent if parent in by_key else None


# --- wording ------------------------------------------------------------------------------------------


def _known(thing: str, key: str, what: str, wanted: str, entries: Iterable[_Keyed]) -> None:
    known = [e.key for e in entries]
    if wanted not in known:
        text = f"viser til {what} «{wanted}», som ikke finnes. Velg ett av: {', '.join(known)}."
        raise _refuse(thing, key, text)


def _unique(thing: str, keys: Iterable[str]) -> None:
    for key, times in Counter(keys).items():
        if times > 1:
            raise _refuse(thing, key, f"står {times} ganger i fila. Behold én, eller gi den andre en ny nøkkel.")


def _refuse(thing: str, key: str, text: str) -> InvalidInput:
    return InvalidInput(f"{thing} «{key}» {text}", thing=thing, key=key)


def _once(keys: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(key for key in keys if key))


def _in_words(error: ValidationError, data: Mapping[str, object]) -> InvalidInput:
    first = error.errors(include_url=False)[0]
    field, place = str(first["loc"][-1]) if first["loc"] else "", _place(first["loc"], data)
    if first["type"] == "missing":
        text = f"{place}: «{field}» mangler. Fyll det ut."
    elif first["type"] == "extra_forbidden":
        text = f"{place}: «{field}» er et ukjent felt. Rett skrivemåten eller fjern det."
    else:
        text = f"{place}: «{field}» kan ikke leses ({first['msg']}). Rett verdien."
    return InvalidInput(text, place=place, field=field)


def _place(location: Sequence[int | str], data: Mapping[str, object]) -> str:
    """ "parties «larvik»" for ("parties", 6, "contact"): a key says more than a number."""
    words: list[str] = []
    at: object = data
    for step in location[:-1]:
        if isinstance(step, str):
            at = at.get(step) if isinstance(at, Mapping) else None
            words.append(step)
            continue
        at = at[step] if isinstance(at, Sequence) and step < len(at) else None
        key = at.get("key", at.get("number")) if isinstance(at, Mapping) else None
        words.append(f"«{key}»" if key else f"nr. {step + 1}")
    return " ".join(words) or "Fila"
