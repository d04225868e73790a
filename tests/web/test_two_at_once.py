"""Two people at one case, in two browsers: whoever is second reads who did what when, and keeps what they wrote."""

import re
from collections.abc import Callable
from datetime import date
from functools import partial
from html import unescape
from typing import Any

import pytest

from engine import identity
from engine.model import Community, Membership, ProcessInstance, User, UserTask
from tests.concurrency import at_once
from tests.conftest import BACKENDS
from tests.world import World
from web import commands

OWNER, OTHER = "sekretariatet", "koordinator"
Client = Callable[[str], Any]
WHY = "Skrevet med omtanke, og lett å miste"


@pytest.fixture(autouse=True)
def koordinator(world: World) -> None:
    """A second person in the secretariat, who owns its cases as well."""
    with world.database.transaction() as session:
        user = User(community_id=world.community_id, key=OTHER, name="Koordinator", email="koordinator@example.org")
        session.add(user)
        session.flush()
        group = identity.group(session, world.community_id, "sekretariat")
        session.add(Membership(user_id=user.id, group_id=group.id))


@pytest.fixture
def case(world: World, surveyed: int) -> ProcessInstance:
    """An evaluation whose survey is open."""
    return world.instance(surveyed)


def opened(client: Any, address: str) -> dict[str, str]:
    """The page's form as the browser holds it, with what nobody has to write."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.text[:2000]
    return fields(answer.text)


def fields(text: str) -> dict[str, str]:
    """Name and value of the inputs, and the text of the text areas."""
    inputs = {}
    for tag in re.findall(r"<input[^>]*>", text):
        found = {name: unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        if "name" in found and found.get("type") in ("hidden", "date", "text", None):
            inputs[found["name"]] = found.get("value", "")
    areas = re.findall(r'<textarea[^>]*name="([\w-]+)"[^>]*>\n?([^<]*)</textarea>', text)
    return inputs | {name: unescape(value) for name, value in areas}


def chosen(text: str) -> dict[str, str]:
    """What the page would send, with the radio buttons that are chosen."""
    radios = re.findall(r'<input checked class="ds-input" id="[^"]*" name="([^"]*)" type="radio" value="([^"]*)"', text)
    return fields(text) | dict(radios)


def read(answer: Any, status: int = 409) -> str:
    """What the page says."""
    assert answer.status_code == status, (answer.status_code, answer.text[:3000])
    return " ".join(unescape(str(answer.text)).replace("\xa0", " ").split())


# --- the dates of a case: one plan, two owners ------------------------------------------------------------------------


def test_two_owners_move_dates_of_one_case(world: World, case: ProcessInstance, client_for: Client) -> None:
    address = f"/saker/{case.public_id}/datoer"
    first, second = client_for(OTHER), client_for(OWNER)
    theirs, mine = opened(first, address), opened(second, address)
    world.clock.advance(minutes=5)
    seen = first.post(address, data={**theirs, "fact-ssu": "2026-12-04", "reason": "Møtet er flyttet"})
    assert first.post(address, data=chosen(seen.text)).status_code == 303

    # Another date of the case: what the other moved is left as it now is, and mine stands as I typed it.
    answer = second.post(address, data={**mine, "fact-au": "2026-11-09", "reason": WHY})
    text = read(answer)
    assert "Noen andre rakk det først" in text
    assert "Koordinator flyttet møtet i SSU fra 27. november til 4. desember" in text
    assert "«Møtet er flyttet»" in text
    shown = fields(answer.text)
    assert (shown["fact-au"], shown["fact-ssu"], shown["reason"]) == ("2026-11-09", "2026-12-04", WHY)
    assert world.instance(case.id).facts["au"] == "2026-11-05"
    seen = second.post(address, data=shown)
    assert second.post(address, data=chosen(seen.text)).status_code == 303
    assert world.instance(case.id).facts == {**case.facts, "ssu": "2026-12-04", "au": "2026-11-09"}

    # The same date: mine is in the field, and theirs stands beside it.
    answer = second.post(address, data={**mine, "fact-ssu": "2026-12-11", "reason": WHY})
    assert "Nå fredag 4. desember" in read(answer)
    shown = fields(answer.text)
    assert (shown["fact-ssu"], shown["reason"]) == ("2026-12-11", WHY)
    seen = second.post(address, data=shown)
    assert second.post(address, data=chosen(seen.text)).status_code == 303
    assert world.instance(case.id).facts["ssu"] == "2026-12-11"


@pytest.mark.usefixtures("unbroken")
@pytest.mark.parametrize("backend", BACKENDS)
def test_of_two_owners_who_press_in_the_same_moment_one_is_second(
    world: World, case: ProcessInstance, client_for: Client
) -> None:
    address = f"/saker/{case.public_id}/datoer"
    people = {OWNER: client_for(OWNER), OTHER: client_for(OTHER)}
    forms = {key: {**opened(client, address), "reason": f"Fra {key}, nå"} for key, client in people.items()}
    days = {OWNER: "2026-12-04", OTHER: "2026-12-11"}
    seen = {key: people[key].post(address, data={**forms[key], "fact-ssu": days[key]}).text for key in people}
    answers = at_once([partial(people[key].post, address, data=chosen(seen[key])) for key in people])
    came: dict[str, Any] = dict(zip(people, answers, strict=True))
    assert sorted(answer.status_code for answer in came.values()) == [303, 409], came
    winner, loser = sorted(came, key=lambda key: came[key].status_code)
    assert world.instance(case.id).facts["ssu"] == days[winner]
    shown = fields(came[loser].text)
    assert (shown["fact-ssu"], shown["reason"]) == (days[loser], f"Fra {loser}, nå")
    assert f"{ {OWNER: 'Sekretariatet', OTHER: 'Koordinator'}[winner] } flyttet møtet i SSU" in read(came[loser])


def test_two_owners_give_one_party_another_date(world: World, case: ProcessInstance, client_for: Client) -> None:
    address = f"/saker/{case.public_id}/mer-tid/{world.task(case.id, 'answer_survey', 'larvik').public_id}"
    first, second = client_for(OTHER), client_for(OWNER)
    theirs, mine = opened(first, address), opened(second, address)
    early, late = ({"due_date": day, "vist": day} for day in ("2026-10-06", "2026-10-09"))
    assert first.post(address, data={**theirs, **early, "reason": "Ferie"}).status_code == 303
    answer = second.post(address, data={**mine, **late, "reason": WHY})
    assert "Koordinator ga Larvik kommune mer tid" in read(answer)
    assert (fields(answer.text)["due_date"], fields(answer.text)["reason"]) == ("2026-10-09", WHY)
    assert second.post(address, data={**fields(answer.text), **late}).status_code == 303
    assert world.task(case.id, "answer_survey", "larvik").due_date == date(2026, 10, 9)


# --- the whole case ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second_act", "more", "again"),
    [("avslutt", {"sure": "ja"}, 303), ("datoer", {"fact-ssu": "2026-12-04"}, None), ("sett-pa-vent", {}, None)],
)
def test_a_case_was_put_on_hold_meanwhile(
    world: World, case: ProcessInstance, client_for: Client, second_act: str, more: dict[str, str], again: int | None
) -> None:
    first, second = client_for(OTHER), client_for(OWNER)
    hold, address = f"/saker/{case.public_id}/sett-pa-vent", f"/saker/{case.public_id}/{second_act}"
    theirs, mine = opened(first, hold), opened(second, address)
    assert first.post(hold, data={**theirs, "reason": "Bestillingen avklares"}).status_code == 303
    answer = second.post(address, data={**mine, **more, "reason": WHY})
    text = read(answer)
    assert "Koordinator satte saken på vent" in text
    assert "«Bestillingen avklares»" in text
    assert WHY in text
    assert world.instance(case.id).state == "suspended"
    # What still makes sense comes as its form, to be sent once more; the rest is there to be copied.
    assert ("Endringen ble ikke lagret" in text) == (again is None)
    if again:
        assert second.post(address, data={**fields(answer.text), "sure": "ja"}).status_code == again


def test_an_act_on_a_task_that_was_answered_meanwhile(world: World, case: ProcessInstance, client_for: Client) -> None:
    asked = world.task(case.id, "answer_survey", "horten")
    address = f"/saker/{case.public_id}/fjern/{asked.public_id}"
    owner = client_for(OWNER)
    mine = opened(owner, address)
    world.complete(asked.id)
    text = read(owner.post(address, data={**mine, "reason": WHY}))
    assert "Endringen ble ikke lagret" in text
    assert "Horten kommune svarte på" in text
    assert WHY in text


# --- a task -----------------------------------------------------------------------------------------------------------


def test_an_answer_and_a_draft_that_came_second(world: World, case: ProcessInstance, client_for: Client) -> None:
    asked = world.task(case.id, "answer_survey", "larvik")
    filler, owner = client_for("radgiver.larvik"), client_for(OTHER)
    address = f"/oppgaver/{asked.public_id}"
    mine = {**opened(filler, address), "works": WHY}
    extended = f"/saker/{case.public_id}/mer-tid/{asked.public_id}"
    theirs = {**opened(owner, extended), "due_date": "2026-10-06", "vist": "2026-10-06", "reason": "Ferie"}
    assert owner.post(extended, data=theirs).status_code == 303
    answers = {**world.answers(asked.id), **mine}
    answer = filler.post(address, data={n: v for n, v in answers.items() if isinstance(v, str)})
    assert answer.status_code in (409, 422)
    text = read(answer, answer.status_code)
    assert WHY in text
    assert (again(world, asked).draft or {})["works"] == WHY

    held = f"/saker/{case.public_id}/sett-pa-vent"
    assert owner.post(held, data={**opened(owner, held), "reason": "Vent litt"}).status_code == 303
    text = read(filler.post(f"{address}/utkast", data={**mine, "works": f"{WHY} enda mer"}))
    assert "Saken er satt på vent" in text
    assert "Koordinator satte saken på vent" in text
    assert f"{WHY} enda mer" in text


def test_an_approver_whose_answer_was_changed_or_gone_meanwhile(
    world: World, case: ProcessInstance, client_for: Client
) -> None:
    asked = world.fill(world.task(case.id, "answer_survey", "larvik").id)
    approver = client_for("kommunalsjef.larvik")
    address = f"/oppgaver/{asked.public_id}"
    mine, note = opened(approver, address), opened(approver, f"{address}?tilbake=1")
    world.fill(asked.id, works="Rettet av den som fylte ut")
    text = read(approver.post(f"{address}/godkjenn", data=mine))
    assert "Oppgaven er endret siden du åpnet siden" in text
    assert "Larvik kommune sendte svaret" in text
    assert "Rettet av den som fylte ut" in text
    answer = approver.post(f"{address}/send-tilbake", data={**note, "merknad": WHY})
    assert "Oppgaven er endret" in read(answer)
    assert fields(answer.text)["merknad"] == WHY
    assert again(world, asked).state == "submitted"

    owner, out = client_for(OTHER), f"/saker/{case.public_id}/fjern/{asked.public_id}"
    assert owner.post(out, data={**opened(owner, out), "reason": "Ikke part"}).status_code == 303
    text = read(approver.post(f"{address}/send-tilbake", data={**note, "merknad": WHY}))
    assert "Koordinator tok Larvik kommune ut" in text
    assert WHY in text


def again(world: World, task: UserTask) -> UserTask:
    """The task as it is now."""
    with world.database.reading() as session:
        return session.get_one(UserTask, task.id)


# --- programs ---------------------------------------------------------------------------------------------------------


def test_a_program_that_comes_second_is_told_who_did_what(world: World, case: ProcessInstance, app: Any) -> None:
    with world.database.transaction() as session:
        here = session.get_one(Community, world.community_id)
        tokens = {key: commands.make_token(session, here, key, now=world.clock()) for key in (OWNER, OTHER)}
    address = f"/api/v1/process-instances/{case.public_id}/suspend"

    def post(by: str) -> Any:
        headers = {"Authorization": f"Bearer {tokens[by]}", "If-Match": f'"{case.revision}"'}
        return app.test_client().post(address, json={"reason": "Vent"}, headers=headers)

    assert post(OTHER).status_code == 200
    late = post(OWNER)
    assert (late.status_code, late.json["title"]) == (412, "Stale")
    assert late.json["happened"] == {"act": "suspended", "by": OTHER, "at": world.clock().isoformat()}
