"""What service tasks of models can call: the register's own work, by name. docs/reference/functions.md lists them.

A function writes rows and answers variables; it never commits. What a model may expect to go wrong is a `BpmnError`.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements.model import Agreement, Body, Case, Meeting, RegisterChange
from engine import identity
from engine.model import Community
from engine.service_tasks import BpmnError, Call, Function


def next_meeting(session: Session, call: Call) -> Mapping[str, Any]:
    """The first meeting of `body` on or after `from` (today where it is not given), as `meeting`.

    Raises BpmnError `no-meeting`.
    """
    start = _date(call, "from") or _today(session, call)
    key = str(call.inputs.get("body", ""))
    query = (
        select(Meeting.date)
        .join(Body, Body.id == Meeting.body_id)
        .where(Body.community_id == call.instance.community_id, Body.key == key, Meeting.date >= start)
        .order_by(Meeting.date)
    )
    found = session.scalars(query.limit(1)).first()
    if found is None:
        raise BpmnError("no-meeting", f"{key or 'No body'} has no meeting on or after {start}.")
    return {"meeting": found.isoformat()}


def record_revision(session: Session, call: Call) -> Mapping[str, Any]:
    """Enter in the register that the case's agreement was revised on `date` (today where it is not given).

    Answers the agreement's key as `agreement`. Entering the same date again changes nothing. Raises BpmnError
    `no-agreement`.
    """
    day = _date(call, "date") or _today(session, call)
    about = select(Agreement).join(Case, Case.agreement_id == Agreement.id).where(Case.instance_id == call.instance.id)
    agreement = session.scalar(about.with_for_update(of=Agreement))
    if agreement is None:
        raise BpmnError("no-agreement", "The case is about no agreement.")
    if agreement.revised != day:
        old = agreement.revised.isoformat() if agreement.revised else None
        session.add(
            RegisterChange(
                community_id=agreement.community_id, at=call.now, thing="agreement", key=agreement.key,
                field="revised", old=old, new=day.isoformat(),
            )
        )  # fmt: skip
        agreement.revised = day
    return {"agreement": agreement.key}


#: Topic -> function.
FUNCTIONS: Mapping[str, Function] = {"next-meeting": next_meeting, "record-revision": record_revision}


def _date(call: Call, name: str) -> date | None:
    value = call.inputs.get(name)
    if value in (None, ""):
        return None
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"Expected a date such as 2026-11-27 in {name!r}, but got {value!r}.") from None


def _today(session: Session, call: Call) -> date:
    community = session.get_one(Community, call.instance.community_id)
    return identity.calendar_of(community).local_date(call.now)
