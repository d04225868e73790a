"""Mails that came back, as a provider or an operator reports them, and as the owner sees them."""

import hmac
import json
from collections.abc import Callable
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import SecretStr
from sqlalchemy import select

from notifications.model import Delivery
from tests.notifications.imap_server import PASSWORD, serving
from tests.world import World
from web import cli

SECRET = "mellom-oss-to"
OWNER = "sekretariatet"
Client = Callable[[str], Any]
DSN = """Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; {to}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 <b>ukjent</b>

--b
Content-Type: text/rfc822-headers

Message-ID: {id}

--b--
"""


@pytest.fixture
def sent(world: World, surveyed: int, services: Any) -> list[Delivery]:
    """What left when the survey opened."""
    world.clock.to(date(2026, 9, 1), 9)
    while services.drain(world.clock()):
        continue
    with world.database.reading() as session:
        told = select(Delivery).where(Delivery.state == "sent", Delivery.rule == "assigned")
        return list(session.scalars(told.order_by(Delivery.id)))


def _sign(services: Any) -> None:
    object.__setattr__(services, "settings", services.settings.model_copy(update={"bounce_secret": SecretStr(SECRET)}))


def _post(app: Any, body: bytes, mimetype: str, secret: str = SECRET) -> Any:
    signature = "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()
    headers = {"X-Avtaleflyt-Signature": signature}
    return app.test_client().post("/e-post/retur", data=body, content_type=mimetype, headers=headers)


def test_a_signed_report_is_shown_to_the_owner_with_its_remedy(
    world: World, sent: list[Delivery], services: Any, app: Any, client_for: Client
) -> None:
    first, second, third = sent[:3]
    given = json.dumps({"message_id": first.message_id, "kind": "hard", "answer": "550 <b>ukjent</b>"}).encode()
    assert _post(app, given, "application/json").status_code == 404, "no secret, no door"
    _sign(services)
    assert _post(app, given, "application/json", "gjettet").status_code == 403
    assert app.test_client().post("/e-post/retur", data=given).status_code == 403
    for wrong in (b"[]", b"{", b'{"message_id": 7, "kind": "hard"}', b'{"message_id": "<a@b>", "kind": "maybe"}'):
        assert _post(app, wrong, "application/json").status_code == 422
    assert _post(app, given, "application/json").text == "bounced\n"
    assert _post(app, given, "application/json").text == "known\n"
    dsn = DSN.format(to=second.address, id=second.message_id).encode()
    assert _post(app, dsn, "message/rfc822").text == "bounced\n"
    late = json.dumps({"message_id": third.message_id, "kind": "soft", "answer": "451 vent"}).encode()
    assert _post(app, late, "application/json").text == "delayed\n"
    text = client_for(OWNER).get("/e-poster").text
    assert "Kom ikke fram til to" in text
    assert "550 &lt;b&gt;ukjent&lt;/b&gt;" in text
    assert "Underveis" in text
    assert "Noen av adressene virker ikke." in text


def test_an_operator_reads_files_and_is_told_where_there_is_no_mailbox(
    world: World, sent: list[Delivery], services: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.operator_commands.services", lambda ctx: services)
    (tmp_path / "a.eml").write_text(DSN.format(to=sent[0].address, id=sent[0].message_id))
    (tmp_path / "b.eml").write_text("Subject: Ferie\n\nJeg er borte.")
    files = [str(tmp_path / name) for name in ("a.eml", "b.eml")]
    answer = CliRunner().invoke(cli.main, ["mail", "bounces", "--json", *files], obj=services.settings)
    assert json.loads(answer.stdout) == {
        "bounced": 1,
        "delayed": 0,
        "known": 0,
        "unknown": 0,
        "unread": 1,
        "letters": 0,
    }
    refused = CliRunner().invoke(cli.main, ["mail", "bounces"], obj=services.settings)
    assert refused.exit_code == 1
    assert "AVTALEFLYT_BOUNCE_IMAP_HOST" in refused.output


def test_reading_the_mailbox_says_that_letters_wait_in_it(
    world: World, sent: list[Delivery], services: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.operator_commands.services", lambda ctx: services)
    returned = DSN.format(to=sent[0].address, id=sent[0].message_id).replace("\n", "\r\n")
    with serving(a=returned.encode(), b=b"Subject: Svar\r\n\r\nTakk") as box:
        login = {"bounce_imap_user": "sekretariatet", "bounce_imap_password": SecretStr(PASSWORD)}
        where = {"bounce_imap_host": "127.0.0.1", "bounce_imap_port": box.port, "bounce_imap_tls": False}
        object.__setattr__(services, "settings", services.settings.model_copy(update=login | where))
        answer = CliRunner().invoke(cli.main, ["mail", "bounces"], obj=services.settings, catch_exceptions=False)
    assert "bounced 1, delayed 0, known 0, unknown 0, unread 0, letters 1" in answer.output
    assert "nobody has read it" in answer.output
    assert box.seen == {1}
