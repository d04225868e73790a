"""A back-up brings everything back on either database, says what became overdue, and nothing is said twice."""

import json
import os
import stat
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import zstandard
from alembic.script import ScriptDirectory
from click.testing import CliRunner, Result
from sqlalchemy import Column, MetaData, Table, inspect, select, text, update
from sqlalchemy.orm import Session

from engine import deployments, scheduling
from engine.clock import Clock
from engine.database import Database
from engine.model import Base, Community, Document, Job, ProcessInstance, Step, UserTask
from notifications import claiming, delivery
from notifications.mailer import Mailer
from notifications.model import Delivery
from notifications.settings import NotificationSettings
from tests.conftest import BACKENDS, Templates
from tests.fakes import FakeClock, RecordingMailer
from tests.world import EVALUATION, MEETING_CASE, Past, World
from web import backup, migrating, restoring
from web.backup import NoBackup
from web.cli import main

SETTINGS = NotificationSettings(base_url="https://avtaleflyt.example.org", element=deployments.element)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Back-ups of each database."""
    return str(request.param)


@pytest.fixture
def past() -> Past:
    return Past(name="all that a back-up holds", live=live)


def live(world: World) -> list[EmailMessage]:
    """A survey under way, mails sent and planned, and a file."""
    mailer = RecordingMailer()
    with world.database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:v)"), {"v": migrating.newest()})
    world.start(MEETING_CASE)
    case = world.start(EVALUATION)
    work(world, mailer)
    world.proceed_to(case, "answer_survey")
    work(world, mailer)
    with world.database.transaction() as session:
        content = bytes(range(256)) * 50
        session.add(
            Document(
                community_id=world.community_id, instance_id=case, name="vedlegg.bin", content=content,
                content_type="application/octet-stream", size=len(content), uploaded_at=world.clock(),
            )
        )  # fmt: skip
    return mailer.messages


@pytest.fixture
def living(world: World) -> World:
    """A community to write back-ups of."""
    return world


@pytest.fixture
def bare(backend: str, templates: Templates) -> Iterator[Database]:
    """A database of the other kind, without a single table."""
    other = next(kind for kind in BACKENDS if kind != backend)
    url = templates._new(other)
    database = Database(url)
    yield database
    database.dispose()
    templates.drop(other, url)


def work(world: World, mailer: Mailer) -> None:
    """Let a worker do everything that is due."""

    def send(clock: Clock) -> int:
        return delivery.send_batch(world.database, mailer, clock=clock, settings=SETTINGS)

    while scheduling.drain(world.database, delivery.handlers(SETTINGS), (send,), world.clock()):
        pass


def rows(database: Database) -> dict[str, list[Any]]:
    """Every row of every table."""
    with database.reading() as session:
        return {t.name: sorted(map(repr, session.execute(t.select()))) for t in Base.metadata.sorted_tables}


def saved(world: World, folder: Path) -> Path:
    path = folder / "sikkerhetskopi"
    backup.write(world.database, path, now=world.clock())
    return path


def restored(world: World, path: Path, database: Database, *, days: int = 0, sent_until: int = -400) -> World:
    """What comes back so many days later, where the old system was stopped `sent_until` days after the back-up."""
    now = world.clock() + timedelta(days=days)
    stopped = world.clock() + timedelta(days=sent_until)
    restoring.restore(database, path, now=now, stopped=stopped, replace=False)
    return World(database, FakeClock(now), world.community_id)


# --- everything comes back --------------------------------------------------------------------------------------------


def test_every_row_comes_back_on_the_other_database_and_the_case_goes_on(
    living: World, bare: Database, tmp_path: Path
) -> None:
    there = restored(living, saved(living, tmp_path), bare)
    assert rows(bare) == rows(living.database)
    with there.database.reading() as session:
        case = session.scalars(select(ProcessInstance.id).order_by(ProcessInstance.id.desc())).first() or 0
    there.start(MEETING_CASE)  # new rows are numbered after those that came back
    there.proceed_to_end(case)
    assert there.instance(case).state == "completed"


def test_json_comes_back_as_it_was_written(living: World, bare: Database, tmp_path: Path) -> None:
    first, second = saved(living, tmp_path), tmp_path / "igjen"
    there = restored(living, first, bare)
    backup.write(bare, second, now=there.clock())
    assert content(first) == content(second)


def content(path: Path) -> bytes:
    with path.open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file).read()


def test_constraints_and_schema_are_those_of_a_migrated_database(living: World, bare: Database, tmp_path: Path) -> None:
    restored(living, saved(living, tmp_path), bare)
    assert migrating.present(bare) == migrating.newest()
    if not bare.is_sqlite:
        with bare.reading() as session:
            assert session.execute(text("SELECT conname FROM pg_constraint WHERE condeferrable")).all() == []


def test_a_backup_is_of_one_moment_while_others_write(
    living: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(living.database)
    real, seen = backup._write_table, list[str]()

    def writing_beside(session: Session, table: Any, lines: Any) -> int:
        if len(seen) == 1:  # the first table is written; the rest is yet to come
            with living.database.transaction() as other:
                other.execute(update(ProcessInstance).values(title="Endret"))
                other.add(Community(key="ny", name="Ny", email="ny@example.org"))
        seen.append(table.name)
        return real(session, table, lines)

    monkeypatch.setattr(backup, "_write_table", writing_beside)
    path = tmp_path / "fil"
    contents = backup.write(living.database, path, now=living.clock())
    assert rows(living.database) != before
    assert contents.rows == {name: len(found) for name, found in before.items()}
    assert b"Endret" not in content(path)


def test_only_its_owner_may_read_a_backup_and_none_is_overwritten(living: World, tmp_path: Path) -> None:
    path = saved(living, tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(backup.InvalidInput, match="exists already"):
        saved(living, tmp_path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


# --- what is refused --------------------------------------------------------------------------------------------------


def damaged(path: Path, how: str) -> Path:
    whole = path.read_bytes()
    broken = path.with_name("skadet")
    if how == "cut":
        broken.write_bytes(whole[: len(whole) // 2])
    elif how == "bit":
        middle = len(whole) // 2
        broken.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    elif how == "row":
        changed = content(path).replace(b"Digital", b"digital", 1)
        broken.write_bytes(zstandard.compress(changed))
    elif how == "lines":
        broken.write_bytes(zstandard.compress(b"".join(content(path).splitlines(keepends=True)[:-1])))
    elif how == "other":
        broken.write_text("Kjære sekretariat")
    return broken


def test_a_file_that_is_no_whole_backup_touches_nothing(living: World, tmp_path: Path) -> None:
    path, before = saved(living, tmp_path), rows(living.database)
    for how in ("cut", "bit", "row", "lines", "other", "missing"):
        broken = damaged(path, how)
        with pytest.raises(NoBackup):
            restoring.restore(living.database, broken, now=living.clock(), stopped=living.clock(), replace=True)
        broken.unlink(missing_ok=True)
    assert rows(living.database) == before


def test_a_database_with_rows_is_only_replaced_on_demand(living: World, tmp_path: Path) -> None:
    path = saved(living, tmp_path)
    came = rows(living.database)
    living.start(MEETING_CASE)
    before = rows(living.database)
    long_ago = living.clock() - timedelta(days=400)
    with pytest.raises(backup.InvalidInput, match="not empty"):
        restoring.restore(living.database, path, now=living.clock(), stopped=long_ago, replace=False)
    assert rows(living.database) == before
    restoring.restore(living.database, path, now=living.clock(), stopped=long_ago, replace=True)
    assert rows(living.database) == came


def test_a_restore_that_fails_half_way_leaves_what_was_there(
    living: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(living, tmp_path)
    living.start(MEETING_CASE)
    before = rows(living.database)

    def killed(session: Session, *, before: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(restoring.holding_back, "hold_back", killed)
    with pytest.raises(KeyboardInterrupt):
        restoring.restore(living.database, path, now=living.clock(), stopped=living.clock(), replace=True)
    assert rows(living.database) == before
    assert migrating.present(living.database) == migrating.newest()


def test_a_backup_of_a_newer_version_and_a_database_of_an_older_are_refused(living: World, tmp_path: Path) -> None:
    path = saved(living, tmp_path)
    with living.database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001_initial'"))
    with pytest.raises(backup.InvalidInput, match="migrate"):
        backup.write(living.database, tmp_path / "annen", now=living.clock())
    head, *lines, _ = content(path).splitlines(keepends=True)
    written: list[bytes] = []
    anew = backup._Lines(written.append)
    anew.add({**json.loads(head), "schema": "9999_newer"})
    for line in lines:
        anew.add(json.loads(line))
    anew.add({"sha256": anew.digest()})
    newer = tmp_path / "nyere"
    newer.write_bytes(zstandard.compress(b"".join(written)))
    with pytest.raises(backup.InvalidInput, match="newer version"):
        restoring.restore(living.database, newer, now=living.clock(), stopped=living.clock(), replace=True)


# --- time has passed --------------------------------------------------------------------------------------------------


def test_overdue_timers_fire_after_a_restore(living: World, bare: Database, tmp_path: Path) -> None:
    there = restored(living, saved(living, tmp_path), bare, days=60)
    with there.database.reading() as session:
        case = session.scalars(select(ProcessInstance.id).where(ProcessInstance.wake_at <= there.clock())).one()
    mailer = RecordingMailer()
    work(there, mailer)
    closed = there.tasks(case, "answer_survey", states=("closed",))
    assert len(closed) == 7
    assert [s.state for s in there.steps(case, element_id="answer_survey")] == ["closed"]
    assert there.instance(case).wake_at is None or there.instance(case).wake_at > there.clock()  # type: ignore[operator]


def test_a_mail_that_may_have_left_after_the_backup_is_not_sent_again(
    living: World, bare: Database, tmp_path: Path
) -> None:
    """The old system ran on for thirty days and told everybody; the new one does not know what it said."""
    path, old = saved(living, tmp_path), RecordingMailer()
    there = restored(living, path, bare, days=30, sent_until=30)
    living.clock.advance(days=30)
    work(living, old)
    sent = {str(m["Message-ID"]) for m in old.messages}
    assert sent
    new = RecordingMailer()
    work(there, new)
    assert {str(m["Message-ID"]) for m in new.messages} & sent == set()


def test_a_mail_that_was_being_sent_is_uncertain_and_one_due_after_the_stop_leaves(
    living: World, bare: Database, tmp_path: Path
) -> None:
    with living.database.transaction() as session:
        first, *_ = session.scalars(select(Delivery).where(Delivery.state == "sent").order_by(Delivery.id))
        first.state, first.lease_until = "sending", living.clock() + claiming.LEASE
        message_id = first.message_id
    planned = due_within(living, days=30)
    there = restored(living, saved(living, tmp_path), bare, days=30, sent_until=0)
    with there.database.reading() as session:
        held = session.scalars(select(Delivery).where(Delivery.state == "uncertain")).one()
        assert (held.message_id, held.lease_until) == (message_id, None)
    mailer = RecordingMailer()
    work(there, mailer)
    left = {str(m["Message-ID"]) for m in mailer.messages}
    assert message_id not in left
    assert left & planned


def due_within(world: World, *, days: int) -> set[str]:
    until = world.clock() + timedelta(days=days)
    with world.database.reading() as session:
        query = select(Delivery.message_id).where(Delivery.state == "planned", Delivery.next_attempt_at <= until)
        return set(session.scalars(query))


# --- the commands -----------------------------------------------------------------------------------------------------


def run(database: Database, *words: str) -> Result:
    environment = {"AVTALEFLYT_DATABASE_URL": database.url}
    return CliRunner(env=environment).invoke(main, words, catch_exceptions=False)


def test_one_command_each_and_a_restored_system_passes_the_check(living: World, bare: Database, tmp_path: Path) -> None:
    path = str(tmp_path / "kopi")
    wrote = run(living.database, "backup", path, "--json")
    assert wrote.exit_code == 0, wrote.output
    assert json.loads(wrote.stdout)["rows"] == sum(map(len, rows(living.database).values()))
    # Years later by this machine's clock or not, nothing that only time did is a fault.
    brought = run(bare, "restore", path, "--json", "--stopped", living.clock().isoformat())
    assert brought.exit_code == 0, brought.output
    assert json.loads(brought.stdout).keys() == {
        "schema", "taken_at", "rows", "overdue", "overdue_cases", "tasks_overdue", "mails_uncertain",
    }  # fmt: skip
    checked = run(bare, "check", "--json")
    assert (checked.exit_code, json.loads(checked.stdout)["faults"]) == (0, [])
    assert "Everything holds." in run(bare, "check").stdout
    assert run(bare, "restore", path).exit_code == 1
    assert "Restored" in run(bare, "restore", path, "--replace").stdout


def test_a_restored_system_says_in_words_what_became_overdue(living: World, bare: Database, tmp_path: Path) -> None:
    with living.database.transaction() as session:
        case = session.scalars(select(ProcessInstance).where(ProcessInstance.wake_at.is_not(None))).one()
        case.wake_at = living.clock() - timedelta(days=900)  # whatever day this machine's clock shows
        session.execute(update(UserTask).values(due_date=living.clock.today - timedelta(days=900)))
        waiting = session.scalars(select(UserTask.id).where(UserTask.state.in_(("open", "submitted")))).all()
    said = run(bare, "restore", str(saved(living, tmp_path))).stdout.splitlines()
    assert "Overdue: 1 cases with timers and 0 starts. A worker does them at once." in said
    assert f"  case {case.public_id}, since {case.wake_at.isoformat()}" in said
    assert f"{len(waiting)} open tasks are past their due date. People may still answer them." in said


# --- older schemas ----------------------------------------------------------------------------------------------------


def older_versions() -> list[str]:
    """Every version of the schema before this program's, the oldest first."""
    found = ScriptDirectory.from_config(migrating._config()).walk_revisions()
    return [script.revision for script in found][:0:-1]


