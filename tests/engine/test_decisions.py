"""DMN decisions: what cells and hit policies mean, what is refused, and that no cell does more than decide."""

import re
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.bpmn.decision_cells import read_cell
from engine.bpmn.decision_tables import Table
from engine.bpmn.decisions import NAMESPACES, DecisionError, decide, read_decisions
from engine.bpmn.expressions import ExpressionError, UndefinedName
from engine.calendar import Calendar
from engine.errors import Finding, ModelRefused

CALENDAR = Calendar()
SCOPE: dict[str, object] = {
    "sum_kr": 50_000,
    "kommune": "Larvik",
    "frist": "2026-11-27",
    "ssu": date(2026, 11, 27),
    "haster": True,
    "ingenting": None,
    "naboer": ["Horten", "Larvik"],
    "grense": 40_000,
    "party": {"key": "larvik"},
}


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def file(*decisions: str, namespace: str = NAMESPACES[2], attributes: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<definitions xmlns="{namespace}" id="file" name="Fil" {attributes}>\n'
        + "\n".join(decisions)
        + "\n</definitions>"
    ).encode()


def table(
    *rows: str,
    inputs: str = "sum_kr",
    outputs: str = "svar",
    table: str = "",
    identity: str = "regel",
    more: str = "",
    input_type: str = "",
    output_type: str = "",
    inside_input: str = "",
    inside_output: str = "",
) -> str:
    """A decision; a row is `cell | cell -> output | output`, inputs and outputs are parted by `|` too."""

    def parts(text: str) -> list[str]:
        return [part.strip() for part in text.split("|")] if text else []

    def entry(tag: str, text: str) -> str:
        return f"<{tag}><text>{escaped(text)}</text></{tag}>"

    columns = [
        f'<input id="{identity}_i{number}"><inputExpression{input_type}>'
        f"<text>{escaped(source)}</text></inputExpression>"
        f"{inside_input}</input>"
        for number, source in enumerate(parts(inputs))
    ] + [
        f'<output id="{identity}_o{number}" name="{name}"{output_type}>{inside_output}</output>'
        for number, name in enumerate(parts(outputs))
    ]
    rules = []
    for row in rows:
        asked, _, answered = row.partition("->")
        cells = [entry("inputEntry", cell.strip()) for cell in asked.split("|")] if inputs else []
        cells += [entry("outputEntry", cell.strip()) for cell in answered.split("|")]
        rules.append(f"<rule>{''.join(cells)}</rule>")
    return (
        f'<decision id="{identity}" name="Regel {identity}">{more}<decisionTable id="{identity}_t" {table}>\n'
        + "\n".join([*columns, *rules])
        + "\n</decisionTable></decision>"
    )


def literal(text: str, identity: str = "regel", attributes: str = "", more: str = "") -> str:
    expression = f"<literalExpression{attributes}><text>{escaped(text)}</text></literalExpression>"
    return f'<decision id="{identity}" name="Regel {identity}">{more}{expression}</decision>'


def requires(*identities: str) -> str:
    return "".join(
        f'<informationRequirement><requiredDecision href="#{each}"/></informationRequirement>' for each in identities
    )


def result_of(*decisions: str, of: str = "regel", **more: object) -> object:
    return decide(read_decisions(file(*decisions))[of], SCOPE | more, CALENDAR)


def failure(*decisions: str, **more: object) -> DecisionError:
    with pytest.raises(DecisionError) as caught:
        result_of(*decisions, **more)
    return caught.value


def findings(*decisions: str, xml: bytes | None = None, attributes: str = "") -> tuple[Finding, ...]:
    with pytest.raises(ModelRefused) as caught:
        read_decisions(xml if xml is not None else file(*decisions, attributes=attributes))
    found = caught.value.findings
    assert all(each.severity == "error" and each.message and each.remedy for each in found)
    return found


def only(found: tuple[Finding, ...]) -> Finding:
    assert len(found) == 1, found
    return found[0]


def matches(cell: str, value: object, **more: object) -> bool:
    return result_of(table(f"{cell} -> 1", inputs="verdi"), verdi=value, **more) is not None


# --- cells ---


