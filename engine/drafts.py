"""Drafts of models: drawn, kept and saved until they are deployed or thrown away. For administrators only."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import deployments, forms
from engine.bpmn import blank
from engine.bpmn.differences import Content
from engine.bpmn.reading import MAX_BYTES, Model, processes_in, read
from engine.deployments import Source
from engine.errors import Finding, InvalidInput, ModelRefused, NotAllowed, NotFound, Stale
from engine.form_definitions import FormError
from engine.identity import Person
from engine.model import Group, ModelDraft, ProcessDefinition

MAX_FORM_BYTES = 200_000
MAX_NAME = 300


def require_modeller(person: Person) -> None:
    """Raises NotAllowed unless they may draw and deploy models."""
    if not person.is_admin:
        raise NotAllowed("Only administrators may draw models.")


def all_of(session: Session, person: Person) -> Sequence[ModelDraft]:
    """The community's drafts, the one saved last first. Raises NotAllowed."""
    require_modeller(person)
    query = select(ModelDraft).where(ModelDraft.community_id == person.community_id)
    return session.scalars(query.order_by(ModelDraft.saved_at.desc(), ModelDraft.id.desc())).all()


def find(session: Session, person: Person, public_id: str) -> ModelDraft:
    """The draft. Raises NotAllowed, NotFound."""
    require_modeller(person)
    query = select(ModelDraft).where(ModelDraft.community_id == person.community_id, ModelDraft.public_id == public_id)
    if (found := session.scalar(query)) is None:
        raise NotFound(f"There is no draft {public_id}.")
    return found


# --- beginning one ----------------------------------------------------------------------------------------------------


def begin(session: Session, process_id: str, name: str, *, person: Person, now: datetime) -> ModelDraft:
    """A draft with the least that a model needs. Raises NotAllowed, InvalidInput."""
    _require_new(session, person, process_id)
    return _add(session, person, now, name=_named(name), xml=blank.blank(process_id, _named(name)))


def open_version(session: Session, definition: ProcessDefinition, *, person: Person, now: datetime) -> ModelDraft:
    """A draft of the next version of a process. Raises NotAllowed."""
    return _add(
        session, person, now, name=definition.name, xml=definition.xml, forms=definition.forms,
        decisions=definition.decisions, based_on=definition,
    )  # fmt: skip


def copy_version(
    session: Session, definition: ProcessDefinition, process_id: str, name: str, *, person: Person, now: datetime
) -> ModelDraft:
    """A draft of another process that begins as this one is. Raises NotAllowed, InvalidInput."""
    _require_new(session, person, process_id)
    xml = blank.copied(definition.xml, process_id, _named(name))
    return _add(
        session, person, now, name=_named(name), xml=xml, forms=definition.forms, decisions=definition.decisions
    )  # fmt: skip


def begin_with(
    session: Session, source: Source, *, person: Person, now: datetime, based_on: ProcessDefinition | None = None
) -> ModelDraft:
    """A draft of a model that somebody drew elsewhere, or could not save. Raises NotAllowed, InvalidInput."""
    xml = _checked(source.xml)
    return _add(
        session, person, now, name=name_in(xml) or "Uten navn", xml=xml, forms=source.forms,
        decisions=source.decisions, based_on=based_on,
    )  # fmt: skip


def _add(
    session: Session,
    person: Person,
    now: datetime,
    *,
    name: str,
    xml: str,
    forms: Mapping[str, dict[str, Any]] | None = None,
    decisions: Mapping[str, str] | None = None,
    based_on: ProcessDefinition | None = None,
) -> ModelDraft:
    require_modeller(person)
    draft = ModelDraft(
        community_id=person.community_id, name=name, xml=xml, forms=dict(forms or {}), decisions=dict(decisions or {}),
        based_on_id=based_on.id if based_on else None, created_at=now, created_by_id=person.id, saved_at=now,
        saved_by_id=person.id,
    )  # fmt: skip
    session.add(draft)
    session.flush()  # callers show its id
    return draft


def _require_new(session: Session, person: Person, process_id: str) -> None:
    if any(d.key == process_id for d in deployments.latest_definitions(session, person.community_id)):
        raise InvalidInput(f"The process {process_id} is already deployed. Open a draft of its next version instead.")


def _named(name: str) -> str:
    plain = " ".join(name.split())
    if not plain or len(plain) > MAX_NAME:
        raise InvalidInput(f"A model needs a name of at most {MAX_NAME} characters.")
    return plain


# --- changing one -----------------------------------------------------------------------------------------------------


def save(session: Session, public_id: str, xml: bytes, *, revision: int, person: Person, now: datetime) -> ModelDraft:
    """Keep what was drawn, valid or not. Raises Stale when somebody saved since, InvalidInput when it is too large."""
    text = _checked(xml)
    draft = _locked(session, person, public_id, revision)
    draft.xml, draft.name = text, name_in(text) or draft.name
    _saved(draft, person, now)
    return draft


def save_form(
    session: Session, public_id: str, key: str, text: str, *, revision: int, person: Person, now: datetime
) -> ModelDraft:
    """Keep a form's definition, written as JSON. Raises Stale, InvalidInput with what is wrong in it."""
    definition = form_in(key, text)
    draft = _locked(session, person, public_id, revision)
    draft.forms = {**draft.forms, key: definition}
    _saved(draft, person, now)
    return draft


