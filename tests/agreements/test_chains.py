"""The earliest way through AU, SSU and the partnership's meeting, and the price of missing one."""

from collections.abc import Mapping
from datetime import date
from zoneinfo import ZoneInfo

from agreements import chains
from agreements.chains import Chain
from engine.calendar import Calendar

CALENDAR = Calendar(zone=ZoneInfo("Europe/Oslo"))
MEETINGS = {
    "au": ([date(2026, 9, 10), date(2026, 11, 5), date(2027, 1, 14)], 5),
    "ssu": ([date(2026, 9, 17), date(2026, 11, 27), date(2027, 2, 18)], 5),
    "pm": ([date(2027, 5, 27)], 10),
}


def ready_from(day: date) -> chains.Fits:
    """A plan whose papers for AU can't be ready before that day."""

    def fits(at: Mapping[str, date]) -> bool:
        return CALENDAR.working_days_before(at["au"], 5) >= day

    return fits


def days(chain: Chain | None) -> dict[str, date]:
    assert chain is not None
    return {link.body: link.date for link in chain.links}


def test_the_earliest_chain_takes_the_first_meeting_whose_papers_can_be_ready() -> None:
    chain = chains.earliest(MEETINGS, CALENDAR, ready_from(date(2026, 10, 1)))
    assert days(chain) == {"au": date(2026, 11, 5), "ssu": date(2026, 11, 27), "pm": date(2027, 5, 27)}
    assert chain is not None
    assert [link.papers for link in chain.links] == [date(2026, 10, 29), date(2026, 11, 20), date(2027, 5, 12)]


def test_a_body_whose_papers_go_out_before_the_meeting_before_it_is_passed_over() -> None:
    chain = chains.earliest(MEETINGS, CALENDAR, ready_from(date(2026, 8, 1)))
    # SSU of 17 September sends its papers on the 10th, the day AU meets.
    assert days(chain)["au"] == date(2026, 9, 10)
    assert days(chain)["ssu"] == date(2026, 11, 27)


def test_missing_a_meeting_costs_the_days_until_the_next_chain_ends() -> None:
    fits = ready_from(date(2026, 10, 1))
    way = {body: MEETINGS[body] for body in ("au", "ssu")}
    chain = chains.earliest(way, CALENDAR, fits, way=("au", "ssu"))
    assert chain is not None
    au, ssu = chains.if_missed(chain, way, CALENDAR, fits)
    assert (au.body, days(au.instead), au.days) == ("au", {"au": date(2027, 1, 14), "ssu": date(2027, 2, 18)}, 83)
    assert (ssu.body, days(ssu.instead), ssu.days) == ("ssu", {"au": date(2026, 11, 5), "ssu": date(2027, 2, 18)}, 83)


def test_a_later_meeting_of_the_deciding_body_is_tried_before_a_later_one_of_the_preparing_body() -> None:
    def fits(at: Mapping[str, date]) -> bool:
        return CALENDAR.working_days_between(at["au"], at["ssu"]) >= 20

    chain = chains.earliest(MEETINGS, CALENDAR, fits)
    assert days(chain) == {"au": date(2026, 9, 10), "ssu": date(2026, 11, 27), "pm": date(2027, 5, 27)}


def test_where_no_later_meeting_is_known_the_price_is_not_known() -> None:
    chain = chains.earliest(MEETINGS, CALENDAR, ready_from(date(2026, 10, 1)))
    assert chain is not None
    partnership = chains.if_missed(chain, MEETINGS, CALENDAR, ready_from(date(2026, 10, 1)))[2]
    assert (partnership.body, partnership.days) == ("pm", None)


def test_nothing_is_reachable_when_every_meeting_is_too_early() -> None:
    assert chains.earliest(MEETINGS, CALENDAR, ready_from(date(2027, 12, 1))) is None
