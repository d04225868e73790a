"""The plan of a case in the reader's words: every step with its date and why, and the mails it will send."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements.starting import Prepared
from engine import identity, planning
from engine.calendar import Calendar
from engine.database import Database
from engine.deployments import element
from engine.model import Community, User
from engine.planning import PlannedStep, Reason, Rehearsal, StartArguments
from notifications import composing, reconciling
from notifications.model import Delivery
from notifications.settings import NotificationSettings
from web.formatting import dag, virkedager

_BODIES = {"ssu": "SSU", "au": "AU", "meeting": "møtet", "in_force": "ikrafttredelsen"}


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
    warnings: tuple[str, ...]


def plan_for(session: Session, community: Community, prepared: Prepared, *, now: datetime) -> CasePlan:
    """Rehearse the case and read the plan; nothing is changed."""
    settings = NotificationSettings(base_url="https://avtaleflyt.invalid", element=element)
    rehearsal = planning.rehearse(
        session,
        StartArguments(
            definition_id=prepared.definition.id, title=prepared.title, data=prepared.data, facts=prepared.facts,
            roles=prepared.roles, owner_group=prepared.owner_group,
        ),
        now=now,
        observe=lambda sandbox, instance_id, moment: _tell(sandbox, instance_id, moment, settings),
    )  # fmt: skip
    calendar = identity.calendar_of(community)
    today = calendar.local_date(now)
    steps = tuple(_step(s, prepared.facts, calendar, today) for s in rehearsal.steps)
    warnings = [*_tight(rehearsal), *([f"Planen stopper: {rehearsal.stopped}"] if rehearsal.stopped else [])]
    mails = _mails(rehearsal, settings)
    rehearsal.database.dispose()
    return CasePlan(steps=steps, mails=mails, warnings=tuple(warnings))


def _tell(sandbox: Database, instance_id: int, now: datetime, settings: NotificationSettings) -> None:
    """Plan the mails as they stand now, and let the due ones count as sent."""
    with sandbox.transaction() as session:
        reconciling.reconcile(session, instance_id, now=now, settings=settings)
        due = select(Delivery).where(Delivery.state == "planned", Delivery.planned_at <= now)
        for delivery in session.scalars(due):
            delivery.state, delivery.sent_at = "sent", delivery.planned_at


def _mails(rehearsal: Rehearsal, settings: NotificationSettings) -> tuple[PlannedMail, ...]:
    grouped: dict[tuple[datetime, str], list[str]] = {}
    with rehearsal.database.reading() as session:
        rows = session.execute(
            select(Delivery, User.name)
            .join(User, User.id == Delivery.recipient_id)
            .where(Delivery.state == "sent")
            .order_by(Delivery.planned_at, Delivery.id)
        ).all()
        for delivery, name in rows:
            subject = composing.subject_of(session, delivery, now=delivery.planned_at, settings=settings)
            grouped.setdefault((delivery.planned_at, subject), []).append(name)
    return tuple(PlannedMail(at=at, subject=subject, to=tuple(names)) for (at, subject), names in grouped.items())


def _step(step: PlannedStep, facts: dict[str, date], calendar: Calendar, today: date) -> Step:
    return Step(
        element=step.element, call_path=step.call_path, name=step.name, round=step.round, role=step.role,
        performers=step.performers, total=step.total, opens=step.opens, due=step.due, working_days=step.working_days,
        slack=step.slack, basis=step.basis, reason=reason_words(step.reason, facts, step.due, today),
        note=note_words(step.due, calendar), reminders=step.reminders,
    )  # fmt: skip


def reason_words(reason: Reason, facts: dict[str, date], due: date | None, today: date) -> str:
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
        return f"{virkedager(reason.days).removeprefix('om ')} {side} {base}"
    if reason.rule == "last_working_day":
        return f"Siste virkedag i måneden, {_months(reason.months)}{base}"
    if reason.rule == "first_working_day_of":
        return f"Første virkedag i måneden, {_months(reason.months)}{base}"
    if reason.rule == "working_day_on_or_before":
        return f"Senest ved {base}"
    return "Regnet ut i modellen"


def _base_words(reason: Reason, facts: dict[str, date], today: date) -> str:
    if reason.base is None:
        if reason.inner is not None and reason.inner.rule == "last_working_day":
            return f"siste virkedag {_months(reason.inner.months)}{_named(reason.inner.base, facts, today)}"
        return _named(reason.inner.base, facts, today) if reason.inner else "møtet"
    return _named(reason.base, facts, today)


def _named(base: str | None, facts: dict[str, date], today: date) -> str:
    word = _BODIES.get(base or "", base or "møtet")
    day = facts.get(base or "")
    return f"{word} {dag(day, None, today=today)}" if day else word


def _months(n: int) -> str:
    return "samme måned som " if n == 0 else "én måned før " if n == 1 else f"{n} måneder før "


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


def _tight(rehearsal: Rehearsal) -> list[str]:
    found = []
    for step in rehearsal.steps:
        if step.due is not None and step.working_days is not None:
            if step.due < step.opens:
                found.append(f"«{step.name}» har frist før steget åpner. Velg et senere møte.")
            elif step.minimum_working_days and step.working_days < step.minimum_working_days:
                found.append(f"«{step.name}» får bare {virkedager(step.working_days)}; det bør ha {step.minimum_working_days}.")
    return found
