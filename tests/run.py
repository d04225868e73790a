"""Runs everything that must hold: `python -m tests.run`, or only style, types and import rules with `--check`.

Ends with a table of what each suite took, and with pytest's own summary as the last line.
"""

import argparse
import os
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
REPORT = ROOT / ".pytest_cache" / "report.xml"
#: The whole run should take less than this on two cores, in seconds; the limit is ten minutes.
BUDGET_SECONDS = 500


@dataclass(frozen=True)
class Check:
    """One command that must succeed."""

    name: str
    command: tuple[str, ...]


CHECKS = (
    Check("ruff check", ("ruff", "check", ".")),
    Check("ruff format", ("ruff", "format", "--check", ".")),
    Check("mypy", ("mypy",)),
    Check("import rules", ("lint-imports",)),
)


def main() -> int:
    """Run the checks and the tests beside each other; answers the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.run", description=__doc__)
    parser.add_argument("--check", action="store_true", help="style, types and import rules only")
    parser.add_argument("pytest", nargs="*", help="further arguments for pytest, after --")
    options = parser.parse_args()
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        # The tests need not wait: types take one core only.
        checked = pool.map(_run, CHECKS)
        code, summary = (0, "") if options.check else _pytest(options.pytest)
        results = dict(zip((check.name for check in CHECKS), checked, strict=True))
    failed = [name for name, (_, exit_code) in results.items() if exit_code != 0]
    table = [(name, taken) for name, (taken, _) in results.items()]
    if options.check:
        _print_table(table, time.monotonic() - began)
        print(f"failed: {', '.join(failed)}" if failed else "all checks hold")
        return 1 if failed else 0
    _print_table([*table, *_suites()], time.monotonic() - began)
    if failed:
        print(f"failed beside the tests: {', '.join(failed)}")
    print(summary)
    return code or (1 if failed else 0)


def _run(check: Check) -> tuple[float, int]:
    """Seconds taken, and the exit code; what it said is shown only when it failed."""
    began = time.monotonic()
    done = subprocess.run(
        [str(BIN / check.command[0]), *check.command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    print(f"{'ok  ' if done.returncode == 0 else 'FAIL'} {check.name}", flush=True)
    if done.returncode != 0:
        print(done.stdout + done.stderr, flush=True)
    return time.monotonic() - began, done.returncode


def _pytest(arguments: list[str]) -> tuple[int, str]:
    """Run pytest on two processes, showing what it says; answers its exit code and its last line."""
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.unlink(missing_ok=True)
    command = [
        sys.executable, "-m", "pytest", "-n", "2", "--dist", "worksteal", "-q", f"--junit-xml={REPORT}", *arguments,
    ]  # fmt: skip
    # Some tests start the program again and again: it is compiled once.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    last = "pytest said nothing"
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip():
                last = line.strip()
            print(line, end="", flush=True)
    return process.returncode, last


def _suites() -> list[tuple[str, float]]:
    """Seconds that the tests of each folder took, added up over the processes."""
    if not REPORT.exists():
        return []
    seconds: dict[str, float] = defaultdict(float)
    # The report is written by our own pytest a moment ago.
    for case in ElementTree.parse(REPORT).iter("testcase"):
        parts = case.get("classname", "").split(".")
        seconds["/".join(parts[:2])] += float(case.get("time", 0))
    return sorted(seconds.items())


def _print_table(rows: list[tuple[str, float]], total: float) -> None:
    width = max(len(name) for name, _ in rows)
    print(f"\n{'suite'.ljust(width)}  seconds")
    for name, seconds in rows:
        print(f"{name.ljust(width)}  {seconds:7.1f}")
    print(f"{'whole run'.ljust(width)}  {total:7.1f}  (budget {BUDGET_SECONDS})")


if __name__ == "__main__":
    sys.exit(main())