@pytest.mark.parametrize(
    ("cell", "yes", "no"),
    [
        ("", [1, "x", None, True, []], []),
        ("-", [1, "x", None, True, []], []),
        (" - ", [1, None], []),
        ('"x"', ["x"], ["y", 1, None, "X"]),
        ("'x'", ["x"], ["y"]),
        ('"a, b"', ["a, b"], ["a", "b"]),
        ('"a","b"', ["a", "b"], ["c", "a,b", None]),
        ('"-"', ["-"], ["x"]),
        ("5", [5, 5.0], [6, "5", True, None]),
        ("-5", [-5], [5]),
        ("1, 2, 3", [1, 2, 3], [4]),
        ("true", [True], [False, 1, "true", None]),
        ("false", [False], [True, 0, None]),
        ("null", [None], [0, "", False]),
        ("< 5", [4, -1, 4.9], [5, 6, None]),
        ("<= 5", [5], [6]),
        (">5", [6], [5]),
        (">= 5", [5], [4]),
        ("= 5", [5], [4]),
        ("!= 5", [4, None], [5]),
        ("< 2, > 8", [1, 9], [2, 5, 8, None]),
        ("< -5", [-6], [-5]),
        ("< grense", [39_999], [40_000]),
        ("< grense / 2 + 1", [20_000], [20_001]),
        ("[1..5]", [1, 3, 5], [0, 6, None]),
        ("]1..5]", [2, 5], [1, 6]),
        ("(1..5]", [2, 5], [1, 6]),
        ("[1..5[", [1, 4], [5]),
        ("[1..5)", [1, 4], [5]),
        ("]1..5[", [2], [1, 5]),
        ("(1..5)", [2], [1, 5]),
        ("[ -1 .. 1.5 ]", [-1, 1.5], [-2, 2]),
        ("[1..2], [8..9]", [1, 9], [5]),
        ("]1..3[, 7", [2, 7], [3]),
        ("[abs(-1)..max(2, grense)]", [1, 40_000], [0, 40_001]),
        ('["a".."c"]', ["b"], ["d"]),
        ('date("2026-11-27")', ["2026-11-27", date(2026, 11, 27)], ["2026-11-28", None]),
        ('>= date("2026-11-27")', ["2026-11-27", date(2027, 1, 1)], ["2026-11-26"]),
        ('[date("2026-01-01")..date("2026-12-31")]', ["2026-11-27"], ["2027-01-01"]),
        ("< days_before(ssu, 7)", ["2026-11-19"], ["2026-11-20"]),
        ('not("a")', ["b", None], ["a"]),
        ('not("a","b")', ["c"], ["a", "b"]),
        ("not([1..5])", [0, 6], [3, None]),
        ("not(]1..5[, 9)", [1, 5], [2, 9]),
        ("not(< 5)", [5], [4, None]),
        ("not ( 5 )", [4], [5]),
        ("not(null)", [1, False], [None]),
        ("not(true)", [False], [True]),
        ("kommune", ["Larvik"], ["kommune"]),
        ("naboer", ["Horten", "Larvik"], ["Oslo"]),
        ('["a", "b"]', ["a", ["a", "b"]], ["c"]),
        ('contains(?, "x")', ["axb"], ["abc"]),
        ("? > 3 and ? < 9", [4], [3, 9]),
        ("? in naboer", ["Larvik"], ["Oslo"]),
        ('? is None or ? == "a"', [None, "a"], ["b"]),
        ("null, len(?) > 2", ["abc", None], ["ab"]),
        ('not(contains(?, "x"))', ["abc"], ["axb"]),
        ('not (contains(?, "x")) and ? != "q"', ["abc"], ["axb", "q"]),
        ('? == "?"', ["?"], ["x"]),
        ("party.key", ["larvik"], ["horten"]),
        ("3 if haster else 4", [3], [4]),
    ],
)
def test_a_cell_asks(cell: str, yes: list[object], no: list[object]) -> None:
    assert [value for value in yes if not matches(cell, value)] == []
    assert [value for value in no if matches(cell, value)] == []


