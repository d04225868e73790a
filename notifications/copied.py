"""What a copy of a case is given so that in it people are told what they would be told here."""

from sqlalchemy import select

from agreements.model import Invitation, MoreTimeRequest, Move, MoveNotice
from engine.model import ProcessInstance, Step, UserTask
from engine.rehearsing import Copied
from notifications.model import Delivery, MailPreference, MailText


def of_community(community_id: int) -> tuple[Copied, ...]:
    """What decides when and in which words people are told."""
    return (
        (MailPreference, MailPreference.community_id == community_id),
        (MailText, MailText.community_id == community_id),
    )


def of_case(instance_id: int) -> tuple[Copied, ...]:
    """The case's mails, and what they speak of beside its steps: moves, answers to who asked for time, invitations.

    One mail tells of a whole move. So the other cases that moved along come too, with the tasks that the mail names.
    """
    moves = select(MoveNotice.move_id).where(MoveNotice.instance_id == instance_id)
    beside = MoveNotice.move_id.in_(moves) & (MoveNotice.instance_id != instance_id)
    tasks = UserTask.id.in_(select(MoveNotice.task_id).where(beside))
    return (
        (ProcessInstance, ProcessInstance.id.in_(select(MoveNotice.instance_id).where(beside))),
        (Step, Step.id.in_(select(UserTask.step_id).where(tasks))),
        (UserTask, tasks),
        (Move, Move.id.in_(moves)),
        (MoveNotice, MoveNotice.move_id.in_(moves)),
        (MoreTimeRequest, MoreTimeRequest.instance_id == instance_id),
        (Invitation, Invitation.instance_id == instance_id),
        (Delivery, Delivery.instance_id == instance_id),
    )
