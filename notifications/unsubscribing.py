"""One-click unsubscribing (RFC 8058): a signed address says whose mails of which kind, and no account is needed."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from itsdangerous import BadSignature, Signer

from engine.model import User
from notifications import weekly
from notifications.preferences import OPTIONAL
from notifications.settings import NotificationSettings

#: Kind of mail -> what its addresses are signed for.
_SALTS = {**dict.fromkeys(OPTIONAL, b"unsubscribe-reminders"), weekly.RULE: b"unsubscribe-leader-week"}


@dataclass(frozen=True, kw_only=True)
class Unsubscribing:
    """What an address turns off."""

    user_id: int
    #: A kind of mail: `reminder` or `leader_week`.
    kind: str


def address(user: User, kinds: Collection[str], settings: NotificationSettings) -> str | None:
    """Where the person turns off what a mail of these kinds says; None where nothing of it can be, or without keys."""
    optional = next((kind for kind in _SALTS if kind in kinds), None)
    if optional is None or not (keys := settings.link_keys()):
        return None
    token = _signer(keys, optional).sign(str(user.id)).decode()
    return f"{settings.base_url.rstrip('/')}/avmelding/{token}"


def read(token: str, settings: NotificationSettings) -> Unsubscribing | None:
    """What the address was made for; None where nobody was ever given it."""
    if not (keys := settings.link_keys()) or not token.isascii():
        return None
    for kind in _SALTS:
        try:
            return Unsubscribing(user_id=int(_signer(keys, kind).unsign(token)), kind=kind)
        except (BadSignature, ValueError):
            continue
    return None


def _signer(keys: tuple[str, ...], kind: str) -> Signer:
    return Signer(list(keys), salt=_SALTS[kind], digest_method=hashlib.sha256)
