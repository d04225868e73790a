"""The year of a case: what was planned, what happened, what is left; made ready for `web.timeline`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from agreements.functions import FUNCTIONS
from engine import planning, reasons, rehearsing
from engine.calendar import Calendar
from engine.errors import EngineError
from engine.model import Group, ProcessInstance, Step, User
from engine.planning import PlannedStep
from engine.rehearsing import StartArguments
from web.formatting import Formatter, liste, sitat, tallord
from web.keeping import Kept
from web.timeline import Drawing, Meeting, Row, Span, draw

#: More rows than this are put together.
MAX_ROWS = 12
#: Letters that a row's name has room for.
_NAME = 29

Place = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class TimelineView:
    """What the template shows: the verdict in a sentence, the drawing and the same dates as a list."""

    verdict: str
    title: str
    about: str
    drawing: Drawing | None
    items: tuple[dict[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A step with its plan and its life; `rows` are the visits there were, oldest first."""

    place: Place
    name: str
    plan: PlannedStep | None
    rows: tuple[Step, ...]

    @property
    def is_open(self) -> bool:
        return any(row.state == "open" for row in self.rows)

    @property
    def state(self) -> str:
        if self.is_open:
            return "naa"
        return "ferdig" if self.rows else ""


# --- the plan ---------------------------------------------------------------------------------------------------------


#: The same case with the same dates has the same plan, so it is rehearsed once.
_plans = Kept[tuple[PlannedStep, ...]](200)


def plan_of(session: Session, instance: ProcessInstance) -> tuple[PlannedStep, ...]:
    """The case rehearsed from its start with the dates it has now; empty where it can't be rehearsed."""
    what = [instance.id, instance.definition_id, instance.facts, instance.pins, instance.roles, instance.hand_dates]
    return _plans.get(json.dumps(what, sort_keys=True), lambda: _rehearse(session, instance))


def _rehearse(session: Session, instance: ProcessInstance) -> tuple[PlannedStep, ...]:
    owner = session.get(User, instance.owner_id) if instance.owner_id else None
    group = session.get(Group, instance.owner_group_id) if instance.owner_group_id else None
    start = StartArguments(
        definition_id=instance.definition_id, title=instance.title, data=instance.data,
        facts=reasons.facts_of(instance), roles=instance.roles,
        hand_dates={place: date.fromisoformat(day) for place, day in instance.hand_dates.items()},
        owner=owner.key if owner and owner.active else None, owner_group=group.key if group else None,
    )  # fmt: skip
    try:
        rehearsal = rehearsing.rehearse(session, start, now=instance.started_at, functions=FUNCTIONS)
    except EngineError:
        # The page has the dates that are; a plan that can't be made any more is no reason to refuse it.
        return ()
    planned = planning.steps(rehearsal)
    rehearsal.database.dispose()
    return planned


# --- stages -----------------------------------------------------------------------------------------------------------


def stages(plan: Sequence[PlannedStep], rows: Sequence[Step], calendar: Calendar) -> list[Stage]:
    """Plan and life brought together by the step's place in the model, in the order of time."""
    planned = {(p.call_path, p.element): p for p in reversed(plan)}
    lived: dict[Place, list[Step]] = {}
    for row in rows:
        lived.setdefault((row.call_path, row.element_id), []).append(row)
    places = list(dict.fromkeys([*planned, *lived]))
    found = [
        Stage(
            place=place, name=lived[place][-1].name if place in lived else planned[place].name,
            plan=planned.get(place), rows=tuple(lived.get(place, ())),
        )
        for place in places
    ]  # fmt: skip
    return sorted(found, key=lambda stage: _order(stage, calendar))


def _order(stage: Stage, calendar: Calendar) -> tuple[date, date]:
    opens = calendar.local_date(stage.rows[0].opened_at) if stage.rows else stage.plan.opens if stage.plan else date.max
    due = stage.plan.due if stage.plan and stage.plan.due else opens
    return opens, due


def _row(stage: Stage, calendar: Calendar, today: date, words: Formatter) -> Row:
    actual = _lived(stage, calendar, today)
    planned = _planned(stage, actual)
    spare = _spare(stage, calendar) if stage.state != "ferdig" and planned else None
    return Row(
        name=_fitted(stage.name), state=stage.state, planned=planned, actual=actual, spare=spare,
        note=_note(stage, calendar, words),
    )  # fmt: skip


