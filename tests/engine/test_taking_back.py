"""Taking back one's own answer while nothing has happened since: the case is as it was, and the words are a draft."""

from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import inspect

from engine import mending, process_instances, standing, steering, taking_back, user_tasks
from engine.errors import NotAllowed, NotOpen
from engine.model import ProcessInstance, UserTask
from tests.concurrency import at_once
from tests.engine.counting import counting
from tests.engine.drawing import closes, gateway, model, several, task, timer
from tests.engine.lab import WITH_FORM, Lab, assert_chain_whole, kinds
from tests.fakes import oslo

MEETING = date(2026, 6, 10)
DUE = 'camunda:dueDate="${meeting}"'
ASK_THEN = model("start>ask ask>then then>end", task("ask", f"{WITH_FORM} {DUE}"), task("then", f"{WITH_FORM} {DUE}"))
SURVEY = model(
    "start>ask ask>then shut>then then>end",
    task("ask", f'{WITH_FORM} {DUE} camunda:assignee="${{item.who}}"', several()),
    closes("shut", "ask"),
    task("then", WITH_FORM),
)
APPROVED = model(
    "start>ask ask>then then>end",
    task("ask", f'{WITH_FORM} camunda:assignee="person1"', properties={"approver": "person2"}),
    task("then", WITH_FORM),
)
FACTS = {"meeting": MEETING}


def asked(count: int) -> dict[str, Any]:
    items = [{"key": str(n), "name": f"Part {n}", "who": f"person{n}"} for n in range(count)]
    return {"data": {"items": items}, "facts": FACTS}


def take_back(lab: Lab, task_id: int, by: str, reason: str = "") -> UserTask:
    with lab.database.transaction() as session:
        return taking_back.take_back(session, task_id, actor=lab.person(session, by), now=lab.clock(), reason=reason)


def refused(lab: Lab, task_id: int, by: str) -> Any:
    with pytest.raises((NotOpen, NotAllowed)) as error:
        take_back(lab, task_id, by)
    return error.value.data["reason"]


def test_an_answer_that_moved_the_case_is_taken_back_with_its_whole_effect(lab: Lab) -> None:
    lab.deploy(ASK_THEN)
    case = lab.begin(facts=FACTS)
    ask = lab.task(case, "ask").id
    lab.send(ask, "person1", tekst="For tidlig", utfall="ja")
    take_back(lab, ask, "person1", reason="Feil fil")
    again = lab.task(case, "ask")
    assert (again.id, again.state, again.answers, again.draft) == (
        ask, "open", None, {"tekst": "For tidlig", "utfall": "ja"},
    )  # fmt: skip
    assert (again.completed_at, again.completed_by_id) == (None, None)
    assert [(s.element_id, s.state, s.completed) for s in lab.steps(case)] == [
        ("ask", "open", 0), ("then", "withdrawn", 0),
    ]  # fmt: skip
    lab.send(ask, "person1", tekst="Riktig")
    assert [(s.element_id, s.round, s.state) for s in lab.steps(case)] == [
        ("ask", 1, "completed"), ("then", 1, "withdrawn"), ("then", 2, "open"),
    ]  # fmt: skip
    assert "taken-back" in kinds(lab, case)
    assert_chain_whole(lab, case)


def test_taking_back_twice_is_taking_back_once(lab: Lab) -> None:
    lab.deploy(ASK_THEN)
    case = lab.begin(facts=FACTS)
    ask = lab.task(case, "ask").id
    lab.send(ask, "person1")
    results = at_once([partial(take_back, lab, ask, "person1")] * 3)
    assert [r for r in results if isinstance(r, Exception)] == []
    assert kinds(lab, case).count("taken-back") == 1


