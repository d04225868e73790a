"""A move as commands and the API show it: what it would bring, and what it brought."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from agreements.model import Meeting, Move, MoveNotice
from agreements.moving import CasePreview, Choice, Moved, Option, Preview
from engine.model import User
from engine.planning import PlannedStep
from web.moves import Seen, Waits

#: Users by id.
_People = Mapping[int, User]


# --- what it would bring ----------------------------------------------------------------------------------------------


def preview(session: Session, tried: Preview) -> dict[str, Any]:
    """Every case with what moves in it, what can be chosen, and who is told."""
    waiting = {w.person for case in tried.cases for seen in (case.seen, case.outcome.seen) for w in seen.values()}
    people = _people(session, {*tried.concerned, *tried.told, *(id_ for id_ in waiting if id_)})
    return {
        "meeting": _meeting(session, tried),
        "cases": [_case(case, people) for case in tried.cases],
        "on_hold": list(tried.change.on_hold),
        "told": [_told(person, tried, people) for person in tried.told if person in people],
    }


def seal(tried: Preview) -> str:
    """What was looked at, as an ETag: the cases at their revisions, and every date as it would be."""
    dates = [(step.key, step.old, step.new) for case in tried.cases for step in case.outcome.moved]
    shown = (tried.token, tried.change.meeting_id, tried.change.old, tried.change.new, dates)
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:32]


def _people(session: Session, ids: set[int]) -> _People:
    return {user.id: user for user in session.scalars(select(User).where(User.id.in_(ids), User.active))}


def _meeting(session: Session, tried: Preview) -> dict[str, Any] | None:
    change = tried.change
    if change.meeting_id is None:
        return None
    meeting = session.get_one(Meeting, change.meeting_id, options=[joinedload(Meeting.body)])
    return {"id": meeting.public_id, "body": meeting.body.key, "old": change.old, "new": change.new}


def _told(person: int, tried: Preview, people: _People) -> dict[str, Any]:
    away = [absent for absent in tried.concerned if absent != person and tried.reader(absent) == person]
    return {"user": people[person].key, "name": people[person].name, "in_place_of": sorted(people[a].key for a in away)}


def _case(case: CasePreview, people: _People) -> dict[str, Any]:
    return {
        "id": case.public_id,
        "title": case.title,
        "revision": case.revision,
        "chosen": next((o.key for o in _options(case.choice) if o.outcome is case.outcome), None),
        "options": [_option(option) for option in _options(case.choice)],
        "moved": [_moved(step, people) for step in case.outcome.moved],
        "unchanged": [step.element for step in case.outcome.unchanged],
        "impossible": [{**_named(step), "opens": step.opens, "due": step.due} for step in case.outcome.broken],
        "tighter": [
            {**_named(new), "working_days": new.working_days, "before": old.working_days,
             "minimum": new.minimum_working_days}
            for old, new in case.outcome.tighter
        ],
        "waits": list(_waits(case.seen, case.outcome.seen, people)),
        "stops": case.outcome.stopped or None,
    }  # fmt: skip


def _options(choice: Choice | None) -> tuple[Option, ...]:
    return choice.options if choice is not None else ()


def _option(option: Option) -> dict[str, Any]:
    by_hand = [{**_named(step), "due": day} for step, day in option.dates]
    return {"key": option.key, "works": option.works, "by_hand": by_hand}


def _named(step: PlannedStep) -> dict[str, Any]:
    return {"step": step.element, "name": step.name}


def _moved(step: Moved, people: _People) -> dict[str, Any]:
    concerned = [people[person].key for person in step.people if person in people]
    return {"step": step.key[1], "name": step.name, "old": step.old, "new": step.new, "people": concerned}


def _waits(old: Seen, new: Seen, people: _People) -> Iterator[dict[str, Any]]:
    """Timers, mails and calendar entries that are at another time, begin or fall away."""
    for key in dict.fromkeys((*old, *new)):
        before, after = old.get(key), new.get(key)
        if before is None or after is None or before.at != after.at:
            yield _waiting(before, after, people)


def _waiting(before: Waits | None, after: Waits | None, people: _People) -> dict[str, Any]:
    named = after or before
    assert named is not None, "one of the two waits"
    to = people.get(named.person or 0)
    return {
        "kind": named.kind, "name": named.name, "party": named.party or None, "rule": named.rule or None,
        "to": to.key if to is not None else None,
        "old": before.at.isoformat() if before else None, "new": after.at.isoformat() if after else None,
    }  # fmt: skip


# --- what it brought --------------------------------------------------------------------------------------------------


def done(session: Session, move: Move) -> dict[str, Any]:
    """A move that was made: the dates that it changed, and how many were told."""
    query = select(MoveNotice).where(MoveNotice.move_id == move.id).options(joinedload(MoveNotice.instance))
    notices = session.scalars(query.order_by(MoveNotice.id)).all()
    rows = {
        (n.instance.public_id, n.step_name): {
            "case": n.instance.public_id, "title": n.instance.title, "name": n.step_name, "old": n.old, "new": n.new,
        }
        for n in notices if n.step_name
    }  # fmt: skip
    return {
        "id": move.public_id, "meeting": move.meeting.public_id if move.meeting else None, "old": move.old,
        "new": move.new, "reason": move.reason, "at": move.at.isoformat(), "told": len({n.user_id for n in notices}),
        "dates": list(rows.values()),
    }  # fmt: skip