def test_the_cells_of_the_reference_ask() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "decisions.md").read_text(encoding="utf-8")
    rows = text.split("## Cells")[1].split("\n## ")[0].splitlines()
    examples = [
        example for row in rows if row.startswith("|") for example in re.findall(r"`([^`]+)`", row.split("|")[1])
    ]
    assert len(examples) > 20
    for cell in examples:
        assert read_cell(cell).source == cell


@pytest.mark.parametrize(
    ("cell", "column", "words"),
    [
        ("().__class__", 1, "begins with __"),
        ("__import__('os').system('true')", 1, "function"),
        ("< __import__('os')", 3, "no function __import__"),
        ('[1..open("/etc/passwd")]', 5, "no function open"),
        ("[eval('1')..2]", 2, "no function eval"),
        ("?.__class__.__mro__", 1, "begins with __"),
        ("not(?.__class__)", 5, "begins with __"),
        ('"a", (lambda: 1)()', 7, "lambda"),
        ("1, [x for x in ?]", 7, "word for"),
        ("${kommune}", 1, "${…}"),
        ("kommune; import os", 8, "Unexpected character ';'"),
        ("'a' * 10 ** 10", 7, "**"),
        ("1 + ", 4, "ends too early"),
        ("1,, 2", 3, "missing"),
        ("1,", 3, "missing"),
        (",1", 1, "missing"),
        ("<", 2, "missing"),
        ("[1..]", 5, "missing"),
        ("[..5]", 2, "missing"),
        ("[1..5", 6, "no last bracket"),
        ("[1..5] or 7", 7, "after the interval"),
        ("not()", 5, "missing"),
        ("?x", 1, "Unexpected character '?'"),
        ("x?", 2, "Unexpected character '?'"),
        ("??", 1, "Unexpected character '?'"),
        ('"åpen', 1, "quote"),
        ('"a\\"b"', 1, "quote"),
        ("sum_kr > 5", 1, "?"),
        ("sum_kr > 5 and haster", 1, "?"),
        ("< 5 and haster", 3, "?"),
        ("< 5 or > 7", 8, "Not a valid expression"),
        ("not haster", 1, "?"),
        ('date and time("2026-01-01T00:00:00")', 10, "no function time"),
        ("(" * 10_000, 2001, "at most 2000"),
        ("not(" * 400, 124, "nested"),
        ("[" * 1_900, 31, "nested"),
        ("1" + ",1" * 2_000, 2001, "at most 2000"),
    ],
)
def test_a_cell_is_refused_with_its_column(cell: str, column: int, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        read_cell(cell)
    assert words in caught.value.message
    assert caught.value.column == column


def test_a_refused_cell_is_found() -> None:
    found = only(findings(table("1 -> 1", "< eval(1) -> 2")))
    assert (found.rule, found.element, found.line) == ("dmn", "regel_t", 7)
    assert found.message.startswith("rule 2, input 1: There is no function eval (column 3")


def test_cells_of_a_kind_that_does_not_compare_are_told_of() -> None:
    error = failure(table("< 5 -> 1", inputs="verdi"), verdi="mange")
    assert error.message.startswith("Regel regel, rule 1, the input verdi: Expected only numbers")
    assert "true or false" in failure(table("len(?) -> 1", inputs="kommune")).message


# --- hit policies ---

ROWS = ("< 10 -> 'liten'", "< 100 -> 'middels'", "- -> 'stor'")


@pytest.mark.parametrize(
    ("policy", "value", "expected"),
    [
        ("", 500, {"svar": "stor"}),
        ('hitPolicy="UNIQUE"', 500, {"svar": "stor"}),
        ('hitPolicy="FIRST"', 5, {"svar": "liten"}),
        ('hitPolicy="FIRST"', 50, {"svar": "middels"}),
        ('hitPolicy="ANY"', 500, {"svar": "stor"}),
        ('hitPolicy="RULE ORDER"', 50, [{"svar": "middels"}, {"svar": "stor"}]),
        ('hitPolicy="COLLECT"', 5, [{"svar": "liten"}, {"svar": "middels"}, {"svar": "stor"}]),
    ],
)
def test_a_hit_policy_chooses(policy: str, value: object, expected: object) -> None:
    assert result_of(table(*ROWS, table=policy), sum_kr=value) == expected


def test_unique_allows_one_rule() -> None:
    assert "the rules 1, 2, 3 match at once" in failure(table(*ROWS), sum_kr=5).message


def test_any_wants_the_rules_to_agree() -> None:
    same = ("< 10 -> 'a' | 1", "< 20 -> 'a' | 1", "- -> 'b' | 1")
    assert result_of(table(*same[:2], outputs="x|y", table='hitPolicy="ANY"'), sum_kr=5) == {"x": "a", "y": 1}
    error = failure(table(*same, outputs="x|y", table='hitPolicy="ANY"'), sum_kr=5)
    assert "the rules 1, 2, 3 match with different outputs" in error.message


def test_first_does_not_look_further() -> None:
    assert result_of(table("- -> 1", "1 / 0 -> 2", table='hitPolicy="FIRST"')) == {"svar": 1}


@pytest.mark.parametrize("policy", ["UNIQUE", "FIRST", "ANY"])
def test_without_a_match_there_is_no_result(policy: str) -> None:
    assert result_of(table("1 -> 1", table=f'hitPolicy="{policy}"')) is None


@pytest.mark.parametrize("policy", ["RULE ORDER", "COLLECT"])
def test_without_a_match_the_list_is_empty(policy: str) -> None:
    assert result_of(table("1 -> 1", table=f'hitPolicy="{policy}"')) == []


@pytest.mark.parametrize(
    ("aggregation", "expected", "of_nothing"),
    [("SUM", 6, None), ("MIN", 1, None), ("MAX", 3, None), ("COUNT", 3, 0)],
)
def test_collect_may_aggregate(aggregation: str, expected: object, of_nothing: object) -> None:
    attributes = f'hitPolicy="COLLECT" aggregation="{aggregation}"'
    drawn = table("> 0 -> 1", "> 0 -> 3", "> 0 -> 2", "> 0 -> ", "< 0 -> 9", table=attributes)
    assert result_of(drawn) == expected
    assert result_of(drawn, sum_kr=0) == of_nothing


def test_only_numbers_are_summed() -> None:
    error = failure(table("- -> 'a'", table='hitPolicy="COLLECT" aggregation="SUM"'))
    assert "Regel regel, its result: Expected a number, but got a text" in error.message


def test_a_default_holds_when_no_rule_matches() -> None:
    default = "<defaultOutputEntry><text>'ukjent'</text></defaultOutputEntry>"
    drawn = table("< 10 -> 'liten'", inside_output=default)
    assert result_of(drawn, sum_kr=5) == {"svar": "liten"}
    assert result_of(drawn, sum_kr=50) == {"svar": "ukjent"}


# --- inputs and outputs ---


def test_all_cells_of_a_rule_must_match() -> None:
    drawn = table("> 10 | 'Larvik' -> 1", "> 10 | not('Larvik') -> 2", "- | - -> 3", inputs="sum_kr|kommune",
                  table='hitPolicy="FIRST"')  # fmt: skip
    assert [result_of(drawn, kommune=where) for where in ("Larvik", "Horten")] == [{"svar": 1}, {"svar": 2}]
    assert result_of(drawn, sum_kr=1) == {"svar": 3}


def test_inputs_and_outputs_are_expressions() -> None:
    drawn = table("[10..20] -> working_days_before(ssu, 10) | sum_kr * 2 | true |", inputs="${sum_kr / 5000 + 5}",
                  outputs="frist|dobbelt|ja|intet")  # fmt: skip
    assert result_of(drawn) == {"frist": "2026-11-13", "dobbelt": 100_000, "ja": True, "intet": None}


def test_a_table_without_inputs_always_matches() -> None:
    assert result_of(table(" -> 7", inputs="")) == {"svar": 7}


def test_an_undefined_name_is_told_of_with_its_place() -> None:
    error = failure(table("1 -> 1", inputs="ukjent"))
    assert error.message.startswith("Regel regel, the input ukjent: The name ukjent is not defined (column 1")
    assert isinstance(error.__cause__, UndefinedName)
    assert "rule 1, the output svar: The name ukjent" in failure(table("- -> ukjent")).message


@pytest.mark.parametrize(
    ("type_name", "good", "bad"),
    [
        ("string", "a", 1),
        ("boolean", True, "true"),
        ("number", 1.5, "1"),
        ("double", 1, True),
        ("integer", 3, 1.5),
        ("long", 3, "3"),
        ("date", "2026-11-27", "i morgen"),
        ("feel:string", "a", 1),
        ("Any", [], None),
        ("", [], None),
    ],
)
def test_values_are_of_the_type_that_is_drawn(type_name: str, good: object, bad: object) -> None:
    asked = table("- -> 1", inputs="verdi", input_type=f' typeRef="{type_name}"')
    answered = table("- -> verdi", output_type=f' typeRef="{type_name}"')
    said = literal("verdi", attributes=f' typeRef="{type_name}"')
    for drawn in (asked, answered, said):
        result_of(drawn, verdi=good)
        result_of(drawn, verdi=None)
        if bad is not None:
            failure(drawn, verdi=bad)


def test_a_date_is_compared_as_one_whatever_it_came_as() -> None:
    drawn = table("> date('2026-01-01') -> 1", inputs="frist", input_type=' typeRef="date"')
    assert result_of(drawn) == {"svar": 1}


def test_values_are_among_those_that_are_allowed() -> None:
    allowed = '<inputValues><text>"a","b"</text></inputValues>'
    asked = table("- -> 1", inputs="verdi", inside_input=allowed)
    assert result_of(asked, verdi="a") == result_of(asked, verdi=None) == {"svar": 1}
    assert "not among those that the table allows" in failure(asked, verdi="c").message
    answered = table("- -> verdi", inside_output=allowed.replace("inputValues", "outputValues"))
    assert "not among" in failure(answered, verdi="c").message


# --- literal expressions and requirements ---


def test_a_literal_expression_is_a_decision() -> None:
    assert result_of(literal("sum_kr * 2")) == 100_000
    assert result_of(literal("working_days_before(ssu, 10)")) == "2026-11-13"


def test_required_decisions_are_made_first() -> None:
    drawn = [
        table("'vinter' | > 8 -> 'gryte'", "- | - -> 'salat'", inputs="sesong|gjester", outputs="rett", identity="rett",
              more=requires("sesong", "antall"), table='hitPolicy="FIRST"'),
        table("[4..9] -> 'sommer'", "- -> 'vinter'", inputs="maaned", outputs="s", identity="sesong",
              table='hitPolicy="FIRST"'),
        literal("store + smaa", identity="antall", more='<variable name="gjester" typeRef="number"/>'),
    ]  # fmt: skip
    assert result_of(*drawn, of="rett", maaned=1, store=5, smaa=5) == {"rett": "gryte"}
    assert result_of(*drawn, of="rett", maaned=6, store=5, smaa=5) == {"rett": "salat"}
    decisions = read_decisions(file(*drawn))
    assert decisions["rett"].names_read == {"maaned", "store", "smaa"}
    assert decisions["sesong"].names_read == {"maaned"}


def test_a_required_table_with_several_outputs_is_a_dictionary_and_a_collected_one_a_list() -> None:
    several = table("- -> 1 | 2", outputs="a|b", identity="flere")
    assert result_of(several, literal("flere.a + flere['b']", more=requires("flere"))) == 3
    collected = table("- -> 1", "- -> 2", identity="alle", table='hitPolicy="COLLECT"')
    assert result_of(collected, literal("sum(alle)", more=requires("alle"))) == 3
    counted = table("- -> 1", "- -> 2", identity="antall", table='hitPolicy="COLLECT" aggregation="COUNT"')
    assert result_of(counted, literal("antall", more=requires("antall"))) == 2
    nothing = table("1 -> 1", identity="intet")
    assert result_of(nothing, literal("intet", more=requires("intet"))) is None


def test_only_what_is_required_is_seen() -> None:
    drawn = [literal("1", "a"), literal("2", "b", more=requires("a")), literal("a", "c", more=requires("b"))]
    assert "The name a is not defined" in str(failure(*drawn, literal("c", more=requires("c"))))


def test_what_many_require_is_decided_once() -> None:
    """Fibonacci's numbers, drawn: decided again for each that requires them, it would be millions of decisions."""
    drawn = [literal("1", "a0"), literal("1", "b0")]
    for n in range(1, 31):
        drawn.append(literal(f"a{n - 1} + b{n - 1}", f"a{n}", more=requires(f"a{n - 1}", f"b{n - 1}")))
        drawn.append(literal(f"a{n - 1}", f"b{n}", more=requires(f"a{n - 1}")))
    assert result_of(*drawn, of="a30") == 2_178_309


@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        ([literal("a", "a", more=requires("a"))], "require each other: a, a"),
        ([literal("b", "a", more=requires("b")), literal("a", "b", more=requires("a"))], "require each other"),
        ([literal("b", "a", more=requires("b"))], "'b', which is not in the file"),
        ([literal("1", more='<informationRequirement><requiredDecision href="x.dmn#a"/></informationRequirement>')]
            , "in another file"),
    ],
)  # fmt: skip
def test_requirements_lead_somewhere_and_not_in_circles(drawn: list[str], words: str) -> None:
    assert any(words in each.message for each in findings(*drawn))


