"""The commands, as an operator and a script use them: one JSON document, plain refusals, exit codes that tell."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select, update

from agreements.model import Meeting
from engine.clock import utc_now
from engine.database import Database
from notifications.local_server import LocalServer, free_port
from notifications.model import Delivery
from tests.conftest import BACKENDS, Templates
from web.cli import main

ROOT = Path(__file__).parents[2]
MODELS = [str(path) for path in sorted((ROOT / "workflows").glob("*.bpmn"))]
DATA = str(ROOT / "agreements" / "data" / "vestfold.json")


class Shell:
    """Runs commands against one database."""

    def __init__(self, url: str, folder: Path) -> None:
        self.env = {"AVTALEFLYT_DATABASE_URL": url, "AVTALEFLYT_VAR_DIR": str(folder)}

    def run(self, *words: str) -> Result:
        """The command's exit code, stdout and stderr."""
        return CliRunner(env=self.env).invoke(main, words, catch_exceptions=False)

    def json(self, *words: str) -> Any:
        """The one document that a command prints."""
        done = self.run(*words, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


@pytest.fixture(params=BACKENDS)
def shell(request: pytest.FixtureRequest, templates: Templates, tmp_path: Path) -> Iterator[Shell]:
    """An installation with a community and its models, set up by the commands themselves."""
    yield from _installed(request.param, templates, tmp_path)


@pytest.fixture(params=BACKENDS, scope="module")
def untouched(
    request: pytest.FixtureRequest, templates: Templates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shell]:
    """The same, shared by commands that change nothing."""
    yield from _installed(request.param, templates, tmp_path_factory.mktemp("cli"))


def _installed(backend: str, templates: Templates, folder: Path) -> Iterator[Shell]:
    url = f"sqlite:///{folder}/cli.db" if backend == "sqlite" else templates.postgres.create()
    made = Shell(url, folder)
    for words in (["migrate"], ["community", "load", DATA], ["deploy", *MODELS, "--note", "De første"]):
        assert made.run(*words).exit_code == 0
    yield made
    if backend == "postgresql":
        templates.postgres.drop(url)


def meeting_of(shell: Shell) -> str:
    """The id of the meeting that the cases hang on."""
    database = Database(shell.env["AVTALEFLYT_DATABASE_URL"])
    with database.reading() as session:
        found = session.scalars(select(Meeting.public_id).where(Meeting.date == date(2030, 12, 12))).one()
    database.dispose()
    return found


def test_a_case_goes_through_a_meeting_by_commands_alone(shell: Shell) -> None:
    case = shell.json("start", "motesak", "--user", "sekretariatet", "--meeting", "meeting=2030-12-12")["id"]
    [task] = shell.json("tasks", "--user", "sekretariatet", "--instance", case)
    assert (task["element"], task["due"], task["group"]) == ("send_notice", "2030-12-05", "sekretariat")
    assert shell.json("claim", task["id"], "--user", "sekretariatet")["assignee"] == "sekretariatet"
    answers = json.dumps({"agenda": "1/30 Strategi", "absence_contact": "sekretariatet"})
    assert shell.json("complete", task["id"], "--user", "sekretariatet", "--data", answers)["state"] == "completed"
    assert [s["element"] for s in shell.json("instance", case)["steps"]] == ["send_notice", "treat_case"]
    with_meeting = shell.json("start", "motesak", "--user", "sekretariatet", "--meeting", "meeting=2030-12-12")["id"]
    move = ["meeting", "move", meeting_of(shell), "--to", "2030-12-19", "--user", "sekretariatet"]
    shown = shell.json(*move)
    assert (shown["moved"], {moved["id"] for moved in shown["cases"]}) == (False, {case, with_meeting})
    moved = {step["step"]: (step["old"], step["new"]) for step in shown["cases"][0]["moved"]}
    assert moved["treat_case"] == ("2030-12-12", "2030-12-19")
    assert shell.json(*move, "--reason", "Salen er opptatt")["moved"]
    assert shell.run("cancel", with_meeting, "--reason", "Bare prøvd").exit_code == 0
    kinds = [event["kind"] for event in shell.json("history", case)]
    assert (kinds[0], "facts-set" in kinds) == ("started", True)
    assert "completed-task" in kinds
    assert shell.run("cancel", case, "--reason", "Saken utgår").exit_code == 0
    assert {i["state"] for i in shell.json("instances")} == {"cancelled"}
    assert shell.json("tasks") == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["start", "ukjent", "--user", "sekretariatet"], "There is no process"),
        (["start", "motesak", "--user", "ingen", "--meeting", "meeting=2030-12-12"], "There is no active user"),
        (["start", "motesak", "--user", "sekretariatet", "--meeting", "meeting=30. mai"], "is no date"),
        (
            ["start", "delavtale_evaluering", "--user", "sekretariatet", "--meeting", "ssu=2030-11-28",
             "--meeting", "au=2030-12-05"],
            "AU forbereder saken for SSU",
        ),
        (["complete", "finnesikke12", "--user", "sekretariatet"], "There is no task"),
        (["complete", "finnesikke12", "--user", "sekretariatet", "--data", "{"], "--data can't be read"),
        (["instance", "finnesikke12"], "There is no case"),
        (["user", "add", "sekretariatet", "--name", "S", "--email", "s@example.org"], "already"),
        (["user", "add", "ny", "--name", "S", "--email", "ingen adresse"], "no e-mail address"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)  # fmt: skip
