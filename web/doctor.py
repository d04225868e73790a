"""What is wrong with an installation, in words, and how to mend it. Changes nothing, and sends no mail."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import func, make_url, select, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session

from engine import heartbeats
from engine.database import Database
from engine.model import Community, ProcessDefinition
from notifications.mailer import MailError, SmtpMailer
from web import app, running, schema
from web.figures import LATE, MAIL_LATE, Figures, gather
from web.services import smtp
from web.settings import Settings

#: Seconds to wait for an answer of the database or the mail server.
PATIENCE_SECONDS = 5.0
#: Clocks further apart than this let deadlines fire at the wrong time, and leases run out too early.
SKEW = timedelta(seconds=5)
SHORT_KEY = 32
#: A key with fewer different characters is no random one.
FEW_CHARACTERS = 8
#: What one process of ours may open: see `engine.database`.
CONNECTIONS = 20
_MB = 1_000_000
LITTLE_SPACE, FULL = 1_000 * _MB, 100 * _MB
OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one look found: `state` is ok, warning or error; `remedy` is empty where nothing is to be done."""

    check: str
    state: str
    says: str
    remedy: str = ""


Found = Iterator[Finding]


def free_bytes(folder: Path) -> int:
    """How much room there is where a folder lies."""
    return shutil.disk_usage(folder).free


def examine(
    settings: Settings, clock: Callable[[], datetime], *, free: Callable[[Path], int] = free_bytes
) -> list[Finding]:
    """Look at everything. An answer takes no longer than a few times PATIENCE_SECONDS."""
    found = [*_settings(settings), *_addresses(settings), *_built(), *_files(settings), *_space(settings, free)]
    found += _zone("Europe/Oslo")
    found += [*_mail_server(settings), *_database(settings, clock)]
    return found


def is_well(findings: list[Finding]) -> bool:
    """Is nothing wrong? Warnings are not."""
    return all(finding.state != ERROR for finding in findings)


def _fine(check: str, says: str) -> Finding:
    return Finding(check=check, state=OK, says=says)


def _warn(check: str, says: str, remedy: str) -> Finding:
    return Finding(check=check, state=WARNING, says=says, remedy=remedy)


def _wrong(check: str, says: str, remedy: str) -> Finding:
    return Finding(check=check, state=ERROR, says=says, remedy=remedy)


# --- settings ---------------------------------------------------------------------------------------------------------


def _settings(settings: Settings) -> Found:
    key = settings.secret_key.get_secret_value()
    make = "Set AVTALEFLYT_SECRET_KEY to what `python -c 'import secrets; print(secrets.token_hex(32))'` prints."
    if not key:
        yield _wrong("secret-key", "There is no secret key. Only the demo makes its own.", make)
    elif len(key) < SHORT_KEY:
        yield _wrong("secret-key", f"The secret key has only {len(key)} characters, so it can be guessed.", make)
    elif len(set(key)) < FEW_CHARACTERS:
        yield _wrong("secret-key", "The secret key repeats a few characters, so it can be guessed.", make)
    else:
        yield _fine("secret-key", "The secret key is set.")
    if settings.demo:
        remedy = "Unset AVTALEFLYT_DEMO, and restart."
        yield _wrong("demo", "Anyone may choose who they are.", remedy)


def _addresses(settings: Settings) -> Found:
    parts = urlsplit(settings.address)
    remedy = "Set AVTALEFLYT_BASE_URL to the address that people use, such as https://avtaler.example.org."
    if _is_loopback(parts.hostname or ""):
        says = f"Links in mails lead to {settings.address}, which nobody else can open."
        yield _warn("base-url", says, remedy)
        return
    if parts.scheme != "https":
        yield _wrong("base-url", f"{settings.address} is not https: passwords go unencrypted.", remedy)
        return
    yield _fine("base-url", f"People come to {settings.address}.")
    if not settings.secure_cookies:
        says = "Session cookies also go over http, where they can be read."
        yield _wrong("cookies", says, "Set AVTALEFLYT_SECURE_COOKIES=true, and restart.")
    if not settings.trusted_proxies:
        says = "Everybody seems to come from the proxy's address, so one who guesses passwords shuts all others out."
        remedy = "Set AVTALEFLYT_TRUSTED_PROXIES to how many proxies stand in front, each adding to X-Forwarded-For."
        yield _warn("proxies", says, remedy)
    if not settings.metrics_token.get_secret_value():
        says = "Whoever comes through a proxy on this machine that tells nothing of itself may read /metrics."
        yield _warn("metrics", says, "Set AVTALEFLYT_METRICS_TOKEN, or let the proxy keep /metrics back.")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# --- the machine ------------------------------------------------------------------------------------------------------


