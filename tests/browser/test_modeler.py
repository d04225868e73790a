"""The modeller: a step is added to a copy of a model, deployed and started; by mouse and by keyboard alone."""

import re

import pytest
from playwright.sync_api import Page, Request, expect

from engine import deployments, drafts
from engine.bpmn.differences import differences
from engine.deployments import Source
from tests.browser.conftest import NARROW, Site, axe, faults
from tests.world import EVALUATION, MANDATE, MEETING_CASE


def _new_draft(page: Page, name: str, key: str) -> None:
    page.goto("/modeller")
    page.get_by_role("link", name="Ny prosess").click()
    page.get_by_label("Navn", exact=True).fill(name)
    page.get_by_label("Id", exact=True).fill(key)
    page.get_by_label("Begynn med").select_option(MEETING_CASE)
    page.get_by_role("button", name="Lag utkastet").click()
    _ready(page)


def _ready(page: Page) -> None:
    expect(page.locator("[data-af-modell][data-ready]")).to_be_visible()


def _choose(page: Page, element: str) -> None:
    page.get_by_label("Element", exact=True).select_option(label=element)


def _fill(page: Page, label: str, text: str) -> None:
    field = page.get_by_label(label, exact=True)
    field.fill(text)
    field.press("Tab")


def _saved(page: Page) -> None:
    expect(page.locator("[data-modell-lagret]")).to_have_text(re.compile(r"^Lagret kl"))


def _later(xml: str) -> str:
    """The notice of the meeting is due on another day."""
    return re.sub(r'(id="send_notice"[^>]*dueDate=")[^"]+', r"\g<1>${working_days_before(meeting, 7)}", xml)


def test_a_step_is_added_to_a_copy_of_a_model_and_a_case_runs_through_it(site: Site) -> None:
    # Given an administrator with a copy of a model in the modeller
    page = site.visit("administrator")
    _new_draft(page, "Sak med etterarbeid", "sak_med_etterarbeid")
    expect(page.locator("[data-modell-sjekk]")).to_have_text("Ingen feil.")

    # When they append a step at the canvas, with the pad beside the chosen element
    page.locator("[data-element-id=treat_case] .djs-hit").first.click()
    page.locator(".djs-context-pad [data-action='append.append-task']").click()
    page.keyboard.press("Escape")
    made = page.locator("[data-modell-valgt]").input_value()
    assert made.startswith("Activity_")
    page.locator(f"[data-element-id={made}] .djs-hit").first.click()

    # Then the check says what is missing, in the list and at the element
    findings = page.locator("[data-modell-funn]")
    expect(findings).to_contain_text("Herfra går det ikke videre.")
    expect(findings).to_contain_text("Oppgaven mangler frist.")
    expect(page.locator(f".djs-overlays[data-container-id={made}] .af-funn__merke--warning")).to_be_visible()

    # When they draw it into the way, and say what it is, who has it and until when
    _choose(page, "Behandle saken → Saken er behandlet")
    page.get_by_role("button", name="Slett", exact=True).click()
    page.get_by_label("Element", exact=True).select_option(made)
    _fill(page, "Navn", "Rydd etter møtet")
    page.get_by_label("Tegn flyt til").select_option(label="Saken er behandlet")
    page.get_by_role("button", name="Tegn flyten").click()
    _fill(page, "Frist", "${working_days_after(meeting, 5)}")
    page.get_by_label("Rolle", exact=True).select_option(label="Sekretariatet")
    expect(page.get_by_label("Rolle", exact=True)).to_have_value("sekretariat")

    # Then nothing is left to mend
    expect(page.locator("[data-modell-sjekk]")).to_have_text("Ingen feil.")
    expect(findings.locator("li")).to_have_count(0)
    _saved(page)

    # When they try it out and deploy it
    page.get_by_role("link", name="Prøvekjør").click()
    expect(page.locator("main")).to_contain_text("Rydd etter møtet")
    expect(page.locator("main")).to_contain_text("5 virkedager etter møtet")
    page.get_by_role("link", name="Tilbake til tegningen").click()
    _ready(page)
    page.get_by_role("link", name="Ta i bruk").click()
    page.get_by_label("Hvorfor lages prosessen?").fill("Noen må rydde.")
    page.get_by_role("button", name="Ta i bruk").click()
    expect(page.locator("main")).to_contain_text("Versjon 1 er tatt i bruk.")

    # Then a case on it comes to the new step, with the role and the due date that were drawn
    case = site.world.start("sak_med_etterarbeid", title="En sak", data={"case_types": ["beslutning"]})
    site.world.proceed_to(case, made)
    task = site.world.task(case, made)
    assert task.name == "Rydd etter møtet"
    assert task.candidate_group is not None
    assert task.candidate_group.key == "sekretariat"
    assert str(task.due_date) == "2026-12-04"
    site.world.proceed_to_end(case)


