"""What is odd about the meetings of a case that is about to start, and about the deadlines that they alone settle.

Nothing here forbids the start; whoever starts takes a stand. What only the whole plan tells is in `plan_checks`.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from agreements import bodies
from agreements.dates import day, weekday
from agreements.findings import ChosenMeeting, Finding, Proposal, Severity
from agreements.model import Body, Meeting
from engine.bpmn.expressions import parse
from engine.bpmn.reading import Model, UserTaskElement
from engine.calendar import Calendar
from engine.hand_dates import place_of
from engine.reasons import bound, date_of

#: Working days a case needs to go back from AU and come again: papers five days before, and five for the work.
ROUND_TRIP_WORKING_DAYS = 10
_MOVABLE = frozenset({"weekend", "holiday", "unusual_weekday"})
_NUMBERS = ("null", "én", "to", "tre", "fire", "fem", "seks", "sju", "åtte", "ni", "ti", "elleve", "tolv")


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """A due date that follows from the meetings alone; `facts` are those it hangs on."""

    place: str
    name: str
    date: dt.date
    facts: frozenset[str]
    closes: bool


@dataclass(frozen=True, kw_only=True)
class Register:
    """What the register knows of the bodies whose meetings were chosen."""

    #: Body key -> its meetings from today on, the earliest first.
    coming: Mapping[str, Sequence[Meeting]] = field(default_factory=dict)
    #: Meeting id -> how many cases go to it already.
    cases: Mapping[int, int] = field(default_factory=dict)

    def later(self, chosen: ChosenMeeting) -> Iterator[Meeting]:
        """The body's meetings after the chosen one that have room for another case."""
        for meeting in self.coming.get(chosen.body.key, ()):
            if meeting.date > chosen.date and not self.is_full(meeting):
                yield meeting

    def is_full(self, meeting: Meeting) -> bool:
        """Do as many cases go to it as its body can treat?"""
        capacity = meeting.body.capacity
        return capacity is not None and self.cases.get(meeting.id, 0) >= capacity


def findings(
    chosen: Iterable[ChosenMeeting],
    deadlines: Iterable[Deadline],
    register: Register,
    calendar: Calendar,
    today: date,
) -> tuple[Finding, ...]:
    """What is odd, the meetings first."""
    meetings, dates = list(chosen), sorted(deadlines, key=lambda d: d.date)
    found: list[Finding] = []
    for meeting in meetings:
        found += _of_meeting(meeting, register, calendar, today)
    found += _wrong_order(meetings, register, calendar, today)
    found += _past(dates, today)
    found += _autumn_break(dates, calendar, today)
    found += _tight(meetings, dates, register, calendar, today)
    return tuple(found)


def take_meeting(fact: str, meeting: Meeting, today: date) -> Proposal:
    """Take the fact from this meeting instead."""
    label = f"Bytt til {meeting.body.short_name} {day(meeting.date, year_of=today)}"
    return Proposal(label=label, meetings={fact: meeting.public_id}, dates={fact: meeting.date})


def take_date(fact: str, body: Body, d: date, today: date) -> Proposal:
    """Let the body meet on this day instead, which the start adds to the register."""
    label = f"Bytt til {day(d, year_of=today)}"
    return Proposal(label=label, meetings={fact: f"{body.key}:{d.isoformat()}"}, dates={fact: d})


# --- deadlines --------------------------------------------------------------------------------------------------------


def deadlines(
    model: Model,
    deployed: Mapping[str, Model],
    known: Mapping[str, object],
    calendar: Calendar,
    hand_dates: Mapping[str, date],
    call_path: str = "",
) -> Iterator[Deadline]:
    """Every due date of the process, and of what it calls, that a hand settles or what is known: facts and numbers."""
    for task in model.user_tasks.values():
        if (found := _deadline(task, call_path, known, calendar, hand_dates)) is not None:
            yield found
    for call_id, call in model.calls.items():
        if call.called in deployed:
            inner = bound(call.bindings, known, calendar)
            yield from deadlines(
                deployed[call.called], deployed, inner, calendar, hand_dates, place_of(call_path, call_id)
            )


