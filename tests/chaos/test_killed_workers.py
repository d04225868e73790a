"""Processes are killed at random moments: no case stops, nothing is lost, nothing is said twice as if new."""

import os
import random
import selectors
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine import history
from engine.model import ClockOffset, HistoryEvent, Incident, Job, ProcessInstance, Step, UserTask
from notifications.model import Delivery
from tests.world import EVALUATION, MEETING_CASE, ROOT, World

#: A process lives at most this long before it is killed, in seconds.
LONGEST_LIFE = 0.3
#: One that is left alone must come to an end within this.
PATIENCE = 120


class Workers:
    """Processes that make worker processes; see tests/chaos/worker.py."""

    def __init__(self, url: str, outbox: Path, count: int) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "tests.chaos.worker", url, str(outbox)]
        self._makers = [
            subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
            for _ in range(count)
        ]

    def live_and_die(self, dice: random.Random) -> bool:
        """Let one process of each maker live; kill the first after a random while. Answers whether it was killed."""
        pids = [self._begin(maker) for maker in self._makers]
        killed = not self._ends_within(self._makers[0], dice.uniform(0, LONGEST_LIFE))
        for maker, pid in zip(self._makers, pids, strict=True):
            if not self._ends_within(maker, 0):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert self._end(maker) in ("ended 0", f"ended {signal.SIGKILL.value}")
        return killed

    def live(self) -> None:
        """Let one process live until everything is done."""
        maker = self._makers[0]
        self._begin(maker)
        assert self._ends_within(maker, PATIENCE), "the work did not come to an end"
        assert self._end(maker) == "ended 0"

    def close(self) -> None:
        """No more processes."""
        for maker in self._makers:
            maker.communicate(timeout=10)

    @staticmethod
    def _begin(maker: "subprocess.Popen[str]") -> int:
        assert maker.stdin is not None
        assert maker.stdout is not None
        maker.stdin.write("go\n")
        return int(maker.stdout.readline())

    @staticmethod
    def _ends_within(maker: "subprocess.Popen[str]", seconds: float) -> bool:
        assert maker.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(maker.stdout, selectors.EVENT_READ)
            return bool(selector.select(seconds))

    @staticmethod
    def _end(maker: "subprocess.Popen[str]") -> str:
        assert maker.stdout is not None
        return maker.stdout.readline().strip()


def test_no_case_stops_and_no_mail_is_lost_when_processes_are_killed(
    world: World, backend: str, seed: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    print(f"seed {seed}: repeat with --seed {seed}")
    dice, wanted = random.Random(seed), int(request.config.getoption("--kills"))
    with world.database.transaction() as session:
        session.add(ClockOffset(seconds=0))
    cases = [world.start(process, **given) for process, given in ((EVALUATION, {}), (MEETING_CASE, {}))]
    outbox = tmp_path / "outbox"
    outbox.touch()
    world.database.dispose()
    # SQLite serves one process; on PostgreSQL two work at once.
    processes = 1 if backend == "sqlite" else 2
    workers = Workers(world.database.url, outbox, processes)
    kills = 0
    while kills < wanted:
        if workers.live_and_die(dice):
            kills += 1
        elif not busy(world):
            cases.append(world.start(MEETING_CASE))
            world.database.dispose()
    workers.live()
    workers.close()
    with world.database.reading() as session:
        assert_cases_ended(session, cases)
        assert_everything_happened_once(session)
        assert_mails_are_whole(session, outbox, kills, processes)


def busy(world: World) -> bool:
    with world.database.reading() as session:
        return bool(
            session.scalar(select(func.count()).select_from(ProcessInstance).where(ProcessInstance.state == "active"))
        )


def assert_cases_ended(session: Session, cases: list[int]) -> None:
    instances = session.scalars(select(ProcessInstance)).all()
    assert sorted(i.id for i in instances) == sorted(cases)
    assert {i.state for i in instances} == {"completed"}
    assert session.scalars(select(Incident)).all() == []
    assert session.scalars(select(UserTask).where(UserTask.state.in_(("open", "submitted", "pending")))).all() == []
    assert session.scalars(select(Job).where(Job.state != "done")).all() == []
    for instance in instances:
        assert history.broken_at(instance, history.events(session, instance)) is None


def assert_everything_happened_once(session: Session) -> None:
    kinds = Counter((e.instance_id, e.kind) for e in session.scalars(select(HistoryEvent)))
    steps = Counter(s.instance_id for s in session.scalars(select(Step)))
    answered = Counter(t.instance_id for t in session.scalars(select(UserTask).where(UserTask.state == "completed")))
    for instance_id, opened in steps.items():
        assert kinds[instance_id, "started"] == kinds[instance_id, "completed"] == 1
        assert kinds[instance_id, "step-opened"] == opened
        assert kinds[instance_id, "step-completed"] + kinds[instance_id, "step-closed"] == opened
        assert kinds[instance_id, "completed-task"] + kinds[instance_id, "approved"] == answered[instance_id]
    for step in session.scalars(select(Step)):
        done = select(func.count()).where(UserTask.step_id == step.id, UserTask.state == "completed")
        assert session.scalar(done) == step.completed


def assert_mails_are_whole(session: Session, outbox: Path, kills: int, processes: int) -> None:
    accepted: dict[str, list[str]] = defaultdict(list)
    for line in outbox.read_text().splitlines():
        message_id, content = line.split("\t", 1)
        accepted[message_id].append(content)
    deliveries = {d.message_id: d for d in session.scalars(select(Delivery))}
    sent = {d.message_id for d in deliveries.values() if d.state == "sent"}
    # Nothing was said that no row knows of, and what a row calls sent was accepted
    assert accepted.keys() <= deliveries.keys()
    assert sent <= accepted.keys()
    # What was accepted more than once was the same message, and only where a process died in the middle
    repeated = {i: contents for i, contents in accepted.items() if len(contents) > 1}
    assert all(len(set(contents)) == 1 for contents in repeated.values())
    assert sum(len(contents) - 1 for contents in repeated.values()) <= 2 * kills
    # Nothing is left over
    assert {d.state for d in deliveries.values()} <= {"sent", "cancelled", "uncertain"}
    # Everyone was told of every task they had, unless someone did it while another process was about to tell them
    untold = [d.cause for d in deliveries.values() if d.rule == "assigned" and d.state not in ("sent", "uncertain")]
    assert untold == [] or processes > 1, untold