def filled_as(version: str, backend: str, templates: Templates, living: World) -> Database:
    """A database of an older version, with what of the living one had a place in it."""
    old = Database(templates._new(backend))
    with migrating.alone(old) as connection:
        migrating.upgrade(connection, version)
        connection.execute(text("DELETE FROM community"))
        schema = MetaData()
        schema.reflect(connection)
        with living.database.reading() as session, restoring._in_any_order(connection):
            for table in Base.metadata.sorted_tables:
                if table.name in schema.tables:
                    there = schema.tables[table.name]
                    columns = [column for column in table.columns if column.name in there.columns]
                    found = [
                        dict(row._mapping) for row in session.execute(select(*columns).order_by(*table.primary_key))
                    ]
                    if found:
                        connection.execute(Table(table.name, MetaData(), *map(_plain, columns)).insert(), found)
    return old


def _plain(column: Any) -> Column[Any]:
    return Column(column.name, column.type, primary_key=column.primary_key)


def written_by(old: Database, version: str, path: Path, living: World) -> None:
    """What that version's program wrote: its own tables and columns, and its name for the schema."""
    written: list[bytes] = []
    lines, counts = backup._Lines(written.append), dict[str, int]()
    lines.add({"avtaleflyt": 1, "schema": version, "taken_at": living.clock().isoformat()})
    there = inspect(old.engine)
    with old.reading() as session:
        for table in Base.metadata.sorted_tables:
            if there.has_table(table.name):
                known = {column["name"] for column in there.get_columns(table.name)}
                mine = Table(table.name, MetaData(), *(_plain(c) for c in table.columns if c.name in known))
                counts[table.name] = backup._write_table(session, mine, lines)
    lines.add({"rows": counts})
    lines.add({"sha256": lines.digest()})
    path.write_bytes(zstandard.compress(b"".join(written)))


