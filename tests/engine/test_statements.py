"""What an act costs: few statements, one commit, and no more with many parties or a long history."""

from datetime import date

import pytest

from engine import identity, process_instances, user_tasks
from engine.model import User
from tests.engine.counting import Counted, counting
from tests.engine.drawing import closes, model, several, task
from tests.engine.lab import WITH_FORM, Lab
from tests.world import World

#: A person completes a task: locks, rows, state, history, job.
MOST = 12
MEETING = date(2026, 6, 10)
SURVEY = model(
    "start>ask ask>then shut>then then>end",
    task(
        "ask",
        f'{WITH_FORM} camunda:assignee="${{item.who}}" camunda:dueDate="${{meeting}}"',
        several(),
        {"output": "svar"},
    ),
    closes("shut", "ask"),
    task("then"),
)


@pytest.fixture
def backend() -> str:
    """Statements are counted where each is a journey."""
    return "postgresql"


def complete(world: World, task_id: int, by: str, **answers: object) -> Counted:
    """Complete a task as someone whom the request knows, and count."""
    with world.database.reading() as session:
        actor = world.person(session, by)
    with counting(world.database) as counted, world.database.transaction() as session:
        user_tasks.complete(session, task_id, answers, actor=actor, now=world.clock())
    return counted


def assert_few(counted: Counted) -> None:
    assert len(counted) <= MOST, str(counted)
    assert counted.commits == 1


def test_completing_a_task_that_moves_the_case_takes_few_statements(lab: Lab) -> None:
    lab.deploy(
        model("start>ask ask>then then>last last>end", task("ask", WITH_FORM), task("then", WITH_FORM), task("last"))
    )
    case = lab.begin()
    complete(lab, lab.task(case, "ask").id, "person0", utfall="ja")  # compiles the model
    assert_few(complete(lab, lab.task(case, "then").id, "person0", utfall="ja"))


@pytest.mark.parametrize(
    "element",
    ["plan_and_clarify", "anchor_plan", "inform_and_start", "analyse", "finish_case", "send_minutes", "publish"],
)
def test_completing_a_step_of_the_real_evaluation_takes_few_statements(world: World, element: str) -> None:
    case = world.start()
    world.proceed_to(case, element)
    asked = world.task(case, element)
    answers = world.answers(asked.id)
    with world.database.reading() as session:
        by = world.performer(session, asked).key
    assert_few(complete(world, asked.id, by, **answers))


def test_the_first_answer_of_a_large_survey_costs_as_much_as_the_last(lab: Lab) -> None:
    lab.people(200)
    lab.deploy(SURVEY)
    items = [{"key": str(n), "name": f"Part {n}", "who": f"person{n}"} for n in range(200)]
    case = lab.begin(data={"items": items}, facts={"meeting": MEETING})
    tasks = lab.tasks(case, "ask")
    counts = [complete(lab, t.id, f"person{t.item}", utfall="ja") for t in tasks]
    first, before_last, last = counts[0], counts[198], counts[199]
    assert len(first) == len(before_last), f"{first}\n\n{before_last}"
    # Longer by a few digits of ids and counts, and by no more.
    assert abs(first.bytes_written - before_last.bytes_written) <= 40
    # The last one also moves the case on.
    assert_few(first)
    assert_few(last)


def test_a_long_history_makes_no_act_dearer(lab: Lab) -> None:
    lab.deploy(
        model("start>ask ask>then then>end", task("ask", f'{WITH_FORM} camunda:dueDate="${{meeting}}"'), task("then"))
    )

    def cost(moves: int) -> Counted:
        case = lab.begin(facts={"meeting": MEETING})
        for n in range(moves):
            lab.set_facts(case, meeting=date(2026, 7, 1 + n % 20))
        return complete(lab, lab.task(case, "ask").id, "person0", utfall="ja")

    cost(0)
    assert len(cost(1)) == len(cost(60))


def test_a_task_that_a_worker_wakes_takes_few_statements_too(world: World) -> None:
    case = world.start()
    world.proceed_to(case, "anchor_plan")
    world.complete_step(case, "anchor_plan")
    world.clock.set(world.instance(case).wake_at or world.clock())
    with counting(world.database) as counted, world.database.transaction() as session:
        assert process_instances.wake(session, case, now=world.clock())
    assert_few(counted)


def test_a_list_of_tasks_is_one_statement(lab: Lab) -> None:
    lab.deploy(model("start>ask ask>end", task("ask", WITH_FORM)))
    for _ in range(5):
        lab.begin()
    with lab.database.reading() as session:
        actor = identity.person(session, session.get_one(User, 1))
        with counting(lab.database) as counted:
            rows = session.query(user_tasks.UserTask).where(user_tasks.waits_for(actor)).all()
    assert (len(rows), len(counted)) == (5, 1)
