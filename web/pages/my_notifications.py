"""Varsler: when one is written to, in which language, and which mails one does without; unsubscribing in one click."""

from collections.abc import Sequence

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import login_required
from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements import bodies
from engine.errors import InvalidInput, NotAllowed, NotFound
from engine.model import Group, User
from notifications import preferences, texts, timing, unsubscribing, weekly
from notifications.model import MailPreference
from notifications.timing import How, Preference
from web.context import acting, close_session, community, db, now, person, services

pages = Blueprint("my_notifications", __name__)
#: Whose members may choose for the groups.
SECRETARIAT = "sekretariat"


@pages.get("/varsler")
@login_required  # type: ignore[untyped-decorator]
def show() -> ResponseReturnValue:
    """What one has chosen, and what cannot be turned off."""
    user = db().get_one(User, person().id)
    row = preferences.of_person(db(), user.id)
    return render_template(
        "notifications/mine.html", reminders=row is None or row.reminders, language=user.locale,
        languages=_languages(), groups=_groups(), weekly=weekly.pages_of(db(), user.id), bodies=_bodies(),
        next_mail=weekly.next_mail(db(), user.id), **_choice(row),
    )  # fmt: skip


def _bodies() -> list[tuple[str, str]]:
    """Key and name of those whose cases the weekly mail may have."""
    return [(body.key, body.name) for body in bodies.all_of(db(), community())]


def _choice(row: MailPreference | None) -> dict[str, object]:
    """What stands in the fields of a choice."""
    chosen = preferences.chosen(row) or timing.AT_ONCE
    return {
        "how": row.how or "" if row else "", "hour": chosen.hour, "weekday": chosen.weekday,
        "hours": timing.HOURS, "weekdays": _weekdays(),
    }  # fmt: skip


@pages.post("/varsler")
@login_required  # type: ignore[untyped-decorator]
def save() -> ResponseReturnValue:
    """Keep the choice; mails that are planned follow."""
    preference, language = _preference(), request.form.get("language", "")
    if language not in texts.LANGUAGES:
        raise InvalidInput(_("Velg et av språkene i lista."))
    known = {weekly.EVERYTHING, *(key for key, _name in _bodies())}
    wanted = sorted(known.intersection(request.form.getlist("weekly")))
    with acting() as (session, actor):
        user = session.get_one(User, actor.id)
        preferences.choose(session, user, preference, reminders="reminders" in request.form, now=now())
        weekly.choose(session, user, wanted, now=now(), settings=services().notifications)
        user.locale = language
    flash(_("Valget er lagret. E-poster som alt er planlagt, følger det."), "success")
    return redirect(url_for("my_notifications.show"), 303)


def _preference() -> Preference | None:
    how = request.form.get("how", "")
    if not how:
        return None
    hour, weekday = (request.form.get(name, -1, type=int) for name in ("hour", "weekday"))
    if how not in tuple(How) or hour not in timing.HOURS or weekday not in range(5):
        raise InvalidInput(_("Velg et klokkeslett fra 8 til 19 og en ukedag fra mandag til fredag."))
    return Preference(how=How(how), hour=hour, weekday=weekday)


# --- a group's -----------------------------------------------------------------------------------------------------


def _groups() -> Sequence[Group]:
    """Those whose choice this person may set: the secretariat's and the administrators' are all of them."""
    if not _chooses_for_others():
        return ()
    return db().scalars(select(Group).where(Group.community_id == person().community_id).order_by(Group.name)).all()


def _chooses_for_others() -> bool:
    return person().is_admin or SECRETARIAT in person().group_keys


@pages.get("/varsler/alle")
@login_required  # type: ignore[untyped-decorator]
def everybody() -> ResponseReturnValue:
    """When people are written to where neither they, their group nor the model says it."""
    _require_secretariat()
    return render_template("notifications/everybody.html", **_choice(preferences.of_community(db(), community().id)))


@pages.post("/varsler/alle")
@login_required  # type: ignore[untyped-decorator]
def save_everybody() -> ResponseReturnValue:
    """Keep it; mails that are planned follow."""
    preference = _preference()
    _require_secretariat()
    with acting() as (session, actor):
        preferences.choose_for_all(session, actor.community_id, preference, now=now())
    flash(_("Valget er lagret. E-poster som alt er planlagt, følger det."), "success")
    return redirect(url_for("my_notifications.everybody"), 303)


def _require_secretariat() -> None:
    if not _chooses_for_others():
        raise NotAllowed(_("Bare sekretariatet velger for alle. Spør dem."))


@pages.get("/varsler/grupper/<key>")
@login_required  # type: ignore[untyped-decorator]
def group(key: str) -> ResponseReturnValue:
    """When a group's members are written to about its tasks, where they have not chosen themselves."""
    found = _group(key)
    return render_template(
        "notifications/group.html", group=found, **_choice(preferences.of_group(db(), found.id))
    )  # fmt: skip


@pages.post("/varsler/grupper/<key>")
@login_required  # type: ignore[untyped-decorator]
def save_group(key: str) -> ResponseReturnValue:
    """Keep it; mails that are planned follow."""
    preference, found = _preference(), _group(key)
    with acting() as (session, _actor):
        preferences.choose_for_group(session, session.get_one(Group, found.id), preference, now=now())
    flash(_("Valget er lagret. E-poster som alt er planlagt, følger det."), "success")
    return redirect(url_for("my_notifications.group", key=key), 303)


def _group(key: str) -> Group:
    found = next((group for group in _groups() if group.key == key), None)
    if found is None:
        raise NotAllowed(_("Bare sekretariatet velger for en gruppe. Spør dem."))
    return found


def _weekdays() -> list[str]:
    return [_("mandag"), _("tirsdag"), _("onsdag"), _("torsdag"), _("fredag")]


def _languages() -> list[tuple[str, str]]:
    # Each in its own words, so that whoever looks for it knows it.
    return [("nb", "Bokmål"), ("nn", "Nynorsk"), ("en", "English")]


# --- without signing in -----------------------------------------------------------------------------------------------


@pages.get("/avmelding/<token>")
def ask(token: str) -> ResponseReturnValue:
    """Say what unsubscribing means; nothing is changed, whoever follows the address."""
    user, kind = _read(db(), token)
    if kind == weekly.RULE:
        return render_template("notifications/unsubscribe_week.html", on=bool(weekly.pages_of(db(), user.id)))
    row = preferences.of_person(db(), user.id)
    return render_template("notifications/unsubscribe.html", on=row is None or row.reminders)


@pages.post("/avmelding/<token>")
def answer(token: str) -> ResponseReturnValue:
    """Turn off what the mail was, from the page or by a mail program's one click (RFC 8058); or on again."""
    on = request.form.get("on") == "1"
    close_session()
    with services().database.transaction() as session:
        user, kind = _read(session, token)
        if kind == weekly.RULE:
            pages = [weekly.EVERYTHING] if on else []
            weekly.choose(session, user, pages, now=now(), settings=services().notifications)
        else:
            preferences.turn_reminders(session, user, on=on, now=now())
    return redirect(url_for("my_notifications.ask", token=token), 303)


def _read(session: Session, token: str) -> tuple[User, str]:
    """Whose address it is, and what kind of mail it stood in."""
    found = unsubscribing.read(token, services().notifications)
    user = session.get(User, found.user_id) if found is not None else None
    if found is None or user is None or not user.active:
        raise NotFound(_("Lenken gjelder ikke. Logg inn og velg det under «Varsler til meg»."))
    return user, found.kind
