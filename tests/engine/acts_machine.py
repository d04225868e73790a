"""Everything that can be done to cases, in any order and at once, as a state machine for Hypothesis.

Each rule does one act in a transaction of its own, on a case, task, step or incident that it picks among all there are,
waiting or not. What is refused must have changed nothing; what is true afterwards is checked by `acts_invariants`.

`several_at_once` lets two or three of these acts, and workers, go in the same moment, in threads.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import (
    deployments,
    incidents,
    instance_migration,
    mending,
    messages,
    places,
    process_instances,
    scheduling,
    service_tasks,
    standing,
    steering,
    surveys,
    taking_back,
    user_tasks,
)
from engine.bpmn.execution import Thrown
from engine.errors import EngineError
from engine.model import HistoryEvent, Incident, ProcessInstance, Step, UserTask
from engine.service_tasks import BpmnError, Call
from notifications import delivery
from notifications.settings import NotificationSettings
from tests.concurrency import at_once
from tests.engine import acts_invariants
from tests.engine.acts_models import FIRST, MAPPING, SECOND
from tests.engine.lab import Lab

T = TypeVar("T")
#: Who starts and owns every case.
OWNER = "person0"
PEOPLE = st.sampled_from(["person0", "person1", "person2", "person3"])
#: Picks one of what there is; the first things come first when an example is made small.
PICKS = st.integers(0, 11)
DAYS = st.integers(-3, 9)
CLAIMS = st.sampled_from([user_tasks.claim, user_tasks.release])
STOPS = st.sampled_from(["suspend", "resume", "resume", "reopen", "reopen", "cancel"])
NAMES, OUTCOMES = st.sampled_from(["svar", "svar", "stopp"]), st.sampled_from(["ok", "igjen"])
ANSWERS = st.fixed_dictionaries(
    {"utfall": st.sampled_from(["ok", "ok", "igjen"]), "tall": st.sampled_from([2, 2, 0])},
    optional={"tekst": st.just("Ja"), "dato": DAYS},
)
PROCESSES = ("horing", "kaller", "runder")
#: What may be done at once, by the name of its rule.
AT_ONCE = st.one_of(
    st.tuples(st.just("one_sends"), st.fixed_dictionaries({"pick": PICKS, "answers": ANSWERS})),
    st.tuples(st.just("answer_on_behalf"), st.fixed_dictionaries({"pick": PICKS, "answers": ANSWERS})),
    st.tuples(st.just("draft"), st.fixed_dictionaries({"pick": PICKS, "by": PEOPLE, "answers": ANSWERS})),
    st.tuples(st.just("claim_or_release"), st.fixed_dictionaries({"pick": PICKS, "by": PEOPLE, "does": CLAIMS})),
    st.tuples(st.just("delegate"), st.fixed_dictionaries({"pick": PICKS, "to": PEOPLE})),
    st.tuples(st.just("approve_or_send_back"), st.fixed_dictionaries({"pick": PICKS, "good": st.booleans()})),
    st.tuples(st.just("take_back"), st.fixed_dictionaries({"pick": PICKS})),
    st.tuples(st.just("extend"), st.fixed_dictionaries({"pick": PICKS, "days": DAYS})),
    st.tuples(st.just("ask_one_more"), st.fixed_dictionaries({"pick": PICKS, "number": st.integers(0, 5)})),
    st.tuples(st.just("ask_one_fewer"), st.fixed_dictionaries({"pick": PICKS})),
    st.tuples(st.just("skip_a_step"), st.fixed_dictionaries({"pick": PICKS, "answers": ANSWERS})),
    st.tuples(st.just("move_the_meeting"), st.fixed_dictionaries({"pick": PICKS, "days": DAYS})),
    st.tuples(st.just("stop_or_go_on"), st.fixed_dictionaries({"pick": PICKS, "days": DAYS, "does": STOPS})),
    st.tuples(st.just("send_message"), st.fixed_dictionaries({"name": NAMES, "whose": PICKS, "utfall": OUTCOMES})),
    st.tuples(st.just("wake"), st.fixed_dictionaries({"pick": PICKS})),
    st.tuples(st.just("work"), st.just({})),
)
#: More cases than this at once teach nothing new.
MAX_CASES = 3


def item(number: int) -> dict[str, str]:
    """One who is asked; the second has an approver."""
    return {
        "key": str(number), "name": f"Part {number}", "who": f"person{number % 4}",
        "approver": "person3" if number == 1 else "",
    }  # fmt: skip


def settle(lab: Lab) -> None:
    """Fill a new database: the people, and both versions of the models."""
    lab.people(4)
    lab.deploy(*FIRST)
    lab.deploy(*SECOND)


class Acts(RuleBasedStateMachine):
    """A community that lives for a few weeks."""

    def __init__(self, lab: Lab, close: Callable[[], None], first: str, reached: Counter[str]) -> None:
        super().__init__()
        self.lab = lab
        self.close = close
        #: The process of its first case.
        self.first = first
        #: How often something came about that most lives never see.
        self.reached = reached
        #: While acts are gathered to be done at once: what is to be done, instead of doing it.
        self.gathered: list[Callable[[], Any]] | None = None
        #: Task -> the answer that was accepted and not taken back.
        self.given: dict[int, Mapping[str, Any]] = {}
        #: Has anything been done since all was last checked? And every row, where nothing has since they were read.
        self.changed = True
        self.rows: Mapping[str, Any] | None = None
        #: What the register does when it is asked: answers, fails, or says that there is nothing.
        self.register = "answers"

    def teardown(self) -> None:
        with self.lab.database.reading() as session:
            kinds = session.scalars(select(HistoryEvent.kind)).all()
            in_turn = select(UserTask.id).join(Step).where(Step.element_id == "each", Step.call_path != "")
            turns = session.scalars(in_turn.where(UserTask.position > 0, UserTask.state == "completed")).all()
        for what, times in (("messages received", kinds.count("message-received")), ("later turns", len(turns))):
            self.reached[what] += times
            event(what, min(times, 5))
        self.close()

    @invariant()
    def everything_holds(self) -> None:
        if self.changed:
            acts_invariants.check(self.lab, self.given)
        self.changed = False

    # --- doing one thing ----------------------------------------------------------------------------------------------

    def attempt(self, act: Callable[[Session], T]) -> T | None:
        """Do it in one transaction; None where it is refused, and then nothing has changed."""
        if self.gathered is not None:
            self.gathered.append(partial(self.in_transaction, act))
            return None
        self.rows = self.rows or acts_invariants.dump(self.lab)
        try:
            result = self.in_transaction(act)
        except EngineError:
            assert acts_invariants.dump(self.lab) == self.rows, "what was refused changed something"
            return None
        self.changed, self.rows = True, None
        return result

    def in_transaction(self, act: Callable[[Session], T]) -> T:
        with self.lab.database.transaction() as session:
            return act(session)

    def on_case(self, pick: int, act: Callable[..., T], **given: Any) -> T | None:
        """Do something with a whole case, as the operator."""
        given = {"actor_id": None, "reason": "Fordi", **given}

        def on_held(session: Session) -> T:
            return act(session, process_instances.locked(session, self.case(pick)), now=self.lab.clock(), **given)

        return self.attempt(on_held)

    def on_task(self, task: UserTask | None, by: str, act: Callable[..., UserTask], *given: Any, **more: Any) -> None:
        """Do something with a task, and keep account of what was answered."""
        if task is None:
            return

        def as_person(session: Session) -> UserTask:
            return act(session, task.id, *given, actor=self.lab.person(session, by), now=self.lab.clock(), **more)

        after = self.attempt(as_person)
        if after is not None and after.state == "completed":
            self.given[after.id] = dict(after.answers or {})
        elif after is not None:
            self.given.pop(after.id, None)

    # --- picking ------------------------------------------------------------------------------------------------------

    def case(self, pick: int) -> int:
        with self.lab.database.reading() as session:
            found = session.scalars(select(ProcessInstance.id).order_by(ProcessInstance.id)).all()
        return found[pick % len(found)]

    def cases(self) -> int:
        with self.lab.database.reading() as session:
            return session.query(ProcessInstance).count()

    def picked(self, pick: int, *tables: Any) -> Any:
        """One row of what the query finds, or None."""
        with self.lab.database.reading() as session:
            found = list(session.scalars(*tables))
        return found[pick % len(found)] if found else None

    def task(self, pick: int, states: Sequence[str] = ("open",)) -> UserTask | None:
        """A task in one of these states; seldom any other."""
        query = select(UserTask).order_by(UserTask.id)
        if pick != 11:
            query = query.where(UserTask.state.in_(states))
        return self.picked(pick, query)

    def answers(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Answers whose dates are counted from today."""
        given = dict(drawn)
        if "dato" in given:
            given["dato"] = (self.lab.clock.today + timedelta(days=given["dato"])).isoformat()
        return given

    # --- cases --------------------------------------------------------------------------------------------------------

    @initialize(days=DAYS, asked=st.integers(2, 3))
    def first_case(self, days: int, asked: int) -> None:
        self.start(self.first, 1, days, asked)

    @rule(process=st.sampled_from(PROCESSES), version=st.sampled_from([1, 2]), days=DAYS, asked=st.integers(0, 3))
    def another_case(self, process: str, version: int, days: int, asked: int) -> None:
        self.start(process, version, days, asked)

    def start(self, process: str, version: int, days: int, asked: int) -> None:
        lab, today = self.lab, self.lab.clock.today
        with lab.database.transaction() as session:
            held = session.query(ProcessInstance).count()
            if held >= MAX_CASES:
                return
            self.changed, self.rows = True, None
            owner = lab.user(session, OWNER)
            process_instances.start(
                session, deployments.find_version(session, lab.community_id, process, version), now=lab.clock(),
                actor=owner, title=f"Sak {held}", owner=owner, facts={"meeting": today + timedelta(days=days)},
                data={
                    "items": [item(n) for n in range(1, asked + 1)], "tall": 2, "sak": held, "utfall": "ok",
                    "frist": (today + timedelta(days=4)).isoformat(),
                },
            )  # fmt: skip

    # --- those who are asked ------------------------------------------------------------------------------------------

    @rule(pick=PICKS, count=st.integers(1, 3), answers=ANSWERS)
    def some_answer(self, pick: int, count: int, answers: Mapping[str, Any]) -> None:
        for _ in range(count):
            self.answer(pick, answers)

    @rule(pick=PICKS, answers=ANSWERS)
    def one_answers_and_takes_it_back(self, pick: int, answers: Mapping[str, Any]) -> None:
        self.answer(pick, answers)
        self.everything_holds()
        self.take_back(0)

    @rule(acts=st.integers(4, 8))
    def live_on(self, acts: int) -> None:
        """The way that leads on: who is asked first answers well, what is due is done, and what is awaited comes."""
        for _ in range(acts):
            self.answer(0, {"utfall": "ok", "tall": 2})
            if self.task(0) is None:
                self.send_message("svar", 0, "ok")
            self.do_what_is_due()

    def one_sends(self, pick: int, answers: Mapping[str, Any]) -> None:
        """Whoever has a task sends it."""
        if (task := self.task(pick)) is not None:
            self.on_task(task, self.performer(task), user_tasks.complete, self.answers(answers))

    def answer(self, pick: int, answers: Mapping[str, Any]) -> None:
        """Whoever has a task sends it, and who approves it does."""
        if (task := self.task(pick)) is not None:
            self.on_task(task, self.performer(task), user_tasks.complete, self.answers(answers))
            self.on_task(task, "person3", user_tasks.approve)

    @rule(pick=PICKS, by=PEOPLE, answers=ANSWERS)
    def complete(self, pick: int, by: str, answers: Mapping[str, Any]) -> None:
        self.on_task(self.task(pick), by, user_tasks.complete, self.answers(answers))

    @rule(pick=PICKS, answers=ANSWERS)
    def answer_on_behalf(self, pick: int, answers: Mapping[str, Any]) -> None:
        self.on_task(
            self.task(pick, ("open", "submitted")), OWNER, user_tasks.complete, self.answers(answers), reason="Ringte"
        )

    @rule(pick=PICKS, by=PEOPLE, answers=ANSWERS)
    def draft(self, pick: int, by: str, answers: Mapping[str, Any]) -> None:
        self.on_task(self.task(pick), by, user_tasks.save_draft, self.answers(answers))

    @rule(pick=PICKS, by=PEOPLE, does=CLAIMS)
    def claim_or_release(self, pick: int, by: str, does: Callable[..., UserTask]) -> None:
        self.on_task(self.task(pick), by, does)

    @rule(pick=PICKS, to=PEOPLE)
    def delegate(self, pick: int, to: str) -> None:
        with self.lab.database.reading() as session:
            whom = self.lab.user(session, to)
        self.on_task(self.task(pick), OWNER, user_tasks.delegate, to=whom)

    @rule(pick=PICKS, good=st.booleans())
    def approve_or_send_back(self, pick: int, good: bool) -> None:
        task = self.task(pick, ("submitted",))
        if good:
            self.on_task(task, "person3", user_tasks.approve)
        else:
            self.on_task(task, "person3", user_tasks.send_back, note="Mer")

    @rule(pick=PICKS)
    def take_back(self, pick: int) -> None:
        query = select(UserTask).where(UserTask.state == "completed").order_by(UserTask.completed_at.desc())
        task = self.picked(pick, query.order_by(UserTask.id.desc()))
        if task is not None:
            self.on_task(task, self.key_of(task.completed_by_id), taking_back.take_back)

    def performer(self, task: UserTask) -> str:
        with self.lab.database.reading() as session:
            return self.lab.performer(session, session.get_one(UserTask, task.id)).key

    def key_of(self, user_id: int) -> str:
        return f"person{user_id - 1}"

    # --- the owner ----------------------------------------------------------------------------------------------------

    @rule(pick=PICKS, days=DAYS)
    def extend(self, pick: int, days: int) -> None:
        to = self.lab.clock.today + timedelta(days=days)
        self.on_task(self.task(pick, ("open", "submitted")), OWNER, steering.extend, due_date=to, reason="Ferie")

    @rule(pick=PICKS, answers=ANSWERS)
    def correct(self, pick: int, answers: Mapping[str, Any]) -> None:
        self.on_task(self.task(pick, ("completed",)), OWNER, steering.correct, self.answers(answers), reason="Feil")

    @rule(pick=PICKS, answers=ANSWERS)
    def skip_a_step(self, pick: int, answers: Mapping[str, Any]) -> None:
        step = self.picked(pick, select(Step).where((Step.state == "open") | (pick == 11)).order_by(Step.id))
        if step is not None:
            self.attempt(
                lambda s: steering.skip(
                    s, step.id, actor=self.lab.person(s, OWNER), now=self.lab.clock(), reason="Nei",
                    answers=self.answers(answers),
                )
            )  # fmt: skip

    @rule(pick=PICKS, number=st.integers(0, 5))
    def ask_one_more(self, pick: int, number: int) -> None:
        several = Step.element_id.in_(("ask", "each"))
        step = self.picked(pick, select(Step).where(Step.state == "open", several).order_by(Step.id))
        if step is not None:
            self.attempt(
                lambda s: surveys.add(
                    s, step.id, item(number), actor=self.lab.person(s, OWNER), now=self.lab.clock(), reason="Glemt"
                )
            )

    @rule(pick=PICKS)
    def ask_one_fewer(self, pick: int) -> None:
        several = UserTask.item.is_not(None) & UserTask.state.in_(("open", "submitted", "pending"))
        task = self.picked(pick, select(UserTask).where(several).order_by(UserTask.id))
        self.on_task(task, OWNER, surveys.remove, reason="Feil")

    @rule(pick=PICKS, days=DAYS)
    def move_the_meeting(self, pick: int, days: int) -> None:
        day = self.lab.clock.today + timedelta(days=days)

        def act(session: Session, instance: ProcessInstance, **given: Any) -> None:
            process_instances.set_facts(session, instance, {"meeting": day}, **given)

        self.on_case(pick, act)

    @rule(pick=PICKS, days=DAYS, does=STOPS)
    def stop_or_go_on(self, pick: int, days: int, does: str) -> None:
        if does == "reopen":
            self.on_case(pick, standing.reopen, due_date=self.lab.clock.today + timedelta(days=days))
        else:
            acts = {"suspend": standing.suspend, "resume": standing.resume, "cancel": process_instances.cancel}
            self.on_case(pick, acts[does])

    # --- mending ------------------------------------------------------------------------------------------------------

    @rule(pick=PICKS, name=st.sampled_from(["tall", "utfall", "frist", "items"]), value=st.integers(0, 4), deep=PICKS)
    def set_variable(self, pick: int, name: str, value: int, deep: int) -> None:
        day = (self.lab.clock.today + timedelta(days=value)).isoformat()
        values = {
            "tall": value, "utfall": "igjen" if value else None, "frist": day if value else 7,
            "items": [item(n) for n in range(value)],
        }  # fmt: skip

        def act(session: Session, instance: ProcessInstance, **given: Any) -> None:
            paths = ["", *sorted({s.call_path for s in mending.standings(session, instance, now=self.lab.clock())})]
            path = paths[deep % len(paths)]
            mending.set_variable(session, instance, name, values[name], call_path=path, **given)

        self.on_case(pick, act)

    @rule(pick=PICKS, way=PICKS, skips=st.booleans())
    def retry_or_skip_an_element(self, pick: int, way: int, skips: bool) -> None:
        def skip(session: Session, instance: ProcessInstance, incident: Incident, **given: Any) -> None:
            flows = mending.choices(session, instance, incident)
            flow = flows[way % len(flows)].id if flows else None
            mending.skip(session, instance, incident, flow=flow, **given)

        self.on_incident(pick, skip if skips else mending.retry)

    def on_incident(self, pick: int, act: Callable[..., Any]) -> None:
        found = self.picked(pick, select(Incident).where(Incident.resolved_at.is_(None)).order_by(Incident.id))
        if found is None:
            return

        def on_held(session: Session) -> None:
            instance = process_instances.locked(session, found.instance_id)
            incident = incidents.find(session, instance, found.public_id)
            act(session, instance, incident, now=self.lab.clock(), actor_id=None, reason="Fordi")

        self.attempt(on_held)

    @rule(pick=PICKS, which=PICKS, to=st.integers(0, 20))
    def move_a_token(self, pick: int, which: int, to: int) -> None:
        def act(session: Session, instance: ProcessInstance, **given: Any) -> None:
            if instance.state_document is None:
                return
            found = mending.standings(session, instance, now=self.lab.clock())
            if not found:
                return
            held = found[which % len(found)]
            specification = deployments.compiled(session, instance).specification
            elements = places.elements_at(specification, held.call_path)
            mending.move(session, instance, held.token, elements[to % len(elements)].id, **given)

        self.on_case(pick, act)

    # --- versions -----------------------------------------------------------------------------------------------------

    @rule(pick=PICKS, version=st.sampled_from([2, 1]), maps=st.booleans(), back=st.booleans())
    def migrate(self, pick: int, version: int, maps: bool, back: bool) -> None:
        there = dict(MAPPING) if version == 2 else {new: old for old, new in MAPPING.items()}

        def act(session: Session, instance: ProcessInstance, **given: Any) -> None:
            key = instance.definition.key
            to = deployments.find_version(session, self.lab.community_id, key, version)
            instance_migration.migrate(session, instance, to, mapping=there if maps else {}, **given)

        self.on_case(pick, act)
        if back:
            self.everything_holds()
            self.revert(pick)

    @rule(pick=PICKS)
    def revert(self, pick: int) -> None:
        def act(session: Session, instance: ProcessInstance, **given: Any) -> None:
            made = instance_migration.latest(session, instance)
            if made is not None:
                instance_migration.revert(session, instance, made, **given)

        self.on_case(pick, act)

    # --- from outside -------------------------------------------------------------------------------------------------

    @rule(name=NAMES, whose=PICKS, utfall=OUTCOMES)
    def send_message(self, name: str, whose: int, utfall: str) -> None:
        correlation = str(whose % self.cases()) if name == "svar" else ""
        thrown = Thrown(kind="message", name=name, correlation=correlation, payload={"utfall": utfall})
        self.attempt(lambda s: messages.send(s, self.lab.community_id, thrown, now=self.lab.clock()))

    # --- at once ------------------------------------------------------------------------------------------------------

    @rule(acts=st.lists(AT_ONCE, min_size=2, max_size=3), hours=st.sampled_from([0, 0, 30, 200]))
    def several_at_once(self, acts: Sequence[tuple[str, Mapping[str, Any]]], hours: int) -> None:
        """People, timers and owners in the same moment: each is done whole, or is refused."""
        self.lab.clock.advance(hours=hours)
        self.gathered = []
        for name, given in acts:
            getattr(self, name)(**given)
        together, self.gathered = self.gathered, None
        results = at_once(together) if together else []
        self.changed, self.rows = True, None
        event("at once", f"{sum(not isinstance(result, EngineError) for result in results)} of {len(results)}")
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, EngineError):
                raise result
        self.account_for([result for result in results if isinstance(result, UserTask)])

    def account_for(self, done: Sequence[UserTask]) -> None:
        """What is now answered: where two did something with one task, its row says who was last."""
        times = Counter(task.id for task in done)
        for task in done:
            with self.lab.database.reading() as session:
                last = task if times[task.id] == 1 else session.get_one(UserTask, task.id)
            if last.state == "completed":
                self.given[last.id] = dict(last.answers or {})
            else:
                self.given.pop(last.id, None)

    def wake(self, pick: int) -> None:
        """A worker wakes a case."""
        case = self.case(pick)
        self.attempt(lambda session: process_instances.wake(session, case, now=self.lab.clock()))

    def work(self) -> None:
        """A worker does everything that is due."""
        assert self.gathered is not None, "this is only done beside others"
        self.gathered.append(partial(scheduling.drain, self.lab.database, self.handlers(), (), self.lab.clock()))

    # --- what happens by itself ---------------------------------------------------------------------------------------

    @rule(does=st.sampled_from(["answers", "fails", "has nothing"]))
    def let_the_register(self, does: str) -> None:
        self.register = does

    @rule(hours=st.sampled_from([1, 30, 200]))
    def let_time_pass(self, hours: int) -> None:
        self.lab.clock.advance(hours=hours)
        self.do_what_is_due()

    @rule()
    def do_what_is_due(self) -> None:
        self.changed, self.rows = True, None
        for _ in range(30):
            if not scheduling.drain(self.lab.database, self.handlers(), (), self.lab.clock()):
                break
        acts_invariants.check_at_rest(self.lab)

    def handlers(self) -> Mapping[str, Any]:
        settings = NotificationSettings(base_url="https://avtaleflyt.example.org", element=deployments.element)
        return {
            **delivery.handlers(settings), **messages.handlers(), **service_tasks.handlers({"regn": self.ask_register}),
        }  # fmt: skip

    def ask_register(self, session: Session, call: Call) -> Mapping[str, Any]:
        if self.register == "has nothing":
            raise BpmnError("tom", "nothing there")
        if self.register == "fails":
            raise ValueError("The register is away")
        return {"tall": call.inputs["a"]}
