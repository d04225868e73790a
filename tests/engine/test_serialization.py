"""A case is saved small, read back whole, and read back by the next version too."""

import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from engine.bpmn import serialization
from engine.bpmn.execution import Execution
from tests.engine.drawing import gateway, model, task
from tests.engine.situations import GOLDEN, NEWEST, SITUATIONS, Situation, complete

#: A loop of this many rounds saves as little as its first.
ROUNDS = 2_000


def restored(situation: Situation, document: bytes) -> Execution:
    execution = Execution.restore(situation.specification, document, **situation.context())
    execution.advance()
    return execution


def names(execution: Execution) -> list[str]:
    return sorted(w.element.id for w in execution.waiting())


def assert_goes_on(situation: Situation, execution: Execution) -> None:
    """What waits is what should, and completing it leads where it should."""
    assert names(execution) == sorted(situation.waiting)
    if not situation.waiting:
        assert not execution.completed
        return
    for element in situation.waiting:
        complete(execution, element, utfall="tilbake" if situation.follows == situation.waiting else "ferdig")
    if situation.follows is None:
        assert execution.completed
    else:
        assert names(execution) == sorted(situation.follows)
        assert not execution.completed


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_saved_case_goes_on_as_if_it_had_not_been(name: str) -> None:
    situation = SITUATIONS[name]
    wake_at = situation.reached().next_wake()
    execution = restored(situation, situation.reached().save())
    assert execution.next_wake() == wake_at
    again = restored(situation, execution.save())
    assert again.next_wake() == wake_at
    assert_goes_on(situation, again)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*/*.json")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_an_earlier_version_saved_goes_on(path: Path) -> None:
    situation = SITUATIONS[path.stem]
    execution = restored(situation, zstandard.compress(path.read_bytes()))
    assert execution.next_wake() == situation.reached().next_wake()
    assert_goes_on(situation, execution)


def test_every_situation_has_its_golden_document() -> None:
    assert {path.stem for path in NEWEST.glob("*.json")} == set(SITUATIONS)


def shape(value: Any) -> Any:
    """The names in a document, without ids and values."""
    if isinstance(value, dict):
        return {("id" if len(k) == 36 and k.count("-") == 4 else k): shape(v) for k, v in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_document_has_the_shape_that_its_format_says(name: str) -> None:
    # Another shape under the same number would be read wrongly by others: raise FORMAT and keep the old file.
    now = json.loads(zstandard.decompress(SITUATIONS[name].reached().save()))
    golden = json.loads((NEWEST / f"{name}.json").read_text())
    assert now["format"] == golden["format"] == serialization.FORMAT
    assert shape(now) == shape(golden)


def test_a_document_of_a_later_format_is_refused_in_words() -> None:
    document = json.loads((NEWEST / "user_task.json").read_text()) | {"format": serialization.FORMAT + 1}
    with pytest.raises(serialization.StateUnreadable, match="reads up to"):
        restored(SITUATIONS["user_task"], zstandard.compress(json.dumps(document).encode()))


def test_only_plain_values_are_saved() -> None:
    situation = SITUATIONS["user_task"]
    execution = Execution.start(situation.specification, {"x": object()}, **situation.context())
    execution.advance()
    with pytest.raises(TypeError, match="plain JSON values"):
        execution.save()


def test_a_loop_stays_small_and_never_ends_by_itself() -> None:
    situation = SITUATIONS["several_with_deadline"]
    specification, context = situation.specification, situation.context()
    document, sizes = situation.reached().save(), []
    for _ in range(ROUNDS):
        execution = Execution.restore(specification, document, **context)
        (waiting,) = execution.waiting()
        execution.complete(waiting.token, {"utfall": "tilbake"})
        execution.advance()
        assert not execution.completed
        document = execution.save()
        sizes.append(len(document))
    assert max(sizes) <= sizes[2] + 64
    execution = Execution.restore(specification, document, **context)
    complete(execution, "ask", utfall="ferdig")
    assert execution.completed


def test_a_loop_inside_a_branch_of_a_fork_stays_small_for_a_working_life() -> None:
    """The fork's other branch still waits, so that nothing above the fork may be dropped."""
    drawn = model(
        "start>fork fork>other fork>again again>ask ask>enough enough>again enough>join other>join join>end",
        gateway("fork", kind="parallel"), gateway("join", kind="parallel"), gateway("again"), gateway("enough", "join"),
        task("other"), task("ask"), conditions={"enough>again": "${utfall == 'tilbake'}"},
    )  # fmt: skip
    situation = Situation(models=(drawn,), waiting=("ask", "other"))
    specification, context = situation.specification, situation.context()
    document = situation.reached().save()
    for _ in range(100):
        execution = Execution.restore(specification, document, **context)
        complete(execution, "ask", utfall="tilbake")
        assert names(execution) == ["ask", "other"]
        document = execution.save()
    assert len(document) < 20_000
    execution = Execution.restore(specification, document, **context)
    complete(execution, "ask", utfall="ferdig")
    complete(execution, "other")
    assert execution.completed
