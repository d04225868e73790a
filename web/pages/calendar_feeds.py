"""Kalender: secret addresses that calendar programs read, for oneself and for the bodies one is in."""

import datetime as dt
import hashlib
from collections.abc import Iterator
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale
from flask_babel import gettext as _
from flask_login import current_user

from agreements import bodies, calendars
from agreements.calendars import Entry, Subscription
from agreements.model import Meeting
from engine import identity
from engine.errors import NotAllowed, NotFound
from engine.model import Community, UserTask
from web.context import acting, community, db, now, person, services
from web.pages import task_words

pages = Blueprint("calendar_feeds", __name__, url_prefix="/kalender")


# --- the addresses ----------------------------------------------------------------------------------------------------


@pages.get("")
def index() -> ResponseReturnValue:
    """My calendar and those of my bodies, and whether they have an address."""
    return _show()


def _show(address: str = "", opened: str = "") -> ResponseReturnValue:
    if not current_user.is_authenticated:
        abort(401)
    reader = person()
    mine = [body for body in bodies.all_of(db(), community()) if calendars.may_read(reader, body)]
    return render_template(
        "calendar/index.html", bodies=mine, feeds=calendars.feeds(db(), reader), address=address, opened=opened
    )


@pages.post("/adresse")
def open_feed() -> ResponseReturnValue:
    """Make a new address, and show it this once."""
    key = request.form.get("organ", "")
    with acting() as (session, actor):
        place = session.get_one(Community, actor.community_id)
        body = bodies.find_body(session, place, key) if key else None
        if body is not None and not calendars.may_read(actor, body):
            raise NotAllowed(_("Bare de som er med i organet, kan ha kalenderen."))
        token = calendars.open_feed(session, actor, body, now=now())
    return _show(address=f"{services().settings.address}/kalender/{token}.ics", opened=key)


@pages.post("/steng")
def close_feed() -> ResponseReturnValue:
    """The address no longer works."""
    key = request.form.get("organ", "")
    with acting() as (session, actor):
        place = session.get_one(Community, actor.community_id)
        body = bodies.find_body(session, place, key) if key else None
        calendars.close_feed(session, actor, body, now=now())
    flash(_("Adressen er stengt. Kalenderprogrammet får ikke flere endringer."), "success")
    return redirect(url_for("calendar_feeds.index"), 303)


# --- what programs read -----------------------------------------------------------------------------------------------


@pages.get("/<token>.ics")
def read(token: str) -> ResponseReturnValue:
    """The calendar behind a secret address; 304 where the program has it already."""
    found = calendars.find(db(), token)
    if found is None:
        raise NotFound(_("Kalenderadressen gjelder ikke lenger. Lag en ny under Kalender."))
    with force_locale("en" if found.user.locale == "en" else "nb"):
        content = _content(found)
    answer = Response(content, content_type="text/calendar; charset=utf-8")
    answer.set_etag(hashlib.sha256(content).hexdigest()[:32])
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.headers["Content-Disposition"] = 'inline; filename="avtaleflyt.ics"'
    answer.headers["X-Robots-Tag"] = "noindex"
    return answer.make_conditional(request)


def _content(found: Subscription) -> bytes:
    calendar = identity.calendar_of(db().get_one(Community, found.user.community_id))
    today = calendar.local_date(now())
    entries = [_meeting(meeting, found, calendar.zone) for meeting in calendars.meetings(db(), found, today=today)]
    entries += _deadlines(found, today)
    name = f"Avtaleflyt {found.body.short_name}" if found.body is not None else "Avtaleflyt"
    return calendars.rendered(entries, name=name, zone=calendar.zone, language=found.user.locale)


def _deadlines(found: Subscription, today: dt.date) -> Iterator[Entry]:
    for task in calendars.deadlines(db(), found, today=today, now=now()):
        if task.due_date is not None:
            yield _deadline(task, found, task.due_date)


def _deadline(task: UserTask, found: Subscription, due: dt.date) -> Entry:
    cancelled = task.state in ("withdrawn", "skipped")
    away = task_words.in_place_of(found.person, task) if found.body is None else ""
    about = [task.instance.title, _("Du er stedfortreder for %(name)s.", name=away) if away else ""]
    return Entry(
        uid=f"task-{task.public_id}@{_host()}", summary=_("Frist: %(task)s", task=task_words.title(task)), about=about,
        url=f"{services().settings.address}/oppgaver/{task.public_id}", starts=due,
        # Being called off is one more change.
        sequence=task.due_generation - 1 + cancelled, stamp=task.opened_at, cancelled=cancelled,
    )  # fmt: skip


def _meeting(meeting: Meeting, found: Subscription, zone: ZoneInfo) -> Entry:
    return Entry(
        uid=f"meeting-{meeting.public_id}@{_host()}", summary=_("Møte i %(body)s", body=meeting.body.short_name),
        about=[meeting.body.name], url=f"{services().settings.address}/moter/{meeting.public_id}",
        starts=calendars.starts(meeting, zone), sequence=meeting.sequence, stamp=found.feed.created_at,
        place=meeting.place,
    )  # fmt: skip


def _host() -> str:
    return urlsplit(services().settings.address).hostname or "avtaleflyt"
