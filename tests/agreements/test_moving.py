"""Moving a meeting: what it would bring is lived first, what breaks the order is a choice, and then it is done."""

from collections.abc import Mapping
from datetime import date

import pytest
from sqlalchemy import select

from agreements import move_trials, moving
from agreements.functions import FUNCTIONS
from agreements.model import CaseMeeting, Meeting, Move, MoveNotice
from agreements.moving import Change, Preview
from engine.errors import InvalidInput, Stale
from engine.model import HistoryEvent
from tests.world import AU, MANDATE, SSU, World

LATER = date(2026, 12, 4)
OWNER = "sekretariatet"
WORLD = moving.World(functions=FUNCTIONS)


def change_of(world: World, key: str, to: date) -> Change:
    """What moves the meeting of that key."""
    with world.database.reading() as session:
        meeting = session.scalars(select(Meeting).where(Meeting.key == key)).one()
        return moving.of_meeting(session, meeting, to, today=world.clock.today)


def tried(world: World, change: Change) -> Preview:
    with world.database.reading() as session:
        actor = world.person(session, OWNER)
        return move_trials.preview(session, change, actor=actor, now=world.clock(), world=WORLD)


def done(world: World, preview: Preview, token: str | None = None, reason: str = "Salen er opptatt") -> Move:
    with world.database.transaction() as session:
        actor = world.person(session, OWNER)
        return moving.commit(
            session, preview, token=preview.token if token is None else token, actor=actor, now=world.clock(),
            reason=reason,
        )  # fmt: skip


def dates(preview: Preview, case: int = 0) -> Mapping[str, tuple[date | None, date | None]]:
    """Element -> the date before and after, of what moves."""
    return {step.key[1]: (step.old, step.new) for step in preview.cases[case].outcome.moved}


def open_dates(world: World, case: int, element: str) -> set[date | None]:
    return {task.due_date for task in world.tasks(case, element)}


def test_ssu_in_december_would_drag_the_survey_past_the_analysis_and_becomes_a_choice(world: World) -> None:
    case = world.start()
    world.proceed_to(case, "answer_survey")
    was = world.instance(case)
    preview = tried(world, change_of(world, "ssu-2026-11-27", LATER))
    assert world.instance(case).revision == was.revision
    choice = preview.cases[0].choice
    assert choice is not None
    assert {(old.element, old.due, new.due) for old, new in choice.movers} == {
        ("answer_survey", date(2026, 9, 30), date(2026, 10, 30)),
        ("fetch_data", date(2026, 9, 30), date(2026, 10, 30)),
    }
    assert [(option.key, option.works) for option in choice.options] == [("keep", True), ("follow", False)]
    assert dates(preview)["finish_case"] == (date(2026, 11, 13), date(2026, 11, 20))
    assert dates(preview)["treat_case"] == (SSU, LATER)
    assert "answer_survey" not in dates(preview)
    assert {step.element for step in preview.cases[0].outcome.unchanged} >= {"answer_survey", "analyse"}
    assert "plan_and_clarify" not in {step.element for step in preview.cases[0].outcome.unchanged}
    followed = preview.chosen({was.public_id: "follow"})
    assert dates(followed)["answer_survey"] == (date(2026, 9, 30), date(2026, 10, 30))
    with pytest.raises(InvalidInput):
        preview.chosen({was.public_id: "ukjent"})

    move = done(world, preview)
    assert open_dates(world, case, "answer_survey") == {date(2026, 9, 30)}
    assert world.instance(case).facts["ssu"] == LATER.isoformat()
    with world.database.reading() as session:
        meeting = session.get_one(Meeting, move.meeting_id)
        assert (meeting.date, meeting.sequence) == (LATER, 1)
        kinds = session.scalars(select(HistoryEvent.kind).where(HistoryEvent.note == "Salen er opptatt")).all()
        assert sorted(kinds) == ["date-set", "date-set", "facts-set"]
        told = session.scalars(select(MoveNotice.user_id).where(MoveNotice.move_id == move.id)).all()
        assert set(told) == set(preview.told)
    world.proceed_to(case, "treat_case")
    assert open_dates(world, case, "treat_case") == {LATER}
    assert {step.due_date for step in world.steps(case, element_id="finish_case")} == {date(2026, 11, 20)}


def test_a_move_is_done_on_what_was_seen_or_not_at_all(world: World) -> None:
    case = world.start()
    change = change_of(world, "au-2026-11-05", date(2026, 11, 12))
    preview = tried(world, change)
    assert preview.cases[0].choice is None
    assert dates(preview)["anchor_findings"] == (AU, date(2026, 11, 12))
    with pytest.raises(InvalidInput):
        done(world, preview, reason=" ")
    world.complete_step(case, "plan_and_clarify")
    with pytest.raises(Stale):
        done(world, preview)
    again = tried(world, change)
    with pytest.raises(Stale):
        done(world, again, token=preview.token)
    other = world.start(MANDATE, meetings={"ssu": SSU, "au": AU})
    with pytest.raises(Stale):  # another case hangs on the meeting now
        done(world, again)
    both = tried(world, change_of(world, "au-2026-11-05", date(2026, 11, 12)))
    assert [c.instance_id for c in both.cases] == [case, other]
    done(world, both)
    assert {world.instance(i).facts["au"] for i in (case, other)} == {"2026-11-12"}


def test_cases_go_over_to_a_meeting_that_is_held_that_day_already(world: World) -> None:
    case = world.start()
    with world.database.reading() as session:
        ssu = session.scalars(select(Meeting).where(Meeting.key == "ssu-2026-11-27")).one()
    with world.database.transaction() as session:
        session.add(Meeting(community_id=ssu.community_id, body_id=ssu.body_id, date=LATER))
    move = done(world, tried(world, change_of(world, "ssu-2026-11-27", LATER)))
    with world.database.reading() as session:
        assert session.get_one(Meeting, move.meeting_id).date == SSU
        taken = session.scalars(select(CaseMeeting).where(CaseMeeting.fact == "ssu")).one()
        assert taken.meeting.date == LATER
    assert world.instance(case).facts["ssu"] == LATER.isoformat()


@pytest.mark.parametrize("to", [SSU, date(2026, 1, 1)])
def test_a_meeting_moves_only_to_another_coming_day(world: World, to: date) -> None:
    with pytest.raises(InvalidInput):
        change_of(world, "ssu-2026-11-27", to)
