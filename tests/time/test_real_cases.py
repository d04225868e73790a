"""The dates that the health community's own papers name, as the product plans them, moves them and says why.

How these cases are lived is told in `tests/workflows`; what is odd about other plans, in `tests/agreements`.
"""

from collections.abc import Mapping
from datetime import date

import pytest
from sqlalchemy import select

from agreements import move_trials, moving, plan_proposals, starting
from agreements.model import Meeting
from agreements.start_contents import StartRequest
from engine.model import Community
from engine.planning import PlannedStep
from notifications.settings import NotificationSettings
from tests.time.living import OWNER, Life
from tests.world import AGREEMENT, AU, EVALUATION, MANDATE, MEETING_CASE, SSU, World
from web.moves import world as copies

DECEMBER = date(2026, 12, 4)
REQUESTS: Mapping[str, StartRequest] = {
    EVALUATION: StartRequest(
        process=EVALUATION, agreement=AGREEMENT, meetings={"ssu": SSU, "au": AU},
        data={"commissioning_decision": "17/26"},
    ),
    MEETING_CASE: StartRequest(
        process=MEETING_CASE, title="Sak 17/26", meetings={"meeting": date(2026, 5, 7)},
        data={"case_types": ["beslutning"]},
    ),
    MANDATE: StartRequest(
        process=MANDATE, meetings={"ssu": date(2024, 11, 28)}, roles={"fagutvalg": {"group": "fagutvalg-hr"}},
        data={"body_name": "Fagutvalg HR", "hearing_bodies": ["fsu"]},
    ),
}  # fmt: skip


@pytest.fixture
def backend() -> str:
    """A plan is lived in memory, whatever it is read from."""
    return "sqlite"


def plan(world: World, process: str) -> Mapping[str, PlannedStep]:
    """Element -> the step as it is planned on the day that the clock shows."""
    with world.database.reading() as session:
        community = session.get_one(Community, world.community_id)
        prepared = starting.prepare(session, community, REQUESTS[process], now=world.clock())
        return {step.element: step for step in plan_proposals.plan_of(session, prepared, now=world.clock())}


def held(world: World, key: str) -> Meeting:
    """A meeting of the community's papers."""
    with world.database.reading() as session:
        return session.scalars(select(Meeting).where(Meeting.key == key)).one()


def test_ssu_on_27_november_2026_planned_on_18_may_opens_and_closes_as_the_papers_say(world: World) -> None:
    planned = plan(world, EVALUATION)
    dates = {element: (step.opens, step.due) for element, step in planned.items()}
    assert dates["plan_and_clarify"] == (date(2026, 5, 18), date(2026, 6, 16))
    assert dates["anchor_plan"][1] == date(2026, 6, 30)
    assert dates["inform_and_start"] == (date(2026, 8, 3), date(2026, 8, 31))  # the first working day of August
    assert dates["answer_survey"] == (date(2026, 9, 1), date(2026, 9, 30))
    assert dates["hold_dialogue_meetings"][1] == date(2026, 10, 15)
    assert dates["analyse"] == (date(2026, 10, 15), date(2026, 10, 22))
    assert dates["anchor_findings"][1] == AU
    assert dates["finish_case"] == (AU, date(2026, 11, 13))
    assert dates["treat_case"][1] == SSU
    assert dates["publish"][1] == date(2026, 12, 11)
    reason = planned["finish_case"].reason
    assert (reason.rule, reason.days, reason.base) == ("working_days_before", 10, "ssu")


def test_the_notice_for_7_may_2026_goes_out_on_the_day_its_papers_are_dated(world: World) -> None:
    world.clock.to(date(2026, 4, 1))
    notice = plan(world, MEETING_CASE)["send_notice"]
    assert notice.due == held(world, "ssu-2026-05-07").papers_dated == date(2026, 4, 29)
    assert notice.reason.skipped == ((date(2026, 5, 1), "holiday:Arbeidernes dag"),)


def test_the_mandate_sent_back_to_28_november_2024_is_heard_when_fsu_met(world: World) -> None:
    world.clock.to(date(2024, 9, 27))
    assert plan(world, MANDATE)["give_input"].due == held(world, "fsu-2024-11-07").date == date(2024, 11, 7)


def test_ssu_moved_to_4_december_shows_what_follows_and_then_it_is_lived_so(world: World) -> None:
    life = Life(world)
    case = world.start(EVALUATION)
    life.settle()
    settings: NotificationSettings = life.services.notifications
    with world.database.reading() as session:
        change = moving.of_meeting(session, held(world, "ssu-2026-11-27"), DECEMBER, today=world.clock.today)
        owner = world.person(session, OWNER)
        tried = move_trials.preview(session, change, actor=owner, now=life.now, world=copies(settings, life.now))
    [shown] = tried.cases
    # What hangs on the meeting's month follows it by a month. The survey would then be due on 30 October, after the
    # analysis: that is asked about, and the last date that leaves the analysis its time is proposed.
    follows = {step.key[1]: (step.old, step.new) for step in shown.outcome.moved}
    assert {element: dates for element, dates in follows.items() if dates[0] and dates[0] > AU} == {
        "finish_case": (date(2026, 11, 13), date(2026, 11, 20)),
        "send_notice": (date(2026, 11, 20), date(2026, 11, 27)),
        "treat_case": (SSU, DECEMBER),
        "send_minutes": (date(2026, 12, 4), date(2026, 12, 11)),
        "publish": (date(2026, 12, 11), date(2026, 12, 18)),
    }
    assert shown.choice is not None
    assert "answer_survey" in {after.element for _before, after in shown.choice.movers}
    with world.database.transaction() as session:
        moving.commit(
            session, tried, token=tried.token, actor=world.person(session, OWNER), now=life.now, reason="Salen er tatt",
        )  # fmt: skip
    life.settle()
    life.live_to_the_end()
    lived = {step.element_id: step.due_date for step in world.steps(case)}
    assert {element: lived[element] for element in follows} == {
        element: new for element, (_old, new) in follows.items()
    }
    assert follows["answer_survey"] == (date(2026, 9, 30), date(2026, 10, 15))
    assert (lived["analyse"], lived["anchor_findings"]) == (date(2026, 10, 22), AU)
