"""Scripts: what they set, what they never do, and how they explain it."""

import time
import warnings
from datetime import date
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.bpmn.expressions import ExpressionError, MissingKey, UndefinedName
from engine.bpmn.scripts import Script, parse_script, run
from engine.calendar import Calendar

CALENDAR = Calendar()
SCOPE: dict[str, object] = {
    "ssu": date(2026, 11, 27),
    "utfall": "juster",
    "runde": 2,
    "navn": ["a", "b"],
    "party": {"key": "larvik", "deputy": None},
}


def result_of(source: str, **more: object) -> dict[str, object]:
    return run(parse_script(source), SCOPE | more, CALENDAR)


def refused(source: str, **more: object) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        result_of(source, **more)
    return caught.value


# --- what they set ---


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", {}),
        ("  \n# bare en merknad\n", {}),
        ("pass", {}),
        ("x = 1", {"x": 1}),
        ("  x = 1  ", {"x": 1}),
        ("x = 1; y = 2", {"x": 1, "y": 2}),
        ("x = 1;", {"x": 1}),
        ("x = 1\ny = x + 1\n", {"x": 1, "y": 2}),
        ("x = 1\r\ny = 2\ry = 3", {"x": 1, "y": 3}),
        ("\n    x = 1\n    y = 2\n", {"x": 1, "y": 2}),
        ("\n\t x = 1  # en\n\n\t y = 2", {"x": 1, "y": 2}),
        ("    # merknad\n    if runde:\n        x = 1\n    y = 2", {"x": 1, "y": 2}),
        ("runde += 1", {"runde": 3}),
        ("runde -= 1\nrunde -= 1", {"runde": 0}),
        ("navn += ['c']", {"navn": ["a", "b", "c"]}),
        ("utfall += '!'", {"utfall": "juster!"}),
        ("runde -= 1 + 1", {"runde": 0}),
        ("x = 1 # en; y = 2", {"x": 1}),
        ("x = '# ikke; en merknad'", {"x": "# ikke; en merknad"}),
        ("x = [1,  # en\n     2]\ny = 3", {"x": [1, 2], "y": 3}),
        ("frist = working_days_before(ssu, 10)", {"frist": "2026-11-13"}),
        ("datoer = [ssu, {'ssu': ssu}]", {"datoer": ["2026-11-27", {"ssu": "2026-11-27"}]}),
        ("frist = ssu\nsen = frist > '2026-01-01' and days_after(frist, 1) == '2026-11-28'",
            {"frist": "2026-11-27", "sen": True}),
        ("if runde > 1: x = 1", {"x": 1}),
        ("if runde > 1: x = 1; y = 2", {"x": 1, "y": 2}),
        ("if runde > 9: x = 1; y = 2", {}),
        ("if runde > 9:\n  x = 1\nelif runde > 1:\n  x = 2\nelif ukjent:\n  x = 3\nelse:\n  x = 4", {"x": 2}),
        ("if runde > 9:\n  x = 1\nelif runde > 8:\n  x = 2\nelse:\n  x = 4\ny = x", {"x": 4, "y": 4}),
        ("if runde:\n  if party.deputy:\n    x = 1\n  else:\n    x = party.key\n", {"x": "larvik"}),
        ("if not runde:\n  x = 1\nelse:\n  if utfall == 'juster': x = 2", {"x": 2}),
        ("if runde:\n  pass\nelse:\n  x = 1", {}),
        ("måned = 'juni'\nlen = len(måned)", {"måned": "juni", "len": 4}),
        ("elif_ = 1; match = 2; _ = 3; passe = 4", {"elif_": 1, "match": 2, "_": 3, "passe": 4}),
    ],
)  # fmt: skip
def test_a_script_sets_names(source: str, expected: dict[str, object]) -> None:
    assert result_of(source) == expected


def test_the_case_itself_is_not_touched() -> None:
    scope = {"navn": ["a"], "runde": 1}
    run(parse_script("navn += ['b']\nrunde = 7\nny = 1"), scope, CALENDAR)
    assert scope == {"navn": ["a"], "runde": 1}


