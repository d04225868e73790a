"""How each element of BPMN behaves, as specifications that SpiffWorkflow's tasks run.

A token that arrives is READY. When it is run, `begin` does what the element does; where that takes people, time or an
event the token stays STARTED, and is made READY once more, in the phase LEAVING, when it may go on. So everything that
can fail is run from one place, and what fails can be parked in front of its element.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from SpiffWorkflow.specs.base import TaskSpec
from SpiffWorkflow.util.task import TaskState

from engine.bpmn import tokens
from engine.bpmn.expressions import ExpressionError, UndefinedName
from engine.bpmn.tokens import ScopeSpec, Token, case_of, enter

LEAVING = "leaving"


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A sequence flow as seen from its source."""

    id: str
    target: str
    condition: str | None
    default: bool


@dataclass(frozen=True, kw_only=True)
class Mappings:
    """What an element takes in and gives out beside its own work: name -> expression, and scripts around it."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[str] = ()
    after: Sequence[str] = ()


class Element(TaskSpec):  # type: ignore[misc]
    """An element that tokens pass. Subclasses say what happens on the way."""

    #: Do other tokens hang on one that stands here?
    holds_others = False
    #: Does it wait for events, throw one, or is it work that events can sit on?
    hears = False
    throws = False
    is_activity = False

    def __init__(self, scope: ScopeSpec, identity: str, mappings: Mappings) -> None:
        super().__init__(scope, identity)
        self.mappings = mappings
        self.flows: list[Flow] = []
        #: Ids of the flows that lead here.
        self.incoming: list[str] = []

    # --- SpiffWorkflow's side: arriving, running, gone ----------------------------------------------------------------

    def test(self) -> None:
        """Whether a model is sound is decided when it is deployed."""

    def _predict_hook(self, my_task: Any) -> None:
        """Nothing is predicted: only live tokens are kept."""

    def _update_hook(self, my_task: Any) -> bool:
        return self.arrive(my_task)

    def _on_ready_hook(self, my_task: Any) -> None:
        case_of(my_task).agenda.append(my_task)

    def _run_hook(self, my_task: Any) -> bool | None:
        if my_task.internal_data.get("phase") != LEAVING and not self.start(my_task):
            return None
        # What it threw may have taken its own token away.
        if tokens.is_live(my_task):
            self.finish(my_task)
        return True

    def _on_complete(self, my_task: Any) -> None:
        tokens.remove(my_task)

    # --- the element's side -------------------------------------------------------------------------------------------

    def arrive(self, token: Token) -> bool:
        """Whether the token may be run at once; a join lets it wait."""
        return True

    def start(self, token: Token) -> bool:
        """Take in what is mapped, then begin."""
        case = case_of(token)
        if self.mappings.inputs:
            token.data.update({name: case.mapped(token, source) for name, source in self.mappings.inputs.items()})
        for script in self.mappings.before:
            case.run_script(token, script)
        return self.begin(token)

    def begin(self, token: Token) -> bool:
        """Do what the element does; True when there is nothing to wait for."""
        return True

    def finish(self, token: Token) -> None:
        """Give out what is mapped, then go on."""
        self.give_out(token)
        self.leave(token)

    def give_out(self, token: Token) -> None:
        """Map the element's results into the variables around it."""
        given = self.mapped_out(token)
        token.data.clear()
        tokens.set_variables(token, given)
        self.run_after(token)

    def mapped_out(self, token: Token) -> dict[str, Any]:
        """What the output parameters come to."""
        return {name: case_of(token).mapped(token, source) for name, source in self.mappings.outputs.items()}

    def run_after(self, token: Token) -> None:
        """Run the scripts that stand at the element's end."""
        for script in self.mappings.after:
            case_of(token).run_script(token, script)

    def trigger(self, token: Token, payload: Mapping[str, Any]) -> None:
        """The event that the token waits for has come: its rivals lose, and it goes on."""
        for rival in tokens.rivals(token):
            tokens.remove(rival)
        token.internal_data["caught"] = dict(payload)
        wake(token)

    def leave(self, token: Token) -> None:
        """Send a token along every flow that is taken."""
        for flow in self.chosen(token):
            enter(token.workflow, flow.target, flow=flow.id)

    def chosen(self, token: Token) -> list[Flow]:
        """All flows; of those with a condition, the ones that are met, and the default where none is."""
        if not any(flow.condition or flow.default for flow in self.flows):
            return self.flows
        return self.choose_all(token)

    def choose_all(self, token: Token) -> list[Flow]:
        """Every flow whose condition is met or that has none; else the default. Raises where no flow is left."""
        taken = [f for f in self.flows if not f.default and (f.condition is None or self.is_met(token, f.condition))]
        taken = taken or [flow for flow in self.flows if flow.default]
        if not taken:
            raise ExpressionError("No outgoing flow's condition is met, and there is no default flow", 1, self.name)
        return taken

    def is_met(self, token: Token, condition: str) -> bool:
        """Whether a condition holds. A name that nothing has set is no error where there is a default flow."""
        try:
            return bool(case_of(token).value(token, condition))
        except UndefinedName:
            if any(flow.default for flow in self.flows):
                return False
            raise


def wake(token: Token) -> None:
    """Let a token that waited go on."""
    token.internal_data["phase"] = LEAVING
    token._ready()


def is_leaving(token: Token) -> bool:
    """Has the token been told to go on?"""
    return bool(token.internal_data.get("phase") == LEAVING)


def is_listening(token: Token) -> bool:
    """Does the token still wait for its event? One that has just arrived already does."""
    return token.has_state(TaskState.READY | TaskState.STARTED) and not is_leaving(token)
