"""Open answers beside a survey: shared by a link, anonymous, counted apart, closed with the step."""

import csv
import io
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import func, select

from agreements import respondents
from agreements.model import RespondentAnswer, RespondentLink
from engine.errors import NotAllowed
from engine.model import HistoryEvent, UserTask
from tests.world import World

FILLER, OWNER = "radgiver.larvik", "sekretariatet"
ClientFor = Callable[[str], Any]


@pytest.fixture
def survey(world: World, surveyed: int) -> UserTask:
    world.clock.to(date(2026, 9, 14), 10, 42)
    return world.task(surveyed, "answer_survey", "larvik")


@pytest.fixture
def link(survey: UserTask, client_for: ClientFor) -> str:
    """The owner's link for those who work in Larvik."""
    owner = client_for(OWNER)
    page = f"/oppgaver/{survey.public_id}/apne-svar"
    assert owner.post(page, data={"rolle": "  Ansatte "}).status_code == 303
    found = re.search(r'value="https://avtaleflyt\.example\.org(/u/[^"]+)"', owner.get(page).get_data(as_text=True))
    assert found is not None
    return found[1]


@pytest.fixture
def visitor(app: Any) -> Any:
    return app.test_client()


def words(answer: Any) -> str:
    page = re.sub(r"<(script|style|svg).*?</\1>", "", answer.get_data(as_text=True), flags=re.DOTALL)
    return re.sub(r" ([.,])", r"\1", " ".join(re.sub(r"<[^>]+>", " ", page).replace("\u00a0", " ").split()))


def hidden(visitor: Any, link: str) -> dict[str, str]:
    """What the form sends unseen."""
    page = visitor.get(link).get_data(as_text=True)
    return dict(re.findall(r'<input name="(levering|lenke)" type="hidden" value="([^"]+)"', page))


def count(world: World) -> int:
    with world.database.reading() as session:
        return session.scalar(select(func.count()).select_from(RespondentAnswer)) or 0