def test_what_is_refused_says_why_and_exits_with_1(untouched: Shell, words: list[str], says: str) -> None:
    done = untouched.run(*words)
    assert done.exit_code == 1
    assert says in done.stderr
    assert "Traceback" not in done.output
    assert untouched.json("instances") == []


def test_wrong_usage_exits_with_2(untouched: Shell) -> None:
    for words in (["start"], ["start", "motesak", "--user", "sekretariatet", "--meeting", "uten-dato"], ["ukjent"]):
        assert untouched.run(*words).exit_code == 2


def test_lint_and_deploy_refuse_what_is_no_model(untouched: Shell, tmp_path: Path) -> None:
    broken = tmp_path / "broken.bpmn"
    broken.write_text("<x>")
    done = untouched.run("lint", str(broken), "--json")
    assert done.exit_code == 1
    [finding] = json.loads(done.stdout)
    assert {"rule", "severity", "element", "name", "line", "message", "remedy"} <= finding.keys()
    assert untouched.run("deploy", str(broken)).exit_code == 1
    assert untouched.run("lint", *MODELS).exit_code == 0


def test_a_plan_needs_no_database(tmp_path: Path) -> None:
    shell = Shell(f"sqlite:///{tmp_path}/none.db", tmp_path)
    meetings = ["--meeting", "ssu=2026-11-27", "--meeting", "au=2026-11-05", "--today", "2026-05-18"]
    plan = shell.json("plan", "delavtale_evaluering", *meetings)
    due = {step["element"]: step["due"] for step in plan["steps"]}
    assert (due["plan_and_clarify"], due["answer_survey"], due["treat_case"]) == (
        "2026-06-16", "2026-09-30", "2026-11-27",
    )  # fmt: skip
    assert any("fredag" in warning for warning in plan["warnings"])


def test_pages_and_worker_run_apart_and_the_mail_leaves(shell: Shell) -> None:
    received: list[str] = []
    told = threading.Event()

    class Witness:
        async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:
            received.extend(envelope.rcpt_tos)
            if "sekretariatet@example.org" in received:
                told.set()
            return "250 OK"

    with LocalServer(Witness()) as smtp:  # type: ignore[arg-type]
        port = free_port()
        env = {
            **os.environ, **shell.env, "AVTALEFLYT_SECRET_KEY": "k" * 40, "AVTALEFLYT_SMTP_HOST": smtp.host,
            "AVTALEFLYT_SMTP_PORT": str(smtp.port), "AVTALEFLYT_SMTP_STARTTLS": "false", "AVTALEFLYT_PORT": str(port),
        }  # fmt: skip
        # On SQLite pages and clock are one process.
        roles = ["serve"] if shell.env["AVTALEFLYT_DATABASE_URL"].startswith("sqlite") else ["web", "worker"]
        command = [sys.executable, "-W", "ignore", "-m", "web.cli"]
        assert subprocess.run([*command, "user", "invite", "referent.ssu"], env=env, cwd=ROOT).returncode == 0
        shell.json("start", "motesak", "--user", "sekretariatet", "--meeting", "meeting=2030-12-12")
        running = [subprocess.Popen([*command, role], env=env, cwd=ROOT) for role in roles]
        try:
            _bring_forward(shell)
            assert told.wait(30), "no mail left within half a minute"
            _wait_for(port)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/logg-inn") as page:
                assert page.status == 200
        finally:
            for process in running:
                process.send_signal(signal.SIGTERM)
            codes = [process.wait(30) for process in running]
    assert codes == [0] * len(running)
    assert received == ["referent.ssu@example.org", "sekretariatet@example.org"]


def _bring_forward(shell: Shell) -> None:
    """Nobody is written to at night or on a Sunday, and nobody knows when this test runs: the mail leaves now."""
    database, pause = Database(shell.env["AVTALEFLYT_DATABASE_URL"]), threading.Event()
    for _ in range(300):
        with database.transaction() as session:
            planned = update(Delivery).where(Delivery.state == "planned").values(next_attempt_at=utc_now())
            if session.execute(planned.returning(Delivery.id)).all():
                break
        pause.wait(0.1)
    else:
        pytest.fail("no mail was planned")
    database.dispose()


def _wait_for(port: int) -> None:
    """Another process has its own clock: look until it listens, half a minute at most."""
    pause = threading.Event()
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        pause.wait(0.1)
    pytest.fail("the pages did not come up")
