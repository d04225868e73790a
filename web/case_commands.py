"""`avtaleflyt case …`: what one does with a case that is to rest, stands, or stands wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import identity, taking_back
from engine.errors import InvalidInput, NotFound
from engine.identity import Person
from engine.model import Community, UserTask
from web import acts, commands, values
from web.cli_parts import community_of, json_option, services, show

_reason = click.option("--reason", required=True, help="Why; kept in the history.")
_user = click.option("--user", "user_key", help="Who does it: must own the case. Default: the operator.")


@click.group()
def case() -> None:
    """Suspend, resume, reopen, mend and move cases, and ask more or fewer."""


@contextmanager
def _acting(ctx: click.Context, user_key: str | None) -> Iterator[tuple[Session, Community, Person | None, datetime]]:
    """One unit of work, by that person or by the operator."""
    served = services(ctx)
    with served.database.transaction() as session:
        community = community_of(session, ctx.obj)
        actor = identity.person(session, identity.user(session, community.id, user_key)) if user_key else None
        yield session, community, actor, served.clock()


def _state(document: dict[str, Any], as_json: bool) -> None:
    show(document, as_json, lambda: f"{document['id']} is {document['state']}.")


def _task(session: Session, community: Community, public_id: str) -> UserTask:
    found = session.scalar(
        select(UserTask).where(UserTask.public_id == public_id, UserTask.community_id == community.id)
    )
    if found is None:
        raise NotFound(f"There is no task {public_id}. `avtaleflyt tasks` lists the open ones.")
    return found


# --- the whole case ---------------------------------------------------------------------------------------------------


@case.command()
@click.argument("instance_id", metavar="ID")
@_reason
@_user
@json_option
@click.pass_context
def suspend(ctx: click.Context, instance_id: str, reason: str, user_key: str | None, as_json: bool) -> None:
    """Put a case on hold: no timer fires, nobody can answer, no mail is sent."""
    with _acting(ctx, user_key) as (session, community, actor, now):
        instance = acts.held(session, community, instance_id, actor)
        document = acts.suspend(session, instance, actor, now=now, reason=reason)
    _state(document, as_json)


@case.command()
@click.argument("instance_id", metavar="ID")
@click.option("--reason", default="", help="Why; kept in the history.")
@_user
@json_option
@click.pass_context
def resume(ctx: click.Context, instance_id: str, reason: str, user_key: str | None, as_json: bool) -> None:
    """Let a case that is on hold go on; what fell due meanwhile happens now."""
    with _acting(ctx, user_key) as (session, community, actor, now):
        instance = acts.held(session, community, instance_id, actor)
        document = acts.resume(session, instance, actor, now=now, reason=reason)
    _state(document, as_json)


@case.command()
@click.argument("instance_id", metavar="ID")
@_reason
@click.option("--due", metavar="DATE", help="Due date of tasks whose own has passed.")
@_user
@json_option
@click.pass_context
def reopen(
    ctx: click.Context, instance_id: str, reason: str, due: str | None, user_key: str | None, as_json: bool
) -> None:
    """Take an ended case back to where it was before it ended."""
    with _acting(ctx, user_key) as (session, community, actor, now):
        instance = acts.held(session, community, instance_id, actor)
        day = _day(due) if due else None
        document = acts.reopen(session, instance, actor, now=now, reason=reason, due_date=day)
    _state(document, as_json)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"--due is no date: {text!r}. Write it as 2026-11-27.") from None


# --- incidents --------------------------------------------------------------------------------------------------------


@case.command("incidents")
@click.argument("instance_id", metavar="ID")
@json_option
@click.pass_context
def list_incidents(ctx: click.Context, instance_id: str, as_json: bool) -> None:
    """Where a case stands: element, cause, what the element saw, and when it is tried again."""
    with services(ctx).database.reading() as session:
        found = commands.find_instance(session, community_of(session, ctx.obj), instance_id)
        rows = acts.incident_rows(session, found)
    show(rows, as_json, lambda: "\n".join(acts.incident_line(r) for r in rows) or "The case stands nowhere.")


@case.command()
@click.argument("incident_id", metavar="INCIDENT")
@click.option("--reason", default="", help="Why; kept in the history.")
@_user
@json_option
@click.pass_context
def retry(ctx: click.Context, incident_id: str, reason: str, user_key: str | None, as_json: bool) -> None:
    """Run what failed again, now."""
    with _acting(ctx, user_key) as (session, community, actor, now):
        instance = acts.held(session, community, acts.case_of_incident(session, community, incident_id), actor)
        row = acts.retry(session, instance, incident_id, actor, now=now, reason=reason)
    show(row, as_json, lambda: "It went well." if row["resolution"] else f"It failed again: {row['cause']}")
    ctx.exit(0 if row["resolution"] else 1)


@case.command()
@click.argument("incident_id", metavar="INCIDENT")
@_reason
@click.option("--flow", help="The way the case goes on, where the element would decide it.")
@_user
@json_option
@click.pass_context
def skip(
    ctx: click.Context, incident_id: str, reason: str, flow: str | None, user_key: str | None, as_json: bool
) -> None:
    """Go on from what failed without running it."""
    with _acting(ctx, user_key) as (session, community, actor, now):
        instance = acts.held(session, community, acts.case_of_incident(session, community, incident_id), actor)
        row = acts.skip(session, instance, incident_id, actor, now=now, reason=reason, flow=flow)
    show(row, as_json, lambda: f"Went on without {row['element']}.")


# --- variables and tokens ---------------------------------------------------------------------------------------------


@case.command("set")
@click.argument("instance_id", metavar="ID")
@click.argument("name")
@click.argument("value")
@_reason
@click.option("--type", "kind", type=click.Choice(values.KINDS), default="text", help="What VALUE is; default text.")
@click.option("--path", "call_path", default="", help="The call or sub-process whose variable it is.")
@_user
@json_option
@click.pass_context
def set_variable(
    ctx: click.Context, instance_id: str, name: str, value: str, reason: str, kind: str, call_path: str,
    user_key: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Give a process variable another value."""
    with _acting(ctx, user_key) as (session, community, actor, now):
        instance = acts.held(session, community, instance_id, actor)
        given = values.read_value(kind, value)
        document = acts.set_variable(session, instance, name, given, actor, now=now, reason=reason, call_path=call_path)
    show(document, as_json, lambda: f"{name} is set.")


