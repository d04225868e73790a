"""The evaluation of an agreement, as the health community lived it in 2026: from SSU's order to the follow-up."""

from datetime import date
from email.message import EmailMessage
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from engine import process_instances
from tests.applications import services_of
from tests.fakes import RecordingMailer
from tests.workflows.story import Story
from tests.world import AU, EVALUATION, SSU, Past, World

CASE = "evaluering av delavtale om helhetlige pasientforløp"
CONTACTS = {f"radgiver.{p}" for p in ("siv", "holmestrand", "horten", "faerder", "tonsberg", "sandefjord", "larvik")}
PARTIES = ("siv", "holmestrand", "horten", "faerder", "tonsberg", "sandefjord", "larvik")


def day(month: int, of: int, year: int = 2026) -> date:
    return date(year, month, of)


#: Who has which step when it opens, and its due date: the table of the domain, with the dates of 2026.
TABLE = [
    ("plan_and_clarify", "sekretariat", day(5, 18), day(6, 16)),
    ("anchor_plan", "au", day(6, 16), day(6, 30)),
    ("inform_and_start", "sekretariat", day(8, 3), day(8, 31)),
    ("answer_survey", "7 av 7", day(9, 1), day(9, 30)),
    ("fetch_data", "7 av 7", day(9, 1), day(9, 30)),
    ("hold_dialogue_meetings", "sekretariat", day(9, 1), day(10, 15)),
    ("analyse", "sekretariat", day(10, 15), day(10, 22)),
    ("quality_check", "2 av 2", day(10, 22), day(10, 27)),
    ("send_to_au", "sekretariat", day(10, 27), day(10, 29)),
    ("anchor_findings", "au", day(10, 29), AU),
    ("finish_case", "sekretariat", AU, day(11, 13)),
    ("send_notice", "sekretariat", day(11, 13), day(11, 20)),
    ("treat_case", "referent", day(11, 20), SSU),
    ("send_minutes", "referent", SSU, day(12, 4)),
    ("publish", "sekretariat", day(12, 4), day(12, 11)),
    ("sign_and_enforce", "7 av 7", day(12, 11), day(2, 1, 2027)),
    ("follow_up", "radgiver.larvik", day(2, 1, 2027), day(3, 1, 2027)),
]
DECIDED = {
    "in_force": "2027-02-01",
    "vedtak": [
        {
            "punkt": "Ny tekst i kapittel 4.6",
            "avgjorelse": "vedtatt",
            "ansvarlig": "radgiver.larvik",
            "frist": "2027-03-01",
        },
        {"punkt": "Evalueringen tas til orientering", "avgjorelse": "vedtatt"},
    ],
}


@pytest.fixture
def past(request: pytest.FixtureRequest, past: Past) -> Past:
    brought = Past(name="an evaluation brought to SSU", live=bring_to_ssu)
    return brought if "brought_to_ssu" in request.fixturenames else past


def bring_to_ssu(world: World) -> list[EmailMessage]:
    mailer = RecordingMailer()
    with TemporaryDirectory() as folder, services_of(world, mailer, Path(folder)) as services:
        Story(world, services, mailer).starts(EVALUATION).reaches("treat_case")
    return mailer.messages


@pytest.fixture
def brought_to_ssu(story: Story) -> None:
    """Everyone has acted on the due date until SSU is to treat the case."""
    story.case = story.world.only_case()


def test_everyone_has_their_step_on_its_day_and_the_case_reaches_its_end(story: Story) -> None:
    # Given SSU ordered the evaluation (sak 17/26), and the meetings are set
    assert story.world.clock.today == day(5, 18)
    story.starts(EVALUATION)
    # When everyone does their step on its due date
    for element, who, opens, due in TABLE:
        story.until(max(opens, story.world.clock.today))
        # Then the step waits for the right people from the day it opens, with the table's due date
        assert story.waits()[element] == (who, due), element
        assert story.world.steps(story.case, element_id=element)[0].opened_at <= story.world.clock()
        if element not in ("answer_survey", "fetch_data"):
            if element == "hold_dialogue_meetings":
                story.does("answer_survey", on=day(9, 30))
                story.does("fetch_data", on=day(9, 30))
            story.does(element, on=due, **(DECIDED if element == "treat_case" else {}))
    assert story.state == "completed"
    assert [v[0] for v in story.visits() if v[1] > 1] == []
    then_the_mails_of_the_story_are_these(story)


