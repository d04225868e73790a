"""An owner's acts on a case that stands, stands wrong or is to rest; and an answer taken back by whoever gave it."""

import json
import re
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy import select

from engine import identity, mending
from engine.model import ProcessInstance
from notifications.model import Delivery
from tests.applications import drain
from tests.web.standing import incident_of, standing
from tests.world import Past, World

OWNER = "sekretariatet"
Client = Callable[[str], Any]
__all__ = ["standing"]


@pytest.fixture
def past(request: pytest.FixtureRequest, past: Past) -> Past:
    asked = Past(name="a survey of four", live=_ask_four)
    return asked if "survey" in request.fixturenames else past


def _ask_four(world: World) -> Sequence[EmailMessage]:
    case = world.start(parties=("larvik", "horten", "faerder", "holmestrand"))
    world.proceed_to(case, "answer_survey")
    return ()


@pytest.fixture
def survey(world: World) -> ProcessInstance:
    """An evaluation of four parties, whose survey is open."""
    return world.instance(world.only_case())


def _page(client: Any, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, answer.text[:2000]
    return str(answer.text).replace("\xa0", " ")


def _post(world: World, client: Any, case: ProcessInstance, act: str, **data: str) -> Any:
    revision = world.instance(case.id).revision
    return client.post(f"/saker/{case.public_id}/{act}", data={"revision": str(revision), **data})


# --- on hold ----------------------------------------------------------------------------------------------------------


def test_a_case_is_put_on_hold_and_goes_on(
    world: World, services: Any, survey: ProcessInstance, client_for: Client
) -> None:
    owner, larvik = client_for(OWNER), client_for("radgiver.larvik")
    drain(services, world)
    refused = _post(world, owner, survey, "sett-pa-vent")
    assert (refused.status_code, "Skriv hvorfor" in refused.text) == (422, True)
    assert _post(world, owner, survey, "sett-pa-vent", reason="Bestillingen avklares.").status_code == 303
    text = _page(owner, f"/saker/{survey.public_id}")
    assert "Saken er satt på vent" in text
    assert "«Bestillingen avklares.»" in text
    assert "Fortsett saken" in text
    assert "Minn på dem" not in text
    asked = world.task(survey.id, "answer_survey", "larvik")
    assert asked.name not in _page(larvik, "/oppgaver")
    assert "Saken er satt på vent" in _page(larvik, f"/oppgaver/{asked.public_id}")
    assert "Satt på vent" in _page(owner, "/saker")
    drain(services, world)
    assert _planned(world, survey) == 0
    assert _post(world, owner, survey, "fortsett").status_code == 303
    drain(services, world)
    assert _planned(world, survey) > 0
    assert asked.name in _page(larvik, "/oppgaver")


def _planned(world: World, case: ProcessInstance) -> int:
    with world.database.reading() as session:
        query = select(Delivery.id).where(Delivery.instance_id == case.id, Delivery.state == "planned")
        return len(session.scalars(query).all())


def test_an_ended_case_is_reopened(world: World, survey: ProcessInstance, client_for: Client) -> None:
    owner = client_for(OWNER)
    assert _post(world, owner, survey, "avslutt", reason="Trukket", sure="ja").status_code == 303
    assert "Åpne saken igjen" in _page(owner, f"/saker/{survey.public_id}")
    world.clock.advance(days=400)
    late = _post(world, owner, survey, "apne-igjen", reason="Tatt opp igjen")
    assert (late.status_code, "Velg en ny frist" in late.text) == (422, True)
    day = (world.clock.today + timedelta(days=30)).isoformat()
    assert _post(world, owner, survey, "apne-igjen", reason="Tatt opp igjen", due_date=day).status_code == 303
    assert {t.due_date for t in world.tasks(survey.id, "answer_survey")} == {date.fromisoformat(day)}
    assert "Tatt opp igjen" in _page(owner, f"/saker/{survey.public_id}/historikk")


@pytest.mark.parametrize(
    "act", ["sett-pa-vent", "fortsett", "apne-igjen", "spor-flere", "fjern", "flytt", "verdi"]
)  # fmt: skip
def test_only_the_owner_comes_to_the_acts(survey: ProcessInstance, client_for: Client, act: str) -> None:
    _page(client_for("radgiver.larvik"), f"/saker/{survey.public_id}/{act}", 403)
    _page(client_for("tillitsvalgt.siv"), f"/saker/{survey.public_id}/{act}", 404)


# --- one more, one fewer ----------------------------------------------------------------------------------------------


def test_a_party_that_was_forgotten_is_asked(world: World, survey: ProcessInstance, client_for: Client) -> None:
    owner = client_for(OWNER)
    page = _page(owner, f"/saker/{survey.public_id}/spor-flere")
    found = re.search(r'value="(\d+:tonsberg)"', page)
    assert found
    assert "Larvik kommune</label>" not in page
    assert _post(world, owner, survey, "spor-flere", reason="Glemt").status_code == 422
    assert _post(world, owner, survey, "spor-flere", whom=found[1], reason="Glemt").status_code == 303
    added = world.task(survey.id, "answer_survey", "tonsberg")
    assert added.assignee is not None
    text = _page(owner, f"/saker/{survey.public_id}")
    assert "0 av 5 har svart" in text
    assert "spurte også Tønsberg kommune" in text


def test_a_party_is_taken_out(world: World, survey: ProcessInstance, client_for: Client) -> None:
    owner = client_for(OWNER)
    asked = world.task(survey.id, "answer_survey", "horten")
    address = f"fjern/{asked.public_id}"
    assert address in _page(owner, f"/saker/{survey.public_id}/fjern")
    assert "Ta ut Horten kommune" in _page(owner, f"/saker/{survey.public_id}/{address}")
    data = {"revision": str(asked.revision), "reason": "Ikke part i avtalen"}
    assert owner.post(f"/saker/{survey.public_id}/{address}", data=data).status_code == 303
    assert "0 av 3 har svart" in _page(owner, f"/saker/{survey.public_id}")


# --- a case that stands -----------------------------------------------------------------------------------------------


def test_an_error_is_told_in_plain_words_with_what_the_step_saw(
    world: World, standing: ProcessInstance, client_for: Client
) -> None:
    owner = client_for(OWNER)
    text = _page(owner, f"/saker/{standing.public_id}")
    assert "Det ble delt på null." in text
    assert "prøver igjen av seg selv" in text
    incident = incident_of(world, standing)
    page = _page(owner, f"/saker/{standing.public_id}/feil/{incident.public_id}")
    assert "tall</th>" in page
    assert "Systemet prøver igjen av seg selv" in page


def test_a_value_is_mended_and_the_step_tried_again(
    world: World, standing: ProcessInstance, client_for: Client
) -> None:
    owner, incident = client_for(OWNER), incident_of(world, standing)
    shown = _page(owner, f"/saker/{standing.public_id}/verdi?feil={incident.public_id}&navn=tall")
    assert 'value="number"' in shown
    given = {"feil": incident.public_id, "name": "tall", "kind": "number", "retry": "ja", "reason": "Skrevet feil"}
    wrong = _post(world, owner, standing, "verdi", value="to", **given)
    assert (wrong.status_code, "Skriv et tall" in wrong.text) == (422, True)
    assert _post(world, owner, standing, "verdi", value="2", **given).status_code == 303
    assert [t.step.element_id for t in world.tasks(standing.id)] == ["a"]
    history = _page(owner, f"/saker/{standing.public_id}/historikk")
    assert "endret verdien «tall» fra «0» til «2»" in history


def test_values_in_the_history_are_for_the_owner(world: World, survey: ProcessInstance, client_for: Client) -> None:
    data = {"name": "hemmelig", "kind": "text", "value": "bare for eieren", "reason": "Prøve"}
    assert _post(world, client_for(OWNER), survey, "verdi", **data).status_code == 303
    assert "bare for eieren" in _page(client_for(OWNER), f"/saker/{survey.public_id}/historikk")
    other = _page(client_for("radgiver.larvik"), f"/saker/{survey.public_id}/historikk")
    assert "endret «hemmelig»" in other
    assert "bare for eieren" not in other


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("text", " som det står ", " som det står "), ("number", "2,5", 2.5), ("number", "12", 12),
        ("yes-no", "Ja", True), ("yes-no", "nei", False), ("json", '{"a": [1, null]}', {"a": [1, None]}),
    ],
)  # fmt: skip
def test_a_value_is_kept_as_what_it_is(
    world: World, standing: ProcessInstance, client_for: Client, kind: str, text: str, value: object
) -> None:
    data = {"name": "ny", "kind": kind, "value": text, "reason": "Prøve"}
    assert _post(world, client_for(OWNER), standing, "verdi", **data).status_code == 303
    with world.database.reading() as session:
        held = mending.variables(session, session.get_one(ProcessInstance, standing.id), "", now=world.clock())
    assert json.dumps(held["ny"]) == json.dumps(value)


