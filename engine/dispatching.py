"""Hints from process to process, by Procrastinate on PostgreSQL: whoever makes something due lets a worker look sooner.

A hint names a lane and nothing else. Whoever takes one does that lane's work as its own clock would have done it at its
next look, so a hint that is lost, late or doubled changes nothing. It is sent after the commit, from a thread of its
own: no act waits for it, fails with it or costs a statement more. One waits per lane, however much falls due.
"""

import asyncio
import hashlib
import logging
import threading
from collections.abc import Mapping
from typing import Literal

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ProcrastinateException
from procrastinate.jobs import Status
from procrastinate.schema import SchemaManager
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from engine.clock import Clock
from engine.database import Database, Moments
from engine.scheduling import POLL, Lane

#: Procrastinate's tables are in a schema of their own. They hold hints, so nothing in them is ever worth keeping.
SCHEMA = "procrastinate"
_TASK = "look"
#: Seconds without a word after which a worker counts as dead; each says one every ten.
_STALLED = 30.0
#: Seconds between two removals of what dead workers left behind.
_TIDY = 60.0
#: Seconds before hints are tried again after the database, or the schema, was away. The clock polls meanwhile.
_PAUSE = 5.0

log = logging.getLogger(__name__)
# It has a line for every hint.
logging.getLogger("procrastinate").setLevel(logging.WARNING)


# --- schema -----------------------------------------------------------------------------------------------------------


def install(connection: Connection) -> None:
    """Make Procrastinate's tables, or make them anew when they are another version's. Running it again changes nothing.

    The caller has begun the transaction. What goes on meanwhile only loses hints.
    """
    if _standing(connection) == "current":
        return
    connection.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
    connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
    connection.execute(text(f"SET LOCAL search_path = {SCHEMA}"))
    driver = connection.connection.driver_connection
    assert driver is not None, "the connection is open"
    # Straight to the driver: as one text without values, PostgreSQL takes many statements.
    driver.execute(SchemaManager.get_schema())
    connection.execute(text(f"COMMENT ON SCHEMA {SCHEMA} IS '{_fingerprint()}'"))


def standing(database: Database) -> Literal["missing", "current", "other"]:
    """How Procrastinate's tables stand to this program; `avtaleflyt migrate` makes them current."""
    with database.engine.connect() as connection:
        return _standing(connection)


def _standing(connection: Connection) -> Literal["missing", "current", "other"]:
    query = text("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = :name")
    found = connection.execute(query, {"name": SCHEMA}).first()
    if found is None:
        return "missing"
    return "current" if found[0] == _fingerprint() else "other"


def _fingerprint() -> str:
    return f"Hints between workers, {hashlib.sha256(SchemaManager.get_schema().encode()).hexdigest()[:16]}"


# --- sending ----------------------------------------------------------------------------------------------------------


class Hints:
    """Sends hints from a thread of its own."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        # Each hint goes over a connection of ours; Procrastinate opens none.
        self._app = App(connector=SyncPsycopgConnector())
        self._wanted: set[str] = set()
        self._changing = threading.Lock()
        self._bell = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hints", daemon=True)

    def start(self) -> None:
        """Begin to send what is asked for."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the hint in hand, then stop. What was not sent is found by looking."""
        self._stopped.set()
        self._bell.set()
        self._thread.join()

    def hear(self, moments: Moments) -> None:
        """Something of these lanes falls due. What is still far away each clock will know in time by itself."""
        soon = self._clock() + POLL
        for lane, at in moments.items():
            if at <= soon:
                self.send(lane)

    def send(self, lane: str) -> None:
        """Let a worker do that lane's work; returns at once."""
        with self._changing:
            self._wanted.add(lane)
        self._bell.set()

    def _run(self) -> None:
        while True:
            self._bell.wait()
            self._bell.clear()
            if self._stopped.is_set():
                return
            with self._changing:
                wanted, self._wanted = self._wanted, set()
            try:
                for lane in sorted(wanted):
                    self.leave(lane)
            except (ProcrastinateException, SQLAlchemyError) as error:
                log.warning("a hint could not be sent", extra={"reason": type(error).__name__})
                self._stopped.wait(_PAUSE)

    def leave(self, lane: str) -> None:
        """Leave a hint, unless one waits: whoever takes that one sees all that is committed by now."""
        try:
            with self._database.transaction() as session:
                session.execute(text(f"SET LOCAL search_path = {SCHEMA}"))
                # Asked first, because each refused insert stands as an error in PostgreSQL's log.
                waiting = text("SELECT 1 FROM procrastinate_jobs WHERE queueing_lock = :lane AND status = 'todo'")
                if session.execute(waiting, {"lane": lane}).first() is None:
                    connection = session.connection().connection.driver_connection
                    task = self._app.configure_task(_TASK, queue=lane, queueing_lock=lane, connection=connection)
                    task.defer(lane=lane)
        except AlreadyEnqueued:
            log.debug("a hint for the lane %s waits already", lane)