def test_an_answer_that_only_counted_is_uncounted(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(**asked(3))
    first, second, _third = lab.tasks(case, "ask")
    lab.send(first.id, "person0", tekst="ja")
    lab.send(second.id, "person1")
    take_back(lab, first.id, "person0")
    (step,) = lab.steps(case)
    assert (step.state, step.completed) == ("open", 1)
    assert lab.task(case, "ask", "0").draft == {"tekst": "ja"}


def test_the_last_answer_of_a_survey_opens_the_step_again_and_the_earlier_ones_stand(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(**asked(2))
    first, last = lab.tasks(case, "ask")
    lab.send(first.id, "person0")
    lab.send(last.id, "person1")
    assert refused(lab, first.id, "person0") == "step-over"
    take_back(lab, last.id, "person1")
    (ask, _then) = lab.steps(case)
    assert (ask.state, ask.completed, lab.instance(case).wake_at) == ("open", 1, oslo(date(2026, 6, 11), 0))
    take_back(lab, first.id, "person0")
    assert lab.steps(case)[0].completed == 0


def test_those_whom_a_completion_condition_left_out_are_asked_again(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>ask ask>then then>end",
            task(
                "ask", f'{WITH_FORM} camunda:assignee="${{item.who}}"',
                several(condition="${nrOfCompletedInstances &gt;= 1}"), {"approver": "person2"},
            ),
            task("then"),
        )
    )  # fmt: skip
    case = lab.begin(**asked(3))
    tasks = lab.tasks(case, "ask")
    lab.send(tasks[0].id, "person0")  # waits for its approver
    lab.send(tasks[2].id, "person2")
    assert [t.state for t in lab.tasks(case, "ask", states=("withdrawn", "completed"))] == [
        "withdrawn", "withdrawn", "completed",
    ]  # fmt: skip
    take_back(lab, tasks[2].id, "person2")
    assert [t.state for t in lab.tasks(case, "ask")] == ["submitted", "open", "open"]
    assert_chain_whole(lab, case)


def test_an_approval_is_taken_back_by_the_approver_and_waits_for_them_again(lab: Lab) -> None:
    lab.deploy(APPROVED)
    case = lab.begin()
    ask = lab.task(case, "ask").id
    lab.send(ask, "person1", tekst="Svaret")
    with lab.database.transaction() as session:
        user_tasks.approve(session, ask, actor=lab.person(session, "person2"), now=lab.clock())
    assert refused(lab, ask, "person1") == "not-yours"
    take_back(lab, ask, "person2")
    again = lab.task(case, "ask")
    assert (again.state, again.answers) == ("submitted", {"tekst": "Svaret"})
    with lab.database.transaction() as session:
        user_tasks.approve(session, ask, actor=lab.person(session, "person2"), now=lab.clock())
    assert lab.waiting(case) == ["then"]


def test_dates_that_the_answer_set_are_as_before(lab: Lab) -> None:
    lab.deploy(ASK_THEN)
    case = lab.begin(facts=FACTS)
    ask = lab.task(case, "ask").id
    lab.send(ask, "person1", dato="2026-09-10")
    assert lab.task(case, "then").due_date == date(2026, 9, 10)
    take_back(lab, ask, "person1")
    assert lab.instance(case).facts == {"meeting": "2026-06-10"}
    assert lab.task(case, "ask").due_date == MEETING


def test_the_answer_that_ended_the_case_is_taken_back(lab: Lab) -> None:
    lab.deploy(model("start>ask ask>end", task("ask", WITH_FORM)))
    case = lab.begin()
    ask = lab.task(case, "ask").id
    lab.send(ask, "person1")
    assert lab.instance(case).state == "completed"
    take_back(lab, ask, "person1")
    assert (lab.instance(case).state, lab.instance(case).ended_at, lab.waiting(case)) == ("active", None, ["ask"])


def test_an_incident_that_followed_goes_with_the_answer(lab: Lab) -> None:
    lab.deploy(
        model("start>ask ask>then then>end", task("ask", WITH_FORM), task("then", 'camunda:assignee="${utfall}"'))
    )
    case = lab.begin()
    ask = lab.task(case, "ask").id
    lab.send(ask, "person1", utfall="ingen")
    (incident,) = lab.incidents(case)
    lab.clock.advance(minutes=1)
    with lab.database.transaction() as session:
        assert mending.retry_due(session, incident.id, now=lab.clock())
    take_back(lab, ask, "person1")
    assert (lab.incidents(case), lab.instance(case).open_incidents) == ([], 0)
    lab.send(ask, "person1", utfall="person2")
    assert lab.waiting(case) == ["then"]


@pytest.mark.parametrize("act", ["draft", "claim", "answer", "dates"])
def test_after_anything_has_happened_it_is_too_late(lab: Lab, act: str) -> None:
    lab.deploy(ASK_THEN)
    case = lab.begin(facts=FACTS)
    ask = lab.task(case, "ask").id
    lab.send(ask, "person1")
    then = lab.task(case, "then").id
    with lab.database.transaction() as session:
        actor = lab.person(session, "person2")
        if act == "draft":
            user_tasks.save_draft(session, then, {"tekst": "u"}, actor=actor, now=lab.clock())
        elif act == "claim":
            user_tasks.claim(session, then, actor=actor, now=lab.clock())
        elif act == "answer":
            user_tasks.complete(session, then, {}, actor=actor, now=lab.clock())
        else:
            held = process_instances.locked(session, case)
            moved = {"meeting": date(2026, 6, 11)}
            process_instances.set_facts(session, held, moved, now=lab.clock(), actor_id=actor.id)
    assert refused(lab, ask, "person1") == "moved-on"


def test_after_a_timer_has_fired_it_is_too_late(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>ask ask>later later>after after>then then>end", task("ask", WITH_FORM), timer("later", "${meeting}"),
            timer("after", "${in_force}"), task("then"),
        )
    )  # fmt: skip
    case = lab.begin(facts={"meeting": MEETING, "in_force": date(2026, 8, 1)})
    ask = lab.task(case, "ask").id
    lab.send(ask, "person1")
    lab.clock.to(MEETING)
    assert lab.wake(case)  # leaves no step behind, and so no event
    assert refused(lab, ask, "person1") == "moved-on"