@pytest.mark.parametrize(("kind", "text"), [("number", "inf"), ("yes-no", "kanskje"), ("json", "{"), ("json", "NaN")])
def test_a_value_that_is_none_is_refused(
    world: World, standing: ProcessInstance, client_for: Client, kind: str, text: str
) -> None:
    data = {"name": "ny", "kind": kind, "value": text, "reason": "Prøve"}
    assert _post(world, client_for(OWNER), standing, "verdi", **data).status_code == 422


def test_trying_again_in_vain_says_so(world: World, standing: ProcessInstance, client_for: Client) -> None:
    owner, incident = client_for(OWNER), incident_of(world, standing)
    answer = _post(world, owner, standing, f"prov-igjen/{incident.public_id}")
    assert answer.location.endswith(f"/feil/{incident.public_id}")
    assert "Det feilet igjen" in _page(owner, answer.location)


def test_the_owner_chooses_the_way_when_a_gateway_is_skipped(
    world: World, standing: ProcessInstance, client_for: Client
) -> None:
    owner, incident = client_for(OWNER), incident_of(world, standing)
    act = f"feil/{incident.public_id}/hopp-over"
    assert 'value="which_b"' in _page(owner, f"/saker/{standing.public_id}/{act}")
    assert _post(world, owner, standing, act, reason="Vi vet veien").status_code == 422
    assert _post(world, owner, standing, act, flow="which_b", reason="Vi vet veien").status_code == 303
    assert [t.step.element_id for t in world.tasks(standing.id)] == ["b"]


