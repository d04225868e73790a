"""What every test may ask for: a database of its own, a clock to set, the demo community, and the web application."""

import gc
import shutil
from collections.abc import Callable, Iterator, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from engine.database import Database
from tests.applications import hurry, services_of
from tests.concurrency import unbroken as unbroken
from tests.fakes import FakeClock, RecordingMailer
from tests.postgres import PostgresServer, fast_folder
from tests.world import Past, World, create_schema

BACKENDS = ("sqlite", "postgresql")
#: What the product is for is told first: when it fails, the rest matters little.
FIRST = "main_job"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=20, help="how often tests/chaos kills a worker, for each database")
    parser.addoption("--seed", type=int, default=None, help="repeats a run of tests/chaos")


def pytest_configure() -> None:
    hurry()


def pytest_collection_finish() -> None:
    # What is loaded by now stays until the end: looking through it again and again took a fifth of the time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: FIRST not in item.nodeid)


class Templates:
    """Databases that are made once per session and copied for each test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[tuple[str, str], str] = {}
        self._answers: dict[tuple[str, str], Any] = {}
        self._postgres: PostgresServer | None = None
        self._files = 0
        self._free: list[Path] = []

    def copy(self, backend: str, name: str, fill: Callable[[Database], object]) -> str:
        """The address of a fresh copy of the template `name`, which `fill` fills the first time."""
        if (backend, name) not in self._made:
            url = self._new(backend)
            database = Database(url)
            create_schema(database)
            self._answers[backend, name] = fill(database)
            database.dispose()
            self._made[backend, name] = url
        return self._new(backend, self._made[backend, name])

    def answer(self, backend: str, name: str) -> Any:
        """What `fill` answered when it filled that template."""
        return self._answers[backend, name]

    def drop(self, backend: str, url: str) -> None:
        """A test is done with its copy. A later one gets its address, for which statements are compiled already."""
        if backend == "postgresql":
            self.postgres.drop(url)
        else:
            for path in self._folder.glob(f"{Path(url).name}*"):
                path.unlink()
            self._free.append(self._folder / Path(url).name)

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
        path = self._free.pop() if self._free else self._unused()
        if template is not None:
            # Nobody is connected to the template, so its file holds everything.
            shutil.copyfile(template.removeprefix("sqlite:///"), path)
        return f"sqlite:///{path}"

    def _unused(self) -> Path:
        self._files += 1
        return self._folder / f"{self._files}.db"


@pytest.fixture(scope="session")
def templates() -> Iterator[Templates]:
    folder = fast_folder("avtaleflyt-")
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


def _nothing(world: World) -> Sequence[EmailMessage]:
    return ()


def _until_the_survey_opens(world: World) -> Sequence[EmailMessage]:
    world.proceed_to(world.start(), "answer_survey")
    return ()


@pytest.fixture
def past(request: pytest.FixtureRequest) -> Past:
    """What the world has been through; a module whose tests begin alike has a fixture of this name."""
    if "surveyed" in request.fixturenames:
        return Past(name="an open survey", live=_until_the_survey_opens)
    return Past(name="nothing yet", live=_nothing)


@pytest.fixture
def world(backend: str, templates: Templates, clock: FakeClock, mailer: RecordingMailer, past: Past) -> Iterator[World]:
    """The demo community with its models, in a database of its own, at the end of its past."""
    for opened in _opened(backend, templates, past.name, past.fill):
        now, mails = templates.answer(backend, past.name)
        clock.set(now)
        mailer.messages += mails
        yield World.of(opened, clock)


@pytest.fixture
def surveyed(world: World) -> int:
    """The id of the one evaluation of the world's past, at the moment when its survey opened."""
    case = world.only_case()
    [step] = world.steps(case, element_id="answer_survey")
    world.clock.set(step.opened_at)
    return case


def _opened(backend: str, templates: Templates, name: str, fill: Callable[[Database], object]) -> Iterator[Database]:
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
    with services_of(world, mailer, tmp_path) as built:
        yield built


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