def then_the_mails_of_the_story_are_these(story: Story) -> None:
    # On the first day the secretariat is told, and reminded ten and three working days before, and on the day
    to_secretariat = [(m.day, m.subject) for m in story.mails() if m.to == "sekretariatet"][:4]
    assert to_secretariat == [
        (day(5, 18), f"Planlegg og avklar parter innen 16. juni: {CASE}"),
        (day(6, 2), "Ti virkedager igjen: planlegg og avklar parter innen 16. juni"),
        (day(6, 11), "Tre virkedager igjen: planlegg og avklar parter innen 16. juni"),
        (day(6, 16), "Siste dag i dag: planlegg og avklar parter innen 16. juni"),
    ]
    # The survey is sent to the seven contacts, and to nobody else, in the morning of the first working day of September
    asked = [m for m in story.mails(rule="assigned") if m.element == "answer_survey"]
    assert all("Svar for" in m.text for m in asked)
    assert {m.to for m in asked} == CONTACTS
    assert {(m.day, m.at.hour) for m in asked} == {(day(9, 1), 6)}  # eight o'clock in Oslo
    # AU gets its own words, the parties theirs
    assert {m.day for m in story.mails() if m.subject == "Til AU 5. november: se gjennom funnene"} == {day(10, 29)}
    to_do = [m for m in story.mails() if m.subject == "SSU har vedtatt endringer – dette skal dere gjøre"]
    assert {m.to for m in to_do} >= CONTACTS
    # A step of fewer than ten working days has no early reminders, and no mail leaves twice
    of_minutes = [m for m in story.mails(since=SSU) if "referat" in m.subject]
    assert {m.day for m in of_minutes} == {SSU, day(12, 4)}
    assert len(set(story.message_ids())) == len(story.message_ids())
    # Nobody is written to before eight in the morning
    assert all(m.at.hour >= 6 for m in story.mails())


def test_a_survey_that_four_of_seven_answered_closes_with_its_four_answers(story: Story) -> None:
    # Given the survey is open
    story.starts(EVALUATION).reaches("answer_survey")
    story.until(day(9, 1))
    # When four parties answer, one of them filled in and not yet approved, and two say nothing
    for number, party in enumerate(PARTIES[:4]):
        story.does("answer_survey", on=day(9, 8 + number), item=party, works=f"Virker godt hos {party}")
    story.until(day(9, 18))
    story.world.fill(story.world.task(story.case, "answer_survey", PARTIES[4]).id)
    story.until(day(9, 30), hour=23)
    assert story.waits()["answer_survey"] == ("3 av 7", day(9, 30))
    # Then it closes at midnight
    story.until(day(10, 1), hour=0)
    assert "answer_survey" not in story.waits()
    (survey,) = story.world.steps(story.case, element_id="answer_survey")
    assert (survey.state, survey.total, survey.completed) == ("closed", 7, 4)
    # And keeps the four answers
    kept = story.answers("answer_survey")
    assert {party: (task.answers or {})["works"] for party, task in kept.items()} == {
        party: f"Virker godt hos {party}" for party in PARTIES[:4]
    }
    # And those who had answered were not reminded after that, while the others and their approver were
    reminded = [m for m in story.mails(since=day(9, 12), rule="reminder") if m.element == "answer_survey"]
    assert [m.day for m in reminded if m.to == "radgiver.larvik"] == [day(9, 16), day(9, 25), day(9, 30)]
    assert "radgiver.holmestrand" not in {m.to for m in reminded}
    assert [m.day for m in story.mails(rule="approval") if m.to == "kommunalsjef.tonsberg"] == [day(9, 18)]
    # And the case goes on with the numbers
    story.does("hold_dialogue_meetings", on=day(10, 15))
    assert story.value("analyse", "${svar}") == {"total": 7, "completed": 4, "silent": 3}
    assert story.value("analyse", "${styringsdata}") == {"total": 7, "completed": 0, "silent": 7}


def test_a_plan_that_au_wants_changed_comes_back_to_the_secretariat(story: Story) -> None:
    story.starts(EVALUATION).reaches("anchor_plan")
    story.does("anchor_plan", "juster", on=day(6, 24), changes="Ta med legevakten")
    assert story.waits() == {"plan_and_clarify": ("sekretariat", day(6, 16))}
    story.does("plan_and_clarify", on=day(6, 26))
    assert story.waits() == {"anchor_plan": ("au", day(6, 30))}
    story.does("anchor_plan", "forankret", on=day(6, 30))
    assert story.waits() == {}
    assert [(v[0], v[1]) for v in story.visits()] == [
        ("plan_and_clarify", 1),
        ("anchor_plan", 1),
        ("plan_and_clarify", 2),
        ("anchor_plan", 2),
    ]
    # The second round is told of as the first was
    told = [m.day for m in story.mails() if m.to == "sekretariatet" and m.subject.startswith("Planlegg og avklar")]
    assert day(6, 24) in told


