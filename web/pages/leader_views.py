"""What the leader's page says: who has the ball, how late, what slips if nothing happens, and the coming deadlines."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from agreements import overviews, standings
from agreements.model import Body
from agreements.overviews import LIVED, LIVED_IF_ASKED
from agreements.slipping import Coming, Slip
from engine.identity import Person
from web.formatting import Formatter, liste, tallord
from web.pages import case_cards, case_status
from web.pages.case_cards import CaseCard, Cases
from web.pages.case_status import Status


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
    session: Session, reader: Person, words: Formatter, *, now: datetime, body: Body | None = None, whole: bool = False
) -> Overview:
    """How the running cases stand that the reader may see, all or those of a body."""
    most = LIVED_IF_ASKED if whole else LIVED
    found = overviews.read(session, reader, body, today=words.today, now=now, most=most)
    cards = case_cards.cards_of(session, reader, found.standings, words)
    slipping = tuple(_with_slip(card, found.slips.get(card.public_id), words) for card in cards)
    cases = Cases(running=slipping, ended=())
    return Overview(
        cases=cases, summary=_summary(cases, found.first_meeting, words), until=found.until,
        deadlines=tuple(_deadline(one) for one in found.deadlines), more=len(cards) > most,
    )  # fmt: skip


# --- words ------------------------------------------------------------------------------------------------------------


def _with_slip(card: CaseCard, slip: Slip | None, words: Formatter) -> CaseCard:
    if slip is None or card.nobody:
        return card
    tight = Status(word=_("For liten tid senere"), icon="varsel", color="warning") if slip.too_late else None
    return replace(card, if_nothing=in_words(slip, words), ahead=tight)


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
    following = slip.lost_step(words.today)
    follow = [_("«%(step)s» %(day)s", step=following.name, day=words.dag(following.day))] if following else []
    if follow or lost:
        yield _("Da glipper %(what)s.", what=liste([*follow, *lost]))


def _dated(one: Coming, words: Formatter) -> str:
    return _("%(name)s %(day)s", name=one.name, day=words.dag(one.day))


def _summary(found: Cases, first: Coming | None, words: Formatter) -> str:
    text = case_cards.in_words(found)
    if first is None:
        return text
    return text + " " + _("Det første møtet som kan glippe, er %(meeting)s.", meeting=_dated(first, words))


def _deadline(one: overviews.Deadline) -> Deadline:
    text = _step_words(one) if one.case_id else _("%(body)s møtes", body=one.name)
    return Deadline(day=one.day, text=text, case_id=one.case_id, case=one.case)


def _step_words(one: overviews.Deadline) -> str:
    who = [standings.short(name) for name in one.who]
    if not who:
        return one.name
    if len(who) > case_status.MAX_NAMES:
        return _("%(count)s personer: %(step)s", count=tallord(len(who), stor=True), step=one.name)
    return _("%(who)s: %(step)s", who=liste(who), step=one.name)
