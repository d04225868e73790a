"""Mine oppgaver and what one does with a task, through the pages."""

import re
from collections.abc import Callable
from datetime import date
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import select

from engine import steering
from engine.model import Document, HistoryEvent, UserTask
from tests.world import World
from web.pages import task_documents

FILLER, APPROVER, ANALYST = "radgiver.larvik", "kommunalsjef.larvik", "analyse.larvik"
OWNER, OTHER_PARTY = "sekretariatet", "radgiver.horten"
ClientFor = Callable[[str], Any]


@pytest.fixture
def survey(world: World, surveyed: int) -> UserTask:
    """Larvik's survey, waiting for its filler in September."""
    world.clock.to(date(2026, 9, 14), 10, 42)
    return world.task(surveyed, "answer_survey", "larvik")


@pytest.fixture
def submitted(world: World, survey: UserTask) -> UserTask:
    """The same, filled in and waiting for its approver."""
    world.clock.to(date(2026, 9, 18), 9)
    return world.fill(survey.id, works="Faste telefontider virker godt.")


def reread(world: World, task: UserTask) -> UserTask:
    with world.database.reading() as session:
        return session.get_one(UserTask, task.id)


def form_data(world: World, task: UserTask, **given: Any) -> dict[str, Any]:
    """Good answers as a browser sends them."""
    sent: dict[str, Any] = {"revision": reread(world, task).revision}
    for key, value in world.answers(task.id, **given).items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for place, row in enumerate(value):
                sent |= {f"{key}-{place}-{name}": answer for name, answer in row.items()}
        elif value is not False and value != []:
            sent[key] = value
    return sent


def text_of(answer: Any) -> str:
    """The page without tags, no-break spaces as spaces."""
    page = re.sub(r"<(script|style|svg).*?</\1>", "", answer.get_data(as_text=True), flags=re.DOTALL)
    words = " ".join(re.sub(r"<[^>]+>", " ", page).replace("\u00a0", " ").split())
    return re.sub(r" ([.,])", r"\1", words)


def address(task: UserTask, rest: str = "") -> str:
    return f"/oppgaver/{task.public_id}{rest}"


# --- Mine oppgaver ----------------------------------------------------------------------------------------------------


def test_one_who_is_not_signed_in_is_sent_to_sign_in_and_back(app: Any, survey: UserTask) -> None:
    answer = app.test_client().get(address(survey))
    assert answer.status_code == 302
    assert "/logg-inn?next=" in answer.location
    assert survey.public_id in answer.location


def test_a_task_due_this_month_is_listed_as_later(client_for: ClientFor, survey: UserTask) -> None:
    text = text_of(client_for(FILLER).get("/oppgaver"))
    assert "Ingenting haster. Én oppgave venter på deg senere." in text
    assert "Svar på undersøkelsen for Larvik kommune" in text
    assert "onsdag 30. september om 12 virkedager" in text
    assert "Venter på deg" in text


def test_the_deadlines_week_has_its_own_heading(world: World, client_for: ClientFor, survey: UserTask) -> None:
    world.clock.to(date(2026, 9, 28))
    text = text_of(client_for(FILLER).get("/oppgaver"))
    assert "Én oppgave har frist denne uka." in text
    assert "Denne uka" in text
    assert "Svar nå" in text


def test_an_overdue_task_says_that_one_may_still_answer(world: World, client_for: ClientFor) -> None:
    case = world.start()
    task = world.task(case, "plan_and_clarify")
    assert task.due_date
    world.clock.to(date(2026, 6, 18))
    text = text_of(client_for(OWNER).get("/oppgaver"))
    assert "Du kan fortsatt svare." in text or "Ledige i gruppene dine" in text
    client_for(OWNER).post(address(task, "/ta"), data={"revision": task.revision})
    text = text_of(client_for(OWNER).get("/oppgaver"))
    assert "Én oppgave har gått over fristen." in text
    assert "Over fristen" in text
    assert "Frist gått ut" in text
    assert "Du kan fortsatt svare." in text


