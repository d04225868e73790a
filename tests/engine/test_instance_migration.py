"""A running case is moved to another version as its people would expect, or refused with the reason; and moved back."""

from collections.abc import Mapping
from datetime import date, timedelta

import pytest

from engine import deployments, instance_migration, mending, process_instances
from engine.errors import InvalidInput, NotOpen
from engine.instance_migration import MigrationRefused, Trial
from engine.model import InstanceMigration, ProcessInstance
from tests.engine.drawing import call, closes, gateway, model, several, sub_process, task, timer
from tests.engine.lab import WITH_FORM, Lab, assert_chain_whole, events, kinds

DUE = 'camunda:dueDate="${meeting}"'
MEETING = date(2026, 6, 10)


def attempt(lab: Lab, case: int, mapping: Mapping[str, str] | None = None) -> Trial:
    with lab.database.reading() as session:
        to = deployments.latest(session, lab.community_id, "prove").id
    return instance_migration.attempt(lab.database, case, to, now=lab.clock(), mapping=mapping)


def migrate(
    lab: Lab, case: int, mapping: Mapping[str, str] | None = None, reason: str = "Ny versjon"
) -> InstanceMigration:
    with lab.database.transaction() as session:
        instance = process_instances.locked(session, case)
        to = deployments.latest(session, lab.community_id, "prove")
        actor = lab.user(session, "person0")
        return instance_migration.migrate(
            session, instance, to, now=lab.clock(), actor_id=actor.id, reason=reason, mapping=mapping
        )


def revert(lab: Lab, case: int) -> None:
    with lab.database.transaction() as session:
        instance = process_instances.locked(session, case)
        made = instance_migration.latest(session, instance)
        assert made is not None
        instance_migration.revert(session, instance, made, now=lab.clock(), actor_id=None, reason="Angret")


def version(lab: Lab, case: int) -> int:
    with lab.database.reading() as session:
        return session.get_one(ProcessInstance, case).definition.version


ONE = model("start>ask ask>end", task("ask", WITH_FORM))


def test_a_step_inserted_after_the_current_one_is_reached(lab: Lab) -> None:
    lab.deploy(ONE)
    case = lab.begin()
    lab.deploy(model("start>ask ask>check check>end", task("ask", WITH_FORM), task("check", WITH_FORM)))
    migrate(lab, case)
    lab.send(lab.task(case, "ask").id, "person1")
    assert lab.waiting(case) == ["check"]
    assert_chain_whole(lab, case)


def test_the_task_that_waits_stays_the_same_task_with_its_draft_and_new_texts(lab: Lab) -> None:
    lab.deploy(ONE)
    case = lab.begin(facts={"meeting": MEETING})
    before = lab.task(case, "ask")
    changed = model("start>ask ask>end", task("ask", f"{WITH_FORM} {DUE}"))
    lab.deploy(changed.replace(b'name="ask"', b'name="Svar"'))
    trial = attempt(lab, case)
    assert trial.problems == () and trial.after is not None
    assert [t.due_date for t in trial.before.tasks.values()] == [None]
    assert [(t.name, t.due_date) for t in trial.after.tasks.values()] == [("Svar", MEETING)]
    assert lab.task(case, "ask").due_date is None, "a trial keeps nothing"
    migrate(lab, case)
    after = lab.task(case, "ask")
    assert (after.public_id, after.name, after.due_date) == (before.public_id, "Svar", MEETING)


def test_a_token_that_was_moved_to_a_join_waits_there_in_the_new_version_too(lab: Lab) -> None:
    def forked(flows: str, *added: str) -> bytes:
        nodes = [gateway("fork", kind="parallel"), gateway("join", kind="parallel"), task("a"), task("b"), *added]
        return model(f"start>fork fork>a fork>b a>join b>join {flows}", *nodes)

    lab.deploy(forked("join>end"))
    case = lab.begin()
    with lab.database.transaction() as session:
        instance = process_instances.locked(session, case)
        token = next(s.token for s in mending.standings(session, instance, now=lab.clock()) if s.element.id == "a")
        mending.move(session, instance, token, "join", now=lab.clock(), actor_id=None, reason="Ferdig")
    lab.deploy(forked("join>last last>end", task("last")))
    migrate(lab, case)
    lab.send(lab.task(case, "b").id, "person1")
    assert lab.waiting(case) == ["last"]


