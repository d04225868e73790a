"""Drift: for administrators, how the system stands, and what they can do about jobs and mails that failed."""

import logging

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from engine import operations
from engine.errors import NotAllowed, NotFound
from engine.model import Job
from notifications.model import Delivery
from web import resending
from web.context import acting, db, now, person, services
from web.pages import act_forms, operations_views
from web.pages.act_forms import MAX_REASON, Problem

pages = Blueprint("operations", __name__, url_prefix="/drift")
log = logging.getLogger(__name__)


@pages.before_request
def _administrators() -> None:
    if not current_user.is_authenticated:
        abort(401)
    if not person().is_admin:
        raise NotAllowed(_("Bare administratorer ser driften."))


@pages.get("")
def index() -> ResponseReturnValue:
    """Everything at one look: what is late, what failed, what runs."""
    found = operations_views.overview(db(), person(), services().database, services().settings, now=now())
    return render_template("operations/index.html", found=found)


@pages.route("/jobber/<int(max=999999999999):number>/prov-igjen", methods=["GET", "POST"])
def retry(number: int) -> ResponseReturnValue:
    """Have a job tried again now."""
    if request.method == "GET":
        return _page("retry.html", _job(number))
    with acting() as (session, actor):
        job = operations.find_job(session, actor.community_id, number)
        operations.retry_job(session, job, now=now(), actor_id=actor.id)
    log.info("job retried", extra={"job": number, "user": actor.id})
    flash(_("Jobben prøves på nytt nå."), "success")
    return redirect(url_for("operations.index"), 303)


@pages.route("/jobber/<int(max=999999999999):number>/kast", methods=["GET", "POST"])
def drop(number: int) -> ResponseReturnValue:
    """Throw a message away that nobody waits for."""
    job = _job(number)
    if not operations.may_drop(job):
        raise NotFound(_("Bare beskjeder som ingen har tatt imot, kan kastes."))
    problems: list[Problem] = []
    if request.method == "GET":
        return _page("drop.html", job)
    reason = act_forms.reason_given(problems, _("Skriv hvorfor beskjeden kastes."))
    if problems:
        return _page("drop.html", job, problems), 422
    with acting() as (session, actor):
        held = operations.find_job(session, actor.community_id, number)
        operations.drop_message(session, held, now=now(), actor_id=actor.id, reason=reason)
    log.info("message thrown away", extra={"job": number, "user": actor.id})
    flash(_("Beskjeden er kastet."), "success")
    return redirect(url_for("operations.index"), 303)


@pages.route("/e-post/<id>/send-igjen", methods=["GET", "POST"])
def resend(id: str) -> ResponseReturnValue:
    """Have a mail that did not arrive, or perhaps did not, sent again."""
    mail = resending.find(db(), person().community_id, id)
    problems: list[Problem] = []
    if request.method == "GET":
        return _mail_page(mail)
    reason = act_forms.reason_given(problems, _("Skriv hvorfor e-posten sendes på nytt."))
    if problems:
        return _mail_page(mail, problems), 422
    with acting() as (session, actor):
        held = resending.find(session, actor.community_id, id)
        resending.send_again(session, held, now=now(), actor_id=actor.id, reason=reason)
    log.info("mail sent again", extra={"delivery": id, "user": actor.id})
    flash(_("E-posten sendes på nytt nå."), "success")
    return redirect(url_for("operations.index"), 303)


def _mail_page(mail: Delivery, problems: list[Problem] | None = None) -> str:
    return render_template(
        "operations/resend.html", mail=operations_views.mail_line(db(), mail), problems=problems or [],
        typed=request.form, max_reason=MAX_REASON,
    )  # fmt: skip


def _job(number: int) -> Job:
    return operations.find_job(db(), person().community_id, number)


def _page(template: str, job: Job, problems: list[Problem] | None = None) -> str:
    line = operations_views.job_line(db(), job)
    return render_template(
        f"operations/{template}", job=line, problems=problems or [], typed=request.form, max_reason=MAX_REASON
    )
