"""What an owner does with a whole case and with those it asks: suspend, resume, reopen, ask one more, ask one fewer."""

from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Any

import pytest

from engine import process_instances, scheduling, standing, surveys
from engine.errors import InvalidInput, NotAllowed, NotOpen
from engine.model import ProcessInstance, UserTask
from tests.concurrency import at_once
from tests.engine.drawing import closes, gateway, model, several, task, timer
from tests.engine.lab import WITH_FORM, Lab, assert_chain_whole, events, kinds
from tests.fakes import oslo

MEETING = date(2026, 6, 10)
DUE = 'camunda:dueDate="${meeting}"'
ASK_THEN = model("start>ask ask>then then>end", task("ask", WITH_FORM), task("then", WITH_FORM))
SURVEY = model(
    "start>ask ask>then shut>then then>again again>ask again>end",
    task("ask", f'{WITH_FORM} {DUE} camunda:assignee="${{item.who}}"', several(), {"output": "svar"}),
    closes("shut", "ask"),
    task("then", WITH_FORM),
    gateway("again", "end"),
    conditions={"again>ask": "${utfall == 'en gang til'}"},
)
IN_TURN = model(
    "start>ask ask>then then>end",
    task("ask", f'{WITH_FORM} camunda:assignee="${{item.who}}"', several(sequential=True)),
    task("then"),
)
HALF = model(
    "start>ask ask>then then>end",
    task(
        "ask",
        f'{WITH_FORM} camunda:assignee="${{item.who}}"',
        several(condition="${nrOfCompletedInstances * 2 &gt;= nrOfInstances}"),
    ),
    task("then"),
)


def item(number: int) -> dict[str, str]:
    return {"key": str(number), "name": f"Part {number}", "who": f"person{number}"}


def asked(*numbers: int) -> dict[str, Any]:
    return {"data": {"items": [item(n) for n in numbers]}, "facts": {"meeting": MEETING}}


def whole(lab: Lab, act: Callable[..., None], case: int, **given: Any) -> None:
    """Do something with the whole case."""
    given = {"actor_id": None, "reason": "Fordi", **given}
    with lab.database.transaction() as session:
        act(session, process_instances.locked(session, case), now=lab.clock(), **given)


suspend, resume, reopen = (partial(whole, act=a) for a in (standing.suspend, standing.resume, standing.reopen))
cancel = partial(whole, act=process_instances.cancel)


def add(lab: Lab, case: int, given: Mapping[str, Any], by: str = "person0", reason: str = "Glemt") -> UserTask:
    (step,) = lab.steps(case, element_id="ask", state="open")
    with lab.database.transaction() as session:
        actor = lab.person(session, by)
        return surveys.add(session, step.id, given, actor=actor, now=lab.clock(), reason=reason)


def remove(lab: Lab, task_id: int, by: str = "person0", reason: str = "Ikke part") -> UserTask:
    with lab.database.transaction() as session:
        return surveys.remove(session, task_id, actor=lab.person(session, by), now=lab.clock(), reason=reason)


def counts(lab: Lab, case: int) -> list[tuple[str, str, int, int]]:
    return [(s.element_id, s.state, s.completed, s.total) for s in lab.steps(case)]


# --- suspend and resume -----------------------------------------------------------------------------------------------


def test_nobody_can_answer_a_suspended_case_and_everybody_can_when_it_is_resumed(lab: Lab) -> None:
    lab.deploy(ASK_THEN)
    case = lab.begin()
    ask = lab.task(case, "ask").id
    suspend(lab, case=case)
    with pytest.raises(NotOpen, match="suspended"):
        lab.send(ask, "person0")
    with pytest.raises(NotOpen, match="suspended"):
        lab.set_facts(case, meeting=MEETING)
    resume(lab, case=case)
    lab.send(ask, "person0")
    assert lab.waiting(case) == ["then"]
    assert [(e.kind, e.note) for e in events(lab, case)][2:4] == [("suspended", "Fordi"), ("resumed", "Fordi")]
    assert_chain_whole(lab, case)


