"""What mail systems say after they accepted a mail: that it came back, or is late. Read as RFC 3464 has it.

Whoever knows the mailbox can write to it, so nothing in a report is believed but the Message-ID that only the mail's
reader and the systems on its way know; and all it can do is to say that this mail did not arrive. Where a system leaves
the Message-ID out, the address and the time of the mail must fit one mail, and one only.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, message_from_string
from email.message import Message
from email.policy import compat32
from email.utils import parsedate_to_datetime
from enum import StrEnum

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from engine import process_instances
from engine.model import User
from notifications.model import Delivery

#: A report is short. Of a longer one only the beginning is read; the mail that it returns stands last.
MAX_BYTES = 1_000_000
#: Of what the mail system said.
MAX_ANSWER = 500
#: Without a Message-ID, this near to the time that the report gives a mail was made or left.
NEAR = timedelta(minutes=10)
_MESSAGE_ID = re.compile(r"<[^<>\s]{3,290}>")


class Outcome(StrEnum):
    """What a report changed."""

    BOUNCED = "bounced"
    DELAYED = "delayed"
    #: It had been said before, or is about an address that is no longer used.
    KNOWN = "known"
    #: It is about no mail of ours.
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Bounce:
    """One report: the mail, and whether its system has given it up."""

    #: Empty where the report leaves it out.
    message_id: str
    #: Addresses it was for, in small letters; none where the report does not say.
    recipients: tuple[str, ...]
    #: Given up; otherwise it is still being tried.
    is_final: bool
    answer: str
    #: When the mail was written, as its own header says, or else when its system took it.
    mailed_at: datetime | None = None


# --- reading ----------------------------------------------------------------------------------------------------------


def read(raw: bytes) -> Bounce | None:
    """The report in a mail; None for any other mail, and for a report that does not say which mail, or that it failed.

    Never raises, whatever is in it.
    """
    mail = message_from_bytes(raw[:MAX_BYTES], policy=compat32)
    status = next((part for part in mail.walk() if part.get_content_type() == "message/delivery-status"), None)
    blocks = status.get_payload() if status is not None else []
    if not isinstance(blocks, list):
        return None
    told = [block for block in blocks if isinstance(block, Message) and _action(block) in ("failed", "delayed")]
    final = [block for block in told if _action(block) == "failed"]
    if not told:
        return None
    block = (final or told)[0]
    found = Bounce(
        message_id=_returned_id(mail), recipients=tuple(_recipients(block)), is_final=bool(final),
        answer=_answer(block), mailed_at=_mailed_at(mail, blocks),
    )  # fmt: skip
    return found if found.message_id or (found.recipients and found.mailed_at) else None


def _action(block: Message) -> str:
    return _text(block, "Action").lower()


def _returned_id(mail: Message) -> str:
    """The Message-ID in the part that returns the mail or its headers; else what the report answers; or nothing."""
    said = [_text(returned, "Message-ID") for returned in _returned(mail)]
    said.append(_text(mail, "In-Reply-To") or _text(mail, "References"))
    return next((found[0] for text in said if (found := _MESSAGE_ID.search(text))), "")


def _returned(mail: Message) -> Iterator[Message]:
    """The parts that return the mail, or its headers."""
    for part in mail.walk():
        kind, payload = part.get_content_type(), part.get_payload()
        if kind == "message/rfc822" and isinstance(payload, list) and payload and isinstance(payload[0], Message):
            yield payload[0]
        elif kind == "text/rfc822-headers" and isinstance(payload, str):
            yield message_from_string(payload, policy=compat32)


def _mailed_at(mail: Message, blocks: Sequence[object]) -> datetime | None:
    said = [_text(returned, "Date") for returned in _returned(mail)]
    said += [_text(block, "Arrival-Date") for block in blocks if isinstance(block, Message)]
    return next((moment for text in said if (moment := _moment(text)) is not None), None)


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):  # whatever is written there
        return None


def _recipients(block: Message) -> Iterator[str]:
    for name in ("Original-Recipient", "Final-Recipient"):
        address = _text(block, name).rpartition(";")[2].strip().strip("<>").lower()
        if "@" in address:
            yield address


def _answer(block: Message) -> str:
    said = _text(block, "Diagnostic-Code").partition(";")[2] or _text(block, "Diagnostic-Code")
    return (said.strip() or _text(block, "Status"))[:MAX_ANSWER]


def _text(message: Message, name: str) -> str:
    """A header on one line, with nothing in it that is not printed."""
    raw = next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), "")
    # Some systems write letters beyond ASCII as they are.
    value = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c for c in " ".join(value.split()) if c.isprintable())


# --- recording --------------------------------------------------------------------------------------------------------


def record(session: Session, bounce: Bounce, *, now: datetime) -> Outcome:
    """Say of the mail that it did not arrive, or not yet; of all that it carried too. A repeat changes nothing."""
    mail = _mail_of(session, bounce)
    if mail is None:
        return Outcome.UNKNOWN
    if mail.instance_id is not None:
        process_instances.locked(session, mail.instance_id)  # case before mail, as everywhere
    session.refresh(mail, with_for_update=True)
    # A report may come again after the address was mended; of a forwarded mail it names an address we do not know.
    if mail.bounced_at is not None and bounce.recipients and mail.address.lower() not in bounce.recipients:
        return Outcome.KNOWN
    said = or_(Delivery.id == mail.id, Delivery.carrier_id == mail.id)
    values: dict[str, object] = {"delayed_at": now, "last_error": bounce.answer}
    states = ["sent"]
    if bounce.is_final:
        values = {"state": "failed", "bounced_at": now, "last_error": bounce.answer}
        states.append("uncertain")
    reported = update(Delivery).where(said, Delivery.state.in_(states)).values(**values)
    if not session.scalars(reported.returning(Delivery.id)).all():
        return Outcome.KNOWN
    return Outcome.BOUNCED if bounce.is_final else Outcome.DELAYED


def _mail_of(session: Session, bounce: Bounce) -> Delivery | None:
    """The mail that the report is about; None also where it may be about either of two."""
    if bounce.message_id:
        return session.scalars(select(Delivery).where(Delivery.message_id == bounce.message_id)).first()
    if bounce.mailed_at is None:
        return None
    earliest, latest = bounce.mailed_at - NEAR, bounce.mailed_at + NEAR
    then = or_(Delivery.taken_at.between(earliest, latest), Delivery.composed_at.between(earliest, latest))
    theirs = func.lower(Delivery.address).in_(bounce.recipients)
    left = Delivery.state.in_(("sent", "uncertain", "failed")) & Delivery.carrier_id.is_(None)
    found = session.scalars(select(Delivery).where(then, theirs, left).limit(2)).all()
    return found[0] if len(found) == 1 else None


def dead_addresses(session: Session, community_id: int) -> Sequence[int]:
    """Ids of those whose present address gave a mail back, until another address, or a mail that arrives, mends it."""
    query = (
        select(Delivery.recipient_id)
        .join(User, User.id == Delivery.recipient_id)
        .where(Delivery.community_id == community_id, Delivery.state == "failed")
        .where(Delivery.bounced_at.is_not(None), Delivery.address == User.email)
        .distinct()
    )
    return session.scalars(query).all()
