"""A year by body and by person: every step of running cases that is theirs, drawn and listed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import login_required
from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from agreements import bodies
from agreements.model import Body, Meeting
from engine import identity
from engine.calendar import Calendar
from engine.identity import Person
from engine.model import Group, Membership, ProcessInstance, Step, User
from web.context import calendar, community, db, formatter, person
from web.formatting import Formatter
from web.pages import case_timeline
from web.pages.case_timeline import Stage
from web.timeline import Drawing, Row

pages = Blueprint("year", __name__)

#: Cases of one page: each plan is rehearsed, once while it stays.
CASES = 40
#: Rows of one drawing, so that it fits a page of paper.
ROWS = 24


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A step of the year: what, in which case, from when to when."""

    step: str
    case_id: str
    case: str
    opens: date
    due: date | None
    state: str


@dataclass(frozen=True, kw_only=True)
class Whose:
    """Whose year it is: a body's or a person's; `names` are those under which steps are given to them."""

    name: str
    names: frozenset[str]
    body: Body | None


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of the year's drawings, with what it is called and what it shows in words."""

    title: str
    about: str
    drawing: Drawing


@dataclass(frozen=True, kw_only=True)
class YearView:
    """The page: of `running` cases in order, those from `first` to `last`, counted from 1."""

    title: str
    about: str
    parts: tuple[Part, ...]
    entries: tuple[Entry, ...]
    first: int
    last: int
    running: int


@pages.get("/aret")
@login_required  # type: ignore[untyped-decorator]
def show() -> ResponseReturnValue:
    """The year of a body or a person; the reader's own where neither is named."""
    words = formatter()
    year = request.args.get("ar", words.today.year, type=int)
    year = year if words.today.year - 20 <= year <= words.today.year + 20 else words.today.year
    all_bodies = [body for body in bodies.all_of(db(), community()) if body.group is not None]
    people = _people(db(), person())
    whose = _whose(db(), all_bodies, people)
    view = _view(db(), whose, year, request.args.get("fra", 1, type=int), calendar(), words)
    return render_template(
        "cases/year.html", view=view, year=year, bodies=all_bodies, people=people, whose=whose,
        body=request.args.get("organ", ""), person_key=request.args.get("person", ""), active="saker", page_size=CASES,
    )  # fmt: skip


def _people(session: Session, reader: Person) -> list[User]:
    """Those one may choose: everyone who is asked for something here."""
    query = select(User).where(User.community_id == reader.community_id, User.active)
    return list(session.scalars(query.where(User.id.in_(select(Membership.user_id))).order_by(User.name)))


def _whose(session: Session, all_bodies: Iterable[Body], people: Iterable[User]) -> Whose:
    wanted = request.args.get("organ", "")
    body = next((b for b in all_bodies if b.key == wanted), None)
    if body is not None and body.group is not None:
        return Whose(name=body.short_name, names=frozenset({body.group.name}), body=body)
    key = request.args.get("person", "")
    chosen = next((u for u in people if u.key == key), None) or session.get_one(User, person().id)
    groups = select(Group.name).join(Membership).where(Membership.user_id == chosen.id)
    return Whose(name=chosen.name, names=frozenset({chosen.name, *session.scalars(groups)}), body=None)


# --- the year ---------------------------------------------------------------------------------------------------------


def _view(session: Session, whose: Whose, year: int, first: int, calendar: Calendar, words: Formatter) -> YearView:
    running = _running(session, person())
    first = max(1, first) if first <= running else 1
    cases = _cases(session, person(), first)
    found = [
        (stage, case) for case in cases for stage in _stages(session, case, whose, calendar)
        if _years(stage, calendar) & {year}
    ]  # fmt: skip
    found.sort(key=lambda pair: _opens(pair[0], calendar))
    title = _("Året %(year)s for %(name)s", year=year, name=whose.name)
    about = _("%(count)s steg i %(cases)s saker. Alle datoene står også i listen under.", count=len(found),
              cases=len({case.id for _stage, case in found}))  # fmt: skip
    drawings = _drawings(_rows(found, calendar, words), _meetings(session, whose.body, year), words)
    return YearView(
        title=title, about=about, parts=tuple(_parts(drawings, title, about)),
        entries=tuple(_entry(stage, case, calendar) for stage, case in found),
        first=first, last=first + len(cases) - 1, running=running,
    )  # fmt: skip


