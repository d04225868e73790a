"""Whatever two do at once to one case is as if one of them had been first, and the other is told.

Each pair is done one after the other in both orders, which says what may come of it; then at once, with real threads on
real databases, which must come to one of the two in everything that can be seen.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

import pytest
from sqlalchemy import delete, select

from engine import checks, deployments, history
from engine.database import Database
from engine.errors import EngineError
from engine.model import HistoryEvent, Job, ProcessInstance, Step, User, UserTask
from notifications import reconciling
from notifications.model import Delivery
from notifications.settings import NotificationSettings
from tests.concurrency import at_once, nothing_broken_off
from tests.conftest import BACKENDS, Templates
from tests.engine import race_acts
from tests.engine.lab import Lab
from tests.engine.race_acts import ACTS, DEADLINE, SAYS, Stage
from tests.fakes import FakeClock

ROUNDS = 2
SETTINGS = NotificationSettings(base_url="https://avtaleflyt.example.org", element=deployments.element)

#: What may come of two acts: did the first go well, and the second?
ONE = {(True, False), (False, True)}
#: The second always; the first where it was in time.
IF_FIRST = {(True, True), (False, True)}
BOTH = {(True, True)}
#: Two who can't both be right: whoever comes second is told of the other.
RIVALS = (
    ("claim", "claim-other"), ("claim", "delegate"), ("complete", "complete-other"), ("complete", "skip"),
    ("approve", "send-back"), ("approve", "revise"), ("approve", "remove"), ("send-back", "revise"),
    ("move", "move-same"), ("move", "move-other"), ("extend", "extend-other"), ("cancel", "cancel-other"),
    ("migrate", "migrate-other"), ("deadline", "move"),
    # An owner's act at the deadline itself does what the deadline would have done, which then finds nothing to do.
    ("add", "deadline"), ("extend", "deadline"), ("remove", "deadline"),
)  # fmt: skip
#: The second stops what the first needs, and is itself never too late.
TOO_LATE = (
    *((act, "cancel") for act in (
        "complete", "approve", "claim", "delegate", "draft", "deadline", "migrate", "add", "deliver", "extend",
        "suspend", "move-other", "skip", "revise", "remove",
    )),
    *((act, "suspend") for act in ("complete", "approve", "draft", "deadline", "deliver", "move-other")),
    *((act, "deadline") for act in ("answer", "approve", "revise")),
    ("deadline", "deliver"),
)  # fmt: skip
#: Neither is in the other's way.
SIDE_BY_SIDE = (
    ("complete", "answer"), ("complete", "deliver"), ("complete", "migrate"), ("approve", "migrate"),
    ("approve", "add"), ("approve", "extend"), ("deliver", "migrate"), ("suspend", "migrate"), ("claim", "extend"),
)  # fmt: skip
PAIRS = (
    *((*pair, ONE) for pair in RIVALS), *((*pair, IF_FIRST) for pair in TOO_LATE),
    *((*pair, BOTH) for pair in SIDE_BY_SIDE),
)  # fmt: skip


@pytest.fixture(scope="module", params=BACKENDS)
def lab(request: pytest.FixtureRequest, templates: Templates) -> Iterator[Lab]:
    """One community for all races; every race has a case of its own."""
    url = templates.copy(request.param, "races", lambda new: race_acts.settle(Lab.of_nobody(new, FakeClock())))
    database = Database(url, pool_size=4)
    made = Lab.of(database, FakeClock())
    with nothing_broken_off(database):
        yield made
        assert list(checks.faults(database, now=made.clock())) == []
    database.dispose()
    templates.drop(request.param, url)


@pytest.fixture(scope="module")
def number() -> Iterator[int]:
    """Tells the cases apart, for the messages that they wait for."""
    return count()


@pytest.mark.parametrize(("first", "second", "may"), PAIRS, ids=lambda part: part if isinstance(part, str) else "")
def test_two_acts_at_once_are_as_one_after_the_other(
    lab: Lab, number: Iterator[int], first: str, second: str, may: set[tuple[bool, bool]]
) -> None:
    def after(do: Callable[[Stage], list[object]]) -> tuple[tuple[bool, ...], list[Any]]:
        stage = race_acts.begin(lab, next(number))
        if "deadline" in (first, second):
            lab.clock.set(DEADLINE)
        results = do(stage)
        went_well = tuple(not (result is False or isinstance(result, EngineError)) for result in results)
        assert_told(dict(zip((first, second), results, strict=True)))
        return went_well, [went_well, *seen(stage)]

    acts = (ACTS[first], ACTS[second])
    in_turn = [
        after(lambda stage: [attempt(acts[0], stage), attempt(acts[1], stage)]),
        after(lambda stage: [attempt(acts[1], stage), attempt(acts[0], stage)][::-1]),
    ]
    assert {went_well for went_well, _ in in_turn} == may
    for _ in range(ROUNDS):
        _, all_there_is = after(lambda stage: at_once([partial(act, stage) for act in acts]))
        assert all_there_is in [all_of_it for _, all_of_it in in_turn]


def attempt(act: Callable[[Stage], object], stage: Stage) -> object:
    """What the act answers, or the error that refused it."""
    try:
        return act(stage)
    except EngineError as error:
        return error


def assert_told(results: dict[str, object]) -> None:
    """Whoever was refused hears what the other did, and who it was."""
    for act, result in results.items():
        assert result is False or not isinstance(result, Exception) or isinstance(result, EngineError), result
        (other,) = results.keys() - {act}
        if isinstance(result, EngineError) and other in SAYS:
            kind, by = SAYS[other]
            assert (result.data.get("act"), result.data.get("by")) == (kind, by), f"{act} was told {result.data}"


def seen(stage: Stage) -> list[Any]:
    """Everything about the case but its ids, with the mails that follow; it is then put away."""
    with stage.lab.database.transaction() as session:
        reconciling.reconcile(session, stage.case, now=stage.lab.clock(), settings=SETTINGS)
        session.execute(delete(Job))
    with stage.lab.database.reading() as session:
        case = session.get_one(ProcessInstance, stage.case)
        assert history.broken_at(case, history.events(session, case)) is None
        element = select(Step.element_id).where(Step.id == UserTask.step_id).scalar_subquery()
        columns = (
            (Step.element_id, Step.state, Step.total, Step.completed, Step.due_date),
            (
                element, UserTask.item, UserTask.state, UserTask.revision, UserTask.assignee_id, UserTask.due_date,
                UserTask.due_generation, UserTask.answers, UserTask.draft, UserTask.completed_by_id,
            ),
            (HistoryEvent.sequence, HistoryEvent.kind, HistoryEvent.actor_id, HistoryEvent.note),
            (Delivery.rule, User.key, Delivery.state, Delivery.planned_at, Delivery.due_date),
        )  # fmt: skip
        rows = [
            [tuple(row) for row in session.execute(select(*wanted).where(wanted[-1].class_.instance_id == stage.case))]
            for wanted in columns[:3]
        ]
        mails = select(*columns[3]).join(User, User.id == Delivery.recipient_id)
        rows.append([tuple(row) for row in session.execute(mails.where(Delivery.instance_id == stage.case))])
        document = [case.state, case.revision, case.facts, case.wake_at, case.definition.version]
    return [document, *(sorted(found, key=repr) for found in rows)]
