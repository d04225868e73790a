"""Cells of decision tables: FEEL's unary tests, in the subset that people write, over the language of expressions.

A cell asks whether the value of its column is what it says: `"x"`, `< 5`, `[1..5]`, `"a", "b"`, `not("a")`, `-` for
anything, or a condition in which `?` is the value. Described in docs/reference/decisions.md.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from engine.bpmn.expression_parsing import CELL, Expression, ExpressionError, check_size, parse_cell
from engine.bpmn.expression_values import COMPARISONS, Refused, equal, kind

__all__ = ["Cell", "read_cell"]

#: The value of an expression in the cell.
Ask = Callable[[Expression], object]

_COMPARATORS: Mapping[str, type[ast.cmpop]] = {
    "<=": ast.LtE,
    ">=": ast.GtE,
    "!=": ast.NotEq,
    "==": ast.Eq,
    "<": ast.Lt,
    ">": ast.Gt,
    "=": ast.Eq,
}
_COMPARATOR = re.compile("|".join(_COMPARATORS))
_NOT = re.compile(r"not\s*\(")
#: What is true or false by itself, and so is no value to compare with.
_CONDITIONS = (ast.Compare, ast.BoolOp)


class _Test(Protocol):
    """One test of a cell."""

    @property
    def expressions(self) -> tuple[Expression, ...]: ...

    def met(self, value: object, ask: Ask) -> bool | None:
        """Whether `value` passes; None when it is nothing and the test needs something. Raises Refused."""


@dataclass(frozen=True, kw_only=True)
class _Equals:
    """The value is this, or in this list."""

    wanted: Expression

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return (self.wanted,)

    def met(self, value: object, ask: Ask) -> bool | None:
        wanted = ask(self.wanted)
        return equal(value, wanted) or (isinstance(wanted, list) and any(equal(value, item) for item in wanted))


@dataclass(frozen=True, kw_only=True)
class _Compares:
    """The value stands so to this one."""

    operator: type[ast.cmpop]
    other: Expression

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return (self.other,)

    def met(self, value: object, ask: Ask) -> bool | None:
        other = ask(self.other)
        if value is None and self.operator not in (ast.Eq, ast.NotEq):
            return None
        return COMPARISONS[self.operator](value, other)


@dataclass(frozen=True, kw_only=True)
class _Between:
    """The value lies between these two; `above` and `below` say whether it may be one of them."""

    low: Expression
    above: type[ast.cmpop]
    high: Expression
    below: type[ast.cmpop]

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return (self.low, self.high)

    def met(self, value: object, ask: Ask) -> bool | None:
        low, high = ask(self.low), ask(self.high)
        if value is None:
            return None
        return COMPARISONS[self.above](value, low) and COMPARISONS[self.below](value, high)


@dataclass(frozen=True, kw_only=True)
class _Holds:
    """The condition over `?` is true."""

    condition: Expression

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return (self.condition,)

    def met(self, value: object, ask: Ask) -> bool | None:
        answer = ask(self.condition)
        if not isinstance(answer, bool):
            raise Refused(f"Expected a condition over ? to be true or false, but it is {kind(answer)}")
        return answer


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What a cell asks; made by `read_cell`."""

    source: str
    negated: bool
    #: The value passes if it passes one of them; none means that anything does.
    tests: tuple[_Test, ...]

    @property
    def names(self) -> frozenset[str]:
        """The names it reads, the value of its column excluded."""
        expressions = (expression for test in self.tests for expression in test.expressions)
        return frozenset[str]().union(*(expression.names for expression in expressions)) - {CELL}

    def matches(self, value: object, ask: Ask) -> bool:
        """Whether `value` passes. Raises ExpressionError or Refused."""
        outcome: bool | None = not self.tests
        for test in self.tests:
            met = test.met(value, ask)
            if met:
                outcome = True
                break
            outcome = None if met is None else outcome
        # As in FEEL: of nothing, neither the test nor its opposite is true.
        return outcome is not None and outcome is not self.negated


