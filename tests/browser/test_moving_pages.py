"""The pages of a move and of more time: no finding of axe, and nothing scrolls sideways, at both widths."""

from datetime import date

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from agreements import more_time
from agreements.model import Meeting
from tests.browser.conftest import Site, faults


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
        "/oppgaver", f"/saker/{public_id}/mer-tid/{task.public_id}",
    ]  # fmt: skip


@pytest.mark.shows("moving.meeting", "more_time.answer", "cases.by_hand", "cases.extend")
def test_the_pages_of_a_move_are_accessible(site: Site) -> None:
    shown = addresses(site)
    page = site.visit("sekretariatet")
    found = {}
    for address in shown:
        page.goto(address)
        page.evaluate("document.querySelectorAll('main details').forEach(each => { each.open = true; })")
        found[address] = faults(page)
    page.goto(shown[-1])
    page.fill("#due_date", "2026-10-20")
    page.fill("#reason", "Kommunestyret møtes 6. oktober")
    page.get_by_role("button", name="Se hva som følger med").click()
    expect(page.get_by_role("heading", name="Dette skjer om fristen blir 20. oktober")).to_be_visible()
    found["effects"] = faults(page)
    assert {address: wrong for address, wrong in found.items() if wrong} == {}
