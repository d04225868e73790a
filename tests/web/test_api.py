"""The API: a person's bearer token opens what that person may see and do, and nothing else."""

import json
from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import select, text, update

from engine.model import ApiToken, Community, ProcessInstance, User, UserTask
from tests.conftest import BACKENDS
from tests.world import EVALUATION, MANDATE, World
from web import commands

API = "/api/v1"
CASE = f"{API}/process-instances/{{instance_id}}"
EVALUATE = {
    "process": EVALUATION,
    "agreement": "helhetlige-pasientforlop",
    "meetings": {"ssu": "2026-11-27", "au": "2026-11-05"},
    "data": {"commissioning_decision": "17/26"},
    "confirm": "Møtet er bestemt.",
}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Caller:
    """Somebody with a token."""

    def __init__(self, app: Any, token: str) -> None:
        self._client = app.test_client()
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **query: Any) -> Any:
        return self._client.get(API + path, query_string=query, headers=self._headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.post(API + path, json=body, headers={**self._headers, **names})

    def raw(self, path: str, data: bytes, content_type: str = "application/json") -> Any:
        return self._client.post(API + path, data=data, content_type=content_type, headers=self._headers)


@pytest.fixture
def caller(app: Any, world: World) -> Callable[[str], Caller]:
    def made(key: str) -> Caller:
        with world.database.transaction() as session:
            community = session.get_one(Community, world.community_id)
            return Caller(app, commands.make_token(session, community, key, now=world.clock()))

    return made


@pytest.fixture
def secretariat(caller: Callable[[str], Caller]) -> Caller:
    return caller("sekretariatet")


# --- who is calling ---------------------------------------------------------------------------------------------------


# What changes nothing is asked in one installation, one question after the other.


def test_without_a_token_nothing_is_told(app: Any, subtests: pytest.Subtests) -> None:
    for path in ("/tasks", "/process-instances", "/process-definitions", "/tasks/abc"):
        with subtests.test(path):
            answer = app.test_client().get(API + path)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert answer.content_type == "application/problem+json"
            assert answer.json["status"] == 401


def test_a_token_that_is_none_is_refused(app: Any, subtests: pytest.Subtests) -> None:
    for header in ("Bearer wrong", "Bearer", "Basic YTpi", "Bearer \udcff", "bearer  "):
        with subtests.test(ascii(header)):
            written = header.encode("latin-1", "replace").decode()
            answer = app.test_client().get(API + "/tasks", headers={"Authorization": written})
            assert answer.status_code == 401


def test_a_revoked_token_is_refused(world: World, secretariat: Caller) -> None:
    assert secretariat.get("/tasks").status_code == 200
    with world.database.transaction() as session:
        session.execute(update(ApiToken).values(revoked_at=world.clock()))
    assert secretariat.get("/tasks").status_code == 401


def test_the_token_of_someone_who_has_left_is_refused(world: World, secretariat: Caller) -> None:
    with world.database.transaction() as session:
        session.execute(update(User).where(User.key == "sekretariatet").values(active=False))
    assert secretariat.get("/tasks").status_code == 401


def test_the_token_itself_is_not_kept(world: World, secretariat: Caller) -> None:
    with world.database.reading() as session:
        kept = session.scalars(select(ApiToken.token_hash)).one()
    assert len(kept) == 64
    assert kept not in str(secretariat._headers)


def test_a_signed_in_browser_may_read_but_not_write(world: World, client_for: Callable[[str], Any]) -> None:
    browser = client_for("sekretariatet")
    case = world.start()
    task = world.task(case, "plan_and_clarify")
    assert len(browser.get(API + "/tasks").json["tasks"]) == 1
    assert browser.post(f"{API}/tasks/{task.public_id}/claim").status_code == 401
    assert browser.post(API + "/process-instances", json=EVALUATE).status_code == 401
    assert world.task(case, "plan_and_clarify").assignee_id is None


def test_a_wrong_token_is_not_helped_by_a_session(client_for: Callable[[str], Any]) -> None:
    answer = client_for("sekretariatet").get(API + "/tasks", headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401


# --- processes and cases ----------------------------------------------------------------------------------------------


def test_processes_are_listed_with_what_a_start_takes(caller: Callable[[str], Caller], secretariat: Caller) -> None:
    listed = {d["key"]: d for d in secretariat.get("/process-definitions").json["process_definitions"]}
    assert set(listed) == {EVALUATION, MANDATE, "motesak"}
    assert listed[EVALUATION]["meetings"] == [{"name": "ssu", "required": True}, {"name": "au", "required": True}]
    assert listed[EVALUATION]["may_start"] is True
    others = caller("radgiver.larvik").get("/process-definitions").json["process_definitions"]
    assert not any(d["may_start"] for d in others if d["key"] == EVALUATION)


def test_a_started_case_is_answered_with_its_first_step(secretariat: Caller) -> None:
    answer = secretariat.post("/process-instances", EVALUATE)
    assert answer.status_code == 201
    assert [s["element"] for s in answer.json["steps"]] == ["plan_and_clarify"]
    assert answer.json["facts"] == {"ssu": "2026-11-27", "au": "2026-11-05"}
    again = secretariat.get(answer.headers["Location"].removeprefix(API))
    assert again.json == answer.json
    assert again.headers["ETag"] == answer.headers["ETag"]


def test_a_repeated_start_with_the_same_key_is_one_start(world: World, secretariat: Caller) -> None:
    first = secretariat.post("/process-instances", EVALUATE, Idempotency_Key="8f14e45f")
    second = secretariat.post("/process-instances", EVALUATE, Idempotency_Key="8f14e45f")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json["id"] == second.json["id"]
    assert len(secretariat.get("/process-instances").json["process_instances"]) == 1


def test_the_key_of_another_person_is_another_key(caller: Callable[[str], Caller], secretariat: Caller) -> None:
    first = secretariat.post("/process-instances", EVALUATE, Idempotency_Key="1")
    second = caller("administrator").post("/process-instances", EVALUATE, Idempotency_Key="1")
    assert second.status_code == 201
    assert first.json["id"] != second.json["id"]


def test_warnings_are_refused_until_someone_says_why(secretariat: Caller) -> None:
    answer = secretariat.post("/process-instances", {**EVALUATE, "confirm": None})
    assert answer.status_code == 422
    assert "fredag" in answer.json["detail"]


def test_who_may_not_start_a_process_is_told_so(caller: Callable[[str], Caller]) -> None:
    assert caller("radgiver.larvik").post("/process-instances", EVALUATE).status_code == 403


#: The part of a start that has the wrong shape, and the field that is told of.
MISSHAPEN = (
    ({"process": None}, "process"),
    ({"meetings": [1]}, "meetings"),
    ({"parties": "siv"}, "parties"),
    ({"roles": {"au": {"group": "au", "user": "leder.au"}}}, "roles.au.value"),
    ({"data": {"questions": 7}}, "data"),
    ({"unheard_of": 1}, "unheard_of"),
)
#: Parts of a start that have the right shape, and are wrong.
SENSELESS: tuple[dict[str, Any], ...] = (
    {"process": "unheard_of"},
    {"agreement": "unheard-of"},
    {"meetings": {"ssu": "2026-11-31"}},
    {"meetings": {"ssu": "27.11.2026", "au": "2026-11-05"}},
    {"meetings": {}},
    {"meetings": {"ssu": "9999-12-31", "au": "2026-11-05"}},
    {"parties": ["unheard-of"]},
    {"parties": []},
    {"roles": {"au": {"group": "unheard-of"}}},
    {"roles": {"unheard-of": {"group": "au"}}},
    {"data": {"commissioning_decision": {"a": 1}}},
    {"data": {"commissioning_decision": "17/26", "reviewers": [{}]}},
    {"data": {"commissioning_decision": "17/26", "parties": []}},
)


def test_a_start_of_the_wrong_shape_is_refused_field_by_field(secretariat: Caller, subtests: pytest.Subtests) -> None:
    for change, field in MISSHAPEN:
        with subtests.test(json.dumps(change)):
            answer = secretariat.post("/process-instances", {**EVALUATE, **change})
            assert answer.status_code == 422
            assert answer.content_type == "application/problem+json"
            assert field in [error["key"] for error in answer.json["errors"]]


def test_a_start_that_makes_no_sense_is_refused_and_starts_nothing(
    secretariat: Caller, subtests: pytest.Subtests
) -> None:
    for change in SENSELESS:
        with subtests.test(json.dumps(change)):
            answer = secretariat.post("/process-instances", {**EVALUATE, **change})
            started = secretariat.get("/process-instances").json["process_instances"]
            assert answer.status_code in (404, 422)
            assert started == []


def test_cases_are_listed_newest_first_page_by_page(world: World, secretariat: Caller) -> None:
    started = [world.instance(world.start()).public_id for _ in range(5)]
    first = secretariat.get("/process-instances", limit=3).json
    second = secretariat.get("/process-instances", limit=3, cursor=first["next_cursor"]).json
    assert [i["id"] for i in first["process_instances"] + second["process_instances"]] == started[::-1]
    assert second["next_cursor"] is None
    assert secretariat.get("/process-instances", state="completed").json["process_instances"] == []


def test_a_case_that_one_may_not_see_is_not_there(world: World, caller: Callable[[str], Caller]) -> None:
    case = world.instance(world.start()).public_id
    outsider = caller("leder.fsu")
    assert outsider.get("/process-instances").json["process_instances"] == []
    assert outsider.get(f"/process-instances/{case}").status_code == 404
    assert outsider.get("/tasks", instance=case).status_code == 404


# --- lists of tasks ---------------------------------------------------------------------------------------------------


def test_a_party_sees_its_own_tasks_only(surveyed: int, caller: Callable[[str], Caller], secretariat: Caller) -> None:
    larvik = caller("radgiver.larvik").get("/tasks").json["tasks"]
    assert {t["item"] for t in larvik} == {"larvik"}
    assert {t["element"] for t in larvik} == {"answer_survey", "fetch_data"}
    # Who owns the case sees them all, and so does the administrator.
    assert len(secretariat.get("/tasks").json["tasks"]) == 15
    assert len(caller("administrator").get("/tasks").json["tasks"]) == 15
    assert caller("leder.fsu").get("/tasks").json["tasks"] == []


def test_who_approves_sees_the_task_too(surveyed: int, caller: Callable[[str], Caller]) -> None:
    seen = caller("kommunalsjef.larvik").get("/tasks").json["tasks"]
    assert ("answer_survey", "kommunalsjef.larvik") in [(t["element"], t["approver"]) for t in seen]


def test_pages_give_every_task_once_and_in_order(
    world: World, surveyed: int, secretariat: Caller, subtests: pytest.Subtests
) -> None:
    world.start()
    with world.database.transaction() as session:
        # Equal dates, missing dates and another state: everything a page may begin between.
        ids = session.scalars(
            select(UserTask.id).where(UserTask.instance_id == surveyed, UserTask.state == "open")
        ).all()
        session.execute(update(UserTask).where(UserTask.id.in_(ids[::5])).values(due_date=None))
        session.execute(update(UserTask).where(UserTask.id.in_(ids[1::4])).values(state="submitted"))
    for sort, limit in product(("due", "-due", "opened"), (1, 4, 7)):
        with subtests.test(f"{limit} by {sort}"):
            found = every_page(secretariat, sort, limit)
            every = secretariat.get("/tasks", sort=sort, limit=200).json["tasks"]
            assert [t["id"] for t in found] == [t["id"] for t in every]
            assert len({t["id"] for t in found}) == 16
            dues = [t["due"] for t in found if t["due"]]
            if sort != "opened":
                assert dues == sorted(dues, reverse=sort == "-due")
                assert [t["due"] for t in found[len(dues) :]] == [None] * (16 - len(dues))


def every_page(caller: Caller, sort: str, limit: int) -> list[dict[str, Any]]:
    """The tasks of all pages, as somebody finds them who asks for one page after the other."""
    found: list[dict[str, Any]] = []
    cursor = None
    for _ in range(40):
        page = caller.get("/tasks", sort=sort, limit=limit, **({"cursor": cursor} if cursor else {})).json
        found += page["tasks"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return found


def test_tasks_can_be_chosen(world: World, surveyed: int, secretariat: Caller) -> None:
    case = world.instance(surveyed).public_id
    world.start(process=MANDATE)

    def found(**query: Any) -> set[str]:
        answer = secretariat.get("/tasks", **query)
        assert answer.status_code == 200, answer.json
        return {t["element"] for t in answer.json["tasks"]}

    assert found(assignee="radgiver.larvik") == {"answer_survey"}
    assert found(assignee="me") == set()
    assert found(group="larvik") == {"fetch_data"}
    assert found(instance=case) == {"answer_survey", "fetch_data", "hold_dialogue_meetings"}
    assert found(q="fagutvalg hr") == {"draft_mandate"}
    assert found(q="LARVIK") == {"answer_survey", "fetch_data"}
    assert found(q="100%") == set()
    assert found(overdue="true") == {"draft_mandate"}  # its meeting was in 2024


def test_a_question_that_makes_no_sense_is_refused(secretariat: Caller, subtests: pytest.Subtests) -> None:
    senseless: tuple[dict[str, Any], ...] = (
        {"limit": 0}, {"limit": 201}, {"limit": "x"}, {"sort": "name"}, {"assignee": "unheard.of"},
        {"group": "unheard-of"}, {"cursor": "x"}, {"cursor": "bnVsbA"}, {"cursor": "WyJkdWUiLCAiMjAyNiIsIDFd"},
        {"cursor": "WyItZHVlIiwgbnVsbCwgMV0"}, {"cursor": "å"}, {"q": "x" * 101}, {"q": ""}, {"overdue": "maybe"},
    )  # fmt: skip
    for query in senseless:
        with subtests.test(str(query)):
            assert secretariat.get("/tasks", **query).status_code == 422
    assert secretariat.get("/tasks", unheard_of=1).status_code == 200


def test_a_page_is_found_by_its_place_in_the_index(
    world: World, surveyed: int, backend: str, caller: Callable[[str], Caller]
) -> None:
    explain = "EXPLAIN QUERY PLAN" if backend == "sqlite" else "EXPLAIN"
    query = (
        f"{explain} SELECT id FROM user_task WHERE state = 'open' AND community_id = 1"
        " AND due_date IS NOT NULL AND (due_date, id) > ('2026-09-30', 3) ORDER BY due_date, id LIMIT 51"
    )
    with world.database.reading() as session:
        if backend == "postgresql":
            # With so few rows it would rightly read the whole table.
            for other in ("enable_seqscan", "enable_bitmapscan"):
                session.execute(text(f"SET LOCAL {other} = off"))
        plan = " ".join(str(row) for row in session.execute(text(query)))
    assert "ix_user_task_open" in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


# --- one task ---------------------------------------------------------------------------------------------------------


def test_a_task_comes_with_its_form_and_what_it_offers(
    world: World, surveyed: int, caller: Callable[[str], Caller]
) -> None:
    task = world.task(surveyed, "answer_survey", "larvik")
    answer = caller("radgiver.larvik").get(f"/tasks/{task.public_id}")
    assert answer.headers["ETag"] == f'"{task.revision}"'
    assert answer.json["form"]["id"] == "answer_survey"
    assert answer.json["inputs"]["chapters"][0]["value"] == "3"
    assert set(answer.json["inputs"]) == {"chapters", "questions"}
    assert answer.json["title"].startswith("Evaluering")


def test_what_a_party_writes_is_not_shown_to_others_before_it_is_sent(
    world: World, surveyed: int, caller: Callable[[str], Caller], secretariat: Caller
) -> None:
    task = world.task(surveyed, "answer_survey", "larvik")
    with world.database.transaction() as session:
        from engine import user_tasks

        actor = world.person(session, "radgiver.larvik")
        user_tasks.save_draft(session, task.id, {"works": "Et utkast"}, actor=actor, now=world.clock())
    path = f"/tasks/{task.public_id}"
    assert caller("radgiver.larvik").get(path).json["draft"] == {"works": "Et utkast"}
    assert secretariat.get(path).json["draft"] is None
    assert caller("radgiver.horten").get(path).status_code == 404
    world.fill(task.id)
    assert secretariat.get(path).json["answers"] is None  # not approved yet
    world.approve(task.id)
    assert secretariat.get(path).json["answers"] is not None


def test_a_group_s_task_is_taken_once(world: World, surveyed: int, caller: Callable[[str], Caller]) -> None:
    task = world.task(surveyed, "fetch_data", "larvik")
    first, second = caller("radgiver.larvik"), caller("analyse.larvik")
    taken = first.post(f"/tasks/{task.public_id}/claim")
    assert (taken.status_code, taken.json["assignee"]) == (200, "radgiver.larvik")
    assert first.post(f"/tasks/{task.public_id}/claim").json == taken.json
    late = second.post(f"/tasks/{task.public_id}/claim")
    assert late.status_code == 409
    assert "already has it" in late.json["detail"]
    assert caller("leder.fsu").post(f"/tasks/{task.public_id}/claim").status_code == 404


def test_answers_complete_a_task_and_the_same_answers_again_give_the_same(world: World, secretariat: Caller) -> None:
    case = world.start()
    task = world.task(case, "plan_and_clarify")
    answers = world.answers(task.id)
    seen = secretariat.get(f"/tasks/{task.public_id}").headers["ETag"]
    sent = secretariat.post(f"/tasks/{task.public_id}/complete", answers, If_Match=seen)
    assert (sent.status_code, sent.json["state"]) == (200, "completed")
    again = secretariat.post(f"/tasks/{task.public_id}/complete", answers, If_Match=seen)
    assert again.json == sent.json
    assert len(world.steps(case, element_id="anchor_plan")) == 1


def test_an_answer_that_someone_approves_waits_for_them(
    world: World, surveyed: int, caller: Callable[[str], Caller]
) -> None:
    task = world.task(surveyed, "answer_survey", "larvik")
    sent = caller("radgiver.larvik").post(f"/tasks/{task.public_id}/complete", world.answers(task.id))
    assert sent.json["state"] == "submitted"


def test_a_stale_answer_is_refused_and_kept_as_a_draft(
    world: World, surveyed: int, caller: Callable[[str], Caller]
) -> None:
    task = world.task(surveyed, "fetch_data", "larvik")
    larvik = caller("radgiver.larvik")
    seen = larvik.get(f"/tasks/{task.public_id}").headers["ETag"]
    larvik.post(f"/tasks/{task.public_id}/claim")
    answers = {**world.answers(task.id), "unheard_of": 1}
    answer = larvik.post(f"/tasks/{task.public_id}/complete", answers, If_Match=seen)
    assert answer.status_code == 412
    assert answer.content_type == "application/problem+json"
    kept = larvik.get(f"/tasks/{task.public_id}").json
    assert kept["state"] == "open"
    assert kept["draft"] == world.answers(task.id)


def test_an_answer_after_the_step_has_closed_is_refused(
    world: World, surveyed: int, caller: Callable[[str], Caller]
) -> None:
    task = world.task(surveyed, "answer_survey", "larvik")
    answers = world.answers(task.id)
    world.clock.set(world.clock() + timedelta(days=60))
    world.wake(surveyed)
    assert caller("radgiver.larvik").post(f"/tasks/{task.public_id}/complete", answers).status_code == 409


def test_answers_that_do_not_fit_are_refused_field_by_field(
    world: World, surveyed: int, caller: Callable[[str], Caller]
) -> None:
    task = world.task(surveyed, "answer_survey", "larvik")
    answer = caller("radgiver.larvik").post(f"/tasks/{task.public_id}/complete", {"unheard_of": 1})
    assert answer.status_code == 422
    assert {"unheard_of", "chapter_scores-0-score"} <= {error["key"] for error in answer.json["errors"]}
    assert all(error["message"] and error["label"] for error in answer.json["errors"])


def test_an_if_match_that_is_no_revision_is_refused(
    world: World, secretariat: Caller, subtests: pytest.Subtests
) -> None:
    task = world.task(world.start(), "plan_and_clarify")
    for given in ("x", '"x"', "-1", '"1', "٣"):
        with subtests.test(given):
            header = given.encode().decode("latin-1")
            answer = secretariat.post(f"/tasks/{task.public_id}/claim", If_Match=header)
            assert answer.status_code in (412, 422)


# --- bodies that would harm -------------------------------------------------------------------------------------------


#: Bodies and how they are answered.
HARMFUL = {
    "deep": (b"[" * 100_000, 422),
    "nested": (b'{"a":' * 400 + b"1" + b"}" * 400, 422),
    "cut": (b"{", 400),
    "bytes": (b"\xff", 400),
    "nan": (b'{"a": NaN}', 400),
    "digits": (b'{"a": 1' + b"0" * 5000 + b"}", 400),
    "nul": (b'{"works": "\\u0000"}', 422),
    "surrogate": (b'{"works": "\\ud800"}', 422),
    "list": (b"[]", 422),
    "number": (b"7", 422),
    "null": (b"null", 422),
    "large": (b" " * 1_100_000, 413),
}


def test_a_body_that_would_harm_is_refused(world: World, secretariat: Caller, subtests: pytest.Subtests) -> None:
    task = world.task(world.start(), "plan_and_clarify")
    for name, (body, status) in HARMFUL.items():
        with subtests.test(name):
            for path in (f"/tasks/{task.public_id}/complete", "/process-instances"):
                answer = secretariat.raw(path, body)
                assert answer.status_code == status, answer.text
                assert answer.content_type == "application/problem+json"
            assert world.task(task.instance_id, "plan_and_clarify").revision == task.revision


def test_another_kind_of_body_is_refused(world: World, secretariat: Caller) -> None:
    task = world.task(world.start(), "plan_and_clarify")
    path = f"/tasks/{task.public_id}/complete"
    assert secretariat.raw(path, b"works=ja", "application/x-www-form-urlencoded").status_code == 415
    assert secretariat.raw(path, b"{}", "text/plain").status_code == 415


# --- what the API says about itself -----------------------------------------------------------------------------------


def test_the_description_names_every_path_and_how_to_sign_in(app: Any) -> None:
    described = app.test_client().get(f"{API}/openapi.json").json
    assert described["info"]["title"] == "Avtaleflyt"
    assert described["components"]["securitySchemes"]["bearer"] == {"type": "http", "scheme": "bearer"}
    assert {path: set(verbs) for path, verbs in described["paths"].items()} == {
        f"{API}/process-definitions": {"get"},
        f"{API}/process-instances": {"get", "post"},
        CASE: {"get"},
        **{f"{CASE}/{act}": {"post"} for act in ("suspend", "resume", "reopen", "variables", "move", "ask")},
        **{f"{CASE}/{list_}": {"get"} for list_ in ("incidents", "tokens")},
        **{f"{CASE}/{act}": {"post"} for act in ("migration", "migration/revert")},
        **{f"{CASE}/incidents/{{incident_id}}/{act}": {"post"} for act in ("retry", "skip")},
        **{f"{API}/tasks/{{task_id}}/{act}": {"post"} for act in ("take-back", "stop-asking")},
        **{f"{CASE}/{act}": {"post"} for act in ("dates", "dates/preview")},
        f"{API}/meetings": {"get"},
        **{f"{API}/meetings/{{meeting_id}}/{act}": {"post"} for act in ("move", "move/preview")},
        f"{API}/more-time-requests": {"get"},
        f"{API}/more-time-requests/{{request_id}}/answer": {"post"},
        f"{API}/tasks/{{task_id}}/more-time": {"post"},
        f"{API}/messages": {"post"},
        f"{API}/tasks": {"get"},
        f"{API}/tasks/{{task_id}}": {"get"},
        f"{API}/tasks/{{task_id}}/claim": {"post"},
        f"{API}/tasks/{{task_id}}/complete": {"post"},
    }
    for verbs in described["paths"].values():
        for verb in {"get", "post"} & set(verbs):
            assert verbs[verb]["security"] == [{"bearer": []}]
            assert verbs[verb]["summary"]


def test_rows_are_those_of_the_commands(world: World, secretariat: Caller) -> None:
    case = world.start()
    with world.database.reading() as session:
        community = session.get_one(Community, world.community_id)
        by_command = commands.tasks(session, community, None, None, None)
        instance = commands.instance(session, community, session.get_one(ProcessInstance, case).public_id)
    assert secretariat.get("/tasks").json["tasks"] == by_command
    assert secretariat.get(f"/process-instances/{instance['id']}").json == instance
