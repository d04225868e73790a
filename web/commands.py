"""What the commands do, without the command line: rows out, slices in."""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session, joinedload, selectinload

from agreements import communities, starting
from agreements.cases import MEETING_FACTS, PAPER_DAYS
from agreements.findings import Finding as Odd
from agreements.functions import FUNCTIONS
from agreements.start_needs import LISTS
from agreements.starting import StartRequest
from engine import deployments, history, identity, incidents, process_instances, user_tasks
from engine.bpmn.reading import Model, processes_in, read
from engine.database import Database
from engine.deployments import Source
from engine.errors import Finding, InvalidInput, ModelRefused, NotFound
from engine.forms import FormError, parse_definition
from engine.model import ApiToken, Base, Community, Group, Membership, ProcessInstance, Step, User, UserTask
from notifications.model import Delivery
from notifications.settings import NotificationSettings
from web import plans
from web.services import Services
from web.settings import Settings

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "workflows"
#: Names that have a value when a case starts, whatever its model sets.
START_NAMES = frozenset({*MEETING_FACTS, *PAPER_DAYS.values(), *LISTS, "agreement", "chapters", "questions"})
DEMO_DATA = ROOT / "agreements" / "data" / "vestfold.json"


# --- models -----------------------------------------------------------------------------------------------------------


def sources(models: Sequence[Path]) -> list[Source]:
    """The models with the forms that lie in the folder `forms` beside them, and the decisions that lie there too."""
    return [
        Source(xml=path.read_bytes(), forms=_forms(path.parent / "forms"), decisions=_decisions(path.parent))
        for path in models
    ]


def _decisions(folder: Path) -> dict[str, str]:
    try:
        return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.dmn"))}
    except UnicodeDecodeError as error:
        raise InvalidInput(f"A decision in {folder} is not in UTF-8: {error}.") from None


def _forms(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem] = parse_definition(path.read_bytes())
        except FormError as error:
            raise InvalidInput(f"{path.name}: {error.message}") from None
    return found


def own_models() -> list[Path]:
    """The project's models."""
    return sorted(MODELS.glob("*.bpmn"))


def deploy(
    session: Session, community: Community, models: Sequence[Path], *, now: datetime, note: str
) -> list[dict[str, Any]]:
    """Deploy models; answers key and version of each."""
    deployed = deployments.deploy(
        session, community.id, sources(models), now=now, actor_id=None, note=note, functions=FUNCTIONS
    )
    return [{"key": d.key, "name": d.name, "version": d.version, "checksum": d.checksum} for d in deployed]


def deploy_own(session: Session, community: Community, *, now: datetime) -> None:
    """Deploy the project's own models where they are new here; what was drawn on from an older one stays."""
    if new := deployments.unseen(session, community.id, sources(own_models())):
        note = "Prosjektets egne modeller"
        deployments.deploy(session, community.id, new, now=now, actor_id=None, note=note, functions=FUNCTIONS)


def lint(models: Sequence[Path]) -> list[dict[str, Any]]:
    """Findings of all the models, with the file's name; they may call each other and the project's own."""
    given = sources(models)
    known = list(_readable([*given, *sources(own_models())]))
    callable_ids = {model.process_id for model in known}
    bound = {name for model in known for call in model.calls.values() for name in call.bindings}
    return [
        {"file": path.name, **asdict(finding)}
        for path, source in zip(models, given, strict=True)
        for _model, findings in deployments.check(
            [source], deployed=callable_ids, functions=FUNCTIONS, names=START_NAMES | bound
        )
        for finding in findings
    ]


def _readable(given: Sequence[Source]) -> Iterator[Model]:
    """The models in these files; what can't be read, the gate says."""
    for source in given:
        with suppress(ModelRefused):
            yield from (read(source.xml, process_id) for process_id in processes_in(source.xml))


def finding_line(finding: Finding) -> str:
    """A finding as one line."""
    return finding_text({"file": "", **asdict(finding)})


def finding_text(finding: Mapping[str, Any]) -> str:
    """A finding as one line, with its file."""
    where = ":".join(str(part) for part in (finding["file"], finding["line"]) if part)
    element = f" [{finding['element']}]" if finding["element"] else ""
    return f"{where}: {finding['severity']}: {finding['message']}{element} {finding['remedy']} ({finding['rule']})"


# --- planning and starting --------------------------------------------------------------------------------------------


