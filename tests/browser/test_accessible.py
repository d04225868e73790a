"""No finding of axe up to WCAG 2.2 AA and best practices, and nothing scrolls sideways, on any page at both widths."""

from collections import defaultdict
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session
from werkzeug.routing import MapAdapter

from agreements.model import Meeting
from engine.model import ProcessInstance, Step, User, UserTask
from notifications import unsubscribing
from notifications.model import Delivery
from tests.browser.conftest import DEMO_DAY, Site, endpoint, faults, look, serving
from tests.world import World
from web import auth

#: What everyone may see, and what only the owner of a case sees. `{case}` is the evaluation whose survey is open,
#: `{task}` one's own part of it, `{open}` and `{answered}` those of two parties; `{lost}` a mail that did not arrive.
PAGES: dict[str | None, list[str]] = {
    "sekretariatet": [
        "/oppgaver", "/oppgaver/ferdige", "/oppgaver/{answered}/svar", "/oppgaver/{open}/apne-svar",
        "/saker", "/saker?vis=avsluttede", "/saker/{case}", "/saker/{case}/historikk", "/saker/{case}/e-post",
        "/saker/{case}/datoer", "/saker/{case}/frist", "/saker/{case}/minn", "/saker/{case}/hopp-over",
        "/saker/{case}/gi-videre", "/saker/{case}/gi-videre/{open}", "/saker/{case}/mer-tid/{open}",
        "/saker/{case}/svar-pa-vegne-av", "/saker/{case}/svar/{answered}", "/saker/{case}/rett/{answered}",
        "/saker/{case}/nytt-mote", "/saker/{case}/verdi",
        "/saker/start", "/saker/start?velg=1&prosess=delavtale_evaluering&avtale=helhetlige-pasientforlop",
        "/moter", "/moter/{meeting}", "/moter/nytt", "/avtaler", "/avtaler/helhetlige-pasientforlop",
        "/aret", "/oversikt", "/oversikt/ssu", "/e-poster?organ=larvik", "/e-post/{mail}",
        "/e-post/{lost}/send-igjen", "/sok?q=pasient",
        "/fravaer", "/kalender", "/varsler", "/varsler/grupper/sekretariat", "/varsler/alle",
        "/tekster", "/tekster/reminder/nb",
        "/demo/e-post", "/demo/e-post/1", "/demo/klokke", "/finnes-ikke",
    ],
    "radgiver.larvik": [
        "/oppgaver", "/oppgaver/{task}", "/oppgaver/{task}/gi-videre", "/oppgaver/{task}/mer-tid", "/saker/{case}",
        "/oversikt",
    ],
    "kommunalsjef.horten": ["/oppgaver", "/oppgaver/{task}"],
    "administrator": ["/oppgaver", "/saker", "/oversikt"],
    None: ["/velg-hvem-du-er", "/tilgjengelighet", "/personvern", "/personvern?lang=en"],
}  # fmt: skip
#: What answers GET and is no page of its own, with the reason.
NOT_PAGES = {
    "a file": {
        "static", "tasks.document", "drafts.file", "models.file", "cases.diagram", "respondent_links.export",
        "calendar_feeds.read", "drafts.content",
    },
    "a mail in the frame of a page; test_mails.py": {
        "demo.content", "deliveries.content", "mail_texts.example", "rehearsal.mail_of_case", "rehearsal.mail_of_start",
    },
    "for machines": {"health.alive", "health.ready", "health.numbers", "openapi.spec"},
    "leads on to another page": {"auth.home"},
}  # fmt: skip


def test_every_page_is_accessible(demo: Site) -> None:
    _lose_a_mail(demo)
    found: dict[str, list[str]] = {}
    for key, pages in PAGES.items():
        page = demo.visit(key)
        with demo.world.database.reading() as session:
            addresses = [address.format_map(_known(session, key)) for address in pages]
        of_the_case = addresses[pages.index("/saker/{case}")] if key == "sekretariatet" else None
        for address in addresses:
            page.goto(address)
            found[f"{key}: {address}"] = faults(page)
            if address == of_the_case:
                _open_everything(page)
                found["a case with everything open"] = faults(page)
    assert {address: wrong for address, wrong in found.items() if wrong} == {}


