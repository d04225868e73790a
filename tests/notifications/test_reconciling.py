"""Who is told what, and when: planned from rows, in virtual 2026."""

from datetime import date, timedelta

from mail_rows import DUE, OPENED, Case, oslo
from outbox import Outbox, send_all

from engine.model import ProcessInstance, User, UserTask
from notifications.reconciling import remind_now


def test_survey_is_told_at_opening_and_reminded_on_16_25_and_30_september(case: Case) -> None:
    larvik = case.survey()[0]
    case.reconcile(OPENED)
    assert case.planned(larvik) == [
        ("assigned", oslo(9, 1)),
        ("reminder:10", oslo(9, 16)),
        ("reminder:3", oslo(9, 25)),
        ("reminder:0", oslo(9, 30)),
    ]


def test_step_that_opens_in_office_hours_is_told_at_once(case: Case) -> None:
    task = case.survey(opened=oslo(9, 1, 13, 20))[0]
    case.reconcile(oslo(9, 1, 13, 20))
    assert case.planned(task)[0] == ("assigned", oslo(9, 1, 13, 20))


def test_reconciling_again_changes_nothing(case: Case) -> None:
    case.survey()
    case.reconcile(OPENED)
    before = [(d.id, d.planned_at, d.state, d.message_id) for d in case.deliveries()]
    case.reconcile(OPENED + timedelta(hours=9))
    assert [(d.id, d.planned_at, d.state, d.message_id) for d in case.deliveries()] == before


def test_message_id_is_made_with_the_row(case: Case) -> None:
    case.survey()
    case.reconcile(OPENED)
    row = case.deliveries()[0]
    assert row.message_id == f"<{row.public_id}@avtaleflyt.example.org>"


def test_only_the_silent_are_reminded(case: Case) -> None:
    larvik, sandefjord, _ = case.survey()
    case.reconcile(OPENED)
    case.change(larvik, state="completed")
    case.reconcile(oslo(9, 10))
    assert case.planned(larvik) == []
    assert [rule for rule, _ in case.planned(sandefjord)][1:] == ["reminder:10", "reminder:3", "reminder:0"]


def test_short_step_skips_the_early_reminders(case: Case) -> None:
    task = case.survey(opened=oslo(9, 17, 9))[0]
    case.reconcile(oslo(9, 17, 9))
    assert case.planned(task) == [("assigned", oslo(9, 17, 9)), ("reminder:0", oslo(9, 30))]


def test_step_of_exactly_ten_working_days_drops_the_reminder_that_is_already_past(case: Case) -> None:
    task = case.survey(opened=oslo(9, 16, 9))[0]
    case.reconcile(oslo(9, 16, 9))
    assert [rule for rule, _ in case.planned(task)] == ["assigned", "reminder:3", "reminder:0"]


def test_task_that_opens_on_its_due_date_gets_one_mail(case: Case) -> None:
    task = case.survey(opened=oslo(9, 30, 0), due=DUE)[0]
    case.reconcile(oslo(9, 30, 0))
    assert case.planned(task) == [("assigned", oslo(9, 30))]


def test_task_without_due_date_is_told_and_never_reminded(case: Case) -> None:
    task = case.survey(due=None)[0]
    case.reconcile(OPENED)
    assert [rule for rule, _ in case.planned(task)] == ["assigned"]


def test_step_that_does_not_close_is_overdue_next_working_day_and_escalated_after_two(case: Case) -> None:
    task = case.survey(closes=False)[0]
    case.reconcile(OPENED)
    assert case.planned(task)[-1] == ("overdue", oslo(10, 1))
    escalations = [d for d in case.deliveries("planned") if d.rule == "escalation"]
    assert [(d.recipient_id, d.planned_at, d.task_id) for d in escalations] == [(case.owner.id, oslo(10, 2), None)]


