"""A task done by a mail's link, without an account: the main way, every way it ends, and the attacks on it."""

import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from email.message import EmailMessage
from hashlib import sha256
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select, text, update

from engine import absences, process_instances, user_tasks
from engine.model import Absence, Base, Community, HistoryEvent, User, UserTask
from notifications.model import Delivery, TaskLink
from tests.applications import drain, mailed
from tests.fakes import RecordingMailer
from tests.world import Past, World
from web import auth
from web.cli import main
from web.services import Services

FILLER, APPROVER, COLLEAGUE, OWNER = "radgiver.larvik", "kommunalsjef.larvik", "analyse.larvik", "sekretariatet"
ClientFor = Callable[[str], Any]
_LINK = re.compile(r"https://avtaleflyt\.example\.org(/l/[\w.-]+)")


@pytest.fixture
def past(request: pytest.FixtureRequest, past: Past) -> Past:
    sent = Past(name="the links of a survey are sent", live=send_links)
    return sent if "survey" in request.fixturenames else past


def send_links(world: World) -> list[EmailMessage]:
    case = world.start()
    world.proceed_to(case, "answer_survey")
    world.clock.to(date(2026, 9, 14), 10, 42)
    with world.database.transaction() as session:
        process_instances.touch(session, process_instances.locked(session, case), now=world.clock())
    return mailed(world, RecordingMailer())


@pytest.fixture
def survey(world: World) -> UserTask:
    """Larvik's survey, of which the mail has left."""
    return world.task(world.only_case(), "answer_survey", "larvik")


def mails_to(world: World, mailer: RecordingMailer, key: str) -> list[Any]:
    with world.database.reading() as session:
        address = world.user(session, key).email
    return [message for message in mailer.messages if address in message["To"]]


def link_to(world: World, mailer: RecordingMailer, key: str, task: UserTask) -> str:
    """The link to a task in the latest mail to a person: the same in text and HTML."""
    mail = mails_to(world, mailer, key)[-1]
    parts = [mail.get_body((kind,)).get_content() for kind in ("plain", "html")]
    found = [set(_LINK.findall(part)) for part in parts]
    assert found[0] == found[1]
    with world.database.reading() as session:
        wanted = set(session.scalars(select(TaskLink.digest).where(TaskLink.task_id == task.id)))
    [link] = [link for link in found[0] if sha256(link.rpartition("/")[2].encode()).hexdigest() in wanted]
    return str(link)


@pytest.fixture
def link(world: World, survey: UserTask, mailer: RecordingMailer) -> str:
    """The filler's link to the survey."""
    return link_to(world, mailer, FILLER, survey)


@pytest.fixture
def visitor(app: Any) -> Any:
    """A browser where nobody is signed in."""
    return app.test_client()


def words(answer: Any) -> str:
    page = re.sub(r"<(script|style|svg).*?</\1>", "", answer.get_data(as_text=True), flags=re.DOTALL)
    return re.sub(r" ([.,])", r"\1", " ".join(re.sub(r"<[^>]+>", " ", page).replace("\u00a0", " ").split()))


def bound(visitor: Any, link: str) -> dict[str, str]:
    """What the link's page binds its forms with."""
    found = re.search(r'name="lenke" type="hidden" value="([^"]+)"', visitor.get(link).get_data(as_text=True))
    assert found is not None
    return {"lenke": found[1]}


def filled(world: World, task: UserTask, **given: Any) -> dict[str, Any]:
    """Good answers as a browser sends them."""
    sent: dict[str, Any] = {}
    for key, value in world.answers(task.id, **given).items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            sent |= {f"{key}-{at}-{name}": answer for at, row in enumerate(value) for name, answer in row.items()}
        elif value is not False and value != []:
            sent[key] = value
    return sent


def now_of(world: World, task: UserTask) -> UserTask:
    with world.database.reading() as session:
        return session.get_one(UserTask, task.id)


def everything(world: World) -> dict[str, list[Any]]:
    """Every row of the database."""
    with world.database.reading() as session:
        return {
            name: sorted((tuple(row) for row in session.execute(table.select())), key=repr)
            for name, table in Base.metadata.tables.items()
        }


