"""Deploying models: the import gate, immutable versions, and the compiled form that running cases share."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.bpmn.lint import lint
from engine.bpmn.parsing import Specification, compile_models
from engine.bpmn.reading import Model, UserTaskElement, read
from engine.errors import Finding, InvalidInput, ModelRefused, NotFound
from engine.model import Deployment, ProcessDefinition, ProcessInstance, Step


@dataclass(frozen=True, kw_only=True)
class Source:
    """A model as it comes from outside, with the forms that lie beside it."""

    xml: bytes
    forms: Mapping[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """A definition with everything it calls, ready to run, and all their forms."""

    specification: Specification
    forms: Mapping[str, dict[str, Any]]

    @property
    def names_read(self) -> frozenset[str]:
        """The names that any expression reads: only these become process variables."""
        return frozenset().union(*(m.names_read for m in self.specification.models.values()))

    @property
    def roles(self) -> dict[str, str]:
        """Every lane that somebody must be bound to, here and in what is called: id and name."""
        return {key: name for m in self.specification.models.values() for key, name in m.roles.items()}


def check(sources: Sequence[Source], *, deployed: Iterable[str] = ()) -> list[tuple[Model | None, list[Finding]]]:
    """What lint says of each source; the sources may call each other and the `deployed` processes."""
    results: list[tuple[Model | None, list[Finding]]] = []
    models: list[tuple[Source, Model]] = []
    for source in sources:
        try:
            model = read(source.xml)
        except ModelRefused as refused:
            results.append((None, list(refused.findings)))
        else:
            models.append((source, model))
            results.append((model, []))
    known = frozenset(deployed) | {m.process_id for _, m in models}
    for source, model in models:
        findings = lint(model, forms=source.forms, known_processes=known)
        next(r for r in results if r[0] is model)[1].extend(findings)
    return results


def deploy(
    session: Session,
    community_id: int,
    sources: Sequence[Source],
    *,
    now: datetime,
    actor_id: int | None,
    note: str = "",
) -> list[ProcessDefinition]:
    """Deploy models as new versions; one whose content is unchanged keeps its version. Raises ModelRefused."""
    deployed = _latest(session, community_id)
    findings: list[Finding] = []
    models: list[tuple[Source, Model]] = []
    for source, (model, found) in zip(sources, check(sources, deployed=deployed), strict=True):
        findings += [f for f in found if f.severity == "error"]
        if model is not None:
            models.append((source, model))
    if findings:
        raise ModelRefused(findings)
    new = {m.process_id: m for _, m in models}
    for _, model in models:
        compile_models(model, _called(model, {**{k: read(d.xml) for k, d in deployed.items()}, **new}))
    deployment = Deployment(community_id=community_id, deployed_at=now, deployed_by_id=actor_id, note=note)
    session.add(deployment)
    session.flush()  # the definitions below need its id
    return [_store(session, deployment, deployed, source, model) for source, model in models]


def _store(
    session: Session, deployment: Deployment, deployed: Mapping[str, ProcessDefinition], source: Source, model: Model
) -> ProcessDefinition:
    xml = source.xml.decode()
    forms = {key: form for key, form in source.forms.items() if re.search(rf"\b{re.escape(key)}\b", xml)}
    content = json.dumps([xml, forms], sort_keys=True, ensure_ascii=False)
    checksum = hashlib.sha256(content.encode()).hexdigest()
    before = deployed.get(model.process_id)
    if before is not None and before.checksum == checksum:
        return before
    definition = ProcessDefinition(
        community_id=deployment.community_id, deployment_id=deployment.id, key=model.process_id,
        version=before.version + 1 if before else 1, name=model.name, checksum=checksum, xml=xml, forms=forms,
    )  # fmt: skip
    session.add(definition)
    session.flush()  # callers show id and version
    return definition


def _latest(session: Session, community_id: int) -> dict[str, ProcessDefinition]:
    query = (
        select(ProcessDefinition)
        .where(ProcessDefinition.community_id == community_id)
        .order_by(ProcessDefinition.version)
    )
    return {d.key: d for d in session.scalars(query)}


def latest_definitions(session: Session, community_id: int) -> list[ProcessDefinition]:
    """The newest version of every process, by name."""
    return sorted(_latest(session, community_id).values(), key=lambda d: d.name)


def latest(session: Session, community_id: int, key: str) -> ProcessDefinition:
    """The newest version of a process. Raises NotFound naming those there are."""
    deployed = _latest(session, community_id)
    if key not in deployed:
        known = ", ".join(sorted(deployed)) or "none; deploy one first"
        raise NotFound(f"There is no process {key!r}. Deployed: {known}.", key=key)
    return deployed[key]


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
    deployed = _latest(session, definition.community_id)
    called = _called(read(definition.xml), {k: read(d.xml) for k, d in deployed.items()})
    pinned = [definition, *(deployed[m.process_id] for m in called)]
    return {d.key: {"id": d.id, "checksum": d.checksum} for d in pinned}


def compiled(session: Session, instance: ProcessInstance) -> Compiled:
    """What the case runs on; compiled once per process and set of versions."""
    main = next(iter(instance.pins.values()))["checksum"]
    checksums = tuple(sorted(p["checksum"] for p in instance.pins.values()))
    held = _compiled.get((main, checksums))
    if held is None:
        ids = [p["id"] for p in instance.pins.values()]
        rows = session.scalars(select(ProcessDefinition).where(ProcessDefinition.id.in_(ids))).all()
        held = _compiled.put((main, checksums), rows, main)
    return held


class _CompiledDefinitions:
    """The compiled definitions of this process; they are immutable, so they are shared between threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: dict[tuple[str, tuple[str, ...]], Compiled] = {}

    def get(self, key: tuple[str, tuple[str, ...]]) -> Compiled | None:
        return self._held.get(key)

    def put(self, key: tuple[str, tuple[str, ...]], rows: Sequence[ProcessDefinition], main: str) -> Compiled:
        models = {row.checksum: read(row.xml) for row in rows}
        called = [model for checksum, model in models.items() if checksum != main]
        forms = {form_key: form for row in rows for form_key, form in row.forms.items()}
        compiled_now = Compiled(specification=compile_models(models[main], called), forms=forms)
        while len(self._held) >= self._size:
            self._held.pop(next(iter(self._held)), None)
        self._held[key] = compiled_now
        return compiled_now


_compiled = _CompiledDefinitions(200)


@lru_cache(maxsize=500)
def model_of(xml: str) -> Model:
    """The model in `xml`, read once."""
    return read(xml)


def element(session: Session, instance: ProcessInstance, step: Step) -> UserTaskElement:
    """What the model says about the step's element."""
    return compiled(session, instance).specification.model_at(step.call_path).user_tasks[step.element_id]
