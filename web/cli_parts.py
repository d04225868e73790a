"""What every command uses: its services, its community, and how it answers."""

import json
from collections.abc import Callable

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.errors import InvalidInput
from engine.model import Community
from web.services import Services, build
from web.settings import Settings


def services(ctx: click.Context) -> Services:
    """The services of this command; what they hold open is closed at its end."""
    built = build(ctx.obj)
    ctx.call_on_close(built.database.dispose)
    return built


def show(document: object, as_json: bool, text: Callable[[], str]) -> None:
    """Print the answer as one JSON document or as lines for a person."""
    click.echo(json.dumps(document, ensure_ascii=False, default=str) if as_json else text())


def community_of(session: Session, settings: Settings) -> Community:
    """The community this installation serves. Raises InvalidInput."""
    found = session.scalar(select(Community).where(Community.key == settings.community))
    if found is None:
        raise InvalidInput(f"There is no community {settings.community!r}. `avtaleflyt demo` loads the demo's.")
    return found


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