def test_backups_of_every_older_version_are_brought_to_this_one(
    living: World, backend: str, templates: Templates, bare: Database, tmp_path: Path
) -> None:
    told = set(sent_by(living))
    versions = older_versions()
    assert versions[0] == "0001_initial"
    # The oldest on both databases, each other on one of them.
    mine = [version for n, version in enumerate(versions) if n % 2 == BACKENDS.index(backend) or n == 0]
    for version in reversed(mine):
        old, path = filled_as(version, backend, templates, living), tmp_path / version
        written_by(old, version, path, living)
        old.dispose()
        templates.drop(backend, old.url)
        restoring.restore(bare, path, now=living.clock(), stopped=living.clock(), replace=True)
        assert migrating.present(bare) == migrating.newest(), version
        for table in ("process_instance", "user_task", "delivery", "history_event", "document"):
            assert counted(bare, table) == counted(living.database, table), (version, table)
    # The oldest of them, two months later: the survey closes, and nobody is told again what they were told before
    later = World(bare, FakeClock(living.clock() + timedelta(days=60)), living.community_id)
    mailer = RecordingMailer()
    work(later, mailer)
    with bare.reading() as session:
        assert session.scalars(select(Step.state).where(Step.element_id == "answer_survey")).all() == ["closed"]
    assert mailer.messages
    assert told & {str(m["Message-ID"]) for m in mailer.messages} == set()
    checked = run(bare, "check", "--json")
    assert (checked.exit_code, json.loads(checked.stdout)["faults"]) == (0, [])


