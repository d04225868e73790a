"""What the owner of a case can do with it: each act is a page that says what will happen, asks why, and then does it.

A refused form is shown again with what was typed. Acts lock the case through the engine's slices; nothing here commits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import login_required
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from agreements import moving as changes
from agreements import standings
from engine import history, identity, process_instances, steering, task_forms, user_tasks
from engine.errors import InvalidInput, NotFound, NotOpen, Stale
from engine.form_definitions import Option
from engine.form_nodes import field_nodes
from engine.model import ProcessInstance, Step, User, UserTask
from notifications import reconciling
from web import forms
from web.context import acting, db, formatter, now, person, services, today
from web.pages import (
    act_forms,
    case_facts,
    case_history,
    case_mending,
    case_standing,
    case_status,
    moving,
    moving_views,
    sent_back,
    task_documents,
)

OUTCOME = case_history.OUTCOME


def register(pages: Blueprint) -> None:
    """Add the acts' addresses to the blueprint of the cases."""
    for address, view in _ROUTES.items():
        endpoint = view.__name__
        answered = login_required(act_forms.shown_again(view))
        pages.add_url_rule(f"/saker/<id>/{address}", endpoint, answered, methods=["GET", "POST"])
    pages.app_context_processor(sent_back.for_other_pages)
    case_mending.register(pages)
    case_standing.register(pages)


# --- reminding --------------------------------------------------------------------------------------------------------


def remind(id: str) -> ResponseReturnValue:
    """Remind those who have not answered, after showing who they are."""
    wanted = set(request.values.getlist("oppgave"))
    if act_forms.is_shown():
        instance = act_forms.own(db(), person(), id)
        waiting = [t for t in _waiting(instance) if (t.public_id in wanted if wanted else not _is_own(t))]
        people = {user.id: user for user in _holders(db(), waiting)}
        return act_forms.page("remind.html", instance, tasks=waiting, people=list(people.values()), wanted=wanted)
    with acting() as (session, actor):
        instance = process_instances.locked(session, act_forms.own(session, actor, id).id)
        process_instances.require_active(instance)
        tasks = [t for t in _waiting(instance, session) if t.public_id in wanted]
        user = session.get_one(User, actor.id)
        sent = reconciling.remind_now(
            session, instance, tasks, now=now(), actor=user, settings=services().notifications
        )
        if sent:
            ids = [task.id for task in tasks]
            history.record(session, instance, "reminded", now=now(), actor_id=user.id, mails=sent, tasks=ids)
    if not sent:
        flash(_("Ingen påminnelse er sendt: de som mangler, er påminnet den siste timen."), "info")
        return redirect(url_for("cases.show", id=id), 303)
    return act_forms.done(id, _("Én påminnelse er sendt.") if sent == 1 else _("%(n)s påminnelser er sendt.", n=sent))


def _is_own(task: UserTask) -> bool:
    """Nobody needs to be reminded of what waits for themselves."""
    return identity.concerns(person(), task)


def _waiting(instance: ProcessInstance, session: Session | None = None) -> list[UserTask]:
    query = select(UserTask).where(UserTask.instance_id == instance.id, UserTask.state.in_(user_tasks.OPEN))
    people = (joinedload(UserTask.assignee), joinedload(UserTask.approver), joinedload(UserTask.candidate_group))
    return list((session or db()).scalars(query.options(*people).order_by(UserTask.step_id, UserTask.position)))


def _holders(session: Session, tasks: Sequence[UserTask]) -> list[User]:
    ids = {i for task in tasks for i in reconciling.holders_of(session, task)}
    return list(session.scalars(select(User).where(User.id.in_(ids)).order_by(User.name))) if ids else []


# --- one party's task -------------------------------------------------------------------------------------------------


