"""The alarm about late mails where machines and operators hear it: command, metric and log."""

import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from notifications.model import Delivery
from tests.world import World
from web import cli
from web.mail_watch import MailWatch
from web.settings import Settings


def test_late_mails_are_an_exit_code_a_metric_and_a_line_in_the_log(
    world: World, surveyed: int, services: Any, app: Any, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    monkeypatch.setattr("web.operator_commands.services", lambda ctx: services)
    settings: Settings = services.settings
    while services.drain(world.clock()):
        continue
    with world.database.reading() as session:
        planned = select(Delivery.next_attempt_at).where(Delivery.state == "planned")
        due = min(session.scalars(planned))
    # The command sets the log up anew, and puts the test's ear aside.
    monkeypatch.setattr(logging.getLogger("web.mail_watch"), "handlers", [caplog.handler])
    watch = MailWatch(world.database, settings, lambda now: None)
    for minutes, late in ((9, 0), (10, 1)):
        world.clock.set(due + timedelta(minutes=minutes))
        answer = CliRunner().invoke(cli.main, ["mail", "check", "--json"], obj=settings)
        assert answer.exit_code == late
        found = json.loads(answer.stdout)
        assert bool(found["late"]) == bool(late)
        text = app.test_client().get("/metrics").text
        assert f'avtaleflyt_mails_late{{hindrance="clock"}} {float(found["late"])}' in text
        assert 'avtaleflyt_mails_late{hindrance="rate"} 0.0' in text
        watch.beat(world.clock())
        assert len(caplog.records) == late
    assert "avtaleflyt worker" in CliRunner().invoke(cli.main, ["mail", "check"], obj=settings).stdout
    watch.beat(world.clock.advance(minutes=2))
    assert len(caplog.records) == 1, "said again only every ten minutes"
    watch.beat(world.clock.advance(minutes=9))
    assert [record.hindrance for record in caplog.records] == ["clock", "clock"]  # type: ignore[attr-defined]
