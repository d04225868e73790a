from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements import bodies, cases
from agreements.communities import load
from agreements.model import Case, Meeting, StartDefault
from engine.errors import InvalidInput, NotFound
from engine.model import Community, ProcessInstance, User

NOW = datetime(2026, 5, 18, 8, 0, tzinfo=UTC)
FORLOP = "helhetlige-pasientforlop"


#: The fixture that starts an instance of a process with the given data.
Start = Callable[..., ProcessInstance]


def meeting(session: Session, key: str) -> Meeting:
    return session.scalars(select(Meeting).where(Meeting.key == key)).one()


@pytest.fixture
def instance(start: Start) -> ProcessInstance:
    return start()


@pytest.fixture
def case(session: Session, community: Community, instance: ProcessInstance) -> Case:
    agreement = cases.find_agreement(session, community, FORLOP)
    return cases.open_case(
        session, instance, agreement=agreement, case_number=" 17/26 ", commissioned_by="SSU 7. mai 2026"
    )


# --- the case --------------------------------------------------------------------------------------------


def test_a_case_is_found_by_its_instance(session: Session, case: Case, instance: ProcessInstance) -> None:
    found = cases.case_of(session, instance.id)
    assert found is case
    assert found.agreement is not None
    assert (found.agreement.key, found.case_number, found.commissioned_by) == (
        FORLOP,
        "17/26",
        "SSU 7. mai 2026",
    )


def test_an_instance_without_case_has_none(session: Session, instance: ProcessInstance) -> None:
    assert cases.case_of(session, instance.id) is None


def test_a_number_on_an_agenda_brings_its_archive_reference(case: Case) -> None:
    assert case.archive_reference == "26/02136-18"


def test_a_given_archive_reference_stays(session: Session, instance: ProcessInstance) -> None:
    case = cases.open_case(session, instance, case_number="17/26", archive_reference="26/99999-1")
    assert case.archive_reference == "26/99999-1"


def test_a_case_is_opened_once(session: Session, case: Case, instance: ProcessInstance) -> None:
    with pytest.raises(InvalidInput, match="alt opprettet"):
        cases.open_case(session, instance, case_number="18/26")


def test_two_instances_may_come_from_one_case_number(session: Session, case: Case, start: Start) -> None:
    again = cases.open_case(session, start("avklaring"), case_number="17/26")
    assert again.case_number == case.case_number


def test_too_long_a_number_is_refused(session: Session, instance: ProcessInstance) -> None:
    with pytest.raises(InvalidInput, match="Saksnummeret er for langt"):
        cases.open_case(session, instance, case_number="1" * 31)


def test_another_community_s_agreement_and_meeting_are_refused(
    session: Session, instance: ProcessInstance, data: dict[str, object]
) -> None:
    data["community"] = {"key": "telemark", "name": "Telemark", "email": "telemark@example.org"}
    other = load(session, data, now=NOW)
    foreign = cases.find_agreement(session, other, FORLOP)
    with pytest.raises(InvalidInput, match="et annet helsefellesskap"):
        cases.open_case(session, instance, agreement=foreign)
    case = cases.open_case(session, instance)
    [ssu] = bodies.next_meetings(session, bodies.find_body(session, other, "ssu"), date(2026, 11, 1))
    with pytest.raises(InvalidInput, match="et annet helsefellesskap"):
        cases.bind_meeting(session, case, "ssu", ssu)


def test_an_unknown_agreement_is_not_found(session: Session, community: Community) -> None:
    with pytest.raises(NotFound, match="«ukjent»"):
        cases.find_agreement(session, community, "ukjent")


# --- its meetings ----------------------------------------------------------------------------------------


def test_facts_follow_the_bound_meetings(session: Session, case: Case) -> None:
    ssu, au = meeting(session, "ssu-2026-11-27"), meeting(session, "au-2026-11-05")
    cases.bind_meeting(session, case, "ssu", ssu)
    cases.bind_meeting(session, case, "au", au)
    assert cases.facts_of(session, case) == {"ssu": "2026-11-27", "au": "2026-11-05"}
    assert cases.cases_at(session, ssu) == [(case, "ssu")]
    ssu.date = date(2026, 12, 3)
    assert cases.facts_of(session, case)["ssu"] == "2026-12-03"


def test_binding_again_changes_the_meeting(session: Session, case: Case) -> None:
    old = meeting(session, "ssu-2026-11-27")
    cases.bind_meeting(session, case, "ssu", old)
    new = bodies.add_meeting(session, old.body, date(2026, 12, 10))
    assert cases.bind_meeting(session, case, "ssu", new).meeting is new
    assert cases.meetings_of(session, case) == {"ssu": new}
    assert cases.cases_at(session, old) == []


def test_a_meeting_of_the_wrong_body_is_refused(session: Session, case: Case) -> None:
    with pytest.raises(InvalidInput, match=r"Møtet er i AU\. Velg et møte i SSU"):
        cases.bind_meeting(session, case, "ssu", meeting(session, "au-2026-11-05"))


