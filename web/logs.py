"""Log lines on stderr: words for a person, or a JSON object each. They hold ids, never names, addresses or answers.

Every request is one line. A fault's line says where it happened and of which kind it was; what an exception says of
itself may quote what people wrote, and stands there only where it can't, or at the level DEBUG.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, g, request
from gunicorn.glogging import Logger
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError

from engine.history import request_id
from web.metrics import elapsed_seconds

#: These speak of code and connections.
_HARMLESS = (
    OSError, AttributeError, TypeError, NameError, ImportError, InterfaceError, OperationalError, ProgrammingError,
)  # fmt: skip
_CHATTY = ("apscheduler", "alembic", "spiff", "mail.log")
#: Asked for every few seconds by machines, or part of another page.
_QUIET = ("health.alive", "health.ready", "health.numbers", "static")
#: What follows these in an address is a secret that acts without signing in.
SECRET_PLACES = ("l", "u", "kalender", "avmelding", "invitasjon")
_SECRET = re.compile(rf"/({'|'.join(SECRET_PLACES)})/[^\s/?#<\"']+")
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_PUBLIC_ID = re.compile(r"[a-z2-9]{12}")
#: What stands behind these words in a route is a public id.
_KINDS = {
    "saker": "case", "process-instances": "case", "flytt": "case", "oppgaver": "task", "tasks": "task",
    "feil": "incident", "incidents": "incident", "prov-igjen": "incident", "e-post": "delivery",
    "modellutkast": "draft", "dokumenter": "document",
}  # fmt: skip
log = logging.getLogger("web.request")


def configure(level: str, form: str) -> None:
    """Lines on stderr, since stdout is for answers; `form` is text or json."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)


# --- lines ------------------------------------------------------------------------------------------------------------


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """`at` in UTC, `level`, `logger`, `event`, then what belongs to it."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
            **_details(record),
        }
        if (error := _error(record)) is not None:
            line["error"] = type(error).__name__
            line["trace"] = "".join(_trace(error))
        return _without_secrets(json.dumps(line, ensure_ascii=False, default=str))


class TextLines(logging.Formatter):
    """The same for a person: `INFO web.request: request method=GET status=200`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a fault's trace below it."""
        details = "".join(f" {name}={value}" for name, value in _details(record).items())
        line = f"{record.levelname} {record.name}: {record.getMessage()}{details}"
        error = _error(record)
        return _without_secrets(line if error is None else f"{line}\n{''.join(_trace(error))}".rstrip())


def _without_secrets(line: str) -> str:
    """The server's own lines quote the address of a request that broke."""
    return _SECRET.sub(r"/\1/…", line)


def _details(record: logging.LogRecord) -> dict[str, Any]:
    given = {name: value for name, value in vars(record).items() if name not in _OWN and value is not None}
    acting = request_id.get()
    return {"request_id": acting, **given} if acting else given


def _error(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None


def _trace(error: BaseException) -> Iterator[str]:
    """Where it happened, down to the first cause, without what the exceptions say unless that is harmless."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _trace(before)
        yield "which led to:\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{type(error).__name__}{_saying(error)}\n"


def _saying(error: BaseException) -> str:
    if isinstance(error, _HARMLESS) or log.isEnabledFor(logging.DEBUG):
        # Of a database error only what the driver says: the statement stands in the code.
        return f": {error.orig if isinstance(error, DBAPIError) else error}"
    return ""


# --- requests ---------------------------------------------------------------------------------------------------------


def register(app: Flask) -> None:
    """One line for each request of the application."""
    app.after_request(_tell)


def _tell(response: Response) -> Response:
    level = logging.DEBUG if request.endpoint in _QUIET else logging.INFO
    if log.isEnabledFor(level):
        route = request.url_rule.rule if request.url_rule else "unknown"
        details = {"status": response.status_code, "ms": round(elapsed_seconds() * 1000, 1), "user": _user_id()}
        extra = {"method": request.method, "route": route, **details, **_public_ids(route)}
        log.log(level, "request", extra=extra)
    return response


def _user_id() -> int | None:
    """Whose request it was, if that was looked up at all."""
    if "person" in g:
        return int(g.person.id)
    found = getattr(g.get("_login_user"), "user_id", None)
    return int(found) if found is not None else None


def _public_ids(route: str) -> dict[str, str]:
    """The ids in the address, by what they are of: nothing else of an address is kept, for it may name people."""
    found: dict[str, str] = {}
    for word, name in re.findall(r"/([a-z-]+)/<([a-z_]+)>", route):
        value = str((request.view_args or {}).get(name, ""))
        if word in _KINDS and _PUBLIC_ID.fullmatch(value):
            found[_KINDS[word]] = value
    return found


class ServerLines(Logger):  # type: ignore[misc]
    """gunicorn's own lines look like ours."""

    def setup(self, cfg: Any) -> None:
        """Hand everything on to the root's handler."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
