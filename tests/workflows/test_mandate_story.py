"""A body gets its mandate, with the dates of 2024: SSU 26 September, and sent back to 28 November."""

from datetime import date

import pytest

from tests.workflows.story import Story
from tests.world import MANDATE

SSU, NEXT_SSU = date(2024, 9, 26), date(2024, 11, 28)


def day(month: int, of: int) -> date:
    return date(2024, month, of)


#: Who has which step when it opens, and its due date: the table of the domain, with the actual dates.
TABLE = [
    ("draft_mandate", "fagutvalg-hr", day(6, 18), day(8, 22)),
    ("give_input", "3 av 3", day(8, 22), day(9, 5)),
    ("revise_draft", "fagutvalg-hr", day(9, 5), day(9, 13)),
    ("clarify_in_au", "au", day(9, 13), day(9, 16)),
    ("send_notice", "sekretariat", day(9, 16), day(9, 19)),
    ("treat_case", "referent", day(9, 19), SSU),
    ("incorporate_changes", "sekretariat", SSU, day(10, 3)),
    ("publish_mandate", "sekretariat", day(10, 3), day(10, 10)),
    ("appoint_members", "7 av 7", day(10, 10), day(10, 24)),
    ("constitute", "fagutvalg-hr", day(10, 24), day(11, 21)),
]
CHANGES = [
    {
        "field": "meeting_frequency",
        "old_text": "Fire møter per år",
        "new_text": "Ved behov. Anbefalt min. 2 møter per år.",
    },
    {"field": "tasks", "old_text": "Rekruttere", "new_text": "Beholde ansatte i et krevende arbeidsmarked"},
    {"field": "name", "new_text": "Fagutvalg for HR og kompetanse"},
]


@pytest.fixture
def mandate(story: Story) -> Story:
    """Given that Fagutvalg HR needs a mandate, and SSU meets 26 September."""
    story.world.clock.to(day(6, 18), 10)
    return story.starts(MANDATE)


def test_everyone_has_their_step_on_its_day_and_the_body_is_constituted(mandate: Story) -> None:
    for element, who, opens, due in TABLE:
        mandate.until(max(opens, mandate.world.clock.today))
        assert mandate.waits() == {element: (who, due)}, element
        mandate.does(element, on=due)
    assert mandate.state == "completed"
    assert [(v[0], v[3]) for v in mandate.visits()] == [(row[0], "completed") for row in TABLE]
    # Then its leader and members were told in June, and reminded before the due date and on it
    to_leader = [(m.day, m.subject) for m in mandate.mails() if m.to == "leder.fagutvalg-hr"]
    assert to_leader[0][0] == day(6, 18)
    assert to_leader[0][1].startswith("Lag utkast innen 22. august")
    assert [d for d, subject in to_leader if "lag utkast" in subject] == [day(8, 8), day(8, 19), day(8, 22)]
    # And the bodies heard were asked in words of their own
    asked = {m.to for m in mandate.mails_by_subject("Gi innspill innen 5. september")}
    assert {"leder.fsu", "leder.lederforum-helse", "tillitsvalgt.siv", "tillitsvalgt.kommunene"} <= asked
    assert len(set(mandate.message_ids())) == len(mandate.mails())


def test_input_that_does_not_come_holds_nobody_up(mandate: Story) -> None:
    mandate.reaches("give_input")
    mandate.does("give_input", "innspill", on=day(8, 30), item="fsu")
    mandate.until(day(9, 6), hour=0)
    assert mandate.waits() == {"revise_draft": ("fagutvalg-hr", day(9, 13))}
    assert mandate.value("revise_draft", "${innspill}") == {"total": 3, "completed": 1, "silent": 2}


def test_a_draft_that_au_wants_changed_is_revised_and_comes_again(mandate: Story) -> None:
    mandate.reaches("clarify_in_au")
    mandate.does("clarify_in_au", "tilbake", on=day(9, 16), change="Skriv hvem som leder")
    assert mandate.waits() == {"revise_draft": ("fagutvalg-hr", day(9, 13))}
    mandate.does("revise_draft", on=day(9, 17))
    mandate.does("clarify_in_au", "klar", on=day(9, 18))
    assert mandate.waits() == {"send_notice": ("sekretariat", day(9, 19))}
    assert [v[:2] for v in mandate.visits()][-4:] == [
        ("clarify_in_au", 1),
        ("revise_draft", 2),
        ("clarify_in_au", 2),
        ("send_notice", 1),
    ]