def test_a_current_step_that_is_gone_is_refused_and_nothing_is_changed(lab: Lab) -> None:
    lab.deploy(ONE)
    case = lab.begin()
    lab.deploy(model("start>other other>end", task("other", WITH_FORM)))
    assert [(p.code, p.element_id) for p in attempt(lab, case).problems] == [("element-gone", "ask")]
    with pytest.raises(MigrationRefused, match="ask"):
        migrate(lab, case)
    assert version(lab, case) == 1
    lab.send(lab.task(case, "ask").id, "person1")
    assert kinds(lab, case)[-1] == "completed"


def test_a_mapping_puts_another_element_in_the_place_of_one_that_is_gone(lab: Lab) -> None:
    lab.deploy(ONE)
    case = lab.begin()
    lab.deploy(model("start>other other>then then>end", task("other", WITH_FORM), task("then", WITH_FORM)))
    migrate(lab, case, {"ask": "other"})
    assert lab.waiting(case) == ["other"]
    lab.send(lab.task(case, "other").id, "person1")
    assert lab.waiting(case) == ["then"]
    assert events(lab, case)[-1].kind == "step-opened"


def test_a_boundary_added_to_the_current_step_fires(lab: Lab) -> None:
    lab.deploy(model("start>ask ask>end", task("ask", f"{WITH_FORM} {DUE}")))
    case = lab.begin(facts={"meeting": MEETING})
    lab.deploy(
        model(
            "start>ask ask>end shut>late late>end",
            task("ask", f"{WITH_FORM} {DUE}"),
            closes("shut", "ask"),
            task("late"),
        )
    )
    trial = attempt(lab, case)
    assert [(c.kind, c.element_id) for c in trial.changes] == [("begins", "shut")]
    assert trial.before.wake_at is None and trial.after is not None and trial.after.wake_at is not None
    migrate(lab, case)
    lab.clock.to(MEETING + timedelta(days=1), 8)
    assert lab.wake(case)
    assert lab.waiting(case) == ["late"]


def test_a_boundary_that_is_removed_no_longer_fires(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>ask ask>end shut>late late>end",
            task("ask", f"{WITH_FORM} {DUE}"),
            closes("shut", "ask"),
            task("late"),
        )
    )
    case = lab.begin(facts={"meeting": MEETING})
    lab.deploy(model("start>ask ask>end", task("ask", f"{WITH_FORM} {DUE}")))
    migrate(lab, case)
    lab.clock.to(MEETING + timedelta(days=2))
    assert not lab.wake(case)
    assert lab.waiting(case) == ["ask"]


def test_a_step_after_a_running_survey_is_reached(lab: Lab) -> None:
    survey = task("ask", WITH_FORM, several())
    lab.deploy(model("start>ask ask>end", survey))
    case = lab.begin(data={"items": [{"key": "a", "name": "A"}, {"key": "b", "name": "B"}]})
    lab.send(lab.tasks(case, "ask")[0].id, "person1")
    lab.deploy(model("start>ask ask>sum sum>end", survey, task("sum", WITH_FORM)))
    migrate(lab, case)
    open_rows = [t for t in lab.tasks(case, "ask") if t.state == "open"]
    assert len(open_rows) == 1, "the answer that was given counts"
    lab.send(open_rows[0].id, "person1")
    assert lab.waiting(case) == ["sum"]


def test_a_step_after_a_running_call_and_one_inside_it_are_reached(lab: Lab) -> None:
    inner = model("start>ask ask>end", task("ask", WITH_FORM), process="inner")
    lab.deploy(inner, model("start>c c>end", call("c", "inner")))
    case = lab.begin()
    lab.deploy(
        model("start>ask ask>more more>end", task("ask", WITH_FORM), task("more", WITH_FORM), process="inner"),
        model("start>c c>sum sum>end", call("c", "inner"), task("sum", WITH_FORM)),
    )
    migrate(lab, case)
    for element in ("ask", "more", "sum"):
        assert lab.waiting(case) == [element]
        lab.send(lab.task(case, element).id, "person1")
    assert kinds(lab, case)[-1] == "completed"


def test_a_step_that_the_case_has_gone_past_is_told(lab: Lab) -> None:
    lab.deploy(ONE)
    case = lab.begin()
    lab.deploy(model("start>first first>ask ask>end", task("first", WITH_FORM), task("ask", WITH_FORM)))
    assert attempt(lab, case).passed == ("first",)