def test_the_approver_follows_a_draft_without_being_asked_to_act(
    world: World, client_for: ClientFor, survey: UserTask
) -> None:
    client_for(FILLER).post(address(survey, "/utkast"), data={"revision": 1, "works": "Litt"})
    page = client_for(APPROVER).get("/oppgaver")
    text = text_of(page)
    assert "Utkast hos Rådgiver helse, Larvik" in text
    assert "Rådgiver helse, Larvik fyller ut, du godkjenner." in text
    assert 'class="ds-button" href="/oppgaver/' not in page.get_data(as_text=True)


def test_nothing_waits_says_what_comes_next_and_what_was_done_last(
    world: World, client_for: ClientFor, survey: UserTask
) -> None:
    world.complete(survey.id)
    world.complete(world.task(survey.instance_id, "fetch_data", "larvik").id)
    text = text_of(client_for(APPROVER).get("/oppgaver"))
    assert "Ingenting venter på deg." in text
    assert "torsdag 5. november" in text
    assert "Sist gjort" in text
    assert "Svart 14. september" in text


def test_a_group_task_is_offered_to_its_members_and_moves_to_who_takes_it(world: World, client_for: ClientFor) -> None:
    case = world.start()
    world.proceed_to(case, "fetch_data")
    task = world.task(case, "fetch_data", "larvik")
    client = client_for(ANALYST)
    assert "Ledige i gruppene dine" in text_of(client.get("/oppgaver"))
    assert "Ta oppgaven" in text_of(client.get(address(task)))
    answer = client.post(address(task, "/ta"), data={"revision": task.revision}, follow_redirects=True)
    assert "Oppgaven er din." in text_of(answer)
    assert "Lagre utkast" in text_of(answer)
    second = client_for(FILLER).post(address(task, "/ta"), data={"revision": task.revision}, follow_redirects=True)
    assert "Analytiker, Larvik har oppgaven nå." in text_of(second)
    answer = client.post(address(task, "/gi-tilbake"), follow_redirects=True)
    assert "ledig for Larvik kommune igjen" in text_of(answer)


# --- writing and sending ----------------------------------------------------------------------------------------------


def test_the_page_says_why_the_task_came(client_for: ClientFor, survey: UserTask) -> None:
    text = text_of(client_for(FILLER).get(address(survey)))
    assert "17/26" in text
    assert "Du får oppgaven fordi du fyller ut for Larvik kommune." in text
    assert "Det tar om lag 15 minutter." in text
    assert "Kommunalsjef Larvik godkjenner" in text
    assert "Send til godkjenning" in text
    assert "om 12 virkedager, i høstferien" in text
    assert "Her er vi nå. 0 av 7 har svart." in text


def test_script_saves_a_draft_and_gets_the_line_that_says_so(
    world: World, client_for: ClientFor, survey: UserTask
) -> None:
    client = client_for(FILLER)
    answer = client.post(
        address(survey, "/utkast"), data={"revision": 1, "works": "Telefontider"}, headers={"HX-Request": "true"}
    )
    assert answer.status_code == 200
    assert "Lagret i dag kl. 10.42." in text_of(answer)
    assert "<html" not in answer.get_data(as_text=True)
    assert (reread(world, survey).draft or {})["works"] == "Telefontider"
    assert "Telefontider" in text_of(client.get(address(survey)))


def test_a_draft_that_cannot_be_kept_says_so_to_script(world: World, client_for: ClientFor, survey: UserTask) -> None:
    client = client_for(FILLER)
    world.complete(survey.id)
    data = {"revision": 1, "works": "For sent"}
    answer = client.post(address(survey, "/utkast"), data=data, headers={"HX-Request": "true"})
    assert answer.status_code == 409
    assert "Ikke lagret" in text_of(answer)


def test_a_good_answer_goes_to_the_approver(world: World, client_for: ClientFor, survey: UserTask) -> None:
    client = client_for(FILLER)
    answer = client.post(address(survey), data=form_data(world, survey), follow_redirects=True)
    assert "Svaret er sendt til godkjenning hos Kommunalsjef Larvik." in text_of(answer)
    assert reread(world, survey).state == "submitted"
    text = text_of(client.get(address(survey)))
    assert "Kommunalsjef Larvik leser det og godkjenner." in text
    assert "Endre svaret" in text


