"""The four pages of a start: Hva, Møter, Hvem, Planen."""

import json
import random
import string
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from agreements.model import Case, Meeting, Party
from engine import absences, history, identity
from engine.absences import Period
from engine.model import Community, Membership, ProcessInstance
from tests.world import AGREEMENT, EVALUATION, MANDATE, MEETING_CASE, World
from web import commands

Client = Any
PARTIES = ["siv", "holmestrand", "horten", "faerder", "tonsberg", "sandefjord", "larvik"]


@pytest.fixture
def secretary(client_for: Callable[[str], Client]) -> Client:
    return client_for("sekretariatet")


def meeting_id(world: World, key: str) -> str:
    with world.database.reading() as session:
        return session.scalars(select(Meeting.public_id).where(Meeting.key == key)).one()


def what(client: Client, process: str = EVALUATION, agreement: str = AGREEMENT, **form: str) -> Any:
    given = {"commissioning_decision": "17/26"} | form
    return client.post("/saker/start", data={"prosess": process, "avtale": agreement, **given})


def when(client: Client, world: World, **form: str) -> Any:
    known = {"mote-ssu": meeting_id(world, "ssu-2026-11-27"), "mote-au": meeting_id(world, "au-2026-11-05")}
    return client.post("/saker/start/moter", data=known | form)


def who(client: Client, **form: Any) -> Any:
    usual = {
        "role-sekretariat": "group:sekretariat",
        "role-au": "group:au",
        "role-referent": "group:referent",
        "parties": PARTIES,
        "reviewers": ["fagutvalg-akutt", "nettverk-helseforvaltning"],
    }
    return client.post("/saker/start/hvem", data=usual | form)


def begin(client: Client, world: World, **meetings: str) -> None:
    assert what(client).location == "/saker/start/moter"
    assert when(client, world, **meetings).location == "/saker/start/hvem"
    assert who(client).location == "/saker/start/plan"


def start(client: Client, page: str, **form: str) -> Any:
    dates = page.split('name="datoer" type="hidden" value="')[1].split('"')[0]
    return client.post("/saker/start/plan", data={"datoer": dates} | form)


def instances(world: World) -> list[ProcessInstance]:
    with world.database.reading() as session:
        return list(session.scalars(select(ProcessInstance)))


# --- the main way -----------------------------------------------------------------------------------------------------


def test_the_secretariat_starts_the_evaluation_in_four_pages(secretary: Client, world: World) -> None:
    begin(secretary, world)
    page = secretary.get("/saker/start/plan").text
    assert "Evaluering av delavtale om helhetlige pasientforløp" in page
    for words in ("tirsdag 16.\u00a0juni", "onsdag 30.\u00a0september", "fredag 27.\u00a0november", "Sju parter"):
        assert words in page, words
    assert "SSU 27.\u00a0november er en fredag" in page
    assert "lukker i høstferien" in page
    assert "e-poster til" in page
    assert 'hx-get="/saker/start/plan/tidligst"' in page
    earliest = secretary.get("/saker/start/plan/tidligst").text
    assert "AU 5.\u00a0november → SSU 27.\u00a0november" in earliest
    assert "papirene går ut" in earliest

    answer = start(secretary, page, begrunnelse="SSU har vedtatt datoen")
    [instance] = instances(world)
    assert answer.location == f"/saker/{instance.public_id}"
    assert instance.facts == {"ssu": "2026-11-27", "au": "2026-11-05"}
    assert [q["name"] for q in instance.data["questions"]] == []
    with world.database.reading() as session:
        events = {e.kind: e for e in history.events(session, instance)}
        assert events["warnings-confirmed"].note == "SSU har vedtatt datoen"
        assert session.scalars(select(Case)).one().case_number == "17/26"


def test_the_agreements_questions_are_in_the_form_and_follow_into_the_case(secretary: Client, world: World) -> None:
    page = secretary.get(f"/saker/start?prosess={EVALUATION}&avtale={AGREEMENT}").text
    assert 'value="Preterminale pasienter meldes som utskrivningsklare"' in page
    what(
        secretary, **{"questions-0-name": "Pasienter på kommunal korttidsplass", "questions-1-name": "Et nytt spørsmål"}
    )
    when(secretary, world)
    who(secretary)
    start(secretary, secretary.get("/saker/start/plan").text, begrunnelse="Avtalt")
    [instance] = instances(world)
    assert instance.data["questions"] == [
        {"key": "short_term", "name": "Pasienter på kommunal korttidsplass"},
        {"key": "q2", "name": "Et nytt spørsmål"},
    ]


