"""An owner mends, holds, reopens and moves a case in a browser; someone takes an answer back. All is accessible."""

import pytest
from playwright.sync_api import Page, expect

from engine.model import ProcessInstance
from tests.browser.conftest import Site, look
from tests.web.standing import incident_of, standing
from tests.world import World

__all__ = ["standing"]
OWNER = "sekretariatet"


def choose(page: Page, name: str) -> None:
    """One of the owner's further choices."""
    page.get_by_role("button", name="Flere valg").click()
    page.get_by_role("link", name=name, exact=True).click()
    look(page)


def why(page: Page, reason: str, button: str) -> None:
    """Give the reason, and do it."""
    page.locator("#reason").fill(reason)
    page.get_by_role("button", name=button, exact=True).click()


@pytest.fixture
def survey(world: World) -> ProcessInstance:
    """An evaluation of three parties, whose survey is open."""
    case = world.start(parties=("larvik", "horten", "faerder"))
    world.proceed_to(case, "answer_survey")
    return world.instance(case)


@pytest.mark.shows("cases.incident", "cases.skip_element", "cases.set_variable")
def test_a_case_that_stands_is_mended(site: Site, standing: ProcessInstance) -> None:
    page = site.visit(OWNER)
    page.goto(f"/saker/{standing.public_id}")
    look(page)
    page.get_by_role("link", name="Rett feilen").click()
    expect(page.get_by_text("Det ble delt på null.")).to_be_visible()
    look(page)
    page.get_by_role("link", name="Gå videre uten steget").click()
    look(page)
    page.go_back()
    page.get_by_role("link", name="Rett tall").click()
    look(page)
    page.locator("#value").fill("to")
    page.get_by_role("button", name="Endre verdien").click()
    expect(page.get_by_text("Skriv et tall").first).to_be_visible()
    look(page)
    page.locator("#value").fill("2")
    why(page, "Skrevet feil", "Endre verdien")
    expect(page.get_by_text("Steget er satt i gang på nytt.")).to_be_visible()
    assert [t.step.element_id for t in site.world.tasks(standing.id)] == ["a"]


@pytest.mark.shows("cases.suspend", "cases.resume", "cases.cancel", "cases.reopen")
def test_a_case_rests_goes_on_ends_and_is_reopened(site: Site, survey: ProcessInstance) -> None:
    page = site.visit(OWNER)
    page.goto(f"/saker/{survey.public_id}")
    choose(page, "Sett saken på vent")
    why(page, "Bestillingen avklares", "Sett på vent")
    expect(page.get_by_role("heading", name="Saken er satt på vent")).to_be_visible()
    look(page)
    page.get_by_role("link", name="Fortsett saken").click()
    look(page)
    page.get_by_role("button", name="Fortsett saken").click()
    choose(page, "Avslutt saken")
    page.locator("#sure").check()
    why(page, "Trukket", "Avslutt saken")
    look(page)
    page.get_by_role("link", name="Åpne saken igjen").click()
    look(page)
    why(page, "Tatt opp igjen", "Åpne saken igjen")
    expect(page.get_by_text("0 av 3 har svart").first).to_be_visible()


@pytest.mark.shows("cases.ask_more", "cases.ask_fewer", "cases.remove", "cases.move")
def test_one_more_and_one_fewer_are_asked_and_the_case_is_moved(site: Site, survey: ProcessInstance) -> None:
    page = site.visit(OWNER)
    page.goto(f"/saker/{survey.public_id}")
    choose(page, "Spør flere")
    page.get_by_label("Tønsberg kommune").first.check()
    why(page, "Glemt", "Spør")
    choose(page, "Ta ut en som er spurt")
    page.locator("main").get_by_role("link", name="Horten kommune").first.click()
    look(page)
    why(page, "Ikke part", "Ta ut")
    choose(page, "Flytt saken til et annet steg")
    page.locator("main").get_by_role("link", name="Svar på undersøkelsen").first.click()
    expect(page.get_by_role("heading", name="Dette trekkes tilbake")).to_be_visible()
    look(page)
    page.locator("#to").select_option("analyse")
    why(page, "Undersøkelsen er gjort et annet sted", "Flytt saken")
    assert "analyse" in {t.step.element_id for t in site.world.tasks(survey.id)}


@pytest.mark.shows("cases.take_back")
def test_an_answer_is_taken_back(site: Site, survey: ProcessInstance) -> None:
    asked = site.world.task(survey.id, "answer_survey", "larvik")
    site.world.complete(asked.id)
    assert asked.approver is not None
    page = site.visit(asked.approver.key)
    page.goto(f"/oppgaver/{asked.public_id}")
    page.get_by_role("link", name="Trekk godkjenningen").click()
    look(page)
    page.get_by_role("button", name="Trekk godkjenningen").click()
    expect(page.get_by_text("Godkjenningen er trukket.")).to_be_visible()


def test_the_engine_says_when_it_tries_again(site: Site, standing: ProcessInstance) -> None:
    page = site.visit(OWNER)
    for _ in range(4):
        site.world.clock.set(incident_of(site.world, standing).retry_at or site.world.clock())
        site.drain()
    page.goto(f"/saker/{standing.public_id}/feil/{incident_of(site.world, standing).public_id}")
    expect(page.get_by_text("Systemet prøver ikke lenger av seg selv.")).to_be_visible()
