"""The next meeting that makes a plan possible: coming ones are tried, each by living the case with it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from agreements import plan_checks, starting
from agreements.dates import day
from agreements.findings import ChosenMeeting, Finding, Proposal
from agreements.functions import FUNCTIONS
from agreements.meeting_checks import take_date, take_meeting
from agreements.model import Meeting
from agreements.plan_checks import Surroundings
from agreements.start_contents import StartRequest
from agreements.starting import Prepared
from engine import identity, planning, rehearsing
from engine.calendar import Calendar
from engine.model import Community
from engine.planning import PlannedStep
from engine.rehearsing import StartArguments

#: So many meetings are tried, the earliest first.
MAX_TRIALS = 6
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

    It is looked for where something is impossible or a step too short. Meetings of the register are tried first, then
    the deciding body's usual weekday as much later as days are missing.
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
    for proposal in _candidates(session, prepared, findings, calendar, today):
        request = replace(prepared.request, meetings={**prepared.request.meetings, **proposal.meetings})
        tried = starting.prepare(session, community, request, now=now)
        if works(tried.warnings) and works(plan_checks.findings(live(tried), Surroundings(), calendar, today)):
            return proposal
    return None


def works(findings: Iterable[Finding]) -> bool:
    """Can the plan be lived, with its time for every step?"""
    return all(found.severity != "impossible" and found.code not in _HANGS_ON_MEETING for found in findings)


def _candidates(
    session: Session, prepared: Prepared, findings: Sequence[Finding], calendar: Calendar, today: date
) -> Iterator[Proposal]:
    """At most `MAX_TRIALS`, the earliest deciding meeting first; with each, the preparing meeting that goes with it."""
    at = {chosen.fact: chosen for chosen in prepared.meetings}
    deciding = next((at[fact] for fact in _DECIDING if fact in at), None)
    if deciding is None:
        return
    register = starting.register_of(session, prepared.meetings, today)
    left = MAX_TRIALS - len(SPARE_WORKING_DAYS)
    for meeting in register.later(deciding):
        for proposal in _with_preparing(
            take_meeting(deciding.fact, meeting, today), meeting, prepared, register.coming
        ):
            if left > 0:
                left -= 1
                yield proposal
    for spare in SPARE_WORKING_DAYS:
        yield from _another_day(prepared, deciding, findings, calendar, today, spare)


def _with_preparing(
    proposal: Proposal, deciding: Meeting, prepared: Prepared, coming: Mapping[str, Sequence[Meeting]]
) -> Iterator[Proposal]:
    """The deciding meeting alone, and with the last AU meeting before it where that is a later one than chosen."""
    yield proposal
    chosen = next((c for c in prepared.meetings if c.fact == "au"), None)
    before = [m for m in coming.get("au", ()) if chosen and chosen.date < m.date < deciding.date]
    if chosen is not None and before:
        au = take_meeting("au", before[-1], deciding.date)
        yield replace(
            proposal, label=f"{proposal.label} og {au.label.removeprefix('Bytt til ')}",
            meetings={**proposal.meetings, **au.meetings}, dates={**proposal.dates, **au.dates},
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
    proposal = take_date(deciding.fact, deciding.body, later, today)
    for chosen in prepared.meetings:
        if chosen.fact == "au" and deciding.fact != "au":
            au = calendar.working_day_on_or_before(chosen.date + (later - deciding.date))
            moved = take_date("au", chosen.body, au, today)
            proposal = replace(
                proposal,
                label=f"Bytt til SSU {day(later, year_of=today)} og AU {day(au, year_of=today)}",
                meetings={**proposal.meetings, **moved.meetings}, dates={**proposal.dates, **moved.dates},
            )  # fmt: skip
    yield proposal


def _weekday_from(earliest: date, usual: int | None) -> date:
    """The first usual weekday from that day on."""
    return earliest if usual is None else earliest + timedelta(days=(usual - earliest.weekday()) % 7)
