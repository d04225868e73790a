from datetime import date

import pytest
from sqlalchemy.orm import Session

from agreements import bodies
from agreements.model import Body
from engine.calendar import Calendar
from engine.errors import InvalidInput, NotFound
from engine.model import Community

TODAY = date(2026, 5, 18)
CALENDAR = Calendar()
SSU = Body(key="ssu", name="Strategisk samarbeidsutvalg (SSU)", short_name="SSU", usual_weekday=3)


def warnings(d: date, today: date = TODAY, calendar: Calendar = CALENDAR) -> dict[str, str]:
    return {w.code: w.message for w in bodies.meeting_warnings(calendar, SSU, d, today)}


# --- bodies ----------------------------------------------------------------------------------------------


def test_an_item_names_the_body_and_its_group(session: Session, community: Community) -> None:
    assert bodies.body_items(session, community, ["tillitsvalgte"]) == [
        {"key": "tillitsvalgte", "name": "Ansattes organisasjoner", "group": "tillitsvalgte"}
    ]


def test_bodies_come_in_their_usual_order_each_once(session: Session, community: Community) -> None:
    items = bodies.body_items(session, community, ["fsu", "ssu", "fsu"])
    assert [i["key"] for i in items] == ["ssu", "fsu"]


def test_no_body_is_no_item(session: Session, community: Community) -> None:
    assert bodies.body_items(session, community, []) == []


def test_an_unknown_body_is_refused_with_the_known_ones(session: Session, community: Community) -> None:
    with pytest.raises(InvalidInput) as refused:
        bodies.body_items(session, community, ["fus"])
    assert "«fus»" in refused.value.message
    assert "fsu" in refused.value.message


def test_a_body_that_was_never_established_cannot_be_asked(session: Session, community: Community) -> None:
    with pytest.raises(InvalidInput, match="Faglig samarbeidsutvalg for IKT er ikke opprettet"):
        bodies.body_items(session, community, ["samarbeidsutvalg-ikt"])


def test_a_body_is_found_by_its_key(session: Session, community: Community) -> None:
    assert bodies.find_body(session, community, "au").short_name == "AU"
    with pytest.raises(NotFound):
        bodies.find_body(session, community, "ua")


# --- meetings --------------------------------------------------------------------------------------------


def test_the_next_meetings_include_today(session: Session, community: Community) -> None:
    ssu = bodies.find_body(session, community, "ssu")
    assert [m.date for m in bodies.next_meetings(session, ssu, date(2026, 11, 27))] == [date(2026, 11, 27)]
    assert bodies.next_meetings(session, ssu, date(2026, 11, 28)) == []
    assert bodies.meetings(session, ssu)[0].date == date(2024, 2, 29)


def test_a_meeting_is_added_and_found(session: Session, community: Community) -> None:
    ssu = bodies.find_body(session, community, "ssu")
    made = bodies.add_meeting(session, ssu, date(2026, 10, 1))
    assert bodies.next_meetings(session, ssu, TODAY)[0] is made
    assert bodies.find_meeting(session, community, made.public_id) is made
    with pytest.raises(NotFound):
        bodies.find_meeting(session, community, "finnesikke23")


def test_a_body_meets_once_a_day(session: Session, community: Community) -> None:
    ssu = bodies.find_body(session, community, "ssu")
    with pytest.raises(InvalidInput, match="SSU har alt et møte 2026-11-27"):
        bodies.add_meeting(session, ssu, date(2026, 11, 27))


# --- what is odd about a date ----------------------------------------------------------------------------


def test_a_usual_thursday_is_nothing_to_speak_of() -> None:
    assert warnings(date(2026, 11, 26)) == {}


def test_an_unusual_weekday() -> None:
    text = "SSU 27. november er en fredag. SSU pleier å møtes på torsdager."
    assert warnings(date(2026, 11, 27)) == {"unusual_weekday": text}


def test_a_body_without_habit_may_meet_any_weekday() -> None:
    au = Body(key="au", name="Arbeidsutvalget", short_name="AU", usual_weekday=None)
    assert bodies.meeting_warnings(CALENDAR, au, date(2026, 11, 6), TODAY) == []


def test_a_weekend_says_which_day_is_near() -> None:
    text = "SSU 28. november er en lørdag. Nærmeste virkedag før er fredag 27. november."
    assert warnings(date(2026, 11, 28)) == {"weekend": text}


def test_a_holiday_is_named() -> None:
    text = warnings(date(2027, 5, 6))["holiday"]
    assert text.startswith("SSU 6. mai 2027 er en helligdag (Kristi himmelfartsdag).")


def test_closed_days_count_as_holidays() -> None:
    assert "er julaften" in warnings(date(2026, 12, 24))["holiday"]
    closed = Calendar(closed=frozenset({date(2026, 11, 26)}))
    assert "har stengt" in warnings(date(2026, 11, 26), calendar=closed)["holiday"]


def test_july_and_the_autumn_break() -> None:
    assert warnings(date(2026, 7, 2)) == {"july": "SSU 2. juli er i juli, da ingen organer møtes."}
    assert warnings(date(2026, 10, 1)) == {
        "autumn_break": "SSU 1. oktober er i høstferien. Uke 40 er 28. september–2. oktober, og mange er borte."
    }


def test_a_past_day_but_not_today() -> None:
    assert warnings(date(2026, 5, 7)) == {"past": "SSU 7. mai har allerede vært. Velg en dag som kommer."}
    assert warnings(date(2026, 5, 7), today=date(2026, 5, 7)) == {}


def test_a_warning_carries_its_date() -> None:
    [warning] = bodies.meeting_warnings(CALENDAR, SSU, date(2026, 11, 27), TODAY)
    assert warning.date == date(2026, 11, 27)
