"""What a person does with a case that stands, or stands wrong: change a variable, skip an element, move a token."""

from datetime import date
from functools import partial
from typing import Any

import pytest

from engine import incidents, mending, process_instances
from engine.errors import InvalidInput, NotFound, NotOpen
from engine.model import Incident
from tests.concurrency import at_once
from tests.engine.drawing import call, closes, gateway, model, scope, several, sub_process, task
from tests.engine.lab import WITH_FORM, Lab, assert_chain_whole, events, kinds
from tests.fakes import oslo

DIVIDES = model(
    "start>ask ask>which which>a which>b a>end b>end",
    task("ask", WITH_FORM),
    gateway("which", "b"),
    task("a"),
    task("b"),
    conditions={"which>a": "${10 / tall &gt; 1}"},
)
ASKS_SOMEONE = model(
    "start>ask ask>then then>last last>end",
    task("ask", WITH_FORM),
    task("then", 'camunda:assignee="${utfall}"'),
    task("last"),
)
FORK = model(
    "start>fork fork>a fork>b a>c c>join b>join join>last last>end",
    gateway("fork", kind="parallel"),
    gateway("join", kind="parallel"),
    task("a"),
    task("b"),
    task("c"),
    task("last"),
)


def act(lab: Lab, case: int, what: Any, *given: Any, **more: Any) -> Any:
    """Do something to the case, as the operator."""
    more = {"actor_id": None, "reason": "Fordi", **more}
    with lab.database.transaction() as session:
        return what(session, process_instances.locked(session, case), *given, now=lab.clock(), **more)


def mend(lab: Lab, case: int, what: Any, **more: Any) -> Any:
    """Do something about the case's one incident."""
    with lab.database.transaction() as session:
        instance = process_instances.locked(session, case)
        (incident,) = incidents.open_incidents(session, instance)
        return what(session, instance, incident, now=lab.clock(), **{"actor_id": None, "reason": "Fordi", **more})


def token_at(lab: Lab, case: int, element: str) -> str:
    with lab.database.reading() as session:
        found = mending.standings(session, lab.instance(case), now=lab.clock())
        return next(s.token for s in found if s.element.id == element)


def move(lab: Lab, case: int, element: str, to: str, **more: Any) -> None:
    act(lab, case, mending.move, token_at(lab, case, element), to, **more)


def stands_at_division(lab: Lab) -> int:
    lab.deploy(DIVIDES)
    case = lab.begin()
    lab.send(lab.task(case, "ask").id, "person1", tall=0)
    return case


# --- variables --------------------------------------------------------------------------------------------------------


def test_an_incident_shows_what_the_element_saw(lab: Lab) -> None:
    (incident,) = lab.incidents(stands_at_division(lab))
    assert incident.data["tall"] == 0


def test_a_variable_is_mended_and_the_element_run_again(lab: Lab) -> None:
    case = stands_at_division(lab)
    act(lab, case, mending.set_variable, "tall", 2)
    assert len(lab.incidents(case)) == 1
    assert mend(lab, case, mending.retry)
    assert (lab.waiting(case), lab.incidents(case)) == (["a"], [])
    event = next(e for e in events(lab, case) if e.kind == "variable-set")
    assert (event.data["name"], event.data["old"], event.data["new"], event.note) == ("tall", 0, 2, "Fordi")
    assert_chain_whole(lab, case)


@pytest.mark.parametrize("value", [None, True, 3, 2.5, "tekst", ["a", 1], {"navn": {"indre": []}}])
def test_any_plain_value_is_kept(lab: Lab, value: object) -> None:
    case = stands_at_division(lab)
    act(lab, case, mending.set_variable, "ny", value)
    with lab.database.reading() as session:
        assert mending.variables(session, lab.instance(case), "", now=lab.clock())["ny"] == value


@pytest.mark.parametrize(
    ("name", "reason", "says"), [("to ord", "Fordi", "name"), ("tall", " ", "Say why"), ("meeting", "Fordi", "date")]
)
def test_a_variable_that_can_not_be_set_is_refused(lab: Lab, name: str, reason: str, says: str) -> None:
    lab.deploy(DIVIDES)
    case = lab.begin(facts={"meeting": lab.clock.today})
    with pytest.raises(InvalidInput, match=says):
        act(lab, case, mending.set_variable, name, 1, reason=reason)


