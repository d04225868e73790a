"""A survey answered from its mail in a browser where nobody is signed in, and by a shared link beside it."""

import re
from datetime import date
from email import message_from_bytes, policy

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from notifications.model import ReceivedMail
from tests.browser.conftest import Site, look

FILLER, APPROVER, OWNER = "radgiver.larvik", "kommunalsjef.larvik", "sekretariatet"


def _open(page: Page, site: Site, key: str, heading: str) -> None:
    """Follow the button in the latest mail that leads to the page with that heading: one mail may hold several."""
    query = select(ReceivedMail.raw).where(ReceivedMail.envelope_to == f"{key}@example.org")
    with site.world.database.reading() as session:
        raw = session.scalars(query.order_by(ReceivedMail.id.desc())).first()
    body = message_from_bytes(raw or b"", policy=policy.default).get_body(("plain",))
    assert body is not None
    for link in re.findall(r"http://[^/\s]+(/l/[\w.-]+)", body.get_content()):
        page.goto(link)
        if heading in page.locator("h1").inner_text():
            return
    raise AssertionError(f"no link to {heading}")


@pytest.mark.shows("links.show", "links.more_time", "respondents.show", "respondents.thanks", "respondent_links.index")
def test_a_survey_is_answered_without_signing_in(site: Site) -> None:
    world = site.world
    case = world.start()
    world.proceed_to(case, "answer_survey")
    world.clock.to(date(2026, 9, 14), 10)
    site.drain()
    page = site.visit(None)
    _open(page, site, FILLER, "Svar på undersøkelsen")
    expect(page.get_by_text("Lenken er sendt til Rådgiver helse, Larvik.")).to_be_visible()
    task = page.url
    page.goto(f"{task}/mer-tid")
    look(page)
    page.goto(task)
    page.locator("textarea").first.fill("Faste telefontider virker.")
    expect(page.locator("#lagret")).to_contain_text("Lagret", timeout=10_000)
    look(page)
    page.reload()
    expect(page.locator("textarea").first).to_have_value("Faste telefontider virker.")
    page.get_by_role("button", name="Send til godkjenning", exact=True).last.click()
    expect(page.locator("ds-error-summary")).to_contain_text("må rettes")
    world.fill(world.task(case, "answer_survey", "larvik").id)
    site.drain()
    page.reload()
    look(page)
    _open(page, site, APPROVER, "Godkjenn svaret for Larvik kommune")
    look(page)
    page.get_by_role("button", name="Godkjenn og send svaret").click()
    expect(page.get_by_role("heading", name="Takk, dette er gjort")).to_be_visible()
    owner = site.visit(OWNER)
    owner.goto(f"/oppgaver/{world.task(case, 'answer_survey', 'horten').public_id}/apne-svar")
    owner.get_by_label("Hvem er den for?").fill("Ansatte")
    owner.get_by_role("button", name="Lag lenke").click()
    page.goto("/u/" + owner.get_by_label("Lenken du deler").input_value().rpartition("/u/")[2])
    look(page)
    page.locator("textarea").first.fill("Vi når fram på telefon.")
    page.get_by_role("button", name="Send svar", exact=True).last.click()
    expect(page.get_by_role("heading", name="Takk for svaret")).to_be_visible()
    look(page)
    owner.reload()
    expect(owner.get_by_text("I tillegg: 1 åpent svar.")).to_be_visible()
    look(owner)
