"""What stands around the processes: a mail server, people who act through pages and API, and time that leaps."""

import asyncio
import hashlib
import http.client
import json
import random
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from email import message_from_bytes
from typing import Any, NamedTuple
from urllib.parse import urlencode

from aiosmtpd.smtp import SMTP, Envelope
from aiosmtpd.smtp import Session as Conversation
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from sqlalchemy import CompoundSelect, cast, func, literal, null, or_, select, union_all, update
from sqlalchemy.orm import Session, joinedload

from engine import deployments, identity, task_forms, user_tasks
from engine.calendar import Calendar
from engine.clock import utc_now
from engine.database import Database
from engine.model import ApiToken, ClockOffset, Community, Job, ProcessInstance, User, UserTask
from notifications.model import Delivery
from tests.chaos.processes import Moment
from tests.factories import main_path_answers
from tests.fakes import OSLO, START
from tests.world import AGREEMENT, AU, EVALUATION, MEETING_CASE, SSU

SECRET_KEY = "only for tests, and long enough for that"
#: When people are written to, and act.
CALENDAR = Calendar(zone=OSLO)
#: What a mail takes to its server, and the server's word back, in seconds: long enough to die in.
LATENCY = 0.005
#: People who act at the same time.
AT_ONCE = 4
#: Of all tasks, those whose people do nothing before the due date, and those whose people never do anything.
LATE, SILENT = 0.25, 0.15
#: What nobody works on for so long, in seconds, was left behind by a killed process: jobs, and mails.
LEFT_BEHIND = {"job": 0.3, "mail": 2.0}
#: What was taken so shortly before a death, in seconds, is seen only after it.
SEEN_AFTER = 0.3
#: What falls due while the town looks is due: nobody acts before a mail that was planned a moment ago.
JUST_NOW = timedelta(seconds=1)
#: What stays due for so long will never be done.
HOPELESS = 90.0
#: What is due and does not get done for so long waits for a later moment, such as its share of a rate.
STALLED = 3.0
#: Seconds for one request.
ANSWERS_WITHIN = 60


# --- mails ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A message that the mail server took in."""

    message_id: str
    digest: str
    #: In seconds of the machine's steady clock.
    at: float
    #: Did the sender never hear of it?
    lost: bool


class PostOffice:
    """Takes everything, slowly; now and then the line breaks before the sender is told."""

    def __init__(self, seed: int, *, loses: float = 0.05) -> None:
        self.accepted: list[Accepted] = []
        self._dice, self._loses = random.Random(seed), loses
        self.arrives = Moment()

    async def handle_MAIL(
        self, server: SMTP, session: Conversation, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """A message is announced: from here until its answer is the time to die."""
        self.arrives.now()
        await asyncio.sleep(LATENCY)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Conversation, envelope: Envelope) -> str:
        """Take the message, and say so."""
        await asyncio.sleep(LATENCY)
        content = envelope.original_content or b""
        lost = self._dice.random() < self._loses
        message_id = str(message_from_bytes(content)["Message-ID"])
        digest = hashlib.sha256(content).hexdigest()
        self.accepted.append(Accepted(message_id=message_id, digest=digest, at=time.monotonic(), lost=lost))
        if lost:
            server.transport.abort()
        await asyncio.sleep(LATENCY)
        return "250 OK"

    def copies(self) -> dict[str, list[Accepted]]:
        """What was taken in, by Message-ID."""
        found: dict[str, list[Accepted]] = defaultdict(list)
        for message in self.accepted:
            found[message.message_id].append(message)
        return found


# --- people -----------------------------------------------------------------------------------------------------------