@pytest.mark.shows("auth.login", "auth.accept", "my_notifications.ask")
def test_the_ways_in_without_an_account_or_with_a_password_are_accessible(
    world: World, tmp_path: Path, browser: Browser
) -> None:
    with serving(world, tmp_path, browser, demo=False) as site:
        settings = site.services.settings
        with world.database.reading() as session:
            user = world.user(session, "radgiver.larvik")
            invited = auth.invitation(user, settings.signing_key())
            unsubscribe = unsubscribing.address(user, ["reminder"], site.services.notifications)
        page = site.visit(None)
        for address in ("/logg-inn", f"/invitasjon/{invited}", urlsplit(unsubscribe or "").path):
            page.goto(address)
            look(page)
        page.goto("/logg-inn")
        page.get_by_label("E-postadresse").fill("radgiver.larvik@example.org")
        page.get_by_label("Passord").fill("feil passord")
        page.get_by_role("button", name="Logg inn").click()
        look(page)


def test_no_page_is_forgotten(routes: MapAdapter) -> None:
    pages = {rule.endpoint for rule in routes.map.iter_rules() if "GET" in (rule.methods or ())}
    pages -= {endpoint for endpoint in pages if endpoint.startswith("api.")}.union(*NOT_PAGES.values())
    anything: defaultdict[str, str] = defaultdict(lambda: "x")
    here = {
        endpoint(routes, address.partition("?")[0].format_map(anything))
        for addresses in PAGES.values()
        for address in addresses
    }
    assert pages - here - _shown_elsewhere() == set()


def _shown_elsewhere() -> set[str]:
    """The pages that other tests here promise to let axe read."""
    names = [f"tests.browser.{path.stem}" for path in Path(__file__).parent.glob("test_*.py")]
    return {
        endpoint
        for name in names
        for test, function in vars(import_module(name)).items()
        if test.startswith("test_")
        for mark in getattr(function, "pytestmark", ())
        if mark.name == "shows"
        for endpoint in mark.args
    }


def _open_everything(page: Page) -> None:
    closed = page.locator("main details:not([open]) > summary:visible")
    while closed.count():
        closed.first.click()
    page.locator(".djs-container svg").first.wait_for()


def _lose_a_mail(site: Site) -> None:
    with site.world.database.transaction() as session:
        latest = select(func.max(Delivery.id)).where(Delivery.state == "sent").scalar_subquery()
        refused = {"state": "failed", "last_error": "550 5.1.1 ukjent mottaker"}
        session.execute(update(Delivery).where(Delivery.id == latest).values(refused))


def _known(session: Session, key: str | None) -> dict[str, str]:
    """The public ids of what the addresses name."""
    case = session.scalars(
        select(ProcessInstance).where(ProcessInstance.title.endswith("helhetlige pasientforløp"))
    ).one()
    tasks = select(UserTask.public_id).join(UserTask.step).where(Step.instance_id == case.id)
    tasks = tasks.where(Step.element_id == "answer_survey").order_by(UserTask.id)
    me = select(User.id).where(User.key == key).scalar_subquery()
    mine = tasks.where(or_(UserTask.assignee_id == me, UserTask.approver_id == me))
    meetings = select(Meeting.public_id).where(Meeting.date > DEMO_DAY.date()).order_by(Meeting.date)
    mails = select(Delivery.public_id).where(Delivery.instance_id == case.id, Delivery.state == "sent")
    return {
        "case": case.public_id,
        "task": session.scalars(mine).first() or "",
        "open": session.scalars(tasks.where(UserTask.state == "open")).first() or "",
        "answered": session.scalars(tasks.where(UserTask.state == "completed")).first() or "",
        "meeting": session.scalars(meetings).first() or "",
        "lost": session.scalars(select(Delivery.public_id).where(Delivery.state == "failed")).first() or "",
        "mail": session.scalars(mails.order_by(Delivery.id.desc())).first() or "",
    }
