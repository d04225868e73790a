"""Expressions in models and forms: a small subset of Python's, interpreted node by node.

`parse` refuses everything that is not on its lists; `evaluate` walks what is left. No code is ever compiled
or run. Names hold JSON values and dates, and so do results. The language is described in
docs/reference/expressions.md.
"""

import ast
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from engine.bpmn.expression_functions import FUNCTIONS, days_counted
from engine.bpmn.expression_parsing import LITERALS, Expression, ExpressionError, MissingKey, UndefinedName, parse
from engine.bpmn.expression_values import (
    BINARY,
    COMPARISONS,
    Missing,
    Refused,
    as_number,
    as_text,
    checked,
    checked_throughout,
    key_of,
    kind,
)
from engine.calendar import Calendar, CalendarError

__all__ = ["Expression", "ExpressionError", "MissingKey", "UndefinedName", "evaluate", "parse"]

#: One per node evaluated, one per item of a list that a function or `in` goes through, one per ten days counted.
MAX_STEPS = 10_000


class Steps:
    """What may still be spent. One expression has its own; a script or a decision shares one over all of its own."""

    def __init__(self, limit: int, whose: str) -> None:
        self.limit = limit
        self.left = limit
        self.whose = whose

    def spend(self, steps: int) -> None:
        """Take so many. Raises Refused when there are not enough left."""
        self.left -= steps
        if self.left < 0:
            raise Refused(f"The {self.whose} needs more than {self.limit} steps")


def evaluate(
    expr: Expression, scope: Mapping[str, object], calendar: Calendar, *, steps: Steps | None = None
) -> object:
    """The value of `expr`, JSON-native or a date, with the names of `scope`.

    Raises ExpressionError where it has none: UndefinedName for a name without value, MissingKey for a key or
    position that is not there.
    """
    steps = steps or Steps(MAX_STEPS, "expression")
    line = expr.tree.lineno
    try:
        value = _Evaluation(expr.source, scope, calendar, steps).value_of(expr.tree)
        return checked_throughout(value)
    except Refused as refused:
        raise ExpressionError(str(refused), expr.tree.col_offset, expr.source, line) from None
    except RecursionError:
        raise ExpressionError("The values are nested too deeply", expr.tree.col_offset, expr.source, line) from None


class _Evaluation:
    """One walk through a parsed expression."""

    def __init__(self, source: str, scope: Mapping[str, object], calendar: Calendar, steps: Steps) -> None:
        self.source = source
        self.scope = scope
        self.calendar = calendar
        self.steps = steps

    def value_of(self, node: ast.expr) -> object:
        """The value of this part. Raises ExpressionError at its place."""
        try:
            self.steps.spend(1)
            return checked(_HANDLERS[type(node)](self, node))
        except Missing as missing:
            raise MissingKey(str(missing), node.col_offset, self.source, node.lineno) from None
        except Refused as refused:
            raise ExpressionError(str(refused), node.col_offset, self.source, node.lineno) from None
        except CalendarError as error:
            raise ExpressionError(error.message, node.col_offset, self.source, node.lineno) from None

    def constant(self, node: ast.Constant) -> object:
        return node.value

    def name(self, node: ast.Name) -> object:
        if node.id in LITERALS:
            return LITERALS[node.id]
        try:
            return self.scope[node.id]
        except KeyError:
            raise UndefinedName(node.id, node.col_offset, self.source, node.lineno) from None

    def list(self, node: ast.List) -> object:
        return [self.value_of(element) for element in node.elts]

    def dict(self, node: ast.Dict) -> object:
        pairs = zip(node.keys, node.values, strict=True)
        return {as_text(self.value_of(key)): self.value_of(value) for key, value in pairs if key}

    def unary(self, node: ast.UnaryOp) -> object:
        operand = self.value_of(node.operand)
        if isinstance(node.op, ast.Not):
            return not operand
        return -as_number(operand) if isinstance(node.op, ast.USub) else as_number(operand)

    def boolean(self, node: ast.BoolOp) -> object:
        decisive = isinstance(node.op, ast.Or)
        for operand in node.values:
            value = self.value_of(operand)
            if bool(value) is decisive:
                break
        return value

    def binary(self, node: ast.BinOp) -> object:
        return BINARY[type(node.op)](self.value_of(node.left), self.value_of(node.right))

    def comparison(self, node: ast.Compare) -> object:
        left = self.value_of(node.left)
        for operation, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.value_of(comparator)
            if isinstance(operation, ast.In | ast.NotIn):
                self._spend_on([right])
            if not COMPARISONS[type(operation)](left, right):
                return False
            left = right
        return True

    def choice(self, node: ast.IfExp) -> object:
        return self.value_of(node.body if self.value_of(node.test) else node.orelse)

    def subscript(self, node: ast.Subscript) -> object:
        return key_of(self.value_of(node.value), self.value_of(node.slice))

    def attribute(self, node: ast.Attribute) -> object:
        owner = self.value_of(node.value)
        if not isinstance(owner, dict):
            raise Refused(f"Expected a dictionary before .{node.attr}, but got {kind(owner)}")
        return key_of(owner, node.attr)

    def call(self, node: ast.Call) -> object:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "first_given":
            return self._first_given(node.args)
        arguments = [self.value_of(argument) for argument in node.args]
        named = {keyword.arg: self.value_of(keyword.value) for keyword in node.keywords if keyword.arg}
        given = [*arguments, *named.values()]
        self._spend_on(given)
        value = FUNCTIONS[name](self.calendar, *arguments, **named)
        self.steps.spend(days_counted(name, [*given, value]) // 10)
        return value

    def _first_given(self, arguments: Iterable[ast.expr]) -> object:
        """The first argument that has a value; those after it are not looked at."""
        for argument in arguments:
            with suppress(UndefinedName, MissingKey):
                value = self.value_of(argument)
                if value is not None:
                    return value
        return None

    def _spend_on(self, arguments: Iterable[object]) -> None:
        self.steps.spend(sum(len(argument) for argument in arguments if isinstance(argument, list)))


#: How each kind of `ALLOWED_SYNTAX` gets its value.
_HANDLERS: Mapping[type[ast.expr], Callable[[_Evaluation, Any], object]] = {
    ast.Constant: _Evaluation.constant,
    ast.Name: _Evaluation.name,
    ast.List: _Evaluation.list,
    ast.Dict: _Evaluation.dict,
    ast.UnaryOp: _Evaluation.unary,
    ast.BoolOp: _Evaluation.boolean,
    ast.BinOp: _Evaluation.binary,
    ast.Compare: _Evaluation.comparison,
    ast.IfExp: _Evaluation.choice,
    ast.Subscript: _Evaluation.subscript,
    ast.Attribute: _Evaluation.attribute,
    ast.Call: _Evaluation.call,
}
