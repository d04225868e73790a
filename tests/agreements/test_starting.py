"""Starting a case: what is checked, what is warned about, and what stands in the rows afterwards."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements import bodies, cases, start_needs
from agreements.model import Body, Meeting, Party
from agreements.start_contents import title_about
from agreements.starting import StartRequest, prepare, start
from engine import deployments, history, identity
from engine.deployments import Source
from engine.errors import InvalidAnswers, InvalidInput, NotAllowed, NotFound
from engine.model import Community, Membership, ProcessDefinition, ProcessInstance, User, UserTask
from tests.agreements.conftest import NOW

WORKFLOWS = Path(__file__).parents[2] / "workflows"
SSU, AU = date(2026, 11, 27), date(2026, 11, 5)
EVALUATION = StartRequest(
    process="delavtale_evaluering",
    agreement="helhetlige-pasientforlop",
    meetings={"ssu": SSU, "au": AU},
    data={"commissioning_decision": "17/26", "archive_reference": "26/02136-18"},
)
MANDATE = StartRequest(
    process="fagutvalg_mandat",
    meetings={"ssu": SSU},
    roles={"fagutvalg": {"group": "fagutvalg-hr"}},
    data={"body_name": "Fagutvalg HR"},
)


@pytest.fixture(autouse=True)
def definitions(session: Session, community: Community) -> Mapping[str, ProcessDefinition]:
    forms = {p.stem: json.loads(p.read_text("utf-8")) for p in (WORKFLOWS / "forms").glob("*.json")}
    sources = [Source(xml=p.read_bytes(), forms=forms) for p in sorted(WORKFLOWS.glob("*.bpmn"))]
    deployed = deployments.deploy(session, community.id, sources, now=NOW, actor_id=None)
    return {d.key: d for d in deployed}


@pytest.fixture
def secretary(session: Session, community: Community) -> User:
    return identity.user(session, community.id, "sekretariatet")


def refused(session: Session, community: Community, request: StartRequest) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        prepare(session, community, request, now=NOW)
    return caught.value


# --- what a process needs -----------------------------------------------------------------------------


def test_the_model_says_which_meetings_lists_and_roles_a_start_takes(
    session: Session, definitions: Mapping[str, ProcessDefinition]
) -> None:
    found = {key: start_needs.needs(session, d) for key, d in definitions.items()}
    facts = {key: [(f.name, f.required) for f in n.facts] for key, n in found.items()}
    assert facts == {
        "delavtale_evaluering": [("ssu", True), ("au", True)],
        "fagutvalg_mandat": [("ssu", True), ("au", False)],
        "motesak": [("meeting", True)],
    }
    assert found["delavtale_evaluering"].lists == {"parties", "reviewers"}
    assert found["fagutvalg_mandat"].lists == {"parties", "hearing_bodies"}
    assert set(found["delavtale_evaluering"].roles) == {"sekretariat", "au", "referent"}
    assert [n.about for n in found.values()] == ["agreement", "body", "title"]


@pytest.mark.parametrize(
    ("process", "subject", "title"),
    [
        ("Evaluering av delavtale", "delavtale om beredskap", "Evaluering av delavtale om beredskap"),
        ("Evaluering av delavtale", "retningslinje for hjem", "Evaluering av retningslinje for hjem"),
        ("Mandat for fagutvalg", "Fagutvalg HR", "Mandat for Fagutvalg HR"),
        ("Handlingsplan", "2027", "Handlingsplan: 2027"),
    ],
)
def test_a_title_says_what_the_case_is_about(process: str, subject: str, title: str) -> None:
    assert title_about(process, subject) == title


# --- preparing ----------------------------------------------------------------------------------------


def test_the_evaluation_is_prepared_with_its_parties_questions_and_meetings(
    session: Session, community: Community
) -> None:
    prepared = prepare(session, community, EVALUATION, now=NOW)
    assert prepared.title == "Evaluering av delavtale om helhetlige pasientforløp"
    assert prepared.facts == {"ssu": SSU, "au": AU}
    assert [m.meeting.key for m in prepared.meetings if m.meeting] == ["ssu-2026-11-27", "au-2026-11-05"]
    assert len(prepared.data["parties"]) == 7
    assert prepared.data["questions"][0] == {
        "key": "preterminal",
        "name": "Preterminale pasienter meldes som utskrivningsklare",
    }
    assert [b["key"] for b in prepared.data["reviewers"]] == ["fagutvalg-akutt", "nettverk-helseforvaltning"]
    assert prepared.case_number == "17/26"
    assert prepared.commissioned_by == "SSU 7. mai 2026, sak 17/26"
    assert prepared.problems == ()


def test_a_friday_a_deadline_in_the_autumn_break_and_a_tight_autumn_are_warned_about(
    session: Session, community: Community
) -> None:
    prepared = prepare(session, community, EVALUATION, now=NOW)
    assert [w.message for w in prepared.warnings] == [
        "SSU 27. november er en fredag. SSU pleier å møtes på torsdager.",
        "«Svar på undersøkelsen» og «Hent styringsdata» lukker i høstferien. "
        "Fristen er onsdag 30. september i uke 40, og mange er borte den uka.",
        "Det er seks virkedager fra AU til fristen for «Ferdigstill saken». Sender AU saken tilbake "
        "5. november, rekker dere ikke SSU 27. november uten et ekstra AU-møte.",
    ]


def test_a_date_that_is_no_meeting_yet_has_the_usual_weekday_as_alternative(
    session: Session, community: Community
) -> None:
    prepared = prepare(session, community, replace(EVALUATION, meetings={"ssu": date(2026, 12, 4), "au": AU}), now=NOW)
    warning = next(w for w in prepared.warnings if w.code == "unusual_weekday")
    assert (warning.fact, warning.alternatives) == ("ssu", (date(2026, 12, 3),))


def test_a_meeting_in_the_register_is_moved_there_and_not_here(session: Session, community: Community) -> None:
    prepared = prepare(session, community, EVALUATION, now=NOW)
    assert all(not w.alternatives for w in prepared.warnings)


@pytest.mark.parametrize(
    ("day", "code"),
    [
        (date(2026, 5, 14), "past"),
        (date(2026, 12, 25), "holiday"),
        (date(2026, 11, 28), "weekend"),
        (date(2027, 7, 1), "july"),
    ],
)
def test_an_odd_day_of_the_meeting_is_warned_about(
    session: Session, community: Community, day: date, code: str
) -> None:
    prepared = prepare(session, community, replace(MANDATE, meetings={"ssu": day}), now=NOW)
    assert code in [w.code for w in prepared.warnings]


def test_deadlines_that_are_over_before_the_start_are_counted(session: Session, community: Community) -> None:
    prepared = prepare(session, community, replace(MANDATE, meetings={"ssu": date(2026, 6, 4)}), now=NOW)
    late = next(w for w in prepared.warnings if w.code == "deadlines_past")
    assert late.message == ("To frister er alt gått ut. «Lag utkast» skulle vært ferdig 27. april, og én til er over.")


def test_au_after_ssu_is_a_choice_between_meetings_that_fit(session: Session, community: Community) -> None:
    late = replace(EVALUATION, meetings={"ssu": SSU, "au": date(2026, 12, 10)})
    finding = next(w for w in prepare(session, community, late, now=NOW).warnings if w.code == "au_after_ssu")
    assert (finding.severity, finding.fact) == ("impossible", "au")
    assert "AU forbereder saken for SSU" in finding.message
    known = session.scalars(select(Meeting).where(Meeting.key == "au-2026-11-05")).one()
    assert [(p.label, p.meetings) for p in finding.proposals] == [
        ("Bytt til AU 5. november", {"au": known.public_id})
    ]  # fmt: skip


def test_a_full_meeting_is_said_with_the_next_that_has_room(session: Session, community: Community) -> None:
    ssu = session.scalars(select(Body).where(Body.key == "ssu")).one()
    ssu.capacity = 1
    bodies.add_meeting(session, ssu, date(2026, 12, 10))
    actor = identity.user(session, community.id, "sekretariatet")
    start(session, community, EVALUATION, actor=actor, now=NOW, confirmed="ja")
    finding = next(w for w in prepare(session, community, EVALUATION, now=NOW).warnings if w.code == "meeting_full")
    assert finding.message == "SSU 27. november er fullt. Møtet har plass til én sak, og så mange er alt meldt."
    assert finding.alternatives == (date(2026, 12, 10),)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"meetings": {"ssu": SSU}}, "au", "Velg møtet i AU"),
        ({"meetings": {"ssu": SSU, "au": AU, "meeting": SSU}}, "meeting", "bruker ikke møtet"),
        ({"meetings": {"ssu": "fsu:2026-11-26", "au": AU}}, "ssu", "Velg et møte i SSU"),
        ({"meetings": {"ssu": "ssu:i morgen", "au": AU}}, "ssu", "ikke en dato"),
        ({"parties": ("oslo",)}, "parties", "Ukjent part"),
        ({"parties": ()}, "parties", "Velg minst én"),
        ({"roles": {"lektor": {"group": "au"}}}, "role-lektor", "ingen rolle"),
        ({"roles": {"au": {"user": "ingen"}}}, "role-au", "finnes ikke"),
        ({"data": {"reviewers": ["samarbeidsutvalg-ikt"]}}, "reviewers", "er ikke opprettet"),
        ({"data": {"reviewers": ["ukjent"]}}, "reviewers", "Ukjent organ"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_field(
    session: Session, community: Community, changes: dict[str, Any], field: str, words: str
) -> None:
    error = refused(session, community, replace(EVALUATION, **changes))
    assert error.data["field"] == field
    assert words in error.message


def test_a_role_without_a_group_of_its_own_must_be_given(session: Session, community: Community) -> None:
    error = refused(session, community, replace(MANDATE, roles={}))
    assert (error.data["field"], error.message) == ("role-fagutvalg", "Velg hvem som er «Organet som får mandatet».")


def test_a_party_without_contact_is_refused(session: Session, community: Community) -> None:
    larvik = session.scalars(select(Party).where(Party.key == "larvik")).one()
    larvik.contact_id = None
    session.flush()
    session.expire(larvik)
    error = refused(session, community, EVALUATION)
    assert error.data["field"] == "parties"
    assert error.message == "Larvik kommune har ingen kontakt. Velg en før saken starter."


def test_a_body_without_members_is_refused(session: Session, community: Community) -> None:
    group = identity.group(session, community.id, "fagutvalg-akutt")
    for membership in session.scalars(select(Membership).where(Membership.group_id == group.id)):
        session.delete(membership)
    session.flush()
    error = refused(session, community, EVALUATION)
    assert error.data["field"] == "reviewers"
    assert error.message.startswith("Fagutvalg akuttkjeden har ingen medlemmer")


@pytest.mark.parametrize(
    "changes", [{"process": "ukjent"}, {"agreement": "ukjent"}, {"meetings": {"ssu": "ukjentmotexx"}}]
)
def test_what_is_not_there_is_not_found(session: Session, community: Community, changes: dict[str, Any]) -> None:
    with pytest.raises(NotFound):
        prepare(session, community, replace(EVALUATION, **changes), now=NOW)


def test_a_plan_can_be_made_before_everything_is_answered(session: Session, community: Community) -> None:
    unfinished = StartRequest(process="delavtale_evaluering", meetings={"ssu": SSU, "au": AU})
    prepared = prepare(session, community, unfinished, now=NOW)
    assert [p.key for p in prepared.problems] == ["commissioning_decision", "agreement"]


# --- starting -----------------------------------------------------------------------------------------


def test_a_started_case_has_its_number_its_meetings_and_its_first_task(
    session: Session, community: Community, secretary: User
) -> None:
    instance = start(session, community, EVALUATION, actor=secretary, now=NOW, confirmed="SSU har bestemt det")
    case = cases.case_of(session, instance.id)
    assert case is not None
    assert case.agreement is not None
    assert (case.case_number, case.archive_reference) == ("17/26", "26/02136-18")
    assert cases.facts_of(session, case) == {"ssu": "2026-11-27", "au": "2026-11-05"} == instance.facts
    assert instance.owner_id == secretary.id
    tasks = session.scalars(select(UserTask).where(UserTask.instance_id == instance.id)).all()
    assert [(t.name, t.due_date) for t in tasks] == [("Planlegg og avklar parter", date(2026, 6, 16))]


def test_warnings_must_be_confirmed_with_a_reason_that_is_kept(
    session: Session, community: Community, secretary: User
) -> None:
    with pytest.raises(InvalidInput) as caught:
        start(session, community, EVALUATION, actor=secretary, now=NOW, confirmed="  ")
    assert "SSU 27. november er en fredag" in caught.value.message
    assert session.scalars(select(ProcessInstance)).all() == []

    instance = start(session, community, EVALUATION, actor=secretary, now=NOW, confirmed="SSU har bestemt det")
    event = next(e for e in history.events(session, instance) if e.kind == "warnings-confirmed")
    assert event.note == "SSU har bestemt det"
    assert [w["code"] for w in event.data["warnings"]] == [
        "unusual_weekday",
        "deadline_autumn_break",
        "tight_after_au",
    ]


def test_a_date_becomes_a_meeting_that_the_case_hangs_on(
    session: Session, community: Community, secretary: User
) -> None:
    request = replace(MANDATE, meetings={"ssu": date(2026, 12, 10)})
    instance = start(session, community, request, actor=secretary, now=NOW)
    held = bodies.meetings(session, session.scalars(select(Body).where(Body.key == "ssu")).one())[-1]
    assert held.date == date(2026, 12, 10)
    assert [(c.instance_id, fact) for c, fact in cases.cases_at(session, held)] == [(instance.id, "ssu")]
    assert instance.title == "Mandat for Fagutvalg HR"
    assert instance.roles["fagutvalg"]["group"] == "fagutvalg-hr"


def test_a_case_through_a_meeting_takes_any_bodys_meeting(
    session: Session, community: Community, secretary: User
) -> None:
    meeting = session.scalars(select(Meeting).where(Meeting.key == "au-2026-11-05")).one()
    request = StartRequest(
        process="motesak",
        title="Digital møteserie",
        meetings={"meeting": meeting.public_id},
        data={"case_number": "19/26", "case_types": ["orientering"]},
    )
    instance = start(session, community, request, actor=secretary, now=NOW)
    case = cases.case_of(session, instance.id)
    assert case is not None
    assert (instance.title, case.case_number) == ("Digital møteserie", "19/26")
    assert instance.facts == {"meeting": "2026-11-05"}


def test_a_program_may_leave_answers_out(session: Session, community: Community, secretary: User) -> None:
    request = StartRequest(process="motesak", meetings={"meeting": date(2026, 12, 10)})
    instance = start(session, community, request, actor=secretary, now=NOW)
    assert instance.title == "En sak gjennom et møte"


def test_what_a_program_gives_must_be_right(session: Session, community: Community, secretary: User) -> None:
    request = StartRequest(process="motesak", meetings={"meeting": "ssu:2026-12-10"}, data={"case_types": ["tull"]})
    with pytest.raises(InvalidAnswers) as caught:
        start(session, community, request, actor=secretary, now=NOW)
    assert [p.key for p in caught.value.problems] == ["case_types"]


def test_only_the_starter_groups_and_administrators_may_start(session: Session, community: Community) -> None:
    member = identity.user(session, community.id, "kommunalsjef.larvik")
    with pytest.raises(NotAllowed):
        start(session, community, EVALUATION, actor=member, now=NOW, confirmed="ja")
    admin = identity.user(session, community.id, "administrator")
    instance = start(session, community, EVALUATION, actor=admin, now=NOW, confirmed="Sekretariatet er borte")
    assert instance.owner_id is None
    assert instance.owner_group_id == identity.group(session, community.id, "sekretariat").id


def test_starting_twice_with_one_key_starts_one_case(session: Session, community: Community, secretary: User) -> None:
    request = replace(EVALUATION, idempotency_key="k1")
    first = start(session, community, request, actor=secretary, now=NOW, confirmed="ja")
    again = start(session, community, request, actor=secretary, now=NOW, confirmed="ja")
    assert first.id == again.id
    assert len(session.scalars(select(ProcessInstance)).all()) == 1