def extend(id: str, task_id: str) -> ResponseReturnValue:
    """Give one party another date; the others keep theirs."""
    instance = act_forms.own(db(), person(), id)
    task = act_forms.task_of(db(), instance, task_id)
    if act_forms.is_shown():
        return act_forms.page("extend.html", instance, task=task)
    problems: list[act_forms.Problem] = []
    day = act_forms.date_given(problems, "due_date", _("Velg den nye fristen."))
    if day is not None and day < today():
        problems.append(act_forms.Problem(field="due_date", message=_("Fristen må være i dag eller senere.")))
    reason = act_forms.reason_given(problems, _("Skriv hvorfor fristen endres. Begrunnelsen står i historikken."))
    if problems or day is None:
        return act_forms.page("extend.html", instance, problems, task=task)
    if request.form.get("vist") != day.isoformat():
        return _effects_of(instance, task, day)
    whom, words = standings.asked(task), formatter()
    with acting() as (session, actor):
        held = act_forms.held(session, actor, id, task_id)
        steering.extend(session, held.id, due_date=day, actor=actor, now=now(), reason=reason)
    return act_forms.done(id, _("%(whom)s har fått ny frist: %(day)s.", whom=whom, day=words.dato(day)))


def _effects_of(instance: ProcessInstance, task: UserTask, day: date) -> ResponseReturnValue:
    """The form again, with what the new date does to the case. Raises Stale."""
    if act_forms.revision_seen() not in (None, task.revision):
        raise Stale(_("Oppgaven er endret siden du åpnet siden. Se på den på nytt."))
    try:
        tried = moving.tried_out(changes.of_case(instance, due_dates={task.id: day}))
    except (InvalidInput, NotOpen) as refused:
        problems = [act_forms.Problem(field="due_date", message=refused.message)]
        return act_forms.page("extend.html", instance, problems, task=task)
    effects = moving_views.of_more_time(db(), instance, tried, formatter())
    return act_forms.page("extend.html", instance, status=200, task=task, day=day, effects=effects)


def reassign(id: str, task_id: str) -> ResponseReturnValue:
    """Give the task to another person."""
    instance = act_forms.own(db(), person(), id)
    task = act_forms.task_of(db(), instance, task_id)
    people = _people(db(), instance, task)
    if act_forms.is_shown():
        return act_forms.page("reassign.html", instance, task=task, people=people)
    problems: list[act_forms.Problem] = []
    chosen = next((user for user in people if user.key == request.form.get("to")), None)
    if chosen is None:
        problems.append(act_forms.Problem(field="to", message=_("Velg hvem som skal ha oppgaven.")))
    reason = act_forms.reason_given(
        problems, _("Skriv hvorfor oppgaven går til en annen. Begrunnelsen står i historikken.")
    )
    if problems or chosen is None:
        return act_forms.page("reassign.html", instance, problems, task=task, people=people)
    name, key = chosen.name, chosen.key
    with acting() as (session, actor):
        held = act_forms.held(session, actor, id, task_id, "open")
        to = identity.user(session, held.community_id, key)
        user_tasks.delegate(session, held.id, to=to, actor=actor, now=now(), reason=reason)
    return act_forms.done(id, _("%(name)s har fått oppgaven og får vite om den på e-post.", name=name))


def _people(session: Session, instance: ProcessInstance, task: UserTask) -> list[User]:
    """Who may get the task, the members of its group first."""
    query = select(User).where(User.community_id == instance.community_id, User.active)
    everyone = list(session.scalars(query.where(User.id != (task.assignee_id or 0)).order_by(User.name)))
    group = task.candidate_group_id
    near = {u.id for u in identity.members(session, group)} if group else set()
    return sorted(everyone, key=lambda user: user.id not in near)


