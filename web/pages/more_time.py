"""Be om mer tid: whoever has a task asks; the owner sees what it would do to the meetings, and says yes or no."""

from collections.abc import Callable, Sequence
from datetime import date

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from agreements import more_time, moving, standings
from agreements.model import MoreTimeRequest
from engine import identity
from engine.errors import InvalidInput, NotAllowed, NotOpen, Stale
from engine.model import ProcessInstance
from web.context import acting, db, formatter, now, person, today
from web.pages import moving_views, task_words
from web.pages.act_forms import MAX_REASON, Problem, date_given, reason_given, revision_seen
from web.pages.moving import tried_out

pages = Blueprint("more_time", __name__)


@pages.before_request
def _signed_in() -> None:
    if not current_user.is_authenticated:
        abort(401)


@pages.app_context_processor
def _for_other_pages() -> dict[str, Callable[..., Sequence[MoreTimeRequest]]]:
    return {"more_time_requests": _waiting}


def _waiting(instance: ProcessInstance | None = None) -> Sequence[MoreTimeRequest]:
    """Requests that wait for whoever is here: in one case, or in all of theirs."""
    if instance is None:
        return more_time.waiting_for(db(), person())
    return more_time.waiting_of_case(db(), instance.id) if identity.owns(person(), instance) else ()


# --- asking -----------------------------------------------------------------------------------------------------------


@pages.route("/oppgaver/<public_id>/mer-tid", methods=["GET", "POST"])
def ask(public_id: str) -> ResponseReturnValue:
    """Ask for another due date, with a reason."""
    task = identity.task_by_id(db(), person(), public_id)
    if not task_words.fills(person(), task) or task.state != "open":
        raise NotAllowed(_("Oppgaven venter ikke på deg, så du kan ikke be om mer tid."))
    asked = more_time.waiting_of_task(db(), task.id)
    view = {"task": task, "title": task_words.title(task), "asked": asked, "active": "oppgaver"}
    problems: list[Problem] = []
    if request.method == "GET":
        return render_template("moving/ask.html", problems=problems, typed={}, max_reason=MAX_REASON, **view)
    day = date_given(problems, "wanted", _("Velg dagen du trenger."))
    reason = reason_given(problems, _("Skriv hvorfor du trenger mer tid."))
    if day is not None and not problems:
        try:
            with acting() as (session, actor):
                more_time.ask(
                    session, task.id, wanted=day, reason=reason, actor=actor, now=now(), revision=revision_seen()
                )
        except InvalidInput as refused:
            problems.append(Problem(field=str(refused.data.get("field", "wanted")), message=refused.message))
        else:
            flash(_("Spørsmålet er sendt til eieren av saken. Fristen er den samme til du får svar."), "success")
            return redirect(url_for("tasks.show", public_id=public_id), 303)
    text = render_template("moving/ask.html", problems=problems, typed=request.form, max_reason=MAX_REASON, **view)
    return text, 422


# --- answering --------------------------------------------------------------------------------------------------------


@pages.route("/mer-tid/<public_id>", methods=["GET", "POST"])
def answer(public_id: str) -> ResponseReturnValue:
    """What more time would do to the case, and the owner's yes or no."""
    found = more_time.find(db(), person(), public_id)
    if found.state != "open" or found.task.state != "open":
        flash(_("Forespørselen er alt besvart, eller oppgaven er ferdig."), "info")
        return redirect(url_for("cases.show", id=found.instance.public_id), 303)
    if request.method == "GET":
        return _show(found, found.wanted)
    problems: list[Problem] = []
    if request.form.get("svar") == "nei":
        return _refuse(found, problems)
    day = date_given(problems, "due_date", _("Velg den nye fristen."))
    if day is not None and day < today():
        problems.append(Problem(field="due_date", message=_("Fristen må være i dag eller senere.")))
    if day is None or problems:
        return _show(found, found.wanted, problems)
    if request.form.get("vist") != day.isoformat():
        return _show(found, day)  # another day than the one whose effect was seen
    reason = request.form.get("reason", "").strip()[:MAX_REASON]
    done = _("%(whom)s har fått ny frist: %(day)s.", whom=standings.asked(found.task), day=formatter().dato(day))
    return _answered(
        found,
        done,
        lambda session, actor: more_time.grant(
            session, public_id, day=day, actor=actor, now=now(), reason=reason, revision=revision_seen()
        ),
    )


def _refuse(found: MoreTimeRequest, problems: list[Problem]) -> ResponseReturnValue:
    reason = reason_given(problems, _("Skriv hvorfor det ikke går. Den som spurte, får lese det."))
    if problems:
        return _show(found, found.wanted, problems)
    return _answered(
        found,
        _("Fristen står. Den som spurte, får vite hvorfor."),
        lambda session, actor: more_time.refuse(
            session, found.public_id, actor=actor, now=now(), reason=reason, revision=revision_seen()
        ),
    )


def _answered(found: MoreTimeRequest, message: str, act: Callable[..., MoreTimeRequest]) -> ResponseReturnValue:
    target = url_for("cases.show", id=found.instance.public_id)
    try:
        with acting() as (session, actor):
            act(session, actor)
    except (Stale, NotOpen):
        flash(_("Oppgaven er endret siden du åpnet siden. Se på den på nytt."), "info")
        return redirect(url_for("more_time.answer", public_id=found.public_id), 303)
    flash(message, "success")
    return redirect(target, 303)


def _show(found: MoreTimeRequest, day: date, problems: Sequence[Problem] = ()) -> ResponseReturnValue:
    change = moving.of_case(found.instance, due_dates={found.task_id: day})
    tried = tried_out(change)
    text = render_template(
        "moving/answer.html", asked=found, whom=standings.asked(found.task), day=day,
        effects=moving_views.of_more_time(db(), found.instance, tried, formatter()),
        problems=problems, typed=request.form, max_reason=MAX_REASON, instance=found.instance, active="saker",
    )  # fmt: skip
    return text, 422 if problems else 200
