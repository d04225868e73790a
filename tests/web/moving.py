"""Meeting cases on an older version of their model, for the tests of moving them."""

from typing import Any

import pytest

from engine import deployments
from engine.deployments import Source
from engine.model import InstanceMigration, ProcessDefinition, ProcessInstance
from tests.world import MEETING_CASE, World

HOME = f"/modeller/{MEETING_CASE}/2/flytt"


def xml_of(world: World) -> str:
    """The newest drawing of the meeting case."""
    with world.database.reading() as session:
        return deployments.latest(session, world.community_id, MEETING_CASE).xml


def deploy(world: World, xml: str) -> ProcessDefinition:
    """A changed drawing as the next version."""
    with world.database.transaction() as session:
        source = Source(xml=xml.encode(), forms=deployments.latest(session, world.community_id, MEETING_CASE).forms)
        (made,) = deployments.deploy(session, world.community_id, [source], now=world.clock(), actor_id=None)
        return made


def later(xml: str) -> str:
    """The invitation is due two working days earlier."""
    return xml.replace("first_given(meeting_paper_days, 5)", "7")


def renamed(xml: str) -> str:
    """The invitation is another element."""
    return xml.replace("send_notice", "call_in")


@pytest.fixture
def case(world: World) -> ProcessInstance:
    """A meeting case of the secretariat's on version 1, while version 2 has another due date."""
    started = world.start(MEETING_CASE)
    deploy(world, later(xml_of(world)))
    return world.instance(started)


def version(world: World, case: ProcessInstance) -> int:
    """The version that the case runs on."""
    with world.database.reading() as session:
        return session.get_one(ProcessInstance, case.id).definition.version


def migrations(world: World) -> list[Any]:
    """Every migration there was."""
    with world.database.reading() as session:
        return list(session.query(InstanceMigration))
