"""For machines that look after the system: is the process alive, is it ready, and how does it stand in numbers?"""

import hmac
import ipaddress
from datetime import timedelta

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from engine.heartbeats import Pulse
from web import metrics, schema
from web.context import db, now, services

pages = Blueprint("health", __name__)

#: A clock that has not begun a turn for so long stands still. A turn may take its time over a slow mail server.
STANDS_STILL = timedelta(minutes=5)
#: What a proxy adds: the request then comes from elsewhere, though the connection does not.
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via")


@pages.get("/healthz")
def alive() -> ResponseReturnValue:
    """The process answers. Asks nothing of anybody else, so that an absent database restarts no process."""
    return _words("The process is alive.")


@pages.get("/readyz")
def ready() -> ResponseReturnValue:
    """May requests be sent here? 503 with the reason where not."""
    problem = _unready()
    return _words(problem, 503) if problem else _words("Ready.")


def _unready() -> str:
    try:
        db().execute(text("SELECT 1"))
        found = schema.standing(services().database)
    except SQLAlchemyError:
        return "The database does not answer."
    if found in ("missing", "behind"):
        return "The database's schema is older than this program. Run `avtaleflyt migrate`."
    if found == "outgrown":
        return "The database's schema has left this program behind. Install the newer program."
    pulse = metrics.state().pulse
    return "The clock in this process stands still." if pulse is not None and _stands_still(pulse) else ""


def _stands_still(pulse: Pulse) -> bool:
    return pulse.turned_at is None or now() - pulse.turned_at > STANDS_STILL


@pages.get("/metrics")
def numbers() -> ResponseReturnValue:
    """Everything that is counted, as Prometheus reads it. For this machine, or for whoever has the token."""
    refusal = _refusal()
    if refusal is not None:
        return refusal
    return Response(metrics.exposition(), content_type=metrics.CONTENT_TYPE)


def _refusal() -> ResponseReturnValue | None:
    token = services().settings.metrics_token.get_secret_value()
    if token:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if hmac.compare_digest(given, f"Bearer {token}".encode()):
            return None
        refused = _words("Send `Authorization: Bearer` with the token of AVTALEFLYT_METRICS_TOKEN.", 401)
        refused.headers["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return refused
    if _from_this_machine():
        return None
    return _words("Only this machine may read this. Set AVTALEFLYT_METRICS_TOKEN to read it from elsewhere.", 403)


def _from_this_machine() -> bool:
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


def _words(words: str, status: int = 200) -> Response:
    return Response(f"{words}\n", status=status, content_type="text/plain; charset=utf-8")
