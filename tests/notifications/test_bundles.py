"""Several mails to one person that are due at once leave as one; none is lost and none is doubled."""

from collections.abc import Sequence

import pytest
from mail_rows import PARTIES, Case, oslo
from outbox import Outbox, send_all

from engine.database import Database
from engine.model import ProcessInstance, User, UserTask
from notifications import checks, preferences
from notifications.delivery import moments, send_again, send_one
from notifications.mailer import PermanentFailure, TransientFailure, Uncertain
from notifications.model import Delivery
from notifications.timing import How, Preference

MORNING = oslo(9, 1)


class _Killed(BaseException):
    """The process dies."""


def one_person(case: Case) -> int:
    """The survey's three tasks all wait for the same person; answers their id."""
    tasks = case.survey()
    with case.database.transaction() as session:
        person = session.get_one(UserTask, tasks[0]).assignee_id
        assert person is not None
    for task in tasks[1:]:
        case.change(task, assignee_id=person)
    case.reconcile(MORNING)
    return person


def said(case: Case) -> list[tuple[str, bool]]:
    """State of each mail about a task just opened, and whether another one carries it."""
    return [(d.state, d.carrier_id is not None) for d in case.deliveries() if d.rule == "assigned"]


def sound(case: Case) -> bool:
    """Do the invariants of mails hold?"""
    with case.database.reading() as session:
        return not list(checks.faults(session, worked=None))


def test_what_is_due_at_once_to_one_person_is_one_mail(case: Case) -> None:
    one_person(case)
    outbox = Outbox()
    send_all(case, MORNING, outbox)
    (mail,) = outbox.messages
    body = mail.get_body(("plain",))
    assert body is not None
    assert mail["Subject"] == "Tre oppgaver venter på deg, alle har frist 30. september"
    assert all(f"/oppgaver/task{name.lower()}"[:22] in body.get_content() for name in PARTIES)
    assert said(case) == [("sent", False), ("sent", True), ("sent", True)]
    carriers = {d.carrier_id for d in case.deliveries("sent")} - {None}
    assert carriers == {case.deliveries("sent")[0].id}
    assert sound(case)
    send_all(case, MORNING, outbox)
    assert len(outbox.messages) == 1


def test_what_became_needless_is_left_out(case: Case) -> None:
    person = one_person(case)
    first = next(d for d in case.deliveries("planned") if d.rule == "assigned")
    assert first.task_id is not None
    case.change(first.task_id, state="completed")
    outbox = Outbox()
    send_all(case, MORNING, outbox)
    assert [m["Subject"] for m in outbox.messages] == ["To oppgaver venter på deg, alle har frist 30. september"]
    assert [state for state, _ in said(case)] == ["cancelled", "sent", "sent"]
    assert {d.recipient_id for d in case.deliveries("sent")} == {person}


@pytest.mark.parametrize(
    ("failure", "state"), [(PermanentFailure("550"), "failed"), (Uncertain("cut"), "uncertain")], ids=str
)
def test_what_left_together_fails_together_and_each_can_be_sent_again(
    case: Case, failure: Exception, state: str
) -> None:
    one_person(case)

    def fail() -> None:
        raise failure

    send_one(case.database, Outbox(fail), now=MORNING, settings=case.settings)
    assert said(case) == [(state, False), (state, True), (state, True)]
    assert sound(case)
    with case.database.transaction() as session:
        send_again(session, session.get_one(Delivery, case.deliveries(state)[1].id), now=MORNING)
    outbox = Outbox()
    send_all(case, MORNING, outbox)
    assert [m["Subject"] for m in outbox.messages] == [
        "Svar innen 30. september: evaluering av delavtale om helhetlige pasientforløp"
    ]
    assert said(case) == [(state, False), ("sent", False), (state, True)]


def test_what_is_needless_when_sent_again_still_says_what_it_may_have_left_with(case: Case) -> None:
    one_person(case)

    def cut() -> None:
        raise Uncertain("cut")

    send_one(case.database, Outbox(cut), now=MORNING, settings=case.settings)
    last = case.deliveries("uncertain")[-1]
    case.change(last.task_id or 0, state="completed")
    with case.database.transaction() as session:
        send_again(session, session.get_one(Delivery, last.id), now=MORNING)
    outbox = Outbox()
    send_all(case, MORNING, outbox)
    assert outbox.messages == []
    assert said(case) == [("uncertain", False), ("uncertain", True), ("cancelled", True)]


def test_a_failure_that_passes_gathers_them_anew(case: Case) -> None:
    one_person(case)

    def busy() -> None:
        raise TransientFailure("451")

    send_one(case.database, Outbox(busy), now=MORNING, settings=case.settings)
    assert {state for state, _ in said(case)} == {"planned"}
    assert sound(case)
    outbox = Outbox()
    send_all(case, oslo(9, 1, 9), outbox)
    assert len(outbox.messages) == 1
    assert said(case) == [("sent", False), ("sent", True), ("sent", True)]


def test_after_a_crash_the_same_bytes_go_again_with_all_they_carry(case: Case) -> None:
    one_person(case)

    def die() -> None:
        raise _Killed

    first = Outbox(after=die)
    with pytest.raises(_Killed):
        send_one(case.database, first, now=MORNING, settings=case.settings)
    assert said(case) == [("sending", False), ("sending", True), ("sending", True)]
    assert sound(case)
    # The clock knows when it is given back, though what is carried has no lease of its own.
    with case.database.reading() as session:
        given_back = session.scalar(moments()[1])
    assert given_back == case.deliveries("sending")[0].lease_until is not None
    # One of them is answered meanwhile: the mail may have arrived, and goes as it was.
    case.change(case.deliveries("sending")[0].task_id or 0, state="completed")
    second = Outbox()
    send_all(case, oslo(9, 1, 9), second)
    assert [m.as_bytes() for m in second.messages] == [m.as_bytes() for m in first.messages]
    assert said(case) == [("sent", False), ("sent", True), ("sent", True)]


