from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from agreements.communities import load, load_and_report, read_data_file
from agreements.model import Agreement, Body, Meeting, Party, RegisterChange
from engine.database import Database
from engine.errors import InvalidInput
from engine.model import Base, Community, Group, User

NOW = datetime(2026, 5, 18, 8, 0, tzinfo=UTC)

Data = dict[str, Any]


def entry(data: Data, part: str, key: str) -> Data:
    return next(e for e in data[part] if e["key"] == key)


def members_of(session: Session, key: str) -> dict[str, str]:
    group = session.scalars(select(Group).where(Group.key == key)).one()
    return {m.user.key: m.role for m in group.memberships}


# --- the project's own file ------------------------------------------------------------------------------


def test_the_data_file_carries_the_community(session: Session, community: Community) -> None:
    assert community.name == "Helsefellesskapet i Vestfold"
    assert session.scalar(select(func.count(Party.id))) == 7
    larvik = session.scalars(select(Party).where(Party.key == "larvik")).one()
    assert larvik.contact is not None
    assert (larvik.contact.name, larvik.contact.email) == (
        "Rådgiver helse, Larvik",
        "radgiver.larvik@example.org",
    )
    assert larvik.approver is not None
    assert larvik.approver.key == "kommunalsjef.larvik"
    assert set(members_of(session, "larvik")) == {"radgiver.larvik", "kommunalsjef.larvik", "analyse.larvik"}


def test_everybody_in_the_data_file_is_a_role_at_example_org(session: Session, community: Community) -> None:
    users = session.scalars(select(User)).all()
    assert users
    assert all(user.email == f"{user.key}@example.org" for user in users)
    assert [user.key for user in users if user.is_admin] == ["administrator"]


def test_bodies_have_parent_group_and_leader(session: Session, community: Community) -> None:
    au = session.scalars(select(Body).where(Body.key == "au")).one()
    assert au.short_name == "AU"
    assert au.parent is not None
    assert au.parent.key == "ssu"
    assert members_of(session, "au")["leder.au"] == "leader"
    assert members_of(session, "referent") == {"referent.ssu": "member", "sekretariatet": "member"}


def test_a_body_that_was_never_established_shows_as_such(session: Session, community: Community) -> None:
    ikt = session.scalars(select(Body).where(Body.key == "samarbeidsutvalg-ikt")).one()
    assert ikt.group is None


def test_meetings_and_their_agendas_are_there(session: Session, community: Community) -> None:
    may = session.scalars(select(Meeting).where(Meeting.key == "ssu-2026-05-07")).one()
    assert may.starts_at is not None
    assert may.starts_at.isoformat() == "12:30:00"
    assert "17/26" in [case["number"] for case in may.agenda]
    assert session.scalar(select(func.count(Meeting.id))) == 11


def test_agreements_hang_under_each_other(session: Session, community: Community) -> None:
    guideline = session.scalars(select(Agreement).where(Agreement.key == "retningslinje-innlagte")).one()
    assert guideline.parent is not None
    assert guideline.parent.key == "helhetlige-pasientforlop"
    assert len(guideline.parent.questions) == 4


# --- loading again ---------------------------------------------------------------------------------------


def test_loading_again_changes_nothing(session: Session, community: Community, data: Data) -> None:
    ids = session.scalars(select(Party.id)).all()
    again = load_and_report(session, data, now=NOW)
    assert again.community is community
    assert again.changes == ()
    assert again.kept == ()
    assert session.scalars(select(Party.id)).all() == ids


def test_loading_reports_what_it_changed(session: Session, community: Community, data: Data) -> None:
    entry(data, "bodies", "ssu")["usual_weekday"] = 2
    [change] = load_and_report(session, data, now=NOW).changes
    assert (change.thing, change.key, change.field) == ("body", "ssu", "usual_weekday")
    assert (change.old, change.new) == (3, 2)


def test_the_record_of_changes_repeats_nothing_that_identifies_a_person(
    session: Session, community: Community, data: Data
) -> None:
    entry(data, "users", "radgiver.larvik")["email"] = "ny@example.org"
    load(session, data, now=NOW)
    row = session.scalars(select(RegisterChange).where(RegisterChange.field == "email")).one()
    assert (row.key, row.old, row.new) == ("radgiver.larvik", None, None)