@pytest.mark.parametrize(
    ("source", "read", "set_"),
    [
        ("x = a + len(b)", {"a", "b"}, {"x"}),
        ("x = 1; y = x", set(), {"x", "y"}),
        ("x = x", {"x"}, {"x"}),
        ("x += 1", {"x"}, {"x"}),
        ("x = 1; x += 1", set(), {"x"}),
        ("if a: x = 1\ny = x", {"a", "x"}, {"x", "y"}),
        ("if a: x = 1\nelse: x = b\ny = x", {"a", "b"}, {"x", "y"}),
        ("if a: x = 1\nelif c: pass\nelse: x = b\ny = x", {"a", "b", "c", "x"}, {"x", "y"}),
        ("if a:\n  if b: x = 1\n  else: x = 2\nelse: x = 3\ny = x", {"a", "b"}, {"x", "y"}),
        ("if a: z = 1\nelif z: x = 1", {"a", "z"}, {"x", "z"}),
    ],
)
def test_a_script_knows_the_names_it_reads_from_the_case(source: str, read: set[str], set_: set[str]) -> None:
    script = parse_script(source)
    assert (script.names_read, script.names_set) == (read, set_)


@given(
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=6, max_size=6), st.lists(st.booleans(), min_size=3, max_size=3)
)
def test_no_name_is_missed_that_a_script_reads(names: list[str], there: list[bool]) -> None:
    a, b, c, d, e, f = names
    script = parse_script(f"if {a}: {b} = 0\nelif {c} == 1: {d} = 1\nelse: pass\n{e} = {f}\nx = {b}")
    scope = dict(zip("abc", there, strict=True))
    run(script, {name: value for name, value in scope.items() if name in script.names_read}, CALENDAR)


def test_parsing_again_gives_the_same_script() -> None:
    assert parse_script("x = 1") is parse_script("x = 1")
    assert isinstance(parse_script("x = 1"), Script)


def test_the_script_of_the_reference_runs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "expressions.md").read_text(encoding="utf-8")
    script = text.split("## Scripts")[1].split("```\n")[1]
    assert result_of(script) == {"frist": "2026-11-13", "runde": 3}
    assert result_of(script, runde=3) == {"frist": "2026-11-13", "runde": 4, "neste": "avslutt", "grunn": "tre runder"}


# --- errors ---


@pytest.mark.parametrize(
    ("source", "line", "column", "words"),
    [
        ("x = ukjent", 1, 5, "The name ukjent is not defined"),
        ("x = 1\ny = 'æøå' + ukjent", 2, 13, "The name ukjent is not defined"),
        ("x = 1; y = [1,\n  ukjent]", 2, 3, "The name ukjent is not defined"),
        ("\n    x = 1\n    y = ukjent\n", 3, 9, "The name ukjent is not defined"),
        ("x = 1\nukjent += 1", 2, 1, "The name ukjent is not defined"),
        ("x = 1\nif party.mangler:\n  pass", 2, 4, "no 'mangler'"),
        ("x = 1\nx = 1 / 0", 2, 5, "divided by zero"),
        ("x = 1\nrunde += 'a'", 2, 1, "Expected a number"),
        ("x = working_days_before(ssu, -1)", 1, 5, "from 0 to 2000"),
        ("x = 1\n\ny = eval(2)", 3, 5, "There is no function eval"),
        ("x = 1\n  y = 2", 2, 3, "not indented alike"),
        ("  x = 1\ny = 2", 2, 1, "not indented alike"),
        ("  x = 1\nelse:\n  y = 2", 3, 1, "not indented alike"),
        ("if 1:\n  x = 1\n y = 2", 3, 2, "not indented alike"),
        ("if 1:\n  x = 1\n\ty = 2", 3, 2, "not indented alike"),
        ("if 1:\nx = 1", 2, 1, "not indented alike"),
        ("x = 1\ny = (1 +", 2, 5, "never closed"),
        ("x = 1\ny = 1)", 2, 6, "unmatched"),
        ("x = 1\ny =", 2, 4, ""),
        ("x = 1\nif runde = 1: y = 2", 2, 4, "values are compared with =="),
        ("x = 1\nif runde y = 2", 2, 10, "Not a valid script: invalid syntax"),
        ("else: x = 1", 1, 1, ""),
        ("x = 1 $ 2", 1, 7, "Unexpected character '$'"),
        ("x = 1\ny = 'åpen\nz = 1", 2, 5, "quote"),
        ("x = 1\nfor y in navn: pass", 2, 1, "The word for is not part of the language"),
        ("x = 1\nx = [y for y in navn]", 2, 8, "The word for is not part of the language"),
        ("${x}", 1, 1, ""),
    ],
)  # fmt: skip
def test_an_error_has_its_line_and_column(source: str, line: int, column: int, words: str) -> None:
    error = refused(source)
    assert words in error.message
    assert (error.line, error.column) == (line, column)


