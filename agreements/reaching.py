"""The earliest way of a case through the bodies that its own plan fits, and what missing a meeting on it costs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy.orm import Session

from agreements import bodies, chains, plan_checks, plan_proposals, starting
from agreements.chains import Chain, Missed
from agreements.plan_checks import Surroundings
from agreements.start_contents import StartRequest
from engine import identity
from engine.model import Community

#: So many different plans are lived; chains beyond them count as out of reach.
MAX_PLANS = 12


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The earliest chain, None where none of the known meetings can be reached, and the price of each of its links."""

    chain: Chain | None
    missed: tuple[Missed, ...]


def reach(session: Session, community: Community, request: StartRequest, *, now: datetime) -> Reach:
    """Look for the earliest chain among the coming meetings on which every step of `request` has its working days.

    The process reads `ssu` and perhaps `au`; bodies it does not read only follow the one before them.
    """
    calendar = identity.calendar_of(community)
    today = calendar.local_date(now)
    meetings = {
        body.key: ([m.date for m in bodies.next_meetings(session, body, today)], body.paper_working_days)
        for body in bodies.all_of(session, community)
        if body.key in chains.WAY
    }
    fits = _Fits(session, community, request, now)
    chain = chains.earliest(meetings, calendar, fits)
    return Reach(chain=chain, missed=chains.if_missed(chain, meetings, calendar, fits) if chain else ())


class _Fits:
    """Does the plan fit these meetings? Each choice of those that the process reads is lived once."""

    def __init__(self, session: Session, community: Community, request: StartRequest, now: datetime) -> None:
        self._session, self._community, self._request, self._now = session, community, request, now
        self._calendar = identity.calendar_of(community)
        self._known: dict[tuple[tuple[str, date], ...], bool] = {}
        self._lived = 0

    def __call__(self, at: Mapping[str, date]) -> bool:
        read = {fact: f"{fact}:{day.isoformat()}" for fact, day in at.items() if fact in ("au", "ssu")}
        key = tuple(sorted((fact, at[fact]) for fact in read))
        if key not in self._known:
            self._known[key] = "ssu" in read and self._fits(replace(self._request, meetings=read))
        return self._known[key]

    def _fits(self, request: StartRequest) -> bool:
        prepared = starting.prepare(self._session, self._community, request, now=self._now)
        if not plan_proposals.works(prepared.warnings) or self._lived >= MAX_PLANS:
            return False
        self._lived += 1
        plan = plan_proposals.plan_of(self._session, prepared, now=self._now)
        today = self._calendar.local_date(self._now)
        return plan_proposals.works(plan_checks.findings(plan, Surroundings(), self._calendar, today))
