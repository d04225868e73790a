"""Messages and signals from other systems to waiting cases."""

from typing import Any

from apiflask import Schema
from apiflask.fields import Dict, String
from apiflask.validators import Length, OneOf
from flask.typing import ResponseReturnValue

from engine import messages
from engine.bpmn.execution import Thrown
from engine.errors import NotAllowed
from web.api.blueprint import SECURITY, blueprint
from web.context import acting, now


class Message(Schema):
    """What is sent."""

    name = String(required=True, validate=Length(min=1, max=300))
    kind = String(load_default="message", validate=OneOf(["message", "signal"]))
    correlation = String(load_default="", validate=Length(max=200), metadata={"description": "Whose message it is."})
    payload = Dict(keys=String(validate=Length(max=100)), load_default=dict, validate=Length(max=100))


class Accepted(Schema):
    """It is on its way."""

    name = String()
    kind = String()


@blueprint.post("/messages")
@blueprint.input(Message, location="json")
@blueprint.output(Accepted, status_code=202)
@blueprint.doc(
    summary="Send a message to the case that waits for it, or a signal to everybody",
    security=SECURITY,
    responses={403: "Only administrators may.", 422: "Nobody waits for the message."},
)
def send_message(json_data: dict[str, Any]) -> ResponseReturnValue:
    """It is received once, in a moment; what it brings becomes variables of the case."""
    thrown = Thrown(**json_data)
    with acting() as (session, actor):
        if not actor.is_admin:
            raise NotAllowed("Only administrators may send messages to cases.")
        messages.send(session, actor.community_id, thrown, now=now(), actor_id=actor.id)
    return {"name": thrown.name, "kind": thrown.kind}, 202
