"""What the owner does with a case that stands, or stands wrong: see the error, change a value, retry, skip, move."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import login_required
from sqlalchemy.orm import Session

from engine import deployments, incidents, mending, places
from engine.errors import InvalidInput, NotFound
from engine.model import Incident, ProcessInstance
from web import values
from web.context import acting, db, now, person
from web.pages import act_forms, incident_words
from web.pages.act_forms import Problem

#: Longest text of a value.
MAX_VALUE = 20_000


def register(pages: Blueprint) -> None:
    """Add these acts' addresses to the blueprint of the cases."""
    for address, view in _ROUTES.items():
        answered = login_required(act_forms.shown_again(view))
        pages.add_url_rule(f"/saker/<id>/{address}", view.__name__, answered, methods=["GET", "POST"])
    tried = login_required(act_forms.shown_again(retry))
    pages.add_url_rule("/saker/<id>/prov-igjen/<incident_id>", "retry", tried, methods=["POST"])


# --- the incident -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class IncidentView:
    """An incident in words. `element` is the element's name; `data` what it saw, as text."""

    id: str
    element: str
    element_id: str
    call_path: str
    cause: str
    technical: str
    data: tuple[tuple[str, str], ...]
    retry_at: datetime | None
    attempts: int
    created_at: datetime
    is_open: bool
    #: Can the case go on without the element?
    may_skip: bool

    @property
    def is_whole_case(self) -> bool:
        """Could the case not be read or written at all?"""
        return not self.element_id


def view_of(session: Session, instance: ProcessInstance, found: Incident) -> IncidentView:
    """The incident as pages show it."""
    specification = deployments.compiled(session, instance).specification
    element = places.element_at(specification, found.call_path, found.element_id)
    return IncidentView(
        id=found.public_id,
        element=element.name if element else _("Saken"),
        element_id=found.element_id,
        call_path=found.call_path,
        cause=incident_words.cause(found.cause),
        technical=found.cause,
        data=tuple((name, as_text(value)) for name, value in found.data.items()),
        retry_at=found.retry_at,
        attempts=found.attempts,
        created_at=found.created_at,
        is_open=found.resolved_at is None,
        may_skip=element is not None and element.kind not in places.LISTENING,
    )


def as_text(value: object) -> str:
    """A value as one reads it: texts as they are, everything else as JSON."""
    if isinstance(value, bool):
        return _("ja") if value else _("nei")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def incident(id: str, incident_id: str) -> ResponseReturnValue:
    """What went wrong, what the element saw, and what one can do about it."""
    instance = act_forms.own(db(), person(), id)
    found = incidents.find(db(), instance, incident_id)
    return act_forms.page("incident.html", instance, incident=view_of(db(), instance, found))


def retry(id: str, incident_id: str) -> ResponseReturnValue:
    """Run what failed again."""
    with acting() as (session, actor):
        instance = act_forms.locked(session, actor, id)
        found = incidents.find(session, instance, incident_id)
        went_well = mending.retry(session, instance, found, now=now(), actor_id=actor.id)
    return _tried(id, incident_id, went_well=went_well)


def _tried(id: str, incident_id: str, *, went_well: bool) -> ResponseReturnValue:
    if went_well:
        return act_forms.done(id, _("Steget er satt i gang på nytt."))
    flash(_("Det feilet igjen. Se hva som er galt, og rett det."), "warning")
    return redirect(url_for("cases.incident", id=id, incident_id=incident_id), 303)


def skip_element(id: str, incident_id: str) -> ResponseReturnValue:
    """Go on without the element that failed."""
    instance = act_forms.own(db(), person(), id)
    found = incidents.find(db(), instance, incident_id)
    shown, ways = view_of(db(), instance, found), mending.choices(db(), instance, found)
    if act_forms.is_shown():
        return act_forms.page("skip_element.html", instance, incident=shown, ways=ways)
    problems: list[Problem] = []
    flow = request.form.get("flow") or None
    if ways and flow not in {way.id for way in ways}:
        problems.append(Problem(field="flow", message=_("Velg hvilken vei saken skal gå.")))
    reason = act_forms.reason_given(problems, _("Skriv hvorfor du går videre. Begrunnelsen står i historikken."))
    if problems:
        return act_forms.page("skip_element.html", instance, problems, incident=shown, ways=ways)
    try:
        with acting() as (session, actor):
            held = act_forms.locked(session, actor, id)
            again = incidents.find(session, held, incident_id)
            mending.skip(session, held, again, flow=flow, now=now(), actor_id=actor.id, reason=reason)
    except InvalidInput:
        text = _("Saken kan ikke gå videre herfra uten steget. Prøv igjen, eller flytt saken til et annet steg.")
        problems.append(Problem(field="flow" if ways else "reason", message=text))
        return act_forms.page("skip_element.html", instance, problems, incident=shown, ways=ways)
    return act_forms.done(id, _("Saken gikk videre uten «%(step)s».", step=shown.element))


# --- a value ----------------------------------------------------------------------------------------------------------


