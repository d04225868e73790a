"""A case rehearsed: by page, by command, and lived afterwards to see that it was true."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from agreements import bodies, starting
from agreements.start_contents import StartRequest
from engine import absences
from engine.absences import Period
from engine.errors import InvalidInput
from engine.model import Community, Job, ProcessInstance, User, UserTask
from notifications import delivery, preferences, texts
from notifications.model import Delivery
from notifications.timing import How, Preference
from tests.fakes import OSLO, RecordingMailer
from tests.web.test_starting import begin
from tests.world import AGREEMENT, AU, EVALUATION, SSU, World
from web import commands, rehearsal_scenarios, rehearsals
from web.cli import main
from web.rehearsals import Event, Lived, RehearsedMail

Client = Any
#: The three what-ifs together.
EVERYTHING = {
    "outcomes": {"anchor_findings:1": {"utfall": "tilbake", "new_au_date": "2026-11-12"}},
    "silent": ["larvik", "horten"],
    "postpone": {"ssu": "2026-12-11"},
}


def prepared(world: World, session: Any) -> starting.Prepared:
    community = session.get_one(Community, world.community_id)
    request = StartRequest(
        process=EVALUATION, meetings={"ssu": SSU, "au": AU}, agreement=AGREEMENT,
        data={"commissioning_decision": "17/26"},
    )  # fmt: skip
    return starting.prepare(session, community, request, now=world.clock())


def rehearse(world: World, services: Any, document: dict[str, Any]) -> Lived:
    with world.database.reading() as session:
        start = prepared(world, session)
        known = rehearsal_scenarios.known_of_start(session, start.definition, start.data)
        scenario = rehearsal_scenarios.scenario(rehearsal_scenarios.read(document, known), known)
        owner = world.person(session, "sekretariatet")
        return rehearsals.of_start(
            session, start, now=world.clock(), settings=services.notifications, scenario=scenario, owner=owner
        )


# --- it is true -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Act:
    """What somebody does: answer, or approve what another has answered."""

    at: datetime
    who: str
    approves: bool
    event: Event


def acts_of(told: Lived) -> list[Act]:
    """Everything that people did in the rehearsal, in the order of time."""
    acts = []
    for event in told.events:
        if event.kind == "task-done":
            acts.append(Act(at=event.at, who=event.who, approves=bool(event.writer), event=event))
            if event.written_at is not None:
                acts.append(Act(at=event.written_at, who=event.writer, approves=False, event=event))
    return sorted(acts, key=lambda act: act.at)


class Year:
    """The same year, lived: the clock turns, mails leave, and people send their answers over HTTP."""

    def __init__(self, world: World, services: Any, app: Any) -> None:
        self.world, self._services, self._browser = world, services, app.test_client()
        self.case = world.start()
        self._tokens: dict[str, str] = {}

    def live(self, acts: list[Act], until: datetime) -> None:
        """Do each act at its moment; whatever else is due happens in between."""
        for act in acts:
            self._to(act.at)
            self._do(act)
        self._to(until)

    def _to(self, moment: datetime) -> None:
        self._drain()
        while (due := self._next()) is not None and due <= moment:
            self.world.clock.set(max(due, self.world.clock()))
            self._drain()
        self.world.clock.set(moment)

    def _next(self) -> datetime | None:
        with self.world.database.reading() as session:
            absent = select(Job.run_at).where(Job.state == "queued", Job.kind == "absence").order_by(Job.run_at)
            moments = (delivery.next_due(session), session.scalars(absent.limit(1)).first())
        return min((at for at in (*moments, self.world.instance(self.case).wake_at) if at is not None), default=None)

    def _drain(self) -> None:
        while self._services.drain(self.world.clock()):
            pass

    def _do(self, act: Act) -> None:
        """As the person who did it in the rehearsal; the form is filled in, the outcome is the scenario's."""
        [task] = [t for t in self.world.tasks(self.case, act.event.element) if (t.item or "") == act.event.item]
        if act.approves:
            self.world.approve(task.id, by=self._key(act.who))
        else:
            answers = self.world.answers(task.id, **_outcome(task))
            headers = {"Authorization": f"Bearer {self._token(act.who)}"}
            sent = self._browser.post(f"/api/v1/tasks/{task.public_id}/complete", json=answers, headers=headers)
            assert sent.status_code == 200, sent.text
        self._drain()

    def _key(self, name: str) -> str:
        with self.world.database.reading() as session:
            return session.scalars(select(User.key).where(User.name == name)).one()

    def _token(self, name: str) -> str:
        if name not in self._tokens:
            with self.world.database.transaction() as session:
                community = session.get_one(Community, self.world.community_id)
                now = self.world.clock()
                self._tokens[name] = commands.make_token(session, community, self._key(name), now=now)
        return self._tokens[name]