def test_findings_that_au_sends_back_are_analysed_anew_towards_a_new_meeting(story: Story) -> None:
    story.starts(EVALUATION).reaches("anchor_findings")
    story.does(
        "anchor_findings",
        "tilbake",
        on=AU,
        send_back_reason="Mangler økonomi",
        new_au_date="2026-11-19",
        new_ssu_date="2026-12-10",
    )
    assert story.world.instance(story.case).facts["au"] == "2026-11-19"
    # Ten working days before the new meeting; the time it leaves is the same as before
    assert story.waits() == {"analyse": ("sekretariat", day(11, 5))}
    for element, due in (("analyse", day(11, 5)), ("quality_check", day(11, 10)), ("send_to_au", day(11, 12))):
        assert story.waits()[element][1] == due
        story.does(element, on=max(due, story.world.clock.today))
    assert story.waits() == {"anchor_findings": ("au", day(11, 19))}
    story.does("anchor_findings", "stotter_med_endringer", on=day(11, 19), changes=[{"change": "Rett kapittel 3"}])
    assert story.waits() == {"finish_case": ("sekretariat", day(11, 26))}
    assert ("anchor_findings", 2, day(11, 19), "completed") in story.visits()


@pytest.mark.parametrize("outcome", ["slutter_seg_til", "merknad", "kan_ikke"])
def test_parties_that_clarify_the_case_at_home_are_heard_before_the_meeting(story: Story, outcome: str) -> None:
    story.starts(EVALUATION).reaches("finish_case")
    story.does("finish_case", on=day(11, 13), clarify_internally=True)
    assert story.waits() == {"clarify_internally": ("7 av 7", day(11, 18))}
    # A municipality says its mind, its approver stands behind it, and the others stay silent
    story.does("clarify_internally", outcome, on=day(11, 17), item="larvik")
    story.until(day(11, 19), hour=0)
    assert story.waits() == {"send_notice": ("sekretariat", day(11, 20))}
    assert story.value("send_notice", "${avklaring}") == {"total": 7, "completed": 1, "silent": 6}
    answer = story.answers("clarify_internally")["larvik"]
    assert (answer.answers or {})["utfall"] == outcome


@pytest.mark.usefixtures("brought_to_ssu")
@pytest.mark.parametrize("outcome", ["vedtatt", "vedtatt_med_endringer", "delegert_til_au"])
def test_what_ssu_adopts_is_published_signed_and_followed_up(story: Story, outcome: str) -> None:
    story.does("treat_case", outcome, on=SSU, **DECIDED)
    assert story.waits() == {"send_minutes": ("referent", day(12, 4))}
    story.does("send_minutes", on=day(12, 4))
    assert story.waits() == {"publish": ("sekretariat", day(12, 11))}
    story.does("publish", on=day(12, 11))
    assert story.waits() == {"sign_and_enforce": ("7 av 7", day(2, 1, 2027))}
    # Each party signs for itself; one that has not, says what remains
    story.does("sign_and_enforce", "gjenstar", on=day(1, 14, 2027), item="horten")
    story.does("sign_and_enforce", "signert", on=day(1, 20, 2027))
    # The point that names somebody is followed up by them; the other asks nobody
    assert story.waits() == {"follow_up": ("radgiver.larvik", day(3, 1, 2027))}
    story.does("follow_up", on=day(2, 20, 2027))
    assert story.state == "completed"


@pytest.mark.usefixtures("brought_to_ssu")
def test_an_adopted_case_whose_day_of_force_is_not_known_waits_without_a_due_date(story: Story) -> None:
    story.does("treat_case", "vedtatt", on=SSU)
    story.does("send_minutes", on=day(12, 4))
    story.does("publish", on=day(12, 11))
    assert story.waits() == {"sign_and_enforce": ("7 av 7", None)}
    # When the day is set, every party has its due date
    world = story.world
    with world.database.transaction() as session:
        held = process_instances.locked(session, story.case)
        process_instances.set_facts(session, held, {"in_force": day(2, 28, 2027)}, now=world.clock(), actor_id=None)
    # 28 February 2027 is a Sunday: the working day before
    assert story.waits() == {"sign_and_enforce": ("7 av 7", day(2, 26, 2027))}


