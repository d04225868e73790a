"""Every refusal as a friendly page, or as a problem document for the API.

No trace reaches a person; every one reaches the log.
"""

import logging

from apiflask import APIFlask
from flask import flash, g, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from engine.errors import EngineError, InvalidAnswers
from engine.outages import outage
from web import outages

log = logging.getLogger(__name__)


def register(app: APIFlask) -> None:
    """Let every error become an answer."""
    app.register_error_handler(EngineError, _refused)
    app.register_error_handler(CSRFError, _expired)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(DBAPIError, _database_failed)
    app.register_error_handler(PoolTimeout, _database_failed)
    app.register_error_handler(Exception, _fault)


def wants_json() -> bool:
    """Is this a call of the API?"""
    return request.path.startswith("/api/")


def _refused(error: EngineError) -> ResponseReturnValue:
    if wants_json():
        status = 412 if error.status == 409 and request.headers.get("If-Match") else error.status
        document: dict[str, object] = {"title": type(error).__name__, "detail": error.message, "status": status}
        if isinstance(error, InvalidAnswers):
            document["errors"] = [{"key": p.key, "label": p.label, "message": p.message} for p in error.problems]
        if "act" in error.data:  # somebody else was first: what they did, who it was and when
            document["happened"] = {name: error.data[name] for name in ("act", "by", "at")}
        return jsonify(document), status
    # The engine speaks to operators and programs, in English; people get the page's own words.
    return page(error.status, error.message if error.status == 422 else None)


def _expired(error: CSRFError) -> ResponseReturnValue:
    return page(400, _("Siden var åpen for lenge. Gå tilbake, last den på nytt og prøv igjen."))


def _http(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if wants_json():
        return jsonify({"title": error.name, "detail": error.description, "status": status}), status
    if status == 401:
        flash(_("Logg inn først."), "info")
        return redirect(url_for("auth.login", next=request.full_path.rstrip("?")))
    return page(status, None)


def _database_failed(error: Exception) -> ResponseReturnValue:
    found = outage(error)
    return outages.answer(found, as_json=wants_json()) if found else _fault(error)


def _fault(error: Exception) -> ResponseReturnValue:
    log.exception("unexpected error", extra={"route": request.url_rule.rule if request.url_rule else "unknown"})
    if wants_json():
        return jsonify({"title": "InternalError", "detail": "Something went wrong on our side.", "status": 500}), 500
    return page(500, None)


def page(status: int, message: str | None) -> ResponseReturnValue:
    """The error page: what happened and what one can do."""
    heading, what_happened, remedy = _words(status)
    try:
        text = render_template(
            "error.html", heading=heading, what_happened=message or what_happened, remedy=remedy,
            reference=g.get("request_id") if status >= 500 else None,
        )  # fmt: skip
    except (DBAPIError, PoolTimeout) as error:  # every page says who is reading, which the database knows
        return _database_failed(error)
    return text, status


def _words(status: int) -> tuple[str, str, str]:
    known = {
        400: (
            _("Vi forsto ikke forespørselen"),
            _("Noe i adressen eller skjemaet var feil."),
            _("Gå tilbake og prøv igjen."),
        ),
        403: (
            _("Du har ikke tilgang"),
            _("Dette kan du ikke gjøre."),
            _("Spør sekretariatet hvis du mener du skal kunne det."),
        ),
        404: (
            _("Vi finner ikke siden"),
            _("Den kan være flyttet, eller du har ikke tilgang til den."),
            _("Se om oppgaven ligger i listen din."),
        ),
        409: (
            _("Noen andre rakk det først"),
            _("Saken er endret siden du åpnet siden."),
            _("Gå tilbake, ta vare på det du skrev, og last siden på nytt."),
        ),
        410: (_("Lenken virker ikke lenger"), _("Den er brukt eller for gammel."), _("Be sekretariatet om en ny.")),
        413: (
            _("Filen er for stor"),
            _("Vi kunne ikke ta imot filen."),
            _("Gjør den mindre, eller send den til sekretariatet."),
        ),
        422: (_("Dette går ikke"), _("Noe mangler eller stemmer ikke."), _("Gå tilbake og rett det.")),
    }
    unknown = (
        _("Noe gikk galt hos oss"),
        _("Feilen er meldt. Ingenting av det du har lagret, er borte."),
        _("Prøv igjen om litt."),
    )
    return known.get(status, unknown)
