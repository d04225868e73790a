"""A case in which much can be done at once, and the acts that meet in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import delete

from engine import (
    deployments,
    instance_migration,
    jobs,
    messages,
    outgoing,
    process_instances,
    standing,
    steering,
    surveys,
    user_tasks,
)
from engine.bpmn.execution import Thrown
from engine.model import Job, ProcessInstance
from tests.engine.drawing import closes, gateway, model, several, task
from tests.engine.drawing_events import message, waits_for
from tests.engine.lab import WITH_FORM, Lab
from tests.fakes import START, oslo

MEETING, LATER = date(2026, 6, 10), date(2026, 6, 17)
DEADLINE = oslo(date(2026, 6, 11), 0)
OWNER, FILLER, APPROVER, OTHER = "person0", "person1", "person2", "person3"


def drawn(*, checks: bool) -> bytes:
    """A free task and one after it, beside a survey that closes and a message waited for; the new version checks."""
    flows = "start>fork fork>ask ask>read read>join fork>each each>asked late>asked asked>join fork>hear hear>join "
    return model(
        flows + ("join>check check>then then>end" if checks else "join>then then>end"),
        gateway("fork", kind="parallel"),
        task("ask", WITH_FORM),
        task("read", 'camunda:dueDate="${au}"'),
        task(
            "each", f'{WITH_FORM} camunda:assignee="${{item.who}}" camunda:dueDate="${{meeting}}"', several(),
            {"output": "svar", "approver": "${item.approver}"},
        ),
        closes("late", "each"),
        gateway("asked"),
        waits_for("hear", "message", "svar", correlation="${sak}"),
        gateway("join", kind="parallel"),
        *([task("check")] if checks else []),
        task("then"),
        declared=message("svar"),
        process="mote",
    )  # fmt: skip


def settle(lab: Lab) -> None:
    """The people and both versions of the model."""
    lab.people(4)
    lab.deploy(drawn(checks=False))
    lab.deploy(drawn(checks=True))


def item(key: str, who: str, approver: str = "") -> dict[str, str]:
    """One who is asked."""
    return {"key": key, "name": f"Part {key}", "who": who, "approver": approver}


@dataclass(frozen=True)
class Stage:
    """A case with everything waiting, as every page about it was opened at the same moment."""

    lab: Lab
    case: int
    seen: int
    #: Element, or item of the survey -> its task's id and revision.
    tasks: Mapping[str, tuple[int, int]]
    step: int
    ask_step: int

    def on_task(self, name: str, by: str, act: Callable[..., Any], *given: Any, **more: Any) -> Any:
        """Do something with a task."""
        with self.lab.database.transaction() as session:
            actor = self.lab.person(session, by)
            return act(session, self.tasks[name][0], *given, actor=actor, now=self.lab.clock(), **more)

    def as_seen(self, name: str, by: str, act: Callable[..., Any], *given: Any, **more: Any) -> Any:
        """The same from a page of the owner's, which is older than what another does meanwhile."""
        with self.lab.database.transaction() as session:
            held = user_tasks.hold(session, self.tasks[name][0])
            user_tasks.require_open(held, self.tasks[name][1])
            return act(session, held.task.id, *given, actor=self.lab.person(session, by), now=self.lab.clock(), **more)

    def on_case(self, by: str, act: Callable[..., Any], *given: Any, seen: int | None = None, **more: Any) -> Any:
        """Do something with the whole case."""
        with self.lab.database.transaction() as session:
            held = process_instances.locked(session, self.case)
            process_instances.require_revision(held, seen)
            actor = self.lab.user(session, by)
            return act(session, held, *given, now=self.lab.clock(), actor_id=actor.id, reason="Fordi", **more)


def begin(lab: Lab, number: int) -> Stage:
    """A new case: one of those it asks has filled in and waits for the approver, and a message is on its way."""
    lab.clock.set(START)
    people = [item("a", OWNER), item("b", FILLER, APPROVER), item("c", OTHER)]
    case = lab.begin(
        "mote", data={"items": people, "sak": str(number)}, facts={"meeting": MEETING, "au": MEETING},
        version=1,
    )  # fmt: skip
    submitted = lab.task(case, "each", "b")
    lab.send(submitted.id, FILLER, utfall="ja")
    with lab.database.transaction() as session:
        session.execute(delete(Job))
        thrown = Thrown(kind="message", name="svar", correlation=str(number), payload={})
        messages.send(session, lab.community_id, thrown, now=lab.clock())
    rows = {t.item or t.step.element_id: t for t in lab.tasks(case)}
    return Stage(
        lab, case, lab.instance(case).revision, {name: (t.id, t.revision) for name, t in rows.items()},
        rows["a"].step_id, rows["ask"].step_id,
    )  # fmt: skip


def deliver(stage: Stage) -> bool:
    """The message arrives; answers whether the case received it."""
    jobs.run_one(stage.lab.database, {outgoing.MESSAGE: messages.deliver_message}, stage.lab.clock())
    with stage.lab.database.reading() as session:
        return session.query(Job).filter_by(kind=outgoing.MESSAGE, state="done").count() == 1