# --- files ---


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_every_version_of_dmn_is_read(namespace: str) -> None:
    decision = read_decisions(file(table("- -> 1"), namespace=namespace))["regel"]
    assert decide(decision, SCOPE, CALENDAR) == {"svar": 1}


def test_a_file_as_modelers_save_it_is_read() -> None:
    xml = Path(__file__).with_name("decision.dmn")
    decisions = read_decisions(xml.read_bytes())
    assert sorted(decisions) == ["saksgang", "storrelse"]
    assert decisions["saksgang"].names_read == {"beloep", "haster"}
    assert decide(decisions["saksgang"], {"beloep": 2_000_000, "haster": False}, CALENDAR) == {
        "organ": "kommunestyret",
        "dager": 21,
    }
    assert decide(decisions["saksgang"], {"beloep": 100, "haster": True}, CALENDAR) == {
        "organ": "rådmannen",
        "dager": 2,
    }


@pytest.mark.parametrize(
    ("drawn", "words", "element"),
    [
        (table("- -> 1", table='hitPolicy="PRIORITY"'), "hit policy PRIORITY does not run", "regel_t"),
        (table("- -> 1", table='hitPolicy="OUTPUT ORDER"'), "hit policy OUTPUT ORDER does not run", "regel_t"),
        (table("- -> 1", table='hitPolicy="unique"'), "hit policy unique does not run", "regel_t"),
        (table("- -> 1", table='hitPolicy="FIRST" aggregation="SUM"'), "aggregation SUM does not run here", "regel_t"),
        (table("- -> 1", table='hitPolicy="COLLECT" aggregation="AVG"'), "aggregation AVG", "regel_t"),
        (table("- -> 1|2", outputs="a|b", table='hitPolicy="COLLECT" aggregation="SUM"'), "one output", "regel_t"),
        (table("- -> 1", table='hitPolicy="COLLECT"', inside_output="<defaultOutputEntry><text>1</text>"
            "</defaultOutputEntry>"), "default output does not run", "regel_t"),
        (table("- -> 1|2", outputs="a|a"), "names of their own", "regel_t"),
        (table("-", outputs=""), "names of their own", "regel_t"),
        (table("- | - -> 1"), "Rule 1 has 2 and 1 cells for 1 inputs and 1 outputs", "regel_t"),
        (table("- -> 1", inputs=" "), "the input's expression: The expression is empty", "regel_i0"),
        (table("- -> 1 +"), "rule 1, output 1: Not a valid expression", "regel_t"),
        (table("- -> ?"), "rule 1, output 1: Unexpected character '?'", "regel_t"),
        (table("- -> 1", inputs="a = 1"), "values are compared with ==", "regel_i0"),
        (table("- -> 1", input_type=' typeRef="tTidspunkt"'), "type tTidspunkt is not understood", "regel_i0"),
        (table("- -> 1", output_type=' typeRef="dateTime"'), "type dateTime is not understood", "regel_o0"),
        (table("- -> 1", input_type=' expressionLanguage="groovy"'), "language groovy is not understood", "regel_i0"),
        (table("- -> 1", inside_input="<inputValues><text>eval(1)</text></inputValues>"), "function eval", "regel_i0"),
        (literal("().__class__"), "the expression: The name __class__", "regel"),
        (literal("1", attributes=' typeRef="x"'), "type x is not understood", "regel"),
        (literal("1") + literal("1"), "id regel is used more than once", "regel"),
        ('<decision id="tom" name="Tom"/>', "0 tables and expressions", "tom"),
        ('<decision name="Uten id"><literalExpression><text>1</text></literalExpression></decision>', "no id", "file"),
        (literal("1") + "<businessKnowledgeModel id='b'/>", "businessKnowledgeModel in definitions does not run", "b"),
        (literal("1") + "<decisionService id='s'/>", "decisionService in definitions does not run", "s"),
        (literal("1") + "<import id='i'/>", "import in definitions does not run", "i"),
        (literal("1", more="<context id='c'/>"), "context in decision does not run", "c"),
        (literal("1", more="<invocation id='v'/>"), "invocation in decision does not run", "v"),
        (literal("1", more="<knowledgeRequirement id='k'/>"), "knowledgeRequirement in decision does not run", "k"),
        ("", "no decision", "file"),
    ],
)  # fmt: skip
def test_what_does_not_run_is_refused_with_its_place(drawn: str, words: str, element: str) -> None:
    found = next(each for each in findings(drawn) if words in each.message)
    assert (found.rule, found.element) == ("dmn", element)
    assert found.line is not None and found.line > 1