def test_a_mandate_takes_its_body_from_the_name_that_was_written(secretary: Client, world: World) -> None:
    what(secretary, MANDATE, "", body_name="Fagutvalg HR")
    assert "Uten eget AU-møte" in secretary.get("/saker/start/moter").text
    assert when(secretary, world, **{"mote-au": "ingen"}).location == "/saker/start/hvem"
    page = secretary.get("/saker/start/hvem").text
    assert '<option value="group:fagutvalg-hr" selected>' in page
    assert "Hvem gir innspill?" in page
    who(secretary, **{"role-fagutvalg": "group:fagutvalg-hr", "hearing_bodies": ["fsu"]})
    start(secretary, secretary.get("/saker/start/plan").text, begrunnelse="Avtalt")
    [instance] = instances(world)
    assert instance.title == "Mandat for Fagutvalg HR"
    assert [b["key"] for b in instance.data["hearing_bodies"]] == ["fsu"]


def test_a_meeting_case_may_go_to_a_meeting_of_any_body(secretary: Client, world: World) -> None:
    what(secretary, MEETING_CASE, "", _tittel="Digital møteserie", case_types="orientering", case_number="19/26")
    form = {"mote-meeting": "annen", "organ-meeting": "fsu", "dato-meeting": "2026-11-19"}
    assert secretary.post("/saker/start/moter", data=form).location == "/saker/start/hvem"
    who(secretary)
    start(secretary, secretary.get("/saker/start/plan").text)
    [instance] = instances(world)
    assert (instance.title, instance.facts) == ("Digital møteserie", {"meeting": "2026-11-19"})


# --- what is refused, and what is kept --------------------------------------------------------------------------------


def test_the_start_form_keeps_what_was_written_and_says_what_is_missing(secretary: Client) -> None:
    answer = what(secretary, commissioning_decision="", archive_reference="26/02136-18")
    assert answer.status_code == 422
    assert "Fyll ut «Vedtaket som bestilte evalueringen»" in answer.text
    assert 'value="26/02136-18"' in answer.text


def test_a_process_about_an_agreement_asks_for_it(secretary: Client) -> None:
    answer = secretary.get(f"/saker/start?velg=1&prosess={EVALUATION}&avtale=")
    assert answer.status_code == 422
    assert "Velg avtalen som skal evalueres." in answer.text


def test_au_after_ssu_is_a_choice_on_the_plan(secretary: Client, world: World) -> None:
    what(secretary)
    answer = when(secretary, world, **{"mote-au": "annen", "dato-au": "2026-12-01"})
    assert answer.status_code == 303
    who(secretary)
    plan = " ".join(secretary.get("/saker/start/plan").text.split())
    assert "AU 1. desember er etter SSU 27. november" in plan
    assert "Bytt til AU 5. november" in plan


def test_a_date_beside_another_marked_meeting_is_not_ignored(secretary: Client, world: World) -> None:
    what(secretary)
    answer = when(secretary, world, **{"dato-ssu": "2026-12-10"})
    assert answer.status_code == 422
    assert "Marker «En annen dato»" in answer.text
    assert 'value="2026-12-10"' in answer.text


@pytest.mark.parametrize("day", ["", "i morgen", "9999-12-31"])
def test_a_date_that_is_none_is_refused(secretary: Client, world: World, day: str) -> None:
    what(secretary)
    assert when(secretary, world, **{"mote-ssu": "annen", "dato-ssu": day}).status_code == 422


def test_no_party_is_refused(secretary: Client, world: World) -> None:
    what(secretary)
    when(secretary, world)
    answer = who(secretary, parties=[])
    assert answer.status_code == 422
    assert "Velg minst én." in answer.text


def test_a_role_that_nobody_is_must_be_chosen(secretary: Client, world: World) -> None:
    what(secretary, MANDATE, "", body_name="Et nytt organ")
    when(secretary, world, **{"mote-au": "ingen"})
    answer = who(secretary, **{"role-fagutvalg": ""})
    assert answer.status_code == 422
    assert "Velg hvem som er «Organet som får mandatet»." in answer.text


def test_a_party_without_contact_shows_and_stops(secretary: Client, world: World) -> None:
    with world.database.transaction() as session:
        session.scalars(select(Party).where(Party.key == "larvik")).one().contact_id = None
    what(secretary)
    when(secretary, world)
    assert "Har ingen kontakt" in secretary.get("/saker/start/hvem").text
    assert "Larvik kommune har ingen kontakt" in who(secretary).text
    assert who(secretary, parties=PARTIES[:-1]).location == "/saker/start/plan"


