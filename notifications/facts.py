"""What a mail is about, read from the rows in the moment it leaves; and whether it still ought to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import TypedDict

from engine.calendar import Calendar
from engine.model import Community, ProcessInstance, Step, UserTask
from notifications import invitations, link_times, moves, rules, uncovered, weekly
from notifications.model import TOLD, Delivery
from notifications.moves import News
from notifications.preferences import OPTIONAL
from notifications.settings import NotificationSettings
from notifications.surroundings import Surroundings
from notifications.texts import Texts
from notifications.week_news import Silence, Week

#: The body whose decisions start cases.
COMMISSIONER = "SSU"

#: Rules whose mails stand in for a reminder on the same day.
_TOLD_TODAY = ("assigned", "approval", "sent_back", "due_changed", "remind_now", "reminder")


class Role(StrEnum):
    """Why this person is written to."""

    CONTACT = "contact"
    ANSWERS = "answers"
    MEMBER = "member"
    PERFORMER = "performer"
    APPROVER = "approver"
    OWNER = "owner"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything a template may say."""

    rule: str
    role: Role
    community: str
    #: Where people ask.
    email: str
    #: The case's name and number, and whether the number is the decision that ordered it.
    case: str
    number: str | None
    commissioner: str | None
    #: The step's name (empty for an incident), the party or body asked, and the group that shares the task.
    name: str
    party: str | None
    group: str | None
    #: Template of the subject and words of the button from the model, in the reader's language.
    subject: str | None
    action: str | None
    minutes: int | None
    today: date
    due: date | None
    former_due: date | None
    #: Working days from today to the due date; negative after it.
    days_left: int | None
    #: Does the task close when its time is up?
    closes: bool
    #: When we write again, unless the task is done.
    next_dates: tuple[date, ...]
    #: The silent, for the owner.
    silent: tuple[str, ...]
    url: str
    #: Is the meeting it invited to called off?
    called_off: bool = False
    #: Whose task it is, where that is someone who is away and whom the reader stands in for.
    stands_in_for: str = ""
    #: nb, nn or en.
    locale: str = "nb"
    #: Where the reader chooses when we write; empty in mails that nobody can do without.
    choices_url: str = ""
    #: Until which day the mail's button leads in without signing in; None where one signs in.
    link_until: date | None = None
    #: The community's own words.
    texts: Texts = field(default_factory=dict)
    #: Only in a mail about a move, or about an answer to who asked for more time.
    news: News | None = None
    #: Only in the leader's weekly mail.
    week: Week | None = None


@dataclass(frozen=True, kw_only=True)
class Void:
    """The mail is not to be sent, and why not."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """One delivery and the rows around it."""

    delivery: Delivery
    around: Surroundings
    now: datetime
    today: date
    settings: NotificationSettings

    @property
    def instance(self) -> ProcessInstance:
        assert self.delivery.instance_id is not None, "asked of a mail about no single case"
        return self.around.instances[self.delivery.instance_id]

    @property
    def community(self) -> Community:
        return self.around.communities[self.delivery.community_id]

    @property
    def calendar(self) -> Calendar:
        return self.around.calendars[self.delivery.community_id]

    @property
    def step(self) -> Step:
        """The step it is about. Only an incident's mail is about none."""
        assert self.delivery.step_id is not None, "asked of a mail about an incident"
        return self.around.steps[self.delivery.step_id]

    @property
    def others(self) -> list[Delivery]:
        """The other mails to the same person about the same task."""
        mails = self.around.mails[self.delivery.task_id, self.delivery.recipient_id]
        return [mail for mail in mails if mail.id != self.delivery.id]

    def group_name(self, task: UserTask) -> str | None:
        """The group that shares the task, if it has one."""
        return self.around.groups[task.candidate_group_id].name if task.candidate_group_id else None


def gather(around: Surroundings, delivery: Delivery, *, now: datetime, settings: NotificationSettings) -> Facts | Void:
    """What the delivery, one of those `around` was read for, says if it leaves at `now`, or why it must not."""
    today = around.calendars[delivery.community_id].local_date(now)
    at = _Reading(delivery=delivery, around=around, now=now, today=today, settings=settings)
    if delivery.rule == weekly.RULE:
        return _about_week(at)
    if delivery.rule == invitations.RULE:  # one that is called off is said when the case is not running any more
        return _about_invitation(at)
    if at.instance.state != "active":
        return Void(reason="The case is not running.")
    if around.choices.is_off(delivery.rule, delivery.recipient_id):
        return Void(reason="The person has turned such mails off.")
    if delivery.rule in moves.RULES:
        return _about_move(at)
    if delivery.rule == uncovered.RULE:
        return _about_absence(at)
    if delivery.incident_id is not None:
        return _about_incident(at, delivery.incident_id)
    return _about_step(at) if delivery.task_id is None else _about_task(at, delivery.task_id, now)