class People:
    """Everybody of the community, signed in and with a token, at whichever machine answers."""

    def __init__(self, database: Database, ports: list[int]) -> None:
        self.ports = ports
        self.asks = Moment()
        #: Requests that were not answered, and asked again.
        self.unanswered = 0
        self._turn = 0
        signer = Flask(__name__)
        signer.secret_key = SECRET_KEY
        serializer = SecureCookieSessionInterface().get_signing_serializer(signer)
        assert serializer is not None
        self._cookies: dict[int, str] = {}
        with database.transaction() as session:
            for user in session.scalars(select(User)):
                digest = hashlib.sha256(_token(user.id).encode()).hexdigest()
                session.add(ApiToken(user_id=user.id, token_hash=digest, created_at=START))
                signed_in = {"_user_id": f"{user.id}:{user.session_version}", "_fresh": True, "lang": "nb"}
                self._cookies[user.id] = f"session={serializer.dumps(signed_in)}"

    def start(self, who: int, key: str, body: dict[str, Any]) -> str:
        """Start a case by the API; answers its public id. Asked again after a broken answer, it is one case."""
        headers = {"Idempotency-Key": key}
        status, said, _cookie = self._api(who, "/api/v1/process-instances", body, headers)
        assert status in (200, 201), said
        return str(json.loads(said)["id"])

    def complete(self, who: int, task: UserTask, answers: dict[str, Any]) -> None:
        """Send the answers by the API."""
        headers = {"If-Match": f'"{task.revision}"'}
        status, said, _cookie = self._api(who, f"/api/v1/tasks/{task.public_id}/complete", answers, headers)
        # Its deadline, or another of the group, may have been first.
        assert status in (200, 409, 412), f"{task.name}: {status} {said}"

    def approve(self, who: int, task: UserTask) -> None:
        """Approve on the task's page, unless that was done by an act whose answer was lost."""
        page = f"/oppgaver/{task.public_id}"
        self._press_on(who, page, f"{page}/godkjenn")

    def send_again(self, who: int, delivery: Delivery) -> None:
        """Have a mail sent again that may not have arrived."""
        page = f"/e-post/{delivery.public_id}/send-igjen"
        self._press_on(who, page, page)

    def _api(self, who: int, path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, str, str | None]:
        bearer = {"Authorization": f"Bearer {_token(who)}", "Content-Type": "application/json"}
        return self._ask("POST", path, json.dumps(body, default=str), {**bearer, **headers})

    def _press_on(self, who: int, path: str, button: str) -> None:
        """Open a page and press a button of it, where it still has that button and leads nowhere else."""
        status, page, cookie = self._ask("GET", path, None, {"Cookie": self._cookies[who]})
        if status == 303:
            return
        assert status == 200, f"{path}: {status}"
        _before, found, form = page.partition(f'action="{button}"')
        if not found:
            return
        fields = dict(
            re.findall(r'<input[^>]*name="(csrf_token|revision)"[^>]*value="([^"]*)"', form.partition("</form>")[0])
        )
        # The form's token belongs to the cookie that came with the page.
        headers = {"Cookie": cookie or self._cookies[who], "Content-Type": "application/x-www-form-urlencoded"}
        status, said, _cookie = self._ask("POST", button, urlencode(fields), headers)
        # The deadline may have been first.
        assert status in (302, 303, 409), f"{button}: {status} {said}"

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[int, str, str | None]:
        """Ask one machine after the other until one answers: whoever was killed has not."""
        deadline = time.monotonic() + ANSWERS_WITHIN
        while True:
            self._turn, connected = self._turn + 1, False
            port = self.ports[self._turn % len(self.ports)]
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWERS_WITHIN)
            try:
                connection.connect()
                connected = True
                connection.request(method, path, body, headers)
                self.asks.now()
                answer = connection.getresponse()
                cookie = answer.headers["Set-Cookie"]
                return answer.status, answer.read().decode(), cookie.partition(";")[0] if cookie else None
            except (OSError, http.client.HTTPException):
                self.unanswered += connected
                assert time.monotonic() < deadline, f"no machine answers {method} {path}"
                threading.Event().wait(0.02)
            finally:
                connection.close()


def _token(user_id: int) -> str:
    return f"avt_of_number_{user_id}"


# --- time and life ----------------------------------------------------------------------------------------------------


class Due(NamedTuple):
    """Something the machines ought to be doing, with what changes when they do."""

    what: str
    id: int
    turn: int
    #: Until when somebody holds it.
    held_until: datetime | None


@dataclass(frozen=True, kw_only=True)
class View:
    """What the town sees at a moment."""

    #: Whatever the machines ought to be doing now; while this stays the same, nothing gets done.
    due: tuple["Due", ...]
    #: When a mail that could not be handed over is tried again: whoever waits for it does not act before.
    tried_again: datetime | None
    #: Tasks whose people act now.
    acting: list[UserTask]
    #: When something happens next, if nobody does anything before.
    following: datetime | None
    running: int
    #: Mails that may have arrived or not.
    uncertain: int

    @property
    def at_peace(self) -> bool:
        """Has every case ended, with nothing left to do?"""
        return not (self.due or self.running or self.uncertain)