def test_in_turn_it_is_too_late_when_the_next_has_begun(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>ask ask>end", task("ask", f'{WITH_FORM} camunda:assignee="${{item.who}}"', several(sequential=True))
        )
    )
    case = lab.begin(**asked(2))
    (first,) = lab.tasks(case)
    lab.send(first.id, "person0")
    take_back(lab, first.id, "person0")
    assert [t.state for t in lab.tasks(case, states=("open", "pending"))] == ["open", "pending"]
    lab.send(first.id, "person0")
    (second,) = lab.tasks(case)
    with lab.database.transaction() as session:
        user_tasks.save_draft(session, second.id, {}, actor=lab.person(session, "person1"), now=lab.clock())
    assert refused(lab, first.id, "person0") == "next-begun"


def test_a_suspended_or_cancelled_case_takes_nothing_back(lab: Lab) -> None:
    lab.deploy(ASK_THEN)
    case = lab.begin(facts=FACTS)
    ask = lab.task(case, "ask").id
    lab.send(ask, "person1")
    with lab.database.transaction() as session:
        held = process_instances.locked(session, case)
        standing.suspend(session, held, now=lab.clock(), actor_id=None, reason="Vent")
    assert refused(lab, ask, "person1") == "suspended"
    assert refused(lab, ask, "person2") == "not-yours"


