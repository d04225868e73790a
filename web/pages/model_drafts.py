"""Drafts of models: drawing them, trying them out, and deploying or throwing them away. For administrators only."""

import json
from typing import Any

from flask import Blueprint, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from agreements.functions import FUNCTIONS
from engine import deployments, drafts
from engine.bpmn.differences import differences
from engine.bpmn.reading import MAX_BYTES
from engine.deployments import Source
from engine.errors import EngineError, Finding, InvalidInput, ModelRefused, NotAllowed, NotFound, Stale
from engine.model import ModelDraft, ProcessDefinition
from web.commands import START_NAMES
from web.context import acting, db, formatter, now, person
from web.pages import model_words
from web.pages.model_words import Comparison
from web.pages.models import bpmn_file

pages = Blueprint("drafts", __name__, url_prefix="/modellutkast")


@pages.before_request
def _administrators() -> None:
    if not current_user.is_authenticated:
        abort(401)
    if not person().is_admin:
        raise NotAllowed(_("Bare administratorer lager modeller."))


# --- beginning --------------------------------------------------------------------------------------------------------


@pages.route("/nytt", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    """A new process: from nothing, or as a copy of one there is."""
    if request.method == "GET":
        return _ask_new({"kopi": request.args.get("kopi", "")}, {})
    written = {name: request.form.get(name, "").strip() for name in ("navn", "id", "kopi")}
    errors = _new_errors(written)
    if errors:
        return _ask_new(written, errors)
    try:
        with acting() as (session, actor):
            if written["kopi"]:
                model = deployments.latest(session, actor.community_id, written["kopi"])
                made = drafts.copy_version(session, model, written["id"], written["navn"], person=actor, now=now())
            else:
                made = drafts.begin(session, written["id"], written["navn"], person=actor, now=now())
            target = url_for("drafts.show", id=made.public_id)
    except (InvalidInput, ModelRefused):
        return _ask_new(written, {"id": _id_help()})
    return redirect(target, 303)


def _id_help() -> str:
    return _("Bruk 3–60 tegn: a–z, tall og understrek, med en bokstav først. Id-en kan ikke være brukt i modellen.")


def _new_errors(written: dict[str, str]) -> dict[str, str]:
    errors = {}
    if not written["navn"] or len(written["navn"]) > drafts.MAX_NAME:
        errors["navn"] = _("Skriv et navn på høyst 300 tegn.")
    if written["id"] in [d.key for d in deployments.latest_definitions(db(), person().community_id)]:
        errors["id"] = _("Prosessen finnes alt. Velg en annen id, eller lag et utkast til neste versjon av den.")
    return errors


def _ask_new(written: dict[str, str], errors: dict[str, str]) -> ResponseReturnValue:
    every = deployments.latest_definitions(db(), person().community_id)
    page = render_template("models/new.html", written=written, errors=errors, processes=every)
    return page, 422 if errors else 200


@pages.post("/fra/<key>/<int:version>")
def from_version(key: str, version: int) -> ResponseReturnValue:
    """A draft of the next version."""
    with acting() as (session, actor):
        definition = deployments.find_version(session, actor.community_id, key, version)
        made = drafts.open_version(session, definition, person=actor, now=now())
        target = url_for("drafts.show", id=made.public_id)
    return redirect(target, 303)


# --- drawing ----------------------------------------------------------------------------------------------------------


@pages.get("/<id>")
def show(id: str) -> ResponseReturnValue:
    """The modeller."""
    draft = drafts.find(db(), person(), id)
    return render_template(
        "models/modeller.html", draft=draft, follows=drafts.follows(db(), draft), forms=sorted(draft.forms),
        processes=deployments.latest_definitions(db(), person().community_id),
    )  # fmt: skip


@pages.get("/<id>.bpmn")
def file(id: str) -> ResponseReturnValue:
    """The draft's BPMN file."""
    return bpmn_file(drafts.find(db(), person(), id).xml, f"utkast-{id}")


@pages.get("/<id>/innhold")
def content(id: str) -> ResponseReturnValue:
    """What the modeller opens: the drawing and the revision it has."""
    draft = drafts.find(db(), person(), id)
    return jsonify(
        {
            "xml": draft.xml,
            "revision": draft.revision,
            "findings": _said(drafts.findings(db(), draft, functions=FUNCTIONS, names=START_NAMES)),
        }
    )


@pages.post("/<id>/lagre")
def save(id: str) -> ResponseReturnValue:
    """Keep what is drawn; 409 when somebody saved since, and nothing is then lost in the browser."""
    try:
        sent = _drawn()
        with acting() as (session, actor):
            draft = drafts.save(session, id, sent["xml"], revision=sent["revision"], person=actor, now=now())
            revision, saved_at = draft.revision, draft.saved_at
    except EngineError as error:
        return _refused(error)
    return jsonify({"revision": revision, "saved": _("Lagret %(time)s", time=formatter().klokkeslett(saved_at))})


@pages.post("/<id>/sjekk")
def check(id: str) -> ResponseReturnValue:
    """What the import gate says of what is drawn, saved or not."""
    try:
        draft = drafts.find(db(), person(), id)
        found = drafts.findings(db(), draft, _drawn()["xml"], functions=FUNCTIONS, names=START_NAMES)
    except EngineError as error:
        return _refused(error)
    return jsonify({"findings": _said(found)})


@pages.post("/<id>/kopi")
def keep_as_another(id: str) -> ResponseReturnValue:
    """What was drawn and could not be saved becomes a draft of its own."""
    try:
        sent = _drawn()
        with acting() as (session, actor):
            held = drafts.find(session, actor, id)
            source = Source(xml=sent["xml"], forms=held.forms, decisions=held.decisions)
            made = drafts.begin_with(session, source, person=actor, now=now())
            made.based_on_id = held.based_on_id
            target = url_for("drafts.show", id=made.public_id)
    except EngineError as error:
        return _refused(error)
    return jsonify({"address": target})


def _drawn() -> dict[str, Any]:
    """What the modeller sends. Raises InvalidInput."""
    sent = request.get_json(silent=True)
    if not isinstance(sent, dict) or not isinstance(sent.get("xml"), str):
        raise InvalidInput(_("Noe mangler i det som ble sendt. Last siden på nytt."))
    xml = sent["xml"].encode("utf-8", "surrogatepass")
    if len(xml) > MAX_BYTES:
        raise InvalidInput(_("Modellen er større enn %(n)s MB. Del prosessen i flere.", n=MAX_BYTES // 1_000_000))
    revision = sent.get("revision")
    return {"xml": xml, "revision": revision if isinstance(revision, int) else 0}


def _refused(error: EngineError) -> ResponseReturnValue:
    """The refusal for the script: what to say to the reader."""
    words = {
        404: _("Utkastet finnes ikke lenger. Noen har kastet det eller tatt det i bruk."),
        409: _("Noen andre har lagret utkastet. Det du har tegnet, er ikke borte: lagre det som et eget utkast."),
    }
    return jsonify({"message": words.get(error.status, model_words.refusal(error.message))}), error.status


def _said(found: list[Finding]) -> list[dict[str, str]]:
    return [vars(model_words.finding(f)) for f in found]


# --- forms ------------------------------------------------------------------------------------------------------------

_EMPTY = {
    "type": "default", "schemaVersion": 18,
    "components": [{"type": "textarea", "key": "svar", "label": "Svar", "validate": {"required": True}}],
}  # fmt: skip


@pages.route("/<id>/skjema", methods=["GET", "POST"])
def new_form(id: str) -> ResponseReturnValue:
    """A form that the draft does not have yet."""
    draft = drafts.find(db(), person(), id)
    if request.method == "GET":
        return _edit_form(draft, "", "", "")
    key = request.form.get("key", "").strip()
    if key in draft.forms:
        return _edit_form(draft, "", request.form.get("json", ""), _("Skjemaet finnes alt. Velg en annen nøkkel."))
    return _save_form(draft, key, is_new=True)


@pages.route("/<id>/skjema/<key>", methods=["GET", "POST"])
def form(id: str, key: str) -> ResponseReturnValue:
    """The definition of one form."""
    draft = drafts.find(db(), person(), id)
    if key not in draft.forms:
        raise NotFound(_("Skjemaet finnes ikke i utkastet."))
    if request.method == "GET":
        return _edit_form(draft, key, "", "")
    return _save_form(draft, key, is_new=False)


def _save_form(draft: ModelDraft, key: str, *, is_new: bool) -> ResponseReturnValue:
    text, target = request.form.get("json", ""), url_for("drafts.show", id=draft.public_id)
    revision = request.form.get("revision", 0, type=int)
    try:
        with acting() as (session, actor):
            if "fjern" in request.form:
                drafts.remove_form(session, draft.public_id, key, revision=revision, person=actor, now=now())
            else:
                text = text.strip() or json.dumps(_EMPTY)
                drafts.save_form(session, draft.public_id, key, text, revision=revision, person=actor, now=now())
    except Stale:
        message = _("Noen andre har lagret utkastet. Se over, og lagre igjen.")
        return _edit_form(drafts.find(db(), person(), draft.public_id), "" if is_new else key, text, message, 409)
    except InvalidInput as error:
        return _edit_form(draft, "" if is_new else key, text, model_words.form_problem(error.message))
    flash(_("Skjemaet er fjernet.") if "fjern" in request.form else _("Skjemaet er lagret."), "success")
    return redirect(target, 303)


def _edit_form(draft: ModelDraft, key: str, text: str, error: str, status: int = 422) -> ResponseReturnValue:
    shown = text or json.dumps(draft.forms.get(key, _EMPTY), ensure_ascii=False, indent=2)
    page = render_template(
        "models/form.html", draft=draft, key=key, text=shown, error=error, used=bool(key) and key in draft.xml,
        typed_key=request.form.get("key", key),
    )  # fmt: skip
    return page, status if error else 200


# --- the end of a draft -----------------------------------------------------------------------------------------------


@pages.route("/<id>/ta-i-bruk", methods=["GET", "POST"])
def deploy(id: str) -> ResponseReturnValue:
    """Deploy the draft, after looking at what is wrong and what differs from the version in use."""
    draft = drafts.find(db(), person(), id)
    if request.method == "GET":
        return _ask_deploy(draft)
    note = request.form.get("merknad", "").strip()
    if not note:
        is_first = drafts.follows(db(), draft) is None
        return _ask_deploy(
            draft, _("Skriv hvorfor prosessen lages.") if is_first else _("Skriv hvorfor modellen endres.")
        )
    if request.form.get("folger", "") != _following(drafts.follows(db(), draft)):
        return _ask_deploy(draft, _("En ny versjon er tatt i bruk mens du så på siden. Se over forskjellene på nytt."))
    if (changes := _changes(drafts.follows(db(), draft), draft)) is not None and changes.nothing:
        return _ask_deploy(draft, _("Ingenting er endret, så det blir ingen ny versjon."))
    try:
        with acting() as (session, actor):
            revision = request.form.get("revision", 0, type=int)
            made = drafts.deploy(
                session, id, revision=revision, note=note[:2000], person=actor, now=now(), functions=FUNCTIONS
            )
            key, version = made.key, made.version
    except Stale:
        fresh = drafts.find(db(), person(), id)
        return _ask_deploy(fresh, _("Utkastet er lagret på nytt mens du så på siden. Se over det igjen."))
    except InvalidInput as error:
        return _ask_deploy(drafts.find(db(), person(), id), model_words.refusal(error.message))
    except ModelRefused:
        return _ask_deploy(drafts.find(db(), person(), id), _("Modellen har feil som må rettes først."))
    flash(_("Versjon %(version)s er tatt i bruk. Nye saker starter på den.", version=version), "success")
    return redirect(url_for("models.show", key=key, version=version), 303)


def _following(definition: ProcessDefinition | None) -> str:
    return "" if definition is None else f"{definition.key} {definition.version}"


def _ask_deploy(draft: ModelDraft, error: str = "") -> ResponseReturnValue:
    follows = drafts.follows(db(), draft)
    found = [model_words.finding(f) for f in drafts.findings(db(), draft, functions=FUNCTIONS, names=START_NAMES)]
    page = render_template(
        "models/deploy.html", draft=draft, error=error, note=request.form.get("merknad", ""), follows=follows,
        following=_following(follows), errors=[f for f in found if f.severity == "error"],
        advice=[f for f in found if f.severity != "error"], changes=_changes(follows, draft),
        model=drafts.model_in(draft.xml),
    )  # fmt: skip
    return page, 422 if error else 200


def _changes(follows: ProcessDefinition | None, draft: ModelDraft) -> Comparison | None:
    """What deploying would change; None for a first version, or while the drawing can't be read."""
    if follows is None:
        return None
    try:
        return model_words.comparison(differences(drafts.content_of(follows), drafts.content_of(draft)))
    except ModelRefused:
        return None


@pages.get("/<id>/sammenlign")
def compare(id: str) -> ResponseReturnValue:
    """The draft beside the version it would follow."""
    draft = drafts.find(db(), person(), id)
    follows = drafts.follows(db(), draft)
    changes = _changes(follows, draft)
    if follows is None or changes is None:
        raise NotFound(_("Utkastet har ingen versjon å sammenlignes med."))
    return render_template(
        "models/compare.html", old=follows, new=None, draft=draft, changes=changes, numbers=[],
        old_url=url_for("models.file", key=follows.key, version=follows.version),
        new_url=url_for("drafts.file", id=id),
    )  # fmt: skip


@pages.route("/<id>/kast", methods=["GET", "POST"])
def discard(id: str) -> ResponseReturnValue:
    """Throw the draft away, once it is confirmed."""
    draft = drafts.find(db(), person(), id)
    if request.method == "GET":
        return render_template("models/discard.html", draft=draft, error="")
    try:
        with acting() as (session, actor):
            drafts.discard(session, id, revision=request.form.get("revision", 0, type=int), person=actor)
    except Stale:
        fresh = drafts.find(db(), person(), id)
        text = _("Noen har lagret utkastet siden du åpnet siden. Se på det før du kaster det.")
        return render_template("models/discard.html", draft=fresh, error=text), 409
    flash(_("Utkastet er kastet."), "success")
    return redirect(url_for("models.index"), 303)