def test_a_new_contact_takes_over_at_once(session: Session, community: Community, data: Data) -> None:
    larvik = session.scalars(select(Party).where(Party.key == "larvik")).one()
    assert larvik.contact is not None
    entry(data, "parties", "larvik")["contact"] = "analyse.larvik"
    load(session, data, now=NOW)
    assert larvik.contact.key == "analyse.larvik"


def test_who_is_taken_out_of_a_body_is_no_longer_a_member(session: Session, community: Community, data: Data) -> None:
    before = members_of(session, "au")
    entry(data, "bodies", "au")["members"].remove("kommunalsjef.larvik")
    report = load_and_report(session, data, now=NOW)
    assert before.keys() - members_of(session, "au").keys() == {"kommunalsjef.larvik"}
    assert [(c.thing, c.key, c.field) for c in report.changes] == [("group", "au", "members")]


def test_who_was_switched_off_in_the_product_is_not_let_in_again(
    session: Session, community: Community, data: Data
) -> None:
    user = session.scalars(select(User).where(User.key == "leder.au")).one()
    user.active = False
    load(session, data, now=NOW)
    assert not user.active
    entry(data, "users", "leder.au")["active"] = True
    load(session, data, now=NOW)
    assert user.active


def test_what_the_file_no_longer_mentions_stays_and_is_told(session: Session, community: Community, data: Data) -> None:
    data["agreements"] = [a for a in data["agreements"] if a["key"] != "beredskap"]
    report = load_and_report(session, data, now=NOW)
    assert report.changes == ()
    assert report.kept == ("Avtalen «beredskap» står ikke i fila lenger, men beholdes.",)


def test_a_meeting_moved_in_the_product_is_not_moved_back(session: Session, community: Community, data: Data) -> None:
    meeting = session.scalars(select(Meeting).where(Meeting.key == "ssu-2026-11-27")).one()
    meeting.date = meeting.date.replace(month=12, day=3)
    report = load_and_report(session, data, now=NOW)
    assert meeting.date.isoformat() == "2026-12-03"
    assert session.scalar(select(func.count(Meeting.id))) == 11
    assert "2026-12-03, ikke 2026-11-27" in report.kept[0]


def test_what_was_unknown_about_a_meeting_is_filled_in(session: Session, community: Community, data: Data) -> None:
    entry(data, "meetings", "ssu-2026-11-27")["starts_at"] = "12:30"
    entry(data, "meetings", "ssu-2026-11-27")["note"] = "Noe annet"
    [change] = load_and_report(session, data, now=NOW).changes
    assert (change.key, change.field) == ("ssu-2026-11-27", "starts_at")


# --- a file that is wrong --------------------------------------------------------------------------------


