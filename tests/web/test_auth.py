"""Signing in, by choice in the demo, with a password, and by invitation."""

import dataclasses
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from engine.model import User
from tests.web.test_tasks import text_of
from tests.world import World
from web import auth, guesses

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


# --- guessing ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few failures are let through from an address that a test soon has made them."""
    monkeypatch.setattr(guesses, "OF_ADDRESS", "6 per 15 minutes")


def attempt(browser: Any, email: str, password: str = "gjettet feil", **extra: Any) -> Any:
    return browser.post("/logg-inn", data={"email": email, "password": password}, **extra)


def test_an_account_is_closed_to_guesses_for_a_while_and_others_are_not(
    outside: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, other = give_password(world, "sekretariatet"), give_password(world, "radgiver.larvik")
    monkeypatch.setattr(auth, "password_fits", lambda found, given: given == PASSWORD)  # argon2 takes its time
    assert attempt(outside, user.email, PASSWORD).status_code == 302  # signing in rightly counts for nothing
    for _ in range(10):
        assert attempt(outside, user.email).status_code == 422
    refused = attempt(outside, f" {user.email.upper()} ", PASSWORD)  # also rightly, and however it is written
    assert (refused.status_code, 840 < int(refused.headers["Retry-After"]) <= 900) == (429, True)
    text = text_of(refused)
    assert "Vent litt før du prøver igjen" in text
    assert "Prøv igjen om 15 minutter." in text
    assert "PASSORD" not in text.upper().replace("E-POSTADRESSEN OG PASSORDET", "").replace("GLEMT PASSORDET", "")
    assert attempt(outside, other.email, PASSWORD).status_code == 302
    with monkeypatch.context() as later:
        moment = time.time() + 901
        later.setattr("limits.storage.memory.time", SimpleNamespace(time=lambda: moment))
        assert attempt(outside, user.email, PASSWORD).status_code == 302


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("proxies", "is_told_apart"), [(0, False), (1, True)])
def test_an_address_is_closed_to_guesses_and_a_trusted_proxy_tells_whose_it_is(
    services: Any, monkeypatch: pytest.MonkeyPatch, proxies: int, is_told_apart: bool
) -> None:
    from web.app import create_app

    settings = services.settings.model_copy(update={"demo": False, "trusted_proxies": proxies})
    created = create_app(dataclasses.replace(services, settings=settings))
    created.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    browser = created.test_client()
    monkeypatch.setattr(auth, "password_fits", lambda found, given: False)
    for number in range(6):
        # What the guesser writes into the header stands before what the proxy adds.
        told = {"X-Forwarded-For": f"192.0.2.{number}, 198.51.100.7"}
        assert attempt(browser, f"gjett{number}@example.org", headers=told).status_code == 422
    told = {"X-Forwarded-For": "198.51.100.7"}
    assert attempt(browser, "ny@example.org", headers=told).status_code == 429
    elsewhere = attempt(browser, "ny@example.org", headers={"X-Forwarded-For": "203.0.113.9"})
    assert (elsewhere.status_code == 422) == is_told_apart


def test_tokens_that_nobody_has_are_refused_for_a_while(few: None, app: Any) -> None:
    browser, wrong = app.test_client(), {"Authorization": "Bearer feil"}
    for path in ("/api/v1/tasks", "/api/v1/process-instances") * 3:
        assert browser.get(path, headers=wrong).status_code == 401
    refused = browser.get("/api/v1/tasks", headers=wrong)
    assert (refused.status_code, refused.content_type) == (429, "application/problem+json")
    assert refused.get_json()["status"] == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert browser.get("/api/v1/tasks").status_code == 401  # without a token nothing is guessed


def test_what_is_logged_of_guesses_names_nobody(
    outside: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(auth, "password_fits", lambda found, given: False)
    with caplog.at_level("DEBUG"):
        for _ in range(11):
            attempt(outside, "kari.nordmann@example.org", environ_base={"REMOTE_ADDR": "192.0.2.44"})
    assert "too many failures" in caplog.text
    assert not [word for word in ("kari", "example.org", "192.0.2.44") if word in caplog.text]
