"""Flytt møtet: choose a day, see what follows, choose where a date can't follow, and move it."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select

from agreements.model import Meeting
from engine import absences
from engine.absences import Period
from engine.model import ProcessInstance
from notifications.model import Delivery
from tests.world import World
from web import rehearsals
from web.formatting import antall

OWNER = "sekretariatet"
Client = Callable[[str], Any]


def ssu(world: World) -> str:
    with world.database.reading() as session:
        return session.scalars(select(Meeting.public_id).where(Meeting.key == "ssu-2026-11-27")).one()


def page(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status, answer.text[:3000]
    return str(answer.text).replace("\xa0", " ")


def fields(text: str) -> dict[str, str]:
    """What the form of the page would send, with the radio buttons that are chosen."""
    form = {}
    for tag in re.findall(r"<input[^>]*>", text):
        found = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if found.get("type") == "hidden" or " checked" in tag:
            form[found["name"]] = found["value"]
    return form


def away(world: World, who: str, deputy: str) -> None:
    """Someone is away for the rest of the year, and another stands in."""
    with world.database.transaction() as session:
        user, other = world.user(session, who), world.user(session, deputy)
        period = Period(user=user, deputy=other, starts_on=world.clock.today, ends_on=date(2026, 12, 31))
        absences.register(session, period, actor=world.person(session, who), for_others=False, now=world.clock())


def sent(world: World, services: Any) -> list[Delivery]:
    """What has left when everything that is due tomorrow morning is done."""
    world.clock.to(world.clock.today + timedelta(days=1), 9)
    while services.drain(world.clock()):
        continue
    with world.database.reading() as session:
        return list(session.scalars(select(Delivery).where(Delivery.state == "sent")))


def test_a_meeting_is_moved_after_its_consequences_were_seen(
    world: World, surveyed: int, client_for: Client, services: Any
) -> None:
    owner, address = client_for(OWNER), f"/moter/{ssu(world)}/flytt"
    away(world, "kommunalsjef.larvik", "radgiver.larvik")
    assert address in page(owner.get(f"/moter/{ssu(world)}"))
    assert "Velg den nye datoen" in page(owner.get(address))
    assert "har vært" in page(owner.get(f"{address}?til=2026-01-05"), 422)
    assert "Velg den nye datoen for møtet" in page(owner.get(f"{address}?til=i+morgen"), 422)
    text = page(owner.get(f"{address}?til=2026-12-04"))
    assert "Flytt SSU fra 27. november til 4. desember" in text
    assert "«Svar på undersøkelsen» kan ikke følge med" in text
    assert "Fristen ville blitt 30. oktober. Det er etter at «Analyser og foreslå endringer» skal være ferdig" in text
    assert "Behold fristen 30. september (anbefalt)" in text
    assert "fre. 20. november" in text
    assert "Påminnelse: Ferdigstill saken" in text
    assert "Oppføringer i kalenderen flyttes av seg selv" in text
    assert "Kommunalsjef Larvik (stedfortreder: Rådgiver helse, Larvik)" in text
    assert "4. desember er en fredag" in text or "pleier å møtes" in text
    assert "Ny dato for SSU: 4. desember (før 27. november)" in text
    assert world.instance(surveyed).facts["ssu"] == "2026-11-27"

    form = fields(text)
    follow = {name: "follow" if name.startswith("valg-") else value for name, value in form.items()}
    shown = page(owner.post(address, data={**follow, "reason": "Salen er opptatt"}))
    assert "fre. 30. oktober" in shown
    assert "Dette går ikke" in shown
    assert "steget åpner" in shown
    assert "Undersøkelsen lukkes" in shown
    assert "ut ons. 30. september" in shown
    assert "Frist: Svar på undersøkelsen" in shown
    assert world.instance(surveyed).facts["ssu"] == "2026-11-27"
    world.complete(world.task(surveyed, "answer_survey", "larvik").id)
    late = page(owner.post(address, data={**form, "reason": "Salen er opptatt"}), 409)
    assert "Dette har endret seg siden" in late
    assert "Salen er opptatt" in late
    moved = owner.post(address, data={**fields(late), "reason": "Salen er opptatt"})
    assert moved.status_code == 303, moved.text[:2000]
    assert world.instance(surveyed).facts["ssu"] == "2026-12-04"
    assert {t.due_date for t in world.tasks(surveyed, "answer_survey")} == {date(2026, 9, 30)}
    assert "SSU er flyttet" in page(owner.get(moved.location))

    letters = [mail for mail in sent(world, services) if mail.rule == "dates_changed"]
    assert len({mail.recipient_id for mail in letters}) == len(letters)
    assert f"Flytt møtet og send {antall(len(letters), 'e-post', 'e-poster')}".replace("\xa0", " ") in text
    assert {mail.subject for mail in letters} == {"Ny dato for SSU: 4. desember (før 27. november)"}
    assert not [mail for mail in sent(world, services) if mail.rule == "due_changed"]
    texts = [" ".join((mail.body_text or "").split()) for mail in letters]
    assert all("Salen er opptatt" in text for text in texts)
    with world.database.reading() as session:
        deputy, absent = (world.user(session, key).id for key in ("radgiver.larvik", "kommunalsjef.larvik"))
    assert deputy in {mail.recipient_id for mail in letters}
    assert absent not in {mail.recipient_id for mail in letters}
    assert any("«Ferdigstill saken»: fredag 20. november (før 13. november)" in text for text in texts), texts


def test_only_the_secretariat_moves_meetings(world: World, client_for: Client) -> None:
    larvik = client_for("radgiver.larvik")
    assert "/flytt" not in page(larvik.get(f"/moter/{ssu(world)}"))
    page(larvik.get(f"/moter/{ssu(world)}/flytt?til=2026-12-04"), 403)


def test_a_rehearsal_knows_that_a_move_over_several_cases_was_said(
    world: World, client_for: Client, services: Any
) -> None:
    owner, address = client_for(OWNER), f"/moter/{ssu(world)}/flytt"
    cases = [world.start(), world.start(title="Evaluering nummer to")]

    def rehearsed(case: int) -> list[tuple[str, str]]:
        with world.database.reading() as session:
            instance = session.get_one(ProcessInstance, case)
            lived = rehearsals.of_case(session, instance, now=world.clock(), settings=services.notifications)
        return sorted((mail.address, mail.text) for mail in lived.mails if mail.rule == "dates_changed")

    text = page(owner.get(f"{address}?til=2026-12-04"))
    assert owner.post(address, data={**fields(text), "reason": "Salen er opptatt"}).status_code == 303
    first, second = map(rehearsed, cases)
    letters = [mail for mail in sent(world, services) if mail.rule == "dates_changed"]
    # Before they have left, the first case says them, about both; afterwards nobody says them again.
    assert first == sorted((mail.address, (mail.body_text or "").strip()) for mail in letters) != []
    assert any("Evaluering nummer to" in text for _, text in first)
    assert second == []
    assert [rehearsed(case) for case in cases] == [[], []]
