"""The expressions of models: what they can say, and how they explain what they cannot."""

import ast
import re
from datetime import date
from pathlib import Path

import pytest

from engine.bpmn.expression_functions import FUNCTIONS
from engine.bpmn.expressions import (
    Expression,
    ExpressionError,
    MissingKey,
    UndefinedName,
    evaluate,
    parse,
)
from engine.calendar import Calendar

CALENDAR = Calendar()
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "expressions.md"
SCOPE: dict[str, object] = {
    "ssu": date(2026, 11, 27),
    "au": date(2026, 11, 5),
    "isodato": "2026-11-27",
    "utfall": "forankret",
    "runde": 2,
    "merknad": None,
    "party": {"key": "larvik", "contact": "kommunalsjef.larvik", "approver": ""},
    "parties": [
        {"key": "larvik", "approver": "radmann.larvik"},
        {"key": "horten", "approver": ""},
        {"key": "siv"},
    ],
    "svar": {"antall": 7, "saker": ["17/26", "18/26"]},
    "måned": "juni",
}


def value_of(source: str, **more: object) -> object:
    return evaluate(parse(source), SCOPE | more, CALENDAR)


def refused(source: str, **more: object) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        value_of(source, **more)
    return caught.value


# --- what the language says ---


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1", 1),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        ("'tekst'", "tekst"),
        ('"tekst"', "tekst"),
        ("True", True),
        ("None", None),
        ("[1, 'to', []]", [1, "to", []]),
        ("{'a': 1, 'b': [2]}", {"a": 1, "b": [2]}),
        ("2 + 3 * 4 - 1", 13),
        ("7 / 2", 3.5),
        ("7 // 2", 3),
        ("7 % 4", 3),
        ("-runde", -2),
        ("+runde", 2),
        ("'sak ' + '17/26'", "sak 17/26"),
        ("'-' * 3", "---"),
        ("3 * '-'", "---"),
        ("[1] + [2]", [1, 2]),
        ("1 < runde <= 2", True),
        ("1 < 2 > 3", False),
        ("utfall == 'forankret'", True),
        ("utfall != 'forankret'", False),
        ("'juster' < utfall", False),
        ("utfall in ['forankret', 'juster']", True),
        ("utfall not in ['forankret']", False),
        ("'key' in party", True),
        ("'anker' in 'forankret'", False),
        ("'ankret' in utfall", True),
        ("merknad is None", True),
        ("utfall is not None", True),
        ("runde > 1 and utfall == 'forankret'", True),
        ("merknad or 'ingen'", "ingen"),
        ("merknad and 1", None),
        ("not merknad", True),
        ("'ja' if runde > 1 else 'nei'", "ja"),
        ("party.contact", "kommunalsjef.larvik"),
        ("party['contact']", "kommunalsjef.larvik"),
        ("svar.saker[0]", "17/26"),
        ("svar.saker[-1]", "18/26"),
        ("parties[0].approver", "radmann.larvik"),
        ("utfall[0]", "f"),
        ("måned + '!'", "juni!"),
        ("ssu", date(2026, 11, 27)),
        ("(runde\n + 1)", 3),
        ("runde\n + 1", 3),
    ],
)
def test_an_expression_has_a_value(source: str, expected: object) -> None:
    value = value_of(source)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize("source", ["${runde + 1}", " ${ runde + 1 } ", "\n${\n  runde + 1\n}\n", "runde + 1"])
def test_the_wrapper_is_optional(source: str) -> None:
    assert value_of(source) == 3


def test_a_dictionary_may_stand_in_the_wrapper() -> None:
    assert value_of("${{'a': 1}}") == {"a": 1}


@pytest.mark.parametrize(
    "source", ["Hei ${navn}", "${navn} hei", "${a} og ${b}", "${", "${navn", "$navn", "#{navn}", "Hei du"]
)
def test_text_around_names_is_no_expression(source: str) -> None:
    with pytest.raises(ExpressionError):
        parse(source)


@pytest.mark.parametrize("source", ["", "  ", "${}", "${ \n }"])
def test_nothing_is_no_expression(source: str) -> None:
    assert refused(source).message == "The expression is empty"


def test_only_what_is_needed_is_evaluated() -> None:
    assert value_of("True or ukjent") is True
    assert value_of("False and ukjent") is False
    assert value_of("1 if True else ukjent") == 1
    assert value_of("2 < 1 < ukjent") is False


def test_names_are_those_that_are_read() -> None:
    expression = parse("${last_working_day(ssu, months_before=n) if party.contact in len else date}")
    assert expression.names == {"ssu", "n", "party", "len", "date"}


def test_a_variable_may_be_called_as_a_function_is() -> None:
    assert value_of("len(sum) + max", sum=[1, 2], max=3) == 5


