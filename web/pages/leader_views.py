"""What the leader's page shows: who has the ball, how late, what slips if nothing happens, and the coming deadlines."""

import logging
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from threading import Lock

from flask_babel import gettext as _
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from agreements import slipping
from agreements.model import Body, Case, CaseMeeting, Meeting
from agreements.slipping import Coming, Slip
from engine import identity
from engine.errors import EngineError
from engine.identity import Person
from engine.model import InstanceParticipant, ProcessInstance
from web.formatting import Formatter, liste, tallord
from web.pages import case_cards, case_status
from web.pages.case_cards import CaseCard, Cases
from web.pages.case_status import Status

#: Cases that are lived in a sandbox for one page: the most urgent ones. The others say what their model says.
LIVED, LIVED_IF_ASKED = 6, 40
#: Lived cases kept in this process; a case lived again says the same until it moves, or the day ends.
_KEPT = 500
#: With fewer days left than this, the month that follows is shown too.
_FEW_DAYS = 8

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """A date within the coming weeks."""

    day: date
    text: str
    case_id: str
    case: str


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The page."""

    cases: Cases
    summary: str
    deadlines: tuple[Deadline, ...]
    #: The last day whose deadlines are shown.
    until: date
    #: Are there cases that were not lived?
    more: bool


def overview(
    session: Session, reader: Person, ids: Select[int], words: Formatter, *, now: datetime,
    body: Body | None = None, whole: bool = False,
) -> Overview:  # fmt: skip
    """How the running cases among `ids` stand that the reader may see."""
    found = case_cards.cases(session, reader, ids.where(ProcessInstance.state.in_(("active", "suspended"))), words)
    most = LIVED_IF_ASKED if whole else LIVED
    slips = _slips(session, [card.public_id for card in found.running[:most]], words.today, now)
    cards = tuple(_with_slip(card, slips.get(card.public_id), words) for card in found.running)
    until = _until(words.today)
    deadlines = [*_deadlines(cards, slips, until), *_meetings(session, body, words.today, until)]
    return Overview(
        cases=Cases(running=cards, ended=()), summary=_summary(found, slips, words),
        deadlines=tuple(sorted(deadlines, key=lambda one: (one.day, one.text))), until=until,
        more=len(found.running) > len(cards[:most]),
    )  # fmt: skip


def of_reader() -> Select[int]:
    """Ids of every case; which of them are theirs to see is asked where cases are listed."""
    return select(ProcessInstance.id)


def of_body(body: Body) -> Select[int]:
    """Ids of the cases that take a date from the body's meetings, or that its members take part in."""
    meets = select(Case.instance_id).join(CaseMeeting, CaseMeeting.case_id == Case.id)
    meets = meets.join(Meeting, Meeting.id == CaseMeeting.meeting_id).where(Meeting.body_id == body.id)
    takes_part = select(InstanceParticipant.instance_id).where(InstanceParticipant.group_id == body.group_id)
    return select(ProcessInstance.id).where(or_(ProcessInstance.id.in_(meets), ProcessInstance.id.in_(takes_part)))