@pytest.mark.parametrize("_round", range(4))
def test_taking_back_against_the_next_answer_exactly_one_wins(lab: Lab, _round: int) -> None:
    lab.deploy(ASK_THEN)
    case = lab.begin(facts=FACTS)
    ask = lab.task(case, "ask").id
    lab.send(ask, "person1")
    then = lab.task(case, "then").id
    back, answer = at_once([partial(take_back, lab, ask, "person1"), partial(lab.send, then, "person2")])
    assert isinstance(back, UserTask) != isinstance(answer, UserTask), (back, answer)
    if isinstance(back, UserTask):
        assert isinstance(answer, NotOpen)
        assert (lab.waiting(case), lab.instance(case).state) == (["ask"], "active")
    else:
        assert isinstance(back, NotOpen)
        assert lab.instance(case).state == "completed"
    assert_chain_whole(lab, case)


def test_what_undoing_needs_is_written_with_the_act_and_read_by_nobody_else(lab: Lab) -> None:
    lab.deploy(ASK_THEN)
    case = lab.begin(facts=FACTS)
    with counting(lab.database) as counted:
        lab.send(lab.task(case, "ask").id, "person1")
    updates = [s for s in counted.statements if s.startswith("UPDATE process_instance")]
    assert len(updates) == 1
    assert "undo_document" in updates[0]
    assert not any("undo" in s for s in counted.statements if s.startswith("SELECT"))
    with lab.database.reading() as session:
        assert "undo" in inspect(session.get_one(ProcessInstance, case)).unloaded


def test_branches_that_an_answer_ended_are_open_again(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>fork fork>a fork>b a>c c>join b>join join>end", gateway("fork", kind="parallel"),
            gateway("join", kind="parallel"), task("a", WITH_FORM), task("b", WITH_FORM), task("c"),
        )
    )  # fmt: skip
    case = lab.begin()
    lab.send(lab.task(case, "b").id, "person2")
    first = lab.task(case, "a").id
    lab.send(first, "person1")
    take_back(lab, first, "person1")
    assert sorted(lab.waiting(case)) == ["a"]
    lab.send(first, "person1")
    lab.send(lab.task(case, "c").id, "person1")
    assert lab.instance(case).state == "completed"


def test_an_answer_that_sent_a_message_is_not_taken_back(lab: Lab) -> None:
    lab.deploy(ASK_THEN)
    case = lab.begin(facts=FACTS)
    ask = lab.task(case, "ask").id
    lab.send(ask, "person1")
    with lab.database.transaction() as session:
        instance = process_instances.locked(session, case)
        instance.undo = {**(instance.undo or {}), "went_out": True}
    assert refused(lab, ask, "person1") == "went-out"
    assert lab.waiting(case) == ["then"]


def test_an_answer_taken_back_after_its_date_has_moved_is_due_on_the_new_one(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>ask ask>end",
            task("ask", f'{WITH_FORM} camunda:assignee="${{item.who}}" camunda:dueDate="${{meeting}}"', several()),
        )
    )
    people = [{"key": str(n), "name": f"Part {n}", "who": f"person{n}"} for n in range(2)]
    case = lab.begin(data={"items": people}, facts={"meeting": date(2026, 6, 10)})
    first = lab.task(case, "ask", "0").id
    lab.send(first, "person0")
    lab.set_facts(case, meeting=date(2026, 6, 17))
    take_back(lab, first, "person0")
    assert {task.due_date for task in lab.tasks(case, "ask")} == {date(2026, 6, 17)}


def test_an_answer_taken_back_that_is_due_before_the_others_closes_at_its_own_date(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(**asked(2))
    first, second = lab.tasks(case, "ask")
    with lab.database.transaction() as session:
        owner = lab.person(session, "person0")
        later = MEETING + timedelta(days=7)
        steering.extend(session, second.id, due_date=later, actor=owner, now=lab.clock(), reason="Ferie")
    wakes = lab.instance(case).wake_at
    lab.send(first.id, "person0")
    # Whatever moves the case meanwhile lets it wake for the other one.
    lab.set_facts(case, other=MEETING)
    assert lab.instance(case).wake_at != wakes
    take_back(lab, first.id, "person0")
    assert lab.instance(case).wake_at == wakes