def test_owner_is_not_told_of_their_own_silence(case: Case) -> None:
    case.survey(closes=False)
    with case.database.transaction() as session:
        for row in session.query(UserTask):
            row.assignee_id = case.owner.id
    case.reconcile(OPENED)
    assert "escalation" not in {rule for rule, _ in case.planned()}


def test_escalation_goes_to_the_owning_group_when_nobody_owns_the_case(case: Case) -> None:
    case.group_task("rådgiver", "leder")
    case.survey(closes=False)
    case.set_instance(owner_id=None, owner_group_id=case.group.id)
    case.reconcile(OPENED)
    surveys = [d for d in case.deliveries("planned") if d.rule == "escalation"]
    assert len(surveys) == 2


def test_moved_date_is_told_once_to_those_who_knew_the_former(case: Case) -> None:
    larvik, sandefjord, _ = case.survey()
    mailer = Outbox()
    case.reconcile(OPENED)
    send_all(case, oslo(9, 1), mailer)
    case.change(sandefjord, state="completed")
    for task in (larvik, sandefjord):
        case.change(task, due_date=date(2026, 10, 2))
    for hour in (9, 10, 11):
        case.reconcile(oslo(9, 3, hour))
        send_all(case, oslo(9, 3, hour), mailer)
    assert [m["Subject"] for m in mailer.messages if "Ny frist" in m["Subject"]] == [
        "Ny frist: 2. oktober (før 30. september)"
    ]
    assert case.planned(larvik) == [
        ("reminder:10", oslo(9, 18)),
        ("reminder:3", oslo(9, 29)),
        ("reminder:0", oslo(10, 2)),
    ]


def test_date_that_moves_and_comes_back_before_anyone_is_told_sends_nothing(case: Case) -> None:
    larvik = case.survey()[0]
    mailer = Outbox()
    case.reconcile(OPENED)
    send_all(case, oslo(9, 1), mailer)
    case.change(larvik, due_date=date(2026, 10, 2))
    case.reconcile(oslo(9, 3))
    case.change(larvik, due_date=DUE)
    case.reconcile(oslo(9, 3))
    assert "due_changed" not in {rule for rule, _ in case.planned(larvik)}
    assert ("reminder:10", oslo(9, 16)) in case.planned(larvik)


def test_date_that_moves_before_the_first_mail_makes_no_mail_of_its_own(case: Case) -> None:
    larvik = case.survey()[0]
    case.reconcile(OPENED)
    case.change(larvik, due_date=date(2026, 10, 2))
    case.reconcile(oslo(9, 1, 3))
    assert [rule for rule, _ in case.planned(larvik)] == [
        "assigned",
        "reminder:10",
        "reminder:3",
        "reminder:0",
    ]


def test_what_was_to_be_said_on_a_saturday_waits_for_monday_when_the_date_moves(case: Case) -> None:
    late = case.survey(opened=oslo(9, 11, 21), due=date(2026, 9, 11), closes=False)[0]
    case.reconcile(oslo(9, 11, 21))
    assert ("assigned", oslo(9, 12)) in case.planned(late)  # it is late already
    case.change(late, due_date=DUE)
    case.reconcile(oslo(9, 11, 22))
    assert ("assigned", oslo(9, 14)) in case.planned(late)
    # When its moment has come it waits only to be taken.
    case.reconcile(oslo(9, 14, 8, 5))
    assert ("assigned", oslo(9, 14)) in case.planned(late)


def test_reminder_whose_time_is_past_when_the_date_moves_is_dropped(case: Case) -> None:
    larvik = case.survey()[0]
    mailer = Outbox()
    case.reconcile(OPENED)
    send_all(case, oslo(9, 1), mailer)
    case.change(larvik, due_date=date(2026, 9, 22))
    case.reconcile(oslo(9, 10))
    assert [rule for rule, _ in case.planned(larvik)] == ["due_changed", "reminder:3", "reminder:0"]