def test_what_documents_is_read_over() -> None:
    documents = '<inputData id="d" name="Data"><variable name="x"/></inputData><itemDefinition name="t"/>'
    noted = literal("sum_kr <!-- ikke -->+ 1".replace("<", "<"), more="<description>Hvorfor</description><question/>")
    noted = noted.replace("&lt;!--", "<!--")
    assert result_of(documents + noted) == 50_001


def test_all_that_is_wrong_is_told_at_once_but_not_without_end() -> None:
    found = findings(table(*["eval(1) -> eval(2)"] * 200))
    assert len(found) == 100
    assert {each.message[:13] for each in found} >= {"rule 1, input", "rule 2, outpu"}


def test_a_file_in_another_language_is_refused() -> None:
    assert findings(attributes='expressionLanguage="javascript"')[0].message
    found = findings(literal("1"), attributes='expressionLanguage="http://www.w3.org/1999/XPath"')
    assert "XPath is not understood" in only(found).message
    feel = file(literal("1"), attributes='expressionLanguage="https://www.omg.org/spec/DMN/20191111/FEEL/"')
    assert decide(read_decisions(feel)["regel"], {}, CALENDAR) == 1


@pytest.mark.parametrize(
    ("xml", "rule"),
    [
        (b"", "xml"),
        (b"<", "xml"),
        (b"\x00\xff", "encoding"),
        (b"<definitions/>", "dmn"),
        (b'<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"/>', "dmn"),
        (b'<x xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/"/>', "dmn"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><definitions>&b;</definitions>', "doctype"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><definitions/>', "doctype"),
        (b"<definitions>&unknown;</definitions>", "xml"),
        (b"<a>" * 100_000, "xml"),
        (b" " * 5_000_001, "size"),
        ('<?xml version="1.0" encoding="UTF-16"?><definitions/>'.encode("utf-16"), "encoding"),
        (file(table("- -> 1"))[:-40], "xml"),
    ],
)
def test_any_other_file_is_refused(xml: bytes, rule: str) -> None:
    assert findings(xml=xml)[0].rule == rule