def request(
    process: str,
    meetings: Mapping[str, date],
    parties: Sequence[str],
    roles: Mapping[str, str],
    data: Mapping[str, Any],
    *,
    agreement: str | None = None,
    title: str | None = None,
    idempotency_key: str | None = None,
) -> StartRequest:
    """What to start, as the command line says it."""
    return StartRequest(
        process=process,
        title=title,
        agreement=agreement,
        meetings=dict(meetings),
        parties=tuple(parties) or None,
        roles={role: {"group": key} for role, key in roles.items()},
        data=dict(data),
        idempotency_key=idempotency_key,
    )


@contextmanager
def planning_session(services: Services, settings: Settings) -> Iterator[tuple[Session, Community, datetime]]:
    """A session to plan in: the database's, or, while that is empty, the demo's people and the project's models."""
    now = services.clock()
    try:
        with services.database.reading() as session:
            community = session.scalar(select(Community).where(Community.key == settings.community))
            if community is not None:
                yield session, community, now
                return
    except DatabaseError:
        pass  # no schema yet: the same as empty
    empty = Database("sqlite://")
    Base.metadata.create_all(empty.engine)
    with empty.transaction() as session:
        community = communities.load(session, communities.read_data_file(DEMO_DATA), now=now)
        deploy(session, community, own_models(), now=now, note="")
        session.flush()  # the plan reads them
        yield session, community, now


def plan(
    session: Session, community: Community, wanted: StartRequest, *, now: datetime, today: date | None,
    settings: NotificationSettings,
) -> dict[str, Any]:  # fmt: skip
    """The plan of a case as a document."""
    if today is not None:
        now = identity.calendar_of(community).at(today, time(8))
    prepared = starting.prepare(session, community, wanted, now=now)
    planned = plans.plan_for(session, community, prepared, now=now, settings=settings)
    return {
        "process": wanted.process,
        "steps": [_planned_step(step) for step in planned.steps],
        "warnings": list(planned.warnings),
    }


def _planned_step(step: plans.Step) -> dict[str, Any]:
    return {
        "element": step.element, "name": step.name, "round": step.round, "role": step.role,
        "who": list(step.performers),
        "opens": step.opens.isoformat(), "due": step.due.isoformat() if step.due else None, "basis": step.basis,
        "reason": step.reason, "reminders": [d.isoformat() for d in step.reminders],
    }  # fmt: skip


def plan_text(document: Mapping[str, Any]) -> str:
    """The plan for a person at a terminal."""
    lines = [f"{s['due'] or 'ukjent':10}  {s['name'][:38]:38}  {s['reason']}" for s in document["steps"]]
    return "\n".join(lines + [f"Obs: {w}" for w in document["warnings"]])


def start(
    session: Session, community: Community, wanted: StartRequest, *, user_key: str, now: datetime,
    confirmed: str | None, findings: Sequence[Odd],
) -> str:  # fmt: skip
    """Start a case; answers its public id. What can't be lived as it stands wants a reason of its own."""
    actor = identity.user(session, community.id, user_key)
    usual = "Startet fra kommandolinjen." if all(f.severity != "impossible" for f in findings) else None
    started = starting.start(
        session, community, wanted, actor=actor, now=now, confirmed=confirmed or usual, findings=findings
    )
    return started.public_id


# --- cases ------------------------------------------------------------------------------------------------------------


def find_instance(session: Session, community: Community, public_id: str) -> ProcessInstance:
    """The case with that id. Raises NotFound."""
    query = select(ProcessInstance).where(
        ProcessInstance.public_id == public_id, ProcessInstance.community_id == community.id
    )
    found = session.scalar(query.options(joinedload(ProcessInstance.definition)))
    if found is None:
        raise NotFound(f"There is no case {public_id}. `avtaleflyt instances` lists them.")
    return found


def instances(session: Session, community: Community) -> list[dict[str, Any]]:
    """All cases, newest first."""
    query = (
        select(ProcessInstance)
        .where(ProcessInstance.community_id == community.id)
        .options(joinedload(ProcessInstance.definition))
        .order_by(ProcessInstance.id.desc())
    )
    return [instance_row(i) for i in session.scalars(query)]


def instance_row(found: ProcessInstance) -> dict[str, Any]:
    """A case as a row."""
    return {
        "id": found.public_id, "process": found.definition.key, "version": found.definition.version,
        "title": found.title,
        "state": found.state, "started_at": found.started_at.isoformat(), "revision": found.revision,
        "ended_at": found.ended_at.isoformat() if found.ended_at else None,
        "wake_at": found.wake_at.isoformat() if found.wake_at else None, "facts": found.facts,
    }  # fmt: skip


