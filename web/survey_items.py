"""Whom a step that asks several can ask beside those it asks: the community's parties or bodies, as items."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements import bodies, parties
from agreements.parties import Item
from engine import deployments
from engine.errors import InvalidInput, NotFound
from engine.model import Community, ProcessInstance, Step, UserTask


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A party or body that is not asked yet."""

    key: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Asking:
    """An open step that asks several, and whom it could ask too."""

    step: Step
    candidates: tuple[Candidate, ...]


def askings(session: Session, instance: ProcessInstance) -> list[Asking]:
    """The case's open steps that ask several, in the order they opened."""
    steps = session.scalars(select(Step).where(Step.instance_id == instance.id, Step.state == "open").order_by(Step.id))
    community = session.get_one(Community, instance.community_id)
    several = [s for s in steps if deployments.element(session, instance, s).multi_instance is not None]
    return [Asking(step=step, candidates=_candidates(session, community, step)) for step in several]


def item(session: Session, community: Community, step: Step, key: str) -> Item:
    """The party or body as the step's own items are. Raises InvalidInput where nobody in it can be asked."""
    if _asks_parties(_rows(session, step)):
        return parties.items(session, community, [key])[0]
    return bodies.body_items(session, community, [key])[0]


def step_of(session: Session, instance: ProcessInstance, element: str | None) -> Step:
    """The open step that asks several: the one named, else the only one. Raises InvalidInput or NotFound."""
    found = [a.step for a in askings(session, instance)]
    named = [step for step in found if element in (None, step.element_id)]
    if len(named) == 1:
        return named[0]
    listed = ", ".join(step.element_id for step in found) or "none"
    if named:
        raise InvalidInput(f"Several steps ask several now. Say which: {listed}.", field="step")
    raise NotFound(f"No such step asks several now. Those that do: {listed}.")


def _rows(session: Session, step: Step) -> Sequence[UserTask]:
    return session.scalars(select(UserTask).where(UserTask.step_id == step.id)).all()


def _asks_parties(rows: Sequence[UserTask]) -> bool:
    return all((row.item_data or {}).get("contact") for row in rows)


def _candidates(session: Session, community: Community, step: Step) -> tuple[Candidate, ...]:
    rows = _rows(session, step)
    asked = {row.item for row in rows if row.state != "withdrawn"}
    if _asks_parties(rows):
        known = [Candidate(key=p.key, name=p.name) for p in parties.all_of(session, community)]
    elif all((row.item_data or {}).get("group") for row in rows):
        known = [Candidate(key=b.key, name=b.name) for b in bodies.all_of(session, community) if b.group]
    else:
        known = []  # items that the case itself made, such as points of a decision
    return tuple(c for c in known if c.key not in asked)