def test_tables_are_not_larger_than_they_can_be_read() -> None:
    for drawn in (
        table(*["- -> 1"] * 1001),
        table("- -> 1", inputs="|".join(["sum_kr"] * 51)),
        "".join(table(*["- -> 1"] * 999, identity=f"t{number}") for number in range(6)),
    ):
        assert "The table is larger than" in findings(drawn)[0].message
    assert "more than 100 decisions" in findings(*(literal("1", f"d{n}") for n in range(101)))[0].message


def test_a_large_table_is_read_and_decided_within_seconds() -> None:
    begun = time.process_time()
    rows = [f"[{n}..{n + 1}[ | not('a','b') | contains(?, 'x') | - -> {n}" for n in range(1000)]
    drawn = table(*rows, inputs="sum_kr|kommune|kommune|haster")
    assert result_of(drawn, sum_kr=999, kommune="x") == {"svar": 999}
    assert time.process_time() - begun < 10


def test_a_decision_costs_no_more_than_it_may() -> None:
    rows = [f"sum(liste) + {n} -> 1" for n in range(900)]
    error = failure(table(*rows), liste=[1] * 9_000)
    assert "The decision needs more than 100000 steps" in error.message
    values = [f"- -> '{'a' * 1900}' * 5" for _ in range(999)]
    assert "more than 1000000 characters" in failure(table(*values, table='hitPolicy="COLLECT"')).message


