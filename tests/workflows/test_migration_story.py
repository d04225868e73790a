"""The evaluation's model is changed while its survey runs: tried, moved, lived on with, and moved back."""

from datetime import date, datetime

import pytest
from sqlalchemy.orm import Session

from engine import deployments, history, instance_migration, process_instances
from engine.deployments import Source
from engine.model import ProcessDefinition, ProcessInstance
from tests.conftest import BACKENDS
from tests.fakes import OSLO
from tests.workflows.story import Story
from tests.world import EVALUATION
from web import migration_views
from web.migration_views import Change, Tried, Wanted
from web.pages.delivery_views import Mail
from web.services import Services

PARTIES = ("siv", "holmestrand", "horten", "faerder", "tonsberg", "sandefjord", "larvik")
#: Those who have answered when the model is changed, the one whose answer waits for approval, and the silent.
ANSWERED, SUBMITTED, SILENT = PARTIES[:3], PARTIES[3], PARTIES[4:]
NEW_STEP = """<bpmn:userTask id="read_answers" name="Les svarene samlet"
                   camunda:dueDate="${working_days_before(au, 15)}">
      <bpmn:incoming>survey_closed_to_read_answers</bpmn:incoming>
      <bpmn:outgoing>survey_closed_to_gathering_ends</bpmn:outgoing>
    </bpmn:userTask>
    <bpmn:sequenceFlow id="survey_closed_to_read_answers" sourceRef="survey_closed" targetRef="read_answers" />
    <bpmn:parallelGateway id="gathering_ends">"""


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def day(month: int, of: int) -> date:
    return date(2026, month, of)


def changed(xml: str) -> str:
    """The survey is due a week later and reminds once, and then somebody reads all answers together."""
    survey = xml[xml.index('<bpmn:userTask id="answer_survey"') :]
    survey = survey[: survey.index("</bpmn:userTask>")]
    later = survey.replace(
        "${last_working_day(ssu, months_before=2)}", "${working_days_after(last_working_day(ssu, months_before=2), 5)}"
    ).replace(
        '<camunda:property name="output"',
        '<camunda:property name="reminders" value="5,0" />\n<camunda:property name="output"',
    )
    parts = {
        survey: later,
        "<bpmn:outgoing>survey_closed_to_gathering_ends<": "<bpmn:outgoing>survey_closed_to_read_answers<",
        'sourceRef="survey_closed" targetRef="gathering_ends"': 'sourceRef="read_answers" targetRef="gathering_ends"',
        '<bpmn:parallelGateway id="gathering_ends">': NEW_STEP,
        "<bpmn:flowNodeRef>analyse<": "<bpmn:flowNodeRef>read_answers</bpmn:flowNodeRef><bpmn:flowNodeRef>analyse<",
    }
    for old, new in parts.items():
        assert xml.count(old) == 1, old
        xml = xml.replace(old, new)
    return xml


def deploy(story: Story) -> ProcessDefinition:
    world = story.world
    with world.database.transaction() as session:
        old = deployments.latest(session, world.community_id, EVALUATION)
        source = Source(xml=changed(old.xml).encode(), forms=old.forms)
        (made,) = deployments.deploy(
            session, world.community_id, [source], now=world.clock(), actor_id=None, note="En uke til"
        )
        return made


def with_a_half_answered_survey(story: Story) -> Story:
    story.starts(EVALUATION).reaches("answer_survey")
    story.until(day(9, 2))
    for party in ANSWERED:
        story.does("answer_survey", item=party)
    story.world.fill(story.world.task(story.case, "answer_survey", SUBMITTED).id)
    story.until(day(9, 3))
    return story


def tried(story: Story, services: Services, to: ProcessDefinition) -> Tried:
    with story.world.database.reading() as session:
        instance = session.get_one(ProcessInstance, story.case)
        return migration_views.attempt(
            story.world.database, instance, to, now=story.world.clock(), settings=services.notifications
        )


def move(story: Story, to: ProcessDefinition) -> None:
    wanted = Wanted(public_id=story.world.instance(story.case).public_id)
    (done,) = migration_views.move_each(
        story.world.database, [wanted], to, actor=None, now=story.world.clock(), reason="Partene trenger mer tid"
    )
    assert done.is_moved


def local(moment: datetime | None) -> tuple[date, int] | None:
    return (moment.astimezone(OSLO).date(), moment.astimezone(OSLO).hour) if moment else None


def mails(found: Tried, kind: str) -> set[tuple[str, str, tuple[date, int] | None, tuple[date, int] | None]]:
    """Rule, party, and when it was and will be sent."""

    def row(change: Change[Mail]) -> tuple[str, str, tuple[date, int] | None, tuple[date, int] | None]:
        before, after = change.before, change.after
        mail = after or before
        assert mail is not None
        return mail.rule, str(mail.party), *(local(side.planned_at) if side else None for side in (before, after))

    return {row(change) for change in found.mails if change.kind == kind}


def reminders(story: Story, whom: str) -> list[date]:
    """The days on which somebody was reminded since the survey opened."""
    return sorted(mail.day for mail in story.mails(since=day(9, 3), rule="reminder") if mail.to == whom)


def assert_chain_whole(session: Session, story: Story) -> None:
    instance = session.get_one(ProcessInstance, story.case)
    assert history.broken_at(instance, history.events(session, instance)) is None


def version(story: Story) -> int:
    with story.world.database.reading() as session:
        return session.get_one(ProcessInstance, story.case).definition.version


