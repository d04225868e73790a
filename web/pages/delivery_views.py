"""The mails of a case as its pages list them: what, to whom, when, did it work, and what came of it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from flask_babel import gettext as _
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.model import ProcessInstance, Step, User, UserTask
from notifications.model import Delivery
from notifications.rules import kind
from web.formatting import Formatter, tallord
from web.pages.case_status import Status

#: The filters of the list, in their order. Mails that were never sent after all show only when asked for.
FILTERS = ("alle", "feil", "usikkert", "planlagt", "framme", "avlyst")
_STATES = {
    "feil": ("failed",),
    "usikkert": ("uncertain",),
    "planlagt": ("planned",),
    "framme": ("sent", "sending"),
    "avlyst": ("cancelled",),
    "alle": ("failed", "uncertain", "planned", "sent", "sending"),
}


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One mail, without its content."""

    public_id: str
    rule: str
    state: str
    subject: str | None
    planned_at: datetime
    sent_at: datetime | None
    composed_at: datetime | None
    due_date: date | None
    address: str
    last_error: str | None
    recipient_id: int
    recipient: str
    email: str
    #: 0 and empty where the mail is about an incident.
    step_id: int
    step: str
    task_id: int | None
    party: str | None
    task_state: str | None
    completed_at: datetime | None
    draft_saved_at: datetime | None

    @property
    def at(self) -> datetime:
        """When it was sent, or is to be."""
        return self.sent_at or self.composed_at or self.planned_at


@dataclass(frozen=True, kw_only=True)
class MailRow:
    """One line of the list: one mail, or the planned ones that go out together."""

    public_id: str
    subject: str
    to: str
    at: datetime
    status: Status
    afterwards: str
    may_resend: bool = False
    may_correct: bool = False


def mails_of(session: Session, instance: ProcessInstance, *, recipient_id: int | None = None) -> list[Mail]:
    """The case's mails, oldest first; only one person's where `recipient_id` is given."""
    query = (
        select(
            Delivery.public_id, Delivery.rule, Delivery.state, Delivery.subject, Delivery.planned_at, Delivery.sent_at,
            Delivery.composed_at, Delivery.due_date, Delivery.address, Delivery.last_error, Delivery.recipient_id,
            User.name.label("recipient"), User.email, func.coalesce(Delivery.step_id, 0).label("step_id"),
            func.coalesce(Step.name, "").label("step"), Delivery.task_id,
            UserTask.item_name.label("party"), UserTask.state.label("task_state"), UserTask.completed_at,
            UserTask.draft_saved_at,
        )
        .join(User, User.id == Delivery.recipient_id)
        .outerjoin(Step, Step.id == Delivery.step_id)
        .outerjoin(UserTask, UserTask.id == Delivery.task_id)
        .where(Delivery.instance_id == instance.id)
        .order_by(Delivery.planned_at, Delivery.id)
    )  # fmt: skip
    if recipient_id is not None:
        query = query.where(Delivery.recipient_id == recipient_id)
    return [Mail(**row) for row in session.execute(query).mappings()]


def chosen(mails: Sequence[Mail], wanted: str) -> list[Mail]:
    """Those of one filter."""
    return [mail for mail in mails if mail.state in _STATES.get(wanted, _STATES["alle"])]


def counts(mails: Sequence[Mail]) -> dict[str, int]:
    """How many each filter shows."""
    by_state = Counter(mail.state for mail in mails)
    return {name: sum(by_state[state] for state in _STATES[name]) for name in FILTERS}


def in_words(mails: Sequence[Mail]) -> str:
    """`22 er sendt og 31 er planlagt. Én kom ikke fram.`"""
    known = counts(mails)
    parts = [_("%(sent)s er sendt og %(planned)s er planlagt.", sent=known["framme"], planned=known["planlagt"])]
    if known["feil"]:
        parts.append(_("%(count)s kom ikke fram.", count=tallord(known["feil"], stor=True)))
    if known["usikkert"]:
        parts.append(_("%(count)s er usikre.", count=tallord(known["usikkert"], stor=True)))
    return " ".join(parts)


# --- what still matters -----------------------------------------------------------------------------------------------


def bounced(mails: Iterable[Mail]) -> list[Mail]:
    """Failed mails whose task still waits, and that no later mail made good: one per person and task."""
    open_ones: dict[tuple[int, int | None], Mail] = {}
    for mail in sorted(mails, key=lambda mail: mail.at):
        key = (mail.recipient_id, mail.task_id)
        if mail.state == "failed" and mail.task_state in ("open", "submitted", None):
            open_ones[key] = mail
        elif mail.state == "sent":
            open_ones.pop(key, None)
    return list(open_ones.values())


@dataclass(frozen=True, kw_only=True)
class Unreached:
    """A person whom mails did not reach, and what they do not know about."""

    name: str
    steps: tuple[str, ...]
    #: What the mail server said.
    answer: str


def unreached(mails: Iterable[Mail]) -> tuple[Unreached, ...]:
    """Those whom mails did not reach, each once."""
    by_person: dict[int, list[Mail]] = {}
    for mail in bounced(mails):
        by_person.setdefault(mail.recipient_id, []).append(mail)
    return tuple(
        Unreached(
            name=found[0].recipient, answer=found[-1].last_error or "",
            steps=tuple(dict.fromkeys(f"«{mail.step}»" if mail.step else _("feilen i saken") for mail in found)),
        )
        for found in by_person.values()
    )  # fmt: skip


def bounced_tasks(mails: Sequence[Mail]) -> set[int]:
    """Ids of the tasks that nobody knows of, because no mail about them arrived."""
    reached = {mail.task_id for mail in mails if mail.state == "sent"}
    return {mail.task_id for mail in bounced(mails) if mail.task_id is not None and mail.task_id not in reached}


