"""What everyone may read, and the demo's inbox."""

import dataclasses
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest

from notifications.model import ReceivedMail
from tests.world import World

Client = Any


@pytest.mark.parametrize(
    ("page", "norwegian", "english"),
    [
        ("/tilgjengelighet", "WCAG 2.2", "Accessibility statement"),
        ("/personvern", "Rettighetene dine", "Your rights"),
    ],
)
def test_everyone_may_read_it_in_two_languages(app: Any, page: str, norwegian: str, english: str) -> None:
    stranger = app.test_client()
    assert norwegian in stranger.get(page).text
    assert "sekretariatet@example.org" in stranger.get(page).text
    assert english in stranger.get(f"{page}?lang=en").text


@pytest.fixture
def letter(world: World) -> int:
    message = EmailMessage()
    message["From"] = "Sekretariatet <sekretariatet@example.org>"
    message["To"] = "radgiver.larvik@example.org"
    message["Subject"] = "Svar innen 30. september"
    message.set_content(
        "Svar for Larvik kommune.\n\nhttps://avtaleflyt.example.org/oppgaver/abc\n\n<script>hei</script>"
    )
    message.add_alternative('<html><head></head><body><p style="color:red">Svar nå</p></body></html>', subtype="html")
    with world.database.transaction() as session:
        row = ReceivedMail(
            received_at=world.clock(),
            envelope_to="radgiver.larvik@example.org",
            subject=message["Subject"],
            raw=bytes(message),
        )
        session.add(row)
        session.flush()
        return row.id


def test_the_inbox_lists_mails_with_the_names_of_those_who_got_them(app: Any, letter: int) -> None:
    page = app.test_client().get("/demo/e-post").text
    assert "Svar innen 30.\N{NO-BREAK SPACE}september" in page
    assert "Rådgiver helse, Larvik" in page
    assert "én\u00a0e-post" in page


def test_the_inbox_of_one_person_has_no_others_mails(app: Any, letter: int) -> None:
    client = app.test_client()
    assert "Svar innen" in client.get("/demo/e-post?til=Radgiver.Larvik@example.org").text
    assert "Ingen e-poster er kommet ennå." in client.get("/demo/e-post?til=radgiver.horten@example.org").text


def test_a_mail_shows_as_text_with_its_links_and_nothing_that_runs(app: Any, letter: int) -> None:
    page = app.test_client().get(f"/demo/e-post/{letter}").text
    assert '<a class="ds-link" href="https://avtaleflyt.example.org/oppgaver/abc"' in page
    assert "&lt;script&gt;hei" in page
    assert f'src="/demo/e-post/{letter}/innhold"' in page


def test_the_mails_own_html_has_a_policy_of_its_own(app: Any, letter: int) -> None:
    answer = app.test_client().get(f"/demo/e-post/{letter}/innhold")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "style-src 'unsafe-inline'" in policy
    assert "allow-scripts" not in policy
    assert '<base target="_top">' in answer.text


def test_a_mail_that_is_not_there_is_not_found(app: Any) -> None:
    assert app.test_client().get("/demo/e-post/7").status_code == 404
    assert app.test_client().get("/demo/e-post/7/innhold").status_code == 404


@pytest.mark.parametrize("page", ["/demo/e-post", "/demo/e-post/1", "/demo/e-post/1/innhold"])
def test_outside_the_demo_there_is_no_inbox(
    services: Any, client_for: Callable[[str], Client], letter: int, page: str
) -> None:
    from web.app import create_app

    real = dataclasses.replace(services, settings=services.settings.model_copy(update={"demo": False}))
    assert create_app(real).test_client().get(page).status_code == 404
