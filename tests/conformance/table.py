"""The table of docs/reference/bpmn.md, made from the families. `python -m tests.conformance.table` writes it."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from tests.conformance.families import Row

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "bpmn.md"
BEGIN, END = "<!-- made by: make conformance -->", "<!-- end of what is made -->"
#: Modules with families, in the order of the table.
MODULES = (
    "test_tasks", "test_gateways", "test_start_and_end_events", "test_intermediate_events", "test_boundary_events",
    "test_scopes", "test_event_sub_processes", "test_markers", "test_collaborations", "test_refused",
)  # fmt: skip
_HEAD = "| Element | Where | Meaning | | Tests |\n|---|---|---|---|---|\n"


def families() -> Iterator[tuple[str, type, Row]]:
    """Every family: its module, class and row."""
    for name in MODULES:
        module = import_module(f"tests.conformance.{name}")
        for found in vars(module).values():
            if isinstance(found, type) and found.__module__ == module.__name__ and hasattr(found, "row"):
                yield name, found, found.row


def table() -> str:
    """The rows as Markdown."""
    return _HEAD + "".join(
        f"| {row.element} | {row.where} | {row.meaning} | {'runs' if row.runs else '**refused**'} | "
        f"[{cls.__name__}](../../tests/conformance/{module}.py) |\n"
        for module, cls, row in families()
    )


def with_table(page: str) -> str:
    """The page with the table as the families give it."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
