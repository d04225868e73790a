"""Moves by the API: a preview that changes nothing, a move of what was seen, and more time asked for and answered."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from agreements.model import Meeting, Move
from engine.model import Community
from tests.web.test_moving import away
from tests.world import World
from web import commands

Api = Callable[..., Any]
TO = {"to": "2026-12-04"}


@pytest.fixture
def api(app: Any, world: World) -> Api:
    """Calls the API as `by`, the secretariat unless somebody else is named."""
    tokens: dict[str, str] = {}

    def call(path: str, body: dict[str, Any] | None = None, by: str = "sekretariatet", **headers: str) -> Any:
        if by not in tokens:
            with world.database.transaction() as session:
                place = session.get_one(Community, world.community_id)
                tokens[by] = commands.make_token(session, place, by, now=world.clock())
        given = {"Authorization": f"Bearer {tokens[by]}", **{n.replace("_", "-"): v for n, v in headers.items()}}
        client = app.test_client()
        address = f"/api/v1{path}"
        return client.get(address, headers=given) if body is None else client.post(address, json=body, headers=given)

    return call


def moves(world: World) -> list[Move]:
    with world.database.reading() as session:
        return list(session.scalars(select(Move)))


def test_a_meeting_is_moved_as_it_was_seen_and_once(world: World, surveyed: int, api: Api) -> None:
    away(world, "kommunalsjef.larvik", "radgiver.larvik")
    with world.database.reading() as session:
        ssu = session.scalars(select(Meeting.public_id).where(Meeting.key == "ssu-2026-11-27")).one()
    assert {"id": ssu, "body": "ssu", "date": "2026-11-27"} in api("/meetings").json["meetings"]
    path = f"/meetings/{ssu}/move"
    assert api(f"{path}/preview", TO, by="radgiver.larvik").status_code == 403
    assert api(f"{path}/preview", {"to": "2026-01-05"}).status_code == 422
    case_id = world.instance(surveyed).public_id
    followed = api(f"{path}/preview", {**TO, "choices": {case_id: "follow"}})
    assert followed.status_code == 200, followed.json
    [case] = followed.json["cases"]
    assert (case["id"], case["chosen"], [o["key"] for o in case["options"]]) == (case_id, "follow", ["keep", "follow"])
    assert "analyse" in {step["step"] for step in case["impossible"]}
    assert {waits["kind"] for waits in case["waits"]} == {"timer", "mail", "entry"}
    told = {row["user"]: row["in_place_of"] for row in followed.json["told"]}
    assert told["radgiver.larvik"] == ["kommunalsjef.larvik"]
    assert "kommunalsjef.larvik" not in told
    assert moves(world) == []

    wanted = {**TO, "reason": "Salen er opptatt"}
    assert api(path, wanted).status_code == 428
    world.complete(world.task(surveyed, "answer_survey", "larvik").id)
    late = api(path, wanted, If_Match=followed.headers["ETag"])
    assert (late.status_code, late.json["title"]) == (412, "Stale")
    [now] = late.json["preview"]["cases"]
    assert (now["revision"] > case["revision"], now["chosen"], now["impossible"]) == (True, "keep", [])
    moved = {step["step"]: (step["old"], step["new"]) for step in now["moved"]}
    assert moved["treat_case"] == ("2026-11-27", "2026-12-04")
    seen = {"If_Match": late.headers["ETag"], "Idempotency_Key": "ssu-desember"}
    done = api(path, wanted, **seen)
    assert done.status_code == 200, done.json
    rows = {row["name"]: (row["case"], row["old"], row["new"]) for row in done.json["dates"]}
    assert rows["Behandle saken"] == (case_id, "2026-11-27", "2026-12-04")
    assert done.json["told"] == len(late.json["preview"]["told"])
    assert api(path, wanted, **seen).json == done.json
    assert [move.public_id for move in moves(world)] == [done.json["id"]]
    assert world.instance(surveyed).facts["ssu"] == "2026-12-04"


def test_dates_of_a_case_and_more_time_for_one_party(world: World, surveyed: int, api: Api) -> None:
    case, task = world.instance(surveyed), world.task(surveyed, "answer_survey", "larvik")
    asked = api(f"/tasks/{task.public_id}/more-time", {"wanted": "2026-10-07", "reason": "Ferie"}, by="radgiver.larvik")
    assert (asked.status_code, asked.json["state"]) == (200, "open")
    assert api("/more-time-requests").json["requests"] == [asked.json]
    assert api("/more-time-requests", by="radgiver.larvik").json["requests"] == []
    path = f"/process-instances/{case.public_id}/dates"
    later = api(f"{path}/preview", {"due_dates": {task.public_id: "2026-10-20"}}).json
    assert [step["step"] for step in later["cases"][0]["tighter"]] == ["analyse"]
    assert [told["user"] for told in later["told"]] == ["radgiver.larvik"]
    answer = f"/more-time-requests/{asked.json['id']}/answer"
    assert api(answer, {"answer": "no"}).status_code == 422
    assert api(answer, {"answer": "yes"}, by="radgiver.larvik").status_code == 403
    given = api(answer, {"answer": "yes"}, If_Match=f'"{task.revision}"')
    assert (given.status_code, given.json["state"], given.json["given"]) == (200, "granted", "2026-10-07")
    assert api(answer, {"answer": "yes"}).status_code == 409
    due = {t.item: t.due_date for t in world.tasks(surveyed, "answer_survey")}
    assert due.pop("larvik") == date(2026, 10, 7)
    assert set(due.values()) == {date(2026, 9, 30)}

    by_hand = {"hand_dates": {"analyse": "2026-10-16"}}
    assert api(f"{path}/preview", {}).status_code == 422
    assert api(f"{path}/preview", {"hand_dates": {"/analyse": "2026-10-16"}}).status_code == 422
    assert api(f"{path}/preview", {"facts": {"ssu": "2025-01-09"}}).status_code == 422
    assert api(f"{path}/preview", by_hand, by="radgiver.larvik").status_code == 403
    seen = api(f"{path}/preview", by_hand).headers["ETag"]
    done = api(path, {**by_hand, "reason": "Ferie uka etter"}, If_Match=seen)
    assert done.status_code == 200, done.json
    assert [row["new"] for row in done.json["dates"]] == ["2026-10-16"]
    assert world.instance(surveyed).hand_dates == {"analyse": "2026-10-16"}