def test_back_keeps_what_was_chosen_even_when_it_does_not_fit(secretary: Client, world: World) -> None:
    what(secretary, _tittel="Min tittel")
    answer = when(secretary, world, _tilbake="1", **{"mote-ssu": "annen", "dato-ssu": "2026-12-10"})
    assert answer.location == f"/saker/start?prosess={EVALUATION}&avtale={AGREEMENT}"
    page = secretary.get(answer.location).text
    assert 'value="Min tittel"' in page
    assert 'value="17/26"' in page
    assert 'value="2026-12-10"' in secretary.get("/saker/start/moter").text


def test_warnings_need_a_reason_before_the_start(secretary: Client, world: World) -> None:
    begin(secretary, world)
    answer = start(secretary, secretary.get("/saker/start/plan").text)
    assert answer.status_code == 422
    assert "Skriv hvorfor saken skal starte likevel." in answer.text
    assert instances(world) == []


def test_what_the_plan_shows_wants_a_reason_and_is_decided_on_as_it_was_shown(
    secretary: Client, world: World, app: Any
) -> None:
    """Pages have shown the plan and do not live it again; for programs it is lived unless they confirm beforehand."""
    away(world, "radgiver.larvik")
    begin(secretary, world)
    page = secretary.get("/saker/start/plan").text
    assert "Rådgiver helse, Larvik er borte" in page
    away(world, "radgiver.horten")
    assert start(secretary, page, begrunnelse="Det går bra.").status_code == 303
    [by_page] = instances(world)

    with world.database.transaction() as session:
        community = session.get_one(Community, world.community_id)
        token = commands.make_token(session, community, "sekretariatet", now=world.clock())
    meetings = {"ssu": "2026-11-27", "au": "2026-11-05"}
    sent: dict[str, Any] = {
        "process": EVALUATION, "agreement": AGREEMENT, "meetings": meetings, "data": {"commissioning_decision": "17/26"}
    }  # fmt: skip
    program = app.test_client()
    asked = {"path": "/api/v1/process-instances", "headers": {"Authorization": f"Bearer {token}"}}
    refused = program.post(json=sent, **asked)
    assert refused.status_code == 422
    assert "Rådgiver helse, Horten er borte" in refused.json["detail"]
    assert program.post(json=sent | {"confirm": "Det går bra."}, **asked).status_code == 201
    [by_program] = [case for case in instances(world) if case.id != by_page.id]
    assert confirmed(world, by_page).count("person_away") == 1
    # Who has said in advance why it starts is not kept waiting for a plan to be lived.
    assert confirmed(world, by_program) == ["unusual_weekday", "deadline_autumn_break", "tight_after_au"]
    assert set(confirmed(world, by_page)) == {*confirmed(world, by_program), "person_away"}


def away(world: World, key: str) -> None:
    """Somebody is away when the survey closes."""
    with world.database.transaction() as session:
        period = Period(
            user=world.user(session, key), deputy=world.user(session, "analyse.larvik"),
            starts_on=date(2026, 9, 28), ends_on=date(2026, 10, 2),
        )  # fmt: skip
        actor = world.person(session, "sekretariatet")
        absences.register(session, period, actor=actor, for_others=True, now=world.clock())


def confirmed(world: World, case: ProcessInstance) -> list[str]:
    """What was odd when the case started in spite of it."""
    with world.database.reading() as session:
        [event] = [e for e in history.events(session, case) if e.kind == "warnings-confirmed"]
    return [warning["code"] for warning in event.data["warnings"]]


def test_another_date_makes_the_plan_anew_before_anything_starts(secretary: Client, world: World) -> None:
    begin(secretary, world, **{"mote-ssu": "annen", "dato-ssu": "2026-12-04"})
    page = secretary.get("/saker/start/plan").text
    assert "Bytt til 3.\u00a0desember" in page
    proposal = json.dumps({"meetings": {"ssu": "ssu:2026-12-03"}, "dates": {}})
    answer = start(secretary, page, **{"valg-0": proposal})
    assert answer.location == "/saker/start/plan"
    assert instances(world) == []
    page = secretary.get("/saker/start/plan").text
    assert "torsdag 3.\u00a0desember" in page
    assert "er en fredag" not in page