def test_a_refused_answer_is_shown_again_and_kept_as_draft(
    world: World, client_for: ClientFor, survey: UserTask
) -> None:
    answer = client_for(FILLER).post(address(survey), data={"revision": 1, "works": "Dette er skrevet"})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "ds-error-summary" in page
    assert "Svaret er ikke sendt ennå." in page
    assert "Dette er skrevet" in page
    assert (reread(world, survey).draft or {})["works"] == "Dette er skrevet"
    assert reread(world, survey).state == "open"


def test_an_answer_from_an_old_page_is_kept_as_draft_and_shown_with_the_new_deadline(
    world: World, client_for: ClientFor, survey: UserTask
) -> None:
    data = form_data(world, survey, works="Skrevet før fristen ble flyttet")
    with world.database.transaction() as session:
        owner = world.person(session, OWNER)
        day = date(2026, 10, 6)
        steering.extend(session, survey.id, due_date=day, actor=owner, now=world.clock(), reason="Mer tid")
    client = client_for(FILLER)
    answer = client.post(address(survey), data=data)
    assert answer.status_code == 409
    text = text_of(answer)
    assert "Oppgaven er endret siden du åpnet siden" in text
    assert "lagret som utkast" in text
    assert "tirsdag 6. oktober" in text
    assert "Skrevet før fristen ble flyttet" in text
    assert (reread(world, survey).draft or {})["works"] == "Skrevet før fristen ble flyttet"
    again = client.post(address(survey), data={**data, "revision": reread(world, survey).revision})
    assert again.status_code == 303


def test_an_answer_to_a_closed_task_is_explained_and_shown_for_copying(
    world: World, client_for: ClientFor, survey: UserTask
) -> None:
    data = form_data(world, survey, works="Skrevet for sent")
    client = client_for(FILLER)
    world.clock.to(date(2026, 10, 1), 8)
    world.wake(survey.instance_id)
    answer = client.post(address(survey), data=data)
    assert answer.status_code == 409
    text = text_of(answer)
    assert "Svaret ble ikke sendt" in text
    assert "Fristen gikk ut onsdag 30. september" in text
    assert "Skrevet for sent" in text
    assert "kunne ikke lagres" in text
    assert "Fristen gikk ut" in text_of(client.get(address(survey)))


def test_an_answer_to_a_task_that_went_to_another_is_shown_for_copying(
    world: World, client_for: ClientFor, survey: UserTask
) -> None:
    data = form_data(world, survey, works="Skrev det likevel")
    client = client_for(FILLER)
    page = client.post(address(survey, "/gi-videre"), data={"revision": 1, "til": ANALYST})
    assert "Gi oppgaven til Analytiker, Larvik?" in text_of(page)
    assert reread(world, survey).assignee_id == survey.assignee_id
    done = client.post(address(survey, "/gi-videre"), data={"revision": 1, "til": ANALYST, "bekreft": "1"})
    assert done.status_code == 303
    answer = client.post(address(survey), data=data)
    assert answer.status_code == 404
    assert "Skrev det likevel" in text_of(answer)


def test_without_script_a_row_is_added_and_the_draft_kept(client_for: ClientFor, survey: UserTask) -> None:
    client = client_for(FILLER)
    answer = client.post(
        address(survey), data={"revision": 1, "proposals-0-problem": "Sent fredag", "_legg_til": "proposals"}
    )
    assert answer.status_code == 303
    assert answer.location.endswith("#rader-proposals")
    page = client.get(address(survey)).get_data(as_text=True)
    assert "proposals-1-problem" in page
    assert "Sent fredag" in page


def test_a_send_back_tells_the_filler_why(world: World, client_for: ClientFor, submitted: UserTask) -> None:
    client = client_for(APPROVER)
    data = {"revision": reread(world, submitted).revision, "merknad": "Ta med helgene."}
    answer = client.post(address(submitted, "/send-tilbake"), data=data, follow_redirects=True)
    assert "sendt tilbake til Rådgiver helse, Larvik" in text_of(answer)
    text = text_of(client_for(FILLER).get(address(submitted)))
    assert "Sendt tilbake fra Kommunalsjef Larvik Ta med helgene." in text
    assert "Faste telefontider virker godt." in text


