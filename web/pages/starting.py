"""Starting a case in four pages: Hva, Møter, Hvem, Planen. Nothing is written before the last button."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.datastructures import MultiDict

from agreements import bodies, reaching, start_contents, start_needs, starting
from agreements.findings import Finding
from agreements.model import Agreement
from agreements.start_needs import Needs
from agreements.starting import Prepared, StartRequest
from engine import deployments
from engine.errors import EngineError, InvalidAnswers, InvalidInput, NotAllowed
from engine.forms import Answers, FieldError
from engine.model import Community, ProcessDefinition, User
from web import forms, plans
from web.context import acting, calendar, community, db, formatter, now, person, services, today
from web.keeping import Kept
from web.pages import agreement_tree, start_plan, start_reach, start_state, start_views
from web.pages.start_state import StartState
from web.plans import CasePlan

pages = Blueprint("starting", __name__, url_prefix=start_state.PATH)

#: The page that asks for each field that `agreements.starting` refuses.
_WHEN = ("ssu", "au", "meeting")
_WHO = ("parties", "reviewers", "hearing_bodies", "role-")
TITLE = "_tittel"
#: The plans that readers have before them: starting a case does not rehearse it again.
_shown = Kept[CasePlan](32)


@pages.before_request
def _signed_in() -> None:
    if not current_user.is_authenticated:
        abort(401)


# --- Hva --------------------------------------------------------------------------------------------------------------


@pages.route("", methods=["GET", "POST"])
def what() -> ResponseReturnValue:
    """What is to be done: the process and the agreement, then the start form."""
    choices = start_views.processes(db(), person())
    if not choices:
        raise NotAllowed(_("Du kan ikke starte saker her. Spør sekretariatet."))
    process, agreement = request.values.get("prosess", ""), request.values.get("avtale") or None
    chosen = next((choice for choice in choices if choice.key == process), None)
    if chosen is not None and chosen.about != "agreement":
        agreement = None
    if chosen is None or (chosen.about == "agreement" and not agreement) or "bytt" in request.args:
        return _choose(choices, process, agreement)
    definition = deployments.latest(db(), person().community_id, process)
    state = (start_state.read() or StartState(process=process, agreement=agreement)).begin(process, agreement)
    return _write(definition, state) if request.method == "POST" else _ask(definition, state)


def _choose(choices: list[start_views.ProcessChoice], process: str, agreement: str | None) -> ResponseReturnValue:
    begun = start_state.read()
    if not process and begun is not None:
        process, agreement = begun.process, agreement or begun.agreement
    missing = ""
    if "velg" in request.args:
        missing = "avtale" if any(c.key == process for c in choices) else "prosess"
    view = {"choices": choices, "process": process, "agreement": agreement or "", "missing": missing}
    tree = agreement_tree.lines(db(), community())
    return render_template("starting/choose.html", tree=tree, active="saker", **view), 422 if missing else 200


def _ask(
    definition: ProcessDefinition,
    state: StartState,
    answers: Answers | None = None,
    errors: tuple[FieldError, ...] = (),
) -> ResponseReturnValue:
    needed = start_needs.needs(db(), definition)
    agreement = _agreement(state, needed)
    inputs = start_contents.form_inputs(agreement)
    if answers is None:
        answers = state.answers or _suggested(agreement, needed)
    view = forms.layout(needed.form, answers, inputs, [e for e in errors if e.key != TITLE])
    own = start_contents.default_title(definition, needed, agreement, answers)
    return render_template(
        "starting/what.html", definition=definition, needs=needed, agreement=agreement, view=view, state=state,
        title_error=next((e.message for e in errors if e.key == TITLE), ""), suggestion=own, active="saker",
    ), 422 if errors else 200  # fmt: skip


def _agreement(state: StartState, needed: Needs) -> Agreement | None:
    return start_contents.find_agreement(db(), community(), state.request(), needed)


def _suggested(agreement: Agreement | None, needed: Needs) -> Answers:
    """The questions raised since the agreement came into force are carried in."""
    questions = agreement.questions if agreement else []
    return needed.form.clean({"questions": [{"name": q["name"]} for q in questions]}, {})


def _write(definition: ProcessDefinition, state: StartState) -> ResponseReturnValue:
    needed = start_needs.needs(db(), definition)
    inputs = start_contents.form_inputs(_agreement(state, needed))
    answers = forms.parse(needed.form, request.form, inputs)
    state = replace(state, answers=answers, title=request.form.get(TITLE, "").strip())
    if forms.is_row_button(request.form):
        return _ask(definition, state, answers)
    errors = [*needed.form.validate(answers, inputs), *_title_errors(needed, state)]
    if errors:
        return _ask(definition, state, answers, tuple(errors))
    try:
        forward = make_response(redirect(url_for("starting.when"), 303))
        return start_state.write(forward, state, reserve=start_state.RESERVE_BYTES)
    except start_state.TooLarge as error:
        return _ask(definition, state, answers, (FieldError(key="", label="", message=error.message),))


def _title_errors(needed: Needs, state: StartState) -> list[FieldError]:
    if needed.about == "title" and not state.title:
        return [FieldError(key=TITLE, label=_("Tittel"), message=_("Skriv en tittel på saken."))]
    if len(state.title) > 300:
        return [FieldError(key=TITLE, label=_("Tittel"), message=_("Tittelen kan ha høyst 300 tegn."))]
    return []


# --- Møter ------------------------------------------------------------------------------------------------------------


@pages.route("/moter", methods=["GET", "POST"])
def when() -> ResponseReturnValue:
    """Which meetings the case goes to: those that are known, or a date."""
    begun = _begun()
    if begun is None:
        return redirect(url_for("starting.what"))
    state, definition, needed = begun
    if request.method == "GET":
        return _ask_when(definition, needed, state, state.meetings)
    shown = start_views.facts(db(), community(), needed, state.meetings, calendar(), today())
    sent = {fact.fact: start_views.reference(request.form, fact) for fact in shown}
    state = replace(state, meetings={fact: value for fact, value in sent.items() if value})
    if "_tilbake" not in request.form:
        if unclear := start_views.unclear(request.form, shown):
            return _ask_when(definition, needed, state, sent, unclear)
        try:
            start_views.check_meetings(db(), community(), needed, state)
        except EngineError as error:
            at = str(error.data.get("field", ""))
            return _ask_when(definition, needed, state, sent, {at if at in sent else next(iter(sent)): error.message})
    target = "starting.what" if "_tilbake" in request.form else "starting.who"
    return start_state.write(make_response(redirect(_to(target, state), 303)), state)


def _ask_when(
    definition: ProcessDefinition,
    needed: Needs,
    state: StartState,
    chosen: Mapping[str, str] | None,
    errors: Mapping[str, str] | None = None,
) -> ResponseReturnValue:
    shown = start_views.facts(db(), community(), needed, chosen, calendar(), today())
    # A date that was typed stays in its field, whichever meeting is marked.
    typed = {f.fact: request.form.get(f"dato-{f.fact}", f.other_date) for f in shown}
    shown = [replace(f, error=(errors or {}).get(f.fact, ""), other_date=typed[f.fact]) for f in shown]
    view = {"facts": shown, "definition": definition, "title": _title(definition, needed, state)}
    return render_template("starting/when.html", state=state, active="saker", **view), 422 if errors else 200


# --- Hvem -------------------------------------------------------------------------------------------------------------


@pages.route("/hvem", methods=["GET", "POST"])
def who() -> ResponseReturnValue:
    """Who does what: the usual ones unless somebody chooses otherwise."""
    begun = _begun()
    if begun is None:
        return redirect(url_for("starting.what"))
    state, definition, needed = begun
    if request.method == "GET":
        return _ask_who(definition, needed, state)
    state = _chosen_people(state, needed, request.form)
    if "_tilbake" not in request.form:
        try:
            starting.prepare(db(), community(), state.request(), now=now())
        except InvalidInput as error:
            at = str(error.data.get("field", ""))
            if at.startswith(_WHO):
                return _ask_who(definition, needed, state, {at: error.message})
            return _send_back(error, state)
    target = "starting.when" if "_tilbake" in request.form else "starting.plan"
    return start_state.write(make_response(redirect(url_for(target), 303)), state)


def _chosen_people(state: StartState, needed: Needs, form: MultiDict[str, str]) -> StartState:
    roles = {}
    for lane in needed.roles:
        kind, _sep, key = form.get(f"role-{lane}", "").partition(":")
        if kind in ("group", "user") and key:
            roles[lane] = {kind: key}
    lists = {name: form.getlist(name) for name in ("reviewers", "hearing_bodies") if needed.reads_list(name)}
    return replace(
        state,
        roles=roles,
        bodies=lists,
        parties=form.getlist("parties") if needed.reads_list("parties") else None,
        who_is_chosen=True,
    )


def _ask_who(
    definition: ProcessDefinition, needed: Needs, state: StartState, errors: Mapping[str, str] | None = None
) -> ResponseReturnValue:
    view = replace(start_views.people(db(), community(), needed, state), errors=errors or {})
    title = _title(definition, needed, state)
    page = render_template(
        "starting/who.html", view=view, state=state, title=title, definition=definition, active="saker"
    )
    return page, 422 if errors else 200


# --- Planen -----------------------------------------------------------------------------------------------------------


@pages.route("/plan", methods=["GET", "POST"])
def plan() -> ResponseReturnValue:
    """The plan: every date with its reason, what is odd, the mails; then the start."""
    begun = _begun()
    if begun is None or not begun[0].who_is_chosen:
        return redirect(url_for("starting.who") if begun else url_for("starting.what"))
    state = begun[0]
    try:
        prepared = starting.prepare(db(), community(), state.request(), now=now())
    except InvalidInput as error:
        return _send_back(error, state)
    if prepared.problems:
        return _send_back(InvalidAnswers(prepared.problems), state)
    if request.method == "POST":
        return _decide(state, prepared)
    return _show_plan(state, prepared, _shown.put(_key(state, prepared), _plan(prepared)))


def _decide(state: StartState, prepared: Prepared) -> ResponseReturnValue:
    state = replace(state, reason=request.form.get("begrunnelse", "").strip()[:500])
    chosen = [value for key, value in request.form.items() if key.startswith("valg-") and value.startswith("{")]
    if chosen or "_hand" in request.form or "_slipp" in request.form:
        return _replan(state, prepared, chosen)
    if "_tilbake" in request.form:
        return start_state.write(make_response(redirect(url_for("starting.who"), 303)), state)
    if request.form.get("datoer") != _dates(prepared):
        flash(_("Et møte er flyttet mens du så på planen. Se over den på nytt."), "warning")
        return redirect(url_for("starting.plan"), 303)
    # What was shown is what is decided on.
    planned = _shown.get(_key(state, prepared), lambda: _plan(prepared))
    if planned.findings and not state.reason:
        return _show_plan(state, prepared, planned, error=_("Skriv hvorfor saken skal starte likevel."))
    return _start(state.request(), state.reason, planned.findings)


def _plan(prepared: Prepared) -> CasePlan:
    return plans.plan_for(db(), community(), prepared, now=now(), settings=services().notifications, owner=person())


def _key(state: StartState, prepared: Prepared) -> object:
    """Whose plan of which choices it is."""
    return services().database.url, person().key, repr(state.request()), repr(sorted(prepared.facts.items()))


def _replan(state: StartState, prepared: Prepared, proposals: Sequence[str]) -> ResponseReturnValue:
    """The plan with what was chosen, or with a date that was set by hand or given back to the model."""
    for proposal in proposals:
        state = start_plan.taken(state, proposal)
    if place := request.form.get("_slipp"):
        state = start_state.with_hand_dates(state, {place: None})
    elif "_hand" in request.form:
        try:
            day = date.fromisoformat(request.form.get("hand-dato", ""))
        except ValueError:
            flash(_("Velg hvilken dato fristen skal ha."), "warning")
            return redirect(url_for("starting.plan") + "#hand", 303)
        state = start_state.with_hand_dates(state, {request.form.get("hand-steg", ""): day})
    start_plan.require_steps(db(), prepared.definition, state.hand_dates)
    flash(_("Planen er regnet ut på nytt. Se over den før du starter."), "info")
    return start_state.write(make_response(redirect(url_for("starting.plan"), 303)), state)


def _start(wanted: StartRequest, reason: str, findings: Sequence[Finding]) -> ResponseReturnValue:
    with acting() as (session, actor):
        user = session.get_one(User, actor.id)
        instance = starting.start(
            session, session.get_one(Community, actor.community_id), wanted, actor=user, now=now(), confirmed=reason,
            findings=findings,
        )  # fmt: skip
        target = url_for("cases.show", id=instance.public_id)
    flash(_("Saken er startet. Den første oppgaven er sendt."), "success")
    return start_state.forget(make_response(redirect(target, 303)))


def _show_plan(state: StartState, prepared: Prepared, planned: CasePlan, error: str = "") -> ResponseReturnValue:
    first = min(planned.steps, key=lambda step: step.opens, default=None)
    page = render_template(
        "starting/plan.html",
        prepared=prepared,
        plan=planned,
        first=first,
        first_who=start_plan.who(first, 0) if first else "",
        decisions=start_plan.decisions(planned.findings, today()),
        table=start_plan.table(planned, prepared, today()),
        mails=start_plan.mails(planned, calendar()),
        parties_hear=start_plan.parties_hear(planned, prepared),
        dates=_dates(prepared),
        reason=state.reason,
        error=error,
        active="saker",
    )
    return page, 422 if error else 200


@pages.get("/plan/tidligst")
def earliest() -> ResponseReturnValue:
    """The earliest meetings from today, and the price of missing one: a plan is lived for each that is tried."""
    begun = _begun()
    if begun is None or not begun[0].who_is_chosen:
        return redirect(url_for("starting.who") if begun else url_for("starting.what"))
    state, definition, needed = begun
    names = {body.key: body.short_name for body in bodies.all_of(db(), community())}
    found = reaching.reach(db(), community(), state.request(), now=now())
    return render_template(
        "starting/earliest.html", reach=start_reach.in_words(found, names, formatter()),
        title=_title(definition, needed, state), active="saker",
    )  # fmt: skip


def _dates(prepared: Prepared) -> str:
    return ",".join(f"{fact}={day.isoformat()}" for fact, day in sorted(prepared.facts.items()))


# --- between the pages ------------------------------------------------------------------------------------------------


def _begun() -> tuple[StartState, ProcessDefinition, Needs] | None:
    """The choices so far and what the process needs; None when there is nothing to go on from."""
    state = start_state.read()
    if state is None:
        return None
    definition = deployments.latest(db(), person().community_id, state.process)
    if not start_needs.may_start(person(), definition):
        raise NotAllowed(_("Du kan ikke starte «%(name)s». Spør sekretariatet.", name=definition.name))
    return state, definition, start_needs.needs(db(), definition)


def _title(definition: ProcessDefinition, needed: Needs, state: StartState) -> str:
    own = start_contents.default_title(definition, needed, _agreement(state, needed), state.answers)
    return state.title or own or definition.name


def _to(target: str, state: StartState) -> str:
    if target == "starting.what":
        return url_for(target, prosess=state.process, avtale=state.agreement)
    return url_for(target)


def _send_back(error: InvalidInput, state: StartState) -> ResponseReturnValue:
    """To the page that asks for what was refused, with the reason."""
    at = str(error.data.get("field", ""))
    page = "starting.when" if at in _WHEN else "starting.who" if at.startswith(_WHO) else "starting.what"
    flash(error.message, "warning")
    return start_state.write(make_response(redirect(_to(page, state), 303)), state)
