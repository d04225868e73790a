"""What is odd about a whole plan, and what is proposed: the real cases of 2024 and 2026, and many others."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements import bodies, plan_checks, plan_proposals, starting
from agreements.findings import Finding
from agreements.functions import FUNCTIONS
from agreements.model import Body, Meeting
from agreements.plan_checks import Away, Deadline, Surroundings
from agreements.reaching import reach
from agreements.start_contents import StartRequest
from engine import identity, process_instances, rehearsing
from engine.calendar import Calendar
from engine.model import Community, ProcessInstance
from engine.planning import PlannedStep, steps
from tests.world import AGREEMENT, AU, EVALUATION, MANDATE, SSU, World

DAY = date(2026, 5, 18)
REQUEST = StartRequest(
    process=EVALUATION, agreement=AGREEMENT, meetings={"ssu": SSU, "au": AU}, data={"commissioning_decision": "17/26"}
)
MANDATE_2024 = StartRequest(
    process=MANDATE,
    meetings={"ssu": date(2024, 9, 26)},
    roles={"fagutvalg": {"group": "fagutvalg-hr"}},
    data={"body_name": "Fagutvalg HR", "hearing_bodies": ["fsu"]},
)
#: The table of the evaluation's dates for SSU 27 November 2026 and AU 5 November.
DATES = {
    "plan_and_clarify": date(2026, 6, 16),
    "anchor_plan": date(2026, 6, 30),
    "inform_and_start": date(2026, 8, 31),
    "fetch_data": date(2026, 9, 30),
    "answer_survey": date(2026, 9, 30),
    "hold_dialogue_meetings": date(2026, 10, 15),
    "analyse": date(2026, 10, 22),
    "quality_check": date(2026, 10, 27),
    "send_to_au": date(2026, 10, 29),
    "anchor_findings": AU,
    "finish_case": date(2026, 11, 13),
    "ssu_meeting/send_notice": date(2026, 11, 20),
    "ssu_meeting/treat_case": SSU,
    "publish": date(2026, 12, 11),
}


@pytest.fixture
def backend() -> str:
    """What is looked at is lived in memory; the source is only read."""
    return "sqlite"


class Planner:
    """Plans starts in one session."""

    def __init__(self, world: World, session: Session) -> None:
        self.world, self.session = world, session
        self.community = session.get_one(Community, world.community_id)
        self.calendar: Calendar = identity.calendar_of(self.community)

    def plan(self, request: StartRequest) -> tuple[starting.Prepared, Sequence[PlannedStep]]:
        prepared = starting.prepare(self.session, self.community, request, now=self.world.clock())
        return prepared, plan_proposals.plan_of(self.session, prepared, now=self.world.clock())

    def findings(self, request: StartRequest, around: Surroundings | None = None) -> dict[str, Finding]:
        """By code; of the plan and the meetings, with proposals."""
        prepared, plan = self.plan(request)
        of_plan = plan_checks.findings(plan, around or Surroundings(), self.calendar, self.world.clock.today)
        found = plan_proposals.with_next_meeting(
            self.session, self.community, prepared, (*prepared.warnings, *of_plan), now=self.world.clock()
        )
        return {f.code: f for f in reversed(found)}

    def apply(self, request: StartRequest, finding: Finding, number: int = 0) -> dict[str, Finding]:
        """What is odd when its proposal is taken."""
        taken = finding.proposals[number]
        by_hand = {**request.hand_dates, **taken.hand_dates}
        kept = {place: day for place, day in by_hand.items() if day is not None}
        return self.findings(replace(request, meetings={**request.meetings, **taken.meetings}, hand_dates=kept))

    def meet(self, body: str, *days: date) -> None:
        for day in days:
            bodies.add_meeting(self.session, self.session.scalars(select(Body).where(Body.key == body)).one(), day)


@pytest.fixture
def planner(world: World) -> Any:
    with world.database.transaction() as session:
        yield Planner(world, session)


def test_the_evaluation_of_2026_has_the_dates_of_the_table_and_can_be_lived(planner: Planner) -> None:
    _, plan = planner.plan(REQUEST)
    due = {step.place: step.due for step in plan}
    assert {place: due[place] for place in DATES} == DATES
    assert all(step.derived == step.due for step in plan if step.due)
    assert not {"due_before_open", "step_too_short", "hand_date_misfits"} & planner.findings(REQUEST).keys()
    notice = replace(REQUEST, process="motesak", agreement=None, title="Sak", meetings={"meeting": date(2026, 5, 7)})
    planner.world.clock.to(date(2026, 4, 1))
    [sent] = [step for step in planner.plan(replace(notice, data={"case_types": ["beslutning"]}))[1] if step.due][:1]
    assert (sent.due, sent.reason.skipped) == (date(2026, 4, 29), ((date(2026, 5, 1), "holiday:Arbeidernes dag"),))


def test_ssu_moved_to_december_drags_the_survey_past_the_analysis_and_says_what_to_shorten(planner: Planner) -> None:
    later = replace(REQUEST, meetings={"ssu": date(2026, 12, 4), "au": AU})
    [finding] = [f for code, f in planner.findings(later).items() if code == "due_before_open"]
    assert finding.message == (
        "«Analyser og foreslå endringer» har frist 22. oktober, før steget åpner 30. oktober. "
        "Da får også «Kvalitetssikre funn», «Send sak til AU» og «Forankre funn» for lite tid."
    )
    assert (finding.severity, finding.step) == ("impossible", "analyse")
    [shorter] = [p for p in finding.proposals if p.hand_dates]
    assert shorter.label == "Kort ned «Svar på undersøkelsen» og «Hent styringsdata» til ti virkedager"
    assert set(shorter.hand_dates.values()) == {date(2026, 10, 15)}
    assert not {"due_before_open", "step_too_short"} & planner.apply(later, finding, -1).keys()


def test_a_meeting_that_is_too_soon_gets_the_next_that_every_step_has_time_for(planner: Planner) -> None:
    soon = replace(REQUEST, meetings={"ssu": date(2026, 9, 10), "au": date(2026, 8, 20)})
    finding = planner.findings(soon)["deadlines_past"]
    assert finding.proposals[0].label == "Bytt til SSU 27. november og AU 5. november"
    assert not {"deadlines_past", "due_before_open"} & planner.apply(soon, finding).keys()
    # Where the register has a decision but no AU meeting for it, one is added, and is said to be new.
    for meeting in planner.session.scalars(select(Meeting).where(Meeting.date == AU)):
        planner.session.delete(meeting)
    planner.session.flush()
    finding = planner.findings(soon)["deadlines_past"]
    assert finding.proposals[0].label == "Bytt til SSU 27. november, og legg inn et nytt møte i AU 30. oktober"
    # Where the register knows none, it is a usual day as much later as is lacking.
    for meeting in planner.session.scalars(select(Meeting).where(Meeting.date >= DAY)):
        planner.session.delete(meeting)
    planner.session.flush()
    [taken, *_] = planner.findings(soon)["deadlines_past"].proposals
    assert taken.label.startswith("Legg inn nye møter: SSU ")
    assert taken.dates["ssu"].weekday() == 3
    assert taken.dates["au"] < taken.dates["ssu"]


def test_dates_by_hand_that_no_longer_fit_are_said(planner: Planner) -> None:
    by_hand = {"answer_survey": date(2026, 10, 20), "hold_dialogue_meetings": date(2026, 10, 17)}
    asked = replace(REQUEST, hand_dates=by_hand)
    _, plan = planner.plan(asked)
    found = plan_checks.findings(plan, Surroundings(), planner.calendar, DAY)
    said = {f.step: f.message for f in found if f.code == "hand_date_misfits"}
    assert said["hold_dialogue_meetings"].endswith("men lørdag 17. oktober er ingen virkedag.")
    assert said["answer_survey"].endswith("«Dialogmøter og workshops» har frist før det.")
    asked = replace(REQUEST, hand_dates={"publish": date(2026, 11, 18)})
    assert planner.findings(asked)["hand_date_misfits"].message.endswith("steget åpner først 4. desember.")
    july = replace(REQUEST, hand_dates={"anchor_plan": date(2026, 7, 3)})
    assert planner.apply(july, planner.findings(july)["deadline_in_july"]).get("deadline_in_july") is None


def test_a_date_by_hand_that_the_model_has_passed_is_said_when_the_meeting_moves(world: World) -> None:
    case = world.start(hand_dates={"ssu_meeting/send_notice": date(2026, 11, 24)})

    def move(session: Session, instance: ProcessInstance) -> None:
        process_instances.set_facts(session, instance, {"ssu": date(2026, 12, 4)}, now=world.clock(), actor_id=None)

    with world.database.reading() as session:
        copies = [rehearsing.continue_case(session, case, now=world.clock(), change=c) for c in (_stay, move)]
        before, after = (
            {f.step: f for f in plan_checks.findings(steps(copy), Surroundings(), Calendar(), DAY)} for copy in copies
        )
    for copy in copies:
        copy.database.dispose()
    assert "ssu_meeting/send_notice" not in before
    said = after["ssu_meeting/send_notice"]
    assert said.message.endswith("men modellen regner nå ut 27. november, ikke 20. november.")
    assert said.proposals[0].hand_dates == {"ssu_meeting/send_notice": None}


def _stay(session: Session, instance: ProcessInstance) -> None:
    """Nothing changes."""


def test_who_is_away_or_has_too_much_in_a_week_is_said(planner: Planner) -> None:
    around = plan_checks.surroundings(planner.session, planner.community)
    larvik = next(id_ for id_, name in around.names.items() if name == "Rådgiver helse, Larvik")
    busy = next(id_ for id_, name in around.names.items() if name == "Sekretariatet")
    around = replace(
        around,
        absences=[
            Away(user_id=larvik, first=date(2026, 9, 28), last=date(2026, 10, 9), deputy="Kommunalsjef Larvik")
        ],
        deadlines=[Deadline(user_id=busy, date=date(2026, 10, 19))] * 4,
    )  # fmt: skip
    found = planner.findings(REQUEST, around)
    assert found["person_away"].message == (
        "Rådgiver helse, Larvik er borte fra 28. september til 9. oktober. «Svar på undersøkelsen» har frist "
        "30. september. Kommunalsjef Larvik er stedfortreder."
    )
    assert found["person_away"].proposals[0].hand_dates == {"answer_survey": date(2026, 9, 25)}
    assert found["busy_week"].message == (
        "Sekretariatet har fem frister i uke 43. Herfra kommer «Analyser og foreslå endringer»."
    )


def test_papers_go_out_when_each_body_wants_them(planner: Planner, world: World) -> None:
    bodies.find_body(planner.session, planner.community, "au").paper_working_days = 7
    bodies.find_body(planner.session, planner.community, "ssu").paper_working_days = 10
    _, plan = planner.plan(REQUEST)
    sent = {step.element: step for step in plan}
    assert sent["send_to_au"].due == date(2026, 10, 27)
    assert sent["send_notice"].due == sent["send_notice"].derived == date(2026, 11, 13)
    reason = sent["send_notice"].reason
    assert (reason.base, reason.days, reason.days_named) == ("ssu", 10, "ssu_paper_days")
    # "Ferdigstill saken" has the model's own number, and is now due on the same day.
    assert sent["finish_case"].reason.days_named is None
    own = replace(REQUEST, process="motesak", agreement=None, title="Sak", meetings={"meeting": "ssu:2026-12-10"})
    notice = planner.plan(replace(own, data={"case_types": ["beslutning"]}))[1][0]
    assert (notice.due, notice.reason.days_named) == (date(2026, 11, 26), "meeting_paper_days")


def test_a_running_case_keeps_the_paper_deadlines_it_started_with(planner: Planner, world: World) -> None:
    actor = identity.user(planner.session, world.community_id, "sekretariatet")
    given = {"actor": actor, "now": world.clock(), "confirmed": "Møtet er bestemt."}
    case = starting.start(planner.session, planner.community, REQUEST, **given)
    bodies.find_body(planner.session, planner.community, "au").paper_working_days = 7
    planner.session.flush()
    lived = rehearsing.continue_case(planner.session, case.id, now=world.clock(), functions=FUNCTIONS)
    due = {step.element: step.due for step in steps(lived)}
    lived.database.dispose()
    assert due["send_to_au"] == DATES["send_to_au"]


def test_a_start_wants_a_reason_for_what_the_plan_showed(planner: Planner) -> None:
    request = replace(REQUEST, process="motesak", agreement=None, title="Sak", meetings={"meeting": date(2026, 12, 10)})
    request = replace(request, data={"case_types": ["beslutning"]})
    finding = Finding(code="busy_week", severity="tight", message="For mye.", date=DAY)
    actor = identity.user(planner.session, planner.world.community_id, "sekretariatet")
    given = {"actor": actor, "now": planner.world.clock(), "findings": [finding]}
    with pytest.raises(starting.InvalidInput, match="For mye"):
        starting.start(planner.session, planner.community, request, **given)
    assert starting.start(planner.session, planner.community, request, confirmed="Det går.", **given).id


def test_the_earliest_chain_from_18_may_2026_and_what_missing_a_meeting_costs(planner: Planner) -> None:
    planner.meet("au", date(2026, 8, 27), date(2027, 2, 4))
    planner.meet("ssu", date(2026, 9, 17), date(2027, 2, 25))
    planner.meet("pm", date(2027, 5, 27))
    found = reach(planner.session, planner.community, replace(REQUEST, meetings={}), now=planner.world.clock())
    assert found.chain is not None
    assert [(link.body, link.date, link.papers) for link in found.chain.links] == [
        ("au", AU, date(2026, 10, 29)), ("ssu", SSU, date(2026, 11, 20)), ("pm", date(2027, 5, 27), date(2027, 5, 20)),
    ]  # fmt: skip
    price = {missed.body: missed for missed in found.missed}
    assert price["pm"].instead is None or len(price["pm"].instead.links) < 3
    landed = price["au"].instead
    assert landed is not None
    assert {link.body: link.date for link in landed.links} == {
        "au": date(2027, 2, 4), "ssu": date(2027, 2, 25), "pm": date(2027, 5, 27)
    }  # fmt: skip


def test_the_mandate_of_2024_sent_back_to_28_november_gives_fsu_7_november(planner: Planner, world: World) -> None:
    world.clock.to(date(2024, 8, 15))
    sent_back = replace(MANDATE_2024, meetings={"ssu": date(2024, 11, 28)})
    for request, comments in ((MANDATE_2024, date(2024, 9, 5)), (sent_back, date(2024, 11, 7))):
        due = {step.element: step.due for step in planner.plan(request)[1]}
        assert comments in due.values()


# --- many others ------------------------------------------------------------------------------------------------------


@pytest.fixture
def living(planner: Planner) -> Mapping[str, Any]:
    return {"planner": planner}


@given(
    ssu=st.dates(date(2024, 6, 1), date(2040, 11, 30)), gap=st.integers(-10, 60), lead=st.integers(0, 250),
    process=st.sampled_from([EVALUATION, MANDATE]),
)  # fmt: skip
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_deadline_lies_on_a_closed_day_and_what_breaks_the_order_is_said(
    living: Mapping[str, Any], ssu: date, gap: int, lead: int, process: str
) -> None:
    planner: Planner = living["planner"]
    planner.world.clock.to(ssu - timedelta(days=lead))
    request = REQUEST if process == EVALUATION else MANDATE_2024
    meetings: dict[str, date | str] = {"ssu": ssu}
    if process == EVALUATION:
        meetings["au"] = ssu - timedelta(days=gap)
    prepared, plan = planner.plan(replace(request, meetings=meetings))
    today = planner.world.clock.today
    found = (*prepared.warnings, *plan_checks.findings(plan, Surroundings(), planner.calendar, today))
    said = " ".join(f.message for f in found)
    for step in plan:
        if step.due is None or step.reason.rule == "fact":
            continue  # a meeting's own day is the register's
        assert planner.calendar.is_working_day(step.due), step
        assert not planner.calendar.in_july(step.due), step
        if step.derived is not None and step.due < step.opens:
            assert step.due < today or f"«{step.name}»" in said, step
    if "au" in meetings and meetings["au"] > ssu:  # type: ignore[operator]
        assert "au_after_ssu" in {f.code for f in found}
