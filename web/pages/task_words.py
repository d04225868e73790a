"""The words of the task pages: titles, statuses, why a task came to someone, and why something was not possible.

Nothing here reads the database: tasks come with their people and step loaded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from flask_babel import gettext as _
from flask_babel import ngettext

from engine.identity import Person
from engine.model import UserTask
from web.formatting import Formatter, antall, tallord
from web.pages.case_status import with_deputy


class Status(NamedTuple):
    """A status tag: the word carries the meaning, icon and colour support it."""

    word: str
    icon: str
    color: str


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Who reads, with the words for dates on the day they read."""

    person: Person
    words: Formatter
    #: Ids of those who are away now -> the name of who stands in for them, empty for nobody.
    instead: Mapping[int, str]

    @property
    def today(self) -> date:
        return self.words.today


def title(task: UserTask) -> str:
    """What to do, and for whom: `Svar på undersøkelsen for Larvik kommune`."""
    return f"{task.name} " + _("for %(party)s", party=task.item_name) if task.item_name else task.name


def fills(person: Person, task: UserTask) -> bool:
    """Is it theirs to fill in, or free in one of their groups?"""
    if task.assignee_id is not None:
        return task.assignee_id in person.acts_for
    return task.candidate_group_id in person.acts_in


def holder(task: UserTask, instead: Mapping[int, str]) -> str:
    """Who has the ball: a person's name, with who stands in for them, or a group's; empty when nobody has."""
    if task.state == "submitted" and task.approver is not None:
        return with_deputy(task.approver, instead)
    if task.assignee is not None:
        return with_deputy(task.assignee, instead)
    return task.candidate_group.name if task.candidate_group is not None else ""


def is_overdue(task: UserTask, today: date) -> bool:
    """Has its day passed while it is still waiting?"""
    return task.due_date is not None and task.due_date < today


def ball_is_with(person: Person, task: UserTask) -> bool:
    """Is it this person who must act now?"""
    if task.state == "submitted":
        return task.approver_id in person.acts_for
    return task.state == "open" and task.assignee_id in person.acts_for


def in_place_of(person: Person, task: UserTask) -> str:
    """The name of whom they stand in for, as the one who has the ball; empty where it is their own."""
    who = task.approver if task.state == "submitted" else task.assignee
    return who.name if who is not None and person.in_place_of(who.id) is not None else ""


def status(task: UserTask, reader: Reader) -> Status:
    """Where the task stands, as the reader should see it."""
    if task.state == "completed":
        day = reader.words.dag(task.completed_at) if task.completed_at else ""
        word = _("Svart %(day)s", day=day) if task.item else _("Ferdig %(day)s", day=day)
        return Status(word, "ferdig", "success")
    if task.state in _ENDED:
        return _ENDED[task.state]()
    if task.state == "submitted" and task.approver_id not in reader.person.acts_for:
        return Status(_("Venter på godkjenning"), "venter", "neutral")
    if is_overdue(task, reader.today):
        return Status(_("Frist gått ut"), "varsel", "danger")
    return _open_status(task, reader)


_ENDED = {
    "closed": lambda: Status(_("Frist gått ut"), "varsel", "danger"),
    "skipped": lambda: Status(_("Hoppet over"), "pause", "neutral"),
    "withdrawn": lambda: Status(_("Trukket tilbake"), "retur", "neutral"),
    "pending": lambda: Status(_("Ikke startet"), "tom", "neutral"),
}


def _open_status(task: UserTask, reader: Reader) -> Status:
    has_draft = task.state == "open" and task.draft_saved_at is not None
    if ball_is_with(reader.person, task):
        if has_draft:
            return Status(_("Utkast lagret"), "utkast", "info")
        return Status(_("Venter på deg"), "ditt", "accent")
    if task.assignee_id is None:
        return Status(_("Ledig"), "gruppe", "neutral")
    if has_draft:
        return Status(_("Utkast hos %(name)s", name=holder(task, reader.instead)), "utkast", "info")
    return Status(_("Venter på %(name)s", name=holder(task, reader.instead)), "venter", "neutral")


