"""Scripts of models: statements that set variables, in the language of expressions.

A script says `name = expression`, `name += expression`, `name -= expression`, `if`, `elif`, `else` and `pass`. There
are no loops and no functions, so each statement runs at most once. The language is described in
docs/reference/expressions.md.
"""

import ast
import re
from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

from engine.bpmn.expression_parsing import (
    LITERALS,
    WORDS,
    Expression,
    ExpressionError,
    Inspection,
    check_tokens,
    problem_with_word,
    reason,
)
from engine.bpmn.expression_values import Refused, checked_throughout, json_native
from engine.bpmn.expressions import MAX_STEPS, Steps, evaluate
from engine.calendar import Calendar

__all__ = ["Script", "parse_script", "run"]

#: Characters of source.
MAX_SOURCE = 10_000
#: Statements, those of all branches together; an `if` and each `elif` count as one.
MAX_STATEMENTS = 200
#: Levels of `if` in each other.
MAX_LEVELS = 10

_NOT_ALIKE = "the lines are not indented alike"
#: What the words of expressions lack.
_SIGNS = re.compile(r"#[^\n]*|;")
_WORDS = WORDS | {"elif", "pass"}


@dataclass(frozen=True, kw_only=True)
class _Assignment:
    """Set `name` to what `value` is worth; `+=` and `-=` are already sums and differences."""

    name: str
    value: Expression


@dataclass(frozen=True, kw_only=True)
class _Branch:
    """Statements that run when `condition` holds; without one, always."""

    condition: Expression | None
    statements: "tuple[_Statement, ...]"


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """`if`, `elif`, `else`: the first branch whose condition holds."""

    branches: tuple[_Branch, ...]


_Statement = _Assignment | _Choice


@dataclass(frozen=True, kw_only=True)
class Script:
    """A parsed script; made by `parse_script`. Equal when written alike."""

    source: str
    #: The names it may read before it has set them itself: they come from the case.
    names_read: frozenset[str] = field(compare=False)
    #: The names it may set.
    names_set: frozenset[str] = field(compare=False)
    statements: tuple[_Statement, ...] = field(compare=False, repr=False)


def parse_script(source: str) -> Script:
    """The script written in `source`. Raises ExpressionError with line and column."""
    if len(source) > MAX_SOURCE:
        message = f"A script has at most {MAX_SOURCE} characters, this one has {len(source)}"
        raise ExpressionError(message, 1, source[:100])
    return _parse(source.replace("\r\n", "\n").replace("\r", "\n"))


def run(script: Script, scope: Mapping[str, object], calendar: Calendar) -> dict[str, object]:
    """The variables that the script sets, JSON-native: a date is its text. Later statements see earlier ones.

    Raises ExpressionError as `evaluate` does; then nothing is set.
    """
    running = _Run(scope, calendar)
    running.all(script.statements)
    try:
        checked_throughout(running.assigned)
    except Refused as refused:
        raise ExpressionError(str(refused), 1, script.source) from None
    return running.assigned


class _Run:
    """One run of a script."""

    def __init__(self, scope: Mapping[str, object], calendar: Calendar) -> None:
        self.assigned: dict[str, object] = {}
        # Nothing is ever set through it.
        self.scope = ChainMap(self.assigned, cast("dict[str, object]", scope))
        self.calendar = calendar
        self.steps = Steps(MAX_STEPS, "script")

    def all(self, statements: Iterable[_Statement]) -> None:
        """Run them in their order."""
        for statement in statements:
            if isinstance(statement, _Assignment):
                self.assigned[statement.name] = json_native(self._value_of(statement.value))
            else:
                self._choose(statement)

    def _choose(self, choice: _Choice) -> None:
        for branch in choice.branches:
            if branch.condition is None or self._value_of(branch.condition):
                self.all(branch.statements)
                return

    def _value_of(self, expression: Expression) -> object:
        return evaluate(expression, self.scope, self.calendar, steps=self.steps)


# --- reading ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _parse(source: str) -> Script:
    body = _body(_without_comments(source), source)
    reading = _Reading(source)
    statements = reading.block(body, 1)
    set_anywhere: set[str] = set()
    read: set[str] = set()
    _follow(statements, frozenset(), read, set_anywhere)
    return Script(source=source, names_read=frozenset(read), names_set=frozenset(set_anywhere), statements=statements)


def _without_comments(source: str) -> str:
    """The same text with blanks for comments. Raises ExpressionError for what the language has no words for."""
    try:
        tokens = check_tokens(source, 0, source, more=_SIGNS, words=_WORDS)
    except ExpressionError as error:
        raise _error_at(error.column - 1, error.message, source) from None
    return "".join(" " * len(token) if token.startswith("#") else token for token in tokens)


def _error_at(offset: int, message: str, source: str) -> ExpressionError:
    line = source.count("\n", 0, offset) + 1
    column = offset - (source.rfind("\n", 0, offset) + 1) + 1
    return ExpressionError(message, column, source, line)