def test_a_step_is_put_into_the_way_without_a_mouse(site: Site) -> None:
    page = site.visit("administrator")
    _new_draft(page, "Med tastatur", "med_tastatur")
    _choose(page, "Send innkalling → Behandle saken")
    insert = page.get_by_role("button", name="Sett inn oppgave her")
    insert.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Navn", exact=True)).to_be_focused()
    page.keyboard.type("Les papirene")
    page.keyboard.press("Tab")
    _fill(page, "Frist", "${working_days_before(meeting, 2)}")
    expect(page.locator("[data-modell-sjekk]")).to_have_text("Ingen feil.")

    # A row of the check chooses its element, also by keyboard
    _fill(page, "Frist", "")
    finding = page.locator("[data-modell-funn] button")
    expect(finding).to_have_count(1)
    _choose(page, "Send innkalling")
    finding.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Navn", exact=True)).to_have_value("Les papirene")

    # And what was done is undone and done again
    page.get_by_role("button", name="Angre").click()
    expect(page.get_by_label("Frist", exact=True)).to_have_value("${working_days_before(meeting, 2)}")
    page.get_by_role("button", name="Gjør om").click()
    expect(page.get_by_label("Frist", exact=True)).to_have_value("")


def test_what_the_panel_says_stands_in_the_file_and_the_rest_is_kept(site: Site) -> None:
    page = site.visit("administrator")
    _new_draft(page, "Med alt", "med_alt")
    _choose(page, "Send innkalling")
    page.locator("summary", has_text="Påminnelser og e-post").click()
    _fill(page, "Påminnelser", "5,1")
    page.locator("summary", has_text="Hvem").click()
    _fill(page, "Godkjenner", "${party.approver}")
    page.locator("summary", has_text="Flere som gjør det samme").click()
    page.get_by_label("Hvor mange").select_option(label="Flere etter tur")
    _fill(page, "Hvem som spørres", "${parties}")
    _fill(page, "Navn på hver av dem", "party")
    _fill(page, "Ferdig før alle har svart når", "${nrOfCompletedInstances >= 3}")
    _choose(page, "Hele prosessen")
    _fill(page, "Grupper som kan starte saker", "sekretariat,au")
    _saved(page)
    with site.world.database.reading() as session:
        admin = site.world.person(session, "administrator")
        (draft,) = drafts.all_of(session, admin)
        model = drafts.model_in(draft.xml)
    assert model is not None
    task = model.user_tasks["send_notice"]
    assert (task.reminders, task.properties["approver"]) == ((5, 1), "${party.approver}")
    assert task.multi_instance is not None
    assert (task.multi_instance.collection, task.multi_instance.item) == ("${parties}", "party")
    assert task.multi_instance.sequential
    assert task.multi_instance.completion_condition == "${nrOfCompletedInstances >= 3}"
    assert model.starter_groups == ("sekretariat", "au")
    # what stood there before and has no field of its own, or was not touched
    assert (task.properties["action"], task.properties["minutes"]) == ("Send innkalling", "20")
    assert model.user_tasks["treat_case"].properties["title"] == "${treatment_title}"


@pytest.mark.parametrize("key", [EVALUATION, MANDATE])
def test_a_model_that_goes_through_the_modeller_says_what_it_said(site: Site, key: str) -> None:
    with site.world.database.transaction() as session:
        known = deployments.latest(session, site.world.community_id, key)
        admin = site.world.person(session, "administrator")
        draft = drafts.open_version(session, known, person=admin, now=site.world.clock())
    page = site.visit("administrator")
    page.goto(f"/modellutkast/{draft.public_id}")
    _ready(page)
    _choose(page, "Hele prosessen")
    _fill(page, "Prosessens navn", "Et annet navn")
    _saved(page)
    with site.world.database.reading() as session:
        saved = drafts.find(session, admin, draft.public_id)
        found = differences(drafts.content_of(known), drafts.content_of(saved))
    assert {(d.kind, d.element_type, d.what) for d in found} == {
        ("changed", "process", "name"),
        ("changed", "participant", "name"),
    }


def test_nothing_is_lost_when_somebody_else_saves(site: Site) -> None:
    page = site.visit("administrator")
    _new_draft(page, "Delt", "delt")
    with site.world.database.transaction() as session:
        admin = site.world.person(session, "administrator")
        (draft,) = drafts.all_of(session, admin)
        theirs = draft.xml.replace("Send innkalling", "Send ut innkalling")
        drafts.save(session, draft.public_id, theirs.encode(), revision=1, person=admin, now=site.world.clock())
    _choose(page, "Send innkalling")
    _fill(page, "Navn", "Send saksliste")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Noen andre har lagret utkastet.")
    assert axe(page) == []
    alert.get_by_role("button", name="Lagre som et eget utkast").click()
    page.wait_for_url(lambda address: draft.public_id not in address)
    _ready(page)
    _choose(page, "Send saksliste")


