"""Signing in, by choice in the demo, with a password, and by invitation."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from engine.model import User
from tests.web.test_tasks import text_of
from tests.world import World
from web import auth

PASSWORD = "sju glade måker i vinden"


@pytest.fixture
def outside(services: Any) -> Any:
    """A browser at an installation that is no demo."""
    from web.app import create_app

    settings = services.settings.model_copy(update={"demo": False})
    created = create_app(dataclasses.replace(services, settings=settings))
    created.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    return created.test_client()


def give_password(world: World, key: str) -> User:
    with world.database.transaction() as session:
        user = world.user(session, key)
        user.password_hash = auth.hash_password(PASSWORD)
        return user


def test_the_demo_lets_one_choose_a_role(app: Any) -> None:
    page = app.test_client().get("/velg-hvem-du-er")
    text = text_of(page)
    assert "Velg hvem du er" in text
    assert "Kommunalsjef Larvik" in text
    assert "Arbeidsutvalget (AU)" in text
    assert page.get_data(as_text=True).count('name="user"') >= 25


def test_one_who_chose_comes_back_to_the_page_they_wanted(app: Any) -> None:
    data = {"user": "radgiver.larvik", "next": "/oppgaver/ferdige"}
    answer = app.test_client().post("/velg-hvem-du-er", data=data)
    assert answer.location == "/oppgaver/ferdige"


@pytest.mark.parametrize("wanted", ["https://example.com/", "//example.com", "/\\example.com", "javascript:alert(1)"])
def test_no_one_is_sent_to_another_site(app: Any, wanted: str) -> None:
    answer = app.test_client().post("/velg-hvem-du-er", data={"user": "radgiver.larvik", "next": wanted})
    assert answer.location == "/oppgaver"


def test_choosing_exists_only_in_the_demo(outside: Any) -> None:
    assert outside.get("/velg-hvem-du-er").status_code == 404
    assert outside.post("/velg-hvem-du-er", data={"user": "radgiver.larvik"}).status_code == 404


def test_a_password_lets_one_in(world: World, outside: Any) -> None:
    user = give_password(world, "radgiver.larvik")
    assert "Logg inn" in text_of(outside.get("/logg-inn"))
    wrong = outside.post("/logg-inn", data={"email": user.email, "password": "feil"})
    assert wrong.status_code == 422
    assert "passer ikke sammen" in text_of(wrong)
    unknown = outside.post("/logg-inn", data={"email": "ingen@example.org", "password": "feil"})
    assert text_of(unknown).replace("ingen@example.org", user.email) == text_of(wrong)
    right = outside.post("/logg-inn", data={"email": user.email, "password": PASSWORD})
    assert right.location == "/oppgaver"
    assert "Mine oppgaver" in text_of(outside.get("/oppgaver"))


def test_an_invitation_sets_a_password_once(world: World, services: Any, outside: Any) -> None:
    with world.database.reading() as session:
        token = auth.invitation(world.user(session, "radgiver.larvik"), services.settings.signing_key())
    assert "Velg et passord" in text_of(outside.get(f"/invitasjon/{token}"))
    short = outside.post(f"/invitasjon/{token}", data={"password": "kort"})
    assert short.status_code == 422
    assert "minst 12 tegn" in text_of(short)
    assert outside.post(f"/invitasjon/{token}", data={"password": PASSWORD}).status_code == 302
    again = outside.get(f"/invitasjon/{token}")
    assert again.status_code == 410
    assert "gjelder ikke lenger" in text_of(again)
    assert outside.get("/invitasjon/tull").status_code == 410


def test_signing_out_ends_the_session(client_for: Callable[[str], Any]) -> None:
    client = client_for("radgiver.larvik")
    client.post("/logg-ut")
    assert client.get("/oppgaver").status_code == 302