def next_reminder(mails: Iterable[Mail]) -> datetime | None:
    """When the silent are next reminded without anybody asking for it."""
    planned = (mail.planned_at for mail in mails if mail.state == "planned" and kind(mail.rule) == "reminder")
    return min(planned, default=None)


# --- rows -------------------------------------------------------------------------------------------------------------


def planned_rows(mails: Sequence[Mail], words: Formatter) -> list[MailRow]:
    """What is to be sent, soonest first; what goes to several at the same time is one row."""
    groups: dict[tuple[datetime, int, str, date | None], list[Mail]] = {}
    for mail in mails:
        if mail.state == "planned":
            groups.setdefault((mail.planned_at, mail.step_id, mail.rule, mail.due_date), []).append(mail)
    return [_planned(group, words) for _key, group in sorted(groups.items(), key=lambda pair: pair[0][:2])]


def sent_rows(mails: Sequence[Mail], words: Formatter) -> list[MailRow]:
    """What has left, or should have, latest first."""
    left = [mail for mail in mails if mail.state != "planned"]
    return [_sent(mail, words) for mail in sorted(left, key=lambda mail: mail.at, reverse=True)]


def _planned(group: Sequence[Mail], words: Formatter) -> MailRow:
    first = group[0]
    status = Status(word=_("Planlagt"), icon="klokke")
    return MailRow(
        public_id=first.public_id, subject=subject_of(first, words), to=_recipients(group), at=first.planned_at,
        status=status, afterwards=_if_still(first),
    )  # fmt: skip


def _recipients(group: Sequence[Mail]) -> str:
    if len(group) == 1:
        return group[0].recipient
    parties = {mail.party for mail in group if mail.party}
    if len(parties) > 1:
        return _("%(count)s mottakere nå", count=tallord(len(parties), stor=True))
    return _("%(count)s personer nå", count=tallord(len({mail.recipient_id for mail in group}), stor=True))


def _if_still(mail: Mail) -> str:
    told = {
        "reminder": _("Går bare til dem som mangler"),
        "overdue": _("Går bare til dem som mangler"),
        "escalation": _("Går bare hvis noen mangler"),
    }
    return told.get(kind(mail.rule), "")


def _sent(mail: Mail, words: Formatter) -> MailRow:
    return MailRow(
        public_id=mail.public_id, subject=subject_of(mail, words), to=mail.recipient, at=mail.at,
        status=status_of(mail), afterwards=_afterwards(mail, words),
        may_resend=mail.state == "uncertain", may_correct=mail.state == "failed",
    )  # fmt: skip


def status_of(mail: Mail) -> Status:
    """Did it arrive?"""
    known = {
        "planned": lambda: Status(word=_("Planlagt"), icon="klokke"),
        "sending": lambda: Status(word=_("Sendes nå"), icon="klokke"),
        "sent": lambda: Status(word=_("Framme"), icon="epost", color="info"),
        "failed": lambda: Status(word=_("Kom ikke fram"), icon="feil", color="danger"),
        "uncertain": lambda: Status(word=_("Usikkert"), icon="varsel", color="warning"),
        "cancelled": lambda: Status(word=_("Ikke sendt"), icon="pause"),
    }
    return known[mail.state]()


def _afterwards(mail: Mail, words: Formatter) -> str:
    if mail.state == "uncertain":
        return _("Forbindelsen brøt.")
    if mail.state in ("failed", "cancelled"):
        return _("Trengtes ikke lenger") if mail.state == "cancelled" else ""
    if mail.task_state == "completed" and mail.completed_at:
        day = words.dag(mail.completed_at)
        return _("Svart %(day)s", day=day) if mail.party else _("Ferdig %(day)s", day=day)
    if mail.task_state == "submitted":
        return _("Ikke godkjent ennå")
    if mail.task_state == "open":
        return _opened(mail, words)
    return _("Lukket uten svar") if mail.task_state == "closed" else ""


def _opened(mail: Mail, words: Formatter) -> str:
    saved = mail.draft_saved_at
    if saved is None:
        return _("Ikke svart ennå") if mail.party else _("Ikke ferdig ennå")
    if saved.astimezone(words.zone).date() == words.today:
        return _("Utkast lagret i dag")
    return _("Utkast lagret %(day)s", day=words.dag(saved))


def subject_of(mail: Mail, words: Formatter) -> str:
    """The subject it left with; for one that has not, what it will be about."""
    if mail.subject:
        return mail.subject
    due = words.dag(mail.due_date) if mail.due_date else ""
    before = mail.rule.partition(":")[2]
    if kind(mail.rule) == "reminder":
        return _reminder(mail.step, int(before) if before.isdigit() else 0, due)
    known = {
        "assigned": _("Ny oppgave: %(step)s", step=mail.step),
        "remind_now": _("Påminnelse: %(step)s", step=mail.step),
        "overdue": _("Fristen er gått ut: %(step)s", step=mail.step),
        "due_changed": _("Ny frist %(due)s: %(step)s", due=due, step=mail.step),
        "approval": _("Til godkjenning: %(step)s", step=mail.step),
        "sent_back": _("Sendt tilbake: %(step)s", step=mail.step),
        "escalation": _("Over fristen: %(step)s", step=mail.step),
        "incident": _("Saken står stille"),
    }
    return known.get(kind(mail.rule), mail.step)


def _reminder(step: str, days: int, due: str) -> str:
    if days == 0:
        return _("Siste dag: %(step)s", step=step)
    if days == 1:
        return _("Én virkedag igjen: %(step)s innen %(due)s", step=step, due=due)
    return _("%(days)s virkedager igjen: %(step)s innen %(due)s", days=tallord(days, stor=True), step=step, due=due)
