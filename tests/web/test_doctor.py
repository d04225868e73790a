"""`avtaleflyt doctor`: says what is wrong, how to mend it, and nothing when all is well."""

import json
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text, update

from engine import jobs
from engine.clock import utc_now
from engine.heartbeats import Pulse
from engine.model import Community, Job
from notifications.local_server import LocalServer, free_port
from notifications.model import Delivery
from tests.conftest import BACKENDS
from tests.web.standing import standing  # noqa: F401 - a fixture
from tests.world import World
from web import app, doctor, migrating, running
from web.cli import main
from web.settings import Settings


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Nobody:
    """A mail server that keeps nothing."""


@pytest.fixture(scope="module")
def mail_server() -> Iterator[LocalServer]:
    with LocalServer(Nobody()) as server:
        yield server


@pytest.fixture
def settings(world: World, mail_server: LocalServer, tmp_path: Path) -> Settings:
    """An installation with nothing wrong but its clock, which the test starts."""
    world.clock.set(utc_now())
    with world.database.transaction() as session:
        session.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        session.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": migrating.newest()})
    if world.database.is_sqlite:
        Path(world.database.engine.url.database or "").chmod(0o600)
    return Settings(
        database_url=world.database.url, secret_key=token_hex(32), base_url="https://avtaler.example.org",
        secure_cookies=True, trusted_proxies=1, metrics_token="y" * 32, smtp_host=mail_server.host,
        smtp_port=mail_server.port, smtp_starttls=False, var_dir=tmp_path,
    )  # fmt: skip


@pytest.fixture
def well(settings: Settings, world: World) -> Settings:
    """An installation with nothing wrong at all."""
    Pulse(world.database, kind="worker", version="1").beat(world.clock())
    return settings


def troubles(settings: Settings, world: World, **changed: Any) -> dict[str, str]:
    """What is wrong, or worth a look, by what was looked at: its state and words."""
    found = doctor.examine(settings.model_copy(update=changed), world.clock)
    assert all(finding.remedy for finding in found if finding.state != "ok")
    return {finding.check: f"{finding.state}: {finding.says}" for finding in found if finding.state != "ok"}


def secret(words: str) -> Any:
    return Settings(secret_key=words).secret_key


def test_nothing_is_wrong_with_a_good_installation(well: Settings, world: World) -> None:
    found = doctor.examine(well, world.clock)
    assert [finding for finding in found if finding.state != "ok"] == []
    looked_at = {finding.check for finding in found}
    assert {"secret-key", "base-url", "disk", "time-zones", "mail-server", "database", "schema", "workers"} <= looked_at
    asked_of_a_server = {"clocks", "connections"}
    assert looked_at & asked_of_a_server == (set() if world.database.is_sqlite else asked_of_a_server)


@pytest.mark.parametrize(
    ("check", "says", "changed"),
    [
        ("secret-key", "error: There is no secret key", {"secret_key": secret("")}),
        ("secret-key", "error: The secret key has only 6", {"secret_key": secret("hemmel")}),
        ("secret-key", "error: The secret key repeats", {"secret_key": secret("hemmelig" * 8)}),
        ("demo", "error: Anyone may choose", {"demo": True}),
        ("base-url", "warning: Links in mails lead to http://127.0.0.1:8000", {"base_url": ""}),
        ("base-url", "error: http://avtaler.example.org is not https", {"base_url": "http://avtaler.example.org"}),
        ("cookies", "error: Session cookies", {"secure_cookies": False}),
        ("proxies", "warning: Everybody seems to come", {"trusted_proxies": 0}),
        ("metrics", "warning: Whoever comes through a proxy", {"metrics_token": secret("")}),
        ("mail-server", "error: There is no mail server", {"smtp_host": ""}),
        ("community", "error: There is no community 'telemark'", {"community": "telemark"}),
    ],
)
def test_a_wrong_setting_is_found(well: Settings, world: World, check: str, says: str, changed: dict[str, Any]) -> None:
    found = troubles(well, world, **changed)
    assert list(found) == [check]
    assert found[check].startswith(says)


def test_a_mail_server_that_nobody_is_behind_is_found(well: Settings, world: World) -> None:
    assert "No connection to 127.0.0.1" in troubles(well, world, smtp_port=free_port())["mail-server"]


def test_a_mail_server_that_can_not_encrypt_is_found(well: Settings, world: World) -> None:
    assert "STARTTLS" in troubles(well, world, smtp_starttls=True)["mail-server"]