def _outcome(task: UserTask) -> dict[str, Any]:
    place = (task.step.element_id, task.step.round)
    if place == ("anchor_findings", 1):
        return {"outcome": "tilbake", "new_au_date": "2026-11-12"}
    if place == ("treat_case", 1):
        return {"outcome": "utsatt", "meeting_held": SSU.isoformat(), "new_meeting_date": "2026-12-11"}
    return {}


def arrange(world: World) -> None:
    """What makes a year its own: someone away, someone who wants one mail a day, own words, own days."""
    now = world.clock()
    with world.database.transaction() as session:
        community, secretary = session.get_one(Community, world.community_id), world.person(session, "sekretariatet")
        community.closing_days = [*community.closing_days, "2026-10-30"]
        bodies.find_body(session, community, "au").paper_working_days = 7
        away = Period(
            user=world.user(session, "radgiver.sandefjord"), deputy=world.user(session, "kommunalsjef.horten"),
            starts_on=date(2026, 9, 25), ends_on=date(2026, 10, 2),
        )  # fmt: skip
        absences.register(session, away, actor=secretary, for_others=True, now=now)
        daily = Preference(how=How.DAILY, hour=14)
        for key in ("radgiver.larvik", "sekretariatet"):
            preferences.choose(session, world.user(session, key), daily, reminders=True, now=now)
        texts.write(
            session, world.user(session, "sekretariatet"), rule="reminder", locale="nb", part="lead",
            text="Husk {name} innen {due}.", seen=0, now=now,
        )  # fmt: skip


def test_the_year_is_lived_task_by_task_and_mail_by_mail_as_it_was_rehearsed(
    world: World, services: Any, app: Any, mailer: RecordingMailer
) -> None:
    arrange(world)
    told = rehearse(world, services, EVERYTHING)
    assert (told.stopped, told.stands_at) == ("", ())
    year = Year(world, services, app)
    year.live(acts_of(told), told.ended)

    with world.database.reading() as session:
        lived = rehearsals.events_of(session, session.get_one(ProcessInstance, year.case))
        rows = {d.message_id: d for d in session.scalars(select(Delivery).where(Delivery.state == "sent"))}
    assert [told_of(e) for e in lived] == [told_of(e) for e in told.events if e.kind not in ("mail", "timer")]
    sent = [sent_mail(m, rows[str(m["Message-ID"])].sent_at) for m in mailer.messages]
    assert sorted(sent) == sorted(rehearsed_mail(m) for m in told.mails)
    # The scenario happened: AU sent back, two were silent, SSU came later.
    steps = {(e.element, e.round): e for e in told.events if e.kind == "step-closed"}
    assert steps["answer_survey", 1].completed == 5
    assert {("analyse", 2), ("treat_case", 2)} <= steps.keys()
    assert told.facts["ssu"].isoformat() == "2026-12-11"
    answered = {(e.who, e.element) for e in told.events if e.kind == "task-done" and e.item in ("larvik", "horten")}
    assert {element for _who, element in answered} == {"sign_and_enforce"}
    # So did what was arranged: a deputy answered, one mail said several things, words and days were the community's.
    [sandefjord] = [
        e for e in told.events if (e.kind, e.element, e.item) == ("task-done", "answer_survey", "sandefjord")
    ]
    assert (sandefjord.writer, sandefjord.who) == ("Kommunalsjef Horten", "Kommunalsjef Sandefjord")
    assert any("kommunalsjef.horten@" in m.address and "Sandefjord" in m.text for m in told.mails)
    larvik = [m for m in told.mails if m.address.startswith("radgiver.larvik@") and m.rule == "assigned"]
    assert {m.at.astimezone(OSLO).hour for m in larvik} == {14}
    assert any("Husk Svar på undersøkelsen innen" in m.text for m in told.mails)
    assert {m.rule for m in told.mails} >= {"approval", "assigned", "reminder:3"}
    assert next(s.due for s in told.steps if s.element == "send_to_au") == date(2026, 10, 26)


def sent_mail(message: EmailMessage, at: datetime | None) -> tuple[Any, ...]:
    """A mail that left, as it is compared."""
    plain, html = (message.get_body(preferencelist=(kind,)) for kind in ("plain", "html"))
    assert isinstance(plain, EmailMessage)
    assert isinstance(html, EmailMessage)
    words = (masked(part.get_content().strip()) for part in (plain, html))
    return at, message["To"].addresses[0].addr_spec, str(message["Subject"]), *words


def rehearsed_mail(mail: RehearsedMail) -> tuple[Any, ...]:
    return mail.at, mail.address, mail.subject, masked(mail.text), masked(mail.html)


def masked(text: str) -> str:
    """Without what is another in every database: ids in addresses, and what personal links hold."""
    return re.sub(r"(https://avtaleflyt\.example\.org/[a-z-]+/)[\w.~-]+", r"\1…", text)


def told_of(event: Event) -> tuple[Any, ...]:
    return event.at, event.kind, event.element, event.round, event.who, event.subject, event.item, event.due


