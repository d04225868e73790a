"""Deploying models: the import gate, immutable versions, and the compiled form that running cases share."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

from sqlalchemy import ColumnElement, event, func, select
from sqlalchemy.orm import Mapper, ORMExecuteState, Session, aliased, joinedload, object_session

from engine import starts
from engine.bpmn.decisions import Decision, read_decisions
from engine.bpmn.lint import lint
from engine.bpmn.parsing import Specification, compile_models
from engine.bpmn.reading import Model, UserTaskElement, processes_in, read
from engine.calendar import Calendar
from engine.errors import Finding, InvalidInput, ModelRefused, NotFound
from engine.form_definitions import FormError
from engine.forms import Form
from engine.forms import load as load_form
from engine.model import Deployment, ProcessDefinition, ProcessInstance, Step


@dataclass(frozen=True, kw_only=True)
class Source:
    """A model as it comes from outside, with the forms and decisions that lie beside it."""

    xml: bytes
    forms: Mapping[str, dict[str, Any]]
    #: Decision key -> DMN document.
    decisions: Mapping[str, str] = field(default_factory=dict)


_NO_FORM = {"id": "empty", "type": "default", "components": []}


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """A definition with everything it calls, ready to run, and all their forms."""

    specification: Specification
    #: Process id -> form key -> form definition: each version has its own.
    forms: Mapping[str, Mapping[str, dict[str, Any]]]
    #: Forms as they were read, by call path and key: reading one takes longer than checking an answer to it.
    _read: dict[tuple[str, str | None], Form] = field(default_factory=dict)

    def form_to_ask(self, call_path: str, key: str | None, calendar: Calendar) -> Form:
        """The form at `call_path`, ready to be asked; an empty one where there is none."""
        place = (call_path, key)
        if place not in self._read:
            self._read[place] = load_form(self.form(call_path, key) or _NO_FORM)
        return replace(self._read[place], calendar=calendar)

    def form(self, call_path: str, key: str | None) -> dict[str, Any] | None:
        """The form as the model that runs at `call_path` was deployed with it; else its caller's, who may name one."""
        segments = call_path.split("/") if call_path else []
        for length in range(len(segments), -1, -1):
            model = self.specification.model_at("/".join(segments[:length]))
            if (found := self.forms[model.process_id].get(key or "")) is not None:
                return found
        return None

    @cached_property
    def names_read(self) -> frozenset[str]:
        """The names that any expression reads: only these become process variables."""
        return frozenset().union(*(m.names_read for m in self.specification.models.values()))

    @cached_property
    def roles(self) -> dict[str, str]:
        """Every lane that somebody must be bound to, here and in what is called: id and name."""
        return {key: name for m in self.specification.models.values() for key, name in m.roles.items()}


#: The id of a decision in a DMN document, whatever prefix its namespace has.
_DECISION_ID = re.compile(r"<(?:[\w.-]+:)?decision\b[^>]*?\sid=[\"']([^\"']+)[\"']")


#: What is looked at together: where it came from, the process in it, and what lint says of that.
_Checked = tuple[Source, Model | None, list[Finding]]


def check(
    sources: Sequence[Source],
    *,
    deployed: Iterable[str] = (),
    groups: Iterable[str] | None = None,
    functions: Iterable[str] | None = None,
    names: Iterable[str] | None = None,
) -> list[tuple[Model | None, list[Finding]]]:
    """What lint says of each process in the sources, which may call each other and the `deployed` processes.

    A source that can't be read gives one entry without a model. Keys of `groups`, names of service `functions`, and the
    `names` that have a value before a case sets any, are checked where they are given.
    """
    checked = _check(sources, frozenset(deployed), groups, functions, names)
    return [(model, findings) for _, model, findings in checked]


def _check(
    sources: Sequence[Source],
    deployed: frozenset[str],
    groups: Iterable[str] | None,
    functions: Iterable[str] | None,
    names: Iterable[str] | None = None,
) -> list[_Checked]:
    found = [checked for source in sources for checked in _read_all(source)]
    known = deployed | {model.process_id for _, model, _ in found if model is not None}
    for source, model, findings in found:
        if model is not None:
            findings += lint(
                model, forms=source.forms, known_processes=known, decisions=_decisions(source.decisions),
                known_groups=None if groups is None else frozenset(groups),
                known_functions=None if functions is None else frozenset(functions),
                known_names=None if names is None else frozenset(names),
            )  # fmt: skip
            findings += _unusable_forms(source)
    return found


