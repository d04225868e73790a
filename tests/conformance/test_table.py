"""The table in docs/reference/bpmn.md is what the families give."""

import re
from importlib import import_module
from pathlib import Path

from engine.bpmn.lint import RUNS
from tests.conformance import table

HERE = Path(__file__).parent
#: Prove something about the engine as a whole, not about one row.
_NO_FAMILIES = {"test_dialects", "test_isolation", "test_loops", "test_random_models", "test_table"}


def test_the_committed_table_is_what_the_families_give() -> None:
    page = table.PAGE.read_text()
    assert page == table.with_table(page), "run make conformance"


def test_no_class_of_tests_is_without_a_row_and_no_row_without_tests() -> None:
    assert {path.stem for path in HERE.glob("test_*.py")} == {*table.MODULES, *_NO_FAMILIES}
    for module in table.MODULES:
        classes = [c for c in vars(import_module(f"tests.conformance.{module}")).values() if isinstance(c, type)]
        assert [c for c in classes if c.__name__.startswith("Test") and not hasattr(c, "row")] == []
    for _, found, _ in table.families():
        assert [name for name in vars(found) if name.startswith("test_")], found


def test_no_two_rows_say_the_same() -> None:
    rows = [(row.element, row.where) for _, _, row in table.families()]
    assert len(rows) == len(set(rows))


def test_every_element_that_the_gate_lets_run_has_a_row() -> None:
    told = {_plain(row.element) for _, _, row in table.families() if row.runs}
    events = {"startEvent", "endEvent", "intermediateCatchEvent", "intermediateThrowEvent", "boundaryEvent"}
    missing = {kind for kind in RUNS - events if not any(_words(kind) <= _words_of(text) for text in told)}
    assert missing == set()


def _plain(text: str) -> str:
    return text.lower().replace("-", " ")


def _words(kind: str) -> set[str]:
    words = {word.lower() for word in re.findall("[A-Z]?[a-z]+", kind)}
    return words - {"based", "event"} if "gateway" in words else words


def _words_of(text: str) -> set[str]:
    return set(re.findall("[a-z]+", text))
