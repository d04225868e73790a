"""History as people read it: each code has its sentence, and nothing inside a party reaches the others."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from web.pages import history_words
from web.pages.history_words import Names, StepName, TaskName, sentence

ROOT = Path(__file__).parents[2]
NAMES = Names(
    day=lambda d: f"{d.day}/{d.month}",
    people={1: "Sekretariatet", 2: "Kommunalsjef Larvik"},
    people_by_key={"analyse.larvik": "Analyse Larvik"},
    tasks={7: TaskName(name="Svar på undersøkelsen", party="Larvik kommune"), 8: TaskName(name="Forankre planen")},
    steps={"answer_survey": StepName(name="Svar på undersøkelsen", asked="parter")},
    elements={"publish": "Publiser"},
    outcome=lambda task_id, code: {"forankret": "AU slutter seg til planen"}.get(code, code),
)


@dataclass
class Event:
    kind: str
    actor_id: int | None = 1
    on_behalf_of_id: int | None = None
    task_id: int | None = None
    data: dict[str, Any] = field(default_factory=dict)


def _recorded() -> set[str]:
    """Every kind that the engine and the pages write."""
    kinds: set[str] = set()
    for path in [*ROOT.glob("engine/*.py"), *ROOT.glob("agreements/*.py"), *ROOT.glob("web/pages/*.py")]:
        text = path.read_text()
        kinds |= set(re.findall(r'history\.record\(\s*\w+,\s*[\w.]+,\s*"([a-z-]+)"', text))
        kinds |= set(re.findall(r'"(claimed|released|delegated|completed-task|approved|answered-on-behalf)"', text))
    return kinds | {f"step-{state}" for state in ("completed", "closed", "skipped", "withdrawn")}


def test_every_kind_that_is_recorded_has_a_sentence() -> None:
    assert len(_recorded()) > 20
    assert _recorded() <= history_words.KNOWN


@pytest.mark.parametrize("kind", sorted(history_words.KNOWN))
def test_a_sentence_needs_no_more_than_its_code(kind: str) -> None:
    text = sentence(Event(kind, actor_id=None), Names(day=str))
    assert text.endswith(".")
    assert "%" not in text
    assert "None" not in text


def test_an_unknown_kind_is_told_without_failing() -> None:
    assert sentence(Event("folded-into-a-swan"), NAMES) == "Sekretariatet endret noe i saken."


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            Event("step-opened", data={"element": "answer_survey", "total": 7, "due": "2026-09-30"}),
            "«Svar på undersøkelsen» åpnet for sju parter. Frist 30/9.",
        ),
        (
            Event("step-closed", data={"element": "answer_survey", "total": 7, "completed": 4}),
            "Fristen for «Svar på undersøkelsen» gikk ut. 4 av 7 hadde svart.",
        ),
        (
            Event("approved", actor_id=2, task_id=7),
            "Larvik kommune svarte på «Svar på undersøkelsen». Kommunalsjef Larvik godkjente.",
        ),
        (
            Event("completed-task", task_id=8, data={"outcome": "forankret"}),
            "Sekretariatet gjorde ferdig «Forankre planen». Utfall: AU slutter seg til planen.",
        ),
        (
            Event("answered-on-behalf", task_id=7),
            "Sekretariatet svarte på «Svar på undersøkelsen» på vegne av Larvik kommune.",
        ),
        (
            Event("extended", task_id=7, data={"old": "2026-09-30", "new": "2026-10-02"}),
            "Sekretariatet ga Larvik kommune mer tid til «Svar på undersøkelsen»: ny frist 2/10 (før 30/9).",
        ),
        (
            Event("delegated", actor_id=2, task_id=7, data={"to": "analyse.larvik"}),
            "Kommunalsjef Larvik ga oppgaven «Svar på undersøkelsen» for Larvik kommune til Analyse Larvik.",
        ),
        (
            Event(
                "facts-set",
                data={"old": {"ssu": "2026-11-27"}, "new": {"ssu": "2026-12-03", "in_force": "2027-01-01"}},
            ),
            "Sekretariatet flyttet møtet i SSU fra 27/11 til 3/12 og satte datoen for ikrafttredelse til 1/1.",
        ),
        (
            Event("date-set", data={"place": "answer_survey", "old": None, "new": "2026-09-25"}),
            "Sekretariatet satte fristen for «Svar på undersøkelsen» for hånd: 25/9.",
        ),
        (
            Event("date-released", data={"place": "ssu/publish", "old": "2026-12-10"}),
            "Sekretariatet lot modellen regne ut fristen for «Publiser» igjen.",
        ),
        (Event("incident", data={"element": "publish"}), "Saken stanset ved «Publiser» fordi noe automatisk feilet."),
        (Event("reminded", data={"mails": 3}), "Sekretariatet sendte tre påminnelser."),
    ],
)
def test_words(event: Event, words: str) -> None:
    assert sentence(event, NAMES) == words


def test_moving_a_deadline_forward_is_not_called_more_time() -> None:
    text = sentence(Event("extended", task_id=7, data={"old": "2026-09-30", "new": "2026-09-20"}), NAMES)
    assert text.startswith("Sekretariatet flyttet fristen fram for Larvik kommune")


def test_a_date_that_is_none_is_shown_as_it_is() -> None:
    assert "snart" in sentence(Event("facts-set", data={"new": {"ssu": "snart"}}), NAMES)