# --- hearing ----------------------------------------------------------------------------------------------------------


class Listener:
    """Procrastinate's worker in a thread of this process: does a lane's work when a hint for it comes.

    It needs connections of its own that stay with it: three, and one for each lane.
    """

    def __init__(self, database: Database, lanes: Mapping[str, Lane], *, pause_seconds: float = _PAUSE) -> None:
        self._lanes = lanes
        self._pause_seconds = pause_seconds
        url = database.engine.url.set(drivername="postgresql")
        self._conninfo = url.render_as_string(hide_password=False)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="hints heard", daemon=True)
        self._listening: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the work in hand, then stop."""
        self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join()

    def _cancel(self) -> None:
        if self._listening is not None:
            self._listening.cancel()

    def _run(self) -> None:
        self._listening = self._loop.create_task(self._listen())
        try:
            self._loop.run_until_complete(self._listening)
        except asyncio.CancelledError:
            log.debug("no hints are heard any more")
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear_until_something_fails()
            except ProcrastinateException as error:
                log.warning("no hints are heard for a while", extra={"reason": type(error).__name__})
            await asyncio.sleep(self._pause_seconds)

    async def _hear_until_something_fails(self) -> None:
        app = application(self._conninfo, self._lanes)
        async with app.open_async():
            parts = [asyncio.create_task(_tidy_for_ever(app))]
            parts += [asyncio.create_task(_worker(app, lane)) for lane in self._lanes]
            try:
                # A worker whose connection is gone ends without a word.
                done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
                for part in done:
                    part.result()
            finally:
                for part in parts:
                    part.cancel()
                await asyncio.gather(*parts, return_exceptions=True)


def application(conninfo: str, lanes: Mapping[str, Lane]) -> App:
    """Procrastinate's application: the one task there is does a lane's work in a thread."""
    options = {"options": f"-c search_path={SCHEMA}"}
    app = App(connector=PsycopgConnector(conninfo=conninfo, kwargs=options, min_size=1, max_size=len(lanes) + 2))

    @app.task(name=_TASK)
    async def look(lane: str) -> None:
        await asyncio.to_thread(lanes[lane].work)

    return app


async def _worker(app: App, lane: str) -> None:
    """Take one hint of a lane at a time, for ever. A second one is left to other processes meanwhile."""
    await app.run_worker_async(
        queues=[lane], name=lane, concurrency=1, delete_jobs="always", install_signal_handlers=False,
        stalled_worker_timeout=_STALLED, fetch_job_polling_interval=_STALLED,
    )  # fmt: skip


async def _tidy_for_ever(app: App) -> None:
    while True:
        await tidy(app, _STALLED)
        await asyncio.sleep(_TIDY)


async def tidy(app: App, seconds: float) -> None:
    """Forget the workers that have said nothing for so long, and the hints they had taken: the clocks have looked."""
    manager = app.job_manager
    await manager.prune_stalled_workers(seconds)
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=seconds):
        await manager.finish_job(job, status=Status.FAILED, delete_job=True)
