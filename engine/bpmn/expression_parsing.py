"""How expressions are read: what the language has no words for is refused here, with its column.

Every character is looked at before Python's parser sees any of it. That parser gets only names, numbers, texts and
signs of this language, in brackets that are not deep: what it would do with anything else never matters.
"""

import ast
import inspect
import keyword
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from engine.bpmn.expression_functions import FUNCTIONS
from engine.bpmn.expression_values import BINARY, Refused, checked
from engine.errors import InvalidInput

#: Characters of source, `${` and `}` included.
MAX_SOURCE = 2000
MAX_NODES = 200
MAX_DEPTH = 30

#: Python's reserved words that are words of this language too.
WORDS = frozenset({"and", "or", "not", "in", "is", "if", "else", "None", "True", "False"})
#: As other modelers write the values True, False and None.
LITERALS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None}
#: Stands for the `?` of a decision table's cell in syntax trees: a letter that looks like it.
CELL = "ʔ"

_BLANK = " \t\r\n"
_OPENING, _CLOSING, _QUOTES = "([{", ")]}", "'\""
_TOKEN = re.compile(
    r"""[ \t\r\n]+
    | "[^"\\\t\r\n]*"(?!") | '[^'\\\t\r\n]*'(?!')        # texts: one line, no escapes, no triple quotes
    | [0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?(?![\w.])   # decimal numbers
    | [^\W0-9]\w*                                        # names
    | [-+*/%<>=!()\[\]{},.:]                             # signs
    """,
    re.VERBOSE,
)
#: Control characters, halves of characters, and what turns the direction of writing: nobody sees them in a model.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
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

    def __init__(self, message: str, column: int, source: str, line: int = 1) -> None:
        super().__init__(message, column=column, source=source, line=line)
        #: The place in the line, counted in characters from 1. An expression counts as one line, however it is broken.
        self.column = column
        #: The expression or the whole script.
        self.source = source
        #: The line of a script, counted from 1.
        self.line = line

    def __str__(self) -> str:
        shown, where = self.source, f"column {self.column}"
        if self.line > 1:
            shown, where = self.source.split("\n")[self.line - 1], f"line {self.line}, {where}"
        return f"{self.message} ({where} of {shown if len(shown) <= 100 else shown[:99] + '…'!r})"


class UndefinedName(ExpressionError):
    """The expression uses a name that has no value here."""

    def __init__(self, name: str, column: int, source: str, line: int = 1) -> None:
        super().__init__(f"The name {_short(name)} is not defined", column, source, line)
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
    #: The allowed syntax, where `lineno` and `col_offset` are the place in `source`, counted from 1.
    tree: ast.expr = field(compare=False, repr=False)


def parse(source: str) -> Expression:
    """The expression written in `source`, with or without `${…}` around it. Raises ExpressionError."""
    check_size(source)
    return _parse(source)


@lru_cache(maxsize=2048)
def _parse(source: str) -> Expression:
    text, start = _unwrapped(source)
    check_tokens(text, start, source)
    return _parsed(text, start, source)


def parse_cell(source: str, start: int, end: int) -> Expression:
    """The expression from `start` to `end` of a decision table's cell; `?` there is the name `CELL`."""
    check_size(source)
    text = source[start:end].strip(_BLANK)
    start = source.index(text, start)
    if not text:
        raise ExpressionError("An expression is missing here", start + 1, source)
    tokens = check_tokens(text, start, source, more=_CELL_SIGN)
    return _parsed("".join(CELL if token == "?" else token for token in tokens), start, source)


#: A `?` that stands for itself.
_CELL_SIGN = re.compile(r"(?<![\w?])\?(?![\w?])")


def check_size(source: str) -> None:
    """Refuse a source too large to look at. The error holds a part of it only."""
    if len(source) > MAX_SOURCE:
        message = f"An expression has at most {MAX_SOURCE} characters, this one has {len(source)}"
        raise ExpressionError(message, MAX_SOURCE + 1, source[:MAX_SOURCE])


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


def check_tokens(
    text: str, start: int, source: str, *, more: re.Pattern[str] | None = None, words: frozenset[str] = WORDS
) -> list[str]:
    """Refuse what the language has no words for, so that Python's parser meets no surprises; answers the tokens.

    `text` begins after `start` characters of `source`. `more` are further tokens, `words` the reserved words allowed.
    """
    tokens: list[str] = []
    open_brackets = 0
    for position, token in _tokens(text, more):
        problem = _problem_with_token(token, tokens, words) if token else _unexpected(text[position:])
        open_brackets += (token in _OPENING) - (token in _CLOSING) if token else 0
        if open_brackets > MAX_DEPTH:
            problem = f"The expression is nested more than {MAX_DEPTH} levels deep"
        if problem:
            raise ExpressionError(problem, start + position + 1, source)
        tokens.append(token)
    return tokens


