"""Where a mail provider reports what came back, signed with a secret that both know."""

import hmac
import json
from hashlib import sha256

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from notifications import bounces
from notifications.bounces import MAX_ANSWER, MAX_BYTES, Bounce
from web.context import now, services

pages = Blueprint("bounces", __name__)

#: `sha256=` and the HMAC of the body, in hexadecimal.
SIGNATURE = "X-Avtaleflyt-Signature"


@pages.post("/e-post/retur")
def report() -> ResponseReturnValue:
    """One report, as the mail it came in (message/rfc822) or as JSON. 403 without the right signature."""
    secret = services().settings.bounce_secret.get_secret_value()
    if not secret:
        return _words("Nothing is received here. Set AVTALEFLYT_BOUNCE_SECRET.", 404)
    body = request.get_data(cache=False)
    if len(body) > MAX_BYTES:
        return _words("The report is too long.", 413)
    signed = "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()
    given = request.headers.get(SIGNATURE, "").encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(given, signed.encode()):
        return _words(f"Send {SIGNATURE}: sha256= and the HMAC of the body.", 403)
    found = _from_json(body) if request.mimetype == "application/json" else bounces.read(body)
    if found is None:
        return _words("This is no report of a mail that did not arrive.", 422)
    with services().database.transaction() as session:
        outcome = bounces.record(session, found, now=now())
    return _words(outcome.value)


def _from_json(body: bytes) -> Bounce | None:
    """`message_id`, `kind` (hard or soft), and optionally `recipient` and `answer`."""
    try:
        given = json.loads(body)
    except ValueError:
        return None
    if not isinstance(given, dict) or given.get("kind") not in ("hard", "soft"):
        return None
    texts = {name: given.get(name, "") for name in ("message_id", "recipient", "answer")}
    if not texts["message_id"] or not all(isinstance(text, str) for text in texts.values()):
        return None
    recipient = texts["recipient"].strip().lower()
    answer = "".join(c for c in " ".join(texts["answer"].split()) if c.isprintable())
    return Bounce(
        message_id=f"<{texts['message_id'].strip().strip('<>')}>", recipients=(recipient,) if recipient else (),
        is_final=given["kind"] == "hard", answer=answer[:MAX_ANSWER],
    )  # fmt: skip


def _words(words: str, status: int = 200) -> Response:
    return Response(f"{words}\n", status=status, content_type="text/plain; charset=utf-8")
