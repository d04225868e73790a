"""The plan of a case in the reader's words: every step with its date and why, and the mails it will send."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from agreements import plan_proposals
from agreements.cases import PAPER_DAYS
from agreements.findings import Finding
from agreements.starting import Prepared
from engine import identity
from engine.calendar import Calendar
from engine.form_answers import MONTHS
from engine.identity import Person
from engine.model import Community
from engine.planning import PlannedStep, Reason
from notifications.settings import NotificationSettings
from web import rehearsals
from web.formatting import antall, dag, liste, virkedager
from web.rehearsals import RehearsedMail

_BODIES = {"ssu": "SSU", "au": "AU", "meeting": "møtet", "in_force": "ikrafttredelsen"}
_OWNERS = {"ssu": "SSUs", "au": "AUs", "meeting": "organets"}


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step as the plan shows it."""

    element: str
    call_path: str
    name: str
    round: int
    role: str | None
    performers: tuple[str, ...]
    total: int
    opens: date
    due: date | None
    working_days: int | None
    slack: int | None
    basis: str | None
    #: Why the date is what it is, as a sentence without full stop.
    reason: str
    #: What is odd about the date, such as "i høstferien"; empty when nothing is.
    note: str
    reminders: tuple[date, ...]
    #: Where it stands in the model, as dates by hand name it.
    place: str
    #: Was its date set by hand? `derived` is then what the model would say.
    by_hand: bool
    derived: date | None
    closes: bool


@dataclass(frozen=True, kw_only=True)
class PlannedMail:
    """A mail that the plan sends."""

    at: datetime
    subject: str
    to: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CasePlan:
    """The whole plan."""

    steps: tuple[Step, ...]
    mails: tuple[PlannedMail, ...]
    #: What to take a stand on before the start: what is odd about the meetings and about the plan.
    findings: tuple[Finding, ...] = ()
    #: Where the plan stands still, in words; empty when it comes to its end.
    stopped: str = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """All that is odd, in words."""
        stopped = (f"Planen stopper: {self.stopped}",) if self.stopped else ()
        return (*(finding.message for finding in self.findings), *stopped)


def plan_for(
    session: Session,
    community: Community,
    prepared: Prepared,
    *,
    now: datetime,
    settings: NotificationSettings,
    owner: Person | None = None,
) -> CasePlan:
    """Rehearse the case and read the plan; nothing is changed. `owner` is who would start it."""
    lived = rehearsals.of_start(session, prepared, now=now, settings=settings, owner=owner)
    calendar = identity.calendar_of(community)
    today = calendar.local_date(now)
    steps = tuple(_step(s, prepared.facts, calendar, today) for s in lived.steps)
    odd = plan_proposals.odd(session, community, prepared, lived.steps, now=now)
    return CasePlan(
        steps=steps, mails=_planned_mails(lived.mails),
        findings=plan_proposals.with_next_meeting(session, community, prepared, odd, now=now),
        stopped=lived.stopped,
    )  # fmt: skip


def _planned_mails(mails: Sequence[RehearsedMail]) -> tuple[PlannedMail, ...]:
    """One for each moment and subject, in the order of time."""
    to: dict[tuple[datetime, str], list[str]] = {}
    for mail in mails:
        to.setdefault((mail.at, mail.subject), []).append(mail.to)
    return tuple(PlannedMail(at=at, subject=subject, to=tuple(names)) for (at, subject), names in to.items())


def _step(step: PlannedStep, facts: Mapping[str, date], calendar: Calendar, today: date) -> Step:
    return Step(
        element=step.element, call_path=step.call_path, name=step.name, round=step.round, role=step.role,
        performers=step.performers, total=step.total, opens=step.opens, due=step.due, working_days=step.working_days,
        slack=step.slack, basis=step.basis, reason=_why(step, facts, today),
        note=note_words(step.due, calendar), reminders=step.reminders, place=step.place, by_hand=step.by_hand,
        derived=step.derived, closes=step.closes,
    )  # fmt: skip