def test_any_body_s_meeting_may_be_the_meeting(session: Session, case: Case) -> None:
    cases.bind_meeting(session, case, "meeting", meeting(session, "fsu-2024-11-07"))
    assert cases.facts_of(session, case) == {"meeting": "2024-11-07"}


def test_an_unknown_fact_is_refused(session: Session, case: Case) -> None:
    with pytest.raises(InvalidInput, match="ssu, au, meeting"):
        cases.bind_meeting(session, case, "in_force", meeting(session, "ssu-2026-11-27"))


# --- what a start is given -------------------------------------------------------------------------------


def test_a_start_asks_everyone_unless_told_otherwise(session: Session, community: Community) -> None:
    data = cases.start_data(session, community, process_key="delavtale_evaluering")
    assert len(data["parties"]) == 7
    assert [b["key"] for b in data["reviewers"]] == ["fagutvalg-akutt", "nettverk-helseforvaltning"]
    assert [b["key"] for b in data["hearing_bodies"]] == ["fsu", "lederforum-helse", "tillitsvalgte"]


def test_a_start_asks_whom_it_is_told_to(session: Session, community: Community) -> None:
    data = cases.start_data(
        session,
        community,
        process_key="delavtale_evaluering",
        party_keys=["siv", "larvik"],
        reviewers=[],
        hearing_bodies=["fsu"],
        extra={"survey": True},
    )
    assert [p["key"] for p in data["parties"]] == ["siv", "larvik"]
    assert data["reviewers"] == []
    assert data["hearing_bodies"] == [{"key": "fsu", "name": "Faglig samarbeidsutvalg (FSU)", "group": "fsu"}]
    assert data["survey"] is True


def test_a_process_may_have_defaults_of_its_own(session: Session, community: Community) -> None:
    session.add(StartDefault(community_id=community.id, process_key="fagutvalg_mandat", hearing_bodies=["fsu"]))
    session.flush()
    data = cases.start_data(session, community, process_key="fagutvalg_mandat")
    assert [b["key"] for b in data["hearing_bodies"]] == ["fsu"]
    assert data["reviewers"] == []


def test_extra_may_not_replace_the_items(session: Session, community: Community) -> None:
    with pytest.raises(InvalidInput, match="«parties»"):
        cases.start_data(session, community, process_key="x", extra={"parties": []})


def test_an_unknown_party_stops_the_start(session: Session, community: Community) -> None:
    with pytest.raises(InvalidInput, match="Ukjent part"):
        cases.start_data(session, community, process_key="x", party_keys=["oslo"])


# --- what forms are given --------------------------------------------------------------------------------


def test_forms_are_given_the_agreement_and_its_chapters(
    session: Session, case: Case, instance: ProcessInstance
) -> None:
    inputs = cases.form_inputs(session, instance)
    assert inputs["title"] == instance.title
    assert inputs["agreement"] == "Delavtale om helhetlige pasientforløp"
    assert {"label": "4.6 Utskrivning av mor og barn", "value": "4.6"} in inputs["chapters"]
    assert [q["key"] for q in inputs["questions"]] == ["preterminal", "short_term", "akutt24", "unsound"]


def test_forms_offer_bodies_that_exist_and_people_who_answer(
    session: Session, case: Case, instance: ProcessInstance
) -> None:
    session.scalars(select(User).where(User.key == "leder.fsu")).one().active = False
    inputs = cases.form_inputs(session, instance)
    offered = {b["value"] for b in inputs["bodies"]}
    people = {p["value"]: p["label"] for p in inputs["people"]}
    assert "au" in offered
    assert "samarbeidsutvalg-ikt" not in offered
    assert people["radgiver.larvik"] == "Rådgiver helse, Larvik"
    assert people.keys().isdisjoint({"leder.fsu", "administrator"})
    assert {"label": "Larvik kommune", "value": "larvik"} in inputs["parties"]
    assert set(inputs["default_reviewers"] + inputs["default_hearing_bodies"]) <= offered


def test_the_instance_s_own_questions_come_first(session: Session, community: Community, start: Start) -> None:
    own = [{"key": "egen", "name": "Eget spørsmål"}, {"name": "Uten nøkkel"}, "Bare tekst", {"name": " "}]
    assert cases.form_inputs(session, start(questions=own))["questions"] == [
        {"key": "egen", "name": "Eget spørsmål"},
        {"key": "q2", "name": "Uten nøkkel"},
        {"key": "q3", "name": "Bare tekst"},
    ]


def test_without_an_agreement_the_carried_in_questions_are_offered(session: Session, instance: ProcessInstance) -> None:
    inputs = cases.form_inputs(session, instance)
    assert (inputs["agreement"], inputs["chapters"]) == ("", [])
    assert len(inputs["questions"]) == 4


def test_an_agreement_without_questions_carries_none(
    session: Session, community: Community, instance: ProcessInstance
) -> None:
    cases.open_case(session, instance, agreement=cases.find_agreement(session, community, "beredskap"))
    assert cases.form_inputs(session, instance)["questions"] == []
