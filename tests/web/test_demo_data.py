"""The demo has something to show whenever it is started first, and starting it again changes nothing."""

import email
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from agreements.model import Case, Meeting
from engine import forms, identity
from engine.errors import InvalidInput
from engine.form_definitions import fields_of
from engine.model import ClockOffset, Community, Incident, Job, ProcessInstance, Step, UserTask
from notifications.model import Delivery, ReceivedMail
from tests.world import World
from web import demo_data, demo_meetings, migrating, services
from web.commands import DEMO_DATA, MODELS
from web.sample_answers import fill, half_filled
from web.services import Services
from web.settings import Settings

SUNDAY = datetime(2026, 11, 22, 6, 30, tzinfo=UTC)
SURVEY = "Evaluering av delavtale om helhetlige pasientforløp"


def demo(folder: Path, now: datetime) -> Services:
    settings = Settings(database_url=f"sqlite:///{folder}/demo.db", var_dir=folder, demo=True, smtp_host="")
    built = services.build(settings, clock=lambda: now)
    migrating.migrate(built.database)
    demo_data.load(built)
    return built


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    built = demo(tmp_path_factory.mktemp("demo"), SUNDAY)
    yield built
    built.database.dispose()


@pytest.fixture
def session(loaded: Services) -> Iterator[Session]:
    with loaded.database.reading() as reading:
        yield reading


def tasks(session: Session, title: str, element: str) -> list[UserTask]:
    query = select(UserTask).join(Step).join(UserTask.instance)
    return list(session.scalars(query.where(ProcessInstance.title == title, Step.element_id == element)))


def open_elements(session: Session, title: str) -> set[str]:
    query = select(Step.element_id).join(ProcessInstance, ProcessInstance.id == Step.instance_id)
    return set(session.scalars(query.where(ProcessInstance.title == title, Step.state == "open")))


# --- the cases --------------------------------------------------------------------------------------------------------


def test_the_survey_has_four_answers_a_draft_and_one_that_waits_for_approval(session: Session) -> None:
    asked = tasks(session, SURVEY, "answer_survey")
    assert Counter(t.state for t in asked) == {"completed": 4, "submitted": 1, "open": 2}
    assert [t.item for t in asked if t.draft and t.state == "open"] == ["faerder"]
    assert [t.item for t in asked if t.state == "submitted"] == ["horten"]
    assert [t.item for t in asked if t.state == "open" and not t.draft] == ["larvik"]
    assert all(t.answers and t.answers["works"] for t in asked if t.state == "completed")


def test_two_of_seven_have_delivered_their_figures(session: Session) -> None:
    states = Counter(t.state for t in tasks(session, SURVEY, "fetch_data"))
    assert states == {"completed": 2, "open": 5}


def test_the_mandate_waits_for_the_next_ssu_meeting(session: Session) -> None:
    title = "Mandat for Samhandlingsforum for ledere psykisk helse og rus"
    assert open_elements(session, title) == {"treat_case"}
    ssu = session.scalars(select(ProcessInstance).where(ProcessInstance.title == title)).one().facts["ssu"]
    assert date(2026, 11, 22) < date.fromisoformat(ssu) <= date(2026, 12, 6)


def test_an_evaluation_for_half_a_year_ahead_has_just_started(session: Session) -> None:
    title = "Evaluering av delavtale om samarbeid innen digitalisering og IKT"
    assert open_elements(session, title) == {"plan_and_clarify"}
    assert tasks(session, title, "plan_and_clarify")[0].due_date > date(2026, 11, 27)  # type: ignore[operator]


def test_the_cases_have_the_numbers_that_the_papers_give_them(session: Session) -> None:
    assert set(session.scalars(select(Case.case_number))) == {"17/26", "18/26", "2024.27"}


def test_nothing_failed_on_the_way(session: Session) -> None:
    assert session.scalar(select(func.count()).select_from(Incident)) == 0
    assert set(session.scalars(select(Job.state))) == {"done"}
    assert set(session.scalars(select(Delivery.state))) <= {"sent", "planned", "cancelled"}


# --- mails ------------------------------------------------------------------------------------------------------------


def test_every_mail_arrived_at_the_moment_it_would_have_been_sent(session: Session) -> None:
    mails = session.scalars(select(ReceivedMail)).all()
    left = (Delivery.state == "sent") & Delivery.carrier_id.is_(None)
    assert len(mails) == session.scalar(select(func.count()).where(left))
    assert len({m.received_at.date() for m in mails}) > 20
    for mail in mails:
        assert mail.received_at <= SUNDAY
        sent = parsedate_to_datetime(str(email.message_from_bytes(mail.raw)["Date"]))
        assert abs(sent - mail.received_at) < timedelta(seconds=1)


def test_what_is_planned_lies_ahead(session: Session) -> None:
    planned = session.scalars(select(Delivery.planned_at).where(Delivery.state == "planned")).all()
    assert planned
    assert min(planned) > SUNDAY


# --- starting again ---------------------------------------------------------------------------------------------------


def test_loading_again_changes_nothing(loaded: Services) -> None:
    def counts() -> dict[str, int]:
        with loaded.database.reading() as session:
            tables = (ProcessInstance, UserTask, Delivery, ReceivedMail, Meeting, ClockOffset)
            return {t.__tablename__: session.scalar(select(func.count()).select_from(t)) or 0 for t in tables}

    before = counts()
    demo_data.load(loaded)
    assert counts() == before
    assert before["clock_offset"] == 1