def _deadline(
    task: UserTaskElement, call_path: str, known: Mapping[str, object], calendar: Calendar,
    hand_dates: Mapping[str, date],
) -> Deadline | None:  # fmt: skip
    place = place_of(call_path, task.id)
    due = hand_dates.get(place) or date_of(task.due_date, known, calendar)
    if due is None:
        return None
    names = parse(task.due_date).names if task.due_date and place not in hand_dates else frozenset[str]()
    facts = frozenset(name for name in names if isinstance(known.get(name), date))
    return Deadline(place=place, name=task.name, date=due, facts=facts, closes=task.closes)


# --- meetings ---------------------------------------------------------------------------------------------------------


def _of_meeting(chosen: ChosenMeeting, register: Register, calendar: Calendar, today: date) -> Iterator[Finding]:
    for odd in bodies.meeting_warnings(calendar, chosen.body, chosen.date, today):
        others = _others(chosen, calendar, today) if odd.code in _MOVABLE else ()
        severity: Severity = "impossible" if odd.code == "past" else "odd"
        yield Finding(
            code=odd.code, severity=severity, fact=chosen.fact, message=odd.message, date=odd.date, proposals=others
        )
    if chosen.meeting is not None and register.is_full(chosen.meeting):
        yield _full(chosen, register, today)


def _full(chosen: ChosenMeeting, register: Register, today: date) -> Finding:
    name, capacity = chosen.body.short_name, chosen.body.capacity or 0
    room = [take_meeting(chosen.fact, meeting, today) for meeting in register.later(chosen)]
    text = (
        f"{name} {day(chosen.date, year_of=today)} er fullt. Møtet har plass til "
        f"{word(capacity)} {'sak' if capacity == 1 else 'saker'}, og så mange er alt meldt."
    )
    return Finding(
        code="meeting_full", severity="tight", fact=chosen.fact, message=text, date=chosen.date,
        proposals=tuple(room[:1]),
    )  # fmt: skip


def _others(chosen: ChosenMeeting, calendar: Calendar, today: date) -> tuple[Proposal, ...]:
    """The body's usual weekday in the same week, else the nearest working day before.

    None for a meeting that stands in the register: it is moved there, with all its cases.
    """
    if chosen.meeting is not None:
        return ()
    usual = chosen.body.usual_weekday
    wanted = [chosen.date + timedelta(days=usual - chosen.date.weekday())] if usual is not None else []
    wanted.append(calendar.working_day_on_or_before(chosen.date))
    fits = [d for d in wanted if d != chosen.date and not _is_odd(chosen.body, d, calendar, today)]
    return tuple(take_date(chosen.fact, chosen.body, d, today) for d in fits[:1])


def _is_odd(body: Body, d: date, calendar: Calendar, today: date) -> bool:
    return bool(bodies.meeting_warnings(calendar, body, d, today))


def _wrong_order(
    meetings: list[ChosenMeeting], register: Register, calendar: Calendar, today: date
) -> Iterator[Finding]:
    at = {chosen.fact: chosen for chosen in meetings}
    if "au" not in at or "ssu" not in at or at["au"].date <= at["ssu"].date:
        return
    au, ssu = at["au"], at["ssu"]
    text = (
        f"AU {day(au.date, year_of=ssu.date)} er etter SSU {day(ssu.date, year_of=au.date)}. AU forbereder saken for "
        f"SSU: velg et AU-møte senest {day(ssu.date, year_of=au.date)}, eller et SSU-møte etter "
        f"{day(au.date, year_of=ssu.date)}."
    )
    earlier = [m for m in register.coming.get(au.body.key, ()) if m.date < ssu.date and not register.is_full(m)]
    later = [
        m for m in register.coming.get(ssu.body.key, ()) if _papers(m, calendar) > au.date and not register.is_full(m)
    ]
    proposals = [take_meeting("au", m, today) for m in earlier[-1:]] + [
        take_meeting("ssu", m, today) for m in later[:1]
    ]
    if not earlier:
        d = calendar.working_days_before(ssu.date, ROUND_TRIP_WORKING_DAYS)
        proposals += [take_date("au", au.body, d, today)] if d > today else []
    yield Finding(
        code="au_after_ssu", severity="impossible", fact="au", message=text, date=au.date, proposals=tuple(proposals)
    )