# --- the main way -----------------------------------------------------------------------------------------------------


def test_a_survey_is_answered_and_approved_from_mails_alone(
    world: World, survey: UserTask, link: str, visitor: Any, services: Services, mailer: RecordingMailer
) -> None:
    page = words(visitor.get(link))
    assert "Svar på undersøkelsen for Larvik kommune" in page
    assert "Lenken er sendt til Rådgiver helse, Larvik." in page
    form = bound(visitor, link)
    assert visitor.post(f"{link}/utkast", data={**form, "works": "Litt"}).status_code == 303
    assert "Litt" in words(visitor.get(link))
    refused = visitor.post(link, data={**form, "works": "Nesten"})
    assert refused.status_code == 422
    assert "må rettes" in words(refused)
    assert "Nesten" in words(refused)
    sent = visitor.post(link, data={**form, **filled(world, survey)})
    assert (sent.status_code, sent.location) == (303, link)
    assert "Takk, dette er gjort" in words(visitor.get(link))
    assert now_of(world, survey).state == "submitted"
    drain(services, world)
    approving = link_to(world, mailer, APPROVER, survey)
    assert approving != link
    assert "Godkjenn svaret for Larvik kommune" in words(visitor.get(approving))
    without_words = visitor.post(f"{approving}/send-tilbake", data=bound(visitor, approving))
    assert without_words.status_code == 422
    assert visitor.post(f"{approving}/godkjenn", data=bound(visitor, approving)).status_code == 303
    assert now_of(world, survey).state == "completed"
    assert "Takk, dette er gjort" in words(visitor.get(approving))
    with world.database.reading() as session:
        done = session.scalars(
            select(HistoryEvent).where(HistoryEvent.task_id == survey.id, HistoryEvent.kind != "draft-saved")
        ).all()
        assert {(event.kind, event.data["via"]) for event in done} == {("submitted", "link"), ("approved", "link")}
        assert [session.get_one(User, event.actor_id).key for event in done] == [FILLER, APPROVER]
    # No cookie was needed, and none was set.
    assert not visitor._cookies  # the test browser's jar


def test_more_time_is_asked_for_from_the_mail(world: World, survey: UserTask, link: str, visitor: Any) -> None:
    form = bound(visitor, link)
    asked = visitor.post(f"{link}/mer-tid", data={**form, "wanted": "", "reason": ""})
    assert asked.status_code == 422
    assert "Skriv hvorfor du trenger mer tid." in words(asked)
    sent = visitor.post(f"{link}/mer-tid", data={**form, "wanted": "2026-10-07", "reason": "Ferie hos oss."})
    assert sent.status_code == 303, words(sent)
    assert "Du har bedt om tid til" in words(visitor.get(sent.location))
    assert visitor.post(link, data={**form, **filled(world, survey)}).location == link


def test_sent_back_from_a_link_it_comes_again_as_a_fresh_one(
    world: World, survey: UserTask, link: str, visitor: Any, services: Services, mailer: RecordingMailer
) -> None:
    visitor.post(link, data={**bound(visitor, link), **filled(world, survey)})
    drain(services, world)
    approving = link_to(world, mailer, APPROVER, survey)
    visitor.post(f"{approving}/send-tilbake", data={**bound(visitor, approving), "merknad": "Ta med legevakta."})
    assert "sendt tilbake til Rådgiver helse, Larvik" in words(visitor.get(approving))
    drain(services, world)
    again = link_to(world, mailer, FILLER, survey)
    assert again != link
    assert "Ta med legevakta." in words(visitor.get(again))
    assert "Takk, dette er gjort" in words(visitor.get(link))