def _unusable_forms(source: Source) -> Iterator[Finding]:
    """Forms that the model names and nobody could fill in."""
    xml = source.xml.decode(errors="replace")
    for key, definition in source.forms.items():
        if not _mentions(xml, key):
            continue
        try:
            load_form(definition)
        except FormError as error:
            yield Finding(
                rule="form", severity="error", element=None, name=None, line=None,
                message=f"The form {key} can't be used: {error.message}", remedy="Correct the form.",
            )  # fmt: skip


def _read_all(source: Source) -> list[_Checked]:
    """Every process of a file: pools that send each other messages may stand in one."""
    try:
        names = {name: d.names_read for name, d in _decisions(source.decisions).items()}
        models = [read(source.xml, key, decision_names=names) for key in processes_in(source.xml)]
    except ModelRefused as refused:
        return [(source, None, list(refused.findings))]
    return [(source, model, []) for model in models]


def _decisions(documents: Mapping[str, str]) -> dict[str, Decision]:
    """Decision id -> decision. Raises ModelRefused."""
    found: dict[str, Decision] = {}
    for document in documents.values():
        found.update(read_decisions(document.encode()))
    return found


def deploy(
    session: Session,
    community_id: int,
    sources: Sequence[Source],
    *,
    now: datetime,
    actor_id: int | None,
    note: str = "",
    functions: Iterable[str] | None = None,
) -> list[ProcessDefinition]:
    """Deploy models as new versions; one whose content is unchanged keeps its version. Raises ModelRefused."""
    deployed = _latest(session, community_id)
    checked = _check(sources, frozenset(deployed), None, functions)
    findings = [f for _, _, found in checked for f in found if f.severity == "error"]
    if findings:
        raise ModelRefused(findings)
    models = [(source, model) for source, model, _ in checked if model is not None]
    available = {key: model_of(d.xml, key) for key, d in deployed.items()} | {m.process_id: m for _, m in models}
    for source, model in models:
        compile_models(model, _called(model, available), {model.process_id: _decisions(source.decisions)})
    deployment = Deployment(community_id=community_id, deployed_at=now, deployed_by_id=actor_id, note=note)
    session.add(deployment)
    session.flush()  # the definitions below need its id
    return [_store(session, deployment, deployed, source, model) for source, model in models]


def _store(
    session: Session, deployment: Deployment, deployed: Mapping[str, ProcessDefinition], source: Source, model: Model
) -> ProcessDefinition:
    xml, forms, decisions = _contents(source)
    checksum = _checksum(xml, forms, decisions)
    before = deployed.get(model.process_id)
    if before is not None and before.checksum == checksum:
        return before
    definition = ProcessDefinition(
        community_id=deployment.community_id, deployment_id=deployment.id, key=model.process_id,
        version=before.version + 1 if before else 1, name=model.name, checksum=checksum, xml=xml, forms=forms,
        decisions=decisions,
    )  # fmt: skip
    session.add(definition)
    session.flush()  # callers show id and version
    starts.subscribe(session, definition, model, now=deployment.deployed_at)
    return definition


def _contents(source: Source) -> tuple[str, dict[str, Any], dict[str, str]]:
    """The model with those of its forms and decisions that it names."""
    xml = source.xml.decode()
    forms = {key: form for key, form in source.forms.items() if _mentions(xml, key)}
    decisions = {
        key: document
        for key, document in source.decisions.items()
        if any(_mentions(xml, name) for name in (key, *_DECISION_ID.findall(document)))
    }
    return xml, forms, decisions


def unseen(session: Session, community_id: int, sources: Sequence[Source]) -> list[Source]:
    """Those whose content was never deployed here: what somebody has drawn since is not put aside by an old one."""
    query = select(ProcessDefinition.checksum).where(ProcessDefinition.community_id == community_id)
    known = set(session.scalars(query))
    return [source for source in sources if _checksum(*_contents(source)) not in known]


