"""Why a date is what it is: the expression of a due date read as a rule, and what closed days did to it."""

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from engine.bpmn.expressions import ExpressionError, evaluate, parse
from engine.bpmn.parsing import Specification
from engine.calendar import Calendar
from engine.model import ProcessInstance


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a date is what it is: a rule and what it hangs on, `before` or `after` by `days`, or a `month`'s end."""

    rule: str
    base: str | None = None
    days: int = 0
    #: What the number of days is called where the case was given it; None where the model itself says it.
    days_named: str | None = None
    months: int = 0
    inner: "Reason | None" = None
    #: The day it would have been, had people worked then, and why they don't: as `Calendar.why_closed` says, or `july`.
    moved_from: date | None = None
    why: str | None = None
    #: Closed days other than weekends that were passed over in counting `days`, each with why.
    skipped: tuple[tuple[date, str], ...] = ()


# --- what the model derives -------------------------------------------------------------------------------------------


def facts_of(instance: ProcessInstance) -> dict[str, date]:
    """The dates that a case hangs on."""
    return {name: date.fromisoformat(day) for name, day in instance.facts.items()}


def known_of(instance: ProcessInstance) -> dict[str, object]:
    """What dates are reckoned from before anybody answers: the facts, and the numbers that the start gave."""
    numbers = {name: value for name, value in instance.data.items() if type(value) is int}
    return {**numbers, **facts_of(instance)}


def scope_at(
    specification: Specification, call_path: str, known: Mapping[str, object], calendar: Calendar
) -> dict[str, object]:
    """What is known under the names that it has where the calls of `call_path` bind it."""
    scope, above = dict(known), list[str]()
    for segment in filter(None, call_path.split("/")):
        call = specification.model_at("/".join(above)).calls.get(segment.partition("[")[0])
        scope = bound(call.bindings, scope, calendar) if call else scope
        above.append(segment)
    return scope


def bound(bindings: Mapping[str, str], known: Mapping[str, object], calendar: Calendar) -> dict[str, object]:
    """What is known inside a call with these bindings."""
    values = {name: value_of(source, known, calendar) for name, source in bindings.items()}
    return {**known, **{name: value for name, value in values.items() if value is not None}}


def derived_at(
    specification: Specification, place: str, known: Mapping[str, object], calendar: Calendar
) -> date | None:
    """When what is known says that the step at "call path/element" is due; None where it hangs on an answer."""
    call_path, _, element_id = place.rpartition("/")
    source = specification.model_at(call_path).user_tasks[element_id].due_date
    return date_of(source, scope_at(specification, call_path, known, calendar), calendar)


def date_of(source: str | None, scope: Mapping[str, object], calendar: Calendar) -> date | None:
    """The date that an expression comes to; None where it hangs on an answer."""
    value = value_of(source, scope, calendar)
    return value if isinstance(value, date) else None


def value_of(source: str | None, scope: Mapping[str, object], calendar: Calendar) -> object:
    """What an expression comes to; None where it hangs on an answer."""
    if not source:
        return None
    try:
        return evaluate(parse(source), scope, calendar)
    except ExpressionError:
        return None


def explained(
    why: Reason, source: str | None, scope: Mapping[str, object], facts: Mapping[str, date], calendar: Calendar
) -> Reason:
    """The reason with the day from which closed days or July moved the date, and with what counting passed over.

    `scope` has the facts as the expression names them, `facts` as the reason does.
    """
    due, base = date_of(source, scope, calendar), _base(why, facts, calendar)
    if due is None or base is None:
        return why
    in_july = date_of(source, scope, replace(calendar, july_allowed=True))
    if in_july is not None and in_july != due:
        return replace(why, moved_from=in_july, why="july")
    if why.rule in ("working_days_before", "working_days_after") and why.days:
        return replace(why, skipped=_skipped(min(base, due), max(base, due), calendar))
    raw = _RAW[why.rule](base, why.months) if why.rule in _RAW else due
    return replace(why, moved_from=raw, why=calendar.why_closed(raw)) if raw != due else why


def main_path_date(
    why: Reason, source: str | None, scope: Mapping[str, object], facts: Mapping[str, date], calendar: Calendar
) -> date | None:
    """What the expression comes to; where it asks for an answer, what the rule of the main path comes to."""
    found = date_of(source, scope, calendar)
    if found is not None:
        return found
    value = _value(why, facts, calendar)
    return calendar.out_of_july(value, later=why.rule in _LATER) if value is not None else None


def _base(why: Reason, facts: Mapping[str, date], calendar: Calendar) -> date | None:
    """The date that the rule starts from."""
    return _value(why.inner, facts, calendar) if why.inner else facts.get(why.base or "")


