"""Real `avtaleflyt web`, `worker` and `serve` processes, and the axe that kills them at random moments."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from notifications.local_server import free_port
from tests.world import ROOT

#: How many requests and mails there are at most between two deaths, and how long they are waited for, in seconds.
MOST_BETWEEN, LONGEST_WAIT = 14, 15.0
#: How many deaths wait for an awkward moment, for how long, and how far into that they come, in seconds.
AWKWARD, LONGEST_AWKWARD, IN_THE_MIDDLE = 0.6, 1.0, 0.02
#: One that is told to stop must be gone within this, in seconds.
PATIENCE = 30


class Nursery:
    """Makes processes of one release of the program; see tests/chaos/process.py."""

    def __init__(self, environment: Mapping[str, str], log: Path, release: Path = ROOT) -> None:
        self._log = log.open("ab")
        # What stands in the folder of the release comes before everything else; the tests are ours.
        path = os.pathsep.join(dict.fromkeys((str(release), str(ROOT))))
        self._maker = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.chaos.process"], cwd=release, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self._log, text=True, bufsize=1,
            env={**os.environ, **environment, "PYTHONPATH": path},
        )  # fmt: skip
        self._made: list[int] = []

    def ready(self) -> None:
        """Wait until it can make processes."""
        assert self._answer() == "ready", f"no processes can be made: {Path(self._log.name).read_text()}"

    def make(self, kind: str, port: int | None) -> int:
        """Begin a process; answers its number."""
        assert self._maker.stdin is not None
        self._maker.stdin.write(f"{kind} {port or ''}\n")
        self._made.append(int(self._answer()))
        return self._made[-1]

    def close(self) -> None:
        """No more processes; whatever became of the test, nothing runs on."""
        for pid in self._made:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self._maker.communicate(timeout=PATIENCE)
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _answer(self) -> str:
        assert self._maker.stdout is not None
        return self._maker.stdout.readline().strip()


class Moment:
    """Something that happens now and again, and can be waited for."""

    def __init__(self) -> None:
        self.times = 0
        self._happened = threading.Event()

    def now(self) -> None:
        """It happens."""
        self.times += 1
        self._happened.set()

    def wait(self, seconds: float) -> None:
        """Wait until it happens again, no longer than that."""
        self._happened.clear()
        self._happened.wait(seconds)


@dataclass
class Process:
    """One place in the fleet: what runs there, where it listens, and who runs it now."""

    kind: str
    port: int | None
    nursery: Nursery
    pid: int = 0
    killed: int = 0
    #: When it was killed last, in seconds of the machine's steady clock.
    died: float = 0.0

    def begin(self) -> None:
        """Begin it, for the first time or anew."""
        self.pid = self.nursery.make(self.kind, self.port)

    def kill(self) -> None:
        """As when the power goes: it, and whatever it has begun, is gone at once."""
        # A process that is not there has ended by itself, which none ever may: this raises then.
        os.killpg(self.pid, signal.SIGKILL)
        self.killed, self.died = self.killed + 1, time.monotonic()
        deadline = time.monotonic() + PATIENCE
        with suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.killpg(self.pid, 0)  # until the last of it has let go of the port
                _pause(0.005)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while self._lives():
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGUSR1)
                _pause(1)
                raise AssertionError(f"{self.kind} did not stop when it was told to; the log says what it does")
            _pause(0.02)

    def _lives(self) -> bool:
        with suppress(ProcessLookupError):
            os.kill(self.pid, 0)
            return True
        return False


class Fleet:
    """The processes of one installation."""

    def __init__(self, nursery: Nursery, kinds: Sequence[str]) -> None:
        self.processes = [Process(kind, free_port() if kind != "worker" else None, nursery) for kind in kinds]

    def begin(self) -> None:
        """Begin them all."""
        for process in self.processes:
            process.begin()

    @property
    def ports(self) -> list[int]:
        """Where pages are served."""
        return [process.port for process in self.processes if process.port is not None]

    def last_death(self) -> float:
        """When one of them was killed last, in seconds of the machine's steady clock."""
        return max(process.died for process in self.processes)

    def stop(self) -> None:
        """Stop them all in an orderly way."""
        for process in self.processes:
            process.stop()


@dataclass
class Axe:
    """Kills the processes of a fleet in rounds, each round in another order, and begins each again at once."""

    fleet: Fleet
    seed: int
    wanted: int
    #: Kind of process -> when it is most awkward to die.
    awkward: Mapping[str, Moment]
    #: When whoever sends mails was killed, in seconds of the machine's steady clock.
    senders_killed: list[float] = field(default_factory=list)
    done: int = 0
    failure: BaseException | None = None

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._thread = threading.Thread(target=self._work)

    def start(self) -> None:
        """Begin to kill."""
        self._thread.start()

    @property
    def at_rest(self) -> bool:
        """Has it killed as often as it should? Raises what kept it from going on."""
        if self.failure is not None:
            raise self.failure
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Kill nobody more."""
        self.wanted = 0
        self._thread.join()

    def _work(self) -> None:
        try:
            while self.done < self.wanted:
                for process in self._dice.sample(self.fleet.processes, len(self.fleet.processes)):
                    if self.done < self.wanted:
                        self._strike(process)
        except BaseException as error:  # handed to whoever waits for the axe
            self.failure = error

    def _strike(self, process: Process) -> None:
        self._let_live(self._dice.randint(1, MOST_BETWEEN))
        if self._dice.random() < AWKWARD:
            self.awkward[process.kind].wait(LONGEST_AWKWARD)
            _pause(self._dice.uniform(0, IN_THE_MIDDLE))
        process.kill()
        if process.kind != "web":
            self.senders_killed.append(time.monotonic())
        self.done += 1
        process.begin()

    def _let_live(self, moments: int) -> None:
        """So much happens before the next death, however fast the machine is."""
        watched = set(self.awkward.values())
        enough = sum(moment.times for moment in watched) + moments
        deadline = time.monotonic() + LONGEST_WAIT
        while sum(moment.times for moment in watched) < enough and time.monotonic() < deadline and self.wanted:
            _pause(0.005)


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)
