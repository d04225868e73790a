"""Moving a meeting or the dates of a case: what follows is shown for every case concerned, and then done at once."""

from collections.abc import Mapping
from datetime import date

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from agreements import bodies, move_trials, moving
from agreements.model import Meeting
from agreements.moving import Change, Preview
from engine import hand_dates, process_instances
from engine.errors import InvalidInput, NotAllowed, NotOpen, Stale
from engine.model import ProcessInstance
from web.context import acting, calendar, community, db, formatter, now, person, services, today
from web.moves import may_move, world
from web.pages import act_forms, moving_views
from web.pages.act_forms import MAX_REASON, Problem, reason_given

pages = Blueprint("moving", __name__)


@pages.before_request
def _signed_in() -> None:
    if not current_user.is_authenticated:
        abort(401)


@pages.route("/moter/<id>/flytt", methods=["GET", "POST"])
def meeting(id: str) -> ResponseReturnValue:
    """Choose a day; see what follows; move the meeting."""
    if not may_move(person()):
        raise NotAllowed(_("Bare sekretariatet flytter møter. Spør dem."))
    found = bodies.find_meeting(db(), community(), id)
    text = request.values.get("til", "").strip()
    if not text and request.method == "GET":
        return _ask(found)
    try:
        change = moving.of_meeting(db(), found, _day(text), today=today())
    except InvalidInput as error:
        return _ask(found, error.message)
    tried = tried_out(change)
    if request.method == "GET":
        return _show(found, tried, chosen_of(tried))
    return _post(found, tried)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(_("Velg den nye datoen for møtet.")) from None


def _post(found: Meeting, tried: Preview) -> ResponseReturnValue:
    chosen, problems = chosen_of(tried), list[Problem]()
    if differs_from_shown(tried):
        return _show(found, tried, chosen)
    reason = reason_given(problems, _("Skriv hvorfor møtet flyttes. Begrunnelsen står i historikken."))
    if problems:
        return _show(found, tried, chosen, problems)
    name, target = found.body.short_name, url_for("meetings.show", id=found.public_id)
    try:
        done(chosen, reason)
    except Stale:
        return _show(found, tried, chosen, changed=True)
    flash(_("%(body)s er flyttet, og fristene har fulgt med.", body=name), "success")
    return redirect(target, 303)


def _ask(found: Meeting, error: str = "") -> ResponseReturnValue:
    others = [m for m in bodies.next_meetings(db(), found.body, today()) if m.id != found.id]
    text = render_template(
        "moving/meeting.html", meeting=found, others=others, error=error, active="moter",
        typed=request.values.get("til", ""),
    )  # fmt: skip
    return text, 422 if error else 200


def _show(
    found: Meeting, tried: Preview, chosen: Preview, problems: list[Problem] | None = None, *, changed: bool = False
) -> ResponseReturnValue:
    shown = moving_views.view(db(), chosen, tried, words=formatter(), calendar=calendar())
    text = render_template(
        "moving/preview.html", meeting=found, change=tried.change, preview=shown, problems=problems or [],
        changed=changed, typed=request.form, max_reason=MAX_REASON, active="moter",
        subject=moving_views.subject(tried, found, formatter()),
    )  # fmt: skip
    return text, 409 if changed else 422 if problems else 200


# --- what other pages share -------------------------------------------------------------------------------------------


def tried_out(change: Change) -> Preview:
    """What the change would bring, seen by the person who is here."""
    around = world(services().notifications, now())
    return move_trials.preview(db(), change, actor=person(), now=now(), world=around)


def _given(tried: Preview, prefix: str) -> Mapping[str, str]:
    named = {case.public_id: request.form.get(f"{prefix}-{case.public_id}", "") for case in tried.cases}
    return {case: value for case, value in named.items() if value}


def chosen_of(tried: Preview) -> Preview:
    """The preview with what the form chose; where a case has changed so that it is offered no more, as recommended."""
    try:
        return tried.chosen(_given(tried, "valg"))
    except InvalidInput:
        return tried


def differs_from_shown(tried: Preview) -> bool:
    """Was something chosen whose consequences the page did not show?"""
    return _given(tried, "valg") != _given(tried, "vist")


def done(chosen: Preview, reason: str) -> None:
    """Do it, if it is still what the form showed. Raises Stale."""
    token = request.form.get("sett", "")
    moment = now()
    with acting() as (session, actor):
        moving.commit(session, chosen, token=token, actor=actor, now=moment, reason=reason)


# --- dates of one case ------------------------------------------------------------------------------------------------

#: What a form sends beside the dates themselves.
_OWN = ("csrf_token", "sett")
_CHOICES = ("valg-", "vist-")


def on_case(instance: ProcessInstance, change: Change, reason: str, message: str) -> ResponseReturnValue:
    """Show what the change of a case's dates brings; the second time, when it was seen, do it. Raises Stale."""
    process_instances.require_revision(instance, act_forms.revision_seen())
    tried = tried_out(change)
    chosen = chosen_of(tried)
    if "sett" in request.form and not differs_from_shown(tried):
        public_id = instance.public_id
        done(chosen, reason)
        return act_forms.done(public_id, message)
    kept = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name not in _OWN and not name.startswith(_CHOICES)
    ]
    shown = moving_views.view(db(), chosen, tried, words=formatter(), calendar=calendar())
    return render_template(
        "moving/case.html", instance=instance, preview=shown, kept=kept, problems=[], reason=reason,
        subject=moving_views.subject(tried, None, formatter()),
    )  # fmt: skip


def by_hand(id: str) -> ResponseReturnValue:
    """Set the due date of one step by hand, or give it back to the model."""
    instance = act_forms.own(db(), person(), id)
    around = world(services().notifications, now())
    offered = move_trials.coming(db(), instance, actor=person(), now=now(), world=around)
    if act_forms.is_shown():
        return act_forms.page("by_hand.html", instance, offered=offered)
    problems: list[Problem] = []
    place = request.form.get("step", "")
    step = next((s for s in offered if hand_dates.place_of(s.call_path, s.element) == place), None)
    if step is None:
        problems.append(Problem(field="step", message=_("Velg steget som skal ha en annen frist.")))
    back = request.form.get("how") == "regn-ut"
    day = None if back else act_forms.date_given(problems, "due_date", _("Velg den nye fristen."))
    if day is not None and day < today():
        problems.append(Problem(field="due_date", message=_("Fristen må være i dag eller senere.")))
    reason = reason_given(problems, _("Skriv hvorfor fristen endres. Begrunnelsen står i historikken."))
    if not problems and step is not None:
        try:
            return on_case(
                instance, moving.of_case(instance, hand_dates={place: day}), reason, _("Fristen er satt for hånd.")
                if day else _("Fristen regnes ut igjen."),
            )  # fmt: skip
        except (InvalidInput, NotOpen) as refused:
            problems.append(Problem(field="due_date", message=refused.message))
    return act_forms.page("by_hand.html", instance, problems, offered=offered)
