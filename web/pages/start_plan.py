"""The plan of a start as its page shows it: what to take a stand on, the dates in groups, the mails."""

import json
import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import date

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from agreements.findings import Finding, Proposal
from agreements.starting import Prepared
from engine import deployments, hand_dates
from engine.calendar import Calendar
from engine.errors import InvalidInput
from engine.model import ProcessDefinition, ProcessInstance
from web.formatting import dag, dato, liste, nbsp, tallord
from web.pages import start_state
from web.pages.start_state import StartState
from web.plans import CasePlan, Step

_SENTENCES = re.compile(r"(?<=\.) (?=[A-ZÆØÅ«])")


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Something to take a stand on: what is odd, why, and what one may do about it."""

    name: str
    heading: str
    text: str
    keep: str
    #: What the form sends for each proposal, and what it is called.
    others: tuple[tuple[str, str], ...]


def decisions(findings: Sequence[Finding], today: date) -> list[Decision]:
    """The findings as choices; keeping comes first."""
    return [_decision(number, finding, today) for number, finding in enumerate(findings)]


def _decision(number: int, finding: Finding, today: date) -> Decision:
    heading, *rest = _SENTENCES.split(nbsp(finding.message), maxsplit=1)
    about_meeting = finding.fact is not None
    return Decision(
        name=f"valg-{number}",
        heading=heading.rstrip("."),
        text=rest[0] if rest else "",
        keep=_("Behold %(day)s", day=dato(finding.date, today=today)) if about_meeting else _("Behold planen slik"),
        others=tuple((_sent(proposal), nbsp(proposal.label)) for proposal in finding.proposals),
    )


def _sent(proposal: Proposal) -> str:
    by_hand = {place: day.isoformat() if day else None for place, day in proposal.hand_dates.items()}
    return json.dumps({"meetings": dict(proposal.meetings), "dates": by_hand}, ensure_ascii=False)


def taken(state: StartState, sent: str) -> StartState:
    """The choices with a proposal, as the form sent it. Raises InvalidInput for anything else."""
    try:
        proposal = json.loads(sent)
        meetings = {str(fact): str(reference) for fact, reference in proposal["meetings"].items()}
        dates = {str(place): date.fromisoformat(day) if day else None for place, day in proposal["dates"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InvalidInput(_("Forslaget finnes ikke lenger. Velg på nytt.")) from None
    return start_state.with_hand_dates(start_state.with_meetings(state, meetings), dates)


def require_steps(session: Session, definition: ProcessDefinition, places: Iterable[str]) -> None:
    """Raises InvalidInput for a date by hand where the model has no step."""
    unborn = ProcessInstance(definition_id=definition.id, pins=deployments.pin(session, definition))
    specification = deployments.compiled(session, unborn).specification
    for place in places:
        hand_dates.require_step(specification, place)


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