def _mentions(xml: str, key: str) -> bool:
    return re.search(rf"\b{re.escape(key)}\b", xml) is not None


def _checksum(xml: str, forms: Mapping[str, Any], decisions: Mapping[str, str]) -> str:
    # Without decisions the content is as it was before there were any, so that nothing seems changed.
    parts = [xml, forms, decisions] if decisions else [xml, forms]
    content = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()


def _latest(session: Session, community_id: int) -> dict[str, ProcessDefinition]:
    """The newest version of every process, by key."""
    query = select(ProcessDefinition).where(_is_latest(community_id))
    return {d.key: d for d in session.scalars(query)}


def _is_latest(community_id: int) -> ColumnElement[bool]:
    other = aliased(ProcessDefinition)
    newest = (
        select(func.max(other.version))
        .where(other.community_id == community_id, other.key == ProcessDefinition.key)
        .scalar_subquery()
    )
    return (ProcessDefinition.community_id == community_id) & (ProcessDefinition.version == newest)


def latest_models(session: Session, community_id: int) -> dict[str, Model]:
    """What the newest version of every process says, by key; the text of each version is fetched once."""
    columns = (ProcessDefinition.id, ProcessDefinition.key, ProcessDefinition.checksum)
    newest = session.execute(select(*columns).where(_is_latest(community_id))).all()
    held = {d.key: _models.get((d.key, d.checksum)) for d in newest}
    unread = {d.id: d for d in newest if held[d.key] is None}
    if unread:
        texts = select(ProcessDefinition.id, ProcessDefinition.xml).where(ProcessDefinition.id.in_(unread))
        for id_, xml in session.execute(texts):
            held[unread[id_].key] = _keep_model(unread[id_].key, unread[id_].checksum, xml)
    return {key: model for key, model in held.items() if model is not None}


def _keep_model(key: str, checksum: str, xml: str) -> Model:
    while len(_models) >= _MODELS_KEPT:
        _models.pop(next(iter(_models)), None)
    return _models.setdefault((key, checksum), model_of(xml, key))


def latest_definitions(session: Session, community_id: int) -> list[ProcessDefinition]:
    """The newest version of every process, by name."""
    return sorted(_latest(session, community_id).values(), key=lambda d: d.name)


def latest(session: Session, community_id: int, key: str) -> ProcessDefinition:
    """The newest version of a process. Raises NotFound naming those there are."""
    query = select(ProcessDefinition).where(
        ProcessDefinition.community_id == community_id, ProcessDefinition.key == key
    )
    found = session.scalar(query.order_by(ProcessDefinition.version.desc()).limit(1))
    if found is None:
        known = ", ".join(sorted(_latest(session, community_id))) or "none; deploy one first"
        raise NotFound(f"There is no process {key!r}. Deployed: {known}.", key=key)
    return found


def _called(model: Model, available: Mapping[str, Model]) -> list[Model]:
    """Every model `model` calls, directly or not."""
    found: dict[str, Model] = {}
    waiting = [model]
    while waiting:
        for call in waiting.pop().calls.values():
            if call.called == model.process_id:
                raise InvalidInput(f"{model.process_id} calls itself through {call.id}.")
            if call.called not in found:
                if call.called not in available:
                    raise InvalidInput(f"{model.process_id} calls {call.called}, which is not deployed.")
                found[call.called] = available[call.called]
                waiting.append(found[call.called])
    return list(found.values())


def pin(session: Session, definition: ProcessDefinition) -> dict[str, Any]:
    """The versions a new case runs on: its own and those of everything it calls, for as long as it lives."""
    model = model_of(definition.xml, definition.key)
    deployed = _latest(session, definition.community_id) if model.calls else {}
    called = _called(model, {k: model_of(d.xml, k) for k, d in deployed.items()})
    pinned = [definition, *(deployed[m.process_id] for m in called)]
    return {d.key: {"id": d.id, "checksum": d.checksum} for d in pinned}


