"""`main_job`: a case goes from start to decision, through a real browser and real mails. Runs first, stays green."""

import re
from datetime import date
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NARROW, Site, look


def _choose(page: Page, process: str) -> None:
    page.goto("/saker")
    page.get_by_role("link", name="Start en revisjon").first.click()
    page.get_by_label(process, exact=False).first.check()


def _forward(page: Page, words: str) -> None:
    page.get_by_role("button", name=words, exact=True).click()


def test_main_job(site: Site) -> None:
    # Given the secretariat at its desk on 18 May
    page = site.visit("sekretariatet")

    # When it starts a case through a meeting: what, when, who, and the plan
    _choose(page, "En sak gjennom et møte")
    _forward(page, "Videre")
    page.get_by_label("Tittel", exact=False).first.fill("Strategi for helsefellesskapet")
    page.get_by_label("Beslutning").check()
    _fill_required(page)
    _forward(page, "Videre til møter")
    _choose_date(page, "meeting", "2026-06-18")
    _forward(page, "Videre til hvem")
    _forward(page, "Se planen")
    expect(page.get_by_role("heading", name="Planen", exact=True)).to_be_visible()
    expect(page.locator("main")).to_contain_text("torsdag 18. juni")
    reason = page.get_by_label("Hvorfor starter dere likevel?")
    if reason.count():
        reason.fill("Datoen er avtalt.")
    _forward(page, "Start revisjonen")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Strategi for helsefellesskapet")

    # Then the secretariat gets a mail, and the task is in its list
    site.drain()
    subjects = site.mails_to("sekretariatet@example.org")
    assert [s for s in subjects if s.startswith("Send innkalling innen 11. juni")], subjects

    # And it takes the task, writes the notice and sends it
    page.goto("/oppgaver")
    page.get_by_role("link", name="Send innkalling").first.click()
    _take_if_free(page)
    page.get_by_label("Saksliste", exact=False).fill("1/26 Strategi")
    page.get_by_label("Meld frafall til", exact=False).select_option(label="Sekretariatet")
    _forward(page, "Send svar")

    # And the meeting's referent writes down the decision
    referent = site.visit("referent.ssu", size=NARROW)
    referent.get_by_role("link", name="Behandle saken").first.click()
    _take_if_free(referent)
    task = site.world.task(1, "treat_case")
    _fill(referent, site.world.answers(task.id))
    _forward(referent, "Send svar")

    # Then the case is over, and says so
    site.drain()
    page.goto("/saker?vis=avsluttede")
    expect(page.locator("main")).to_contain_text("Strategi for helsefellesskapet")
    assert site.world.instance(1).state == "completed"


def _fill_required(page: Page) -> None:
    """Write something in what the start form asks for."""
    # The button comes after the fields: once it is there, none of them is still on its way.
    expect(page.get_by_role("button", name="Videre til møter")).to_be_visible()
    for field in page.locator("input[required][type=text], textarea[required]").all():
        if field.is_visible() and not field.input_value():
            field.fill("1/26")


def _choose_date(page: Page, fact: str, day: str) -> None:
    page.locator(f"input[name='mote-{fact}'][value='annen']").check()
    page.locator(f"input[type=date][name='dato-{fact}']").fill(day)


def _take_if_free(page: Page) -> None:
    button = page.get_by_role("button", name="Ta oppgaven")
    if button.count():
        button.first.click()
        expect(page.get_by_role("button", name=re.compile("Send"))).not_to_have_count(0)


def _fill(page: Page, answers: dict[str, Any], prefix: str = "") -> None:
    """Write answers into the form's fields, as a person would."""
    for key, value in answers.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for number, row in enumerate(value):
                _fill(page, {k: v for k, v in row.items() if k != "item"}, f"{key}-{number}-")
        elif value not in (None, "", []):
            _fill_field(page, f"{prefix}{key}", value)


