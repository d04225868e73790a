"""Drift: what failed and what runs, for administrators; jobs tried again and messages thrown away, kept in history."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from engine import history, jobs, messages, operations, outgoing
from engine.bpmn.execution import Thrown
from engine.clock import utc_now
from engine.errors import NotOpen
from engine.heartbeats import Pulse
from engine.model import Community, HistoryEvent, Job, ProcessInstance, User
from notifications.mailer import PermanentFailure
from notifications.model import Delivery
from tests.applications import drain
from tests.conftest import BACKENDS
from tests.fakes import RecordingMailer
from tests.web.standing import incident_of, standing  # noqa: F401 - a fixture
from tests.world import World
from web.cli import main

ADMIN = "administrator"
Client = Callable[[str], Any]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def mailer() -> RecordingMailer:
    """Holmestrand's address is gone."""

    def refuse(message: EmailMessage, to: str) -> None:
        if to == "radgiver.holmestrand@example.org":
            raise PermanentFailure("550 5.1.1 ukjent mottaker")

    return RecordingMailer(refuse)


def page(client: Any, address: str = "/drift", status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, answer.text[:2000]
    return str(answer.text).replace("\xa0", " ")


def beating(world: World) -> None:
    Pulse(world.database, kind="worker", version="1.2.3").beat(world.clock())


def unheard(world: World, *, case: ProcessInstance | None = None, tries: int = 1) -> int:
    """The number of a message that nobody waits for, after so many tries."""
    content = {"community": world.community_id, "name": "svar", "correlation": "", "payload": {"navn": "Kari"}}
    with world.database.transaction() as session:
        instance_id = case.id if case else None
        jobs.enqueue(session, "deliver-message", run_at=world.clock(), payload=content, instance_id=instance_id)
    for _try in range(tries):
        assert jobs.run_one(world.database, messages.handlers(), world.clock())
        world.clock.advance(hours=9)
    with world.database.reading() as session:
        return session.scalars(select(Job.id).where(Job.kind == "deliver-message")).one()


GIVEN_UP = len(jobs.PAUSES) + 1


def job(world: World, number: int) -> Job:
    with world.database.reading() as session:
        return session.get_one(Job, number)


def recorded(world: World, case: ProcessInstance, kind: str) -> list[HistoryEvent]:
    with world.database.reading() as session:
        held = session.get_one(ProcessInstance, case.id)
        events = history.events(session, held)
        assert history.broken_at(held, events) is None
        return [event for event in events if event.kind == kind]


# --- who and what -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["/drift", "/drift/jobber/1/prov-igjen", "/drift/jobber/1/kast", "/drift/e-post/aaaaaaaaaaaa/send-igjen"]
)
def test_only_administrators_see_it(app: Any, client_for: Client, world: World, address: str) -> None:
    assert app.test_client().get(address).status_code == 302
    for key in ("sekretariatet", "radgiver.larvik"):
        assert client_for(key).get(address).status_code == 403
        assert client_for(key).post(address).status_code in (403, 405)
    assert 'href="/drift"' in page(client_for(ADMIN), "/oppgaver")
    assert 'href="/drift"' not in page(client_for("sekretariatet"), "/oppgaver")


def test_all_is_well_when_the_clock_turns_and_nothing_failed(client_for: Client, world: World) -> None:
    beating(world)
    text = page(client_for(ADMIN))
    assert "Alt går som det skal." in text
    assert "I gang" in text
    assert "1.2.3" in text
    for absent in ("Saker som står stille", "Jobber som har feilet", "E-poster som kanskje", "Systemet trenger hjelp"):
        assert absent not in text


def test_a_clock_that_stands_and_what_is_late_stand_first(client_for: Client, world: World) -> None:
    beating(world)
    world.start()
    world.clock.advance(minutes=6)
    text = page(client_for(ADMIN))
    assert "Klokken står." in text
    assert "Svarer ikke" in text
    assert "Jobber er 6 minutter forsinket." in text
    assert "Alt går" not in text


def test_a_case_that_stands_links_to_what_is_wrong(
    client_for: Client, world: World, standing: ProcessInstance  # noqa: F811
) -> None:  # fmt: skip
    text = page(client_for(ADMIN))
    incident = incident_of(world, standing)
    assert f'href="/saker/{standing.public_id}/feil/{incident.public_id}"' in text
    assert "En sak som stopper" in text
    assert "Det ble delt på null." in text


def test_a_mail_that_did_not_arrive_links_to_it(client_for: Client, world: World, services: Any) -> None:
    case = world.start()
    world.proceed_to(case, "answer_survey")
    world.clock.to(date(2026, 9, 1), 9)
    drain(services, world)
    text = page(client_for(ADMIN))
    assert "550 5.1.1 ukjent mottaker" in text
    assert "Kom ikke fram" in text
    world.clock.advance(days=31)
    assert "550 5.1.1" not in page(client_for(ADMIN))


