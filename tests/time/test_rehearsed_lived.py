"""Whatever is rehearsed is what is then lived: the same tasks, and the same mails, to the word and to the moment.

Dates and scenario are random: who is silent or late, what is sent back, and how far a meeting is postponed.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from email.message import EmailMessage
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from sqlalchemy import select

from agreements import move_trials, moving, starting
from agreements.start_contents import StartRequest
from engine import absences, steering
from engine.absences import Period
from engine.bpmn.reading import UserTaskElement
from engine.database import Database
from engine.model import Community, ProcessInstance, Step, User
from engine.rehearsing import Scenario
from notifications.model import Delivery
from tests.conftest import Templates
from tests.fakes import FakeClock
from tests.time.living import OWNER, Life
from tests.web.test_rehearsals import Act, acts_of, told_of
from tests.world import AGREEMENT, EVALUATION, MANDATE, World, load_community
from web import rehearsal_scenarios, rehearsals
from web.moves import world as copies
from web.rehearsals import Lived

#: The first life of a run is the plainest there is: what is tried first stands first below.
EXAMPLES = int(os.environ.get("TIME_EXAMPLES", "1"))
SEED = int(os.environ.get("TIME_SEED", "1"))
PARTIES = ("larvik", "horten", "siv")
#: What each process may bring that the plan does not.
OUTCOMES: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    EVALUATION: (
        {}, {"anchor_findings:1": {"utfall": "tilbake"}}, {"anchor_plan:1": {"utfall": "juster"}},
        {"treat_case:1": {"utfall": "sendt_tilbake"}}, {"analyse:1": {"utfall": "ingen_endring"}},
    ),
    MANDATE: (
        {"treat_case:1": {"utfall": "tilbake"}}, {"clarify_in_au:1": {"utfall": "tilbake"}},
        {"treat_case:1": {"utfall": "utsatt"}}, {},
    ),
}  # fmt: skip
#: What differs from one life to the next, and says nothing: whose link it is, and of which task.
_ADDRESS = re.compile(r"https://avtaleflyt\.example\.org/\S*")
Answers = dict[tuple[str, int], Mapping[str, Any] | None]
#: A life is long: what fails is not made small.
LIVES = settings(
    max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)  # fmt: skip
#: Stands in for whoever goes away.
DEPUTY = "radgiver.horten"


@contextmanager
def _life(templates: Templates, begins: date) -> Iterator[Life]:
    """A community of its own, at ten in the morning of that day."""
    url = templates.copy("sqlite", "world", load_community)
    database = Database(url)
    life = Life(World.of(database, FakeClock()))
    life.world.clock.to(begins, 10)
    try:
        yield life
    finally:
        database.dispose()
        templates.drop("sqlite", url)


@seed(SEED)
@LIVES
@given(
    process=st.sampled_from([MANDATE, EVALUATION]), ssu=st.dates(date(2024, 8, 1), date(2040, 6, 30)),
    lead=st.sampled_from([190, 160, 240, 120]), gap=st.sampled_from([22, 16, 35]), way=st.integers(0, 4),
    silent=st.sets(st.sampled_from(PARTIES), max_size=2), postponed=st.none() | st.sampled_from([14, 35]),
    late=st.dictionaries(st.sampled_from(PARTIES), st.integers(1, 4)),
)  # fmt: skip
def test_what_is_rehearsed_is_what_is_lived(
    templates: Templates, process: str, ssu: date, lead: int, gap: int, way: int, silent: set[str],
    postponed: int | None, late: dict[str, int],
) -> None:  # fmt: skip
    meetings: dict[str, date | str] = {"ssu": ssu, "au": ssu - timedelta(days=gap)}
    document: dict[str, Any] = {
        "outcomes": OUTCOMES[process][way % len(OUTCOMES[process])], "silent": sorted(silent), "late": late,
        "postpone": {"ssu": (ssu + timedelta(days=postponed)).isoformat()} if postponed else {},
    }  # fmt: skip
    with _life(templates, ssu - timedelta(days=lead)) as life:
        _rehearse_and_live(life, process, meetings, document)


@seed(SEED)
@LIVES
@given(
    ssu=st.dates(date(2024, 8, 1), date(2040, 6, 30)), acts=st.sampled_from([2, 0, 1, 3, 4]),
    moved=st.sampled_from([7, 0, 21]), extended=st.sampled_from([2, 0, 9]), away=st.sampled_from([3, 0, 30]),
)  # fmt: skip
def test_what_is_left_of_a_case_is_lived_as_it_is_rehearsed(
    templates: Templates, ssu: date, acts: int, moved: int, extended: int, away: int
) -> None:
    """Also after its meeting was moved, somebody was given more time, and somebody went away."""
    with _life(templates, ssu - timedelta(days=90)) as life:
        case = life.world.start(MANDATE, meetings={"ssu": ssu})
        life.settle()
        life.live_on(acts)
        _disturb(life, case, moved=moved, extended=extended, away=away)
        life.until(life.now + timedelta(minutes=1))
        with life.world.database.reading() as session:
            instance = session.get_one(ProcessInstance, case)
            told = rehearsals.of_case(session, instance, now=life.now, settings=life.services.notifications)
        _is_lived(life, case, told, {}, since=life.now)


def _disturb(life: Life, case: int, *, moved: int, extended: int, away: int) -> None:
    world, now = life.world, life.now
    if moved:
        with world.database.transaction() as session:
            owner = life.owner(session)
            day = date.fromisoformat(session.get_one(ProcessInstance, case).facts["ssu"]) + timedelta(days=moved)
            change = moving.of_case(session.get_one(ProcessInstance, case), facts={"ssu": day})
            tried = move_trials.preview(
                session, change, actor=owner, now=now, world=copies(life.services.notifications, now)
            )
            moving.commit(session, tried, token=tried.token, actor=owner, now=now, reason="Salen er tatt")
        life.settle()
    task = life.waiting()[0]
    with world.database.transaction() as session:
        if extended and task.due_date is not None:
            later = max(task.due_date, world.clock.today) + timedelta(days=extended)
            steering.extend(session, task.id, due_date=later, actor=life.owner(session), now=now, reason="Ferie")
        if away:
            user, deputy = (world.user(session, key) for key in (world.performer(session, task).key, DEPUTY))
            last = world.clock.today + timedelta(days=away)
            period = Period(user=user, deputy=deputy, starts_on=world.clock.today, ends_on=last)
            absences.register(session, period, actor=life.owner(session), for_others=True, now=now)
    life.settle()


def _rehearse_and_live(life: Life, process: str, meetings: Mapping[str, date | str], document: dict[str, Any]) -> None:
    told, answers = _rehearsed(life, process, meetings, document)
    case = life.world.start(process, meetings=meetings)
    life.settle()
    _is_lived(life, case, told, answers)


def _is_lived(life: Life, case: int, told: Lived, answers: Answers, since: datetime | None = None) -> None:
    """People do what they did in the rehearsal: what happens from then on is what was told, and so is what is said."""
    before = len(life.mailer.messages) if since else 0
    for act in acts_of(told):
        life.until(act.at)
        _do(life, case, act, answers.get((act.event.element, act.event.round)))
    life.until(told.ended)
    with life.world.database.reading() as session:
        lived = rehearsals.events_of(session, session.get_one(ProcessInstance, case))
        rows = {d.message_id: d for d in session.scalars(select(Delivery).where(Delivery.state == "sent"))}
    happened = [told_of(event) for event in lived if since is None or event.at >= since]
    assert happened == [told_of(e) for e in told.events if e.kind not in ("mail", "timer")]
    sent = sorted(_mail(rows[str(message["Message-ID"])], message) for message in life.mailer.messages[before:])
    assert sent == sorted((m.at, m.rule, m.address, m.subject, _ADDRESS.sub("…", m.text)) for m in told.mails)


def _mail(row: Delivery, message: EmailMessage) -> tuple[Any, ...]:
    body = message.get_body(("plain",))
    assert body is not None
    to = message["To"].addresses[0].addr_spec
    return row.sent_at, row.rule, to, str(message["Subject"]), _ADDRESS.sub("…", str(body.get_content()).strip())


def _do(life: Life, case: int, act: Act, answers: Mapping[str, Any] | None) -> None:
    """As the person who did it in the rehearsal; what a form wants beside the outcome is filled in."""
    [task] = [t for t in life.world.tasks(case, act.event.element) if (t.item or "") == act.event.item]
    with life.world.database.reading() as session:
        key = session.scalars(select(User.key).where(User.name == act.who)).one()
    if act.approves:
        life.world.approve(task.id, by=key)
    else:
        given = dict(answers or {})
        life.world.fill(task.id, given.pop("utfall", None), by=key, **given)
    life.settle()


def _request(process: str, meetings: Mapping[str, date | str]) -> StartRequest:
    about: dict[str, Any] = {"agreement": AGREEMENT, "data": {"commissioning_decision": "17/26"}}
    if process == MANDATE:
        about = {
            "roles": {"fagutvalg": {"group": "fagutvalg-hr"}},
            "data": {"body_name": "Fagutvalg HR", "hearing_bodies": ["fsu", "lederforum-helse", "tillitsvalgte"]},
        }  # fmt: skip
    return StartRequest(process=process, meetings=meetings, **about)


def _rehearsed(
    life: Life, process: str, meetings: Mapping[str, date | str], document: dict[str, Any]
) -> tuple[Lived, Answers]:
    """The rehearsal, and what was answered in it by element and round."""
    answers: Answers = {}
    with life.world.database.reading() as session:
        community = session.get_one(Community, life.world.community_id)
        start = starting.prepare(session, community, _request(process, meetings), now=life.now)
        known = rehearsal_scenarios.known_of_start(session, start.definition, start.data)
        chosen = rehearsal_scenarios.scenario(rehearsal_scenarios.read(document, known), known)

        def noted(step: Step, element: UserTaskElement) -> Mapping[str, Any] | None:
            answers[step.element_id, step.round] = chosen.answers(step, element)
            return answers[step.element_id, step.round]

        scenario: Scenario = replace(chosen, answers=noted)
        told = rehearsals.of_start(
            session, start, now=life.now, settings=life.services.notifications, scenario=scenario,
            owner=life.world.person(session, OWNER),
        )  # fmt: skip
    assert told.stopped == ""
    return told, answers
