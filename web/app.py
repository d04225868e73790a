"""The composition root: builds the application from its services. Pages, API and error answers meet here."""

import json
import logging
import secrets
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from apiflask import APIFlask
from flask import Response, g, request, session
from flask_babel import Babel
from flask_babel import gettext as _
from flask_login import current_user
from flask_wtf.csrf import CSRFProtect

from engine import history
from engine.heartbeats import Pulse
from web import api, auth, compression, errors, formatting, guesses, health, logs, metrics
from web.context import close_session, community, formatter, today
from web.context import services as current_services
from web.pages import (
    about,
    absence,
    agreements,
    bounces,
    calendar_feeds,
    cases,
    deliveries,
    demo,
    leader,
    links,
    mail_alarm,
    mail_texts,
    meetings,
    migration,
    model_trial,
    models,
    more_time,
    moving,
    my_notifications,
    operations,
    rehearsal,
    respondents,
    starting,
    tasks,
    year,
)
from web.services import Services
from web.settings import Settings

STATIC = Path(__file__).parent / "static"
LOCALES = ("nb", "en")
CSP = (
    "default-src 'self'; img-src 'self' data:; font-src 'self'; style-src 'self'; script-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; frame-src 'self'"
)
#: Everything that is read in a browser.
_PAGES: tuple[Any, ...] = (
    auth.pages, tasks.pages, cases.pages, starting.pages, rehearsal.pages, year.pages, bounces.pages, deliveries.pages,
    leader.pages, meetings.pages, moving.pages, more_time.pages, agreements.pages, models.pages, model_trial.pages,
    migration.pages, about.pages, demo.pages, operations.pages, health.pages, links.pages, respondents.pages,
    respondents.owners, absence.pages, calendar_feeds.pages, my_notifications.pages, mail_texts.pages,
)  # fmt: skip
csrf = CSRFProtect()
log = logging.getLogger(__name__)


def create_app(services: Services, pulse: Pulse | None = None) -> APIFlask:
    """The web application. Starts no clock and opens no connection; `pulse` is of the clock that turns beside it."""
    app = APIFlask(
        "web", title="Avtaleflyt", version="1", static_folder=str(STATIC), docs_path=None,
        spec_path="/api/v1/openapi.json",
    )  # fmt: skip
    app.config.update(_config(services.settings))
    app.extensions["avtaleflyt"] = services
    metrics.register(app, services, pulse)
    csrf.init_app(app)
    auth.login_manager.init_app(app)
    auth.login_manager.login_view = "auth.login"
    Babel(app, locale_selector=locale)
    _add_pages(app)
    errors.register(app)
    app.before_request(_begin)
    guesses.register(app, services.settings)
    compression.register(app, STATIC)
    app.after_request(_headers)
    logs.register(app)
    app.teardown_request(close_session)
    app.jinja_env.filters.update(formatting.jinja_filters(formatter))
    app.jinja_env.globals["asset"] = asset
    app.context_processor(_page_context)
    return app


def _config(settings: Settings) -> dict[str, Any]:
    return {
        "SECRET_KEY": settings.signing_key(),
        "SECRET_KEY_FALLBACKS": [k for k in settings.secret_key_fallbacks.split(",") if k],
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.secure_cookies,
        "PERMANENT_SESSION_LIFETIME": timedelta(hours=12),
        "MAX_CONTENT_LENGTH": settings.max_upload_mb * 1_000_000,
        "MAX_FORM_MEMORY_SIZE": 2_000_000,
        "SEND_FILE_MAX_AGE_DEFAULT": 365 * 24 * 3600,  # built files are named by their content
        "WTF_CSRF_TIME_LIMIT": None,
        "BABEL_DEFAULT_LOCALE": "nb",
        "BABEL_TRANSLATION_DIRECTORIES": str(Path(__file__).parent / "translations"),
    }


def _add_pages(app: APIFlask) -> None:
    """The pages and the API; forms carry a token against forgery, except where something else binds them."""
    for blueprint in _PAGES:
        # APIFlask reads the attribute of blueprints that are not its own, too.
        blueprint.enable_openapi = False
        app.register_blueprint(blueprint)
    app.register_blueprint(api.blueprint)
    csrf.exempt(api.blueprint)
    csrf.exempt(bounces.pages)  # what arrives there is signed
    csrf.exempt(my_notifications.answer)  # mail programs call it by themselves; its address is signed
    for by_link in (links.pages, respondents.pages):
        csrf.exempt(by_link)  # their forms are bound to their link, and need no cookie


def locale() -> str:
    """The reader's language: chosen on the page, else the person's own."""
    return str(session.get("lang") or g.get("language", "nb"))


def _begin() -> None:
    if request.args.get("lang") in LOCALES:
        session["lang"] = request.args["lang"]
    g.request_id = secrets.token_hex(8)
    history.request_id.set(g.request_id)
    history.via.set(None)


def _headers(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", CSP)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
    headers.setdefault("X-Request-Id", g.get("request_id", ""))
    if request.endpoint != "static":
        headers.setdefault("Cache-Control", "no-store")
    return response


@cache
def _manifest() -> dict[str, str]:
    path = STATIC / "dist" / "manifest.json"
    return json.loads(path.read_text()) if path.exists() else {}


def asset(name: str) -> str:
    """The address of a built file."""
    return f"/static/dist/{_manifest().get(name, name)}"


def _page_context() -> dict[str, Any]:
    return {
        "community": community(),
        "secretariat_email": community().email,
        "locale": locale(),
        "today": today(),
        "user_links": _user_links(),
        "mail_alarm": mail_alarm.banner,
    }


def _user_links() -> list[tuple[str, str]]:
    demo_pages = [("/demo/e-post", _("E-poster i demoen")), ("/demo/klokke", _("Demoens klokke"))]
    operations = [("/drift", _("Drift"))] if current_user.is_authenticated and current_user.is_admin else []
    own = [
        ("/varsler", _("Varsler til meg")),
        ("/fravaer", _("Meld fravær og stedfortreder")),
        ("/kalender", _("Kalender")),
    ]
    shared = [("/oversikt", _("Oversikt")), ("/e-poster", _("E-poster")), ("/modeller", _("Modeller"))]
    return [*own, *shared, *operations, *(demo_pages if current_services().settings.demo else [])]