# --- any cell, any file ---

word = st.sampled_from(
    [
        "-",
        "?",
        '"a"',
        "'b'",
        "1",
        "2.5",
        "..",
        "[",
        "]",
        "(",
        ")",
        "not(",
        "not",
        "<",
        "<=",
        "=",
        "!=",
        ",",
        " ",
        "true",
    ]
    + [
        "null",
        "sum_kr",
        "kommune",
        "contains(",
        "and",
        "or",
        "+",
        ".",
        "date(",
        "${",
        "}",
        "{",
        '"',
        "'",
        "lambda",
        ";",
    ]
    + ["ʔ", "__class__", "\n", "ſ", "\x00"]
)
values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.lists(st.integers())


@settings(max_examples=600)
@given(st.lists(word, max_size=12).map("".join) | st.text(), values)
@example("ʔ", 1)
@example("[1..2)..3]", 1)
@example("not(1)..2", 1)
def test_any_cell_decides_or_is_refused(source: str, value: object) -> None:
    try:
        cell = read_cell(source)
    except ExpressionError as error:
        assert 1 <= error.column <= len(source) + 1
        return
    assert not cell.names & {"?", "ʔ"}
    drawn = read_decisions(file(table("1 -> 1", inputs="verdi")))["regel"]
    (node,) = drawn.nodes
    assert isinstance(node.logic, Table)
    rule = replace(node.logic.rules[0], cells=(cell,))
    asking = replace(drawn, nodes=(replace(node, logic=replace(node.logic, rules=(rule,))),))
    try:
        assert decide(asking, SCOPE | {"verdi": value}, CALENDAR) in (None, {"svar": 1})
    except DecisionError as error:
        assert "Regel regel" in error.message


