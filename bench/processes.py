"""The real thing: `avtaleflyt` processes on a database, a mail server that counts, and clients that ask for pages."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from aiosmtpd.smtp import SMTP, Envelope, Session

from bench.measuring import percentile
from bench.surroundings import Place
from notifications.local_server import LocalServer, free_port

_HOST = "127.0.0.1"
_PATIENCE = 60.0


class MailCount:
    """A mail server's inside that takes every mail and only counts."""

    def __init__(self) -> None:
        self.taken = 0
        self.last_at = 0.0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called for every mail that arrives."""
        self.taken += 1
        self.last_at = time.perf_counter()
        return "250 OK"


@dataclass(frozen=True, kw_only=True)
class Program:
    """A running `avtaleflyt` process and where it answers, if it does."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def resident_kb(self) -> int:
        """Memory that the process holds; of its children that serve, too."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return sum(_resident_kb(pid) for pid in (str(self.process.pid), *children))


def _resident_kb(pid: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


@contextmanager
def program(place: Place, command: str, *, smtp_port: int = 9, first: str = "/healthz") -> Iterator[Program]:
    """One `avtaleflyt web`, `worker` or `serve`; a web process has answered `first` when the block begins."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AVTALEFLYT_")}
    given = {
        "DATABASE_URL": place.database.url, "VAR_DIR": str(place.folder), "SECRET_KEY": "only-for-bench-" * 4,
        "PORT": str(port), "BASE_URL": "https://avtaleflyt.example.org", "LOG_LEVEL": "WARNING",
        "SMTP_HOST": _HOST, "SMTP_PORT": str(smtp_port), "SMTP_STARTTLS": "false", "MAIL_PER_MINUTE": "1000000",
    }  # fmt: skip
    environment |= {f"AVTALEFLYT_{name}": value for name, value in given.items()}
    process = subprocess.Popen([sys.executable, "-m", "web.entry", command], env=environment)
    try:
        if command != "worker":
            wait_for(port, first)
        yield Program(process=process, port=port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=_PATIENCE)


@contextmanager
def programs(place: Place, *commands: str, smtp_port: int = 9) -> Iterator[list[Program]]:
    """Several at once."""
    with ExitStack() as stack:
        yield [stack.enter_context(program(place, command, smtp_port=smtp_port)) for command in commands]


@contextmanager
def mail_server() -> Iterator[tuple[MailCount, int]]:
    """A mail server of our own; what it counts, and its port."""
    counted = MailCount()
    with LocalServer(counted) as server:
        yield counted, server.port


# --- clients ----------------------------------------------------------------------------------------------------------


def wait_for(port: int, address: str) -> None:
    """Ask until the page is answered well. Raises TimeoutError."""
    until = time.perf_counter() + _PATIENCE
    while time.perf_counter() < until:
        try:
            if Client(port).get(address)[0] == 200:
                return
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(f"No answer at port {port}.")


class Client:
    """A connection that is kept, as a browser or another system keeps it."""

    def __init__(self, port: int, headers: dict[str, str] | None = None) -> None:
        self._connection = http.client.HTTPConnection(_HOST, port, timeout=_PATIENCE)
        self._headers = headers or {}

    def get(self, address: str) -> tuple[int, bytes]:
        """Status and content."""
        return self.send("GET", address)

    def send(self, method: str, address: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and content; `body` is JSON."""
        headers = {**self._headers, **({"Content-Type": "application/json"} if body is not None else {})}
        self._connection.request(method, address, body=body, headers=headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


@dataclass
class Visitor:
    """Someone who looks at pages while something else goes on."""

    took: list[float]
    failed: int = 0

    @property
    def p95_ms(self) -> float:
        return percentile(self.took, 0.95) * 1000


@contextmanager
def visiting(port: int, address: str, headers: dict[str, str], pause: float = 0.05) -> Iterator[Visitor]:
    """A client that asks for a page again and again until the block ends, `pause` seconds after each answer."""
    visitor, done = Visitor([]), Event()

    def visit() -> None:
        client = Client(port, headers)
        while not done.wait(pause):
            began = time.perf_counter()
            status, _content = client.get(address)
            visitor.took.append(time.perf_counter() - began)
            visitor.failed += status != 200

    thread = Thread(target=visit)
    thread.start()
    try:
        yield visitor
    finally:
        done.set()
        thread.join()
