"""Everything that moves dates and people, in any order, as a state machine for Hypothesis.

A life begins with a case whose meetings lie anywhere from 2024 to 2040, and ends when every case has ended. Whatever is
done on the way, everything due happens in its moment, and `looking` says what must then hold.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from agreements import more_time, move_trials, moving, plan_checks
from agreements.model import Meeting, MoveNotice
from agreements.moving import Change, Outcome, Preview
from engine import absences, hand_dates, identity, steering, task_forms
from engine.absences import Period
from engine.errors import EngineError
from engine.form_nodes import field_nodes
from engine.model import Absence, ProcessInstance, Step, User, UserTask
from notifications import preferences, reconciling
from notifications.model import Delivery
from notifications.timing import How, Preference
from tests.fakes import oslo
from tests.time import looking
from tests.time.living import OWNER, Life
from tests.world import EVALUATION, MANDATE, MEETING_CASE
from web.moves import world as copies

#: Picks one of what there is; the first things come first when an example is made small.
PICKS = st.integers(0, 11)
MEETINGS = st.dates(date(2024, 6, 1), date(2040, 6, 30))
#: Days between the start and the meeting; a few cases start when it has been.
LEADS = st.sampled_from([210, 150, 300, 60, 10, -5])
GAPS = st.sampled_from([22, 40, 8, 1, -7])
DAYS = st.integers(-20, 60)
PREFERENCES = st.sampled_from(
    [None, Preference(how=How.DAILY, hour=15), Preference(how=How.WEEKLY, weekday=0, hour=8)]
)  # fmt: skip
MAX_CASES = 2


class Lives(RuleBasedStateMachine):
    """A community that moves its meetings, asks for time, is away, answers and is silent."""

    def __init__(self, life: Life, close: Callable[[], None], first: str, done: Counter[str]) -> None:
        super().__init__()
        self.life, self.world = life, life.world
        self.close = close
        self.first = first
        #: How often each act was done and not refused.
        self.done = done

    def teardown(self) -> None:
        try:
            if self.cases():
                self.life.live_to_the_end()
        finally:
            for what, times in self.done.items():
                event(what, min(times, 5))
            self.close()

    # --- doing ----------------------------------------------------------------------------------------------------

    @contextmanager
    def act(self, what: str) -> Iterator[Session]:
        """One act in a transaction of its own, and what follows from it; it may be refused."""
        try:
            with self.world.database.transaction() as session:
                yield session
            self.done[what] += 1
        except EngineError as error:
            self.done[f"{what} refused: {type(error).__name__}"] += 1
        self.life.settle()

    def cases(self) -> int:
        with self.world.database.reading() as session:
            return session.scalar(select(func.count()).select_from(ProcessInstance)) or 0

    def picked(self, session: Session, pick: int, query: Any) -> Any:
        """One row of what the query finds, or None."""
        found = session.scalars(query).all()
        return found[pick % len(found)] if found else None

    def waiting(self, pick: int) -> UserTask | None:
        """One of the tasks that wait, most often one that is soon due."""
        found = self.life.waiting()
        return found[pick % len(found)] if found else None

    def day(self, days: int) -> date:
        return self.world.clock.today + timedelta(days=days)

    # --- cases ----------------------------------------------------------------------------------------------------

    @initialize(
        meeting=MEETINGS, lead=LEADS, gap=GAPS, july=st.booleans(), eves=st.booleans(), closed=st.integers(1, 9)
    )
    def first_case(self, meeting: date, lead: int, gap: int, july: bool, eves: bool, closed: int) -> None:
        bridge = (meeting - timedelta(days=closed)).isoformat()
        self.life.settings_of(july_allowed=july, closed_eves=eves, closing_days=[bridge])
        self.world.clock.to(meeting - timedelta(days=lead), 10)
        self.start(self.first, meeting, gap)

    @rule(process=st.sampled_from([MEETING_CASE, MANDATE]), lead=st.sampled_from([90, 30]), gap=GAPS)
    def another_case(self, process: str, lead: int, gap: int) -> None:
        if self.cases() < MAX_CASES:
            self.start(process, self.day(lead), gap)

    def start(self, process: str, meeting: date, gap: int) -> None:
        before = meeting - timedelta(days=gap)
        meetings: dict[str, dict[str, date | str]] = {
            EVALUATION: {"ssu": meeting, "au": before}, MANDATE: {"ssu": meeting, "au": before},
            MEETING_CASE: {"meeting": meeting},
        }  # fmt: skip
        self.world.start(process, meetings=meetings[process])
        self.life.settle()

    # --- those who are asked --------------------------------------------------------------------------------------

    @rule(acts=st.integers(1, 6))
    def live_on(self, acts: int) -> None:
        self.life.live_on(acts)

    @rule(pick=PICKS, way=st.integers(0, 5))
    def answer(self, pick: int, way: int) -> None:
        """Somebody answers before their day or after it, any way that the form offers."""
        task = self.waiting(pick)
        if task is None:
            return
        ways = self.ways(task.id)
        outcome = ways[way % len(ways)] if ways else None
        if self.life.answer(task, outcome if way else None):
            self.done["answered" + (f" {outcome}" if way else "")] += 1

    def ways(self, task_id: int) -> list[str]:
        """What may be answered to the question that decides which way the case goes."""
        with self.world.database.reading() as session:
            task = session.get_one(UserTask, task_id)
            form, inputs = task_forms.form_of(session, task.instance, task)
            asked = [node for node in field_nodes(form.nodes({}, inputs)) if node.field.key == "utfall"]
            return [str(option.value) for node in asked for option in node.options]

    @rule(days=st.sampled_from([1, 3, 8, 30]), hour=st.sampled_from([6, 12, 21]))
    def let_time_pass(self, days: int, hour: int) -> None:
        """People are silent."""
        self.life.until(max(self.life.now, oslo(self.day(days), hour)))

    @rule(pick=PICKS)
    def read_the_plan(self, pick: int) -> None:
        """What lies before it opens, in what is left of a running case, is said."""
        running = select(ProcessInstance).where(ProcessInstance.state == "active").order_by(ProcessInstance.id)
        with self.world.database.reading() as session:
            instance = self.picked(session, pick, running)
            if instance is None:
                return
            world = copies(self.life.services.notifications, self.life.now)
            plan = move_trials.coming(session, instance, actor=self.life.owner(session), now=self.life.now, world=world)
            around = plan_checks.surroundings(session, instance.community, but=instance.id)
        found = plan_checks.findings(plan, around, self.life.calendar, self.world.clock.today)
        said = " ".join(finding.message for finding in found)
        self.done["plans"] += 1
        for step in plan:
            derived_or_set = step.derived is not None or step.by_hand
            if step.due is not None and step.due < step.opens and derived_or_set:
                self.done["out of order"] += 1
                assert f"«{step.name}»" in said, f"{step.name} is due on {step.due} and opens on {step.opens}: {said}"

    # --- more time ------------------------------------------------------------------------------------------------

    @rule(pick=PICKS, days=st.sampled_from([3, 14, 45, -2]), granted=st.none() | st.booleans())
    def ask_for_more_time(self, pick: int, days: int, granted: bool | None) -> None:
        """Somebody asks, and the owner says yes, no, or nothing."""
        task = self.waiting(pick)
        if task is None or task.due_date is None:
            return
        wanted = max(task.due_date, self.world.clock.today) + timedelta(days=days)
        asked = ""
        with self.act("asked for time") as session:
            actor = self.world.performer(session, task)
            asked = more_time.ask(
                session, task.id, wanted=wanted, reason="Ferie", actor=actor, now=self.life.now, revision=None
            ).public_id
        if asked and granted is not None:
            self._answer_who_asked(asked, task, wanted if granted else None)

    def _answer_who_asked(self, asked: str, task: UserTask, day: date | None) -> None:
        with self.act("granted time" if day else "refused time") as session:
            given: dict[str, Any] = {"actor": self.life.owner(session), "now": self.life.now, "revision": None}
            if day is None:
                more_time.refuse(session, asked, reason="Det går ikke.", **given)
                return
            others = select(UserTask.id, UserTask.due_date).where(
                UserTask.step_id == task.step_id, UserTask.id != task.id
            )
            before = session.execute(others).all()
            more_time.grant(session, asked, day=day, reason="Ja", **given)
            session.flush()
            assert session.get_one(UserTask, task.id).due_date == day
            assert session.execute(others).all() == before, "one party's time is not the others'"

    # --- dates ----------------------------------------------------------------------------------------------------

    @rule(pick=PICKS, days=st.none() | DAYS)
    def set_a_date_by_hand(self, pick: int, days: int | None) -> None:
        task = self.waiting(pick)
        if task is None:
            return
        day = self.day(days) if days is not None else None
        with self.act("date by hand" if day else "date released") as session:
            instance = session.get_one(ProcessInstance, task.instance_id)
            place = hand_dates.place_of(task.step.call_path, task.step.element_id)
            steering.set_date(session, instance, place, day, actor=self.life.owner(session), now=self.life.now)

    @rule(pick=PICKS, days=DAYS)
    def give_time(self, pick: int, days: int) -> None:
        task = self.waiting(pick)
        if task is None:
            return
        with self.act("extended") as session:
            steering.extend(
                session, task.id, due_date=self.day(days), actor=self.life.owner(session), now=self.life.now,
                reason="Ferie",
            )  # fmt: skip

    @rule(pick=PICKS, days=st.sampled_from([7, 28, -7, 60, 1]), choice=st.integers(0, 2))
    def move_a_meeting(self, pick: int, days: int, choice: int) -> None:
        """What is shown is what is done, finished steps stay, and everyone it concerns gets one mail about it."""
        tried = self._tried(pick, days, choice)
        if tried is None:
            return
        ended = self._ended()
        with self.world.database.transaction() as session:
            move = moving.commit(
                session, tried, token=tried.token, actor=self.life.owner(session), now=self.life.now, reason="Opptatt",
            )  # fmt: skip
            told = set(session.scalars(select(MoveNotice.user_id).where(MoveNotice.move_id == move.id)))
            number = move.id
        self.done["moved"] += 1
        self.life.settle()
        assert told == set(tried.told)
        assert self._ended() == ended, "a finished step has moved"
        with self.world.database.reading() as session:
            mails = session.scalars(select(Delivery.recipient_id).where(Delivery.cause == f"move:{number}")).all()
            for case in tried.cases:
                self._stands_as_shown(session, case.instance_id, case.outcome)
        if any(self.world.instance(case.instance_id).state == "active" for case in tried.cases):
            assert sorted(mails) == sorted(told)
        looking.prove(self.life)

    def _tried(self, pick: int, days: int, choice: int) -> Preview | None:
        with self.world.database.reading() as session:
            coming = select(Meeting).where(Meeting.date >= self.world.clock.today).order_by(Meeting.date, Meeting.id)
            meeting = self.picked(session, pick, coming)
            if meeting is None:
                return None
            try:
                change: Change = moving.of_meeting(
                    session, meeting, meeting.date + timedelta(days=days), today=self.world.clock.today
                )
                world = copies(self.life.services.notifications, self.life.now)
                tried = move_trials.preview(
                    session, change, actor=self.life.owner(session), now=self.life.now, world=world
                )
            except EngineError as error:
                self.done[f"move refused: {type(error).__name__}"] += 1
                return None
        options = {c.public_id: c.choice.options[choice % len(c.choice.options)].key for c in tried.cases if c.choice}
        self.done["choices"] += len(options)
        return tried.chosen(options)

    def _ended(self) -> list[Any]:
        with self.world.database.reading() as session:
            rows = select(Step.id, Step.due_date, Step.state).where(Step.state != "open").order_by(Step.id)
            return [tuple(row) for row in session.execute(rows)]

    def _stands_as_shown(self, session: Session, case: int, outcome: Outcome) -> None:
        shown = {step.key: step.new for step in outcome.moved}
        open_ = select(Step).where(Step.instance_id == case, Step.state == "open")
        for step in session.scalars(open_):
            key = (step.call_path, step.element_id, step.round)
            if key in shown:
                assert step.due_date == shown[key], f"{step.name} was to be due on {shown[key]}"

    # --- people ---------------------------------------------------------------------------------------------------

    @rule(pick=PICKS, deputy=PICKS, starts=st.integers(0, 9), length=st.integers(0, 40))
    def be_away(self, pick: int, deputy: int, starts: int, length: int) -> None:
        """Somebody who has a task is away, or will be."""
        task = self.waiting(pick)
        with self.act("away") as session:
            people = select(User).where(User.active).order_by(User.id)
            user = self.world.performer(session, task) if task else self.life.owner(session)
            period = Period(
                user=session.get_one(User, user.id), deputy=self.picked(session, deputy, people),
                starts_on=self.day(starts), ends_on=self.day(starts + length),
            )  # fmt: skip
            absences.register(
                session, period, actor=self.world.person(session, OWNER), for_others=True, now=self.life.now
            )

    @rule(pick=PICKS, days=st.none() | st.integers(0, 20))
    def be_back(self, pick: int, days: int | None) -> None:
        with self.act("back" if days is None else "absence changed") as session:
            absence = self.picked(session, pick, select(Absence).order_by(Absence.id))
            if absence is None:
                return
            if days is None:
                absences.cancel(session, absence, now=self.life.now)
            else:
                absences.end_on(session, absence, self.day(days), now=self.life.now)

    @rule(pick=PICKS, preference=PREFERENCES)
    def prefer(self, pick: int, preference: Preference | None) -> None:
        task = self.waiting(pick)
        if task is None:
            return
        with self.act("preferred") as session:
            user = session.get_one(User, self.world.performer(session, task).id)
            preferences.choose(session, user, preference, reminders=True, now=self.life.now)

    @rule(pick=PICKS)
    def remind(self, pick: int) -> None:
        task = self.waiting(pick)
        if task is None:
            return
        with self.act("reminded") as session:
            instance = session.get_one(ProcessInstance, task.instance_id)
            reconciling.remind_now(
                session, instance, [session.get_one(UserTask, task.id)], now=self.life.now,
                actor=identity.user(session, self.world.community_id, OWNER),
                settings=self.life.services.notifications,
            )  # fmt: skip
