"""Why a date is what it is: the expression of a due date read as a rule, and what closed days did to it."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from engine.bpmn.expressions import ExpressionError, evaluate, parse
from engine.bpmn.parsing import Specification
from engine.calendar import Calendar


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a date is what it is: a rule and what it hangs on, `before` or `after` by `days`, or a `month`'s end."""

    rule: str
    base: str | None = None
    days: int = 0
    months: int = 0
    inner: "Reason | None" = None
    #: The day it would have been, had people worked then, and why they don't: as `Calendar.why_closed` says, or `july`.
    moved_from: date | None = None
    why: str | None = None
    #: Closed days other than weekends that were passed over in counting `days`, each with why.
    skipped: tuple[tuple[date, str], ...] = ()


# --- what the model derives -------------------------------------------------------------------------------------------


def scope_at(
    specification: Specification, call_path: str, facts: Mapping[str, date], calendar: Calendar
) -> dict[str, date]:
    """The facts under the names that they have where the calls of `call_path` bind them."""
    scope, above = dict(facts), list[str]()
    for segment in filter(None, call_path.split("/")):
        call = specification.model_at("/".join(above)).calls.get(segment.partition("[")[0])
        bound = {name: date_of(source, scope, calendar) for name, source in call.bindings.items()} if call else {}
        scope |= {name: day for name, day in bound.items() if day is not None}
        above.append(segment)
    return scope


def derived_at(specification: Specification, place: str, facts: Mapping[str, date], calendar: Calendar) -> date | None:
    """When the facts say that the step at "call path/element" is due; None where it hangs on an answer."""
    call_path, _, element_id = place.rpartition("/")
    source = specification.model_at(call_path).user_tasks[element_id].due_date
    return date_of(source, scope_at(specification, call_path, facts, calendar), calendar)


def date_of(source: str | None, scope: Mapping[str, date], calendar: Calendar) -> date | None:
    """The date that an expression comes to; None where it hangs on an answer."""
    if not source:
        return None
    try:
        value = evaluate(parse(source), scope, calendar)
    except ExpressionError:
        return None
    return value if isinstance(value, date) else None


def explained(
    why: Reason, source: str | None, scope: Mapping[str, date], facts: Mapping[str, date], calendar: Calendar
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
    why: Reason, source: str | None, scope: Mapping[str, date], facts: Mapping[str, date], calendar: Calendar
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


def reason(source: str | None, specification: Specification, call_path: str) -> Reason:
    """Why an expression gives its date, for the forms that due dates have; otherwise just the rule `expression`."""
    if not source:
        return Reason(rule="none")
    try:
        tree = ast.parse(parse(source).source.strip().removeprefix("${").removesuffix("}").strip(), mode="eval").body
    except (ExpressionError, SyntaxError):
        return Reason(rule="expression")
    return _explain(tree, specification, call_path)


def _explain(node: ast.expr, specification: Specification, call_path: str) -> Reason:
    if isinstance(node, ast.IfExp):
        # What holds on the main path is the last branch.
        return _explain(node.orelse, specification, call_path)
    if isinstance(node, ast.Name):
        return Reason(rule="fact", base=root_name(specification, call_path, node.id))
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
        return Reason(rule="expression")
    if node.func.id in ("first_given", "date"):
        return _explain(node.args[-1], specification, call_path)
    inner = _explain(node.args[0], specification, call_path)
    base = inner.base if inner.rule == "fact" else None
    numbers = [n.value for n in (*node.args[1:], *(k.value for k in node.keywords)) if isinstance(n, ast.Constant)]
    number = int(str(numbers[0])) if numbers else 0
    months = number if node.func.id in ("last_working_day", "first_working_day_of") else 0
    days = number if not months else 0
    return Reason(rule=node.func.id, base=base, days=days, months=months, inner=None if base else inner)


def root_name(specification: Specification, call_path: str, name: str) -> str:
    """What a name inside a called process is called where it was bound."""
    for depth in range(len([p for p in call_path.split("/") if p]), 0, -1):
        parts = call_path.split("/")
        call = specification.model_at("/".join(parts[: depth - 1])).calls.get(parts[depth - 1])
        bound = call.bindings.get(name, "").strip().removeprefix("${").removesuffix("}").strip() if call else ""
        name = bound if bound.isidentifier() else name
    return name
