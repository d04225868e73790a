"""The pages of a move and of more time: no finding of axe, and nothing scrolls sideways, at both widths."""

from datetime import date

from playwright.sync_api import Page
from sqlalchemy import select

from agreements import more_time
from agreements.model import Meeting
from tests.browser.conftest import NARROW, WIDE, Site, axe, overflows


def addresses(site: Site) -> list[str]:
    """A move with a choice, a request for more time, and the forms before them."""
    world = site.world
    case = world.start()
    world.proceed_to(case, "answer_survey")
    task = world.task(case, "answer_survey", "larvik")
    with world.database.transaction() as session:
        asked = more_time.ask(
            session, task.id, wanted=date(2026, 10, 7), reason="Kommunestyret møtes 6. oktober", now=world.clock(),
            actor=world.person(session, "radgiver.larvik"), revision=None,
        ).public_id  # fmt: skip
        ssu = session.scalars(select(Meeting.public_id).where(Meeting.key == "ssu-2026-11-27")).one()
    public_id = world.instance(case).public_id
    return [
        f"/moter/{ssu}/flytt", f"/moter/{ssu}/flytt?til=2026-12-04", f"/mer-tid/{asked}", f"/saker/{public_id}/frist",
        "/oppgaver",
    ]  # fmt: skip


def findings(page: Page, address: str) -> list[str]:
    page.goto(address)
    page.wait_for_load_state("networkidle")
    return [*axe(page), *(["scrolls sideways"] if overflows(page) else [])]


def test_the_pages_of_a_move_are_accessible(site: Site) -> None:
    shown = addresses(site)
    wide, narrow = site.visit("sekretariatet"), site.visit("sekretariatet", size=NARROW)
    assert wide.viewport_size == WIDE
    for page in (wide, narrow):
        page.set_default_timeout(60_000)  # a preview lives a whole case several times
        assert {address: found for address in shown if (found := findings(page, address))} == {}
