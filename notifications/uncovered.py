"""Warning a case's owner that someone it waits for is away, and that nobody is there to stand in."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from engine.model import Absence, ProcessInstance, UserTask
from notifications.model import Delivery
from notifications.rules import Wanted

RULE = "uncovered"


def wanted(session: Session, instance: ProcessInstance, owners: Sequence[int], *, now: datetime) -> list[Wanted]:
    """One mail to each owner about each such absence; none while the case stands still."""
    if instance.state != "active":
        return []
    asked = (UserTask.assignee_id == Absence.user_id) & (UserTask.state == "open")
    approves = (UserTask.approver_id == Absence.user_id) & (UserTask.state == "submitted")
    waits = select(UserTask.id).where(UserTask.instance_id == instance.id, or_(asked, approves)).exists()
    nobody = Absence.told & Absence.stand_in_id.is_(None) & (Absence.community_id == instance.community_id)
    absences = session.scalars(select(Absence.id).where(nobody, waits).order_by(Absence.id)).all()
    return [
        Wanted(
            cause=f"{RULE}:{absence}:{instance.id}", rule=RULE, step_id=None, task_id=None, recipient_id=owner,
            planned_at=now, due_date=None, due_generation=1, at_once=True,
        )
        for absence in absences for owner in owners
    ]  # fmt: skip


def absence(session: Session, delivery: Delivery) -> Absence | None:
    """The absence that the delivery is about; None where somebody stands in by now, or it is over."""
    found = session.get_one(Absence, int(delivery.cause.split(":")[1]))
    return found if found.told and found.stand_in_id is None else None