def test_a_dry_run_says_exactly_what_happens_and_then_it_happens(story: Story, services: Services) -> None:
    # Given three of seven have answered, and one answer waits for approval
    with_a_half_answered_survey(story)
    assert story.waits()["answer_survey"] == ("4 av 7", day(9, 30))
    before = story.world.instance(story.case)
    # When the model is changed, and the case is tried on it
    second = deploy(story)
    found = tried(story, services, second)
    # Then the four open tasks of the survey stay and are due a week later; everything else stays as it is
    assert found.can_move
    assert {(c.kind, c.before.item_name is not None) for c in found.tasks if c.before} == {
        ("changes", True), ("stays", True), ("stays", False)
    }  # fmt: skip
    moved = [(c.before, c.after) for c in found.tasks if c.kind == "changes" and c.before and c.after]
    assert {b.element_id for b, _ in moved} == {"answer_survey"}
    assert {(b.due_date, a.due_date, b.public_id == a.public_id) for b, a in moved} == {(day(9, 30), day(10, 7), True)}
    assert len(moved) == 4
    # And the timer that closes it moves, while the other one stays, and is now the next
    closing = {
        (c.before.element_id, c.kind, local(c.before.at), local(c.after.at))
        for c in found.timers
        if c.before and c.after
    }
    assert closing == {
        ("answer_survey_closes", "changes", (day(10, 1), 0), (day(10, 8), 0)),
        ("fetch_data_closes", "stays", (day(10, 1), 0), (day(10, 1), 0)),
    }
    assert found.wake.kind == "stays"
    # And of the mails it says which are new, which move and which are not sent
    waiting = (SUBMITTED, *SILENT)
    names = {task.item: str(task.item_name) for task in story.world.tasks(story.case, "answer_survey")}
    assert mails(found, "begins") == {
        (rule, names[party], None, at)
        for party in waiting
        for rule, at in (("reminder:5", (day(9, 30), 8)), ("due_changed", (day(9, 3), 12)))
    }
    assert mails(found, "ends") == {
        (rule, names[party], at, None)
        for party in waiting
        for rule, at in (("reminder:10", (day(9, 16), 8)), ("reminder:3", (day(9, 25), 8)))
    }
    assert mails(found, "changes") == {
        ("reminder:0", names[party], (day(9, 30), 8), (day(10, 7), 8)) for party in waiting
    }
    assert (found.passed, found.unbound, found.stops, found.events) == ((), (), (), ())
    # And nothing of it is kept
    after = story.world.instance(story.case)
    assert (after.revision, after.history_length, version(story)) == (before.revision, before.history_length, 1)
    assert story.waits()["answer_survey"] == ("4 av 7", day(9, 30))

    # When it is moved
    sent = len(story.mails())
    move(story, second)
    story.drain()
    # Then the four are told of the new date, and nobody else is
    told = story.mails()[sent:]
    assert len(told) == 4
    assert {m.subject.partition(":")[0] for m in told} == {"Ny frist"}
    assert all("7. oktober" in m.subject for m in told)
    assert story.waits()["answer_survey"] == ("4 av 7", day(10, 7))
    # And the reminder comes when the dry run said, to those who have not answered
    story.world.approve(story.world.task(story.case, "answer_survey", SUBMITTED).id)
    story.until(day(9, 30), hour=9)
    of_the_data, of_the_survey = [day(9, 16), day(9, 25), day(9, 30)], [day(9, 30)]
    assert reminders(story, "radgiver.larvik") == of_the_data + of_the_survey
    reminded = [m for m in story.mails(since=day(9, 30), rule="reminder") if m.element == "answer_survey"]
    assert all("fem virkedager igjen" in " ".join(m.text.split()) for m in reminded)
    assert {m.to for m in reminded} == {f"radgiver.{party}" for party in SILENT}
    # And when the others have answered, the new step waits for the secretariat
    story.until(day(10, 2))
    for party in SILENT:
        story.does("answer_survey", item=party)
    assert story.waits()["read_answers"] == ("sekretariat", day(10, 15))
    assert len(story.answers("answer_survey")) == 7
    # And after it the case goes on as before, to its end
    story.does("read_answers")
    story.does("hold_dialogue_meetings", on=day(10, 5))
    assert story.waits()["analyse"] == ("sekretariat", day(10, 22))
    story.world.proceed_to_end(story.case)
    assert story.state == "completed"
    with story.world.database.reading() as session:
        assert_chain_whole(session, story)


def test_a_move_is_undone_while_nothing_has_happened(story: Story) -> None:
    with_a_half_answered_survey(story)
    second = deploy(story)
    move(story, second)
    story.drain()
    world = story.world
    with world.database.transaction() as session:
        held = process_instances.locked(session, story.case)
        made = instance_migration.latest(session, held)
        assert made is not None
        instance_migration.revert(session, held, made, now=world.clock(), actor_id=None, reason="Vi venter")
    story.drain()
    # Then the survey is due when it was, its four tasks wait, and they are told
    assert version(story) == 1
    assert story.waits()["answer_survey"] == ("4 av 7", day(9, 30))
    assert {m.subject.partition(":")[0] for m in story.mails()[-4:]} == {"Ny frist"}
    assert all("30. september" in m.subject for m in story.mails()[-4:])
    # And the reminders are those of the first version, of the survey as of the data, and it closes as drawn
    story.until(day(9, 30), hour=9)
    of_each = [day(9, 16), day(9, 25), day(9, 30)]
    assert reminders(story, "radgiver.larvik") == sorted(of_each * 2)
    story.until(day(10, 1), hour=0)
    assert "answer_survey" not in story.waits()
    assert "read_answers" not in story.waits()
    with world.database.reading() as session:
        assert_chain_whole(session, story)
