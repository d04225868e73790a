"""Messages from outside: by command and by API, for those who may."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from engine import deployments
from engine.model import Community, ProcessDefinition, ProcessInstance
from tests.conftest import BACKENDS
from tests.engine.drawing import task
from tests.engine.drawing_events import message, model, starts_by
from tests.web.test_api import Caller
from tests.web.test_cli import Shell
from tests.world import World
from web import commands
from web.services import Services

MODEL = model(
    "start>ask ask>end", task("ask"), start=starts_by("message", "bestilling"), process="bestilt",
    declares=message("bestilling"),
)  # fmt: skip


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def caller(app: Any, world: World) -> Callable[[str], Caller]:
    def make(key: str) -> Caller:
        with world.database.transaction() as session:
            community = session.get_one(Community, world.community_id)
            return Caller(app, commands.make_token(session, community, key, now=world.clock()))

    return make


def test_an_administrator_sends_a_message_and_others_do_not(
    world: World, services: Services, caller: Callable[[str], Caller]
) -> None:
    with world.database.transaction() as session:
        source = deployments.Source(xml=MODEL, forms={})
        deployments.deploy(session, world.community_id, [source], now=world.clock(), actor_id=None)
    body = {"name": "bestilling", "payload": {"hva": "noe"}}
    assert caller("sekretariatet").post("/messages", body).status_code == 403
    assert caller("administrator").post("/messages", {"name": "ingen venter"}).status_code == 422
    answer = caller("administrator").post("/messages", body)
    assert (answer.status_code, answer.json) == (202, {"kind": "message", "name": "bestilling"})
    services.drain(world.clock())
    started = select(ProcessInstance).join(ProcessDefinition).where(ProcessDefinition.key == "bestilt")
    with world.database.reading() as session:
        assert len(session.scalars(started).all()) == 1


def test_the_command_tells_who_waits_and_sends(tmp_path: Path) -> None:
    shell = Shell(f"sqlite:///{tmp_path}/cli.db", tmp_path)
    file = tmp_path / "bestilt.bpmn"
    file.write_bytes(MODEL)
    for words in (["migrate"], ["community", "load", str(Path("agreements/data/vestfold.json").resolve())]):
        assert shell.run(*words).exit_code == 0
    assert shell.run("message", "list").stdout == "Nobody waits for a message or signal.\n"
    assert shell.run("deploy", str(file)).exit_code == 0
    (row,) = shell.json("message", "list")
    assert row == {"kind": "message", "name": "bestilling", "correlation": "", "case": None, "starts": "bestilt"}
    refused = shell.run("message", "send", "annet")
    assert refused.exit_code == 1
    assert "Nobody waits for the message 'annet'" in refused.stderr
    assert shell.run("message", "send", "bestilling", "--data", "nei").exit_code == 1
    assert shell.run("message", "send", "bestilling", "--data", '{"a": 1}').stdout.startswith("The message bestilling")