@dataclass
class Town:
    """Lives cases to their end: people act by day, and time leaps when nothing is left to do."""

    database: Database
    people: People
    seed: int
    #: When one of the processes was killed last, in seconds of the machine's steady clock.
    last_death: Callable[[], float]
    cases: list[str] = field(default_factory=list)
    #: What people have done so far.
    acts: int = 0

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE)
        with self.database.transaction() as session:
            session.add(ClockOffset(seconds=int((START - utc_now()).total_seconds())))
            self._secretary = self._member(session, "sekretariat")
        self._seen: tuple[Due, ...] = ()
        self._since = self._first_seen = 0.0
        self._taken: dict[Due, float] = {}

    @staticmethod
    def _member(session: Session, group: str) -> int:
        community = session.scalars(select(Community)).one()
        return identity.members(session, identity.group(session, community.id, group).id)[0].id

    def start_evaluation(self) -> None:
        """The long case: months, seven parties, deadlines that close steps."""
        meetings = {"ssu": SSU, "au": AU}
        self._start({
            "process": EVALUATION, "agreement": AGREEMENT, "meetings": meetings,
            "data": {"commissioning_decision": "17/26"},
        })  # fmt: skip

    def start_meeting(self) -> None:
        """The short case: a notice and a meeting, three weeks from now."""
        meetings = {"meeting": self._local_day() + timedelta(weeks=3)}
        data = {"case_types": ["beslutning"]}
        self._start({"process": MEETING_CASE, "title": "Digital møteserie", "meetings": meetings, "data": data})

    def _start(self, body: dict[str, Any]) -> None:
        key = f"{self.seed}-{len(self.cases)}"
        self.cases.append(self.people.start(self._secretary, key, {**body, "confirm": "Møtet er bestemt."}))

    def live(self, until: Callable[["View"], bool], *, patience: float) -> None:
        """Live, case after case, until that holds. Raises AssertionError when it takes more than so many seconds."""
        deadline = time.monotonic() + patience
        while not until(view := self._look()):
            assert time.monotonic() < deadline, f"the town came to no end: {view}"
            if view.due:
                self._wait(view)
            elif view.tried_again is not None:
                self._leap(view.tried_again)
            elif view.acting:
                self.acts += len(list(self._pool.map(self._act, view.acting[:AT_ONCE])))
            elif view.running:
                assert view.following is not None, "cases run, but nothing is to come"
                self._leap(view.following)
            elif view.uncertain:
                self._send_again()
            else:
                self.start_meeting()

    def close(self) -> None:
        """Everybody goes home."""
        self._pool.shutdown()

    # --- looking ------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The time that every process sees."""
        with self.database.reading() as session:
            return utc_now() + timedelta(seconds=session.scalar(select(ClockOffset.seconds)) or 0)

    def _local_day(self) -> date:
        return self.now().astimezone(OSLO).date()

    def _look(self) -> View:
        now = self.now()
        with self.database.reading() as session:
            due = sorted((Due(*row) for row in session.execute(_due(now + JUST_NOW))), key=lambda row: row[:3])
            put_off = (Delivery.state == "planned") & (Delivery.attempts > 0)
            running = select(func.count()).where(ProcessInstance.state == "active")
            uncertain = select(func.count()).where(Delivery.state == "uncertain")
            moments = [(self._acts_at(task, now), task) for task in session.scalars(_OPEN)]
            coming = [session.scalar(query) for query in _NEXT]
            return View(
                due=tuple(due),
                tried_again=session.scalar(select(func.min(Delivery.next_attempt_at)).where(put_off)),
                running=session.scalar(running) or 0, uncertain=session.scalar(uncertain) or 0,
                acting=[task for moment, task in moments if moment is not None and moment <= now],
                following=min((m for m in (*coming, *(at for at, _ in moments)) if m is not None), default=None),
            )  # fmt: skip

    def _acts_at(self, task: UserTask, now: datetime) -> datetime | None:
        """When whoever has the task does it: by day, soon or on its due date; None: never."""
        chance = random.Random(f"{self.seed} {task.id}").random()
        if task.state == "open" and task.due_date is not None and chance < LATE:
            if task.step.closes and chance < SILENT:
                return None
            wanted = max(_ten(task.due_date), now)
        else:
            wanted = now
        local = wanted.astimezone(OSLO)
        # Nobody is written to in a weekend or on a holiday, and nobody acts before they are told.
        if not CALENDAR.is_working_day(local.date()) or local.hour >= 16:
            return _ten(CALENDAR.working_days_after(local.date(), 1))
        return max(wanted, _ten(local.date()))

    # --- acting -------------------------------------------------------------------------------------------------------

    def _act(self, task: UserTask) -> None:
        with self.database.reading() as session:
            task = session.get_one(UserTask, task.id)
            if task.state not in user_tasks.OPEN:
                return
            submitted = task.state == "submitted"
            who = task.approver_id if submitted else task.assignee_id
            who = who or identity.members(session, task.candidate_group_id or 0)[0].id
            form, inputs = task_forms.form_of(session, task.instance, task)
            element = deployments.element(session, task.instance, task.step)
            answers = main_path_answers(form, inputs, element, day=self._local_day() + timedelta(days=14))
        if submitted:
            self.people.approve(who, task)
        else:
            self.people.complete(who, task, answers)

    def _send_again(self) -> None:
        """Nobody knows whether some mails arrived: the secretariat has them sent again."""
        with self.database.reading() as session:
            uncertain = session.scalars(select(Delivery).where(Delivery.state == "uncertain")).all()
        for delivery in uncertain:
            self.people.send_again(self._secretary, delivery)

    # --- time ---------------------------------------------------------------------------------------------------------

    def _wait(self, view: View) -> None:
        """Let the machines work. What a killed one left behind is taken over once its lease is out."""
        if view.due != self._seen:
            self._seen, self._since, self._first_seen = view.due, time.monotonic(), time.monotonic()
        assert time.monotonic() - self._first_seen < HOPELESS, f"nobody does what is due: {view}"
        still = time.monotonic() - self._since
        self._taken = {row: self._taken.get(row, time.monotonic()) for row in view.due}
        for row, since in self._taken.items():
            # Whoever took something after the last death lives, and only has little of a busy machine.
            if row.held_until is None or since > self.last_death() + SEEN_AFTER:
                continue
            if still > LEFT_BEHIND[row.what]:
                self._leap(row.held_until)
                return
        if still > STALLED:
            self._leap(self.now() + timedelta(minutes=1))
            self._since = time.monotonic()
        threading.Event().wait(0.02)

    def _leap(self, moment: datetime) -> None:
        ahead = int((moment - utc_now()).total_seconds()) + 1
        with self.database.transaction() as session:
            # Never backwards: what was held may be free by now.
            later = update(ClockOffset).where(ClockOffset.seconds < ahead)
            session.execute(later.values(seconds=ahead))


