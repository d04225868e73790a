"""Random models do in the engine what an interpreter of their blocks says: the same people asked, the same done."""

from collections import Counter
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.blocks import (
    Again,
    Asks,
    Block,
    Choice,
    Does,
    Each,
    Inner,
    Oracle,
    Passes,
    Sequence_,
    Some,
    Together,
    Watched,
    as_model,
)
from tests.conformance.families import errors_in
from tests.conformance.running import Run

#: Answers given in one life of a case; a larger one is left where it is.
MOST_ANSWERS = 60


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    """A block-structured model with names of its own for every task."""
    names = (f"n{number}" for number in count(1))
    return _block(draw, names, draw(st.integers(1, 4)))


def _block(draw: st.DrawFn, names: Any, depth: int) -> Block:
    kinds = ["asks", "asks", "does", "passes"]
    if depth:
        kinds = ["asks", "sequence", "sequence", "choice", "together", "some", "again", "inner", "each", "watched"]
    kind = draw(st.sampled_from(kinds))
    if kind == "asks":
        return Asks(next(names), draw(st.booleans()))
    if kind == "does":
        return Does(next(names))
    if kind == "passes":
        return Passes()
    if kind == "watched":
        where = draw(st.sampled_from(["outside", "instead", "beside"]))
        return Watched(_block(draw, names, depth - 1), next(names), where)
    if kind in ("again", "inner", "each"):
        return _repeated(draw, kind, _block(draw, names, depth - 1))
    parts = tuple(_block(draw, names, depth - 1) for _ in range(draw(st.integers(2, 3))))
    if kind == "choice":
        return Choice(parts, draw(st.integers(0, len(parts) - 1)))
    if kind == "some":
        return Some(parts, draw(st.frozensets(st.integers(0, len(parts) - 1))))
    return Sequence_(parts) if kind == "sequence" else Together(parts)


def _repeated(draw: st.DrawFn, kind: str, body: Block) -> Block:
    if kind == "inner":
        return Inner(body)
    if kind == "again":
        return Again(body, draw(st.integers(1, 3)), draw(st.booleans()))
    return Each(body, draw(st.integers(0, 3)), draw(st.booleans()))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(block=blocks(), data=st.data())
def test_the_engine_asks_and_does_what_the_blocks_say(block: Block, data: st.DataObject) -> None:
    oracle, run = Oracle(block), Run(as_model(block))
    signals = data.draw(st.integers(0, 3))
    for _ in range(MOST_ANSWERS):
        assert run.waiting == oracle.waiting
        assert Counter(run.log) == oracle.ran
        if not oracle.waiting:
            run.assert_over()
            return
        if signals and data.draw(st.booleans()):
            signals -= 1
            oracle.signal()
            run.signal("A")  # saves and restores first, as `do` below
            continue
        place = data.draw(st.sampled_from(oracle.waiting))
        oracle.answer(place)
        run.do(place)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(block=blocks())
def test_the_gate_accepts_every_block(block: Block) -> None:
    assert errors_in(as_model(block)) == []