def test_a_deputy_approves_by_a_link_on_behalf_of_who_is_away(
    world: World, survey: UserTask, link: str, visitor: Any, services: Services, mailer: RecordingMailer
) -> None:
    with world.database.transaction() as session:
        away, deputy = world.user(session, APPROVER), world.user(session, COLLEAGUE)
        day, ids = world.clock.today, {"community_id": world.community_id, "registered_by_id": away.id}
        session.add(
            Absence(
                user_id=away.id, deputy_id=deputy.id, stand_in_id=deputy.id, state="current", starts_on=day,
                ends_on=day, registered_at=world.clock(), **ids,
            )
        )  # fmt: skip
    visitor.post(link, data={**bound(visitor, link), **filled(world, survey)})
    drain(services, world)
    approving = link_to(world, mailer, COLLEAGUE, survey)
    assert visitor.post(f"{approving}/godkjenn", data=bound(visitor, approving)).status_code == 303
    with world.database.reading() as session:
        done = session.scalars(select(HistoryEvent).where(HistoryEvent.kind == "approved")).one()
        assert session.get_one(User, done.actor_id).key == COLLEAGUE
        assert session.get_one(User, done.on_behalf_of_id).key == APPROVER
        assert done.data["via"] == "link"


def test_what_a_deputy_has_answered_the_absents_own_link_tells_of(
    world: World, survey: UserTask, link: str, visitor: Any, services: Services, mailer: RecordingMailer
) -> None:
    with world.database.transaction() as session:
        away, deputy = world.user(session, FILLER), world.user(session, COLLEAGUE)
        day = world.clock.today
        period = absences.Period(user=away, deputy=deputy, starts_on=day, ends_on=day)
        absences.register(
            session, period, actor=world.person(session, FILLER), for_others=False, now=world.clock()
        )  # fmt: skip
    drain(services, world)
    standing_in = link_to(world, mailer, COLLEAGUE, survey)
    own = bound(visitor, link)  # who is away may still answer
    sent = {**bound(visitor, standing_in), **filled(world, survey)}
    assert visitor.post(standing_in, data=sent).location == standing_in
    assert "Takk, dette er gjort" in words(visitor.get(standing_in))
    told = visitor.get(link)
    assert told.status_code == 200
    assert "Oppgaven venter ikke på deg lenger" in words(told)
    assert "Svaret er sendt til godkjenning hos Kommunalsjef" in words(told)
    assert visitor.post(link, data={**own, **filled(world, survey)}).status_code == 409


def test_the_kept_mail_and_the_database_hold_nothing_that_one_could_act_by(
    world: World, survey: UserTask, link: str
) -> None:
    token = link.rpartition("/")[2]
    with world.database.reading() as session:
        kept = session.scalars(select(Delivery).where(Delivery.task_id == survey.id)).first()
        assert kept is not None
        assert f"/oppgaver/{survey.public_id}" in (kept.body_text or "")
    rows = repr(everything(world))
    assert token not in rows
    assert token.partition(".")[2] not in rows


def test_a_group_member_takes_the_task_first(
    world: World, survey: UserTask, visitor: Any, services: Services, mailer: RecordingMailer
) -> None:
    world.complete(survey.id)
    task = world.task(survey.instance_id, "fetch_data", "larvik")
    drain(services, world)
    link = link_to(world, mailer, COLLEAGUE, task)
    other = link_to(world, mailer, FILLER, task)
    assert "Ta oppgaven" in words(visitor.get(link))
    assert visitor.post(f"{link}/ta", data=bound(visitor, link)).status_code == 303
    assert "Lagre utkast" in words(visitor.get(link))
    assert "Oppgaven er ikke din lenger" in words(visitor.get(other))
    assert visitor.post(link, data={**bound(visitor, link), **filled(world, task)}).status_code == 303
    assert now_of(world, task).state in ("submitted", "completed")


# --- how it ends ------------------------------------------------------------------------------------------------------


def set_on(world: World, table: type[Base], where: Any, **values: Any) -> None:
    with world.database.transaction() as session:
        session.execute(update(table).where(where).values(**values))


def hand_over(world: World, task: UserTask, to: str) -> None:
    with world.database.transaction() as session:
        user_tasks.delegate(
            session, task.id, to=world.user(session, to), actor=world.person(session, OWNER), now=world.clock()
        )


