"""The one place where the machine's clock is read."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

#: Answers the present moment as an aware UTC datetime.
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The machine's time, aware, in UTC."""
    return datetime.now(UTC)


def shifted(clock: Clock, offset: Callable[[], timedelta]) -> Clock:
    """A clock that runs `offset()` ahead of `clock`; the demo steps time with it."""
    return lambda: clock() + offset()
