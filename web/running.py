"""Processes: the demo, one process for real use, or web and worker apart."""

import atexit
import gc
import importlib
import logging
import signal
import socket
import threading
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import make_msgid
from importlib.metadata import version
from types import ModuleType
from typing import Any, Protocol

from gunicorn.app.base import BaseApplication

from engine.clock import Clock, utc_now
from engine.errors import InvalidInput
from engine.heartbeats import Pulse
from engine.model import Community, User
from engine.scheduling import EmbeddedClock
from notifications import mailer
from notifications.local_server import KeepingReceiver, LocalServer, free_port
from web import app, auth, demo_data, logs, migrating
from web.mail_watch import MailWatch
from web.services import Services, build
from web.settings import Settings

log = logging.getLogger(__name__)
THREADS = 16


class Part(Protocol):
    """Something that runs beside the rest of the process."""

    def start(self) -> None:
        """Begin, and return at once."""

    def stop(self) -> None:
        """Finish what is in hand."""


def dispatching() -> ModuleType:
    """The dispatcher. Procrastinate takes half a second to import, which only those wait for who have chosen it."""
    return importlib.import_module("engine.dispatching")


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with one worker of many threads; what else the process runs is begun in the worker."""

    def __init__(self, settings: Settings, begin: Callable[[], Any], *, workers: int) -> None:
        self._settings = settings
        self._begin = begin
        self._workers = workers
        super().__init__()

    def load_config(self) -> None:
        """Where to listen."""
        options = {
            "bind": f"{self._settings.host}:{self._settings.port}",
            "workers": self._workers,
            "worker_class": "gthread",
            "threads": THREADS,
            "loglevel": "warning",
            "timeout": 60,
            "graceful_timeout": 20,
            "control_socket_disable": True,
            "logger_class": logs.ServerLines,
        }
        for key, value in options.items():
            if key in self.cfg.settings:
                self.cfg.set(key, value)

    def load(self) -> Any:
        """The application, in the worker."""
        application = self._begin()
        gc.freeze()  # it lives as long as the process: no page waits while it is looked through for garbage
        return application


def demo(settings: Settings) -> None:
    """Migrate, deploy, load the demo community and serve it with clock and mail server in the same process."""
    settings = settings.model_copy(update={"demo": True})
    _require_free(settings)
    services = build(settings)
    print("Migrating the database …", flush=True)
    migrate(services)
    print("Deploying the models of workflows/ and loading the demo community …", flush=True)
    demo_data.load(services)
    services.database.dispose()
    print(f"Avtaleflyt answers at {settings.address} (stop with Ctrl-C)", flush=True)
    _Server(settings, lambda: _begin_demo(settings), workers=1).run()


def _begin_demo(settings: Settings) -> Any:
    port = free_port()
    settings = settings.model_copy(update={"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_starttls": False})
    services = build(settings)
    LocalServer(KeepingReceiver(services.database, services.clock), port=port).start()
    return _app_with_clock(services, "demo")


def _app_with_clock(services: Services, kind: str) -> Any:
    """Pages, and the clock beside them in the same process."""
    working = _Working(services, kind)
    working.start()
    atexit.register(working.pulse.stop)
    return app.create_app(services, working.pulse)


def _app_that_tells(services: Services) -> Any:
    """Pages only; where there is a dispatcher, workers hear of what people make due."""
    if services.settings.dispatcher == "procrastinate":
        hints = dispatching().Hints(services.database, services.clock)
        services.database.tell = hints.hear
        hints.start()
    return app.create_app(services)


class _Working:
    """What a process does by itself: the clock with its lanes, its heartbeat, and hearing what others make due."""

    def __init__(self, services: Services, kind: str) -> None:
        self.pulse = Pulse(services.database, kind=kind, version=version("avtaleflyt"))
        self._clock = EmbeddedClock(services.database, services.kinds, services.clock)
        self._clock.beat = MailWatch(services.database, services.settings, self.pulse.beat).beat
        self._parts: list[Part] = [self._clock]
        if services.settings.dispatcher == "procrastinate":
            hints = dispatching().Hints(services.database, services.clock)
            for lane in self._clock.lanes.values():
                lane.call_for_help = hints.send
            self._parts += [hints, dispatching().Listener(services.database, self._clock.lanes)]

    def start(self) -> None:
        """Begin."""
        for part in self._parts:
            part.start()

    def stop(self) -> None:
        """Finish what is in hand, and say goodbye."""
        for part in reversed(self._parts):
            part.stop()
        self.pulse.stop()


def serve(settings: Settings, *, clock: Clock = utc_now) -> None:
    """Pages and clock in one process."""
    _require_real(settings)
    migrate(build(settings))
    _Server(settings, lambda: _app_with_clock(build(settings, clock=clock), "serve"), workers=1).run()


def web(settings: Settings, *, clock: Clock = utc_now) -> None:
    """Pages only."""
    _require_real(settings)
    _Server(settings, lambda: _app_that_tells(build(settings, clock=clock)), workers=1).run()


def worker(settings: Settings, *, clock: Clock = utc_now) -> None:
    """The clock only, until the process is told to stop."""
    _require_real(settings)
    services = build(settings, clock=clock)
    working = _Working(services, "worker")
    stopped = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stopped.set())
    working.start()
    log.info("the worker runs")
    stopped.wait()
    working.stop()


def migrate(services: Services) -> str:
    """Bring the schema up to date, the dispatcher's too where one is chosen; answers its version."""
    newest = migrating.migrate(services.database)
    if services.settings.dispatcher == "procrastinate":
        with migrating.alone(services.database) as connection:
            dispatching().install(connection)
    return newest


def invite(services: Services, community: Community, user: User) -> None:
    """Mail a person a link to set a password. Raises what the mailer raises."""
    token = auth.invitation(user, services.settings.signing_key())
    message = EmailMessage()
    message["Subject"] = f"Velkommen til Avtaleflyt i {community.name}"
    message["From"] = community.email
    message["To"] = user.email
    message["Date"] = services.clock()
    message["Message-ID"] = make_msgid(domain=services.notifications.host)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(
        f"Du er lagt til i Avtaleflyt for {community.name}.\n\nVelg et passord her innen sju dager:\n"
        f"{services.settings.address}/invitasjon/{token}\n\nSpørsmål? Kontakt sekretariatet: {community.email}\n"
    )
    mailer.send_single(services.mailer, message, user.email)


def _require_real(settings: Settings) -> None:
    """Raises InvalidInput when real use lacks what only the demo may do without."""
    if not settings.secret_key.get_secret_value():
        raise InvalidInput("Set AVTALEFLYT_SECRET_KEY to a long random text; only the demo makes its own.")
    if not settings.smtp_host:
        raise InvalidInput("Set AVTALEFLYT_SMTP_HOST to your mail server; without it no reminder would leave.")
    if settings.demo:
        raise InvalidInput("AVTALEFLYT_DEMO lets anyone be anyone. Unset it, or run `avtaleflyt demo`.")


def _require_free(settings: Settings) -> None:
    with socket.socket() as probe:
        if probe.connect_ex((settings.host, settings.port)) == 0:
            raise InvalidInput(f"Port {settings.port} is taken. Choose another: `make run PORT=8001`.")
