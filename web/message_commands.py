"""`avtaleflyt message …`: messages and signals from outside, and who waits for them."""

import json
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import messages
from engine.bpmn.execution import Thrown
from engine.errors import InvalidInput
from engine.model import EventSubscription, ProcessDefinition, ProcessInstance
from web.cli_parts import community_of, json_option, services, show


@click.group()
def message() -> None:
    """Messages and signals from outside, and who waits for them."""


@message.command("list")
@json_option
@click.pass_context
def list_waiting(ctx: click.Context, as_json: bool) -> None:
    """Cases and processes that wait for a message or signal."""
    with services(ctx).database.reading() as session:
        rows = waiting(session, community_of(session, ctx.obj).id)
    show(rows, as_json, lambda: "\n".join(_line(row) for row in rows) or "Nobody waits for a message or signal.")


@message.command("send")
@click.argument("name")
@click.option("--signal", is_flag=True, help="Send a signal, which reaches everybody who waits for it.")
@click.option("--correlation", default="", help="Whose message it is.")
@click.option("--data", default="{}", help="JSON object of what it brings.")
@json_option
@click.pass_context
def send_message(ctx: click.Context, name: str, signal: bool, correlation: str, data: str, as_json: bool) -> None:
    """Send a message to the case that waits for it. It is delivered by the running worker."""
    served = services(ctx)
    thrown = Thrown(kind="signal" if signal else "message", name=name, correlation=correlation, payload=_payload(data))
    with served.database.transaction() as session:
        messages.send(session, community_of(session, ctx.obj).id, thrown, now=served.clock())
    show({"sent": name, "kind": thrown.kind}, as_json, lambda: f"The {thrown.kind} {name} is on its way.")


def waiting(session: Session, community_id: int) -> list[dict[str, Any]]:
    """Who waits for messages and signals, the longest waiting first."""
    query = (
        select(EventSubscription, ProcessInstance.public_id, ProcessDefinition.key)
        .outerjoin(ProcessInstance, ProcessInstance.id == EventSubscription.instance_id)
        .outerjoin(ProcessDefinition, ProcessDefinition.id == EventSubscription.definition_id)
        .where(EventSubscription.community_id == community_id, EventSubscription.kind != "timer")
        .order_by(EventSubscription.id)
    )
    return [
        {"kind": row.kind, "name": row.name, "correlation": row.correlation, "case": case, "starts": process}
        for row, case, process in session.execute(query)
    ]


def _payload(data: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidInput("--data is no JSON object.")
    return found


def _line(row: dict[str, Any]) -> str:
    whose = f" with correlation {row['correlation']}" if row["correlation"] else ""
    who = f"case {row['case']}" if row["case"] else f"starts {row['starts']}"
    return f"{row['kind']} {row['name']}{whose}: {who}"