def _built() -> Found:
    missing = _missing_files(app.STATIC / "dist")
    if missing:
        yield _wrong("front-end", f"The front end is not built: {missing} is missing.", "Run `make setup`.")
    else:
        yield _fine("front-end", "The front end is built.")
    if not (Path(app.__file__).parent / "translations" / "en" / "LC_MESSAGES" / "messages.mo").exists():
        yield _warn(
            "translations", "The English texts are not compiled: pages are in Norwegian only.", "Run `make setup`."
        )


def _missing_files(folder: Path) -> str:
    """The first built file that is not there; empty when all are."""
    manifest = folder / "manifest.json"
    if not manifest.exists():
        return manifest.name
    return next((name for name in json.loads(manifest.read_text()).values() if not (folder / name).exists()), "")


def _files(settings: Settings) -> Found:
    folder = _existing(settings.var_dir)
    if not os.access(folder, os.W_OK | os.X_OK):
        remedy = f"Let the service's user own it: `chown USER {folder}`, or set AVTALEFLYT_VAR_DIR."
        yield _wrong("files", f"{folder} can't be written to.", remedy)
    for file in (settings.var_dir / "secret_key", *_database_file(settings)):
        if file.exists() and file.stat().st_mode & 0o077:
            says = f"{file} may be read by other users of this machine."
            yield _warn("files", says, f"`chmod 600 {file}`, and `chmod 700 {file.parent}`.")


def _space(settings: Settings, free: Callable[[Path], int]) -> Found:
    for folder in sorted({_existing(settings.var_dir), *_database_folder(settings)}):
        room = free(folder)
        says = f"{room // _MB} MB are free where {folder} lies."
        remedy = "Make room, or move it to a larger disk. Without room nothing can be saved."
        if room < FULL:
            yield _wrong("disk", says, remedy)
        elif room < LITTLE_SPACE:
            yield _warn("disk", says, remedy)
        else:
            yield _fine("disk", says)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that there is."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _database_folder(settings: Settings) -> list[Path]:
    return [_existing(file.parent) for file in _database_file(settings)]


def _database_file(settings: Settings) -> list[Path]:
    _scheme, sqlite, file = settings.database_url.partition("sqlite:///")
    return [Path(file)] if sqlite and file else []


def _zone(name: str) -> Found:
    yield from _unknown(name) or [_fine("time-zones", f"The time zone {name} is known.")]


def _unknown(name: str) -> list[Finding]:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        remedy = "Correct the community's file, or install the time zones: `make setup`, or the package tzdata."
        return [_wrong("time-zones", f"The time zone {name} is not known here.", remedy)]
    return []


# --- the mail server --------------------------------------------------------------------------------------------------


def _mail_server(settings: Settings) -> Found:
    if not settings.smtp_host:
        remedy = "Set AVTALEFLYT_SMTP_HOST, and the port, user and password that it wants."
        yield _wrong("mail-server", "There is no mail server: no reminder leaves.", remedy)
        return
    if not settings.smtp_starttls and not _is_loopback(settings.smtp_host):
        says = "Mails and the mail server's password go unencrypted."
        yield _warn("mail-server", says, "Set AVTALEFLYT_SMTP_STARTTLS=true, if the server can encrypt.")
    mailer: SmtpMailer = smtp(settings)
    try:
        replace(mailer, timeout_seconds=min(mailer.timeout_seconds, PATIENCE_SECONDS)).probe()
    except MailError as error:
        remedy = "Check AVTALEFLYT_SMTP_HOST, _PORT, _USER, _PASSWORD and _STARTTLS, the firewall, and the server."
        yield _wrong("mail-server", f"{error}.", remedy)
        return
    signed_in = " and lets us sign in" if settings.smtp_user else ""
    yield _fine("mail-server", f"{settings.smtp_host}:{settings.smtp_port} answers{signed_in}.")


