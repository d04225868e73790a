"""Fravær: when one is away, who stands in, and for whom one stands in oneself. The secretariat does it for others."""

from dataclasses import dataclass
from datetime import date

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy.orm import Session

from engine import absences, identity
from engine.absences import Period
from engine.errors import InvalidInput, NotOpen
from engine.identity import Person
from engine.model import Absence
from web.context import acting, db, formatter, now, person, today
from web.pages.meetings import SECRETARIAT

pages = Blueprint("absence", __name__, url_prefix="/fravaer")


@pages.before_request
def _signed_in() -> None:
    if not current_user.is_authenticated:
        abort(401)


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was typed; `who` is a key, empty for oneself."""

    who: str = ""
    starts_on: str = ""
    ends_on: str = ""
    deputy: str = ""


def _for_others(actor: Person) -> bool:
    return actor.is_admin or SECRETARIAT in actor.group_keys


@pages.get("")
def index() -> ResponseReturnValue:
    """My absences, whom I stand in for, and the form."""
    who = request.args.get("hvem", "") if _for_others(person()) else ""
    return _show(Written(who=who, starts_on=today().isoformat()))


def _show(written: Written, errors: dict[str, str] | None = None) -> ResponseReturnValue:
    session, reader = db(), person()
    for_others = _for_others(reader)
    subject = identity.user(session, reader.community_id, written.who or reader.key)
    near, others = absences.candidates(session, subject)
    view = {
        "written": written, "errors": errors or {}, "subject": subject, "near": near, "others": others,
        "own": absences.coming(session, reader.community_id, user_id=reader.id),
        "deputy_for": absences.deputy_for(session, reader), "for_others": for_others,
        "all_of_them": _of_others(session, reader) if for_others else [], "reader": reader,
    }  # fmt: skip
    people = sorted([*near, *others, subject], key=lambda u: u.name)
    return render_template("absence/index.html", people=people, **view), 422 if errors else 200


def _of_others(session: Session, reader: Person) -> list[Absence]:
    return [found for found in absences.coming(session, reader.community_id) if found.user_id != reader.id]


# --- acts -------------------------------------------------------------------------------------------------------------


@pages.post("")
def register() -> ResponseReturnValue:
    """Keep the absence; tasks and mails follow at once where it has begun."""
    names = ("who", "starts_on", "ends_on", "deputy")
    written = Written(**{name: request.form.get(name, "").strip()[:80] for name in names})
    first, last, errors = _read(written)
    if errors or first is None or last is None:
        return _show(written, errors)
    try:
        with acting() as (session, actor):
            user = identity.user(session, actor.community_id, written.who or actor.key)
            deputy = identity.user(session, actor.community_id, written.deputy)
            period = Period(user=user, deputy=deputy, starts_on=first, ends_on=last)
            absences.register(session, period, actor=actor, for_others=_for_others(actor), now=now())
            both_away = absences.at_the_same_time(session, deputy, first, last)
            name, others = deputy.name, [(a.starts_on, a.ends_on, a.deputy.name) for a in both_away]
    except InvalidInput as refused:
        return _show(written, _in_words(refused))
    flash(_kept(name, first, last), "success")
    for starts, ends, instead in others:
        flash(_also_away(name, instead, starts, ends), "warning")
    return redirect(url_for("absence.index"), 303)


@pages.post("/<public_id>/siste-dag")
def end_on(public_id: str) -> ResponseReturnValue:
    """Give an absence another last day."""
    last = _date(request.form.get("ends_on", ""))
    if last is None:
        flash(_("Velg den siste dagen borte."), "danger")
        return redirect(url_for("absence.index"), 303)
    try:
        with acting() as (session, actor):
            found = absences.find(session, actor, public_id, for_others=_for_others(actor))
            absences.end_on(session, found, last, now=now())
    except InvalidInput as refused:
        flash(next(iter(_in_words(refused).values())), "danger")
    except NotOpen:
        flash(_("Fraværet er allerede over."), "warning")
    else:
        flash(_("Siste dag borte er nå %(day)s.", day=formatter().dag(last)), "success")
    return redirect(url_for("absence.index"), 303)


@pages.post("/<public_id>/avlys")
def cancel(public_id: str) -> ResponseReturnValue:
    """The person is not away after all, or is back."""
    with acting() as (session, actor):
        found = absences.find(session, actor, public_id, for_others=_for_others(actor))
        absences.cancel(session, found, now=now())
        own, name = found.user_id == actor.id, found.user.name
    if own:
        flash(_("Fraværet er avlyst. Oppgavene og e-postene går til deg."), "success")
    else:
        flash(_("Fraværet er avlyst. Oppgavene og e-postene går til %(name)s.", name=name), "success")
    return redirect(url_for("absence.index"), 303)


# --- words ------------------------------------------------------------------------------------------------------------


def _read(written: Written) -> tuple[date | None, date | None, dict[str, str]]:
    first, last = _date(written.starts_on), _date(written.ends_on)
    errors = {}
    if first is None:
        errors["starts_on"] = _("Velg den første dagen borte.")
    if last is None:
        errors["ends_on"] = _("Velg den siste dagen borte.")
    if not written.deputy:
        errors["deputy"] = _("Velg hvem som er stedfortreder.")
    return first, last, errors


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _in_words(refused: InvalidInput) -> dict[str, str]:
    """The field to blame, and what to do about it."""
    field = str(refused.data.get("field", "deputy"))
    first, last = refused.data.get("starts_on"), refused.data.get("ends_on")
    if isinstance(first, date) and isinstance(last, date):
        days = {"first": formatter().dag(first), "last": formatter().dag(last)}
        words = _("Det er alt meldt fravær %(first)s til %(last)s. Endre eller avlys det.", **days)
        return {field: words}
    if field == "ends_on":
        return {field: _("Siste dag må være i dag eller senere, ikke før den første, og innen ett år.")}
    return {field: _("Velg en annen enn den som er borte.")}


def _kept(deputy: str, first: date, last: date) -> str:
    days = {"first": formatter().dag(first), "last": formatter().dag(last)}
    return _("Fraværet er meldt. %(name)s er stedfortreder %(first)s til %(last)s.", name=deputy, **days)


def _also_away(deputy: str, instead: str, first: date, last: date) -> str:
    days = {"first": formatter().dag(first), "last": formatter().dag(last)}
    return _(
        "%(name)s er selv borte %(first)s til %(last)s. Da er det %(instead)s som er stedfortreder.",
        name=deputy, instead=instead, **days,
    )  # fmt: skip
