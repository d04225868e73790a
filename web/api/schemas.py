"""The shapes of requests and answers; rows are those of the commands' `--json`."""

from typing import Any

from apiflask import Schema
from apiflask.fields import Boolean, Dict, Integer, List, Nested, Raw, String
from apiflask.validators import Length, OneOf, Range
from marshmallow import INCLUDE, ValidationError, validates_schema

MAX_LIMIT = 200
_IDS = Length(max=100)


class FieldProblem(Schema):
    """One refused field."""

    key = String()
    label = String()
    message = String()


class Problem(Schema):
    """Why a request was refused."""

    title = String(required=True)
    detail = String(required=True)
    status = Integer(required=True)
    errors = List(Nested(FieldProblem), metadata={"description": "The fields at fault, where fields are."})


# --- processes --------------------------------------------------------------------------------------------------------


class Fact(Schema):
    """A meeting that a start takes."""

    name = String(metadata={"example": "ssu"})
    required = Boolean()


class ProcessDefinition(Schema):
    """The newest version of a process."""

    key = String(metadata={"example": "delavtale_evaluering"})
    name = String()
    version = Integer()
    checksum = String(metadata={"description": "SHA-256 over model and forms."})
    may_start = Boolean(metadata={"description": "May you start it?"})
    meetings = List(Nested(Fact))


class ProcessDefinitions(Schema):
    """All of them."""

    process_definitions = List(Nested(ProcessDefinition))


# --- cases ------------------------------------------------------------------------------------------------------------


class ProcessInstance(Schema):
    """A case."""

    id = String()
    process = String()
    version = Integer()
    title = String()
    state = String(validate=OneOf(["active", "suspended", "completed", "cancelled"]))
    started_at = String()
    revision = Integer()
    ended_at = String(allow_none=True)
    wake_at = String(allow_none=True, metadata={"description": "When the case next does something by itself."})
    facts = Dict(keys=String(), values=String(), metadata={"description": "Fact -> date."})


class Step(Schema):
    """A step that people fulfil."""

    element = String()
    name = String()
    round = Integer()
    state = String()
    total = Integer()
    completed = Integer()
    due = String(allow_none=True)


class Incident(Schema):
    """Where the case stands because something automatic failed."""

    id = String()
    element = String()
    cause = String()
    retry_at = String(
        allow_none=True, metadata={"description": "When the engine tries again; null: only a person can."}
    )


class ProcessInstanceDetail(ProcessInstance):
    """A case with its steps."""

    steps = List(Nested(Step))
    incidents = List(Nested(Incident))


class ProcessInstances(Schema):
    """One page of cases, newest first."""

    process_instances = List(Nested(ProcessInstance))
    next_cursor = String(allow_none=True)


class InstanceQuery(Schema):
    """Which cases."""

    state = String(validate=OneOf(["active", "suspended", "completed", "cancelled"]))
    limit = Integer(load_default=50, validate=Range(min=1, max=MAX_LIMIT))
    cursor = String(validate=Length(max=200))


class Whom(Schema):
    """Who has a role: a group or a user, by key."""

    group = String(validate=_IDS)
    user = String(validate=_IDS)

    @validates_schema
    def _one(self, data: dict[str, Any], **_more: object) -> None:
        if len(data) != 1:
            raise ValidationError("Give either group or user.")


class Start(Schema):
    """A case to start."""

    process = String(required=True, validate=_IDS, metadata={"example": "delavtale_evaluering"})
    title = String(allow_none=True, validate=Length(max=300))
    agreement = String(allow_none=True, validate=_IDS, metadata={"example": "helhetlige-pasientforlop"})
    meetings = Dict(
        keys=String(validate=_IDS),
        values=String(validate=_IDS),
        load_default=dict,
        metadata={"description": "Fact -> date, a meeting's id, or body:date.", "example": {"ssu": "2026-11-27"}},
    )
    parties = List(String(validate=_IDS), allow_none=True, validate=Length(max=200))
    roles = Dict(keys=String(validate=_IDS), values=Nested(Whom), load_default=dict)
    data = Dict(keys=String(validate=_IDS), values=Raw(allow_none=True), load_default=dict)
    confirm = String(allow_none=True, metadata={"description": "Why it starts in spite of warnings."})

    @validates_schema
    def _lists(self, data: dict[str, Any], **_more: object) -> None:
        for name in ("questions", "reviewers", "hearing_bodies"):
            if not isinstance(data.get("data", {}).get(name, []), list):
                raise ValidationError(f"{name} must be a list.", "data")


class IdempotencyKey(Schema):
    """A repeated start with the same key is one start."""

    idempotency_key = String(data_key="Idempotency-Key", validate=Length(min=1, max=60))

    class Meta:
        """Other headers are none of its business."""

        unknown = "exclude"


# --- tasks ------------------------------------------------------------------------------------------------------------


class TaskRow(Schema):
    """A task in a list."""

    id = String()
    instance = String()
    element = String()
    name = String()
    assignee = String(allow_none=True)
    group = String(allow_none=True)
    approver = String(allow_none=True)
    item = String(allow_none=True, metadata={"description": "The party or body asked, where several are."})
    due = String(allow_none=True)
    state = String()
    revision = Integer()


class Task(TaskRow):
    """A task."""


class TaskDetail(Task):
    """A task with its form."""

    title = String(metadata={"description": "The case's title."})
    documentation = String(metadata={"description": "What to do, and why."})
    form = Dict(metadata={"description": "The form, in the bpmn.io form schema's vocabulary."})
    inputs = Dict(metadata={"description": "What the form offers to choose from."})
    draft = Dict(allow_none=True)
    answers = Dict(allow_none=True, metadata={"description": "None until you may read them."})


class Tasks(Schema):
    """One page of tasks."""

    tasks = List(Nested(TaskRow))
    next_cursor = String(allow_none=True)


class TaskQuery(Schema):
    """Which open tasks, of those you may see."""

    assignee = String(validate=_IDS, metadata={"description": "A user's key, or `me`."})
    group = String(validate=_IDS)
    instance = String(validate=_IDS)
    overdue = Boolean()
    q = String(validate=Length(min=1, max=100), metadata={"description": "In the name of task, party or case."})
    sort = String(load_default="due", validate=OneOf(["due", "-due", "opened"]))
    limit = Integer(load_default=50, validate=Range(min=1, max=MAX_LIMIT))
    cursor = String(validate=Length(max=200))


class Answers(Schema):
    """The answers by the form's keys."""

    class Meta:
        """What the keys are is the form's to say."""

        unknown = INCLUDE


class IfMatch(Schema):
    """The revision that was seen, as `ETag` gave it."""

    if_match = String(data_key="If-Match", validate=Length(max=40))

    class Meta:
        """Other headers are none of its business."""

        unknown = "exclude"
