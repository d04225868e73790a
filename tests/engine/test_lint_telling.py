"""The import gate: what a model says about mails is read, or refused with the element and a remedy."""

import pytest

from notifications import timing
from tests.engine.drawing import model, task
from tests.engine.gate_drawing import assert_refused, findings

TELLINGS = ("at once", "daily 8", "daily 19", "weekly 0 8", "weekly  4 10", "daily", "daily 7", "daily 20", "daily 08",
    "weekly 5 8", "weekly 0", "hourly", "at  once", "", "daily 15 8", "daily ٨")  # fmt: skip
WRONG = (
    {"reminders": "10, tre"}, {"minutes": "et kvarter"}, {"escalateAfter": "-1"}, {"escalateTo": "nobody"},
    {"subject": "Svar innen {dato}"}, {"subject": "Svar {due"}, {"subject": "Svar", "subject_en": "By {day}"},
    {"subject_en": "Answer by {due}"}, {"action_nn": "Svar no"},
)  # fmt: skip


def _xml(said: dict[str, str]) -> bytes:
    return model("start>ask ask>end", task("ask", 'camunda:dueDate="${meeting}"', properties=said))


@pytest.mark.parametrize("words", TELLINGS)
def test_the_gate_and_the_mails_read_the_same(words: str) -> None:
    refused = any(finding.rule == "telling" for finding in findings(_xml({"telling": words})))
    assert refused == (timing.read(words) is None)


@pytest.mark.parametrize("said", WRONG, ids=str)
def test_wrong_words_are_refused(said: dict[str, str]) -> None:
    assert_refused((_xml(said), "telling", "ask"))


def test_right_words_pass() -> None:
    said = {
        "reminders": "5, 1", "minutes": "15", "escalateAfter": "3", "subject": "{name}, {party}, {case}: {due}",
        "subject_nn": "Svar innan {due}", "action": "Svar", "action_en": "Answer",
    }  # fmt: skip
    assert not [finding for finding in findings(_xml(said)) if finding.rule == "telling"]
