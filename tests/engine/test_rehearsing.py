"""A running case lived on in a copy: what it would bring, while the case itself stays as it is."""

from collections.abc import Callable, Mapping
from datetime import date

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements.functions import FUNCTIONS
from engine import deployments, planning, process_instances, rehearsing
from engine.model import ProcessInstance, UserTask
from engine.planning import PlannedStep
from engine.rehearsing import Scenario
from engine.service_tasks import Function
from notifications import delivery, reconciling
from notifications.model import Delivery
from notifications.settings import NotificationSettings
from tests.conftest import BACKENDS
from tests.engine.drawing import model, task
from tests.engine.drawing_events import service
from tests.engine.lab import Lab
from tests.fakes import RecordingMailer
from tests.world import MEETING_CASE, SSU, World

LATER = date(2026, 12, 4)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The source is on either; the copy is always in memory."""
    return str(request.param)


def lived_on(
    world: World,
    case: int,
    change: Callable[[Session, ProcessInstance], None] = lambda session, instance: None,
    scenario: Scenario | None = None,
    functions: Mapping[str, Function] = FUNCTIONS,
) -> tuple[dict[str, PlannedStep], str]:
    """The steps of the case lived on in a copy, by element, and where it stood still."""
    with world.database.reading() as session:
        copy = rehearsing.continue_case(
            session, case, now=world.clock(), change=change, scenario=scenario or Scenario(), functions=functions
        )
    steps = {step.element: step for step in planning.steps(copy)}
    copy.database.dispose()
    return steps, copy.stopped


def test_the_rest_of_a_case_is_as_it_was_planned_from_the_start(world: World) -> None:
    case = world.start()
    planned, _ = lived_on(world, case)
    world.proceed_to(case, "answer_survey")
    lived, stopped = lived_on(world, case)
    assert stopped == ""
    assert {e: (s.due, s.opens) for e, s in lived.items()} == {e: (s.due, s.opens) for e, s in planned.items()}
    assert lived["treat_case"].due == SSU


def test_a_moved_meeting_moves_what_has_not_ended_and_the_case_itself_stays(world: World) -> None:
    case = world.start()
    world.proceed_to(case, "analyse")
    before, was = lived_on(world, case)[0], world.instance(case)

    def move(session: Session, instance: ProcessInstance) -> None:
        process_instances.set_facts(
            session, instance, {"ssu": LATER}, now=world.clock(), actor_id=None, reason="Flyttet"
        )

    after = lived_on(world, case, move)[0]
    assert (before["treat_case"].due, after["treat_case"].due) == (SSU, LATER)
    assert (before["finish_case"].due, after["finish_case"].due) == (date(2026, 11, 13), date(2026, 11, 20))
    assert after["answer_survey"].due == before["answer_survey"].due == date(2026, 9, 30)
    now = world.instance(case)
    assert (now.facts, now.revision, now.history_hash) == (was.facts, was.revision, was.history_hash)


def test_silent_parties_never_answer_and_the_deadline_closes_the_step(world: World) -> None:
    case = world.start()
    world.proceed_to(case, "answer_survey")

    def silent(task: UserTask) -> bool:
        return task.item in ("larvik", "horten")

    steps, stopped = lived_on(world, case, scenario=Scenario(silent=silent))
    assert stopped == ""
    assert steps["answer_survey"].ends == date(2026, 10, 1)
    assert steps["treat_case"].ends is not None


def test_what_the_case_has_asked_for_is_done_in_the_copy(lab: Lab) -> None:
    lab.deploy(
        model("start>ask ask>call call>then then>end", task("ask"), service("call", "record-revision"), task("then"))
    )
    case = lab.begin()
    lab.send(lab.task(case, "ask").id, "person0")
    assert lab.waiting(case) == []
    # What the function does is not the matter here: one that is not given answers nothing.
    assert lived_on(lab, case, functions={})[0].keys() == {"ask", "then"}


def test_a_case_is_copied_whose_mail_left_with_another_cases(world: World) -> None:
    told = NotificationSettings(base_url="https://avtaleflyt.example.org", element=deployments.element)
    for case in (world.start(MEETING_CASE), world.start(MEETING_CASE)):
        with world.database.transaction() as session:
            reconciling.reconcile(session, case, now=world.clock(), settings=told)
    delivery.send_batch(world.database, RecordingMailer(), clock=world.clock, settings=told)
    with world.database.reading() as session:
        carried = session.scalars(select(Delivery).where(Delivery.carrier_id.is_not(None)).limit(1)).one()
        mails = (Delivery, Delivery.instance_id == carried.instance_id)
        copy = rehearsing.continue_case(session, carried.instance_id, now=world.clock(), also=[mails])
    copy.database.dispose()
    assert copy.stopped == ""
