"""Dates, numbers and lists in Bokmål."""

from datetime import date

import pytest

from notifications import wording

TODAY = date(2026, 9, 1)


def test_day_and_weekday() -> None:
    assert wording.NB.day(date(2026, 9, 30), TODAY) == "30.\u00a0september"
    assert wording.NB.weekday(date(2026, 9, 30), TODAY) == "onsdag 30.\u00a0september"
    assert wording.NB.weekday(date(2027, 1, 1), TODAY) == "fredag 1.\u00a0januar\u00a02027"


def test_days_name_each_month_once() -> None:
    dates = [date(2026, 10, 2), date(2026, 9, 18), date(2026, 9, 29)]
    assert wording.plain(wording.NB.days(dates, TODAY)) == "18. og 29. september og 2. oktober"
    assert wording.plain(wording.NB.days(dates[:1], TODAY)) == "2. oktober"


@pytest.mark.parametrize(
    ("n", "said"), [(1, "én virkedag"), (2, "to virkedager"), (12, "tolv virkedager"), (13, "13 virkedager")]
)
def test_working_days(n: int, said: str) -> None:
    assert wording.NB.working_days(n) == said


def test_inside_a_sentence_names_keep_their_capitals() -> None:
    assert wording.inside("Evaluering av delavtale") == "evaluering av delavtale"
    assert wording.inside("SSU behandler saken") == "SSU behandler saken"


def test_one_line_has_no_control_characters() -> None:
    assert wording.one_line("a\r\nb\x00c\u2028d\u00a0e") == "a b c d e"


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("nn", "laurdag 17. oktober 2026, 16. og 17. oktober 2026, éin virkedag, to virkedagar"),
        ("en", "Saturday 17 October 2026, 16 and 17 October 2026, one working day, two working days"),
    ],
)
def test_the_other_languages(language: str, said: str) -> None:
    words, then = wording.LANGUAGES[language], date(2026, 10, 17)
    dates = [date(2026, 10, 16), then]
    parts = [words.weekday(then, date(2027, 1, 1)), words.days(dates, date(2027, 1, 1))]
    assert wording.plain(", ".join([*parts, words.working_days(1), words.working_days(2)])) == said