def _until(today: date) -> date:
    """The end of the month; of the next one in its last days."""
    end = (today.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    return end if (end - today).days >= _FEW_DAYS else _until(end + timedelta(days=1))


# --- living -----------------------------------------------------------------------------------------------------------

_lived: OrderedDict[tuple[str, int, date], Slip] = OrderedDict()
_lock = Lock()


def _slips(session: Session, ids: Iterable[str], today: date, now: datetime) -> dict[str, Slip]:
    """Public id -> what slips, of the cases that run."""
    query = select(ProcessInstance.id, ProcessInstance.public_id, ProcessInstance.revision)
    active = ProcessInstance.state == "active"
    rows = session.execute(query.where(ProcessInstance.public_id.in_(list(ids)), active)).all()
    found = {row.public_id: _slip(session, (row.public_id, row.revision, today), row.id, now) for row in rows}
    return {public_id: slip for public_id, slip in found.items() if slip is not None}


def _slip(session: Session, key: tuple[str, int, date], instance_id: int, now: datetime) -> Slip | None:
    """None where the case can't be lived; its card then says what its model says."""
    with _lock:
        if key in _lived:
            _lived.move_to_end(key)
            return _lived[key]
    try:
        found = slipping.slip(session, instance_id, now=now)
    except EngineError as error:
        log.warning("a case could not be lived ahead", extra={"instance": key[0], "reason": type(error).__name__})
        return None
    with _lock:
        _lived[key] = found
        while len(_lived) > _KEPT:
            _lived.popitem(last=False)
    return found


# --- words ------------------------------------------------------------------------------------------------------------


def _with_slip(card: CaseCard, slip: Slip | None, words: Formatter) -> CaseCard:
    if slip is None or card.nobody:
        return card
    status = card.status
    if slip.too_late is not None and not card.hurry:
        status = Status(word=_("For liten tid"), icon="varsel", color="warning")
    return replace(card, if_nothing=in_words(slip, words), status=status)


def in_words(slip: Slip, words: Formatter) -> str:
    """What slips, in a few sentences."""
    parts = [*_closing_words(slip, words)]
    if slip.stands is None:
        parts.append(_("Saken går videre av seg selv."))
    elif slip.stands.day < words.today:
        parts.append(_("Saken blir stående i «%(step)s».", step=slip.stands.name))
    else:
        day = words.dag(slip.stands.day)
        parts.append(_("Saken blir stående i «%(step)s» fra %(day)s.", step=slip.stands.name, day=day))
    parts += _losses(slip, words)
    if slip.too_late is not None:
        day = words.dag(slip.too_late.day)
        late = _(
            "Selv om alle svarer i tide nå, får «%(step)s» %(day)s for liten tid.", step=slip.too_late.name, day=day
        )
        parts.append(late)
    return " ".join(parts)


def _closing_words(slip: Slip, words: Formatter) -> Iterable[str]:
    for one in slip.closings[:1]:
        day = words.dag(one.on)
        if one.asked > 1:
            yield _(
                "«%(step)s» lukker %(day)s med %(done)s av %(total)s svar.",
                step=one.name, day=day, done=one.answered, total=one.asked,
            )  # fmt: skip
        else:
            yield _("«%(step)s» lukker %(day)s uten svar.", step=one.name, day=day)


def _losses(slip: Slip, words: Formatter) -> Iterable[str]:
    lost = [_dated(one, words) for one in slip.meetings]
    following = slip.next
    # What is over, or is the meeting itself, need not be said.
    if following and (following.day < words.today or following.day in {one.day for one in slip.meetings}):
        following = None
    follow = [_("«%(step)s» %(day)s", step=following.name, day=words.dag(following.day))] if following else []
    if follow or lost:
        yield _("Da glipper %(what)s.", what=liste([*follow, *lost], og=_("og")))


def _dated(one: Coming, words: Formatter) -> str:
    return _("%(name)s %(day)s", name=one.name, day=words.dag(one.day))


def _summary(found: Cases, slips: dict[str, Slip], words: Formatter) -> str:
    text = case_cards.in_words(found)
    firsts = [slip.meetings[0] for slip in slips.values() if slip.meetings]
    if not firsts:
        return text
    first = min(firsts, key=lambda one: one.day)
    return text + " " + _("Det første møtet som kan glippe, er %(meeting)s.", meeting=_dated(first, words))


def _deadlines(cards: Iterable[CaseCard], slips: dict[str, Slip], until: date) -> Iterable[Deadline]:
    for card in cards:
        slip = slips.get(card.public_id)
        if slip is not None:
            for one in slip.deadlines:
                if one.day <= until:
                    yield Deadline(day=one.day, text=_step_words(one), case_id=card.public_id, case=card.title)
        elif card.ball.due is not None and card.ball.due <= until and not card.ball.overdue:
            text = _("%(who)s: %(step)s", who=card.ball.who, step=card.ball.about)
            yield Deadline(day=card.ball.due, text=text, case_id=card.public_id, case=card.title)


def _step_words(one: Coming) -> str:
    who = [case_status.short(name) for name in one.who]
    if not who:
        return one.name
    if len(who) > case_status.MAX_NAMES:
        return _("%(count)s personer: %(step)s", count=tallord(len(who), stor=True), step=one.name)
    return _("%(who)s: %(step)s", who=liste(who, og=_("og")), step=one.name)


def _meetings(session: Session, body: Body | None, today: date, until: date) -> Iterable[Deadline]:
    """The body's own meetings."""
    if body is None:
        return
    query = select(Meeting).where(Meeting.body_id == body.id, Meeting.date >= today, Meeting.date <= until)
    for meeting in session.scalars(query):
        yield Deadline(day=meeting.date, text=_("%(body)s møtes", body=body.short_name), case_id="", case="")


def bodies_with_cases(session: Session, reader: Person) -> list[Body]:
    """The bodies whose meetings give a date to a running case that the reader may see."""
    query = (
        select(Body)
        .join(Meeting, Meeting.body_id == Body.id)
        .join(CaseMeeting, CaseMeeting.meeting_id == Meeting.id)
        .join(Case, Case.id == CaseMeeting.case_id)
        .join(ProcessInstance, ProcessInstance.id == Case.instance_id)
        .where(identity.visible_instances(reader), ProcessInstance.state.in_(("active", "suspended")))
        .group_by(Body.id)
        .order_by(func.min(Body.position), Body.id)
    )
    return list(session.scalars(query))
