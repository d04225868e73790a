"""Oversikt: for whoever leads, who has the ball, how late it is, and what slips next. Read without training."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import login_required

from agreements import bodies
from agreements.model import Body
from engine.errors import NotFound
from web.context import community, db, formatter, now, person
from web.pages import leader_views

pages = Blueprint("leader", __name__, url_prefix="/oversikt")


@pages.get("")
@login_required  # type: ignore[untyped-decorator]
def mine() -> ResponseReturnValue:
    """Every running case one may see."""
    return _page(None)


@pages.get("/<key>")
@login_required  # type: ignore[untyped-decorator]
def of_body(key: str) -> ResponseReturnValue:
    """The cases that come before a body, or that its members take part in."""
    found = next((body for body in bodies.all_of(db(), community()) if body.key == key), None)
    if found is None:
        raise NotFound(_("Organet finnes ikke."))
    return _page(found)


def _page(body: Body | None) -> str:
    ids = leader_views.of_body(body) if body is not None else leader_views.of_reader()
    whole = bool(request.args.get("alle"))
    found = leader_views.overview(db(), person(), ids, formatter(), now=now(), body=body, whole=whole)
    return render_template(
        "leader/overview.html", body=body, found=found, whole=whole,
        bodies=leader_views.bodies_with_cases(db(), person()),
    )  # fmt: skip