def test_a_timer_that_falls_due_while_the_case_is_suspended_fires_when_it_is_resumed(lab: Lab) -> None:
    lab.deploy(model("start>later later>ask ask>end", timer("later", "${meeting}"), task("ask")))
    case = lab.begin(facts={"meeting": MEETING})
    suspend(lab, case=case)
    lab.clock.to(date(2026, 6, 12))
    assert scheduling.drain(lab.database, {}, (), lab.clock()) == 0
    assert lab.waiting(case) == []
    resume(lab, case=case)
    assert lab.waiting(case) == ["ask"]


def test_rows_that_fell_due_while_the_case_was_suspended_close_when_it_is_resumed(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(**asked(0, 1))
    suspend(lab, case=case)
    lab.clock.to(date(2026, 6, 12))
    resume(lab, case=case)
    assert counts(lab, case) == [("ask", "closed", 0, 2), ("then", "open", 0, 1)]


def test_suspending_and_resuming_twice_is_doing_it_once(lab: Lab) -> None:
    lab.deploy(ASK_THEN)
    case = lab.begin()
    for _ in range(2):
        suspend(lab, case=case)
    for _ in range(2):
        resume(lab, case=case)
    assert [k for k in kinds(lab, case) if k in ("suspended", "resumed")] == ["suspended", "resumed"]


def test_a_reason_is_asked_for_and_an_ended_case_is_not_suspended(lab: Lab) -> None:
    lab.deploy(ASK_THEN)
    case = lab.begin()
    with pytest.raises(InvalidInput, match="Say why"):
        suspend(lab, case=case, reason=" ")
    suspend(lab, case=case)
    cancel(lab, case=case)
    with pytest.raises(NotOpen):
        suspend(lab, case=case)
    with pytest.raises(NotOpen, match="Reopen"):
        resume(lab, case=case)


@pytest.mark.parametrize("_round", range(4))
def test_suspending_against_answering_either_comes_first(lab: Lab, _round: int) -> None:
    lab.deploy(ASK_THEN)
    case = lab.begin()
    ask = lab.task(case, "ask").id
    answer, held = at_once([partial(lab.send, ask, "person1"), partial(suspend, lab, case=case)])
    assert held is None
    assert lab.instance(case).state == "suspended"
    if isinstance(answer, UserTask):
        assert lab.waiting(case) == ["then"]
    else:
        assert isinstance(answer, NotOpen)
        assert lab.waiting(case) == ["ask"]
    assert_chain_whole(lab, case)


# --- reopen -----------------------------------------------------------------------------------------------------------


def test_a_completed_case_is_reopened_where_it_was_before_it_ended(lab: Lab) -> None:
    lab.deploy(ASK_THEN)
    case = lab.begin()
    lab.send(lab.task(case, "ask").id, "person0")
    lab.send(lab.task(case, "then").id, "person0", tekst="Ferdig")
    assert lab.instance(case).state == "completed"
    reopen(lab, case=case)
    again = lab.instance(case)
    assert (again.state, again.ended_at) == ("active", None)
    assert [(s.element_id, s.round, s.state) for s in lab.steps(case)] == [
        ("ask", 1, "completed"), ("then", 1, "completed"), ("then", 2, "open"),
    ]  # fmt: skip
    lab.send(lab.task(case, "then").id, "person0")
    assert lab.instance(case).state == "completed"
    assert kinds(lab, case).count("reopened") == 1
    assert_chain_whole(lab, case)


def test_a_cancelled_case_is_reopened_where_it_stood(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(**asked(0, 1))
    lab.send(lab.task(case, "ask", "0").id, "person0")
    cancel(lab, case=case)
    assert lab.waiting(case) == []
    for _ in range(2):
        reopen(lab, case=case)
    assert [(s.element_id, s.round, s.state, s.total) for s in lab.steps(case)] == [
        ("ask", 1, "withdrawn", 2), ("ask", 2, "open", 2),
    ]  # fmt: skip
    assert lab.instance(case).wake_at == oslo(date(2026, 6, 11), 0)
    lab.clock.to(date(2026, 6, 11), 0)
    assert lab.wake(case)
    assert counts(lab, case)[1:] == [("ask", "closed", 0, 2), ("then", "open", 0, 1)]


def test_dates_that_have_passed_need_a_new_one_when_a_case_is_reopened(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(**asked(0, 1))
    cancel(lab, case=case)
    lab.clock.to(date(2026, 7, 1))
    with pytest.raises(InvalidInput, match="new one") as refused:
        reopen(lab, case=case)
    assert refused.value.data["field"] == "due_date"
    assert lab.instance(case).state == "cancelled"
    reopen(lab, case=case, due_date=date(2026, 7, 15))
    assert {t.due_date for t in lab.tasks(case)} == {date(2026, 7, 15)}
    assert lab.instance(case).wake_at == oslo(date(2026, 7, 16), 0)
    assert lab.waiting(case) == ["ask"]


def test_a_case_that_ended_by_time_would_end_again(lab: Lab) -> None:
    lab.deploy(model("start>later later>end", timer("later", "${meeting}")))
    case = lab.begin(facts={"meeting": MEETING})
    lab.clock.to(MEETING)
    assert lab.wake(case)
    with pytest.raises(InvalidInput, match="end again"):
        reopen(lab, case=case)
    assert lab.instance(case).state == "completed"


def test_a_case_that_never_waited_has_nothing_to_go_back_to(lab: Lab) -> None:
    lab.deploy(model("start>which which>end", gateway("which")))
    with pytest.raises(InvalidInput, match="nothing to go back to"):
        reopen(lab, case=lab.begin())


# --- asking one more --------------------------------------------------------------------------------------------------


def test_one_more_is_asked_with_people_and_due_date_of_its_own(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(**asked(0, 1))
    lab.send(lab.task(case, "ask", "0").id, "person0")
    added = add(lab, case, item(2))
    new = lab.task(case, "ask", "2")
    assert new.id == added.id
    assert new.assignee is not None
    assert (new.assignee.key, new.due_date, new.position, new.item_name) == ("person2", MEETING, 2, "Part 2")
    assert counts(lab, case) == [("ask", "open", 1, 3)]
    lab.send(lab.task(case, "ask", "1").id, "person1")
    lab.send(new.id, "person2")
    assert counts(lab, case) == [("ask", "completed", 3, 3), ("then", "open", 0, 1)]
    event = next(e for e in events(lab, case) if e.kind == "party-added")
    assert (event.note, event.data["item"], event.task_id) == ("Glemt", "2", new.id)
    assert_chain_whole(lab, case)


def test_the_next_round_asks_the_new_one_too(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(**asked(0))
    add(lab, case, item(1))
    for number in (0, 1):
        lab.send(lab.task(case, "ask", str(number)).id, f"person{number}")
    lab.send(lab.task(case, "then").id, "person0", utfall="en gang til")
    assert [t.item for t in lab.tasks(case, "ask")] == ["0", "1"]


def test_asking_the_same_one_twice_asks_once(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(**asked(0))
    results = at_once([partial(add, lab, case, item(1))] * 3)
    assert len({getattr(r, "id", r) for r in results}) == 1, results
    assert counts(lab, case) == [("ask", "open", 0, 2)]
    assert add(lab, case, item(0)).item == "0"
    assert len(lab.tasks(case)) == 2


def test_in_a_step_that_asks_in_turn_the_new_one_comes_last(lab: Lab) -> None:
    lab.deploy(IN_TURN)
    case = lab.begin(**asked(0, 1))
    assert add(lab, case, item(2)).state == "pending"
    for number in range(3):
        lab.send(lab.task(case, "ask").id, f"person{number}")
    assert lab.waiting(case) == ["then"]


@pytest.mark.parametrize(
    ("given", "reason", "says"),
    [({"name": "Uten nøkkel"}, "Glemt", "key"), (item(2), "", "Say why"), (item(77), "Glemt", "no user 'person77'")],
)
def test_what_can_not_be_asked_is_refused_and_changes_nothing(
    lab: Lab, given: dict[str, str], reason: str, says: str
) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(**asked(0))
    with pytest.raises(InvalidInput, match=says):
        add(lab, case, given, reason=reason)
    assert counts(lab, case) == [("ask", "open", 0, 1)]


def test_only_the_owner_adds_and_only_to_a_step_that_asks_several(lab: Lab) -> None:
    lab.deploy(ASK_THEN)
    case = lab.begin()
    with pytest.raises(InvalidInput, match="several"):
        add(lab, case, item(1))
    with pytest.raises(NotAllowed):
        add(lab, case, item(1), by="person1")


# --- asking one fewer -------------------------------------------------------------------------------------------------


def test_one_fewer_is_asked(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(**asked(0, 1, 2))
    gone = lab.task(case, "ask", "1")
    for _ in range(2):
        assert remove(lab, gone.id).state == "withdrawn"
    assert counts(lab, case) == [("ask", "open", 0, 2)]
    with pytest.raises(NotOpen):
        lab.send(gone.id, "person1")
    assert kinds(lab, case).count("party-removed") == 1
    back = add(lab, case, item(1))
    assert (back.id != gone.id, counts(lab, case)) == (True, [("ask", "open", 0, 3)])


def test_removing_the_last_silent_one_ends_the_step(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(**asked(0, 1))
    lab.send(lab.task(case, "ask", "0").id, "person0")
    remove(lab, lab.task(case, "ask", "1").id)
    assert counts(lab, case) == [("ask", "completed", 1, 1), ("then", "open", 0, 1)]
    assert_chain_whole(lab, case)


def test_the_completion_condition_is_looked_at_again_when_one_is_removed(lab: Lab) -> None:
    lab.deploy(HALF)
    case = lab.begin(**asked(0, 1, 2))
    lab.send(lab.task(case, "ask", "0").id, "person0")
    assert lab.waiting(case) == ["ask"]
    remove(lab, lab.task(case, "ask", "2").id)
    assert counts(lab, case) == [("ask", "completed", 1, 2), ("then", "open", 0, 1)]


def test_when_the_one_whose_turn_it_is_is_removed_the_next_is_asked(lab: Lab) -> None:
    lab.deploy(IN_TURN)
    case = lab.begin(**asked(0, 1))
    remove(lab, lab.task(case, "ask").id)
    assert [t.item for t in lab.tasks(case, "ask")] == ["1"]


def test_one_who_has_answered_and_the_only_one_are_not_removed(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(**asked(0, 1))
    answered = lab.task(case, "ask", "0").id
    lab.send(answered, "person0")
    with pytest.raises(NotOpen, match="completed"):
        remove(lab, answered)
    with pytest.raises(NotAllowed):
        remove(lab, lab.task(case, "ask", "1").id, by="person1")
    with pytest.raises(InvalidInput, match="Say why"):
        remove(lab, lab.task(case, "ask", "1").id, reason="")
    alone = lab.begin(**asked(0))
    with pytest.raises(NotOpen, match="Skip"):
        remove(lab, lab.task(alone, "ask").id)


def test_no_act_touches_another_case(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case, other = lab.begin(**asked(0, 1)), lab.begin(**asked(0, 1))

    def state(instance: ProcessInstance) -> tuple[int, int, str]:
        return instance.revision, instance.history_length, instance.state

    before = state(lab.instance(other))
    add(lab, case, item(2))
    remove(lab, lab.task(case, "ask", "1").id)
    suspend(lab, case=case)
    cancel(lab, case=case)
    reopen(lab, case=case)
    assert state(lab.instance(other)) == before
