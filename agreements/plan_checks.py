"""What is odd about a whole plan: steps without time, dates by hand that no longer fit, people who are away or busy.

`findings` is given the plan and what is known beside it, and looks nothing up; `surroundings` looks that up. What the
meetings alone tell is in `meeting_checks`, and the next meeting that works is searched for by `plan_proposals`.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from agreements.dates import day, weekday
from agreements.findings import ChosenMeeting, Finding, Proposal
from agreements.meeting_checks import word, working_days
from engine.calendar import Calendar
from engine.model import Absence, Community, ProcessInstance, User, UserTask
from engine.planning import PlannedStep

__all__ = ["Away", "ChosenMeeting", "Deadline", "Finding", "Proposal", "Surroundings", "findings", "surroundings"]

#: So many deadlines in one person's week are said.
BUSY = 5
#: So many steps before one that has no time are looked at for time to take.
_STEPS_BEFORE = 5


@dataclass(frozen=True, kw_only=True)
class Away:
    """Days on which somebody is away: both the first and the last. `deputy` is a name."""

    user_id: int
    first: dt.date
    last: dt.date
    deputy: str


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """What somebody is to have done in another case."""

    user_id: int
    date: dt.date


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is known beside the plan."""

    names: Mapping[int, str] = field(default_factory=dict)
    absences: Sequence[Away] = ()
    deadlines: Sequence[Deadline] = ()


def surroundings(session: Session, community: Community, *, but: int | None = None) -> Surroundings:
    """Who is called what, who is or will be away, and what is due in running cases, except in the case `but`.

    Of running cases it counts the tasks that are open.
    """
    users = select(User.id, User.name).where(User.community_id == community.id, User.active)
    away = select(Absence).where(Absence.community_id == community.id, Absence.state.in_(("planned", "current")))
    due = (
        select(UserTask.assignee_id, UserTask.due_date)
        .join(ProcessInstance, ProcessInstance.id == UserTask.instance_id)
        .where(
            UserTask.community_id == community.id, UserTask.state == "open", UserTask.assignee_id.is_not(None),
            UserTask.due_date.is_not(None), ProcessInstance.state == "active",
        )
    )  # fmt: skip
    if but is not None:
        due = due.where(UserTask.instance_id != but)
    return Surroundings(
        names={row.id: row.name for row in session.execute(users)},
        absences=[
            Away(user_id=a.user_id, first=a.starts_on, last=a.ends_on, deputy=a.deputy.name)
            for a in session.scalars(away.options(joinedload(Absence.deputy)))
        ],
        deadlines=[Deadline(user_id=user, date=d) for user, d in session.execute(due) if user and d],
    )


def findings(plan: Sequence[PlannedStep], around: Surroundings, calendar: Calendar, today: date) -> tuple[Finding, ...]:
    """What to take a stand on, in the order of the steps; what is finished is left alone."""
    coming = [step for step in plan if step.stands != "ended" and step.due is not None]
    found = list(_without_time(coming, plan, calendar, today))
    for step in coming:
        found += _by_hand(step, plan, calendar, today)
        found += _july(step, calendar, today)
        found += _away(step, around, calendar, today)
    found += _busy(coming, around, today)
    order = {step.place: number for number, step in enumerate(coming)}
    return tuple(sorted(found, key=lambda f: order.get(f.step or "", len(order))))


# --- time -------------------------------------------------------------------------------------------------------------


def _without_time(
    coming: Sequence[PlannedStep], plan: Sequence[PlannedStep], calendar: Calendar, today: date
) -> Iterator[Finding]:
    """Steps without time; those that a late one before them delays are said with it."""
    root: dict[str, str] = {}
    delayed: dict[str, list[str]] = defaultdict(list)
    first: dict[str, tuple[Finding, PlannedStep]] = {}
    for step in coming:
        found = _too_little(step, today)
        if found is None:
            continue
        before = _before(step, plan)
        if before and before[-1].place in root and _is_late(before[-1]):
            root[step.place] = root[before[-1].place]
            delayed[root[step.place]].append(f"«{step.name}»")
        else:
            root[step.place] = step.place
            first[step.place] = (found, step)
    for place, (found, step) in first.items():
        proposal = shortened(step, plan, calendar, today)
        more = f" Da får også {_listed(delayed[place])} for lite tid." if delayed[place] else ""
        yield replace(found, message=found.message + more, proposals=(proposal,) if proposal else ())


