"""What models can ask the register for."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements.functions import FUNCTIONS
from agreements.model import Agreement, Case, RegisterChange
from engine.service_tasks import BpmnError, Call
from tests.world import World


def call(world: World, session: Session, instance_id: int, topic: str, **inputs: Any) -> Mapping[str, Any]:
    instance = world.instance(instance_id)
    return FUNCTIONS[topic](session, Call(instance=instance, inputs=inputs, now=world.clock()))


def test_the_next_meeting_of_a_body_is_found(world: World) -> None:
    case = world.start()
    with world.database.transaction() as session:
        assert call(world, session, case, "next-meeting", body="ssu", **{"from": "2026-11-01"}) == {
            "meeting": "2026-11-27"
        }
        with pytest.raises(BpmnError, match="no-meeting"):
            call(world, session, case, "next-meeting", body="ssu", **{"from": "2040-01-01"})
        with pytest.raises(BpmnError, match="no-meeting"):
            call(world, session, case, "next-meeting", body="finnes-ikke")
        with pytest.raises(ValueError, match="Expected a date"):
            call(world, session, case, "next-meeting", body="ssu", **{"from": "snart"})


def test_a_revision_is_entered_in_the_register_once(world: World) -> None:
    case = world.start()
    with world.database.transaction() as session:
        for _ in range(2):
            answer = call(world, session, case, "record-revision", date="2026-11-27")
            session.flush()
        key = session.scalars(select(Agreement.key).join(Case).where(Case.instance_id == case)).one()
        assert answer == {"agreement": key}
    with world.database.reading() as session:
        agreement = session.scalars(select(Agreement).where(Agreement.key == key)).one()
        assert agreement.revised == date(2026, 11, 27)
        changes = select(RegisterChange).where(RegisterChange.field == "revised", RegisterChange.key == key)
        (change,) = [c for c in session.scalars(changes) if c.new == "2026-11-27"]
        assert change.at == world.clock()


def test_a_case_about_no_agreement_has_none_to_revise(world: World) -> None:
    case = world.start()
    with world.database.transaction() as session:
        session.scalars(select(Case).where(Case.instance_id == case)).one().agreement_id = None
        session.flush()
        with pytest.raises(BpmnError, match="no-agreement"):
            call(world, session, case, "record-revision")
