"""How expressions are read: what the language has no words for is refused here, with its column."""

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from engine.bpmn.expression_functions import FUNCTIONS
from engine.bpmn.expression_values import BINARY, Refused, checked
from engine.errors import InvalidInput

#: Characters of source, `${` and `}` included.
MAX_SOURCE = 2000
MAX_NODES = 200
MAX_DEPTH = 30

_BLANK = " \t\r\n"
_TOKEN = re.compile(
    r"""[ \t\r\n]+
    | "[^"\\\t\r\n]*"(?!") | '[^'\\\t\r\n]*'(?!')        # texts: one line, no escapes, no triple quotes
    | [0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?(?![\w.])   # decimal numbers
    | [^\W0-9]\w*                                        # names
    | [-+*/%<>=!()\[\]{},.:]                             # signs
    """,
    re.VERBOSE,
)
#: The syntax of the language: what is not here is refused.
ALLOWED_SYNTAX: frozenset[type[ast.expr]] = frozenset(
    {
        ast.Constant,
        ast.Name,
        ast.List,
        ast.Dict,
        ast.UnaryOp,
        ast.BoolOp,
        ast.BinOp,
        ast.Compare,
        ast.IfExp,
        ast.Subscript,
        ast.Attribute,
        ast.Call,
    }
)
#: What to call the rest in a message.
_REFUSED_SYNTAX: Mapping[type[ast.AST], str] = {
    ast.Lambda: "A lambda",
    ast.ListComp: "A comprehension",
    ast.SetComp: "A comprehension",
    ast.DictComp: "A comprehension",
    ast.GeneratorExp: "A comprehension",
    ast.JoinedStr: "An f-string",
    ast.NamedExpr: "The operator :=",
    ast.Starred: "A star",
    ast.Set: "A set",
    ast.Tuple: "A tuple (write a list, [a, b])",
    ast.Slice: "A slice",
}


class ExpressionError(InvalidInput):
    """The expression is not valid, or it has no value here."""

    def __init__(self, message: str, column: int, source: str) -> None:
        super().__init__(message, column=column, source=source)
        #: The place in `source`, counted in characters from 1.
        self.column = column
        self.source = source

    def __str__(self) -> str:
        shown = self.source if len(self.source) <= 100 else self.source[:99] + "…"
        return f"{self.message} (column {self.column} of {shown!r})"


class UndefinedName(ExpressionError):
    """The expression uses a name that has no value here."""

    def __init__(self, name: str, column: int, source: str) -> None:
        super().__init__(f"The name {name} is not defined", column, source)
        self.name = name


class MissingKey(ExpressionError):
    """The expression asks for a key or a position that is not there."""


@dataclass(frozen=True)
class Expression:
    """A parsed expression; made by `parse`. Equal when written alike."""

    #: As written, `${…}` included.
    source: str
    #: The names it reads, names of functions excluded.
    names: frozenset[str] = field(compare=False)
    #: The allowed syntax, where `col_offset` is the column in `source`, counted from 1.
    tree: ast.expr = field(compare=False, repr=False)


def parse(source: str) -> Expression:
    """The expression written in `source`, with or without `${…}` around it. Raises ExpressionError."""
    if len(source) > MAX_SOURCE:
        message = f"An expression has at most {MAX_SOURCE} characters, this one has {len(source)}"
        raise ExpressionError(message, MAX_SOURCE + 1, source[:MAX_SOURCE])
    return _parse(source)


@lru_cache(maxsize=2048)
def _parse(source: str) -> Expression:
    text, start = _unwrapped(source)
    _check_tokens(text, start, source)
    tree = _syntax(text, start, source)
    names = _Inspection(source, text, start).names_in(tree)
    return Expression(source, names, tree)


def _unwrapped(source: str) -> tuple[str, int]:
    """What to parse, and how many characters precede it in the source."""
    text = source.strip(_BLANK)
    start = source.index(text)
    if text.startswith("${") and text.endswith("}"):
        text = text[2:-1].strip(_BLANK)
        start = source.index(text, start + 2)
    if not text:
        raise ExpressionError("The expression is empty", 1, source)
    return text, start


def _check_tokens(text: str, start: int, source: str) -> None:
    """Refuse what the language has no words for, so that Python's tokenizer meets no surprises."""
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise ExpressionError(_unexpected(text[position:]), start + position + 1, source)
        position = token.end()


def _unexpected(rest: str) -> str:
    if rest.startswith("${"):
        return "Text with ${…} in it is not an expression; ${…} must stand around the whole"
    if rest[0] in "'\"":
        return "A text must end with the quote it began with, on the same line, without backslashes"
    if rest[0].isdigit():
        return "Expected a decimal number, such as 12 or 0.5, and a space after it"
    return f"Unexpected character {rest[0]!r}"


def _syntax(text: str, start: int, source: str) -> ast.expr:
    # Outside texts, a line break is a space; on one line, columns are offsets.
    line = text.translate(dict.fromkeys(map(ord, _BLANK), " "))
    try:
        return ast.parse(line, mode="eval").body
    except SyntaxError as error:
        # Python says 0 for a source that ends too early.
        offset = min(error.offset or len(text) + 1, len(text) + 1)
        message = f"Not a valid expression: {_reason(error, line[offset - 1 :])}"
        raise ExpressionError(message, start + offset, source) from None
    except (RecursionError, MemoryError):
        raise ExpressionError("The expression is nested too deeply", 1, source) from None
    except ValueError:
        raise ExpressionError("The expression has characters that are not valid text", 1, source) from None