def _is_late(step: PlannedStep) -> bool:
    return step.ends is not None and step.due is not None and step.ends > step.due


def _too_little(step: PlannedStep, today: date) -> Finding | None:
    if step.due is None or step.working_days is None or _is_loose(step):
        return None
    minimum = step.minimum_working_days or 0
    if step.due < step.opens:
        text = f"«{step.name}» har frist {day(step.due, year_of=today)}, før steget åpner "
        text += f"{day(step.opens, year_of=today)}."
        return Finding(code="due_before_open", severity="impossible", step=step.place, message=text, date=step.due)
    if step.working_days < minimum:
        text = f"«{step.name}» får bare {working_days(step.working_days)}. Steget bør ha minst {word(minimum)}."
        return Finding(code="step_too_short", severity="tight", step=step.place, message=text, date=step.due)
    return None


def _is_loose(step: PlannedStep) -> bool:
    """Does its date hang on an answer, so that a rehearsal can't know it?"""
    return step.basis is not None and step.derived is None and not step.by_hand


def shortened(step: PlannedStep, plan: Sequence[PlannedStep], calendar: Calendar, today: date) -> Proposal | None:
    """Which steps before it must be due earlier, none below its minimum, so that this one gets its own; None: none."""
    if step.due is None:
        return None
    earlier: dict[str, date | None] = {}
    words: list[str] = []
    opens = calendar.working_days_before(step.due, max(1, step.minimum_working_days or 1))
    for _ in range(_STEPS_BEFORE):
        before = _before(step, plan)
        # What has been can't be shortened, nor can a meeting, whose date a fact is.
        if not before or any(s.stands == "ended" or s.reason.rule == "fact" for s in before) or opens < today:
            return None
        earlier |= {s.place: opens for s in before}
        names = _listed([f"«{s.name}»" for s in before])
        left = min(calendar.working_days_between(s.opens, opens) for s in before)
        minimum = max(1, *(s.minimum_working_days or 1 for s in before))
        words.append(f"{names} til {working_days(max(left, minimum))}")
        if left >= minimum:
            return Proposal(label=f"Kort ned {_listed(words[::-1])}", hand_dates=earlier)
        if len(before) > 1:
            return None
        step, opens = before[0], calendar.working_days_before(opens, minimum)
    return None


def _before(step: PlannedStep, plan: Sequence[PlannedStep]) -> Sequence[PlannedStep]:
    """The steps whose end let this one open: the last one alone where it was late itself."""
    earlier = plan[: plan.index(step)]
    ended = [s for s in earlier if s.ends is not None and s.ends == step.opens and s.due is not None]
    if not ended or _is_late(ended[-1]):
        return ended[-1:]
    return [s for s in ended if not _is_late(s)]


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} og {words[-1]}"


# --- dates by hand ----------------------------------------------------------------------------------------------------


def _by_hand(step: PlannedStep, plan: Sequence[PlannedStep], calendar: Calendar, today: date) -> Iterator[Finding]:
    if not step.by_hand or step.due is None:
        return
    why = _misfit(step, step.due, plan, calendar, today)
    if why:
        text = f"Datoen for «{step.name}» er satt for hånd til {day(step.due, year_of=today)}, men {why}."
        better = step.derived if step.derived is not None and step.derived >= today else None
        yield Finding(
            code="hand_date_misfits", severity="tight", step=step.place, message=text, date=step.due,
            proposals=(_set(step, better, today, None),) if better else (),
        )  # fmt: skip