def test_one_mail_a_day_gathers_all_cases_but_what_is_urgent_goes_at_once(case: Case) -> None:
    person = one_person(case)
    with case.database.transaction() as session:
        user = session.get_one(User, person)
        preferences.choose(session, user, Preference(how=How.DAILY, hour=15), reminders=True, now=oslo(8, 31, 12))
    case.reconcile(MORNING)
    moments = {d.rule: d.planned_at for d in case.deliveries("planned") if d.recipient_id == person}
    # What was already to be said at once is not put off by the new choice.
    assert moments == {
        "assigned": MORNING, "reminder:10": oslo(9, 16, 15), "reminder:3": oslo(9, 25, 15),
        "reminder:0": oslo(9, 30),
    }  # fmt: skip
    outbox = Outbox()
    send_all(case, oslo(9, 16, 14, 59), outbox)
    assert len(outbox.messages) == 1
    send_all(case, oslo(9, 16, 15), outbox)
    assert outbox.messages[-1]["Subject"] == "Tre oppgaver venter på deg, alle har frist 30. september"


def test_several_reminders_of_one_task_gathered_for_one_day_are_one(case: Case) -> None:
    (task,) = case.survey(parties=["Larvik"])
    case.element.reminders = (6, 5, 4, 0)
    case.element.telling = "weekly 4 8"
    case.reconcile(MORNING)
    assert [rule for rule, at in case.planned(task) if at == oslo(9, 25)] == ["reminder:6", "reminder:5", "reminder:4"]
    outbox = Outbox()
    send_all(case, oslo(9, 4), outbox)
    send_all(case, oslo(9, 25), outbox)
    assert [m["Subject"] for m in outbox.messages][1:] == ["Tre virkedager igjen: vi mangler svar fra Larvik kommune"]


def test_the_most_specific_choice_wins(case: Case) -> None:
    task = case.group_task("kari", "ola")
    case.element.telling = "daily 15"
    with case.database.transaction() as session:
        group = session.get_one(UserTask, task).candidate_group
        kari = session.query(User).filter_by(key="kari").one()
        assert group is not None
        preferences.choose_for_group(session, group, Preference(how=How.DAILY, hour=10), now=oslo(8, 31, 12))
        preferences.choose(session, kari, Preference(how=How.DAILY, hour=12), reminders=False, now=oslo(8, 31, 12))
    case.reconcile(oslo(8, 31, 18))
    with case.database.reading() as session:
        names = {user.id: user.key for user in session.query(User)}
    planned = {(names[d.recipient_id], d.rule): d.planned_at for d in case.deliveries("planned")}
    assert planned["kari", "assigned"] == oslo(9, 1, 12)
    assert planned["ola", "assigned"] == oslo(9, 1, 10)
    assert planned["ola", "reminder:10"] == oslo(9, 16, 10)
    assert not [rule for name, rule in planned if name == "kari" and rule.startswith("reminder")]
    assert planned["kari", "overdue"] == oslo(10, 1, 8)


def test_a_reminder_turned_off_after_it_was_planned_does_not_leave(case: Case) -> None:
    person = one_person(case)
    send_all(case, MORNING, Outbox())
    with case.database.transaction() as session:
        preferences.turn_reminders(session, session.get_one(User, person), on=False, now=oslo(9, 2))
    outbox = Outbox()
    send_all(case, oslo(9, 16), outbox)
    assert outbox.messages == []
    case.reconcile(oslo(9, 17))
    assert not [d for d in case.deliveries("planned") if d.rule.startswith("reminder")]
    with case.database.transaction() as session:
        preferences.turn_reminders(session, session.get_one(User, person), on=True, now=oslo(9, 18))
    case.reconcile(oslo(9, 18))
    assert {d.rule for d in case.deliveries("planned")} == {"reminder:3", "reminder:0"}


@pytest.mark.parametrize(("role", "told"), [("leder", ["leder"]), (None, ["sekretariat"]), ("ukjent", ["sekretariat"])])
def test_who_is_silent_is_told_to_the_role_that_the_model_names(case: Case, role: str | None, told: list[str]) -> None:
    leader = case.add_person("leder", "Leder")
    with case.database.transaction() as session:
        session.get_one(ProcessInstance, case.instance_id).roles = {"leder": {"user": "leder", "id": leader}}
    case.element.escalate_to, case.element.escalate_after = role, 5
    case.survey(closes=False, parties=["Larvik"])
    case.reconcile(MORNING)
    escalations: Sequence[Delivery] = [d for d in case.deliveries("planned") if d.rule == "escalation"]
    assert [d.planned_at for d in escalations] == [oslo(10, 7)]
    with case.database.reading() as session:
        assert [session.get_one(User, d.recipient_id).key for d in escalations] == told


def test_workers_that_take_at_once_say_each_thing_once(tmp_path: object) -> None:
    database = Database(f"sqlite:///{tmp_path}/mails.db")
    case = Case(database)
    one_person(case)
    outbox = Outbox()
    inner = Outbox(before=lambda: send_all(case, MORNING, outbox))
    send_all(case, MORNING, inner)
    assert len(inner.messages) + len(outbox.messages) == 1
    database.dispose()
