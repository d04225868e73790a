"""Guessing is slowed: whoever fails to sign in, or sends tokens that nobody has, must wait after some tries.

Only failures count, per account and per address, in the memory of this process. Whose address it is, a proxy says; as
many proxies are believed as the settings name.
"""

import hashlib
import logging
import math
from datetime import timedelta
from typing import Any

from apiflask import APIFlask
from babel.dates import format_timedelta
from flask import Response, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_limiter import Limiter, RateLimitExceeded
from werkzeug.middleware.proxy_fix import ProxyFix

from engine.clock import utc_now
from web import api
from web.pages import links, respondents
from web.settings import Settings

#: Failures that are let through. A whole town hall may come from one address, a person from many.
OF_ACCOUNT, OF_ADDRESS = "10 per 15 minutes", "50 per 15 minutes"
#: Reads of one calendar that are let through; programs ask each hour, or each quarter.
OF_CALENDAR = "60 per hour"
#: Open answers to a survey that are taken from one address.
OF_RESPONDENTS = "60 per 15 minutes"
_LOGIN, _CALENDAR = "auth.login", "calendar_feeds.read"
log = logging.getLogger(__name__)


def _address() -> str:
    return _digest(request.remote_addr or "")


def _account() -> str:
    return _digest(request.form.get("email", "").strip().casefold())


def _digest(text: str) -> str:
    # The limiter's own log lines show its keys, and neither accounts nor addresses belong in a log.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def _did_not_fit(response: Response) -> bool:
    return response.status_code == 422


def _was_nobody(response: Response) -> bool:
    return response.status_code == 401


def _was_no_link(response: Response) -> bool:
    return response.status_code == 404


def _sends_no_token() -> bool:
    return "Authorization" not in request.headers


def register(app: APIFlask, settings: Settings) -> None:
    """Let the application count failures, by the address that the trusted proxies tell of."""
    if count := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count)  # type: ignore[method-assign]
    # Each application has a limiter, and so a memory, of its own.
    limiter = Limiter(_address, storage_uri="memory://", strategy="moving-window")
    limiter.init_app(app)
    guarded: Any = app.view_functions[_LOGIN]
    for limit, key in ((OF_ADDRESS, _address), (OF_ACCOUNT, _account)):
        guarded = limiter.limit(limit, key_func=key, methods=["POST"], deduct_when=_did_not_fit)(guarded)
    app.view_functions[_LOGIN] = guarded
    tokens = limiter.shared_limit(OF_ADDRESS, scope="tokens", deduct_when=_was_nobody, exempt_when=_sends_no_token)
    tokens(api.blueprint)
    unknown = limiter.shared_limit(OF_ADDRESS, scope="links", deduct_when=_was_no_link)
    unknown(links.pages)
    limiter.limit(OF_RESPONDENTS, methods=["POST"])(respondents.pages)
    unknown(respondents.pages)
    calendars = limiter.shared_limit(OF_ADDRESS, scope="calendars", deduct_when=_was_no_link)
    reading = limiter.limit(OF_CALENDAR, key_func=lambda: _digest(request.path))
    read: Any = app.view_functions[_CALENDAR]
    app.view_functions[_CALENDAR] = calendars(reading(read))
    app.register_error_handler(RateLimitExceeded, lambda error: _wait(limiter))


def _wait(limiter: Limiter) -> ResponseReturnValue:
    breached = limiter.current_limit
    assert breached is not None, "a limit was just exceeded"
    seconds = max(1, math.ceil(breached.window.reset_time - utc_now().timestamp()))
    log.warning("too many failures", extra={"limit": str(breached.limit)})
    # Programs read calendars, and no page.
    page = "" if request.endpoint == _CALENDAR else _page(seconds)
    answer = _problem() if request.path.startswith("/api/") else Response(page)
    answer.status_code, answer.headers["Retry-After"] = 429, str(seconds)
    return answer


def _problem() -> Response:
    detail = "Too many requests with a token that nobody has. Wait as long as Retry-After says, and check the token."
    answer = jsonify({"title": "TooManyFailures", "detail": detail, "status": 429})
    answer.content_type = "application/problem+json"
    return answer


def _page(seconds: int) -> str:
    minutes = timedelta(minutes=math.ceil(seconds / 60))
    wait = format_timedelta(minutes, granularity="minute", threshold=60, locale=str(get_locale() or "nb"))
    return render_template(
        "error.html", heading=_("Vent litt før du prøver igjen"),
        what_happened=_("E-postadressen og passordet passet ikke sammen for mange ganger.")
        if request.endpoint == _LOGIN else _("Det har kommet for mange forsøk fra nettverket du er på."),
        remedy=_(
            "Prøv igjen om %(time)s. Har du glemt passordet, kan sekretariatet sende deg en ny invitasjon.", time=wait
        )
        if request.endpoint == _LOGIN else _("Prøv igjen om %(time)s.", time=wait),
        back_url="/logg-inn", back_text=_("Til innloggingen"),
    )  # fmt: skip