def bounced(world: World, services: Any) -> Delivery:
    """The first mail that Holmestrand's adviser did not get."""
    world.proceed_to(world.start(), "answer_survey")
    world.clock.to(date(2026, 9, 1), 9)
    drain(services, world)
    with world.database.reading() as session:
        return session.scalars(select(Delivery).where(Delivery.state == "failed").order_by(Delivery.id)).first()


def test_a_mail_that_did_not_arrive_is_sent_again_with_a_reason(
    client_for: Client, world: World, services: Any, mailer: RecordingMailer
) -> None:
    mail = bounced(world, services)
    admin, address = client_for(ADMIN), f"/drift/e-post/{mail.public_id}/send-igjen"
    assert f'href="{address}"' in page(admin)
    assert "Hvorfor sendes den på nytt?" in page(admin, address)
    assert admin.post(address, data={"reason": " "}).status_code == 422
    mailer._before = None  # the address works again
    assert admin.post(address, data={"reason": "Adressen virker igjen"}).status_code == 303
    assert "E-poster som skal sendes nå</dt><dd>1</dd>" in page(admin)
    drain(services, world)
    assert [str(m["Message-ID"]) for m in mailer.messages].count(mail.message_id) == 1
    with world.database.reading() as session:
        case = session.get_one(ProcessInstance, mail.instance_id)
    [event] = recorded(world, case, "mail-resent")
    assert (event.note, event.data) == ("Adressen virker igjen", {"user": "radgiver.holmestrand"})
    assert "Holmestrand sendt på nytt." in page(admin, f"/saker/{case.public_id}/historikk")
    assert admin.post(address, data={"reason": "En gang til"}).status_code == 409


def test_the_commands_show_the_same_and_do_the_same(world: World, services: Any) -> None:
    mail = bounced(world, services)
    with world.database.reading() as session:
        case = session.get_one(ProcessInstance, mail.instance_id)
    with world.database.transaction() as session:  # the commands' clock is the machine's
        session.execute(update(Delivery).values(planned_at=utc_now()))
    number = unheard(world, case=case, tries=GIVEN_UP)
    beating(world)

    def run(*words: str) -> Any:
        return CliRunner(env={"AVTALEFLYT_DATABASE_URL": world.database.url}).invoke(main, words)

    found = json.loads(run("operations", "--json").stdout)
    assert {mail.public_id} <= {one["id"] for one in found["mails"]}
    assert [(one["number"], one["state"], one["next_at"]) for one in found["jobs"]] == [(number, "failed", None)]
    assert [one["version"] for one in found["workers"]] == ["1.2.3"]
    lines = run("operations").stdout
    assert f"job {number} deliver-message, given up: NobodyWaits" in lines
    assert f"mail {mail.public_id} to radgiver.holmestrand failed: 550" in lines
    assert "Kari" not in lines
    # When what failed is tried again, and a second time
    assert run("job", "retry", str(number)).stdout == f"Job {number} is tried again.\n"
    assert run("job", "drop", str(number), "--reason", "Bort").exit_code == 1
    assert run("mail", "resend", mail.public_id, "--reason", "Ny tjener").stdout == "Mails sent again: 1.\n"
    again = run("mail", "resend", mail.public_id, "--reason", "Ny tjener")
    assert (again.exit_code, again.stderr) == (1, "Only a mail that failed or is uncertain can be sent again.\n")
    assert run("mail", "resend", "ukjent", "--reason", "Bort").exit_code == 1
    assert [len(recorded(world, case, kind)) for kind in ("job-retried", "mail-resent")] == [1, 1]
    assert jobs.run_one(world.database, messages.handlers(), utc_now())
    assert run("job", "drop", str(number), "--reason", "Bort").exit_code == 0
    assert job(world, number).state == "dropped"


# --- jobs -------------------------------------------------------------------------------------------------------------


def test_a_message_that_nobody_waits_for_is_shown_without_what_it_says(client_for: Client, world: World) -> None:
    number = unheard(world)
    text = page(client_for(ADMIN))
    assert "Levere beskjeden «svar»" in text
    assert "Ingen sak venter på beskjeden." in text
    assert "Prøves igjen" in text
    assert f'href="/drift/jobber/{number}/kast"' in text
    assert "Kari" not in text


def test_a_job_that_was_given_up_is_tried_again(client_for: Client, world: World, services: Any) -> None:
    case = world.instance(world.start())
    number = unheard(world, case=case, tries=GIVEN_UP)
    assert job(world, number).state == "failed"
    admin = client_for(ADMIN)
    assert "Gitt opp" in page(admin)
    assert "Prøv igjen nå" in page(admin, f"/drift/jobber/{number}/prov-igjen")
    assert job(world, number).state == "failed", "looking changes nothing"
    assert admin.post(f"/drift/jobber/{number}/prov-igjen").status_code == 303
    assert (job(world, number).state, job(world, number).attempts) == ("queued", 0)
    [event] = recorded(world, case, "job-retried")
    assert event.data == {"job": "deliver-message", "name": "svar"}
    assert event.actor_id is not None
    assert "fikk noe som hadde feilet, prøvd på nytt" in page(admin, f"/saker/{case.public_id}/historikk")
    assert jobs.run_one(world.database, services.handlers, world.clock())