def _fill_field(page: Page, name: str, value: Any) -> None:
    field = page.locator(f"[name='{name}']").first
    kind = field.evaluate("e => e.type || e.tagName")
    if kind in ("radio", "checkbox"):
        for chosen in value if isinstance(value, list) else [value]:
            one = "" if isinstance(chosen, bool) else f"[value='{chosen}']"
            page.locator(f"[name='{name}']{one}").check()
    elif kind.startswith("select"):
        field.select_option(str(value))
    else:
        field.fill(str(value))


@pytest.mark.shows("starting.when", "starting.who", "starting.plan", "starting.earliest", "rehearsal.of_start")
def test_an_owner_starts_an_evaluation_and_a_party_answers_and_approves(site: Site) -> None:
    # Given an evaluation that the secretariat starts in the browser
    page = site.visit("sekretariatet")
    _choose(page, "Evaluering av delavtale")
    page.locator("select[name=avtale]").select_option("helhetlige-pasientforlop")
    _forward(page, "Videre")
    _fill_required(page)
    _forward(page, "Videre til møter")
    _choose_date(page, "au", "2026-11-05")
    _choose_date(page, "ssu", "2026-11-27")
    look(page)
    _forward(page, "Videre til hvem")
    expect(page.get_by_role("button", name="Se planen")).to_be_visible()
    look(page)
    _forward(page, "Se planen")
    expect(page.locator("main")).to_contain_text("SSU 27. november er en fredag")
    look(page)
    page.goto("/saker/start/plan/tidligst")
    look(page)
    page.go_back()
    page.get_by_role("link", name="Prøvekjør").click()
    expect(page.get_by_role("heading", name="Prøvekjøring", level=1)).to_be_visible()
    look(page)
    page.go_back()
    page.get_by_label("Hvorfor starter dere likevel?").fill("Møtet er alt bestemt.")
    _forward(page, "Start revisjonen")
    expect(page.get_by_role("heading", level=1)).to_contain_text("helhetlige pasientforløp")

    # And the first steps are done, so that the survey opens on 1 September
    world = site.world
    instance_id = 1
    for element in ("plan_and_clarify", "anchor_plan"):
        world.fill(world.task(instance_id, element).id)
    world.clock.to(date(2026, 8, 3), 8)
    site.drain()
    world.fill(world.task(instance_id, "inform_and_start").id)
    world.clock.to(date(2026, 9, 1), 8, 30)
    site.drain()
    # The survey and the steering data come in one mail.
    assert site.mails_to("radgiver.larvik@example.org")[0].startswith("To oppgaver venter på deg, alle har frist 30.")

    # When the adviser fills it in
    adviser = site.visit("radgiver.larvik")
    adviser.get_by_role("link", name="Svar på undersøkelsen").first.click()
    for scale in adviser.locator(".af-skala").all():
        scale.locator("input[value='4']").check()
    adviser.locator("textarea").first.fill("Faste telefontider har gjort det lettere å avtale utreise.")
    for choice in ("ja", "nei"):
        wanted = adviser.locator(f"input[type=radio][value='{choice}']")
        if wanted.count():
            wanted.last.check()
            break
    adviser.get_by_role("button", name="Send til godkjenning").click()
    expect(adviser.locator("main")).not_to_contain_text("må rettes")

    # Then the manager is told, reads the answer as text on the phone, and approves it
    site.drain()
    assert any("godkjenning" in s for s in site.mails_to("kommunalsjef.larvik@example.org"))
    manager = site.visit("kommunalsjef.larvik", size=NARROW)
    manager.get_by_role("link", name=re.compile("undersøkelsen")).first.click()
    expect(manager.locator("main")).to_contain_text("Faste telefontider")
    manager.get_by_role("button", name="Godkjenn og send svaret").click()

    # And the owner sees who has the ball
    page.goto(f"/saker/{world.instance(instance_id).public_id}")
    expect(page.locator("main")).to_contain_text("1 av 7 har svart")