def remove_form(
    session: Session, public_id: str, key: str, *, revision: int, person: Person, now: datetime
) -> ModelDraft:
    """Take a form out of the draft. Raises Stale."""
    draft = _locked(session, person, public_id, revision)
    draft.forms = {held: form for held, form in draft.forms.items() if held != key}
    _saved(draft, person, now)
    return draft


def discard(session: Session, public_id: str, *, revision: int, person: Person) -> None:
    """Throw the draft away, for good. Raises Stale."""
    session.delete(_locked(session, person, public_id, revision))


def deploy(
    session: Session,
    public_id: str,
    *,
    revision: int,
    note: str,
    person: Person,
    now: datetime,
    functions: Iterable[str] | None = None,
) -> ProcessDefinition:
    """Deploy the draft as the process's next version; the draft is then gone. Raises Stale, ModelRefused."""
    draft = _locked(session, person, public_id, revision)
    # A file may hold several processes that send each other messages; the first is the one it is named after.
    definition, *_others = deployments.deploy(
        session, draft.community_id, [source_of(draft)], now=now, actor_id=person.id, note=note, functions=functions
    )
    session.delete(draft)
    return definition


def _locked(session: Session, person: Person, public_id: str, revision: int) -> ModelDraft:
    require_modeller(person)
    query = (
        select(ModelDraft)
        .where(ModelDraft.community_id == person.community_id, ModelDraft.public_id == public_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    draft = session.scalar(query)
    if draft is None:
        raise NotFound(f"There is no draft {public_id}.")
    if draft.revision != revision:
        raise Stale(f"The draft is at revision {draft.revision}, and you saw {revision}.", revision=draft.revision)
    return draft


def _saved(draft: ModelDraft, person: Person, now: datetime) -> None:
    draft.revision += 1
    draft.saved_at, draft.saved_by_id = now, person.id


def _checked(xml: bytes) -> str:
    if len(xml) > MAX_BYTES:
        raise InvalidInput(f"The model is larger than {MAX_BYTES // 1_000_000} MB. Split it and call the parts.")
    try:
        text = xml.decode()
    except UnicodeDecodeError:
        raise InvalidInput("The model is not in UTF-8.") from None
    if "\x00" in text:
        raise InvalidInput("The model holds a null character.")
    return text


# --- reading one ------------------------------------------------------------------------------------------------------


def source_of(draft: ModelDraft) -> Source:
    """The draft as what can be checked and deployed."""
    return Source(xml=draft.xml.encode(), forms=draft.forms, decisions=draft.decisions)


def content_of(held: ModelDraft | ProcessDefinition) -> Content:
    """A draft or a version as what can be compared."""
    return Content(xml=held.xml, forms=held.forms, decisions=held.decisions)


def model_in(xml: str) -> Model | None:
    """The first process of the drawing, or None while there is none."""
    try:
        return read(xml, processes_in(xml)[0])
    except ModelRefused:
        return None


def name_in(xml: str) -> str:
    """The name of the process in it; empty while the drawing is no model."""
    model = model_in(xml)
    return model.name[:MAX_NAME] if model else ""


def findings(
    session: Session,
    draft: ModelDraft,
    xml: bytes | None = None,
    *,
    functions: Iterable[str] | None = None,
    names: Iterable[str] | None = None,
) -> list[Finding]:
    """What the import gate says of the draft, or of what is being drawn in it.

    `functions` are those its tasks may call, `names` those that have a value when a case starts; None: not checked.
    """
    deployed = {d.key: d for d in deployments.latest_definitions(session, draft.community_id)}
    source = Source(xml=draft.xml.encode() if xml is None else xml, forms=draft.forms, decisions=draft.decisions)
    groups = session.scalars(select(Group.key).where(Group.community_id == draft.community_id)).all()
    models = [deployments.model_of(d.xml, d.key) for d in deployed.values()]
    bound = {name for model in models for call in model.calls.values() for name in call.bindings}
    known = None if names is None else bound.union(names)
    checked = deployments.check([source], deployed=deployed, groups=groups, functions=functions, names=known)
    return [finding for _model, found in checked for finding in found]


def form_in(key: str, text: str) -> dict[str, Any]:
    """The form that the JSON text defines. Raises InvalidInput, which says what to mend."""
    if not key.replace("_", "").isalnum() or len(key) > 120:
        raise InvalidInput(f"{key!r} is no form key. Use letters, digits and underscores.")
    if len(text.encode()) > MAX_FORM_BYTES:
        raise InvalidInput(f"The form is larger than {MAX_FORM_BYTES // 1000} kB.")
    try:
        definition = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The form is no JSON: {error}.") from None
    if not isinstance(definition, dict):
        raise InvalidInput("The form must be a JSON object.")
    definition = {**definition, "id": definition.get("id") or key}
    try:
        forms.load(definition)
    except FormError as error:
        raise InvalidInput(str(error)) from None
    return definition


def follows(session: Session, draft: ModelDraft) -> ProcessDefinition | None:
    """The version that deploying the draft would follow: the newest of its process."""
    model = model_in(draft.xml)
    newest = {d.key: d for d in deployments.latest_definitions(session, draft.community_id)}
    return newest.get(model.process_id) if model else None
