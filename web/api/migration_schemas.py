"""The shapes of moving a case to another version; rows are those of `avtaleflyt migrate KEY --json`."""

from apiflask import Schema
from apiflask.fields import Boolean, Dict, Integer, List, Nested, String
from apiflask.validators import Length, Range

from web.api.act_schemas import Element

_KIND = {"description": "stays, changes, begins or ends"}
_MOMENT = {"description": "UTC; null where there is none."}


class Migration(Schema):
    """Where a case is to be moved."""

    dry_run = Boolean(load_default=False, metadata={"description": "Only say what would happen."})
    to = Integer(
        load_default=None, allow_none=True, validate=Range(min=1, max=999_999),
        metadata={"description": "The version; default the newest."},
    )  # fmt: skip
    mapping = Dict(
        keys=String(validate=Length(max=300)), values=String(validate=Length(max=300)), load_default=dict,
        metadata={"description": "Element -> the one that takes its place."},
    )  # fmt: skip
    reason = String(
        load_default="", validate=Length(max=2000),
        metadata={"description": "Why; kept in the case's history. Required unless it is a dry run."},
    )  # fmt: skip


class MigrationProblem(Schema):
    """Why the case can't be moved as it stands."""

    code = String()
    call_path = String()
    element = String()
    name = String()
    detail = String()
    replacements = List(Nested(Element), metadata={"description": "What can take its place, by `mapping`."})


class TaskAsItWaits(Schema):
    """A task before or after."""

    element = String()
    name = String()
    item_name = String(allow_none=True)
    state = String()
    due_date = String(allow_none=True)
    form = String(allow_none=True)


class TaskChange(Schema):
    """What happens to a task."""

    change = String(metadata=_KIND)
    id = String(allow_none=True)
    before = Nested(TaskAsItWaits, allow_none=True)
    after = Nested(TaskAsItWaits, allow_none=True)


class TimerChange(Schema):
    """What happens to a timer."""

    change = String(metadata=_KIND)
    call_path = String()
    element = String()
    name = String()
    before = String(allow_none=True, metadata=_MOMENT)
    after = String(allow_none=True, metadata=_MOMENT)


class EventChange(Schema):
    """What happens to something else that waits."""

    change = String(metadata=_KIND)
    call_path = String()
    element = String()
    name = String()


class MailChange(Schema):
    """What happens to a planned mail."""

    change = String(metadata=_KIND)
    rule = String()
    step = String()
    item_name = String(allow_none=True)
    to = String()
    before = String(allow_none=True, metadata=_MOMENT)
    after = String(allow_none=True, metadata=_MOMENT)


class Wake(Schema):
    """When the case next moves by itself."""

    before = String(allow_none=True, metadata=_MOMENT)
    after = String(allow_none=True, metadata=_MOMENT)


class MigrationIncident(Schema):
    """Where the case will stand because something automatic fails."""

    call_path = String()
    element = String()
    name = String()
    cause = String()


class MigrationResult(Schema):
    """What moving the case does, or did."""

    id = String()
    title = String()
    from_ = Integer(data_key="from")
    to = Integer()
    can_move = Boolean()
    moved = Boolean()
    refused = String(allow_none=True)
    problems = List(Nested(MigrationProblem))
    tasks = List(Nested(TaskChange))
    timers = List(Nested(TimerChange))
    events = List(Nested(EventChange))
    wake_at = Nested(Wake)
    mails = List(Nested(MailChange))
    passed = List(String(), metadata={"description": "New tasks that the case is already past."})
    roles_of_nobody = List(String())
    incidents = List(Nested(MigrationIncident))
    ends = Boolean()


class Reverted(Schema):
    """A case after it was moved back."""

    id = String()
    version = Integer()
    revision = Integer()
