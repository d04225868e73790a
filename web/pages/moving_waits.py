"""What moves with the steps when dates move: what happens by itself, planned mails, and entries in calendars."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import zip_longest

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from agreements.model import Meeting
from agreements.moving import CasePreview, Moved, Preview
from notifications.rules import kind
from web.formatting import Formatter, antall, liste
from web.moves import Seen, Waits

#: So many names stand in a row; more are counted.
NAMES = 3


@dataclass(frozen=True, kw_only=True)
class Line:
    """Something that waits, before and after; empty where it begins or falls away."""

    name: str
    old: str
    new: str
    about: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """Lines of one kind under a heading, and a word of comfort."""

    heading: str
    note: str
    lines: tuple[Line, ...]


def groups(session: Session, tried: Preview, names: Mapping[int, str], words: Formatter) -> tuple[Group, ...]:
    """All that moves and is no step."""
    found = (
        Group(heading=_("Skjer av seg selv"), note="", lines=tuple(_changed(tried, "timer", names, words))),
        Group(
            heading=_("Planlagte e-poster"), note=_("Det som er sendt, sendes ikke på nytt."),
            lines=(*_changed(tried, "mail", names, words), *_to_come(tried, names, words)),
        ),
        Group(
            heading=_("Kalenderoppføringer"),
            note=_("Oppføringer i kalenderen flyttes av seg selv. Ingen får en ny ved siden av den gamle."),
            lines=(*_meeting(session, tried, words), *_changed(tried, "entry", names, words)),
        ),
    )  # fmt: skip
    return tuple(group for group in found if group.lines)


def reminders_moved(case: CasePreview) -> int:
    """Planned reminders that leave on another day."""
    old, new = _seen(case)
    moved = [waits for key, waits in new.items() if key in old and old[key].at != waits.at]
    return sum(waits.kind == "mail" and kind(waits.rule) in ("reminder", "overdue") for waits in moved)


def counted(found: Sequence[str]) -> str:
    """Names while they are few, else how many."""
    return antall(len(found), _("person"), _("personer")) if len(found) > NAMES else liste(found)


def _seen(case: CasePreview) -> tuple[Seen, Seen]:
    """What waits in the case as it is, and as it would be."""
    return case.seen, case.outcome.seen


# --- what waits already -----------------------------------------------------------------------------------------------


def _changed(tried: Preview, of: str, names: Mapping[int, str], words: Formatter) -> Iterator[Line]:
    """One line for all that is called the same and moves alike."""
    together: dict[tuple[str, str, str], list[str]] = {}
    for case in tried.cases:
        for old, new in _pairs(case):
            waits = new or old
            if waits is None or waits.kind != of or (old and new and old.at == new.at):
                continue
            title = _title(waits) if len(tried.cases) == 1 else f"{_title(waits)}, {case.title}"
            line = (title, _when(old, words), _when(new, words))
            about = waits.party or names.get(waits.person or 0, "")
            together.setdefault(line, []).extend([about] if about else [])
    for (title, before, after), those in together.items():
        yield Line(name=title, old=before, new=after, about=counted(list(dict.fromkeys(those))))


def _pairs(case: CasePreview) -> Iterator[tuple[Waits | None, Waits | None]]:
    old, new = _seen(case)
    yield from ((old.get(key), new.get(key)) for key in dict.fromkeys((*old, *new)))


def _title(waits: Waits) -> str:
    if waits.kind == "mail":
        return _mail(waits.rule, waits.name)
    return _("Frist: %(task)s", task=waits.name) if waits.kind == "entry" else waits.name


def _mail(rule: str, step: str) -> str:
    texts = {
        "reminder": _("Påminnelse: %(step)s", step=step), "remind_now": _("Påminnelse: %(step)s", step=step),
        "overdue": _("Fristen er gått ut: %(step)s", step=step),
        "escalation": _("Noen har ikke svart: %(step)s", step=step),
    }  # fmt: skip
    return texts.get(kind(rule), step)


def _when(waits: Waits | None, words: Formatter) -> str:
    if waits is None:
        return ""
    if not isinstance(waits.at, datetime):
        return words.dato_kort(waits.at)
    local = waits.at.astimezone(words.zone)
    if waits.kind == "timer" and local.time() == time.min:  # the day has then passed
        return _("ut %(day)s", day=words.dato_kort(local.date() - timedelta(days=1)))
    return words.tidspunkt(waits.at) if waits.kind == "timer" else words.dato_kort(waits.at)


# --- what comes -------------------------------------------------------------------------------------------------------


def _to_come(tried: Preview, names: Mapping[int, str], words: Formatter) -> Iterator[Line]:
    """Reminders of steps that have not opened: planned when they do, and known already."""
    for case in tried.cases:
        for step in case.outcome.moved:
            about = counted([names[person] for person in step.people if person in names])
            for old, new in _reminders(step):
                yield Line(name=_mail("reminder", step.name), old=_day(old, words), new=_day(new, words), about=about)


def _reminders(step: Moved) -> Iterable[tuple[date | None, date | None]]:
    """Those nearest to the due date side by side; a step with more time may have more of them."""
    if step.tasks or step.before is None or step.after is None:
        return ()
    both = zip_longest(reversed(step.before.reminders), reversed(step.after.reminders))
    return reversed([(old, new) for old, new in both if old != new])


def _day(day: date | None, words: Formatter) -> str:
    return words.dato_kort(day) if day is not None else ""


def _meeting(session: Session, tried: Preview, words: Formatter) -> Iterator[Line]:
    """The meeting's own entry; where the cases go over to another meeting, both stay where they are."""
    change = tried.change
    if change.meeting_id is not None and change.onto_id is None and change.old and change.new:
        body = session.get_one(Meeting, change.meeting_id).body
        members = antall(len(tried.invited), _("medlem"), _("medlemmer"), "ett") if tried.invited else ""
        yield Line(
            name=_("Møte i %(body)s", body=body.short_name), old=words.dato_kort(change.old),
            new=words.dato_kort(change.new), about=members,
        )  # fmt: skip
