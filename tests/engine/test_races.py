"""What happens when people and clocks do something at the same moment, with real threads on real databases."""

from datetime import date
from functools import partial

import pytest

from engine import incidents, user_tasks
from engine.errors import NotOpen
from engine.model import UserTask
from tests.concurrency import at_once
from tests.engine.drawing import closes, model, several, task
from tests.engine.lab import WITH_FORM, Lab, assert_chain_whole, kinds
from tests.fakes import oslo
from tests.world import World

pytestmark = pytest.mark.usefixtures("unbroken")

MEETING = date(2026, 6, 10)
ASK_ONE = model("start>ask ask>then then>end", task("ask", WITH_FORM), task("then"))
ASK_SEVERAL = model(
    "start>ask ask>then closed>then then>end",
    task(
        "ask",
        f'{WITH_FORM} camunda:assignee="${{item.who}}" camunda:dueDate="${{meeting}}"',
        several(),
        {"output": "svar"},
    ),
    closes("closed", "ask"),
    task("then"),
)
#: Each race is run this often, because who comes first is chance.
ROUNDS = 4


def asked(count: int) -> dict[str, list[dict[str, str]]]:
    return {"items": [{"key": str(n), "name": f"Part {n}", "who": f"person{n}"} for n in range(count)]}


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_of_two_who_complete_one_task_one_wins_and_the_other_is_told(lab: Lab, _round: int) -> None:
    lab.deploy(ASK_ONE)
    case = lab.begin()
    ask = lab.task(case, "ask").id
    results = at_once([partial(lab.send, ask, f"person{n}", utfall=f"svar {n}") for n in range(2)])
    won = [n for n, result in enumerate(results) if isinstance(result, UserTask)]
    assert len(won) == 1, results
    told = results[1 - won[0]]
    assert isinstance(told, NotOpen)
    assert told.data["state"] == "completed"
    with lab.database.reading() as session:
        kept = session.get_one(UserTask, ask)
        assert kept.answers == {"utfall": f"svar {won[0]}"}
    assert lab.waiting(case) == ["then"]
    assert kinds(lab, case).count("completed-task") == 1
    assert_chain_whole(lab, case)


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_the_two_last_answers_at_once_complete_the_element_once(lab: Lab, _round: int) -> None:
    lab.deploy(ASK_SEVERAL)
    case = lab.begin(data=asked(3), facts={"meeting": MEETING})
    first, second, third = lab.tasks(case, "ask")
    lab.send(first.id, "person0", utfall="ja")
    results = at_once([partial(lab.send, t.id, f"person{t.item}", utfall="ja") for t in (second, third)])
    assert all(isinstance(result, UserTask) for result in results), results
    ask, then = lab.steps(case)
    assert (ask.state, ask.completed, ask.total) == ("completed", 3, 3)
    assert (then.element_id, then.state, then.round) == ("then", "open", 1)
    assert kinds(lab, case).count("step-completed") == 1
    assert_chain_whole(lab, case)


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_the_last_answer_against_the_deadline_is_either_in_time_or_too_late(lab: Lab, _round: int) -> None:
    lab.deploy(ASK_SEVERAL)
    case = lab.begin(data=asked(2), facts={"meeting": MEETING})
    first, last = lab.tasks(case, "ask")
    lab.send(first.id, "person0", utfall="ja")
    lab.clock.to(date(2026, 6, 11), 0)
    answer, woken = at_once([partial(lab.send, last.id, "person1", utfall="ja"), partial(lab.wake, case)])
    ask, then = lab.steps(case)
    assert then.element_id == "then"
    with lab.database.reading() as session:
        row = session.get_one(UserTask, last.id)
        if isinstance(answer, UserTask):
            assert (woken, ask.state, ask.completed, row.state) == (False, "completed", 2, "completed")
        else:
            assert isinstance(answer, NotOpen)
            assert (woken, ask.state, ask.completed, row.state) == (True, "closed", 1, "closed")
    assert_chain_whole(lab, case)