def test_a_mail_server_that_does_not_let_us_sign_in_is_found(well: Settings, world: World) -> None:
    found = troubles(well, world, smtp_user="avtaleflyt", smtp_password=secret("feil"))
    assert found["mail-server"].startswith("error: ")
    assert "feil" not in found["mail-server"]


def test_a_mail_server_that_never_answers_is_given_up(well: Settings, world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = troubles(well, world, smtp_port=silent.getsockname()[1], smtp_timeout=0.2)
    assert "No connection" in found["mail-server"]


def test_a_database_that_is_away_is_found(well: Settings, world: World, tmp_path: Path) -> None:
    nowhere = f"postgresql+psycopg://nobody:secret@127.0.0.1:{free_port()}/none"
    found = troubles(well, world, database_url=nowhere)
    assert found["database"].startswith("error: The database does not answer")
    assert "secret" not in str(found)
    missing = tmp_path / "missing.db"
    assert "There is no database" in troubles(well, world, database_url=f"sqlite:///{missing}")["database"]
    assert not missing.exists()
    assert "can't be read" in troubles(well, world, database_url="nonsense")["database"]


@pytest.mark.parametrize(
    ("version", "says"),
    [("0001_initial", "error: The schema is older"), ("9999_next", "warning: The schema is newer")],
)
def test_a_schema_of_another_version_is_found(well: Settings, world: World, version: str, says: str) -> None:
    with world.database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})
    assert troubles(well, world)["schema"].startswith(says)


def test_a_database_without_a_schema_is_found(well: Settings, world: World) -> None:
    with world.database.transaction() as session:
        session.execute(text("DROP TABLE alembic_version"))
    assert troubles(well, world)["schema"] == "error: The database has no schema."


def test_no_worker_is_found(settings: Settings, world: World) -> None:
    assert list(troubles(settings, world)) == ["workers"]


def test_two_workers_are_too_many_for_sqlite(well: Settings, world: World) -> None:
    Pulse(world.database, kind="serve", version="1").beat(world.clock())
    assert ("workers" in troubles(well, world)) == world.database.is_sqlite


def test_a_clock_that_goes_wrong_is_found(well: Settings, world: World) -> None:
    world.clock.advance(minutes=-2)
    found = troubles(well, world)["clocks"]
    assert "120 seconds" in found or "119 seconds" in found or "121 seconds" in found


@pytest.mark.parametrize(("megabytes", "state"), [(99, "error"), (999, "warning"), (1000, None)])
def test_a_full_disk_is_found(well: Settings, world: World, megabytes: int, state: str | None) -> None:
    found = doctor.examine(well, world.clock, free=lambda folder: megabytes * 1_000_000)
    states = {finding.state for finding in found if finding.check == "disk"}
    assert states == {state or "ok"}