@case.command("tokens")
@click.argument("instance_id", metavar="ID")
@json_option
@click.pass_context
def list_tokens(ctx: click.Context, instance_id: str, as_json: bool) -> None:
    """Where a case stands, and where it can be moved from there."""
    served = services(ctx)
    with served.database.reading() as session:
        found = commands.find_instance(session, community_of(session, ctx.obj), instance_id)
        rows = acts.tokens(session, found, now=served.clock())
    show(rows, as_json, lambda: "\n".join(acts.token_line(r) for r in rows) or "The case stands nowhere.")


@case.command()
@click.argument("instance_id", metavar="ID")
@click.argument("token")
@click.argument("element")
@_reason
@_user
@json_option
@click.pass_context
def move(
    ctx: click.Context, instance_id: str, token: str, element: str, reason: str, user_key: str | None, as_json: bool
) -> None:
    """Move a case from where it stands to another element; what waits there is withdrawn."""
    with _acting(ctx, user_key) as (session, community, actor, now):
        instance = acts.held(session, community, instance_id, actor)
        document = acts.move(session, instance, token, element, actor, now=now, reason=reason)
    _state(document, as_json)


# --- those it asks ----------------------------------------------------------------------------------------------------


@case.command()
@click.argument("instance_id", metavar="ID")
@click.argument("item")
@_reason
@click.option("--step", "element", help="Element of the step, where several steps ask several.")
@_user
@json_option
@click.pass_context
def ask(
    ctx: click.Context, instance_id: str, item: str, reason: str, element: str | None, user_key: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Ask one more party or body in a step that asks several."""
    with _acting(ctx, user_key) as (session, community, actor, now):
        instance = acts.held(session, community, instance_id, actor)
        row = acts.ask(session, instance, item, actor, now=now, reason=reason, element=element)
    show(row, as_json, lambda: commands.task_line(row))


@case.command("stop-asking")
@click.argument("task_id", metavar="TASK")
@_reason
@_user
@json_option
@click.pass_context
def stop_asking(ctx: click.Context, task_id: str, reason: str, user_key: str | None, as_json: bool) -> None:
    """Ask one fewer: withdraw the task of one who has not answered."""
    with _acting(ctx, user_key) as (session, community, actor, now):
        row = acts.stop_asking(session, _task(session, community, task_id), actor, now=now, reason=reason)
    show(row, as_json, lambda: commands.task_line(row))


@case.command("take-back")
@click.argument("task_id", metavar="TASK")
@click.option("--user", "user_key", required=True, help="Who sent the answer.")
@click.option("--reason", default="", help="Why; kept in the history.")
@json_option
@click.pass_context
def take_back(ctx: click.Context, task_id: str, user_key: str, reason: str, as_json: bool) -> None:
    """Take one's own answer back while nothing has happened since."""
    with _acting(ctx, user_key) as (session, community, actor, now):
        assert actor is not None, "the option is required"
        task = _task(session, community, task_id)
        row = commands.task_row(taking_back.take_back(session, task.id, actor=actor, now=now, reason=reason))
    show(row, as_json, lambda: commands.task_line(row))
