"""Moving running cases to a version: the pages, the command and the API; who may, what is refused, and the words."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from engine import history, process_instances, standing
from engine.model import Community, ProcessInstance
from tests.conftest import BACKENDS
from tests.web.moving import HOME, case, deploy, later, migrations, renamed, version, xml_of
from tests.world import EVALUATION, MEETING_CASE, World
from web import commands
from web.app import create_app
from web.cli import main

Client = Any
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"
WHY = "Mer tid til å lese papirene"
__all__ = ["case"]


@pytest.fixture
def owner(client_for: Callable[[str], Client]) -> Client:
    return client_for("sekretariatet")


def address(case: ProcessInstance, version: int = 2) -> str:
    return f"/modeller/{MEETING_CASE}/{version}/flytt/{case.public_id}"


def move(client: Client, case: ProcessInstance, **more: str) -> Any:
    return client.post(address(case), data={"reason": WHY, "revision": case.revision, **more})


def kinds(world: World, case: ProcessInstance) -> list[str]:
    with world.database.reading() as session:
        return [event.kind for event in history.events(session, session.get_one(ProcessInstance, case.id))]


# --- looking ----------------------------------------------------------------------------------------------------------


def test_the_list_says_which_cases_run_on_other_versions_and_where_they_stand(
    owner: Client, world: World, case: ProcessInstance
) -> None:
    newer = world.start(MEETING_CASE, title="En sak på den nye")
    page = owner.get(HOME).text
    assert "Digital møteserie" in page
    assert "Send innkalling" in page
    assert address(case) in page
    assert world.instance(newer).public_id not in page


def test_trying_a_case_says_what_happens_and_keeps_nothing(owner: Client, world: World, case: ProcessInstance) -> None:
    page = owner.get(address(case)).text
    assert "Ny frist" in page
    assert "20.\u00a0november" in page
    assert "18.\u00a0november" in page
    assert "Tre virkedager igjen: send innkalling innen 18.\u00a0november" in page
    assert "Planlagte e-poster som ikke endres: 1." in page
    assert (version(world, case), migrations(world)) == (1, [])
    assert world.instance(case.id).revision == case.revision


def test_a_case_that_stands_on_something_that_is_gone_offers_what_fits(
    owner: Client, world: World, case: ProcessInstance
) -> None:
    deploy(world, renamed(xml_of(world)))
    page = owner.get(address(case, 3)).text
    assert "Saken står på «Send innkalling», som ikke finnes i versjon 3." in page
    assert 'name="i-stedet-for-send_notice"' in page
    assert '<option value="call_in">' in page
    assert "startEvent" not in page
    assert 'name="reason"' not in page
    chosen = owner.get(address(case, 3) + "?i-stedet-for-send_notice=call_in").text
    assert "Saken settes på «Send innkalling» i stedet for «Send innkalling»." in chosen
    assert 'name="reason"' in chosen
    moved = owner.post(
        address(case, 3), data={"reason": WHY, "revision": case.revision, "i-stedet-for-send_notice": "call_in"}
    )
    assert moved.status_code == 303
    assert [task.step.element_id for task in world.tasks(case.id)] == ["call_in"]


# --- moving -----------------------------------------------------------------------------------------------------------


def test_a_case_is_moved_with_a_reason_that_stands_in_its_history(
    owner: Client, world: World, case: ProcessInstance
) -> None:
    assert "Skriv hvorfor saken flyttes." in move(owner, case, reason=" ").text
    assert version(world, case) == 1
    answer = move(owner, case)
    assert (answer.status_code, answer.location) == (303, address(case))
    assert version(world, case) == 2
    assert [task.due_date for task in world.tasks(case.id)] == [date(2026, 11, 18)]
    page = owner.get(address(case)).text
    assert "Saken er på versjon 2" in page
    assert WHY in page
    assert "Angre flyttingen" in page
    told = owner.get(f"/saker/{case.public_id}/historikk").text
    assert "Sekretariatet flyttet saken til versjon 2 av modellen." in told
    assert WHY in told


def test_a_form_that_showed_an_older_case_moves_nothing(owner: Client, world: World, case: ProcessInstance) -> None:
    with world.database.transaction() as session:
        held = process_instances.locked(session, case.id)
        process_instances.set_facts(session, held, {"meeting": date(2026, 12, 1)}, now=world.clock(), actor_id=None)
    assert move(owner, case).status_code == 409
    assert version(world, case) == 1


def test_what_stands_in_the_way_at_last_is_said_and_nothing_is_moved(
    owner: Client, world: World, case: ProcessInstance
) -> None:
    deploy(world, renamed(xml_of(world)))
    answer = owner.post(address(case, 3), data={"reason": WHY, "revision": case.revision}, follow_redirects=True)
    assert "Det saken står på, passer ikke lenger i den nye versjonen." in answer.text
    assert version(world, case) == 1


def test_many_are_moved_each_for_itself_and_one_that_fails_stops_no_other(
    owner: Client, world: World, case: ProcessInstance
) -> None:
    second = world.instance(world.start(MEETING_CASE, title="Sak nummer to"))
    third = deploy(world, later(xml_of(world)).replace("meeting, 7", "meeting, 8"))
    stuck = world.instance(world.start(MEETING_CASE, title="Sak som er flyttet"))
    page = owner.get(f"/modeller/{MEETING_CASE}/3/flytt/alle").text
    assert "Saker som kan flyttes: 2 av 2." in page
    assert f'value="{case.public_id}:{case.revision}"' in page
    with world.database.transaction() as session:  # meanwhile somebody does something in the first
        held = process_instances.locked(session, case.id)
        standing.suspend(session, held, now=world.clock(), actor_id=None, reason="Vent")
    given = [f"{one.public_id}:{one.revision}" for one in (case, stuck, second)] + ["finnes-ikke:1", "tull"]
    result = owner.post(f"/modeller/{MEETING_CASE}/3/flytt/alle", data={"reason": WHY, "sak": given}).text
    assert "Flyttet til versjon 3: 1 av 4" in result
    assert "Saken er endret etter at den ble prøvd. Prøv den på nytt." in result
    assert "Saken er allerede på denne versjonen." in result
    assert "Du kan ikke flytte denne saken." in result
    assert (version(world, case), version(world, second), world.instance(second.id).definition_id) == (1, 3, third.id)


def test_a_fault_in_one_case_is_logged_and_the_others_are_moved(
    owner: Client, world: World, case: ProcessInstance, caplog: pytest.LogCaptureFixture
) -> None:
    second = world.instance(world.start(MEETING_CASE, title="Sak nummer to"))
    deploy(world, later(xml_of(world)).replace("meeting, 7", "meeting, 8"))
    with world.database.transaction() as session:
        session.get_one(ProcessInstance, case.id).state_document = b"rubbish"
    page = owner.get(f"/modeller/{MEETING_CASE}/3/flytt/alle").text
    assert "Saker som kan flyttes: 1 av 2." in page
    assert "Noe gikk galt hos oss. Feilen er meldt." in page
    given = [f"{one.public_id}:{one.revision}" for one in (case, second)]
    result = owner.post(f"/modeller/{MEETING_CASE}/3/flytt/alle", data={"reason": WHY, "sak": given}).text
    assert "Flyttet til versjon 3: 1 av 2" in result
    assert version(world, second) == 3
    assert "could not be moved" in caplog.text


def test_nothing_chosen_and_no_reason_are_said(owner: Client, case: ProcessInstance) -> None:
    answer = owner.post(f"{HOME}/alle", data={})
    assert answer.status_code == 422
    assert "Ingen saker er valgt." in answer.text
    assert "Skriv hvorfor saken flyttes." in answer.text


# --- moving back ------------------------------------------------------------------------------------------------------


def test_a_move_is_undone_while_nothing_has_happened(owner: Client, world: World, case: ProcessInstance) -> None:
    move(owner, case)
    there = f"{address(case)}/angre"
    assert "Saken settes tilbake til versjon 1" in owner.get(there).text
    revision = world.instance(case.id).revision
    assert "Skriv hvorfor flyttingen angres." in owner.post(there, data={"revision": revision}).text
    assert owner.post(there, data={"revision": revision, "reason": "Feil versjon"}).status_code == 303
    assert version(world, case) == 1
    assert [task.due_date for task in world.tasks(case.id)] == [date(2026, 11, 20)]
    assert kinds(world, case)[-2:] == ["migrated", "migration-reverted"]
    assert owner.get(there).status_code == 404
    assert "flyttet saken tilbake til den forrige versjonen" in owner.get(f"/saker/{case.public_id}/historikk").text


def test_a_move_is_not_undone_once_something_has_happened(owner: Client, world: World, case: ProcessInstance) -> None:
    move(owner, case)
    world.complete_step(case.id, "send_notice")
    there = f"{address(case)}/angre"
    page = owner.get(there).text
    assert "Flyttingen kan ikke angres" in page
    assert address(case, 1) in page
    assert owner.post(there, data={"reason": "Feil versjon"}).status_code == 200
    assert version(world, case) == 2


# --- who may ----------------------------------------------------------------------------------------------------------


def test_only_the_owner_and_administrators_may(
    client_for: Callable[[str], Client], app: Any, world: World, case: ProcessInstance
) -> None:
    admin, stranger, part = (client_for(key) for key in ("administrator", "radgiver.larvik", "tillitsvalgt.siv"))
    assert admin.get(address(case)).status_code == 200
    assert "Digital møteserie" in admin.get(HOME).text
    assert "Digital møteserie" not in stranger.get(HOME).text
    assert stranger.get(address(case)).status_code == 404
    assert move(stranger, case).status_code == 404
    assert part.get(f"{address(case)}/angre").status_code in (403, 404)
    given = {"reason": WHY, "sak": f"{case.public_id}:{case.revision}"}
    assert "Flyttet til versjon 2: 0 av 1" in stranger.post(f"{HOME}/alle", data=given).text
    assert app.test_client().get(HOME).location.startswith("/logg-inn")
    assert version(world, case) == 1


def test_one_who_takes_part_but_does_not_own_is_refused(
    client_for: Callable[[str], Client], world: World, case: ProcessInstance
) -> None:
    with world.database.transaction() as session:
        from engine import steps

        held = session.get_one(ProcessInstance, case.id)
        steps.allow(session, held, [world.user(session, "radgiver.larvik").id], [])
    client = client_for("radgiver.larvik")
    assert client.get(address(case)).status_code == 403
    assert move(client, case).status_code == 403
    assert client.get(f"{address(case)}/angre").status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/modeller/finnes_ikke/1/flytt", f"/modeller/{MEETING_CASE}/9/flytt", f"{HOME}/finnesikke",
        f"{HOME}/finnesikke/angre", f"/modeller/{MEETING_CASE}/9/flytt/alle",
        f"/modeller/{MEETING_CASE}/99999999999999999999/flytt",
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found(owner: Client, case: ProcessInstance, path: str) -> None:
    assert owner.get(path).status_code == 404


@pytest.mark.parametrize(
    "ids", ["a'b=c", "send_notice='%5D//*", "finnes_ikke=heller_ikke", "send_notice=finnes_ikke", "=x"]
)
def test_an_element_that_nobody_drew_is_no_choice(owner: Client, case: ProcessInstance, ids: str) -> None:
    assert owner.get(f"{address(case)}?i-stedet-for-{ids}").status_code == 200


def test_a_case_of_another_process_is_not_found(owner: Client, case: ProcessInstance) -> None:
    assert owner.get(f"/modeller/{EVALUATION}/1/flytt/{case.public_id}").status_code == 404
    assert owner.get(f"{address(case)}/angre").status_code == 404


def test_a_post_needs_its_token(services: Any, world: World, case: ProcessInstance) -> None:
    client = create_app(services).test_client()
    for path in (address(case), f"{HOME}/alle", f"{address(case)}/angre"):
        assert client.post(path, data={"reason": WHY}).status_code == 400
    assert version(world, case) == 1


def test_titles_and_names_are_never_markup(owner: Client, world: World) -> None:
    evil = world.instance(world.start(MEETING_CASE, title=EVIL))
    escaped = EVIL.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    deploy(world, later(xml_of(world)).replace('name="Send innkalling"', f'name="{escaped}"'))
    pages = [owner.get(path).text for path in (HOME, f"{HOME}/alle", address(evil))]
    pages.append(owner.post(address(evil), data={"reason": EVIL}, follow_redirects=True).text)
    pages.append(owner.get(f"{address(evil)}/angre").text)
    assert all("<script>alert" not in page and "<img src=x" not in page for page in pages)
    assert all("&lt;script&gt;alert(1)" in page for page in pages)


# --- a case on hold ---------------------------------------------------------------------------------------------------


def test_a_case_on_hold_is_moved_and_stays_on_hold(owner: Client, world: World, case: ProcessInstance) -> None:
    with world.database.transaction() as session:
        held = process_instances.locked(session, case.id)
        standing.suspend(session, held, now=world.clock(), actor_id=None, reason="Vent")
    case = world.instance(case.id)
    assert move(owner, case).status_code == 303
    assert (version(world, case), world.instance(case.id).state) == (2, "suspended")
    assert "Satt på vent" in owner.get(f"/modeller/{MEETING_CASE}/1/flytt").text


# --- the command ------------------------------------------------------------------------------------------------------


class TestTheCommand:
    @pytest.fixture(params=BACKENDS)
    def backend(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def run(self, world: World, tmp_path: Path) -> Callable[..., Any]:
        """Runs a command on the world's database; answers its document, or what it printed."""
        env = {"AVTALEFLYT_DATABASE_URL": world.database.url, "AVTALEFLYT_VAR_DIR": str(tmp_path)}

        def ran(*words: str, code: int = 0) -> Any:
            done = CliRunner(env=env).invoke(main, ["migrate", *words], catch_exceptions=False)
            assert done.exit_code == code, done.output
            return json.loads(done.stdout) if "--json" in words and done.stdout else done.output

        return ran

    def test_a_dry_run_then_the_move_then_back(
        self, world: World, case: ProcessInstance, run: Callable[..., Any]
    ) -> None:
        (row,) = run(MEETING_CASE, "--dry-run", "--json")["cases"]
        assert (row["id"], row["from"], row["to"], row["can_move"], row["moved"]) == (case.public_id, 1, 2, True, False)
        assert row["tasks"][0]["before"]["due_date"] == "2026-11-20"
        assert row["tasks"][0]["after"]["due_date"] == "2026-11-18"
        assert "stays" in {mail["change"] for mail in row["mails"]}
        assert version(world, case) == 1
        assert "2026-11-20 -> 2026-11-18" in run(MEETING_CASE, "--dry-run")
        assert "--dry-run" in run(MEETING_CASE, code=1)
        assert run(MEETING_CASE, "--reason", WHY, "--json")["cases"][0]["moved"]
        assert version(world, case) == 2
        assert run(MEETING_CASE, "--reason", WHY) == "No case runs on another version.\n"
        assert "reverted" in run("--revert", case.public_id, code=1)
        assert run("--revert", case.public_id, "--reason", "Feil", "--json")["version"] == 1
        assert "has not been moved" in run("--revert", case.public_id, "--reason", "Feil", code=1)

    def test_one_that_cannot_be_moved_gives_exit_code_1_and_the_way_out(
        self, world: World, case: ProcessInstance, run: Callable[..., Any]
    ) -> None:
        deploy(world, renamed(xml_of(world)))
        said = run(MEETING_CASE, "--reason", WHY, code=1)
        assert "element-gone: Send innkalling (send_notice); try --map send_notice=call_in" in said
        assert version(world, case) == 1
        moved = run(MEETING_CASE, "--map", "send_notice=call_in", "--case", case.public_id, "--reason", WHY, "--json")
        assert [row["moved"] for row in moved["cases"]] == [True]
        assert version(world, case) == 3

    def test_who_does_it_must_own_the_case(self, world: World, case: ProcessInstance, run: Callable[..., Any]) -> None:
        assert "owner" in run(
            MEETING_CASE, "--case", case.public_id, "--user", "radgiver.larvik", "--reason", WHY, code=1
        )
        assert run(MEETING_CASE, "--user", "radgiver.larvik", "--reason", WHY, "--json")["cases"] == []
        assert run(MEETING_CASE, "--user", "sekretariatet", "--to", "2", "--reason", WHY, "--json")["cases"][0]["moved"]

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (("finnes_ikke", "--dry-run"), 1), ((MEETING_CASE, "--to", "9", "--dry-run"), 1),
            ((MEETING_CASE, "--case", "finnesikke", "--dry-run"), 1), ((MEETING_CASE, "--map", "a", "--dry-run"), 2),
            ((MEETING_CASE, "--revert", "x"), 2), (("--dry-run",), 2), (("--revert", "finnesikke"), 1),
        ],
    )  # fmt: skip
    def test_what_makes_no_sense_is_refused(self, run: Callable[..., Any], words: tuple[str, ...], code: int) -> None:
        run(*words, code=code)


