"""Møter and Avtaler: lists, one of each with the cases that hang on it, and a new meeting."""

from collections.abc import Callable
from datetime import date, time, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from agreements.model import Meeting
from engine.model import UserTask
from tests.world import AGREEMENT, MANDATE, World

Client = Any
NEW = {"body": "ssu", "date": "2027-02-04", "starts_at": "12.30", "place": "Tønsberg", "note": ""}


@pytest.fixture
def secretary(client_for: Callable[[str], Client]) -> Client:
    return client_for("sekretariatet")


def meeting(world: World, key: str) -> Meeting:
    with world.database.reading() as session:
        return session.scalars(select(Meeting).where(Meeting.key == key)).one()


def address(world: World, key: str = "ssu-2026-11-27") -> str:
    return f"/moter/{meeting(world, key).public_id}"


# --- lists ------------------------------------------------------------------------------------------------------------


def test_the_list_says_what_comes_next_and_keeps_the_past_behind_a_word(secretary: Client, world: World) -> None:
    world.start()
    page = secretary.get("/moter").text
    assert "Neste møte er i AU" in page
    assert "torsdag 5.\u00a0november" in page
    assert "Strategisk samarbeidsutvalg (SSU)" in page
    assert "Tidligere møter (5)" in page
    assert page.count('data-label="Saker" role="cell"><div>1</div>') == 2


def test_cases_that_one_may_not_see_are_not_counted(client_for: Callable[[str], Client], world: World) -> None:
    world.start()
    page = client_for("tillitsvalgt.siv").get("/moter").text
    assert 'data-label="Saker" role="cell"><div>' not in page


# --- one meeting ------------------------------------------------------------------------------------------------------


def test_a_meeting_says_who_has_the_ball_in_each_of_its_cases(secretary: Client, world: World) -> None:
    world.start()
    page = secretary.get(address(world)).text
    assert "SSU 27.\u00a0november: hvem har ballen" in page
    assert "Én sak er i gang. Ingen er over fristen." in page
    assert "Evaluering av delavtale om helhetlige pasientforløp" in page
    assert "tirsdag 16.\u00a0juni" in page
    assert "fredag 20.\u00a0november" in page  # the papers, five working days before


def test_the_case_in_danger_stands_first(secretary: Client, world: World) -> None:
    world.start()
    late = world.start(MANDATE, meetings={"ssu": date(2026, 11, 27)})
    with world.database.transaction() as session:
        for task in session.scalars(select(UserTask).where(UserTask.instance_id == late)):
            task.due_date = world.clock.today - timedelta(days=3)
    page = secretary.get(address(world)).text
    assert "To saker er i gang. Én er over fristen." in page
    assert "Frist gått ut" in page
    assert page.index("Mandat for") < page.index("Evaluering av delavtale om")


def test_a_case_that_ended_lies_behind_a_word(secretary: Client, world: World) -> None:
    instance_id = world.start()
    with world.database.transaction() as session:
        from engine import process_instances

        instance = process_instances.locked(session, instance_id)
        process_instances.cancel(session, instance, now=world.clock(), actor_id=None, reason="Trukket")
    page = secretary.get(address(world)).text
    assert "Ingen saker er i gang." in page
    assert "Avsluttede saker (1)" in page


def test_somebody_outside_a_case_does_not_see_it_at_its_meeting(
    client_for: Callable[[str], Client], world: World
) -> None:
    world.start()
    page = client_for("tillitsvalgt.siv").get(address(world)).text
    assert "Ingen saker er i gang." in page
    assert "Evaluering av" not in page


def test_the_agenda_of_a_meeting_is_a_table(secretary: Client, world: World) -> None:
    page = secretary.get(address(world, "ssu-2026-05-07")).text
    assert "17/26" in page
    assert "Papirene er datert" in page


def test_a_meeting_that_is_not_there_is_not_found(secretary: Client) -> None:
    assert secretary.get("/moter/finnesikkexx").status_code == 404


# --- a new meeting ----------------------------------------------------------------------------------------------------