def sent_by(world: World) -> list[str]:
    with world.database.reading() as session:
        return list(session.scalars(select(Delivery.message_id).where(Delivery.state == "sent")))


def counted(database: Database, table: str) -> int | None:
    with database.reading() as session:
        return session.scalar(text(f"SELECT count(*) FROM {table}"))


def test_the_check_names_what_is_broken_and_exits_with_1(living: World) -> None:
    with living.database.transaction() as session:
        session.execute(update(UserTask).values(state="withdrawn").where(UserTask.state == "open"))
    found = run(living.database, "check")
    assert found.exit_code == 1
    assert "[nobody-asked]" in found.stdout
    assert "Everything holds." not in found.stdout


def test_the_check_says_what_waits_for_a_worker(living: World) -> None:
    with living.database.transaction() as session:
        session.execute(update(Job).values(state="queued", lease_until=None))
    document = json.loads(run(living.database, "check", "--json").stdout)
    assert (document["faults"], document["last_work"]) == ([], None)
    assert "has never worked" in run(living.database, "check").stdout
    ended = run(living.database, "check", "--ended")
    assert ended.exit_code == 1
    assert "[not-ended]" in ended.stdout and "[mail-not-ended]" in ended.stdout


@pytest.mark.parametrize("moment", ["i fjor", "2026-11-27T14:00"])
def test_a_moment_without_a_zone_is_refused(living: World, tmp_path: Path, moment: str) -> None:
    done = run(living.database, "restore", str(saved(living, tmp_path)), "--replace", "--stopped", moment)
    assert done.exit_code == 1
    assert "--stopped is no moment" in done.stderr