# --- a mail about a task ---


def _about_task(at: _Reading, task_id: int, now: datetime) -> Facts | Void:
    task = at.around.tasks[task_id]
    reason = _why_not(at, task) or _why_no_reminder(at, task, now)
    return Void(reason=reason) if reason else _facts_of_task(at, task)


def _why_not(at: _Reading, task: UserTask) -> str | None:
    rule = rules.kind(at.delivery.rule)
    if task.state not in ("open", "submitted"):
        return f"The task is {task.state}."
    if at.delivery.recipient_id not in at.around.holders[task.id]:
        return "The task waits for someone else."
    if rule in rules.OF_ONE_DATE and at.delivery.due_generation != task.due_generation:
        return "The due date has moved."
    if (rule == "approval") != (task.state == "submitted") and rule in ("approval", "assigned", "sent_back"):
        return f"The task is {task.state}."
    return None


def _why_no_reminder(at: _Reading, task: UserTask, now: datetime) -> str | None:
    """After a standstill several reminders are due at once: only one is sent, and none that is too late."""
    if rules.kind(at.delivery.rule) != "reminder":
        return None
    if task.due_date is not None and at.today > task.due_date:
        return "The due date has passed."
    others = at.others
    later = (d for d in others if d.state == "planned" and d.planned_at <= now)
    if any(_order(d) > _order(at.delivery) for d in later):
        return "A later mail about the task is due as well."
    said = [d.composed_at for d in others if d.state in TOLD and rules.kind(d.rule) in _TOLD_TODAY]
    if at.today in [at.calendar.local_date(moment) for moment in said if moment is not None]:
        return "The recipient has been told today."
    return None


def _order(delivery: Delivery) -> tuple[datetime, int]:
    """Of what was gathered for one moment, the reminder nearest to the due date comes last."""
    days = delivery.rule.partition(":")[2]
    return delivery.planned_at, -int(days) if days.isdecimal() else 0


def _facts_of_task(at: _Reading, task: UserTask) -> Facts:
    return _facts(
        at, role=_role(at, task), name=task.name, party=task.item_name,
        group=at.group_name(task) if task.assignee_id is None else None, due=task.due_date, silent=(),
        url=at.settings.task_url(task.public_id), former_due=_former_due(at), stands_in_for=_stands_in_for(at, task),
        link_until=_link_until(at, task),
    )  # fmt: skip


def _link_until(at: _Reading, task: UserTask) -> date | None:
    if not (at.settings.link_keys() and at.community.mail_links):
        return None
    return link_times.last_day(task.due_date, at.calendar, at.now)


def _stands_in_for(at: _Reading, task: UserTask) -> str:
    asked = task.approver_id if task.state == "submitted" else task.assignee_id
    return "" if asked in (None, at.delivery.recipient_id) else at.around.people[asked].name


def _role(at: _Reading, task: UserTask) -> Role:
    if task.state == "submitted":
        return Role.APPROVER
    if task.assignee_id is None:
        return Role.MEMBER
    if task.item_name is None:
        return Role.PERFORMER
    recipient = at.around.people[at.delivery.recipient_id]
    is_contact = (task.item_data or {}).get("contact") == recipient.key
    return Role.CONTACT if is_contact else Role.ANSWERS


def _former_due(at: _Reading) -> date | None:
    """The due date that the person was last told of."""
    told = [(d.composed_at, d.id, d.due_date) for d in at.others if d.state in TOLD and d.composed_at is not None]
    return max(told, key=lambda mail: mail[:2])[2] if told else None


# --- a mail about a step ---


def _about_step(at: _Reading) -> Facts | Void:
    silent = _silent(at)
    if not silent:
        return Void(reason="Nobody is late any more.")
    return _facts(
        at, role=Role.OWNER, name=at.step.name, party=None, group=None, due=at.delivery.due_date,
        silent=tuple(_named(at, task) for task in silent), former_due=None,
        url=at.settings.case_url(at.instance.public_id),
    )  # fmt: skip


def _silent(at: _Reading) -> Sequence[UserTask]:
    """The late tasks of the step that wait for others than the recipient."""
    due, recipient = at.delivery.due_date, at.delivery.recipient_id
    late = [
        t for t in at.around.waiting[at.step.id] if t.due_date is not None and due is not None and t.due_date <= due
    ]
    return [task for task in late if recipient not in at.around.holders[task.id]]


def _named(at: _Reading, task: UserTask) -> str:
    if task.item_name is not None:
        return task.item_name
    if task.assignee_id is not None:
        return at.around.people[task.assignee_id].name
    return at.group_name(task) or task.name


# --- a mail about an incident ---


