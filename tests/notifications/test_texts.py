"""The secretariat's own words: only placeholders that mean something, and nothing that runs."""

import pytest

from engine.errors import InvalidInput
from notifications import texts
from notifications.texts import InvalidText


@pytest.mark.parametrize(
    ("part", "text", "unknown"),
    [
        ("subject", "{due}: {name}", []),
        ("lead", "{why} {effort} {days}", []),
        ("subject", "{why}", ["{why}"]),
        ("lead", "{frist} og {due.__class__}", ["{frist}", "{due.__class__}"]),
        ("lead", "{{ 7*7 }}", ["{ 7*7 }", "{", "}"]),
        ("lead", "{due", ["{"]),
        ("lead", "{}", ["{}"]),
        ("lead", "{% raw %}", ["{% raw %}"]),
    ],
)
def test_what_means_nothing_is_named(part: str, text: str, unknown: list[str]) -> None:
    if not unknown:
        texts.check("reminder", part, text)
        return
    with pytest.raises(InvalidText) as refused:
        texts.check("reminder", part, text)
    assert refused.value.unknown == tuple(unknown)
    assert {"case", "due", "party", "name"} <= set(refused.value.known)


@pytest.mark.parametrize(
    ("rule", "part", "text"), [("reminder", "subject", "x" * 151), ("reminder", "foot", "x"), ("reset", "lead", "x")]
)
def test_what_is_no_text_is_refused(rule: str, part: str, text: str) -> None:
    with pytest.raises(InvalidInput):
        texts.check(rule, part, text)


@pytest.mark.parametrize("rule", texts.PLACEHOLDERS)
def test_what_means_nothing_in_an_incident_is_not_offered(rule: str) -> None:
    assert ("due" in texts.known(rule, "lead")) == (rule != "incident")