def _papers(meeting: Meeting, calendar: Calendar) -> date:
    return calendar.working_days_before(meeting.date, meeting.body.paper_working_days)


# --- what the deadlines show ------------------------------------------------------------------------------------------


def _past(dates: list[Deadline], today: date) -> Iterator[Finding]:
    late = [d for d in dates if d.date < today]
    if not late:
        return
    first = f"«{late[0].name}» skulle vært ferdig {day(late[0].date, year_of=today)}"
    if len(late) == 1:
        text = f"Én frist er alt gått ut. {first}."
    else:
        text = f"{word(len(late)).capitalize()} frister er alt gått ut. {first}, og {word(len(late) - 1)} til er over."
    yield Finding(code="deadlines_past", severity="impossible", step=late[0].place, message=text, date=late[0].date)


def _autumn_break(dates: list[Deadline], calendar: Calendar, today: date) -> Iterator[Finding]:
    in_break = [d for d in dates if d.closes and d.date >= today and calendar.autumn_break(d.date)]
    for d in sorted({d.date for d in in_break}):
        closing = [found for found in in_break if found.date == d]
        names = " og ".join(f"«{found.name}»" for found in closing)
        text = (
            f"{names} lukker i høstferien. Fristen er {weekday(d)} {day(d, year_of=today)} "
            f"i uke {d.isocalendar().week}, og mange er borte den uka."
        )
        yield Finding(
            code="deadline_autumn_break", severity="odd", step=closing[0].place, message=text, date=d,
            proposals=(_before_break(closing, calendar, today),),
        )  # fmt: skip


def _before_break(closing: Sequence[Deadline], calendar: Calendar, today: date) -> Proposal:
    monday = closing[0].date - timedelta(days=closing[0].date.weekday())
    friday = calendar.working_day_on_or_before(monday - timedelta(days=1))
    return Proposal(
        label=f"Sett fristen til {day(friday, year_of=today)}", hand_dates={found.place: friday for found in closing}
    )


def _tight(
    meetings: list[ChosenMeeting], dates: list[Deadline], register: Register, calendar: Calendar, today: date
) -> Iterator[Finding]:
    at = {chosen.fact: chosen for chosen in meetings}
    if "au" not in at or "ssu" not in at or at["au"].date > at["ssu"].date:
        return
    au, ssu = at["au"].date, at["ssu"].date
    after = [d for d in dates if "au" not in d.facts and au < d.date <= ssu]
    days = calendar.working_days_between(au, after[0].date) if after else ROUND_TRIP_WORKING_DAYS
    if days >= ROUND_TRIP_WORKING_DAYS:
        return
    text = (
        f"Det er {working_days(days)} fra AU til fristen for «{after[0].name}». Sender AU saken tilbake "
        f"{day(au, year_of=today)}, rekker dere ikke SSU {day(ssu, year_of=today)} uten et ekstra AU-møte."
    )
    known = register.coming.get(at["au"].body.key, ())
    earlier = [
        take_meeting("au", m, today)
        for m in known
        if m.date < au and not register.is_full(m)
        and calendar.working_days_between(m.date, after[0].date) >= ROUND_TRIP_WORKING_DAYS
    ]  # fmt: skip
    yield Finding(
        code="tight_after_au", severity="tight", step=after[0].place, message=text, date=after[0].date,
        proposals=tuple(earlier[-1:]),
    )  # fmt: skip


# --- numbers in words -------------------------------------------------------------------------------------------------


def word(n: int) -> str:
    """A number as a word where it is short."""
    return _NUMBERS[n] if 0 <= n < len(_NUMBERS) else str(n)


def working_days(n: int) -> str:
    """ "seks virkedager"."""
    return f"{word(n)} {'virkedag' if n == 1 else 'virkedager'}"