def test_a_demo_whose_clock_was_moved_keeps_its_time(loaded: Services) -> None:
    with loaded.database.transaction() as session:
        session.scalars(select(ClockOffset)).one().seconds = 3600
    assert loaded.clock() == SUNDAY + timedelta(hours=1)
    demo_data.load(loaded)
    assert loaded.clock() == SUNDAY + timedelta(hours=1)


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 6, 1, 6, 0, tzinfo=UTC),  # the survey opened today: last month's goes on
        datetime(2026, 10, 31, 12, 0, tzinfo=UTC),  # a Saturday after the survey's last day
        datetime(2027, 1, 1, 0, 30, tzinfo=UTC),  # a holiday, and another day than in UTC
    ],
    ids=str,
)
def test_whatever_the_day_the_demo_shows_the_same(tmp_path: Path, now: datetime) -> None:
    built = demo(tmp_path, now)
    with built.database.reading() as session:
        asked = tasks(session, SURVEY, "answer_survey")
        assert Counter(t.state for t in asked) == {"completed": 4, "submitted": 1, "open": 2}
        assert all(t.due_date and t.due_date > now.date() for t in asked if t.state != "completed")
        assert session.scalar(select(func.count()).select_from(ProcessInstance)) == 3
        assert session.scalar(select(func.count()).select_from(Incident)) == 0
    built.database.dispose()


def test_there_are_meetings_to_take_dates_from_on_every_day_of_two_years(world: World) -> None:
    day = date(2026, 1, 1)
    while day < date(2028, 1, 1):
        with world.database.reading() as session:  # nothing is kept
            community = session.get_one(Community, world.community_id)
            calendar = identity.calendar_of(community)
            found = demo_meetings.add(session, community, calendar, day)
        opened = calendar.first_working_day_of(found.survey.ssu, 2)
        assert opened <= day < found.mandate, day
        assert found.survey.au < found.survey.ssu, day
        assert found.far.au < found.far.ssu, day
        assert timedelta(days=140) < found.far.ssu - day < timedelta(days=260), day
        day += timedelta(days=3)


# --- answers ----------------------------------------------------------------------------------------------------------


def inputs() -> dict[str, Any]:
    data = json.loads(DEMO_DATA.read_text())
    agreement = next(a for a in data["agreements"] if a["key"] == "helhetlige-pasientforlop")
    return {
        "title": "En sak",
        "agreement": agreement["name"],
        "chapters": agreement["chapters"],
        "questions": agreement["questions"],
        "bodies": [{"label": body["name"], "value": body["key"]} for body in data["bodies"]],
        "people": [{"label": user["name"], "value": user["key"]} for user in data["users"]],
        "parties": data["parties"],
        "ssu": "2026-11-27",
    }


@pytest.mark.parametrize("path", sorted((MODELS / "forms").glob("*.json")), ids=lambda path: path.stem)
def test_every_form_can_be_filled_in_with_every_outcome(path: Path) -> None:
    form, given = forms.load(json.loads(path.read_text())), inputs()
    outcomes = [str(o.value) for f in fields_of(form.components) if f.key == "utfall" for o in f.options]
    for outcome in [None, *outcomes]:
        for party in [None, *given["parties"]]:
            about = {**given, "party": party, "item": party} if party else given
            answers = fill(form, about, outcome)
            clean, problems = form.validate_json(answers, about)
            assert problems == []
            assert clean == answers
            assert outcome is None or answers["utfall"] == outcome


def test_parties_answer_the_survey_each_in_their_own_words() -> None:
    form = forms.load(json.loads((MODELS / "forms" / "answer_survey.json").read_text()))
    given = inputs()
    texts = {str(fill(form, {**given, "party": party})["works"]) for party in given["parties"]}
    assert len(texts) == 7


def test_a_form_nobody_has_seen_before_is_filled_in_too() -> None:
    form = forms.load(
        {
            "id": "unknown",
            "components": [
                {"type": "number", "key": "many", "label": "Antall", "validate": {"required": True, "min": 3}},
                {"type": "textfield", "key": "code", "label": "Kode",
                 "validate": {"required": True, "pattern": "[0-9]{4}"}},
                {"type": "textarea", "key": "why", "label": "Hvorfor", "validate": {"required": True, "minLength": 90}},
                {"type": "checkbox", "key": "sure", "label": "Sikker", "validate": {"required": True}},
                {"type": "datetime", "key": "day", "label": "Dag", "subtype": "date", "validate": {"required": True}},
                {"type": "dynamiclist", "path": "rows", "label": "Rader", "validate": {"required": True},
                 "components": [{"type": "textfield", "key": "name", "label": "Navn"}]},
            ],
        }
    )  # fmt: skip
    assert form.validate(fill(form, {}), {}) == []


def test_a_draft_is_a_part_of_the_answers() -> None:
    form = forms.load(json.loads((MODELS / "forms" / "answer_survey.json").read_text()))
    given = {**inputs(), "party": inputs()["parties"][0]}
    draft = half_filled(form, given)
    assert len(draft["chapter_scores"]) == 3  # type: ignore[arg-type]
    assert form.validate(draft, given) != []


def test_half_a_demo_is_refused_with_the_remedy(services: Services) -> None:
    demo_data.load(services)
    with services.database.transaction() as session:
        session.delete(session.scalars(select(ClockOffset)).one())
    with pytest.raises(InvalidInput, match=r"Delete var/avtaleflyt\.db"):
        demo_data.load(services)
