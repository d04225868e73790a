"""Every table of the engine: the nouns, on one page.

Times are aware UTC; a date is a day of the community's zone. `public_id` is what addresses, mails and commands show.
"""

import secrets
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from engine.database import UtcDateTime

#: 64 bits on PostgreSQL; SQLite only counts up by itself in an INTEGER key.
Id = BigInteger().with_variant(Integer, "sqlite")

_STANDS_IN = text("stand_in_id IS NOT NULL")
_RETRIED = text("retry_at IS NOT NULL AND resolved_at IS NULL")
_COMPLETED = text("completed_by_id IS NOT NULL")
_SUBMITTED = text("submitted_by_id IS NOT NULL")
_ASKED = text("state IN ('open', 'submitted', 'pending')")
_WAITING = text("wake_at IS NOT NULL AND state = 'active'")

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def new_public_id() -> str:
    """Twelve characters nobody guesses (59 bits) and nobody misreads."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(12))


class Base(DeclarativeBase):
    """Constraint names are fixed, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this attribute
        datetime: UtcDateTime(),
        date: Date(),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
        bytes: LargeBinary(),
    }


class Community(Base):
    """A health community: the tenant that every root row belongs to. Retention: as long as it takes part."""

    __tablename__ = "community"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    #: Short name in commands and files, such as "vestfold".
    key: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    #: Where people ask: the secretariat's address; mails come from it and answers go to it.
    email: Mapped[str] = mapped_column(String(254))
    timezone: Mapped[str] = mapped_column(String(60), default="Europe/Oslo")
    #: Days that are no working days here beside holidays and weekends, as ISO dates.
    closing_days: Mapped[list[Any]] = mapped_column(default=list)
    #: Are 24 and 31 December closed?
    closed_eves: Mapped[bool] = mapped_column(default=True)
    #: Do mails hold links that act without signing in?
    mail_links: Mapped[bool] = mapped_column(default=True, server_default=true())
    #: May what models derive be due in July? Otherwise it moves out of the month.
    july_allowed: Mapped[bool] = mapped_column(default=False, server_default=false())