def instance(session: Session, community: Community, public_id: str) -> dict[str, Any]:
    """A case with its steps and incidents."""
    found = find_instance(session, community, public_id)
    steps = session.scalars(select(Step).where(Step.instance_id == found.id).order_by(Step.id))
    return {
        **instance_row(found),
        "steps": [
            {
                "element": s.element_id, "name": s.name, "round": s.round, "state": s.state, "total": s.total,
                "completed": s.completed, "due": s.due_date.isoformat() if s.due_date else None,
            }
            for s in steps
        ],
        "incidents": [
            {
                "id": i.public_id, "element": i.element_id, "cause": i.cause,
                "retry_at": i.retry_at.isoformat() if i.retry_at else None,
            }
            for i in incidents.open_incidents(session, found)
        ],
    }  # fmt: skip


def instance_text(document: Mapping[str, Any]) -> str:
    """A case for a person at a terminal."""
    lines = [f"{document['title']} ({document['state']})"]
    for s in document["steps"]:
        lines.append(f"  {s['due'] or '':10}  {s['state']:10} {s['completed']}/{s['total']}  {s['name']}")
    lines += [f"  Incident {i['id']} at {i['element']}: {i['cause']}" for i in document["incidents"]]
    return "\n".join(lines)


def history_of(session: Session, community: Community, public_id: str) -> list[dict[str, Any]]:
    """Everything that happened in a case, oldest first."""
    found = find_instance(session, community, public_id)
    names = {u.id: u.key for u in session.scalars(select(User).where(User.community_id == community.id))}
    return [
        {
            "sequence": e.sequence, "at": e.at.isoformat(), "kind": e.kind, "actor": names.get(e.actor_id or 0),
            "on_behalf_of": names.get(e.on_behalf_of_id or 0), "data": e.data, "note": e.note, "hash": e.hash,
        }
        for e in history.events(session, found)
    ]  # fmt: skip


def deliveries(session: Session, community: Community, public_id: str | None) -> list[dict[str, Any]]:
    """Mails planned and sent, in the order of their time."""
    query = (
        select(Delivery, User.key, ProcessInstance.public_id)
        .join(User, User.id == Delivery.recipient_id)
        .outerjoin(ProcessInstance, ProcessInstance.id == Delivery.instance_id)
        .where(Delivery.community_id == community.id)
        .order_by(Delivery.planned_at, Delivery.id)
    )
    if public_id is not None:
        query = query.where(Delivery.instance_id == find_instance(session, community, public_id).id)
    return [
        {
            "id": d.public_id, "instance": instance_id, "rule": d.rule, "to": to, "state": d.state,
            "subject": d.subject,
            "planned_at": d.planned_at.isoformat(), "sent_at": d.sent_at.isoformat() if d.sent_at else None,
            "message_id": d.message_id, "error": d.last_error,
        }
        for d, to, instance_id in session.execute(query)
    ]  # fmt: skip


def cancel(
    session: Session, community: Community, public_id: str, user_key: str | None, *, now: datetime, reason: str
) -> None:
    """Cancel a case, as a person who owns it or as the operator."""
    found = process_instances.locked(session, find_instance(session, community, public_id).id)
    actor_id = None
    if user_key is not None:
        actor = identity.person(session, identity.user(session, community.id, user_key))
        identity.require_owner(actor, found)
        actor_id = actor.id
    process_instances.cancel(session, found, now=now, actor_id=actor_id, reason=reason)


# --- tasks ------------------------------------------------------------------------------------------------------------


def tasks(
    session: Session, community: Community, user_key: str | None, group_key: str | None, instance_id: str | None
) -> list[dict[str, Any]]:
    """Open tasks, soonest first; with a user, what that person may act on."""
    query = select(UserTask).where(UserTask.community_id == community.id, UserTask.state.in_(user_tasks.OPEN))
    if user_key is not None:
        person = identity.person(session, identity.user(session, community.id, user_key))
        query = query.where(user_tasks.waits_for(person))
    if group_key is not None:
        query = query.where(UserTask.candidate_group_id == identity.group(session, community.id, group_key).id)
    if instance_id is not None:
        query = query.where(UserTask.instance_id == find_instance(session, community, instance_id).id)
    query = query.order_by(UserTask.due_date.is_(None), UserTask.due_date, UserTask.id).options(
        joinedload(UserTask.instance), joinedload(UserTask.assignee), joinedload(UserTask.candidate_group),
        joinedload(UserTask.approver), joinedload(UserTask.step),
    )  # fmt: skip
    return [task_row(t) for t in session.scalars(query)]


