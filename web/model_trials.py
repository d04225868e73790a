"""A draft tried out: in a copy of the community in memory, where the draft is deployed and a case is rehearsed."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from agreements.model import Agreement, Body, Meeting, Party, StartDefault
from engine import deployments, drafts
from engine.database import Database
from engine.model import Base, Community, Deployment, Group, Membership, ModelDraft, ProcessDefinition, User

#: What planning a start reads, those first that others point at.
_COPIED: tuple[Any, ...] = (
    Community, User, Group, Deployment, ProcessDefinition, Party, Body, Meeting, Agreement, StartDefault
)  # fmt: skip


@contextmanager
def trial(source: Session, draft: ModelDraft, *, now: datetime) -> Iterator[tuple[Session, ProcessDefinition]]:
    """A session in which the draft is deployed; nothing of it is kept. Raises ModelRefused."""
    sandbox = Database("sqlite://")
    try:
        Base.metadata.create_all(sandbox.engine)
        with sandbox.transaction() as session:
            # Bodies and agreements hang under each other, in any order.
            session.execute(text("PRAGMA defer_foreign_keys = ON"))
            _copy(source, session, draft.community_id)
        with sandbox.transaction() as session:
            drawn = [drafts.source_of(draft)]
            definition, *_others = deployments.deploy(session, draft.community_id, drawn, now=now, actor_id=None)
        with sandbox.reading() as session:
            yield session, session.get_one(ProcessDefinition, definition.id)
    finally:
        sandbox.dispose()


def _copy(source: Session, target: Session, community_id: int) -> None:
    for table in _COPIED:
        owner = table.id if table is Community else table.community_id
        _insert(source, target, table, owner == community_id)
    members = Membership.group_id.in_(select(Group.id).where(Group.community_id == community_id))
    _insert(source, target, Membership, members)


def _insert(source: Session, target: Session, table: Any, condition: Any) -> None:
    rows = source.execute(select(*table.__table__.columns).where(condition)).mappings().all()
    if rows:
        target.execute(insert(table), [dict(row) for row in rows])
