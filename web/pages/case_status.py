"""Where a task stands, in words: its status, who has it, and which names a sentence says."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from flask_babel import gettext as _

from agreements import standings
from agreements.standings import Standing, State
from engine.model import User, UserTask
from web.formatting import Formatter, liste, tallord

#: Names said in full in a sentence; more are counted.
MAX_NAMES = 4


@dataclass(frozen=True, kw_only=True)
class Status:
    """A status tag: the word carries the meaning."""

    word: str
    icon: str
    color: str = "neutral"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who has the ball, and what is worth knowing about it."""

    name: str
    notes: tuple[str, ...] = ()


def of_case(standing: Standing, today: date) -> Status:
    """How a running case stands: the same words on every page."""
    return _CASES[standing.state(today)]()


_CASES: Mapping[State, Callable[[], Status]] = {
    "on_hold": lambda: Status(word=_("Satt på vent"), icon="pause", color="warning"),
    "nobody": lambda: Status(word=_("Står stille"), icon="feil", color="danger"),
    "late": lambda: Status(word=_("Frist gått ut"), icon="varsel", color="danger"),
    "in_time": lambda: Status(word=_("Innen fristen"), icon="ferdig", color="success"),
    "waits": lambda: Status(word=_("Venter"), icon="venter"),
}


def is_overdue(task: UserTask, day: date) -> bool:
    """Does it still wait although its date has passed?"""
    return task.state in ("open", "submitted") and task.due_date is not None and task.due_date < day


def status_of(task: UserTask, words: Formatter, *, full: bool, bounced: bool = False) -> Status:
    """The task's status. `full`: may the reader know of drafts and approvals? `bounced`: did its mail come back?"""
    if task.state in _ENDED:
        return _ENDED[task.state]()
    if task.state == "completed":
        return _done(task, words)
    if bounced and full:
        return Status(word=_("E-post kom ikke fram"), icon="feil", color="danger")
    if is_overdue(task, words.today):
        return Status(word=_("Frist gått ut"), icon="varsel", color="danger")
    if not full:
        return Status(word=_("Venter på svar"), icon="venter")
    if task.state == "submitted":
        return Status(word=_("Venter på godkjenning"), icon="venter")
    if task.draft_saved_at is not None:
        return Status(word=_draft(task, words), icon="utkast", color="info")
    return Status(word=_("Ikke startet"), icon="tom")


_ENDED = {
    "closed": lambda: Status(word=_("Frist gått ut"), icon="varsel", color="danger"),
    "skipped": lambda: Status(word=_("Hoppet over"), icon="pause"),
    "withdrawn": lambda: Status(word=_("Trukket tilbake"), icon="pause"),
    "pending": lambda: Status(word=_("Venter på tur"), icon="tom"),
}


def _done(task: UserTask, words: Formatter) -> Status:
    day = words.dag(task.completed_at) if task.completed_at else ""
    text = _("Svart %(day)s", day=day) if task.item_name else _("Ferdig %(day)s", day=day)
    return Status(word=text, icon="ferdig", color="success")


def _draft(task: UserTask, words: Formatter) -> str:
    saved = task.draft_saved_at
    if saved is None or saved.astimezone(words.zone).date() == words.today:
        return _("Utkast lagret i dag")
    return _("Utkast lagret %(day)s", day=words.dag(saved))


def holder_of(task: UserTask, words: Formatter, instead: Mapping[int, str], *, bounced: bool = False) -> Holder:
    """The person or group that is to act on an open task; `instead` says who stands in for whom."""
    if task.state == "submitted":
        since = _("siden %(day)s", day=words.dag(task.submitted_at)) if task.submitted_at else ""
        return _held_by(task.approver, instead, since)
    if task.assignee is None:
        name = task.candidate_group.name if task.candidate_group else ""
        return Holder(name=name, notes=(_("ingen har tatt den ennå"),))
    if bounced:
        return _held_by(task.assignee, instead, _("ikke varslet"))
    approver = task.approver if task.approver_id != task.assignee_id else None
    approves = _("godkjenner: %(name)s", name=with_deputy(approver, instead)) if approver else ""
    return _held_by(task.assignee, instead, approves)


def _held_by(user: User | None, instead: Mapping[int, str], note: str) -> Holder:
    if user is None:
        return Holder(name="", notes=(note,) if note else ())
    return Holder(name=user.name, notes=tuple(filter(None, (_stands_in(user.id, instead), note))))


def with_deputy(user: User, instead: Mapping[int, str]) -> str:
    """A person's name, and while they are away who stands in for them."""
    return _followed_by(user.name, _stands_in(user.id, instead))


def _stands_in(user_id: int | None, instead: Mapping[int, str]) -> str:
    """Who stands in for somebody who is away; empty for whoever is there."""
    if user_id is None or user_id not in instead:
        return ""
    deputy = instead[user_id]
    return _("stedfortreder: %(name)s", name=deputy) if deputy else _("borte uten stedfortreder")


def _followed_by(name: str, note: str) -> str:
    return f"{name} ({note})" if note else name


def names(tasks: Iterable[UserTask], instead: Mapping[int, str] = MappingProxyType({})) -> str:
    """Those who are asked, said in one breath: `Larvik, Horten og Færder`, or the first and how many more."""
    said = list(dict.fromkeys(_said(task, instead) for task in tasks))
    if len(said) <= MAX_NAMES:
        return liste(said)
    first = said[: MAX_NAMES - 2]
    return _("%(names)s og %(more)s til", names=", ".join(first), more=tallord(len(said) - len(first)))


def _said(task: UserTask, instead: Mapping[int, str]) -> str:
    """Whom the task asks, with who stands in for the one who has the ball there."""
    has_ball = task.approver_id if task.state == "submitted" else task.assignee_id
    return _followed_by(standings.short(standings.asked(task)), _stands_in(has_ball, instead))


def kind_of(tasks: Sequence[UserTask]) -> str:
    """What those asked are called together: parties have a contact, bodies only a group."""
    if are_parties(tasks):
        return _("parter")
    return _("organer") if tasks and all((task.item_data or {}).get("group") for task in tasks) else _("svar")


def are_parties(tasks: Sequence[UserTask]) -> bool:
    """Is each of them a party's, which has a contact?"""
    return bool(tasks) and all((task.item_data or {}).get("contact") for task in tasks)
