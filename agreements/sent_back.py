"""A body has sent a case back: which meetings it can go to instead, each with the whole plan that follows.

An extra meeting comes as soon as the steps before it can, and the decision stays; or the decision waits for the
deciding body's next meeting. Everything offered has been lived, and keeps the order of the case.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements import bodies, move_trials, moving
from agreements.model import Meeting
from agreements.moving import Change, Preview, World
from engine import deployments, hand_dates, identity
from engine.calendar import Calendar
from engine.errors import InvalidInput, NotOpen
from engine.identity import Person
from engine.model import Community, ProcessInstance, Step
from engine.planning import PlannedStep

#: The body that prepares, and the one that decides: names of facts, and keys of bodies.
PREPARES, DECIDES = "au", "ssu"
#: So many meetings of each body are tried.
_TRIED = 3


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One way on. `kind` is extra (a meeting more) or next (the deciding body's next meeting)."""

    kind: str
    au: date
    ssu: date
    tried: Preview


def is_sent_back(session: Session, instance: ProcessInstance) -> bool:
    """Does a step wait a second time, with less time than it ought to have, on the way to the preparing body?"""
    again = any(int(count) > 1 for count in instance.rounds.values())
    if instance.state != "active" or not again or not {PREPARES, DECIDES} <= instance.facts.keys():
        return False
    calendar = identity.calendar_of(instance.community)
    waiting = select(Step).where(Step.instance_id == instance.id, Step.state == "open", Step.round > 1)
    return any(_is_short(session, instance, step, calendar) for step in session.scalars(waiting))


def _is_short(session: Session, instance: ProcessInstance, step: Step, calendar: Calendar) -> bool:
    least = deployments.element(session, instance, step).properties.get("minimumWorkingDays", "")
    if step.due_date is None or not least.isdigit():
        return False
    return calendar.working_days_between(calendar.local_date(step.opened_at), step.due_date) < int(least)


def offers(
    session: Session, instance: ProcessInstance, *, actor: Person, now: datetime, world: World
) -> tuple[Offer, ...]:
    """What fits: an extra meeting before the decision as it is planned, and the next decision."""
    around = _Around(session, instance, actor, now, world)
    return tuple(offer for offer in (around.extra(), around.next()) if offer is not None)


class _Around:
    """One case, its bodies and its days."""

    def __init__(self, session: Session, instance: ProcessInstance, actor: Person, now: datetime, world: World) -> None:
        self._session = session
        self._instance = instance
        self._actor = actor
        self._now = now
        self._world = world
        community = session.get_one(Community, instance.community_id)
        self._calendar: Calendar = identity.calendar_of(community)
        self._today = self._calendar.local_date(now)
        self._bodies = {key: bodies.find_body(session, community, key) for key in (PREPARES, DECIDES)}
        opened = select(Step).where(Step.instance_id == instance.id, Step.state == "open")
        self._open = {(step.call_path, step.element_id) for step in session.scalars(opened)}
        self._steps = move_trials.coming(session, instance, actor=actor, now=now, world=world)

    def extra(self) -> Offer | None:
        """One more meeting of the preparing body, as soon as the steps before it come in order; SSU as planned."""
        met, ssu = (date.fromisoformat(self._instance.facts[name]) for name in (PREPARES, DECIDES))
        before, after = self._around_meeting()
        waiting = [step for step in before if (step.call_path, step.element) in self._open]
        leads = [
            self._calendar.working_days_between(step.due, met) for step in before if step.due and step not in waiting
        ]
        lead = max(leads, default=0)
        day = self._calendar.working_days_after(self._today, lead + 1)
        if not waiting or day >= ssu:
            return None
        # What waits now ends when the next step is due; what comes after the meeting, at the earliest the day after.
        last, first = self._calendar.working_days_before(day, lead), self._calendar.working_days_after(day, 1)
        by_hand = {hand_dates.place_of(s.call_path, s.element): last for s in waiting}
        by_hand |= {hand_dates.place_of(s.call_path, s.element): first for s in after if s.due and s.due <= day}
        return self._offer("extra", day, ssu, by_hand, ((self._bodies[PREPARES].id, day),))

    def next(self) -> Offer | None:
        """The deciding body's next meeting, with the first meeting of the preparing body that can be reached."""
        planned = date.fromisoformat(self._instance.facts[DECIDES])
        for ssu in self._coming(DECIDES, planned):
            for au, extra in self._preparing(ssu):
                offer = self._offer("next", au, ssu, {}, extra)
                if offer is not None:
                    return offer
        return None

    def _around_meeting(self) -> tuple[list[PlannedStep], list[PlannedStep]]:
        """The steps up to the preparing body's meeting, and those after it."""
        met = date.fromisoformat(self._instance.facts[PREPARES])
        dated = [step for step in self._steps if step.due is not None]
        ends = next((n for n, step in enumerate(dated, start=1) if step.due == met), 0)
        return dated[:ends], dated[ends:]

    def _coming(self, key: str, after: date) -> list[date]:
        query = select(Meeting.date).where(Meeting.body_id == self._bodies[key].id, Meeting.date > after)
        return list(self._session.scalars(query.order_by(Meeting.date).limit(_TRIED)))

    def _preparing(self, ssu: date) -> Iterator[tuple[date, tuple[tuple[int, date], ...]]]:
        """Meetings of the preparing body that may be reached before that decision, known ones first."""
        for au in self._coming(PREPARES, self._today):
            if au < ssu:
                yield au, ()
        before, after = self._around_meeting()
        least = sum(step.minimum_working_days or 1 for step in (*before, *after[:1]))
        day = self._calendar.working_days_before(ssu, 15)
        if self._calendar.working_days_between(self._today, day) >= least:
            yield day, ((self._bodies[PREPARES].id, day),)

    def _offer(
        self, kind: str, au: date, ssu: date, by_hand: dict[str, date], extra: tuple[tuple[int, date], ...]
    ) -> Offer | None:
        try:
            change = self._change(au, ssu, by_hand, extra)
            tried = move_trials.preview(self._session, change, actor=self._actor, now=self._now, world=self._world)
        except (InvalidInput, NotOpen):  # such as dates that the model's timers can't take: then it is no way on
            return None
        outcome = tried.cases[0].outcome
        return None if outcome.broken or outcome.stopped else Offer(kind=kind, au=au, ssu=ssu, tried=tried)

    def _change(self, au: date, ssu: date, by_hand: dict[str, date], extra: tuple[tuple[int, date], ...]) -> Change:
        facts = {PREPARES: au}
        if ssu.isoformat() != self._instance.facts[DECIDES]:
            facts[DECIDES] = ssu
        return moving.of_case(self._instance, facts=facts, hand_dates=by_hand, extra=extra)
