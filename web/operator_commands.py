"""`avtaleflyt doctor`: for whoever looks after an installation."""

from dataclasses import asdict

import click

from engine.clock import utc_now
from web import doctor
from web.cli_parts import json_option, show
from web.doctor import Finding

_MARKS = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}


@click.command("doctor")
@json_option
@click.pass_context
def examine(ctx: click.Context, as_json: bool) -> None:
    """Say what is wrong with this installation and how to mend it; exit 1 when something is."""
    found = doctor.examine(ctx.obj, utc_now)
    well = doctor.is_well(found)
    show({"ok": well, "findings": [asdict(f) for f in found]}, as_json, lambda: _text(found))
    ctx.exit(0 if well else 1)


def _text(found: list[Finding]) -> str:
    lines = [f"{_MARKS[f.state]}  {f.says}" + (f"\n         → {f.remedy}" if f.remedy else "") for f in found]
    errors, warnings = (sum(f.state == state for f in found) for state in ("error", "warning"))
    return "\n".join([*lines, f"{errors} to mend, {warnings} to look at." if errors or warnings else "All is well."])
