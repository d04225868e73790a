"""The acts of an owner, and taking back, by the API and by commands: the same slices, the same refusals."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from engine.model import Community, ProcessInstance
from tests.conftest import BACKENDS
from tests.web.standing import incident_of, standing
from tests.world import World
from web import commands
from web.cli import main

API = "/api/v1"
__all__ = ["standing"]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def post(app: Any, world: World) -> Callable[..., Any]:
    """Posts as the secretariat, or as `by`."""

    def posted(path: str, body: dict[str, Any], by: str = "sekretariatet", **headers: str) -> Any:
        with world.database.transaction() as session:
            token = commands.make_token(session, session.get_one(Community, world.community_id), by, now=world.clock())
        given = {"Authorization": f"Bearer {token}", **{n.replace("_", "-"): v for n, v in headers.items()}}
        client = app.test_client()
        return (
            client.get(API + path, headers=given) if body is None else client.post(API + path, json=body, headers=given)
        )

    return posted


@pytest.fixture
def run(world: World, tmp_path: Path) -> Callable[..., Any]:
    """Runs a command on the world's database."""
    env = {"AVTALEFLYT_DATABASE_URL": world.database.url, "AVTALEFLYT_VAR_DIR": str(tmp_path)}

    def ran(*words: str, code: int = 0) -> Any:
        done = CliRunner(env=env).invoke(main, [*words, "--json"], catch_exceptions=False)
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if done.stdout else done.stderr

    return ran


def test_suspend_resume_and_reopen_by_the_api(world: World, standing: ProcessInstance, post: Any) -> None:
    path = f"/process-instances/{standing.public_id}"
    assert post(f"{path}/suspend", {}).status_code == 422
    held = post(f"{path}/suspend", {"reason": "Vent"}, If_Match=f'"{standing.revision}"')
    assert (held.status_code, held.json["state"]) == (200, "suspended")
    assert held.headers["ETag"] == f'"{held.json["revision"]}"'
    assert post(f"{path}/resume", {}, If_Match='"1"').status_code == 412
    assert post(f"{path}/resume", {}).json["state"] == "active"
    assert post(f"{path}/suspend", {"reason": "Vent"}, by="radgiver.larvik").status_code == 404


def test_an_incident_is_read_mended_and_retried_by_the_api(world: World, standing: ProcessInstance, post: Any) -> None:
    path = f"/process-instances/{standing.public_id}"
    [found] = post(f"{path}/incidents", None).json["incidents"]
    assert (found["element"], found["data"], [w["flow"] for w in found["ways"]]) == (
        "which", {"tall": 0}, ["which_a", "which_b"],
    )  # fmt: skip
    again = post(f"{path}/incidents/{found['id']}/retry", {})
    assert (again.status_code, again.json["resolution"]) == (200, None)
    assert post(f"{path}/variables", {"name": "tall", "value": 2, "reason": "Feil"}).status_code == 200
    assert post(f"{path}/incidents/{found['id']}/retry", {"reason": "Rettet"}).json["resolution"] == "retried"
    assert [t.step.element_id for t in world.tasks(standing.id)] == ["a"]


def test_skip_and_move_by_the_api(world: World, standing: ProcessInstance, post: Any) -> None:
    path, incident = f"/process-instances/{standing.public_id}", incident_of(world, standing)
    skip = f"{path}/incidents/{incident.public_id}/skip"
    assert "which_a" in post(skip, {"reason": "Videre"}).json["detail"]
    assert post(skip, {"reason": "Videre", "flow": "which_a"}).json["resolution"] == "skipped"
    [token] = post(f"{path}/tokens", None).json["tokens"]
    assert (token["element"], token["withdraws"]) == ("a", ["a"])
    assert {"element": "b", "name": "b"} in token["to"]
    move = {"token": token["token"], "element": "b", "reason": "Feil vei"}
    assert post(f"{path}/move", move).status_code == 200
    assert [t.step.element_id for t in world.tasks(standing.id)] == ["b"]
    assert post(f"{path}/move", move).status_code == 404


def test_asking_more_and_fewer_and_taking_back_by_the_api(world: World, post: Any) -> None:
    case = world.start(parties=("larvik", "horten"))
    world.proceed_to(case, "answer_survey")
    path = f"/process-instances/{world.instance(case).public_id}"
    assert "answer_survey" in post(f"{path}/ask", {"item": "tonsberg", "reason": "Glemt"}).json["detail"]
    added = post(f"{path}/ask", {"item": "tonsberg", "element": "answer_survey", "reason": "Glemt"}).json
    assert (added["item"], added["state"]) == ("tonsberg", "open")
    assert post(f"/tasks/{added['id']}/stop-asking", {"reason": "Likevel ikke"}).json["state"] == "withdrawn"
    asked = world.task(case, "answer_survey", "larvik")
    world.complete(asked.id)
    with world.database.reading() as session:
        done = session.merge(asked)
        approver = done.approver.key
    assert post(f"/tasks/{asked.public_id}/take-back", {}, by="radgiver.larvik").status_code == 403
    assert post(f"/tasks/{asked.public_id}/take-back", {}, by=approver).json["state"] == "submitted"


def test_a_case_is_mended_by_commands_alone(world: World, standing: ProcessInstance, run: Any) -> None:
    case = standing.public_id
    [found] = run("case", "incidents", case)
    assert run("case", "retry", found["id"], code=1)["resolution"] is None
    run("case", "set", case, "tall", "2", "--type", "number", "--reason", "Feil", "--user", "sekretariatet")
    assert run("case", "retry", found["id"])["resolution"] == "retried"
    [token] = run("case", "tokens", case)
    assert token["element"] == "a"
    run("case", "move", case, token["token"], "b", "--reason", "Feil vei")
    assert run("case", "suspend", case, "--reason", "Vent")["state"] == "suspended"
    assert run("case", "resume", case)["state"] == "active"
    run("cancel", case, "--reason", "Trukket")
    assert run("case", "reopen", case, "--reason", "Tatt opp igjen")["state"] == "active"
    kinds = [event["kind"] for event in run("history", case)]
    assert [k for k in kinds if k in ("moved", "suspended", "resumed", "cancelled", "reopened")] == [
        "moved", "suspended", "resumed", "cancelled", "reopened",
    ]  # fmt: skip
    refused = CliRunner(env={"AVTALEFLYT_DATABASE_URL": world.database.url}).invoke(
        main, ["case", "suspend", case, "--reason", "x", "--user", "radgiver.larvik"]
    )
    assert refused.exit_code == 1


def test_commands_skip_ask_and_take_back(world: World, standing: ProcessInstance, run: Any) -> None:
    incident = incident_of(world, standing)
    skipped = run("case", "skip", incident.public_id, "--flow", "which_b", "--reason", "Videre")
    assert skipped["resolution"] == "skipped"
    # Commands look at the machine's clock, so nothing here may fall due before long.
    late = {"ssu": date(2090, 11, 30), "au": date(2090, 11, 8)}
    case = world.start(parties=("larvik", "horten"), meetings=late)
    world.proceed_to(case, "answer_survey")
    added = run(
        "case", "ask", world.instance(case).public_id, "tonsberg", "--step", "answer_survey", "--reason", "Glemt"
    )
    assert run("case", "stop-asking", added["id"], "--reason", "Likevel ikke")["state"] == "withdrawn"
    asked = world.task(case, "answer_survey", "larvik")
    world.complete(asked.id)
    with world.database.reading() as session:
        approver = session.merge(asked).approver.key
    assert run("case", "take-back", asked.public_id, "--user", approver)["state"] == "submitted"