def correct(id: str, task_id: str) -> ResponseReturnValue:
    """Correct a given answer; what the case already did with it stands."""
    instance = act_forms.own(db(), person(), id)
    task = act_forms.task_of(db(), instance, task_id)
    if task.state != "completed":
        raise NotFound(_("Bare et svar som er gitt, kan rettes."))
    form, inputs = task_forms.form_of(db(), instance, task)
    inputs = {**inputs, "files": task_documents.names(db(), [task.id])[task.id]}
    if request.method == "GET":
        view = forms.layout(form, task.answers or {}, inputs)
        return act_forms.page("correct.html", instance, task=task, form=view)
    answers = forms.parse(form, request.form, inputs)
    problems: list[act_forms.Problem] = []
    reason = request.form.get("reason", "").strip()
    if forms.is_row_button(request.form) or act_forms.is_shown():
        return act_forms.page("correct.html", instance, task=task, form=forms.layout(form, answers, inputs))
    act_forms.reason_given(problems, _("Skriv hvorfor svaret rettes. Begrunnelsen står i historikken."))
    errors = form.validate(answers, inputs)
    if problems or errors:
        return act_forms.page(
            "correct.html", instance, problems, task=task, form=forms.layout(form, answers, inputs, errors)
        )
    with acting() as (session, actor):
        held = user_tasks.hold(session, act_forms.task_of(session, act_forms.own(session, actor, id), task_id).id)
        if act_forms.revision_seen() not in (None, held.task.revision):
            raise Stale(_("Svaret er endret siden du åpnet siden. Se på det på nytt."))
        steering.correct(session, held.task.id, answers, actor=actor, now=now(), reason=reason)
    flash(_("Svaret er rettet."), "success")
    return redirect(url_for("cases.answer", id=id, task_id=task_id), 303)


def hand_over(id: str) -> ResponseReturnValue:
    """Choose the task that another person is to have."""
    instance = act_forms.own(db(), person(), id)
    return act_forms.page(
        "hand_over.html", instance, tasks=[task for task in _waiting(instance) if task.state == "open"]
    )


def on_behalf(id: str) -> ResponseReturnValue:
    """Choose whom to answer for; the answer itself is given on the task's page."""
    instance = act_forms.own(db(), person(), id)
    return act_forms.page(
        "on_behalf.html", instance, tasks=[task for task in _waiting(instance) if task.state == "open"]
    )


# --- the case ---------------------------------------------------------------------------------------------------------


def skip(id: str) -> ResponseReturnValue:
    """Go on without a step; where its outcome decides the way, the owner chooses it."""
    instance = act_forms.own(db(), person(), id)
    offered = _skippable(db(), instance)
    if act_forms.is_shown():
        return act_forms.page("skip.html", instance, offered=offered)
    problems: list[act_forms.Problem] = []
    chosen = next((step for step in offered if step.step.token == request.form.get("step")), None)
    if chosen is None:
        problems.append(act_forms.Problem(field="step", message=_("Velg steget du vil hoppe over.")))
    answers = _outcome(chosen, problems) if chosen else {}
    reason = act_forms.reason_given(problems, _("Skriv hvorfor steget hoppes over. Begrunnelsen står i historikken."))
    if problems or chosen is None:
        return act_forms.page("skip.html", instance, problems, offered=offered)
    step_id, name = chosen.step.id, chosen.step.name
    with acting() as (session, actor):
        act_forms.locked(session, actor, id)
        steering.skip(session, step_id, actor=actor, now=now(), reason=reason, answers=answers)
    return act_forms.done(id, _("Saken gikk videre uten «%(step)s».", step=name))


@dataclass(frozen=True, kw_only=True)
class Skippable:
    """An open step and the outcomes it offers, if its outcome decides the way on."""

    step: Step
    outcomes: tuple[Option, ...]
    silent: str


def _skippable(session: Session, instance: ProcessInstance) -> list[Skippable]:
    query = select(Step).where(Step.instance_id == instance.id, Step.state == "open").order_by(Step.due_date, Step.id)
    by_step: dict[int, list[UserTask]] = {}
    for task in _waiting(instance, session):
        by_step.setdefault(task.step_id, []).append(task)
    return [_offered(session, instance, step, by_step.get(step.id, [])) for step in session.scalars(query)]


def _offered(session: Session, instance: ProcessInstance, step: Step, tasks: Sequence[UserTask]) -> Skippable:
    outcomes: tuple[Option, ...] = ()
    # Of a step that asks several, no single answer decides the way.
    if len(tasks) == 1 and tasks[0].item is None and step.total == 1:
        form, inputs = task_forms.form_of(session, instance, tasks[0])
        nodes = field_nodes(form.nodes({}, inputs))
        outcomes = next((tuple(n.options) for n in nodes if n.field.key == OUTCOME and n.field.type == "radio"), ())
    return Skippable(step=step, outcomes=outcomes, silent=case_status.names(tasks))