class User(Base):
    """A person who signs in. Retention: anonymised on request; history keeps the key."""

    __tablename__ = "user"
    __table_args__ = (UniqueConstraint("community_id", "key"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    #: What a model's assignee names.
    key: Mapped[str] = mapped_column(String(80))
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(254))
    #: argon2 hash; None until the person has set a password.
    password_hash: Mapped[str | None] = mapped_column(String(200))
    #: Raised to sign the person out everywhere; also ends invitations.
    session_version: Mapped[int] = mapped_column(default=1)
    active: Mapped[bool] = mapped_column(default=True)
    #: May deploy models and see every case.
    is_admin: Mapped[bool] = mapped_column(default=False)
    locale: Mapped[str] = mapped_column(String(5), default="nb")

    memberships: Mapped[list["Membership"]] = relationship(back_populates="user")


class Group(Base):
    """People who may take each other's tasks: a body or a party. Retention: as the community."""

    __tablename__ = "group"
    __table_args__ = (UniqueConstraint("community_id", "key"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    #: What a model's candidate group or role names.
    key: Mapped[str] = mapped_column(String(80))
    name: Mapped[str] = mapped_column(String(200))

    memberships: Mapped[list["Membership"]] = relationship(back_populates="group")


class Membership(Base):
    """A person in a group. Retention: as the community."""

    __tablename__ = "membership"

    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), primary_key=True)
    group_id: Mapped[int] = mapped_column(ForeignKey("group.id"), primary_key=True, index=True)
    #: member, leader or deputy.
    role: Mapped[str] = mapped_column(String(20), default="member")

    user: Mapped[User] = relationship(back_populates="memberships")
    group: Mapped[Group] = relationship(back_populates="memberships")


class Absence(Base):
    """Days on which a person is away and another stands in for them. Retention: a year after its last day."""

    __tablename__ = "absence"
    __table_args__ = (
        CheckConstraint("ends_on >= starts_on", name="order"),
        Index("ix_absence_user", "user_id", "starts_on"),
        Index("ix_absence_list", "community_id", "state", "starts_on"),
        # Whom a person stands in for now: each request asks this.
        Index("ix_absence_stand_in", "stand_in_id", postgresql_where=_STANDS_IN, sqlite_where=_STANDS_IN),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(12), unique=True, default=new_public_id)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    #: Who is away, and whom they named.
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    deputy_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    #: First and last day away.
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    #: planned, current, ended or cancelled.
    state: Mapped[str] = mapped_column(String(10), default="planned")
    #: Is it begun and not over? Its cases were told so.
    told: Mapped[bool] = mapped_column(default=False)
    #: Who stands in now: the deputy, or whoever stands in for them. None: not now, or nobody is there to.
    stand_in_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    registered_by_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    registered_at: Mapped[datetime]

    user: Mapped[User] = relationship(foreign_keys=[user_id])
    deputy: Mapped[User] = relationship(foreign_keys=[deputy_id])


class ApiToken(Base):
    """A bearer token, known only by its SHA-256. Retention: until revoked, then a year."""

    __tablename__ = "api_token"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class Deployment(Base):
    """One act of deploying models. Retention: for ever."""

    __tablename__ = "deployment"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    deployed_at: Mapped[datetime]
    deployed_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    note: Mapped[str] = mapped_column(Text, default="")


class ProcessDefinition(Base):
    """One immutable version of a model with its forms. Retention: for ever."""

    __tablename__ = "process_definition"
    __table_args__ = (UniqueConstraint("community_id", "key", "version"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    deployment_id: Mapped[int] = mapped_column(ForeignKey("deployment.id"))
    #: The BPMN process id, which is also the file's stem.
    key: Mapped[str] = mapped_column(String(120))
    version: Mapped[int]
    name: Mapped[str] = mapped_column(String(300))
    #: SHA-256 over model and forms; equal content is not deployed twice.
    checksum: Mapped[str] = mapped_column(String(64))
    xml: Mapped[str] = mapped_column(Text)
    #: Form key -> form definition, as deployed with the model.
    forms: Mapped[dict[str, Any]]
    #: Decision key -> DMN document, as deployed with the model.
    decisions: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))

    deployment: Mapped[Deployment] = relationship()


class ModelDraft(Base):
    """A model somebody is drawing, kept until it is deployed or thrown away. Retention: until then."""

    __tablename__ = "model_draft"
    __table_args__ = (Index("ix_model_draft_list", "community_id", "saved_at"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(12), unique=True, default=new_public_id)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    name: Mapped[str] = mapped_column(String(300))
    xml: Mapped[str] = mapped_column(Text)
    #: Form key -> form definition.
    forms: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: Decision key -> DMN document.
    decisions: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: The version it was opened from; None for a model drawn from nothing.
    based_on_id: Mapped[int | None] = mapped_column(ForeignKey("process_definition.id"))
    #: Raised at every save; a save that saw an older one is stale.
    revision: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    saved_at: Mapped[datetime]
    saved_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))


class ProcessInstance(Base):
    """A running or ended case. Retention: archive class "case"."""

    __tablename__ = "process_instance"
    __table_args__ = (
        UniqueConstraint("community_id", "idempotency_key"),
        # What is due to wake: only running instances with a timer are in this index.
        Index("ix_process_instance_due", "wake_at", postgresql_where=_WAITING, sqlite_where=_WAITING),
        Index("ix_process_instance_list", "community_id", "state", "id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(12), unique=True, default=new_public_id)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    definition_id: Mapped[int] = mapped_column(ForeignKey("process_definition.id"), index=True)
    #: What people call the case.
    title: Mapped[str] = mapped_column(String(300))
    #: active, suspended, completed or cancelled.
    state: Mapped[str] = mapped_column(String(12), default="active")
    #: Raised by every act; a form or request that saw an older one is stale.
    revision: Mapped[int] = mapped_column(default=1)
    started_at: Mapped[datetime]
    started_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"), index=True)
    #: Whoever is a member here may do what the owner may.
    owner_group_id: Mapped[int | None] = mapped_column(ForeignKey("group.id"), index=True)
    ended_at: Mapped[datetime | None]
    #: Start form's answers and what the model's expressions read of them.
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: Fact name -> ISO date: meetings, entry into force. Every derived date hangs on these.
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: Due dates set by hand of steps that are open or still to come: "call path/element" -> ISO date.
    hand_dates: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))
    #: Role (lane id) -> {"group": key, "id": …} or {"user": key, "id": …}.
    roles: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: Called process id -> id of the definition pinned at start.
    pins: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: The live state in its envelope, see engine/bpmn/serialization.py. None once completed.
    state_document: Mapped[bytes | None]
    #: The live state as it was before the last answer that moved the case: what taking it back, or reopening, restores.
    undo_document: Mapped[bytes | None] = mapped_column(deferred=True)
    #: What belongs to `undo_document`: task, step, and facts and data where they changed. None: nothing to take back.
    undo: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    #: The earliest waiting timer; None when nothing waits for time.
    wake_at: Mapped[datetime | None]
    #: Incidents that hold an element of this case right now.
    open_incidents: Mapped[int] = mapped_column(default=0)
    #: "call path/element" -> how often a step was opened there.
    rounds: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: Given by whoever starts, so that a repeated start is one start.
    idempotency_key: Mapped[str | None] = mapped_column(String(80))
    #: Length of the history chain and the hash of its last event.
    history_length: Mapped[int] = mapped_column(default=0)
    history_hash: Mapped[str] = mapped_column(String(64), default="")

    community: Mapped[Community] = relationship()
    definition: Mapped[ProcessDefinition] = relationship()