# --- approving --------------------------------------------------------------------------------------------------------


def test_the_approver_reads_the_answer_as_text_and_approves(
    world: World, client_for: ClientFor, submitted: UserTask
) -> None:
    client = client_for(APPROVER)
    page = client.get(address(submitted))
    text = text_of(page)
    assert "Godkjenn svaret for Larvik kommune" in text
    assert "Faste telefontider virker godt." in text
    assert "fredag 18. september av Rådgiver helse, Larvik" in text
    assert "<textarea" not in page.get_data(as_text=True)
    revision = reread(world, submitted).revision
    answer = client.post(address(submitted, "/godkjenn"), data={"revision": revision}, follow_redirects=True)
    assert "er godkjent og sendt" in text_of(answer)
    assert reread(world, submitted).state == "completed"
    text = text_of(client_for(FILLER).get(address(submitted)))
    assert "Kommunalsjef Larvik sendte svaret i dag kl. 9.00." in text
    assert "Faste telefontider virker godt." in text


def test_an_approval_of_what_has_changed_since_is_refused(
    world: World, client_for: ClientFor, submitted: UserTask
) -> None:
    answer = client_for(APPROVER).post(address(submitted, "/godkjenn"), data={"revision": 1}, follow_redirects=True)
    assert "Oppgaven er endret siden du åpnet siden." in text_of(answer)
    assert reread(world, submitted).state == "submitted"


def test_sending_back_needs_a_word_about_what_to_change(
    world: World, client_for: ClientFor, submitted: UserTask
) -> None:
    answer = client_for(APPROVER).post(address(submitted, "/send-tilbake"), data={"revision": 2, "merknad": " "})
    assert answer.status_code == 422
    assert "Skriv hva som må endres" in text_of(answer)
    assert reread(world, submitted).state == "submitted"


def test_the_approver_may_correct_the_answer_and_send_it(
    world: World, client_for: ClientFor, submitted: UserTask
) -> None:
    client = client_for(APPROVER)
    page = client.get(address(submitted, "?rett=1"))
    assert "Faste telefontider virker godt." in text_of(page)
    data = form_data(world, submitted, works="Rettet av kommunalsjefen")
    answer = client.post(address(submitted, "?rett=1"), data=data, follow_redirects=True)
    assert "er sendt" in text_of(answer)
    task = reread(world, submitted)
    assert (task.state, (task.answers or {})["works"]) == ("completed", "Rettet av kommunalsjefen")


# --- the owner --------------------------------------------------------------------------------------------------------


def test_the_owner_answers_on_behalf_with_a_reason(world: World, client_for: ClientFor, survey: UserTask) -> None:
    client = client_for(OWNER)
    assert "Svar på vegne av Larvik kommune" in text_of(client.get(address(survey)))
    data = form_data(world, survey)
    refused = client.post(address(survey, "?pa-vegne-av=1"), data=data)
    assert refused.status_code == 422
    assert "Skriv hvorfor du svarer for dem." in text_of(refused)
    assert reread(world, survey).state == "open"
    sent = client.post(address(survey, "?pa-vegne-av=1"), data={**data, "begrunnelse": "Svaret kom på telefon."})
    assert sent.status_code == 303
    assert reread(world, survey).state == "completed"


def test_the_owner_does_not_see_a_draft(world: World, client_for: ClientFor, survey: UserTask) -> None:
    client_for(FILLER).post(address(survey, "/utkast"), data={"revision": 1, "works": "Uferdig tanke"})
    text = text_of(client_for(OWNER).get(address(survey)))
    assert "Oppgaven venter på Rådgiver helse, Larvik." in text
    assert "Uferdig tanke" not in text
    assert "Uferdig tanke" not in text_of(client_for(OWNER).get(address(survey, "?pa-vegne-av=1")))