def test_due_date_that_becomes_known_is_told(case: Case) -> None:
    larvik = case.survey(due=None)[0]
    mailer = Outbox()
    case.reconcile(OPENED)
    send_all(case, oslo(9, 1), mailer)
    case.change(larvik, due_date=DUE)
    case.reconcile(oslo(9, 2))
    send_all(case, oslo(9, 2), mailer)
    assert mailer.messages[-1]["Subject"] == "Ny frist: 30. september"


def test_handing_over_tells_the_new_one_and_cancels_the_rest(case: Case) -> None:
    larvik = case.survey()[0]
    case.reconcile(OPENED)
    adviser = case.add_person("radgiver", "Rådgiver helse, Larvik")
    case.change(larvik, assignee_id=adviser)
    case.reconcile(oslo(9, 2, 12))
    rows = case.deliveries("planned", task_id=larvik)
    assert {d.recipient_id for d in rows} == {adviser}
    assert rows[0].rule == "assigned" and rows[0].planned_at == oslo(9, 2, 12)


def test_task_that_comes_back_is_reminded_again(case: Case) -> None:
    larvik = case.survey()[0]
    case.reconcile(OPENED)
    before = case.planned(larvik)
    contact = case.deliveries(task_id=larvik)[0].recipient_id
    case.change(larvik, assignee_id=case.add_person("radgiver", "Rådgiver"))
    case.reconcile(OPENED)
    case.change(larvik, assignee_id=contact)
    case.reconcile(OPENED)
    assert case.planned(larvik) == before


def test_everyone_in_the_group_is_told_until_someone_takes_the_task(case: Case) -> None:
    task = case.group_task("rådgiver", "leder")
    case.reconcile(OPENED)
    rows = case.deliveries("planned", task_id=task)
    assert len({d.recipient_id for d in rows}) == 2
    case.change(task, assignee_id=rows[0].recipient_id)
    case.reconcile(OPENED)
    assert {d.recipient_id for d in case.deliveries("planned", task_id=task)} == {rows[0].recipient_id}


def test_people_who_left_are_not_written_to(case: Case) -> None:
    larvik = case.survey()[0]
    with case.database.transaction() as session:
        assignee = session.get_one(UserTask, larvik).assignee_id
        session.get_one(User, assignee).active = False
    case.reconcile(OPENED)
    assert case.planned(larvik) == []


def test_approver_has_the_ball_when_the_answer_is_submitted(case: Case) -> None:
    larvik = case.survey()[0]
    mailer = Outbox()
    case.reconcile(OPENED)
    send_all(case, oslo(9, 1), mailer)
    case.submit(larvik, oslo(9, 10, 14, 12))
    case.reconcile(oslo(9, 10, 14, 12))
    rows = case.deliveries("planned", task_id=larvik)
    assert [d.rule for d in rows] == ["approval", "reminder:10", "reminder:3", "reminder:0"]
    with case.database.reading() as session:
        assert {d.recipient_id for d in rows} == {session.get_one(UserTask, larvik).approver_id}


def test_answer_that_is_sent_back_and_submitted_again_is_told_each_time(case: Case) -> None:
    larvik = case.survey()[0]
    mailer = Outbox()
    case.reconcile(OPENED)
    send_all(case, oslo(9, 1), mailer)
    mailer.messages.clear()
    for day in (10, 14):
        case.submit(larvik, oslo(9, day))
        case.reconcile(oslo(9, day))
        send_all(case, oslo(9, day), mailer)
        case.send_back(larvik, oslo(9, day + 1))
        case.reconcile(oslo(9, day + 1))
        send_all(case, oslo(9, day + 1), mailer)
    told = [m["Subject"].partition(":")[0] for m in mailer.messages if "Larvik" in m["To"]]
    assert told == ["Til godkjenning innen 30. september", "Sendt tilbake"] * 2


