"""Service tasks call registered functions once; what fails is tried again, and what the model expects is caught."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import incidents, jobs, mending, process_instances, service_tasks, standing
from engine.model import Group
from engine.service_tasks import BpmnError, Call, Function
from tests.engine.drawing import task
from tests.engine.drawing_events import catches_error, error, model, service
from tests.engine.lab import WITH_FORM, Lab, assert_chain_whole, kinds

MODEL = model(
    "start>do do>then then>end late>other other>end",
    service("do", "regn", a="${tall + 1}"),
    catches_error("late", "do", "tom"),
    task("then", WITH_FORM, properties={"title": "${svar}"}),
    task("other", WITH_FORM),
    declares=error("tom"),
)


def work(lab: Lab, **functions: Function) -> int:
    done = 0
    while jobs.run_one(lab.database, service_tasks.handlers(functions), lab.clock()):
        done += 1
    return done


def double(session: Session, call: Call) -> Mapping[str, Any]:
    return {"svar": f"Dobbelt er {call.inputs['a'] * 2}"}


def broken(session: Session, call: Call) -> Mapping[str, Any]:
    session.add(Group(community_id=call.instance.community_id, key="half", name="Half done"))
    session.flush()
    raise ValueError("the register is away")


def test_a_function_gets_its_inputs_and_answers_variables(lab: Lab) -> None:
    lab.deploy(MODEL)
    case = lab.begin(data={"tall": 3})
    assert lab.waiting(case) == []
    assert work(lab, regn=double) == 1
    assert lab.task(case, "then").name == "Dobbelt er 8"
    assert_chain_whole(lab, case)


def test_a_function_is_asked_for_once_however_often_the_case_is_saved(lab: Lab) -> None:
    lab.deploy(MODEL)
    case = lab.begin(data={"tall": 3})
    lab.set_facts(case)
    lab.set_facts(case)
    assert work(lab, regn=double) == 1


def test_a_function_that_fails_leaves_nothing_and_an_incident_that_is_tried_again(lab: Lab) -> None:
    lab.deploy(MODEL)
    case, other = lab.begin(data={"tall": 3}), lab.begin(data={"tall": 4})
    assert work(lab, regn=lambda s, c: broken(s, c) if c.instance.id == case else double(s, c)) == 2
    (incident,) = lab.incidents(case)
    assert (incident.element_id, incident.data) == ("do", {"a": 4})
    assert "the register is away" in incident.cause
    with lab.database.reading() as session:
        assert session.scalar(select(Group).where(Group.key == "half")) is None
    assert lab.waiting(other) == ["then"]
    lab.clock.advance(minutes=2)
    with lab.database.transaction() as session:
        assert mending.retry_due(session, incident.id, now=lab.clock())
    assert kinds(lab, case)[-1] == "incident-retried", "nobody knows yet whether it goes well"
    assert work(lab, regn=double) == 1
    assert lab.waiting(case) == ["then"]
    assert lab.incidents(case) == []


def test_the_pauses_between_tries_grow_until_only_a_person_can_try(lab: Lab) -> None:
    lab.deploy(MODEL)
    case = lab.begin(data={"tall": 3})
    pauses = []
    for _ in range(len(incidents.PAUSES) + 1):
        work(lab, regn=broken)
        (incident,) = lab.incidents(case)
        if incident.retry_at is None:
            break
        pauses.append(incident.retry_at - lab.clock())
        lab.clock.set(incident.retry_at)
        with lab.database.transaction() as session:
            mending.retry_due(session, incident.id, now=lab.clock())
    assert pauses == list(incidents.PAUSES)
    assert incident.retry_at is None


def test_an_error_that_the_model_expects_is_caught(lab: Lab) -> None:
    def empty(session: Session, call: Call) -> Mapping[str, Any]:
        raise BpmnError("tom", "nothing there")

    lab.deploy(MODEL)
    case = lab.begin(data={"tall": 3})
    work(lab, regn=empty)
    assert lab.waiting(case) == ["other"]
    assert lab.incidents(case) == []


def test_an_error_that_nothing_catches_is_an_incident(lab: Lab) -> None:
    def unexpected(session: Session, call: Call) -> Mapping[str, Any]:
        raise BpmnError("full", "no room")

    lab.deploy(MODEL)
    case = lab.begin(data={"tall": 3})
    work(lab, regn=unexpected)
    (incident,) = lab.incidents(case)
    assert "Nothing catches the error full: no room" in incident.cause


def test_a_function_that_nobody_registered_is_an_incident_that_names_those_there_are(lab: Lab) -> None:
    lab.deploy(MODEL)
    case = lab.begin(data={"tall": 3})
    work(lab, annet=double)
    (incident,) = lab.incidents(case)
    assert "There is no function 'regn'. Known: annet." in incident.cause


def test_a_case_that_was_suspended_meanwhile_asks_again_when_it_is_resumed(lab: Lab) -> None:
    lab.deploy(MODEL)
    case = lab.begin(data={"tall": 3})
    with lab.database.transaction() as session:
        standing.suspend(session, process_instances.locked(session, case), now=lab.clock(), actor_id=None, reason="x")
    work(lab, regn=double)
    assert lab.waiting(case) == []
    with lab.database.transaction() as session:
        standing.resume(session, process_instances.locked(session, case), now=lab.clock(), actor_id=None)
    assert work(lab, regn=double) == 1
    assert lab.waiting(case) == ["then"]


def test_what_a_function_answers_goes_through_the_output_mapping_where_there_is_one(lab: Lab) -> None:
    mapped = service("do", "regn", a="${tall}").replace(
        "</camunda:inputOutput>",
        '<camunda:outputParameter name="tittel">${svar}</camunda:outputParameter></camunda:inputOutput>',
    )
    lab.deploy(model("start>do do>then then>end", mapped, task("then", WITH_FORM, properties={"title": "${tittel}"})))
    case = lab.begin(data={"tall": 1, "svar": "det som var"})
    work(lab, regn=double)
    assert lab.task(case, "then").name == "Dobbelt er 2"


def test_what_a_function_answers_can_be_kept_as_one_variable(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>do do>then then>end",
            service("do", "regn", result="alt", a="${tall}"),
            task("then", WITH_FORM, properties={"title": "${alt.svar}"}),
        )
    )
    case = lab.begin(data={"tall": 1})
    work(lab, regn=double)
    assert lab.task(case, "then").name == "Dobbelt er 2"