def test_parsing_again_gives_the_same_expression() -> None:
    assert parse("runde + 1") is parse("runde + 1")
    assert parse("runde") == Expression("runde", frozenset(), ast.Constant(value=1))


# --- dates ---


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("working_days_before(ssu, 10)", date(2026, 11, 13)),
        ("working_days_before(isodato, n=10)", date(2026, 11, 13)),
        ("working_days_after(ssu, 5)", date(2026, 12, 4)),
        ("last_working_day(ssu, 5)", date(2026, 6, 30)),
        ("working_days_before(last_working_day(ssu, months_before=5), 10)", date(2026, 6, 16)),
        ("last_working_day(ssu)", date(2026, 11, 30)),
        ("first_working_day_of(ssu, months_before=2)", date(2026, 9, 1)),
        ("working_day_on_or_before('2027-01-01')", date(2026, 12, 30)),
        ("working_day_on_or_after('2026-12-31')", date(2027, 1, 4)),
        ("working_days_between(au, ssu)", 16),
        ("days_before(ssu, 1)", date(2026, 11, 26)),
        ("days_after(date('2026-02-28'), 1)", date(2026, 3, 1)),
        ("max(au, ssu)", date(2026, 11, 27)),
        ("min([isodato, au])", date(2026, 11, 5)),
        ("str(ssu)", "2026-11-27"),
        ("date(ssu)", date(2026, 11, 27)),
    ],
)
def test_dates_are_counted(source: str, expected: object) -> None:
    assert value_of(source) == expected


def test_a_date_and_its_text_are_the_same_day() -> None:
    assert value_of("ssu == isodato and isodato == ssu and ssu in [isodato]") is True
    assert value_of("au < isodato and isodato > au and ssu >= isodato") is True
    assert value_of("ssu == 'en fredag'") is False
    assert "such as 2026-11-27" in refused("ssu < 'en fredag'").message


@pytest.mark.parametrize("source", ["ssu - au", "ssu + 1", "1 + ssu", "ssu - isodato", "ssu * 2"])
def test_dates_are_not_reckoned_with_signs(source: str) -> None:
    assert "use days_before, days_after or working_days_between" in refused(source).message


@pytest.mark.parametrize(
    "text", ["2026-02-30", "20261127", "2026-W48-5", "2026-11-27T12:00", "27.11.2026", "", "٢٠٢٦-11-27"]
)
def test_only_calendar_dates_are_dates(text: str) -> None:
    assert "such as 2026-11-27" in refused("date(t)", t=text).message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("working_days_before(ssu, -1)", "from 0 to 2000, but got -1"),
        ("working_days_before(ssu, 2001)", "from 0 to 2000"),
        ("working_days_before(ssu, 1.0 * 2)", None),
        ("working_days_before(ssu, '3')", "Expected a whole number, but got a text"),
        ("working_days_before(ssu, True)", "Expected a whole number, but got a truth value"),
        ("working_days_before(merknad, 3)", "Expected a date, but got nothing (None)"),
        ("last_working_day(ssu, months_before=-1)", "months_before from 0"),
        ("working_days_before('2150-01-01', 3)", "2100"),
        ("working_days_between('1950-01-01', ssu)", "at most 10000 days"),
        ("days_before(ssu, -1)", "from 0 to"),
        ("days_after('9999-12-31', 1)", "no date"),
    ],
)
def test_explains_what_it_cannot_count(source: str, words: str | None) -> None:
    assert (words or "Expected a whole number") in refused(source).message


