"""The answer while the database is away or full: in plain words, with what the reader wrote kept on the page.

Nothing here asks the database.
"""

import logging
import re

from flask import current_app, g, jsonify, request
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_wtf.csrf import validate_csrf
from wtforms.validators import ValidationError  # type: ignore[import-untyped]

from engine.outages import Outage

#: When a program may try again; a database that is started anew takes about so long.
RETRY_SECONDS = 10
_STATUS = {Outage.AWAY: 503, Outage.FULL: 507}
_TITLE = {Outage.AWAY: "Unavailable", Outage.FULL: "InsufficientStorage"}
_DETAIL = {
    Outage.AWAY: "The database does not answer. Try again later.",
    Outage.FULL: "There is no room to save anything. Try again when there is.",
}
#: Never shown or kept in a page.
_SECRET = re.compile("pass", re.IGNORECASE)

log = logging.getLogger(__name__)


def answer(outage: Outage, *, as_json: bool) -> ResponseReturnValue:
    """A problem document, or a page from which the same can be tried again."""
    log.error("nothing can be read or saved: the database is %s", outage)
    status = _STATUS[outage]
    headers = {"Retry-After": str(RETRY_SECONDS)} if outage is Outage.AWAY else {}
    if as_json:
        return jsonify({"title": _TITLE[outage], "detail": _DETAIL[outage], "status": status}), status, headers
    return _page(outage), status, headers


def _page(outage: Outage) -> str:
    kept = _kept()
    heading, what_happened, remedy = _words(outage, has_form=kept is not None)
    # Not `render_template`: what it adds to every page, such as who is reading, comes from the database.
    template = current_app.jinja_env.get_template("unavailable.html")
    return template.render(
        language=str(get_locale() or "nb"), heading=heading, what_happened=what_happened, remedy=remedy,
        again=request.full_path.rstrip("?"), kept=kept, written=_written(kept or []),
        has_files=any(file.filename for file in request.files.values()), reference=g.get("request_id", ""),
    )  # fmt: skip


def _words(outage: Outage, *, has_form: bool) -> tuple[str, str, str]:
    if outage is Outage.FULL:
        remedy = _("Gi beskjed til sekretariatet. Prøv igjen når de har ryddet plass.")
        return _("Det er ikke plass til mer"), _("Tjenesten er full, og ingenting kan lagres."), remedy
    heading = _("Tjenesten er borte et øyeblikk")
    what_happened = _("Vi får verken hentet eller lagret noe akkurat nå. Feilen er hos oss.")
    if has_form:
        return heading, what_happened, _("Det du skrev, ligger på denne siden. Vent et minutt, og prøv igjen herfra.")
    return heading, what_happened, _("Vent et minutt, og prøv igjen.")


def _kept() -> list[tuple[str, str]] | None:
    """The fields of the form that was sent; None where there is none, it has a secret, or another site made it."""
    if request.method != "POST" or any(_SECRET.search(name) for name in request.form):
        return None
    if current_app.config.get("WTF_CSRF_ENABLED", True):
        try:
            validate_csrf(request.form.get("csrf_token"))
        except ValidationError:
            return None
    return list(request.form.items(multi=True))


def _written(fields: list[tuple[str, str]]) -> list[str]:
    """What people wrote: values with a space in them are no codes."""
    return [value for _name, value in fields if " " in value.strip()]