@pytest.mark.usefixtures("brought_to_ssu")
@pytest.mark.parametrize("outcome", ["ikke_vedtatt", "ikke_enighet"])
def test_what_ssu_does_not_adopt_ends_with_its_minutes(story: Story, outcome: str) -> None:
    story.does(
        "treat_case", outcome, on=SSU, **({"disagreement": "Hvem som betaler"} if outcome == "ikke_enighet" else {})
    )
    assert story.waits() == {"send_minutes": ("referent", day(12, 4))}
    story.does("send_minutes", on=day(12, 4))
    assert (story.state, story.waits()) == ("completed", {})
    assert "publish" not in {v[0] for v in story.visits()}


@pytest.mark.usefixtures("brought_to_ssu")
@pytest.mark.parametrize("outcome", ["tatt_til_orientering", "tatt_til_etterretning"])
def test_what_ssu_only_takes_note_of_is_followed_up_and_not_signed(story: Story, outcome: str) -> None:
    story.does("treat_case", outcome, on=SSU, vedtak=DECIDED["vedtak"])
    story.does("send_minutes", on=day(12, 4))
    assert story.waits() == {"follow_up": ("radgiver.larvik", day(3, 1, 2027))}
    story.does("follow_up", on=day(1, 8, 2027))
    assert story.state == "completed"
    assert not {"publish", "sign_and_enforce"} & {v[0] for v in story.visits()}


@pytest.mark.usefixtures("brought_to_ssu")
def test_a_postponed_case_comes_up_again_in_the_meeting_it_was_postponed_to(story: Story) -> None:
    story.does("treat_case", "utsatt", on=SSU, meeting_held="2026-11-27", new_meeting_date="2027-02-18")
    # The minutes count from the meeting that was held
    assert story.waits() == {"send_minutes": ("referent", day(12, 4))}
    story.does("send_minutes", on=day(12, 4))
    assert story.waits() == {"send_notice": ("sekretariat", day(2, 11, 2027))}
    story.does("send_notice", on=day(2, 11, 2027))
    assert story.waits() == {"treat_case": ("referent", day(2, 18, 2027))}
    story.does("treat_case", "vedtatt", on=day(2, 18, 2027))
    assert story.waits() == {"send_minutes": ("referent", day(2, 25, 2027))}
    assert [(v[0], v[1]) for v in story.visits() if v[0] in ("send_notice", "treat_case", "send_minutes")] == [
        ("send_notice", 1),
        ("treat_case", 1),
        ("send_minutes", 1),
        ("send_notice", 2),
        ("treat_case", 2),
        ("send_minutes", 2),
    ]


@pytest.mark.usefixtures("brought_to_ssu")
def test_a_case_that_ssu_sends_back_is_analysed_anew_towards_the_new_meetings(story: Story) -> None:
    story.does(
        "treat_case",
        "sendt_tilbake",
        on=SSU,
        to_whom="sekretariat",
        meeting_held="2026-11-27",
        new_meeting_date="2027-02-18",
        new_au_date="2027-01-28",
    )
    story.does("send_minutes", on=day(12, 4))
    assert story.world.instance(story.case).facts == {"ssu": "2027-02-18", "au": "2027-01-28"}
    assert story.waits() == {"analyse": ("sekretariat", day(1, 14, 2027))}
    story.world.proceed_to(story.case, "treat_case")
    story.drain()
    assert story.waits() == {"treat_case": ("referent", day(2, 18, 2027))}
    assert {v[1] for v in story.visits() if v[0] in ("analyse", "quality_check", "anchor_findings", "treat_case")} == {
        1,
        2,
    }


def test_when_ssu_is_moved_everything_that_hangs_on_it_moves_with_one_mail_each(story: Story) -> None:
    # Given the survey is open, and its contacts have been asked
    story.starts(EVALUATION).reaches("answer_survey")
    story.until(day(9, 2))
    before = len(story.mails())
    # When SSU is moved a month
    world = story.world
    with world.database.transaction() as session:
        held = process_instances.locked(session, story.case)
        process_instances.set_facts(session, held, {"ssu": day(12, 17)}, now=world.clock(), actor_id=None)
    story.until(day(9, 3))
    # Then the survey has its new due date, the dialogue meetings (which hang on AU) keep theirs
    assert story.waits()["answer_survey"] == ("7 av 7", day(10, 30))
    assert story.waits()["hold_dialogue_meetings"] == ("sekretariat", day(10, 15))
    # And each contact has one mail about it
    moved = story.mails()[before:]
    of_survey = [m for m in moved if m.element == "answer_survey"]
    assert {m.to for m in of_survey} == CONTACTS
    assert all("Ny frist: fredag 30. oktober" in m.text for m in moved)
    assert len({(m.to, m.subject) for m in moved}) >= len(CONTACTS)