WRONG: list[tuple[str, Callable[[Data], object], str, str]] = [
    (
        "unknown user",
        (lambda d: entry(d, "parties", "larvik").update(contact="ingen.larvik")),
        "«larvik» viser til brukeren «ingen.larvik»",
        "«users»",
    ),
    (
        "unknown member",
        (lambda d: entry(d, "bodies", "au")["members"].append("ukjent")),
        "Organet «au» viser til brukeren «ukjent»",
        "Legg den til",
    ),
    (
        "party without contact",
        (lambda d: entry(d, "parties", "horten").pop("contact")),
        "Parten «horten» har ingen kontakt",
        "«contact»",
    ),
    (
        "contact without address",
        (lambda d: entry(d, "users", "radgiver.horten").update(email="")),
        "Parten «horten» har en kontakt uten gyldig e-postadresse",
        "Fyll ut «email»",
    ),
    (
        "address that would smuggle a header",
        (lambda d: entry(d, "users", "leder.au").update(email="a@example.org\nBcc: b@example.org")),
        "Brukeren «leder.au» har ingen gyldig e-postadresse",
        "Fyll ut",
    ),
    (
        "contact who has left",
        (lambda d: entry(d, "users", "radgiver.horten").update(active=False)),
        "Parten «horten» har en kontakt som er slått av",
        "Velg en annen",
    ),
    (
        "body without members",
        (lambda d: entry(d, "bodies", "ssu").update(members=[])),
        "Organet «ssu» har ingen aktive medlemmer",
        "«established»",
    ),
    (
        "body whose members have all left",
        (lambda d: [u.update(active=False) for u in d["users"] if "tillitsvalgt" in u["key"]]),
        "Organet «tillitsvalgte» har ingen aktive medlemmer",
        "«members»",
    ),
    (
        "two users with one key",
        (lambda d: d["users"].append(dict(d["users"][0]))),
        "Brukeren «administrator» står 2 ganger",
        "Behold én",
    ),
    (
        "a group with a body's key",
        (lambda d: d["groups"].append({"key": "au", "name": "AU"})),
        "Gruppen «au» står 2 ganger",
        "ny nøkkel",
    ),
    (
        "two agreements with one key",
        (lambda d: d["agreements"].append(dict(d["agreements"][0]))),
        "Avtalen «samarbeidsavtale» står 2 ganger",
        "Behold én",
    ),
    (
        "two meetings of a body on one day",
        (lambda d: d["meetings"].append({"key": "ny", "body": "ssu", "date": "2026-11-27"})),
        "Møtet «ssu 2026-11-27» står 2 ganger",
        "Behold én",
    ),
    (
        "unknown parent",
        (lambda d: entry(d, "bodies", "au").update(parent="styret")),
        "Organet «au» viser til det overordnede «styret»",
        "Velg ett av: pm, ssu",
    ),
    (
        "circle of parents",
        (lambda d: entry(d, "bodies", "pm").update(parent="au")),
        "Organet «pm» er til slutt underordnet seg selv",
        "Rett «parent»",
    ),
    (
        "meeting of an unknown body",
        (lambda d: entry(d, "meetings", "au-2026-11-05").update(body="ua")),
        "Møtet «au-2026-11-05» viser til organet «ua»",
        "Velg ett av",
    ),
    (
        "hearing with a body that does not exist",
        (lambda d: d["start_defaults"]["*"]["hearing_bodies"].append("samarbeidsutvalg-ikt")),
        "viser til organet «samarbeidsutvalg-ikt»",
        "Velg ett av",
    ),
    (
        "misspelt field",
        (lambda d: entry(d, "parties", "larvik").update(kontakt="radgiver.larvik")),
        "parties «larvik»: «kontakt» er et ukjent felt",
        "Rett skrivemåten",
    ),
    (
        "missing field",
        (lambda d: entry(d, "bodies", "au").pop("short_name")),
        "bodies «au»: «short_name» mangler",
        "Fyll det ut",
    ),
    (
        "date that is none",
        (lambda d: entry(d, "meetings", "au-2026-11-05").update(date="2026-02-30")),
        "meetings «au-2026-11-05»: «date» kan ikke leses",
        "Rett verdien",
    ),
    (
        "unknown zone",
        (lambda d: d["community"].update(timezone="Europe/Larvik")),
        "ukjent tidssone, «Europe/Larvik»",
        "Europe/Oslo",
    ),
    ("no community", (lambda d: d.pop("community")), "Fila: «community» mangler", "Fyll det ut"),
]


@pytest.mark.parametrize(
    ("change", "says", "remedy"), [w[1:] for w in WRONG], ids=[w[0].replace(" ", "-") for w in WRONG]
)
def test_a_wrong_file_is_refused_with_the_thing_and_the_remedy(
    session: Session, data: Data, change: Callable[[Data], object], says: str, remedy: str
) -> None:
    change(data)
    with pytest.raises(InvalidInput) as refused:
        load(session, data, now=NOW)
    assert says in refused.value.message
    assert remedy in refused.value.message
    assert session.scalar(select(func.count(Community.id))) == 0


def test_a_refused_file_leaves_a_loaded_community_as_it_was(data: Data) -> None:
    database = Database("sqlite://")
    Base.metadata.create_all(database.engine)
    with database.transaction() as session:
        load(session, data, now=NOW)
    data["community"]["name"] = "Et annet navn"
    data["bodies"][-1]["members"] = []
    with pytest.raises(InvalidInput), database.transaction() as session:
        load(session, data, now=NOW)
    with database.reading() as session:
        assert session.scalars(select(Community.name)).all() == ["Helsefellesskapet i Vestfold"]
    database.dispose()


def test_two_communities_may_use_the_same_keys(session: Session, community: Community, data: Data) -> None:
    data["community"]["key"] = "telemark"
    other = load(session, data, now=NOW)
    assert other.id != community.id
    assert session.scalar(select(func.count(Party.id))) == 14


# --- reading the file ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"community": ', "ikke gyldig JSON: linje 1"),
        (b"[]", "«community»"),
        (b"\xff\xfe", "UTF-8"),
        (b'{"users": [], "users": []}', "«users» står to ganger"),
    ],
)
def test_an_unreadable_file_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as refused:
        read_data_file(path)
    assert says in refused.value.message


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="finnes ikke"):
        read_data_file(tmp_path / "none.json")
