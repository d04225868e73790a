"""Links in mails that need no account: one person's, to one task as it then was, for one purpose, and for a while.

A mail is kept with the task's plain address. Only what leaves for the mail server has the link instead, so nobody who
reads the kept mail can act by it. The token is a signed id; the database knows its SHA-256.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from itsdangerous import BadSignature, Signer
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from engine import history, identity, user_tasks
from engine.database import announce
from engine.errors import EngineError
from engine.identity import Person
from engine.model import Community, User, UserTask, new_public_id
from notifications import link_times
from notifications.composing import Message
from notifications.model import Delivery, TaskLink
from notifications.reconciling import LANE
from notifications.settings import NotificationSettings
from notifications.surroundings import Surroundings

Purpose = Literal["answer", "approve"]
#: Why a link does not act any more; `good` while it does.
Standing = Literal[
    "good", "used", "revoked", "expired", "off", "address", "ended", "resting", "reassigned", "changed",
]  # fmt: skip
#: With these, a fresh link may be sent to the person's own address.
RENEWABLE: frozenset[Standing] = frozenset({"expired", "address", "changed"})
#: A fresh link is asked for at most this often, for one person and task.
PAUSE = timedelta(minutes=10)
MAX_LENGTH = 200
_SALT, _FORM_SALT = b"task-link", b"task-link-form"


class Ended(EngineError):
    """The link does not act any more."""

    status = 410

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        super().__init__(None, standing=standing)


# --- making -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What it takes to put links into a batch of mails."""

    around: Surroundings
    #: By mail and task: links of mails that were taken before.
    known: dict[tuple[int, int], TaskLink]
    tasks: Mapping[str, UserTask]
    settings: NotificationSettings
    now: datetime


def desk(
    around: Surroundings, deliveries: Sequence[Delivery], *, now: datetime, settings: NotificationSettings
) -> Desk | None:
    """Reads once for a batch what `personal` needs; None where mails have no links."""
    if not settings.link_keys():
        return None
    again = [mail.id for mail in deliveries if mail.composed_at is not None]
    query = select(TaskLink).where(TaskLink.delivery_id.in_(again))
    known = {(link.delivery_id, link.task_id): link for link in around.session.scalars(query)} if again else {}
    tasks = {task.public_id: task for task in around.tasks.values()}
    return Desk(around=around, known=known, tasks=tasks, settings=settings, now=now)


def personal(desk: Desk | None, delivery: Delivery, message: Message) -> Message:
    """The mail as it leaves: the addresses of the recipient's own tasks are links that need no account."""
    if desk is None or not desk.around.communities[delivery.community_id].mail_links:
        return message
    address = re.compile(re.escape(desk.settings.task_url("")) + r"([a-z2-9]{12})\b")

    def linked(found: re.Match[str]) -> str:
        token = _token_for(desk, delivery, found[1])
        return f"{desk.settings.base_url.rstrip('/')}/l/{token}" if token else found[0]

    return replace(message, text=address.sub(linked, message.text), html=address.sub(linked, message.html))


def _token_for(desk: Desk, delivery: Delivery, public_id: str) -> str | None:
    """The token of the recipient's link to the task; None where it is not theirs to act on."""
    task = desk.tasks.get(public_id)
    if task is None or delivery.recipient_id not in desk.around.holders[task.id]:
        return None
    link = desk.known.get((delivery.id, task.id)) or _made(desk, delivery, task)
    keys = desk.settings.link_keys()
    for key in reversed(keys):
        if _digest(token := _signed(link, key)) == link.digest and link.address == delivery.address:
            return token
    # The mail goes to another address now, or the key is gone: what went out before ends.
    link.issue, link.address = link.issue + 1, delivery.address
    token = _signed(link, keys[-1])
    link.digest = _digest(token)
    return token


def _made(desk: Desk, delivery: Delivery, task: UserTask) -> TaskLink:
    link = TaskLink(
        public_id=new_public_id(), community_id=delivery.community_id, delivery_id=delivery.id, task_id=task.id,
        user_id=delivery.recipient_id, purpose=purpose_of(task), revision=task.revision, address=delivery.address,
        issue=1, made_at=desk.now,
        expires_at=link_times.expiry(task.due_date, desk.around.calendars[delivery.community_id], desk.now),
    )  # fmt: skip
    link.digest = _digest(_signed(link, desk.settings.link_keys()[-1]))
    desk.around.session.add(link)
    desk.known[delivery.id, task.id] = link
    return link


def purpose_of(task: UserTask) -> Purpose:
    """What the one who has the ball is to do."""
    return "approve" if task.state == "submitted" else "answer"


def _signed(link: TaskLink, key: str) -> str:
    return _signer((key,)).sign(f"{link.public_id}-{link.issue}").decode()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _signer(keys: tuple[str, ...], salt: bytes = _SALT) -> Signer:
    return Signer(list(keys), salt=salt, digest_method=hashlib.sha256)


# --- using ------------------------------------------------------------------------------------------------------------


def find(session: Session, token: str, keys: tuple[str, ...]) -> TaskLink | None:
    """The link of that token, whatever became of it; None where nobody was ever given it."""
    if len(token) > MAX_LENGTH or not token.isascii():
        return None
    try:
        _signer(keys).unsign(token)
    except BadSignature:
        return None
    return session.scalar(select(TaskLink).where(TaskLink.digest == _digest(token)))


