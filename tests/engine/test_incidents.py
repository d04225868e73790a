"""When something automatic fails, what a person did is kept, and the case stands until it is mended."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select, text

from engine import incidents, mending, process_instances, scheduling, standing
from engine.errors import ElementFailed, NotOpen
from engine.model import Incident, ProcessInstance, UserTask
from tests.concurrency import at_once
from tests.engine.drawing import gateway, model, several, task, timer
from tests.engine.lab import WITH_FORM, Lab, assert_chain_whole, kinds

MEETING = date(2026, 6, 10)
DIVIDES = model(
    "start>ask ask>which which>a which>b a>end b>end",
    task("ask", WITH_FORM),
    gateway("which", "b"),
    task("a"),
    task("b"),
    conditions={"which>a": "${10 / tall &gt; 1}"},
)
ASKS_SOMEONE = model(
    "start>ask ask>then then>end", task("ask", WITH_FORM), task("then", 'camunda:assignee="${utfall}"')
)


def retry(lab: Lab, case: int, position: int = 0) -> bool:
    with lab.database.transaction() as session:
        held = process_instances.locked(session, case)
        incident = incidents.open_incidents(session, held)[position]
        return mending.retry(session, held, incident, now=lab.clock(), actor_id=None)


def drain(lab: Lab, **passed: float) -> int:
    """Let time pass, and the clock turn once."""
    lab.clock.advance(**passed)
    return scheduling.drain(lab.database, {}, (), lab.clock())


def test_a_task_that_waits_is_left_alone_when_another_fails_at_the_same_element(lab: Lab) -> None:
    asks = [task(name, WITH_FORM) for name in ("a", "b")]
    lab.deploy(
        model("start>fork fork>a fork>b a>then b>then then>end", gateway("fork", kind="parallel"), *asks,
              task("then", 'camunda:assignee="${utfall}"'))
    )  # fmt: skip
    case = lab.begin()
    lab.send(lab.task(case, "a").id, "person1", utfall="person1")
    waits = lab.task(case, "then").id
    lab.send(lab.task(case, "b").id, "person1", utfall="person9")
    assert [t.id for t in lab.tasks(case)] == [waits]
    lab.send(waits, "person1")
    with lab.database.transaction() as session:
        held = process_instances.locked(session, case)
        mending.set_variable(session, held, "utfall", "person2", now=lab.clock(), actor_id=None, reason="Skrivefeil")
    assert retry(lab, case)
    lab.send(lab.task(case, "then").id, "person2")
    assert lab.instance(case).state == "completed"


def test_an_answer_is_kept_when_the_gateway_after_it_fails(lab: Lab) -> None:
    lab.deploy(DIVIDES)
    case = lab.begin()
    ask = lab.task(case, "ask").id
    lab.send(ask, "person1", tall=0, tekst="Dette er viktig")
    with lab.database.reading() as session:
        kept = session.get_one(UserTask, ask)
        assert (kept.state, kept.answers) == ("completed", {"tall": 0, "tekst": "Dette er viktig"})
    (incident,) = lab.incidents(case)
    assert (incident.element_id, incident.call_path) == ("which", "")
    assert "zero" in incident.cause.lower()
    stands = lab.instance(case)
    assert (stands.state, stands.open_incidents, lab.waiting(case)) == ("active", 1, [])
    assert kinds(lab, case)[-3:] == ["completed-task", "step-completed", "incident"]
    assert_chain_whole(lab, case)


def test_an_incident_is_retried_once_its_cause_is_mended(lab: Lab) -> None:
    lab.deploy(ASKS_SOMEONE)
    case = lab.begin()
    lab.send(lab.task(case, "ask").id, "person1", utfall="person3")
    (incident,) = lab.incidents(case)
    assert (incident.element_id, incident.cause) == ("then", "There is no user 'person3'.")
    lab.people(4)
    retry(lab, case)
    (then,) = lab.tasks(case)
    assert then.assignee is not None
    assert (then.assignee.key, lab.incidents(case), lab.instance(case).open_incidents) == ("person3", [], 0)
    with lab.database.reading() as session:
        mended = session.scalars(select(Incident)).one()
        assert mended.resolved_at == lab.clock()
    assert_chain_whole(lab, case)


def test_an_incident_whose_cause_remains_stays_open(lab: Lab) -> None:
    lab.deploy(ASKS_SOMEONE)
    case = lab.begin()
    lab.send(lab.task(case, "ask").id, "person1", utfall="person3")
    (first,) = lab.incidents(case)
    assert not retry(lab, case)
    assert [(i.id, i.element_id) for i in lab.incidents(case)] == [(first.id, "then")]
    assert lab.instance(case).open_incidents == 1
    assert kinds(lab, case)[-2:] == ["incident-retried", "incident-again"]
    lab.people(4)
    assert retry(lab, case)
    with lab.database.transaction() as session:
        held = process_instances.locked(session, case)
        resolved = session.get_one(Incident, first.id)
        with pytest.raises(NotOpen, match="already resolved"):
            mending.retry(session, held, resolved, now=lab.clock(), actor_id=None)
    assert_chain_whole(lab, case)


def test_the_engine_tries_again_after_growing_pauses_and_then_leaves_it_to_a_person(lab: Lab) -> None:
    lab.deploy(ASKS_SOMEONE)
    case = lab.begin()
    lab.send(lab.task(case, "ask").id, "person1", utfall="person3")
    pauses = []
    for _ in range(4):
        (incident,) = lab.incidents(case)
        assert incident.retry_at is not None
        pauses.append(incident.retry_at - lab.clock())
        lab.clock.set(incident.retry_at - timedelta(seconds=1))
        assert drain(lab) == 0
        assert drain(lab, seconds=1) == 1
    assert pauses == [timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2)]
    (incident,) = lab.incidents(case)
    assert (incident.attempts, incident.retry_at) == (4, None)
    assert drain(lab, days=30) == 0
    assert kinds(lab, case)[-2:] == ["incident", "incident-stands"]
    assert_chain_whole(lab, case)


def test_a_cause_that_passes_by_itself_needs_nobody(lab: Lab) -> None:
    lab.deploy(ASKS_SOMEONE)
    case, other = lab.begin(), lab.begin()
    lab.send(lab.task(case, "ask").id, "person1", utfall="person3")
    untouched = lab.instance(other).revision
    lab.people(4)
    assert drain(lab, minutes=1) == 1
    assert (lab.waiting(case), lab.incidents(case), lab.instance(case).open_incidents) == (["then"], [], 0)
    with lab.database.reading() as session:
        mended = session.scalars(select(Incident)).one()
        assert (mended.resolution, mended.resolved_by_id, mended.retry_at) == ("retried", None, None)
    assert kinds(lab, case)[-1] == "incident-passed"
    assert lab.instance(other).revision == untouched
    assert_chain_whole(lab, case)


def test_a_retry_that_several_workers_find_happens_once(lab: Lab) -> None:
    lab.deploy(ASKS_SOMEONE)
    case = lab.begin()
    lab.send(lab.task(case, "ask").id, "person1", utfall="person3")
    (incident,) = lab.incidents(case)
    lab.clock.advance(minutes=1)

    def once() -> bool:
        with lab.database.transaction() as session:
            return mending.retry_due(session, incident.id, now=lab.clock())

    assert sorted(map(str, at_once([once] * 4))) == ["False", "False", "False", "True"]
    assert [i.attempts for i in lab.incidents(case)] == [1]


def test_nothing_is_tried_again_in_a_case_that_has_ended_or_is_suspended(lab: Lab) -> None:
    lab.deploy(ASKS_SOMEONE)
    ended, held_up = lab.begin(), lab.begin()
    for case in (ended, held_up):
        lab.send(lab.task(case, "ask").id, "person1", utfall="person3")
    with lab.database.transaction() as session:
        held = process_instances.locked(session, ended)
        process_instances.cancel(session, held, now=lab.clock(), actor_id=None, reason="Trukket")
        held = process_instances.locked(session, held_up)
        standing.suspend(session, held, now=lab.clock(), actor_id=None, reason="Vi venter")
    assert drain(lab, hours=3) == 0
    assert (lab.instance(ended).open_incidents, lab.instance(held_up).open_incidents) == (0, 1)
    with lab.database.reading() as session:
        gone = session.scalars(select(Incident).where(Incident.instance_id == ended)).one()
        assert (gone.resolution, gone.retry_at) == ("gone", None)


def test_a_case_that_fails_at_its_start_stands_there(lab: Lab) -> None:
    lab.deploy(model("start>then then>end", task("then", 'camunda:assignee="nobody"')))
    case = lab.begin()
    assert [(i.element_id, i.cause) for i in lab.incidents(case)] == [("then", "There is no user 'nobody'.")]


def test_a_timer_that_leads_to_a_failure_fires_once(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>later later>then then>end",
            timer("later", "${meeting}"),
            task("then", WITH_FORM, several("${meeting}")),
        )
    )
    case = lab.begin(facts={"meeting": MEETING})
    lab.clock.to(MEETING, 0)
    assert lab.wake(case)
    assert [i.element_id for i in lab.incidents(case)] == ["then"]
    with lab.database.reading() as session:
        assert process_instances.take_due(session, lab.clock() + timedelta(days=1)) is None
    assert not lab.wake(case)


def test_the_other_branch_goes_on_while_one_stands(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>fork fork>ask fork>other ask>which which>a which>join a>join other>join join>end",
            gateway("fork", kind="parallel"),
            gateway("join", kind="parallel"),
            task("ask", WITH_FORM),
            task("other"),
            gateway("which", "join"),
            task("a"),
            conditions={"which>a": "${10 / tall &gt; 1}"},
        )
    )
    case = lab.begin()
    lab.send(lab.task(case, "ask").id, "person1", tall=0)
    assert lab.waiting(case) == ["other"]
    lab.send(lab.task(case, "other").id, "person1")
    assert (lab.instance(case).state, lab.waiting(case), len(lab.incidents(case))) == ("active", [], 1)


def test_a_model_that_runs_for_ever_stands_and_holds_nobody_up(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>ask ask>round round>back round>end back>round",
            task("ask", WITH_FORM),
            gateway("round", "end"),
            gateway("back"),
            conditions={"round>back": "${utfall == 'evig'}"},
        )
    )
    case = lab.begin()
    lab.send(lab.task(case, "ask").id, "person1", utfall="evig")
    (incident,) = lab.incidents(case)
    assert "for ever" in incident.cause


def test_steps_that_ask_nobody_in_a_loop_are_an_incident_too(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>ask ask>round round>none none>again again>round again>end",
            task("ask", WITH_FORM),
            gateway("round"),
            task("none", WITH_FORM, several("${[]}")),
            gateway("again", "end"),
            conditions={"again>round": "${utfall == 'evig'}"},
        )
    )
    case = lab.begin()
    ask = lab.task(case, "ask").id
    try:
        lab.send(ask, "person1", utfall="evig")
    except ElementFailed:
        pytest.fail("the answer was lost")
    with lab.database.reading() as session:
        assert session.get_one(UserTask, ask).state == "completed"
    assert len(lab.incidents(case)) == 1


def test_a_case_that_cannot_be_woken_stands_and_the_others_go_on(lab: Lab) -> None:
    lab.deploy(model("start>later later>ask ask>end", timer("later", "${meeting}"), task("ask")))
    broken, whole = lab.begin(facts={"meeting": MEETING}), lab.begin(facts={"meeting": MEETING})
    with lab.database.transaction() as session:
        state = process_instances.locked(session, broken)
        kept, state.state_document = state.state_document, b"not a document"
    lab.clock.to(MEETING)
    for _ in range(2):
        scheduling.drain(lab.database, {}, (), lab.clock())
    assert [t.step.element_id for t in lab.tasks(whole)] == ["ask"]
    with lab.database.reading() as session:
        [incident] = session.scalars(select(Incident))
        assert (incident.instance_id, incident.resolved_at) == (broken, None)
        assert session.get_one(ProcessInstance, broken).wake_at is None
    # When the cause is mended, a retry goes on where it stood.
    with lab.database.transaction() as session:
        process_instances.locked(session, broken).state_document = kept
    retry(lab, broken)
    assert [t.step.element_id for t in lab.tasks(broken)] == ["ask"]
    assert_chain_whole(lab, broken)


def test_a_case_whose_rows_the_database_refuses_holds_nobody_up(lab: Lab) -> None:
    titled = task("ask", properties={"title": "${tittel}"})
    lab.deploy(
        model("start>later later>ask ask>end", timer("later", "${meeting}"), titled, process="odd"),
        model("start>later later>ask ask>end", timer("later", "${meeting}"), task("ask"), process="plain"),
    )
    too_long = {"tittel": "x" * 400}  # longer than the column that names a step
    odd = lab.begin("odd", data=too_long, facts={"meeting": MEETING})
    plain = lab.begin("plain", facts={"meeting": MEETING})
    lab.clock.to(MEETING)
    scheduling.drain(lab.database, {}, (), lab.clock())
    assert [t.step.element_id for t in lab.tasks(plain)] == ["ask"]
    with lab.database.reading() as session:
        standing = [i.instance_id for i in session.scalars(select(Incident))]
    # SQLite knows no lengths and goes on; PostgreSQL refuses, and the case stands.
    assert standing == ([] if lab.database.is_sqlite else [odd])


def test_what_is_to_be_tried_again_is_found_by_its_index(lab: Lab) -> None:
    with lab.database.reading() as session:
        if not lab.database.is_sqlite:
            session.execute(text("SET enable_seqscan = off"))  # the table is too small to be worth an index
        explain = "EXPLAIN QUERY PLAN" if lab.database.is_sqlite else "EXPLAIN"
        where = "retry_at <= '2026-01-01' AND retry_at IS NOT NULL AND resolved_at IS NULL ORDER BY retry_at LIMIT 100"
        plan = str(session.execute(text(f"{explain} SELECT id FROM incident WHERE {where}")).all())
    assert "ix_incident_retry" in plan
