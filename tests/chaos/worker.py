"""A process that lives cases to their end: a worker's turns, and the people's acts, at a time that the database keeps.

`python -m tests.chaos.worker URL OUTBOX` makes a child of itself for each line it reads, writes the child's number, and
writes `ended STATUS` when the child is gone. A child may be killed at any moment; the next one goes on with what is
there.
"""

import hashlib
import os
import sys
import time
import traceback
from contextlib import suppress
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from engine import deployments, identity, process_instances, scheduling, task_forms, user_tasks
from engine.database import Database
from engine.errors import EngineError
from engine.model import ClockOffset, Job, ProcessInstance, UserTask
from notifications import delivery
from notifications.mailer import wire_format
from notifications.model import Delivery
from notifications.settings import NotificationSettings
from tests.factories import main_path_answers
from tests.fakes import START

#: What a mail takes to its server, and the server's word back: long enough for a kill to fall into it now and then.
LATENCY_SECONDS = 0.004
#: When people act, in UTC.
WORKING_HOURS = range(10, 15)


class FileMailer:
    """A mail server that has accepted a message once its line is in the file."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def send(self, message: EmailMessage, to: str) -> None:
        """Accept the message."""
        digest = hashlib.sha256(wire_format(message)).hexdigest()
        time.sleep(LATENCY_SECONDS)
        os.write(self._file, f"{message['Message-ID']}\t{to}\t{digest}\n".encode())
        time.sleep(LATENCY_SECONDS)


class Life:
    """One process's work on one database."""

    def __init__(self, url: str, outbox: str) -> None:
        self.database = Database(url, pool_size=2)
        self.mailer = FileMailer(outbox)
        self.settings = NotificationSettings(base_url="https://avtaleflyt.example.org", element=deployments.element)

    def live(self) -> None:
        """Go on until every case has ended and nothing is left to do."""
        while True:
            now = self._now()
            # What a killed process held is taken over before anybody acts.
            if not (self._drain(now) or self._wait_for_leases(now) or self._act(now) or self._let_time_pass(now)):
                return

    def _now(self) -> datetime:
        with self.database.reading() as session:
            return START + timedelta(seconds=session.scalar(select(ClockOffset.seconds)) or 0)

    def _drain(self, now: datetime) -> int:
        def send(moment: datetime) -> bool:
            return delivery.send_one(self.database, self.mailer, now=moment, settings=self.settings)

        return scheduling.drain(self.database, delivery.handlers(self.settings), (send,), now)

    def _wait_for_leases(self, now: datetime) -> bool:
        with self.database.reading() as session:
            held = (
                session.scalar(select(func.min(Job.lease_until)).where(Job.state == "leased")),
                session.scalar(select(func.min(Delivery.lease_until)).where(Delivery.state == "sending")),
            )
        return self._advance(min((m for m in held if m is not None), default=None))

    def _act(self, now: datetime) -> bool:
        """Whoever has the open task with the first due date does it, once the morning's mails have left."""
        if now.hour not in WORKING_HOURS:
            morning = now.replace(hour=WORKING_HOURS[0], minute=0, second=0)
            return self._advance(morning if morning > now else morning + timedelta(days=1))
        with self.database.reading() as session:
            task = self._first_task(session)
            if task is None:
                return False
            answers = self._answers(session, task, now)
            actor = self._performer(session, task)
        # Another process may have been first.
        with suppress(EngineError), self.database.transaction() as session:
            if task.state == "submitted":
                user_tasks.approve(session, task.id, actor=actor, now=now)
            else:
                user_tasks.complete(session, task.id, answers, actor=actor, now=now)
        return True

    @staticmethod
    def _first_task(session: Session) -> UserTask | None:
        query = (
            select(UserTask)
            .join(ProcessInstance, ProcessInstance.id == UserTask.instance_id)
            .where(UserTask.state.in_(user_tasks.OPEN), ProcessInstance.state == "active")
            .order_by(UserTask.due_date.is_(None), UserTask.due_date, UserTask.id)
        )
        return session.scalars(query.limit(1)).first()

    @staticmethod
    def _answers(session: Session, task: UserTask, now: datetime) -> dict[str, Any]:
        form, inputs = task_forms.form_of(session, task.instance, task)
        element = deployments.element(session, task.instance, task.step)
        return main_path_answers(form, inputs, element, day=now.date() + timedelta(days=14))

    @staticmethod
    def _performer(session: Session, task: UserTask) -> identity.Person:
        user_id = task.approver_id if task.state == "submitted" else task.assignee_id
        return identity.person_by_id(session, user_id or identity.members(session, task.candidate_group_id or 0)[0].id)

    def _let_time_pass(self, now: datetime) -> bool:
        with self.database.reading() as session:
            moments = (
                process_instances.next_wake(session),
                delivery.next_due(session),
                session.scalar(select(func.min(Job.run_at)).where(Job.state == "queued")),
            )
        return self._advance(min((m for m in moments if m is not None), default=None))

    def _advance(self, moment: datetime | None) -> bool:
        if moment is None:
            return False
        seconds = int((moment - START).total_seconds()) + 1
        with self.database.transaction() as session:
            # Never backwards: another process may have seen a later time.
            session.execute(update(ClockOffset).where(ClockOffset.seconds < seconds).values(seconds=seconds))
        return True


def main(url: str, outbox: str) -> None:
    """Make a child for each line, one after the other."""
    for _line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(_live(url, outbox))
        print(child, flush=True)
        _, how = os.waitpid(child, 0)
        print("ended", how, flush=True)


def _live(url: str, outbox: str) -> int:
    try:
        Life(url, outbox).live()
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main(*sys.argv[1:])
