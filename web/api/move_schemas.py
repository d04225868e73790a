"""The shapes of moving meetings and dates; a preview's rows are those of `avtaleflyt meeting move --json`."""

from apiflask import Schema
from apiflask.fields import Boolean, Date, Dict, Integer, List, Nested, String
from apiflask.validators import Length, OneOf

from web.api.act_schemas import Reason

_IDS = Length(max=300)
_OLD = {"description": "Null where there was none."}
_NEW = {"description": "Null where it falls away."}


class Seen(Schema):
    """What was looked at, and what makes a repetition the same move."""

    if_match = String(data_key="If-Match", validate=Length(max=100))
    idempotency_key = String(data_key="Idempotency-Key", validate=Length(min=1, max=60))

    class Meta:
        """Other headers are none of its business."""

        unknown = "exclude"


# --- asked ------------------------------------------------------------------------------------------------------------


class Chosen(Schema):
    """What is chosen where a date can't follow."""

    choices = Dict(
        keys=String(validate=_IDS), values=String(validate=_IDS), load_default=dict,
        metadata={"description": "Case -> key of one of its `options`; without it, the first."},
    )  # fmt: skip


class MeetingMove(Chosen):
    """A meeting's new day."""

    to = Date(required=True, metadata={"example": "2026-12-04"})


class MeetingMoved(MeetingMove, Reason):
    """The same, and why."""


class CaseDates(Chosen):
    """Dates of one case: facts that others hang on, due dates of steps by hand, due dates of single tasks."""

    facts = Dict(
        keys=String(validate=_IDS), values=Date(), load_default=dict, metadata={"example": {"ssu": "2026-12-04"}}
    )
    hand_dates = Dict(
        keys=String(validate=_IDS), values=Date(allow_none=True), load_default=dict,
        metadata={"description": "Place of a step, such as /analyse, -> date; null gives it back to the model."},
    )  # fmt: skip
    due_dates = Dict(
        keys=String(validate=_IDS), values=Date(), load_default=dict,
        metadata={"description": "Task -> date; the others of its step keep theirs."},
    )  # fmt: skip


class CaseDatesMoved(CaseDates, Reason):
    """The same, and why."""


# --- shown ------------------------------------------------------------------------------------------------------------


class MeetingRow(Schema):
    """A coming meeting."""

    id = String()
    body = String()
    date = Date()


class Meetings(Schema):
    """The coming ones, soonest first."""

    meetings = List(Nested(MeetingRow))


class MovedMeeting(Schema):
    """The meeting that moves."""

    id = String()
    body = String()
    old = Date()
    new = Date()


class ByHand(Schema):
    """A due date set by hand."""

    step = String()
    name = String()
    due = Date()


class Option(Schema):
    """A way out where a date can't follow; the first is recommended."""

    key = String()
    works = Boolean(metadata={"description": "Is the order of the case whole then?"})
    by_hand = List(Nested(ByHand))


class MovedStep(Schema):
    """A step whose due date moves."""

    step = String()
    name = String()
    old = Date(allow_none=True, metadata=_OLD)
    new = Date(allow_none=True, metadata=_NEW)
    people = List(String(), metadata={"description": "Keys of those whose task it is or will be."})


class Impossible(Schema):
    """A step that would open after it is due."""

    step = String()
    name = String()
    opens = Date()
    due = Date()


class Tighter(Schema):
    """A step that gets fewer working days."""

    step = String()
    name = String()
    working_days = Integer()
    before = Integer()
    minimum = Integer(allow_none=True)


class Waiting(Schema):
    """A timer, a planned mail or a calendar entry that moves with the steps; an entry keeps its UID."""

    kind = String(validate=OneOf(["timer", "mail", "entry"]))
    name = String()
    party = String(allow_none=True)
    rule = String(allow_none=True, metadata={"description": "A mail's rule."})
    to = String(allow_none=True, metadata={"description": "Who gets the mail."})
    old = String(allow_none=True, metadata=_OLD)
    new = String(allow_none=True, metadata=_NEW)


class CaseMoves(Schema):
    """One case, as it is and as it would be."""

    id = String()
    title = String()
    revision = Integer()
    chosen = String(allow_none=True, metadata={"description": "The option that all of this shows."})
    options = List(Nested(Option))
    moved = List(Nested(MovedStep))
    unchanged = List(String())
    impossible = List(Nested(Impossible))
    tighter = List(Nested(Tighter))
    waits = List(Nested(Waiting))
    stops = String(allow_none=True, metadata={"description": "Why the case would stand still."})


class Told(Schema):
    """Somebody who gets one mail about all of it."""

    user = String()
    name = String()
    in_place_of = List(String(), metadata={"description": "Those who are away, whom they stand in for."})


class Preview(Schema):
    """What a move would bring."""

    meeting = Nested(MovedMeeting, allow_none=True)
    cases = List(Nested(CaseMoves))
    on_hold = List(String(), metadata={"description": "Titles of cases on hold, which keep their dates."})
    told = List(Nested(Told))


class ChangedDate(Schema):
    """A date that was changed."""

    case = String()
    title = String()
    name = String()
    old = Date(allow_none=True, metadata=_OLD)
    new = Date(allow_none=True, metadata=_NEW)


class Moved(Schema):
    """A move that was made."""

    id = String()
    meeting = String(allow_none=True)
    old = Date(allow_none=True)
    new = Date(allow_none=True)
    reason = String()
    at = String()
    told = Integer(metadata={"description": "How many get a mail."})
    dates = List(Nested(ChangedDate))


# --- more time --------------------------------------------------------------------------------------------------------


class Asking(Reason):
    """A request for more time."""

    wanted = Date(required=True, metadata={"example": "2026-10-07"})


class Answering(Schema):
    """The owner's yes or no."""

    answer = String(required=True, validate=OneOf(["yes", "no"]))
    due_date = Date(
        load_default=None, allow_none=True, metadata={"description": "With yes: default the date asked for."}
    )
    reason = String(load_default="", validate=Length(max=2000), metadata={"description": "Required with no."})


class MoreTimeRow(Schema):
    """A request for more time."""

    id = String()
    case = String()
    task = String()
    name = String(metadata={"description": "The task's."})
    item = String(allow_none=True, metadata={"description": "The party or body that asks."})
    asked_by = String()
    due = Date(allow_none=True, metadata={"description": "The due date when they asked."})
    wanted = Date()
    reason = String()
    state = String(metadata={"description": "open, granted or refused"})
    given = Date(allow_none=True)
    answer = String(metadata={"description": "The owner's reason."})


class MoreTime(MoreTimeRow):
    """One of them."""


class MoreTimeList(Schema):
    """Those that wait for you, the oldest first."""

    requests = List(Nested(MoreTimeRow))
