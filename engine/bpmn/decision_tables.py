"""What a decision is once it is read, and how it is decided: hit policies, required decisions, results.

Described in docs/reference/decisions.md.
"""

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, cast

from engine.bpmn.decision_cells import Cell
from engine.bpmn.expression_parsing import CELL, Expression, ExpressionError
from engine.bpmn.expression_values import (
    Refused,
    as_date,
    as_number,
    checked_throughout,
    comparable,
    equal,
    is_number,
    json_native,
    kind,
)
from engine.bpmn.expressions import Steps, evaluate
from engine.calendar import Calendar
from engine.errors import InvalidInput

__all__ = ["Column", "Decision", "DecisionError", "Input", "Node", "Output", "Rule", "Table", "decide"]

#: Steps that one decision may take, with those it requires; see `expressions.MAX_STEPS`.
MAX_STEPS = 100_000

HitPolicy = Literal["UNIQUE", "FIRST", "ANY", "RULE ORDER", "COLLECT"]
Aggregation = Literal["SUM", "MIN", "MAX", "COUNT"]
#: FEEL's own words for values.
CONSTANTS: Mapping[str, object] = {"true": True, "false": False, "null": None}


class DecisionError(InvalidInput):
    """The decision has no result with these values."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """What holds for all values of an input or an output."""

    #: What people call it.
    label: str
    #: One of `TYPES`; None allows any.
    type: str | None
    #: The values it may have; None allows any.
    allowed: Cell | None


@dataclass(frozen=True, kw_only=True)
class Input(Column):
    """What a table looks at."""

    expression: Expression


@dataclass(frozen=True, kw_only=True)
class Output(Column):
    """What a table answers."""

    #: Its key in the result.
    name: str
    #: Its value when no rule matches.
    default: Expression | None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row: it matches when all its cells do. An output without expression is nothing."""

    #: Counted from 1.
    number: int
    cells: tuple[Cell, ...]
    values: tuple[Expression | None, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A decision table."""

    policy: HitPolicy
    aggregation: Aggregation | None
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, kw_only=True)
class Node:
    """One decision by itself."""

    id: str
    name: str
    #: The names by which the decisions that require it know its result.
    bound_as: tuple[str, ...]
    #: Ids of the decisions whose results it reads.
    requires: tuple[str, ...]
    #: A table, or one expression.
    logic: Table | Expression
    #: Of an expression's value; one of `TYPES`.
    type: str | None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A decision with all that it requires; made by `decisions.read_decisions`."""

    id: str
    name: str
    #: The names it reads from the case, those that the required decisions read included.
    names_read: frozenset[str]
    #: Each after those it requires; the last is this one itself.
    nodes: tuple[Node, ...] = field(repr=False)


def decide(decision: Decision, scope: Mapping[str, object], calendar: Calendar) -> object:
    """What the decision says, JSON-native, with the names of `scope`.

    A table answers a dictionary of its outputs, or None when no rule matches; with the policies RULE ORDER and COLLECT
    a list of such dictionaries, and with an aggregation one value. Raises DecisionError.
    """
    results: dict[str, object] = {}
    steps = Steps(MAX_STEPS, "decision")
    answer: object = None
    for node in decision.nodes:
        required = (other for other in decision.nodes if other.id in node.requires)
        bound = {name: results[other.id] for other in required for name in other.bound_as}
        deciding = _Deciding(node, ChainMap(bound, dict(CONSTANTS), cast("dict[str, object]", scope)), calendar, steps)
        answer = deciding.answer()
        results[node.id] = _bare(node, answer)
    return answer


def _bare(node: Node, answer: object) -> object:
    """As other decisions read it: of a table with one output, the value alone."""
    if isinstance(node.logic, Expression) or len(node.logic.outputs) > 1 or node.logic.aggregation:
        return answer
    name = node.logic.outputs[0].name
    if isinstance(answer, list):
        return [row[name] for row in answer]
    return answer[name] if isinstance(answer, dict) else None


class _Deciding:
    """One decision while it is made."""

    def __init__(self, node: Node, scope: ChainMap[str, object], calendar: Calendar, steps: Steps) -> None:
        self.node = node
        self.scope = scope
        self.calendar = calendar
        self.steps = steps

    def answer(self) -> object:
        """What this decision says. Raises DecisionError."""
        logic = self.node.logic
        if isinstance(logic, Table):
            value = self._of_table(logic)
        else:
            with self._at("its expression"):
                value = typed(self._value(logic), self.node.type)
        with self._at("its result"):
            return json_native(checked_throughout(value))

    @contextmanager
    def _at(self, place: str) -> Iterator[None]:
        """Errors within say where in the decision they are."""
        try:
            yield
        except (ExpressionError, Refused) as error:
            raise DecisionError(f"{self.node.name}, {place}: {error}", decision=self.node.id) from error

    def _value(self, expression: Expression) -> object:
        return evaluate(expression, self.scope, self.calendar, steps=self.steps)

    def _of_table(self, table: Table) -> object:
        given = [self._given(column) for column in table.inputs]
        matching = (rule for rule in table.rules if self._matches(rule, table, given))
        return _POLICIES[table.policy](self, table, matching)

    def _given(self, column: Input) -> object:
        with self._at(f"the input {column.label}"):
            value = typed(self._value(column.expression), column.type)
            if value is not None:
                self._check_allowed(column, value)
            return value

    def _check_allowed(self, column: Column, value: object) -> None:
        if column.allowed is not None and not self._passes(column.allowed, value):
            raise Refused(f"The value {value!r:.60} is not among those that the table allows")

    def _passes(self, cell: Cell, value: object) -> bool:
        here = self.scope.new_child({CELL: value})
        return cell.matches(value, lambda asked: evaluate(asked, here, self.calendar, steps=self.steps))

    def _matches(self, rule: Rule, table: Table, given: Sequence[object]) -> bool:
        for column, cell, value in zip(table.inputs, rule.cells, given, strict=True):
            with self._at(f"rule {rule.number}, the input {column.label}"):
                self.steps.spend(1)
                if not self._passes(cell, value):
                    return False
        return True

    def _row(self, table: Table, values: Sequence[Expression | None], place: str) -> dict[str, object]:
        """The outputs by name."""
        row: dict[str, object] = {}
        for column, expression in zip(table.outputs, values, strict=True):
            with self._at(f"{place}, the output {column.label}"):
                value = None if expression is None else typed(self._value(expression), column.type)
                if value is not None:
                    self._check_allowed(column, value)
                row[column.name] = value
        return row

    def _row_of(self, table: Table, rule: Rule) -> dict[str, object]:
        return self._row(table, rule.values, f"rule {rule.number}")

    # --- hit policies ---

    def first(self, table: Table, matching: Iterator[Rule]) -> object:
        """The first rule that matches; the others are not looked at."""
        rule = next(matching, None)
        return self._default(table) if rule is None else self._row_of(table, rule)

    def unique(self, table: Table, matching: Iterator[Rule]) -> object:
        """The one rule that matches."""
        rules = list(matching)
        if len(rules) > 1:
            raise self._conflict(rules, "match at once, but the hit policy UNIQUE allows one")
        return self.first(table, iter(rules))

    def agreeing(self, table: Table, matching: Iterator[Rule]) -> object:
        """What all rules that match agree on."""
        rules = list(matching)
        rows = [self._row_of(table, rule) for rule in rules]
        if any(not equal(rows[0][name], row[name]) for row in rows for name in row):
            raise self._conflict(rules, "match with different outputs, but the hit policy ANY wants them equal")
        return rows[0] if rows else self._default(table)

    def every(self, table: Table, matching: Iterator[Rule]) -> object:
        """Every rule that matches, in order; or one value made of them."""
        rows = [self._row_of(table, rule) for rule in matching]
        if table.aggregation is None:
            return rows
        values = [value for row in rows for value in row.values() if value is not None]
        with self._at("its result"):
            return _AGGREGATIONS[table.aggregation](values)

    def _default(self, table: Table) -> dict[str, object] | None:
        """What the table says when no rule matches."""
        if all(column.default is None for column in table.outputs):
            return None
        return self._row(table, [column.default for column in table.outputs], "the default")

    def _conflict(self, rules: Sequence[Rule], what: str) -> DecisionError:
        numbers = ", ".join(str(rule.number) for rule in rules)
        return DecisionError(f"{self.node.name}: the rules {numbers} {what}", decision=self.node.id)


_POLICIES: Mapping[HitPolicy, Callable[[_Deciding, Table, Iterator[Rule]], object]] = {
    "UNIQUE": _Deciding.unique,
    "FIRST": _Deciding.first,
    "ANY": _Deciding.agreeing,
    "RULE ORDER": _Deciding.every,
    "COLLECT": _Deciding.every,
}


# --- values -----------------------------------------------------------------------------------------------------------


def _sum(values: list[object]) -> object:
    return sum(as_number(value) for value in values) if values else None


def _least(values: list[object]) -> object:
    return min(comparable(values), default=None)  # type: ignore[type-var]


def _greatest(values: list[object]) -> object:
    return max(comparable(values), default=None)  # type: ignore[type-var]


#: Of nothing, there is no sum, least or greatest; there are 0 of them.
_AGGREGATIONS: Mapping[Aggregation, Callable[[list[object]], object]] = {
    "SUM": _sum,
    "MIN": _least,
    "MAX": _greatest,
    "COUNT": len,
}


def _as_text(value: object) -> object:
    return value if isinstance(value, str) else None


def _as_whole(value: object) -> object:
    return value if is_number(value) and value == int(cast("float", value)) else None


def _as_day(value: object) -> object:
    return as_date(value)


#: What a value becomes that must be of the type; None if it isn't.
TYPES: Mapping[str, Callable[[object], object]] = {
    "string": _as_text,
    "boolean": lambda value: value if isinstance(value, bool) else None,
    "number": lambda value: value if is_number(value) else None,
    "double": lambda value: value if is_number(value) else None,
    "integer": _as_whole,
    "long": _as_whole,
    "date": _as_day,
}


def typed(value: object, type_name: str | None) -> object:
    """The value as one of that type; nothing is of every type. Raises Refused."""
    if value is None or type_name is None:
        return value
    fitting = TYPES[type_name](value)
    if fitting is None:
        raise Refused(f"Expected a value of the type {type_name}, but got {kind(value)}")
    return fitting
