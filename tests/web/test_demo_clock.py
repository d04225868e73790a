"""The demo's clock, moved by a newcomer: tasks, mails and cases follow, and the page says what happened."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.fakes import RecordingMailer
from tests.world import World


def test_the_clock_goes_to_the_next_event_and_a_week_on(
    client_for: Callable[[str], Any], world: World, mailer: RecordingMailer, services: Any
) -> None:
    case = world.start()
    world.proceed_to(case, "inform_and_start")
    secretary = client_for("sekretariatet")
    assert "Til neste hendelse" in secretary.get("/demo/klokke").text
    seen = services.clock()
    moved = secretary.post("/demo/klokke", data={"hendelse": "1"})
    assert services.clock() >= seen
    page = secretary.get(moved.location).text
    assert "sendt" in page
    # The task is left alone; a week on, whoever is silent is reminded.
    world.complete(world.task(case, "inform_and_start").id)
    page = secretary.get(secretary.post("/demo/klokke", data={"dag": "2026-09-02"}).location).text
    assert "Svar på undersøkelsen" in page
    assert [step.element_id for step in world.steps(case, state="open")][:1] == ["answer_survey"]
    letters = len(mailer.messages)
    before = services.clock()
    page = secretary.get(secretary.post("/demo/klokke", data={"uke": "1"}).location)
    assert timedelta(days=7) <= services.clock() - before < timedelta(days=7, seconds=5)
    assert len(mailer.messages) == letters
    assert "Ingen\u00a0e-poster sendt, ingen\u00a0steg åpnet" in page.text
    secretary.post("/demo/klokke", data={"uke": "1"})
    assert len(mailer.messages) > letters  # ten working days left


def test_the_clock_never_goes_back_and_is_only_in_the_demo(client_for: Callable[[str], Any], app: Any) -> None:
    secretary = client_for("sekretariatet")
    back = secretary.post("/demo/klokke", data={"dag": "2026-01-02"}, follow_redirects=True)
    assert "kan stilles fram" in back.text
    services = app.extensions["avtaleflyt"]
    app.extensions["avtaleflyt"] = replace(services, settings=services.settings.model_copy(update={"demo": False}))
    assert secretary.get("/demo/klokke").status_code == 404
    assert secretary.post("/demo/klokke", data={"uke": "1"}).status_code == 404
