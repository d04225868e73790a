"""A rehearsal, the year and the demo's clock in a browser: mails open in place, and the year fits on paper."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Site, look
from tests.world import World


@pytest.mark.shows("rehearsal.of_case", "year.show")
def test_what_if_opens_mails_in_place_and_the_year_prints_on_a4(site: Site, world: World) -> None:
    case = world.start(parties=("larvik", "horten", "faerder"))
    world.proceed_to(case, "answer_survey")
    page = site.visit("sekretariatet")
    page.goto(f"/saker/{world.instance(case).public_id}/hva-hvis")
    page.get_by_label("Forankre funn").select_option("tilbake")
    page.get_by_role("button", name="Kjør på nytt").click()
    expect(page.get_by_text("runde 2").first).to_be_visible()
    page.locator(".af-hendelser summary").first.click()
    mail = page.frame_locator("iframe >> visible=true").first
    expect(mail.get_by_role("heading").first).to_be_visible()
    look(page)

    page.goto("/aret?organ=au")
    expect(page.get_by_role("img", name="Året 2026 for AU")).to_be_visible()
    look(page)
    paper = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 1
    page.emulate_media(media="print")
    expect(page.get_by_role("navigation", name="Hovedmeny")).to_be_hidden()
    expect(page.get_by_role("img", name="Året 2026 for AU")).to_be_visible()