def compiled(session: Session, instance: ProcessInstance) -> Compiled:
    """What the case runs on; compiled once per process and set of versions."""
    # The main process is pinned first; one file may hold several processes, so the checksum alone names none.
    main = next(iter(instance.pins))
    pinned = (main, *sorted(f"{key} {pin['checksum']}" for key, pin in instance.pins.items()))
    held = _compiled.get(pinned)
    if held is None:
        ids = [p["id"] for p in instance.pins.values()]
        rows = session.scalars(select(ProcessDefinition).where(ProcessDefinition.id.in_(ids))).all()
        held = _compiled.put(pinned, rows, main)
    return held


class _CompiledDefinitions:
    """The compiled definitions of this process; they are immutable, so they are shared between threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: dict[tuple[str, ...], Compiled] = {}

    def get(self, key: tuple[str, ...]) -> Compiled | None:
        return self._held.get(key)

    def put(self, key: tuple[str, ...], rows: Sequence[ProcessDefinition], main: str) -> Compiled:
        decisions = {row.key: _decisions(row.decisions) for row in rows}
        models = {
            row.key: read(row.xml, row.key, decision_names={n: d.names_read for n, d in decisions[row.key].items()})
            for row in rows
        }
        called = [model for process_id, model in models.items() if process_id != main]
        forms = {row.key: row.forms for row in rows}
        compiled_now = Compiled(specification=compile_models(models[main], called, decisions), forms=forms)
        while len(self._held) >= self._size:
            self._held.pop(next(iter(self._held)), None)
        self._held[key] = compiled_now
        return compiled_now


_compiled = _CompiledDefinitions(200)
#: Process id and checksum -> what that immutable version says, for as many as are kept.
_models: dict[tuple[str, str], Model] = {}
_MODELS_KEPT = 500


@lru_cache(maxsize=500)
def model_of(xml: str, key: str | None = None) -> Model:
    """The process `key` in `xml`, read once; without a key the file's only process."""
    return read(xml, key)


def element(session: Session, instance: ProcessInstance, step: Step) -> UserTaskElement:
    """What the model says about the step's element."""
    return compiled(session, instance).specification.model_at(step.call_path).user_tasks[step.element_id]


def versions(session: Session, community_id: int, key: str) -> list[ProcessDefinition]:
    """Every version of a process with its deployment, the newest first. Raises NotFound."""
    query = (
        select(ProcessDefinition)
        .where(ProcessDefinition.community_id == community_id, ProcessDefinition.key == key)
        .options(joinedload(ProcessDefinition.deployment))
        .order_by(ProcessDefinition.version.desc())
    )
    if found := session.scalars(query).all():
        return list(found)
    raise NotFound(f"There is no process {key!r}.", key=key)


def find_version(session: Session, community_id: int, key: str, version: int | None = None) -> ProcessDefinition:
    """One version of a process, the newest when none is named. Raises NotFound."""
    if version is None:
        return latest(session, community_id, key)
    query = select(ProcessDefinition).where(
        ProcessDefinition.community_id == community_id,
        ProcessDefinition.key == key,
        ProcessDefinition.version == version,
    )
    if (found := session.scalar(query)) is None:
        raise NotFound(f"There is no version {version} of {key!r}.", key=key)
    return found


# --- immutability -----------------------------------------------------------------------------------------------------


class Immutable(RuntimeError):
    """A deployed version never changes: running cases are pinned to it. This is a fault of the code that tried."""


@event.listens_for(ProcessDefinition, "before_update")
@event.listens_for(Deployment, "before_update")
def _refuse_update(_mapper: Mapper[Any], _connection: object, target: ProcessDefinition | Deployment) -> None:
    session = object_session(target)
    if session is not None and session.is_modified(target, include_collections=False):
        raise Immutable


@event.listens_for(ProcessDefinition, "before_delete")
@event.listens_for(Deployment, "before_delete")
def _refuse_delete(_mapper: Mapper[Any], _connection: object, _target: object) -> None:
    raise Immutable


@event.listens_for(Session, "do_orm_execute")
def _refuse_statement(state: ORMExecuteState) -> None:
    changes = state.is_update or state.is_delete
    if changes and any(mapper.class_ in (ProcessDefinition, Deployment) for mapper in state.all_mappers):
        raise Immutable
