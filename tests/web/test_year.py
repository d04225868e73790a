"""A year by body and by person."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.world import World
from web.pages import year


def test_the_year_of_a_body_and_of_a_person(client_for: Callable[[str], Any], world: World, surveyed: int) -> None:
    secretary = client_for("sekretariatet")
    case = world.instance(surveyed).public_id
    page = secretary.get("/aret?organ=au").text
    assert "Året 2026 for AU" in page
    assert 'role="img"' in page
    assert "Forankre funn" in page
    assert f'href="/saker/{case}"' in page
    assert "Svar på undersøkelsen" not in page.split("Alle datoene")[1]
    assert ">AU 5. nov.<" in page, "a meeting's date stands once"
    mine = secretary.get("/aret").text
    assert "Ferdigstill saken" in mine
    larvik = secretary.get("/aret?person=radgiver.larvik").text
    assert "Svar på undersøkelsen" in larvik
    assert "Ferdigstill saken" not in larvik
    assert "Ingen steg i året" in secretary.get("/aret?organ=au&ar=2025").text


def test_a_stranger_to_a_case_sees_nothing_of_it_in_anyones_year(
    client_for: Callable[[str], Any], world: World, surveyed: int
) -> None:
    outsider = client_for("leder.lederforum-helse")
    assert world.instance(surveyed).public_id not in outsider.get("/aret?organ=au").text


def test_what_one_page_or_drawing_has_no_room_for_is_on_the_next(
    client_for: Callable[[str], Any], world: World, surveyed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(year, "CASES", 1)
    monkeypatch.setattr(year, "ROWS", 5)
    world.start(title="Evaluering nummer to")
    secretary = client_for("sekretariatet")
    first, second = secretary.get("/aret").text, secretary.get("/aret?fra=2").text
    assert "Her er sak 1 til 1 av 2 som pågår." in first
    assert 'href="/aret?ar=2026&amp;fra=2"' in first
    assert ("Evaluering nummer to" in first) != ("Evaluering nummer to" in second)
    assert 'href="/aret?ar=2026&amp;fra=1"' in second
    drawings = first.count('role="img"')
    assert drawings > 1
    assert f"Året 2026 for Sekretariatet, del 1 av {drawings}" in first
    assert len({part.split('"')[0] for part in first.split('id="tl-t')[1:]}) == drawings
    assert "Her er sak 1 til 1" in secretary.get("/aret?fra=99").text
