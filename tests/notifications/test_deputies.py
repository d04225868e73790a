"""Mails while someone is away: to whoever stands in, who is told for whom, and back again."""

from datetime import date

import pytest
from sqlalchemy import select

from engine import absences, identity
from engine.absences import Period
from engine.model import Absence, Community
from tests.notifications.mail_rows import OPENED, Case, oslo
from tests.notifications.outbox import Outbox, send_all


@pytest.fixture
def survey(case: Case) -> int:
    """Larvik's task, whose contact has been told."""
    task = case.survey(closes=False, parties=("Larvik",))[0]
    case.reconcile(OPENED)
    send_all(case, oslo(9, 1), Outbox())
    return task


def _away(case: Case, key: str, deputy: str, first: date, last: date, now: date) -> str:
    with case.database.transaction() as session:
        user, instead = (identity.user(session, case.community_id, k) for k in (key, deputy))
        period = Period(user=user, deputy=instead, starts_on=first, ends_on=last)
        actor = identity.person(session, user)
        made = absences.register(session, period, actor=actor, for_others=False, now=oslo(now.month, now.day))
        return made.public_id


def test_the_owner_is_warned_once_when_nobody_is_there_to_stand_in(case: Case, survey: int) -> None:
    case.add_person("stedfortreder", "Rådgiver Larvik")
    day = date(2026, 9, 14)
    _away(case, "kommunalsjef.larvik", "stedfortreder", day, date(2026, 9, 27), day)
    case.reconcile(oslo(9, 14))
    assert not [d for d in case.deliveries() if d.rule == "uncovered"]
    _away(case, "stedfortreder", "kommunalsjef.larvik", day, date(2026, 9, 20), day)
    mailer = Outbox()
    for hour in (9, 10):
        case.reconcile(oslo(9, 14, hour))
        send_all(case, oslo(9, 14, hour), mailer)
    subjects = [m["Subject"] for m in mailer.messages if "sekretariat@" in m["To"]]
    assert subjects == ["Borte uten stedfortreder: Kommunalsjef Larvik"]


def test_reminders_and_escalations_go_to_the_deputy_and_come_back(case: Case, survey: int) -> None:
    deputy = case.add_person("stedfortreder", "Rådgiver Larvik")
    keys = {deputy: "stedfortreder", case.owner.id: "sekretariat"}

    def planned() -> set[tuple[str, str]]:
        return {(d.rule, keys.get(d.recipient_id, "larvik")) for d in case.deliveries("planned")}

    _away(case, "kommunalsjef.larvik", "stedfortreder", date(2026, 9, 14), date(2026, 9, 27), date(2026, 9, 14))
    away = _away(case, "sekretariat", "stedfortreder", date(2026, 9, 14), date(2026, 10, 30), date(2026, 9, 14))
    case.reconcile(oslo(9, 14))
    after = ("reminder:10", "reminder:3", "reminder:0", "overdue", "escalation")
    assert {who for _, who in planned()} == {"stedfortreder"}
    assert {rule for rule, _ in planned()} - {"assigned"} <= set(after)
    mailer = Outbox()
    send_all(case, oslo(9, 14, 9), mailer)
    texts = [" ".join(m.get_body(("plain",)).get_content().split()) for m in mailer.messages]
    assert any("du er stedfortreder for Kommunalsjef Larvik." in text for text in texts)
    with case.database.transaction() as session:
        absences.refresh(session, session.get_one(Community, case.community_id), now=oslo(9, 28))
        found = session.scalars(select(Absence).where(Absence.public_id == away)).one()
        absences.cancel(session, found, now=oslo(9, 28))
    case.reconcile(oslo(9, 28))
    assert planned() == {("reminder:0", "larvik"), ("overdue", "larvik"), ("escalation", "sekretariat")}
