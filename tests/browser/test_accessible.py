"""No finding of axe up to WCAG 2.2 AA and best practices, and nothing scrolls sideways, on any page at both widths."""

import re

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import NARROW, WIDE, Site, axe, overflows

#: What everyone may see, and what only the owner of a case sees; `{case}` is the evaluation whose survey is open.
PAGES = {
    "sekretariatet": [
        "/oppgaver", "/oppgaver/ferdige", "/saker", "/saker?vis=avsluttede", "{case}", "{case}/historikk",
        "{case}/e-post",
        "/saker/start", "/saker/start?velg=1&prosess=delavtale_evaluering&avtale=helhetlige-pasientforlop", "/moter",
        "/avtaler", "/avtaler/helhetlige-pasientforlop", "/demo/e-post", "/sok?q=pasient", "/finnes-ikke",
        "/fravaer", "/kalender", "/e-poster?organ=larvik", "/oversikt", "/oversikt/ssu",
        "/varsler", "/varsler/grupper/sekretariat", "/tekster", "/tekster/reminder/nb",
    ],
    "radgiver.larvik": ["/oppgaver", "{task}", "{task}/gi-videre", "{case}"],
    "kommunalsjef.horten": ["/oppgaver", "{task}"],
    None: ["/velg-hvem-du-er", "/tilgjengelighet", "/personvern", "/personvern?lang=en"],
}  # fmt: skip
CASES = [(key, address, size) for key, pages in PAGES.items() for address in pages for size in (WIDE, NARROW)]


def _name(case: object) -> str:
    return str(case["width"]) if isinstance(case, dict) else str(case)


@pytest.fixture(scope="module")
def pages(demo: Site) -> dict[tuple[str | None, int], Page]:
    """One signed-in browser per person and width."""
    return {(key, size["width"]): demo.visit(key, size=size) for key in PAGES for size in (WIDE, NARROW)}


@pytest.mark.parametrize(("key", "address", "size"), CASES, ids=_name)
def test_a_page_is_accessible(
    pages: dict[tuple[str | None, int], Page], key: str | None, address: str, size: dict[str, int]
) -> None:
    page = pages[key, size["width"]]
    page.goto(_address(page, address))
    page.wait_for_load_state("networkidle")
    assert not axe(page)
    assert not overflows(page)


def test_a_case_is_accessible_with_everything_open(pages: dict[tuple[str | None, int], Page]) -> None:
    page = pages["sekretariatet", WIDE["width"]]
    page.goto(_address(page, "{case}"))
    closed = page.locator("main details:not([open]) > summary:visible")
    while closed.count():
        closed.first.click()
    page.locator(".djs-container svg").first.wait_for()
    assert not axe(page)


def _address(page: Page, address: str) -> str:
    if "{case}" in address:
        page.goto("/saker")
        link = page.locator("main a", has_text="helhetlige pasientforløp").first
        return address.replace("{case}", str(link.get_attribute("href")))
    if "{task}" in address:
        page.goto("/oppgaver")
        link = page.locator("main a", has_text=re.compile("undersøkelsen")).first
        return address.replace("{task}", str(link.get_attribute("href")))
    return address