def _outcome(chosen: Skippable, problems: list[act_forms.Problem]) -> dict[str, Any]:
    if not chosen.outcomes:
        return {}
    name = f"outcome-{chosen.step.token}"
    given = request.form.get(name)
    value = next((option.value for option in chosen.outcomes if str(option.value) == given), None)
    if value is None:
        problems.append(
            act_forms.Problem(field=name, message=_("Velg utfallet for «%(step)s».", step=chosen.step.name))
        )
        return {}
    return {OUTCOME: value}


def cancel(id: str) -> ResponseReturnValue:
    """End the case before its time."""
    instance = act_forms.own(db(), person(), id)
    if act_forms.is_shown():
        return act_forms.page("cancel.html", instance, tasks=_waiting(instance))
    problems: list[act_forms.Problem] = []
    reason = act_forms.reason_given(problems, _("Skriv hvorfor saken avsluttes. Begrunnelsen står i historikken."))
    if request.form.get("sure") != "ja":
        problems.append(act_forms.Problem(field="sure", message=_("Kryss av for at saken skal avsluttes.")))
    if problems:
        return act_forms.page("cancel.html", instance, problems, tasks=_waiting(instance))
    with acting() as (session, actor):
        held = act_forms.locked(session, actor, id)
        process_instances.cancel(session, held, now=now(), actor_id=actor.id, reason=reason)
    return act_forms.done(id, _("Saken er avsluttet. Ingen får flere e-poster om den."))


def dates(id: str) -> ResponseReturnValue:
    """Move the dates that others hang on, when what follows has been seen; every derived date follows."""
    instance = act_forms.own(db(), person(), id)
    bound = case_facts.dates_of(db(), instance)
    if act_forms.is_shown():
        return act_forms.page("dates.html", instance, bound=bound, wanted=_wanted(bound))
    problems: list[act_forms.Problem] = []
    moved = _moved(bound, problems)
    reason = act_forms.reason_given(problems, _("Skriv hvorfor datoen endres. Begrunnelsen står i historikken."))
    if not moved and not problems:
        field = f"fact-{bound[0].fact}" if bound else "reason"
        problems.append(act_forms.Problem(field=field, message=_("Ingen dato er endret.")))
    if problems:
        return act_forms.page("dates.html", instance, problems, bound=bound, wanted=_wanted(bound))
    change = changes.of_case(instance, facts=moved)
    return moving.on_case(instance, change, reason, _("Datoen er endret. Fristene som henger på den, har fulgt med."))


def _moved(bound: Sequence[case_facts.Bound], problems: list[act_forms.Problem]) -> dict[str, date]:
    moved: dict[str, date] = {}
    for fact in bound:
        day = act_forms.date_given(problems, f"fact-{fact.fact}", _("Skriv datoen for «%(name)s».", name=fact.name))
        if day is not None and day.isoformat() not in (_seen(fact), fact.day.isoformat()):
            moved[fact.fact] = day
            if day < today():
                text = _("«%(name)s» kan ikke flyttes til en dag som har vært.", name=fact.name)
                problems.append(act_forms.Problem(field=f"fact-{fact.fact}", message=text))
    return moved


def _seen(fact: case_facts.Bound) -> str:
    """The date that the form showed. Where others have moved it since, whoever left it alone did not set it."""
    return request.form.get(f"seen-{fact.fact}") or fact.day.isoformat()


def _wanted(bound: Sequence[case_facts.Bound]) -> dict[str, str]:
    """What the fields show: what was typed, and the present date where nothing was."""
    typed = {fact.fact: request.form.get(f"fact-{fact.fact}", _seen(fact)) for fact in bound}
    return {f.fact: typed[f.fact] if typed[f.fact] != _seen(f) else f.day.isoformat() for f in bound}


_ROUTES: Mapping[str, Callable[..., ResponseReturnValue]] = {
    "minn": remind,
    "mer-tid/<task_id>": extend,
    "gi-videre/<task_id>": reassign,
    "rett/<task_id>": correct,
    "svar-pa-vegne-av": on_behalf,
    "gi-videre": hand_over,
    "hopp-over": skip,
    "avslutt": cancel,
    "datoer": dates,
    "frist": moving.by_hand,
    "nytt-mote": sent_back.choose,
}
