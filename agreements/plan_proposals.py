"""The next meeting that makes a plan possible: coming ones are tried, each by living the case with it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from agreements import plan_checks, starting
from agreements.dates import day
from agreements.findings import ChosenMeeting, Finding, Proposal
from agreements.functions import FUNCTIONS
from agreements.meeting_checks import ROUND_TRIP_WORKING_DAYS, take_date, take_meeting
from agreements.model import Meeting
from agreements.plan_checks import Surroundings
from agreements.start_contents import StartRequest
from agreements.starting import Prepared
from engine import identity, planning, rehearsing
from engine.calendar import Calendar
from engine.model import Community
from engine.planning import PlannedStep
from engine.rehearsing import StartArguments

#: So many plans are lived, the earliest meetings first.
MAX_TRIALS = 6
#: A meeting of AU that is added lies so long before the decision: time to go back once, and for the work after it.
_BEFORE_DECISION = 2 * ROUND_TRIP_WORKING_DAYS
#: How much room a day gets that is proposed beside the meetings of the register: the first that does.
SPARE_WORKING_DAYS = (10, 30, 60)
#: What another meeting may mend.
_HANGS_ON_MEETING = frozenset({"due_before_open", "step_too_short", "deadlines_past", "past"})
#: The meeting that decides, where a process reads several.
_DECIDING = ("ssu", "meeting")

#: The plan of a start, lived.
Living = Callable[[Prepared], Sequence[PlannedStep]]


def with_next_meeting(
    session: Session,
    community: Community,
    prepared: Prepared,
    findings: Sequence[Finding],
    *,
    now: datetime,
    living: Living | None = None,
) -> tuple[Finding, ...]:
    """The findings, those that hang on a meeting with the next one that lets every step have its time, if any does.

    It is looked for where something is impossible or a step too short. Meetings of the register are tried first, alone
    and with one more AU meeting; then the deciding body's usual weekday as much later as days are missing. A proposal
    says which meetings are new.
    """
    if not any(found.code in _HANGS_ON_MEETING for found in findings):
        return tuple(findings)
    live = living or (lambda tried: plan_of(session, tried, now=now))
    proposal = _next(session, community, prepared, findings, now, live)
    if proposal is None:
        return tuple(findings)
    return tuple(
        replace(found, proposals=(proposal, *found.proposals)) if found.code in _HANGS_ON_MEETING else found
        for found in findings
    )


def arguments(prepared: Prepared) -> StartArguments:
    """What a prepared case is rehearsed with."""
    return StartArguments(
        definition_id=prepared.definition.id, title=prepared.title, data=prepared.data, facts=prepared.facts,
        roles=prepared.roles, owner_group=prepared.owner_group, hand_dates=prepared.request.hand_dates,
    )  # fmt: skip


def odd_about(session: Session, community: Community, request: StartRequest, *, now: datetime) -> tuple[Finding, ...]:
    """All that is odd about a start, from its meetings to its plan, which is lived once. Raises as `prepare` does."""
    prepared = starting.prepare(session, community, request, now=now)
    return odd(session, community, prepared, plan_of(session, prepared, now=now), now=now)


def odd(
    session: Session, community: Community, prepared: Prepared, plan: Sequence[PlannedStep], *, now: datetime
) -> tuple[Finding, ...]:
    """What to take a stand on before the start: the same for pages, programs and commands."""
    calendar = identity.calendar_of(community)
    today = calendar.local_date(now)
    of_plan = plan_checks.findings(plan, plan_checks.surroundings(session, community), calendar, today)
    # What is over already is said once, for all of it.
    return (*prepared.warnings, *(f for f in of_plan if f.code != "due_before_open" or f.date >= today))


def plan_of(session: Session, prepared: Prepared, *, now: datetime) -> Sequence[PlannedStep]:
    """The plan of a start, without its mails."""
    rehearsal = rehearsing.rehearse(session, arguments(prepared), now=now, functions=FUNCTIONS)
    try:
        return planning.steps(rehearsal)
    finally:
        rehearsal.database.dispose()


def _next(
    session: Session, community: Community, prepared: Prepared, findings: Sequence[Finding], now: datetime, live: Living
) -> Proposal | None:
    calendar = identity.calendar_of(community)
    today = calendar.local_date(now)
    lived = 0
    for proposal in _candidates(session, prepared, findings, calendar, today):
        request = replace(prepared.request, meetings={**prepared.request.meetings, **proposal.meetings})
        tried = starting.prepare(session, community, request, now=now)
        if not works(tried.warnings):
            continue
        if lived == MAX_TRIALS:
            return None
        lived += 1
        if works(plan_checks.findings(live(tried), Surroundings(), calendar, today)):
            return proposal
    return None


def works(findings: Iterable[Finding]) -> bool:
    """Can the plan be lived, with its time for every step?"""
    return all(found.severity != "impossible" and found.code not in _HANGS_ON_MEETING for found in findings)


def _candidates(
    session: Session, prepared: Prepared, findings: Sequence[Finding], calendar: Calendar, today: date
) -> Iterator[Proposal]:
    """The earliest deciding meeting first; with each, the preparing meetings that go with it."""
    at = {chosen.fact: chosen for chosen in prepared.meetings}
    deciding = next((at[fact] for fact in _DECIDING if fact in at), None)
    if deciding is None:
        return
    au = at.get("au") if deciding.fact != "au" else None
    if au is not None:
        yield _another_au(au, deciding.date, calendar, today)
    register = starting.register_of(session, prepared.meetings, today)
    for meeting in register.later(deciding):
        proposal = take_meeting(deciding.fact, meeting, today)
        yield proposal
        if au is not None:
            yield from _with_preparing(proposal, meeting, au, register.coming.get("au", ()))
            another = _another_au(au, meeting.date, calendar, today)
            yield _both(proposal, another, f"{proposal.label}, og {another.label[:1].lower()}{another.label[1:]}")
    for spare in SPARE_WORKING_DAYS:
        yield from _another_day(prepared, deciding, findings, calendar, today, spare)


def _with_preparing(
    proposal: Proposal, deciding: Meeting, au: ChosenMeeting, coming: Sequence[Meeting]
) -> Iterator[Proposal]:
    """The last AU meeting before the decision, where that is a later one than chosen."""
    before = [m for m in coming if au.date < m.date < deciding.date]
    if before:
        taken = take_meeting("au", before[-1], deciding.date)
        yield _both(proposal, taken, f"{proposal.label} og {taken.label.removeprefix('Bytt til ')}")


def _another_au(au: ChosenMeeting, decided: date, calendar: Calendar, today: date) -> Proposal:
    """A new AU meeting before the decision, on the usual weekday."""
    about = calendar.working_days_before(decided, _BEFORE_DECISION)
    held = calendar.working_day_on_or_before(_weekday_from(about, au.body.usual_weekday))
    label = f"Legg inn et nytt møte i {au.body.short_name} {day(held, year_of=today)}"
    return replace(take_date("au", au.body, held, today), label=label)


def _both(one: Proposal, other: Proposal, label: str) -> Proposal:
    return replace(
        one, label=label, meetings={**one.meetings, **other.meetings}, dates={**one.dates, **other.dates}
    )  # fmt: skip


def _another_day(
    prepared: Prepared,
    deciding: ChosenMeeting,
    findings: Sequence[Finding],
    calendar: Calendar,
    today: date,
    spare: int,
) -> Iterator[Proposal]:
    """The usual weekday, later by the time that is lacking and `spare` working days; AU keeps its distance."""
    first = min((f.date for f in findings if f.code in _HANGS_ON_MEETING), default=today)
    late = max(0, calendar.working_days_between(first, today)) + spare
    later = _weekday_from(calendar.working_days_after(max(deciding.date, today), late), deciding.body.usual_weekday)
    if not calendar.is_working_day(later) or calendar.in_july(later):
        return
    name = f"{deciding.body.short_name} {day(later, year_of=today)}"
    proposal = replace(
        take_date(deciding.fact, deciding.body, later, today), label=f"Legg inn et nytt møte: {name}"
    )  # fmt: skip
    for chosen in prepared.meetings:
        if chosen.fact == "au" and deciding.fact != "au":
            au = calendar.working_day_on_or_before(chosen.date + (later - deciding.date))
            label = f"Legg inn nye møter: {name} og {chosen.body.short_name} {day(au, year_of=today)}"
            proposal = _both(proposal, take_date("au", chosen.body, au, today), label)
    yield proposal


def _weekday_from(earliest: date, usual: int | None) -> date:
    """The first usual weekday from that day on."""
    return earliest if usual is None else earliest + timedelta(days=(usual - earliest.weekday()) % 7)
