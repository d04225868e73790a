"""Makes real processes at once: `python -m tests.chaos.process` forks itself, warmed up, for each line it reads.

A line is `web PORT`, `serve PORT` or `worker`; the answer is the number of the process, which runs what the command of
that name runs and leads a group of its own. The settings are the environment's. The clock is the machine's, moved by
what the database's `clock_offset` says, so that months pass in seconds; and it turns often, for nobody waits two
seconds after each leap.
"""

import faulthandler
import logging
import os
import signal
import sys
import traceback
import warnings
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import select

from engine import deployments, scheduling
from engine.clock import Clock, shifted, utc_now
from engine.database import Database
from engine.model import ClockOffset, Community, ProcessInstance
from web import app, logs, running, services
from web.settings import Settings

#: How often the clock turns.
POLL = timedelta(seconds=0.05)


def main() -> None:
    """Warm up, say so, and make processes until there are no more lines."""
    settings = Settings()
    logs.configure("WARNING", "text")
    # A turn that takes longer than POLL is no news here.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduling.POLL = POLL
    _warm_up(settings)
    # Whoever is killed leaves nothing behind that must be waited for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        kind, *port = line.split()
        if (child := os.fork()) == 0:
            os._exit(_run(kind, settings.model_copy(update={"port": int(port[0])}) if port else settings))
        with suppress(ProcessLookupError, PermissionError):
            os.setpgid(child, child)  # whichever of the two is first
        print(child, flush=True)


def _warm_up(settings: Settings) -> None:
    """Read what every process would read first: all code, and the models."""
    app.create_app(services.build(settings))
    database = Database(settings.database_url, pool_size=1)
    with database.reading() as session:
        community = session.scalars(select(Community)).one()
        for definition in deployments.latest_definitions(session, community.id):
            deployments.compiled(session, ProcessInstance(pins=deployments.pin(session, definition)))
    database.dispose()


def _run(kind: str, settings: Settings) -> int:
    os.setpgid(0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # One that does not stop when it is told to is asked what it does.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    try:
        {"web": running.web, "serve": running.serve, "worker": running.worker}[kind](settings, clock=_clock(settings))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _clock(settings: Settings) -> Clock:
    database = Database(settings.database_url, pool_size=2)

    def offset() -> timedelta:
        with database.reading() as session:
            return timedelta(seconds=session.scalar(select(ClockOffset.seconds)) or 0)

    return shifted(utc_now, offset)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