# --- general functions ---


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("len(parties)", 3),
        ("len('abc') + len({})", 3),
        ("min(3, 1, 2)", 1),
        ("max([3, 1, 2])", 3),
        ("max('a', 'b')", "b"),
        ("sum([1, 2.5])", 3.5),
        ("sum([])", 0),
        ("round(2.6)", 3),
        ("round(2.345, 1)", 2.3),
        ("abs(-3)", 3),
        ("lower('ÆØÅ')", "æøå"),
        ("upper('æøå')", "ÆØÅ"),
        ("str(17) + '/26'", "17/26"),
        ("int(' 42 ')", 42),
        ("int(2.9)", 2),
        ("contains(svar.saker, '17/26')", True),
        ("contains(svar.saker, '19/26')", False),
        ("len(with_value(parties, 'approver'))", 1),
        ("with_value([{'a': 0}, {'a': False}, {'a': []}, {'a': None}], 'a')", [{"a": 0}, {"a": False}]),
        ("first_given(merknad, party.contact)", "kommunalsjef.larvik"),
        ("first_given(ukjent, 1)", 1),
        ("first_given(party.deputy, parties[9], 'x')", "x"),
        ("first_given(ukjent.felt, merknad)", None),
        ("first_given(ukjent)", None),
        ("first_given(0, 1)", 0),
        ("first_given(1, 1 / 0)", 1),
    ],
)
def test_functions_have_values(source: str, expected: object) -> None:
    assert value_of(source) == expected


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("len(3)", "but got a number"),
        ("min([])", "something in it"),
        ("max(1, 'a')", "but got a number and a text"),
        ("sum(['a'])", "Expected a number, but got a text"),
        ("sum([True])", "a truth value"),
        ("round(1.5, 99)", "10 digits"),
        ("round(1, -10)", "10 digits"),
        ("str([])", "but got a list"),
        ("int('to')", "but got 'to'"),
        ("int('9' * 100)", "whole number"),
        ("int('1_0')", "whole number"),
        ("with_value([1], 'a')", "one item is a number"),
        ("contains(3, 3)", "to look in"),
        ("1 in 3", "to look in"),
        ("1 in 'abc'", "Expected a text"),
        ("[] in {}", "Expected a text"),
        ("1 + 'a'", "Expected a number, but got a text"),
        ("True + 1", "a truth value"),
        ("1 < 'a'", "to put in order"),
        ("merknad < 1", "nothing (None)"),
        ("[1] < [2]", "a list"),
        ("-'a'", "Expected a number"),
        ("1 / 0", "divided by zero"),
        ("1 % 0", "divided by zero"),
        ("utfall.lengde", "Expected a dictionary before .lengde, but got a text"),
        ("runde[0]", "to look in"),
        ("svar.saker['a']", "whole number"),
        ("svar[0]", "Expected a text"),
        ("{1: 2}", "Expected a text"),
    ],
)
def test_explains_what_values_do_not_allow(source: str, words: str) -> None:
    assert words in refused(source).message


def test_true_is_not_one() -> None:
    assert value_of("True == 1 or 0 == False or True in [1]") is False


# --- errors ---


def test_an_undefined_name_is_named_with_its_place() -> None:
    with pytest.raises(UndefinedName) as caught:
        value_of("${runde + ukjent}")
    assert (caught.value.name, caught.value.column) == ("ukjent", 11)
    assert caught.value.source == "${runde + ukjent}"
    assert str(caught.value) == "The name ukjent is not defined (column 11 of '${runde + ukjent}')"


@pytest.mark.parametrize("source", ["party.deputy", "party['deputy']", "svar.saker[2]", "svar.saker[-3]"])
def test_what_is_not_in_a_dictionary_or_a_list_is_missing(source: str) -> None:
    with pytest.raises(MissingKey):
        value_of(source)


@pytest.mark.parametrize(
    ("source", "column"),
    [
        ("1 +", 4),
        ("${ 1 $ 2}", 6),
        ("  a b", 5),
        ("'æøå' + 'å' + ukjent", 15),
        ("[1,\n ${x}]", 6),
        ("[1,\n ukjent]", 6),
        ("1 + (lambda: 1)", 6),
        ("max(1, 2) + nei(3)", 13),
        ("a = 1", 3),
        ("'åpen", 1),
        ("runde + 12abc", 9),
    ],
)
def test_errors_point_at_the_column(source: str, column: int) -> None:
    assert refused(source).column == column


@pytest.mark.parametrize("source", ["utfall = 'juster'", "(utfall = 'juster')", "runde and utfall = 'juster'"])
def test_assigning_suggests_comparing(source: str) -> None:
    assert "compared with ==" in refused(source).message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nei(1)", "There is no function nei"),
        ("working_days_before(ssu)", "working_days_before: missing a required argument: 'n'"),
        ("working_days_before(ssu, 1, 2)", "too many positional arguments"),
        ("working_days_before(ssu, 1, dager=2)", "unexpected keyword argument 'dager'"),
        ("working_days_before(ssu, n=1, n=2)", "the same argument twice"),
        ("first_given()", "missing a required argument"),
        ("len(calendar=1)", "len: "),
        ("working_days_before(1, 2, calendar=3)", "working_days_before: "),
    ],
)
def test_calls_are_checked_before_they_are_made(source: str, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(source)
    assert words in caught.value.message


# --- the reference ---


def test_the_reference_lists_every_function() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    assert [name for name in FUNCTIONS if f"| `{name}(" not in text] == []


def test_the_examples_of_the_reference_are_true() -> None:
    examples = re.findall(r"`([^`]+)` → (\S+) \|", REFERENCE.read_text(encoding="utf-8"))
    assert len(examples) > 20
    for source, result in examples:
        value = value_of(source)
        assert (value.isoformat() if isinstance(value, date) else repr(value)) == result, source


@pytest.mark.parametrize(
    ("source", "value"), [("true", True), ("${false}", False), ("null", None), ("[true, null]", [True, None])]
)
def test_values_may_be_written_as_other_modelers_write_them(source: str, value: object) -> None:
    expression = parse(source)
    assert expression.names == frozenset()
    assert evaluate(expression, {"true": 0, "null": 1}, Calendar()) == value
