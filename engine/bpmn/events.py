"""Throwing and catching: who hears an event, and what then happens to tokens."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.bpmn import elements, tokens
from engine.bpmn.event_definitions import EventDefinition
from engine.bpmn.expressions import ExpressionError
from engine.bpmn.tokens import Token, case_of

if TYPE_CHECKING:
    from engine.bpmn.execution import Execution


@dataclass(frozen=True, kw_only=True)
class Thrown:
    """A message or signal that leaves the case."""

    kind: str
    name: str
    correlation: str
    payload: Mapping[str, Any]


# --- waiting ----------------------------------------------------------------------------------------------------------


def listen(token: Token, definition: EventDefinition) -> None:
    """Remember what the token waits for, as its names and dates are now."""
    case, known = case_of(token), token.internal_data
    if definition.kind == "timer":
        known.setdefault("since", case.now.isoformat())
        case.set_timer(token, definition)
    elif definition.kind in ("message", "signal", "error", "escalation"):
        known["name"] = case.text(token, definition.name)
        if definition.correlation:
            known["correlation"] = case.text(
                token, "${" + definition.correlation.removeprefix("${").removesuffix("}") + "}"
            )
    elif definition.kind == "conditional":
        known.setdefault("was", False)
        case.changed = True  # for this token everything is new


def receive(token: Token) -> None:
    """Give what the event brought to the variables: through the mapping where there is one, else by name."""
    caught = token.internal_data.pop("caught", None)
    if not caught:
        return
    if token.task_spec.mappings.outputs:
        token.data.update(caught)
    else:
        tokens.set_variables(token, caught)


def listeners(case: "Execution", *kinds: str) -> Iterator[Token]:
    """Every token that waits for such an event, the outermost scope first."""
    for scope in tokens.scopes_of(case.workflow):
        for token in tokens.tokens_in(scope):
            definition = getattr(token.task_spec, "definition", None)
            if definition is not None and definition.kind in kinds and _hears(token):
                yield token


def _hears(token: Token) -> bool:
    if not token.task_spec.hears or not elements.is_listening(token) or _is_busy(token):
        return False
    host = tokens.holder(token, "host")
    return host is None or not elements.is_leaving(host)  # an activity that is done is not interrupted any more


def _is_busy(token: Token) -> bool:
    """Is it an event sub-process that already runs, or a receive task around its own repetitions?"""
    around = getattr(token.task_spec, "marker", None) is not None and "marker" not in token.internal_data
    return around or bool(token.internal_data.get("triggered"))


# --- what happens when it comes ---------------------------------------------------------------------------------------


def trigger(token: Token, payload: Mapping[str, Any] | None = None) -> None:
    """The event a token waits for has come."""
    token.task_spec.trigger(token, payload or {})


def rearm(token: Token, definition: EventDefinition) -> None:
    """A non-interrupting event may come again; a date or duration comes once."""
    if definition.kind == "timer":
        known = token.internal_data
        known["fired"] = known.get("fired", 0) + 1
        known["last"] = case_of(token).now.isoformat()  # what was missed before now does not come any more
        case_of(token).set_timer(token, definition)
    elif definition.kind == "conditional":
        token.internal_data["was"] = True


# --- throwing ---------------------------------------------------------------------------------------------------------


def throw(token: Token, definition: EventDefinition) -> None:
    """Do what an end event, throwing event or send task does."""
    case = case_of(token)
    if definition.kind in ("message", "signal"):
        _throw_far(case, token, definition)
    elif definition.kind == "error":
        throw_error(token, case.text(token, definition.name))
    elif definition.kind == "escalation":
        code = case.text(token, definition.name)
        catcher = catcher_above(token, "escalation", code)
        if catcher is not None:
            _catch(catcher, _sent(token), code, "")
    elif definition.kind == "terminate":
        for other in tokens.tokens_in(token.workflow):
            if other is not token:
                tokens.remove(other)
    elif definition.kind == "cancel":
        _cancel_transaction(token)


def _sent(token: Token) -> dict[str, Any]:
    """What a throwing element sends with its event: its inputs."""
    spec = token.task_spec
    return {name: token.data[name] for name in spec.mappings.inputs} if spec.throws else {}


def _throw_far(case: "Execution", token: Token, definition: EventDefinition) -> None:
    name, payload = case.text(token, definition.name), _sent(token)
    correlation = ""
    if definition.correlation:
        correlation = case.text(token, "${" + definition.correlation.removeprefix("${").removesuffix("}") + "}")
    thrown = Thrown(kind=definition.kind, name=name, correlation=correlation, payload=payload)
    heard = case.deliver(thrown)
    # A message has one receiver, a signal everybody who waits for it.
    if definition.kind == "signal" or not heard:
        case.thrown.append(thrown)


def throw_error(token: Token, code: str, message: str = "") -> None:
    """Let an error rise to the nearest event that catches it. Raises where none does."""
    catcher = catcher_above(token, "error", code)
    if catcher is None:
        raise ExpressionError(
            f"Nothing catches the error {code or 'without a code'}{message and ': ' + message}", 1, code
        )
    _catch(catcher, _sent(token), code, message)


def _catch(catcher: Token, payload: Mapping[str, Any], code: str, message: str) -> None:
    """Let an event catch an error or escalation; its model may name variables for what it was."""
    definition = catcher.task_spec.definition
    told = {definition.code_variable: code, definition.message_variable: message}
    tokens.set_variables(catcher, {name: value for name, value in told.items() if name})
    trigger(catcher, payload)


def _cancel_transaction(token: Token) -> None:
    host = tokens.host_of(token.workflow)
    while host is not None:
        for event in _boundary_of(host):
            if event.task_spec.definition.kind == "cancel":
                trigger(event)
                return
        host = tokens.host_of(host.workflow)
    raise ExpressionError("No cancel event sits on the transaction", 1, token.task_spec.name)


def catcher_above(token: Token, kind: str, code: str) -> Token | None:
    """The nearest event around a token that catches an error or escalation."""
    source, is_source = token, True
    while True:
        # What sits on an activity catches what comes from inside it, or from itself.
        around = _boundary_of(source) if not is_source or source.task_spec.is_activity else []
        if (found := _matching(around, kind, code)) is not None:
            return found
        scope = source.workflow
        # An event sub-process does not catch what it throws itself: that goes on to what is around its scope.
        listening = [
            t for t in tokens.tokens_in(scope)
            if t.task_spec.name in scope.spec.listeners and t.task_spec is not source.task_spec
        ]  # fmt: skip
        if (found := _matching(listening, kind, code)) is not None:
            return found
        host = tokens.host_of(scope)
        if host is None:
            return None
        source, is_source = host, False


def _boundary_of(host: Token) -> list[Token]:
    held = host.internal_data.get("marker", str(host.id))
    scope = host.workflow
    return [t for t in tokens.tokens_in(scope) if t.internal_data.get("host") == held]


def _matching(candidates: list[Token], kind: str, code: str) -> Token | None:
    heard = [t for t in candidates if t.task_spec.definition.kind == kind and _hears(t) and not case_of(t).is_parked(t)]
    named = [t for t in heard if case_of(t).text(t, t.task_spec.definition.name) == code and code]
    anything = [t for t in heard if not t.task_spec.definition.name]
    return next(iter(named or anything), None)
