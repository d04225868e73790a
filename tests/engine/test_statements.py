"""What an act costs: few statements, one commit, and no more with many parties or a long history."""

from collections.abc import Callable
from datetime import date
from threading import Thread

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from engine import deployments, identity, process_instances, user_tasks
from engine.errors import InvalidAnswers
from engine.identity import Person
from engine.model import ProcessInstance, Step, User, UserTask
from tests.engine.counting import Counted, counting
from tests.engine.drawing import closes, gateway, model, several, task, timer
from tests.engine.lab import WITH_FORM, Lab
from tests.world import World

#: A person whom the request knows completes a task: one look that locks, history, job, case, step, task, and the step
#: and the task that follow. Two more where the form asks whom, or where people come in who did not see the case yet.
LEAST, MOST = 8, 10
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


def assert_few(counted: Counted, most: int = MOST) -> None:
    assert len(counted) <= most, str(counted)
    assert counted.commits == 1


def test_completing_a_task_that_moves_the_case_takes_few_statements(lab: Lab) -> None:
    lab.deploy(
        model("start>ask ask>then then>last last>end", task("ask", WITH_FORM), task("then", WITH_FORM), task("last"))
    )
    case = lab.begin()
    complete(lab, lab.task(case, "ask").id, "person0", utfall="ja")  # compiles the model
    assert_few(complete(lab, lab.task(case, "then").id, "person0", utfall="ja"), LEAST)


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
    lab.people(60)
    lab.deploy(SURVEY)
    items = [{"key": str(n), "name": f"Part {n}", "who": f"person{n}"} for n in range(60)]
    case = lab.begin(data={"items": items}, facts={"meeting": MEETING})
    tasks = lab.tasks(case, "ask")
    counts = [complete(lab, t.id, f"person{t.item}", utfall="ja") for t in tasks]
    first, before_last, last = counts[0], counts[58], counts[59]
    assert len(first) == len(before_last), f"{first}\n\n{before_last}"
    # Longer by a few digits of ids and counts, and by no more.
    assert abs(first.bytes_written - before_last.bytes_written) <= 40
    # Lock, a look at the others, history, job, case, step and task; the last one also moves the case on.
    assert_few(first, 7)
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
    assert_few(counted, 6)


#: Asks for one of the people, and for why unless there are fewer than three of them.
CHOOSING: dict[str, object] = {
    "id": "svar", "type": "default", "components": [
        {"type": "select", "key": "who", "label": "Hvem", "valuesKey": "people"},
        {"type": "textfield", "key": "why", "label": "Hvorfor", "validate": {"required": True}},
    ],
}  # fmt: skip


def test_of_the_people_in_a_form_only_those_chosen_are_looked_up(lab: Lab) -> None:
    ask = model("start>ask ask>then then>end", task("ask", WITH_FORM), task("then"))
    with lab.database.transaction() as session:
        source = deployments.Source(xml=ask, forms={"svar": CHOOSING})
        deployments.deploy(session, lab.community_id, [source], now=lab.clock(), actor_id=None)
    tasks = [lab.task(lab.begin(), "ask").id for _ in range(3)]
    complete(lab, tasks[0], "person0", why="Fordi")  # compiles the model
    assert_few(complete(lab, tasks[1], "person0", why="Fordi"), LEAST)
    with pytest.raises(InvalidAnswers, match="Hvem"):
        complete(lab, tasks[2], "person0", who="nobody\x00", why="Fordi")
    assert_few(complete(lab, tasks[2], "person0", who="person1", why="Fordi"), LEAST + 1)


def test_a_condition_on_all_people_sees_them_all(lab: Lab) -> None:
    who, why = CHOOSING["components"]  # type: ignore[misc]
    form = CHOOSING | {"components": [who, why | {"conditional": {"hide": "=len(people) < 3"}}]}
    with lab.database.transaction() as session:
        source = deployments.Source(xml=model("start>ask ask>end", task("ask", WITH_FORM)), forms={"svar": form})
        deployments.deploy(session, lab.community_id, [source], now=lab.clock(), actor_id=None)
    with pytest.raises(InvalidAnswers, match="Hvorfor"):
        complete(lab, lab.task(lab.begin(), "ask").id, "person0", who="person1")


@pytest.fixture
def approved(lab: Lab) -> int:
    """A task that person1 fills in and person2 approves."""
    ask = task("ask", f'{WITH_FORM} camunda:assignee="person1"', properties={"approver": "person2"})
    lab.deploy(model("start>ask ask>then then>end", ask, task("then")))
    lab.send(lab.task(lab.begin(), "ask").id, "person1", utfall="ja")  # compiles the model
    return int(lab.task(lab.begin(), "ask").id)


def cost(lab: Lab, by: str, act: Callable[[Session, Person], object]) -> Counted:
    """What an act of someone whom the request knows costs."""
    with lab.database.reading() as session:
        actor = lab.person(session, by)
    with counting(lab.database) as counted, lab.database.transaction() as session:
        act(session, actor)
    assert counted.commits == 1
    return counted