def test_an_error_shows_its_line() -> None:
    assert str(refused("x = 1\ny = ukjent")) == "The name ukjent is not defined (line 2, column 5 of 'y = ukjent')"
    assert str(refused("y = ukjent")) == "The name ukjent is not defined (column 5 of 'y = ukjent')"


def test_an_error_keeps_its_kind() -> None:
    with pytest.raises(UndefinedName) as caught:
        result_of("x = 1\ny = ukjent")
    assert caught.value.name == "ukjent"
    with pytest.raises(MissingKey):
        result_of("x = navn[7]")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x", "does nothing"),
        ("len(navn)", "does nothing"),
        ("x == 1", "does nothing"),
        ("x = y = 1", "One statement sets one name"),
        ("x, y = 1, 2", "Only a plain name is set"),
        ("[x, y] = navn", "Only a plain name is set"),
        ("party.key = 1", "Only a plain name is set"),
        ("party['key'] = 1", "Only a plain name is set"),
        ("navn[0] += 1", "Only a plain name is set"),
        ("*x, = navn", "Only a plain name is set"),
        ("runde *= 2", "Only = , += and -="),
        ("runde //= 2", "Only = , += and -="),
        ("x: int = 1", "without a type"),
        ("x: int", "without a type"),
        ("__x = 1", "begins with __"),
        ("__builtins__ += 1", "begins with __"),
        ("match runde:\n  case 1: pass", ""),
        ("x = 1 if runde", ""),
        ("True = 1", ""),
        ("x := 1", ""),
        ("x = (y := 1)", "not part of the language"),
        ("x = 1,", "tuple"),
        ("if (x := 1): pass", "not part of the language"),
        ("x = f'{party}'", ""),
        ("x = 1 \\\n + 2", "Unexpected character '\\\\'"),
        ("x = '''a'''", "quote"),
        ("print 1", ""),
    ],
)  # fmt: skip
def test_other_statements_are_refused(source: str, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_script(source)
    assert words in caught.value.message


# --- attacks ---


@pytest.mark.parametrize(
    "word",
    ["while", "for", "def", "class", "lambda", "import", "from", "global", "nonlocal", "del", "return", "yield", "with"]
    + ["try", "except", "finally", "raise", "assert", "async", "await", "break", "continue", "as"],
)
def test_no_other_word_of_python_is_known(word: str) -> None:
    assert refused(f"x = 1\n{word} x").message == f"The word {word} is not part of the language"


@pytest.mark.parametrize(
    "expression",
    [
        "().__class__",
        "__import__('os')",
        "eval('1')",
        "exec('x = 1')",
        "compile('1', '', 'eval')",
        "open('/etc/passwd')",
    ]
    + ["getattr(party, 'key')", "party.__class__", "party.get('key')", "navn.append(1)", "globals()", "'a' * 10 ** 10"]
    + [
        "'a' * 10000000000",
        "9**9**9",
        "(1, 2)",
        "{1, 2}",
        "navn[0:1]",
        "[*navn]",
        "max(*navn)",
        "b'a'",
        "1 << 9",
        "~1",
    ],
)
@pytest.mark.parametrize("place", ["x = {}", "x = 1\nrunde += {}", "if {}: pass", "if 0: pass\nelif {}:\n  x = 1"])
def test_code_is_refused_wherever_an_expression_stands(place: str, expression: str) -> None:
    error = refused(place.format(expression))
    assert not isinstance(error, UndefinedName)
    assert error.line == place.count("\n", 0, place.index("{}")) + 1


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1\n" * 1666, "more than 200 statements"),
        ("x = 1;" * 201, "more than 200 statements"),
        ("if 1: pass\n" + "elif 1: pass\n" * 200, "more than 200 statements"),
        ("x" * 10_001, "at most 10000 characters"),
        ("#" * 10_000_000, "at most 10000 characters"),
        ("".join(" " * n + "if 1:\n" for n in range(11)) + " " * 11 + "pass", "more than 10 levels of if"),
        ("".join(" " * n + "if 1:\n" for n in range(99)) + " " * 99 + "x = 1", "more than 10 levels of if"),
        ("x = " + "(" * 9_000, "nested more than 30"),
        ("x = " + "[" * 50 + "]" * 50, "nested more than 30"),
        ("x = " + "-" * 9_000 + "1", "nested"),
        ("x = " + "1 + " * 2_000 + "1", "nested"),
        ("x = " + "not " * 2_000 + "1", "nested"),
        ("x = [" + "1," * 300 + "]", "more than 200 parts"),
        ("if 1: pass\n" + "elif 1: pass\n" * 760, "more than 200 statements"),
        ("x = " + "1 if 1 else " * 800 + "1", "nested"),
    ],
)
def test_large_and_deep_scripts_are_refused(source: str, words: str) -> None:
    begun = time.process_time()
    error = refused(source)
    assert words in error.message and len(str(error)) < 300
    assert time.process_time() - begun < 1


