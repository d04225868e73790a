"""Møter: when the bodies meet, a new meeting, and the cases that hang on one."""

from dataclasses import dataclass
from datetime import date, time, timedelta

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from agreements import bodies
from agreements.model import Body, Case, CaseMeeting, Meeting
from engine import identity
from engine.errors import InvalidInput, NotAllowed, NotFound
from engine.model import Community
from web import moves
from web.context import acting, calendar, community, db, formatter, person, today
from web.formatting import nbsp
from web.pages import case_cards

pages = Blueprint("meetings", __name__, url_prefix="/moter")

#: Whose members may add and move meetings.
SECRETARIAT = moves.SECRETARIAT


@pages.before_request
def _signed_in() -> None:
    if not current_user.is_authenticated:
        abort(401)


@dataclass(frozen=True, kw_only=True)
class MeetingLine:
    """A meeting in a list; `cases` take a date from it."""

    meeting: Meeting
    cases: int


@dataclass(frozen=True, kw_only=True)
class BodyMeetings:
    """A body with its meetings, the nearest first."""

    body: Body
    coming: tuple[MeetingLine, ...]
    past: tuple[MeetingLine, ...]


@pages.get("")
def index() -> ResponseReturnValue:
    """Every body that meets, with its meetings."""
    lists = _lists()
    coming = sorted((line.meeting for held in lists for line in held.coming), key=lambda m: m.date)
    nearest = next(iter(coming), None)
    return render_template(
        "meetings/index.html", lists=lists, next=nearest, may_add=moves.may_move(person()), active="moter"
    )


def _lists() -> list[BodyMeetings]:
    counted = (
        select(CaseMeeting.meeting_id, func.count(CaseMeeting.case_id.distinct()).label("cases"))
        .join(CaseMeeting.case)
        .join(Case.instance)
        .where(identity.visible_instances(person()))
        .group_by(CaseMeeting.meeting_id)
        .subquery()
    )
    query = (
        select(Meeting, func.coalesce(counted.c.cases, 0))
        .outerjoin(counted, counted.c.meeting_id == Meeting.id)
        .where(Meeting.community_id == community().id)
        .order_by(Meeting.date)
    )
    by_body: dict[int, list[MeetingLine]] = {}
    for meeting, cases in db().execute(query):
        by_body.setdefault(meeting.body_id, []).append(MeetingLine(meeting=meeting, cases=cases))
    return [_body(body, by_body[body.id]) for body in bodies.all_of(db(), community()) if body.id in by_body]


def _body(body: Body, lines: list[MeetingLine]) -> BodyMeetings:
    coming = tuple(line for line in lines if line.meeting.date >= today())
    past = tuple(line for line in reversed(lines) if line.meeting.date < today())
    return BodyMeetings(body=body, coming=coming, past=past)


@pages.get("/<id>")
def show(id: str) -> ResponseReturnValue:
    """One meeting: its cases, and who has the ball in each."""
    query = select(Meeting).where(Meeting.community_id == community().id, Meeting.public_id == id)
    meeting = db().scalar(query.options(joinedload(Meeting.body)))
    if meeting is None:
        raise NotFound(_("Møtet finnes ikke."))
    found = case_cards.cases(db(), person(), case_cards.at_meeting(meeting.id), formatter())
    return render_template(
        "meetings/show.html", meeting=meeting, cases=found, summary=case_cards.in_words(found),
        papers=calendar().working_days_before(meeting.date, meeting.body.paper_working_days),
        over=meeting.date < today(), may_move=moves.may_move(person()) and meeting.date >= today(), active="moter",
    )  # fmt: skip


# --- a new meeting ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was typed about a new meeting."""

    body: str = ""
    date: str = ""
    starts_at: str = ""
    place: str = ""
    note: str = ""
    #: The date whose warnings have been shown.
    seen: str = ""


@pages.route("/nytt", methods=["GET", "POST"])
def add() -> ResponseReturnValue:
    """Add a meeting; what is odd about its date is said once before it is kept."""
    if not moves.may_move(person()):
        raise NotAllowed(_("Bare sekretariatet legger til møter. Spør dem."))
    if request.method == "GET":
        return _ask(Written(body=request.args.get("organ", "")))
    names = ("body", "date", "starts_at", "place", "note", "seen")
    written = Written(**{name: request.form.get(name, "").strip() for name in names})
    day, starts_at, errors = _read(written)
    if errors or day is None:
        return _ask(written, errors)
    body = bodies.find_body(db(), community(), written.body)
    odd = bodies.meeting_warnings(calendar(), body, day, today())
    if odd and written.seen != day.isoformat():
        return _ask(written, odd=[nbsp(w.message) for w in odd], seen=day.isoformat())
    return _add(written, day, starts_at)


def _add(written: Written, day: date, starts_at: time | None) -> ResponseReturnValue:
    try:
        with acting() as (session, actor):
            body = bodies.find_body(session, session.get_one(Community, actor.community_id), written.body)
            made = bodies.add_meeting(
                session, body, day, starts_at=starts_at, place=written.place[:200], note=written.note[:2000]
            )
            target = url_for("meetings.show", id=made.public_id)
    except InvalidInput as error:
        return _ask(written, {"date": error.message})
    flash(_("Møtet er lagt til."), "success")
    return redirect(target, 303)


def _read(written: Written) -> tuple[date | None, time | None, dict[str, str]]:
    errors = {}
    day, starts_at = None, None
    if not written.body:
        errors["body"] = _("Velg organet som møtes.")
    try:
        day = date.fromisoformat(written.date)
    except ValueError:
        errors["date"] = _("Velg datoen for møtet.")
    if day is not None and abs(day - today()) > timedelta(days=3650):
        errors["date"] = _("Datoen er for langt unna. Rett årstallet.")
    try:
        starts_at = time.fromisoformat(written.starts_at.replace(".", ":")) if written.starts_at else None
    except ValueError:
        errors["starts_at"] = _("Skriv klokkeslettet som 12.30.")
    return day, starts_at, errors


def _ask(
    written: Written, errors: dict[str, str] | None = None, *, odd: list[str] | None = None, seen: str = ""
) -> ResponseReturnValue:
    every = [body for body in bodies.all_of(db(), community()) if body.group is not None]
    view = {"written": written, "errors": errors or {}, "odd": odd or [], "seen": seen, "bodies": every}
    return render_template("meetings/add.html", active="moter", **view), 422 if errors else 200
