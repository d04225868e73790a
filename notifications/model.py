"""The tables of notifications: what is said to whom, and what the demo's mail server was given."""

from datetime import date, datetime

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from engine.model import Base, Id, new_public_id

#: Nothing has left for the mail server yet, so these may still be moved or cancelled.
UNSENT = ("planned", "cancelled")
#: The recipient has read this, or may have.
TOLD = ("sending", "sent", "uncertain")

_WAITING = text("state IN ('planned', 'sending')")
_TAKEN = text("taken_at IS NOT NULL")
_CARRIED = text("carrier_id IS NOT NULL")
_OF_ALL = text("user_id IS NULL AND group_id IS NULL")


class Delivery(Base):
    """One mail to one person for one cause. Planned rows can be computed anew; the others are what was said.

    Retention: as the case; the content (`subject`, `body_text`, `body_html`) two years.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        # Said once: the same cause never reaches the same person again.
        UniqueConstraint("cause", "recipient_id", "channel"),
        # What is due to be sent, planned or left in the middle: only such rows are in this index.
        Index("ix_delivery_due", "state", "next_attempt_at", postgresql_where=_WAITING, sqlite_where=_WAITING),
        # How many were taken within the last minute.
        Index("ix_delivery_taken", "taken_at", postgresql_where=_TAKEN, sqlite_where=_TAKEN),
        Index("ix_delivery_instance", "instance_id", "state", "planned_at"),
        Index("ix_delivery_task", "task_id", "recipient_id"),
        # Which mail a mail system speaks of.
        Index("ix_delivery_message", "message_id"),
        # A community's mails within some days.
        Index("ix_delivery_board", "community_id", "planned_at"),
        # How many are in each state, and which failed, without reading what they say.
        Index("ix_delivery_state", "state", "id"),
        # What a mail carries beside its own cause.
        Index("ix_delivery_carrier", "carrier_id", postgresql_where=_CARRIED, sqlite_where=_CARRIED),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(12), unique=True, default=new_public_id)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    #: None where the mail is about no single case: the leader's week.
    instance_id: Mapped[int | None] = mapped_column(ForeignKey("process_instance.id"))
    #: None where the mail is about the case: an incident.
    step_id: Mapped[int | None] = mapped_column(ForeignKey("step.id"), index=True)
    #: None where the mail is about a whole step, the escalation, or about an incident.
    task_id: Mapped[int | None] = mapped_column(ForeignKey("user_task.id"))
    #: What the case stands at, where the mail is about that.
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("incident.id"))
    recipient_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    channel: Mapped[str] = mapped_column(String(10), default="email")
    #: Where it went; empty until it leaves.
    address: Mapped[str] = mapped_column(String(254), default="")
    #: assigned, reminder:<days>, remind_now, overdue, due_changed, approval, sent_back, escalation,
    #: incident, dates_changed, more_time_answered, invitation, uncovered or leader_week.
    rule: Mapped[str] = mapped_column(String(20))
    #: Why this was said, such as "task:7:reminder:3:1": the task, the rule and the due date's generation.
    cause: Mapped[str] = mapped_column(String(80))
    #: The due date it speaks of, and the generation of that date; fixed when it leaves.
    due_date: Mapped[date | None]
    due_generation: Mapped[int] = mapped_column(default=1)
    #: Who asked for it by hand.
    asked_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    planned_at: Mapped[datetime]
    #: planned, sending, sent (the server accepted it), failed (refused for good), uncertain or cancelled.
    state: Mapped[str] = mapped_column(String(10), default="planned")
    #: Made with the row and kept for ever, so that a mail sent twice is known as one.
    message_id: Mapped[str] = mapped_column(String(300))
    #: Content and Date, frozen when it leaves.
    subject: Mapped[str | None] = mapped_column(String(300))
    body_text: Mapped[str | None] = mapped_column(Text)
    body_html: Mapped[str | None] = mapped_column(Text)
    composed_at: Mapped[datetime | None]
    #: Times it was taken to be sent.
    attempts: Mapped[int] = mapped_column(default=0)
    #: `planned_at` at first; later after a failure that may pass.
    next_attempt_at: Mapped[datetime]
    #: Raised at each claim; only the holder of the latest may record the outcome.
    lease: Mapped[int] = mapped_column(default=0)
    #: After this moment another worker may take a delivery that is still sending.
    lease_until: Mapped[datetime | None]
    #: When it was last taken to be sent; None where it was given back untried. The rate is counted from this.
    taken_at: Mapped[datetime | None]
    #: The mail that said this together with its own: several to one person that were due at once left as one.
    carrier_id: Mapped[int | None] = mapped_column(ForeignKey("delivery.id", name="fk_delivery_carrier"))
    #: Why it failed, is uncertain or was cancelled.
    last_error: Mapped[str | None] = mapped_column(Text)
    sent_at: Mapped[datetime | None]
    #: When somebody last asked that it be sent again; whether it is late is counted from then.
    resent_at: Mapped[datetime | None]
    #: When we heard that the recipient's mail system sent it back for good, or is still trying.
    bounced_at: Mapped[datetime | None]
    delayed_at: Mapped[datetime | None]


class MailPreference(Base):
    """When a person, a body's group, or else the community is written to. Retention: as whose it is."""

    __tablename__ = "mail_preference"
    __table_args__ = (
        UniqueConstraint("user_id", name="uq_mail_preference_user"),
        UniqueConstraint("group_id", name="uq_mail_preference_group"),
        CheckConstraint("user_id IS NULL OR group_id IS NULL", name="ck_mail_preference_whose"),
        # A community has one choice for all.
        Index(
            "uq_mail_preference_community",
            "community_id",
            unique=True,
            postgresql_where=_OF_ALL,
            sqlite_where=_OF_ALL,
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id", name="fk_mail_preference_community"))
    #: Whose it is: one of the two, or neither where it is the community's.
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", name="fk_mail_preference_user"))
    group_id: Mapped[int | None] = mapped_column(ForeignKey("group.id", name="fk_mail_preference_group"))
    #: at_once, daily or weekly; None where nothing was chosen, and the less specific says it.
    how: Mapped[str | None] = mapped_column(String(10))
    #: The local hour of what is gathered, and its weekday, Monday being 0.
    hour: Mapped[int] = mapped_column(default=8)
    weekday: Mapped[int] = mapped_column(default=0)
    #: Does the person get reminders before the due date?
    reminders: Mapped[bool] = mapped_column(default=True)
    changed_at: Mapped[datetime]


class WeeklyOverview(Base):
    """Someone who wants the leader's page as a mail every week. Retention: as the user."""

    __tablename__ = "weekly_overview"
    __table_args__ = (
        UniqueConstraint("user_id", name="uq_weekly_overview_user"),
        Index("ix_weekly_overview_next", "next_at"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id", name="fk_weekly_overview_community"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", name="fk_weekly_overview_user"))
    #: Keys of the bodies whose page it is; empty text stands for every case that the person may see.
    pages: Mapped[list[str]] = mapped_column(JSON)
    #: The moment of the mail that is planned; the next week's is planned then.
    next_at: Mapped[datetime]


class MailText(Base):
    """The secretariat's own words for a part of a kind of mail; each change is a row. Retention: as the community."""

    __tablename__ = "mail_text"
    __table_args__ = (
        UniqueConstraint("community_id", "rule", "locale", "part", "revision", name="uq_mail_text_revision"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id", name="fk_mail_text_community"))
    #: The kind of mail, such as reminder, its language (nb, nn, en), and the part: subject, heading, lead or below.
    rule: Mapped[str] = mapped_column(String(20))
    locale: Mapped[str] = mapped_column(String(5))
    part: Mapped[str] = mapped_column(String(10))
    #: From 1; the highest holds.
    revision: Mapped[int]
    #: The words with placeholders such as {due}; None: the standard words again.
    text: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime]
    by_id: Mapped[int] = mapped_column(ForeignKey("user.id", name="fk_mail_text_by"))


class ReceivedMail(Base):
    """A mail that the demo's own server took in. Retention: the demo's."""

    __tablename__ = "received_mail"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(index=True)
    #: The envelope's recipient, which need not be in the headers.
    envelope_to: Mapped[str] = mapped_column(String(320), index=True)
    subject: Mapped[str] = mapped_column(String(300))
    #: The message as it came over the wire.
    raw: Mapped[bytes]


class TaskLink(Base):
    """A mail's way into a task without signing in: one person's, for one purpose, known only by its SHA-256.

    Retention: a year after it expires.
    """

    __tablename__ = "task_link"
    __table_args__ = (
        # A mail that is sent again says what it said.
        UniqueConstraint("delivery_id", "task_id", name="uq_task_link_delivery"),
        Index("ix_task_link_task", "task_id", "user_id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    #: What is signed; worth nothing without the signature.
    public_id: Mapped[str] = mapped_column(String(12), unique=True, default=new_public_id)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    #: The mail it stands in.
    delivery_id: Mapped[int] = mapped_column(ForeignKey("delivery.id"))
    task_id: Mapped[int] = mapped_column(ForeignKey("user_task.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    #: answer or approve.
    purpose: Mapped[str] = mapped_column(String(10))
    #: The task's revision that the person is told of; after another's act the link explains itself.
    revision: Mapped[int]
    #: Where it went: it ends when the person's address changes.
    address: Mapped[str] = mapped_column(String(254))
    #: Raised when the mail goes to another address, so that the former one's copy ends.
    issue: Mapped[int] = mapped_column(default=1)
    #: SHA-256 of the whole token.
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    made_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    #: When what it is for was done by it, or it was exchanged for a fresh one.
    used_at: Mapped[datetime | None]
    #: When and by whom it was ended before its time.
    revoked_at: Mapped[datetime | None]
    revoked_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