class InstanceParticipant(Base):
    """Who may see a case beside its owner: grown by roles and tasks, never shrunk by handing over.

    Retention: as the case.
    """

    __tablename__ = "instance_participant"
    __table_args__ = (
        UniqueConstraint("instance_id", "user_id", "group_id"),
        Index("ix_instance_participant_user", "user_id", "instance_id"),
        Index("ix_instance_participant_group", "group_id", "instance_id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("process_instance.id"))
    #: Exactly one of these two is set.
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    group_id: Mapped[int | None] = mapped_column(ForeignKey("group.id"))


class Step(Base):
    """A waiting element that people fulfil: one per visit, with as many user tasks as there are people to ask.

    Retention: as the case.
    """

    __tablename__ = "step"
    __table_args__ = (UniqueConstraint("instance_id", "call_path", "element_id", "round"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("process_instance.id"))
    #: Call activities and sub-processes above the element, joined by "/"; empty at the top.
    call_path: Mapped[str] = mapped_column(String(300), default="")
    element_id: Mapped[str] = mapped_column(String(120))
    name: Mapped[str] = mapped_column(String(300))
    #: 1 at the first visit, raised at every send-back.
    round: Mapped[int] = mapped_column(default=1)
    #: The waiting task inside the live state.
    token: Mapped[str] = mapped_column(String(36))
    #: open, completed, closed (by its deadline), skipped or withdrawn.
    state: Mapped[str] = mapped_column(String(10), default="open")
    opened_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    #: The latest due date among open tasks; None where nothing says when.
    due_date: Mapped[date | None]
    #: Answers asked for, and given.
    total: Mapped[int] = mapped_column(default=1)
    completed: Mapped[int] = mapped_column(default=0)
    #: Does the model close this step when its time is up?
    closes: Mapped[bool] = mapped_column(default=False)


class UserTask(Base):
    """What one person or group is asked to do. Retention: answers as the case, drafts until the step ends."""

    __tablename__ = "user_task"
    __table_args__ = (
        UniqueConstraint("step_id", "position"),
        Index("ix_user_task_assignee", "assignee_id", "state", "due_date"),
        Index("ix_user_task_group", "candidate_group_id", "state", "due_date"),
        Index("ix_user_task_approver", "approver_id", "state"),
        Index("ix_user_task_instance", "instance_id", "state"),
        Index("ix_user_task_open", "community_id", "state", "due_date", "id"),
        # Who is still to answer in a step, and when the last of them is due, however many were asked.
        Index("ix_user_task_asked", "step_id", "due_date", postgresql_where=_ASKED, sqlite_where=_ASKED),
        # What someone has done: a task that waits is in neither of these two.
        Index(
            "ix_user_task_completed",
            "completed_by_id",
            "completed_at",
            postgresql_where=_COMPLETED,
            sqlite_where=_COMPLETED,
        ),
        Index(
            "ix_user_task_submitted", "submitted_by_id", "state", postgresql_where=_SUBMITTED, sqlite_where=_SUBMITTED
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(12), unique=True, default=new_public_id)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    instance_id: Mapped[int] = mapped_column(ForeignKey("process_instance.id"))
    step_id: Mapped[int] = mapped_column(ForeignKey("step.id"))
    #: 0, 1, … within the step.
    position: Mapped[int] = mapped_column(default=0)
    name: Mapped[str] = mapped_column(String(300))
    #: Key and name of the party or body asked, in a step that asks several.
    item: Mapped[str | None] = mapped_column(String(80))
    item_name: Mapped[str | None] = mapped_column(String(200))
    #: The whole item, bound to the model's item variable.
    item_data: Mapped[dict[str, Any] | None]
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    candidate_group_id: Mapped[int | None] = mapped_column(ForeignKey("group.id"))
    approver_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    form_key: Mapped[str | None] = mapped_column(String(120))
    priority: Mapped[int] = mapped_column(default=50)
    #: pending (a later row of a sequential step), open, submitted (waits for its approver), completed, closed, skipped
    #: or withdrawn.
    state: Mapped[str] = mapped_column(String(10), default="open")
    #: Raised by every act on the task.
    revision: Mapped[int] = mapped_column(default=1)
    opened_at: Mapped[datetime]
    due_date: Mapped[date | None]
    #: Set by hand: a moved fact leaves it alone.
    due_by_hand: Mapped[bool] = mapped_column(default=False)
    #: Counts the due dates this task has had; a mail is sent once per generation.
    due_generation: Mapped[int] = mapped_column(default=1)
    draft: Mapped[dict[str, Any] | None]
    draft_saved_at: Mapped[datetime | None]
    draft_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    answers: Mapped[dict[str, Any] | None]
    submitted_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    submitted_at: Mapped[datetime | None]
    completed_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    completed_at: Mapped[datetime | None]

    instance: Mapped[ProcessInstance] = relationship()
    step: Mapped[Step] = relationship()
    assignee: Mapped[User | None] = relationship(foreign_keys=[assignee_id])
    approver: Mapped[User | None] = relationship(foreign_keys=[approver_id])
    candidate_group: Mapped[Group | None] = relationship(foreign_keys=[candidate_group_id])


class Job(Base):
    """An effect outside the case, done after the act that asked for it. Retention: a month after it is done."""

    __tablename__ = "job"
    __table_args__ = (Index("ix_job_due", "state", "run_at"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    #: Names the handler.
    kind: Mapped[str] = mapped_column(String(40))
    #: Only one job with this key ever exists; None for no such guard.
    unique_key: Mapped[str | None] = mapped_column(String(120), unique=True)
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    instance_id: Mapped[int | None] = mapped_column(ForeignKey("process_instance.id"), index=True)
    #: queued, leased, done, failed or dropped (thrown away by a person).
    state: Mapped[str] = mapped_column(String(8), default="queued")
    run_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    #: Another worker may take a leased job after this moment.
    lease_until: Mapped[datetime | None]
    #: Raised at each claim; only the holder of the latest may record the outcome.
    lease: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(Text)


class Incident(Base):
    """A place where a case stands because something automatic failed. Retention: as the case."""

    __tablename__ = "incident"
    __table_args__ = (
        Index("ix_incident_open", "instance_id", "resolved_at"),
        Index("ix_incident_retry", "retry_at", postgresql_where=_RETRIED, sqlite_where=_RETRIED),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(12), unique=True, default=new_public_id)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    instance_id: Mapped[int] = mapped_column(ForeignKey("process_instance.id"))
    call_path: Mapped[str] = mapped_column(String(300), default="")
    element_id: Mapped[str] = mapped_column(String(120))
    #: What went wrong, for the owner.
    cause: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    #: How often the engine has tried by itself, and when it tries again; None: only a person can.
    attempts: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    retry_at: Mapped[datetime | None]
    #: What the failing element saw: variable -> value.
    data: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))
    resolved_at: Mapped[datetime | None]
    resolved_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    #: retried, skipped, moved or gone (with its case or token).
    resolution: Mapped[str | None] = mapped_column(String(10))


class EventSubscription(Base):
    """Something that waits for a message or signal from outside: a running case, or a process that one starts.

    A projection of live states and latest versions. Retention: as long as it waits.
    """

    __tablename__ = "event_subscription"
    __table_args__ = (
        Index("ix_event_subscription_catch", "community_id", "kind", "name", "correlation"),
        Index("ix_event_subscription_instance", "instance_id"),
        Index("ix_event_subscription_due", "due_at"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    #: message, signal or timer; only starts wait for timers here.
    kind: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(300))
    #: The value that tells whose message it is; empty where any will do.
    correlation: Mapped[str] = mapped_column(String(200), default="")
    #: The case that waits; None where the event starts one.
    instance_id: Mapped[int | None] = mapped_column(ForeignKey("process_instance.id"))
    #: The version that the event starts; None where a case waits.
    definition_id: Mapped[int | None] = mapped_column(ForeignKey("process_definition.id"))
    #: The waiting task inside the live state, or the start event's id.
    token: Mapped[str] = mapped_column(String(120))
    #: When a start by timer is next due, and how often it was.
    due_at: Mapped[datetime | None]
    fired: Mapped[int] = mapped_column(default=0)


class InstanceMigration(Base):
    """A case moved to another version, with what a revert needs. Retention: as the case."""

    __tablename__ = "instance_migration"
    __table_args__ = (Index("ix_instance_migration_instance", "instance_id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(12), unique=True, default=new_public_id)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    instance_id: Mapped[int] = mapped_column(ForeignKey("process_instance.id"))
    migrated_at: Mapped[datetime]
    migrated_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    from_definition_id: Mapped[int] = mapped_column(ForeignKey("process_definition.id"))
    to_definition_id: Mapped[int] = mapped_column(ForeignKey("process_definition.id"))
    #: The case before: pins, facts, data, rounds, wake time, history length, and its open steps and tasks.
    before: Mapped[dict[str, Any]]
    document_before: Mapped[bytes | None] = mapped_column(deferred=True)
    reverted_at: Mapped[datetime | None]
    reverted_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))


class HistoryEvent(Base):
    """One act, append-only, chained by hash within its case. Retention: as the case."""

    __tablename__ = "history_event"
    __table_args__ = (UniqueConstraint("instance_id", "sequence"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("process_instance.id"))
    #: 1, 2, … within the case.
    sequence: Mapped[int]
    at: Mapped[datetime]
    #: What happened, as a code; text is made when it is shown.
    kind: Mapped[str] = mapped_column(String(40))
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    on_behalf_of_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    task_id: Mapped[int | None] = mapped_column(ForeignKey("user_task.id"))
    #: Codes, ids, old and new values; no free text.
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: Salted SHA-256 of the note, so that the note can be erased and the chain still holds.
    note_digest: Mapped[str | None] = mapped_column(String(64))
    note_salt: Mapped[str | None] = mapped_column(String(32))
    #: Free text a person gave as reason; outside the chain.
    note: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(String(36))
    #: SHA-256 over this event and the hash before it.
    hash: Mapped[str] = mapped_column(String(64))


class Document(Base):
    """A file that belongs to a case. Retention: as the case."""

    __tablename__ = "document"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(12), unique=True, default=new_public_id)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    instance_id: Mapped[int] = mapped_column(ForeignKey("process_instance.id"), index=True)
    task_id: Mapped[int | None] = mapped_column(ForeignKey("user_task.id"))
    name: Mapped[str] = mapped_column(String(200))
    content_type: Mapped[str] = mapped_column(String(100))
    size: Mapped[int]
    content: Mapped[bytes]
    uploaded_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    uploaded_at: Mapped[datetime]


class WorkerHeartbeat(Base):
    """A process in which the clock turns, and when it last did. Retention: a day after it was last seen."""

    __tablename__ = "worker_heartbeat"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    #: Machine, process number and a random end: a name that no other process ever has.
    name: Mapped[str] = mapped_column(String(120), unique=True)
    #: The command that runs it: demo, serve or worker.
    kind: Mapped[str] = mapped_column(String(10))
    #: The program's version.
    version: Mapped[str] = mapped_column(String(40))
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]


class ClockOffset(Base):
    """How far the demo's clock runs ahead, in seconds; every process reads it. Retention: the demo's."""

    __tablename__ = "clock_offset"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    seconds: Mapped[int] = mapped_column(default=0)
