"""Due dates set by hand: they beat what the model derives, until their step has ended."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from sqlalchemy.orm import Session

from agreements.functions import FUNCTIONS
from engine import planning, process_instances, rehearsing, steering
from engine.errors import InvalidInput, NotAllowed, NotOpen
from engine.model import ProcessInstance
from engine.planning import PlannedStep
from tests.engine.lab import assert_chain_whole, events
from tests.world import SSU, World

SURVEY, ANALYSE, NOTICE = "answer_survey", "analyse", "ssu_meeting/send_notice"
LATER = date(2026, 12, 4)


def set_date(
    world: World, case: int, place: str, day: date | None, by: str = "sekretariatet", reason: str = ""
) -> None:
    with world.database.transaction() as session:
        instance = process_instances.locked(session, case)
        actor = world.person(session, by)
        steering.set_date(session, instance, place, day, actor=actor, now=world.clock(), reason=reason)


def plan(world: World, case: int, change: Callable[[Session, ProcessInstance], None] | None = None) -> Any:
    with world.database.reading() as session:
        given = {"change": change} if change else {}
        copy = rehearsing.continue_case(session, case, now=world.clock(), functions=FUNCTIONS, **given)
    found = {step.element: step for step in planning.steps(copy)}
    copy.database.dispose()
    return found


def move_ssu(now: datetime) -> Callable[[Session, ProcessInstance], None]:
    def move(session: Session, instance: ProcessInstance) -> None:
        process_instances.set_facts(session, instance, {"ssu": LATER}, now=now, actor_id=None)

    return move


def test_a_date_by_hand_holds_for_open_and_coming_steps_and_survives_moved_facts(world: World) -> None:
    case = world.start()
    set_date(world, case, "plan_and_clarify", date(2026, 6, 12), reason="Ferie")
    set_date(world, case, SURVEY, date(2026, 9, 25))
    set_date(world, case, NOTICE, date(2026, 11, 18))
    assert [(t.due_date, t.due_by_hand, t.due_generation) for t in world.tasks(case)] == [(date(2026, 6, 12), True, 2)]

    steps: dict[str, PlannedStep] = plan(world, case)
    assert (steps[SURVEY].due, steps[SURVEY].by_hand, steps[SURVEY].derived) == (
        date(2026, 9, 25), True, date(2026, 9, 30)
    )  # fmt: skip
    assert steps[SURVEY].ends == date(2026, 9, 25)
    assert (steps["send_notice"].due, steps["send_notice"].derived) == (date(2026, 11, 18), date(2026, 11, 20))
    assert not steps[ANALYSE].by_hand

    moved = plan(world, case, move_ssu(world.clock()))
    assert [moved[e].due for e in ("plan_and_clarify", SURVEY, "send_notice")] == [
        date(2026, 6, 12), date(2026, 9, 25), date(2026, 11, 18)
    ]  # fmt: skip
    assert (moved["treat_case"].due, moved[SURVEY].derived) == (LATER, date(2026, 10, 30))

    # The survey opens with it, closes by it, and its date is used up.
    world.proceed_to(case, SURVEY)
    assert {t.due_date for t in world.tasks(case, SURVEY)} == {date(2026, 9, 25)}
    closing = world.clock.to(date(2026, 9, 26), 0)
    world.clock.set(closing)
    assert world.wake(case)
    assert world.tasks(case, SURVEY) == []
    assert world.instance(case).hand_dates == {NOTICE: "2026-11-18"}
    with pytest.raises(NotOpen):
        set_date(world, case, SURVEY, date(2026, 11, 25))

    kept = [(e.kind, e.data, e.note) for e in events(world, case) if e.kind == "date-set"]
    first = {"place": "plan_and_clarify", "old": None, "new": "2026-06-12", "derived": "2026-06-16"}
    assert kept[0] == ("date-set", first, "Ferie")
    assert_chain_whole(world, case)


def test_a_released_date_is_derived_again_and_an_extension_stays(world: World) -> None:
    case = world.start()
    world.proceed_to(case, SURVEY)
    mine = world.task(case, SURVEY, "larvik")
    with world.database.transaction() as session:
        owner = world.person(session, "sekretariatet")
        steering.extend(session, mine.id, due_date=date(2026, 10, 9), actor=owner, now=world.clock(), reason="")
    set_date(world, case, SURVEY, date(2026, 9, 28))
    due = {t.item: t.due_date for t in world.tasks(case, SURVEY)}
    assert due.pop("larvik") == date(2026, 10, 9)
    assert set(due.values()) == {date(2026, 9, 28)}
    set_date(world, case, SURVEY, None)
    tasks = {t.item: (t.due_date, t.due_by_hand) for t in world.tasks(case, SURVEY)}
    assert tasks.pop("larvik") == (date(2026, 10, 9), True)
    assert set(tasks.values()) == {(date(2026, 9, 30), False)}
    assert world.instance(case).hand_dates == {}
    for place, day, error in [
        ("finnes_ikke", SSU, InvalidInput), ("feil/analyse", SSU, InvalidInput),
        (ANALYSE, date(2026, 5, 1), InvalidInput), ("anchor_plan", SSU, NotOpen),
    ]:  # fmt: skip
        with pytest.raises(error):
            set_date(world, case, place, day)
    with pytest.raises(NotAllowed):
        set_date(world, case, ANALYSE, SSU, by="kommunalsjef.larvik")


def test_a_case_starts_with_dates_by_hand(world: World) -> None:
    case = world.start(hand_dates={"plan_and_clarify": date(2026, 6, 10)})
    assert world.task(case, "plan_and_clarify").due_date == date(2026, 6, 10)
    assert "date-set" in [e.kind for e in events(world, case)]
