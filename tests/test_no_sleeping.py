"""Never a sleep in a request: the code waits for nothing but the database, except where a file runs processes."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("engine", "agreements", "notifications", "web")
#: The files that run processes, their clocks and what wakes those: they wait in threads of their own.
RUN_PROCESSES = frozenset({"web/running.py", "engine/scheduling.py", "engine/dispatching.py"})
#: Methods that stand still until somebody else does something.
WAITS = ("wait", "wait_for")


def sleeps(source: str) -> list[int]:
    """The lines where something sleeps, or waits for another thread or process."""
    return [node.lineno for node in ast.walk(ast.parse(source)) if _sleeps(node)]


def _sleeps(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return any(name.name == "sleep" for name in node.names)
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name == "sleep" or (isinstance(function, ast.Attribute) and name in WAITS)


def files() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def test_nothing_sleeps_but_what_runs_processes() -> None:
    found = {str(path.relative_to(ROOT)): sleeps(path.read_text()) for path in files()}
    assert {name: lines for name, lines in found.items() if lines and name not in RUN_PROCESSES} == {}
    assert all(found[name] for name in RUN_PROCESSES), "a file that is listed waits for nothing any more"


@pytest.mark.parametrize(
    "source",
    ["import time\ntime.sleep(1)", "from time import sleep", "Event().wait(timeout=2)", "self._stopped.wait(0.1)",
     "select(pg.sleep(1))", "await asyncio.sleep(0)", "condition.wait_for(ready, 3)"],
)  # fmt: skip
def test_every_way_to_sleep_is_seen(source: str) -> None:
    assert sleeps(source) != []


def test_what_does_not_wait_is_let_be() -> None:
    assert sleeps("wait = 3\nwaiting(wait)\nexecution.waiting()\nthread.join()") == []
