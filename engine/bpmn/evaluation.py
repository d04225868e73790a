"""What an expression sees at a place of a case, and what it is worth there."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime
from typing import Any
from uuid import UUID

from engine.bpmn import tokens
from engine.bpmn.decisions import decide
from engine.bpmn.expressions import ExpressionError, UndefinedName, evaluate, parse
from engine.bpmn.parsing import Specification
from engine.bpmn.reading import is_literal
from engine.bpmn.scripts import parse_script
from engine.bpmn.scripts import run as run_script
from engine.bpmn.tokens import Case, Token
from engine.calendar import Calendar

#: (call path, element id): names an element wherever it stands.
Place = tuple[str, str]


class _Scope(Mapping[str, object]):
    """What an expression sees at a place: items and inputs, what calls bind, facts, process variables."""

    def __init__(self, evaluation: "Evaluation", token: Token, item: Mapping[str, object] | None = None) -> None:
        self._evaluation = evaluation
        self._token = token
        self._item = item or {}

    def __getitem__(self, name: str) -> object:
        if name in self._item:
            return self._item[name]
        for local in tokens.local_variables(self._token):
            if name in local:
                return local[name]
        bound = self._evaluation.binding(self._token, name)
        if bound is not None:
            return bound
        facts = self._evaluation.facts
        return facts[name] if name in facts else tokens.process_of(self._token).data[name]

    def __iter__(self) -> Iterator[str]:
        names = {**tokens.process_of(self._token).data, **self._evaluation.facts, **self._item}
        for local in tokens.local_variables(self._token):
            names.update(local)
        return iter(names)

    def __len__(self) -> int:
        return len(list(iter(self)))


class Evaluation:
    """Looks at the live state of a case with the facts, the calendar and the clock of one moment."""

    def __init__(
        self,
        specification: Specification,
        workflow: Case,
        *,
        facts: Mapping[str, object],
        calendar: Calendar,
        now: datetime,
    ) -> None:
        self.specification = specification
        self.workflow = workflow
        self.facts = {name: _as_date(value) for name, value in facts.items()}
        self.calendar = calendar
        self.now = now

    # --- where a token stands -----------------------------------------------------------------------------------------

    def place(self, token: Token) -> Place:
        """Where a token stands."""
        return self.path(token.workflow), token.task_spec.name

    def path(self, scope: Any) -> str:
        """The call path of a scope: what it is inside of, outermost first, each of several with its number."""
        parts: list[str] = []
        host = tokens.host_of(scope)
        while host is not None:
            marker, index = getattr(host.task_spec, "marker", None), host.internal_data.get("index")
            number = f"[{index}]" if marker is not None and marker.numbered and index is not None else ""
            parts.insert(0, host.task_spec.name + number)
            host = tokens.host_of(host.workflow)
        return "/".join(parts)

    def _caller(self, token: Token) -> Token | None:
        """The call activity or sub-process around a token."""
        return tokens.host_of(token.workflow)

    def _all(self) -> Iterator[Token]:
        for scope in tokens.scopes_of(self.workflow):
            yield from tokens.tokens_in(scope)

    def _token(self, token: str) -> Token | None:
        identity = UUID(token)
        return next((s.tasks[identity] for s in tokens.scopes_of(self.workflow) if identity in s.tasks), None)

    def _known(self, token: str) -> Token:
        held = self._token(token)
        if held is None:
            raise KeyError(token)
        return held

    # --- expressions ----------------------------------------------------------------------------------------------

    def value(self, token: Token, expression: str, item: Mapping[str, object] | None = None) -> Any:
        """The value of `expression` at `token`, as process variables hold it: dates as ISO texts."""
        return native(self.evaluate(token, expression, item))

    def evaluate(self, token: Token, expression: str, item: Mapping[str, object] | None = None) -> object:
        """The value of `expression` at `token`; plain text that is no `${…}` is an expression all the same."""
        return evaluate(parse(expression), _Scope(self, token, item), self.calendar)

    def value_in(self, scope: Any, token: Token, expression: str) -> Any:
        """The value of `expression` over a called process's variables; `token` is the call."""
        seen = {**self.facts, **scope.data}
        call = token.workflow.spec.model.calls[token.task_spec.name]
        for name in call.bindings.keys() - set(token.internal_data.get("set", ())):
            with suppress(UndefinedName):
                seen[name] = self.evaluate(token, call.bindings[name])
        return native(evaluate(parse(expression), seen, self.calendar))

    def text(self, token: Token, text: str) -> str:
        """A name: plain text as it stands, `${…}` evaluated."""
        if is_literal(text):
            return text
        value = self.value(token, text)
        return value if isinstance(value, str) else str(value)

    def mapped(self, token: Token, source: str) -> Any:
        """What an input or output parameter comes to: plain text as it stands, `${…}` evaluated."""
        return source if is_literal(source) else self.value(token, source)

    def run_script(self, token: Token, script: str) -> None:
        """Run a script of the safe language; what it assigns become variables."""
        tokens.set_variables(token, run_script(parse_script(script), _Scope(self, token), self.calendar))

    def decide(self, token: Token, decision_id: str) -> Any:
        """What a decision says with the variables of this place. Raises ExpressionError."""
        decision = self.specification.decisions.get(token.workflow.spec.model.process_id, {}).get(decision_id)
        if decision is None:
            raise ExpressionError(f"There is no decision {decision_id}", 1, decision_id)
        return native(decide(decision, _Scope(self, token), self.calendar))

    def value_at(self, token: str, expression: str, item: Mapping[str, object] | None = None) -> object:
        """The value of `expression` for the waiting user task `token`. Raises ExpressionError."""
        return self.evaluate(self._known(token), expression, item)

    def text_at(self, token: str, text: str | None, item: Mapping[str, object] | None = None) -> str | None:
        """A key such as an assignee: plain text as it stands, `${…}` evaluated; None where a name is not set."""
        if text is None or is_literal(text):
            return text
        try:
            value = self.value_at(token, text, item)
        except UndefinedName:
            return None
        return None if value is None else str(value)

    def root_fact(self, token: str, name: str) -> str:
        """What the fact `name`, as seen inside a called process, is called where it was bound."""
        caller = self._caller(self._known(token))
        while caller is not None:
            call = caller.workflow.spec.model.calls.get(caller.task_spec.name)
            source = call.bindings.get(name, "") if call else ""
            bare = source.strip().removeprefix("${").removesuffix("}").strip()
            name = bare if bare.isidentifier() else name
            caller = self._caller(caller)
        return name

    def binding(self, token: Token, name: str) -> object | None:
        """The value that the nearest call above `token` binds to `name`, or None; what is set below it goes before."""
        caller = self._caller(token)
        if caller is None or name in caller.internal_data.get("set", ()):
            return None
        call = caller.workflow.spec.model.calls.get(caller.task_spec.name)
        if call is not None and name in call.bindings:
            try:
                return self.evaluate(caller, call.bindings[name])
            except UndefinedName:
                return None
        return self.binding(caller, name)


def _as_date(value: object) -> object:
    """ISO texts of dates become dates; everything else stays."""
    if isinstance(value, str) and len(value) == 10:
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    return value


def native(value: Any) -> Any:
    """As process variables hold it: dates and moments as ISO texts."""
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: native(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [native(item) for item in value]
    return value
