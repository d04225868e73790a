"""What the import gate says is said in Bokmål: every sentence of it is known."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.bpmn.expressions import ExpressionError, parse
from engine.bpmn.scripts import parse_script
from engine.bpmn.timers import TimerError, parse_cycle, parse_date, parse_duration
from engine.calendar import Calendar
from web.pages import model_sentences

ENGINE = Path(__file__).parents[2] / "engine"
#: Their messages come from the languages of expressions and times, which are tested with what people may write.
ELSEWHERE = {"*: *", "*"}


def sentences(files: Iterator[Path], function: str, position: int) -> set[str]:
    """The texts that the files give `function` at that place, with `*` for what is computed."""
    found = set()
    for file in files:
        for scope in ast.walk(ast.parse(file.read_text())):
            if not isinstance(scope, ast.FunctionDef):
                continue
            named: dict[str, list[ast.expr]] = {}
            for node in ast.walk(scope):
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    named.setdefault(node.targets[0].id, []).append(node.value)
            for call in ast.walk(scope):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == function:
                    given = call.args[position]
                    for value in named.get(given.id, []) if isinstance(given, ast.Name) else [given]:
                        found.add(_as_text(value))
    return found - ELSEWHERE


def _as_text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
    return "*"


def filled(sentence: str) -> str:
    """The sentence with something in its empty places."""
    return sentence.replace("*", "noe")


def test_every_sentence_of_the_gate_is_said_in_bokmal() -> None:
    said = sentences((ENGINE / "bpmn").glob("lint_*.py"), "finding", 2)
    said |= sentences((ENGINE / "bpmn").glob("*.py"), "refusal", 2)
    assert len(said) > 90
    unknown = [s for s in sorted(said) if model_sentences.sentence(filled(s)) is None]
    assert unknown == []


def test_a_sentence_says_what_it_is_about() -> None:
    assert model_sentences.sentence("There is no group au2.") == (
        "Gruppen au2 finnes ikke.",
        "Velg en gruppe som finnes.",
    )
    assert model_sentences.sentence("camunda:dueDate: nothing sets metting.") == (
        "Fristen: ingenting gir «metting» en verdi.",
        "Rett navnet, eller la et skjema spørre om det.",
    )
    assert model_sentences.sentence("error does not run as the start of a process.") == (
        "Hendelsen (feil) kan ikke stå her, som start av en prosess.",
        "Velg en annen type.",
    )
    assert model_sentences.sentence("loopMaximum is 'x'.") == (
        "loopMaximum har verdien 'x', som ikke kan brukes.",
        "Rett verdien, eller fjern den.",
    )


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("${working_days_before(ssu, 2) +}", "det slutter for tidlig"),
        ("${a = 1}", "verdier sammenlignes med =="),
        ("${working_day(ssu)}", "funksjonen working_day finnes ikke"),
        ("${working_days_before(ssu)}", "working_days_before får for få verdier"),
        ("${ssu.isoformat()}", "bare funksjoner kan kalles, med navnet alene"),
        ("${{1, 2}}", "dette er ikke med i uttrykksspråket"),
        ("${lambda: 1}", "ordet lambda kan ikke brukes"),
        ("${__import__}", "navnet __import__ kan ikke begynne med __"),
        ("${2 ** 3}", "regnetegnet ** kan ikke brukes"),
        ("${'åpen}", "en tekst mangler anførselstegn på slutten"),
        ("${a @ b}", "tegnet '@' kan ikke stå her"),
        ("${1_000}", "tallet er skrevet feil; skriv for eksempel 12 eller 0.5"),
        ("${}", "det er tomt"),
        ("${a b}", "det er skrevet feil"),
    ],
)
def test_what_is_wrong_with_an_expression_is_said_with_its_place(written: str, said: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        parse(written)
    text, remedy = model_sentences.sentence(f"camunda:dueDate: {refused.value}") or ("", "")
    assert text == f"Fristen: {said} (tegn {refused.value.column})."
    assert remedy == "Se eksemplene ved feltet."


def test_what_is_wrong_with_a_script_is_said_with_its_line() -> None:
    with pytest.raises(ExpressionError) as refused:
        parse_script("a = 1\nfor x in y:\n  pass\n")
    text, _remedy = model_sentences.sentence(f"script: {refused.value}") or ("", "")
    assert text == "Skriptet: ordet for kan ikke brukes (linje 2, tegn 1)."


@pytest.mark.parametrize(
    "written",
    [
        "2026-13-40",
        "i morgen",
        "-P1D",
        "P1000Y",
        "PX",
        "R0/P1D",
        "R/PX",
        "R/PT0.1S",
        "0 9 31 2 *",
        "99 9 * * *",
        "x y z",
    ],
)
def test_what_is_wrong_with_a_time_is_said(written: str) -> None:
    refused = 0
    for read in (lambda t: parse_date(t, Calendar()), parse_duration, lambda t: parse_cycle(t, Calendar())):
        try:
            read(written)
        except TimerError as error:
            refused += 1
            assert model_sentences.sentence(error.message.removesuffix(error.remedy).strip()) is not None, error.message
    assert refused


def test_every_sentence_about_a_form_is_said_in_bokmal() -> None:
    said = sentences(ENGINE.glob("form*.py"), "FormError", 0) | sentences(
        iter([ENGINE / "drafts.py"]), "InvalidInput", 0
    )
    assert len(said) > 20
    for sentence in said:
        assert not set(model_sentences.of_form(filled(sentence)).split()) & {"the", "is", "a", "must", "has", "form"}


def test_a_form_of_a_finding_is_said_with_its_key() -> None:
    said = model_sentences.sentence("The form svar can't be used: felt: unknown component type 'x'.")
    assert said == ("Skjemaet svar kan ikke brukes. «felt» har en type som ikke finnes: 'x'.", "Rett skjemaet.")
