"""Applications made in a moment: what hangs on the program's text alone is compiled once per process.

Each test still has an application of its own. Its pages and routes are compiled when an application of the same
process did not need them before.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType
from typing import TYPE_CHECKING, Any

from apiflask import APIFlask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule

from tests.fakes import RecordingMailer
from tests.world import World

if TYPE_CHECKING:
    # Tests of the engine alone do without the pages.
    from web.services import Services


class TemplateCode(BytecodeCache):
    """Pages, by name and text."""

    def __init__(self) -> None:
        self._code: dict[str, CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """What was compiled of the same text."""
        bucket.code = self._code.get(bucket.key + bucket.checksum)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it for the next application."""
        assert bucket.code is not None
        self._code[bucket.key + bucket.checksum] = bucket.code


class Route(Rule):
    """A rule that takes over what an equal rule before it was compiled to: none of that hangs on the application."""

    _known: dict[tuple[str, str, str | None], tuple[dict[str, Any], list[Callable[..., Any]]]] = {}  # noqa: RUF012

    def compile(self) -> None:
        """As the equal rule before, with the builders of addresses bound to this one."""
        key = (self.rule, repr(self.defaults), self.subdomain)
        if key not in self._known:
            super().compile()
            self._known[key] = _compiled(self)
            return
        parts, builders = self._known[key]
        vars(self).update(parts)
        self._build, self._build_unknown = (builder.__get__(self, None) for builder in builders)


def _compiled(rule: Any) -> tuple[dict[str, Any], list[Callable[..., Any]]]:
    parts = {name: getattr(rule, name) for name in ("_parts", "_trace", "_converters", "arguments")}
    return parts, [rule._build.__func__, rule._build_unknown.__func__]


def hurry() -> None:
    """From now on, applications are made so."""
    APIFlask.url_rule_class = Route
    APIFlask.jinja_options = {**APIFlask.jinja_options, "bytecode_cache": TemplateCode()}


@contextmanager
def services_of(world: World, mailer: RecordingMailer, folder: Path) -> "Iterator[Services]":
    """The services of the application, on the world's database and clock."""
    from web import services as web_services
    from web.settings import Settings

    settings = Settings(
        database_url=world.database.url, demo=True, var_dir=folder, secret_key="only-for-tests",
        base_url="https://avtaleflyt.example.org",
    )  # fmt: skip
    built = web_services.build(settings, clock=world.clock, mailer=mailer)
    # One process has one database object: on SQLite it holds the lock that writers queue at.
    yield dataclasses.replace(built, database=world.database)
    built.database.dispose()


def drain(services: "Services", world: World) -> None:
    """Let the clock turn until nothing is due: timers, jobs and mails."""
    while services.drain(world.clock()):
        continue


def mailed(world: World, mailer: RecordingMailer) -> list[EmailMessage]:
    """Do all that is due, without an application; answers the mails that left."""
    with TemporaryDirectory() as folder, services_of(world, mailer, Path(folder)) as services:
        drain(services, world)
    return mailer.messages
