"""What a case is given when it is moved to another version: roles, values and timers, as if it had always run there."""

import pytest

from engine import deployments, incidents, instance_migration, process_instances, standing
from engine.deployments import Source
from engine.errors import NotOpen
from engine.instance_migration import Trial
from engine.model import Group, Membership, ProcessInstance
from tests.engine.drawing import gateway, model, several, task, timer
from tests.engine.lab import FORM, WITH_FORM, Lab, assert_chain_whole, kinds
from tests.engine.test_instance_migration import MEETING, ONE, attempt, migrate, revert, version

ASKED_THEN_DECIDED = model(
    "start>ask ask>more more>way way>yes way>no yes>end no>end",
    task("ask", WITH_FORM),
    task("more", WITH_FORM),
    gateway("way", "no"),
    task("yes", WITH_FORM),
    task("no", WITH_FORM),
    conditions={"way>yes": "${utfall == 'ja'}"},
)


def deploy_with_a_second_role(lab: Lab) -> None:
    """The next task is that of a lane which the first version did not have."""
    drawn = model("start>ask ask>check check>end", task("ask", WITH_FORM), task("check", WITH_FORM)).decode()
    lanes = (
        '<bpmn:lane id="andre" name="De andre"><bpmn:flowNodeRef>check</bpmn:flowNodeRef></bpmn:lane></bpmn:laneSet>'
    )
    drawn = drawn.replace("<bpmn:flowNodeRef>check</bpmn:flowNodeRef>", "").replace("</bpmn:laneSet>", lanes)
    with lab.database.transaction() as session:
        source = Source(xml=drawn.encode(), forms={"svar": FORM})
        deployments.deploy(session, lab.community_id, [source], now=lab.clock(), actor_id=None)


def suspend(lab: Lab, case: int) -> None:
    with lab.database.transaction() as session:
        held = process_instances.locked(session, case)
        standing.suspend(session, held, now=lab.clock(), actor_id=None, reason="Vent")


def test_an_answer_that_only_the_new_version_reads_decides_the_way(lab: Lab) -> None:
    lab.deploy(model("start>ask ask>more more>end", task("ask", WITH_FORM), task("more", WITH_FORM)))
    case = lab.begin()
    lab.send(lab.task(case, "ask").id, "person1", utfall="ja")
    lab.deploy(ASKED_THEN_DECIDED)
    migrate(lab, case)
    lab.send(lab.task(case, "more").id, "person1")
    assert lab.waiting(case) == ["yes"]


def test_start_data_that_only_the_new_version_reads_decides_the_way(lab: Lab) -> None:
    lab.deploy(model("start>more more>end", task("more", WITH_FORM)))
    case = lab.begin(data={"utfall": "ja"})
    drawn = ASKED_THEN_DECIDED.replace(b'sourceRef="start" targetRef="ask"', b'sourceRef="start" targetRef="more"')
    flow = b'<bpmn:sequenceFlow id="ask_more" sourceRef="ask" targetRef="more"></bpmn:sequenceFlow>'
    assert flow in drawn
    drawn = drawn.replace(flow, b"").replace(task("ask", WITH_FORM).encode(), b"")
    lab.deploy(drawn.replace(b"<bpmn:flowNodeRef>ask</bpmn:flowNodeRef>", b""))
    migrate(lab, case)
    lab.send(lab.task(case, "more").id, "person1")
    assert lab.waiting(case) == ["yes"]


def test_a_new_role_gets_the_group_of_its_key_and_is_given_back(lab: Lab) -> None:
    lab.deploy(ONE)
    case = lab.begin()
    deploy_with_a_second_role(lab)
    assert attempt(lab, case).unbound == ("De andre",)
    with lab.database.transaction() as session:
        group = Group(community_id=lab.community_id, key="andre", name="De andre")
        session.add(group)
        session.flush()
        session.add(Membership(user_id=lab.user(session, "person2").id, group_id=group.id))
    assert attempt(lab, case).unbound == ()
    migrate(lab, case)
    assert "andre" in lab.instance(case).roles
    revert(lab, case)
    assert "andre" not in lab.instance(case).roles
    migrate(lab, case)
    lab.send(lab.task(case, "ask").id, "person1")
    assert lab.task(case, "check").candidate_group_id == lab.instance(case).roles["andre"]["id"]


def test_a_trial_shows_each_timer_with_its_moment(lab: Lab) -> None:
    lab.deploy(model("start>wait wait>end", timer("wait", "${meeting}")))
    case = lab.begin(facts={"meeting": MEETING})
    lab.deploy(model("start>wait wait>end", timer("wait", "${days_before(meeting, 5)}")))
    trial = attempt(lab, case)
    assert trial.after is not None
    ((before, then),), ((after, now),) = trial.before.timers, trial.after.timers
    assert (before, after) == (("", "wait"), ("", "wait"))
    assert then is not None
    assert now is not None
    assert (then - now).days == 5
    assert (trial.before.wake_at, trial.after.wake_at) == (then, now)


def test_a_case_on_hold_whose_timer_has_fallen_due_is_not_moved(lab: Lab) -> None:
    lab.deploy(model("start>wait wait>ask ask>end", timer("wait", "${meeting}"), task("ask", WITH_FORM)))
    case = lab.begin(facts={"meeting": MEETING})
    suspend(lab, case)
    lab.deploy(model("start>wait wait>end", timer("wait", "${meeting}")))
    assert attempt(lab, case).problems == ()
    lab.clock.to(MEETING, 23)
    with pytest.raises(NotOpen, match="Resume"):
        migrate(lab, case)
    assert version(lab, case) == 1
    assert lab.waiting(case) == []


def test_what_takes_the_place_of_an_element_fits_it(lab: Lab) -> None:
    lab.deploy(ONE)
    case = lab.begin(data={"items": []})
    lab.deploy(
        model(
            "start>one one>many many>wait wait>end",
            task("one", WITH_FORM),
            task("many", WITH_FORM, several()),
            timer("wait", "${meeting}"),
        )
    )
    (problem,) = attempt(lab, case).problems
    with lab.database.reading() as session:
        to = deployments.latest(session, lab.community_id, "prove")
        instance = session.get_one(ProcessInstance, case)
        found = instance_migration.replacements(session, instance, to, problem)
    assert [element.id for element in found] == ["one"]


def test_what_held_an_element_holds_the_one_in_its_place_no_longer(lab: Lab) -> None:
    way = {"conditions": {"way>yes": "${10 / tall > 1}".replace(">", "&gt;")}}
    lab.deploy(model("start>way way>yes way>no yes>end no>end", gateway("way", "no"), task("yes"), task("no"), **way))
    case = lab.begin(data={"tall": 0})
    assert lab.instance(case).open_incidents == 1
    lab.deploy(model("start>ask ask>end", task("ask", WITH_FORM)))
    trial: Trial = attempt(lab, case, {"way": "ask"})
    assert trial.after is not None
    assert (len(trial.before.incidents), trial.after.incidents) == (1, ())
    migrate(lab, case, {"way": "ask"})
    assert (lab.instance(case).open_incidents, lab.waiting(case)) == (0, ["ask"])
    assert kinds(lab, case)[-2:] == ["migrated", "step-opened"], "what follows from the move comes after it"
    assert_chain_whole(lab, case)
    with lab.database.reading() as session:
        assert incidents.open_incidents(session, session.get_one(ProcessInstance, case)) == []
