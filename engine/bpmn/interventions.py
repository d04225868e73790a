"""What a person changes in the live state by hand: tokens put elsewhere, elements passed over, variables mended."""

from dataclasses import dataclass
from typing import Any

from SpiffWorkflow.util.task import TaskState

from engine.bpmn import elements, tokens
from engine.bpmn.evaluation import Evaluation, native
from engine.bpmn.tokens import Token, tokens_in
from engine.errors import ElementFailed


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A token: where it stands, and whether it waits (`waiting`), holds others (`running`) or is held up (`ready`)."""

    id: str
    call_path: str
    element_id: str
    state: str


class Interventions(Evaluation):
    """The live state of a case, to be looked at and mended."""

    #: May a variable have got another value since conditions were last looked at?
    changed: bool

    def tokens(self) -> list[Standing]:
        """Where the case stands: every token, the outermost scope's first."""
        found = []
        for token in self._all():
            call_path, element_id = self.place(token)
            state = "running" if tokens.inside(token) else "waiting"
            if token.has_state(TaskState.READY):
                state = "ready"
            found.append(Standing(id=str(token.id), call_path=call_path, element_id=element_id, state=state))
        return found

    def move(self, token: str, element_id: str) -> None:
        """Take a token away, with everything that runs inside it, and put one on another element of its scope.

        Raises KeyError where the scope has no such element, ElementFailed where the token is gone.
        """
        held = self._token(token)
        if held is None:
            raise ElementFailed(call_path="", element_id=token, cause="the element does not wait any more")
        scope = held.workflow
        if not isinstance(scope.spec.task_specs[element_id], elements.Element):
            raise KeyError(element_id)
        tokens.remove(self._holder(held))
        tokens.enter(scope, element_id)

    def skip(self, call_path: str, element_id: str, flow_id: str | None = None) -> None:
        """Let the tokens at an element go on without running it: along `flow_id`, or every flow that leaves it.

        Raises KeyError where the element has no such flow.
        """
        for token in [t for t in self._all() if self.place(t) == (call_path, element_id)]:
            if not tokens.is_live(token):
                continue
            held = self._holder(token)
            if "host" in held.internal_data and not elements.is_leaving(held):
                tokens.remove(held)  # the event will not come; what it sits on goes on
                continue
            flows = [f for f in held.task_spec.flows if flow_id in (None, f.id)]
            if flow_id is not None and not flows:
                raise KeyError(flow_id)
            scope = held.workflow
            tokens.remove(held)
            for flow in flows:
                tokens.enter(scope, flow.target, flow=flow.id)

    def _holder(self, token: Token) -> Token:
        """The token itself; for one of several instances or a boundary event, the activity it belongs to."""
        held = token.internal_data.get("marker") or token.internal_data.get("race")
        return next((t for t in tokens_in(token.workflow) if str(t.id) == held), token)

    def variables(self, call_path: str = "") -> dict[str, Any]:
        """The process variables seen in a scope."""
        scope = self._scope(call_path)
        return dict(tokens.process_around(scope).data)

    def set_variable(self, call_path: str, name: str, value: object) -> None:
        """Give a process variable another value."""
        tokens.set_in_process(tokens.process_around(self._scope(call_path)), name, native(value))
        self.changed = True

    def _scope(self, call_path: str) -> Any:
        for scope in tokens.scopes_of(self.workflow):
            if self.path(scope) == call_path:
                return scope
        raise KeyError(call_path)
