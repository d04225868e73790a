"""The leader's week as a mail: planned ahead, sent once, silent when there is nothing to say, stopped in one click."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import select, update

from engine.model import Community, User
from notifications import alarm, delivery, week_news, weekly
from notifications.model import Delivery, WeeklyOverview
from tests.engine.counting import counting
from tests.world import World

OWNER, OUTSIDER = "sekretariatet", "leder.pm"
Client = Callable[[str], Any]


def _drain(services: Any, world: World) -> None:
    while services.drain(world.clock()):
        continue


def _rows(world: World, key: str = OWNER) -> list[tuple[str, str, datetime]]:
    query = select(Delivery.cause, Delivery.state, Delivery.planned_at).join(User, User.id == Delivery.recipient_id)
    with world.database.reading() as session:
        found = session.execute(query.where(User.key == key, Delivery.rule == weekly.RULE).order_by(Delivery.id))
        return [(row.cause.rpartition("-")[2], row.state, row.planned_at) for row in found]


def _mails(services: Any) -> list[Any]:
    return [mail for mail in services.mailer.messages if "Uke " in str(mail["Subject"])]


def _at(month: int, day: int, hour: int = 6) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def test_the_week_is_planned_sent_once_and_stopped(
    world: World, surveyed: int, services: Any, client_for: Client, app: Any
) -> None:
    world.clock.to(date(2026, 9, 14), 7)
    _drain(services, world)
    owner, outsider = client_for(OWNER), client_for(OUTSIDER)
    assert "Få dette på e-post hver mandag" in owner.get("/oversikt").text
    for address in ("/oversikt", "/oversikt/ssu"):
        assert owner.post(address, data={"weekly": "1"}).status_code == 303
    assert outsider.post("/oversikt", data={"weekly": "1"}).status_code == 303
    assert _rows(world) == [("W38", "planned", _at(9, 14))]
    assert "Slutt å sende meg dette" in owner.get("/oversikt/ssu").text
    assert owner.get("/varsler").text.count('checked class="ds-input" id="weekly-') == 2

    # It stands on the board, and can be read before it leaves; others' are not to be found.
    assert "Ukas oversikt" in owner.get("/e-poster").text
    with world.database.reading() as session:
        public_id = session.scalars(select(Delivery.public_id).where(Delivery.rule == weekly.RULE)).first()
    assert "Uke 37" not in owner.get(f"/e-post/{public_id}/innhold").text
    assert "Hvem har ballen, uke 38" in owner.get(f"/e-post/{public_id}/innhold").text
    assert outsider.get(f"/e-post/{public_id}").status_code == 404

    # Monday at eight: one mail, which says what the page says; who has no case gets none. The next is planned.
    world.clock.to(date(2026, 9, 14), 8)
    _drain(services, world)
    [mail] = _mails(services)
    text = " ".join(mail.get_body(("plain",)).get_content().split())
    assert "Én sak er i gang. Ingen er over fristen. Det første møtet som kan glippe, er AU 5. november." in text
    assert "lukker 30. september med 0 av 7 svar." in text
    assert text.count("Har ballen:") == 1, "a case of two pages is told of once"
    assert _rows(world) == [("W38", "sent", _at(9, 14)), ("W39", "planned", _at(9, 21))]
    assert [state for _, state, _ in _rows(world, OUTSIDER)] == ["cancelled", "planned"]
    _drain(services, world)
    assert len(_mails(services)) == 1

    # A standstill: the weeks that are over are passed by, and this one's leaves on the Wednesday.
    world.clock.to(date(2026, 9, 30), 10)
    with world.database.reading() as session:
        late = alarm.look(
            session, now=world.clock(), after=services.settings.mail_late_after, per_minute=10,
            only=(Delivery.rule == weekly.RULE,),
        )  # fmt: skip
    assert late is not None
    assert late.count == 2
    _drain(services, world)
    assert [row[:2] for row in _rows(world)] == [
        ("W38", "sent"), ("W39", "cancelled"), ("W40", "sent"), ("W41", "planned"),
    ]  # fmt: skip
    assert len(_mails(services)) == 2

    # One click stops it, and the page starts it again with the same row.
    path = str(mail["List-Unsubscribe"])[1:-1].removeprefix(services.settings.address)
    nobody = app.test_client()
    assert "Vil du slippe ukas oversikt?" in nobody.get(path).text
    assert nobody.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 303
    assert _rows(world)[-1][:2] == ("W41", "cancelled")
    assert "Du får ikke lenger ukas oversikt" in nobody.get(path).text
    nobody.post(path, data={"on": "1"})
    assert _rows(world)[-1] == ("W41", "planned", _at(10, 5))

    # One that did not arrive is the administrators' to send again; it belongs to no case.
    with world.database.transaction() as session:
        failed = session.scalars(select(Delivery).where(Delivery.cause.endswith("W40"), Delivery.state == "sent")).one()
        failed.state = "failed"
    address = f"/e-post/{failed.public_id}/send-igjen"
    assert owner.post(address).status_code == 403
    assert client_for("administrator").post(address).status_code == 303
    _drain(services, world)
    assert [mail["Message-ID"] for mail in _mails(services)].count(failed.message_id) == 2

    # One that is broken is put aside, and the next is planned.
    with world.database.transaction() as session:
        session.execute(update(WeeklyOverview).values(pages=5))
    world.clock.to(date(2026, 10, 5), 8)
    _drain(services, world)
    assert [row[:2] for row in _rows(world)][-2:] == [("W41", "cancelled"), ("W42", "planned")]
    assert len(_mails(services)) == 3


def test_two_workers_plan_and_send_one(world: World, surveyed: int, services: Any) -> None:
    settings = services.notifications
    with world.database.transaction() as session:
        weekly.choose(session, world.user(session, OWNER), [""], now=world.clock(), settings=settings)
        first = weekly.next_mail(session, world.user(session, OWNER).id)
    assert first is not None
    world.clock.set(first)
    assert weekly.plan_one(world.database, now=first, settings=settings)
    assert not weekly.plan_one(world.database, now=first, settings=settings)
    # One that is due but whose words nobody has found is left for whoever finds them.
    assert delivery.claiming.take(_session(world), first, settings, 10).outgoing == []
    with world.database.reading() as session:
        found = week_news.due(session, now=first)
    with counting(world.database) as counted, world.database.transaction() as session:
        taken = delivery.claiming.take(session, first, settings, 10, found)
    assert [type(said) for said in found.values()] == [week_news.Week]
    with world.database.transaction() as session:
        again = delivery.claiming.take(session, first, settings, 10, found)
    assert not [text for text in counted.statements if "document" in text], "no case is lived while mails are taken"
    mine = [mail for mail in taken.outgoing if mail.id in found]
    assert (len(mine), again.outgoing) == (1, [])


def _session(world: World) -> Any:
    with world.database.reading() as session:
        return session


def test_a_holiday_moves_it_and_a_closed_week_has_none(world: World, services: Any) -> None:
    def first(now: datetime) -> datetime | None:
        with world.database.transaction() as session:
            user = world.user(session, OWNER)
            weekly.choose(session, user, [], now=now, settings=services.notifications)
            weekly.choose(session, user, ["ssu"], now=now, settings=services.notifications)
            return weekly.next_mail(session, user.id)

    assert first(datetime(2027, 3, 25, 9, tzinfo=UTC)) == datetime(2027, 3, 30, 6, tzinfo=UTC), "Easter Monday"
    with world.database.transaction() as session:
        community = session.get_one(Community, world.community_id)
        community.closing_days = [f"2026-12-{day}" for day in (28, 29, 30)]
    assert first(datetime(2026, 12, 22, 9, tzinfo=UTC)) == datetime(2027, 1, 4, 7, tzinfo=UTC), "Christmas"
    with world.database.reading() as session:
        assert session.scalars(select(WeeklyOverview.pages)).all() == [["ssu"]]