def test_a_deadline_that_is_woken_by_several_workers_at_once_fires_once(lab: Lab) -> None:
    lab.deploy(ASK_SEVERAL)
    case = lab.begin(data=asked(2), facts={"meeting": MEETING})
    lab.clock.set(oslo(date(2026, 6, 11), 0))
    assert sorted(map(str, at_once([partial(lab.wake, case)] * 4))) == ["False", "False", "False", "True"]
    assert [s.state for s in lab.steps(case)] == ["closed", "open"]


def test_fifty_people_answer_one_case_at_once_and_nothing_is_lost_or_doubled(lab: Lab) -> None:
    lab.people(50)
    lab.deploy(ASK_SEVERAL)
    case = lab.begin(data=asked(50), facts={"meeting": MEETING})
    tasks = lab.tasks(case, "ask")
    results = at_once([partial(lab.send, t.id, f"person{t.item}", utfall=f"svar {t.item}") for t in tasks])
    assert [r for r in results if not isinstance(r, UserTask)] == []
    ask, then = lab.steps(case)
    assert (ask.state, ask.completed) == ("completed", 50)
    assert then.state == "open"
    answers = {t.item: t.answers for t in lab.tasks(case, "ask", states=("completed",))}
    assert answers == {str(n): {"utfall": f"svar {n}"} for n in range(50)}
    assert kinds(lab, case).count("completed-task") == 50
    assert kinds(lab, case).count("step-completed") == 1
    assert_chain_whole(lab, case)


def test_of_several_who_take_one_task_one_has_it_and_the_others_hear_who(lab: Lab) -> None:
    lab.deploy(ASK_ONE)
    case = lab.begin()
    ask = lab.task(case, "ask").id

    def claim(key: str) -> str:
        with lab.database.transaction() as session:
            user_tasks.claim(session, ask, actor=lab.person(session, key), now=lab.clock())
        return key

    results = at_once([partial(claim, f"person{n}") for n in range(3)])
    won = [r for r in results if isinstance(r, str)]
    assert len(won) == 1, results
    for lost in results:
        if lost is not won[0]:
            assert isinstance(lost, NotOpen)
            assert str(lost) == f"Expected to claim 'ask', but {won[0].title()} already has it."


def test_a_start_that_is_sent_twice_at_once_starts_one_case(lab: Lab) -> None:
    lab.deploy(ASK_ONE)
    results = at_once([partial(lab.begin, idempotency_key="samme")] * 4)
    assert len(set(results)) == 1, results
    assert kinds(lab, int(str(results[0]))).count("started") == 1


def test_moving_a_meeting_while_people_answer_loses_neither(lab: Lab) -> None:
    lab.people(10)
    lab.deploy(ASK_SEVERAL)
    case = lab.begin(data=asked(10), facts={"meeting": MEETING})
    acts = [partial(lab.send, t.id, f"person{t.item}", utfall="ja") for t in lab.tasks(case, "ask")[:9]]
    results = at_once([*acts, partial(lab.set_facts, case, meeting=date(2026, 6, 17))])
    assert [r for r in results if isinstance(r, Exception)] == []
    (left,) = lab.tasks(case, "ask")
    assert left.due_date == date(2026, 6, 17)
    assert lab.steps(case)[0].completed == 9
    assert lab.instance(case).wake_at == oslo(date(2026, 6, 18), 0)
    assert_chain_whole(lab, case)


def test_the_survey_of_the_real_evaluation_takes_all_parties_at_once(world: World) -> None:
    case = world.start()
    world.proceed_to(case, "answer_survey")
    tasks = world.tasks(case, "answer_survey")
    filled = at_once([partial(world.fill, t.id) for t in tasks])
    assert [r for r in filled if isinstance(r, Exception)] == []
    approved = at_once([partial(world.approve, t.id) for t in tasks])
    assert [r for r in approved if isinstance(r, Exception)] == []
    (step,) = world.steps(case, element_id="answer_survey")
    assert (step.state, step.completed) == ("completed", 7)
    assert_chain_whole(world, case)
    with world.database.reading() as session:
        assert incidents.open_incidents(session, world.instance(case)) == []