pieces = st.sampled_from(
    [
        "<decision id='a'>",
        "</decision>",
        "<decisionTable>",
        "</decisionTable>",
        "<input>",
        "</input>",
        "<output name='o'/>",
    ]
    + ["<inputExpression>", "</inputExpression>", "<text>", "</text>", "1", "<rule>", "</rule>", "<inputEntry>", "&lt;"]
    + ["</inputEntry>", "<outputEntry/>", "<literalExpression/>", "<!-- x -->", "<?x y?>", "<variable name='a b'/>"]
    + ["<informationRequirement><requiredDecision href='#a'/></informationRequirement>", "<informationRequirement/>"]
    + ["<x:y xmlns:x='z'/>", "<![CDATA[<]]>", "<literalExpression><text>1</text></literalExpression>", "\x01"]
)


@settings(max_examples=400)
@given(st.lists(pieces, max_size=14).map("".join))
def test_any_file_is_read_or_refused(inside: str) -> None:
    try:
        decisions = read_decisions(file(inside))
    except ModelRefused as refused:
        assert refused.findings
        return
    for decision in decisions.values():
        decide(decision, SCOPE, CALENDAR)


@settings(max_examples=200)
@given(st.integers(0, 3000), st.integers(0, 255), st.booleans())
def test_a_damaged_file_is_read_or_refused(place: int, byte: int, cut: bool) -> None:
    whole = (Path(__file__).with_name("decision.dmn")).read_bytes()
    damaged = whole[:place] if cut else whole[:place] + bytes([byte]) + whole[place + 1 :]
    try:
        read_decisions(damaged)
    except ModelRefused as refused:
        assert refused.findings
