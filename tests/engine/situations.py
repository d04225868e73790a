"""Every way in which a case can wait, each as a small model and the acts that lead there.

`python -m tests.engine.situations` writes the golden documents that are missing. One that is there is never written
anew: it is what an earlier version saved, and must stay readable.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import zstandard

from engine.bpmn import serialization
from engine.bpmn.execution import Execution
from engine.bpmn.parsing import Specification, compile_models
from engine.bpmn.reading import read
from engine.calendar import Calendar
from tests.engine.drawing import call, closes, gateway, model, several, sub_process, task, timer

#: One folder for every format that was ever written.
GOLDEN = Path(__file__).parent / "golden"
NEWEST = GOLDEN / str(serialization.FORMAT)
NOW = datetime(2026, 5, 18, 8, 0, tzinfo=UTC)
FACTS = {"meeting": date(2026, 6, 10)}
DUE = 'camunda:dueDate="${meeting}"'


@dataclass(frozen=True, kw_only=True)
class Situation:
    """A model, the variables it starts with, whom to answer, and what waits then."""

    models: tuple[bytes, ...]
    #: Elements to complete, with the variables of each answer.
    answered: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    #: Elements that wait for people, then; after them nothing or `follows` waits.
    waiting: tuple[str, ...]
    #: What waits when all of those are completed too; None: the case has ended.
    follows: tuple[str, ...] | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    parked: frozenset[tuple[str, str]] = frozenset()

    @property
    def specification(self) -> Specification:
        """The models, compiled."""
        main, *called = [read(xml) for xml in self.models]
        return compile_models(main, called)

    def context(self, now: datetime = NOW) -> dict[str, Any]:
        """What an execution is given from outside."""
        return {"facts": FACTS, "calendar": Calendar(), "now": now, "parked": self.parked}

    def reached(self) -> Execution:
        """A case that waits like this."""
        execution = Execution.start(self.specification, self.data, **self.context())
        execution.advance()
        for element, variables in self.answered:
            complete(execution, element, **variables)
        return execution


def complete(execution: Execution, element: str, **variables: Any) -> None:
    """Answer the element, and let what follows run."""
    token = next(w.token for w in execution.waiting() if w.element.id == element)
    execution.complete(token, variables)
    execution.advance()


_LOOP = model(
    "start>again again>ask ask>enough enough>again enough>end shut>again",
    gateway("again"),
    gateway("enough", "end"),
    task("ask", DUE, several(), {"output": "svar"}),
    closes("shut", "ask"),
    conditions={"enough>again": "${utfall == 'tilbake'}"},
)
_FORK = model(
    "start>fork fork>a fork>b fork>later a>join b>join later>join join>then then>end",
    gateway("fork", kind="parallel"),
    gateway("join", kind="parallel"),
    task("a"),
    task("b"),
    timer("later", "${first_working_day_of(meeting)}"),
    task("then"),
)

SITUATIONS = {
    "user_task": Situation(models=(model("start>ask ask>end", task("ask")),), waiting=("ask",)),
    "several_with_deadline": Situation(models=(_LOOP,), data={"items": [{"key": "a"}]}, waiting=("ask",)),
    "second_round": Situation(
        models=(_LOOP,),
        data={"items": [{"key": "a"}]},
        answered=(("ask", {"utfall": "tilbake"}),),
        waiting=("ask",),
        follows=("ask",),
    ),
    "timer": Situation(
        models=(model("start>later later>ask ask>end", timer("later", "${meeting}"), task("ask")),), waiting=()
    ),
    "branches": Situation(models=(_FORK,), waiting=("a", "b"), follows=()),
    "join_half_reached": Situation(models=(_FORK,), answered=(("a", {}),), waiting=("b",), follows=()),
    "in_a_call": Situation(
        models=(
            model("start>c c>then then>end", call("c", "called", meeting="${meeting}"), task("then")),
            model("start>ask ask>end", task("ask", DUE), process="called"),
        ),
        waiting=("ask",),
        follows=("then",),
    ),
    "in_a_sub_process": Situation(
        models=(model("start>inner inner>then then>end", sub_process("inner", "ask"), task("then")),),
        waiting=("ask",),
        follows=("then",),
    ),
    "parked": Situation(
        models=(
            model(
                "start>ask ask>which which>a which>end a>end",
                task("ask"),
                gateway("which", "end"),
                task("a"),
                conditions={"which>a": "${10 / tall &gt; 1}"},
            ),
        ),
        answered=(("ask", {"tall": 0}),),
        waiting=(),
        parked=frozenset({("", "which")}),
    ),
}


def write_missing() -> None:
    """Write the golden documents that are not there yet."""
    NEWEST.mkdir(exist_ok=True)
    for name, situation in SITUATIONS.items():
        path = NEWEST / f"{name}.json"
        if not path.exists():
            document = json.loads(zstandard.decompress(situation.reached().save()))
            path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    write_missing()
