"""Prøvekjør: the steps and dates that a draft would give a case, and the mails it would send."""

from collections.abc import Mapping
from dataclasses import replace

from flask import render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from agreements import start_needs, starting
from agreements.functions import FUNCTIONS
from agreements.start_needs import Needs
from agreements.starting import Prepared
from engine import drafts
from engine.errors import ElementFailed, EngineError, ModelRefused
from engine.model import Community, ProcessDefinition
from web import plans
from web.commands import START_NAMES
from web.context import calendar, community, db, now, person, services, today
from web.model_trials import trial
from web.pages import agreement_tree, incident_words, model_words, start_plan, start_views
from web.pages.model_drafts import pages as pages
from web.pages.start_state import StartState


@pages.get("/<id>/provekjor")
def rehearse(id: str) -> ResponseReturnValue:
    """Rehearse a case on the draft; what to start it with is chosen beforehand and can be changed."""
    draft = drafts.find(db(), person(), id)
    found = drafts.findings(db(), draft, functions=FUNCTIONS, names=START_NAMES)
    errors = [model_words.finding(f) for f in found if f.severity == "error"]
    if errors:
        return render_template("models/trial.html", draft=draft, errors=errors, shown=None)
    try:
        with trial(db(), draft, now=now()) as (session, definition):
            shown = _rehearsed(session, definition)
    except ModelRefused as refused:
        errors = [model_words.finding(f) for f in refused.findings]
        return render_template("models/trial.html", draft=draft, errors=errors, shown=None)
    return render_template(
        "models/trial.html", draft=draft, errors=[], shown=shown, tree=agreement_tree.lines(db(), community())
    )


def _rehearsed(session: Session, definition: ProcessDefinition) -> dict[str, object]:
    own = session.get_one(Community, definition.community_id)
    needed = start_needs.needs(session, definition)
    state = _state(session, own, definition, needed)
    facts = start_views.facts(session, own, needed, state.meetings, calendar(), today())
    people = start_views.people(session, own, needed, state)
    view: dict[str, object] = {
        "facts": facts, "roles": people.roles, "groups": people.groups, "users": people.users, "about": needed.about,
        "agreement": state.agreement or "", "plan": None, "error": "",
    }  # fmt: skip
    missing = [role.name for role in people.roles if not role.chosen]
    if missing:
        return view | {"error": _("Velg hvem som skal ha rollen %(names)s.", names=", ".join(missing))}
    try:
        prepared = starting.prepare(session, own, state.request(), now=now())
        planned = plans.plan_for(session, own, prepared, now=now(), settings=services().notifications)
    except EngineError as error:
        return view | {"error": _why(error)}
    return view | _planned(planned, prepared)


def _why(error: EngineError) -> str:
    """What stopped the rehearsal, for someone who draws."""
    if isinstance(error, ElementFailed):
        return incident_words.cause(error.cause)
    return model_words.refusal(error.message)


def _planned(planned: plans.CasePlan, prepared: Prepared) -> dict[str, object]:
    return {
        "plan": planned, "title": prepared.title, "table": start_plan.table(planned, prepared, today()),
        "mails": start_plan.mails(planned, calendar()),
    }  # fmt: skip


def _state(session: Session, own: Community, definition: ProcessDefinition, needed: Needs) -> StartState:
    """What the page chose, or what is usual."""
    agreement = request.args.get("avtale") or None
    if needed.about == "agreement" and agreement is None:
        agreement = next((line.agreement.key for line in agreement_tree.lines(session, own)), None)
    state = StartState(
        process=definition.key, agreement=agreement, title=_("Prøve av %(name)s", name=definition.name),
        answers={"body_name": _("Et organ")} if needed.about == "body" else {},
    )  # fmt: skip
    facts = start_views.facts(session, own, needed, None, calendar(), today())
    meetings = {fact.fact: _meeting(request.args, fact) for fact in facts}
    state = replace(state, meetings={name: chosen for name, chosen in meetings.items() if chosen})
    bound = start_views.people(session, own, needed, state).roles
    chosen = {role.lane: request.args.get(f"role-{role.lane}", role.chosen) for role in bound}
    return replace(state, roles={lane: _whom(value) for lane, value in chosen.items() if ":" in value})


def _meeting(sent: Mapping[str, str], fact: start_views.FactChoice) -> str:
    if f"mote-{fact.fact}" in sent:
        return start_views.reference(sent, fact)
    return "" if fact.chosen in (start_views.OTHER, start_views.NONE) else fact.chosen


def _whom(value: str) -> dict[str, str]:
    kind, _sep, key = value.partition(":")
    return {kind: key} if kind in ("group", "user") else {}