def _reason(error: SyntaxError, rest: str) -> str:
    if not rest:
        return "it ends too early"
    if "==" in error.msg or rest.startswith("="):
        return "values are compared with =="
    # After the first sentence come suggestions from a larger language.
    return error.msg.split(". ")[0]


class _Inspection:
    """Goes through a syntax tree, refuses what is not allowed, and collects the names it reads."""

    def __init__(self, source: str, text: str, start: int) -> None:
        self.source = source
        self.encoded = text.encode()
        self.start = start

    def names_in(self, tree: ast.expr) -> frozenset[str]:
        """The names `tree` reads. Sets each node's `col_offset` to its column in the source."""
        # A list instead of recursion: the depth is not known to be small yet.
        waiting, names, count = [(tree, 1)], set(), 0
        while waiting:
            node, depth = waiting.pop()
            count += 1
            node.col_offset = self._column(node)
            self._check_size(node, depth, count)
            self._check(node)
            if isinstance(node, ast.Name):
                names.add(node.id)
            waiting.extend((child, depth + 1) for child in _children(node))
        return frozenset(names)

    def _column(self, node: ast.expr) -> int:
        # Python counts bytes of UTF-8; people count characters.
        return self.start + len(self.encoded[: node.col_offset].decode()) + 1

    def _check_size(self, node: ast.expr, depth: int, count: int) -> None:
        if depth > MAX_DEPTH:
            raise self._refusal(node, f"The expression is nested more than {MAX_DEPTH} levels deep")
        if count > MAX_NODES:
            raise self._refusal(node, f"The expression has more than {MAX_NODES} parts")

    def _check(self, node: ast.expr) -> None:
        if type(node) not in ALLOWED_SYNTAX:
            what = _REFUSED_SYNTAX.get(type(node), f"The syntax {type(node).__name__}")
            raise self._refusal(node, f"{what} is not part of the language")
        check = _CHECKS.get(type(node))
        problem = check(node) if check else None
        if problem:
            raise self._refusal(node, problem)

    def _refusal(self, node: ast.expr, message: str) -> ExpressionError:
        return ExpressionError(message, node.col_offset, self.source)


def _children(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.Call):
        # The function's own name is not a value.
        return [*node.args, *(keyword.value for keyword in node.keywords)]
    return [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]


def _problem_with_constant(node: ast.Constant) -> str | None:
    try:
        checked(node.value)
    except Refused as refused:
        return str(refused)
    return None


def _problem_with_name(node: ast.Name) -> str | None:
    return _problem_with_word(node.id)


def _problem_with_attribute(node: ast.Attribute) -> str | None:
    return _problem_with_word(node.attr)


def _problem_with_word(word: str) -> str | None:
    return f"The name {word} is not allowed, because it begins with __" if word.startswith("__") else None


def _problem_with_dict(node: ast.Dict) -> str | None:
    return "A star is not part of the language" if None in node.keys else None


def _problem_with_operator(node: ast.UnaryOp | ast.BinOp) -> str | None:
    if isinstance(node.op, ast.Not | ast.USub | ast.UAdd) or type(node.op) in BINARY:
        return None
    sign = "**" if isinstance(node.op, ast.Pow) else type(node.op).__name__
    return f"The operator {sign} is not part of the language"


def _problem_with_comparison(node: ast.Compare) -> str | None:
    for operation, right in zip(node.ops, node.comparators, strict=True):
        if isinstance(operation, ast.Is | ast.IsNot) and not _is_none(right):
            return "After is and is not, only None is allowed; use =="
    return None


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _problem_with_call(node: ast.Call) -> str | None:
    if isinstance(node.func, ast.Attribute):
        return "Methods are not part of the language; only functions are called, by their plain name"
    if not isinstance(node.func, ast.Name):
        return "Only functions are called, by their plain name"
    name, keywords = node.func.id, [keyword.arg for keyword in node.keywords]
    if name not in FUNCTIONS:
        return f"There is no function {name}"
    if None in keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
        return "A star is not part of the language"
    if len(set(keywords)) < len(keywords):
        return f"{name} is given the same argument twice"
    return _problem_with_arguments(name, len(node.args), [keyword for keyword in keywords if keyword])


def _problem_with_arguments(name: str, count: int, keywords: list[str]) -> str | None:
    calendar = None
    try:
        inspect.signature(FUNCTIONS[name]).bind(calendar, *[None] * count, **dict.fromkeys(keywords))
    except TypeError as error:
        return f"{name}: {error}"
    return None


_CHECKS: Mapping[type[ast.expr], Callable[..., str | None]] = {
    ast.Constant: _problem_with_constant,
    ast.Name: _problem_with_name,
    ast.Attribute: _problem_with_attribute,
    ast.Dict: _problem_with_dict,
    ast.UnaryOp: _problem_with_operator,
    ast.BinOp: _problem_with_operator,
    ast.Compare: _problem_with_comparison,
    ast.Call: _problem_with_call,
}