def test_every_way_a_link_ends_explains_itself_and_changes_nothing(
    world: World, survey: UserTask, link: str, visitor: Any
) -> None:
    form = bound(visitor, link)

    def tried(heading: str, *, renewable: bool, status: int = 410) -> None:
        answer = visitor.get(link)
        assert (answer.status_code, heading in words(answer)) == (status, True), words(answer)
        assert ("Send meg en ny lenke" in words(answer)) is renewable
        drafted = now_of(world, survey).draft
        for act in ("/utkast", "/ta", "/godkjenn", "/send-tilbake", *([] if "endret" in heading else [""])):
            late = visitor.post(f"{link}{act}", data={**form, "works": "Skrevet for sent", "merknad": "x"})
            assert late.status_code in (409, 303), act
        assert now_of(world, survey).state == "open"
        assert now_of(world, survey).draft == drafted

    set_on(world, Community, Community.id == world.community_id, mail_links=False)
    tried("Lenken er slått av", renewable=False)
    set_on(world, Community, Community.id == world.community_id, mail_links=True)
    set_on(world, User, User.key == FILLER, email="ny.adresse@example.org")
    tried("Lenken virker ikke lenger", renewable=True)
    set_on(world, User, User.key == FILLER, email=_address(world))
    set_on(world, TaskLink, TaskLink.task_id == survey.id, expires_at=world.clock())
    tried("Lenken er for gammel", renewable=True)
    world.clock.to(date(2026, 9, 14), 10, 41)
    assert "Send svar" in words(visitor.get(link)) or "Send til godkjenning" in words(visitor.get(link))
    set_on(world, UserTask, UserTask.id == survey.id, revision=7)
    tried("Oppgaven er endret siden e-posten ble sendt", renewable=True)
    hand_over(world, survey, COLLEAGUE)
    tried("Oppgaven er ikke din lenger", renewable=False)
    assert "Larvik kommune" not in words(visitor.get(link))
    set_on(world, UserTask, UserTask.id == survey.id, state="closed")
    answer = visitor.get(link)
    assert answer.status_code == 200
    assert "Oppgaven venter ikke på deg lenger" in words(answer)
    set_on(world, User, User.key == FILLER, active=False)
    assert visitor.get(link).status_code == 410


def _address(world: World) -> str:
    with world.database.reading() as session:
        return (
            session.scalars(
                select(TaskLink.address).join(User, User.id == TaskLink.user_id).where(User.key == FILLER)
            ).first()
            or ""
        )


def test_a_changed_task_keeps_what_was_written_and_a_fresh_link_goes_to_the_address_we_know(
    world: World, survey: UserTask, link: str, visitor: Any, services: Services, mailer: RecordingMailer
) -> None:
    form = bound(visitor, link)
    set_on(world, UserTask, UserTask.id == survey.id, revision=7)
    late = visitor.post(link, data={**form, **filled(world, survey, works="Ventetiden er kortere.")})
    assert late.status_code == 409
    assert "Det du skrev, er lagret som utkast." in words(late)
    assert "Ventetiden er kortere." in words(late)
    before = len(mails_to(world, mailer, FILLER))
    assert "Vi har sendt en ny lenke" in words(visitor.post(f"{link}/ny", data=form))
    assert "Se i innboksen din" in words(visitor.post(f"{link}/ny", data=form))
    drain(services, world)
    assert len(mails_to(world, mailer, FILLER)) == before + 1
    fresh = link_to(world, mailer, FILLER, survey)
    assert "Ventetiden er kortere." in words(visitor.get(fresh))
    assert visitor.get(link).status_code == 410


def test_the_person_closes_it_and_so_does_the_owner(
    world: World, survey: UserTask, link: str, visitor: Any, client_for: ClientFor
) -> None:
    assert "Lenken er stengt" in words(visitor.get(visitor.post(f"{link}/steng", data=bound(visitor, link)).location))
    assert "Send meg en ny lenke" not in words(visitor.get(link))
    set_on(world, TaskLink, TaskLink.task_id == survey.id, revoked_at=None)
    address = f"/oppgaver/{survey.public_id}/steng-lenker"
    assert client_for(COLLEAGUE).post(address).status_code in (403, 404)
    assert visitor.get(link).status_code == 200
    assert client_for(OWNER).post(address).status_code == 303
    assert visitor.get(link).status_code == 410


