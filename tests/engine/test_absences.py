"""Someone is away: whoever stands in has their tasks, approvals and cases meanwhile, and history says for whom."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine import absences, hand_dates, identity, jobs, process_instances, standing, steering, user_tasks
from engine.absences import Period
from engine.errors import InvalidInput, NotAllowed, NotFound, NotOpen
from engine.identity import Person
from engine.model import Absence, Job, ProcessInstance, UserTask
from tests.engine.drawing import LANE, model, task
from tests.engine.lab import WITH_FORM, Lab, assert_chain_whole, events, kinds

#: person1 fills in, person2 approves; person0 owns the case.
APPROVED = model(
    "start>ask ask>then then>end",
    task("ask", f'{WITH_FORM} camunda:assignee="person1"', properties={"approver": "person2"}),
    task("then"),
)
FOR_GROUP = model("start>ask ask>end", task("ask", WITH_FORM))
TODAY = date(2026, 5, 18)


def act(lab: Lab, key: str, do: Callable[[Session, Person], Any]) -> Any:
    """Do something as that person, in a transaction of its own."""
    with lab.database.transaction() as session:
        return do(session, lab.person(session, key))


def away(lab: Lab, who: str, deputy: str, *, starts: int = 0, days: int = 5, by: str = "", others: bool = False) -> str:
    """Register the absence, from so many days from today on; answers its public id."""
    first = lab.clock.today + timedelta(days=starts)
    last = first + timedelta(days=days - 1)
    with lab.database.transaction() as session:
        period = Period(user=lab.user(session, who), deputy=lab.user(session, deputy), starts_on=first, ends_on=last)
        actor = lab.person(session, by or who)
        made = absences.register(session, period, actor=actor, for_others=others, now=lab.clock())
        return made.public_id


def stands_in(lab: Lab) -> dict[str, str | None]:
    """Who is away now -> who stands in."""
    with lab.database.reading() as session:
        current = session.scalars(select(Absence).where(Absence.told)).all()
        people = {u.id: u.key for u in session.scalars(select(identity.User))}
        return {people[a.user_id]: people.get(a.stand_in_id or 0) for a in current}


def next_day(lab: Lab, days: int = 1) -> None:
    """Let the days pass, and do the jobs that fall due at midnight."""
    lab.clock.to(lab.clock.today + timedelta(days=days), 0)
    while jobs.run_one(lab.database, absences.handlers(), lab.clock()):
        continue


def waiting(lab: Lab, key: str) -> list[str]:
    """What waits for that person."""
    with lab.database.reading() as session:
        person = lab.person(session, key)
        return list(session.scalars(select(UserTask.name).where(user_tasks.waits_for(person))))


@pytest.fixture
def case(lab: Lab) -> int:
    """A case that asks person1, and then its approver, person2."""
    lab.people(5)
    lab.deploy(APPROVED)
    return lab.begin(owner="person0")


def test_a_deputy_fills_in_and_approves_for_the_days_of_the_absence_and_no_longer(lab: Lab, case: int) -> None:
    ask = lab.task(case, "ask")
    with pytest.raises(NotFound):
        act(lab, "person4", lambda s, p: identity.task_by_id(s, p, ask.public_id))
    away(lab, "person1", "person4", starts=1, days=2)
    assert (waiting(lab, "person4"), stands_in(lab)) == ([], {})
    next_day(lab)
    assert stands_in(lab) == {"person1": "person4"}
    assert waiting(lab, "person4") == ["ask"]
    assert act(lab, "person4", lambda s, p: identity.instance_by_id(s, p, lab.instance(case).public_id)) is not None
    act(lab, "person4", lambda s, p: user_tasks.save_draft(s, ask.id, {"tekst": "a"}, actor=p, now=lab.clock()))
    act(lab, "person4", lambda s, p: user_tasks.complete(s, ask.id, {"tekst": "a"}, actor=p, now=lab.clock()))
    with pytest.raises(NotAllowed):
        act(lab, "person4", lambda s, p: user_tasks.approve(s, ask.id, actor=p, now=lab.clock()))
    next_day(lab, 2)
    assert stands_in(lab) == {}
    with pytest.raises(NotAllowed):
        act(lab, "person4", lambda s, p: user_tasks.approve(s, ask.id, actor=p, now=lab.clock()))
    away(lab, "person2", "person4", days=1)
    act(
        lab,
        "person4",
        lambda s, p: user_tasks.send_back(s, ask.id, actor=p, now=lab.clock(), note="Mer"),
    )
    act(lab, "person1", lambda s, p: user_tasks.complete(s, ask.id, {"tekst": "b"}, actor=p, now=lab.clock()))
    act(lab, "person4", lambda s, p: user_tasks.approve(s, ask.id, actor=p, now=lab.clock()))
    told = [(e.kind, e.on_behalf_of_id and e.on_behalf_of_id - 1) for e in events(lab, case) if e.actor_id]
    assert told == [
        ("started", None), ("draft-saved", 1), ("submitted", 1), ("sent-back", 2), ("submitted", None), ("approved", 2),
    ]  # fmt: skip
    assert [k for k in kinds(lab, case) if k.startswith("absence")] == [
        "absence-began", "absence-ended", "absence-began",
    ]  # fmt: skip
    assert_chain_whole(lab, case)


def test_who_stands_in_for_the_owner_steers_the_case_and_is_no_administrator(lab: Lab, case: int) -> None:
    def owns(key: str) -> bool:
        return bool(act(lab, key, lambda s, p: identity.owns(p, s.get_one(ProcessInstance, case))))

    with lab.database.transaction() as session:
        outsider = identity.User(community_id=lab.community_id, key="ute", name="Ute", email="ute@example.org")
        session.add(outsider)
        lab.user(session, "person0").is_admin = True
    assert (owns("person0"), owns("ute")) == (True, False)
    away(lab, "person0", "ute", days=1)
    assert owns("ute")
    assert not act(lab, "ute", lambda s, p: p.is_admin)
    next_day(lab)
    assert not owns("ute")


def test_what_a_deputy_does_as_the_owner_is_done_on_the_owners_behalf_and_nothing_else_is(lab: Lab, case: int) -> None:
    ask, later = lab.task(case, "ask"), lab.clock.today + timedelta(days=20)
    with lab.database.transaction() as session:
        outsider = identity.User(community_id=lab.community_id, key="ute", name="Ute", email="ute@example.org")
        session.add(outsider)
    away(lab, "person0", "ute", days=1)

    def steer(do: Callable[[Session, ProcessInstance, Person], Any]) -> None:
        act(lab, "ute", lambda s, p: do(s, process_instances.locked(s, case), p))

    now = lab.clock()
    steer(lambda s, i, p: steering.extend(s, ask.id, due_date=later, actor=p, now=now, reason=""))
    steer(lambda s, i, p: steering.set_date(s, i, hand_dates.place_of("", "then"), later, actor=p, now=now))
    steer(lambda s, i, p: standing.suspend(s, i, now=now, actor_id=p.id, reason="Vent"))
    steer(lambda s, i, p: standing.resume(s, i, now=now, actor_id=p.id, reason=""))
    steer(lambda s, i, p: process_instances.set_facts(s, i, {"ssu": later}, now=now, actor_id=p.id))
    steer(lambda s, i, p: user_tasks.delegate(s, ask.id, to=lab.user(s, "ute"), actor=p, now=now))
    # The task is the deputy's own now, and so is what they write in it.
    steer(lambda s, i, p: user_tasks.save_draft(s, ask.id, {"tekst": "a"}, actor=p, now=now))
    next_day(lab)
    with pytest.raises(NotAllowed):
        steer(lambda s, i, p: steering.extend(s, ask.id, due_date=later, actor=p, now=lab.clock(), reason=""))
    told = {e.kind: e.on_behalf_of_id for e in events(lab, case) if e.actor_id == outsider.id}
    assert told == {
        "extended": 1, "date-set": 1, "suspended": 1, "resumed": 1, "facts-set": 1, "delegated": 1, "draft-saved": None,
    }  # fmt: skip
    assert_chain_whole(lab, case)


def test_who_owns_a_case_by_their_group_steers_it_for_nobody_else(lab: Lab) -> None:
    lab.people(5)
    lab.deploy(FOR_GROUP)
    ask = lab.task(lab.begin(), "ask")
    with lab.database.transaction() as session:
        outsider = identity.User(community_id=lab.community_id, key="ute", name="Ute", email="ute@example.org")
        session.add(outsider)
        group = identity.group(session, lab.community_id, LANE)
        case = session.get_one(ProcessInstance, ask.instance_id)
        case.owner_id, case.owner_group_id = None, group.id
    for deputy in ("person2", "ute"):
        away(lab, {"person2": "person1", "ute": "person3"}[deputy], deputy)
        due = lab.clock.today + timedelta(days=9)
        act(
            lab,
            deputy,
            lambda s, p, due=due: steering.extend(s, ask.id, due_date=due, actor=p, now=lab.clock(), reason=""),
        )
    told = [e.on_behalf_of_id for e in events(lab, ask.instance_id) if e.kind == "extended"]
    assert told == [None, 4]


def test_a_groups_task_is_free_for_who_stands_in_for_one_of_its_members(lab: Lab) -> None:
    lab.people(3)
    lab.deploy(FOR_GROUP)
    ask = lab.task(lab.begin(), "ask")
    with lab.database.transaction() as session:
        outsider = identity.User(community_id=lab.community_id, key="ute", name="Ute", email="ute@example.org")
        session.add(outsider)
    with pytest.raises(NotAllowed):
        act(lab, "ute", lambda s, p: user_tasks.claim(s, ask.id, actor=p, now=lab.clock()))
    away(lab, "person1", "ute")
    act(lab, "ute", lambda s, p: user_tasks.claim(s, ask.id, actor=p, now=lab.clock()))
    claimed = next(e for e in events(lab, ask.instance_id) if e.kind == "claimed")
    assert claimed.on_behalf_of_id == 2


def test_who_stands_in_for_a_deputy_stands_in_for_both_and_circles_leave_nobody(lab: Lab, case: int) -> None:
    away(lab, "person1", "person3")
    first = away(lab, "person3", "person4", days=2)
    assert stands_in(lab) == {"person1": "person4", "person3": "person4"}
    assert "absence-uncovered" not in kinds(lab, case)
    away(lab, "person4", "person1")
    assert stands_in(lab) == {"person1": None, "person3": None, "person4": None}
    assert kinds(lab, case)[-1] == "absence-uncovered"
    next_day(lab, 2)  # person3 is back
    assert stands_in(lab) == {"person1": "person3", "person4": "person3"}
    with lab.database.reading() as session:
        people = range(1, 6)
        assert absences.standing_in(session, people, lab.clock.today) == {2: 4, 5: 4}
        assert absences.standing_in(session, people, lab.clock.today + timedelta(days=30)) == {}
    with pytest.raises(NotOpen):
        act(
            lab,
            "person3",
            lambda s, p: absences.end_on(
                s, absences.find(s, p, first, for_others=False), lab.clock.today, now=lab.clock()
            ),
        )


def test_the_chain_of_deputies_is_followed_five_times() -> None:
    chain = {n: n + 1 for n in range(1, absences.MAX_DEPUTIES + 1)}
    assert absences.last_deputy(1, chain, range(1, 20)) == absences.MAX_DEPUTIES + 1
    assert absences.last_deputy(1, chain | {absences.MAX_DEPUTIES + 1: 19}, range(1, 20)) is None
    assert absences.last_deputy(1, chain, range(1, 4)) is None
    assert absences.last_deputy(1, {1: 2, 2: 3, 3: 2}, range(1, 4)) is None


def test_an_absence_is_shortened_and_cancelled_by_who_is_away_or_the_secretariat(lab: Lab, case: int) -> None:
    key = away(lab, "person1", "person4", days=10)
    with pytest.raises(NotFound):
        act(lab, "person3", lambda s, p: absences.find(s, p, key, for_others=False))
    with pytest.raises(NotAllowed):
        act(lab, "person4", lambda s, p: absences.find(s, p, key, for_others=False))

    def shorten(session: Session, person: Person) -> None:
        found = absences.find(session, person, key, for_others=True)
        absences.end_on(session, found, lab.clock.today + timedelta(days=1), now=lab.clock())

    act(lab, "person3", shorten)
    next_day(lab)
    assert stands_in(lab) == {"person1": "person4"}
    next_day(lab)
    assert stands_in(lab) == {}
    again = away(lab, "person1", "person4", starts=3)
    for _ in range(2):
        act(
            lab,
            "person1",
            lambda s, p: absences.cancel(s, absences.find(s, p, again, for_others=False), now=lab.clock()),
        )
    next_day(lab, 4)
    assert stands_in(lab) == {}
    with lab.database.reading() as session:
        assert session.scalars(select(Absence.state).order_by(Absence.id)).all() == ["ended", "cancelled"]


def test_what_is_no_absence_is_refused_with_the_field_to_blame(lab: Lab, case: int) -> None:
    away(lab, "person1", "person4", days=3)
    refused = {
        "deputy": {"who": "person3", "deputy": "person3"},
        "ends_on": {"who": "person3", "deputy": "person4", "days": 400},
        "starts_on": {"who": "person1", "deputy": "person4", "starts": 2},
    }
    for field, given in refused.items():
        with pytest.raises(InvalidInput) as found:
            away(lab, **given)
        assert found.value.data["field"] == field
    with pytest.raises(InvalidInput):
        away(lab, "person3", "person4", starts=-9)
    with pytest.raises(NotAllowed):
        away(lab, "person3", "person4", by="person1")
    assert away(lab, "person3", "person4", by="person0", others=True)


def test_the_mails_of_every_case_concerned_are_asked_for_once_and_open_pages_do_not_go_stale(
    lab: Lab, case: int
) -> None:
    before = lab.instance(case).revision
    with lab.database.reading() as session:
        jobs_before = session.scalar(select(func.count(Job.id)).where(Job.kind == "reconcile"))
    away(lab, "person1", "person4")
    with lab.database.transaction() as session:
        absences.refresh(session, session.get_one(ProcessInstance, case).community, now=lab.clock())
        after = session.scalar(select(func.count(Job.id)).where(Job.kind == "reconcile"))
    assert (after, lab.instance(case).revision) == ((jobs_before or 0) + 1, before)
    assert kinds(lab, case).count("absence-began") == 1