def _body(text: str, source: str) -> list[ast.stmt]:
    # In a model, the whole script may be indented as the XML around it is: then it is read as the inside of a block.
    indented = re.match(r"(?:[ \t]*\n)*[ \t]+[^ \t\n]", text) is not None
    try:
        body = ast.parse("if 1:\n" + text if indented else text, mode="exec").body
    except SyntaxError as error:
        line = max(1, min((error.lineno or 1) - indented, source.count("\n") + 1))
        written = text.split("\n")[line - 1]
        column = max(1, min(error.offset or len(written) + 1, len(written) + 1))
        what = reason(error, written[column - 1 :])
        if isinstance(error, IndentationError):
            what, column = _NOT_ALIKE, len(written) - len(written.lstrip()) + 1
        message = f"Not a valid script: {what}"
        raise ExpressionError(message, column, source, line) from None
    except (RecursionError, MemoryError):
        raise ExpressionError("The script is nested too deeply", 1, source) from None
    return _inside(body, source) if indented else body


def _inside(body: list[ast.stmt], source: str) -> list[ast.stmt]:
    """The statements of the block that was put around them, on their own lines again."""
    block, *further = body
    if further or not isinstance(block, ast.If) or block.orelse:
        line = (further[0] if further else cast("ast.If", block).orelse[0]).lineno - 1
        raise ExpressionError(f"Not a valid script: {_NOT_ALIKE}", 1, source, line)
    for statement in block.body:
        ast.increment_lineno(statement, -1)
    return block.body


class _Reading:
    """Turns Python's statements into the few of this language; refuses the others."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.inspection = Inspection(source, source)
        self.count = 0

    def block(self, body: Iterable[ast.stmt], level: int) -> tuple[_Statement, ...]:
        """The statements of a block, without its `pass`."""
        statements = (self._statement(node, level) for node in body)
        return tuple(statement for statement in statements if statement is not None)

    def _statement(self, node: ast.stmt, level: int) -> _Statement | None:
        self._count(node)
        match node:
            case ast.Pass():
                return None
            case ast.If():
                return self._choice(node, level)
            case ast.Assign(targets=[ast.Name(id=name) as target], value=value):
                self._check_name(target)
                return _Assignment(name=name, value=self.inspection.expression(value))
            case ast.AugAssign(target=ast.Name() as target, op=ast.Add() | ast.Sub()):
                return self._change(node, target)
        raise self._refusal(node, _why_not(node))

    def _count(self, node: ast.stmt) -> None:
        self.count += 1
        if self.count > MAX_STATEMENTS:
            raise self._refusal(node, f"The script has more than {MAX_STATEMENTS} statements")

    def _choice(self, node: ast.If, level: int) -> _Choice:
        if level > MAX_LEVELS:
            raise self._refusal(node, f"The script has more than {MAX_LEVELS} levels of if in each other")
        branches = [self._branch(node, level)]
        # Python nests what elif says; a list of branches doesn't.
        while len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
            node = node.orelse[0]
            self._count(node)
            branches.append(self._branch(node, level))
        if node.orelse:
            branches.append(_Branch(condition=None, statements=self.block(node.orelse, level + 1)))
        return _Choice(branches=tuple(branches))

    def _branch(self, node: ast.If, level: int) -> _Branch:
        condition = self.inspection.expression(node.test)
        return _Branch(condition=condition, statements=self.block(node.body, level + 1))

    def _change(self, node: ast.AugAssign, target: ast.Name) -> _Assignment:
        self._check_name(target)
        read = ast.copy_location(ast.Name(id=target.id), target)
        changed = ast.copy_location(ast.BinOp(left=read, op=node.op, right=node.value), node)
        return _Assignment(name=target.id, value=self.inspection.expression(changed))

    def _check_name(self, target: ast.Name) -> None:
        problem = problem_with_word(target.id)
        if target.id in LITERALS:
            problem = f"{target.id} is a value, and can't be given another"
        if problem:
            raise self._refusal(target, problem)

    def _refusal(self, node: ast.stmt | ast.expr, message: str) -> ExpressionError:
        return ExpressionError(message, self.inspection.column(node), self.source, node.lineno)


def _why_not(node: ast.stmt) -> str:
    match node:
        case ast.Assign(targets=[_, _, *_]):
            return "One statement sets one name"
        case ast.Assign() | ast.AugAssign(target=ast.Attribute() | ast.Subscript()):
            return "Only a plain name is set; build the whole value and set its name"
        case ast.AugAssign():
            return "Only = , += and -= set a name"
        case ast.AnnAssign():
            return "A name is set with =, without a type"
        case ast.Expr():
            return "An expression on its own does nothing; write name = expression"
    return "Only name = expression, if, elif, else and pass are statements of the language"


def _follow(
    statements: Iterable[_Statement], known: frozenset[str], read: set[str], set_anywhere: set[str]
) -> frozenset[str]:
    """Collect the names read from outside and the names set; answers those that are surely set afterwards."""
    for statement in statements:
        if isinstance(statement, _Assignment):
            read |= statement.value.names - known
            set_anywhere.add(statement.name)
            known |= {statement.name}
            continue
        outcomes = []
        for branch in statement.branches:
            if branch.condition is not None:
                read |= branch.condition.names - known
            outcomes.append(_follow(branch.statements, known, read, set_anywhere))
        if statement.branches[-1].condition is not None:
            outcomes.append(known)  # none of the branches
        known = frozenset.intersection(*outcomes)
    return known