def _lived(stage: Stage, calendar: Calendar, today: date) -> Span | None:
    if not stage.rows:
        return None
    ends = [calendar.local_date(row.ended_at) if row.ended_at else today for row in stage.rows]
    start = calendar.local_date(stage.rows[0].opened_at)
    return Span(start=start, end=max(start, *ends))


def _planned(stage: Stage, actual: Span | None) -> Span | None:
    """From the day it opens, really or by plan, to its due date: the one it has, or has by plan."""
    live = [row.due_date for row in stage.rows if row.due_date]
    due = (live[-1] if live else None) or (stage.plan.due or stage.plan.ends if stage.plan else None)
    start = actual.start if actual else stage.plan.opens if stage.plan else None
    if start is None or due is None:
        return None
    return Span(start=start, end=max(start, due))


def _spare(stage: Stage, calendar: Calendar) -> date | None:
    if stage.plan is None or stage.plan.due is None or not stage.plan.slack:
        return None
    live = [row.due_date for row in stage.rows if row.due_date]
    last = calendar.working_days_after(stage.plan.due, stage.plan.slack)
    return last if not live or last > live[-1] else None


def _note(stage: Stage, calendar: Calendar, words: Formatter) -> str:
    last = stage.rows[-1] if stage.rows else None
    if last is not None and last.state == "open":
        if last.total > 1:
            return _("%(done)s av %(total)s har svart", done=last.completed, total=last.total)
        return _("frist %(day)s", day=words.dag(last.due_date)) if last.due_date else ""
    if last is not None and last.ended_at is not None:
        return _ended(last, words.dag(calendar.local_date(last.ended_at)))
    due = stage.plan.due or stage.plan.ends if stage.plan else None
    return words.dag(due) if due else ""


def _ended(row: Step, day: str) -> str:
    if row.state == "closed":
        return _("Lukket %(day)s, %(done)s av %(total)s", day=day, done=row.completed, total=row.total)
    if row.state == "skipped":
        return _("Hoppet over %(day)s", day=day)
    return _("Trukket %(day)s", day=day) if row.state == "withdrawn" else _("Ferdig %(day)s", day=day)


def _fitted(name: str) -> str:
    return name if len(name) <= _NAME else name[: _NAME - 1].rstrip() + "…"


# --- grouping ---------------------------------------------------------------------------------------------------------


def _grouped(rows: Sequence[Row]) -> list[Row]:
    """At most MAX_ROWS: neighbours of the same state are put together, the shortest stretch first."""
    merged = [(row, 1) for row in rows]
    while len(merged) > MAX_ROWS:
        pairs = [i for i in range(len(merged) - 1) if _may_join(merged[i][0], merged[i + 1][0])]
        if not pairs:
            break
        place = min(pairs, key=lambda i: _length(merged[i][0], merged[i + 1][0]))
        merged[place : place + 2] = [_joined(merged[place], merged[place + 1])]
    return [_named(row, count) for row, count in merged]


def _may_join(a: Row, b: Row) -> bool:
    return a.state == b.state != "naa"


def _length(a: Row, b: Row) -> int:
    return (max(a.last, b.last) - min(a.first, b.first)).days


def _joined(a: tuple[Row, int], b: tuple[Row, int]) -> tuple[Row, int]:
    first, second = a[0], b[0]
    planned, actual = _span(first.planned, second.planned), _span(first.actual, second.actual)
    return replace(first, planned=planned, actual=actual, note=second.note), a[1] + b[1]


def _span(a: Span | None, b: Span | None) -> Span | None:
    if a is None or b is None:
        return a or b
    return Span(start=min(a.start, b.start), end=max(a.end, b.end))


def _named(row: Row, count: int) -> Row:
    if count == 1:
        return row
    more = " " + _("og %(more)s til", more=tallord(count - 1))
    return replace(row, name=_fitted(row.name[: _NAME - len(more)].rstrip(" …")) + more)


# --- the view ---------------------------------------------------------------------------------------------------------


