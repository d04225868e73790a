"""The mails of a case in pages: what did not arrive and how to mend it, and mails that show themselves safely."""

from collections.abc import Callable
from datetime import date, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy import select

from engine.model import HistoryEvent, ProcessInstance
from notifications.mailer import PermanentFailure, Uncertain
from notifications.model import Delivery
from tests.applications import drain, mailed
from tests.fakes import RecordingMailer
from tests.world import Past, World

OWNER = "sekretariatet"
Client = Callable[[str], Any]
BROKEN = "radgiver.holmestrand@example.org"


def _refuse(message: EmailMessage, to: str) -> None:
    if to == BROKEN:
        raise PermanentFailure("550 5.1.1 <ukjent> mottaker")
    if to == "radgiver.horten@example.org":
        raise Uncertain("timed out")


@pytest.fixture
def mailer() -> RecordingMailer:
    """Holmestrand's address is gone, and the connection to Horten's server breaks."""
    return RecordingMailer(_refuse)


@pytest.fixture
def past() -> Past:
    return Past(name="some mails of a survey failed", live=_fail)


def _fail(world: World) -> list[EmailMessage]:
    world.proceed_to(world.start(), "answer_survey")
    world.clock.to(date(2026, 9, 1), 9)
    return mailed(world, RecordingMailer(_refuse))


@pytest.fixture
def survey(world: World) -> ProcessInstance:
    """An evaluation whose survey has just opened, with its mails sent."""
    return world.instance(world.only_case())