# --- the database -----------------------------------------------------------------------------------------------------


def _database(settings: Settings, clock: Callable[[], datetime]) -> Found:
    remedy = "Check AVTALEFLYT_DATABASE_URL, that the server runs, and that this machine may reach it."
    if (problem := _no_file(settings)) is not None:
        yield _wrong("database", problem, "Run `avtaleflyt migrate` to make it, or check AVTALEFLYT_DATABASE_URL.")
        return
    try:
        database = Database(_impatient(settings.database_url))
    except (ArgumentError, ImportError) as error:
        yield _wrong("database", f"The database's address can't be read: {error}", remedy)
        return
    try:
        yield from _opened(database, settings, clock)
    except SQLAlchemyError as error:
        first_line = str(getattr(error, "orig", error)).partition("\n")[0]
        yield _wrong("database", f"The database does not answer: {first_line}", remedy)
    finally:
        database.dispose()


def _no_file(settings: Settings) -> str | None:
    """A look must not make an empty database."""
    return next((f"There is no database {file}." for file in _database_file(settings) if not file.exists()), None)


def _impatient(url: str) -> str:
    """The same database, with a limit to how long a connection may take."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql" and "connect_timeout" not in parsed.query:
        parsed = parsed.update_query_dict({"connect_timeout": str(int(PATIENCE_SECONDS))})
    return parsed.render_as_string(hide_password=False)


def _opened(database: Database, settings: Settings, clock: Callable[[], datetime]) -> Found:
    stands = schema.standing(database)
    yield _fine("database", "The database answers.")
    if stands in ("missing", "behind"):
        says = "The database has no schema." if stands == "missing" else "The schema is older than this program."
        yield _wrong("schema", says, "Run `avtaleflyt migrate`.")
        return
    if stands == "outgrown":
        yield _wrong("schema", "The schema has left this program behind.", "Install the newer program here too.")
        return
    if stands == "newer":
        says = "The schema is newer than this program, which goes on working."
        yield _warn("schema", says, "Install the newer program here too.")
    else:
        yield _fine("schema", "The schema is this program's.")
    yield from _dispatcher(database, settings)
    with database.reading() as session:
        if not database.is_sqlite:
            yield from _skew(session, clock)
            yield from _room(session, settings, clock())
        yield from _community(session, settings)
        unknown = [f for zone in session.scalars(select(Community.timezone).distinct()) for f in _unknown(zone)]
        yield from unknown or _work(gather(session, clock()), database, clock())


def _dispatcher(database: Database, settings: Settings) -> Found:
    if settings.dispatcher == "polling":
        return
    if database.is_sqlite:
        says = "Procrastinate needs PostgreSQL, and no process starts without it."
        yield _wrong("dispatcher", says, "Set AVTALEFLYT_DISPATCHER=polling, or move to PostgreSQL.")
    elif settings.database_pooler:
        says = "Procrastinate listens on a connection of its own, which a pooler hands on: nobody is told anything."
        yield _wrong("dispatcher", says, "Set AVTALEFLYT_DISPATCHER=polling.")
    elif (stands := running.dispatching().standing(database)) != "current":
        says = (
            "Procrastinate's tables are missing"
            if stands == "missing"
            else "Procrastinate's tables are another version's"
        )
        yield _warn("dispatcher", f"{says}: workers find work by looking.", "Run `avtaleflyt migrate`.")
    else:
        yield _fine("dispatcher", "Procrastinate's tables are this program's.")


def _skew(session: Session, clock: Callable[[], datetime]) -> Found:
    before = clock()
    there: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    apart = abs(there.astimezone(UTC) - (before + (clock() - before) / 2))
    if apart > SKEW:
        remedy = "Let both set their clocks over the network (NTP)."
        says = f"This machine's clock and the database's are {apart.total_seconds():.0f} seconds apart."
        yield _wrong("clocks", says, remedy)
    else:
        yield _fine("clocks", "This machine's clock and the database's agree.")


def _room(session: Session, settings: Settings, now: datetime) -> Found:
    """May every process that turns the clock, and one more with pages, open what it may need?"""
    if settings.database_pooler:
        return  # the pooler shares out what there is
    limit = "CAST(current_setting('max_connections') AS int)"
    reserved = "CAST(current_setting('superuser_reserved_connections') AS int)"
    room: int = session.execute(text(f"SELECT {limit} - {reserved}")).scalar_one()
    processes = 1 + sum(heartbeats.is_alive(worker, now) for worker in heartbeats.workers(session))
    if processes * CONNECTIONS > room:
        says = f"PostgreSQL lets {room} connect, and {processes} processes may want {CONNECTIONS} each."
        yield _warn("connections", says, "Raise max_connections of PostgreSQL, or put a pooler before it.")
    else:
        yield _fine("connections", f"PostgreSQL lets {room} connect: room for {room // CONNECTIONS} processes.")


def _community(session: Session, settings: Settings) -> Found:
    found = session.scalar(select(Community).where(Community.key == settings.community))
    if found is None:
        remedy = "Check AVTALEFLYT_COMMUNITY, or load it: `avtaleflyt community load FILE`."
        yield _wrong("community", f"There is no community {settings.community!r}.", remedy)
        return
    models = select(ProcessDefinition.id).where(ProcessDefinition.community_id == found.id)
    if session.scalar(models.limit(1)) is None:
        yield _warn(
            "models", "No model is deployed, so no case can start.", "Run `avtaleflyt deploy workflows/*.bpmn`."
        )


# --- the work ---------------------------------------------------------------------------------------------------------


def _work(found: Figures, database: Database, now: datetime) -> Found:
    yield from _workers(found, database, now)
    yield from _lags(found)
    if found.failed_jobs:
        remedy = "Sign in as administrator and open /drift: there each can be tried again, once the cause is mended."
        yield _wrong("jobs", f"Given up: {_counted(found.failed_jobs, 'job', 'jobs')}.", remedy)
    if found.recent_failures:
        says = f"Failed or uncertain in the last seven days: {_counted(found.recent_failures, 'mail', 'mails')}."
        yield _warn(
            "mails", says, "Open /drift, or `avtaleflyt deliveries`: the answers of the mail server stand there."
        )
    if found.incidents:
        says = f"Cases stand still: {_counted(found.incidents, 'open incident', 'open incidents')}."
        yield _warn("incidents", says, "Open /drift, or the cases' pages: their owners can mend it.")


def _workers(found: Figures, database: Database, now: datetime) -> Found:
    if not found.workers_alive:
        says = "No process turns the clock: no deadline passes, and no mail leaves."
        yield _wrong("workers", says, "Start `avtaleflyt serve`, or `avtaleflyt worker` beside `avtaleflyt web`.")
    elif database.is_sqlite and found.workers_alive > 1:
        says = f"{found.workers_alive} processes turn the clock on SQLite, which serves one."
        yield _wrong("workers", says, "Stop all but one, or move to PostgreSQL.")
    else:
        yield _fine("workers", f"The clock turns: {_counted(found.workers_alive, 'process', 'processes')}.")
    ahead = max((row.seen_at - now for row in found.workers), default=timedelta(0))
    if ahead > timedelta(minutes=1):
        says = f"A worker's clock is {ahead.total_seconds():.0f} seconds ahead of this machine's."
        yield _wrong("clocks", says, "Let all machines set their clocks over the network (NTP).")


def _counted(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _lags(found: Figures) -> Found:
    late = [
        ("timers", "Timers", found.wake_lag, LATE, "See that a worker runs; its log says what it stumbles over."),
        ("jobs", "Jobs", found.job_lag, LATE, "See that a worker runs; /drift shows what failed, and why."),
        ("mails", "Mails", found.unsent_lag, MAIL_LATE, "See that a worker runs and that the mail server answers."),
    ]
    for check, what, lag, limit, remedy in late:
        if lag > limit:
            yield _wrong(check, f"{what} are late, the oldest by {int(lag.total_seconds() // 60)} minutes.", remedy)