def _why(step: PlannedStep, facts: Mapping[str, date], today: date) -> str:
    if step.by_hand:
        derived = f", modellen regner ut {dag(step.derived, None, today=today)}" if step.derived else ""
        return f"Satt for hånd{derived}"
    text = reason_words(step.reason, facts, step.due, today)
    moved = moved_words(step.reason, today)
    return f"{text}, {moved}" if moved else text


def moved_words(reason: Reason, today: date) -> str:
    """What closed days did to the date: "flyttet fra 1. mai, helligdag"; empty where nothing is to be said."""
    if reason.moved_from is not None and reason.why is not None:
        if reason.why == "weekend" and reason.rule in ("last_working_day", "first_working_day_of"):
            return ""  # a month's last working day says so itself
        return f"flyttet fra {dag(reason.moved_from, None, today=today)}, {closed_words(reason.why)}"
    closed = [f"{dag(day, None, today=today)} er {closed_words(why)}" for day, why in reason.skipped]
    return liste(closed)


def closed_words(why: str) -> str:
    """Why nobody works on a day."""
    kind, _, _name = why.partition(":")
    return {"holiday": "helligdag", "weekend": "helg", "july": "ferie", "eve": "fridag"}.get(kind, "stengt")


def reason_words(reason: Reason, facts: Mapping[str, date], due: date | None, today: date) -> str:
    """The reason as a user would say it."""
    if due is None:
        return "Settes når datoen er kjent"
    if reason.rule == "none":
        return "Ingen frist i modellen"
    base = _base_words(reason, facts, today)
    if reason.rule == "fact":
        return f"Datoen for {base}" if reason.base not in ("ssu", "au") else f"{_BODIES[reason.base or '']}-møtet"
    if reason.rule in ("working_days_before", "working_days_after"):
        side = "før" if reason.rule.endswith("before") else "etter"
        return f"{virkedager(reason.days)} {side} {base}{_papers(reason)}"
    if reason.rule == "last_working_day":
        return (
            f"Siste virkedag i {MONTHS[due.month - 1]}, {_months(reason.months)}{_BODIES.get(reason.base or '', base)}"
        )
    if reason.rule == "working_day_on_or_before":
        return f"Senest ved {base}"
    return "Regnet ut i modellen"


def _papers(reason: Reason) -> str:
    """Whose paper deadline gives the number of days."""
    whose = next((fact for fact, name in PAPER_DAYS.items() if name == reason.days_named), None)
    return f" ({_OWNERS[whose]} frist for sakspapirer)" if whose else ""


def _base_words(reason: Reason, facts: Mapping[str, date], today: date) -> str:
    if reason.base is None:
        if reason.inner is not None and reason.inner.rule == "last_working_day":
            return f"siste virkedag i {_month(reason.inner, facts)}"
        return _named(reason.inner.base, facts, today) if reason.inner else "møtet"
    return _named(reason.base, facts, today)


def _named(base: str | None, facts: Mapping[str, date], today: date) -> str:
    word = _BODIES.get(base or "", base or "møtet")
    day = facts.get(base or "")
    return f"{word} {dag(day, None, today=today)}" if day else word


def _month(reason: Reason, facts: Mapping[str, date]) -> str:
    day = facts.get(reason.base or "")
    return MONTHS[(day.month - 1 - reason.months) % 12] if day else "måneden"


def _months(n: int) -> str:
    return "samme måned som " if n == 0 else f"{antall(n, 'måned', 'måneder')} før "


def note_words(due: date | None, calendar: Calendar) -> str:
    """What is odd about a date."""
    if due is None:
        return ""
    if (due.month, due.day) > (12, 24) and (due.month, due.day) < (12, 32):
        return "i romjula"
    if calendar.autumn_break(due):
        return "i høstferien"
    if calendar.in_july(due):
        return "i juli"
    return "" if calendar.is_working_day(due) else "ingen virkedag"
