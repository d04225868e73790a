"""Databases for one address share what was compiled, and nothing else."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from sqlalchemy import event, inspect, select

from engine.database import Database, append
from engine.model import Base, Community, HistoryEvent, ProcessInstance
from tests.world import MEETING_CASE, START, World


def test_a_second_database_in_memory_is_empty_and_compiles_nothing_again() -> None:
    first, second = Database("sqlite://"), Database("sqlite://")
    asked: list[str] = []
    event.listen(first.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    Base.metadata.create_all(first.engine)
    with first.transaction() as session:
        session.add(Community(key="lab", name="Lab", email="lab@example.org"))
    with first.reading() as session:
        assert session.scalars(select(Community.key)).all() == ["lab"]
    told = len(asked)

    assert inspect(second.engine).get_table_names() == []
    Base.metadata.create_all(second.engine)
    compiled = second.engine.get_execution_options()["compiled_cache"]
    known = set(compiled)
    with second.reading() as session:
        assert session.scalars(select(Community.key)).all() == []
    assert set(compiled) == known
    assert len(asked) == told


def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    def opens(url: str, together: Barrier) -> str:
        database = Database(url)
        together.wait()
        with database.engine.connect() as connection:
            return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())

    with ThreadPoolExecutor(6) as pool:
        for number in range(40):
            together = Barrier(6)
            opened = [pool.submit(opens, f"sqlite:///{tmp_path}/{number}.db", together) for _ in range(6)]
            assert {each.result() for each in opened} == {"wal"}


def test_an_appended_row_is_seen_by_a_query_of_its_table_and_by_no_one_else_before_the_commit(world: World) -> None:
    case = world.start(MEETING_CASE)
    with world.database.transaction() as session:
        instance = session.get_one(ProcessInstance, case)
        append(session, HistoryEvent, **_event(instance))
        # Nothing else is to be written, so nothing flushes by itself.
        kinds = select(HistoryEvent.kind).where(HistoryEvent.instance_id == case)
        assert session.scalars(kinds).all().count("reminded") == 1
        session.rollback()
    with world.database.reading() as session:
        assert session.scalars(kinds).all().count("reminded") == 0


def _event(instance: ProcessInstance) -> dict[str, object]:
    return {
        "instance_id": instance.id, "sequence": 99, "at": START, "kind": "reminded", "actor_id": None,
        "on_behalf_of_id": None, "task_id": None, "data": {}, "note_digest": None, "request_id": None, "note": None,
        "note_salt": None, "hash": "",
    }  # fmt: skip