# --- the API ----------------------------------------------------------------------------------------------------------


class TestTheApi:
    @pytest.fixture(params=BACKENDS)
    def backend(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def post(self, app: Any, world: World) -> Callable[..., Any]:
        """Posts about a case's migration, as somebody."""

        def posted(
            case: ProcessInstance, body: dict[str, Any], path: str = "", by: str = "sekretariatet", **headers: str
        ) -> Any:
            with world.database.transaction() as session:
                community = session.get_one(Community, world.community_id)
                token = commands.make_token(session, community, by, now=world.clock())
            given = {"Authorization": f"Bearer {token}", **{n.replace("_", "-"): v for n, v in headers.items()}}
            there = f"/api/v1/process-instances/{case.public_id}/migration{path}"
            return app.test_client().post(there, json=body, headers=given)

        return posted

    def test_tried_moved_and_moved_back(self, world: World, case: ProcessInstance, post: Callable[..., Any]) -> None:
        tried = post(case, {"dry_run": True})
        assert (tried.status_code, tried.json["from"], tried.json["to"]) == (200, 1, 2)
        assert (tried.json["can_move"], tried.json["moved"], version(world, case)) == (True, False, 1)
        assert tried.headers["ETag"] == f'"{case.revision}"'
        assert post(case, {}).status_code == 422
        assert post(case, {"reason": WHY}, If_Match='"999"').status_code == 412
        moved = post(case, {"reason": WHY}, If_Match=tried.headers["ETag"])
        assert (moved.status_code, moved.json["moved"], version(world, case)) == (200, True, 2)
        assert moved.headers["ETag"] == f'"{world.instance(case.id).revision}"'
        back = post(case, {"reason": "Feil"}, "/revert")
        assert (back.status_code, back.json["version"], version(world, case)) == (200, 1, 1)
        assert post(case, {"reason": "Feil"}, "/revert").status_code == 404

    def test_what_cannot_be_moved_is_told_or_refused(
        self, world: World, case: ProcessInstance, post: Callable[..., Any]
    ) -> None:
        deploy(world, renamed(xml_of(world)))
        tried = post(case, {"dry_run": True}).json
        assert tried["can_move"] is False
        (problem,) = tried["problems"]
        assert (problem["code"], problem["element"]) == ("element-gone", "send_notice")
        assert "call_in" in {found["element"] for found in problem["replacements"]}
        refused = post(case, {"reason": WHY})
        assert (refused.status_code, refused.json["title"]) == (409, "MigrationRefused")
        assert post(case, {"reason": WHY, "to": 9}).status_code == 404
        assert post(case, {"reason": WHY, "mapping": {"send_notice": "call_in"}}).status_code == 200
        assert version(world, case) == 3

    def test_only_owners_may(self, world: World, case: ProcessInstance, post: Callable[..., Any]) -> None:
        assert post(case, {"dry_run": True}, by="radgiver.larvik").status_code == 404
        assert post(case, {"reason": WHY}, "/revert", by="radgiver.larvik").status_code == 404
        assert post(case, {"reason": WHY}, by="administrator").status_code == 200
        assert version(world, case) == 2


def test_the_case_leads_its_owner_to_the_newest_version(owner: Client, world: World, case: ProcessInstance) -> None:
    assert f'href="{address(case)}"' in owner.get(f"/saker/{case.public_id}").text
    assert move(owner, case).status_code == 303
    moved = owner.get(f"/saker/{case.public_id}").text
    assert f'href="{address(case)}"' not in moved
    assert f'href="/modeller/{MEETING_CASE}/2"' in moved
