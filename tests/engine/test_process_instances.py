"""Cases: started once, pinned to their versions, moved by dates, ended for good."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select

from engine import identity, process_instances, user_tasks
from engine.errors import InvalidInput, NotOpen, Stale
from engine.model import ProcessInstance, Step, UserTask
from tests.engine.drawing import call, closes, gateway, model, several, sub_process, task, timer
from tests.engine.lab import WITH_FORM, Lab, assert_chain_whole, kinds
from tests.fakes import oslo

MEETING = date(2026, 6, 10)
DUE = 'camunda:dueDate="${working_days_before(meeting, 5)}"'
ASK = model("start>ask ask>end", task("ask", DUE))
ASK_THEN = model("start>ask ask>then then>end", task("ask", DUE), task("then"))
SEVERAL = task("ask", f'{WITH_FORM} camunda:dueDate="${{meeting}}"', several(), {"output": "svar"})


def test_a_start_opens_the_first_step_with_its_due_date_for_those_bound_to_the_role(lab: Lab) -> None:
    lab.deploy(ASK)
    case = lab.begin(facts={"meeting": MEETING})
    (ask,) = lab.tasks(case)
    assert ask.candidate_group is not None
    assert (ask.name, ask.candidate_group.key, ask.due_date) == ("ask", "alle", date(2026, 6, 3))
    assert kinds(lab, case) == ["started", "step-opened"]
    with lab.database.reading() as session:
        seen = select(ProcessInstance.id).where(identity.visible_instances(lab.person(session, "person2")))
        assert session.scalars(seen).all() == [case]


def test_a_start_repeated_with_the_same_key_is_one_case(lab: Lab) -> None:
    lab.deploy(ASK)
    first = lab.begin(facts={"meeting": MEETING}, idempotency_key="a")
    assert lab.begin(facts={"meeting": MEETING}, idempotency_key="a") == first
    assert lab.begin(facts={"meeting": MEETING}, idempotency_key="b") != first
    assert kinds(lab, first).count("started") == 1


def test_a_role_can_be_bound_to_one_person(lab: Lab) -> None:
    lab.deploy(ASK)
    case = lab.begin(roles={"alle": {"user": "person1"}}, facts={"meeting": MEETING})
    (ask,) = lab.tasks(case)
    assert ask.assignee is not None
    assert ask.assignee.key == "person1"


def test_a_role_the_process_does_not_have_is_refused_by_name(lab: Lab) -> None:
    lab.deploy(ASK)
    with pytest.raises(InvalidInput, match=r"no role 'ssu'. Its roles: alle"):
        lab.begin(roles={"ssu": {"group": "alle"}})
    with lab.database.reading() as session:
        assert session.scalars(select(ProcessInstance)).all() == []


def test_a_running_case_keeps_its_version_when_a_new_one_is_deployed(lab: Lab) -> None:
    lab.deploy(ASK)
    old = lab.begin(facts={"meeting": MEETING})
    (newer,) = lab.deploy(ASK_THEN)
    assert newer.version == 2
    new = lab.begin(facts={"meeting": MEETING})
    for case in (old, new):
        lab.send(lab.task(case, "ask").id, "person0")
    assert lab.instance(old).state == "completed"
    assert lab.waiting(new) == ["then"]


def test_what_a_process_calls_is_pinned_when_the_case_starts(lab: Lab) -> None:
    parent = model(
        "start>first first>inner inner>end", task("first"), call("inner", "called", meeting="${ssu}"), process="parent"
    )
    lab.deploy(parent, model("start>ask ask>end", task("ask", DUE), process="called"))
    case = lab.begin("parent", facts={"ssu": MEETING})
    lab.deploy(model("start>other other>end", task("other"), process="called"))
    lab.send(lab.task(case, "first").id, "person0")
    (ask,) = lab.tasks(case)
    assert (ask.step.call_path, ask.step.element_id, ask.due_date) == ("inner", "ask", date(2026, 6, 3))
    lab.send(ask.id, "person0")
    assert lab.instance(case).state == "completed"


def test_a_moved_meeting_moves_every_date_that_hangs_on_it(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>fork fork>ask fork>later ask>join later>join join>end",
            gateway("fork", kind="parallel"),
            gateway("join", kind="parallel"),
            task("ask", DUE),
            timer("later", "${first_working_day_of(meeting)}"),
        )
    )
    case = lab.begin(facts={"meeting": MEETING})
    assert lab.instance(case).wake_at == oslo(date(2026, 6, 1), 0)
    lab.set_facts(case, meeting=date(2026, 9, 10))
    (ask,) = lab.tasks(case)
    assert (ask.due_date, ask.due_generation, ask.step.due_date) == (date(2026, 9, 3), 2, date(2026, 9, 3))
    assert lab.instance(case).wake_at == oslo(date(2026, 9, 1), 0)
    assert kinds(lab, case) == ["started", "step-opened", "facts-set"]


def test_a_date_that_nothing_can_be_derived_from_is_refused_and_takes_no_task_from_anybody(lab: Lab) -> None:
    lab.deploy(ASK)
    case = lab.begin(facts={"meeting": MEETING})
    with pytest.raises(InvalidInput, match="due date"):
        lab.set_facts(case, meeting=date(9000, 1, 1))
    (ask,) = lab.tasks(case)
    assert (ask.state, ask.due_date, lab.incidents(case)) == ("open", date(2026, 6, 3), [])


def test_a_fact_set_to_the_same_date_is_no_new_generation(lab: Lab) -> None:
    lab.deploy(ASK)
    case = lab.begin(facts={"meeting": MEETING})
    lab.set_facts(case, meeting=MEETING)
    assert lab.task(case, "ask").due_generation == 1


def test_a_date_that_is_not_known_yet_waits_until_it_is(lab: Lab) -> None:
    lab.deploy(model("start>later later>ask ask>end", timer("later", "${meeting}"), task("ask", DUE)))
    case = lab.begin()
    assert (lab.instance(case).wake_at, lab.waiting(case)) == (None, [])
    lab.set_facts(case, meeting=MEETING)
    lab.clock.to(MEETING, 0)
    assert lab.wake(case)
    assert lab.waiting(case) == ["ask"]


def test_a_due_date_that_is_not_known_yet_appears_with_its_fact(lab: Lab) -> None:
    lab.deploy(ASK)
    case = lab.begin()
    assert lab.task(case, "ask").due_date is None
    lab.set_facts(case, meeting=MEETING)
    assert lab.task(case, "ask").due_date == date(2026, 6, 3)


def test_a_timer_fires_at_its_very_moment_and_not_before(lab: Lab) -> None:
    lab.deploy(model("start>later later>ask ask>end", timer("later", "${meeting}"), task("ask")))
    case = lab.begin(facts={"meeting": MEETING})
    moment = oslo(MEETING, 0)
    assert lab.instance(case).wake_at == moment
    lab.clock.set(moment - timedelta(microseconds=1))
    assert not lab.wake(case)
    lab.clock.set(moment)
    with lab.database.reading() as session:
        due = process_instances.take_due(session, moment)
        assert due is not None
        assert due.id == case
    assert lab.wake(case)
    assert lab.waiting(case) == ["ask"]
    assert not lab.wake(case)


@pytest.mark.parametrize("meeting", [MEETING, date(2026, 10, 24), date(2026, 10, 25), date(2027, 3, 28)])
def test_a_step_closes_at_the_local_midnight_that_ends_its_due_date(lab: Lab, meeting: date) -> None:
    lab.deploy(model("start>ask ask>end shut>end2", SEVERAL, closes("shut", "ask")))
    case = lab.begin(data={"items": [{"key": "a", "group": "alle"}]}, facts={"meeting": meeting})
    midnight = oslo(meeting + timedelta(days=1), 0)
    assert lab.instance(case).wake_at == midnight
    lab.clock.set(midnight - timedelta(microseconds=1))
    assert not lab.wake(case)
    lab.clock.set(midnight)
    assert lab.wake(case)
    (step,) = lab.steps(case)
    assert (step.state, step.ended_at) == ("closed", midnight)
    assert [t.state for t in lab.tasks(case, states=("closed",))] == ["closed"]
    assert lab.instance(case).state == "completed"


def test_the_path_after_a_deadline_sees_how_many_answered(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>ask ask>all shut>enough enough>some enough>none all>end some>end none>end",
            SEVERAL,
            closes("shut", "ask"),
            gateway("enough", "none"),
            task("all"),
            task("some"),
            task("none"),
            conditions={"enough>some": "${svar.completed == 2 and svar.silent == 1 and svar.total == 3}"},
        )
    )
    items = [{"key": k} for k in "abc"]
    case = lab.begin(data={"items": items}, facts={"meeting": MEETING})
    for asked in lab.tasks(case)[:2]:
        lab.send(asked.id, "person0", utfall="ja")
    lab.clock.to(MEETING + timedelta(days=1), 0)
    assert lab.wake(case)
    assert lab.waiting(case) == ["some"]
    assert [t.state for t in lab.tasks(case, "ask", states=("completed", "closed"))] == [
        "completed",
        "completed",
        "closed",
    ]


def test_a_step_that_asks_nobody_is_passed_at_once(lab: Lab) -> None:
    lab.deploy(model("start>ask ask>then then>end", SEVERAL, task("then")))
    case = lab.begin(data={"items": []}, facts={"meeting": MEETING})
    assert [s.element_id for s in lab.steps(case)] == ["then"]


def test_enough_answers_complete_a_step_and_withdraw_the_rest(lab: Lab) -> None:
    ask = task("ask", WITH_FORM, several(condition="${nrOfCompletedInstances &gt;= 2 and nrOfActiveInstances == 1}"))
    lab.deploy(model("start>ask ask>end", ask))
    case = lab.begin(data={"items": [{"key": k} for k in "abc"]})
    first, second, third = lab.tasks(case)
    lab.send(first.id, "person0", utfall="ja")
    assert lab.instance(case).state == "active"
    lab.send(second.id, "person0", utfall="ja")
    assert lab.instance(case).state == "completed"
    assert [t.id for t in lab.tasks(case, states=("withdrawn",))] == [third.id]


def test_a_sequential_step_asks_one_after_the_other(lab: Lab) -> None:
    lab.deploy(model("start>ask ask>end", task("ask", WITH_FORM, several(sequential=True))))
    case = lab.begin(data={"items": [{"key": k} for k in "abc"]})
    for expected in "abc":
        (waiting,) = lab.tasks(case)
        assert waiting.item == expected
        lab.send(waiting.id, "person0", utfall="ja")
    assert lab.instance(case).state == "completed"


def test_each_visit_of_a_loop_is_a_round_of_its_own(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>again again>ask ask>enough enough>again enough>end",
            gateway("again"),
            gateway("enough", "end"),
            task("ask", WITH_FORM),
            conditions={"enough>again": "${utfall == 'tilbake'}"},
        )
    )
    case = lab.begin()
    for utfall in ("tilbake", "tilbake", "ferdig"):
        lab.send(lab.task(case, "ask").id, "person0", utfall=utfall)
    assert [(s.element_id, s.round, s.state) for s in lab.steps(case)] == [("ask", n, "completed") for n in (1, 2, 3)]
    assert lab.instance(case).state == "completed"
    assert_chain_whole(lab, case)


def test_two_that_come_to_one_task_at_once_are_two_rounds_of_it(lab: Lab) -> None:
    nodes = (gateway("fork", kind="parallel"), gateway("a"), gateway("b"), task("ask"))
    lab.deploy(model("start>fork fork>a fork>b a>ask b>ask ask>end", *nodes))
    case = lab.begin()
    assert [(s.element_id, s.round) for s in lab.steps(case, state="open")] == [("ask", 1), ("ask", 2)]
    for asked in lab.tasks(case):
        lab.send(asked.id, "person1")
    assert lab.instance(case).state == "completed"


def test_a_condition_on_something_nobody_has_answered_takes_the_default_flow(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>which which>a which>b a>end b>end",
            gateway("which", "b"),
            task("a"),
            task("b"),
            conditions={"which>a": "${utfall == 'ja'}"},
        )
    )
    assert lab.waiting(lab.begin()) == ["b"]


def test_a_date_in_an_answer_sets_the_fact_under_the_name_it_was_bound_from(lab: Lab) -> None:
    parent = model(
        "start>inner inner>after after>end",
        call("inner", "called", meeting="${ssu}"),
        task("after", 'camunda:dueDate="${ssu}"'),
        process="parent",
    )
    lab.deploy(parent, model("start>ask ask>end", task("ask", f"{WITH_FORM} {DUE}"), process="called"))
    case = lab.begin("parent", facts={"ssu": MEETING})
    lab.send(lab.task(case, "ask").id, "person0", dato="2026-09-10")
    assert lab.instance(case).facts == {"ssu": "2026-09-10"}
    assert lab.task(case, "after").due_date == date(2026, 9, 10)


def test_an_embedded_sub_process_runs_as_drawn(lab: Lab) -> None:
    lab.deploy(model("start>inner inner>then then>end", sub_process("inner", "ask"), task("then")))
    case = lab.begin()
    (ask,) = lab.tasks(case)
    assert (ask.step.call_path, ask.step.element_id) == ("inner", "ask")
    lab.send(ask.id, "person0")
    assert lab.waiting(case) == ["then"]


def test_a_cancelled_case_withdraws_its_tasks_and_takes_no_more_acts(lab: Lab) -> None:
    lab.deploy(ASK)
    case = lab.begin(facts={"meeting": MEETING})
    ask = lab.task(case, "ask").id
    with lab.database.transaction() as session, pytest.raises(InvalidInput, match="Say why"):
        process_instances.cancel(
            session, process_instances.locked(session, case), now=lab.clock(), actor_id=None, reason=" "
        )
    with lab.database.transaction() as session:
        process_instances.cancel(
            session, process_instances.locked(session, case), now=lab.clock(), actor_id=None, reason="Trukket"
        )
    ended = lab.instance(case)
    assert (ended.state, ended.ended_at, ended.wake_at) == ("cancelled", lab.clock(), None)
    assert ended.state_document is not None  # what reopening goes back to
    assert [t.id for t in lab.tasks(case, states=("withdrawn",))] == [ask]
    with pytest.raises(NotOpen):
        lab.send(ask, "person0")
    with pytest.raises(NotOpen, match="cancelled"):
        lab.set_facts(case, meeting=MEETING)
    assert kinds(lab, case)[-2:] == ["step-withdrawn", "cancelled"]


def test_whoever_looked_at_an_older_case_is_told(lab: Lab) -> None:
    lab.deploy(ASK)
    case = lab.begin(facts={"meeting": MEETING})
    seen = lab.instance(case).revision
    process_instances.require_revision(lab.instance(case), seen)
    lab.set_facts(case, meeting=date(2026, 6, 11))
    with pytest.raises(Stale):
        process_instances.require_revision(lab.instance(case), seen)


def test_an_act_that_fails_changes_nothing(lab: Lab) -> None:
    lab.deploy(ASK_THEN)
    case = lab.begin(facts={"meeting": MEETING})
    before = lab.instance(case)

    def act_and_fall() -> None:
        with lab.database.transaction() as session:
            lab_task = session.scalars(select(UserTask)).one()
            user_tasks.complete(session, lab_task.id, {}, actor=lab.person(session, "person0"), now=lab.clock())
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        act_and_fall()
    after = lab.instance(case)
    assert (after.revision, after.history_length, after.state_document) == (
        before.revision,
        before.history_length,
        before.state_document,
    )
    with lab.database.reading() as session:
        assert [s.element_id for s in session.scalars(select(Step))] == ["ask"]