def view(
    title: str, found: Sequence[Stage], meetings: Mapping[str, date], calendar: Calendar, words: Formatter
) -> TimelineView:
    """The timeline of these stages; `meetings` are names and days."""
    today = words.today
    shown = [stage for stage in found if stage.plan or stage.rows]
    rows = [row for stage in shown if (row := _row(stage, calendar, today, words)).planned or row.actual]
    drawing = drawn(_grouped(rows), meetings.items(), words)
    return TimelineView(
        verdict=_verdict(shown, calendar, words), title=_("Tidslinje for %(case)s", case=title),
        about=_about(shown, meetings, words), drawing=drawing, items=tuple(_items(shown, meetings, calendar, words)),
    )  # fmt: skip


def row_of(stage: Stage, name: str, calendar: Calendar, words: Formatter) -> Row | None:
    """A stage as a row called `name`; None where nothing says when."""
    found = replace(_row(stage, calendar, words.today, words), name=_fitted(name))
    return found if found.planned or found.actual else None


def drawn(rows: Sequence[Row], meetings: Iterable[tuple[str, date]], words: Formatter) -> Drawing | None:
    """The drawing of these rows, however many; `meetings` are names and days."""
    marks = [Meeting(label=f"{name} {words.day_short(day)}", day=day) for name, day in meetings]
    return draw(
        rows, marks, words.today,
        month=words.month_short,
        today_label=_("I dag, %(day)s", day=words.dag(words.today)),
    )  # fmt: skip


def _verdict(found: Sequence[Stage], calendar: Calendar, words: Formatter) -> str:
    """Is the case on time, and how much may the step that waits be late?"""
    waiting = [stage for stage in found if stage.is_open]
    late = [s for s in waiting if (due := s.rows[-1].due_date) and due < words.today]
    if late:
        due = late[0].rows[-1].due_date or words.today
        return _("«%(step)s» er %(over)s.", step=late[0].name, over=words.over(due))
    if not waiting:
        return ""
    sentences = [_("Saken er innen fristen.")]
    by_days: dict[int, list[str]] = {}
    for stage in waiting:
        if stage.plan and stage.plan.due:
            by_days.setdefault(stage.plan.slack or 0, []).append(sitat(stage.name))
    for days, names in sorted(by_days.items(), reverse=True):
        spare = words.virkedager(days) if days else _("ingen dager")
        sentences.append(_("%(steps)s har %(days)s å gå på.", steps=liste(names), days=spare))
    return " ".join(sentences)


def _about(found: Sequence[Stage], meetings: Mapping[str, date], words: Formatter) -> str:
    waiting = [stage.name for stage in found if stage.is_open]
    now = _("Nå pågår: %(steps)s.", steps=", ".join(waiting)) if waiting else _("Ingen steg pågår nå.")
    ahead = [f"{name} {words.dag(day)}" for name, day in meetings.items() if day >= words.today]
    meets = " " + _("Kommende møter: %(meetings)s.", meetings=", ".join(ahead)) if ahead else ""
    listed = _("Alle datoene står også i listen under.")
    return _("I dag er %(day)s.", day=words.dag(words.today)) + f" {now}{meets} {listed}"


def _items(
    found: Sequence[Stage], meetings: Mapping[str, date], calendar: Calendar, words: Formatter
) -> list[dict[str, str]]:
    dated = [(_order(stage, calendar), _item(stage, calendar, words)) for stage in found]
    for name, day in meetings.items():
        item = {"name": _("Møte i %(body)s", body=name), "note": words.dato(day), "state": "mote"}
        dated.append(((day, day + timedelta(days=1)), item))
    return [item for _key, item in sorted(dated, key=lambda pair: pair[0])]


def _item(stage: Stage, calendar: Calendar, words: Formatter) -> dict[str, str]:
    parts: list[str] = []
    live = [row.due_date for row in stage.rows if row.due_date]
    due = live[-1] if live else stage.plan.due or stage.plan.ends if stage.plan else None
    note = _note(stage, calendar, words)
    if stage.state == "ferdig":
        parts = [note, _("(frist %(day)s)", day=words.dag(due)) if due else ""]
        return {"name": stage.name, "state": "ferdig", "note": " ".join(filter(None, parts))}
    if due:
        parts.append(_("til %(day)s.", day=words.dag(due)))
    if stage.state == "naa" and stage.rows[-1].total > 1:
        parts.append(note + ".")
    if stage.plan and stage.plan.slack:
        parts.append(_("%(days)s å gå på.", days=words.virkedager(stage.plan.slack)))
    return {"name": stage.name, "state": stage.state, "note": " ".join(parts)}
