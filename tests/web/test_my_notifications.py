"""When one is written to, the secretariat's own words, and unsubscribing in one click."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from engine.model import User
from notifications import preferences, texts, unsubscribing
from notifications.model import Delivery, MailPreference, MailText
from notifications.timing import How, Preference
from notifications.unsubscribing import Unsubscribing
from tests.world import World

OWNER, PARTY = "sekretariatet", "radgiver.larvik"
Client = Callable[[str], Any]


@pytest.fixture
def survey(world: World, surveyed: int, services: Any) -> int:
    """An evaluation whose survey has just opened, with its mails sent."""
    world.clock.to(date(2026, 9, 1), 9)
    _drain(services, world)
    return surveyed


def _drain(services: Any, world: World) -> None:
    while services.drain(world.clock()):
        continue


def _user(world: World, key: str) -> User:
    with world.database.reading() as session:
        return session.scalars(select(User).where(User.key == key)).one()


def _planned(world: World, key: str) -> dict[str, int]:
    """Rule and local hour of what is planned for somebody."""
    query = select(Delivery.rule, Delivery.planned_at).join(User, User.id == Delivery.recipient_id)
    with world.database.reading() as session:
        rows = session.execute(query.where(User.key == key, Delivery.state == "planned")).all()
    return {rule: (at.hour + (2 if at.month < 11 else 1)) for rule, at in rows}


# --- one's own choice -------------------------------------------------------------------------------------------------


def test_what_is_chosen_moves_what_is_planned(world: World, survey: int, client_for: Client, services: Any) -> None:
    client = client_for(PARTY)
    assert 'checked class="ds-input" id="how-standard"' in client.get("/varsler").text
    assert set(_planned(world, PARTY).values()) == {8}
    answer = client.post(
        "/varsler", data={"how": "daily", "hour": "15", "weekday": "0", "language": "nn", "reminders": "1"}
    )
    assert answer.status_code == 303
    _drain(services, world)
    assert _planned(world, PARTY) == {"reminder:10": 15, "reminder:3": 15, "reminder:0": 8}
    assert 'checked class="ds-input" id="how-daily"' in client.get("/varsler").text
    assert _user(world, PARTY).locale == "nn"
    client.post("/varsler", data={"how": "", "hour": "8", "weekday": "0", "language": "nb"})
    _drain(services, world)
    assert _planned(world, PARTY) == {}


@pytest.mark.parametrize(
    "wrong", [{"how": "hourly"}, {"hour": "23"}, {"weekday": "6"}, {"hour": "x"}, {"language": "de"}], ids=str
)
def test_what_cannot_be_chosen_is_refused(world: World, client_for: Client, wrong: dict[str, str]) -> None:
    given = {"how": "daily", "hour": "15", "weekday": "0", "language": "nb"}
    assert client_for(PARTY).post("/varsler", data=given | wrong).status_code == 422
    with world.database.reading() as session:
        assert session.scalars(select(MailPreference)).all() == []


def test_the_secretariat_chooses_for_a_group_and_nobody_else_does(world: World, client_for: Client) -> None:
    owner, address = client_for(OWNER), "/varsler/grupper/sekretariat"
    assert address in owner.get("/varsler").text
    assert owner.post(address, data={"how": "weekly", "hour": "9", "weekday": "1"}).status_code == 303
    assert 'checked class="ds-input" id="how-weekly"' in owner.get(address).text
    party = client_for(PARTY)
    assert party.get(address).status_code == 403
    assert party.post(address, data={"how": "at_once", "hour": "9", "weekday": "1"}).status_code == 403
    with world.database.reading() as session:
        row = session.scalars(select(MailPreference)).one()
        assert preferences.chosen(row) == Preference(how=How.WEEKLY, hour=9, weekday=1)


def test_what_the_secretariat_chooses_for_all_holds_where_nobody_else_chose(
    world: World, survey: int, client_for: Client, services: Any
) -> None:
    owner, party, address = client_for(OWNER), client_for(PARTY), "/varsler/alle"
    daily = {"how": "daily", "hour": "14", "weekday": "0"}
    assert address in owner.get("/varsler").text
    assert party.get(address).status_code == 403
    assert party.post(address, data=daily).status_code == 403
    assert owner.post(address, data=daily).status_code == 303
    assert owner.post(address, data=daily).status_code == 303
    assert 'checked class="ds-input" id="how-daily"' in owner.get(address).text
    _drain(services, world)
    assert _planned(world, PARTY) == {"reminder:10": 14, "reminder:3": 14, "reminder:0": 8}
    party.post("/varsler", data={"how": "at_once", "hour": "8", "weekday": "0", "language": "nb", "reminders": "1"})
    _drain(services, world)
    assert set(_planned(world, PARTY).values()) == {8}, "the person's own choice beats it"
    with world.database.reading() as session:
        choices = preferences.read(session, {0}, (), world.community_id)
        assert choices.preference(0, None, "weekly 1 9") == Preference(how=How.WEEKLY, hour=9, weekday=1)
        assert choices.preference(0, None, None) == Preference(how=How.DAILY, hour=14)


# --- unsubscribing ----------------------------------------------------------------------------------------------------


def test_one_click_turns_reminders_off_and_the_page_turns_them_on_again(
    world: World, survey: int, services: Any, client_for: Client, app: Any
) -> None:
    world.clock.to(date(2026, 9, 16), 9)
    _drain(services, world)
    mails = [m for m in services.mailer.messages if m["To"].addresses[0].addr_spec == f"{PARTY}@example.org"]
    assert [m["List-Unsubscribe-Post"] for m in mails] == [None, "List-Unsubscribe=One-Click"]
    address = str(mails[-1]["List-Unsubscribe"])[1:-1]
    path = address.removeprefix(services.settings.address)
    nobody = app.test_client()
    page = nobody.get(path).text
    assert "Vil du slippe påminnelser?" in page
    assert preferences.of_person(_reading(world), _user(world, PARTY).id) is None
    assert nobody.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 303
    _drain(services, world)
    assert _planned(world, PARTY) == {}
    assert "Angre" in nobody.get(path).text
    nobody.post(path, data={"on": "1"})
    _drain(services, world)
    assert set(_planned(world, PARTY)) == {"reminder:3", "reminder:0"}


def _reading(world: World) -> Any:
    with world.database.reading() as session:
        return session


@pytest.mark.parametrize("token", ["x", "1", "1.x", "æ", "9" * 300])
def test_an_address_that_was_made_up_says_nothing_and_does_nothing(app: Any, world: World, token: str) -> None:
    assert app.test_client().get(f"/avmelding/{token}").status_code == 404
    assert app.test_client().post(f"/avmelding/{token}").status_code == 404


def test_one_address_is_not_anothers(world: World, services: Any) -> None:
    user = _user(world, PARTY)
    address = unsubscribing.address(user, {"reminder"}, services.notifications) or ""
    token = address.rpartition("/")[2]
    assert unsubscribing.read(token, services.notifications) == Unsubscribing(user_id=user.id, kind="reminder")
    changed = f"{_user(world, OWNER).id}.{token.partition('.')[2]}"
    assert unsubscribing.read(changed, services.notifications) is None
    of_week = unsubscribing.address(user, {"leader_week"}, services.notifications) or ""
    assert of_week != address
    assert unsubscribing.address(user, {"assigned"}, services.notifications) is None


# --- the secretariat's words ------------------------------------------------------------------------------------------


def _words(**parts: str) -> dict[str, str]:
    return {"subject": "", "heading": "", "lead": "", "below": ""} | parts


def test_own_words_are_previewed_kept_used_and_put_back(
    world: World, survey: int, services: Any, client_for: Client
) -> None:
    owner, address = client_for(OWNER), "/tekster/reminder/nb"
    mine = _words(subject="Husk {name} innen {due}", lead="Hei!\n\n{why}\n\n<b>{days}</b> igjen, {{7*7}} nei")
    assert "Egen tekst" not in owner.get("/tekster").text
    wrong = owner.post(address, data=mine)
    assert wrong.status_code == 422
    assert "{7*7}" in wrong.text
    mine["lead"] = mine["lead"].replace(", {{7*7}} nei", "")
    preview = owner.post(f"{address}/eksempel", data=mine)
    assert "<h1" in preview.text
    assert "&lt;b&gt;ti virkedager&lt;/b&gt; igjen" in preview.text
    assert "sandbox" in preview.headers["Content-Security-Policy"]
    assert "Emne" not in preview.text
    assert "Husk Svar på undersøkelsen" in owner.post(f"{address}/eksempel", data=mine | {"as": "text"}).text
    assert owner.post(address, data=mine).status_code == 303
    assert "Egen tekst" in owner.get("/tekster").text
    world.clock.to(date(2026, 9, 16), 9)
    _drain(services, world)
    subjects = {str(mail["Subject"]) for mail in services.mailer.messages}
    assert "Husk Hent styringsdata innen 30. september" in subjects
    stale = owner.post(address, data=_words(subject="En annen"))
    assert stale.status_code == 409
    seen = {"seen-subject": "1", "seen-lead": "1"}
    assert owner.post(address, data=_words() | seen).status_code == 303
    page = owner.get(address).text
    assert page.count("<li><strong>Emne</strong>") == 2
    with world.database.reading() as session:
        assert [(row.part, row.revision, row.text is None) for row in session.scalars(select(MailText))] == [
            ("subject", 1, False), ("lead", 1, False), ("subject", 2, True), ("lead", 2, True),
        ]  # fmt: skip
        assert texts.read(session, [1]) == {1: {}}


def test_only_the_secretariat_writes_texts(client_for: Client) -> None:
    party = client_for(PARTY)
    for address in ("/tekster", "/tekster/reminder/nb", "/tekster/reminder/nb/eksempel"):
        assert party.get(address).status_code == 403
    assert party.post("/tekster/reminder/nb", data=_words(subject="Kapret")).status_code == 403
    owner = client_for(OWNER)
    for address in ("/tekster/reminder/de", "/tekster/passord/nb", "/tekster/passord/nb/eksempel"):
        assert owner.get(address).status_code == 404
