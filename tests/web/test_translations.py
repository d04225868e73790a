"""The English of the pages: nothing is missing, nothing is left over, and the switch works."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

WEB = Path(__file__).parents[2] / "web"
ENGLISH = WEB / "translations" / "en" / "LC_MESSAGES" / "messages.po"
Message = tuple[str, ...]


def forms(text: str | list[str] | tuple[str, ...]) -> Message:
    """A message or a translation as its forms: one, or singular and plural."""
    return (text,) if isinstance(text, str) else tuple(text)


@pytest.fixture(scope="module")
def in_code() -> set[Message]:
    """What the templates and the Python of the pages say."""
    with (WEB / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    found = extract_from_dir(WEB, methods, options)
    return {forms(message) for _file, _line, message, _comments, _context in found}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """What is translated."""
    with ENGLISH.open("rb") as file:
        return read_po(file, locale="en")


@pytest.fixture(scope="module")
def english(catalog: Catalog) -> dict[Message, Message]:
    return {forms(message.id): forms(message.string) for message in catalog if message.id}


def test_every_message_is_in_english(in_code: set[Message], english: dict[Message, Message]) -> None:
    assert len(in_code) > 500
    assert sorted(message for message in in_code if not all(english.get(message, ("",)))) == []


def test_no_translation_is_left_over(in_code: set[Message], catalog: Catalog, english: dict[Message, Message]) -> None:
    assert sorted(english.keys() - in_code) == []
    assert list(catalog.obsolete) == []
    assert [message.id for message in catalog if message.id and message.fuzzy] == []


def test_a_translation_keeps_its_placeholders(english: dict[Message, Message]) -> None:
    def placeholders(text: str) -> set[str]:
        return set(re.findall(r"%(?:\(\w+\))?[a-z]", text))

    differing = [
        source
        for source, translated in english.items()
        for bokmal, text in zip(source, translated, strict=True)
        if placeholders(bokmal) != placeholders(text)
    ]
    assert differing == []


def test_the_catalog_names_nobody(catalog: Catalog) -> None:
    head = ENGLISH.read_text(encoding="utf-8").split("\n\n", maxsplit=1)[0]
    assert "Translator" not in head
    assert "Generated" not in head
    assert not any(message.locations for message in catalog)


def test_the_reader_chooses_english(client_for: Callable[[str], Any]) -> None:
    client = client_for("radgiver.larvik")
    assert "Mine oppgaver</h1>" in client.get("/oppgaver").text
    page = client.get("/oppgaver?lang=en").text
    assert '<html data-color-scheme="light" lang="en">' in page
    assert "My tasks</h1>" in page
    assert "Mine oppgaver" not in page
    # The choice lasts until the reader chooses again.
    assert "My tasks</h1>" in client.get("/oppgaver").text
    assert "Mine oppgaver</h1>" in client.get("/oppgaver?lang=nb").text