def test_steps_are_shared_by_the_whole_script() -> None:
    liste: list[object] = [1] * 4_000
    assert result_of("x = sum(navn); y = sum(navn)", navn=liste) == {"x": 4_000, "y": 4_000}
    error = refused("x = sum(navn)\ny = sum(navn)\nz = sum(navn)", navn=liste)
    assert (error.message, error.line) == ("The script needs more than 10000 steps", 3)


def test_counting_days_costs_steps() -> None:
    source = "\n".join("x = working_days_between('2000-01-01', '2027-05-01')" for _ in range(40))
    assert "more than 10000 steps" in refused(source).message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 'a' * 10000\ny = x + 'a'", "at most 10000"),
        ("x = ['a']\n" + "x += x\n" * 20, "at most 10000"),
        ("x = ['a' * 10000]\n" + "x += x\n" * 8, "more than 1000000 characters"),
        ("x = [1]\n" + "x = [x, x]\n" * 30, "more than 10000 values"),
        ("x = [1]\n" + "x = [x]\n" * 150, "nested more than 100 levels"),
        ("x = {'a': 1}\n" + "x = {'a': x}\n" * 150, "nested more than 100 levels"),
        ("".join(f"x{n} = 'a' * 10000\n" for n in range(150)), "more than 1000000 characters"),
        ("x = 1000000000000000\nx += x", "whole number between"),
    ],
)
def test_what_a_script_sets_stays_small(source: str, words: str) -> None:
    assert words in refused(source).message


def test_a_million_turns_cannot_be_asked_for() -> None:
    """Without loops, a script ends; the longest and slowest that is allowed ends soon."""
    slowest = "\n".join(f"x = sum(navn[{n}]) + working_days_before(ssu, 9)" for n in range(200))
    begun = time.process_time()
    refused(slowest, navn=[[1] * 9_000] * 200)
    assert time.process_time() - begun < 2


# --- any script ---

word = st.sampled_from(
    [
        "x",
        "y",
        "runde",
        "navn",
        "ssu",
        "=",
        "+=",
        "-=",
        "==",
        "if",
        "elif",
        "else",
        ":",
        "\n",
        "\n  ",
        "\n    ",
        ";",
        "#",
    ]
    + [
        "pass",
        "1",
        "'a'",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        ",",
        ".",
        "+",
        "-",
        "*",
        "not",
        "and",
        "in",
        "len(",
        "\t",
        "\\",
    ]
    + [
        "lambda",
        "for",
        "match",
        "case",
        "print",
        "_",
        "${",
        "}",
        '"',
        "'",
        "\r",
        "\x0c",
        "\x00",
        "ﬁ",
        "ｘ",
        "å",
        "\ud800",
    ]
)


@settings(max_examples=800)
@given(st.lists(word, max_size=25).map(" ".join) | st.lists(word, max_size=25).map("".join))
@example("  x = 1\nelif y: pass")
@example("\tif 1:\n x = 1")
@example("\n \n")
@example("x = (\n# )\n1)")
def test_any_words_are_a_script_or_an_expression_error(source: str) -> None:
    _try(source)


@given(st.text())
def test_any_text_is_a_script_or_an_expression_error(source: str) -> None:
    _try(source)


@settings(max_examples=60, deadline=None)
@given(st.lists(word, min_size=1, max_size=4).map("".join), st.integers(100, 10_000))
@example("elif 1:", 10_000)
def test_no_repeated_text_takes_long_to_read(unit: str, length: int) -> None:
    begun = time.process_time()
    _try("if 1: pass\n" + (unit * length)[:length])
    assert time.process_time() - begun < 2


def _try(source: str) -> None:
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            script = parse_script(source)
            assigned = run(script, SCOPE, CALENDAR)
    except ExpressionError as error:
        lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1
        assert error.message in str(error)
    else:
        assert assigned.keys() <= script.names_set
    # Python's parser saw nothing that it would warn of.
    assert warned == []