def test_a_mail_sent_again_to_another_address_ends_the_former_copy(
    world: World, survey: UserTask, link: str, visitor: Any, services: Services, mailer: RecordingMailer
) -> None:
    set_on(world, User, User.key == FILLER, email="ny.adresse@example.org")
    mine = (Delivery.task_id == survey.id) & (Delivery.state == "sent")
    set_on(
        world, Delivery, mine & Delivery.recipient_id.in_(select(User.id).where(User.key == FILLER)), state="planned"
    )
    drain(services, world)
    again = link_to(world, mailer, FILLER, survey)
    assert again != link
    assert visitor.get(link).status_code == 404
    assert "Send til godkjenning" in words(visitor.get(again))


def test_a_community_turns_links_off_and_on(
    world: World, survey: UserTask, link: str, visitor: Any, tmp_path: Path
) -> None:
    environment = {"AVTALEFLYT_DATABASE_URL": world.database.url, "AVTALEFLYT_VAR_DIR": str(tmp_path)}
    for choice, status in (("off", 410), ("on", 200)):
        told = CliRunner(env=environment).invoke(main, ["community", "links", choice], catch_exceptions=False)
        assert told.output == f"Links in mails that act without signing in are {choice}.\n"
        assert visitor.get(link).status_code == status


def test_a_former_key_still_opens_and_a_forgotten_one_does_not(
    world: World, survey: UserTask, link: str, services: Services, app: Any
) -> None:
    def opened(**keys: Any) -> int:
        settings = services.settings.model_copy(update=keys)
        told = replace(services.notifications, link_keys=settings.signing_keys)
        app.extensions["avtaleflyt"] = replace(services, settings=settings, notifications=told)
        return int(app.test_client().get(link).status_code)

    secret = type(services.settings.secret_key)
    assert opened(secret_key=secret("new"), secret_key_fallbacks="only-for-tests") == 200
    assert opened(secret_key=secret("new")) == 404


# --- attack 9: programs that open every link --------------------------------------------------------------------------


def test_opening_a_link_any_number_of_times_changes_no_row(world: World, link: str, visitor: Any) -> None:
    before = everything(world)
    for method in ("GET", "HEAD", "OPTIONS") * 2:
        for act in ("", "?utm=x", "/godkjenn", "/ta", "/utkast", "/steng", "/ny", "/send-tilbake", "/mer-tid"):
            visitor.open(f"{link}{act}", method=method)
    for method in ("PUT", "DELETE", "PATCH"):
        assert visitor.open(link, method=method).status_code == 405
    assert everything(world) == before


def test_two_presses_at_once_are_one_answer(world: World, survey: UserTask, link: str, visitor: Any, app: Any) -> None:
    sent = {**bound(visitor, link), **filled(world, survey)}
    ready = Barrier(2)

    def press(_n: int) -> int:
        browser = app.test_client()
        ready.wait(timeout=20)
        return int(browser.post(link, data=sent).status_code)

    with ThreadPoolExecutor(2) as presses:
        assert list(presses.map(press, range(2))) == [303, 303]
    with world.database.reading() as session:
        query = select(HistoryEvent.kind).where(HistoryEvent.task_id == survey.id)
        assert session.scalars(query).all().count("submitted") == 1


# --- attack 10: guessed, replayed, another's, forwarded, leaked -------------------------------------------------------