# --- others' answers --------------------------------------------------------------------------------------------------


def test_another_party_reads_answers_only_when_the_step_has_ended(
    world: World, client_for: ClientFor, survey: UserTask
) -> None:
    world.complete(survey.id, works="Larviks ord")
    client = client_for(OTHER_PARTY)
    assert client.get(address(survey)).status_code == 404
    assert client.get(address(survey, "/svar")).status_code == 404
    world.clock.to(date(2026, 10, 1), 8)
    world.wake(survey.instance_id)
    answer = client.get(address(survey, "/svar"))
    assert "Larviks ord" in text_of(answer)
    assert "Larvik kommune" in text_of(answer)
    assert client_for("leder.fagutvalg-hr").get(address(survey, "/svar")).status_code == 404


def test_a_finished_task_is_in_the_list_of_finished_ones(world: World, client_for: ClientFor, survey: UserTask) -> None:
    world.complete(survey.id)
    client = client_for(FILLER)
    assert "Svar på undersøkelsen for Larvik kommune" in text_of(client.get("/oppgaver/ferdige"))
    assert "Her kommer oppgavene" in text_of(client.get("/oppgaver/ferdige?side=2"))


# --- files ------------------------------------------------------------------------------------------------------------


def attach(client: Any, task: UserTask, name: str, content: bytes, kind: str, **more: str) -> Any:
    data = {"revision": "1", "fil": (BytesIO(content), name, kind), **more}
    return client.post(address(task, "/dokumenter"), data=data, content_type="multipart/form-data")


def stored(world: World) -> Document:
    with world.database.reading() as session:
        return session.scalars(select(Document)).one()


def test_a_file_is_kept_and_handed_out_as_an_attachment(world: World, client_for: ClientFor, survey: UserTask) -> None:
    client = client_for(FILLER)
    assert attach(client, survey, "Tall for Larvik – august.pdf", b"%PDF-1.7", "application/pdf").status_code == 303
    assert "Tall for Larvik – august.pdf" in text_of(client.get(address(survey)))
    answer = client.get(f"/dokumenter/{stored(world).public_id}")
    assert answer.data == b"%PDF-1.7"
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.mimetype == "application/pdf"
    with world.database.reading() as session:
        assert session.scalars(select(HistoryEvent).where(HistoryEvent.kind == "document-added")).one()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("side.html", "text/html"), ("bilde.svg", "image/svg+xml"), ("x.xml", "application/xml"), ("y", "tull/tøys")],
)
def test_what_a_browser_could_run_is_kept_without_its_type(
    world: World, client_for: ClientFor, survey: UserTask, name: str, kind: str
) -> None:
    client = client_for(FILLER)
    attach(client, survey, name, b"<script>alert(1)</script>", kind)
    answer = client.get(f"/dokumenter/{stored(world).public_id}")
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment;")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\a.docx", "a.docx"),
        ('a"b<c>.pdf', "a_b_c_.pdf"),
        ("rapport\u202efdp.exe", "rapport fdp.exe"),
        ("...", "fil"),
    ],
)
def test_file_names_are_made_safe(sent: str, kept: str) -> None:
    assert task_documents.safe_name(sent) == kept


def test_a_tasks_file_is_for_those_it_concerns_until_the_answers_are_released(
    world: World, client_for: ClientFor, survey: UserTask
) -> None:
    attach(client_for(FILLER), survey, "a.pdf", b"x", "application/pdf")
    file = f"/dokumenter/{stored(world).public_id}"
    assert client_for(APPROVER).get(file).status_code == 200
    assert client_for(OTHER_PARTY).get(file).status_code == 404
    assert client_for(OWNER).get(file).status_code == 404
    world.complete(survey.id)
    assert client_for(OWNER).get(file).status_code == 200
    assert client_for(OTHER_PARTY).get(file).status_code == 404
    world.clock.to(date(2026, 10, 1), 8)
    world.wake(survey.instance_id)
    assert client_for(OTHER_PARTY).get(file).status_code == 200