def standing(session: Session, link: TaskLink, *, now: datetime) -> Standing:
    """Whether the link still acts, and if not, why."""
    task, user = session.get_one(UserTask, link.task_id), session.get_one(User, link.user_id)
    if link.revoked_at is not None:
        return "revoked"
    if link.used_at is not None:
        return "used"
    if not session.get_one(Community, link.community_id).mail_links:
        return "off"
    if not user.active:
        return "reassigned"
    if task.state not in user_tasks.OPEN:
        return "ended"
    return _standing_of_open(session, link, task, user, now)


def _standing_of_open(session: Session, link: TaskLink, task: UserTask, user: User, now: datetime) -> Standing:
    if task.instance.state != "active":
        return "resting" if task.instance.state == "suspended" else "ended"
    if not _is_theirs(identity.person_by_id(session, user.id), task):
        return _standing_of_others(task, user)
    if user.email != link.address:
        return "address"
    if link.expires_at <= now:
        return "expired"
    return "good" if (task.revision, purpose_of(task)) == (link.revision, link.purpose) else "changed"


def _standing_of_others(task: UserTask, user: User) -> Standing:
    """Why a task that still waits does not wait for them: it was answered, or somebody else has it."""
    if task.state == "submitted" and task.submitted_by_id == user.id:
        return "used"
    # A deputy or the owner has sent the answer in their place.
    return "ended" if task.state == "submitted" and task.assignee_id == user.id else "reassigned"


def _is_theirs(person: Person, task: UserTask) -> bool:
    """Is it theirs to act on now, for themselves or for whom they stand in for? Who is away may still act."""
    if task.state == "submitted":
        return task.approver_id in person.acts_for
    if task.assignee_id is not None:
        return task.assignee_id in person.acts_for
    return task.candidate_group_id in person.acts_in


def require(session: Session, link_id: int, *, now: datetime, purpose: Purpose | None = None) -> TaskLink:
    """The link, its case, step and task locked, if it still acts, for that purpose. Raises Ended."""
    task_id = session.get_one(TaskLink, link_id).task_id
    user_tasks.hold(session, task_id)
    query = select(TaskLink).where(TaskLink.id == link_id).with_for_update()
    link = session.scalars(query.execution_options(populate_existing=True)).one()
    found = standing(session, link, now=now)
    if found == "good" and purpose is not None and purpose != link.purpose:
        found = "changed"
    if found != "good":
        raise Ended(found)
    return link


def use(link: TaskLink, *, now: datetime) -> None:
    """What the link is for is done."""
    link.used_at = now


def follow(link: TaskLink, task: UserTask) -> None:
    """The link's own act raised the task's revision without being what the link is for."""
    link.revision = task.revision


def revoke(session: Session, task: UserTask, *, actor: Person, now: datetime, user_id: int | None = None) -> int:
    """End every link to the task, or one person's; answers how many. The caller checks that `actor` may."""
    held = user_tasks.hold(session, task.id)
    ends = update(TaskLink).where(
        TaskLink.task_id == task.id,
        TaskLink.revoked_at.is_(None),
        TaskLink.used_at.is_(None),
        TaskLink.expires_at > now,
    )
    if user_id is not None:
        ends = ends.where(TaskLink.user_id == user_id)
    ended = session.execute(ends.values(revoked_at=now, revoked_by_id=actor.id).returning(TaskLink.id)).all()
    if ended:
        own = user_id == actor.id
        behalf_of = None if own else identity.in_the_owners_place(session, actor.id, held.instance)
        history.record(
            session, held.instance, "links-revoked", now=now, actor_id=actor.id, on_behalf_of_id=behalf_of,
            task_id=task.id, item=task.item, count=len(ended),
        )  # fmt: skip
    return len(ended)


def renew(session: Session, link_id: int, *, now: datetime, settings: NotificationSettings) -> bool:
    """Mail the person a fresh link, to the address they have now; answers whether one is on its way.

    False where one was asked for a moment ago. Raises Ended where the person may not have one.
    """
    link = session.get_one(TaskLink, link_id)
    held = user_tasks.hold(session, link.task_id)
    found = standing(session, link, now=now)
    if found not in RENEWABLE:
        raise Ended(found)
    recent = select(Delivery.id).where(
        Delivery.task_id == link.task_id, Delivery.recipient_id == link.user_id, Delivery.rule == "remind_now",
        Delivery.planned_at > now - PAUSE,
    )  # fmt: skip
    if session.scalar(recent.limit(1)) is not None:
        return False
    task, public_id = held.task, new_public_id()
    mail = Delivery(
        public_id=public_id, message_id=f"<{public_id}@{settings.host}>", community_id=task.community_id,
        instance_id=task.instance_id, step_id=task.step_id, task_id=task.id, recipient_id=link.user_id,
        rule="remind_now", cause=f"task:{task.id}:remind_now:{public_id}", asked_by_id=link.user_id,
        due_date=task.due_date, due_generation=task.due_generation, planned_at=now, next_attempt_at=now,
    )  # fmt: skip
    session.add(mail)
    history.record(
        session, held.instance, "link-renewed", now=now, actor_id=link.user_id, task_id=task.id, item=task.item
    )
    announce(session, LANE, now)
    return True


# --- forms ------------------------------------------------------------------------------------------------------------


def form_token(link: TaskLink, keys: tuple[str, ...]) -> str:
    """What a page of this link sends with its forms: no cookie is needed, and another link's does not fit."""
    return _signer(keys, _FORM_SALT).sign(str(link.id)).decode()


def form_fits(link: TaskLink, token: str, keys: tuple[str, ...]) -> bool:
    """Was the form made for this link?"""
    try:
        return _signer(keys, _FORM_SALT).unsign(token) == str(link.id).encode()
    except BadSignature:
        return False
