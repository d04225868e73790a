"""Everything the engine refuses, as types that carry what the caller needs to explain it.

A docstring is the default message. Pages, the API and the commands turn these into 4xx answers or exit code 1;
anything that is not an `EngineError` is a fault of ours and goes to the log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class EngineError(Exception):
    """The request was refused."""

    #: What an HTTP answer about this error has as status.
    status = 422

    def __init__(self, message: str | None = None, **data: object) -> None:
        self.message = message or (self.__doc__ or "").strip()
        self.data = data
        super().__init__(self.message)


class NotFound(EngineError):
    """There is nothing here with that id, or you may not see it."""

    status = 404


class NotAllowed(EngineError):
    """You may not do this."""

    status = 403


class Stale(EngineError):
    """Someone else changed this while you were looking at it."""

    status = 409


class NotOpen(EngineError):
    """This task is no longer open."""

    status = 409


class InvalidInput(EngineError):
    """What was given does not fit."""


@dataclass(frozen=True, kw_only=True)
class FieldProblem:
    """One field of a form that was refused, and why."""

    key: str
    label: str
    message: str


class InvalidAnswers(InvalidInput):
    """The answers do not fit the form."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.label}: {p.message}" for p in problems))


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What lint says about one place in a model: `severity` is `error` or `warning`."""

    rule: str
    severity: str
    element: str | None
    name: str | None
    line: int | None
    message: str
    remedy: str


class ModelRefused(EngineError):
    """The model uses something that is not proven to run."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        first = self.findings[0]
        where = f"line {first.line}: " if first.line else ""
        super().__init__(f"{where}{first.message} {first.remedy}")


class ElementFailed(EngineError):
    """An automatic element could not run."""

    def __init__(
        self, *, call_path: str, element_id: str, cause: str, data: Mapping[str, object] | None = None
    ) -> None:
        self.call_path = call_path
        self.element_id = element_id
        self.cause = cause
        #: The variables that the element saw.
        self.seen = dict(data or {})
        super().__init__(f"Element {element_id} could not run: {cause}")