def test_a_retry_that_ends_the_case_or_its_scope_resolves_the_incident_once(lab: Lab) -> None:
    divides = '<bpmn:scriptTask id="del"><bpmn:script>kvote = 10 / tall</bpmn:script></bpmn:scriptTask>'
    inner = scope("in>del del>out", '<bpmn:startEvent id="in"/>', divides, '<bpmn:endEvent id="out"/>')
    lab.deploy(
        model("start>fork fork>it fork>gjor it>end gjor>end", gateway("fork", kind="parallel"), inner,
              divides.replace('"del"', '"gjor"'))
    )  # fmt: skip
    case = lab.begin(data={"tall": 0})
    act(lab, case, mending.set_variable, "tall", 2)
    for left in (1, 0):
        incident = min(lab.incidents(case), key=lambda found: found.element_id)
        with lab.database.transaction() as session:
            held = process_instances.locked(session, case)
            stands = incidents.find(session, held, incident.public_id)
            assert mending.retry(session, held, stands, now=lab.clock(), actor_id=None)
        assert (lab.instance(case).open_incidents, len(lab.incidents(case))) == (left, left)
        assert incident_of(lab, incident.id).resolution == "retried"
    assert lab.instance(case).state == "completed"


def test_due_dates_and_timers_that_hang_on_a_variable_follow_it(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>ask ask>end late>end", task("ask", 'camunda:dueDate="${frist}"'),
            closes("late", "ask", "${days_after(frist, 2)}"),
        )
    )  # fmt: skip
    case = lab.begin(data={"frist": "2026-06-01"})
    act(lab, case, mending.set_variable, "frist", "2026-06-08")
    assert lab.task(case, "ask").due_date == date(2026, 6, 8)
    assert lab.instance(case).wake_at == oslo(date(2026, 6, 10), 0)
    with pytest.raises(InvalidInput, match="date"):
        act(lab, case, mending.set_variable, "frist", 7)
    assert lab.waiting(case) == ["ask"]


def test_a_called_process_has_variables_of_its_own(lab: Lab) -> None:
    lab.deploy(
        model("start>c c>end", call("c", "called", tall="${tall}"), process="parent"),
        model("start>ask ask>end", task("ask", 'camunda:assignee="${tall}"'), process="called"),
    )
    case = lab.begin("parent", data={"tall": 1})
    act(lab, case, mending.set_variable, "tall", "person2", call_path="c")
    with lab.database.reading() as session:
        seen = partial(mending.variables, session, lab.instance(case), now=lab.clock())
        assert (seen("c")["tall"], seen("")["tall"]) == ("person2", 1)
    with pytest.raises(InvalidInput, match="Nothing runs"):
        act(lab, case, mending.set_variable, "tall", 1, call_path="d")


# --- skip -------------------------------------------------------------------------------------------------------------


def test_an_element_is_skipped_along_its_flow(lab: Lab) -> None:
    lab.deploy(ASKS_SOMEONE)
    case = lab.begin()
    lab.send(lab.task(case, "ask").id, "person1", utfall="person9")
    mend(lab, case, mending.skip)
    assert (lab.waiting(case), lab.instance(case).open_incidents) == (["last"], 0)
    assert "incident-skipped" in kinds(lab, case)
    assert_chain_whole(lab, case)


def test_where_the_element_decides_the_person_does_when_it_is_skipped(lab: Lab) -> None:
    case = stands_at_division(lab)
    with pytest.raises(InvalidInput, match=r"which_a .*which_b"):
        mend(lab, case, mending.skip)
    mend(lab, case, mending.skip, flow="which_a")
    assert lab.waiting(case) == ["a"]
    with lab.database.reading() as session:
        resolved = session.query(Incident).one()
        assert (resolved.resolution, resolved.retry_at) == ("skipped", None)


def test_skipping_needs_a_reason_and_an_open_incident(lab: Lab) -> None:
    case = stands_at_division(lab)
    with pytest.raises(InvalidInput, match="Say why"):
        mend(lab, case, mending.skip, flow="which_a", reason="")
    (incident,) = lab.incidents(case)
    mend(lab, case, mending.skip, flow="which_a")
    with pytest.raises(NotOpen):
        act(lab, case, mending.skip, incident_of(lab, incident.id), flow="which_a")


def incident_of(lab: Lab, incident_id: int) -> Incident:
    with lab.database.reading() as session:
        return session.get_one(Incident, incident_id)


