"""The import gate: what is not proven to run as drawn is refused, with element, line and remedy.

Errors refuse a deployment; warnings tell what no engine error would show. The rules stand in lint_*.py, each over the
process as lint_drawing.py sorts it.
"""

from collections.abc import Collection, Iterable, Mapping

from engine.bpmn.lint_drawing import RUNS, draw
from engine.bpmn.lint_elements import elements
from engine.bpmn.lint_events import events
from engine.bpmn.lint_expressions import expressions
from engine.bpmn.lint_extensions import extensions
from engine.bpmn.lint_flows import flows
from engine.bpmn.lint_paths import paths
from engine.bpmn.lint_tasks import tasks
from engine.bpmn.lint_telling import telling
from engine.bpmn.reading import Model
from engine.errors import Finding

__all__ = ["MAX_FINDINGS", "RUNS", "lint"]

#: What is told of one model; the rest is counted.
MAX_FINDINGS = 200


def lint(
    model: Model,
    *,
    forms: Mapping[str, object],
    known_processes: Collection[str],
    decisions: Collection[str] | None = None,
    known_groups: Collection[str] | None = None,
    known_functions: Collection[str] | None = None,
    known_names: Collection[str] | None = None,
) -> list[Finding]:
    """What to say about `model`, errors first, then by line.

    `known_processes` are ids of processes that may be called. Of what follows, None means that nobody knows, so that
    it is not checked: ids of decisions, keys of groups, names of service functions, and names that have a value
    without this model setting them (facts, start data, what callers bind).
    """
    drawing = draw(model)
    found = (
        elements(drawing),
        events(drawing),
        flows(drawing),
        tasks(drawing, forms, known_processes, decisions, known_groups, known_functions),
        telling(drawing),
        extensions(drawing),
        expressions(drawing, forms, known_names),
        paths(drawing),
    )
    return _ordered(finding for rules in found for finding in rules)


def _ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first, by line; at most so many, the others counted."""
    kept: dict[str, list[Finding]] = {"error": [], "warning": []}
    left_out = {"error": 0, "warning": 0}
    for found in findings:
        if len(kept[found.severity]) < MAX_FINDINGS:
            kept[found.severity].append(found)
        else:
            left_out[found.severity] += 1
    whole = [f for severity in ("error", "warning") for f in sorted(kept[severity], key=lambda f: f.line or 0)]
    rest = sum(left_out.values()) + max(0, len(whole) - MAX_FINDINGS)
    if not rest:
        return whole
    severity = "error" if left_out["error"] else "warning"
    more = Finding(
        rule="many", severity=severity, element=None, name=None, line=None, message=f"And {rest} more findings.",
        remedy="Mend these first.",
    )  # fmt: skip
    return [*whole[:MAX_FINDINGS], more]
