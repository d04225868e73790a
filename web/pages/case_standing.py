"""What the owner does with the whole case and with those it asks: on hold, on again, reopened; one more, one fewer.

And what anyone does who wants an answer of their own back.
"""

from collections.abc import Callable, Mapping

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import login_required
from sqlalchemy import select

from agreements import standings
from engine import identity, standing, surveys, taking_back, user_tasks
from engine.errors import EngineError, InvalidInput, NotOpen
from engine.model import Community, UserTask
from web import survey_items
from web.context import acting, db, now, person
from web.pages import act_forms, task_words
from web.pages.act_forms import Problem


def register(pages: Blueprint) -> None:
    """Add these acts' addresses to the blueprint of the cases."""
    for address, view in _ROUTES.items():
        answered = view if view is take_back else act_forms.shown_again(view)
        pages.add_url_rule(address, view.__name__, login_required(answered), methods=["GET", "POST"])


# --- the whole case ---------------------------------------------------------------------------------------------------


def suspend(id: str) -> ResponseReturnValue:
    """Put the case on hold."""
    instance = act_forms.own(db(), person(), id)
    if act_forms.is_shown():
        return act_forms.page("suspend.html", instance)
    problems: list[Problem] = []
    reason = act_forms.reason_given(problems, _("Skriv hvorfor saken settes på vent. Begrunnelsen står i historikken."))
    if problems:
        return act_forms.page("suspend.html", instance, problems)
    with acting() as (session, actor):
        held = act_forms.locked(session, actor, id)
        standing.suspend(session, held, now=now(), actor_id=actor.id, reason=reason)
    return act_forms.done(id, _("Saken er satt på vent. Ingen får e-post om den før den fortsetter."))


def resume(id: str) -> ResponseReturnValue:
    """Let the case go on."""
    instance = act_forms.own(db(), person(), id)
    if act_forms.is_shown():
        return act_forms.page("resume.html", instance)
    reason = request.form.get("reason", "").strip()[: act_forms.MAX_REASON]
    with acting() as (session, actor):
        held = act_forms.locked(session, actor, id)
        standing.resume(session, held, now=now(), actor_id=actor.id, reason=reason)
    return act_forms.done(id, _("Saken fortsetter."))


def reopen(id: str) -> ResponseReturnValue:
    """Take an ended case back to where it was."""
    instance = act_forms.own(db(), person(), id)
    if act_forms.is_shown():
        return act_forms.page("reopen.html", instance)
    problems: list[Problem] = []
    day = None
    if request.form.get("due_date"):
        day = act_forms.date_given(problems, "due_date", _("Skriv fristen som en dato."))
    reason = act_forms.reason_given(problems, _("Skriv hvorfor saken åpnes igjen. Begrunnelsen står i historikken."))
    if not problems:
        try:
            with acting() as (session, actor):
                held = act_forms.locked(session, actor, id)
                standing.reopen(session, held, now=now(), actor_id=actor.id, reason=reason, due_date=day)
        except InvalidInput as refused:
            problems.append(_not_reopened(refused))
    if problems:
        return act_forms.page("reopen.html", act_forms.own(db(), person(), id), problems)
    return act_forms.done(id, _("Saken er åpnet igjen. De som skal svare, får e-post."))


def _not_reopened(refused: InvalidInput) -> Problem:
    if refused.data.get("field") == "due_date":
        return Problem(field="due_date", message=_("Fristene har gått ut. Velg en ny frist, i dag eller senere."))
    if refused.data.get("reason") == "ends-again":
        return Problem(field="reason", message=_("Saken ville blitt avsluttet igjen med det samme. Start en ny sak."))
    return Problem(field="reason", message=_("Saken hadde ingen steg å gå tilbake til. Start en ny sak."))


# --- those it asks ----------------------------------------------------------------------------------------------------


def ask_more(id: str) -> ResponseReturnValue:
    """Ask one more in a step that asks several."""
    instance = act_forms.own(db(), person(), id)
    offered = [a for a in survey_items.askings(db(), instance) if a.candidates]
    if act_forms.is_shown() or not offered:
        return act_forms.page("ask_more.html", instance, offered=offered)
    problems: list[Problem] = []
    given = request.form.get("whom", "")
    chosen = {f"{a.step.id}:{c.key}": (a.step.id, c) for a in offered for c in a.candidates}.get(given)
    if chosen is None:
        problems.append(Problem(field="whom", message=_("Velg hvem som skal spørres.")))
    reason = act_forms.reason_given(problems, _("Skriv hvorfor flere spørres. Begrunnelsen står i historikken."))
    if chosen is not None and not problems:
        step_id, candidate = chosen
        try:
            with acting() as (session, actor):
                held = act_forms.locked(session, actor, id)
                step = next(a.step for a in survey_items.askings(session, held) if a.step.id == step_id)
                community = session.get_one(Community, held.community_id)
                item = survey_items.item(session, community, step, candidate.key)
                surveys.add(session, step_id, item, actor=actor, now=now(), reason=reason)
        except InvalidInput:
            text = _("%(whom)s kan ikke spørres, fordi ingen kan svare for dem.", whom=candidate.name)
            problems.append(Problem(field="whom", message=text))
        else:
            return act_forms.done(id, _("%(whom)s er spurt og får e-post om det.", whom=candidate.name))
    return act_forms.page("ask_more.html", act_forms.own(db(), person(), id), problems, offered=offered)


