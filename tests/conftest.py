"""What every test may ask for: a database of its own, a clock to set, the demo community, and the web application."""

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.database import Database
from tests.fakes import FakeClock, RecordingMailer
from tests.postgres import PostgresServer
from tests.world import World, create_schema, load_community

BACKENDS = ("sqlite", "postgresql")
#: What the product is for is told first: when it fails, the rest matters little.
FIRST = "main_job"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=20, help="how often tests/chaos kills a worker, for each database")
    parser.addoption("--seed", type=int, default=None, help="repeats a run of tests/chaos")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: FIRST not in item.nodeid)


class Templates:
    """Databases that are made once per session and copied for each test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[tuple[str, str], str] = {}
        self._postgres: PostgresServer | None = None
        self._copies = 0

    def copy(self, backend: str, name: str, fill: Callable[[Database], None]) -> str:
        """The address of a fresh copy of the template `name`, which `fill` fills the first time."""
        if (backend, name) not in self._made:
            url = self._new(backend)
            database = Database(url)
            create_schema(database)
            fill(database)
            database.dispose()
            self._made[backend, name] = url
        return self._new(backend, self._made[backend, name])

    def drop(self, backend: str, url: str) -> None:
        """A test is done with its copy."""
        if backend == "postgresql":
            self.postgres.drop(url)
        else:
            for path in self._folder.glob(f"{Path(url).name}*"):
                path.unlink()

    @property
    def postgres(self) -> PostgresServer:
        """The server, started by the first test that needs it."""
        if self._postgres is None:
            self._postgres = PostgresServer()
        return self._postgres

    def close(self) -> None:
        """End of the session."""
        if self._postgres is not None:
            self._postgres.close()

    def _new(self, backend: str, template: str | None = None) -> str:
        if backend == "postgresql":
            return self.postgres.create(template)
        self._copies += 1
        path = self._folder / f"{self._copies}.db"
        if template is not None:
            # Nobody is connected to the template, so its file holds everything.
            shutil.copyfile(template.removeprefix("sqlite:///"), path)
        return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def templates() -> Iterator[Templates]:
    # Files in memory where there are such: what a disk would take for every commit is not what is tested.
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="avtaleflyt-", dir=memory if memory.is_dir() else None))
    made = Templates(folder)
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def backend() -> str:
    """SQLite, unless a folder's conftest or a test asks for both (`params=BACKENDS`)."""
    return "sqlite"


@pytest.fixture
def database(backend: str, templates: Templates) -> Iterator[Database]:
    """A database with all tables and no rows."""
    yield from _opened(backend, templates, "empty", lambda database: None)


@pytest.fixture
def clock() -> FakeClock:
    """Ten in the morning, local time, on 18 May 2026."""
    return FakeClock()


@pytest.fixture
def world(backend: str, templates: Templates, clock: FakeClock) -> Iterator[World]:
    """The demo community with its models, in a database of its own."""
    for opened in _opened(backend, templates, "world", load_community):
        yield World.of(opened, clock)


def _opened(backend: str, templates: Templates, name: str, fill: Callable[[Database], None]) -> Iterator[Database]:
    url = templates.copy(backend, name, fill)
    opened = Database(url)
    yield opened
    opened.dispose()
    templates.drop(backend, url)


# --- web --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def mailer() -> RecordingMailer:
    """Keeps the mails instead of sending them."""
    return RecordingMailer()


@pytest.fixture
def services(world: World, mailer: RecordingMailer, tmp_path: Path) -> Iterator[Any]:
    """The services of the application, on the world's database and clock."""
    from web import services as web_services
    from web.settings import Settings

    settings = Settings(
        database_url=world.database.url, demo=True, var_dir=tmp_path, secret_key="only-for-tests",
        base_url="https://avtaleflyt.example.org",
    )  # fmt: skip
    built = web_services.build(settings, clock=world.clock, mailer=mailer)
    # One process has one database object: on SQLite it holds the lock that writers queue at.
    yield dataclasses.replace(built, database=world.database)
    built.database.dispose()


@pytest.fixture
def app(services: Any) -> Any:
    """The application. Its forms take posts without a token."""
    from web.app import create_app

    created = create_app(services)
    created.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    return created


@pytest.fixture
def client_for(app: Any) -> Callable[[str], Any]:
    """Signs in: `client_for("kommunalsjef.larvik")` is a browser of that person's."""

    def signed_in(key: str) -> Any:
        client = app.test_client()
        answer = client.post("/velg-hvem-du-er", data={"user": key})
        assert answer.status_code in (302, 303), f"{key} could not sign in: {answer.status}"
        return client

    return signed_in
