"""`avtaleflyt rehearse`: a whole case lived in advance, told event by event; nothing is written."""

import json
from datetime import date, time
from pathlib import Path
from typing import Any

import click

from agreements import starting
from engine import identity
from engine.errors import InvalidInput
from web import commands, rehearsal_scenarios, rehearsals
from web.cli_parts import json_option, services, show


@click.command()
@click.argument("process")
@click.option("--meeting", "meetings", multiple=True, metavar="NAME=DATE", help="Such as ssu=2026-11-27.")
@click.option("--party", "parties", multiple=True, metavar="KEY", help="Only these parties; default all.")
@click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="A value of the start form.")
@click.option("--role", "roles", multiple=True, metavar="ROLE=GROUP", help="Bind a role to a group.")
@click.option("--agreement", help="Key of the agreement it is about.")
@click.option("--today", help="Start it on this day, at eight.")
@click.option("--scenario", "file", metavar="FILE", help="JSON: what differs from everyone answering in time.")
@json_option
@click.pass_context
def rehearse(
    ctx: click.Context, process: str, meetings: tuple[str, ...], parties: tuple[str, ...], values: tuple[str, ...],
    roles: tuple[str, ...], agreement: str | None, today: str | None, file: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Live a whole case in advance: who is asked and told what, and when; changes nothing."""
    served = services(ctx)
    document = _scenario(file)
    days = {key: _day(value, f"--meeting {key}") for key, value in _pairs(meetings, "--meeting").items()}
    wanted = commands.request(
        process, days, parties, _pairs(roles, "--role"), dict(_pairs(values, "--set")), agreement=agreement
    )
    with commands.planning_session(served, ctx.obj) as (session, community, now):
        if today is not None:
            now = identity.calendar_of(community).at(_day(today, "--today"), time(8))
        prepared = starting.prepare(session, community, wanted, now=now)
        known = rehearsal_scenarios.known_of_start(session, prepared.definition, prepared.data)
        lived = rehearsals.of_start(
            session, prepared, now=now, settings=served.notifications,
            scenario=rehearsal_scenarios.scenario(rehearsal_scenarios.read(document, known), known),
        )  # fmt: skip
    zone = identity.calendar_of(community).zone
    events = [
        {
            "at": e.at.astimezone(zone).isoformat(timespec="minutes"), "kind": e.kind, "element": e.element,
            "round": e.round, "who": e.who, "subject": e.subject,
        }
        for e in lived.events
    ]  # fmt: skip
    show({"events": events, "stopped": lived.stopped}, as_json, lambda: _text(events, lived.stopped, lived.stands_at))


def _text(events: list[dict[str, Any]], stopped: str, stands_at: tuple[str, ...]) -> str:
    lines = [f"{e['at'][:16].replace('T', ' ')}  {e['kind']:11}  {e['subject'][:70]}{_to(e)}" for e in events]
    if stopped:
        lines.append(f"It stops: {stopped}")
    elif stands_at:
        lines.append(f"It stands at: {', '.join(stands_at)}")
    return "\n".join(lines)


def _to(event: dict[str, Any]) -> str:
    return f"  ({event['who']})" if event["who"] else ""


def _scenario(file: str | None) -> Any:
    if file is None:
        return {}
    try:
        return json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"--scenario can't be read: {error}. Give a file with a JSON object.") from None


def _pairs(texts: tuple[str, ...], what: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for (key, sign, _value), text in zip(pairs, texts, strict=True):
        if not sign or not key:
            raise click.UsageError(f"{what} takes NAME=VALUE, not {text!r}.")
    return {key: value for key, _sign, value in pairs}


def _day(text: str, what: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{what} is no date: {text!r}. Write it as 2026-11-27.") from None