def _misfit(step: PlannedStep, due: date, plan: Sequence[PlannedStep], calendar: Calendar, today: date) -> str:
    if due < step.opens:
        return f"steget åpner først {day(step.opens, year_of=today)}"
    if not calendar.is_working_day(due):
        return f"{weekday(due)} {day(due, year_of=today)} er ingen virkedag"
    after = [s for s in plan if s.opens > due and s.due is not None and s.due < due]
    late = [s for s in plan if s is not step and s.due and s.derived and step.derived and _overtaken(step, s, due)]
    if after or late:
        return f"«{(after or late)[0].name}» har frist før det"
    return _moved_past(step, due, today)


def _moved_past(step: PlannedStep, due: date, today: date) -> str:
    """Did what the model derives pass the date, since it was set?"""
    if step.derived is None or step.derived_then is None or (step.derived_then <= due) == (step.derived <= due):
        return ""
    return f"modellen regner nå ut {day(step.derived, year_of=today)}, ikke {day(step.derived_then, year_of=today)}"


def _overtaken(step: PlannedStep, other: PlannedStep, due: date) -> bool:
    """Was the other to be due after this step, and is it now due before it?"""
    assert step.derived is not None
    assert other.due is not None
    return step.derived < other.due < due


def _set(step: PlannedStep, shown: date, today: date, by_hand: date | None) -> Proposal:
    return Proposal(label=f"Sett fristen til {day(shown, year_of=today)}", hand_dates={step.place: by_hand})


def _july(step: PlannedStep, calendar: Calendar, today: date) -> Iterator[Finding]:
    if step.due is None or calendar.july_allowed or not calendar.in_july(step.due) or _is_loose(step):
        return
    before = calendar.out_of_july(step.due, later=False)
    text = f"«{step.name}» har frist {day(step.due, year_of=today)}. I juli er de fleste borte."
    yield Finding(
        code="deadline_in_july", severity="odd", step=step.place, message=text, date=step.due,
        proposals=(_set(step, before, today, before),) if before >= max(today, step.opens) else (),
    )  # fmt: skip


# --- people -----------------------------------------------------------------------------------------------------------


def _away(step: PlannedStep, around: Surroundings, calendar: Calendar, today: date) -> Iterator[Finding]:
    for away in around.absences:
        if step.due is not None and away.user_id in step.people and away.first <= step.due <= away.last:
            who = around.names.get(away.user_id, "Den ansvarlige")
            text = (
                f"{who} er borte fra {day(away.first, year_of=today)} til {day(away.last, year_of=today)}. "
                f"«{step.name}» har frist {day(step.due, year_of=today)}. {away.deputy} er stedfortreder."
            )
            before = calendar.working_days_before(away.first, 1)
            fits = before >= max(today, step.opens)
            yield Finding(
                code="person_away", severity="tight", step=step.place, message=text, date=step.due,
                proposals=(_set(step, before, today, before),) if fits else (),
            )  # fmt: skip


def _busy(coming: Iterable[PlannedStep], around: Surroundings, today: date) -> Iterator[Finding]:
    """Weeks in which this case brings one person to `BUSY` deadlines, those of running cases counted."""
    mine: dict[tuple[int, date], list[PlannedStep]] = defaultdict(list)
    others: dict[tuple[int, date], int] = defaultdict(int)
    for step in coming:
        for person in step.people:
            mine[person, _monday(step.due or today)].append(step)
    for deadline in around.deadlines:
        others[deadline.user_id, _monday(deadline.date)] += 1
    for (person, monday), steps in sorted(mine.items(), key=lambda pair: (pair[0][1], pair[0][0])):
        count = len(steps) + others[person, monday]
        if count >= BUSY:
            who = around.names.get(person, "Én person")
            names = _listed([f"«{step.name}»" for step in steps])
            text = f"{who} har {word(count)} frister i uke {monday.isocalendar().week}. Herfra kommer {names}."
            yield Finding(
                code="busy_week", severity="tight", step=steps[0].place, message=text, date=steps[0].due or monday
            )


def _monday(d: date) -> date:
    return d - timedelta(days=d.weekday())