def test_the_secretariat_adds_a_meeting(secretary: Client, world: World) -> None:
    answer = secretary.post("/moter/nytt", data=NEW)
    with world.database.reading() as session:
        made = session.scalars(select(Meeting).where(Meeting.date == date(2027, 2, 4))).one()
    assert answer.location == f"/moter/{made.public_id}"
    assert (made.starts_at, made.place) == (time(12, 30), "Tønsberg")


def test_an_odd_date_is_said_once_and_then_kept(secretary: Client, world: World) -> None:
    first = secretary.post("/moter/nytt", data=NEW | {"date": "2027-02-05"})
    assert first.status_code == 200
    assert "5.\u00a0februar\u00a02027 er en fredag" in first.text
    second = secretary.post("/moter/nytt", data=NEW | {"date": "2027-02-05", "seen": "2027-02-05"})
    assert second.status_code == 303


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"body": ""}, "Velg organet som møtes."),
        ({"date": ""}, "Velg datoen for møtet."),
        ({"date": "2126-02-05"}, "Datoen er for langt unna."),
        ({"starts_at": "halv ett"}, "Skriv klokkeslettet som 12.30."),
        ({"date": "2026-11-27", "seen": "2026-11-27"}, "har alt et møte"),
    ],
)
def test_what_does_not_fit_is_said_and_the_rest_is_kept(secretary: Client, changes: dict[str, str], words: str) -> None:
    answer = secretary.post("/moter/nytt", data=NEW | changes)
    assert answer.status_code == 422
    assert words in answer.text
    assert 'value="Tønsberg"' in answer.text


def test_only_the_secretariat_and_administrators_add_meetings(client_for: Callable[[str], Client]) -> None:
    member = client_for("kommunalsjef.larvik")
    assert "Legg til møte" not in member.get("/moter").text
    assert member.post("/moter/nytt", data=NEW).status_code == 403
    assert client_for("administrator").get("/moter/nytt").status_code == 200


# --- agreements -------------------------------------------------------------------------------------------------------


def test_agreements_are_a_tree_with_the_dates_they_hold_from(secretary: Client) -> None:
    page = secretary.get("/avtaler").text
    assert "Seks\u00a0avtaletekster" in page
    assert "1.\u00a0desember\u00a02025" in page
    assert (
        page.index("Overordnet samarbeidsavtale")
        < page.index("Delavtale om helhetlige")
        < page.index("Retningslinje for")
    )


def test_an_agreement_shows_its_cases_and_leads_to_a_start(secretary: Client, world: World) -> None:
    world.start()
    page = secretary.get(f"/avtaler/{AGREEMENT}").text
    assert "Evaluering av delavtale om helhetlige pasientforløp" in page
    assert "sak 2025.35" in page
    assert f"/saker/start?avtale={AGREEMENT}" in page


def test_whoever_may_not_start_has_no_button_to_it(client_for: Callable[[str], Client]) -> None:
    assert "Start en revisjon" not in client_for("kommunalsjef.larvik").get(f"/avtaler/{AGREEMENT}").text


def test_an_agreement_that_is_not_there_is_not_found(secretary: Client) -> None:
    assert secretary.get("/avtaler/finnes-ikke").status_code == 404


@pytest.mark.parametrize("page", ["/moter", "/avtaler", f"/avtaler/{AGREEMENT}"])
def test_a_stranger_is_sent_to_sign_in(app: Any, page: str) -> None:
    assert app.test_client().get(page).location.startswith("/logg-inn")


@pytest.mark.parametrize("cases", [1, 4])
def test_the_number_of_questions_to_the_database_does_not_grow_with_the_cases(
    secretary: Client, world: World, cases: int
) -> None:
    for _ in range(cases):
        world.start()
    place, asked = address(world), []
    event.listen(world.database.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    for page in ("/moter", place, f"/avtaler/{AGREEMENT}"):
        asked.clear()
        assert secretary.get(page).status_code == 200
        statements = [text for text in asked if not text.startswith(("BEGIN", "ROLLBACK"))]
        assert len(statements) <= 12, (page, statements)
