"""A case that stands, for the tests of pages, API and commands."""

import pytest

from engine import deployments, incidents, process_instances
from engine.model import Incident, ProcessInstance
from tests.engine.drawing import gateway, model, task
from tests.engine.lab import FORM
from tests.world import World

STANDS = model(
    "start>which which>a which>b a>end b>end",
    gateway("which", "b"),
    task("a"),
    task("b"),
    process="stopper",
    conditions={"which>a": "${10 / tall &gt; 1}"},
)


@pytest.fixture
def standing(world: World) -> ProcessInstance:
    """A case that stands at a gateway that divides by nothing."""
    with world.database.transaction() as session:
        source = deployments.Source(xml=STANDS, forms={"svar": FORM})
        [definition] = deployments.deploy(session, world.community_id, [source], now=world.clock(), actor_id=None)
        owner = world.user(session, "sekretariatet")
        started = process_instances.start(
            session, definition, now=world.clock(), actor=owner, title="En sak som stopper", data={"tall": 0},
            owner=owner, roles={"alle": {"group": "sekretariat"}},
        )  # fmt: skip
        case = started.id
    return world.instance(case)


def incident_of(world: World, case: ProcessInstance) -> Incident:
    """The case's one open incident."""
    with world.database.reading() as session:
        [found] = incidents.open_incidents(session, session.get_one(ProcessInstance, case.id))
        return found