def test_a_link_is_no_use_for_anything_but_its_own_task_and_purpose(
    world: World, survey: UserTask, link: str, visitor: Any, mailer: RecordingMailer
) -> None:
    horten = world.task(survey.instance_id, "answer_survey", "horten")
    other = link_to(world, mailer, "radgiver.horten", horten)
    before = everything(world)
    public_id, _, signature = link.rpartition("/")[2].partition(".")
    guesses = [
        f"/l/{public_id}", f"/l/{public_id}.", f"/l/{public_id}.{'A' * len(signature)}", "/l/" + "x" * 5_000,
        f"/l/{other.rpartition('/')[2].partition('.')[0]}.{signature}", f"{link}x", f"{link}.{signature}",
        f"/l/{public_id.rpartition('-')[0]}-2.{signature}", "/l/%00", "/l/æøå.æøå", "/l/..%2f..%2fetc",
    ]  # fmt: skip
    for guess in guesses:
        assert visitor.get(guess).status_code in (404, 308), guess
    # Another link's form, and what only an approver's link may do.
    assert visitor.post(link, data={**bound(visitor, other), **filled(world, survey)}).status_code == 400
    assert visitor.post(f"{link}/godkjenn", data=bound(visitor, link)).status_code == 409
    assert everything(world) == before


def test_it_speaks_the_language_of_whom_it_was_sent_to(world: World, link: str, app: Any) -> None:
    for locale, browser, says in (("en", "nb", "The link was sent to"), ("nb", "en", "Lenken er sendt til")):
        set_on(world, User, User.key == FILLER, locale=locale)
        page = app.test_client().get(link, headers={"Accept-Language": browser})
        assert says in words(page)
        assert f'<html data-color-scheme="light" lang="{locale}">' in page.get_data(as_text=True)


def test_used_again_it_shows_the_receipt_and_sends_nothing(
    world: World, survey: UserTask, link: str, visitor: Any
) -> None:
    sent = {**bound(visitor, link), **filled(world, survey)}
    visitor.post(link, data=sent)
    before = everything(world)
    replayed = visitor.post(link, data=sent)
    assert (replayed.status_code, replayed.location) == (303, link)
    assert visitor.post(f"{link}/ny", data=sent).status_code in (200, 303, 409)
    assert everything(world) == before


def test_a_forwarded_link_says_whose_it_is_and_acts_as_nobody_else(
    world: World, survey: UserTask, link: str, client_for: ClientFor
) -> None:
    other = client_for("radgiver.horten")
    page = words(other.get(link))
    assert "Er du ikke Rådgiver helse, Larvik?" in page
    assert "Logg ut" not in page
    other.post(link, data={**bound(other, link), **filled(world, survey)})
    with world.database.reading() as session:
        assert now_of(world, survey).submitted_by_id == world.user(session, FILLER).id
    # It signs nobody in, nor out.
    assert "Rådgiver helse, Horten" in words(other.get("/oppgaver"))


