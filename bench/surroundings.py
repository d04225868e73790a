"""What the rows run on: fresh databases of one kind, on a server that waits for its disk as a real one does."""

import dataclasses
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from pydantic import SecretStr
from sqlalchemy import make_url

from bench.world import BenchWorld, build_world
from engine.clock import Clock
from engine.database import Database
from notifications.mailer import Mailer
from tests.postgres import PostgresServer
from web.services import Services, build
from web.settings import Settings

BACKENDS = ("sqlite", "postgresql")
#: The tests' server forgoes these; what is measured does not.
_DURABLE = ("fsync", "synchronous_commit", "full_page_writes", "autovacuum", "max_wal_size")


class Surroundings:
    """Makes databases with the demo's community and models, all alike."""

    def __init__(self, backend: str, folder: Path, server: PostgresServer | None, *, quick: bool) -> None:
        self.backend = backend
        #: A tenth of everything: to see that it runs.
        self.quick = quick
        self.folder = folder
        self._server = server
        self._made = 0

    def many(self, count: int) -> int:
        """So many, or a tenth where only the running is tried."""
        return max(1, count // 10) if self.quick else count

    @contextmanager
    def fresh(self) -> Iterator["Place"]:
        """A database of its own."""
        url = self._new()
        database = Database(url, pool_size=60)
        try:
            yield Place(database=database, world=build_world(database), folder=self.folder)
        finally:
            database.dispose()
            if self._server is not None:
                self._server.drop(url)

    def _new(self) -> str:
        if self._server is not None:
            return self._server.create()
        self._made += 1
        return f"sqlite:///{self.folder / f'{self._made}.db'}"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A database, what stands in it, and where files may lie."""

    database: Database
    world: BenchWorld
    folder: Path

    @property
    def settings(self) -> Settings:
        """Those of an installation on this database."""
        return Settings(
            database_url=self.database.url, var_dir=self.folder, secret_key=SecretStr("only-for-bench"),
            base_url="https://avtaleflyt.example.org",
        )  # fmt: skip

    def services(self, clock: Clock, mailer: Mailer) -> Services:
        """The services of that installation in this process, on this very database."""
        built = build(self.settings, clock=clock, mailer=mailer)
        built.database.dispose()
        return dataclasses.replace(built, database=self.database)


@contextmanager
def surroundings(backend: str, *, quick: bool) -> Iterator[Surroundings]:
    """Those of one kind of database, until the block ends."""
    with TemporaryDirectory(prefix="avtaleflyt-bench-") as folder, _server(backend) as server:
        yield Surroundings(backend, Path(folder), server, quick=quick)


def _server(backend: str) -> AbstractContextManager[PostgresServer | None]:
    return _postgres() if backend == "postgresql" else _none()


@contextmanager
def _none() -> Iterator[None]:
    yield None


@contextmanager
def _postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        _make_durable(server)
        yield server
    finally:
        server.close()


def _make_durable(server: PostgresServer) -> None:
    url = server.create()
    with psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(False), autocommit=True) as admin:
        for setting in _DURABLE:
            admin.execute(f"ALTER SYSTEM RESET {setting}")
        admin.execute("SELECT pg_reload_conf()")
    server.drop(url)
