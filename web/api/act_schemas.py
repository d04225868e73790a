"""The shapes of what the API's acts take and give; rows are those of `avtaleflyt case … --json`."""

from apiflask import Schema
from apiflask.fields import Date, Dict, Integer, List, Nested, Raw, String
from apiflask.validators import Length

_IDS = Length(max=300)
_WHY = "Why; kept in the case's history."


class Reason(Schema):
    """Why it is done."""

    reason = String(required=True, validate=Length(min=1, max=2000), metadata={"description": _WHY})


class MayReason(Schema):
    """Why it is done, where that is worth saying."""

    reason = String(load_default="", validate=Length(max=2000), metadata={"description": _WHY})


class Reopening(Reason):
    """How a case is reopened."""

    due_date = Date(load_default=None, metadata={"description": "Due date of tasks whose own has passed."})


class Skipping(Reason):
    """How an element is skipped."""

    flow = String(load_default=None, validate=_IDS, metadata={"description": "One of the incident's `ways`."})


class Variable(Reason):
    """A process variable's new value."""

    name = String(required=True, validate=_IDS)
    value = Raw(required=True, allow_none=True, metadata={"description": "Any JSON."})
    call_path = String(load_default="", validate=_IDS, metadata={"description": "Where it belongs; empty: the case."})


class Move(Reason):
    """Where a token goes."""

    token = String(required=True, validate=_IDS)
    element = String(required=True, validate=_IDS)


class Asking(Reason):
    """Who is asked too."""

    item = String(required=True, validate=_IDS, metadata={"description": "Key of the party or body."})
    element = String(load_default=None, validate=_IDS, metadata={"description": "The step, where several ask several."})


class CaseState(Schema):
    """A case after an act."""

    id = String()
    state = String()
    revision = Integer()


class Way(Schema):
    """A way out of an element that decides."""

    flow = String()
    name = String()
    to = String()


class IncidentRow(Schema):
    """An incident in a list."""

    id = String()
    element = String()
    call_path = String()
    name = String(metadata={"description": "The element's name."})
    cause = String()
    data = Dict(keys=String(), values=Raw(allow_none=True), metadata={"description": "What the element saw."})
    attempts = Integer()
    retry_at = String(
        allow_none=True, metadata={"description": "When the engine tries again; null: only a person can."}
    )
    resolution = String(allow_none=True)
    ways = List(Nested(Way))


class IncidentDetail(IncidentRow):
    """Where a case stands because something automatic failed."""


class Incidents(Schema):
    """The open ones, oldest first."""

    incidents = List(Nested(IncidentRow))


class Element(Schema):
    """An element that a token can be put on."""

    element = String()
    name = String()


class Token(Schema):
    """A place where the case stands."""

    token = String()
    call_path = String()
    element = String()
    name = String()
    withdraws = List(String(), metadata={"description": "Open steps that end when it is moved."})
    to = List(Nested(Element), metadata={"description": "Where it can go, as in the diagram."})


class Tokens(Schema):
    """All of them."""

    tokens = List(Nested(Token))