# --- move -------------------------------------------------------------------------------------------------------------


def test_a_token_is_moved_and_what_waited_there_is_withdrawn(lab: Lab) -> None:
    lab.deploy(ASKS_SOMEONE)
    case = lab.begin()
    ask = lab.task(case, "ask").id
    move(lab, case, "ask", "last")
    assert lab.waiting(case) == ["last"]
    with pytest.raises(NotOpen, match="withdrawn"):
        lab.send(ask, "person1")
    event = next(e for e in events(lab, case) if e.kind == "moved")
    assert (event.data["element"], event.data["to"], event.note) == ("ask", "last", "Fordi")
    assert_chain_whole(lab, case)


def test_an_incident_goes_with_the_token_that_is_moved(lab: Lab) -> None:
    case = stands_at_division(lab)
    move(lab, case, "which", "ask")
    assert (lab.waiting(case), lab.instance(case).open_incidents) == (["ask"], 0)
    assert [s.round for s in lab.steps(case, element_id="ask")] == [1, 2]
    lab.send(lab.task(case, "ask").id, "person1", tall=2)
    assert lab.waiting(case) == ["a"]


def test_the_other_branch_stays_where_it_is(lab: Lab) -> None:
    lab.deploy(FORK)
    case = lab.begin()
    other = lab.task(case, "b").id
    move(lab, case, "a", "c")
    assert sorted(lab.waiting(case)) == ["b", "c"]
    assert lab.task(case, "b").id == other
    lab.send(other, "person1")
    lab.send(lab.task(case, "c").id, "person1")
    assert lab.waiting(case) == ["last"]


def test_a_token_that_is_moved_to_a_join_counts_there_for_its_branch(lab: Lab) -> None:
    lab.deploy(FORK)
    case = lab.begin()
    move(lab, case, "a", "join")
    assert lab.waiting(case) == ["b"]
    lab.send(lab.task(case, "b").id, "person1")
    assert lab.waiting(case) == ["last"]


def test_moving_away_from_a_sub_process_ends_what_runs_inside(lab: Lab) -> None:
    lab.deploy(model("start>inner inner>then then>end", sub_process("inner", "ask"), task("then")))
    case = lab.begin()
    with lab.database.reading() as session:
        inner, ask = mending.standings(session, lab.instance(case), now=lab.clock())
    assert (inner.element.id, inner.steps, inner.inside) == ("inner", ("ask",), "")
    assert (ask.element.id, ask.steps, ask.inside) == ("ask", ("ask",), "inner")
    move(lab, case, "inner", "then")
    assert lab.waiting(case) == ["then"]


def test_a_step_that_asks_several_is_left_with_all_its_rows(lab: Lab) -> None:
    lab.deploy(
        model(
            "start>ask ask>then then>end", task("ask", 'camunda:assignee="${item.who}"', several()), task("then")
        )
    )  # fmt: skip
    case = lab.begin(data={"items": [{"key": str(n), "who": f"person{n}"} for n in range(3)]})
    move(lab, case, "ask", "then")
    assert (lab.waiting(case), len(lab.tasks(case, states=("withdrawn",)))) == (["then"], 3)


@pytest.mark.parametrize("to", ["start", "ukjent", ""])
def test_only_what_a_token_can_stand_at_is_a_place_to_go(lab: Lab, to: str) -> None:
    lab.deploy(ASKS_SOMEONE)
    case = lab.begin()
    with pytest.raises(InvalidInput, match="no element"):
        move(lab, case, "ask", to)
    assert lab.waiting(case) == ["ask"]


def test_a_token_that_has_gone_on_is_not_moved(lab: Lab) -> None:
    lab.deploy(ASKS_SOMEONE)
    case = lab.begin()
    token = token_at(lab, case, "ask")
    results = at_once([partial(act, lab, case, mending.move, token, "last")] * 2)
    assert sorted(type(r).__name__ for r in results) == ["NoneType", "NotFound"], results
    assert lab.waiting(case) == ["last"]
    with pytest.raises(NotFound):
        act(lab, case, mending.move, token, "ask")


def test_moving_to_the_end_ends_the_case(lab: Lab) -> None:
    lab.deploy(ASKS_SOMEONE)
    case, other = lab.begin(), lab.begin()
    before = lab.instance(other).revision
    move(lab, case, "ask", "end")
    assert (lab.instance(case).state, lab.instance(other).revision) == ("completed", before)
