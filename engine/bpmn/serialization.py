"""The live state of a case as one opaque document: its scopes, their variables and tokens, in a compressed envelope.

Nothing of the specification and nothing that is finished is kept, so the document grows neither with rounds nor years.
"""

import json
from typing import Any
from uuid import UUID

import zstandard
from SpiffWorkflow.util.task import TaskState

from engine.bpmn import first_format
from engine.bpmn.parsing import Specification
from engine.bpmn.tokens import Case, Token, host_of, scopes_of, tokens_in
from engine.errors import EngineError

#: Raised when this module writes something older code can't read.
FORMAT = 2
_STATES = {"waiting": TaskState.WAITING, "ready": TaskState.READY, "started": TaskState.STARTED}
_NAMES = {state: name for name, state in _STATES.items()}


class StateUnreadable(EngineError):
    """The saved state of this case can't be read by this version."""

    status = 500


def dump(workflow: Case) -> bytes:
    """The document to keep. Raises TypeError for variables that are no plain JSON values."""
    return write([_scope(scope) for scope in scopes_of(workflow)])


def write(scopes: list[dict[str, Any]]) -> bytes:
    """The document of these scopes, each after the one it is inside of."""
    text = json.dumps({"format": FORMAT, "scopes": scopes}, separators=(",", ":"), default=_refuse)
    return zstandard.compress(text.encode(), 6)


def _scope(scope: Any) -> dict[str, Any]:
    host = host_of(scope)
    return {
        "host": str(host.id) if host is not None else None,
        "data": scope.data,
        "tokens": [_token(token) for token in tokens_in(scope)],
    }


def _token(token: Token) -> dict[str, Any]:
    kept = {"id": str(token.id), "element": token.task_spec.name, "state": _NAMES[token.state]}
    if token.data:
        kept["data"] = token.data
    if token.internal_data:
        kept["known"] = token.internal_data
    return kept


def _refuse(value: object) -> object:
    raise TypeError(f"Process variables must be plain JSON values, got {type(value).__name__}")


def load(document: bytes, specification: Specification) -> Case:
    """The case as it was saved, on the shared specification. Raises StateUnreadable."""
    workflow = Case(specification.spec, specification.subprocesses)
    for kept in read(document, specification):
        _restore(workflow, kept)
    return workflow


def read(document: bytes, specification: Specification) -> list[dict[str, Any]]:
    """The scopes as they were saved, in the present format. Raises StateUnreadable."""
    envelope = json.loads(zstandard.decompress(document))
    if envelope["format"] > FORMAT:
        raise StateUnreadable(f"The case was saved in format {envelope['format']}; this version reads up to {FORMAT}.")
    scopes: list[dict[str, Any]] = (
        envelope["scopes"] if envelope["format"] == FORMAT else first_format.scopes(envelope, specification)
    )
    return scopes


def _restore(workflow: Case, kept: dict[str, Any]) -> None:
    scope: Any = workflow
    if kept["host"] is not None:
        host = workflow.get_task_from_id(UUID(kept["host"]))
        scope = workflow.create_subprocess(host, host.task_spec.inner)
    scope.data.update(kept["data"])
    for held in kept["tokens"]:
        spec = scope.spec.task_specs.get(held["element"])
        if spec is None:
            raise StateUnreadable(f"The case stands at {held['element']}, which its version does not have.")
        token = Token(scope, spec, state=_STATES[held["state"]], id=UUID(held["id"]))
        token.data.update(held.get("data", {}))
        token.internal_data.update(held.get("known", {}))