def migrate(stage: Stage, by: str) -> Any:
    """Move the case to the new version."""

    def act(session: Any, instance: ProcessInstance, **given: Any) -> Any:
        to = deployments.find_version(session, stage.lab.community_id, "mote", 2)
        return instance_migration.migrate(session, instance, to, **given)

    return stage.on_case(by, act)


def ask_one_more(stage: Stage) -> Any:
    """The owner asks one who was forgotten."""
    with stage.lab.database.transaction() as session:
        actor, new = stage.lab.person(session, OWNER), item("d", OTHER)
        return surveys.add(session, stage.step, new, actor=actor, now=stage.lab.clock(), reason="Glemt")


def skip(stage: Stage) -> Any:
    """The owner goes on without the free task."""
    with stage.lab.database.transaction() as session:
        actor, now = stage.lab.person(session, OWNER), stage.lab.clock()
        return steering.skip(session, stage.ask_step, actor=actor, now=now, reason="Nei", answers={})


def sends(stage: Stage, name: str, by: str, **more: Any) -> Any:
    """Someone sends a task, from a page opened at the same moment as the others'."""
    answers = {"utfall": f"fra {by}"}
    return stage.on_task(name, by, user_tasks.complete, answers, revision=stage.tasks[name][1], **more)


def extend(stage: Stage, day: int) -> Any:
    """The owner gives one party another date."""
    return stage.as_seen("a", OWNER, steering.extend, due_date=date(2026, 6, day), reason="Ferie")


def delegate(stage: Stage) -> Any:
    """The owner hands the free task to somebody."""
    with stage.lab.database.reading() as session:
        to = stage.lab.user(session, OTHER)
    return stage.as_seen("ask", OWNER, user_tasks.delegate, to=to)


def moves(stage: Stage, by: str, **facts: date) -> Any:
    """An owner moves dates from a page that shows the whole case."""
    return stage.on_case(by, process_instances.set_facts, facts, seen=stage.seen)


#: What can be done at once. Answering False says that it came too late, as an error does.
ACTS: Mapping[str, Callable[[Stage], Any]] = {
    "add": ask_one_more,
    "approve": lambda s: s.on_task("b", APPROVER, user_tasks.approve, revision=s.tasks["b"][1]),
    "cancel": lambda s: s.on_case(OWNER, process_instances.cancel),
    "cancel-other": lambda s: s.on_case(OTHER, process_instances.cancel),
    "claim": lambda s: s.on_task("ask", FILLER, user_tasks.claim, revision=s.tasks["ask"][1]),
    "claim-other": lambda s: s.on_task("ask", APPROVER, user_tasks.claim, revision=s.tasks["ask"][1]),
    "complete": lambda s: sends(s, "ask", FILLER),
    "complete-other": lambda s: sends(s, "ask", APPROVER),
    "answer": lambda s: sends(s, "a", OWNER),
    "deadline": lambda s: s.lab.wake(s.case),
    "delegate": delegate,
    "deliver": deliver,
    "draft": lambda s: s.on_task("ask", FILLER, user_tasks.save_draft, {"tekst": "Så langt"}),
    "extend": lambda s: extend(s, 24),
    "extend-other": lambda s: extend(s, 26),
    "migrate": lambda s: migrate(s, OWNER),
    "migrate-other": lambda s: migrate(s, OTHER),
    "move": lambda s: moves(s, OWNER, meeting=LATER),
    "move-same": lambda s: moves(s, OTHER, meeting=date(2026, 6, 18)),
    "move-other": lambda s: moves(s, OTHER, au=LATER),
    "remove": lambda s: s.as_seen("b", OWNER, surveys.remove, reason="Feil"),
    "revise": lambda s: sends(s, "b", FILLER),
    "send-back": lambda s: s.on_task("b", APPROVER, user_tasks.send_back, note="Mer", revision=s.tasks["b"][1]),
    "skip": skip,
    "suspend": lambda s: s.on_case(OWNER, standing.suspend),
}
#: History's word for what each act did, and who did it; None for the clock and what comes from outside.
SAYS: Mapping[str, tuple[str, str | None]] = {
    "add": ("party-added", OWNER), "approve": ("approved", APPROVER), "cancel": ("cancelled", OWNER),
    "cancel-other": ("cancelled", OTHER), "claim": ("claimed", FILLER), "claim-other": ("claimed", APPROVER),
    "complete": ("completed-task", FILLER), "complete-other": ("completed-task", APPROVER),
    "answer": ("completed-task", OWNER), "deadline": ("step-closed", None), "delegate": ("delegated", OWNER),
    "extend": ("extended", OWNER), "extend-other": ("extended", OWNER), "migrate": ("migrated", OWNER),
    "migrate-other": ("migrated", OTHER), "move": ("facts-set", OWNER), "move-same": ("facts-set", OTHER),
    "move-other": ("facts-set", OTHER), "remove": ("party-removed", OWNER), "revise": ("submitted", FILLER),
    "send-back": ("sent-back", APPROVER), "skip": ("skipped", OWNER), "suspend": ("suspended", OWNER),
}  # fmt: skip