#: What people have before them.
_OPEN = (
    select(UserTask)
    .join(ProcessInstance, ProcessInstance.id == UserTask.instance_id)
    .where(UserTask.state.in_(user_tasks.OPEN), ProcessInstance.state == "active")
    .options(joinedload(UserTask.step))
    .order_by(UserTask.due_date.is_(None), UserTask.due_date, UserTask.id)
)
#: What time brings next.
_NEXT = (
    select(func.min(ProcessInstance.wake_at)).where(ProcessInstance.state == "active"),
    select(func.min(Job.run_at)).where(Job.state == "queued"),
    select(func.min(Delivery.next_attempt_at)).where(Delivery.state == "planned"),
)


def _due(now: datetime) -> CompoundSelect[Any]:
    """What the machines ought to be doing, as the columns of Due, all seen at one moment."""
    nobody = cast(null(), Job.lease_until.type)
    waking = (ProcessInstance.state == "active") & (ProcessInstance.wake_at <= now)
    queued = (Job.state == "queued") & (Job.run_at <= now)
    planned = (Delivery.state == "planned") & (Delivery.next_attempt_at <= now)
    return union_all(
        select(literal("wake"), ProcessInstance.id, ProcessInstance.revision, nobody).where(waking),
        select(literal("job"), Job.id, Job.lease, Job.lease_until).where(or_(queued, Job.state == "leased")),
        select(literal("mail"), Delivery.id, Delivery.lease, Delivery.lease_until).where(
            or_(planned, Delivery.state == "sending")
        ),
    )


def _ten(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 10, tzinfo=OSLO).astimezone(START.tzinfo)
