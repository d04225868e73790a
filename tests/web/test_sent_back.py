"""AU sends back on 5 November: an extra meeting or the next SSU, both plans side by side, and one is chosen."""

from collections.abc import Callable
from datetime import date
from typing import Any

from agreements.model import Meeting
from tests.web.test_moving import OWNER, fields, page
from tests.world import AU, World

Client = Callable[[str], Any]


def test_a_case_that_au_sends_back_gets_another_meeting(world: World, surveyed: int, client_for: Client) -> None:
    with world.database.transaction() as session:
        bodies = {m.body.key: m for m in session.query(Meeting) if m.date > date(2026, 10, 1)}
        for key, day in (("ssu", date(2027, 2, 4)), ("au", date(2027, 1, 14))):
            held = bodies[key]
            session.add(Meeting(community_id=held.community_id, body_id=held.body_id, date=day))
    world.proceed_to(surveyed, "anchor_findings")
    case, owner = world.instance(surveyed).public_id, client_for(OWNER)
    address = f"/saker/{case}/nytt-mote"
    assert address not in page(owner.get(f"/saker/{case}"))
    assert "Saken trenger ikke nytt møte" in page(owner.get(address))
    world.clock.to(AU, 12)
    world.complete_step(surveyed, "anchor_findings", "tilbake")
    assert address in page(owner.get(f"/saker/{case}"))
    text = page(owner.get(address))
    assert "Ekstra møte i AU 17. november, og SSU 27. november som planlagt" in text
    assert "SSU 4. februar 2027, med AU 14. januar 2027" in text
    assert "steg får kortere tid enn anbefalt" in text
    form = fields(text)
    seen = page(owner.post(address, data={**form, "plan": "next", "reason": "AU vil se mer"}))
    assert world.instance(surveyed).facts["ssu"] == "2026-11-27"
    assert owner.post(address, data=fields(seen)).status_code == 303
    moved = world.instance(surveyed)
    assert (moved.facts["au"], moved.facts["ssu"]) == ("2027-01-14", "2027-02-04")
    assert {t.due_date for t in world.tasks(surveyed, "analyse")} == {date(2026, 12, 29)}
    assert address not in page(owner.get(f"/saker/{case}"))
