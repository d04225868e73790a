"""The mails of a case as its pages list them: what, to whom, when, did it work, and what came of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from engine.model import ProcessInstance, Step, User, UserTask
from notifications import alarm
from notifications.model import Delivery
from notifications.rules import kind
from notifications.wording import inside
from web.formatting import Formatter, sitat, tallord
from web.pages.case_status import Status

#: The filters of the list, in their order. Mails that were never sent after all show only when asked for.
FILTERS = ("alle", "feil", "usikkert", "planlagt", "framme", "avlyst")
#: The states that each filter shows.
STATES = {
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
    #: When it is tried next, and how often it has been.
    next_attempt_at: datetime
    attempts: int
    #: When its recipient's mail system said that it still tries; that it gave up.
    delayed_at: datetime | None
    bounced_at: datetime | None
    #: When somebody asked that it be sent again.
    resent_at: datetime | None
    #: Both empty where the mail is about no single case.
    case_id: str
    case: str
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
    case_id: str = ""
    case: str = ""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """The moment at which mails are looked at, and after how long one that has not left is late."""

    now: datetime
    late_after: timedelta
    #: Ids of those whose address gives mails back.
    dead: frozenset[int] = frozenset()

    def is_late(self, mail: Mail) -> bool:
        """Should it have left long ago?"""
        return alarm.is_late(
            state=mail.state, planned_at=mail.planned_at, resent_at=mail.resent_at,
            next_attempt_at=mail.next_attempt_at, attempts=mail.attempts, now=self.now, after=self.late_after,
        )  # fmt: skip


def mails_of(session: Session, instance: ProcessInstance, *, recipient_id: int | None = None) -> list[Mail]:
    """The case's mails, oldest first; only one person's where `recipient_id` is given."""
    query = listed().where(Delivery.instance_id == instance.id).order_by(Delivery.planned_at, Delivery.id)
    if recipient_id is not None:
        query = query.where(Delivery.recipient_id == recipient_id)
    return read(session, query)


def read(session: Session, query: Select[*tuple[Any, ...]]) -> list[Mail]:
    """What a query that began with `listed()` finds."""
    return [Mail(**row) for row in session.execute(query).mappings()]


def listed() -> Select[*tuple[Any, ...]]:
    """Mails with their people, steps and cases, and without what they say."""
    return (
        select(
            Delivery.public_id, Delivery.rule, Delivery.state, Delivery.subject, Delivery.planned_at, Delivery.sent_at,
            Delivery.composed_at, Delivery.due_date, Delivery.address, Delivery.last_error, Delivery.recipient_id,
            User.name.label("recipient"), User.email, func.coalesce(Delivery.step_id, 0).label("step_id"),
            func.coalesce(Step.name, "").label("step"), Delivery.task_id,
            UserTask.item_name.label("party"), UserTask.state.label("task_state"), UserTask.completed_at,
            UserTask.draft_saved_at, Delivery.next_attempt_at, Delivery.attempts, Delivery.delayed_at,
            Delivery.bounced_at,
            func.coalesce(ProcessInstance.public_id, "").label("case_id"),
            func.coalesce(ProcessInstance.title, "").label("case"), Delivery.resent_at,
        )
        .join(User, User.id == Delivery.recipient_id)
        .outerjoin(ProcessInstance, ProcessInstance.id == Delivery.instance_id)
        .outerjoin(Step, Step.id == Delivery.step_id)
        .outerjoin(UserTask, UserTask.id == Delivery.task_id)
    )  # fmt: skip


def chosen(mails: Sequence[Mail], wanted: str) -> list[Mail]:
    """Those of one filter."""
    return [mail for mail in mails if mail.state in STATES.get(wanted, STATES["alle"])]


def counts(mails: Sequence[Mail]) -> dict[str, int]:
    """How many each filter shows."""
    by_state = Counter(mail.state for mail in mails)
    return {name: sum(by_state[state] for state in STATES[name]) for name in FILTERS}


def in_words(mails: Sequence[Mail]) -> str:
    """`22 er sendt og 31 er planlagt. Én kom ikke fram.`"""
    return counted_in_words(counts(mails))


def counted_in_words(known: Mapping[str, int]) -> str:
    """The same of mails that were counted already."""
    parts = [_("%(sent)s er sendt og %(planned)s er planlagt.", sent=known["framme"], planned=known["planlagt"])]
    if known["feil"]:
        parts.append(_("%(count)s kom ikke fram.", count=tallord(known["feil"], stor=True)))
    if known["usikkert"]:
        parts.append(_("%(count)s er usikre.", count=tallord(known["usikkert"], stor=True)))
    return " ".join(parts)


# --- what still matters -----------------------------------------------------------------------------------------------


def bounced(mails: Iterable[Mail]) -> list[Mail]:
    """Failed mails whose task still waits, and that no later mail made good: one per person and task."""
    open_ones: dict[tuple[int, str, int | None], Mail] = {}
    for mail in sorted(mails, key=lambda mail: mail.at):
        key = (mail.recipient_id, mail.case_id, mail.task_id)
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
            steps=tuple(dict.fromkeys(_said_of(mail) for mail in found)),
        )
        for found in by_person.values()
    )  # fmt: skip


def _said_of(mail: Mail) -> str:
    if mail.step:
        return sitat(mail.step)
    return _("feilen i saken") if mail.case_id else _("ukas oversikt")


def bounced_tasks(mails: Sequence[Mail]) -> set[int]:
    """Ids of the tasks that nobody knows of, because no mail about them arrived."""
    reached = {mail.task_id for mail in mails if mail.state == "sent"}
    return {mail.task_id for mail in bounced(mails) if mail.task_id is not None and mail.task_id not in reached}


def next_reminder(mails: Iterable[Mail]) -> datetime | None:
    """When the silent are next reminded without anybody asking for it."""
    planned = (mail.planned_at for mail in mails if mail.state == "planned" and kind(mail.rule) == "reminder")
    return min(planned, default=None)


# --- rows -------------------------------------------------------------------------------------------------------------


def planned_rows(mails: Sequence[Mail], words: Formatter, watch: Watch | None = None) -> list[MailRow]:
    """What is to be sent, soonest first; what goes to several at the same time is one row."""
    groups: dict[tuple[datetime, int, str, date | None], list[Mail]] = {}
    for mail in mails:
        if mail.state == "planned":
            groups.setdefault((mail.planned_at, mail.step_id, mail.rule, mail.due_date), []).append(mail)
    return [planned_row(group, words, watch) for _key, group in sorted(groups.items(), key=lambda pair: pair[0][:2])]


def sent_rows(
    mails: Sequence[Mail], words: Formatter, watch: Watch | None = None, *, keep_order: bool = False
) -> list[MailRow]:
    """What has left, or should have; latest first, unless they are sorted already."""
    left = [mail for mail in mails if mail.state != "planned"]
    ordered = left if keep_order else sorted(left, key=lambda mail: mail.at, reverse=True)
    return [_sent(mail, words, watch) for mail in ordered]


def planned_row(group: Sequence[Mail], words: Formatter, watch: Watch | None = None) -> MailRow:
    """One line for planned mails that say the same at the same time."""
    first = group[0]
    return MailRow(
        public_id=first.public_id, subject=subject_of(first, words), to=_recipients(group), at=first.planned_at,
        status=status_of(first, watch), afterwards=_if_still(group, watch), case_id=first.case_id, case=first.case,
    )  # fmt: skip


def _recipients(group: Sequence[Mail]) -> str:
    if len(group) == 1:
        return group[0].recipient
    parties = {mail.party for mail in group if mail.party}
    if len(parties) > 1:
        return _("%(count)s mottakere nå", count=tallord(len(parties), stor=True))
    return _("%(count)s personer nå", count=tallord(len({mail.recipient_id for mail in group}), stor=True))


def _if_still(group: Sequence[Mail], watch: Watch | None) -> str:
    if watch is not None and watch.dead.intersection(mail.recipient_id for mail in group):
        return _("Adressen virker ikke. Rett den først.") if len(group) == 1 else _("Noen av adressene virker ikke.")
    told = {
        "reminder": _("Går bare til dem som mangler"),
        "overdue": _("Går bare til dem som mangler"),
        "escalation": _("Går bare hvis noen mangler"),
    }
    return told.get(kind(group[0].rule), "")


def _sent(mail: Mail, words: Formatter, watch: Watch | None) -> MailRow:
    return MailRow(
        public_id=mail.public_id, subject=subject_of(mail, words), to=mail.recipient, at=mail.at,
        status=status_of(mail, watch), afterwards=_afterwards(mail, words),
        may_resend=mail.state == "uncertain", may_correct=mail.state == "failed", case_id=mail.case_id, case=mail.case,
    )  # fmt: skip


def status_of(mail: Mail, watch: Watch | None = None) -> Status:
    """Did it arrive? With a `watch`, also: should it have left by now?"""
    if watch is not None and mail.state in ("planned", "sending") and watch.is_late(mail):
        return Status(word=_("Forsinket"), icon="varsel", color="warning")
    if watch is not None and mail.state == "planned" and mail.planned_at <= watch.now:
        return Status(word=_("I kø"), icon="klokke")
    if mail.state == "sent" and mail.delayed_at is not None:
        return Status(word=_("Underveis"), icon="klokke", color="warning")
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
        if mail.completed_at.astimezone(words.zone).date() == mail.at.astimezone(words.zone).date():
            return _("Svart samme dag") if mail.party else _("Ferdig samme dag")
        day = words.dag(mail.completed_at)
        return _("Svart %(day)s", day=day) if mail.party else _("Ferdig %(day)s", day=day)
    if mail.task_state == "submitted":
        return _("Ikke godkjent ennå")
    if mail.delayed_at is not None:
        return _("Mottakerens e-postsystem prøver fortsatt.")
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
    step = inside(mail.step)
    before = mail.rule.partition(":")[2]
    if kind(mail.rule) == "reminder":
        return _reminder(step, int(before) if before.isdigit() else 0, due)
    known = {
        "assigned": _("Ny oppgave: %(step)s", step=step),
        "remind_now": _("Påminnelse: %(step)s", step=step),
        "overdue": _("Fristen er gått ut: %(step)s", step=step),
        "due_changed": _("Ny frist %(due)s: %(step)s", due=due, step=step),
        "approval": _("Til godkjenning: %(step)s", step=step),
        "sent_back": _("Sendt tilbake: %(step)s", step=step),
        "escalation": _("Over fristen: %(step)s", step=step),
        "incident": _("Saken står stille"),
        "dates_changed": _("Nye datoer"),
        "invitation": _("Møteinnkalling"),
        "uncovered": _("Borte uten stedfortreder"),
        "leader_week": _("Ukas oversikt"),
        "more_time_answered": _("Svar på ønske om mer tid: %(step)s", step=step),
    }
    return known.get(kind(mail.rule), mail.step)


def kinds() -> dict[str, str]:
    """What each kind of mail is called."""
    return {
        "assigned": _("Ny oppgave"), "reminder": _("Påminnelse"), "remind_now": _("Påminnelse for hånd"),
        "overdue": _("Fristen er ute"), "due_changed": _("Ny frist"), "dates_changed": _("Nye datoer"),
        "approval": _("Til godkjenning"), "sent_back": _("Sendt tilbake"), "escalation": _("Noen har ikke svart"),
        "more_time_answered": _("Svar på ønske om mer tid"), "invitation": _("Møteinnkalling"),
        "incident": _("Saken står stille"), "uncovered": _("Borte uten stedfortreder"),
        "leader_week": _("Ukas oversikt"),
    }  # fmt: skip


def _reminder(step: str, days: int, due: str) -> str:
    if days == 0:
        return _("Siste dag: %(step)s", step=step)
    if days == 1:
        return _("Én virkedag igjen: %(step)s innen %(due)s", step=step, due=due)
    return _("%(days)s virkedager igjen: %(step)s innen %(due)s", days=tallord(days, stor=True), step=step, due=due)
