"""A migrated case goes on exactly as one that was started on the new version and has come as far."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bpmn.execution import Execution
from engine.bpmn.migration import migrate
from engine.bpmn.parsing import Specification, compile_models
from engine.bpmn.reading import read
from engine.calendar import Calendar
from tests.engine.drawing import closes, gateway, model, task

CONTEXT: dict[str, Any] = {"facts": {}, "calendar": Calendar(), "now": datetime(2026, 5, 18, 8, tzinfo=UTC)}


@dataclass(frozen=True)
class Block:
    """Branches that run at once, each a sequence of tasks; one branch is a plain sequence."""

    branches: tuple[tuple[str, ...], ...]


Process = tuple[Block, ...]


@st.composite
def processes(draw: st.DrawFn) -> Process:
    """A sequence of blocks, whose tasks are t0, t1, … as drawn."""
    sizes = draw(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), min_size=1, max_size=4))
    number = iter(range(100))
    return tuple(Block(tuple(tuple(f"t{next(number)}" for _ in range(n)) for n in block)) for block in sizes)


def specification(process: Process, closing: Sequence[str] = ()) -> Specification:
    """The process as a model; the tasks in `closing` have a timer that closes them."""
    flows, nodes, last = [], [], "start"
    for number, block in enumerate(process):
        several = len(block.branches) > 1
        if several:
            nodes += [gateway(f"fork{number}", kind="parallel"), gateway(f"join{number}", kind="parallel")]
            flows.append(f"{last}>fork{number}")
        for branch in block.branches:
            chain = [f"fork{number}" if several else last, *branch]
            flows += [f"{a}>{b}" for a, b in pairwise(chain)]
            nodes += [task(name) for name in branch]
            flows += [f"{branch[-1]}>join{number}"] if several else []
        last = f"join{number}" if several else block.branches[0][-1]
    for name in closing:
        nodes.append(closes(f"{name}shut", name))
        flows.append(f"{name}shut>end{name}")
    return compile_models(read(model(" ".join([*flows, f"{last}>end"]), *nodes)))


def begun(spec: Specification) -> Execution:
    execution = Execution.start(spec, {}, **CONTEXT)
    execution.advance()
    return execution


def waiting(execution: Execution) -> list[str]:
    return sorted(w.element.id for w in execution.waiting())


def complete(execution: Execution, element: str) -> None:
    token = next(w.token for w in execution.waiting() if w.element.id == element)
    execution.complete(token, {})
    execution.advance()


def lived(execution: Execution) -> list[list[str]]:
    """What waits, act by act, until the end."""
    seen = []
    while names := waiting(execution):
        seen.append(names)
        complete(execution, names[0])
    assert execution.completed
    return seen


def inserted(process: Process, name: str, draw: Any) -> Process:
    """The process with one more task somewhere."""
    at = draw(st.integers(0, len(process) - 1))
    branches = list(process[at].branches)
    which = draw(st.integers(0, len(branches) - 1))
    position = draw(st.integers(0, len(branches[which])))
    branches[which] = (*branches[which][:position], name, *branches[which][position:])
    return (*process[:at], replace(process[at], branches=tuple(branches)), *process[at + 1 :])


def removed(process: Process, kept: Sequence[str], draw: Any) -> Process:
    """The process without one task that nothing stands at, where a branch keeps another."""
    free = [
        (b, n, name)
        for b, block in enumerate(process)
        for n, branch in enumerate(block.branches)
        for name in branch
        if len(branch) > 1 and name not in kept
    ]
    if not free:
        return process
    b, n, name = draw(st.sampled_from(free))
    branches = list(process[b].branches)
    branches[n] = tuple(other for other in branches[n] if other != name)
    return (*process[:b], Block(tuple(branches)), *process[b + 1 :])


def come_as_far(spec: Specification, process: Process, standing: Sequence[str], done: set[str]) -> Execution:
    """A case on `spec` in which exactly `standing` waits: what was done, and what is new before it, is completed."""
    execution = begun(spec)
    while True:
        ahead = [
            n for n in waiting(execution) if n in done or (n not in standing and is_behind(process, n, standing, done))
        ]
        if not ahead:
            return execution
        complete(execution, ahead[0])


def is_behind(process: Process, name: str, standing: Sequence[str], done: set[str]) -> bool:
    """Does a task lie before one that waits, or in a part that is over, as the case came through?"""
    for number, block in enumerate(process):
        for branch in block.branches:
            if name not in branch:
                continue
            after = branch[branch.index(name) + 1 :]
            later = {n for following in process[number + 1 :] for b in following.branches for n in b}
            return bool(set(after) & {*standing, *done} or later & {*standing, *done})
    raise AssertionError(name)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_migrated_case_goes_on_as_one_that_was_started_on_the_new_version(data: st.DataObject) -> None:
    process = data.draw(processes())
    old = specification(process)
    case = begun(old)
    done: set[str] = set()
    for _ in range(data.draw(st.integers(0, 6))):
        names = waiting(case)
        if len(names) == 1 and names[0] == process[-1].branches[-1][-1]:
            break
        name = data.draw(st.sampled_from(names))
        complete(case, name)
        done.add(name)
        if case.completed:
            return
    standing = waiting(case)
    changed = process
    for number in range(data.draw(st.integers(1, 3))):
        changed = inserted(changed, f"n{number}", data.draw)
    changed = removed(changed, [*standing, *done], data.draw)
    closing = data.draw(st.lists(st.sampled_from([n for b in changed for r in b.branches for n in r]), unique=True))
    new = specification(changed, closing)
    moved = migrate(case.save(), old, new, {})
    assert moved.problems == ()
    assert moved.document is not None
    migrated = Execution.restore(new, moved.document, **CONTEXT)
    migrated.advance()
    fresh = come_as_far(new, changed, standing, done)
    if branch_ended_with_more(process, changed, standing, done):
        return  # the case waits at a join; one started anew still has the branch's new last task to do
    assert waiting(migrated) == waiting(fresh)
    assert sorted(t.element_id for t in migrated.tokens()) == sorted(t.element_id for t in fresh.tokens())
    assert lived(Execution.restore(new, migrated.save(), **CONTEXT)) == lived(fresh)


def branch_ended_with_more(old: Process, new: Process, standing: Sequence[str], done: set[str]) -> bool:
    """Was a task added at the end of a branch that the case has already finished while others still run?"""
    for before, after in zip(old, new, strict=True):
        for first, second in zip(before.branches, after.branches, strict=True):
            finished = all(name in done for name in first)
            running = any(name in standing for branch in before.branches for name in branch)
            if finished and running and second[-1] not in first:
                return True
    return False
