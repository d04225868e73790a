"""Cases in pages: what the owner sees and does, and what others must not see."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from engine import history as engine_history
from engine import user_tasks
from engine.model import HistoryEvent, Incident, ProcessInstance, Step, UserTask
from notifications.model import Delivery
from tests.web.test_moving import fields
from tests.world import World
from web.timeline import Meeting, Row, Span, draw

OWNER = "sekretariatet"
Client = Callable[[str], Any]


@pytest.fixture
def survey(world: World, surveyed: int) -> ProcessInstance:
    """An evaluation with its survey open and one party's answer given, on 14 September."""
    world.clock.to(date(2026, 9, 9))
    world.complete(world.task(surveyed, "answer_survey", "horten").id)
    world.clock.to(date(2026, 9, 14), 10)
    return world.instance(surveyed)


def _drain(services: Any, world: World) -> None:
    while services.drain(world.clock()):
        continue


def _page(client: Any, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, answer.text[:2000]
    return str(answer.text).replace("\xa0", " ")


def _kinds(world: World, case: ProcessInstance) -> list[str]:
    with world.database.reading() as session:
        return [e.kind for e in engine_history.events(session, session.get_one(ProcessInstance, case.id))]


# --- the list ---------------------------------------------------------------------------------------------------------


def test_whoever_may_start_is_offered_to_when_the_list_is_empty(world: World, client_for: Client) -> None:
    assert "Start en revisjon" in _page(client_for(OWNER), "/saker")
    assert "Start en revisjon" not in _page(client_for("kommunalsjef.larvik"), "/saker")


def test_the_list_says_who_has_the_ball(survey: ProcessInstance, client_for: Client) -> None:
    text = _page(client_for(OWNER), "/saker")
    assert survey.title in text
    assert "1 av 7 har svart" in text
    assert "Innen fristen" in text


def test_the_list_shows_only_what_one_takes_part_in(world: World, survey: ProcessInstance, client_for: Client) -> None:
    assert survey.title in _page(client_for("radgiver.larvik"), "/saker?vis=mine")
    assert survey.title not in _page(client_for("tillitsvalgt.siv"), "/saker")
    _page(client_for("tillitsvalgt.siv"), f"/saker/{survey.public_id}", 404)


def test_ended_cases_have_their_own_list(world: World, survey: ProcessInstance, client_for: Client) -> None:
    owner = client_for(OWNER)
    data = {"reason": "Bestillingen er trukket.", "sure": "ja", "revision": str(survey.revision)}
    assert owner.post(f"/saker/{survey.public_id}/avslutt", data=data).status_code == 303
    assert survey.title not in _page(owner, "/saker")
    assert "Avsluttet 14. september" in _page(owner, "/saker?vis=avsluttede")


@pytest.mark.parametrize("query", ["vis=tull&sorter=tull&side=-4", "sorter=navn", "sorter=nyeste", "side=x"])
def test_any_choice_of_list_is_answered(survey: ProcessInstance, client_for: Client, query: str) -> None:
    assert survey.title in _page(client_for(OWNER), f"/saker?{query}")


# --- the case ---------------------------------------------------------------------------------------------------------


def test_the_page_answers_first_who_when_and_how_many(survey: ProcessInstance, client_for: Client) -> None:
    text = _page(client_for(OWNER), f"/saker/{survey.public_id}")
    assert "onsdag 30. september" in text
    assert "1 av 7 har svart" in text
    assert "Minn på dem som ikke har svart" in text
    assert text.index("Hvem har ballen") < text.index('id="parter"') < text.index('id="tid"') < text.index('id="hist"')


def test_the_silent_stand_first(survey: ProcessInstance, client_for: Client) -> None:
    text = _page(client_for(OWNER), f"/saker/{survey.public_id}")
    table = text[text.index('id="parter"') :]
    assert table.index("Larvik kommune</th>") < table.index("Horten kommune</th>")


def test_the_year_has_what_was_and_what_will_be(survey: ProcessInstance, client_for: Client) -> None:
    text = _page(client_for(OWNER), f"/saker/{survey.public_id}")
    assert 'class="tl-faktisk"' in text
    assert "Møte i SSU" in text
    assert "Publiser" in text
    assert " style=" not in text


def test_a_failed_element_is_told_and_can_be_tried_again(
    world: World, survey: ProcessInstance, client_for: Client
) -> None:
    with world.database.transaction() as session:
        incident = Incident(
            community_id=survey.community_id, instance_id=survey.id, element_id="gathering_ends", cause="kaputt",
            created_at=world.clock(),
        )  # fmt: skip
        session.add(incident)
        session.get_one(ProcessInstance, survey.id).open_incidents += 1
        session.flush()
        public_id = incident.public_id
    owner = client_for(OWNER)
    assert "Feilen var: Steget kunne ikke kjøres." in _page(owner, f"/saker/{survey.public_id}")
    assert "kaputt" in _page(owner, f"/saker/{survey.public_id}/feil/{public_id}")
    other = client_for("radgiver.larvik")
    assert "Feilen var" not in _page(other, f"/saker/{survey.public_id}")
    assert other.post(f"/saker/{survey.public_id}/prov-igjen/{public_id}").status_code == 403
    assert owner.post(f"/saker/{survey.public_id}/prov-igjen/{public_id}").status_code == 303
    assert "incident-retried" in _kinds(world, survey)


# --- who does not own it ----------------------------------------------------------------------------------------------


def test_a_participant_has_no_acts_and_sees_no_mails(survey: ProcessInstance, client_for: Client) -> None:
    text = _page(client_for("radgiver.larvik"), f"/saker/{survey.public_id}")
    for hidden in ("Minn på", "Gi mer tid", "Flere valg", 'id="post"'):
        assert hidden not in text
    assert "Åpne oppgaven" in text


def test_drafts_and_answers_stay_with_their_party(world: World, survey: ProcessInstance, client_for: Client) -> None:
    task = world.task(survey.id, "answer_survey", "larvik")
    with world.database.transaction() as session:
        user_tasks.save_draft(session, task.id, {}, actor=world.person(session, "radgiver.larvik"), now=world.clock())
    world.fill(world.task(survey.id, "answer_survey", "tonsberg").id)
    text = _page(client_for("radgiver.horten"), f"/saker/{survey.public_id}")
    assert "Utkast lagret" not in text
    assert "lagret utkast" not in text
    assert "til godkjenning" not in text
    assert "Utkast lagret i dag" in _page(client_for(OWNER), f"/saker/{survey.public_id}")


def test_an_answer_is_released_when_its_step_has_ended(
    world: World, survey: ProcessInstance, client_for: Client
) -> None:
    with world.database.reading() as session:
        query = select(UserTask.public_id).where(UserTask.instance_id == survey.id, UserTask.item == "horten")
        answered = session.scalars(query.where(UserTask.state == "completed")).one()
    address = f"/saker/{survey.public_id}/svar/{answered}"
    other = client_for("radgiver.larvik")
    _page(other, address, 404)
    assert "Svar fra Horten kommune" in _page(client_for("radgiver.horten"), address)
    assert "Rett svaret" in _page(client_for(OWNER), address)
    world.complete_step(survey.id, "answer_survey")
    assert "Svar fra Horten kommune" in _page(other, address)


@pytest.mark.parametrize("act", ["minn", "hopp-over", "avslutt", "datoer", "svar-pa-vegne-av", "gi-videre"])
def test_only_the_owner_may_act(survey: ProcessInstance, client_for: Client, act: str) -> None:
    client = client_for("radgiver.larvik")
    assert client.get(f"/saker/{survey.public_id}/{act}").status_code == 403
    assert client.post(f"/saker/{survey.public_id}/{act}", data={"reason": "x"}).status_code == 403


# --- the owner's acts -------------------------------------------------------------------------------------------------


def test_more_time_for_one_party(world: World, survey: ProcessInstance, client_for: Client) -> None:
    task = world.task(survey.id, "answer_survey", "larvik")
    owner, address = client_for(OWNER), f"/saker/{survey.public_id}/mer-tid/{task.public_id}"
    assert "Gi mer tid til Larvik kommune" in _page(owner, address)
    refused = owner.post(address, data={"due_date": "2026-09-01", "revision": task.revision})
    assert refused.status_code == 422
    assert "Skriv hvorfor" in refused.text
    given = {"due_date": "2026-10-02", "reason": "Ferie", "revision": task.revision}
    shown = owner.post(address, data=given)
    assert shown.status_code == 200
    assert "Rekkes som før: AU 5.\u00a0november og SSU 27.\u00a0november." in shown.text
    far = owner.post(address, data={**given, "due_date": "2026-11-04"})
    assert "«Analyser og foreslå endringer» går ikke" in far.text
    assert world.task(survey.id, "answer_survey", "larvik").due_date == date(2026, 9, 30)
    given["vist"] = given["due_date"]
    assert owner.post(address, data=given).status_code == 303
    assert world.task(survey.id, "answer_survey", "larvik").due_date == date(2026, 10, 2)
    assert world.task(survey.id, "answer_survey", "siv").due_date == date(2026, 9, 30)
    assert owner.post(address, data=given).status_code == 409


def test_the_task_goes_to_another(world: World, survey: ProcessInstance, client_for: Client) -> None:
    task = world.task(survey.id, "answer_survey", "larvik")
    owner, address = client_for(OWNER), f"/saker/{survey.public_id}/gi-videre/{task.public_id}"
    assert "Velg hvem" in owner.post(address, data={"to": "", "reason": ""}).text
    given = {"to": "analyse.larvik", "reason": "Permisjon", "revision": task.revision}
    assert owner.post(address, data=given).status_code == 303
    with world.database.reading() as session:
        assert session.get_one(UserTask, task.id).assignee_id == world.user(session, "analyse.larvik").id


def test_a_reminder_shows_who_before_it_is_sent(
    world: World, survey: ProcessInstance, client_for: Client, services: Any
) -> None:
    _drain(services, world)
    owner, address = client_for(OWNER), f"/saker/{survey.public_id}/minn"
    task = world.task(survey.id, "answer_survey", "larvik")
    text = _page(owner, f"{address}?oppgave={task.public_id}")
    assert "Én e-post sendes nå." in text
    assert "radgiver.larvik@example.org" in text
    assert owner.post(address, data={"oppgave": task.public_id}).status_code == 303
    with world.database.reading() as session:
        sent = session.scalars(select(Delivery).where(Delivery.rule == "remind_now")).all()
        assert [row.task_id for row in sent] == [task.id]
    assert "reminded" in _kinds(world, survey)
    again = owner.post(address, data={"oppgave": task.public_id}, follow_redirects=True)
    assert "Ingen påminnelse er sendt" in again.text


def test_a_step_with_an_outcome_is_skipped_along_the_chosen_way(world: World, client_for: Client) -> None:
    case = world.instance(world.start())
    world.proceed_to(case.id, "anchor_plan")
    owner, address = client_for(OWNER), f"/saker/{case.public_id}/hopp-over"
    step = world.task(case.id, "anchor_plan").step
    revision = world.instance(case.id).revision
    assert "AU slutter seg til planen" in _page(owner, address)
    refused = owner.post(address, data={"step": step.token, "reason": "Haster", "revision": revision})
    assert refused.status_code == 422
    assert "Velg utfallet" in refused.text
    given = {"step": step.token, f"outcome-{step.token}": "juster", "reason": "Haster", "revision": revision}
    assert owner.post(address, data=given).status_code == 303
    assert world.task(case.id, "plan_and_clarify").step.round == 2
    assert owner.post(address, data=given).status_code in (409, 422)


def test_a_given_answer_is_corrected_with_a_reason(world: World, survey: ProcessInstance, client_for: Client) -> None:
    with world.database.reading() as session:
        query = select(UserTask).where(UserTask.instance_id == survey.id, UserTask.state == "completed")
        task = session.scalars(query.join(UserTask.step).where(Step.element_id == "anchor_plan")).one()
    owner, address = client_for(OWNER), f"/saker/{survey.public_id}/rett/{task.public_id}"
    assert "Slutter AU seg til planen?" in _page(owner, address)
    answers = {"utfall": "forankret", "remark": "Ta med brukerne.", "revision": task.revision}
    assert owner.post(address, data=answers).status_code == 422
    assert owner.post(address, data={**answers, "reason": "Feil i referatet"}).status_code == 303
    with world.database.reading() as session:
        assert (session.get_one(UserTask, task.id).answers or {})["remark"] == "Ta med brukerne."
        kept = session.scalars(select(HistoryEvent).where(HistoryEvent.kind == "corrected")).one()
        assert (kept.note, kept.data["fields"]) == ("Feil i referatet", ["remark"])
    assert owner.post(address, data={**answers, "reason": "Igjen"}).status_code == 409


def test_moving_a_date_moves_the_deadlines(world: World, survey: ProcessInstance, client_for: Client) -> None:
    owner, address = client_for(OWNER), f"/saker/{survey.public_id}/datoer"
    dates = {f"fact-{name}": day for name, day in survey.facts.items()}
    given = {**dates, "reason": "AU er flyttet", "revision": survey.revision}
    assert "Ingen dato er endret" in owner.post(address, data=given).text
    seen = owner.post(address, data={**given, "fact-au": "2026-11-12"})
    assert "Se hva som følger med" in seen.text
    assert world.instance(survey.id).facts["au"] == "2026-11-05"
    assert owner.post(address, data=fields(seen.text)).status_code == 303
    assert world.instance(survey.id).facts["au"] == "2026-11-12"
    assert world.task(survey.id, "hold_dialogue_meetings").due_date == date(2026, 10, 22)


def test_an_old_page_changes_nothing(world: World, survey: ProcessInstance, client_for: Client) -> None:
    given = {"reason": "x", "sure": "ja", "revision": survey.revision - 1}
    assert client_for(OWNER).post(f"/saker/{survey.public_id}/avslutt", data=given).status_code == 409
    assert world.instance(survey.id).state == "active"


# --- history and diagram ----------------------------------------------------------------------------------------------


def test_the_whole_history_is_checked_for_its_owner(world: World, survey: ProcessInstance, client_for: Client) -> None:
    owner, address = client_for(OWNER), f"/saker/{survey.public_id}/historikk"
    text = _page(owner, address)
    assert "startet saken" in text
    assert "ingen hendelser er endret" in text
    with world.database.transaction() as session:
        first = session.scalars(select(HistoryEvent).where(HistoryEvent.instance_id == survey.id)).first()
        assert first is not None
        first.kind = "completed"
    assert "endret utenfra" in _page(owner, address)
    assert "Kontroll" not in _page(client_for("radgiver.larvik"), address)


def test_the_note_between_approver_and_filler_stays_there(
    world: World, survey: ProcessInstance, client_for: Client
) -> None:
    task = world.fill(world.task(survey.id, "answer_survey", "larvik").id)
    with world.database.transaction() as session:
        approver = world.person(session, "kommunalsjef.larvik")
        user_tasks.send_back(session, task.id, actor=approver, now=world.clock(), note="Vær tydeligere om kapittel 4")
    address = f"/saker/{survey.public_id}/historikk"
    assert "Vær tydeligere" in _page(client_for("radgiver.larvik"), address)
    for key in (OWNER, "radgiver.horten"):
        assert "Vær tydeligere" not in _page(client_for(key), address)


def test_the_diagram_is_the_pinned_model(world: World, survey: ProcessInstance, client_for: Client) -> None:
    owner, address = client_for(OWNER), f"/saker/{survey.public_id}/diagram.bpmn"
    assert 'id="delavtale_evaluering"' in _page(owner, address)
    assert 'id="motesak"' in _page(owner, f"{address}?modell=motesak")
    _page(owner, f"{address}?modell=fagutvalg_mandat", 404)
    assert "answer_survey" in _page(owner, f"/saker/{survey.public_id}")


def test_inside_a_called_process_its_diagram_is_shown_too(world: World, client_for: Client) -> None:
    case = world.start()
    world.proceed_to(case, "treat_case")
    text = _page(client_for(OWNER), f"/saker/{world.instance(case).public_id}")
    assert 'data-active="ssu_meeting"' in text
    assert 'data-active="treat_case"' in text
    assert 'data-done="send_notice"' in text


def test_an_ended_case_can_still_be_read(world: World, client_for: Client) -> None:
    case = world.start()
    world.proceed_to_end(case)
    text = _page(client_for(OWNER), f"/saker/{world.instance(case).public_id}")
    assert "Hvem har ballen" not in text
    assert "Flere valg" not in text
    assert "Svar i steg som er ferdige" in text


def test_names_are_escaped(world: World, survey: ProcessInstance, client_for: Client) -> None:
    with world.database.transaction() as session:
        session.get_one(ProcessInstance, survey.id).title = "<script>alert(1)</script>"
        world.user(session, OWNER).name = "<b>Sekretariatet</b>"
    text = _page(client_for(OWNER), f"/saker/{survey.public_id}")
    assert "<script>alert" not in text
    assert "<b>Sekretariatet" not in text


# --- the drawing ------------------------------------------------------------------------------------------------------


def _draw(rows: list[Row], meetings: list[Meeting], today: date) -> Any:
    return draw(rows, meetings, today, month=lambda d: str(d.month), today_label="I dag")


def test_a_drawing_of_nothing_is_none() -> None:
    assert _draw([], [], date(2026, 9, 14)) is None


def test_everything_lies_within_the_drawing() -> None:
    whole = Span(start=date(2026, 5, 18), end=date(2026, 12, 11))
    rows = [
        Row(name="A", state="ferdig", planned=whole, actual=whole, note="Ferdig 11. desember"),
        Row(name="B", state="naa", planned=None, actual=Span(start=whole.end, end=whole.end), note="til 12. desember"),
    ]
    au, ssu = date(2026, 11, 5), date(2026, 11, 27)
    meetings = [Meeting(label="AU 5. nov.", day=au), Meeting(label="SSU 27. nov.", day=ssu)]
    drawing = _draw(rows, meetings, date(2026, 9, 14))
    assert all(bar.x >= 237 and bar.x + bar.width <= 1100 for bar in drawing.bars)
    assert {label.text for label in drawing.labels} >= {"AU 5. nov.", "SSU 27. nov.", "I dag", "A", "B"}
    assert [line.kind for line in drawing.lines].count("tl-mote") == 2


def test_meetings_on_one_day_do_not_write_over_each_other() -> None:
    day = date(2026, 11, 5)
    row = Row(name="A", state="", planned=Span(start=date(2026, 10, 1), end=date(2026, 12, 1)), actual=None)
    drawing = _draw([row], [Meeting(label="AU 5. nov.", day=day), Meeting(label="FSU 5. nov.", day=day)], day)
    shown = [label for label in drawing.labels if label.text.endswith("nov.")]
    assert len({label.anchor for label in shown}) == len(shown)


def test_one_long_ago_case_is_not_squeezed_by_today() -> None:
    row = Row(name="A", state="ferdig", planned=None, actual=Span(start=date(2024, 8, 1), end=date(2024, 9, 30)))
    drawing = _draw([row], [], date(2026, 9, 14))
    assert drawing.bars[0].width > 500
    assert not [line for line in drawing.lines if line.kind == "tl-idag"]