def test_the_owners_file_may_be_for_the_whole_case(world: World, client_for: ClientFor, survey: UserTask) -> None:
    attach(client_for(OWNER), survey, "avtalen.pdf", b"x", "application/pdf", ved_saken="1")
    file = f"/dokumenter/{stored(world).public_id}"
    assert client_for(OTHER_PARTY).get(file).status_code == 200
    assert client_for("leder.fagutvalg-hr").get(file).status_code == 404
    assert attach(client_for(FILLER), survey, "b.pdf", b"x", "application/pdf", ved_saken="1").status_code == 403


def test_a_file_is_taken_away_before_the_answer_is_sent_but_not_after(
    world: World, client_for: ClientFor, survey: UserTask
) -> None:
    client = client_for(FILLER)
    attach(client, survey, "feil.pdf", b"x", "application/pdf")
    file = f"/dokumenter/{stored(world).public_id}"
    world.complete(survey.id)
    assert client.post(f"{file}/fjern").status_code == 403
    assert client.get(file).status_code == 200


def test_a_file_in_the_form_is_stored_with_the_answers(world: World, client_for: ClientFor) -> None:
    case = world.start()
    world.proceed_to(case, "fetch_data")
    task = world.task(case, "fetch_data", "larvik")
    client = client_for(ANALYST)
    client.post(address(task, "/ta"), data={"revision": task.revision})
    data = {"revision": reread(world, task).revision, "file": (BytesIO(b"1;2"), "tall.csv", "text/csv")}
    answer = client.post(address(task), data=data, content_type="multipart/form-data")
    assert answer.status_code == 422
    assert "Behold tall.csv" in text_of(answer)
    assert (reread(world, task).draft or {})["file"] == [stored(world).public_id]


def test_an_empty_file_is_refused_and_the_words_are_kept(world: World, client_for: ClientFor) -> None:
    case = world.start()
    world.proceed_to(case, "fetch_data")
    task = world.task(case, "fetch_data", "larvik")
    client = client_for(ANALYST)
    client.post(address(task, "/ta"), data={"revision": task.revision})
    data = {**form_data(world, task), "missing": "Juli mangler", "file": (BytesIO(b""), "tom.csv", "text/csv")}
    answer = client.post(address(task), data=data, content_type="multipart/form-data")
    assert answer.status_code == 422
    assert "Fila «tom.csv» er tom. Velg en annen." in text_of(answer)
    assert reread(world, task).state == "open"
    assert reread(world, task).draft is not None


def test_an_answer_with_a_file_is_sent(world: World, client_for: ClientFor) -> None:
    case = world.start()
    world.proceed_to(case, "fetch_data")
    task = world.task(case, "fetch_data", "larvik")
    client = client_for(ANALYST)
    client.post(address(task, "/ta"), data={"revision": task.revision})
    data = {**form_data(world, task), "file": (BytesIO(b"1;2"), "tall.csv", "text/csv")}
    answer = client.post(address(task), data=data, content_type="multipart/form-data")
    assert answer.status_code == 303, text_of(answer)
    assert (reread(world, task).answers or {})["file"] == [stored(world).public_id]
    assert "tall.csv" in text_of(client.get(address(task)))


# --- search -----------------------------------------------------------------------------------------------------------


def test_search_finds_what_one_may_see(client_for: ClientFor, survey: UserTask) -> None:
    text = text_of(client_for(FILLER).get("/sok?q=helhetlige"))
    assert "Saker" in text
    assert "Dine oppgaver" in text
    assert "Avtaler" in text
    stranger = text_of(client_for("leder.fagutvalg-hr").get("/sok?q=undersøkelsen"))
    assert "Vi fant ingenting for «undersøkelsen»." in stranger
    assert "SSU" in text_of(client_for(FILLER).get("/sok?q=ssu"))


@pytest.mark.parametrize("words", ["%%", "__", "\\'", ""])
def test_search_takes_no_wildcards(client_for: ClientFor, survey: UserTask, words: str) -> None:
    answer = client_for(FILLER).get("/sok", query_string={"q": words})
    assert answer.status_code == 200
    assert survey.public_id not in answer.get_data(as_text=True)
