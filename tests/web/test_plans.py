"""The plan in the reader's words."""

from datetime import date

import pytest

from engine.calendar import Calendar
from engine.reasons import Reason, explained
from web.plans import moved_words, reason_words

TODAY = date(2026, 4, 1)
STRICT = Calendar(july_allowed=False)


@pytest.mark.parametrize(
    ("reason", "source", "base", "words"),
    [
        (
            Reason(rule="working_days_before", base="ssu", days=5), "${working_days_before(ssu, 5)}",
            date(2026, 5, 7), "1. mai er helligdag",
        ),
        (
            Reason(rule="working_day_on_or_before", base="ssu"), "${working_day_on_or_before(ssu)}",
            date(2026, 5, 1), "flyttet fra 1. mai, helligdag",
        ),
        (
            Reason(rule="last_working_day", base="ssu", months=0), "${last_working_day(ssu)}",
            date(2026, 5, 7), "",  # 31 May is a Sunday, and the rule says so itself
        ),
        (
            Reason(rule="working_days_after", base="ssu", days=5), "${working_days_after(ssu, 5)}",
            date(2026, 6, 25), "flyttet fra 2. juli, ferie",
        ),
    ],
)  # fmt: skip
def test_a_date_that_closed_days_have_moved_says_so(reason: Reason, source: str, base: date, words: str) -> None:
    facts = {"ssu": base}
    assert moved_words(explained(reason, source, facts, facts, STRICT), TODAY).replace("\xa0", " ") == words


def test_a_deadline_for_papers_says_whose_it_is() -> None:
    due, facts = date(2026, 11, 20), {"ssu": date(2026, 11, 27)}
    for name, words in (
        ("ssu_paper_days", "5 virkedager før SSU 27. november (SSUs frist for sakspapirer)"),
        (None, "5 virkedager før SSU 27. november"),
    ):
        reason = Reason(rule="working_days_before", base="ssu", days=5, days_named=name)
        assert reason_words(reason, facts, due, TODAY).replace("\xa0", " ") == words
