"""A person's acts on a task: each allowed to the right people, once, and told in words when it is too late."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import steering, taking_back, user_tasks
from engine.errors import InvalidAnswers, InvalidInput, NotAllowed, NotOpen, Stale
from engine.identity import Person
from engine.model import UserTask
from tests.engine.drawing import closes, gateway, model, several, task
from tests.engine.lab import WITH_FORM, Lab, assert_chain_whole, events, kinds
from tests.fakes import oslo

MEETING = date(2026, 6, 10)
FOR_GROUP = model("start>ask ask>then then>end", task("ask", WITH_FORM), task("then"))
#: person1 fills in, person2 approves; person0 owns the case.
APPROVED = model(
    "start>ask ask>then then>end",
    task("ask", f'{WITH_FORM} camunda:assignee="person1"', properties={"approver": "person2"}),
    task("then"),
)
#: person1 and person2 are asked until the meeting, then it closes; person0 owns the case.
SURVEY = model(
    "start>ask ask>then shut>then then>end",
    task(
        "ask",
        f'{WITH_FORM} camunda:assignee="${{item.who}}" camunda:dueDate="${{meeting}}"',
        several(),
        {"output": "svar"},
    ),
    closes("shut", "ask"),
    task("then"),
)
TWO = {"items": [{"key": "a", "name": "Part A", "who": "person1"}, {"key": "b", "name": "Part B", "who": "person2"}]}


def act(lab: Lab, key: str, do: Callable[[Session, Person], Any]) -> Any:
    """Do something as that person, in a transaction of its own."""
    with lab.database.transaction() as session:
        return do(session, lab.person(session, key))


def read(lab: Lab, task_id: int) -> UserTask:
    with lab.database.reading() as session:
        return session.get_one(UserTask, task_id)


@pytest.fixture
def free(lab: Lab) -> UserTask:
    """A task that anyone in the group may take."""
    lab.people(4)
    lab.deploy(FOR_GROUP)
    return lab.task(lab.begin(owner="person3"), "ask")


@pytest.fixture
def approved(lab: Lab) -> UserTask:
    """A task that person1 fills in and person2 approves."""
    lab.deploy(APPROVED)
    return lab.task(lab.begin(), "ask")


def test_a_task_that_is_taken_can_be_given_back(lab: Lab, free: UserTask) -> None:
    taken = act(lab, "person1", lambda s, p: user_tasks.claim(s, free.id, actor=p, now=lab.clock()))
    assert not user_tasks.is_free(taken)
    again = act(lab, "person1", lambda s, p: user_tasks.claim(s, free.id, actor=p, now=lab.clock()))
    assert again.revision == taken.revision
    with pytest.raises(NotOpen, match="Expected to claim 'ask', but Person1 already has it"):
        act(lab, "person2", lambda s, p: user_tasks.claim(s, free.id, actor=p, now=lab.clock()))
    with pytest.raises(NotAllowed):
        lab.send(free.id, "person2", utfall="ja")
    with pytest.raises(NotAllowed, match="Only the one who took"):
        act(lab, "person2", lambda s, p: user_tasks.release(s, free.id, actor=p, now=lab.clock()))
    given_back = act(lab, "person1", lambda s, p: user_tasks.release(s, free.id, actor=p, now=lab.clock()))
    assert user_tasks.is_free(given_back)
    assert kinds(lab, free.instance_id)[-2:] == ["claimed", "released"]


def test_only_a_member_can_take_the_groups_task(lab: Lab, approved: UserTask) -> None:
    with pytest.raises(NotOpen, match="Person1 already has it"):
        act(lab, "person2", lambda s, p: user_tasks.claim(s, approved.id, actor=p, now=lab.clock()))


def test_a_task_can_be_handed_to_another_who_then_has_it(lab: Lab, free: UserTask) -> None:
    def hand_over(session: Session, person: Person) -> UserTask:
        to = lab.user(session, "person2")
        return user_tasks.delegate(session, free.id, to=to, actor=person, now=lab.clock(), reason="Ferie")

    act(lab, "person1", hand_over)
    assert [t.id for t in waiting_for(lab, "person2")] == [free.id]
    assert waiting_for(lab, "person1") == []
    assert events(lab, free.instance_id)[-1].note == "Ferie"
    with pytest.raises(NotAllowed):
        act(lab, "person1", hand_over)
    act(lab, "person3", hand_over)  # the owner may


def waiting_for(lab: Lab, key: str) -> list[UserTask]:
    with lab.database.reading() as session:
        query = select(UserTask).where(user_tasks.waits_for(lab.person(session, key)))
        return list(session.scalars(query))


def test_a_draft_is_kept_and_moves_nothing(lab: Lab, free: UserTask) -> None:
    before = lab.instance(free.instance_id)

    def draft(text: str) -> Callable[[Session, Person], UserTask]:
        return lambda s, p: user_tasks.save_draft(
            s, free.id, {"tekst": text, "tall": "ikke et tall"}, actor=p, now=lab.clock()
        )

    act(lab, "person1", draft("halvveis"))
    act(lab, "person1", draft("lenger"))
    kept = read(lab, free.id)
    assert (kept.state, kept.draft) == ("open", {"tekst": "lenger", "tall": "ikke et tall"})
    assert lab.instance(free.instance_id).revision == before.revision
    assert kinds(lab, free.instance_id).count("draft-saved") == 1
    lab.send(free.id, "person1", utfall="ja")
    assert read(lab, free.id).draft is None


def test_nobody_else_writes_in_a_persons_draft(lab: Lab, approved: UserTask) -> None:
    def draft(session: Session, person: Person) -> UserTask:
        return user_tasks.save_draft(session, approved.id, {"tekst": "x"}, actor=person, now=lab.clock())

    with pytest.raises(NotAllowed):
        act(lab, "person0", draft)
    assert act(lab, "person2", draft).draft == {"tekst": "x"}


def test_what_is_filled_in_waits_for_its_approver(lab: Lab, approved: UserTask) -> None:
    filled = lab.send(approved.id, "person1", utfall="ja")
    assert (filled.state, lab.waiting(approved.instance_id)) == ("submitted", ["ask"])
    assert [t.id for t in waiting_for(lab, "person2")] == [approved.id]
    assert waiting_for(lab, "person1") == []
    with pytest.raises(NotAllowed, match="Only the approver"):
        act(lab, "person1", lambda s, p: user_tasks.approve(s, approved.id, actor=p, now=lab.clock()))
    act(lab, "person2", lambda s, p: user_tasks.approve(s, approved.id, actor=p, now=lab.clock()))
    done = read(lab, approved.id)
    assert (done.state, done.answers, done.submitted_by_id != done.completed_by_id) == (
        "completed",
        {"utfall": "ja"},
        True,
    )
    assert lab.waiting(approved.instance_id) == ["then"]
    again = act(lab, "person2", lambda s, p: user_tasks.approve(s, approved.id, actor=p, now=lab.clock()))
    assert again.revision == done.revision


def test_an_approver_who_fills_in_alone_is_done_at_once(lab: Lab, approved: UserTask) -> None:
    assert lab.send(approved.id, "person2", utfall="ja").state == "completed"


def test_what_is_sent_back_is_a_draft_of_its_filler_again(lab: Lab, approved: UserTask) -> None:
    lab.send(approved.id, "person1", utfall="ja", tekst="for kort")
    with pytest.raises(NotAllowed):
        act(lab, "person1", lambda s, p: user_tasks.send_back(s, approved.id, actor=p, now=lab.clock(), note=""))
    act(lab, "person2", lambda s, p: user_tasks.send_back(s, approved.id, actor=p, now=lab.clock(), note="Skriv mer"))
    back = read(lab, approved.id)
    assert (back.state, back.draft) == ("open", {"utfall": "ja", "tekst": "for kort"})
    assert events(lab, approved.instance_id)[-1].note == "Skriv mer"
    assert lab.send(approved.id, "person1", utfall="ja", tekst="lenger").state == "submitted"


def test_completing_again_with_the_same_answers_gives_the_first_result(lab: Lab, free: UserTask) -> None:
    first = lab.send(free.id, "person1", utfall="ja", tall="12")
    again = lab.send(free.id, "person1", utfall="ja", tall=12)
    assert (again.revision, again.completed_at) == (first.revision, first.completed_at)
    assert kinds(lab, free.instance_id).count("completed-task") == 1
    with pytest.raises(NotOpen, match="already completed"):
        lab.send(free.id, "person1", utfall="nei")
    with pytest.raises(NotOpen, match="already completed"):
        lab.send(free.id, "person2", utfall="ja")


def test_whoever_opened_the_task_before_it_changed_is_told(lab: Lab, free: UserTask) -> None:
    act(lab, "person1", lambda s, p: user_tasks.claim(s, free.id, actor=p, now=lab.clock()))
    with pytest.raises(Stale):
        act(
            lab,
            "person1",
            lambda s, p: user_tasks.complete(s, free.id, {}, actor=p, now=lab.clock(), revision=free.revision),
        )
    assert read(lab, free.id).state == "open"


def test_answers_that_do_not_fit_name_their_fields_and_change_nothing(lab: Lab, free: UserTask) -> None:
    with pytest.raises(InvalidAnswers) as refused:
        lab.send(free.id, "person1", tall="mange", tekst="x" * 201, ukjent=1)
    assert {p.key for p in refused.value.problems} == {"tall", "tekst", "ukjent"}
    assert (read(lab, free.id).revision, read(lab, free.id).answers) == (free.revision, None)


def test_the_owner_answers_on_behalf_with_a_reason(lab: Lab, approved: UserTask) -> None:
    def answer(reason: str | None) -> Callable[[Session, Person], UserTask]:
        return lambda s, p: user_tasks.complete(
            s, approved.id, {"utfall": "ja"}, actor=p, now=lab.clock(), reason=reason
        )

    with pytest.raises(InvalidInput, match="Say why"):
        act(lab, "person0", answer(None))
    assert act(lab, "person0", answer("Meldt på telefon")).state == "completed"
    (event,) = [e for e in events(lab, approved.instance_id) if e.kind == "answered-on-behalf"]
    with lab.database.reading() as session:
        assert event.on_behalf_of_id == lab.user(session, "person2").id
    assert (event.note, event.actor_id) == ("Meldt på telefon", 1)


def test_nobody_else_may_answer(lab: Lab, approved: UserTask) -> None:
    lab.people(4)
    with pytest.raises(NotAllowed, match="assigned to someone else"):
        lab.send(approved.id, "person3", utfall="ja")


def test_one_party_gets_more_time_and_the_others_do_not(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(data=TWO, facts={"meeting": MEETING})
    first, second = lab.tasks(case)
    later = date(2026, 6, 17)

    def extend(session: Session, person: Person) -> UserTask:
        return steering.extend(session, first.id, due_date=later, actor=person, now=lab.clock(), reason="Ferie")

    with pytest.raises(NotAllowed):
        act(lab, "person1", extend)
    act(lab, "person0", extend)
    assert [t.due_date for t in lab.tasks(case)] == [later, MEETING]
    assert lab.steps(case)[0].due_date == later
    lab.clock.to(date(2026, 6, 11), 0)
    assert lab.wake(case)
    assert [(t.item, t.state) for t in lab.tasks(case, states=("open", "closed"))] == [("a", "open"), ("b", "closed")]
    with pytest.raises(NotOpen, match="deadline has passed"):
        lab.send(second.id, "person2", utfall="ja")
    assert lab.instance(case).wake_at == oslo(date(2026, 6, 18), 0)
    lab.send(first.id, "person1", utfall="ja")
    ask, then = lab.steps(case)
    assert (ask.state, ask.total, ask.completed, then.element_id) == ("completed", 2, 1, "then")
    assert_chain_whole(lab, case)


def test_a_step_closes_at_its_latest_extension_when_nobody_answers(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(data=TWO, facts={"meeting": MEETING})
    for number, asked in enumerate(lab.tasks(case)):
        due = date(2026, 6, 12 + 3 * number)
        act(
            lab,
            "person0",
            lambda s, p, t=asked, d=due: steering.extend(s, t.id, due_date=d, actor=p, now=lab.clock(), reason=""),
        )
    for day, left in ((date(2026, 6, 11), 2), (date(2026, 6, 13), 1), (date(2026, 6, 16), 0)):
        lab.clock.to(day, 0)
        lab.wake(case)
        assert len(lab.tasks(case, "ask")) == left
    assert [s.state for s in lab.steps(case)] == ["closed", "open"]


def test_a_date_set_by_hand_stays_when_the_meeting_moves(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(data=TWO, facts={"meeting": MEETING})
    first = lab.tasks(case)[0]
    later = date(2026, 6, 17)
    act(lab, "person0", lambda s, p: steering.extend(s, first.id, due_date=later, actor=p, now=lab.clock(), reason=""))
    lab.set_facts(case, meeting=date(2026, 6, 12))
    assert [t.due_date for t in lab.tasks(case)] == [later, date(2026, 6, 12)]
    assert lab.instance(case).wake_at == oslo(date(2026, 6, 13), 0)


def give_until(lab: Lab, asked: UserTask, day: date) -> None:
    """The owner gives another due date."""
    act(lab, "person0", lambda s, p: steering.extend(s, asked.id, due_date=day, actor=p, now=lab.clock(), reason=""))


def test_a_step_ends_with_its_last_answer_also_when_another_had_less_time(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(data=TWO, facts={"meeting": MEETING})
    first, second = lab.tasks(case)
    give_until(lab, second, date(2026, 6, 5))
    lab.clock.to(date(2026, 6, 6), 0)
    assert lab.wake(case)
    lab.send(first.id, "person1", utfall="ja")
    assert [(s.element_id, s.state) for s in lab.steps(case)] == [("ask", "completed"), ("then", "open")]


def test_a_step_is_due_with_the_latest_of_those_who_have_not_answered(lab: Lab) -> None:
    lab.deploy(SURVEY)
    case = lab.begin(data=TWO, facts={"meeting": MEETING})
    first = lab.tasks(case)[0]
    later = date(2026, 6, 17)
    give_until(lab, first, later)
    lab.send(first.id, "person1", utfall="ja")
    assert (lab.steps(case)[0].due_date, lab.instance(case).wake_at) == (MEETING, oslo(date(2026, 6, 11), 0))
    act(lab, "person1", lambda s, p: taking_back.take_back(s, first.id, actor=p, now=lab.clock()))
    assert lab.steps(case)[0].due_date == later
    lab.clock.to(date(2026, 6, 11), 0)
    lab.wake(case)
    assert [t.id for t in lab.tasks(case, "ask")] == [first.id]


def test_the_owner_passes_a_step_by_with_a_reason(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>ask ask>which which>a which>b a>end b>end",
            task("ask", WITH_FORM),
            gateway("which", "b"),
            task("a"),
            task("b"),
            conditions={"which>a": "${utfall == 'ja'}"},
        )
    )
    case = lab.begin()
    (step,) = lab.steps(case)

    def skip(reason: str) -> Callable[[Session, Person], Any]:
        return lambda s, p: steering.skip(s, step.id, actor=p, now=lab.clock(), reason=reason, answers={"utfall": "ja"})

    with pytest.raises(InvalidInput, match="Say why"):
        act(lab, "person0", skip(""))
    with pytest.raises(NotAllowed):
        act(lab, "person1", skip("Ikke nødvendig"))
    act(lab, "person0", skip("Ikke nødvendig"))
    assert lab.waiting(case) == ["a"]
    assert [t.state for t in lab.tasks(case, "ask", states=("skipped",))] == ["skipped"]
    with pytest.raises(NotOpen, match="already skipped"):
        act(lab, "person0", skip("Igjen"))


def test_an_answer_is_corrected_with_a_reason_and_the_case_stands_where_it_stands(lab: Lab, free: UserTask) -> None:
    lab.send(free.id, "person1", utfall="ja", tekst="skrivefiel")

    def correct(reason: str, **answers: str) -> Callable[[Session, Person], UserTask]:
        return lambda s, p: steering.correct(s, free.id, answers, actor=p, now=lab.clock(), reason=reason)

    with pytest.raises(NotAllowed):
        act(lab, "person1", correct("Skrivefeil", utfall="ja", tekst="skrivefeil"))
    with pytest.raises(InvalidInput, match="Say why"):
        act(lab, "person3", correct(" ", utfall="ja", tekst="skrivefeil"))
    act(lab, "person3", correct("Skrivefeil", utfall="ja", tekst="skrivefeil"))
    assert read(lab, free.id).answers == {"utfall": "ja", "tekst": "skrivefeil"}
    event = events(lab, free.instance_id)[-1]
    assert (event.kind, event.data["fields"]) == ("corrected", ["tekst"])
    assert lab.waiting(free.instance_id) == ["then"]
