"""Be om mer tid: a participant asks, the owner sees the effect and answers, and the others keep their date."""

from collections.abc import Callable
from datetime import date
from typing import Any

from sqlalchemy import select

from agreements.model import MoreTimeRequest
from engine.model import UserTask
from tests.web.test_moving import page, sent
from tests.world import World

OWNER, LARVIK = "sekretariatet", "radgiver.larvik"
Client = Callable[[str], Any]


def asked(world: World) -> list[MoreTimeRequest]:
    with world.database.reading() as session:
        return list(session.scalars(select(MoreTimeRequest).order_by(MoreTimeRequest.id)))


def ask(client: Any, task: UserTask, wanted: str, reason: str = "Kommunestyret møtes 6. oktober") -> Any:
    data = {"revision": str(task.revision), "wanted": wanted, "reason": reason}
    return client.post(f"/oppgaver/{task.public_id}/mer-tid", data=data)


def test_one_party_asks_and_gets_more_time_and_the_others_keep_theirs(
    world: World, surveyed: int, client_for: Client, services: Any
) -> None:
    larvik, owner = client_for(LARVIK), client_for(OWNER)
    task = world.task(surveyed, "answer_survey", "larvik")
    assert f"{task.public_id}/mer-tid" in page(larvik.get(f"/oppgaver/{task.public_id}"))
    page(larvik.get(f"/oppgaver/{task.public_id}/mer-tid"))
    assert "Velg en dag etter fristen" in page(ask(larvik, task, "2026-09-30"), 422)
    assert "Skriv hvorfor" in page(ask(larvik, task, "2026-10-07", " "), 422)
    assert ask(larvik, task, "2026-10-05").status_code == 303
    assert ask(larvik, task, "2026-10-07").status_code == 303
    (request,) = asked(world)
    address = f"/mer-tid/{request.public_id}"
    case = world.instance(surveyed).public_id
    assert address in page(owner.get(f"/saker/{case}"))
    assert "Ett ønske om mer tid" in page(owner.get("/oppgaver"))
    assert address not in page(larvik.get("/oppgaver"))
    page(larvik.get(address), 403)
    text = page(owner.get(address))
    assert "Larvik kommune ber om mer tid" in text
    assert "Rekkes som før: AU 5. november og SSU 27. november" in text
    data = {"revision": str(task.revision), "vist": "2026-10-07", "due_date": "2026-10-07", "svar": "ja"}
    far = page(owner.post(address, data={**data, "due_date": "2026-11-04"}))
    assert "går ikke" in far
    assert owner.post(address, data=data).status_code == 303
    due = {t.item: t.due_date for t in world.tasks(surveyed, "answer_survey")}
    assert due.pop("larvik") == date(2026, 10, 7)
    assert set(due.values()) == {date(2026, 9, 30)}
    assert (asked(world)[0].state, asked(world)[0].given) == ("granted", date(2026, 10, 7))
    assert owner.get(address).status_code == 303
    mails = [mail for mail in sent(world, services) if mail.rule in ("more_time_answered", "due_changed")]
    assert [mail.subject for mail in mails] == ["Ny frist: 7. oktober (før 30. september)"]
    history = page(owner.get(f"/saker/{case}/historikk"))
    assert "ba om mer tid" in history
    assert "Kommunestyret møtes 6. oktober" in history


def test_no_is_said_with_a_reason_and_an_answered_task_asks_no_more(
    world: World, surveyed: int, client_for: Client
) -> None:
    larvik, owner = client_for(LARVIK), client_for(OWNER)
    task = world.task(surveyed, "answer_survey", "larvik")
    assert ask(larvik, task, "2026-10-07").status_code == 303
    address = f"/mer-tid/{asked(world)[0].public_id}"
    data = {"revision": str(task.revision), "svar": "nei"}
    assert "Skriv hvorfor det ikke går" in page(owner.post(address, data=data), 422)
    assert owner.post(address, data={**data, "reason": "Analysen venter"}).status_code == 303
    assert world.task(surveyed, "answer_survey", "larvik").due_date == date(2026, 9, 30)
    assert ask(larvik, task, "2026-10-02").status_code == 303
    world.complete(task.id)
    assert "om mer tid" not in page(owner.get("/oppgaver"))
    assert owner.get(f"/mer-tid/{asked(world)[1].public_id}").status_code == 303
    horten = world.task(surveyed, "answer_survey", "horten")
    page(larvik.get(f"/oppgaver/{horten.public_id}/mer-tid"), 404)
