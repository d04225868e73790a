"""The plan of a start as its page shows it: what to take a stand on, the dates in groups, the mails."""

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import date

from flask_babel import gettext as _

from agreements.starting import Prepared, StartWarning
from engine.calendar import Calendar
from web.formatting import dag, dato, liste, tallord
from web.pages.start_views import nbsp
from web.plans import CasePlan, Step

_SENTENCES = re.compile(r"(?<=\.) (?=[A-ZÆØÅ«])")


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Something to take a stand on: what is odd, why, and the other dates one may take instead."""

    name: str
    heading: str
    text: str
    keep: str
    others: tuple[tuple[str, str], ...]


def decisions(warnings: Sequence[StartWarning], prepared: Prepared, today: date) -> list[Decision]:
    """The warnings as choices; keeping comes first."""
    return [_decision(number, w, prepared, today) for number, w in enumerate(warnings)]


def _decision(number: int, warning: StartWarning, prepared: Prepared, today: date) -> Decision:
    heading, *rest = _SENTENCES.split(nbsp(warning.message), maxsplit=1)
    body = next((m.body.key for m in prepared.meetings if m.fact == warning.fact), "")
    return Decision(
        name=f"valg-{number}",
        heading=heading.rstrip("."),
        text=rest[0] if rest else "",
        keep=_("Behold %(day)s", day=dato(warning.date, today=today)),
        others=tuple(
            (f"{warning.fact}={body}:{d.isoformat()}", _("Bytt til %(day)s", day=dato(d, today=today)))
            for d in warning.alternatives
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Row:
    """A step of the plan as a row of its table."""

    step: Step
    who: str
    notes: str


@dataclass(frozen=True, kw_only=True)
class Groups:
    """The steps between the meetings; `undated` have no date yet."""

    groups: tuple[tuple[str, tuple[Row, ...]], ...]
    undated: tuple[str, ...]


def table(plan: CasePlan, prepared: Prepared, today: date) -> Groups:
    """Every step in the order of its date, under the meeting it leads to."""
    dated = sorted((s for s in plan.steps if s.due), key=lambda s: (s.due or today, s.opens))
    ends = {step.due for step in dated}
    found: dict[str, list[Row]] = {}
    count = len(prepared.data.get("parties", ()))
    for step in dated:
        found.setdefault(_group(step.due or today, prepared, today), []).append(
            Row(step=step, who=who(step, count), notes=_notes(step, today, ends))
        )
    return Groups(
        groups=tuple((name, tuple(rows)) for name, rows in found.items()),
        undated=tuple(dict.fromkeys(s.name for s in plan.steps if not s.due)),
    )


def _group(due: date, prepared: Prepared, today: date) -> str:
    meetings = sorted(prepared.meetings, key=lambda m: m.date)
    first = meetings[0].date if meetings else due
    if due < date(first.year, 7, 1) and first >= date(first.year, 8, 1):
        return _("Før sommeren")
    for meeting in meetings:
        if due <= meeting.date:
            return _("Fram til %(body)s %(day)s", body=meeting.body.short_name, day=dag(meeting.date, today=today))
    return _("Etter %(body)s", body=meetings[-1].body.short_name) if meetings else _("Alle steg")


def _notes(step: Step, today: date, ends: Set[date | None]) -> str:
    # A step that opens when the one before it ends opens earlier if that one is done earlier: no date to promise.
    waits = step.opens > today and step.opens not in ends
    opens = _("åpner %(day)s", day=dag(step.opens, today=today)) if waits else ""
    return ", ".join(note for note in (opens, step.note) if note)


def who(step: Step, parties: int) -> str:
    """Who does a step: by name while they are few, else how many."""
    if step.total > 1 and step.total == parties:
        return _("%(count)s parter", count=tallord(parties, stor=True))
    if len(step.performers) > 3:
        return _("%(count)s mottakere", count=tallord(len(step.performers), stor=True))
    return liste(step.performers)


@dataclass(frozen=True, kw_only=True)
class Mails:
    """The mails of a plan: how many at most, to how many, until when; and what goes out on each day."""

    total: int
    people: int
    last: date | None
    days: tuple[tuple[date, str, str], ...]


def mails(plan: CasePlan, calendar: Calendar) -> Mails:
    """The mails by day."""
    days = [(calendar.local_date(mail.at), mail.subject, _recipients(mail.to)) for mail in plan.mails]
    return Mails(
        total=sum(len(mail.to) for mail in plan.mails),
        people=len({name for mail in plan.mails for name in mail.to}),
        last=max((day for day, _subject, _to in days), default=None),
        days=tuple(days),
    )


def _recipients(names: Sequence[str]) -> str:
    if len(names) <= 2:
        return liste(names)
    return _("%(count)s personer", count=tallord(len(names)))


def parties_hear(plan: CasePlan, prepared: Prepared) -> date | None:
    """The first day on which all the parties are asked something."""
    count = len(prepared.data.get("parties", ()))
    return min((s.opens for s in plan.steps if count > 1 and s.total == count), default=None)
