"""Applications made in a moment: what hangs on the program's text alone is compiled once per process.

Each test still has an application of its own. Its pages and routes are compiled when an application of the same
process did not need them before.
"""

from collections.abc import Callable
from types import CodeType
from typing import Any

from apiflask import APIFlask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule


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
    """A rule whose builders of addresses are those of the equal rule before: they are given the rule they serve."""

    _builders: dict[tuple[str, str, bool], Callable[..., Any]] = {}  # noqa: RUF012

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., Any]:
        key = (self.rule, repr(self.defaults), append_unknown)
        if key not in self._builders:
            self._builders[key] = super()._compile_builder(append_unknown)
        return self._builders[key]


def hurry() -> None:
    """From now on, applications are made so."""
    APIFlask.url_rule_class = Route
    APIFlask.jinja_options = {**APIFlask.jinja_options, "bytecode_cache": TemplateCode()}