def _value(why: Reason, facts: Mapping[str, date], calendar: Calendar) -> date | None:
    base = _base(why, facts, calendar)
    rule = _RULES.get(why.rule)
    return rule(calendar, base, why.months or why.days) if base is not None and rule is not None else base


def _skipped(a: date, b: date, calendar: Calendar) -> tuple[tuple[date, str], ...]:
    between = (a + timedelta(days=n) for n in range(1, (b - a).days))
    closed = ((day, calendar.why_closed(day) or "weekend") for day in between)
    return tuple((day, why) for day, why in closed if why != "weekend")


def _month_end(day: date, months_before: int) -> date:
    return _month_start(_month_start(day, months_before) + timedelta(days=31), 0) - timedelta(days=1)


def _month_start(day: date, months_before: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 - months_before, 12)
    return date(year, month + 1, 1)


#: What the rules that count come to.
_RULES: Mapping[str, Callable[[Calendar, date, int], date]] = {
    "working_days_before": Calendar.working_days_before,
    "working_days_after": Calendar.working_days_after,
    "last_working_day": Calendar.last_working_day,
    "first_working_day_of": Calendar.first_working_day_of,
    "working_day_on_or_before": lambda calendar, day, _: calendar.working_day_on_or_before(day),
    "working_day_on_or_after": lambda calendar, day, _: calendar.working_day_on_or_after(day),
}
_LATER = frozenset({"working_days_after", "first_working_day_of", "working_day_on_or_after"})
#: The day that a rule means, before it looks whether people work then.
_RAW: Mapping[str, Callable[[date, int], date]] = {
    "last_working_day": _month_end,
    "first_working_day_of": _month_start,
    "working_day_on_or_before": lambda day, months: day,
    "working_day_on_or_after": lambda day, months: day,
}


# --- reasons ----------------------------------------------------------------------------------------------------------


def reason(
    source: str | None, specification: Specification, call_path: str, known: Mapping[str, object] | None = None
) -> Reason:
    """Why an expression gives its date, for the forms that due dates have; otherwise just the rule `expression`.

    `known` has the numbers that the case was given, under the names that it gives them.
    """
    if not source:
        return Reason(rule="none")
    try:
        tree = ast.parse(parse(source).source.strip().removeprefix("${").removesuffix("}").strip(), mode="eval").body
    except (ExpressionError, SyntaxError):
        return Reason(rule="expression")
    return _Reading(specification=specification, call_path=call_path, known=known or {}).explain(tree)


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """Reads an expression at a place of the model."""

    specification: Specification
    call_path: str
    known: Mapping[str, object]

    def explain(self, node: ast.expr) -> Reason:
        """The reason that a part of it gives."""
        if isinstance(node, ast.IfExp):
            # What holds on the main path is the last branch.
            return self.explain(node.orelse)
        if isinstance(node, ast.Name):
            return Reason(rule="fact", base=self._named(node))
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
            return Reason(rule="expression")
        if node.func.id in ("first_given", "date"):
            return self.explain(node.args[-1])
        inner = self.explain(node.args[0])
        base = inner.base if inner.rule == "fact" else None
        number, named = self._number([*node.args[1:], *(keyword.value for keyword in node.keywords)])
        by_month = number and node.func.id in ("last_working_day", "first_working_day_of")
        return Reason(
            rule=node.func.id, base=base, days=0 if by_month else number, months=number if by_month else 0,
            days_named=named, inner=None if base else inner,
        )  # fmt: skip

    def _number(self, nodes: Iterable[ast.expr]) -> tuple[int, str | None]:
        """The first number among these parts, and what it is called; 0 where there is none."""
        for node in nodes:
            if isinstance(node, ast.Constant):
                return int(str(node.value)), None
            if isinstance(node, ast.Name) and isinstance(number := self.known.get(self._named(node)), int):
                return number, self._named(node)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "first_given":
                return self._number(node.args)
        return 0, None

    def _named(self, node: ast.Name) -> str:
        return root_name(self.specification, self.call_path, node.id)


def root_name(specification: Specification, call_path: str, name: str) -> str:
    """What a name inside a called process is called where it was bound."""
    for depth in range(len([p for p in call_path.split("/") if p]), 0, -1):
        parts = call_path.split("/")
        call = specification.model_at("/".join(parts[: depth - 1])).calls.get(parts[depth - 1])
        bound = call.bindings.get(name, "").strip().removeprefix("${").removesuffix("}").strip() if call else ""
        name = bound if bound.isidentifier() else name
    return name
