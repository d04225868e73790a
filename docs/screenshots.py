"""Takes the README's pictures of a demo of its own: on a free port, with a database that goes away."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
CHROMIUM = Path("/usr/bin/chromium")
#: As wide as a laptop's window, and as high as one sees at once.
SIZE = ViewportSize(width=1280, height=900)
#: Seconds until a demo that does not answer counts as broken.
PATIENCE = 120


@contextmanager
def demo() -> Iterator[str]:
    """A fresh demo; answers its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with TemporaryDirectory() as folder:
        own = {
            "AVTALEFLYT_DATABASE_URL": f"sqlite:///{folder}/demo.db",
            "AVTALEFLYT_VAR_DIR": folder,
            "AVTALEFLYT_PORT": str(port),
            # What the mails link to is what the pictures would show.
            "AVTALEFLYT_BASE_URL": f"http://127.0.0.1:{port}",
        }
        command = [sys.executable, "-m", "web.cli", "demo"]
        running = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **own})
        try:
            _wait(f"http://127.0.0.1:{port}/", running)
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()
            running.wait(timeout=30)


def _wait(address: str, running: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if running.poll() is not None:
            raise SystemExit("The demo ended before it answered.")
        try:
            with urlopen(address, timeout=5):
                return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.3)
    raise SystemExit(f"The demo did not answer within {PATIENCE} seconds.")


def signed_in(browser: Browser, address: str, name: str) -> Page:
    """A page of the person with that name."""
    page = browser.new_page(viewport=SIZE, locale="nb-NO", timezone_id="Europe/Oslo")
    page.goto(f"{address}/velg-hvem-du-er")
    page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_url("**/oppgaver")
    return page


def take(page: Page, name: str) -> None:
    """Keep what one sees."""
    page.evaluate("document.fonts.ready")
    page.screenshot(path=IMAGES / f"{name}.png")
    print(f"docs/images/{name}.png")


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with demo() as address, sync_playwright() as playwright:
        executable = str(CHROMIUM) if CHROMIUM.exists() else None
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        take(signed_in(browser, address, "Rådgiver helse, Larvik"), "mine-oppgaver")
        owner = signed_in(browser, address, "Sekretariatet")
        owner.goto(f"{address}/saker")
        owner.get_by_role("link", name="helhetlige pasientforløp").first.click()
        take(owner, "saken")
        browser.close()


if __name__ == "__main__":
    main()
