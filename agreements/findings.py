"""What is odd about a plan, in words, and what whoever plans may do about it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from agreements.model import Body, Meeting

#: impossible: can't be lived as it stands; tight: may well go wrong; odd: unusual, and perhaps meant so.
Severity = Literal["impossible", "tight", "odd"]


@dataclass(frozen=True, kw_only=True)
class ChosenMeeting:
    """The date a fact gets: from a meeting that is known, or of one that the start adds to `body`."""

    fact: str
    date: dt.date
    body: Body
    meeting: Meeting | None


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A change that would mend it, as `StartRequest` takes it: merged over what was chosen."""

    #: What the button says.
    label: str
    #: Fact -> a meeting's public id, or "body:2026-11-27" for one still to be added.
    meetings: Mapping[str, str] = field(default_factory=dict)
    #: The dates of those meetings.
    dates: Mapping[str, dt.date] = field(default_factory=dict)
    #: Place of a step -> the due date to set by hand; None gives it back to the model.
    hand_dates: Mapping[str, dt.date | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something about a plan to take a stand on. It may be kept, with a reason.

    `code` is past, weekend, holiday, unusual_weekday, july or autumn_break (a meeting's day), au_after_ssu,
    meeting_full, deadlines_past, deadline_autumn_break, tight_after_au, due_before_open, step_too_short,
    hand_date_misfits, deadline_in_july, person_away or busy_week.
    """

    code: str
    severity: Severity
    message: str
    date: dt.date
    fact: str | None = None
    #: The place of the step it is about.
    step: str | None = None
    proposals: tuple[Proposal, ...] = ()

    @property
    def alternatives(self) -> tuple[dt.date, ...]:
        """Other dates for its fact."""
        return tuple(p.dates[self.fact] for p in self.proposals if self.fact is not None and self.fact in p.dates)
