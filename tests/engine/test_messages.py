"""Messages and signals between cases: received once, by whom they are meant for, and never lost."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import select

from engine import jobs, messages, process_instances, scheduling, standing, starts
from engine.bpmn.execution import Thrown
from engine.errors import InvalidInput
from engine.model import EventSubscription, Job, ProcessInstance
from tests.engine.drawing import task
from tests.engine.drawing_events import message, model, sends, signal, starts_by, waits_for
from tests.engine.lab import WITH_FORM, Lab, assert_chain_whole, events, kinds


def deliver(lab: Lab) -> int:
    """Do the jobs that messages and signals made; answers how many."""
    done = 0
    while jobs.run_one(lab.database, messages.handlers(), lab.clock()):
        done += 1
    return done


def send(lab: Lab, name: str, correlation: str = "", kind: str = "message", **payload: Any) -> None:
    with lab.database.transaction() as session:
        thrown = Thrown(kind=kind, name=name, correlation=correlation, payload=payload)
        messages.send(session, lab.community_id, thrown, now=lab.clock())


def cases(lab: Lab, **where: Any) -> list[ProcessInstance]:
    with lab.database.reading() as session:
        return list(session.scalars(select(ProcessInstance).filter_by(**where).order_by(ProcessInstance.id)))


def subscriptions(lab: Lab) -> list[tuple[str, str, str]]:
    with lab.database.reading() as session:
        rows = session.scalars(select(EventSubscription).order_by(EventSubscription.id))
        return [(row.kind, row.name, row.correlation) for row in rows]


ASKS = model(
    "start>ask ask>hear hear>then then>end",
    task("ask", WITH_FORM),
    waits_for("hear", "message", "svar", correlation="${utfall}"),
    task("then", WITH_FORM),
    declares=message("svar"),
)
ANSWERS = model(
    "start>say say>end",
    sends("say", "message", "svar", correlation="${utfall}", tekst="${tekst}"),
    process="svarer",
    declares=message("svar"),
)


def waiting_for(lab: Lab, whose: str) -> int:
    case = lab.begin()
    lab.send(lab.task(case, "ask").id, "person1", utfall=whose)
    return case


def test_a_message_reaches_the_case_it_is_meant_for_and_no_other(lab: Lab) -> None:
    lab.deploy(ASKS, ANSWERS)
    larvik, horten = waiting_for(lab, "larvik"), waiting_for(lab, "horten")
    assert subscriptions(lab) == [("message", "svar", "larvik"), ("message", "svar", "horten")]
    lab.begin("svarer", data={"utfall": "horten", "tekst": "Ja"})
    assert deliver(lab) == 1
    assert lab.waiting(larvik) == []
    assert lab.waiting(horten) == ["then"]
    assert subscriptions(lab) == [("message", "svar", "larvik")]
    assert kinds(lab, horten)[-2:] == ["message-received", "step-opened"]
    assert_chain_whole(lab, horten)


def test_a_message_that_nobody_waits_for_yet_is_kept_until_somebody_does(lab: Lab) -> None:
    lab.deploy(ASKS, ANSWERS)
    lab.begin("svarer", data={"utfall": "larvik", "tekst": "Ja"})
    deliver(lab)
    case = waiting_for(lab, "larvik")
    assert lab.waiting(case) == []
    lab.clock.advance(minutes=2)
    deliver(lab)
    assert lab.waiting(case) == ["then"]


def test_a_message_from_outside_that_nobody_waits_for_is_refused(lab: Lab) -> None:
    lab.deploy(ASKS)
    waiting_for(lab, "larvik")
    with pytest.raises(InvalidInput, match="Nobody waits for the message 'svar' with correlation 'horten'"):
        send(lab, "svar", "horten")
    send(lab, "svar", "larvik")
    assert deliver(lab) == 1


def test_history_says_who_sent_a_message_from_outside(lab: Lab) -> None:
    lab.deploy(ASKS)
    case = waiting_for(lab, "larvik")
    with lab.database.transaction() as session:
        sender = lab.user(session, "person2").id
        thrown = Thrown(kind="message", name="svar", correlation="larvik", payload={})
        messages.send(session, lab.community_id, thrown, now=lab.clock(), actor_id=sender)
    deliver(lab)
    (received,) = [event for event in events(lab, case) if event.kind == "message-received"]
    assert received.actor_id == sender


def test_a_worker_that_dies_after_the_effect_does_not_repeat_it(lab: Lab) -> None:
    lab.deploy(ASKS)
    case = waiting_for(lab, "larvik")
    send(lab, "svar", "larvik")
    claimed = jobs.claim(lab.database, lab.clock(), (messages.outgoing.MESSAGE,))
    assert claimed is not None
    messages.deliver_message(lab.database, claimed, lab.clock())  # and dies before anything else
    lab.clock.advance(hours=1)
    assert deliver(lab) == 0
    assert lab.waiting(case) == ["then"]


def test_a_worker_whose_lease_ran_out_has_no_effect(lab: Lab) -> None:
    lab.deploy(ASKS)
    waiting_for(lab, "larvik")
    send(lab, "svar", "larvik")
    slow = jobs.claim(lab.database, lab.clock(), (messages.outgoing.MESSAGE,))
    assert slow is not None
    lab.clock.advance(hours=1)
    assert deliver(lab) == 1
    with pytest.raises(messages.NobodyWaits):
        messages.deliver_message(lab.database, slow, lab.clock())


def test_a_suspended_case_gets_its_message_when_it_is_resumed(lab: Lab) -> None:
    lab.deploy(ASKS)
    case = waiting_for(lab, "larvik")
    with lab.database.transaction() as session:
        held = process_instances.locked(session, case)
        standing.suspend(session, held, now=lab.clock(), actor_id=None, reason="Ferie")
    send(lab, "svar", "larvik")
    deliver(lab)
    with lab.database.transaction() as session:
        standing.resume(session, process_instances.locked(session, case), now=lab.clock(), actor_id=None)
    lab.clock.advance(minutes=2)
    deliver(lab)
    assert lab.waiting(case) == ["then"]


def test_a_signal_reaches_everybody_who_waits_once(lab: Lab) -> None:
    hears = model(
        "start>hear hear>then then>end", waits_for("hear", "signal", "stans"), task("then", WITH_FORM),
        declares=signal("stans"),
    )  # fmt: skip
    calls = model("start>say say>end", sends("say", "signal", "stans"), process="roper", declares=signal("stans"))
    lab.deploy(hears, calls)
    first, second = lab.begin(), lab.begin()
    lab.begin("roper")
    late = lab.begin()
    assert deliver(lab) == 2
    assert [lab.waiting(case) for case in (first, second, late)] == [["then"], ["then"], []]


def test_a_message_starts_a_case_of_the_newest_version(lab: Lab) -> None:
    started = model(
        "start>ask ask>end", task("ask", WITH_FORM), start=starts_by("message", "bestilling"),
        declares=message("bestilling"),
    )  # fmt: skip
    lab.deploy(started)
    lab.deploy(started.replace(b'name="ask"', b'name="Ny"'))
    assert subscriptions(lab) == [("message", "bestilling", "")]
    send(lab, "bestilling", "hva som helst", utfall="ja")
    deliver(lab)
    (case,) = cases(lab)
    assert lab.task(case.id, "ask").name == "Ny"


def test_a_timer_starts_a_case_every_time_it_is_due_and_once_after_a_long_pause(lab: Lab) -> None:
    yearly = model("start>ask ask>end", task("ask", WITH_FORM), start=starts_by("timer", "R/P1D"))
    lab.deploy(yearly)
    assert cases(lab) == []

    def tick() -> int:
        scheduling.drain(lab.database, {}, (), lab.clock())
        assert scheduling.drain(lab.database, {}, (), lab.clock()) == 0, "started twice"
        return len(cases(lab))

    assert tick() == 0
    lab.clock.advance(hours=25)
    assert tick() == 1
    lab.clock.advance(days=10)
    assert tick() == 2


def test_a_timer_that_can_not_start_its_case_is_tried_again_after_a_pause_and_holds_nobody_up(lab: Lab) -> None:
    yearly = model("start>ask ask>end", task("ask", WITH_FORM), start=starts_by("timer", "R/P1D"))
    lab.deploy(yearly.replace(b"<bpmn:process ", b'<bpmn:process camunda:candidateStarterGroups="ingen" ', 1))
    lab.deploy(yearly.replace(b'id="prove"', b'id="annen"'))
    lab.clock.advance(hours=25)
    scheduling.drain(lab.database, {}, (), lab.clock())
    assert [case.title for case in cases(lab)] == ["prove"]
    with lab.database.reading() as session:
        assert starts.take_due(session, lab.clock()) is None
        assert starts.take_due(session, lab.clock() + starts.PAUSE) is not None


def test_undelivered_messages_are_seen_as_jobs(lab: Lab) -> None:
    lab.deploy(ANSWERS)
    lab.begin("svarer", data={"utfall": "larvik", "tekst": "Ja"})
    deliver(lab)
    with lab.database.reading() as session:
        (job,) = session.scalars(select(Job).where(Job.kind == messages.outgoing.MESSAGE))
        held: Mapping[str, Any] = job.payload
    assert held["payload"] == {"tekst": "Ja"}
    assert "Nobody waits" in str(job.last_error)


def test_two_pools_of_one_file_send_each_other_messages(lab: Lab) -> None:
    first = model(
        "start>say say>hear hear>then then>end",
        sends("say", "message", "bestilling", nummer="${utfall}"),
        waits_for("hear", "message", "kvittering", correlation="${utfall}"),
        task("then", WITH_FORM),
        process="kunde",
        declares=message("bestilling") + message("kvittering"),
    ).decode()
    second = model(
        "start>pack pack>answer answer>end",
        task("pack", f'{WITH_FORM} camunda:candidateGroups="alle"'),
        sends("answer", "message", "kvittering", correlation="${nummer}"),
        start=starts_by("message", "bestilling"),
        process="lager",
    ).decode()
    other = second[second.index("<bpmn:process ") : second.index("</bpmn:definitions>")]
    # Ids are unique in a file.
    for name in ("start", "end", "lanes", 'alle" name="Alle', "start_pack", "pack_answer", "answer_end"):
        other = other.replace(f'"{name}"', f'"l_{name}"')
    other = other.replace('Ref="start"', 'Ref="l_start"').replace('Ref="end"', 'Ref="l_end"')
    pools = (
        '<bpmn:collaboration id="c"><bpmn:participant id="p1" processRef="kunde"/>'
        '<bpmn:participant id="p2" processRef="lager"/></bpmn:collaboration>'
    )
    both = first.replace("<bpmn:process ", pools + "<bpmn:process ", 1).replace(
        "</bpmn:definitions>", other + "</bpmn:definitions>"
    )
    customer, store = lab.deploy(both.encode())
    assert (customer.key, store.key) == ("kunde", "lager")
    case = lab.begin("kunde", data={"utfall": "17"})
    deliver(lab)
    with lab.database.reading() as session:
        packing = session.scalars(select(ProcessInstance).where(ProcessInstance.definition_id == store.id)).one()
    assert lab.waiting(case) == []
    lab.send(lab.task(packing.id, "pack").id, "person1")
    deliver(lab)
    assert lab.waiting(case) == ["then"]