def test_many_answer_and_the_parties_are_counted_apart(
    world: World, survey: UserTask, link: str, visitor: Any, client_for: ClientFor
) -> None:
    page = visitor.get(link)
    assert "Skjemaet er for Ansatte, Larvik kommune." in words(page)
    assert "Svaret ditt er anonymt." in words(page)
    assert "pasientopplysninger" in words(page)
    assert 'type="file"' not in page.get_data(as_text=True)
    assert visitor.post(link, data=hidden(visitor, link)).status_code == 422
    assert count(world) == 0
    formulas = ("=HYPERLINK(1)", "+47 12", "-1", "@SUM(A1)", " =1+1", "Bra nok")
    for works in formulas:
        sent = visitor.post(link, data={**hidden(visitor, link), "works": works})
        assert (sent.status_code, sent.location) == (303, f"{link}/takk"), words(sent)
    assert "Takk for svaret" in words(visitor.get(f"{link}/takk"))
    assert not visitor._cookies  # the test browser's jar
    task_page = client_for(OWNER).get(f"/oppgaver/{survey.public_id}/apne-svar")
    assert "0 av 7 har svart. I tillegg: 6 åpne svar." in words(task_page)
    assert world.task(survey.instance_id, "answer_survey", "larvik").revision == survey.revision
    sheet = client_for(OWNER).get(f"/oppgaver/{survey.public_id}/apne-svar.csv").get_data(as_text=True)
    rows = list(csv.DictReader(io.StringIO(sheet.removeprefix("\ufeff")), delimiter=";"))
    cells = [cell for row in rows for cell in row.values()]
    assert len(rows) == len(formulas)
    assert [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@"))] == []
    assert {"'=HYPERLINK(1)", "' =1+1", "Bra nok"} <= set(cells) or "'=HYPERLINK(1)" in cells
    assert {(row["Rolle"], row["Part"], row["Dag"]) for row in rows} == {("Ansatte", "Larvik kommune", "2026-09-14")}
    world.complete(survey.id)
    early = words(client_for(FILLER).get(f"/oppgaver/{survey.public_id}/svar"))
    assert "Larvik kommune" in early
    assert "Bra nok" not in early
    world.proceed_to(survey.instance_id, "analyse")
    assert "Bra nok" in words(client_for(FILLER).get(f"/oppgaver/{survey.public_id}/svar"))
    analysis = world.task(survey.instance_id, "analyse")
    assert "7 svar og 6 åpne svar" in words(client_for(OWNER).get(f"/oppgaver/{analysis.public_id}"))
    analysed = words(client_for(OWNER).get(f"/oppgaver/{survey.public_id}/svar"))
    assert "6 åpne svar. De teller ikke som partenes svar." in analysed
    assert "Bra nok" in analysed


def test_a_button_pressed_twice_is_one_answer(world: World, link: str, visitor: Any) -> None:
    sent = {**hidden(visitor, link), "works": "Bra"}
    for _ in range(3):
        assert visitor.post(link, data=sent).status_code == 303
    assert count(world) == 1


def test_it_closes_with_its_step_and_by_the_owner(
    world: World, survey: UserTask, link: str, visitor: Any, client_for: ClientFor
) -> None:
    sent = {**hidden(visitor, link), "works": "Bra"}
    with world.database.reading() as session:
        public_id = session.scalars(select(RespondentLink.public_id)).one()
    page = f"/oppgaver/{survey.public_id}/apne-svar"
    owner = client_for(OWNER)
    assert owner.post(f"{page}/{public_id}/steng").status_code == 303
    for answer in (visitor.get(link), visitor.post(link, data=sent)):
        assert answer.status_code == 410
        assert "Undersøkelsen er avsluttet" in words(answer)
    assert "Tar ikke imot flere svar." in words(owner.get(page))
    with world.database.transaction() as session:
        session.query(RespondentLink).update({"closed_at": None})
    assert visitor.get(link).status_code == 200
    world.complete_step(survey.instance_id, "answer_survey")
    assert visitor.post(link, data=sent).status_code == 410
    assert count(world) == 0
    with world.database.reading() as session:
        kinds = session.scalars(select(HistoryEvent.kind).where(HistoryEvent.kind.startswith("respondents")))
        assert sorted(kinds) == ["respondents-closed", "respondents-invited"]


def test_only_the_owner_makes_sees_and_closes_links(
    world: World, survey: UserTask, link: str, client_for: ClientFor
) -> None:
    page = f"/oppgaver/{survey.public_id}/apne-svar"
    for key in (FILLER, "radgiver.horten"):
        other = client_for(key)
        assert [other.get(page).status_code, other.get(f"{page}.csv").status_code] == [404, 404]
        assert other.post(page, data={"rolle": "Ansatte"}).status_code == 404
    with world.database.transaction() as session:
        task, filler = session.get_one(UserTask, survey.id), world.person(session, FILLER)
        with pytest.raises(NotAllowed):
            respondents.open_link(session, task, role="Ansatte", parts=[], actor=filler, now=world.clock())
    for role in ("", " ", "x" * 81, "Ansatte\x00"):
        assert client_for(OWNER).post(page, data={"rolle": role}).status_code == 422


def test_a_link_may_ask_a_part_of_the_form(survey: UserTask, client_for: ClientFor, visitor: Any) -> None:
    owner, page = client_for(OWNER), f"/oppgaver/{survey.public_id}/apne-svar"
    offered = re.findall(r'id="del-(\d+)" name="del"', owner.get(page).get_data(as_text=True))
    assert len(offered) > 1
    owner.post(page, data={"rolle": "Pasienter", "del": offered[0]})
    owner.post(page, data={"rolle": "Alle"})
    part, whole = re.findall(r'value="https://[^/]+(/u/[^"]+)"', owner.get(page).get_data(as_text=True))
    fields = [
        len(re.findall(r"<(?:input|textarea|select)", visitor.get(a).get_data(as_text=True))) for a in (part, whole)
    ]
    assert 2 < fields[0] < fields[1]


def test_guessed_and_foreign_forms_are_refused_and_many_at_once_are_slowed(
    world: World, link: str, visitor: Any
) -> None:
    public_id, _, signature = link.rpartition("/")[2].partition(".")
    for guess in (f"/u/{public_id}", f"/u/{public_id}.x{signature[1:]}", "/u/" + "x" * 900, "/u/æ.ø"):
        assert visitor.get(guess).status_code == 404, guess
    good = hidden(visitor, link)
    for sent in ({}, {"lenke": good["lenke"], "levering": "0" * 32}, {"levering": good["levering"]}):
        assert visitor.post(link, data={**sent, "works": "x"}).status_code == 400
    for headers in (visitor.get(link).headers, visitor.head(link).headers):
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "noindex" in headers["X-Robots-Tag"]
    statuses = {visitor.post(link, data={**good, "works": "x"}).status_code for _ in range(60)}
    assert statuses == {303, 429}
    assert count(world) == 1