def test_a_message_is_thrown_away_with_a_reason(client_for: Client, world: World) -> None:
    case = world.instance(world.start())
    number = unheard(world, case=case, tries=GIVEN_UP)
    admin, address = client_for(ADMIN), f"/drift/jobber/{number}/kast"
    assert "borte for godt" in page(admin, address)
    refused = admin.post(address, data={"reason": " "})
    assert refused.status_code == 422
    assert "Skriv hvorfor beskjeden kastes." in refused.text
    assert job(world, number).state == "failed"
    assert admin.post(address, data={"reason": "Saken er avlyst"}).status_code == 303
    assert job(world, number).state == "dropped"
    assert "Levere beskjeden" not in page(admin)
    [event] = recorded(world, case, "message-dropped")
    assert event.note == "Saken er avlyst"
    assert "kastet beskjeden «svar», som ingen tok imot" in page(admin, f"/saker/{case.public_id}/historikk")
    assert not jobs.run_one(world.database, messages.handlers(), world.clock.advance(days=2))
    assert admin.get(address).status_code == 404


def test_a_message_from_outside_is_thrown_away_too(client_for: Client, world: World) -> None:
    number = unheard(world)
    assert "Utenfra" in page(client_for(ADMIN))
    answer = client_for(ADMIN).post(f"/drift/jobber/{number}/kast", data={"reason": "Sendt ved en feil"})
    assert answer.status_code == 303
    assert "Sendt ved en feil" in (job(world, number).last_error or "")


def test_only_messages_are_thrown_away(client_for: Client, world: World) -> None:
    world.start()
    with world.database.transaction() as session:
        session.execute(update(Job).values(state="failed", attempts=10))
        number = session.scalars(select(Job.id).where(Job.kind == "reconcile").limit(1)).one()
    admin = client_for(ADMIN)
    assert f"/drift/jobber/{number}/prov-igjen" in page(admin)
    assert f"/drift/jobber/{number}/kast" not in page(admin)
    assert admin.post(f"/drift/jobber/{number}/kast", data={"reason": "Bort"}).status_code == 404
    assert job(world, number).state == "failed"


def test_of_two_who_act_at_once_the_second_is_told(world: World) -> None:
    number = unheard(world)
    with world.database.reading() as session:
        seen = operations.find_job(session, world.community_id, number)
    with world.database.transaction() as session:
        operations.drop_message(session, seen, now=world.clock(), actor_id=None, reason="Bort")
    for act in (
        lambda session: operations.retry_job(session, seen, now=world.clock(), actor_id=None),
        lambda session: operations.drop_message(session, seen, now=world.clock(), actor_id=None, reason="Bort"),
    ):
        with pytest.raises(NotOpen), world.database.transaction() as session:
            act(session)
    assert job(world, number).state == "dropped"


def test_what_is_being_done_is_left_alone(client_for: Client, world: World) -> None:
    number = unheard(world)
    taken = jobs.claim(world.database, world.clock(), ("deliver-message",))
    assert taken is not None
    admin = client_for(ADMIN)
    assert admin.post(f"/drift/jobber/{number}/prov-igjen").status_code == 409
    assert admin.post(f"/drift/jobber/{number}/kast", data={"reason": "Bort"}).status_code == 404
    assert job(world, number).state == "leased"


def test_another_communitys_jobs_and_cases_are_not_shown(
    client_for: Client, world: World, standing: ProcessInstance  # noqa: F811
) -> None:  # fmt: skip
    number = unheard(world)
    with world.database.transaction() as session:
        other = Community(key="telemark", name="Telemark", email="t@example.org")
        session.add(other)
        session.flush()
        session.execute(update(User).where(User.key == "sekretariatet").values(is_admin=True, community_id=other.id))
        session.execute(update(User).where(User.key == ADMIN).values(community_id=other.id))
    client = app_client(client_for, world)
    text = page(client)
    assert "Levere beskjeden" not in text
    assert "En sak som stopper" not in text
    assert client.post(f"/drift/jobber/{number}/prov-igjen").status_code == 404


def app_client(client_for: Client, world: World) -> Any:
    """A browser of the administrator's, whom the page of the demo no longer offers."""
    client = client_for("radgiver.larvik")
    with world.database.reading() as session:
        admin = session.scalars(select(User).where(User.key == ADMIN)).one()
    with client.session_transaction() as held:
        held["_user_id"] = f"{admin.id}:{admin.session_version}"
    return client


def test_a_thrown_message_of_the_api_can_be_found_again(world: World) -> None:
    """What `messages.send` makes has its community in it, by which it is found."""
    with world.database.transaction() as session:
        thrown = Thrown(kind="message", name="svar", correlation="", payload={})
        outgoing.post(session, world.community_id, thrown, now=world.clock())
    with world.database.transaction() as session:
        session.execute(update(Job).values(state="failed", run_at=world.clock() - timedelta(days=1)))
    with world.database.reading() as session:
        [found] = operations.troubled_jobs(session, world.community_id, limit=10)
        assert operations.may_drop(found)
        assert operations.troubled_jobs(session, world.community_id + 1, limit=10) == []