def test_the_case_is_moved_after_saying_what_is_withdrawn(
    world: World, survey: ProcessInstance, client_for: Client
) -> None:
    owner = client_for(OWNER)
    page = _page(owner, f"/saker/{survey.public_id}/flytt")
    tokens = re.findall(r"flytt\?fra=([\w-]+)", page)
    if tokens:
        page = next(
            text
            for t in tokens
            if "Svar på undersøkelsen" in (text := _page(owner, f"/saker/{survey.public_id}/flytt?fra={t}"))
        )
    assert "Dette trekkes tilbake" in page
    token = re.search(r'name="fra" type="hidden" value="([^"]+)"', page)
    assert token
    assert _post(world, owner, survey, "flytt", fra=token[1], reason="Feil vei").status_code == 422
    options = [o for o in re.findall(r'<option value="(\w+)"', page) if o == "analyse"]
    assert options == ["analyse"]
    assert _post(world, owner, survey, "flytt", fra=token[1], to="analyse", reason="Feil vei").status_code == 303
    assert world.tasks(survey.id, "answer_survey") == []
    assert "analyse" in {t.step.element_id for t in world.tasks(survey.id)}
    assert _post(world, owner, survey, "flytt", fra=token[1], to="analyse", reason="En gang til").status_code == 404