# --- scenarios --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "JSON object"),
        ({"silence": []}, "outcomes"),
        ({"silent": "larvik"}, "array"),
        ({"silent": ["lorvik"]}, "larvik"),
        ({"silent": ["answer_survey:lorvik"]}, "larvik"),
        ({"outcomes": {"anchor_finding": {"utfall": "tilbake"}}}, "anchor_findings"),
        ({"outcomes": {"anchor_findings": {"utfall": "nei"}}}, "stotter_med_endringer"),
        ({"outcomes": {"anchor_findings:x": {"utfall": "tilbake"}}}, "anchor_findings:1"),
        ({"late": {"larvik": "tre"}}, "working days"),
        ({"postpone": {"in_force": "2026-12-11"}}, "au, ssu"),
        ({"postpone": {"ssu": "i desember"}}, "2026-11-27"),
    ],
)
def test_a_scenario_that_names_what_is_not_there_is_refused_with_what_there_is(
    known: rehearsal_scenarios.Known, document: Any, named: str
) -> None:
    with pytest.raises(InvalidInput, match=named):
        rehearsal_scenarios.read(document, known)


@pytest.fixture(scope="module")
def known(templates: Any) -> rehearsal_scenarios.Known:
    """What a scenario of the evaluation may name."""
    from engine.database import Database
    from tests.fakes import FakeClock
    from tests.world import load_community

    database = Database(templates.copy("sqlite", "world", load_community))
    world = World.of(database, FakeClock())
    with database.reading() as session:
        start = prepared(world, session)
        found = rehearsal_scenarios.known_of_start(session, start.definition, start.data)
    database.dispose()
    return found


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_tells_the_year_and_opens_every_mail(client_for: Callable[[str], Client], world: World) -> None:
    secretary = client_for("sekretariatet")
    assert secretary.get("/saker/start/provekjor").location.endswith("/saker/start/plan")
    begin(secretary, world)
    page = secretary.get("/saker/start/provekjor?utfall-treat_case=utsatt&taus=larvik").text
    assert "Saken kommer opp i SSU 11.\u00a0desember, ikke 27.\u00a0november" in page
    assert "«Svar på undersøkelsen» lukker med 6 av 7 svar." in page
    assert 'href="#m2026-09"' in page
    assert '<option value="utsatt" selected>Utsatt</option>' in page

    address = page.split('<iframe loading="lazy" src="')[1].split('"')[0].replace("&amp;", "&")
    mail = secretary.get(address)
    assert "Planlegg og avklar parter" in mail.text
    assert "sandbox" in mail.headers["Content-Security-Policy"]
    text = secretary.get(address + "&tekst=1")
    assert text.mimetype == "text/plain"
    assert "Planlegg og avklar parter" in text.text
    assert secretary.get(address.replace("/e-post/0", "/e-post/9999")).status_code == 404
    assert secretary.get("/saker/start/provekjor/e-post/0?kl=2026").status_code == 404
    with world.database.reading() as session:
        assert session.scalars(select(ProcessInstance)).all() == []


def test_only_the_owner_tries_what_a_running_case_may_bring(
    client_for: Callable[[str], Client], world: World, surveyed: int
) -> None:
    case = world.instance(surveyed).public_id
    secretary, before = client_for("sekretariatet"), world.instance(surveyed).revision
    page = secretary.get(f"/saker/{case}/hva-hvis?utfall-anchor_findings=tilbake")
    assert page.status_code == 200
    assert "runde 2" in page.text
    assert "Planlegg og avklar parter er ferdig" not in page.text  # that lies behind
    assert world.instance(surveyed).revision == before
    assert client_for("kommunalsjef.larvik").get(f"/saker/{case}/hva-hvis").status_code == 403


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_tells_every_event_and_changes_nothing(world: World, tmp_path: Path) -> None:
    file = tmp_path / "scenario.json"
    file.write_text(json.dumps({"silent": ["larvik", "horten"]}))
    env = {"AVTALEFLYT_DATABASE_URL": world.database.url, "AVTALEFLYT_VAR_DIR": str(tmp_path)}
    words = ["rehearse", EVALUATION, "--meeting", f"ssu={SSU}", "--meeting", f"au={AU}", "--today", "2026-05-18"]
    done = CliRunner(env=env).invoke(main, [*words, "--scenario", str(file), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    events = json.loads(done.stdout)["events"]
    assert {e["kind"] for e in events} == {"step-opened", "task", "mail", "task-done", "step-closed", "timer", "end"}
    assert set(events[0]) == {"at", "kind", "element", "round", "who", "subject"}
    assert [e["at"] for e in events] == sorted(e["at"] for e in events)
    answered = [e for e in events if (e["kind"], e["element"]) == ("task-done", "answer_survey")]
    assert len(answered) == 5
    file.write_text("{")
    refused = CliRunner(env=env).invoke(main, [*words, "--scenario", str(file)])
    assert (refused.exit_code, "--scenario" in refused.output) == (1, True)