def _page(client: Any, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, answer.text[:2000]
    return str(answer.text).replace("\xa0", " ")


def _mails(world: World, case: ProcessInstance, **where: Any) -> list[Delivery]:
    with world.database.reading() as session:
        return list(session.scalars(select(Delivery).where(Delivery.instance_id == case.id).filter_by(**where)))


def test_the_failure_and_its_remedy_stand_first(survey: ProcessInstance, client_for: Client) -> None:
    text = _page(client_for(OWNER), f"/saker/{survey.public_id}/e-post")
    assert text.index("Lagre og send på nytt") < text.index("Alle e-poster")
    assert "550 5.1.1 &lt;ukjent&gt; mottaker" in text
    assert "Usikkert" in text
    assert "Ti virkedager igjen" in text


def test_the_case_says_whom_a_mail_did_not_reach(survey: ProcessInstance, client_for: Client) -> None:
    text = _page(client_for(OWNER), f"/saker/{survey.public_id}")
    assert "kom ikke fram" in text
    assert "Rett adressen" in text
    assert "kom ikke fram" not in _page(client_for("radgiver.larvik"), f"/saker/{survey.public_id}")


def test_a_corrected_address_sends_what_had_failed(
    world: World, survey: ProcessInstance, client_for: Client, services: Any, mailer: RecordingMailer
) -> None:
    failed, owner = _mails(world, survey, state="failed"), client_for(OWNER)
    address = f"/e-post/{failed[0].public_id}/adresse"
    refused = owner.post(address, data={"address": "ikke en adresse"})
    assert refused.status_code == 422
    assert "ikke en adresse" in refused.text
    assert owner.post(address, data={"address": "ny.holmestrand@example.org"}).status_code == 303
    drain(services, world)
    assert mailer.subjects_to("ny.holmestrand@example.org")
    assert not _mails(world, survey, state="failed")
    with world.database.reading() as session:
        event = session.scalars(select(HistoryEvent).where(HistoryEvent.kind == "address-corrected")).one()
        assert "example.org" not in str(event.data)
    assert "kom ikke fram" not in _page(owner, f"/saker/{survey.public_id}")


def test_only_the_owner_mends(world: World, survey: ProcessInstance, client_for: Client) -> None:
    failed = _mails(world, survey, state="failed")[0]
    for key, status in (("radgiver.holmestrand", 403), ("radgiver.larvik", 404)):
        client = client_for(key)
        given = {"address": "x@example.org"}
        assert client.post(f"/e-post/{failed.public_id}/adresse", data=given).status_code == status
        assert client.post(f"/e-post/{failed.public_id}/send-igjen").status_code == status


def test_an_administrators_address_is_not_the_owners_to_change(
    world: World, survey: ProcessInstance, client_for: Client
) -> None:
    with world.database.transaction() as session:
        world.user(session, "radgiver.holmestrand").is_admin = True
    failed = _mails(world, survey, state="failed")[0]
    address = f"/e-post/{failed.public_id}/adresse"
    assert client_for(OWNER).post(address, data={"address": "x@example.org"}).status_code == 403


def test_an_uncertain_mail_is_sent_again_once(world: World, survey: ProcessInstance, client_for: Client) -> None:
    uncertain = _mails(world, survey, state="uncertain")[0]
    owner, address = client_for(OWNER), f"/e-post/{uncertain.public_id}/send-igjen"
    assert f'href="{address}?back=alle"' in _page(owner, "/e-poster?vis=usikkert")
    assert "kan få den to ganger" in _page(owner, address)
    assert _mails(world, survey, id=uncertain.id)[0].state == "uncertain", "a page only asks"
    assert owner.post(address).status_code == 303
    assert owner.get(address).location == f"/e-post/{uncertain.public_id}"
    assert owner.post(f"/e-post/{uncertain.public_id}/send-igjen").status_code == 409
    assert _mails(world, survey, id=uncertain.id)[0].state == "planned"


def test_one_sees_the_mails_to_oneself_only(world: World, survey: ProcessInstance, client_for: Client) -> None:
    larvik = client_for("radgiver.larvik")
    text = _page(larvik, f"/saker/{survey.public_id}/e-post")
    assert "Kommunalsjef" not in text
    assert "Rådgiver" in text
    others = next(m for m in _mails(world, survey, state="sent") if "larvik" not in m.address)
    for address in (f"/e-post/{others.public_id}", f"/e-post/{others.public_id}/innhold"):
        _page(larvik, address, 404)


def test_a_sent_mail_is_framed_under_a_policy_of_its_own(
    world: World, survey: ProcessInstance, client_for: Client
) -> None:
    sent = next(m for m in _mails(world, survey, state="sent") if m.address == "radgiver.larvik@example.org")
    owner = client_for(OWNER)
    page = _page(owner, f"/e-post/{sent.public_id}")
    assert f'src="/e-post/{sent.public_id}/innhold"' in page
    assert (sent.subject or "?") in page.replace("\xa0", " ")
    answer = owner.get(f"/e-post/{sent.public_id}/innhold")
    policy = answer.headers["Content-Security-Policy"]
    assert "style-src 'unsafe-inline'" in policy
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "allow-scripts" not in policy
    assert '<base target="_top">' in answer.text


def test_a_planned_mail_reads_as_it_will_on_its_day(world: World, survey: ProcessInstance, client_for: Client) -> None:
    planned = next(m for m in _mails(world, survey, state="planned") if m.rule == "reminder:10")
    text = _page(client_for(OWNER), f"/e-post/{planned.public_id}")
    assert "Ti virkedager igjen" in text
    assert "Planlagt" in text


def test_every_filter_is_answered(survey: ProcessInstance, client_for: Client) -> None:
    owner = client_for(OWNER)
    for wanted in ("alle", "feil", "usikkert", "planlagt", "framme", "avlyst", "tull"):
        assert "E-poster i saken" in _page(owner, f"/saker/{survey.public_id}/e-post?vis={wanted}&alle=1"), wanted


# --- the mails of all cases -------------------------------------------------------------------------------------------


def test_the_board_shows_every_case_and_is_chosen_sorted_and_mended(
    world: World, survey: ProcessInstance, client_for: Client, services: Any, mailer: RecordingMailer
) -> None:
    owner = client_for(OWNER)
    text = _page(owner, "/e-poster")
    assert text.index("Lagre og send på nytt") < text.index("Alle e-poster") < text.index("Planlagt</th>")
    assert survey.title in text
    for query, there, gone in (
        ("vis=feil", "Rett adressen", "Rådgiver helse, Larvik"),
        ("vis=planlagt", "Ti virkedager igjen", "Rådgiver helse, Larvik"),
        ("hvem=LARVIK", "Rådgiver helse, Larvik", "Rådgiver helse, Horten"),
        ("organ=larvik", "Rådgiver helse, Larvik", "Rådgiver helse, Horten"),
        ("slag=assigned", "Rådgiver helse, Larvik", "virkedager igjen"),
        ("slag=reminder", "Ti virkedager igjen", "Rådgiver helse, Horten"),
        ("sak=finnes+ikke", "Ingen e-poster her", "<table"),
        ("fra=2027-01-01&til=2027-01-02", "Ingen e-poster her", "<table"),
    ):
        listed = _page(owner, f"/e-poster?{query}").partition('id="alle"')[2]
        assert there in listed, query
        assert gone not in listed, query
    recipients = _page(owner, "/e-poster?vis=framme&sorter=mottaker")
    assert recipients.index("Rådgiver helse, Færder") < recipients.index("Rådgiver helse, Larvik")
    for odd in ("side=99999", "side=x", "fra=9999-12-31&til=0001-01-01", "vis=tull&sorter=tull&slag=tull", "organ=%00"):
        assert owner.get(f"/e-poster?{odd}").status_code == 200, odd
    failed = _mails(world, survey, state="failed")[0]
    address = f"/e-post/{failed.public_id}/adresse"
    assert "Alle e-poster" in owner.post(address, data={"address": "nei", "back": "alle"}).text
    given = {"address": "ny.holmestrand@example.org", "back": "alle"}
    assert owner.post(address, data=given).headers["Location"] == "/e-poster"
    drain(services, world)
    assert mailer.subjects_to("ny.holmestrand@example.org")
    assert "Lagre og send på nytt" not in _page(owner, "/e-poster")


def test_the_board_of_one_who_owns_nothing_has_their_own_mails(survey: ProcessInstance, client_for: Client) -> None:
    text = _page(client_for("radgiver.larvik"), "/e-poster")
    assert "Rådgiver helse, Larvik" in text
    assert "Lagre og send på nytt" not in text
    assert "Rådgiver helse, Horten" not in text


def test_a_mail_that_has_not_left_is_said_to_whoever_can_act(
    world: World, survey: ProcessInstance, client_for: Client
) -> None:
    planned = min(mail.planned_at for mail in _mails(world, survey, state="planned"))
    owner, banner = client_for(OWNER), "er forsinket"
    for minutes, waits in ((-1, "Planlagt"), (9, "I kø"), (10, "Forsinket")):
        world.clock.set(planned + timedelta(minutes=minutes))
        text = _page(owner, f"/saker/{survey.public_id}/e-post")
        assert (banner in text) == (minutes == 10)
        assert waits in text
    for page in ("/oppgaver", "/e-poster"):
        assert "ingen prosess er i gang" in _page(owner, page)
        assert banner not in _page(client_for("radgiver.larvik"), page)


def test_a_mail_that_says_things_of_several_cases_is_read_by_who_may_read_them_all(
    world: World, survey: ProcessInstance, client_for: Client
) -> None:
    [first, second] = _mails(world, survey, state="sent")[:2]
    other = world.start()
    with world.database.transaction() as session:
        carrier, carried = session.get_one(Delivery, first.id), session.get_one(Delivery, second.id)
        carried.carrier_id, carried.recipient_id = carrier.id, carrier.recipient_id
        carried.subject = carried.body_text = carried.body_html = None
    owner = client_for(OWNER)
    for mail in (first, second):
        assert owner.get(f"/e-post/{mail.public_id}/innhold").text.count("<html") == 1
    with world.database.transaction() as session:
        elsewhere = session.get_one(ProcessInstance, other)
        elsewhere.owner_id = elsewhere.owner_group_id = None
        session.get_one(Delivery, second.id).instance_id = other
    assert "Bare mottakeren kan lese den" in _page(owner, f"/e-post/{first.public_id}")
    assert owner.get(f"/e-post/{first.public_id}/innhold").status_code == 404
