"""The `avtaleflyt` command: what an operator, a model author or a script can ask for.

`--json` prints one JSON document on stdout and logs go to stderr. Exit 0: done; 1: refused; 2: wrong usage.
"""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError, ProgrammingError

from agreements import plan_proposals
from engine.errors import EngineError, InvalidInput, ModelRefused
from engine.model import User
from web import (
    case_commands,
    commands,
    logs,
    meeting_commands,
    message_commands,
    migration_commands,
    model_commands,
    operator_commands,
    rehearsal_commands,
    running,
    upkeep_commands,
)
from web.cli_parts import community_of, json_option, services, show
from web.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])


class Refusing(click.Group):
    """Turns what the engine refuses into a plain message and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ModelRefused as refused:
            for finding in refused.findings:
                click.echo(commands.finding_line(finding), err=True)
            ctx.exit(1)
        except EngineError as error:
            click.echo(error.message, err=True)
            ctx.exit(1)
        except (OperationalError, ProgrammingError) as error:
            click.echo(
                f"The database does not answer as expected: {error.orig}\nRun `avtaleflyt migrate` first?", err=True
            )
            ctx.exit(1)


@click.group(cls=Refusing, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="avtaleflyt", message="avtaleflyt %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Avtaleflyt: the process engine with which organisations that are equals revise what they have agreed."""
    try:
        settings = Settings()
    except ValidationError as error:
        problems = "; ".join(f"AVTALEFLYT_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
        click.echo(f"A setting is wrong: {problems}", err=True)
        ctx.exit(1)
    logs.configure(settings.log_level, settings.log_format)
    ctx.obj = settings


def _pairs(text: tuple[str, ...], what: str) -> dict[str, str]:
    pairs = {}
    for pair in text:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise click.UsageError(f"{what} takes NAME=VALUE, not {pair!r}.")
        pairs[key] = value
    return pairs


def _day(text: str, what: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{what} is no date: {text!r}. Write it as 2026-11-27.") from None


def _meetings(texts: tuple[str, ...]) -> dict[str, date]:
    return {key: _day(value, f"--meeting {key}") for key, value in _pairs(texts, "--meeting").items()}


def _document(text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    try:
        raw = Path(text[1:]).read_text() if text.startswith("@") else text
        document = json.loads(raw)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"--data can't be read: {error}. Give a JSON object, or @FILE.") from None
    if not isinstance(document, dict):
        raise InvalidInput("--data is no JSON object.")
    return document


# --- running ----------------------------------------------------------------------------------------------------------


@main.command()
@click.pass_context
def demo(ctx: click.Context) -> None:
    """Migrate, deploy, load the demo community and serve it, with a mail server of its own."""
    running.demo(ctx.obj)


@main.command()
@click.pass_context
def serve(ctx: click.Context) -> None:
    """Pages and clock in one process, for real use."""
    running.serve(ctx.obj)


@main.command()
@click.pass_context
def web(ctx: click.Context) -> None:
    """Pages only; run `worker` beside it."""
    running.web(ctx.obj)


@main.command()
@click.pass_context
def worker(ctx: click.Context) -> None:
    """The clock only: timers, jobs and mails."""
    running.worker(ctx.obj)


main.add_command(migration_commands.migrate)
main.add_command(meeting_commands.meeting)
main.add_command(operator_commands.examine)
main.add_command(operator_commands.report)
main.add_command(operator_commands.job)
main.add_command(operator_commands.mail)
main.add_command(upkeep_commands.check)
main.add_command(upkeep_commands.backup)
main.add_command(upkeep_commands.restore)


# --- models -----------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--note", default="", help="Why; kept with the version.")
@json_option
@click.pass_context
def deploy(ctx: click.Context, models: tuple[Path, ...], note: str, as_json: bool) -> None:
    """Deploy models as new versions; forms are taken from the folder `forms` beside each."""
    served = services(ctx)
    with served.database.transaction() as session:
        community = community_of(session, ctx.obj)
        deployed = commands.deploy(session, community, models, now=served.clock(), note=note)
    show(deployed, as_json, lambda: "\n".join(f"{d['key']} version {d['version']}" for d in deployed))


@main.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@click.pass_context
def lint(ctx: click.Context, models: tuple[Path, ...], as_json: bool) -> None:
    """Say what is wrong with models; exit 1 when an error is among it."""
    findings = commands.lint(models)
    show(findings, as_json, lambda: "\n".join(commands.finding_text(f) for f in findings) or "Nothing to say.")
    ctx.exit(1 if any(f["severity"] == "error" for f in findings) else 0)


main.add_command(model_commands.model)


# --- cases ------------------------------------------------------------------------------------------------------------

_meeting = click.option("--meeting", "meetings", multiple=True, metavar="NAME=DATE", help="Such as ssu=2026-11-27.")
_party = click.option("--party", "parties", multiple=True, metavar="KEY", help="Only these parties; default all.")
_set = click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="A value of the start form.")
_role = click.option("--role", "roles", multiple=True, metavar="ROLE=GROUP", help="Bind a role to a group.")


@main.command()
@click.argument("process")
@_meeting
@_party
@_set
@_role
@click.option("--today", help="Plan as if it were this day.")
@json_option
@click.pass_context
def plan(
    ctx: click.Context, process: str, meetings: tuple[str, ...], parties: tuple[str, ...], values: tuple[str, ...],
    roles: tuple[str, ...], today: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Every step of a case with its dates and reasons; changes nothing."""
    request = commands.request(
        process, _meetings(meetings), parties, _pairs(roles, "--role"), dict(_pairs(values, "--set"))
    )
    day = _day(today, "--today") if today else None
    with commands.planning_session(services(ctx), ctx.obj) as (session, community, now):
        document = commands.plan(session, community, request, now=now, today=day, settings=services(ctx).notifications)
    show(document, as_json, lambda: commands.plan_text(document))


main.add_command(rehearsal_commands.rehearse)


@main.command()
@click.argument("process")
@click.option("--user", "user_key", required=True, help="Who starts it.")
@_meeting
@_party
@_set
@_role
@click.option("--agreement", help="Key of the agreement it is about.")
@click.option("--title")
@click.option("--confirm", help="Why it starts in spite of warnings.")
@click.option("--data", help="JSON object or @FILE: the start form's answers.")
@click.option("--idempotency-key")
@json_option
@click.pass_context
def start(
    ctx: click.Context, process: str, user_key: str, meetings: tuple[str, ...], parties: tuple[str, ...],
    values: tuple[str, ...], roles: tuple[str, ...], agreement: str | None, title: str | None, confirm: str | None,
    data: str | None, idempotency_key: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Start a case."""
    answers = {**_document(data), **_pairs(values, "--set")}
    request = commands.request(
        process, _meetings(meetings), parties, _pairs(roles, "--role"), answers,
        agreement=agreement, title=title, idempotency_key=idempotency_key,
    )  # fmt: skip
    served = services(ctx)
    with served.database.transaction() as session:
        community = community_of(session, ctx.obj)
        odd = plan_proposals.odd_about(session, community, request, now=served.clock())
        for finding in odd:
            click.echo(f"Obs: {finding.message}", err=True)
        started = commands.start(
            session, community, request, user_key=user_key, now=served.clock(), confirmed=confirm, findings=odd
        )
    show({"id": started}, as_json, lambda: f"Started {started}.")


@main.command()
@json_option
@click.pass_context
def instances(ctx: click.Context, as_json: bool) -> None:
    """All cases, newest first."""
    with services(ctx).database.reading() as session:
        rows = commands.instances(session, community_of(session, ctx.obj))
    show(rows, as_json, lambda: "\n".join(f"{r['id']}  {r['state']:10} {r['title']}" for r in rows) or "No cases yet.")


@main.command()
@click.argument("instance_id", metavar="ID")
@json_option
@click.pass_context
def instance(ctx: click.Context, instance_id: str, as_json: bool) -> None:
    """One case with its steps."""
    with services(ctx).database.reading() as session:
        document = commands.instance(session, community_of(session, ctx.obj), instance_id)
    show(document, as_json, lambda: commands.instance_text(document))


@main.command()
@click.argument("instance_id", metavar="ID")
@json_option
@click.pass_context
def history(ctx: click.Context, instance_id: str, as_json: bool) -> None:
    """Everything that happened in a case."""
    with services(ctx).database.reading() as session:
        rows = commands.history_of(session, community_of(session, ctx.obj), instance_id)
    show(rows, as_json, lambda: "\n".join(f"{r['at']}  {r['kind']:20} {r['actor'] or ''}" for r in rows))


@main.command()
@click.option("--instance", "instance_id", metavar="ID")
@json_option
@click.pass_context
def deliveries(ctx: click.Context, instance_id: str | None, as_json: bool) -> None:
    """Mails planned and sent."""
    with services(ctx).database.reading() as session:
        rows = commands.deliveries(session, community_of(session, ctx.obj), instance_id)
    show(
        rows,
        as_json,
        lambda: "\n".join(f"{r['planned_at']}  {r['state']:10} {r['rule']:14} {r['to']}" for r in rows) or "No mails.",
    )


@main.command()
@click.argument("instance_id", metavar="ID")
@click.option("--reason", required=True)
@click.option("--user", "user_key", help="Who cancels it.")
@json_option
@click.pass_context
def cancel(ctx: click.Context, instance_id: str, reason: str, user_key: str | None, as_json: bool) -> None:
    """End a case before its time."""
    served = services(ctx)
    with served.database.transaction() as session:
        commands.cancel(
            session, community_of(session, ctx.obj), instance_id, user_key, now=served.clock(), reason=reason
        )
    show({"id": instance_id, "state": "cancelled"}, as_json, lambda: f"Cancelled {instance_id}.")


main.add_command(case_commands.case)
main.add_command(message_commands.message)


# --- tasks ------------------------------------------------------------------------------------------------------------


@main.command()
@click.option("--user", "user_key", help="What this person may act on.")
@click.option("--group", "group_key")
@click.option("--instance", "instance_id", metavar="ID")
@json_option
@click.pass_context
def tasks(
    ctx: click.Context, user_key: str | None, group_key: str | None, instance_id: str | None, as_json: bool
) -> None:
    """Open tasks."""
    with services(ctx).database.reading() as session:
        rows = commands.tasks(session, community_of(session, ctx.obj), user_key, group_key, instance_id)
    show(rows, as_json, lambda: "\n".join(commands.task_line(r) for r in rows) or "Nothing waits.")


@main.command()
@click.argument("task_id", metavar="TASK")
@click.option("--user", "user_key", required=True)
@json_option
@click.pass_context
def claim(ctx: click.Context, task_id: str, user_key: str, as_json: bool) -> None:
    """Take a group's task."""
    served = services(ctx)
    with served.database.transaction() as session:
        row = commands.claim(session, community_of(session, ctx.obj), task_id, user_key, now=served.clock())
    show(row, as_json, lambda: commands.task_line(row))


@main.command()
@click.argument("task_id", metavar="TASK")
@click.option("--user", "user_key", required=True)
@click.option("--data", help="JSON object or @FILE: the answers.")
@json_option
@click.pass_context
def complete(ctx: click.Context, task_id: str, user_key: str, data: str | None, as_json: bool) -> None:
    """Send the answers of a task."""
    answers, served = _document(data), services(ctx)
    with served.database.transaction() as session:
        row = commands.complete(session, community_of(session, ctx.obj), task_id, user_key, answers, now=served.clock())
    show(row, as_json, lambda: commands.task_line(row))


# --- users ------------------------------------------------------------------------------------------------------------


@main.group()
def community() -> None:
    """The health community: parties, bodies, meetings, agreements."""


@community.command("load")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_context
def community_load(ctx: click.Context, file: Path) -> None:
    """Load a community's data file; loading it again brings what has changed."""
    served = services(ctx)
    with served.database.transaction() as session:
        report = commands.load_community(session, file, now=served.clock())
    click.echo(report)


@community.command("links")
@click.argument("choice", type=click.Choice(["on", "off"]))
@click.pass_context
def community_links(ctx: click.Context, choice: str) -> None:
    """Let mails hold links that act without signing in, or not; off ends those already sent."""
    with services(ctx).database.transaction() as session:
        community_of(session, ctx.obj).mail_links = choice == "on"
    click.echo(f"Links in mails that act without signing in are {choice}.")


@main.group()
def user() -> None:
    """People who sign in."""


@user.command("add")
@click.argument("key")
@click.option("--name", required=True)
@click.option("--email", required=True)
@click.option("--group", "groups", multiple=True)
@click.pass_context
def user_add(ctx: click.Context, key: str, name: str, email: str, groups: tuple[str, ...]) -> None:
    """Add a person."""
    with services(ctx).database.transaction() as session:
        commands.add_user(session, community_of(session, ctx.obj), key, name, email, groups)
    click.echo(f"Added {key}. `avtaleflyt user invite {key}` mails a link to set a password.")


@user.command("list")
@json_option
@click.pass_context
def user_list(ctx: click.Context, as_json: bool) -> None:
    """All people and their groups."""
    with services(ctx).database.reading() as session:
        rows = commands.users(session, community_of(session, ctx.obj))
    show(rows, as_json, lambda: "\n".join(f"{r['key']:32} {r['name']:44} {', '.join(r['groups'])}" for r in rows))


@user.command("invite")
@click.argument("key")
@click.pass_context
def user_invite(ctx: click.Context, key: str) -> None:
    """Mail a person a link to set their password."""
    served = services(ctx)
    with served.database.reading() as session:
        community = community_of(session, ctx.obj)
        invited: User = commands.find_user(session, community, key)
    running.invite(served, community, invited)
    click.echo(f"Sent an invitation to {invited.email}. It holds for seven days.")


@user.command("token")
@click.argument("key")
@click.pass_context
def user_token(ctx: click.Context, key: str) -> None:
    """Make a bearer token for the API and print it, once."""
    served = services(ctx)
    with served.database.transaction() as session:
        token = commands.make_token(session, community_of(session, ctx.obj), key, now=served.clock())
    click.echo(token)


if __name__ == "__main__":
    main()
