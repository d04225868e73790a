"""What every page needs: the reading session, who is here, what time it is, and how to act."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import date, datetime
from typing import cast

from flask import current_app, g
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from engine import absences, identity
from engine.calendar import Calendar
from engine.errors import NotAllowed
from engine.identity import Arrival, Person
from engine.model import Community
from web.formatting import Formatter
from web.services import Services

#: What a request knows of whoever asks; read anew after an act.
_OF_ONE = ("community", "calendar", "formatter", "person", "stand_ins")


def services() -> Services:
    """What the application was built with."""
    return cast(Services, current_app.extensions["avtaleflyt"])


def db() -> Session:
    """This request's reading session; closed after the answer is made."""
    if "session" not in g:
        g.reading = services().database.reading()
        g.session = g.reading.__enter__()
    return cast(Session, g.session)


def close_session(_error: BaseException | None = None) -> None:
    """Let the reading session go."""
    g.pop("session", None)
    if (reading := g.pop("reading", None)) is not None:
        # What was read stands; a connection that broke since is thrown away.
        with suppress(DBAPIError):
            reading.__exit__(None, None, None)


def now() -> datetime:
    """The moment of this request, read once."""
    if "now" not in g:
        g.now = services().clock()
    return cast(datetime, g.now)


def welcome(arrived: Arrival) -> None:
    """This request is that person's. A bearer token is looked at before a cookie, and is not put aside by one."""
    if "person" not in g and "guest" not in g:
        g.person, g.community = arrived.person, arrived.community


def come_by_link(user_id: int) -> None:
    """This request is the person's whom a mail's link was sent to, whoever may be signed in beside it."""
    g.guest = user_id
    for name in _OF_ONE:
        g.pop(name, None)


def community() -> Community:
    """The community this installation serves, or that of whoever asks."""
    if "community" not in g:
        if "guest" in g or current_user.is_authenticated:
            g.community = db().get_one(Community, person().community_id)
        else:
            query = select(Community).where(Community.key == services().settings.community)
            g.community = db().scalars(query).first() or Community(
                key="", name="Avtaleflyt", email="", timezone="Europe/Oslo", closing_days=[], closed_eves=True
            )
    return cast(Community, g.community)


def calendar() -> Calendar:
    """The community's working days and zone."""
    if "calendar" not in g:
        g.calendar = identity.calendar_of(community())
    return cast(Calendar, g.calendar)


def formatter() -> Formatter:
    """The words for dates and numbers of this request."""
    if "formatter" not in g:
        words = Formatter(today=today(), zone=calendar().zone, calendar=calendar(), locale=str(get_locale() or "nb"))
        g.formatter = words
    return cast(Formatter, g.formatter)


def today() -> date:
    """The local day of this request."""
    return calendar().local_date(now())


def person() -> Person:
    """Who is signed in, or came by a mail's link. Raises NotAllowed when nobody did."""
    if "person" not in g:
        if "guest" not in g and not current_user.is_authenticated:
            raise NotAllowed(_("Logg inn først."))
        g.person = identity.person_by_id(db(), g.guest if "guest" in g else current_user.user_id)
    return cast(Person, g.person)


def stand_ins() -> Mapping[int, str]:
    """Ids of those who are away now -> the name of who stands in for them, empty for nobody."""
    if "stand_ins" not in g:
        g.stand_ins = absences.stand_in_names(db(), person().community_id)
    return cast(Mapping[int, str], g.stand_ins)


@contextmanager
def acting() -> Iterator[tuple[Session, Person]]:
    """One unit of work done by whoever asks; committed at the end, undone whole on any exception."""
    actor = person()
    close_session()
    for name in _OF_ONE:
        g.pop(name, None)
    with services().database.transaction() as session:
        yield session, actor
