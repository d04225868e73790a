"""Modeller: versions and what differs between them, drafts drawn and deployed, and the same by commands."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import event, select

from engine import deployments, drafts
from engine.bpmn.reading import MAX_BYTES, read
from engine.deployments import Source
from engine.model import ModelDraft, ProcessDefinition
from tests.world import EVALUATION, MANDATE, MEETING_CASE, World
from web.app import create_app
from web.cli import main
from web.pages import model_finding_words

ROOT = Path(__file__).parents[2]
Client = Any
EVIL = "&lt;script>alert(1)&lt;/script>&lt;img src=x onerror=alert(2)>\"'"


@pytest.fixture
def admin(client_for: Callable[[str], Client]) -> Client:
    return client_for("administrator")


@pytest.fixture
def member(client_for: Callable[[str], Client]) -> Client:
    return client_for("radgiver.larvik")


def version(world: World, key: str = MEETING_CASE) -> ProcessDefinition:
    with world.database.reading() as session:
        return deployments.latest(session, world.community_id, key)


def deploy(world: World, xml: str, note: str = "") -> ProcessDefinition:
    """Deploy a changed drawing of the meeting case."""
    with world.database.transaction() as session:
        actor = world.user(session, "administrator")
        source = Source(xml=xml.encode(), forms=deployments.latest(session, world.community_id, MEETING_CASE).forms)
        (made,) = deployments.deploy(
            session, world.community_id, [source], now=world.clock(), actor_id=actor.id, note=note
        )
        return made


def later(xml: str) -> str:
    """The meeting case with another due date."""
    return xml.replace("first_given(meeting_paper_days, 5)", "7")


def opened(admin: Client, key: str = MEETING_CASE) -> str:
    """The address of a fresh draft."""
    answer = admin.post(f"/modellutkast/fra/{key}/1")
    assert answer.status_code == 303
    return str(answer.location)


def draft(world: World) -> ModelDraft:
    with world.database.reading() as session:
        return session.scalars(select(ModelDraft)).one()


# --- versions ---------------------------------------------------------------------------------------------------------


def test_the_list_says_which_version_is_newest_who_deployed_it_and_why(member: Client, world: World) -> None:
    world.start(MEETING_CASE)
    deploy(world, later(version(world).xml), "Mer tid til å lese")
    page = member.get("/modeller").text
    assert "En sak gjennom et møte" in page
    assert "Mer tid til å lese" in page
    assert "Administrator" in page
    assert "Ny prosess" not in page


def test_cases_are_counted_by_version_and_only_those_one_may_see(
    client_for: Callable[[str], Client], world: World
) -> None:
    world.start(MEETING_CASE)
    deploy(world, later(version(world).xml))
    assert "1 på versjon 1" in client_for("sekretariatet").get("/modeller").text
    assert "1 på versjon 1" not in client_for("tillitsvalgt.siv").get("/modeller").text


def test_a_process_shows_what_differs_from_the_version_before(member: Client, world: World) -> None:
    deploy(world, later(version(world).xml), "Mer tid")
    page = member.get(f"/modeller/{MEETING_CASE}").text
    assert "Forskjell fra versjon 1: 1 endret." in page
    assert "Brukeroppgave «Send innkalling»: fristen er endret" in page
    assert "working_days_before(meeting, 7)" in page
    assert "Lag utkast" not in page


def test_a_version_shows_its_steps_and_gives_its_file(member: Client, world: World) -> None:
    page = member.get(f"/modeller/{MEETING_CASE}/1").text
    assert "Send innkalling" in page
    assert version(world).checksum[:32] in page
    file = member.get(f"/modeller/{MEETING_CASE}/1.bpmn")
    assert file.text == version(world).xml
    assert file.headers["Content-Disposition"] == f'attachment; filename="{MEETING_CASE}-1.bpmn"'


def test_two_versions_side_by_side_mark_what_differs(member: Client, world: World) -> None:
    deploy(world, later(version(world).xml))
    page = member.get(f"/modeller/{MEETING_CASE}/sammenlign?fra=1&til=2").text
    assert 'data-changed="send_notice"' in page
    assert 'data-af-vis="send_notice"' in page
    assert f'data-bpmn-url="/modeller/{MEETING_CASE}/1.bpmn"' in page


@pytest.mark.parametrize(
    "address",
    ["/modeller/finnes_ikke", f"/modeller/{MEETING_CASE}/7", f"/modeller/{MEETING_CASE}/sammenlign?fra=1&til=9"],
)
def test_a_version_that_is_not_there_is_not_found(member: Client, address: str) -> None:
    assert member.get(address).status_code == 404


@pytest.mark.parametrize("address", ["/modeller", f"/modeller/{MEETING_CASE}", "/modellutkast/nytt"])
def test_a_stranger_is_sent_to_sign_in(app: Any, address: str) -> None:
    assert app.test_client().get(address).location.startswith("/logg-inn")


def test_the_number_of_questions_to_the_database_does_not_grow_with_the_versions(member: Client, world: World) -> None:
    xml, asked = version(world).xml, []
    for days in range(6, 12):
        deploy(world, xml.replace("paper_days, 5", f"paper_days, {days}"))
    event.listen(world.database.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    for address in ("/modeller", f"/modeller/{MEETING_CASE}", f"/modeller/{MEETING_CASE}/2"):
        asked.clear()
        assert member.get(address).status_code == 200
        assert len([text for text in asked if not text.startswith(("BEGIN", "ROLLBACK"))]) <= 12, (address, asked)


def test_names_and_texts_in_a_model_are_never_markup(admin: Client, world: World) -> None:
    xml = version(world).xml.replace('name="Behandle saken"', f"name='{EVIL.replace(chr(39), '')}'")
    xml = xml.replace("Skriv hva møtet bestemte", EVIL).replace(
        'name="Referent"', f"name='{EVIL.replace(chr(39), '')}'"
    )
    deploy(world, xml, "<script>alert(3)</script>")
    admin.post(f"/modellutkast/fra/{MEETING_CASE}/2")
    address = f"/modellutkast/{draft(world).public_id}"
    for page in (
        "/modeller", f"/modeller/{MEETING_CASE}", f"/modeller/{MEETING_CASE}/2", f"/modeller/{MEETING_CASE}/sammenlign",
        address, f"{address}/ta-i-bruk", f"{address}/provekjor", f"{address}/sammenlign",
    ):  # fmt: skip
        text = admin.get(page).text
        assert "<script>alert" not in text, page
        assert "<img src=x" not in text, page
    assert "&lt;script&gt;alert(1)" in admin.get(f"/modeller/{MEETING_CASE}/2").text


# --- drafts -----------------------------------------------------------------------------------------------------------


def test_only_administrators_draw(member: Client, admin: Client) -> None:
    address = opened(admin)
    for path in ("/modellutkast/nytt", address, f"{address}/innhold", f"{address}/provekjor", f"{address}/ta-i-bruk"):
        assert member.get(path).status_code == 403, path
    for path in ("lagre", "sjekk", "kopi", "kast", "ta-i-bruk"):
        assert member.post(f"{address}/{path}", json={"xml": "<a/>"}).status_code == 403, path
    assert member.post(f"/modellutkast/fra/{MEETING_CASE}/1").status_code == 403


def test_a_new_process_begins_from_nothing_or_as_a_copy(admin: Client, world: World) -> None:
    answer = admin.post("/modellutkast/nytt", data={"navn": "Ny sak", "id": "ny_sak", "kopi": ""})
    assert answer.status_code == 303
    assert read(draft(world).xml).process_id == "ny_sak"
    answer = admin.post("/modellutkast/nytt", data={"navn": "Kopi", "id": "en_kopi", "kopi": MEETING_CASE})
    xml = admin.get(f"{answer.location}/innhold").json["xml"]
    assert read(xml).process_id == "en_kopi"
    assert read(xml).name == "Kopi"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"navn": ""}, "Skriv et navn"),
        ({"id": "Med Stor"}, "Bruk 3–60 tegn"),
        ({"id": "send_notice", "kopi": MEETING_CASE}, "Bruk 3–60 tegn"),
        ({"id": MEETING_CASE}, "Prosessen finnes alt"),
    ],
)
def test_what_does_not_fit_a_new_process_is_said(admin: Client, changes: dict[str, str], words: str) -> None:
    answer = admin.post("/modellutkast/nytt", data={"navn": "Ny", "id": "ny_sak", "kopi": "", **changes})
    assert answer.status_code == 422
    assert words in answer.text


def test_a_drawing_is_saved_and_a_stale_one_is_refused_and_can_be_kept_apart(admin: Client, world: World) -> None:
    address = opened(admin)
    content = admin.get(f"{address}/innhold").json
    drawn = later(content["xml"])
    saved = admin.post(f"{address}/lagre", json={"xml": drawn, "revision": content["revision"]})
    assert saved.json["revision"] == 2
    assert saved.json["saved"].startswith("Lagret")
    stale = admin.post(f"{address}/lagre", json={"xml": content["xml"], "revision": 1})
    assert stale.status_code == 409
    assert "Lagre det som et eget utkast" in stale.json["message"].replace("lagre", "Lagre")
    assert draft(world).xml == drawn
    kept = admin.post(f"{address}/kopi", json={"xml": content["xml"]}).json["address"]
    assert admin.get(f"{kept}/innhold").json["xml"] == content["xml"]


def test_a_drawing_is_checked_without_being_saved(admin: Client, world: World) -> None:
    address = opened(admin)
    assert admin.get(f"{address}/innhold").json["findings"] == []
    xml = draft(world).xml.replace(' camunda:dueDate="${meeting}"', "")
    findings = admin.post(f"{address}/sjekk", json={"xml": xml}).json["findings"]
    assert [(f["rule"], f["severity"], f["element"], f["name"]) for f in findings] == [
        ("due", "warning", "treat_case", "Behandle saken")
    ]
    assert findings[0]["text"] == "Oppgaven mangler frist."
    assert draft(world).revision == 1


@pytest.mark.parametrize("xml", ["", "<halv", "\x00", "<!DOCTYPE a []><a/>", "<html xmlns='x'/>", "\ud800"])
def test_anything_at_all_gets_findings_or_a_plain_refusal(admin: Client, xml: str) -> None:
    address = opened(admin)
    answer = admin.post(f"{address}/sjekk", data=json.dumps({"xml": xml}), content_type="application/json")
    assert answer.status_code in (200, 422)
    assert answer.json.get("findings") or answer.json["message"]


def test_a_drawing_that_is_too_large_is_refused_plainly(admin: Client) -> None:
    address = opened(admin)
    for act in ("lagre", "sjekk", "kopi"):
        answer = admin.post(f"{address}/{act}", json={"xml": "<a>" + " " * MAX_BYTES, "revision": 1})
        assert answer.status_code == 422
        assert answer.json["message"] == "Modellen er større enn 5 MB. Del prosessen i flere."


@pytest.mark.parametrize("body", [None, [], {}, {"xml": 3}])
def test_what_the_modeller_never_sends_is_refused(admin: Client, body: object) -> None:
    assert admin.post(f"{opened(admin)}/lagre", json=body).status_code == 422


def test_a_form_is_edited_as_json_and_checked(admin: Client, world: World) -> None:
    address = opened(admin)
    assert "&#34;components&#34;" in admin.get(f"{address}/skjema/behandle_saken").text
    wrong = admin.post(f"{address}/skjema/behandle_saken", data={"json": "{", "revision": "1"})
    assert wrong.status_code == 422
    assert "Skjemaet er ikke gyldig JSON. Se på linje 1." in wrong.text
    text = json.dumps(
        {"id": "nytt", "type": "default", "components": [{"type": "textfield", "key": "a", "label": "A"}]}
    )
    assert admin.post(f"{address}/skjema", data={"key": "nytt", "json": text, "revision": "1"}).status_code == 303
    assert admin.post(f"{address}/skjema", data={"key": "tomt", "json": "", "revision": "2"}).status_code == 303
    assert draft(world).forms["tomt"]["id"] == "tomt"
    assert draft(world).forms["nytt"]["components"][0]["key"] == "a"
    stale = admin.post(f"{address}/skjema/nytt", data={"json": text, "revision": "1"})
    assert stale.status_code == 409
    assert 'name="revision" type="hidden" value="3"' in stale.text
    assert admin.post(f"{address}/skjema/nytt", data={"fjern": "1", "revision": "3"}).status_code == 303
    assert "nytt" not in draft(world).forms


def test_a_draft_is_thrown_away_only_when_that_is_confirmed(admin: Client, world: World) -> None:
    address = opened(admin)
    assert "Kast utkastet for godt" in admin.get(f"{address}/kast").text
    assert draft(world)
    assert admin.post(f"{address}/kast", data={"revision": "9"}).status_code == 409
    assert admin.post(f"{address}/kast", data={"revision": "1"}).location == "/modeller"
    assert admin.get(address).status_code == 404
    gone = admin.post(f"{address}/lagre", json={"xml": "<a/>", "revision": 1})
    assert gone.status_code == 404
    assert "finnes ikke lenger" in gone.json["message"]


# --- trying out and deploying -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [EVALUATION, MANDATE, MEETING_CASE])
def test_a_draft_is_tried_out_and_nothing_is_kept(admin: Client, world: World, key: str) -> None:
    address = opened(admin, key)
    bound = {"role-fagutvalg": "group:fagutvalg-hr"} if key == MANDATE else {}
    page = admin.get(f"{address}/provekjor", query_string=bound).text
    assert "Alle frister" in page
    assert "Å se på" not in page or "Planen stopper" not in page
    assert version(world, key).version == 1
    assert world.database.url
    with world.database.reading() as session:
        assert session.scalars(select(ProcessDefinition).where(ProcessDefinition.version > 1)).all() == []


def test_a_trial_follows_the_drawing_and_the_meeting_chosen(admin: Client, world: World) -> None:
    address = opened(admin)
    admin.post(f"{address}/lagre", json={"xml": later(draft(world).xml), "revision": 1})
    page = admin.get(f"{address}/provekjor").text
    assert "7\u00a0virkedager før møtet" in page


def test_a_role_that_nobody_has_is_asked_for(admin: Client, world: World) -> None:
    address = opened(admin)
    xml = draft(world).xml.replace('id="referent"', 'id="ukjent_rolle"').replace('="referent"', '="ukjent_rolle"')
    admin.post(f"{address}/lagre", json={"xml": xml, "revision": 1})
    assert "Velg hvem som skal ha rollen Referent." in admin.get(f"{address}/provekjor").text
    chosen = admin.get(f"{address}/provekjor?role-ukjent_rolle=group:au").text
    assert "Alle frister" in chosen


def test_a_trial_of_what_the_gate_refuses_says_what_to_mend(admin: Client) -> None:
    address = opened(admin)
    admin.post(f"{address}/lagre", json={"xml": "<halv", "revision": 1})
    page = admin.get(f"{address}/provekjor").text
    assert "Må rettes først" in page
    assert "Filen er ikke gyldig XML." in page


def test_a_draft_is_deployed_with_a_reason_after_its_differences_were_shown(admin: Client, world: World) -> None:
    address = opened(admin)
    admin.post(f"{address}/lagre", json={"xml": later(draft(world).xml), "revision": 1})
    page = admin.get(f"{address}/ta-i-bruk").text
    assert "fristen er endret" in page
    sent = {"revision": "2", "folger": f"{MEETING_CASE} 1", "merknad": "Mer tid"}
    assert admin.post(f"{address}/ta-i-bruk", data=sent | {"merknad": " "}).status_code == 422
    assert admin.post(f"{address}/ta-i-bruk", data=sent).location == f"/modeller/{MEETING_CASE}/2"
    made = version(world)
    with world.database.reading() as session:
        note = session.get_one(ProcessDefinition, made.id).deployment.note
    assert (made.version, note) == (2, "Mer tid")
    assert admin.get(address).status_code == 404


def test_a_draft_that_changes_nothing_makes_no_version(admin: Client, world: World) -> None:
    address = opened(admin)
    sent = {"revision": "1", "folger": f"{MEETING_CASE} 1", "merknad": "Mer tid"}
    assert "Ingenting er endret" in admin.post(f"{address}/ta-i-bruk", data=sent).text
    assert draft(world)


def test_every_rule_of_the_gate_has_words_in_bokmal() -> None:
    code = "".join(path.read_text() for path in (ROOT / "engine" / "bpmn").glob("*.py"))
    found = re.findall(r"(?:finding|refusal|_refuse)\(\s*\"([a-z-]+)\"", code) + re.findall(
        r"\brule=\"([a-z-]+)\"", code
    )
    assert len(set(found)) > 20
    assert [rule for rule in sorted(set(found)) if not model_finding_words.knows(rule)] == []


def test_a_version_deployed_meanwhile_is_looked_at_first(admin: Client, world: World) -> None:
    address = opened(admin)
    sent = {"revision": "1", "folger": f"{MEETING_CASE} 1", "merknad": "Mer tid"}
    deploy(world, later(version(world).xml))
    answer = admin.post(f"{address}/ta-i-bruk", data=sent)
    assert answer.status_code == 422
    assert "En ny versjon er tatt i bruk mens du så på siden" in answer.text
    assert version(world).version == 2
    assert "Noen har tatt i bruk en versjon etter at utkastet ble laget" in answer.text


def test_a_draft_with_errors_or_saved_meanwhile_is_not_deployed(admin: Client, world: World) -> None:
    address = opened(admin)
    sent = {"revision": "1", "folger": f"{MEETING_CASE} 1", "merknad": "Mer tid"}
    xml = draft(world).xml
    admin.post(f"{address}/lagre", json={"xml": later(xml), "revision": 1})
    assert "lagret på nytt" in admin.post(f"{address}/ta-i-bruk", data=sent).text
    admin.post(f"{address}/lagre", json={"xml": xml.replace('targetRef="end"', 'targetRef="borte"'), "revision": 2})
    answer = admin.post(f"{address}/ta-i-bruk", data=sent | {"revision": "3"})
    assert answer.status_code == 422
    assert "Må rettes først" in answer.text
    assert version(world).version == 1


def test_every_post_needs_the_pages_token(services: Any) -> None:
    client = create_app(services).test_client()
    for path in (
        f"fra/{MEETING_CASE}/1", "nytt", "abc/lagre", "abc/sjekk", "abc/kopi", "abc/kast", "abc/ta-i-bruk",
        "abc/skjema", "abc/skjema/x",
    ):  # fmt: skip
        assert client.post(f"/modellutkast/{path}").status_code == 400, path


# --- commands ---------------------------------------------------------------------------------------------------------


def test_models_are_compared_and_drafted_by_commands(world: World, tmp_path: Path) -> None:
    def run(*words: str, code: int = 0, **given: Any) -> str:
        settings = {"AVTALEFLYT_DATABASE_URL": world.database.url, "AVTALEFLYT_VAR_DIR": str(tmp_path)}
        done = CliRunner(env=settings).invoke(main, ["model", *words], catch_exceptions=False, **given)
        assert done.exit_code == code, done.output
        return done.stdout

    by = ("--user", "administrator")
    file = tmp_path / f"{MEETING_CASE}.bpmn"
    file.write_text(later(version(world).xml))
    assert run("diff", MEETING_CASE) == "Nothing differs.\n"
    assert "camunda:dueDate" in run("diff", MEETING_CASE, "--file", str(file))
    made = json.loads(run("draft", "open", MEETING_CASE, *by, "--json"))["id"]
    assert run("draft", "lint", made, *by) == "Nothing to say.\n"
    assert run("draft", "show", made, *by).strip() == version(world).xml.strip()
    with world.database.transaction() as session:
        drafts.save(
            session, made, file.read_bytes(), revision=1, person=world.person(session, "administrator"),
            now=world.clock(),
        )  # fmt: skip
    assert run("draft", "deploy", made, *by, "--note", "Mer tid") == f"{MEETING_CASE} version 2\n"
    [found] = json.loads(run("diff", MEETING_CASE, "--from", "1", "--to", "2", "--json"))
    assert (found["kind"], found["element_id"], found["what"]) == ("changed", "send_notice", "camunda:dueDate")
    assert [row["version"] for row in json.loads(run("show", MEETING_CASE, "--json"))] == [2, 1]
    assert run("show", MEETING_CASE, "--version", "2").strip() == file.read_text().strip()
    assert f"{MEETING_CASE} version 2" in run("list")

    copied = json.loads(run("draft", "open", MEETING_CASE, *by, "--as", "kopien", "--name", "Kopi", "--json"))["id"]
    json.loads(run("draft", "new", *by, "--key", "helt_ny", "--name", "Helt ny", "--json"))
    json.loads(run("draft", "new", *by, "--file", str(file), "--json"))
    assert len(json.loads(run("draft", "list", *by, "--json"))) == 3
    run("draft", "discard", copied, *by, code=1, input="n\n")
    run("draft", "discard", copied, *by, "--yes")
    assert len(json.loads(run("draft", "list", *by, "--json"))) == 2
    run("draft", "list", "--user", "radgiver.larvik", code=1)
    run("draft", "new", *by, code=2)