def _rows(
    found: Sequence[tuple[Stage, ProcessInstance]], calendar: Calendar, words: Formatter
) -> list[tuple[str, Row]]:
    """Each dated step with its case's title: case by case, the one that begins first on top."""
    begun = {case.id: place for place, (_stage, case) in reversed(list(enumerate(found)))}
    by_case = sorted(found, key=lambda pair: begun[pair[1].id])
    rows = [(case.title, case_timeline.row_of(stage, stage.name, calendar, words)) for stage, case in by_case]
    return [(case, row) for case, row in rows if row is not None]


def _drawings(rows: Sequence[tuple[str, Row]], meetings: Sequence[tuple[str, date]], words: Formatter) -> list[Drawing]:
    """The rows in drawings that each fit a page."""
    sheets = [list(_with_headings(rows[at : at + ROWS])) for at in range(0, len(rows), ROWS)]
    drawings = [case_timeline.drawn(sheet, meetings, words) for sheet in sheets]
    return [drawing for drawing in drawings if drawing is not None]


def _with_headings(rows: Sequence[tuple[str, Row]]) -> Iterator[Row]:
    """The rows, each case's title above its first one."""
    above = ""
    for case, row in rows:
        yield replace(row, heading=case) if case != above else row
        above = case


def _parts(drawings: Sequence[Drawing], title: str, about: str) -> Iterator[Part]:
    """The drawings with their names, numbered where there are several."""
    for number, drawing in enumerate(drawings, start=1):
        several = _("%(title)s, del %(part)s av %(parts)s", title=title, part=number, parts=len(drawings))
        yield Part(title=several if len(drawings) > 1 else title, about=about, drawing=drawing)


def _cases(session: Session, reader: Person, first: int) -> Sequence[ProcessInstance]:
    """A page of the running cases that the reader sees, those with the nearest wake first."""
    query = select(ProcessInstance).where(identity.visible_instances(reader), ProcessInstance.state == "active")
    order = (ProcessInstance.wake_at.is_(None), ProcessInstance.wake_at, ProcessInstance.id)
    whole = query.options(joinedload(ProcessInstance.definition)).order_by(*order)
    return session.scalars(whole.offset(first - 1).limit(CASES)).all()


def _running(session: Session, reader: Person) -> int:
    """How many running cases the reader sees."""
    query = select(func.count()).select_from(ProcessInstance)
    return session.scalar(query.where(identity.visible_instances(reader), ProcessInstance.state == "active")) or 0


def _stages(session: Session, case: ProcessInstance, whose: Whose, calendar: Calendar) -> list[Stage]:
    plan = case_timeline.plan_of(session, case)
    rows = session.scalars(select(Step).where(Step.instance_id == case.id).order_by(Step.id)).all()
    found = case_timeline.stages(plan, rows, calendar)
    return [stage for stage in found if stage.plan is not None and whose.names & set(stage.plan.performers)]


def _opens(stage: Stage, calendar: Calendar) -> date:
    if stage.rows:
        return calendar.local_date(stage.rows[0].opened_at)
    assert stage.plan is not None, "a stage has been lived, or is planned"
    return stage.plan.opens


def _due(stage: Stage) -> date | None:
    live = [row.due_date for row in stage.rows if row.due_date]
    return live[-1] if live else stage.plan.due if stage.plan else None


def _years(stage: Stage, calendar: Calendar) -> set[int]:
    first, last = _opens(stage, calendar), _due(stage)
    return set(range(first.year, max(first, last or first).year + 1))


def _entry(stage: Stage, case: ProcessInstance, calendar: Calendar) -> Entry:
    return Entry(
        step=stage.name, case_id=case.public_id, case=case.title, opens=_opens(stage, calendar), due=_due(stage),
        state=stage.state,
    )  # fmt: skip


def _meetings(session: Session, body: Body | None, year: int) -> tuple[tuple[str, date], ...]:
    """The body's meetings of the year."""
    if body is None:
        return ()
    query = select(Meeting.date).where(
        Meeting.body_id == body.id, Meeting.date >= date(year, 1, 1), Meeting.date <= date(year, 12, 31)
    )
    return tuple((body.short_name, d) for d in session.scalars(query.order_by(Meeting.date)))
