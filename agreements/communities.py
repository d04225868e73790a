"""Loads a community from its file: people, parties, bodies, agreements and meetings.

Loading again is safe: rows are found by their keys, and only what differs is written. What the file no longer
mentions stays, because cases point at it; memberships follow the file, because they decide who sees what.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from agreements.model import Agreement, Body, Meeting, Party, RegisterChange, StartDefault
from agreements.register_file import (
    AgreementEntry,
    BodyEntry,
    CommunityEntry,
    MeetingEntry,
    PartyEntry,
    RegisterFile,
    UserEntry,
    members,
    members_of_party,
    parents_first,
    parse,
)
from engine.errors import InvalidInput
from engine.model import Base, Community, Group, Membership, User

#: What identifies a person is not repeated in the record of changes, so that it can be erased.
_PERSONAL = frozenset({"name", "email"})

R = TypeVar("R", bound=Base)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change that loading made; `field` is empty when the thing was made."""

    thing: str
    key: str
    field: str = ""
    old: object = None
    new: object = None


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A loaded community, what changed, and in words what the file says otherwise and was left as it is."""

    community: Community
    changes: tuple[Change, ...]
    kept: tuple[str, ...]


def read_data_file(path: Path) -> dict[str, Any]:
    """The contents of a community's file (UTF-8 JSON). Raises InvalidInput when it can't be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repetition)
    except FileNotFoundError as error:
        raise InvalidInput(f"Fila {path} finnes ikke. Rett stien.", path=str(path)) from error
    except json.JSONDecodeError as error:
        text = f"Fila {path} er ikke gyldig JSON: linje {error.lineno}, tegn {error.colno}. Rett den."
        raise InvalidInput(text, path=str(path), line=error.lineno) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"Fila {path} kan ikke leses som UTF-8-tekst ({error}).", path=str(path)) from error
    if not isinstance(data, dict):
        raise InvalidInput(f"Fila {path} må være et JSON-objekt med «community» øverst.", path=str(path))
    return data


def load(session: Session, data: dict[str, Any], *, now: datetime) -> Community:
    """Make or update the community that `data` describes. Raises InvalidInput before anything is written."""
    return load_and_report(session, data, now=now).community


def load_and_report(session: Session, data: dict[str, Any], *, now: datetime) -> Loaded:
    """As `load`, and tells what it changed."""
    file = parse(data)
    loading = _Loading(session, now)
    loading.load_community(file.community)
    loading.load_people(file)
    loading.load_register(file)
    loading.note_absent(file)
    # Ids and constraints now, so that a conflict shows here and not at some later query.
    session.flush()
    return Loaded(community=loading.community, changes=tuple(loading.changes), kept=tuple(loading.kept))


