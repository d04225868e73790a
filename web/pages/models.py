"""Modeller: every process in its versions, what differs between them, and who deployed them and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from flask import Blueprint, Response, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import func, select
from sqlalchemy.orm import defer, joinedload

from engine import deployments, drafts, identity
from engine.bpmn.differences import differences
from engine.errors import ModelRefused, NotFound
from engine.model import ProcessDefinition, ProcessInstance, User
from web.context import db, person
from web.pages import model_words
from web.pages.model_words import Comparison

pages = Blueprint("models", __name__, url_prefix="/modeller")

_RUNNING = ("active", "suspended")


@pages.before_request
def _signed_in() -> None:
    if not current_user.is_authenticated:
        abort(401)


@dataclass(frozen=True, kw_only=True)
class VersionLine:
    """A version in a list: who deployed it, and how many cases run on it."""

    definition: ProcessDefinition
    by: str
    running: int


@dataclass(frozen=True, kw_only=True)
class ProcessLine:
    """A process in the list: its newest version, and the versions that cases run on."""

    newest: VersionLine
    running: tuple[VersionLine, ...]


# --- lists ------------------------------------------------------------------------------------------------------------


@pages.get("")
def index() -> ResponseReturnValue:
    """Every process with its newest version; the drafts, for whoever may draw."""
    query = select(ProcessDefinition).where(ProcessDefinition.community_id == person().community_id)
    light = (joinedload(ProcessDefinition.deployment), defer(ProcessDefinition.xml), defer(ProcessDefinition.forms))
    lines = _lines(db().scalars(query.options(*light).order_by(ProcessDefinition.version)))
    by_key: dict[str, list[VersionLine]] = {}
    for line in lines:
        by_key.setdefault(line.definition.key, []).append(line)
    processes = [
        ProcessLine(newest=held[-1], running=tuple(line for line in reversed(held) if line.running))
        for held in by_key.values()
    ]
    own = drafts.all_of(db(), person()) if person().is_admin else []
    return render_template(
        "models/index.html", processes=sorted(processes, key=lambda p: p.newest.definition.name), drafts=own,
        names=_names(draft.saved_by_id for draft in own), may_draw=person().is_admin,
    )  # fmt: skip


def _lines(definitions: Iterable[ProcessDefinition]) -> list[VersionLine]:
    found = list(definitions)
    counted = (
        select(ProcessInstance.definition_id, func.count())
        .where(
            identity.visible_instances(person()),
            ProcessInstance.state.in_(_RUNNING),
            ProcessInstance.definition_id.in_([d.id for d in found]),
        )
        .group_by(ProcessInstance.definition_id)
    )
    running = {row[0]: row[1] for row in db().execute(counted)}
    names = _names(d.deployment.deployed_by_id for d in found)
    return [
        VersionLine(definition=d, by=names.get(d.deployment.deployed_by_id or 0, ""), running=running.get(d.id, 0))
        for d in found
    ]


def _names(user_ids: Iterable[int | None]) -> dict[int, str]:
    wanted = {user_id for user_id in user_ids if user_id is not None}
    rows = db().execute(select(User.id, User.name).where(User.id.in_(wanted)))
    return {row[0]: row[1] for row in rows}


# --- one process ------------------------------------------------------------------------------------------------------


@pages.get("/<key>")
def process(key: str) -> ResponseReturnValue:
    """Every version of a process, each with what differs from the one before."""
    found = _versions(key)
    lines = _lines(found)
    changes = [compared(older, newer) for newer, older in pairwise(found)]
    return render_template(
        "models/process.html", newest=found[0], lines=lines, changes=[*changes, None], may_draw=person().is_admin
    )


@pages.get("/<key>/<int:version>")
def show(key: str, version: int) -> ResponseReturnValue:
    """One version: its diagram, its elements and forms."""
    definition = _version(key, version)
    (line,) = _lines([definition])
    model = deployments.model_of(definition.xml, definition.key)
    return render_template(
        "models/version.html", line=line, definition=definition, model=model, may_draw=person().is_admin,
        newest=_versions(key)[0].version, elements=_elements(definition),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ElementRow:
    """A step of the model as a row of its table."""

    name: str
    type: str
    role: str
    due: str
    form: str


def _elements(definition: ProcessDefinition) -> list[ElementRow]:
    model = deployments.model_of(definition.xml, definition.key)
    steps = [
        ElementRow(
            name=task.name, type=model_words.type_name("userTask"), role=model.roles.get(task.role or "", ""),
            due=task.due_date or "", form=task.form_key or "",
        )
        for task in model.user_tasks.values()
    ]  # fmt: skip
    names = {d.key: d.name for d in deployments.latest_definitions(db(), definition.community_id)}
    called = [
        ElementRow(
            name=names.get(call.called, call.called),
            type=model_words.type_name("callActivity"),
            role="",
            due="",
            form="",
        )
        for call in model.calls.values()
    ]
    return steps + called


@pages.get("/<key>/<int:version>.bpmn")
def file(key: str, version: int) -> ResponseReturnValue:
    """The version's BPMN file."""
    return bpmn_file(_version(key, version).xml, f"{key}-{version}")


def bpmn_file(xml: str, name: str) -> Response:
    """A model to keep; never shown as a page of ours, since anyone may have drawn it."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.bpmn"'}
    return Response(xml, mimetype="application/xml", headers=headers)


# --- comparing --------------------------------------------------------------------------------------------------------


@pages.get("/<key>/sammenlign")
def compare(key: str) -> ResponseReturnValue:
    """Two versions side by side; the newest and the one before it unless others are chosen."""
    found = _versions(key)
    numbers = [d.version for d in found]
    newer = request.args.get("til", numbers[0], type=int)
    older = request.args.get("fra", max((n for n in numbers if n < newer), default=newer), type=int)
    old, new = _version(key, older), _version(key, newer)
    return render_template(
        "models/compare.html", old=old, new=new, numbers=numbers, changes=compared(old, new),
        old_url=url_for("models.file", key=key, version=older), new_url=url_for("models.file", key=key, version=newer),
    )  # fmt: skip


def compared(old: ProcessDefinition, new: ProcessDefinition) -> Comparison:
    """What differs between two versions, in words."""
    try:
        return model_words.comparison(differences(drafts.content_of(old), drafts.content_of(new)))
    except ModelRefused as refused:  # deployed by an older release, and refused by this one
        raise NotFound(_("Versjonene kan ikke sammenlignes.")) from refused


def _versions(key: str) -> list[ProcessDefinition]:
    return deployments.versions(db(), person().community_id, key)


def _version(key: str, version: int) -> ProcessDefinition:
    return deployments.find_version(db(), person().community_id, key, version)
