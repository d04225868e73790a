"""What a mail's link says when it does not act any more: what happened, and what one can do."""

from collections.abc import Callable
from dataclasses import dataclass

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.identity import Person
from engine.model import HistoryEvent, User
from notifications.links import Standing
from notifications.model import TaskLink
from web.formatting import Formatter
from web.pages import case_history, case_views, task_words
from web.pages.case_history import Entry
from web.pages.task_views import Loaded
from web.pages.task_words import Reader

#: More than this is read in the case's history.
_MOST = 4


@dataclass(frozen=True, kw_only=True)
class Told:
    """A page's heading, and what it says below."""

    heading: str
    text: str
    remedy: str


def unknown() -> Told:
    """Nobody was ever given such a link."""
    return Told(
        heading=_("Vi kjenner ikke denne lenken"),
        text=_("Noen e-postprogrammer deler lange lenker i to, og da mangler slutten."),
        remedy=_("Åpne e-posten og bruk knappen på nytt, eller logg inn."),
    )


def of(standing: Standing, link: TaskLink, words: Formatter, about: str = "") -> Told:
    """Why the link does not act; `about` is what became of the task, where the person may still see it."""
    return _OF_TASK[standing](about) if standing in _OF_TASK else _TOLD[standing](link, words)


def about(session: Session, loaded: Loaded, reader: Reader) -> str:
    """What became of the task, in one sentence."""
    task = loaded.task
    if task.state == "open" and task.submitted_at is not None and task.approver_id in reader.person.acts_for:
        name = task_words.holder(task, reader.instead)
        return _("Svaret er sendt tilbake til %(name)s, som får en e-post om hva som må endres.", name=name)
    if task.state == "submitted":
        return _("Svaret er sendt til godkjenning hos %(name)s.", name=task_words.holder(task, reader.instead))
    who = session.get(User, task.completed_by_id) if task.completed_by_id else None
    return task_words.what_happened(task, reader, who.name if who else "")


def _used(about: str) -> Told:
    return Told(
        heading=_("Takk, dette er gjort"), text=about or _("Lenken er brukt."),
        remedy=_("Du kan lukke siden. Logg inn for å se svaret igjen."),
    )  # fmt: skip


def _ended(about: str) -> Told:
    return Told(
        heading=_("Oppgaven venter ikke på deg lenger"), text=about or _("Den er avsluttet."),
        remedy=_("Logg inn for å se saken."),
    )  # fmt: skip


def _resting(about: str) -> Told:
    return Told(
        heading=_("Saken er satt på vent"), text=about or _("Du kan svare når den fortsetter."),
        remedy=_("Bruk lenken igjen når saken fortsetter."),
    )  # fmt: skip


_OF_TASK: dict[Standing, Callable[[str], Told]] = {"used": _used, "ended": _ended, "resting": _resting}


def _revoked(link: TaskLink, words: Formatter) -> Told:
    when = words.tidspunkt(link.revoked_at) if link.revoked_at else ""
    return Told(
        heading=_("Lenken er stengt"), text=_("Den ble stengt %(when)s, og kan ikke brukes mer.", when=when),
        remedy=_("Logg inn for å gjøre oppgaven."),
    )  # fmt: skip


def _expired(link: TaskLink, words: Formatter) -> Told:
    return Told(
        heading=_("Lenken er for gammel"), text=_("Den virket til %(when)s.", when=words.tidspunkt(link.expires_at)),
        remedy=_("Be om en ny, eller logg inn."),
    )  # fmt: skip


def _off(link: TaskLink, words: Formatter) -> Told:
    return Told(
        heading=_("Lenken er slått av"),
        text=_("Helsefellesskapet bruker ikke lenger lenker som virker uten innlogging."),
        remedy=_("Logg inn for å gjøre oppgaven."),
    )


def _address(link: TaskLink, words: Formatter) -> Told:
    return Told(
        heading=_("Lenken virker ikke lenger"),
        text=_("E-postadressen din er endret etter at lenken ble sendt."),
        remedy=_("Be om en ny lenke til den nye adressen, eller logg inn."),
    )


def _reassigned(link: TaskLink, words: Formatter) -> Told:
    return Told(
        heading=_("Oppgaven er ikke din lenger"), text=_("Den er gitt til en annen etter at e-posten ble sendt."),
        remedy=_("Du trenger ikke gjøre noe. Logg inn for å se oppgavene dine."),
    )  # fmt: skip


def _changed(link: TaskLink, words: Formatter) -> Told:
    return Told(
        heading=_("Oppgaven er endret siden e-posten ble sendt"),
        text=_("Derfor virker ikke denne lenken lenger. Ingenting er sendt."),
        remedy=_("Be om en ny lenke, eller logg inn."),
    )


_TOLD: dict[Standing, Callable[[TaskLink, Formatter], Told]] = {
    "revoked": _revoked, "expired": _expired, "off": _off, "address": _address, "reassigned": _reassigned,
    "changed": _changed,
}  # fmt: skip


def happened_since(session: Session, link: TaskLink, loaded: Loaded, person: Person, words: Formatter) -> list[Entry]:
    """What happened to the task since the link was made, latest first."""
    query = select(HistoryEvent).where(
        HistoryEvent.instance_id == loaded.instance.id, HistoryEvent.at >= link.made_at,
        (HistoryEvent.task_id == loaded.task.id) | HistoryEvent.kind.in_(("facts-set", "suspended", "resumed")),
    )  # fmt: skip
    events = list(session.scalars(query.order_by(HistoryEvent.sequence)))[-_MOST:]
    rows = case_views.read_rows(session, loaded.instance)
    return case_history.entries(session, loaded.instance, events, rows.steps, rows.tasks, person, words)
