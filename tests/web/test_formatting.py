"""Dates, distances and numbers read as the interface writes them."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from markupsafe import Markup

from engine.calendar import Calendar
from web import formatting
from web.formatting import (
    Formatter,
    antall,
    avstand,
    dag,
    dato,
    dato_kort,
    klokkeslett,
    liste,
    over,
    sitat,
    tallord,
    tidspunkt,
)

OSLO = ZoneInfo("Europe/Oslo")
MONDAY = date(2026, 9, 14)
DEADLINE = date(2026, 9, 30)
CALENDAR = Calendar()


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_a_date_has_its_weekday_and_month_in_words() -> None:
    assert plain(dato(DEADLINE)) == "onsdag 30. september"
    assert plain(dato_kort(DEADLINE)) == "ons. 30. september"
    assert plain(dag(DEADLINE)) == "30. september"


def test_day_and_month_never_part_at_a_line_break() -> None:
    assert dato(DEADLINE) == "onsdag 30.\u00a0september"
    assert klokkeslett(datetime(2026, 9, 30, 6, tzinfo=UTC), OSLO) == "kl.\u00a08.00"


def test_the_year_is_told_only_when_it_is_another() -> None:
    assert plain(dato(date(2027, 1, 1), today=MONDAY)) == "fredag 1. januar 2027"
    assert plain(dato(DEADLINE, today=MONDAY)) == "onsdag 30. september"


def test_a_moment_is_told_on_the_clock_of_the_zone() -> None:
    late = datetime(2026, 9, 30, 22, 30, tzinfo=UTC)
    assert plain(dato(late, OSLO)) == "torsdag 1. oktober"
    assert plain(tidspunkt(late, OSLO)) == "tor. 1. oktober kl. 0.30"


def test_a_moment_today_says_so() -> None:
    assert plain(tidspunkt(datetime(2026, 9, 14, 8, 42, tzinfo=UTC), OSLO, today=MONDAY)) == "i dag kl. 10.42"


def test_a_moment_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        dato(datetime(2026, 9, 30), OSLO)
    with pytest.raises(ValueError, match="zone"):
        dato(datetime(2026, 9, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("day", "words"),
    [
        (DEADLINE, "om 12 virkedager"),
        (date(2026, 9, 16), "om 2 virkedager"),
        (date(2026, 9, 15), "i morgen"),
        (MONDAY, "i dag"),
        (date(2026, 9, 13), "i går"),
        (date(2026, 9, 11), "for 1 virkedag siden"),
        (date(2026, 9, 10), "for 2 virkedager siden"),
    ],
)
def test_distance_is_told_in_working_days(day: date, words: str) -> None:
    assert plain(avstand(day, MONDAY, CALENDAR)) == words


def test_one_working_day_off_but_not_tomorrow_is_one_working_day() -> None:
    assert plain(avstand(MONDAY, date(2026, 9, 11), CALENDAR)) == "om 1 virkedag"


def test_distance_over_closed_days_alone_is_told_in_days() -> None:
    friday = date(2026, 9, 11)
    assert plain(avstand(friday + timedelta(days=2), friday, CALENDAR)) == "om 2 dager"


def test_a_passed_deadline_tells_how_far() -> None:
    assert plain(over(date(2026, 9, 10), MONDAY, CALENDAR)) == "2 virkedager over fristen"
    assert plain(over(date(2026, 9, 11), MONDAY, CALENDAR)) == "1 virkedag over fristen"
    assert plain(over(date(2026, 9, 12), date(2026, 9, 13), CALENDAR)) == "1 dag over fristen"
    assert over(MONDAY, MONDAY, CALENDAR) == ""


def test_numbers_to_twelve_are_words() -> None:
    assert [tallord(n) for n in (0, 1, 7, 12, 13)] == ["null", "én", "sju", "tolv", "13"]
    assert (tallord(1, stor=True), tallord(1, "ett"), tallord(11, stor=True)) == ("Én", "ett", "Elleve")


def test_an_amount_agrees_with_its_noun() -> None:
    assert plain(antall(1, "oppgave", "oppgaver", stor=True)) == "Én oppgave"
    assert plain(antall(1, "svar", "svar", "ett")) == "ett svar"
    assert plain(antall(0, "oppgave", "oppgaver")) == "ingen oppgaver"
    assert plain(antall(23, "e-post", "e-poster")) == "23 e-poster"


def test_a_list_ends_with_and() -> None:
    assert liste("a", "b", "c") == liste(["a", "b", "c"]) == "a, b og c"
    assert (liste("a", "b"), liste("a"), liste()) == ("a og b", "a", "")


def test_numbers_and_lists_in_english() -> None:
    assert (tallord(1, "ett", locale="en"), tallord(7, stor=True, locale="en")) == ("one", "Seven")
    assert plain(antall(0, "task", "tasks", stor=True, locale="en")) == "No tasks"
    assert liste("a", "b", "c", locale="en") == "a, b and c"
    assert (sitat("Svar", locale="en"), sitat("Svar")) == ("“Svar”", "«Svar»")


def test_english_reads_as_english() -> None:
    moment = datetime(2026, 9, 30, 6, tzinfo=UTC)
    assert plain(dato(DEADLINE, locale="en")) == "Wednesday 30 September"
    assert plain(tidspunkt(moment, OSLO, locale="en")) == "Wed 30 September at 8:00"
    assert plain(avstand(DEADLINE, MONDAY, CALENDAR, locale="en")) == "in 12 working days"
    assert plain(avstand(date(2026, 9, 10), MONDAY, CALENDAR, locale="en")) == "2 working days ago"
    assert plain(over(date(2026, 9, 10), MONDAY, CALENDAR, locale="en")) == "2 working days past the deadline"


def test_filters_give_time_elements_that_machines_read() -> None:
    filters = formatting.jinja_filters(lambda: Formatter(today=MONDAY, zone=OSLO, calendar=CALENDAR))
    assert filters["dag"](DEADLINE) == Markup('<time datetime="2026-09-30">30.\u00a0september</time>')
    assert 'datetime="2026-09-30T08:00+02:00"' in filters["klokkeslett"](datetime(2026, 9, 30, 6, tzinfo=UTC))
    assert plain(filters["dag_tekst"](DEADLINE)) == "30. september"
    assert plain(filters["avstand"](DEADLINE)) == "om 12 virkedager"


def test_text_in_a_time_element_is_escaped() -> None:
    assert "&lt;b&gt;" in formatting.tid(DEADLINE, "<b>")


@pytest.mark.parametrize("plain", ["innen 30. november: svar", "by 3 May 2027", "SSU 4. februar 2027 og AU 14. januar"])
def test_a_subject_keeps_its_dates_on_one_line(plain: str) -> None:
    held = formatting.nbsp(plain)
    assert held.replace("\u00a0", " ") == plain
    assert not [word for word in held.split(" ") if word.rstrip(".").isdigit()]
