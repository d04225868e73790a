"""Drift in the browser: what failed, a job tried again, a message thrown away; accessible at both widths."""

from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import update

from engine import jobs, messages
from engine.heartbeats import Pulse
from engine.model import ProcessInstance
from notifications.mailer import PermanentFailure
from notifications.model import Delivery
from tests.browser.conftest import Site, look
from tests.web.standing import standing  # noqa: F401 - a fixture

ADMIN = "administrator"


@pytest.fixture
def troubled(site: Site, standing: ProcessInstance) -> Site:  # noqa: F811
    """A case that stands, a message nobody waits for, mails that did not arrive, one process alive and one gone."""
    world = site.world
    case = world.start()
    site.drain()
    world.clock.advance(days=2)
    content: dict[str, Any] = {
        "community": world.community_id,
        "name": "svar på høring",
        "correlation": "",
        "payload": {},
    }
    with world.database.transaction() as session:
        jobs.enqueue(session, "deliver-message", run_at=world.clock(), payload=content, instance_id=case)
    for _try in range(len(jobs.PAUSES) + 1):
        jobs.run_one(world.database, messages.handlers(), world.clock())
        world.clock.advance(hours=9)
    with world.database.transaction() as session:
        refused = {"state": "failed", "last_error": str(PermanentFailure("550 5.1.1 <ukjent> mottaker"))}
        session.execute(update(Delivery).where(Delivery.state == "sent").values(**refused))
    Pulse(world.database, kind="serve", version="0.1.0").beat(world.clock() - timedelta(hours=3))
    Pulse(world.database, kind="worker", version="0.1.0").beat(world.clock())
    return site


@pytest.mark.shows("operations.index", "operations.retry", "operations.drop", "operations.resend")
def test_what_failed_is_seen_and_mended(troubled: Site) -> None:
    page = troubled.visit(ADMIN)
    # Given the page with everything that failed
    page.goto("/drift")
    stands = page.get_by_role("table", name="Saker som står stille")
    expect(stands.get_by_role("row")).to_have_count(2)
    expect(page.get_by_role("table", name="Prosesser som driver klokken")).to_contain_text("Svarer ikke")
    look(page)
    page.locator("a[href^='/drift/e-post/']").first.click()
    expect(page.get_by_label("Hvorfor sendes den på nytt?")).to_be_visible()
    look(page)
    page.goto("/drift")
    # When the job is tried again
    page.get_by_role("link", name="Prøv igjen: Levere beskjeden «svar på høring»").click()
    look(page)
    page.get_by_role("button", name="Prøv igjen nå").click()
    expect(page.get_by_role("status")).to_contain_text("Jobben prøves på nytt nå.")
    # And nobody waits for it now either
    jobs.run_one(troubled.world.database, messages.handlers(), troubled.world.clock())
    page.goto("/drift")
    page.get_by_role("link", name="Kast: Levere beskjeden «svar på høring»").click()
    page.get_by_role("button", name="Kast beskjeden for godt").click()
    expect(page.get_by_role("link", name="Skriv hvorfor beskjeden kastes.")).to_be_visible()
    look(page)
    page.get_by_label("Hvorfor kastes beskjeden?").fill("Høringen er avlyst")
    page.get_by_role("button", name="Kast beskjeden for godt").click()
    # Then it is gone
    expect(page.get_by_role("status")).to_contain_text("Beskjeden er kastet.")
    expect(page.get_by_role("table", name="Jobber som har feilet")).to_have_count(0)
    look(page)


def test_all_is_well(site: Site) -> None:
    Pulse(site.world.database, kind="serve", version="0.1.0").beat(site.world.clock())
    page = site.visit(ADMIN)
    page.get_by_role("button", name="Administrator").click()
    page.get_by_role("link", name="Drift").click()
    expect(page.get_by_text("Alt går som det skal.")).to_be_visible()
    look(page)
