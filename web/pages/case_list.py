"""The list of cases: who has the ball in each, and until when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, Select, case, func, or_, select
from sqlalchemy.orm import Session, defer, joinedload

from agreements.model import Case
from agreements.standings import Standing
from engine import absences, deployments, identity, user_tasks
from engine.identity import Person
from engine.model import ProcessDefinition, ProcessInstance, Step, UserTask
from web.formatting import Formatter
from web.pages import case_status
from web.pages.case_status import Status
from web.pages.case_views import Ball, ball

FILTERS = ("alle", "mine", "avsluttede")
SORTINGS = ("frist", "navn", "nyeste")
PAGE = 50
_RUNNING = ("active", "suspended")


@dataclass(frozen=True, kw_only=True)
class CaseRow:
    """One case of the list."""

    public_id: str
    title: str
    process: str
    number: str
    ball: Ball | None
    status: Status


@dataclass(frozen=True, kw_only=True)
class CaseList:
    """A page of the list."""

    rows: tuple[CaseRow, ...]
    total: int
    #: How many of all pages' cases stand still.
    standing: int
    page: int
    pages: int


def may_start(session: Session, person: Person) -> bool:
    """Is the person in a group that some process's latest version names as its starters?"""
    definitions = deployments.latest_definitions(session, person.community_id)
    return any(person.group_keys & set(deployments.model_of(d.xml, d.key).starter_groups) for d in definitions)


def cases(session: Session, person: Person, words: Formatter, *, wanted: str, sorting: str, page: int) -> CaseList:
    """The cases this person may see, chosen and sorted."""
    chosen = _chosen(person, wanted)
    total, standing = _counted(session, chosen)
    pages = max(1, -(-total // PAGE))
    page = min(max(1, page), pages)
    query = _sorted(chosen, person, wanted, sorting).limit(PAGE).offset(PAGE * (page - 1))
    ids = list(session.scalars(query))
    rows = _rows(session, ids, words)
    return CaseList(rows=tuple(rows[i] for i in ids), total=total, standing=standing, page=page, pages=pages)


def _chosen(person: Person, wanted: str) -> Select[int]:
    running = ProcessInstance.state.in_(_RUNNING)
    query = select(ProcessInstance.id).where(identity.visible_instances(person))
    query = query.where(~running if wanted == "avsluttede" else running)
    if wanted == "mine":
        theirs = (UserTask.instance_id == ProcessInstance.id) & user_tasks.waits_for(person)
        waits = select(UserTask.id).where(theirs).exists()
        query = query.where(or_(identity.steered_instances(person), waits))
    return query


def _counted(session: Session, chosen: Select[int]) -> tuple[int, int]:
    """How many cases there are, and how many of them stand still."""
    found = chosen.add_columns(_stands().label("stands")).subquery()
    row = session.execute(select(func.count(), func.count(case((found.c.stands, 1)))).select_from(found)).one()
    return row[0], row[1]


def _stands() -> ColumnElement[bool]:
    return (ProcessInstance.open_incidents > 0) & ProcessInstance.state.in_(_RUNNING)


def _sorted(chosen: Select[int], person: Person, wanted: str, sorting: str) -> Select[int]:
    if sorting == "navn":
        return chosen.order_by(func.lower(ProcessInstance.title), ProcessInstance.id.desc())
    if wanted == "avsluttede":
        return chosen.order_by(ProcessInstance.ended_at.desc(), ProcessInstance.id.desc())
    if sorting == "nyeste":
        return chosen.order_by(ProcessInstance.started_at.desc(), ProcessInstance.id.desc())
    waiting = (UserTask.community_id == person.community_id) & UserTask.state.in_(user_tasks.OPEN)
    # All that waits is grouped once: a look-up for each case takes twice as long where there are ten thousand.
    dues = (
        select(UserTask.instance_id, func.min(UserTask.due_date).label("first"))
        .where(waiting)
        .group_by(UserTask.instance_id)
        .subquery()
    )
    due = dues.c.first
    # What stands still comes first, what has no date last, on both databases.
    found = chosen.outerjoin(dues, dues.c.instance_id == ProcessInstance.id)
    return found.order_by(~_stands(), due.is_(None), due, ProcessInstance.id.desc())


def _rows(session: Session, ids: Sequence[int], words: Formatter) -> dict[int, CaseRow]:
    columns = select(ProcessInstance, ProcessDefinition.name, Case.case_number)
    columns = columns.join(ProcessDefinition, ProcessDefinition.id == ProcessInstance.definition_id)
    columns = columns.outerjoin(Case, Case.instance_id == ProcessInstance.id).where(ProcessInstance.id.in_(ids))
    found = session.execute(columns.options(defer(ProcessInstance.state_document), defer(ProcessInstance.data))).all()
    steps, tasks = _waiting(session, ids)
    instead = absences.stand_in_names(session, found[0][0].community_id) if found else {}
    result: dict[int, CaseRow] = {}
    for instance, process, number in found:
        has_ball = ball(steps.get(instance.id, []), tasks, instance, words, instead)
        result[instance.id] = CaseRow(
            public_id=instance.public_id, title=instance.title, process=process, number=number or "", ball=has_ball,
            status=_status(_standing(instance, steps, tasks), words),
        )  # fmt: skip
    return result


def _waiting(session: Session, ids: Sequence[int]) -> tuple[dict[int, list[Step]], dict[int, list[UserTask]]]:
    steps: dict[int, list[Step]] = {}
    for step in session.scalars(select(Step).where(Step.instance_id.in_(ids), Step.state == "open")):
        steps.setdefault(step.instance_id, []).append(step)
    people = (joinedload(UserTask.assignee), joinedload(UserTask.candidate_group))
    query = select(UserTask).where(UserTask.instance_id.in_(ids), UserTask.state.in_(user_tasks.OPEN))
    query = query.options(*people, defer(UserTask.answers), defer(UserTask.draft)).order_by(UserTask.position)
    tasks: dict[int, list[UserTask]] = {}
    for task in session.scalars(query):
        tasks.setdefault(task.step_id, []).append(task)
    return steps, tasks


def _standing(
    instance: ProcessInstance, steps: Mapping[int, list[Step]], tasks: Mapping[int, list[UserTask]]
) -> Standing:
    opened = steps.get(instance.id, [])
    return Standing(instance=instance, steps=opened, tasks=tasks, has_incident=instance.open_incidents > 0)


def _status(standing: Standing, words: Formatter) -> Status:
    instance = standing.instance
    if instance.state == "completed":
        return Status(word=_("Ferdig %(day)s", day=_ended(instance, words)), icon="ferdig", color="success")
    if instance.state == "cancelled":
        return Status(word=_("Avsluttet %(day)s", day=_ended(instance, words)), icon="pause")
    return case_status.of_case(standing, words.today)


def _ended(instance: ProcessInstance, words: Formatter) -> str:
    return words.dag(instance.ended_at) if instance.ended_at else ""
