"""The leader's page: who has the ball, what slips if nothing happens, and the coming deadlines."""

from collections.abc import Callable
from datetime import date
from typing import Any

from sqlalchemy import func, select

from agreements import slipping
from engine.model import HistoryEvent, ProcessInstance
from tests.engine.counting import counting
from tests.world import World

OWNER = "sekretariatet"
Client = Callable[[str], Any]


def _page(client: Any, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text[:2000]
    return str(answer.text).replace("\xa0", " ")


def test_what_slips_is_what_the_engine_does_in_silence(world: World, surveyed: int) -> None:
    world.clock.to(date(2026, 9, 14), 10)
    with world.database.reading() as session:
        before = session.scalar(select(func.count()).select_from(HistoryEvent))
        found = slipping.slip(session, surveyed, now=world.clock())
        assert session.scalar(select(func.count()).select_from(HistoryEvent)) == before
    closing = found.closings[0]
    assert (closing.on, closing.answered, closing.asked) == (date(2026, 9, 30), 0, 7)
    assert found.stands is not None
    assert (found.stands.name, found.stands.day) == ("Dialogmøter og workshops", date(2026, 10, 15))
    assert found.next is not None
    assert found.next.day == date(2026, 10, 22)
    assert [(one.name, one.day) for one in found.meetings] == [("AU", date(2026, 11, 5)), ("SSU", date(2026, 11, 27))]
    assert found.too_late is None
    days = [one.day for one in found.deadlines]
    assert days == sorted(days)
    assert min(days) >= date(2026, 9, 14)


def test_a_leader_reads_who_has_the_ball_and_what_slips(world: World, surveyed: int, client_for: Client) -> None:
    world.clock.to(date(2026, 9, 14), 10)
    owner = client_for(OWNER)
    for address in ("/oversikt", "/oversikt/ssu", "/oversikt?alle=1"):
        text = _page(owner, address)
        assert "Én sak er i gang. Ingen er over fristen. Det første møtet som kan glippe, er AU 5. november." in text
        assert "lukker 30. september med 0 av 7 svar" in text
        assert "fra 15. oktober. Da glipper «Analyser og foreslå endringer» 22. oktober, AU 5. november og SSU" in text
        assert "Sju personer: Svar på undersøkelsen" in text
    for address in ("/oversikt", "/saker"):
        assert "Innen fristen" in _page(owner, address), "one state has one word"
    with counting(world.database) as again:
        owner.get("/oversikt")
    assert len(again.statements) < 20, "what was lived once is kept"
    # Late: the step that is due tomorrow has too little time, and the day after the last deadline shows the next month.
    world.clock.to(date(2026, 10, 26), 10)
    text = _page(owner, "/oversikt")
    assert "Én er over fristen" in text
    assert "For liten tid senere" in text
    assert "Frist gått ut" in text
    assert "Frist gått ut" in _page(owner, "/saker")
    assert "Frister til og med 30. november" in text
    assert "for liten tid" in text


def test_a_leader_sees_only_their_own_cases(world: World, surveyed: int, client_for: Client) -> None:
    with world.database.transaction() as session:
        session.get_one(ProcessInstance, surveyed).title = "Hemmelig evaluering"
    outsider = client_for("leder.pm")
    for address in ("/oversikt", "/oversikt/ssu"):
        assert "Hemmelig" not in _page(outsider, address)
    assert outsider.get("/oversikt/finnes-ikke").status_code == 404
    assert "Hemmelig" in _page(client_for("radgiver.larvik"), "/oversikt")