def _tokens(text: str, more: re.Pattern[str] | None) -> Iterator[tuple[int, str]]:
    """Each token and where it begins; an empty one where none does."""
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position) or (more and more.match(text, position))
        yield position, token.group() if token else ""
        position = token.end() if token else len(text)


def _problem_with_token(token: str, before: list[str], words: frozenset[str]) -> str | None:
    invisible = _INVISIBLE.search(token)
    if invisible:
        return f"The text has the invisible character U+{ord(invisible.group()):04X} in it"
    if token[0] in _QUOTES and next((each[0] in _QUOTES for each in reversed(before) if each.strip()), False):
        # Python would join them: in a list, a forgotten comma would go unseen.
        return "Expected an operator or a comma between two texts"
    if not token[0].isidentifier() or (token.isascii() and not keyword.iskeyword(token)):
        return None
    if keyword.iskeyword(token) and token not in words:
        hint = f"; write ['{token}'] instead of .{token}" if before[-1:] == ["."] else ""
        return f"The word {token} is not part of the language{hint}"
    # Python reads other names than are written: ｓｓｕ as ssu.
    plain = unicodedata.normalize("NFKC", token)
    return (
        None
        if plain == token
        else f"The name {_short(token)} has letters that only look like others; write {_short(plain)}"
    )


def _short(name: str) -> str:
    return name if len(name) <= 40 else name[:39] + "…"


def _unexpected(rest: str) -> str:
    if rest.startswith("${"):
        return "Text with ${…} in it is not an expression; ${…} must stand around the whole"
    if rest[0] in _QUOTES:
        return "A text must end with the quote it began with, on the same line, without backslashes"
    if rest[0].isdigit():
        return "Expected a decimal number, such as 12 or 0.5, and a space after it"
    return f"Unexpected character {rest[0]!r}"


def _parsed(text: str, start: int, source: str) -> Expression:
    # Outside texts, a line break is a space; on one line, columns are offsets.
    line = text.translate(dict.fromkeys(map(ord, _BLANK), " "))
    try:
        tree = ast.parse(line, mode="eval").body
    except SyntaxError as error:
        # Python says 0 for a source that ends too early.
        offset = min(error.offset or len(text) + 1, len(text) + 1)
        message = f"Not a valid expression: {reason(error, line[offset - 1 :])}"
        raise ExpressionError(message, start + offset, source) from None
    except (RecursionError, MemoryError):
        raise ExpressionError("The expression is nested too deeply", 1, source) from None
    return Inspection(source, line, start).expression(tree)


def reason(error: SyntaxError, rest: str) -> str:
    """What is wrong, in few words; `rest` is the source from there on."""
    if not rest:
        return "it ends too early"
    if "==" in error.msg or rest.startswith("="):
        return "values are compared with =="
    # After the first sentence come suggestions from a larger language.
    return error.msg.split(". ")[0]


class Inspection:
    """Goes through syntax trees of one text, refuses what is not allowed, and collects the names they read."""

    def __init__(self, source: str, text: str, start: int = 0) -> None:
        """`text` is what Python parsed; it begins after `start` characters of `source`."""
        self.source = source
        self.lines = [line.encode() for line in text.split("\n")]
        self.start = start

    def expression(self, tree: ast.expr) -> Expression:
        """The expression that `tree` is. Sets each node's `col_offset` to its column in the source."""
        # A list instead of recursion: the depth is not known to be small yet.
        waiting, names, count = [(tree, 1)], set(), 0
        while waiting:
            node, depth = waiting.pop()
            count += 1
            node.col_offset = self.column(node)
            self._check_size(node, depth, count)
            self._check(node)
            if isinstance(node, ast.Name) and node.id not in LITERALS:
                names.add(node.id)
            waiting.extend((child, depth + 1) for child in _children(node))
        return Expression(self.source, frozenset(names), tree)

    def column(self, node: ast.expr | ast.stmt) -> int:
        """Where in its line of the source an untouched node begins, counted from 1."""
        # Python counts bytes of UTF-8; people count characters.
        return self.start + len(self.lines[node.lineno - 1][: node.col_offset].decode()) + 1

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
        return ExpressionError(message, node.col_offset, self.source, node.lineno)


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
    return problem_with_word(node.id)


def _problem_with_attribute(node: ast.Attribute) -> str | None:
    return problem_with_word(node.attr)


def problem_with_word(word: str) -> str | None:
    return f"The name {_short(word)} is not allowed, because it begins with __" if word.startswith("__") else None


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
        return f"There is no function {_short(name)}"
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
