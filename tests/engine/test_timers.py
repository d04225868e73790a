"""What people write in timers, and when such timers fire."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.bpmn.timers import Duration, TimerError, TimerKind, due, literal, parse_cycle, parse_date, parse_duration
from engine.calendar import Calendar
from engine.errors import EngineError

CALENDAR = Calendar()
OSLO = CALENDAR.zone
START = datetime(2026, 11, 5, 9, 0, tzinfo=OSLO)


def local(text: str) -> datetime:
    """A local moment such as `2026-11-05 09:00`; with `*` after it, the second time the clocks show it."""
    moment = datetime.fromisoformat(text.rstrip("*")).replace(tzinfo=OSLO)
    return moment.replace(fold=1) if text.endswith("*") else moment


def shown(moment: datetime | None) -> str | None:
    """The local moment with its offset from UTC in hours."""
    return moment and f"{moment.astimezone(OSLO):%a %Y-%m-%d %H:%M:%S %z}"[:-2].replace(":00 +", " +")


def first(kind: TimerKind, value: object, started: datetime = START, calendar: Calendar = CALENDAR) -> datetime | None:
    return due(kind, value, started=started, fired=0, last=None, now=started, calendar=calendar)


def firings(value: str, count: int, started: datetime = START) -> list[str | None]:
    """The first `count` firings of a cycle whose clock is never late."""
    found: list[datetime | None] = []
    last = None
    for fired in range(count):
        last = due("timeCycle", value, started=started, fired=fired, last=last, now=last or started, calendar=CALENDAR)
        found.append(last)
    return [shown(moment) for moment in found]


def refused(kind: TimerKind, value: object, started: datetime = START) -> TimerError:
    with pytest.raises(TimerError) as caught:
        first(kind, value, started)
    return caught.value


# --- dates ---


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-27", "Fri 2026-11-27 00:00 +01"),
        (" 2026-11-27\n", "Fri 2026-11-27 00:00 +01"),
        ("2026-07-01", "Wed 2026-07-01 00:00 +02"),
        ("2026-11-27T09:30", "Fri 2026-11-27 09:30 +01"),
        ("2026-11-27T09:30:15", "Fri 2026-11-27 09:30:15 +01"),
        ("2026-11-27T09:30:15.250", "Fri 2026-11-27 09:30:15 +01"),
        ("2026-11-27T09:30:00Z", "Fri 2026-11-27 10:30 +01"),
        ("2026-11-27T09:30:00+03:00", "Fri 2026-11-27 07:30 +01"),
        ("2026-11-27T09:30:00-0500", "Fri 2026-11-27 15:30 +01"),
        ("2026-11-27T09:30+01", "Fri 2026-11-27 09:30 +01"),
        (date(2026, 11, 27), "Fri 2026-11-27 00:00 +01"),
        (datetime(2026, 11, 27, 9, 30), "Fri 2026-11-27 09:30 +01"),
        (datetime(2026, 11, 27, 9, 30, tzinfo=UTC), "Fri 2026-11-27 10:30 +01"),
        ("2026-03-29T02:30", "Sun 2026-03-29 03:30 +02"),  # the clocks skip it
        ("2026-10-25T02:30", "Sun 2026-10-25 02:30 +02"),  # the clocks show it twice
    ],
)
def test_a_date_is_local_unless_it_says_otherwise(value: object, expected: str) -> None:
    assert shown(parse_date(value, CALENDAR)) == expected
    assert first("timeDate", value) == parse_date(value, CALENDAR)


def test_a_date_begins_where_the_community_is() -> None:
    tokyo = Calendar(zone=ZoneInfo("Asia/Tokyo"))
    assert parse_date("2026-11-27", tokyo) == datetime(2026, 11, 26, 15, tzinfo=UTC)


def test_what_is_not_known_yet_is_not_due() -> None:
    assert parse_date(None, CALENDAR) is None
    assert [first(kind, None) for kind in ("timeDate", "timeDuration", "timeCycle")] == [None, None, None]


def test_a_date_that_has_passed_is_still_due() -> None:
    assert shown(first("timeDate", "2026-01-01")) == "Thu 2026-01-01 00:00 +01"


@pytest.mark.parametrize("kind", ["timeDate", "timeDuration"])
def test_a_date_and_a_duration_fire_once(kind: TimerKind) -> None:
    value = "2026-11-27" if kind == "timeDate" else "P1D"
    assert due(kind, value, started=START, fired=1, last=START, now=START, calendar=CALENDAR) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "i morgen",
        "27.11.2026",
        "20261127",
        "2026-W48-5",
        "2026-11-27 09:00",
        "2026-11-27T",
        "2026-11-27T9:00",
        "P1D",
    ]
    + [
        "2026-02-30",
        "2026-11-27T24:01",
        "2026-13-01",
        "0000-01-01",
        "٢٠٢٦-11-27",
        "2026-11-27T09:00+99:00",
        "1" * 10**6,
    ]
    + [
        7,
        True,
        1.5,
        [],
        {},
        time(9),
        "0001-01-01",
        "2200-01-01",
        "1900-01-01",
        date.min,
        date.max,
        "2026-11-27\x00",
    ],
)
def test_other_things_are_no_dates(value: object) -> None:
    error = refused("timeDate", value)
    assert isinstance(error, ValueError) and isinstance(error, EngineError)
    assert error.remedy and str(error).endswith(error.remedy) and len(str(error)) < 250


# --- durations ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PT1H", Duration(exact=timedelta(hours=1))),
        ("PT90M", Duration(exact=timedelta(minutes=90))),
        ("PT1.5H", Duration(exact=timedelta(minutes=90))),
        ("PT0,5S", Duration(exact=timedelta(milliseconds=500))),
        ("PT0S", Duration()),
        ("P1D", Duration(days=1)),
        ("P1W", Duration(days=7)),
        ("P1W2D", Duration(days=9)),
        ("P1M", Duration(months=1)),
        ("PT1M", Duration(exact=timedelta(minutes=1))),
        ("P1Y", Duration(months=12)),
        ("P1Y2M3W4DT5H6M7S", Duration(months=14, days=25, exact=timedelta(hours=5, minutes=6, seconds=7))),
        (" P100Y ", Duration(months=1200)),
    ],
)
def test_a_duration_is_read(text: str, expected: Duration) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    ("started", "text", "expected"),
    [
        ("2026-11-05 09:00", "PT1H", "Thu 2026-11-05 10:00 +01"),
        ("2026-11-05 09:00", "P1W2D", "Sat 2026-11-14 09:00 +01"),
        ("2026-01-31 09:00", "P1M", "Sat 2026-02-28 09:00 +01"),
        ("2026-12-31 09:00", "P2M", "Sun 2027-02-28 09:00 +01"),
        ("2028-02-29 09:00", "P1Y", "Wed 2029-02-28 09:00 +01"),
        ("2026-01-31 09:00", "P1M1D", "Sun 2026-03-01 09:00 +01"),
        # Over the change to summer time: a day keeps the clock time, 24 hours don't.
        ("2026-03-28 12:00", "P1D", "Sun 2026-03-29 12:00 +02"),
        ("2026-03-28 12:00", "PT24H", "Sun 2026-03-29 13:00 +02"),
        ("2026-03-28 02:30", "P1D", "Sun 2026-03-29 03:30 +02"),
        ("2026-03-28 12:00", "P1DT1H", "Sun 2026-03-29 13:00 +02"),
        # And back.
        ("2026-10-24 12:00", "P1D", "Sun 2026-10-25 12:00 +01"),
        ("2026-10-24 12:00", "PT24H", "Sun 2026-10-25 11:00 +01"),
        ("2026-10-25 02:30", "PT1H", "Sun 2026-10-25 02:30 +01"),
        ("2026-10-25 02:30*", "PT1H", "Sun 2026-10-25 03:30 +01"),
        ("2026-10-25 02:30*", "PT0S", "Sun 2026-10-25 02:30 +01"),
    ],
)
def test_a_duration_ends_on_the_calendar(started: str, text: str, expected: str) -> None:
    assert shown(first("timeDuration", text, local(started))) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-P5D", "negative"),
        ("P-5D", "no duration"),
        ("P", "no duration"),
        ("PT", "no duration"),
        ("P1DT", "no duration"),
        ("P1", "no duration"),
        ("PT1D", "no duration"),
        ("P1D1W", "no duration"),
        ("P0.5D", "no duration"),
        ("pt1h", "no duration"),
        ("1 day", "no duration"),
        ("", "no duration"),
        ("2026-11-27", "no duration"),
        ("P101Y", "longer than 100 years"),
        ("P99999M", "longer than 100 years"),
        ("P999999D", "longer than 100 years"),
        ("PT9999999999S", "longer than 100 years"),
        ("P" + "9" * 100_000 + "Y", "no duration"),
        ("P٣D", "no duration"),
    ],
)
def test_other_texts_are_no_durations(text: str, words: str) -> None:
    error = refused("timeDuration", text)
    assert words in error.message and len(str(error)) < 250


@pytest.mark.parametrize("value", [date(2026, 1, 1), 3, True, ["PT1H"]])
@pytest.mark.parametrize("kind", ["timeDuration", "timeCycle"])
def test_a_duration_is_a_text(kind: TimerKind, value: object) -> None:
    assert "no text" in refused(kind, value).message


# --- repetitions ---


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("R3/PT1H", ["Thu 2026-11-05 10:00 +01", "Thu 2026-11-05 11:00 +01", "Thu 2026-11-05 12:00 +01", None, None]),
        ("R/P1Y", ["Fri 2027-11-05 09:00 +01", "Sun 2028-11-05 09:00 +01", "Mon 2029-11-05 09:00 +01"]),
        # From a start: the first is at the start, however late the timer begins; the month's end is kept.
        ("R2/2027-01-31T08:00/P1M", ["Sun 2027-01-31 08:00 +01", "Sun 2027-02-28 08:00 +01", None]),
        ("R/2026-08-31/P1M", ["Mon 2026-11-30 00:00 +01", "Thu 2026-12-31 00:00 +01", "Sun 2027-01-31 00:00 +01"]),
        ("R3/2027-01-01T00:00:00+01:00/P1M", ["Fri 2027-01-01 00:00 +01", "Mon 2027-02-01 00:00 +01"]),
        ("R2/2020-01-01/P1Y", ["Fri 2027-01-01 00:00 +01", "Sat 2028-01-01 00:00 +01", None]),
        # To an end: the last is at the end.
        ("R2/P1W/2026-12-24", ["Thu 2026-12-17 00:00 +01", "Thu 2026-12-24 00:00 +01", None]),
        ("R/P1M/2026-12-31", ["Mon 2026-11-30 00:00 +01", "Thu 2026-12-31 00:00 +01", None]),
        ("R9/P1M/2026-12-31", ["Mon 2026-11-30 00:00 +01", "Thu 2026-12-31 00:00 +01", None]),
        ("R5/P1D/2026-01-01", [None]),
    ],
)
def test_a_cycle_repeats(value: str, expected: list[str | None]) -> None:
    assert firings(value, len(expected)) == expected


def test_a_day_keeps_its_clock_time_when_the_clocks_change() -> None:
    assert firings("R/P1D", 3, local("2026-03-27 02:30")) == [
        "Sat 2026-03-28 02:30 +01", "Sun 2026-03-29 03:30 +02", "Mon 2026-03-30 02:30 +02",
    ]  # fmt: skip
    assert firings("R/PT30M", 5, local("2026-10-25 01:30")) == [
        "Sun 2026-10-25 02:00 +02", "Sun 2026-10-25 02:30 +02", "Sun 2026-10-25 02:00 +01", "Sun 2026-10-25 02:30 +01",
        "Sun 2026-10-25 03:00 +01",
    ]  # fmt: skip


def test_a_cycle_does_not_fire_at_the_moment_it_begins_to_wait() -> None:
    """Or a loop that leads back to it would turn for ever."""
    assert firings("R/2026-11-05T09:00/P1D", 1) == ["Fri 2026-11-06 09:00 +01"]
    assert firings("0 9 * * *", 1) == ["Fri 2026-11-06 09:00 +01"]


@pytest.mark.parametrize("value", ["R/PT1H", "0 * * * *"])
def test_what_was_missed_together_fires_once(value: str) -> None:
    fired_at = START + timedelta(hours=2)
    back = START + timedelta(hours=30, minutes=10)

    def ask(fired: int, last: datetime, now: datetime) -> datetime | None:
        return due("timeCycle", value, started=START, fired=fired, last=last, now=now, calendar=CALENDAR)

    # While it was away, 28 hours passed; the latest of them is what fires.
    assert ask(2, fired_at, back) == START + timedelta(hours=30)
    # It has fired, and the clock shows the moment it did; or the moment it was due, as some keep it.
    assert ask(3, back, back) == START + timedelta(hours=31)
    assert ask(3, START + timedelta(hours=30), back) == START + timedelta(hours=31)


def test_firings_are_counted_and_not_the_moments_that_passed() -> None:
    back = START + timedelta(days=30)

    def ask(fired: int, last: datetime | None) -> datetime | None:
        return due("timeCycle", "R2/PT1H", started=START, fired=fired, last=last, now=back, calendar=CALENDAR)

    assert ask(0, None) == back
    assert ask(1, back) == back + timedelta(hours=1)
    assert ask(2, back) is None


def test_years_of_missed_seconds_are_not_gone_through() -> None:
    now = START + timedelta(days=3650, milliseconds=300)
    for value in ("R/PT1S", "* * * * * *"):
        found = due("timeCycle", value, started=START, fired=0, last=None, now=now, calendar=CALENDAR)
        assert found == START + timedelta(days=3650)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "not cron"),
        ("hver time", "not cron"),
        ("PT1H", "not cron"),
        ("R", "no repetition"),
        ("R/", "no repetition"),
        ("R-1/PT1H", "no repetition"),
        ("R3", "no repetition"),
        ("R3/PT1H/2026-12-31/P1D", "no repetition"),
        ("R0/PT1H", "zero times"),
        ("R3/PT0S", "less than a second"),
        ("R3/PT0.9S", "less than a second"),
        ("R3/-PT1H", "negative"),
        ("R3/P", "no duration"),
        ("R3/P200Y", "longer than 100 years"),
        ("R3/2026-01-01", "no duration"),
        ("R3/2026-01-01/2026-02-01", "no duration"),
        ("R3/2026-02-31/P1D", "not on the calendar"),
        ("R3/P1D/i morgen", "no date"),
        ("R3/P1D/P1D", "no date"),
        ("R9999999999/PT1H", "no repetition"),
        ("R/" + "P" * 100_000, "at most 200 characters"),
    ],
)
def test_other_texts_are_no_repetitions(value: str, words: str) -> None:
    error = refused("timeCycle", value)
    assert words in error.message and len(str(error)) < 250


# --- cron ---


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        # START is a Thursday. Sunday is 0 and 7 and SUN, Monday 1 and MON, as in Unix.
        ("0 9 * * 0", ["Sun 2026-11-08 09:00 +01", "Sun 2026-11-15 09:00 +01"]),
        ("0 9 * * 7", ["Sun 2026-11-08 09:00 +01", "Sun 2026-11-15 09:00 +01"]),
        ("0 9 * * SUN", ["Sun 2026-11-08 09:00 +01", "Sun 2026-11-15 09:00 +01"]),
        ("0 9 * * 1", ["Mon 2026-11-09 09:00 +01", "Mon 2026-11-16 09:00 +01"]),
        ("0 9 * * mon", ["Mon 2026-11-09 09:00 +01", "Mon 2026-11-16 09:00 +01"]),
        ("0 9 * * 1-5", ["Fri 2026-11-06 09:00 +01", "Mon 2026-11-09 09:00 +01", "Tue 2026-11-10 09:00 +01"]),
        ("0 9 * * 5-7", ["Fri 2026-11-06 09:00 +01", "Sat 2026-11-07 09:00 +01", "Sun 2026-11-08 09:00 +01"]),
        ("0 9 * * FRI-MON", ["Fri 2026-11-06 09:00 +01", "Sat 2026-11-07 09:00 +01", "Sun 2026-11-08 09:00 +01"]),
        ("0 9 * * 1,SAT", ["Sat 2026-11-07 09:00 +01", "Mon 2026-11-09 09:00 +01"]),
        ("0 9 * * 1-5/2", ["Fri 2026-11-06 09:00 +01", "Mon 2026-11-09 09:00 +01", "Wed 2026-11-11 09:00 +01"]),
        ("*/20 9-10 * * *", ["Thu 2026-11-05 09:20 +01", "Thu 2026-11-05 09:40 +01", "Thu 2026-11-05 10:00 +01"]),
        ("5/25 9 * * *", ["Thu 2026-11-05 09:05 +01", "Thu 2026-11-05 09:30 +01", "Thu 2026-11-05 09:55 +01"]),
        ("0 0 1 JAN *", ["Fri 2027-01-01 00:00 +01", "Sat 2028-01-01 00:00 +01"]),
        ("0 0 29 2 *", ["Tue 2028-02-29 00:00 +01", "Sun 2032-02-29 00:00 +01"]),
        ("0 0 31 * *", ["Thu 2026-12-31 00:00 +01", "Sun 2027-01-31 00:00 +01", "Wed 2027-03-31 00:00 +02"]),
        ("0 8 L * *", ["Mon 2026-11-30 08:00 +01", "Thu 2026-12-31 08:00 +01", "Sun 2027-01-31 08:00 +01"]),
        ("0 8 L-1 * ?", ["Sun 2026-11-29 08:00 +01", "Wed 2026-12-30 08:00 +01"]),
        ("0 8 1,L * *", ["Mon 2026-11-30 08:00 +01", "Tue 2026-12-01 08:00 +01"]),
        ("0 8 ? * FRIL", ["Fri 2026-11-27 08:00 +01", "Fri 2026-12-25 08:00 +01"]),
        ("0 8 ? * TUE#2", ["Tue 2026-11-10 08:00 +01", "Tue 2026-12-08 08:00 +01"]),
        # Unix: with a day of the month and a weekday, either is enough; unless one of them begins with *.
        ("0 9 13 * FRI", ["Fri 2026-11-06 09:00 +01", "Fri 2026-11-13 09:00 +01", "Fri 2026-11-20 09:00 +01"]),
        ("0 9 8 * FRI", ["Fri 2026-11-06 09:00 +01", "Sun 2026-11-08 09:00 +01"]),
        ("0 9 */2 * FRI", ["Fri 2026-11-13 09:00 +01", "Fri 2026-11-27 09:00 +01", "Fri 2026-12-11 09:00 +01"]),
        # Quartz: seconds first, perhaps years last.
        ("0 0 9 ? * MON-FRI", ["Fri 2026-11-06 09:00 +01", "Mon 2026-11-09 09:00 +01"]),
        ("0 0 9-17/4 * * MON-FRI", ["Thu 2026-11-05 13:00 +01", "Thu 2026-11-05 17:00 +01"]),
        ("30 15 10 * * ?", ["Thu 2026-11-05 10:15:30 +01", "Fri 2026-11-06 10:15:30 +01"]),
        ("0/20 0 9 * * ?", ["Thu 2026-11-05 09:00:20 +01", "Thu 2026-11-05 09:00:40 +01", "Fri 2026-11-06 09:00 +01"]),
        ("0 0 12 1 1 ? 2028", ["Sat 2028-01-01 12:00 +01", None]),
        ("0 0 12 1 1 ? 2027-2028", ["Fri 2027-01-01 12:00 +01", "Sat 2028-01-01 12:00 +01", None]),
        ("0 0 12 1 1 ? 2020", [None]),
        ("@daily", ["Fri 2026-11-06 00:00 +01"]),
        ("@weekly", ["Sun 2026-11-08 00:00 +01"]),
        ("@hourly", ["Thu 2026-11-05 10:00 +01"]),
        ("@yearly", ["Fri 2027-01-01 00:00 +01"]),
    ],
)
def test_cron_means_what_unix_and_quartz_say(cron: str, expected: list[str | None]) -> None:
    assert firings(cron, len(expected)) == expected


@pytest.mark.parametrize(
    ("cron", "started", "expected"),
    [
        # What the clocks skip comes as much later; what they show twice comes once.
        ("30 2 * * *", "2026-03-28 12:00", ["Sun 2026-03-29 03:30 +02", "Mon 2026-03-30 02:30 +02"]),
        ("30 2 * * *", "2026-10-24 12:00", ["Sun 2026-10-25 02:30 +02", "Mon 2026-10-26 02:30 +01"]),
        ("30 2 * * *", "2026-10-25 02:30*", ["Mon 2026-10-26 02:30 +01"]),
        ("0,30 2,3 * * *", "2026-03-28 12:00", ["Sun 2026-03-29 03:00 +02", "Sun 2026-03-29 03:30 +02"]
            + ["Mon 2026-03-30 02:00 +02"]),
        ("0 9 * * *", "2026-03-28 12:00", ["Sun 2026-03-29 09:00 +02"]),
        ("0 0 * * *", "2026-10-24 12:00", ["Sun 2026-10-25 00:00 +02", "Mon 2026-10-26 00:00 +01"]),
        # What runs every hour runs every hour that passes.
        ("*/30 * * * *", "2026-03-29 01:15", ["Sun 2026-03-29 01:30 +01", "Sun 2026-03-29 03:00 +02"]),
        ("*/30 * * * *", "2026-10-25 02:15", ["Sun 2026-10-25 02:30 +02", "Sun 2026-10-25 02:00 +01"]
            + ["Sun 2026-10-25 02:30 +01", "Sun 2026-10-25 03:00 +01"]),
    ],
)  # fmt: skip
def test_cron_follows_the_clocks_when_they_change(cron: str, started: str, expected: list[str]) -> None:
    assert firings(cron, len(expected), local(started)) == expected


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("60 9 * * *", "outside minute"),
        ("0 24 * * *", "outside hour"),
        ("0 9 0 * *", "outside day of the month"),
        ("0 9 32 * *", "outside day of the month"),
        ("0 9 L-31 * *", "more than a month"),
        ("0 9 * 13 *", "outside month"),
        ("0 9 * * 8", "outside weekday"),
        ("*/0 9 * * *", "outside minute"),
        ("10-5 9 * * *", "outside minute"),
        ("0 9 15W * *", "not understood as day of the month"),
        ("0 9 ? * ?", "Both day fields are ?"),
        ("? 9 * * *", "not understood as minute"),
        ("0 9 * * L", "not understood as weekday"),
        ("0 9 L-x * *", "not understood as day of the month"),
        ("0 9 1--3 * *", "not understood as day of the month"),
        ("0 9 *-3 * *", "outside day of the month"),
        ("0 9 1, * *", "not understood as day of the month"),
        ("0 9 30 2 *", "a day that its months don't have"),
        ("0 9 31 4,6,9 *", "a day that its months don't have"),
        ("0 9 * *", "not cron"),
        ("0 0 9 * * * * *", "not cron"),
        ("0 9 * MONDAY *", "not understood as month"),
        # Five-field habits in six fields: the tools disagree whether 1 is Sunday or Monday.
        ("0 0 9 ? * 2-6", "different days in different tools"),
        ("0 0 9 ? * 6L", "different days in different tools"),
        ("0 0 9 ? * 6#2", "different days in different tools"),
        ("0 0 9 1 * MON", "Both a day of the month and a weekday"),
        ("0 0 9 ? * MON 1969", "outside year"),
        ("0 0 9 ? * MON 9999", "outside year"),
        ("@reboot", "not cron"),
    ],
)
def test_other_cron_is_refused(cron: str, words: str) -> None:
    assert words in refused("timeCycle", cron).message


# --- literals ---


@pytest.mark.parametrize(
    "text",
    ["PT1H", " P1D\n", "P1W2D", "P1Y2M3DT4H5M6.5S", "-P5D", "pt1h", "2026-11-27", "2026-11-27T09:00:00+01:00", "R/P1Y"]
    + ["2026-02-31", "R3/2026-01-01T00:00:00+01:00/P1M", "R5/PT1H/2026-12-31", "R-1/PT1H", "0 9 * * MON-FRI", "@daily"]
    + ["0 0 9 ? * MON-FRI", "*/5 * * * *", "0 0 9 1 1 ? 2027", "0 9 L * *", "60 99 * * *", "P1X".replace("X", "D")],
)
def test_what_is_meant_as_a_literal_is_one(text: str) -> None:
    assert literal(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssu",
        "due",
        "${due}",
        "${ssu}",
        "days_before(ssu, 3)",
        "'PT1H'",
        '"R3/PT1H"',
        "P1",
        "PT",
        "P",
        "R",
        "p2frist",
    ]
    + [
        "frist_a if a else frist_b",
        "a - b - c",
        "1 + 2 + 3",
        "date('2026-11-27')",
        "'2026-11-27'",
        "L",
        "first_given(a)",
    ]
    + ["ssu if ssu is not None", "x[0] * * * *"],
)
def test_an_expression_is_no_literal(text: str) -> None:
    assert not literal(text)


# --- the reference ---


def test_the_timers_of_the_reference_are_literals_that_fire() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "expressions.md").read_text(encoding="utf-8")
    kind, seen = "", set()
    for row in re.findall(r"^\| (`time\w+`)? ?\| (`.+?) \|", text.split("## Timers")[1], re.MULTILINE):
        kind = row[0].strip("`") or kind
        for written in re.findall(r"`([^`…]+)`", row[1]):
            assert literal(written) and first(kind, written) is not None  # type: ignore[arg-type]
            seen.add(kind)
    assert seen == {"timeDate", "timeDuration", "timeCycle"}


def test_the_examples_of_cron_in_the_reference_are_cron() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "expressions.md").read_text(encoding="utf-8")
    section = text.split("### Cron")[1].split("\n## ")[0]
    for shorthand in re.findall(r"`(@\w+)`", section):
        assert first("timeCycle", shorthand)
    for day in re.findall(r"`(L[-0-9]*)`", section):
        assert first("timeCycle", f"0 9 {day} * *")
    for weekday in re.findall(r"`(FRIL|TUE#2)`", section):
        assert first("timeCycle", f"0 9 * * {weekday}")


# --- any timer ---

moments = st.datetimes(datetime(1990, 1, 1), datetime(2080, 1, 1), timezones=st.just(UTC))
#: Around the changes to and from summer time.
changes = st.builds(
    lambda base, minutes: base + timedelta(minutes=minutes),
    st.sampled_from([datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)]),
    st.integers(-3000, 3000),
)
starts = moments | changes
periods = st.sampled_from(
    [
        "PT1S",
        "PT7M",
        "PT1H",
        "PT23H",
        "PT24H",
        "P1D",
        "P1DT1S",
        "P2DT12H",
        "P1W",
        "P1M",
        "P1M1D",
        "P1Y",
        "P1Y1M1DT1H1M1S",
    ]
    + ["P3Y", "P100Y"]
)
crons = st.sampled_from(
    [
        "* * * * *",
        "*/7 * * * *",
        "30 2 * * *",
        "0 2,3 * * *",
        "15,45 1-3 * * SUN",
        "0 9 1 * MON",
        "0 9 L * *",
        "@weekly",
    ]
    + ["0 0 29 2 *", "0 0 9 ? * FRIL", "* * * * * *", "0/13 30 2 * * ?", "0 0 9 ? * MON-FRI 2026-2090"]
)
zones = st.sampled_from(
    ["Europe/Oslo", "UTC", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Beirut", "Pacific/Apia"]
)


@settings(max_examples=300, deadline=None)
@given(periods.map("R/{}".format) | crons, starts, zones)
@example("R/P1D", datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "Europe/Oslo")
@example("30 10 * * *", datetime(2011, 12, 29, 0, 0, tzinfo=UTC), "Pacific/Apia")
def test_firings_come_one_after_the_other_and_after_the_start(value: str, started: datetime, zone: str) -> None:
    calendar = Calendar(zone=ZoneInfo(zone))
    last = started
    for fired in range(4):
        found = due("timeCycle", value, started=started, fired=fired, last=last, now=last, calendar=calendar)
        if found is None:
            assert value.endswith(("2090", "P100Y"))
            return
        assert found > last and found.tzinfo is UTC
        last = found


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["P1D", "P1W", "P1M", "P1Y", "P5D"]), starts, st.integers(1, 30))
def test_the_clock_time_is_kept(period: str, started: datetime, times: int) -> None:
    begun = started.astimezone(OSLO)
    wall = parse_duration(period).after(started, CALENDAR, times).astimezone(OSLO)
    skipped = (
        datetime.combine(wall.date(), begun.time(), tzinfo=OSLO).astimezone(UTC).astimezone(OSLO).time() != begun.time()
    )
    assert wall.time() == begun.time() or skipped


@settings(max_examples=300, deadline=None)
@given(periods, starts, st.sampled_from(["R/{p}", "R/{a}/{p}", "R/{p}/{a}", "R4/{p}/{a}"]), starts, st.timedeltas(
    timedelta(0), timedelta(days=4000)))  # fmt: skip
def test_the_next_occurrence_is_found_as_by_counting(
    period: str, anchor: datetime, form: str, started: datetime, later: timedelta
) -> None:
    cycle = parse_cycle(form.format(p=period, a=anchor.isoformat()), CALENDAR)
    moment = started + later
    found = cycle.after(moment, started, CALENDAR)
    duration = parse_duration(period)
    base = anchor if "{a}" in form else started
    near = round((moment - base) / duration.about)
    lowest, highest = (-(10**12), 0) if form.endswith("{a}") else (0 if "{a}" in form else 1, 10**12)
    lowest = -3 if form.startswith("R4") else lowest
    numbers = {min(max(number, lowest), highest) for number in range(near - 8, near + 9)}
    all_near = [_occurrence(duration, base, number) for number in numbers]
    assert found == min((each for each in all_near if each and each > moment), default=None)


def _occurrence(duration: Duration, base: datetime, number: int) -> datetime | None:
    try:
        return duration.after(base, CALENDAR, number) if number else base
    except OverflowError:
        return None


#: What the fields mean, said once more.
MEANINGS: dict[str, Callable[[datetime], bool]] = {
    "* * * * *": lambda wall: True,
    "*/7 * * * *": lambda wall: wall.minute % 7 == 0,
    "30 2 * * *": lambda wall: (wall.hour, wall.minute) == (2, 30),
    "0 2,3 * * *": lambda wall: wall.hour in (2, 3) and wall.minute == 0,
    "15,45 1-3 * * SUN": lambda wall: wall.weekday() == 6 and wall.hour in (1, 2, 3) and wall.minute in (15, 45),
    "0 9 30 * MON": lambda wall: (wall.hour, wall.minute) == (9, 0) and (wall.day == 30 or wall.weekday() == 0),
    "5 0 L * *": lambda wall: (wall.hour, wall.minute) == (0, 5) and (wall + timedelta(days=1)).day == 1,
    "0 12 ? * MON#1": lambda wall: (wall.hour, wall.minute, wall.weekday()) == (12, 0, 0) and wall.day <= 7,
    "10 4 29 3,10 *": lambda wall: (wall.hour, wall.minute, wall.day) == (4, 10, 29) and wall.month in (3, 10),
}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(MEANINGS)), changes | moments, st.sampled_from(["Europe/Oslo", "Australia/Lord_Howe"]))
def test_cron_is_found_as_by_looking_at_every_minute(cron: str, started: datetime, zone: str) -> None:
    calendar = Calendar(zone=ZoneInfo(zone))
    found = first("timeCycle", cron, started, calendar)
    assert found is not None

    def named(moment: datetime) -> bool:
        return MEANINGS[cron](moment.astimezone(calendar.zone).replace(tzinfo=None))

    assert named(found) or _after_a_gap(found, calendar.zone)
    minute = started.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while minute < min(found, started + timedelta(days=4)):
        assert not named(minute) or minute.astimezone(calendar.zone).fold
        minute += timedelta(minutes=1)


def _after_a_gap(moment: datetime, zone: ZoneInfo) -> bool:
    """Did the clocks go forward in the hour before?"""
    return moment.astimezone(zone).utcoffset() > (moment - timedelta(hours=1)).astimezone(zone).utcoffset()  # type: ignore[operator]


@settings(max_examples=300)
@given(st.sampled_from(["timeDate", "timeDuration", "timeCycle"]), st.text() | st.none() | st.integers() | st.dates())
@example("timeCycle", "R/P1D/")
def test_any_value_is_a_moment_or_refused(kind: TimerKind, value: object) -> None:
    _try(kind, value)


pieces = st.sampled_from(
    ["R", "3", "/", "P", "T", "1", "D", "H", "M", "Y", "W", "S", "-", "2026-01-01", "T09:00", "Z", "+01:00", ":", "."]
    + [" ", "*", "?", "L", "#", "MON", "0", "9", ",", "5", "JAN", "99999", "\n", "٣"]
)


@settings(max_examples=500)
@given(st.sampled_from(["timeDate", "timeDuration", "timeCycle"]), st.lists(pieces, max_size=16).map("".join))
def test_any_pieces_are_a_moment_or_refused(kind: TimerKind, value: str) -> None:
    literal(value)
    _try(kind, value)


def _try(kind: TimerKind, value: object) -> None:
    try:
        found = first(kind, value)
    except TimerError as error:
        assert error.remedy
        return
    assert found is None or found.tzinfo is UTC