def _about_incident(at: _Reading, incident_id: int) -> Facts | Void:
    incident = at.around.incidents[incident_id]
    if incident.resolved_at is not None:
        return Void(reason="The incident is resolved.")
    if incident.retry_at is not None:
        return Void(reason="The incident is being tried again.")
    return Facts(
        **_of_case(at), role=Role.OWNER, name="", party=None, group=None, subject=None, action=None, minutes=None,
        due=None, former_due=None, days_left=None, closes=False, next_dates=(), silent=(),
        url=at.settings.case_url(at.instance.public_id),
    )  # fmt: skip


# --- a mail about a move, or an answer to who asked for more time ---


def _about_move(at: _Reading) -> Facts:
    said = moves.news(at.around.session, at.delivery, at.settings)
    return Facts(
        **_of_case(at), role=Role.PERFORMER, name=said.task, party=None, group=None, subject=None, action=None,
        minutes=None, due=said.new, former_due=said.old, days_left=None, closes=False, next_dates=(), silent=(),
        url=said.url, news=said,
    )  # fmt: skip


# --- a mail about someone who is away without a deputy ---


def _about_absence(at: _Reading) -> Facts | Void:
    away = uncovered.absence(at.around.session, at.delivery)
    if away is None:
        return Void(reason="Somebody stands in, or the absence is over.")
    return Facts(
        **_of_case(at), role=Role.OWNER, name=away.user.name, party=None, group=None, subject=None, action=None,
        minutes=None, due=away.ends_on, former_due=None, days_left=None, closes=False, next_dates=(), silent=(),
        url=at.settings.case_url(at.instance.public_id),
    )  # fmt: skip


# --- a mail that invites to a meeting, moves it or calls it off ---


def _about_invitation(at: _Reading) -> Facts | Void:
    said = invitations.news(at.around.session, at.delivery)
    if said is None:
        return Void(reason="A later mail speaks of the meeting.")
    return Facts(
        **_of_case(at), role=Role.CONTACT, name=said.name, party=None, group=None, subject=None, action=None,
        minutes=None, due=said.day, former_due=said.former, days_left=None, closes=False, next_dates=(), silent=(),
        url=at.settings.case_url(at.instance.public_id), called_off=said.cancelled,
    )  # fmt: skip


# --- the leader's week ---


def _about_week(at: _Reading) -> Facts | Void:
    said = at.around.weeks[at.delivery.id]
    if isinstance(said, Silence):
        return Void(reason=said.reason)
    return Facts(
        rule=at.delivery.rule, role=Role.OWNER, community=at.community.name, email=at.community.email, case="",
        number=None, commissioner=None, name="", party=None, group=None, subject=None, action=None, minutes=None,
        today=at.today, due=None, former_due=None, days_left=None, closes=False, next_dates=(), silent=(),
        url=at.settings.overview_url, locale=at.around.people[at.delivery.recipient_id].locale,
        choices_url=at.settings.choices_url, week=said,
    )  # fmt: skip


# --- all ---


def _facts(
    at: _Reading, *, role: Role, name: str, party: str | None, group: str | None, due: date | None,
    former_due: date | None, silent: tuple[str, ...], url: str, stands_in_for: str = "", link_until: date | None = None,
) -> Facts:  # fmt: skip
    element, of_case = at.settings.element(at.around.session, at.instance, at.step), _of_case(at)
    return Facts(
        **of_case, role=role, name=name, party=party, group=group,
        subject=element.in_language("subject", of_case["locale"]),
        action=element.in_language("action", of_case["locale"]),
        minutes=element.minutes, due=due, former_due=former_due,
        days_left=at.calendar.working_days_between(at.today, due) if due else None, closes=at.step.closes,
        next_dates=_next_dates(at), silent=silent, url=url, stands_in_for=stands_in_for, link_until=link_until,
    )  # fmt: skip


class _OfCase(TypedDict):
    """What every mail of a case may say."""

    rule: str
    community: str
    email: str
    case: str
    number: str | None
    commissioner: str | None
    today: date
    locale: str
    choices_url: str
    texts: Texts


def _of_case(at: _Reading) -> _OfCase:
    decision, number = (_text(at.instance, key) for key in ("commissioning_decision", "case_number"))
    return _OfCase(
        rule=at.delivery.rule, community=at.community.name, email=at.community.email, case=at.instance.title,
        number=decision or number, commissioner=COMMISSIONER if decision else None, today=at.today,
        locale=at.around.people[at.delivery.recipient_id].locale, texts=at.around.texts[at.delivery.community_id],
        choices_url=at.settings.choices_url if rules.kind(at.delivery.rule) in OPTIONAL else "",
    )  # fmt: skip


def _text(instance: ProcessInstance, key: str) -> str | None:
    value = instance.data.get(key)
    return str(value) if value else None


def _next_dates(at: _Reading) -> tuple[date, ...]:
    """The local dates of the mails that this person is still to get about this task."""
    if at.delivery.task_id is None:
        return ()
    dates = {at.calendar.local_date(mail.planned_at) for mail in at.others if mail.state == "planned"}
    return tuple(sorted(d for d in dates if d > at.today))
