"""A mail that did not arrive, or perhaps did not, is sent again because somebody asks for it; kept in history."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import history, process_instances
from engine.errors import NotFound
from engine.model import User
from notifications import delivery
from notifications.model import Delivery


def find(session: Session, community_id: int, public_id: str) -> Delivery:
    """The community's mail with that id. Raises NotFound."""
    query = select(Delivery).where(Delivery.public_id == public_id, Delivery.community_id == community_id)
    found = session.scalar(query)
    if found is None:
        raise NotFound(f"There is no mail {public_id}.")
    return found


def send_again(session: Session, mail: Delivery, *, now: datetime, actor_id: int | None, reason: str = "") -> None:
    """Plan a failed or uncertain mail once more, as the same message. Raises NotOpen when it is in another state."""
    if mail.instance_id is None:  # of no case's history
        delivery.send_again(session, mail, now=now)
        return
    instance = process_instances.locked(session, mail.instance_id)  # case before mail, as everywhere
    delivery.send_again(session, mail, now=now)
    to = session.get_one(User, mail.recipient_id).key
    history.record(session, instance, "mail-resent", now=now, actor_id=actor_id, note=reason or None, user=to)
