"""A real browser against the real application: served on loopback, mails through a real SMTP conversation."""

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from sqlalchemy import select
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter
from werkzeug.serving import make_server

from notifications.local_server import KeepingReceiver, LocalServer
from notifications.mailer import SmtpMailer
from notifications.model import ReceivedMail
from tests.fakes import FakeClock
from tests.world import World

#: When the demo is looked at.
DEMO_DAY = datetime(2026, 11, 18, 9, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = next((p for p in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(p).exists()), None)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
#: How long an answer may take on a busy machine; a plan lives a whole case.
PATIENCE_MS = 60_000
#: How often axe is run before its fault is the page's.
AXE_TURNS = 3
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
#: The paths that axe has read in the test that runs.
_READ: set[str] = set()


def pytest_configure(config: pytest.Config) -> None:
    """What marks mean, and how long to wait."""
    expect.set_options(timeout=PATIENCE_MS / 4)
    config.addinivalue_line("markers", "shows(*endpoints): the test lets axe read these pages, in a state of their own")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium where it is; elsewhere the one that playwright installed.

    It ends with the folder's last test: while playwright runs, its event loop is everybody's, and no other can run.
    """
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(args=FLAGS, executable_path=CHROMIUM)
        yield chromium
        chromium.close()


@dataclass(frozen=True)
class Site:
    """The running application and what a test does to it from outside."""

    address: str
    world: World
    services: Any
    browser: Browser
    contexts: list[BrowserContext]

    def visit(self, key: str | None, *, size: dict[str, int] = WIDE) -> Page:
        """A browser of its own, signed in as `key` through the page where one chooses who one is."""
        # What opens slowly lies over what follows it, and axe would look at that.
        context = self.browser.new_context(
            viewport=size, locale="nb-NO", base_url=self.address, reduced_motion="reduce"
        )
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: pytest.fail(f"Script error on {page.url}: {error}"))
        if key is not None:
            page.goto("/velg-hvem-du-er")
            page.locator(
                f"form:has(input[name=user][value='{key}']) button, button[name=user][value='{key}']"
            ).first.click()
            page.wait_for_url("**/oppgaver")
        return page

    def drain(self) -> None:
        """Let the clock turn until nothing is due: timers, jobs and mails."""
        while self.services.drain(self.world.clock()):
            continue

    def mails_to(self, address: str) -> list[str]:
        """Subjects of the mails that the SMTP server took in for an address, in order."""
        query = select(ReceivedMail.subject).where(ReceivedMail.envelope_to == address).order_by(ReceivedMail.id)
        with self.world.database.reading() as session:
            return list(session.scalars(query))


@contextmanager
def serving(world: World, folder: Path, browser: Browser, *, demo: bool = True) -> Iterator[Site]:
    """The application on a free port, with CSRF and policy as in real use."""
    from web import services as web_services
    from web.app import create_app
    from web.settings import Settings

    with LocalServer(KeepingReceiver(world.database, world.clock)) as smtp:
        settings = Settings(database_url=world.database.url, demo=demo, var_dir=folder, secret_key="only-for-tests")
        mailer = SmtpMailer(host=smtp.host, port=smtp.port, starttls=False)
        built = web_services.build(settings, clock=world.clock, mailer=mailer)
        own = dataclasses.replace(built, database=world.database)
        server = make_server("127.0.0.1", 0, create_app(own), threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        contexts: list[BrowserContext] = []
        yield Site(f"http://127.0.0.1:{server.server_port}", world, own, browser, contexts)
        for context in contexts:
            context.close()
        server.shutdown()
        thread.join()
        server.server_close()
        built.database.dispose()


@pytest.fixture
def site(world: World, tmp_path: Path, browser: Browser) -> Iterator[Site]:
    """The application on the demo community, with no cases yet."""
    with serving(world, tmp_path, browser) as served:
        yield served


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Site]:
    """The demo as a newcomer meets it, on Wednesday 18 November 2026."""
    from web import demo_data, migrating
    from web import services as web_services
    from web.settings import Settings

    folder = tmp_path_factory.mktemp("demo")
    clock = FakeClock(DEMO_DAY)
    settings = Settings(database_url=f"sqlite:///{folder}/demo.db", demo=True, var_dir=folder, secret_key="x" * 32)
    services = web_services.build(settings, clock=clock)
    migrating.migrate(services.database)
    demo_data.load(services)
    with serving(World.of(services.database, clock), folder, browser) as served:
        yield served


@pytest.fixture(scope="session")
def routes(tmp_path_factory: pytest.TempPathFactory) -> MapAdapter:
    """The routes of the application."""
    from web import services as web_services
    from web.app import create_app
    from web.settings import Settings

    folder = tmp_path_factory.mktemp("routes")
    settings = Settings(database_url="sqlite://", demo=True, var_dir=folder, secret_key="only-for-tests")
    return create_app(web_services.build(settings)).url_map.bind("")


def endpoint(routes: MapAdapter, path: str) -> str:
    """The name of the page at a path; empty where there is none."""
    try:
        return str(routes.match(path, method="GET")[0])
    except HTTPException:
        return ""


@pytest.fixture(autouse=True)
def _kept_promise(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that is marked `shows("cases.incident", …)` lets axe read those pages."""
    _READ.clear()
    promised = {name for mark in request.node.iter_markers("shows") for name in mark.args}
    routes = request.getfixturevalue("routes") if promised else None
    yield
    if routes:
        assert promised <= {endpoint(routes, path) for path in _READ}


def look(page: Page) -> None:
    """Axe finds nothing on the page as it stands, at both widths, and nothing scrolls sideways."""
    assert faults(page) == []


def faults(page: Page) -> list[str]:
    """What is wrong with the page as it stands, wide and narrow; leaves it as wide as it was."""
    before = page.viewport_size
    found = [fault for size in (WIDE, NARROW) for fault in _faults_at(page, size)]
    if before:
        page.set_viewport_size(before)
    return found


def _faults_at(page: Page, size: dict[str, int]) -> list[str]:
    if page.viewport_size != size:
        page.set_viewport_size(size)
    found = axe(page)  # waits until the page is there
    return [f"at {size['width']}: {fault}" for fault in (*found, *(["scrolls sideways"] if overflows(page) else []))]


def axe(page: Page) -> list[str]:
    """What axe finds on the page as it stands, one line each."""
    found = _run_axe(page)
    _READ.add(urlsplit(page.url).path)
    return [
        f"{violation['id']}: {violation['help']}: {node['html'][:160]}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def _run_axe(page: Page) -> Any:
    # A click answers when its navigation has begun, not when the new page is there: axe may be cut off by the change
    # of page, and is then run again on the page that came. A fault of axe itself shows at the last time.
    for _ in range(AXE_TURNS):
        page.wait_for_load_state("load")
        try:
            if not page.evaluate("'axe' in window"):
                page.evaluate(_axe())
            # What it has nothing against is not written down.
            return page.evaluate("tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']})", TAGS)
        except PlaywrightError as error:
            cut_off = error
    raise cut_off


@cache
def _axe() -> str:
    return AXE.read_text()


def overflows(page: Page) -> bool:
    """Does anything scroll sideways?"""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
