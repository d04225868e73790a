"""Oversikt: for whoever leads, who has the ball, how late it is, and what slips next. Read without training."""

from flask import Blueprint, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import login_required

from agreements import bodies, overviews
from agreements.model import Body
from engine.errors import NotFound
from engine.model import User
from notifications import weekly
from web.context import acting, community, db, formatter, now, person, services
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
    return _page(_body(key))


def _body(key: str) -> Body:
    found = next((body for body in bodies.all_of(db(), community()) if body.key == key), None)
    if found is None:
        raise NotFound(_("Organet finnes ikke."))
    return found


@pages.post("")
@login_required  # type: ignore[untyped-decorator]
def send_weekly() -> ResponseReturnValue:
    """Have the page as a mail every week, or no longer."""
    return _follow(None)


@pages.post("/<key>")
@login_required  # type: ignore[untyped-decorator]
def send_body_weekly(key: str) -> ResponseReturnValue:
    """Have the body's page as a mail every week, or no longer."""
    return _follow(_body(key))


def _follow(body: Body | None) -> ResponseReturnValue:
    page, on = _page_key(body), request.form.get("weekly") == "1"
    with acting() as (session, actor):
        others = set(weekly.pages_of(session, actor.id)) - {page}
        wanted = sorted({page, *others} if on else others)
        user = session.get_one(User, actor.id)
        weekly.choose(session, user, wanted, now=now(), settings=services().notifications)
    flash(
        _("Du får dette på e-post hver mandag, så lenge det er noe å si.") if on
        else _("Du får ikke lenger dette på e-post."), "success",
    )  # fmt: skip
    return redirect(request.path, 303)


def _page_key(body: Body | None) -> str:
    return body.key if body is not None else weekly.EVERYTHING


def _page(body: Body | None) -> str:
    whole = bool(request.args.get("alle"))
    found = leader_views.overview(db(), person(), formatter(), now=now(), body=body, whole=whole)
    return render_template(
        "leader/overview.html", body=body, found=found, whole=whole,
        weekly=_page_key(body) in weekly.pages_of(db(), person().id), next_mail=weekly.next_mail(db(), person().id),
        bodies=overviews.bodies_with_cases(db(), person()),
    )  # fmt: skip