def test_what_is_done_before_a_task_is_completed_takes_fewer_statements(lab: Lab, approved: int) -> None:
    now, answers = lab.clock(), {"utfall": "ja"}
    acts: list[tuple[int, str, Callable[[Session, Person], object]]] = [
        # A draft is the lock, history and the rows of case and task; a second one is no history.
        (4, "person1", lambda s, who: user_tasks.save_draft(s, approved, answers, actor=who, now=now)),
        (2, "person1", lambda s, who: user_tasks.save_draft(s, approved, {}, actor=who, now=now)),
        # What tells somebody also asks for the mails.
        (5, "person1", lambda s, who: user_tasks.complete(s, approved, answers, actor=who, now=now)),
        (5, "person2", lambda s, who: user_tasks.send_back(s, approved, actor=who, now=now, note="Mer.")),
        (5, "person1", lambda s, who: user_tasks.complete(s, approved, answers, actor=who, now=now)),
        (8, "person2", lambda s, who: user_tasks.approve(s, approved, actor=who, now=now)),
    ]
    for most, by, act in acts:
        counted = cost(lab, by, act)
        assert len(counted) <= most, str(counted)


def test_taking_a_task_of_a_group_takes_few_statements(lab: Lab) -> None:
    lab.deploy(model("start>ask ask>end", task("ask", WITH_FORM)))
    free = lab.task(lab.begin(), "ask").id
    counted = cost(lab, "person1", lambda s, who: user_tasks.claim(s, free, actor=who, now=lab.clock()))
    assert len(counted) <= 5, str(counted)


def test_starting_a_case_takes_few_statements(lab: Lab) -> None:
    lab.deploy(model("start>ask ask>then then>end", task("ask", WITH_FORM), task("then")))
    lab.begin()

    def start(session: Session, actor: Person) -> None:
        definition = deployments.latest(session, lab.community_id, "prove")
        user = session.get_one(User, actor.id)
        process_instances.start(session, definition, now=lab.clock(), actor=user, title="En sak", owner=user)

    counted = cost(lab, "person0", start)
    # The definition, the starter, whom the roles mean, the case, its community, and then as a completion.
    assert len(counted) <= 11, str(counted)


def test_the_hundredth_send_back_costs_as_much_as_the_first(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>again again>ask ask>enough enough>again enough>end",
            gateway("again"),
            gateway("enough", "end"),
            task("ask", WITH_FORM),
            conditions={"enough>again": "${utfall == 'tilbake'}"},
        )
    )
    case, counts, sizes = lab.begin(), [], []
    asked = select(func.max(UserTask.id)).where(UserTask.instance_id == case)
    with lab.database.reading() as session:
        actor = lab.person(session, "person0")
    for _ in range(100):
        with counting(lab.database) as counted, lab.database.transaction() as session:
            open_task = session.scalars(asked).one() or 0
            done = user_tasks.complete(session, open_task, {"utfall": "tilbake"}, actor=actor, now=lab.clock())
            sizes.append(len(done.instance.state_document or b""))
        counts.append(counted)
    first, last = counts[1], counts[-1]
    assert len(first) == len(last), f"{first}\n\n{last}"
    assert abs(last.bytes_written - first.bytes_written) <= 40
    assert abs(sizes[-1] - sizes[1]) <= 20


def test_a_timer_between_two_steps_takes_few_statements(lab: Lab) -> None:
    lab.deploy(model("start>rest rest>ask ask>end", timer("rest", "${meeting}"), task("ask")))
    lab.begin(facts={"meeting": MEETING})
    case = lab.begin(facts={"meeting": MEETING})
    lab.clock.set(lab.instance(case).wake_at or lab.clock())
    counted = cost(lab, "person0", lambda s, who: process_instances.wake(s, case, now=lab.clock()))
    assert len(counted) <= 6, str(counted)


def test_who_waits_for_a_case_holds_nothing_of_it_and_reads_it_as_it_is_then(lab: Lab) -> None:
    lab.deploy(model("start>ask ask>end", task("ask", WITH_FORM)))
    asked = lab.task(lab.begin(), "ask")
    seen: list[tuple[str, str, str]] = []

    def hold() -> None:
        with lab.database.transaction() as session:
            held = user_tasks.hold(session, asked.id)
            seen.append((held.instance.title, held.step.name, held.task.name))

    with lab.database.transaction() as first:
        process_instances.locked(first, asked.instance_id)
        second = Thread(target=hold)
        second.start()
        while not first.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
            assert second.is_alive(), "nobody waits for the case"
        # Had it taken the step or the task before it waits for the case, these would be refused.
        step = first.scalars(select(Step).where(Step.id == asked.step_id).with_for_update(nowait=True)).one()
        own = first.scalars(select(UserTask).where(UserTask.id == asked.id).with_for_update(nowait=True)).one()
        first.get_one(ProcessInstance, asked.instance_id).title = step.name = own.name = "Nytt navn"
    second.join(timeout=30)
    assert seen == [("Nytt navn",) * 3]


def test_a_list_of_tasks_is_one_statement(lab: Lab) -> None:
    lab.deploy(model("start>ask ask>end", task("ask", WITH_FORM)))
    for _ in range(5):
        lab.begin()
    with lab.database.reading() as session:
        actor = identity.person(session, session.get_one(User, 1))
        with counting(lab.database) as counted:
            rows = session.query(user_tasks.UserTask).where(user_tasks.waits_for(actor)).all()
    assert (len(rows), len(counted)) == (5, 1)
