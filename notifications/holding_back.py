"""After a restore: mails that may have left since the back-up wait for a person instead of leaving twice."""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from notifications.model import Delivery


def hold_back(session: Session, *, before: datetime) -> int:
    """Make uncertain what was being sent, and what was to leave until `before`; answers how many mails that are."""
    was_due = (Delivery.state == "planned") & (Delivery.next_attempt_at <= before)
    values = {"state": "uncertain", "lease_until": None, "last_error": "It may have left after the back-up was taken."}
    held = update(Delivery).where((Delivery.state == "sending") | was_due).values(values)
    return len(session.scalars(held.returning(Delivery.id)).all())
