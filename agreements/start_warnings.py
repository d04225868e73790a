"""What is odd about a case that is about to start: its meetings' dates and the deadlines that follow from them.

Nothing here forbids the start; whoever starts says why it is kept.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from agreements import bodies
from agreements.dates import day, weekday
from agreements.model import Body, Meeting
from engine.bpmn.expressions import ExpressionError, evaluate, parse
from engine.bpmn.reading import Model, UserTaskElement
from engine.calendar import Calendar
from engine.errors import InvalidInput

#: Working days a case needs to go back from AU and come again: papers five days before, and five for the work.
ROUND_TRIP_WORKING_DAYS = 10
_MOVABLE = frozenset({"weekend", "holiday", "unusual_weekday"})
_NUMBERS = ("null", "én", "to", "tre", "fire", "fem", "seks", "sju", "åtte", "ni", "ti", "elleve", "tolv")


@dataclass(frozen=True, kw_only=True)
class ChosenMeeting:
    """The date a fact gets: from a meeting that is known, or of one that the start adds to `body`."""

    fact: str
    date: dt.date
    body: Body
    meeting: Meeting | None


@dataclass(frozen=True, kw_only=True)
class StartWarning:
    """Something odd that may be kept. `code` is a meeting warning's, or deadlines_past, deadline_autumn_break or
    tight_after_au. `alternatives` are other dates for `fact`, empty where there is nothing to choose."""

    code: str
    fact: str | None
    message: str
    date: dt.date
    alternatives: tuple[dt.date, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """A due date that follows from the meetings alone; `facts` are those it hangs on."""

    name: str
    date: dt.date
    facts: frozenset[str]
    closes: bool


def warnings(
    chosen: Iterable[ChosenMeeting], deadlines: Iterable[Deadline], calendar: Calendar, today: date
) -> tuple[StartWarning, ...]:
    """What is odd, the meetings first."""
    meetings, dates = list(chosen), sorted(deadlines, key=lambda d: d.date)
    found: list[StartWarning] = []
    for meeting in meetings:
        found += _of_meeting(meeting, calendar, today)
    found += _past(dates, today)
    found += _autumn_break(dates, calendar, today)
    found += _tight(meetings, dates, calendar, today)
    return tuple(found)


def deadlines(
    model: Model, deployed: Mapping[str, Model], facts: Mapping[str, date], calendar: Calendar
) -> Iterator[Deadline]:
    """Every due date of the process, and of what it calls, that the given facts settle."""
    for task in model.user_tasks.values():
        if (found := _deadline(task, facts, calendar)) is not None:
            yield found
    for call in model.calls.values():
        if call.called in deployed:
            bound = {name: _date(source, facts, calendar) for name, source in call.bindings.items()}
            inner = {**facts, **{name: value for name, value in bound.items() if value is not None}}
            yield from deadlines(deployed[call.called], deployed, inner, calendar)


def _deadline(task: UserTaskElement, facts: Mapping[str, date], calendar: Calendar) -> Deadline | None:
    due = _date(task.due_date, facts, calendar)
    if due is None or task.due_date is None:
        return None
    read = parse(task.due_date).names & facts.keys()
    return Deadline(name=task.name, date=due, facts=frozenset(read), closes=task.closes)


def _date(source: str | None, facts: Mapping[str, date], calendar: Calendar) -> date | None:
    if not source:
        return None
    try:
        value = evaluate(parse(source), facts, calendar)
    except ExpressionError:
        return None  # hangs on an answer, so it is not known yet
    return value if isinstance(value, date) else None


# --- the warnings -------------------------------------------------------------------------------------


def _of_meeting(chosen: ChosenMeeting, calendar: Calendar, today: date) -> Iterator[StartWarning]:
    for odd in bodies.meeting_warnings(calendar, chosen.body, chosen.date, today):
        others = _others(chosen, calendar, today) if odd.code in _MOVABLE else ()
        yield StartWarning(code=odd.code, fact=chosen.fact, message=odd.message, date=odd.date, alternatives=others)


def _others(chosen: ChosenMeeting, calendar: Calendar, today: date) -> tuple[date, ...]:
    """The body's usual weekday in the same week, else the nearest working day before.

    None for a meeting that stands in the register: it is moved there, with all its cases.
    """
    if chosen.meeting is not None:
        return ()
    usual = chosen.body.usual_weekday
    wanted = [chosen.date + timedelta(days=usual - chosen.date.weekday())] if usual is not None else []
    wanted.append(calendar.working_day_on_or_before(chosen.date))
    fits = [d for d in wanted if d != chosen.date and not _is_odd(chosen.body, d, calendar, today)]
    return tuple(fits[:1])


def _is_odd(body: Body, d: date, calendar: Calendar, today: date) -> bool:
    return bool(bodies.meeting_warnings(calendar, body, d, today))


def _past(dates: list[Deadline], today: date) -> Iterator[StartWarning]:
    late = [d for d in dates if d.date < today]
    if not late:
        return
    first = f"«{late[0].name}» skulle vært ferdig {day(late[0].date, year_of=today)}"
    if len(late) == 1:
        text = f"Én frist er alt gått ut. {first}."
    else:
        text = f"{_word(len(late))} frister er alt gått ut. {first}, og {_word(len(late) - 1).lower()} til er over."
    yield StartWarning(code="deadlines_past", fact=None, message=text, date=late[0].date)


def _autumn_break(dates: list[Deadline], calendar: Calendar, today: date) -> Iterator[StartWarning]:
    in_break = [d for d in dates if d.closes and d.date >= today and calendar.autumn_break(d.date)]
    for d in sorted({d.date for d in in_break}):
        names = " og ".join(f"«{found.name}»" for found in in_break if found.date == d)
        text = (
            f"{names} lukker i høstferien. Fristen er {weekday(d)} {day(d, year_of=today)} "
            f"i uke {d.isocalendar().week}, og mange er borte den uka."
        )
        yield StartWarning(code="deadline_autumn_break", fact=None, message=text, date=d)


def _tight(
    meetings: list[ChosenMeeting], dates: list[Deadline], calendar: Calendar, today: date
) -> Iterator[StartWarning]:
    at = {chosen.fact: chosen.date for chosen in meetings}
    if "au" not in at or "ssu" not in at:
        return
    after = [d for d in dates if "au" not in d.facts and at["au"] < d.date <= at["ssu"]]
    days = calendar.working_days_between(at["au"], after[0].date) if after else ROUND_TRIP_WORKING_DAYS
    if days >= ROUND_TRIP_WORKING_DAYS:
        return
    amount = f"{_word(days).lower()} {'virkedag' if days == 1 else 'virkedager'}"
    text = (
        f"Det er {amount} fra AU til fristen for «{after[0].name}». Sender AU saken tilbake "
        f"{day(at['au'], year_of=today)}, rekker dere ikke SSU {day(at['ssu'], year_of=today)} "
        "uten et ekstra AU-møte."
    )
    yield StartWarning(code="tight_after_au", fact=None, message=text, date=after[0].date)


def _word(n: int) -> str:
    return _NUMBERS[n].capitalize() if n < len(_NUMBERS) else str(n)


def check_dates(chosen: Iterable[ChosenMeeting]) -> None:
    """Raises InvalidInput when AU would meet after the SSU meeting it prepares."""
    at = {meeting.fact: meeting.date for meeting in chosen}
    if "au" in at and "ssu" in at:
        try:
            bodies.check_order(at["au"], at["ssu"])
        except InvalidInput as error:
            raise InvalidInput(error.message, **error.data, field="au") from None
