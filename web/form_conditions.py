"""Conditions as the small JSON rules that `frontend/src/conditions.js` evaluates while people answer."""

import ast
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from engine.bpmn.expressions import Expression

_COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
}


def rule(hide: Expression | None, asked: AbstractSet[str], inputs: Mapping[str, object]) -> str:
    """The condition as JSON, or an empty text where it says more than a browser is told.

    `asked` are the form's own keys; other names are replaced by what `inputs` says. A field without rule is shown,
    and the server leaves it out afterwards.
    """
    translated = None if hide is None else _translate(hide.tree, asked, inputs)
    return "" if translated is None else json.dumps(translated, ensure_ascii=False)


def _translate(node: ast.expr, asked: AbstractSet[str], inputs: Mapping[str, object]) -> list[object] | None:
    if isinstance(node, ast.Constant):
        return ["value", node.value]
    if isinstance(node, ast.Name):
        return ["name", node.id] if node.id in asked else _known(inputs.get(node.id))
    if isinstance(node, ast.List) and all(isinstance(item, ast.Constant) for item in node.elts):
        return ["value", [item.value for item in node.elts if isinstance(item, ast.Constant)]]
    if isinstance(node, ast.BoolOp):
        return _joined("and" if isinstance(node.op, ast.And) else "or", node.values, asked, inputs)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _joined("not", [node.operand], asked, inputs)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARISONS:
        return _joined(_COMPARISONS[type(node.ops[0])], [node.left, *node.comparators], asked, inputs)
    return None


def _joined(
    kind: str, nodes: Sequence[ast.expr], asked: AbstractSet[str], inputs: Mapping[str, object]
) -> list[object] | None:
    parts = [_translate(node, asked, inputs) for node in nodes]
    return None if any(part is None for part in parts) else [kind, *parts]


def _known(value: object) -> list[object] | None:
    return ["value", value] if value is None or isinstance(value, str | int | float) else None