def why(task: UserTask, person: Person) -> str:
    """Why this task is shown to this person, in one sentence."""
    if task.assignee_id == person.id:
        return _why_assigned(task)
    if task.approver_id == person.id:
        if task.item_name:
            return _("Du får oppgaven fordi du godkjenner svaret for %(name)s.", name=task.item_name)
        return _("Du får oppgaven fordi du godkjenner svaret.")
    if name := in_place_of(person, task):
        return _("Du får oppgaven fordi du er stedfortreder for %(name)s.", name=name)
    if task.candidate_group is not None and task.candidate_group_id in person.group_ids:
        return _("Du får oppgaven fordi du er med i %(name)s.", name=task.candidate_group.name)
    if task.candidate_group is not None and task.candidate_group_id in person.acts_in:
        return _("Du får oppgaven fordi du er stedfortreder for en i %(name)s.", name=task.candidate_group.name)
    if person.id in (task.completed_by_id, task.submitted_by_id):
        return _("Du ser oppgaven fordi du har svart på den.")
    return _("Du ser oppgaven fordi du styrer saken.")


def _why_assigned(task: UserTask) -> str:
    if task.item_name:
        return _("Du får oppgaven fordi du fyller ut for %(name)s.", name=task.item_name)
    if task.candidate_group is not None:
        return _("Oppgaven er din, for %(name)s.", name=task.candidate_group.name)
    return _("Oppgaven er gitt til deg.")


def what_happened(task: UserTask, reader: Reader, who: str = "") -> str:
    """Why one can no longer act on the task, in one sentence; `who` completed it."""
    if task.state == "completed":
        when = reader.words.tidspunkt(task.completed_at) if task.completed_at else ""
        name = _("Du") if task.completed_by_id == reader.person.id else who or _("En annen")
        return _("%(name)s sendte svaret %(when)s.", name=name, when=when)
    if task.state == "closed":
        day = reader.words.dato(task.due_date) if task.due_date else ""
        return _("Fristen gikk ut %(day)s, og steget er lukket.", day=day) if day else _("Steget er lukket.")
    if task.state == "skipped":
        return _("Den som styrer saken, gikk videre uten dette svaret.")
    if task.state == "withdrawn":
        return _("Oppgaven er trukket tilbake, fordi saken har gått videre.")
    if task.instance.state == "suspended":
        return _("Saken er satt på vent. Du kan svare når den fortsetter.")
    if task.state == "submitted":
        return _("Svaret er alt sendt til godkjenning hos %(name)s.", name=holder(task, reader.instead))
    if task.state == "pending":
        return _("Det er ikke dere som står for tur ennå.")
    if task.instance.state != "active":
        return _("Saken er stanset eller avsluttet.")
    return _("%(name)s har oppgaven nå.", name=holder(task, reader.instead) or _("En annen"))


def odd_day(d: date, words: Formatter) -> str:
    """What is odd about a due date, or an empty text."""
    calendar = words.calendar
    if getattr(calendar, "autumn_break", lambda _d: False)(d):
        return _("i høstferien")
    return _("i juli") if getattr(calendar, "in_july", lambda _d: False)(d) else ""


def ingress(overdue: int, this_week: int, later: int, free: int) -> str:
    """The answer before the list: how many tasks are late and how many are due this week."""
    parts = []
    if overdue:
        parts.append(_("%(count)s har gått over fristen.", count=_tasks(overdue)))
    if this_week:
        number = tallord(this_week, stor=True) if parts else _tasks(this_week)
        parts.append(_("%(count)s har frist denne uka.", count=number))
    if not parts and later:
        parts.append(_("Ingenting haster. %(count)s venter på deg senere.", count=_tasks(later)))
    if not parts and free:
        parts.append(
            ngettext(
                "Ingenting venter på deg, men én oppgave er ledig i gruppene dine.",
                "Ingenting venter på deg, men %(count)s oppgaver er ledige i gruppene dine.",
                free,
                count=tallord(free),
            )
        )
    return " ".join(parts)


def _tasks(count: int) -> str:
    return antall(count, _("oppgave"), _("oppgaver"), stor=True)


def as_plain_text(answers: Sequence[tuple[str, str]]) -> str:
    """Answers as text that one can copy out of a page."""
    return "\n\n".join(f"{label}\n{text}" for label, text in answers)