# --- one's own answer -------------------------------------------------------------------------------------------------


def test_an_answer_is_taken_back_from_its_receipt(world: World, survey: ProcessInstance, client_for: Client) -> None:
    asked = world.task(survey.id, "answer_survey", "horten")
    world.complete(asked.id)
    with world.database.reading() as session:
        approver = identity.person_by_id(session, asked.approver_id or 0).key
    receipt = f"/oppgaver/{asked.public_id}"
    client = client_for(approver)
    assert f"{receipt}/angre" in _page(client, receipt)
    assert "Trekk godkjenningen" in _page(client, receipt)
    assert "venter på at du godkjenner det igjen" in _page(client, f"{receipt}/angre")
    assert client.post(f"{receipt}/angre", data={"reason": "Feil tall"}).status_code == 303
    assert world.task(survey.id, "answer_survey", "horten").state == "submitted"
    assert "0 av 4 har svart" in _page(client_for(OWNER), f"/saker/{survey.public_id}")


def test_when_it_is_too_late_the_page_says_why(world: World, survey: ProcessInstance, client_for: Client) -> None:
    tasks = world.tasks(survey.id, "answer_survey")
    for asked in tasks:
        world.complete(asked.id)
    with world.database.reading() as session:
        approver = identity.person_by_id(session, tasks[0].approver_id or 0).key
    client = client_for(approver)
    assert "Steget er avsluttet" in _page(client, f"/oppgaver/{tasks[0].public_id}/angre")
    assert client.post(f"/oppgaver/{tasks[0].public_id}/angre").status_code == 409


# --- where a standing case is seen ------------------------------------------------------------------------------------


def test_the_list_has_what_stands_still_first(world: World, standing: ProcessInstance, client_for: Client) -> None:
    world.start()
    page = _page(client_for(OWNER), "/saker")
    assert "To saker er i gang. Én av dem står stille." in page
    assert page.index(standing.title) < page.index("Evaluering av delavtale om helhetlige pasientforløp")


def test_the_owners_tasks_say_that_a_case_stands_still(standing: ProcessInstance, client_for: Client) -> None:
    page = _page(client_for(OWNER), "/oppgaver")
    assert "Én sak står stille" in page
    assert f'href="/saker/{standing.public_id}">En sak som stopper</a> – systemet prøver igjen av seg selv' in page
    assert "står stille" not in _page(client_for("radgiver.larvik"), "/oppgaver")


def _give_up(world: World, services: Any, standing: ProcessInstance) -> None:
    """The engine tries as often as it will."""
    while (retry_at := incident_of(world, standing).retry_at) is not None:
        world.clock.set(retry_at)
        drain(services, world)


def test_the_owner_is_mailed_when_the_engine_has_given_up(
    world: World, services: Any, standing: ProcessInstance, client_for: Client
) -> None:
    _give_up(world, services, standing)
    assert "venter på at feilen rettes" in _page(client_for(OWNER), "/oppgaver")
    with world.database.reading() as session:
        [mail] = session.scalars(select(Delivery).where(Delivery.instance_id == standing.id))
    assert (mail.rule, mail.incident_id, mail.step_id) == ("incident", incident_of(world, standing).id, None)


def test_a_mail_about_an_incident_is_listed_with_the_others(
    world: World, services: Any, standing: ProcessInstance, client_for: Client
) -> None:
    _give_up(world, services, standing)
    owner = client_for(OWNER)
    listed = _page(owner, f"/saker/{standing.public_id}/e-post")
    assert "Saken står stille" in listed
    address = re.findall(r'href="(/e-post/\w+)"', listed)[0]
    assert "Noe som skulle gått av seg selv, feilet." in _page(owner, f"{address}/innhold")
    with world.database.transaction() as session:
        session.query(Delivery).update({"state": "failed", "last_error": "Ukjent"})
    assert "har ikke fått vite om feilen i saken" in _page(owner, f"/saker/{standing.public_id}")
