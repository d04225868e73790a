"""The alarm about mails that have not left, as pages say it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import current_app
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import ColumnElement

from notifications import alarm, bounces
from notifications.alarm import Hindrance, Late
from notifications.model import Delivery
from web.context import db, formatter, now, person, services
from web.formatting import tallord
from web.pages.delivery_views import Watch
from web.pages.meetings import SECRETARIAT

#: How long what was found is believed.
LOOK_EVERY = timedelta(seconds=15)


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """What is late, why, and what helps."""

    heading: str
    text: str


def watch() -> Watch:
    """This request's look at mails."""
    dead = frozenset(bounces.dead_addresses(db(), person().community_id))
    return Watch(now=now(), late_after=services().settings.mail_late_after, dead=dead)


def of_case(instance_id: int) -> Alarm | None:
    """About one case's mails."""
    return _looked(Delivery.instance_id == instance_id)


def of_community() -> Alarm | None:
    """About every mail of the reader's community."""
    return _looked(Delivery.community_id == person().community_id)


def banner() -> Alarm | None:
    """For those who can do something about it, on every page; looked at every few seconds at most."""
    if not current_user.is_authenticated or not looks_after_mails():
        return None
    looked: dict[int, tuple[datetime, Alarm | None]] = current_app.extensions.setdefault("avtaleflyt.mail-alarm", {})
    at, found = looked.get(person().community_id, (datetime.min.replace(tzinfo=UTC), None))
    # A clock that was put back must not keep an old look alive.
    if not timedelta() <= now() - at < LOOK_EVERY:
        found = of_community()
        looked[person().community_id] = (now(), found)
    return found


def looks_after_mails() -> bool:
    """Is it their business when mails are late? The secretariat's and the administrators'."""
    return person().is_admin or SECRETARIAT in person().group_keys


def _looked(only: ColumnElement[bool]) -> Alarm | None:
    settings = services().settings
    found = alarm.look(
        db(), now=now(), after=settings.mail_late_after, per_minute=settings.mail_per_minute, only=(only,)
    )
    return in_words(found) if found else None


def in_words(late: Late) -> Alarm:
    """How many, since when, why, and who can do something about it."""
    count = tallord(late.count, stor=True)
    heading = _("Én e-post er forsinket") if late.count == 1 else _("%(count)s e-poster er forsinket", count=count)
    since = formatter().tidspunkt(late.since)
    return Alarm(
        heading=heading, text=_("Den første skulle ha gått %(when)s.", when=since) + " " + _why(late.hindrance)
    )


def _why(hindrance: Hindrance) -> str:
    known = {
        Hindrance.CLOCK: _("Ingenting sendes nå, for ingen prosess er i gang. Si fra til driften."),
        Hindrance.RATE: _("Det sendes så mange i minuttet som vi har lov til. Resten går etter tur."),
        Hindrance.REFUSED: _("E-posttjeneren tok ikke imot dem. Vi prøver igjen av oss selv. Si fra til driften."),
        Hindrance.SERVER: _("E-posttjeneren svarer ikke, eller køen er lang. Si fra til driften hvis det varer."),
    }
    return known[hindrance]
