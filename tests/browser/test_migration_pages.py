"""A running survey is moved to a new version in the browser: tried, moved, moved back; accessible at both widths."""

from typing import Any

import pytest
from playwright.sync_api import expect

from engine import deployments
from engine.deployments import Source
from tests.browser.conftest import Site, look
from tests.workflows.test_migration_story import ANSWERED, changed
from tests.world import EVALUATION

HOME = f"/modeller/{EVALUATION}/2/flytt"
TITLE = "Evaluering av delavtale om helhetlige pasientforløp"


def _deploy(site: Site, change: Any) -> None:
    with site.world.database.transaction() as session:
        old = deployments.latest(session, site.world.community_id, EVALUATION)
        source = Source(xml=change(old.xml).encode(), forms=old.forms)
        now = site.world.clock()
        deployments.deploy(session, site.world.community_id, [source], now=now, actor_id=None, note="En uke til")


@pytest.fixture
def survey(site: Site) -> str:
    """The address of a case whose survey is half answered, while version 2 gives it a week more."""
    world = site.world
    case = world.start(EVALUATION)
    site.drain()
    world.proceed_to(case, "answer_survey")
    site.drain()
    for party in ANSWERED:
        world.complete(world.task(case, "answer_survey", party).id)
    site.drain()
    _deploy(site, changed)
    return f"{HOME}/{world.instance(case).public_id}"


def _without_the_survey(xml: str) -> str:
    """The survey is another element, with the same form."""
    return xml.replace("answer_survey", "ask_parties").replace('formKey="ask_parties"', 'formKey="answer_survey"')


@pytest.mark.shows("migration.one", "migration.revert")
def test_a_running_survey_is_tried_moved_and_moved_back(site: Site, survey: str) -> None:
    page = site.visit("sekretariatet")
    # Given the list, where the case can be tried
    page.goto(HOME)
    page.get_by_role("link", name=f"Prøv først: {TITLE}").click()
    # Then it says what will happen to tasks, times and mails
    tasks = page.get_by_role("table", name="Hva som skjer med hver oppgave")
    expect(tasks.get_by_role("row", name="Svar på undersøkelsen")).to_contain_text("7. oktober")
    times = page.get_by_role("table", name="Hva som skjer med hver tid")
    expect(times.get_by_role("row", name="Undersøkelsen lukkes")).to_contain_text("tor. 8. oktober kl. 0.00")
    mails = page.get_by_role("table", name="Hva som skjer med hver planlagte e-post")
    expect(mails.get_by_role("row", name="Fem virkedager igjen")).to_contain_text("ons. 30. september kl. 8.00")
    # When it is moved without a reason, that is asked for
    page.get_by_role("button", name="Flytt saken til versjon 2").click()
    expect(page.get_by_role("link", name="Skriv hvorfor saken flyttes.")).to_be_visible()
    look(page)
    page.get_by_label("Hvorfor flyttes saken?").fill("Partene trenger mer tid")
    page.get_by_role("button", name="Flytt saken til versjon 2").click()
    # Then it is there, and can be moved back
    expect(page.get_by_role("heading", name="Saken er på versjon 2", level=1)).to_be_visible()
    expect(page.locator("main")).to_contain_text("Partene trenger mer tid")
    look(page)
    page.get_by_role("link", name="Angre flyttingen").click()
    look(page)
    page.get_by_label("Hvorfor angres flyttingen?").fill("Vi venter til neste år")
    page.get_by_role("button", name="Angre flyttingen").click()
    expect(page.locator("main")).to_contain_text("Flyttingen er angret. Saken er på versjon 1 igjen.")


@pytest.mark.shows("migration.index", "migration.many", "migration.one")
def test_every_page_of_it_is_accessible(site: Site, survey: str) -> None:
    # Given another case, and a third version that lacks what both stand on
    site.world.start(EVALUATION, title="En evaluering som nettopp er startet")
    page = site.visit("sekretariatet")
    for address in (HOME, f"{HOME}/alle", survey):
        page.goto(address)
        look(page)
    _deploy(site, _without_the_survey)
    page.goto(survey.replace("/2/", "/3/"))
    expect(page.get_by_label("Sett i stedet for «Svar på undersøkelsen» på")).to_be_visible()
    look(page)
    page.goto(HOME.replace("/2/", "/3/") + "/alle")
    look(page)
    page.get_by_label("Hvorfor flyttes sakene?").fill("Ny undersøkelse")
    page.get_by_role("button", name="Flytt saken").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Flyttet til versjon 3: 1 av")
    look(page)
