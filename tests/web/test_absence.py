"""Fravær: registered on a page; tasks, mails and history follow the deputy, and go back."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from engine.model import Absence, User
from notifications.model import Delivery
from tests.world import World

Client = Callable[[str], Any]
LARVIK, DEPUTY = "radgiver.larvik", "radgiver.horten"


@pytest.fixture
def survey(world: World) -> int:
    """An evaluation of four parties, whose survey is open, with its mails planned."""
    case = world.start(parties=("larvik", "horten", "faerder", "holmestrand"))
    world.proceed_to(case, "answer_survey")
    return case


def _settle(world: World, services: Any) -> None:
    while services.drain(world.clock()):
        continue


def _page(client: Any, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, answer.text[:2000]
    return str(answer.text).replace("\xa0", " ")


def _register(client: Any, world: World, **given: str) -> Any:
    today = world.clock.today
    usual = {"starts_on": today.isoformat(), "ends_on": (today + timedelta(days=4)).isoformat(), "deputy": DEPUTY}
    return client.post("/fravaer", data={**usual, **given})


def _absence(world: World) -> Absence:
    with world.database.reading() as session:
        return session.scalars(select(Absence).order_by(Absence.id.desc())).first()


def _planned(world: World, task_id: int) -> set[str]:
    """Who is still to be written to about the task."""
    with world.database.reading() as session:
        query = select(User.key).join(Delivery, Delivery.recipient_id == User.id)
        return set(session.scalars(query.where(Delivery.task_id == task_id, Delivery.state == "planned")))


def test_an_absence_is_reported_followed_and_shortened(
    world: World, services: Any, survey: int, client_for: Client
) -> None:
    _settle(world, services)
    asked = world.task(survey, "answer_survey", "larvik")
    owner, larvik, horten = client_for("sekretariatet"), client_for(LARVIK), client_for(DEPUTY)
    assert _planned(world, asked.id) == {LARVIK}
    assert asked.name not in _page(horten, f"/oppgaver/{asked.public_id}", 404)
    assert "Meld fravær og stedfortreder" in _page(larvik, "/fravaer")
    assert _register(larvik, world).status_code == 303
    page = _page(larvik, "/fravaer")
    assert "er stedfortreder" in page
    assert "Borte nå" in page
    # tasks and mails follow
    mine = _page(horten, "/oppgaver")
    assert "Du er stedfortreder for" in mine
    assert f"/oppgaver/{asked.public_id}" in mine
    assert "fordi du er stedfortreder for" in _page(horten, f"/oppgaver/{asked.public_id}")
    # whoever looks for the ball sees both names
    both = "Rådgiver helse, Larvik (stedfortreder: Rådgiver helse, Horten)"
    case = f"/saker/{world.instance(survey).public_id}"
    assert "stedfortreder: Rådgiver helse, Horten" in _page(owner, case)
    assert both in _page(client_for("kommunalsjef.larvik"), "/oppgaver")
    _settle(world, services)
    assert _planned(world, asked.id) <= {DEPUTY}
    # a deputy who is away too, and named the other: nobody is there, and the owner sees it
    _register(horten, world, deputy=LARVIK)
    assert "borte uten stedfortreder" in _page(owner, case)
    assert "borte uten stedfortreder" in _page(owner, "/oversikt")
    assert horten.post(f"/fravaer/{_absence(world).public_id}/avlys").status_code == 303
    # they answer on behalf of, and the case says so
    world.fill(asked.id, by=DEPUTY)
    history = _page(owner, f"/saker/{world.instance(survey).public_id}/historikk")
    assert "på vegne av" in history
    assert "er stedfortreder for" in history
    # back again
    with world.database.reading() as session:
        found = session.scalars(select(Absence).where(Absence.state == "current")).one()
    again = larvik.post(f"/fravaer/{found.public_id}/avlys")
    assert again.status_code == 303
    _settle(world, services)
    assert f"/oppgaver/{asked.public_id}" not in _page(horten, "/oppgaver").split("Sendt til godkjenning")[0]
    assert "er tilbake" in _page(owner, f"/saker/{world.instance(survey).public_id}/historikk")


def test_what_is_missing_or_impossible_is_said_at_its_field(world: World, client_for: Client) -> None:
    larvik = client_for(LARVIK)
    answer = _register(larvik, world, starts_on="", ends_on="x", deputy="")
    assert answer.status_code == 422
    for words in ("Velg den første dagen borte", "Velg den siste dagen borte", "Velg hvem som er stedfortreder"):
        assert words in answer.text
    assert "Velg en annen enn den som er borte" in _register(larvik, world, deputy=LARVIK).text
    assert "innen ett år" in _register(larvik, world, ends_on="2030-01-01").text
    assert _register(larvik, world).status_code == 303
    assert "alt meldt fravær" in _register(larvik, world).text
    found = _absence(world)
    for ends_on, words in (("", "Velg den siste dagen"), ("2020-01-01", "innen ett år")):
        larvik.post(f"/fravaer/{found.public_id}/siste-dag", data={"ends_on": ends_on})
        assert words in _page(larvik, "/fravaer")
    last = (world.clock.today + timedelta(days=1)).isoformat()
    larvik.post(f"/fravaer/{found.public_id}/siste-dag", data={"ends_on": last})
    assert "Siste dag borte er nå" in _page(larvik, "/fravaer")
    assert _absence(world).ends_on == date.fromisoformat(last)


def test_only_the_secretariat_reports_for_others_and_no_deputy_changes_anothers_absence(
    world: World, client_for: Client
) -> None:
    owner, larvik, horten = client_for("sekretariatet"), client_for(LARVIK), client_for(DEPUTY)
    assert _register(larvik, world, who="analyse.larvik").status_code in (403, 422)
    assert _register(owner, world, who=LARVIK).status_code == 303
    assert "Fraværet til andre" in _page(owner, "/fravaer?hvem=" + LARVIK)
    found = _absence(world)
    assert horten.post(f"/fravaer/{found.public_id}/avlys").status_code == 403
    assert client_for("tillitsvalgt.siv").post(f"/fravaer/{found.public_id}/avlys").status_code in (302, 404)
    assert "Du er stedfortreder for" in _page(horten, "/fravaer")
    assert _register(horten, world, deputy="sekretariatet").status_code == 303
    warned = _register(client_for("radgiver.faerder"), world)
    assert warned.status_code == 303


def test_a_deputy_has_the_owners_cases_and_not_the_owners_office_or_settings(
    world: World, services: Any, survey: int, client_for: Client
) -> None:
    _settle(world, services)
    owner, deputy = client_for("sekretariatet"), client_for(DEPUTY)
    case = f"/saker/{world.instance(survey).public_id}"
    assert _register(owner, world).status_code == 303
    # The case is theirs to steer: its mails, its requests, its dates. History says for whom.
    assert "E-poster i saken" in _page(deputy, f"{case}/e-post")
    assert "Rådgiver helse, Larvik" in _page(deputy, "/e-poster?hvem=Larvik").partition('id="alle"')[2]
    assert deputy.post(f"{case}/sett-pa-vent", data={"reason": "Vent litt", "bekreft": "1"}).status_code == 303
    assert "på vegne av Sekretariatet" in _page(owner, f"{case}/historikk")
    # What is the secretariat's, or the absent's own, is not.
    for address in ("/tekster", "/varsler/grupper/sekretariat"):
        _page(deputy, address, 403)
    assert _register(deputy, world, who=LARVIK).status_code == 403
    other = _absence(world)
    assert deputy.post(f"/fravaer/{other.public_id}/siste-dag", data={"ends_on": other.ends_on}).status_code == 403
    with world.database.transaction() as session:
        world.user(session, "sekretariatet").locale = "nn"
    assert deputy.post("/varsler", data={"how": "", "language": "en"}).status_code == 303
    with world.database.reading() as session:
        assert (world.user(session, "sekretariatet").locale, world.user(session, DEPUTY).locale) == ("nn", "en")