def test_a_meeting_that_moved_meanwhile_is_shown_before_the_start(secretary: Client, world: World) -> None:
    begin(secretary, world)
    answer = secretary.post("/saker/start/plan", data={"datoer": "ssu=2026-11-26", "begrunnelse": "Avtalt"})
    assert answer.location == "/saker/start/plan"
    assert instances(world) == []


def test_pressing_start_twice_starts_one_case(secretary: Client, world: World) -> None:
    begin(secretary, world)
    page = secretary.get("/saker/start/plan").text
    cookie = secretary.get_cookie("avtaleflyt_start", path="/saker/start")
    first = start(secretary, page, begrunnelse="Avtalt")
    secretary.set_cookie("avtaleflyt_start", cookie.value, path="/saker/start")
    second = start(secretary, page, begrunnelse="Avtalt")
    assert first.location == second.location
    assert len(instances(world)) == 1


def test_more_text_than_can_be_kept_is_refused_with_the_text_kept(secretary: Client) -> None:
    letters = random.Random(1)  # text that can't be compressed, the same each time
    long = {f"questions-{n}-name": "".join(letters.choices(string.ascii_letters, k=290)) for n in range(20)}
    answer = what(secretary, **long)
    assert answer.status_code == 422
    assert "Teksten er for lang til sammen" in answer.text
    assert long["questions-19-name"] in answer.text


def test_a_row_can_be_added_without_script(secretary: Client) -> None:
    answer = what(secretary, **{"questions-0-name": "Første", "_legg_til": "questions"})
    assert answer.status_code == 200
    assert 'name="questions-1-name"' in answer.text
    assert 'value="Første"' in answer.text


# --- who may ----------------------------------------------------------------------------------------------------------


def test_only_those_who_may_start_see_the_pages(client_for: Callable[[str], Client], world: World) -> None:
    member = client_for("kommunalsjef.larvik")
    assert member.get("/saker/start").status_code == 403
    assert client_for("administrator").get("/saker/start").status_code == 200


def test_the_choices_of_one_person_are_not_anothers(
    secretary: Client, client_for: Callable[[str], Client], world: World
) -> None:
    begin(secretary, world)
    cookie = secretary.get_cookie("avtaleflyt_start", path="/saker/start")
    admin = client_for("administrator")
    admin.set_cookie("avtaleflyt_start", cookie.value, path="/saker/start")
    assert admin.get("/saker/start/plan").location == "/saker/start"


def test_who_lost_the_right_on_the_way_is_refused(secretary: Client, world: World) -> None:
    begin(secretary, world)
    with world.database.transaction() as session:
        group = identity.group(session, world.community_id, "sekretariat")
        for membership in session.scalars(select(Membership).where(Membership.group_id == group.id)):
            session.delete(membership)
    assert secretary.get("/saker/start/plan").status_code == 403


def test_a_stranger_is_sent_to_sign_in(app: Any) -> None:
    assert app.test_client().get("/saker/start").location.startswith("/logg-inn")


@pytest.mark.parametrize("page", ["moter", "hvem", "plan"])
def test_a_later_page_without_a_beginning_leads_to_the_first(secretary: Client, page: str) -> None:
    assert secretary.get(f"/saker/start/{page}").location == "/saker/start"


def test_a_due_date_set_by_hand_is_marked_survives_another_meeting_and_is_given_back(
    secretary: Client, world: World
) -> None:
    begin(secretary, world)
    page = secretary.get("/saker/start/plan").text
    form = {"_hand": "1", "hand-steg": "inform_and_start", "hand-dato": "2026-08-26"}
    assert start(secretary, page, **form).status_code == 303
    proposal = json.dumps({"meetings": {"ssu": "ssu:2026-12-03"}, "dates": {}})
    start(secretary, page, **{"valg-0": proposal})
    page = secretary.get("/saker/start/plan").text
    assert "Satt for hånd" in page
    assert 'href="/saker/start/provekjor"' in page
    assert "onsdag 26.\u00a0august" in page
    assert "torsdag 3.\u00a0desember" in page
    start(secretary, page, _slipp="inform_and_start")
    assert "onsdag 26.\u00a0august" not in secretary.get("/saker/start/plan").text
    assert start(secretary, page, **form | {"hand-dato": ""}).location.endswith("/saker/start/plan#hand")
    assert start(secretary, page, **form | {"hand-steg": "nowhere"}).status_code == 422
    assert start(secretary, page, **{"valg-0": '{"meetings": 1}'}).status_code == 422
