"""`avtaleflyt check`, `backup` and `restore`: what an operator does to know that nothing is lost, and to keep it so."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

import click

from engine import checks
from engine.checks import Fault
from engine.clock import utc_now
from engine.errors import InvalidInput
from notifications import checks as mail_checks
from web import backup as backups
from web import restoring
from web.backup import Contents
from web.cli_parts import json_option, services, show
from web.restoring import Restored
from web.services import Services

#: More faults than this are not listed: the first ones tell what happened.
MOST_FAULTS = 1_000


@click.command()
@click.option("--ended", is_flag=True, help="Prove too that every case has ended and nothing is left to do.")
@json_option
@click.pass_context
def check(ctx: click.Context, ended: bool, as_json: bool) -> None:
    """Prove that nothing is lost or doubled; exit 1 when something is."""
    served = services(ctx)
    now = served.clock()
    found = list(islice(chain(_faults(served, now), _unended(served) if ended else ()), MOST_FAULTS))
    with served.database.reading() as session:
        worked, waiting = checks.last_work(session), checks.overdue(session, now=now)
        mails = mail_checks.due(session, now=now)
    document = {
        "faults": [asdict(fault) for fault in found], "last_work": worked.isoformat() if worked else None,
        "overdue": {**asdict(waiting), "mails": mails},
    }  # fmt: skip
    show(document, as_json, lambda: "\n".join([*map(_line, found), *_summary(document)]))
    ctx.exit(1 if found else 0)


def _faults(served: Services, now: datetime) -> Iterator[Fault]:
    with served.database.snapshot() as session:
        yield from mail_checks.faults(session, worked=checks.last_work(session))
    yield from checks.faults(served.database, now=now)


def _unended(served: Services) -> Iterator[Fault]:
    with served.database.snapshot() as session:
        yield from checks.unended(session)
        yield from mail_checks.unended(session)


def _line(fault: Fault) -> str:
    return f"{f'case {fault.case}: ' if fault.case else ''}{fault.what} [{fault.rule}]\n    {fault.remedy}"


def _summary(document: dict[str, Any]) -> Iterator[str]:
    if len(document["faults"]) >= MOST_FAULTS:
        yield f"Stopped after {MOST_FAULTS} faults."
    elif not document["faults"]:
        yield "Everything holds."
    waiting = ", ".join(f"{what} {count}" for what, count in document["overdue"].items() if count)
    if waiting:
        last = f"last worked at {document['last_work']}" if document["last_work"] else "has never worked"
        yield f"Due now: {waiting}. A worker {last}."


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@click.pass_context
def backup(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Write everything in the database into one new file, while the system runs."""
    served = services(ctx)
    contents = backups.write(served.database, file, now=served.clock())
    document = {**_said(contents), "file": str(file), "bytes": file.stat().st_size}
    show(document, as_json, lambda: f"Wrote {contents.total} rows into {file} ({document['bytes']} bytes).")


def _said(contents: Contents) -> dict[str, Any]:
    return {"schema": contents.schema, "taken_at": contents.taken_at.isoformat(), "rows": contents.total}


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Lose what the database holds now.")
@click.option("--stopped", metavar="MOMENT", help="When the old system stopped sending mails; default: now.")
@json_option
@click.pass_context
def restore(ctx: click.Context, file: Path, replace: bool, stopped: str | None, as_json: bool) -> None:
    """Let the database be what a back-up holds. Stop the system first.

    Mails that may have left after the back-up are not sent again: they become uncertain, and a person decides.
    """
    now = utc_now()  # the demo's clock asks a database that may not have a table yet
    moment = _moment(stopped) if stopped else now
    restored = restoring.restore(services(ctx).database, file, now=now, stopped=moment, replace=replace)
    document = {
        **_said(restored.contents), "overdue": {**asdict(restored.overdue), "mails": restored.mails_due},
        "overdue_cases": [{"id": case, "since": since.isoformat()} for case, since in restored.cases],
        "tasks_overdue": restored.tasks_overdue, "mails_uncertain": restored.mails_uncertain,
    }  # fmt: skip
    show(document, as_json, lambda: "\n".join(_told(restored)))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput(f"--stopped is no moment: {text!r}. Write it with its zone, as 2026-11-27T14:00+01:00.")
    return moment


def _told(restored: Restored) -> Iterator[str]:
    overdue, contents = restored.overdue, restored.contents
    yield f"Restored {contents.total} rows as they were at {contents.taken_at.isoformat()}."
    if overdue.timers or overdue.starts:
        yield f"Overdue: {overdue.timers} cases with timers and {overdue.starts} starts. A worker does them at once."
    for case, since in restored.cases:
        yield f"  case {case}, since {since.isoformat()}"
    if overdue.timers > len(restored.cases):
        yield f"  and {overdue.timers - len(restored.cases)} cases more"
    if restored.tasks_overdue:
        yield f"{restored.tasks_overdue} open tasks are past their due date. People may still answer them."
    if restored.mails_due:
        yield f"{restored.mails_due} mails are due and leave as soon as a worker runs."
    if restored.mails_uncertain:
        yield (
            f"{restored.mails_uncertain} mails may have left after the back-up and are not sent again: they are "
            "uncertain, see `avtaleflyt deliveries`."
        )
    yield "Now run `avtaleflyt check`."
