"""Flytt saker: running cases tried on a version of their model, moved there one by one or together, and moved back."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select

from engine import deployments, identity, instance_migration
from engine.errors import EngineError, NotFound, NotOpen, Stale
from engine.model import HistoryEvent, InstanceMigration, ProcessDefinition, ProcessInstance, Step, User
from web import migration_views
from web.context import acting, db, formatter, now, person, services
from web.migration_views import Wanted
from web.pages import act_forms, migration_words
from web.pages.act_forms import Problem
from web.pages.migration_words import TriedView

pages = Blueprint("migration", __name__, url_prefix="/modeller/<key>/<int(max=999999):version>/flytt")

#: Cases that are listed, tried or moved together; the command has no such limit.
AT_ONCE = 50
#: Names of fields that say which element takes the place of another: `i-stedet-for-<element>`.
INSTEAD = "i-stedet-for-"
_ID = re.compile(r"[\w.-]{1,300}")


@pages.before_request
def _signed_in() -> None:
    if not current_user.is_authenticated:
        abort(401)


@dataclass(frozen=True, kw_only=True)
class CaseLine:
    """A case in the list, and the steps it waits at."""

    instance: ProcessInstance
    stands: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TriedLine:
    """A case that was tried together with others."""

    instance: ProcessInstance
    #: None where trying it failed for a reason of ours.
    tried: TriedView | None


@dataclass(frozen=True, kw_only=True)
class Done:
    """The migration that brought a case to a version, and whether it can be undone."""

    made: InstanceMigration
    by: str
    reason: str
    old: int
    can_revert: bool


# --- the list ---------------------------------------------------------------------------------------------------------


@pages.get("")
def index(key: str, version: int) -> ResponseReturnValue:
    """The cases on other versions, and where each stands."""
    definition = _definition(key, version)
    found, page, more = _page(definition)
    return _show(
        "index", definition, lines=_lines(found), page=page, more=more,
        newest=deployments.latest(db(), person().community_id, key).version,
    )  # fmt: skip


def _page(definition: ProcessDefinition) -> tuple[list[ProcessInstance], int, bool]:
    """The cases of one page of the list, its number, and whether there are more."""
    found = migration_views.running(db(), definition, person())
    page = max(request.values.get("side", 1, type=int), 1)
    first = (page - 1) * AT_ONCE
    return found[first : first + AT_ONCE], page, len(found) > first + AT_ONCE


def _lines(found: Sequence[ProcessInstance]) -> list[CaseLine]:
    ids = [instance.id for instance in found]
    query = select(Step.instance_id, Step.name).where(Step.instance_id.in_(ids), Step.state == "open")
    stands: dict[int, list[str]] = {}
    for instance_id, name in db().execute(query.order_by(Step.id)):
        stands.setdefault(instance_id, []).append(name)
    return [CaseLine(instance=i, stands=tuple(dict.fromkeys(stands.get(i.id, ())))) for i in found]


# --- one case ---------------------------------------------------------------------------------------------------------


@pages.route("/<id>", methods=["GET", "POST"])
def one(key: str, version: int, id: str) -> ResponseReturnValue:
    """Try one case on the version, and move it; once it is there, say how it came there."""
    definition, instance = _definition(key, version), _case(key, id)
    if instance.definition_id == definition.id:
        return _show("moved", definition, instance=instance, done=_done(definition, instance))
    problems: list[Problem] = []
    if request.method == "POST":
        reason = act_forms.reason_given(problems, _why())
        if not problems:
            return _move(definition, id, reason)
    mapping = _mapping(request.values)
    tried = migration_views.attempt(
        services().database, instance, definition, now=now(), settings=services().notifications, mapping=mapping
    )
    shown = migration_words.view(tried, formatter())
    return _show(
        "one", definition, problems, instance=instance, tried=shown, mapping=mapping, instead=INSTEAD,
        chosen=_chosen(instance, definition, mapping),
    )  # fmt: skip


def _move(definition: ProcessDefinition, id: str, reason: str) -> ResponseReturnValue:
    address = url_for("migration.one", key=definition.key, version=definition.version, id=id)
    wanted, mapping = Wanted(public_id=id, revision=act_forms.revision_seen()), _mapping(request.form)
    try:
        with acting() as (session, actor):
            migration_views.move(session, wanted, definition, actor=actor, now=now(), reason=reason, mapping=mapping)
    except Stale:
        raise
    except EngineError as refused:
        flash(migration_words.refusal(refused), "warning")
    else:
        flash(_("Saken er flyttet til versjon %(n)s.", n=definition.version), "success")
    return redirect(address, 303)


def _mapping(given: Mapping[str, str]) -> dict[str, str]:
    """Element -> the one that takes its place, of what reads as ids."""
    pairs = ((name.removeprefix(INSTEAD), to) for name, to in given.items() if name.startswith(INSTEAD))
    return {was: to for was, to in pairs if _ID.fullmatch(was) and _ID.fullmatch(to)}


def _chosen(
    instance: ProcessInstance, definition: ProcessDefinition, mapping: Mapping[str, str]
) -> list[tuple[str, str]]:
    """What takes whose place, by name."""
    old, new = instance_migration.specifications(db(), instance, definition)
    named = migration_views.place
    return [(named("", was, old).name, named("", to, new).name) for was, to in mapping.items()]


# --- many -------------------------------------------------------------------------------------------------------------


@pages.route("/alle", methods=["GET", "POST"])
def many(key: str, version: int) -> ResponseReturnValue:
    """Try every case of the page, and move those that can be moved, each for itself."""
    definition = _definition(key, version)
    problems: list[Problem] = []
    if request.method == "POST":
        wanted = _wanted(problems)
        reason = act_forms.reason_given(problems, _why())
        if not problems:
            results = migration_views.move_each(
                services().database, wanted, definition, actor=person(), now=now(), reason=reason
            )
            said = [(result, migration_words.moved(result)) for result in results]
            return _show("result", definition, results=said, moved=sum(result.is_moved for result in results))
    found, page, more = _page(definition)
    lines = [TriedLine(instance=instance, tried=_tried(instance, definition)) for instance in found]
    movable = [line for line in lines if line.tried is not None and line.tried.can_move]
    return _show("many", definition, problems, lines=lines, movable=movable, page=page, more=more)


def _tried(instance: ProcessInstance, definition: ProcessDefinition) -> TriedView | None:
    tried = migration_views.attempt_one_of_many(
        services().database, instance, definition, now=now(), settings=services().notifications
    )
    return migration_words.view(tried, formatter()) if tried is not None else None


def _wanted(problems: list[Problem]) -> list[Wanted]:
    """The cases that were shown as movable, each with the revision it had."""
    pairs = [text.partition(":") for text in request.form.getlist("sak")[:AT_ONCE]]
    wanted = [Wanted(public_id=id, revision=int(seen)) for id, _sep, seen in pairs if seen.isascii() and seen.isdigit()]
    if not wanted:
        problems.append(Problem(field="saker", message=_("Ingen saker er valgt. Se hvilke som kan flyttes.")))
    return wanted


# --- moving back ------------------------------------------------------------------------------------------------------


@pages.route("/<id>/angre", methods=["GET", "POST"])
def revert(key: str, version: int, id: str) -> ResponseReturnValue:
    """Put the case back on the version it came from, while nothing has happened in it."""
    definition, instance = _definition(key, version), _case(key, id)
    done = _done(definition, instance)
    if done is None:
        raise NotFound(_("Saken er ikke flyttet til denne versjonen."))
    problems: list[Problem] = []
    if request.method == "POST" and done.can_revert:
        reason = act_forms.reason_given(
            problems, _("Skriv hvorfor flyttingen angres. Begrunnelsen står i historikken.")
        )
        if not problems and (answer := _revert(id, done, reason)) is not None:
            return answer
    return _show("revert", definition, problems, instance=instance, done=done)


def _revert(id: str, done: Done, reason: str) -> ResponseReturnValue | None:
    try:
        with acting() as (session, actor):
            instance = act_forms.locked(session, actor, id)
            made = instance_migration.find(session, instance, done.made.public_id)
            instance_migration.revert(session, instance, made, now=now(), actor_id=actor.id, reason=reason)
    except NotOpen as refused:
        flash(migration_words.refusal(refused), "warning")
        return None
    return act_forms.done(id, _("Flyttingen er angret. Saken er på versjon %(n)s igjen.", n=done.old))


def _done(definition: ProcessDefinition, instance: ProcessInstance) -> Done | None:
    """How the case came to the version; None where it was started there, or has been moved on."""
    made = instance_migration.latest(db(), instance)
    if made is None or made.to_definition_id != definition.id or instance.definition_id != definition.id:
        return None
    by = db().get(User, made.migrated_by_id) if made.migrated_by_id else None
    happened = (HistoryEvent.instance_id == instance.id) & (HistoryEvent.kind == "migrated")
    events = db().scalars(select(HistoryEvent).where(happened))
    notes = [event.note or "" for event in events if event.data["migration"] == made.public_id]
    return Done(
        made=made, by=by.name if by else _("Systemet"), reason="".join(notes),
        old=db().get_one(ProcessDefinition, made.from_definition_id).version,
        can_revert=instance_migration.can_revert(instance, made) and not _time_has_come(instance, now()),
    )  # fmt: skip


def _time_has_come(instance: ProcessInstance, moment: datetime) -> bool:
    """Did a timer fall due while the case is on hold? It has to go on before it is moved."""
    return instance.state == "suspended" and instance.wake_at is not None and instance.wake_at <= moment


# --- what the pages share ---------------------------------------------------------------------------------------------


def _definition(key: str, version: int) -> ProcessDefinition:
    return deployments.find_version(db(), person().community_id, key, version)


def _case(key: str, id: str) -> ProcessInstance:
    """The case of that process, if they may steer it. Raises NotFound or NotAllowed."""
    instance = identity.instance_by_id(db(), person(), id)
    if instance.definition.key != key:
        raise NotFound(_("Saken følger en annen modell."))
    identity.require_owner(person(), instance)
    return instance


def _why() -> str:
    return _("Skriv hvorfor saken flyttes. Begrunnelsen står i historikken.")


def _show(
    template: str, definition: ProcessDefinition, problems: Sequence[Problem] = (), **more: Any
) -> ResponseReturnValue:
    text = render_template(
        f"migration/{template}.html", definition=definition, problems=problems, typed=request.form,
        max_reason=act_forms.MAX_REASON, **more,
    )  # fmt: skip
    return text, 422 if problems else 200