def test_the_address_is_told_to_no_other_site_cache_search_engine_or_log(
    world: World, link: str, visitor: Any, caplog: pytest.LogCaptureFixture, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = link.rpartition("/")[2]
    with caplog.at_level(logging.DEBUG):
        for address in (link, "/l/guess.guess"):
            answer = visitor.get(address)
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Cache-Control"] == "no-store"
            assert "noindex" in answer.headers["X-Robots-Tag"]
        page = visitor.get(link).get_data(as_text=True)
        # A fault on the page is logged without the address too.
        app.config["PROPAGATE_EXCEPTIONS"] = False
        app.view_functions["links.show"] = lambda: 1 / 0
        assert visitor.get(link).status_code == 500
    assert caplog.records
    assert token not in "".join(
        f"{record.getMessage()} {vars(record)}" for record in caplog.records if "web" in record.name
    )
    # Everything else the page leads to is asked for without the token in its address.
    assert [a for a in re.findall(r'(?:href|src)="([^"]+)"', page) if token in a and not a.startswith(link)] == []


def test_guessing_is_slowed(visitor: Any) -> None:
    statuses = [visitor.get(f"/l/guess-{n}.x").status_code for n in range(51)]
    assert statuses == [404] * 50 + [429]


# --- attack 11: names that are more than names ------------------------------------------------------------------------


def test_names_add_no_header_no_markup_and_no_template(
    world: World, surveyed: int, services: Services, mailer: RecordingMailer, visitor: Any
) -> None:
    world.clock.to(date(2026, 9, 14), 9)
    evil = "Ola\r\nBcc: alle@example.org <script>alert(1)</script> {{ 7*7 }} {% raw %} {due}"
    set_on(world, User, User.key == FILLER, name=evil)
    set_on(world, UserTask, UserTask.instance_id == surveyed, item_name=evil)
    with world.database.transaction() as session:
        session.execute(text("UPDATE process_instance SET title = :evil"), {"evil": evil})
        process_instances.touch(session, process_instances.locked(session, surveyed), now=world.clock())
    drain(services, world)
    mail = mails_to(world, mailer, FILLER)[-1]
    assert mail["Bcc"] is None
    assert not re.search(r"[\r\n](?![ \t])", str(mail["Subject"]))
    raw = mail.as_bytes()
    assert b"\nBcc:" not in raw.partition(b"\n\n")[0].replace(b"\r", b"")
    link = link_to(world, mailer, FILLER, world.task(surveyed, "answer_survey", "larvik"))
    for page in (mail.get_body(("html",)).get_content(), visitor.get(link).get_data(as_text=True)):
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page
        assert "{{ 7*7 }}" in page
    assert "49" not in str(mail["Subject"])


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
        "https:evil.example", "javascript:alert(1)", "/\n/evil.example", "http:/evil.example", "", "/%0d%0aX:y",
        "///evil.example", " //evil.example", "/\r\nLocation: https://evil.example",
    ],
)  # fmt: skip
def test_signing_in_leads_to_no_other_site(app: Any, target: str) -> None:
    client = app.test_client()
    answer = client.post("/velg-hvem-du-er", data={"user": FILLER, "next": target})
    assert answer.status_code in (302, 303)
    browser_sees = re.sub(r"[\t\r\n]", "", answer.headers["Location"]).replace("\\", "/")
    assert re.match(r"/(?!/)", browser_sees), browser_sees
    with app.test_request_context():
        assert re.match(r"/(?![/\\\t\r\n])", auth.safe_next(target))


# --- attack 12: posts from elsewhere ----------------------------------------------------------------------------------


def test_every_post_of_every_page_is_refused_without_its_token(
    world: World, survey: UserTask, link: str, app: Any, client_for: ClientFor
) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    signed_in = client_for("sekretariatet")
    app.config["WTF_CSRF_ENABLED"] = True
    before = everything(world)
    tried = 0
    for rule in app.url_map.iter_rules():
        if "POST" not in (rule.methods or ()) or rule.rule.startswith("/api/"):
            continue
        refused = _OWN_TOKEN.get(rule.endpoint.partition(".")[0], {400})
        answer = signed_in.post(_somewhere(rule, survey, link), data={"csrf_token": "x", "lenke": "x"})
        assert answer.status_code in refused, f"{rule.rule}: {answer.status}"
        tried += 1
    assert tried > 50
    assert everything(world) == before


#: Pages that take posts from elsewhere, with how they refuse one that has not what they ask for instead: a form bound
#: to its link, a signed address, a program's signature.
_OWN_TOKEN = {"links": {400}, "respondents": {404}, "my_notifications": {400, 404, 410}, "bounces": {401, 403, 404}}


def _somewhere(rule: Any, survey: UserTask, link: str = "") -> str:
    if rule.rule.startswith("/l/<token>"):
        return link + str(rule.rule).removeprefix("/l/<token>")
    return re.sub(r"<[^>]+>", survey.public_id, re.sub(r"<int[^>]*>", "1", rule.rule))


def test_the_api_takes_no_write_from_a_browsers_session(
    world: World, survey: UserTask, app: Any, client_for: ClientFor
) -> None:
    signed_in = client_for("sekretariatet")
    before = everything(world)
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/") and {"POST", "PUT", "DELETE"} & (rule.methods or set()):
            verb = next(iter({"POST", "PUT", "DELETE"} & (rule.methods or set())))
            answer = signed_in.open(_somewhere(rule, survey), method=verb, json={})
            assert answer.status_code in (401, 403, 404), f"{verb} {rule.rule}: {answer.status}"
    assert everything(world) == before
