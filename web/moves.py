"""What copies of cases are given when a move is tried: the functions of models, and the mails that are planned."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements.functions import FUNCTIONS
from agreements.moving import World
from engine.model import ProcessInstance
from engine.rehearsing import Copied
from notifications import reconciling
from notifications.model import Delivery, MailPreference
from notifications.settings import NotificationSettings

#: Whose members may add and move meetings.
SECRETARIAT = "sekretariat"
#: A planned mail: task, rule and recipient.
PlannedMail = tuple[int | None, str, int]


def world(settings: NotificationSettings, now: datetime) -> World:
    """The world of the copies: they run as the cases do here, and say which mails are planned."""

    def look(session: Session, instance: ProcessInstance) -> Mapping[PlannedMail, datetime]:
        reconciling.reconcile(session, instance.id, now=now, settings=settings)
        query = select(Delivery).where(Delivery.instance_id == instance.id, Delivery.state == "planned")
        waiting = [mail for mail in session.scalars(query) if mail.planned_at > now]
        return {(mail.task_id, mail.rule, mail.recipient_id): mail.planned_at for mail in waiting}

    def also(instance_id: int) -> Sequence[Copied]:
        community = select(ProcessInstance.community_id).where(ProcessInstance.id == instance_id).scalar_subquery()
        return (
            (MailPreference, MailPreference.community_id == community),
            (Delivery, Delivery.instance_id == instance_id),
        )

    return World(functions=FUNCTIONS, also=also, look=look)
