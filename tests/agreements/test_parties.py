import json

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements import parties
from agreements.model import Party
from engine.errors import InvalidInput
from engine.model import Community


def party(session: Session, key: str) -> Party:
    return session.scalars(select(Party).where(Party.key == key)).one()


def test_an_item_names_the_party_and_who_answers(session: Session, community: Community) -> None:
    assert parties.items(session, community, ["larvik"]) == [
        {
            "key": "larvik",
            "name": "Larvik kommune",
            "contact": "radgiver.larvik",
            "approver": "kommunalsjef.larvik",
            "group": "larvik",
        }
    ]


def test_all_parties_in_their_usual_order_when_none_is_chosen(session: Session, community: Community) -> None:
    items = parties.items(session, community)
    assert [i["key"] for i in items][:2] == ["siv", "holmestrand"]
    assert len(items) == 7


def test_items_can_be_kept_as_process_variables(session: Session, community: Community) -> None:
    items = parties.items(session, community)
    assert json.loads(json.dumps(items)) == items


def test_a_party_chosen_twice_is_asked_once(session: Session, community: Community) -> None:
    assert [i["key"] for i in parties.items(session, community, ["larvik", "siv", "larvik"])] == [
        "siv",
        "larvik",
    ]


def test_without_approver_the_answer_is_final(session: Session, community: Community) -> None:
    party(session, "larvik").approver = None
    assert parties.items(session, community, ["larvik"])[0]["approver"] is None


def test_an_unknown_party_is_refused_with_the_known_ones(session: Session, community: Community) -> None:
    with pytest.raises(InvalidInput) as refused:
        parties.items(session, community, ["larvik", "larvikk"])
    assert "«larvikk»" in refused.value.message
    assert "sandefjord, larvik" in refused.value.message


def test_no_party_at_all_is_refused(session: Session, community: Community) -> None:
    with pytest.raises(InvalidInput, match="Velg minst én"):
        parties.items(session, community, [])


def test_a_party_without_contact_is_refused(session: Session, community: Community) -> None:
    party(session, "larvik").contact = None
    with pytest.raises(InvalidInput, match="Larvik kommune har ingen kontakt"):
        parties.items(session, community)


@pytest.mark.parametrize("role", ["contact", "approver"])
@pytest.mark.parametrize(("field", "value", "says"), [("email", "", "e-postadresse"), ("active", False, "slått av")])
def test_a_party_in_which_nobody_can_be_reached_is_refused(
    session: Session, community: Community, role: str, field: str, value: object, says: str
) -> None:
    setattr(getattr(party(session, "larvik"), role), field, value)
    with pytest.raises(InvalidInput) as refused:
        parties.items(session, community, ["larvik"])
    assert "Larvik kommune" in refused.value.message
    assert says in refused.value.message


def test_another_party_s_missing_contact_does_not_matter(session: Session, community: Community) -> None:
    party(session, "larvik").contact = None
    assert len(parties.items(session, community, ["siv"])) == 1