class _Loading:
    """One load: puts entries into rows and remembers what that changed."""

    def __init__(self, session: Session, now: datetime) -> None:
        self.session = session
        self.now = now
        self.community: Community
        self.changes: list[Change] = []
        self.users: dict[str, User] = {}
        self.groups: dict[str, Group] = {}
        self.bodies: dict[str, Body] = {}
        self.agreements: dict[str, Agreement] = {}
        #: What the file says otherwise and was left as it is, in words.
        self.kept: list[str] = []

    def load_community(self, entry: CommunityEntry) -> None:
        values = entry.model_dump(exclude={"key", "closing_days"})
        values["closing_days"] = [d.isoformat() for d in entry.closing_days]
        found = self.session.scalar(select(Community).where(Community.key == entry.key))
        if found is not None:
            self.community = found
            self._update(found, "community", entry.key, values)
            return
        self.community = Community(key=entry.key, **values)
        self.session.add(self.community)
        self.session.flush()  # every other row needs its id
        self._record(Change(thing="community", key=entry.key))

    def load_people(self, file: RegisterFile) -> None:
        for user in file.users:
            self.users[user.key] = self._user(user)
        for party in file.parties:
            self._group(party.key, party.name, members_of_party(party), leader=None)
        for body in file.bodies:
            if body.established:
                self._group(body.key, body.name, members(body), leader=body.leader)
        for group in file.groups:
            self._group(group.key, group.name, members(group), leader=group.leader)

    def load_register(self, file: RegisterFile) -> None:
        for position, party in enumerate(file.parties):
            self._party(party, position)
        places = {b.key: position for position, b in enumerate(file.bodies)}
        for body in parents_first(file.bodies):
            self.bodies[body.key] = self._body(body, places[body.key])
        places = {a.key: position for position, a in enumerate(file.agreements)}
        for agreement in parents_first(file.agreements):
            self.agreements[agreement.key] = self._agreement(agreement, places[agreement.key])
        for meeting in file.meetings:
            self._meeting(meeting)
        for process_key, default in file.start_defaults.items():
            values = {"reviewers": list(default.reviewers), "hearing_bodies": list(default.hearing_bodies)}
            self._put(StartDefault, "start default", process_key, values, by="process_key")

    def note_absent(self, file: RegisterFile) -> None:
        """Tell what the register holds that the file no longer mentions."""
        mine = self.community.id
        absent = [
            ("Parten", select(Party.key).where(Party.community_id == mine), {p.key for p in file.parties}),
            ("Organet", select(Body.key).where(Body.community_id == mine), {b.key for b in file.bodies}),
            ("Avtalen", select(Agreement.key).where(Agreement.community_id == mine), set(self.agreements)),
        ]
        for thing, query, mentioned in absent:
            for key in sorted(set(self.session.scalars(query)) - mentioned):
                self.kept.append(f"{thing} «{key}» står ikke i fila lenger, men beholdes.")

    # --- people ----------------------------------------------------------------------------------------

    def _user(self, entry: UserEntry) -> User:
        values = entry.model_dump(exclude={"key"})
        # Someone switched off in the product is not let in again by a file that says nothing about it.
        if "active" not in entry.model_fields_set:
            del values["active"]
        return self._put(User, "user", entry.key, values)

    def _group(self, key: str, name: str, people: list[str], *, leader: str | None) -> None:
        group = self._put(Group, "group", key, {"name": name})
        self.groups[key] = group
        query = select(Membership).where(Membership.group_id == group.id).options(joinedload(Membership.user))
        present = {m.user.key: m for m in self.session.scalars(query)}
        before = {person: m.role for person, m in sorted(present.items())}
        after = {person: _role(person, leader, before.get(person)) for person in sorted(people)}
        if before == after:
            return
        for person in before.keys() - after.keys():
            self.session.delete(present[person])
        for person, role in after.items():
            if person in present:
                present[person].role = role
            else:
                self.session.add(Membership(user_id=self.users[person].id, group_id=group.id, role=role))
        self.session.flush()  # so that what is read of the group next is what was written
        self.session.expire(group, ["memberships"])
        for user in [self.users[person] for person in after] + [m.user for m in present.values()]:
            self.session.expire(user, ["memberships"])
        self._record(Change(thing="group", key=key, field="members", old=before, new=after))

    # --- the register ----------------------------------------------------------------------------------

    def _party(self, entry: PartyEntry, position: int) -> None:
        values: dict[str, object] = {
            "name": entry.name,
            "kind": entry.kind,
            "position": position,
            "contact_id": self._user_id(entry.contact),
            "deputy_id": self._user_id(entry.deputy),
            "approver_id": self._user_id(entry.approver),
            "group_id": self.groups[entry.key].id,
        }
        self._put(Party, "party", entry.key, values)

    def _body(self, entry: BodyEntry, position: int) -> Body:
        values: dict[str, object] = entry.model_dump(
            include={"name", "short_name", "level", "usual_weekday", "paper_working_days", "capacity"}
        )
        values["position"] = position
        values["parent_id"] = self.bodies[entry.parent].id if entry.parent else None
        values["group_id"] = self.groups[entry.key].id if entry.established else None
        return self._put(Body, "body", entry.key, values)

    def _agreement(self, entry: AgreementEntry, position: int) -> Agreement:
        values = entry.model_dump(exclude={"key", "parent", "chapters", "questions"})
        values["position"] = position
        values["parent_id"] = self.agreements[entry.parent].id if entry.parent else None
        values["chapters"] = [chapter.model_dump() for chapter in entry.chapters]
        values["questions"] = [question.model_dump() for question in entry.questions]
        return self._put(Agreement, "agreement", entry.key, values)

    def _meeting(self, entry: MeetingEntry) -> None:
        """Of a meeting that exists, only what is empty is filled in: it is moved where its cases follow."""
        body = self.bodies[entry.body]
        found = self._found_meeting(entry, body)
        values: dict[str, object] = entry.model_dump(exclude={"body", "agenda"})
        values["agenda"] = [case.model_dump(mode="json") for case in entry.agenda]
        if found is None:
            self._put(Meeting, "meeting", entry.key, {**values, "body_id": body.id})
            return
        empty = {field: value for field, value in values.items() if value and not getattr(found, field)}
        self._update(found, "meeting", entry.key, empty)
        if found.date != entry.date:
            self.kept.append(
                f"Møtet «{entry.key}» står {found.date.isoformat()}, ikke {entry.date.isoformat()} "
                "som i fila. Flytt det under Møter om fila har rett."
            )

    def _found_meeting(self, entry: MeetingEntry, body: Body) -> Meeting | None:
        mine = select(Meeting).where(Meeting.community_id == self.community.id)
        return self.session.scalar(mine.where(Meeting.key == entry.key)) or self.session.scalar(
            mine.where(Meeting.body_id == body.id, Meeting.date == entry.date)
        )

    def _user_id(self, key: str | None) -> int | None:
        return self.users[key].id if key else None

    # --- rows ------------------------------------------------------------------------------------------

    def _put(self, model: type[R], thing: str, key: str, values: Mapping[str, object], *, by: str = "key") -> R:
        identity = {"community_id": self.community.id, by: key}
        row = self.session.scalar(select(model).filter_by(**identity))
        if row is not None:
            self._update(row, thing, key, values)
            return row
        row = model(**{**values, **identity})
        self.session.add(row)
        self.session.flush()  # rows that follow need its id
        self._record(Change(thing=thing, key=key))
        return row

    def _update(self, row: Base, thing: str, key: str, values: Mapping[str, object]) -> None:
        changed = {field: new for field, new in values.items() if getattr(row, field) != new}
        for field, new in changed.items():
            old = getattr(row, field)
            setattr(row, field, new)
            hidden = thing == "user" and field in _PERSONAL
            before, after = (None, None) if hidden else (_json(old), _json(new))
            self._record(Change(thing=thing, key=key, field=field, old=before, new=after))
        if changed:
            self.session.flush()
            self.session.refresh(row)  # a new contact's id must show as the new contact

    def _record(self, change: Change) -> None:
        self.changes.append(change)
        self.session.add(
            RegisterChange(
                community_id=self.community.id,
                at=self.now,
                thing=change.thing,
                key=change.key,
                field=change.field,
                old=change.old,
                new=change.new,
            )
        )


def _role(person: str, leader: str | None, present: str | None) -> str:
    """The file names leaders; a deputy appointed in the product stays one."""
    if person == leader:
        return "leader"
    return "deputy" if present == "deputy" else "member"


def _json(value: object) -> object:
    return value.isoformat() if isinstance(value, date | time) else value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # The plain reader lets the last of two equal names win, and half of what was written is gone.
    seen = dict(pairs)
    if len(seen) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"«{twice}» står to ganger i samme objekt i fila. Behold én.", field=twice)
    return seen