def read_cell(source: str) -> Cell:
    """What the cell asks. Raises ExpressionError with the column in the cell."""
    check_size(source)
    text = source.strip()
    start = source.index(text)
    end = start + len(text)
    if text in ("", "-"):
        return Cell(source=source, negated=False, tests=())
    inside = _NOT.match(source, start)
    if inside and text.endswith(")"):
        items = _items(source, inside.end(), end - 1)
        if items is not None:
            return Cell(source=source, negated=True, tests=tuple(_tests(source, items)))
    items = _items(source, start, end)
    return Cell(source=source, negated=False, tests=tuple(_tests(source, items or [(start, end)])))


# --- reading ----------------------------------------------------------------------------------------------------------

_Span = tuple[int, int]


def _tests(source: str, items: list[_Span]) -> Iterator[_Test]:
    return (_test(source, start, end) for start, end in items)


def _test(source: str, start: int, end: int) -> _Test:
    interval = _interval(source, start, end)
    if interval is not None:
        low, high, close = interval
        if close + 1 != end:
            raise ExpressionError("Expected a comma or nothing after the interval", close + 2, source)
        return _Between(
            low=_value(source, *low),
            above=ast.GtE if source[start] == "[" else ast.Gt,
            high=_value(source, *high),
            below=ast.LtE if source[close] == "]" else ast.Lt,
        )
    comparator = _COMPARATOR.match(source, start, end)
    if comparator:
        other = _value(source, comparator.end(), end)
        return _Compares(operator=_COMPARATORS[comparator.group()], other=other)
    expression = parse_cell(source, start, end)
    if CELL in expression.names:
        return _Holds(condition=expression)
    return _Equals(wanted=_checked_value(expression))


def _value(source: str, start: int, end: int) -> Expression:
    return _checked_value(parse_cell(source, start, end))


def _checked_value(expression: Expression) -> Expression:
    tree = expression.tree
    if isinstance(tree, _CONDITIONS) or (isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not)):
        message = "A condition in a cell must speak of the cell's value, as ? throughout, such as ? > 3 and ? < 9"
        raise ExpressionError(message, tree.col_offset, expression.source)
    return expression


def _items(source: str, start: int, end: int) -> list[_Span] | None:
    """Where the parts between commas stand, without blanks; None if a bracket is closed that was never opened."""
    items: list[_Span] = []
    while True:
        start += len(source[start:end]) - len(source[start:end].lstrip())
        interval = _interval(source, start, end)
        stop = _scan(source, interval[2] + 1 if interval else start, end, ",")
        if stop < end and source[stop] != ",":
            return None
        items.append((start, start + len(source[start:stop].rstrip())))
        if stop == end:
            return items
        start = stop + 1


def _interval(source: str, start: int, end: int) -> tuple[_Span, _Span, int] | None:
    """Where the ends of the interval stand, and its last bracket; None if this is something else."""
    if source[start : start + 1] not in ("[", "]", "("):
        return None
    dots = _scan(source, start + 1, end, "..", ",")
    if not source.startswith("..", dots):
        return None
    close = _scan(source, dots + 2, end, "]", ")", "[")
    if close == end:
        raise ExpressionError("The interval has no last bracket", end + 1, source)
    return (start + 1, dots), (dots + 2, close), close


def _scan(source: str, start: int, end: int, *wanted: str) -> int:
    """Where one of `wanted`, outside texts and brackets, or a bracket that closes nothing comes first; else `end`."""
    depth = 0
    while start < end:
        sign = source[start]
        if sign in "'\"":
            closing = source.find(sign, start + 1, end)
            start = closing + 1 if closing >= 0 else end
            continue
        if depth == 0 and (source.startswith(wanted, start) or sign in ")]}"):
            return start
        depth += (sign in "([{") - (sign in ")]}")
        start += 1
    return end
