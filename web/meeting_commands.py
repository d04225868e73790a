"""`avtaleflyt meeting …`: move a meeting with every case that hangs on it."""

from datetime import date
from typing import Any

import click
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from agreements import move_trials, moving
from agreements.model import Meeting
from agreements.moving import Preview
from engine import identity
from engine.errors import InvalidInput, NotAllowed, NotFound
from engine.model import Community
from web import move_documents
from web.cli_parts import community_of, json_option, services, show
from web.moves import may_move, world


@click.group()
def meeting() -> None:
    """Meetings of the bodies."""


@meeting.command("move")
@click.argument("meeting_id", metavar="MEETING")
@click.option("--to", "to", required=True, metavar="DATE", help="The new day, such as 2026-12-04.")
@click.option("--user", "user_key", required=True, help="Who moves it: an administrator or the secretariat.")
@click.option("--reason", default="", help="Why; kept in the history. Without it, the move is only shown.")
@click.option("--choose", "choices", multiple=True, metavar="CASE=OPTION", help="Another option than the first.")
@json_option
@click.pass_context
def move_meeting(
    ctx: click.Context, meeting_id: str, to: str, user_key: str, reason: str, choices: tuple[str, ...], as_json: bool
) -> None:
    """Show what moving a meeting brings; with a reason, move it with everything that hangs on it."""
    served = services(ctx)
    now, day = served.clock(), _day(to)
    with served.database.reading() as session:
        community = community_of(session, ctx.obj)
        actor = identity.person(session, identity.user(session, community.id, user_key))
        if not may_move(actor):
            raise NotAllowed("Only the secretariat moves meetings.")
        today = identity.calendar_of(community).local_date(now)
        change = moving.of_meeting(session, _meeting(session, community, meeting_id), day, today=today)
        around = world(served.notifications, now)
        tried = move_trials.preview(session, change, actor=actor, now=now, world=around).chosen(_chosen(choices))
        document = {"moved": bool(reason.strip()), **move_documents.preview(session, tried)}
    if reason.strip():
        with served.database.transaction() as session:
            moving.commit(session, tried, token=tried.token, actor=actor, now=now, reason=reason)
    show(document, as_json, lambda: "\n".join(_lines(tried, document)))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"--to is no date: {text!r}. Write it as 2026-11-27.") from None


def _meeting(session: Session, community: Community, name: str) -> Meeting:
    named = or_(Meeting.public_id == name, Meeting.key == name)
    found = session.scalar(select(Meeting).where(Meeting.community_id == community.id, named))
    if found is None:
        raise NotFound(f"There is no meeting {name!r}. Its id stands in the address of its page.")
    return found


def _chosen(choices: tuple[str, ...]) -> dict[str, str]:
    pairs = [choice.partition("=") for choice in choices]
    if not all(sign for _case_id, sign, _option in pairs):
        raise InvalidInput("--choose takes CASE=OPTION, such as abcdefghjkmn=keep.")
    return {case: option for case, _sign, option in pairs}


def _lines(tried: Preview, document: dict[str, Any]) -> list[str]:
    lines = []
    for case in tried.cases:
        lines.append(f"{case.public_id} {case.title}")
        lines += [f"  {step.name}: {step.old} -> {step.new}" for step in case.outcome.moved]
        lines += [
            f"  IMPOSSIBLE: {step.name} is due {step.due}, and opens {step.opens}" for step in case.outcome.broken
        ]
        if case.choice is not None:
            lines.append(f"  Options: {', '.join(option.key for option in case.choice.options)}")
    verb = "Moved" if document["moved"] else "Nothing is moved; add --reason to move"
    return [*lines, f"{verb}. Told: {len(document['told'])}."]
