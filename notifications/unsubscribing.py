"""One-click unsubscribing (RFC 8058) from reminders: a signed address says whose, and no account is needed."""

import hashlib

from itsdangerous import BadSignature, Signer

from engine.model import User
from notifications.settings import NotificationSettings

_SALT = b"unsubscribe-reminders"


def address(user: User, settings: NotificationSettings) -> str | None:
    """Where the person's reminders are turned off; None where mails have no signed addresses."""
    if not (keys := settings.link_keys()):
        return None
    token = _signer(keys).sign(str(user.id)).decode()
    return f"{settings.base_url.rstrip('/')}/avmelding/{token}"


def whose(token: str, settings: NotificationSettings) -> int | None:
    """Id of the user that the address was made for; None where nobody was ever given it."""
    if not (keys := settings.link_keys()) or not token.isascii():
        return None
    try:
        return int(_signer(keys).unsign(token))
    except (BadSignature, ValueError):
        return None


def _signer(keys: tuple[str, ...]) -> Signer:
    return Signer(list(keys), salt=_SALT, digest_method=hashlib.sha256)
