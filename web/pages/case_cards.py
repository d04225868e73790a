"""Cases as cards: who has the ball, until when, and what happens if nothing does. Sorted by danger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask_babel import gettext as _
from sqlalchemy import Select, select
from sqlalchemy.orm import Session, defer

from agreements import standings
from agreements.model import Case, CaseMeeting
from agreements.standings import Standing
from engine import absences, identity
from engine.identity import Person
from engine.model import ProcessInstance, Step
from web.formatting import Formatter, tallord
from web.pages import case_status
from web.pages.case_status import Status
from web.pages.case_views import Ball, ball


@dataclass(frozen=True, kw_only=True)
class CaseCard:
    """A case that is going on."""

    public_id: str
    title: str
    status: Status
    #: What its plan will come to, where that is worth a warning.
    ahead: Status | None
    ball: Ball
    if_nothing: str
    hurry: bool
    nobody: bool


@dataclass(frozen=True, kw_only=True)
class Cases:
    """The cases one may see: those going on, the most urgent first, and those that ended."""

    running: tuple[CaseCard, ...]
    ended: tuple[ProcessInstance, ...]


def at_meeting(meeting_id: int) -> Select[int]:
    """Ids of the cases that take a date from the meeting."""
    return select(Case.instance_id).join(CaseMeeting).where(CaseMeeting.meeting_id == meeting_id)


def about(agreement_id: int) -> Select[int]:
    """Ids of the cases about the agreement."""
    return select(Case.instance_id).where(Case.agreement_id == agreement_id)


def cases(session: Session, person: Person, ids: Select[int], words: Formatter) -> Cases:
    """The cases among `ids` that the person may see."""
    query = select(ProcessInstance).where(ProcessInstance.id.in_(ids), identity.visible_instances(person))
    lean = (defer(ProcessInstance.state_document), defer(ProcessInstance.data))
    found = session.scalars(query.options(*lean).order_by(ProcessInstance.started_at.desc())).all()
    running = [instance for instance in found if instance.state in ("active", "suspended")]
    cards = cards_of(session, person, standings.read(session, running, today=words.today), words)
    return Cases(running=cards, ended=tuple(i for i in found if i not in running))


def cards_of(session: Session, person: Person, found: Sequence[Standing], words: Formatter) -> tuple[CaseCard, ...]:
    """A card for each of them."""
    instead = absences.stand_in_names(session, person.community_id)
    return tuple(_card(standing, words, instead) for standing in found)


def _card(standing: Standing, words: Formatter, instead: Mapping[int, str]) -> CaseCard:
    instance, steps, nobody = standing.instance, standing.steps, standing.nobody
    has_ball = ball(steps, standing.tasks, instance, words, instead) or Ball(who=_("Ingen"), about="")
    return CaseCard(
        public_id=instance.public_id,
        title=instance.title,
        status=case_status.of_case(standing, words.today),
        ahead=None,
        ball=has_ball,
        if_nothing=_("Saken venter til den settes i gang igjen.")
        if standing.on_hold
        else _if_nothing(steps, has_ball, nobody, words),
        hurry=nobody or has_ball.overdue,
        nobody=nobody,
    )


def _if_nothing(steps: Sequence[Step], has_ball: Ball, nobody: bool, words: Formatter) -> str:
    """What follows when nobody acts, as far as the model says."""
    if nobody:
        return _("Saken står til sekretariatet retter feilen.")
    first = standings.first_due(steps)
    if first is None:
        return _("Neste steg åpner av seg selv.")
    if first.closes and has_ball.due is not None:
        if first.total > 1:
            return _("Steget lukker med %(done)s av %(total)s svar.", done=first.completed, total=first.total)
        return _("Steget lukker %(day)s, og saken går videre uten svar.", day=words.dag(has_ball.due))
    return _("Saken venter til svaret kommer, og fristene etterpå blir kortere.")


def in_words(found: Cases) -> str:
    """How it stands, in a sentence or three."""
    if not found.running:
        return _("Ingen saker er i gang.")
    count = len(found.running)
    text = _("Én sak er i gang.") if count == 1 else _("%(count)s saker er i gang.", count=tallord(count, stor=True))
    late = sum(1 for card in found.running if card.ball.overdue)
    lost = sum(1 for card in found.running if card.nobody)
    if late:
        text += " " + _("%(count)s er over fristen.", count=tallord(late, stor=True))
    if lost:
        text += " " + _("%(count)s har ingen ballen i.", count=tallord(lost, stor=True))
    return text if late or lost else text + " " + _("Ingen er over fristen.")
