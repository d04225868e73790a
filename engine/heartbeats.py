"""Which processes the clock turns in: each says so once a minute, in a row of its own.

What the rows say decides nothing: work is claimed, not handed out. They are for people who look after the system.
"""

import os
import secrets
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from engine.database import Database
from engine.model import WorkerHeartbeat

#: How often a process says that its clock turns.
EVERY = timedelta(minutes=1)
#: Whoever has said nothing for so long is not alive: three beats missed.
SILENT = timedelta(minutes=3)
#: How long a row stays after its process was last seen.
KEPT = timedelta(days=1)


class Pulse:
    """This process's row: written at its first turn, renewed every minute, taken away at its end."""

    def __init__(self, database: Database, *, kind: str, version: str) -> None:
        self._database = database
        self._kind, self._version = kind, version
        self._name = f"{socket.gethostname()[:80]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._written_at: datetime | None = None
        self._stopped = False
        #: Two turns may overlap.
        self._writing = threading.Lock()
        #: When the clock last began a turn here; None before the first.
        self.turned_at: datetime | None = None

    def beat(self, now: datetime) -> None:
        """The clock turns; once a minute that is written down."""
        self.turned_at = now
        with self._writing:
            self._say(now)

    def stop(self) -> None:
        """The process ends in an orderly way: it is no worker that went missing."""
        # Where the database is away, the row grows old by itself.
        with self._writing, suppress(OperationalError, InterfaceError), self._database.transaction() as session:
            self._stopped = True
            session.execute(delete(WorkerHeartbeat).where(WorkerHeartbeat.name == self._name))

    def _say(self, now: datetime) -> None:
        # Also after the clock was set back, or the row would seem alive for as long as it was ahead.
        just_said = self._written_at is not None and timedelta(0) <= now - self._written_at < EVERY
        if just_said or self._stopped:
            return
        with self._database.transaction() as session:
            renewed = update(WorkerHeartbeat).where(WorkerHeartbeat.name == self._name).values(seen_at=now)
            if session.execute(renewed.returning(WorkerHeartbeat.id)).first() is None:
                session.add(self._row(now))
            # Another that clears away now, or renews its own row after a long sleep, is not waited for.
            old = select(WorkerHeartbeat.id).where(WorkerHeartbeat.seen_at < now - KEPT)
            gone = old.with_for_update(skip_locked=True).scalar_subquery()
            session.execute(delete(WorkerHeartbeat).where(WorkerHeartbeat.id.in_(gone)))
        self._written_at = now

    def _row(self, now: datetime) -> WorkerHeartbeat:
        return WorkerHeartbeat(name=self._name, kind=self._kind, version=self._version, started_at=now, seen_at=now)


def is_alive(row: WorkerHeartbeat, now: datetime) -> bool:
    """Has its clock turned lately?"""
    return row.seen_at > now - SILENT


def workers(session: Session) -> Sequence[WorkerHeartbeat]:
    """Every process that was seen within a day and has not said goodbye, the latest seen first."""
    return session.scalars(select(WorkerHeartbeat).order_by(WorkerHeartbeat.seen_at.desc(), WorkerHeartbeat.id)).all()
