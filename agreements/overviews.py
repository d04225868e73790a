"""The leader's overview: the running cases of a reader or a body, what slips, and the deadlines to come."""

import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from threading import Lock

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, defer

from agreements import slipping, standings
from agreements.model import Body, Case, CaseMeeting, Meeting
from agreements.slipping import Slip
from agreements.standings import Standing
from engine import identity
from engine.errors import EngineError
from engine.identity import Person
from engine.model import InstanceParticipant, ProcessInstance

#: Cases that are lived in a sandbox for one reader: the most urgent ones. The others say what their model says.
LIVED, LIVED_IF_ASKED = 6, 40
#: Lived cases kept in this process; a case lived again says the same until it moves, or the day ends.
_KEPT = 500
#: With fewer days left than this, the month that follows is shown too.
_FEW_DAYS = 8
RUNNING = ("active", "suspended")

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """A date within the coming weeks: a step's, or a meeting's of the body."""

    day: date
    #: The step and who is to act, or the body that meets.
    name: str
    who: tuple[str, ...] = ()
    case_id: str = ""
    case: str = ""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """How it stands; the case in greatest danger on top."""

    standings: Sequence[Standing]
    #: Public id -> what slips, of the cases that were lived.
    slips: Mapping[str, Slip]
    deadlines: Sequence[Deadline]
    #: The last day whose deadlines are here.
    until: date

    @property
    def first_meeting(self) -> slipping.Coming | None:
        """The first meeting that a case misses if nobody acts."""
        firsts = [slip.meetings[0] for slip in self.slips.values() if slip.meetings]
        return min(firsts, key=lambda meeting: meeting.day, default=None)


def read(
    session: Session, reader: Person, body: Body | None, *, today: date, now: datetime, most: int = LIVED
) -> Overview:
    """The running cases that the reader may see, all or those of a body; up to `most` of them are lived ahead."""
    ids = of_body(body) if body is not None else select(ProcessInstance.id)
    query = select(ProcessInstance).where(ProcessInstance.id.in_(ids), identity.visible_instances(reader))
    lean = (defer(ProcessInstance.state_document), defer(ProcessInstance.data))
    running = session.scalars(query.where(ProcessInstance.state.in_(RUNNING)).options(*lean)).all()
    found = standings.read(session, running, today=today)
    slips, until = _slips(session, found[:most], today, now), end_of_deadlines(today)
    deadlines = [*_deadlines(found, slips, today, until), *_meetings(session, body, today, until)]
    return Overview(
        standings=found, slips=slips, until=until,
        deadlines=sorted(deadlines, key=lambda one: (one.day, one.name, one.case)),
    )  # fmt: skip


def of_body(body: Body) -> Select[int]:
    """Ids of the cases that take a date from the body's meetings, or that its members take part in."""
    meets = select(Case.instance_id).join(CaseMeeting, CaseMeeting.case_id == Case.id)
    meets = meets.join(Meeting, Meeting.id == CaseMeeting.meeting_id).where(Meeting.body_id == body.id)
    takes_part = select(InstanceParticipant.instance_id).where(InstanceParticipant.group_id == body.group_id)
    return select(ProcessInstance.id).where(or_(ProcessInstance.id.in_(meets), ProcessInstance.id.in_(takes_part)))


def bodies_with_cases(session: Session, reader: Person) -> Sequence[Body]:
    """The bodies whose meetings give a date to a running case that the reader may see."""
    query = (
        select(Body)
        .join(Meeting, Meeting.body_id == Body.id)
        .join(CaseMeeting, CaseMeeting.meeting_id == Meeting.id)
        .join(Case, Case.id == CaseMeeting.case_id)
        .join(ProcessInstance, ProcessInstance.id == Case.instance_id)
        .where(identity.visible_instances(reader), ProcessInstance.state.in_(RUNNING))
        .group_by(Body.id)
        .order_by(func.min(Body.position), Body.id)
    )
    return session.scalars(query).all()


def end_of_deadlines(today: date) -> date:
    """The end of the month; of the next one in its last days."""
    end = (today.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    return end if (end - today).days >= _FEW_DAYS else end_of_deadlines(end + timedelta(days=1))


def _deadlines(found: Iterable[Standing], slips: Mapping[str, Slip], today: date, until: date) -> Iterable[Deadline]:
    for standing in found:
        case = standing.instance
        slip, step, due = slips.get(case.public_id), standing.step, standing.due
        if slip is not None:
            for one in slip.deadlines:
                if one.day <= until:
                    yield Deadline(day=one.day, name=one.name, who=one.who, case_id=case.public_id, case=case.title)
        elif step is not None and due is not None and today <= due <= until:
            who = tuple(dict.fromkeys(standings.asked(task) for task in standing.waiting))
            yield Deadline(day=due, name=step.name, who=who, case_id=case.public_id, case=case.title)


def _meetings(session: Session, body: Body | None, today: date, until: date) -> Iterable[Deadline]:
    """The body's own meetings."""
    if body is None:
        return
    query = select(Meeting).where(Meeting.body_id == body.id, Meeting.date >= today, Meeting.date <= until)
    for meeting in session.scalars(query):
        yield Deadline(day=meeting.date, name=body.short_name)


# --- living -----------------------------------------------------------------------------------------------------------

_lived: OrderedDict[tuple[str, int, date], Slip] = OrderedDict()
_lock = Lock()


def _slips(session: Session, found: Iterable[Standing], today: date, now: datetime) -> Mapping[str, Slip]:
    slips = {}
    for standing in found:
        slip = None if standing.on_hold else _slip(session, standing.instance, today, now)
        if slip is not None:
            slips[standing.instance.public_id] = slip
    return slips


def _slip(session: Session, instance: ProcessInstance, today: date, now: datetime) -> Slip | None:
    """None where the case can't be lived; what is then said is what its model says."""
    key = instance.public_id, instance.revision, today
    with _lock:
        if key in _lived:
            _lived.move_to_end(key)
            return _lived[key]
    try:
        found = slipping.slip(session, instance.id, now=now)
    except EngineError as error:
        log.warning("a case could not be lived ahead", extra={"instance": key[0], "reason": type(error).__name__})
        return None
    with _lock:
        _lived[key] = found
        while len(_lived) > _KEPT:
            _lived.popitem(last=False)
    return found