def test_a_mandate_approved_with_changes_has_them_worked_in_before_it_is_published(mandate: Story) -> None:
    mandate.reaches("treat_case")
    mandate.does("treat_case", "godkjent_med_endringer", on=SSU, changes=CHANGES)
    assert mandate.waits() == {"incorporate_changes": ("sekretariat", day(10, 3))}
    (decided,) = mandate.world.tasks(mandate.case, "treat_case", states=("completed",))
    assert (decided.answers or {})["changes"] == CHANGES
    assert decided.name == "Behandle mandatet"
    mandate.world.proceed_to_end(mandate.case)
    assert mandate.state == "completed"


def test_a_mandate_sent_back_to_november_is_heard_anew_by_the_fsu_meeting_of_7_november(mandate: Story) -> None:
    # Given SSU treats the mandate on 26 September
    mandate.reaches("treat_case")
    # When it is sent back to FSU, and the draft is to come again on 28 November
    mandate.does(
        "treat_case", "tilbake", on=SSU, to_whom="fsu", new_meeting_date="2024-11-28", new_au_date="2024-11-18"
    )
    # Then the draft is due 25 working days before, and the input on the day FSU met: 7 November
    assert mandate.world.instance(mandate.case).facts == {"ssu": "2024-11-28", "au": "2024-11-18"}
    assert mandate.waits() == {"draft_mandate": ("fagutvalg-hr", day(10, 24))}
    for element, who, due in (
        ("draft_mandate", "fagutvalg-hr", day(10, 24)),
        ("give_input", "3 av 3", day(11, 7)),
        ("revise_draft", "fagutvalg-hr", day(11, 15)),
        ("clarify_in_au", "au", day(11, 18)),
        ("send_notice", "sekretariat", day(11, 21)),
        ("treat_case", "referent", NEXT_SSU),
    ):
        assert mandate.waits() == {element: (who, due)}
        mandate.does(element, "godkjent" if element == "treat_case" else None, on=due)
    assert mandate.waits() == {"incorporate_changes": ("sekretariat", day(12, 5))}
    assert {v[1] for v in mandate.visits() if v[0] == "draft_mandate"} == {1, 2}
    # And the bodies were asked again, with the new date
    again = mandate.mails_by_subject("Gi innspill innen 7. november")
    assert {"leder.fsu", "leder.lederforum-helse"} <= {m.to for m in again}
    assert {m.day for m in again} == {day(10, 24)}


def test_a_postponed_mandate_comes_up_in_the_next_meeting_as_it_is(mandate: Story) -> None:
    mandate.reaches("treat_case")
    mandate.does("treat_case", "utsatt", on=SSU, new_meeting_date="2024-11-28")
    assert mandate.waits() == {"send_notice": ("sekretariat", day(11, 21))}
    mandate.does("send_notice", on=day(11, 21))
    assert mandate.waits() == {"treat_case": ("referent", NEXT_SSU)}
    mandate.does("treat_case", "godkjent", on=NEXT_SSU)
    assert mandate.waits() == {"incorporate_changes": ("sekretariat", day(12, 5))}
    assert [v[1] for v in mandate.visits() if v[0] == "draft_mandate"] == [1]


def test_a_party_that_lacks_members_says_so_and_the_body_is_constituted_all_the_same(mandate: Story) -> None:
    mandate.reaches("appoint_members")
    mandate.does("appoint_members", "mangler", on=day(10, 18), item="horten", missing="En fastlege")
    mandate.does("appoint_members", "oppnevnt", on=day(10, 24))
    assert mandate.waits() == {"constitute": ("fagutvalg-hr", day(11, 21))}
    assert mandate.value("constitute", "${oppnevning}") == {"total": 7, "completed": 7, "silent": 0}
    outcomes = {party: (task.answers or {})["utfall"] for party, task in mandate.answers("appoint_members").items()}
    assert outcomes["horten"] == "mangler"
    assert {outcome for party, outcome in outcomes.items() if party != "horten"} == {"oppnevnt"}