def set_variable(id: str) -> ResponseReturnValue:
    """Give a variable another value; after an error the element is tried again with it."""
    instance = act_forms.own(db(), person(), id)
    incident_id = request.values.get("feil", "")
    shown = _variable_page(db(), instance, incident_id)
    if act_forms.is_shown():
        return act_forms.page("set_variable.html", instance, **shown)
    problems: list[Problem] = []
    name, value = request.form.get("name", "").strip(), _value(problems)
    if not name.isidentifier() or len(name) > mending.MAX_NAME:
        problems.append(Problem(field="name", message=_("Skriv navnet uten mellomrom, slik modellen har det.")))
    elif name in instance.facts:
        text = _("«%(name)s» er en dato som frister henger på. Bruk «Flytt møte eller frist».", name=name)
        problems.append(Problem(field="name", message=text))
    reason = act_forms.reason_given(problems, _("Skriv hvorfor verdien endres. Begrunnelsen står i historikken."))
    if problems:
        return act_forms.page("set_variable.html", instance, problems, **shown)
    with acting() as (session, actor):
        held = act_forms.locked(session, actor, id)
        path = shown["call_path"]
        mending.set_variable(session, held, name, value, call_path=path, now=now(), actor_id=actor.id, reason=reason)
        if not (incident_id and request.form.get("retry")):
            return act_forms.done(id, _("«%(name)s» er endret.", name=name))
        session.flush()  # the retry starts from what was just saved
        found = incidents.find(session, held, incident_id)
        went_well = found.resolved_at is not None or mending.retry(session, held, found, now=now(), actor_id=actor.id)
    return _tried(id, incident_id, went_well=went_well)


def _variable_page(session: Session, instance: ProcessInstance, incident_id: str) -> dict[str, Any]:
    """The values at the place: those of an incident's element, else those of the whole case."""
    found = incidents.find(session, instance, incident_id) if incident_id else None
    path = found.call_path if found else ""
    held = mending.variables(session, instance, path, now=now()) if instance.state == "active" else {}
    name = request.values.get("navn", "")
    return {
        "incident": view_of(session, instance, found) if found else None,
        "call_path": path,
        "values": [(key, as_text(value)) for key, value in sorted(held.items())],
        "chosen": name,
        "current": _typed(held[name]) if name in held else ("text", ""),
    }


def _typed(value: object) -> tuple[str, str]:
    """How a value is written in the form: its kind and its text."""
    if isinstance(value, bool):
        return "yes-no", "ja" if value else "nei"
    if isinstance(value, int | float):
        return "number", str(value)
    return ("text", value) if isinstance(value, str) else ("json", json.dumps(value, ensure_ascii=False, indent=1))


def _value(problems: list[Problem]) -> Any:
    kind, text = request.form.get("kind", ""), request.form.get("value", "")
    if kind not in values.KINDS:
        problems.append(Problem(field="kind", message=_("Velg hva slags verdi det er.")))
        return None
    if len(text) > MAX_VALUE:
        problems.append(Problem(field="value", message=_("Verdien er for lang.")))
        return None
    try:
        return values.read_value(kind, text)
    except InvalidInput:
        remedies = {
            "number": _("Skriv et tall, for eksempel 12 eller 2,5."),
            "yes-no": _("Skriv ja eller nei."),
            "json": _("Dette er ikke gyldig JSON. Sjekk anførselstegn og komma."),
        }
        problems.append(Problem(field="value", message=remedies.get(kind, "")))
        return None


# --- a token ----------------------------------------------------------------------------------------------------------


def move(id: str) -> ResponseReturnValue:
    """Choose where the case stands that is to be moved, then where to; say what is withdrawn."""
    instance = act_forms.own(db(), person(), id)
    standings = mending.standings(db(), instance, now=now()) if instance.state == "active" else []
    token = request.values.get("fra") or (standings[0].token if len(standings) == 1 else "")
    chosen = next((s for s in standings if s.token == token), None)
    if token and chosen is None:
        raise NotFound(_("Saken står ikke der lenger. Se på den på nytt."))
    targets = _targets(db(), instance, chosen) if chosen else []
    shown: dict[str, Any] = {"standings": standings, "chosen": chosen, "targets": targets}
    if act_forms.is_shown() or chosen is None:
        return act_forms.page("move.html", instance, **shown)
    problems: list[Problem] = []
    to = next((element for element in targets if element.id == request.form.get("to")), None)
    if to is None:
        problems.append(Problem(field="to", message=_("Velg hvor saken skal flyttes.")))
    reason = act_forms.reason_given(problems, _("Skriv hvorfor saken flyttes. Begrunnelsen står i historikken."))
    if problems or to is None:
        return act_forms.page("move.html", instance, problems, **shown)
    with acting() as (session, actor):
        held = act_forms.locked(session, actor, id)
        mending.move(session, held, token, to.id, now=now(), actor_id=actor.id, reason=reason)
    return act_forms.done(id, _("Saken er flyttet til «%(place)s».", place=to.name))


def _targets(session: Session, instance: ProcessInstance, chosen: mending.Standing) -> Sequence[places.Element]:
    """Where the token can go: what has a name in its part of the diagram, and not where it stands."""
    specification = deployments.compiled(session, instance).specification
    found = places.elements_at(specification, chosen.call_path)
    return [e for e in found if e.id != chosen.element.id and (e.name != e.id or e.kind == "endEvent")]


_ROUTES: Mapping[str, Callable[..., ResponseReturnValue]] = {
    "feil/<incident_id>": incident,
    "feil/<incident_id>/hopp-over": skip_element,
    "verdi": set_variable,
    "flytt": move,
}