def test_case_that_stands_still_sends_nothing_and_goes_on_later(case: Case) -> None:
    larvik = case.survey()[0]
    case.reconcile(OPENED)
    before = case.planned(larvik)
    case.set_instance(state="suspended")
    case.reconcile(OPENED)
    assert case.planned() == []
    case.set_instance(state="active")
    case.reconcile(OPENED)
    assert case.planned(larvik) == before


def test_owner_reminds_the_silent_at_most_once_an_hour(case: Case) -> None:
    tasks = case.survey()
    case.change(tasks[1], state="completed")
    assert [remind(case, 9), remind(case, 9, 30), remind(case, 10)] == [2, 0, 2]
    assert {d.asked_by_id for d in case.deliveries()} == {case.owner.id}


def test_reminder_asked_for_by_hand_survives_reconciling_until_the_answer_comes(case: Case) -> None:
    larvik, *_ = case.survey()
    case.reconcile(OPENED)
    remind(case, 9)
    case.reconcile(oslo(9, 21, 9))
    assert "remind_now" in {rule for rule, _ in case.planned(larvik)}
    case.change(larvik, state="completed")
    case.reconcile(oslo(9, 21, 9))
    assert case.planned(larvik) == []


def remind(case: Case, hour: int, minute: int = 0) -> int:
    """The owner presses the button on 21 September."""
    with case.database.transaction() as session:
        instance = session.get_one(ProcessInstance, case.instance_id)
        tasks = session.query(UserTask).all()
        now = oslo(9, 21, hour, minute)
        return remind_now(session, instance, tasks, now=now, actor=case.owner, settings=case.settings)


def test_the_owner_is_told_once_of_an_incident_that_the_engine_has_given_up(case: Case) -> None:
    incident, mailer = case.incident(retry_at=OPENED), Outbox()
    case.reconcile(OPENED)
    assert case.planned() == []
    case.set_incident(incident, retry_at=None)
    case.reconcile(oslo(9, 1, 3))
    told = case.deliveries("planned")
    assert [(d.rule, d.recipient_id, d.planned_at) for d in told] == [("incident", case.owner.id, oslo(9, 1))]
    for hour in (9, 10):
        case.reconcile(oslo(9, 1, hour))
        send_all(case, oslo(9, 1, hour), mailer)
    assert [m["Subject"] for m in mailer.messages] == [
        "Saken står stille: evaluering av delavtale om helhetlige pasientforløp"
    ]
    assert "/saker/sakensnummer" in mailer.messages[0].as_string()


def test_each_incident_has_a_mail_of_its_own_to_every_owner(case: Case) -> None:
    case.group_task("rådgiver", "leder")
    case.set_instance(owner_id=None, owner_group_id=case.group.id)
    case.incident()
    case.incident()
    case.reconcile(OPENED)
    assert len([d for d in case.deliveries("planned") if d.rule == "incident"]) == 4


def test_nobody_is_told_of_an_incident_that_is_resolved_or_on_hold(case: Case) -> None:
    incident = case.incident()
    case.reconcile(oslo(9, 1, 3))
    case.set_instance(state="suspended")
    case.reconcile(oslo(9, 1, 4))
    assert case.planned() == []
    case.set_instance(state="active")
    case.reconcile(oslo(9, 1, 5))
    assert [rule for rule, _ in case.planned()] == ["incident"]
    case.set_incident(incident, resolved_at=oslo(9, 1, 6))
    case.set_instance(open_incidents=0)
    case.reconcile(oslo(9, 1, 6))
    assert case.planned() == []


def test_a_mail_about_an_incident_that_was_resolved_meanwhile_does_not_leave(case: Case) -> None:
    incident, mailer = case.incident(), Outbox()
    case.reconcile(OPENED)
    case.set_incident(incident, resolved_at=OPENED)
    send_all(case, oslo(9, 1), mailer)
    assert (mailer.messages, [d.state for d in case.deliveries()]) == ([], ["cancelled"])
