"""Processes: the demo, one process for real use, or web and worker apart."""

import atexit
import logging
import signal
import socket
import threading
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import make_msgid
from importlib.metadata import version
from typing import Any

from gunicorn.app.base import BaseApplication

from engine.errors import InvalidInput
from engine.heartbeats import Pulse
from engine.model import Community, User
from engine.scheduling import EmbeddedClock
from notifications.local_server import KeepingReceiver, LocalServer, free_port
from web import app, auth, demo_data, logs, migrating
from web.services import Services, build
from web.settings import Settings

log = logging.getLogger(__name__)
THREADS = 16


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
        return self._begin()


def demo(settings: Settings) -> None:
    """Migrate, deploy, load the demo community and serve it with clock and mail server in the same process."""
    settings = settings.model_copy(update={"demo": True})
    _require_free(settings)
    services = build(settings)
    print("Migrating the database …", flush=True)
    migrating.migrate(services.database)
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
    clock, pulse = _clock(services, kind)
    clock.start()
    atexit.register(pulse.stop)
    return app.create_app(services, pulse)


def _clock(services: Services, kind: str) -> tuple[EmbeddedClock, Pulse]:
    pulse = Pulse(services.database, kind=kind, version=version("avtaleflyt"))
    return EmbeddedClock(pulse.beating(services.drain), services.clock), pulse


def serve(settings: Settings) -> None:
    """Pages and clock in one process."""
    _require_real(settings)
    migrating.migrate(build(settings).database)
    _Server(settings, lambda: _begin_all(settings), workers=1).run()


def _begin_all(settings: Settings) -> Any:
    return _app_with_clock(build(settings), "serve")


def web(settings: Settings) -> None:
    """Pages only."""
    _require_real(settings)
    _Server(settings, lambda: app.create_app(build(settings)), workers=1).run()


def worker(settings: Settings) -> None:
    """The clock only, until the process is told to stop."""
    _require_real(settings)
    services = build(settings)
    clock, pulse = _clock(services, "worker")
    stopped = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stopped.set())
    clock.start()
    log.info("the worker runs")
    stopped.wait()
    clock.stop()
    pulse.stop()


def migrate(services: Services) -> str:
    """Bring the schema up to date; answers its version."""
    return migrating.migrate(services.database)


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
    services.mailer.send(message, user.email)


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
