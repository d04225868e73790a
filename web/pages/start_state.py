"""What a person has chosen on the way to a start: a signed cookie, so that Back and errors lose nothing."""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

from flask import Response, request
from itsdangerous import BadSignature, URLSafeSerializer

from agreements.starting import StartRequest
from engine.errors import InvalidInput
from web.context import person, services

COOKIE, PATH = "avtaleflyt_start", "/saker/start"
#: Browsers keep 4096 bytes of a cookie with its name and attributes; a larger one is silently dropped.
MAX_BYTES = 3_900
#: What the meetings, the people and the reason take at most.
RESERVE_BYTES = 900
MAX_AGE_SECONDS = 12 * 3600


@dataclass(frozen=True, kw_only=True)
class StartState:
    """The choices. None means not chosen yet; `key` makes a repeated start one start."""

    process: str
    agreement: str | None = None
    title: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    meetings: dict[str, str] | None = None
    parties: list[str] | None = None
    roles: dict[str, dict[str, str]] = field(default_factory=dict)
    bodies: dict[str, list[str]] = field(default_factory=dict)
    who_is_chosen: bool = False
    reason: str = ""
    #: Place of a step -> the due date that is set by hand.
    hand_dates: dict[str, str] = field(default_factory=dict)
    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))

    def request(self) -> StartRequest:
        """What is asked of `agreements.starting`."""
        return StartRequest(
            process=self.process,
            title=self.title or None,
            agreement=self.agreement,
            meetings=dict(self.meetings or {}),
            parties=None if self.parties is None else tuple(self.parties),
            roles=self.roles,
            data={**self.answers, **self.bodies},
            hand_dates={place: date.fromisoformat(day) for place, day in self.hand_dates.items()},
            idempotency_key=self.key,
        )

    def begin(self, process: str, agreement: str | None) -> "StartState":
        """The same choices while it is the same case; otherwise a fresh start."""
        if (process, agreement) == (self.process, self.agreement):
            return self
        return StartState(process=process, agreement=agreement)


class TooLarge(InvalidInput):
    """Teksten er for lang til sammen. Kort den ned; mer kan legges til når saken er startet."""


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(services().settings.signing_key(), salt="start")


def read() -> StartState | None:
    """This person's choices; None when nothing is begun, or somebody else began it in the same browser."""
    try:
        owner, values = _serializer().loads(request.cookies.get(COOKIE, ""))
        return StartState(**values) if owner == person().key else None
    except (BadSignature, TypeError, ValueError):
        return None


def write(response: Response, state: StartState, *, reserve: int = 0) -> Response:
    """Keep the choices, with `reserve` bytes to spare for later ones. Raises TooLarge."""
    text = str(_serializer().dumps([person().key, asdict(state)]))
    if len(text) > MAX_BYTES - reserve:
        raise TooLarge
    response.set_cookie(
        COOKIE,
        text,
        path=PATH,
        max_age=MAX_AGE_SECONDS,
        httponly=True,
        samesite="Lax",
        secure=services().settings.secure_cookies,
    )
    return response


def forget(response: Response) -> Response:
    """The case is started."""
    response.delete_cookie(COOKIE, path=PATH)
    return response


def with_hand_dates(state: StartState, dates: Mapping[str, date | None]) -> StartState:
    """The choices with these due dates set by hand; None gives a date back to the model."""
    kept = {place: day for place, day in state.hand_dates.items() if place not in dates}
    return replace(state, hand_dates={**kept, **{place: day.isoformat() for place, day in dates.items() if day}})


def with_meetings(state: StartState, meetings: Mapping[str, str]) -> StartState:
    """The choices with other meetings for some facts."""
    return replace(state, meetings={**(state.meetings or {}), **meetings})