def ask_fewer(id: str) -> ResponseReturnValue:
    """Choose who is not to be asked any more."""
    instance = act_forms.own(db(), person(), id)
    several = {a.step.id for a in survey_items.askings(db(), instance) if a.step.total > 1}
    query = select(UserTask).where(UserTask.step_id.in_(several), UserTask.state.in_(("open", "submitted", "pending")))
    tasks = db().scalars(query.order_by(UserTask.step_id, UserTask.position)).all()
    return act_forms.page("ask_fewer.html", instance, tasks=tasks)


def remove(id: str, task_id: str) -> ResponseReturnValue:
    """Withdraw the task of one who is asked."""
    instance = act_forms.own(db(), person(), id)
    task = act_forms.task_of(db(), instance, task_id)
    if act_forms.is_shown():
        return act_forms.page("remove.html", instance, task=task)
    problems: list[Problem] = []
    reason = act_forms.reason_given(problems, _("Skriv hvorfor de ikke skal spørres. Begrunnelsen står i historikken."))
    if problems:
        return act_forms.page("remove.html", instance, problems, task=task)
    whom = standings.asked(task)
    with acting() as (session, actor):
        held = act_forms.held(session, actor, id, task_id, "open", "submitted", "pending")
        surveys.remove(session, held.id, actor=actor, now=now(), reason=reason)
    return act_forms.done(id, _("%(whom)s spørres ikke lenger.", whom=whom))


# --- one's own answer -------------------------------------------------------------------------------------------------


def take_back(task_id: str) -> ResponseReturnValue:
    """Take one's own answer back, after saying what follows; or say why that is not possible."""
    task = identity.task_by_id(db(), person(), task_id)
    refusal = why_not(task)
    if request.method == "GET" or refusal:
        page = render_template("cases/take_back.html", task=task, refusal=refusal, title=task_words.title(task))
        return page, 409 if request.method == "POST" else 200
    reason = request.form.get("reason", "").strip()[: act_forms.MAX_REASON]
    try:
        with acting() as (session, actor):
            waits = taking_back.take_back(session, task.id, actor=actor, now=now(), reason=reason).state == "submitted"
    except NotOpen as late:
        flash(words_of(str(late.data.get("reason"))), "warning")
    except EngineError:
        flash(words_of("not-yours"), "warning")
    else:
        flash(_("Godkjenningen er trukket.") if waits else _("Svaret er trukket. Det ligger som utkast."), "success")
    return redirect(url_for("tasks.show", public_id=task_id), 303)


def why_not(task: UserTask) -> str:
    """What stands in the way of taking the answer back, in words; empty when nothing does."""
    held = user_tasks.Held(instance=task.instance, step=task.step, task=task)
    code = taking_back.why_not(db(), held, person())
    return words_of(code) if code else ""


def words_of(code: str) -> str:
    """Why an answer can't be taken back."""
    known = {
        "suspended": _("Saken er satt på vent. Vent til den fortsetter."),
        "cancelled": _("Saken er avsluttet."),
        "moved-on": _("Det har skjedd noe i saken etter at du svarte. Be den som styrer saken om å rette svaret."),
        "went-out": _("Saken sendte en melding på grunn av svaret. Be den som styrer saken om å rette svaret."),
        "step-over": _("Steget er avsluttet. Be den som styrer saken om å rette svaret."),
        "next-begun": _("Den neste har begynt å svare. Be den som styrer saken om å rette svaret."),
        "dates": _("Svaret flyttet datoer i saken. Be den som styrer saken om å flytte dem."),
    }
    return known.get(code, _("Bare den som sendte svaret, kan trekke det."))


_ROUTES: Mapping[str, Callable[..., ResponseReturnValue]] = {
    "/saker/<id>/sett-pa-vent": suspend,
    "/saker/<id>/fortsett": resume,
    "/saker/<id>/apne-igjen": reopen,
    "/saker/<id>/spor-flere": ask_more,
    "/saker/<id>/fjern": ask_fewer,
    "/saker/<id>/fjern/<task_id>": remove,
    "/oppgaver/<task_id>/angre": take_back,
}
