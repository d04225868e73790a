"""What moving a case to another version does, in words: what stands in the way, and each change as a line."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from flask_babel import gettext as _

from engine.errors import EngineError, NotAllowed, NotFound, Stale
from engine.instance_migration import MigrationRefused, OpenTask
from engine.places import Element
from web.formatting import Formatter, liste
from web.migration_views import Change, Event, Moved, Obstacle, Timer, Tried
from web.pages import delivery_views, incident_words
from web.pages.delivery_views import Mail


@dataclass(frozen=True, kw_only=True)
class ObstacleView:
    """Why a case can't be moved, what to do about it, and what can be chosen instead of the element."""

    element: str
    name: str
    text: str
    remedy: str
    choices: tuple[Element, ...]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that changes, or does not: what it is, what happens to it, and the value before and after."""

    kind: str
    name: str
    note: str = ""
    what: tuple[str, ...] = ()
    old: str = ""
    new: str = ""


@dataclass(frozen=True, kw_only=True)
class TriedView:
    """A trial as a page shows it."""

    #: Of the case, when it was tried.
    revision: int
    version: int
    to: int
    can_move: bool
    refused: str
    obstacles: tuple[ObstacleView, ...]
    tasks: tuple[Line, ...]
    times: tuple[Line, ...]
    mails: tuple[Line, ...]
    #: Planned mails that are as they were.
    same_mails: int
    #: What the reader should know before deciding.
    notes: tuple[str, ...]
    #: All of it in one sentence.
    summary: str


def view(tried: Tried, words: Formatter) -> TriedView:
    """The trial in words."""
    changed = [change for change in tried.mails if change.kind != "stays"]
    return TriedView(
        revision=tried.revision,
        version=tried.version,
        to=tried.to,
        can_move=tried.can_move,
        refused=refusal(tried.refused) if tried.refused is not None else "",
        obstacles=tuple(_obstacle(found, tried.to) for found in tried.obstacles),
        tasks=_tasks(tried.tasks, words),
        times=(*_times(tried, words), *(_event(event) for event in tried.events)),
        mails=_mails(changed, words),
        same_mails=len(tried.mails) - len(changed),
        notes=tuple(_notes(tried)),
        summary=_summary(tried, changed),
    )


# --- why not ----------------------------------------------------------------------------------------------------------


def refusal(error: EngineError) -> str:
    """Why the case was not moved, and what to do about it."""
    known = {
        "ended": _("Saken er avsluttet. Bare saker i gang kan flyttes."),
        "same-version": _("Saken er allerede på denne versjonen."),
        "waits": _("Saken er satt på vent, og en frist har gått ut imens. La saken fortsette, og flytt den etterpå."),
    }
    if isinstance(error, Stale):
        return _("Saken er endret etter at den ble prøvd. Prøv den på nytt.")
    if isinstance(error, NotFound | NotAllowed):
        return _("Du kan ikke flytte denne saken. Be den som eier den.")
    if isinstance(error, MigrationRefused):
        return _("Det saken står på, passer ikke lenger i den nye versjonen. Prøv saken for å se hva det er.")
    return known.get(str(error.data.get("why")), _("Saken kan ikke flyttes nå. Se på saken, og prøv igjen."))


def _obstacle(found: Obstacle, version: int) -> ObstacleView:
    text, remedy = _obstacle_words(found, version)
    if found.replacements:
        remedy = _("Velg hva saken skal stå på i stedet, eller vent til den er forbi.")
    return ObstacleView(
        element=found.problem.element_id, name=found.name, text=text, remedy=remedy, choices=found.replacements
    )


def _obstacle_words(found: Obstacle, version: int) -> tuple[str, str]:
    name, detail = found.name, found.problem.detail
    wait = _("Vent til saken er forbi, og flytt den da.")
    known = {
        "element-gone": (_("Saken står på «%(name)s», som ikke finnes i versjon %(n)s.", name=name, n=version), wait),
        "other-scope": (
            _("«%(name)s» ligger i en annen del av modellen i versjon %(n)s.", name=name, n=version),
            wait,
        ),
        "other-kind": (_("«%(name)s» er en annen type steg i versjon %(n)s.", name=name, n=version), wait),
        "other-number": (
            _("«%(name)s» spør ikke like mange, eller i en annen rekkefølge, i versjon %(n)s.", name=name, n=version),
            wait,
        ),
        "other-process": (
            _("«%(name)s» kaller en annen prosess i versjon %(n)s: %(called)s.", name=name, n=version, called=detail),
            _("Vent til prosessen som kalles, er ferdig."),
        ),
        "join-flow-gone": (
            _("Saken venter ved «%(name)s», men veien den kom, går ikke dit i versjon %(n)s.", name=name, n=version),
            wait,
        ),
        "join-starves": (
            _("Ved «%(name)s» ville saken ventet for alltid på noe som ikke kommer.", name=name),
            _("Vent til saken er forbi, eller legg det nye steget et annet sted i modellen."),
        ),
    }
    return known.get(found.problem.code, (_("«%(name)s» kan ikke flyttes.", name=name), wait))


# --- tasks ------------------------------------------------------------------------------------------------------------


def _tasks(changes: Sequence[Change[OpenTask]], words: Formatter) -> tuple[Line, ...]:
    """One line for all tasks of a step that fare alike."""
    groups: dict[tuple[object, ...], list[OpenTask]] = {}
    for change in changes:
        task = change.after or change.before
        if task is None:
            continue
        fares = (change.kind, task.element_id, task.name, _what(change, words), *_due(change))
        groups.setdefault(fares, []).append(task)
    return tuple(
        Line(
            kind=str(kind), name=str(name), note=_whom(found), what=_texts(what), old=_day(old, words),
            new=_day(new, words),
        )
        for (kind, _element, name, what, old, new), found in groups.items()
    )  # fmt: skip


def _texts(what: object) -> tuple[str, ...]:
    return what if isinstance(what, tuple) else ()


def _day(day: object, words: Formatter) -> str:
    return words.dag(day) if isinstance(day, date) else ""


def _due(change: Change[OpenTask]) -> tuple[date | None, date | None]:
    """The due date before and after, where it moves; of a new task only the one after."""
    old, new = (side.due_date if side else None for side in (change.before, change.after))
    return (old, new) if old != new or change.before is None else (None, None)


def _what(change: Change[OpenTask], words: Formatter) -> tuple[str, ...]:
    if change.before is None:
        return (_("Åpner"),)
    if change.after is None:
        return (_("Trekkes tilbake"),)
    before, after = change.before, change.after
    said = []
    if before.due_date != after.due_date:
        said.append(_("Ny frist") if after.due_date else _("Har ikke frist lenger"))
    if before.name != after.name:
        said.append(_("Nytt navn. Før: «%(name)s»", name=before.name))
    if before.form_key != after.form_key:
        said.append(_("Nytt skjema. Utkast beholdes der feltene er de samme"))
    if before.element_id != after.element_id:
        said.append(_("Står på et annet steg i modellen"))
    return tuple(said) or (_("Blir stående"),)


def _whom(tasks: Sequence[OpenTask]) -> str:
    named = [task.item_name for task in tasks if task.item_name]
    return liste(named) if named else ""


# --- times ------------------------------------------------------------------------------------------------------------


def _times(tried: Tried, words: Formatter) -> list[Line]:
    lines = [_time(change, words) for change in tried.timers]
    if tried.wake.kind != "stays":
        old, new = _moment(tried.wake.before, words), _moment(tried.wake.after, words)
        what = _("Endres") if tried.wake.after else _("Ingenting skjer av seg selv lenger")
        lines.append(Line(kind="changes", name=_("Neste gang saken går av seg selv"), what=(what,), old=old, new=new))
    return lines


def _time(change: Change[Timer], words: Formatter) -> Line:
    timer = change.after or change.before
    assert timer is not None, "a change has one side at least"
    what = {
        "begins": _("Begynner å vente"), "ends": _("Faller bort"), "changes": _("Endres"), "stays": _("Blir stående"),
    }[change.kind]  # fmt: skip
    old, new = (_moment(side.at if side else None, words) for side in (change.before, change.after))
    return Line(kind=change.kind, name=timer.name, what=(what,), old="" if old == new else old, new=new)


def _moment(moment: datetime | None, words: Formatter) -> str:
    return words.tidspunkt(moment) if moment else ""


def _event(event: Event) -> Line:
    what = {"begins": _("Begynner å vente"), "ends": _("Faller bort")}.get(event.kind, _("Endres"))
    return Line(kind=event.kind, name=event.place.name, what=(what,))


# --- mails ------------------------------------------------------------------------------------------------------------


def _mails(changes: Sequence[Change[Mail]], words: Formatter) -> tuple[Line, ...]:
    """One line for the mails that several get and that fare alike, soonest first."""
    groups: dict[tuple[object, ...], list[Mail]] = {}
    for change in sorted(changes, key=_soonest):
        mail = change.after or change.before
        if mail is None:
            continue
        old, new = (side.planned_at if side else None for side in (change.before, change.after))
        groups.setdefault((change.kind, delivery_views.subject_of(mail, words), old, new), []).append(mail)
    what = {"begins": _("Ny"), "ends": _("Sendes ikke"), "changes": _("Flyttes")}
    return tuple(
        Line(
            kind=str(kind), name=str(subject),
            note=liste(dict.fromkeys(mail.party or mail.recipient for mail in found)),
            what=(_("Får nytt innhold") if old == new else what[str(kind)],), old=_at(old, words), new=_at(new, words),
        )
        for (kind, subject, old, new), found in groups.items()
    )  # fmt: skip


def _soonest(change: Change[Mail]) -> tuple[datetime, str]:
    mail = change.after or change.before
    assert mail is not None, "a change has one side at least"
    return mail.planned_at, mail.rule


def _at(moment: object, words: Formatter) -> str:
    return words.tidspunkt(moment) if isinstance(moment, datetime) else ""


# --- in short ---------------------------------------------------------------------------------------------------------


def _notes(tried: Tried) -> list[str]:
    notes = [
        _("Saken er forbi «%(name)s», som er nytt. Det steget blir ikke gjort i denne saken.", name=name)
        for name in tried.passed
    ]
    notes += [
        _("Ingen har rollen «%(name)s» i denne saken. Saken stopper når den kommer dit.", name=name)
        for name in tried.unbound
    ]
    notes += [
        _("Saken stopper ved «%(name)s»: %(cause)s", name=place.name, cause=incident_words.cause(cause))
        for place, cause in tried.stops
    ]
    if tried.ends:
        notes.append(_("Saken blir ferdig med det samme."))
    return notes


def _summary(tried: Tried, changed: Sequence[Change[Mail]]) -> str:
    if not tried.can_move:
        return ""
    kinds = [change.kind for change in tried.tasks]
    counted = (
        (kinds.count("begins"), _("Nye oppgaver")),
        (kinds.count("changes"), _("Oppgaver som endres")),
        (kinds.count("ends"), _("Oppgaver som trekkes tilbake")),
        (len(changed), _("Planlagte e-poster som endres")),
    )
    said = [f"{what}: {count}." for count, what in counted if count]
    return " ".join(said) or _("Ingenting endres for dem som har oppgaver nå.")


def moved(result: Moved) -> str:
    """What became of one case."""
    if result.is_moved:
        return _("Flyttet")
    if result.refused is not None:
        return refusal(result.refused)
    return _("Noe gikk galt hos oss. Saken er som før, og feilen er meldt.")