def test_a_join_that_would_wait_for_ever_is_refused(lab: Lab) -> None:
    fork, join = gateway("fork", kind="parallel"), gateway("join", kind="parallel")
    two = "start>fork fork>a fork>b a>join b>join join>end"
    lab.deploy(model(two, fork, join, task("a", WITH_FORM), task("b", WITH_FORM)))
    case = lab.begin()
    lab.send(lab.task(case, "a").id, "person1")
    lab.deploy(model(f"{two} fork>c c>join", fork, join, *(task(name, WITH_FORM) for name in ("a", "b", "c"))))
    assert [(p.code, p.element_id) for p in attempt(lab, case).problems] == [("join-starves", "join")]


def test_one_who_is_asked_can_not_become_several(lab: Lab) -> None:
    lab.deploy(ONE)
    case = lab.begin(data={"items": []})
    lab.deploy(model("start>ask ask>end", task("ask", WITH_FORM, several())))
    assert [p.code for p in attempt(lab, case).problems] == ["other-number"]


def test_a_step_that_became_a_timer_or_moved_into_a_sub_process_is_refused(lab: Lab) -> None:
    lab.deploy(ONE)
    case = lab.begin()
    lab.deploy(model("start>ask ask>end", timer("ask", "${meeting}")))
    assert [p.code for p in attempt(lab, case).problems] == ["other-kind"]
    lab.deploy(model("start>s s>end", sub_process("s", "ask")))
    assert [p.code for p in attempt(lab, case).problems] == ["other-scope"]


def test_a_waiting_timer_follows_the_new_version(lab: Lab) -> None:
    lab.deploy(model("start>wait wait>ask ask>end", timer("wait", "${meeting}"), task("ask", WITH_FORM)))
    case = lab.begin(facts={"meeting": MEETING})
    lab.deploy(
        model("start>wait wait>ask ask>end", timer("wait", "${days_before(meeting, 5)}"), task("ask", WITH_FORM))
    )
    trial = attempt(lab, case)
    assert trial.after is not None and trial.before.wake_at is not None and trial.after.wake_at is not None
    assert trial.before.wake_at - trial.after.wake_at == timedelta(days=5)


def test_a_migration_is_reverted_as_if_it_had_not_been(lab: Lab) -> None:
    lab.deploy(ONE)
    case = lab.begin(facts={"meeting": MEETING})
    before = lab.task(case, "ask")
    lab.deploy(model("start>ask ask>check check>end", task("ask", f"{WITH_FORM} {DUE}"), task("check", WITH_FORM)))
    migrate(lab, case)
    revert(lab, case)
    after = lab.task(case, "ask")
    assert version(lab, case) == 1
    assert (after.public_id, after.due_date, after.name) == (before.public_id, None, before.name)
    lab.send(after.id, "person1")
    assert kinds(lab, case)[-1] == "completed"
    assert_chain_whole(lab, case)


def test_a_migration_is_not_reverted_once_something_has_happened(lab: Lab) -> None:
    lab.deploy(ONE)
    case = lab.begin()
    lab.deploy(model("start>ask ask>check check>end", task("ask", WITH_FORM), task("check", WITH_FORM)))
    migrate(lab, case)
    lab.send(lab.task(case, "ask").id, "person1")
    with pytest.raises(NotOpen, match="happened"):
        revert(lab, case)
    assert lab.waiting(case) == ["check"]


def test_migrating_needs_a_reason_and_another_version(lab: Lab) -> None:
    lab.deploy(ONE)
    case = lab.begin()
    with pytest.raises(InvalidInput, match="already runs"):
        migrate(lab, case)
    lab.deploy(model("start>ask ask>check check>end", task("ask", WITH_FORM), task("check", WITH_FORM)))
    with pytest.raises(InvalidInput, match="reason"):
        migrate(lab, case, reason=" ")
    assert version(lab, case) == 1


def test_other_cases_stay_on_their_version(lab: Lab) -> None:
    lab.deploy(ONE)
    moved, left = lab.begin(), lab.begin()
    (second,) = lab.deploy(model("start>ask ask>check check>end", task("ask", WITH_FORM), task("check", WITH_FORM)))
    migrate(lab, moved)
    assert (version(lab, moved), version(lab, left)) == (2, 1)
    with lab.database.reading() as session:
        assert [i.id for i in instance_migration.running(session, second)] == [left]