def task_row(task: UserTask) -> dict[str, Any]:
    """A task as a row."""
    return {
        "id": task.public_id, "instance": task.instance.public_id, "element": task.step.element_id, "name": task.name,
        "assignee": task.assignee.key if task.assignee else None,
        "group": task.candidate_group.key if task.candidate_group else None,
        "approver": task.approver.key if task.approver else None, "item": task.item,
        "due": task.due_date.isoformat() if task.due_date else None, "state": task.state, "revision": task.revision,
    }  # fmt: skip


def task_line(row: Mapping[str, Any]) -> str:
    """A task for a person at a terminal."""
    who = row["assignee"] or f"({row['group']})"
    item = f" for {row['item']}" if row["item"] else ""
    return f"{row['id']}  {row['due'] or '':10}  {row['state']:9}  {row['name']}{item}: {who}"


def _task_and_person(
    session: Session, community: Community, task_id: str, user_key: str
) -> tuple[UserTask, identity.Person]:
    person = identity.person(session, identity.user(session, community.id, user_key))
    return identity.task_by_id(session, person, task_id), person


def claim(session: Session, community: Community, task_id: str, user_key: str, *, now: datetime) -> dict[str, Any]:
    """Take a group's task."""
    task, person = _task_and_person(session, community, task_id, user_key)
    return task_row(user_tasks.claim(session, task.id, actor=person, now=now))


def complete(
    session: Session, community: Community, task_id: str, user_key: str, answers: Mapping[str, Any], *, now: datetime
) -> dict[str, Any]:
    """Send the answers of a task."""
    task, person = _task_and_person(session, community, task_id, user_key)
    return task_row(user_tasks.complete(session, task.id, answers, actor=person, now=now))


def ensure_community(session: Session, settings: Settings) -> None:
    """An empty community in an empty database, so that people and models can be added; `community load` fills it."""
    if session.scalars(select(Community.id).limit(1)).first() is None:
        name = f"Helsefellesskapet {settings.community.capitalize()}"
        session.add(Community(key=settings.community, name=name, email="sekretariatet@example.org"))


def load_community(session: Session, file: Path, *, now: datetime) -> str:
    """Load a community's data file; answers what happened, as one line."""
    loaded = communities.load_and_report(session, communities.read_data_file(file), now=now)
    return f"{loaded.community.name}: {len(loaded.changes)} changes."


# --- users ------------------------------------------------------------------------------------------------------------


def find_user(session: Session, community: Community, key: str) -> User:
    """The active user with that key. Raises InvalidInput."""
    return identity.user(session, community.id, key)


def add_user(session: Session, community: Community, key: str, name: str, email: str, groups: Sequence[str]) -> None:
    """Add a person to the community; a group that is not there yet is made.

    Raises InvalidInput for a key that is taken or an address that is none.
    """
    if session.scalar(select(User.id).where(User.community_id == community.id, User.key == key)) is not None:
        raise InvalidInput(f"There is a user {key!r} already. Choose another key.")
    if email.count("@") != 1 or any(c.isspace() for c in email):
        raise InvalidInput(f"{email!r} is no e-mail address.")
    added = User(community_id=community.id, key=key, name=name, email=email)
    session.add(added)
    session.flush()  # memberships need its id
    for group_key in groups:
        group = session.scalar(select(Group).where(Group.community_id == community.id, Group.key == group_key))
        session.add(
            Membership(user=added, group=group or Group(community_id=community.id, key=group_key, name=group_key))
        )


def users(session: Session, community: Community) -> list[dict[str, Any]]:
    """All people with their groups, by key."""
    query = (
        select(User)
        .where(User.community_id == community.id)
        .options(selectinload(User.memberships).joinedload(Membership.group))
        .order_by(User.key)
    )
    return [
        {
            "key": u.key, "name": u.name, "email": u.email, "active": u.active,
            "groups": sorted(m.group.key for m in u.memberships),
        }
        for u in session.scalars(query)
    ]  # fmt: skip


def make_token(session: Session, community: Community, key: str, *, now: datetime) -> str:
    """A new bearer token; only its SHA-256 is kept."""
    owner = identity.user(session, community.id, key)
    token = f"avt_{secrets.token_urlsafe(32)}"
    session.add(ApiToken(user_id=owner.id, token_hash=hashlib.sha256(token.encode()).hexdigest(), created_at=now))
    return token