def test_files_that_others_may_read_and_a_folder_that_we_may_not_write_are_found(
    well: Settings, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "secret_key"
    key.write_text("hemmelig")
    key.chmod(0o640)
    assert troubles(well, world)["files"] == f"warning: {key} may be read by other users of this machine."
    key.chmod(0o600)
    assert troubles(well, world) == {}
    # A superuser may write everywhere, so the system is asked in its place.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert troubles(well, world)["files"] == f"error: {tmp_path} can't be written to."


def test_built_files_that_are_missing_are_found(
    well: Settings, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dist = tmp_path / "dist"
    dist.mkdir()
    monkeypatch.setattr(app, "STATIC", tmp_path)
    assert "manifest.json is missing" in troubles(well, world)["front-end"]
    (dist / "manifest.json").write_text('{"page.js": "page-1.js"}')
    assert "page-1.js is missing" in troubles(well, world)["front-end"]
    monkeypatch.setattr(app, "__file__", str(tmp_path / "app.py"))
    assert "English" in troubles(well, world)["translations"]


def test_more_processes_than_postgresql_has_room_for_are_found(
    well: Settings, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool: Any = world.database.engine.pool
    assert world.database.is_sqlite or pool.size() + pool._max_overflow == doctor.CONNECTIONS
    monkeypatch.setattr(doctor, "CONNECTIONS", 60)
    found = troubles(well, world)
    assert ("connections" in found) == (not world.database.is_sqlite)
    assert "connections" not in troubles(well, world, database_pooler=True)


def test_a_dispatcher_that_can_not_work_is_found(well: Settings, world: World) -> None:
    found = troubles(well, world, dispatcher="procrastinate")["dispatcher"]
    if world.database.is_sqlite:
        assert found == "error: Procrastinate needs PostgreSQL, and no process starts without it."
        return
    assert found.startswith("warning: Procrastinate's tables are missing")
    assert "a pooler hands on" in troubles(well, world, dispatcher="procrastinate", database_pooler=True)["dispatcher"]
    with world.database.engine.begin() as connection:
        running.dispatching().install(connection)
    assert troubles(well, world, dispatcher="procrastinate") == {}
    with world.database.engine.begin() as connection:
        connection.execute(text("COMMENT ON SCHEMA procrastinate IS 'another'"))
    assert "another version's" in troubles(well, world, dispatcher="procrastinate")["dispatcher"]


def test_a_community_without_models_is_found(well: Settings, world: World) -> None:
    with world.database.transaction() as session:
        session.add(Community(key="telemark", name="Telemark", email="post@example.org"))
    assert troubles(well, world, community="telemark")["models"].startswith("warning: No model is deployed")


def test_a_time_zone_nobody_knows_is_found(well: Settings, world: World) -> None:
    with world.database.transaction() as session:
        session.execute(update(Community).values(timezone="Europe/Larvik"))
    assert troubles(well, world) == {"time-zones": "error: The time zone Europe/Larvik is not known here."}


def test_what_is_late_and_what_failed_is_found(well: Settings, world: World) -> None:
    case = world.start()
    with world.database.transaction() as session:
        jobs.enqueue(session, "deliver-message", run_at=world.clock())
    with world.database.transaction() as session:
        session.execute(update(Job).values(run_at=world.clock() - timedelta(minutes=7)))
        session.execute(update(Job).where(Job.kind == "deliver-message").values(state="failed"))
        session.add(mail(world, case, world.clock() - timedelta(minutes=16), "planned"))
        session.add(mail(world, case, world.clock() - timedelta(days=2), "failed"))
        session.add(mail(world, case, world.clock() - timedelta(days=8), "failed"))
    found = troubles(well, world)
    assert found == {
        "jobs": "error: Given up: 1 job.",
        "mails": "warning: Failed or uncertain in the last seven days: 1 mail.",
    }
    states = {(f.check, f.says) for f in doctor.examine(well, world.clock)}
    assert ("jobs", "Jobs are late, the oldest by 7 minutes.") in states
    assert ("mails", "Mails are late, the oldest by 16 minutes.") in states


def mail(world: World, case: int, planned_at: datetime, state: str) -> Delivery:
    with world.database.reading() as session:
        reader = world.user(session, "sekretariatet").id
    return Delivery(
        community_id=world.community_id, instance_id=case, recipient_id=reader, rule="assigned",
        cause=f"test:{planned_at.isoformat()}", planned_at=planned_at, next_attempt_at=planned_at, state=state,
        message_id=f"<{planned_at.timestamp()}@example.org>",
    )  # fmt: skip


def test_cases_that_stand_are_worth_a_look(well: Settings, world: World, standing: object) -> None:  # noqa: F811
    assert troubles(well, world)["incidents"] == "warning: Cases stand still: 1 open incident."


# --- the command ------------------------------------------------------------------------------------------------------


def run(settings: Settings, *words: str, **changed: str) -> Any:
    """The command, with the installation's settings as its environment."""
    plain = {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else str(value) for name, value in settings
    }
    env = {f"AVTALEFLYT_{name.upper()}": value for name, value in {**plain, **changed}.items()}
    return CliRunner(env=env).invoke(main, ["doctor", *words], catch_exceptions=False)


def test_the_command_ends_with_0_when_all_is_well_and_with_1_otherwise(well: Settings) -> None:
    done = run(well)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "All is well.")
    done = run(well, smtp_host="")
    assert done.exit_code == 1
    assert "There is no mail server" in done.stdout
    assert "→ Set AVTALEFLYT_SMTP_HOST" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 to mend, 0 to look at."


def test_the_command_answers_with_one_document(well: Settings) -> None:
    done = run(well, "--json", metrics_token="")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["ok"]) == (0, True)
    [finding] = [f for f in document["findings"] if f["state"] != "ok"]
    assert finding.keys() == {"check", "state", "says", "remedy"}
    assert (finding["check"], finding["state"]) == ("metrics", "warning")