def test_the_modeller_obeys_the_policy_and_shows_whose_tool_it_is(site: Site) -> None:
    page = site.visit("administrator")
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    outside: list[str] = []

    def asked(request: Request) -> None:
        if not request.url.startswith(site.address) and not request.url.startswith("data:"):
            outside.append(request.url)

    page.on("request", asked)
    _new_draft(page, "Verktøyet", "verktoyet")
    page.locator("[data-element-id=treat_case] .djs-hit").first.click()
    page.locator(".djs-context-pad [data-action='replace']").click()
    expect(page.locator(".djs-popup")).to_contain_text("Manuell oppgave")
    page.keyboard.press("Escape")
    page.locator(".djs-palette [data-action='create.task']").hover()
    expect(page.get_by_role("button", name="Ny oppgave")).to_be_visible()
    expect(page.locator(".bjs-powered-by")).to_be_visible()
    assert complaints == []
    assert outside == []


# --- accessible -------------------------------------------------------------------------------------------------------


@pytest.mark.shows(
    "models.index", "models.process", "models.show", "models.compare", "drafts.new", "drafts.show", "drafts.new_form",
    "drafts.form", "drafts.rehearse", "drafts.deploy", "drafts.compare", "drafts.discard",
)  # fmt: skip
def test_the_pages_of_models_are_accessible(site: Site) -> None:
    with site.world.database.transaction() as session:
        admin = site.world.person(session, "administrator")
        known = deployments.latest(session, site.world.community_id, MEETING_CASE)
        xml = _later(known.xml).replace('name="Referent"', 'name="Referenten"')
        drawn = [Source(xml=xml.encode(), forms=known.forms)]
        deployments.deploy(
            session, site.world.community_id, drawn, now=site.world.clock(), actor_id=admin.id, note="Mer tid"
        )
        draft = drafts.open_version(session, known, person=admin, now=site.world.clock())
        wrong = xml.replace(' camunda:dueDate="${meeting}"', "").replace('targetRef="end"', 'targetRef="borte"')
        broken = drafts.begin_with(session, Source(xml=wrong.encode(), forms={}), person=admin, now=site.world.clock())
    own, bad = f"/modellutkast/{draft.public_id}", f"/modellutkast/{broken.public_id}"
    page = site.visit("administrator")
    for address in (
        "/modeller", f"/modeller/{MEETING_CASE}", f"/modeller/{MEETING_CASE}/2", f"/modeller/{MEETING_CASE}/sammenlign",
        "/modellutkast/nytt", own, f"{own}/skjema", f"{own}/skjema/behandle_saken", f"{own}/provekjor",
        f"{own}/ta-i-bruk", f"{own}/sammenlign", f"{own}/kast", bad, f"{bad}/ta-i-bruk", f"{bad}/provekjor",
    ):  # fmt: skip
        page.goto(address)
        assert faults(page) == [], address


def test_a_row_of_the_differences_shows_its_element_in_both_diagrams(site: Site) -> None:
    with site.world.database.transaction() as session:
        known = deployments.latest(session, site.world.community_id, MEETING_CASE)
        xml = _later(known.xml)
        drawn = [Source(xml=xml.encode(), forms=known.forms)]
        deployments.deploy(session, site.world.community_id, drawn, now=site.world.clock(), actor_id=None)
    page = site.visit("sekretariatet")
    page.goto(f"/modeller/{MEETING_CASE}/sammenlign")
    expect(page.locator("[data-side] .djs-shape.af-changed[data-element-id=send_notice]")).to_have_count(2)
    expect(page.locator("[data-side] .af-forskjell__tegn")).to_have_text(["~", "~"])
    row = page.get_by_role("button", name="Brukeroppgave «Send innkalling»: fristen er endret")
    row.focus()
    page.keyboard.press("Enter")
    expect(row).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-side] .af-vist[data-element-id=send_notice]")).to_have_count(2)


def test_on_a_narrow_screen_the_model_is_shown_and_not_drawn(site: Site) -> None:
    wide = site.visit("administrator")
    _new_draft(wide, "Smal", "smal")
    page = site.visit("administrator", size=NARROW)
    page.goto(wide.url)
    expect(page.locator("main")).to_contain_text("Du trenger en bredere skjerm for å tegne.")
    expect(page.locator("[data-element-id=treat_case]").first).to_be_visible()
    expect(page.locator(".djs-palette")).to_have_count(0)
    expect(page.get_by_role("heading", name="Egenskaper")).not_to_be_visible()
