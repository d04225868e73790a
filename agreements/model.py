"""Every table of the agreements: the parties, where they meet, what they agreed, and which case is about it.

Members of a body or of a party are the memberships of its group. Dates are days of the community's zone.
"""

import datetime as dt
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from engine.model import Base, Group, Id, ProcessInstance, User, UserTask, new_public_id

HOSPITAL = "hospital"
MUNICIPALITY = "municipality"

_REQUESTED = text("state = 'open'")

#: The process key under which defaults for every process stand.
EVERY_PROCESS = "*"


class Party(Base):
    """A hospital trust or municipality that adopts and signs for itself. Retention: as the community."""

    __tablename__ = "party"
    __table_args__ = (UniqueConstraint("community_id", "key"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    #: What start forms and process variables call it; its group has the same key.
    key: Mapped[str] = mapped_column(String(80))
    name: Mapped[str] = mapped_column(String(200))
    #: hospital or municipality.
    kind: Mapped[str] = mapped_column(String(20))
    #: Its place in lists.
    position: Mapped[int] = mapped_column(default=0)
    #: Who answers for the party; None while nobody does, and then nothing can be asked of it.
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    #: Who answers when the contact is away.
    deputy_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    #: Who approves the party's answers; None where the contact's answer is final.
    approver_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    group_id: Mapped[int] = mapped_column(ForeignKey("group.id"))

    contact: Mapped[User | None] = relationship(foreign_keys=[contact_id])
    deputy: Mapped[User | None] = relationship(foreign_keys=[deputy_id])
    approver: Mapped[User | None] = relationship(foreign_keys=[approver_id])
    group: Mapped[Group] = relationship()


class Body(Base):
    """Those who meet or are heard: committee, forum, network, organisation. Retention: as the community."""

    __tablename__ = "body"
    __table_args__ = (UniqueConstraint("community_id", "key"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    #: What models and forms call it; its group has the same key.
    key: Mapped[str] = mapped_column(String(80))
    name: Mapped[str] = mapped_column(String(200))
    #: What people say, such as "SSU".
    short_name: Mapped[str] = mapped_column(String(80))
    #: 1 (the partnership) to 4 (networks); None for those who are heard without being part of the structure.
    level: Mapped[int | None]
    #: Its place in lists.
    position: Mapped[int] = mapped_column(default=0)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("body.id"))
    #: None for a body that an agreement names but nobody has established.
    group_id: Mapped[int | None] = mapped_column(ForeignKey("group.id"))
    #: The weekday it usually meets on, 0 (Monday) to 4 (Friday); None where there is no habit.
    usual_weekday: Mapped[int | None]
    #: Working days before a meeting at which its papers go out.
    paper_working_days: Mapped[int] = mapped_column(default=5)
    #: How many cases one of its meetings can treat; None where nobody set a limit.
    capacity: Mapped[int | None]

    parent: Mapped["Body | None"] = relationship(remote_side=[id])
    group: Mapped[Group | None] = relationship()


class Meeting(Base):
    """A body's meeting. Retention: for ever."""

    __tablename__ = "meeting"
    __table_args__ = (
        UniqueConstraint("body_id", "date"),
        UniqueConstraint("community_id", "key"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(12), unique=True, default=new_public_id)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    body_id: Mapped[int] = mapped_column(ForeignKey("body.id"))
    #: What the community's file calls it; stays when the meeting moves. None for one made in the product.
    key: Mapped[str | None] = mapped_column(String(80))
    date: Mapped[dt.date]
    #: Local clock time; None while it is not settled.
    starts_at: Mapped[dt.time | None]
    place: Mapped[str] = mapped_column(String(200), default="")
    note: Mapped[str] = mapped_column(Text, default="")
    #: The date its papers bear; None until they are out.
    papers_dated: Mapped[dt.date | None]
    #: Its numbered cases: {number, title, types, archive, page}.
    agenda: Mapped[list[Any]] = mapped_column(default=list)
    #: Raised each time it moves, so that calendars take the newest date.
    sequence: Mapped[int] = mapped_column(default=0, server_default=text("0"))

    body: Mapped[Body] = relationship()


class Agreement(Base):
    """A text the parties agreed on, at any level from overall agreement to annex. Retention: for ever."""

    __tablename__ = "agreement"
    __table_args__ = (UniqueConstraint("community_id", "key"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(12), unique=True, default=new_public_id)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    key: Mapped[str] = mapped_column(String(80))
    name: Mapped[str] = mapped_column(String(300))
    #: agreement, sub-agreement, guideline or annex.
    kind: Mapped[str] = mapped_column(String(20))
    #: Its place in lists.
    position: Mapped[int] = mapped_column(default=0)
    #: What it hangs under.
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("agreement.id"))
    adopted: Mapped[dt.date | None]
    #: Number of the case that adopted it, such as "2025.35".
    adopted_case: Mapped[str] = mapped_column(String(30), default="")
    in_force_from: Mapped[dt.date | None]
    revised: Mapped[dt.date | None]
    #: {label, value} per numbered chapter, as forms offer them.
    chapters: Mapped[list[Any]] = mapped_column(default=list)
    #: {key, name} per question raised since it came into force, carried into its next evaluation.
    questions: Mapped[list[Any]] = mapped_column(default=list)

    parent: Mapped["Agreement | None"] = relationship(remote_side=[id])


class Case(Base):
    """What a process instance is about. Retention: as the instance."""

    __tablename__ = "agreement_case"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("process_instance.id"), unique=True)
    #: None where the case is about no agreement, such as a mandate.
    agreement_id: Mapped[int | None] = mapped_column(ForeignKey("agreement.id"), index=True)
    #: Such as "17/26", in the older form "2024.18"; empty until it has one.
    case_number: Mapped[str] = mapped_column(String(30), default="", index=True)
    #: Such as "26/02136-18".
    archive_reference: Mapped[str] = mapped_column(String(60), default="")
    #: Who asked for it and where, as people read it: "SSU 7. mai 2026, sak 17/26".
    commissioned_by: Mapped[str] = mapped_column(Text, default="")

    instance: Mapped[ProcessInstance] = relationship()
    agreement: Mapped[Agreement | None] = relationship()


class CaseMeeting(Base):
    """The meeting from which a case takes one of its facts. Retention: as the case."""

    __tablename__ = "case_meeting"
    __table_args__ = (Index("ix_case_meeting_meeting", "meeting_id"),)

    case_id: Mapped[int] = mapped_column(ForeignKey("agreement_case.id"), primary_key=True)
    #: ssu, au or meeting: the name that expressions in the model read.
    fact: Mapped[str] = mapped_column(String(40), primary_key=True)
    meeting_id: Mapped[int] = mapped_column(ForeignKey("meeting.id"))

    case: Mapped[Case] = relationship()
    meeting: Mapped[Meeting] = relationship()


class Move(Base):
    """Dates moved at once: a meeting with its cases, or dates of one case. Retention: ten years."""

    __tablename__ = "move"
    __table_args__ = (Index("ix_move_list", "community_id", "at"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(12), unique=True, default=new_public_id)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    #: None where the dates of one case were moved, and no meeting.
    meeting_id: Mapped[int | None] = mapped_column(ForeignKey("meeting.id"), index=True)
    at: Mapped[dt.datetime]
    by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    #: The meeting's date before and after; both None where no meeting was moved.
    old: Mapped[dt.date | None]
    new: Mapped[dt.date | None]
    reason: Mapped[str] = mapped_column(Text)

    meeting: Mapped[Meeting | None] = relationship()


class MoveNotice(Base):
    """One date of one step that a move changed for one person; their mail lists all. Retention: as the case."""

    __tablename__ = "move_notice"
    __table_args__ = (
        Index("ix_move_notice_instance", "instance_id", "user_id"),
        Index("ix_move_notice_move", "move_id", "user_id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    move_id: Mapped[int] = mapped_column(ForeignKey("move.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    instance_id: Mapped[int] = mapped_column(ForeignKey("process_instance.id"))
    #: The person's task; None where the step has not opened yet.
    task_id: Mapped[int | None] = mapped_column(ForeignKey("user_task.id"))
    #: What the step is called; empty where the person is told of the meeting itself.
    step_name: Mapped[str] = mapped_column(String(300))
    old: Mapped[dt.date | None]
    new: Mapped[dt.date | None]

    move: Mapped[Move] = relationship()
    instance: Mapped[ProcessInstance] = relationship()


class MoreTimeRequest(Base):
    """Somebody asks for more time for their task, and the owner's answer. Retention: as the case."""

    __tablename__ = "more_time_request"
    __table_args__ = (
        # One open request for each task.
        Index(
            "uq_more_time_request_open", "task_id", unique=True, sqlite_where=_REQUESTED, postgresql_where=_REQUESTED
        ),
        Index("ix_more_time_request_instance", "instance_id", "state"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(12), unique=True, default=new_public_id)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    instance_id: Mapped[int] = mapped_column(ForeignKey("process_instance.id"))
    task_id: Mapped[int] = mapped_column(ForeignKey("user_task.id"))
    asked_by_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    asked_at: Mapped[dt.datetime]
    #: The due date they ask for, and the one they had when they asked.
    wanted: Mapped[dt.date]
    due_date: Mapped[dt.date | None]
    reason: Mapped[str] = mapped_column(Text)
    #: open, granted, refused, or withdrawn because the task is no longer open.
    state: Mapped[str] = mapped_column(String(10), default="open")
    answered_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    answered_at: Mapped[dt.datetime | None]
    #: The owner's reason, and the due date that was given.
    answer: Mapped[str] = mapped_column(Text, default="")
    given: Mapped[dt.date | None]

    task: Mapped[UserTask] = relationship()
    instance: Mapped[ProcessInstance] = relationship()
    asked_by: Mapped[User] = relationship(foreign_keys=[asked_by_id])


class StartDefault(Base):
    """Whom a process asks unless its starter chooses otherwise. Retention: as the community."""

    __tablename__ = "start_default"
    __table_args__ = (UniqueConstraint("community_id", "process_key"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    #: A process id, or "*" for every process that has no row of its own.
    process_key: Mapped[str] = mapped_column(String(120))
    #: Keys of the bodies that check the findings.
    reviewers: Mapped[list[Any]] = mapped_column(default=list)
    #: Keys of the bodies that drafts are sent to for comment.
    hearing_bodies: Mapped[list[Any]] = mapped_column(default=list)


class RegisterChange(Base):
    """One change that a community's file made in the register, append-only. Retention: ten years."""

    __tablename__ = "register_change"
    __table_args__ = (Index("ix_register_change_list", "community_id", "at"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    at: Mapped[dt.datetime]
    #: community, user, group, party, body, meeting, agreement or start default.
    thing: Mapped[str] = mapped_column(String(20))
    key: Mapped[str] = mapped_column(String(120))
    #: The field that changed; empty when the thing was made.
    field: Mapped[str] = mapped_column(String(40), default="")
    #: Values before and after; both None for what identifies a person, so that it can be erased.
    old: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    new: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)


class Invitation(Base):
    """A dialogue meeting of a case, to which its parties are invited by mail. Retention: as the case."""

    __tablename__ = "invitation"
    __table_args__ = (UniqueConstraint("instance_id", "name"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    #: What calendars know it by; stays when it moves.
    public_id: Mapped[str] = mapped_column(String(12), unique=True, default=new_public_id)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    instance_id: Mapped[int] = mapped_column(ForeignKey("process_instance.id"))
    #: What the plan calls it, such as "Dialogmøte 1".
    name: Mapped[str] = mapped_column(String(200))
    date: Mapped[dt.date]
    #: The date before it moved; None where it never did.
    former: Mapped[dt.date | None]
    #: Raised each time it moves or is called off, so that calendars take the newest.
    sequence: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[bool] = mapped_column(default=False)

    instance: Mapped[ProcessInstance] = relationship()


class CalendarFeed(Base):
    """A secret address under which one person's calendar program reads. Retention: until revoked, then a year."""

    __tablename__ = "calendar_feed"
    __table_args__ = (Index("ix_calendar_feed_user", "user_id", "body_id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    #: The body whose calendar it is; None: the person's own.
    body_id: Mapped[int | None] = mapped_column(ForeignKey("body.id"))
    #: SHA-256 of what is secret in the address.
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[dt.datetime]
    revoked_at: Mapped[dt.datetime | None]


class RespondentLink(Base):
    """An open way into a survey, for people of one role who have no task in it. Retention: as the case."""

    __tablename__ = "respondent_link"
    __table_args__ = (Index("ix_respondent_link_step", "step_id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    #: What is signed; worth nothing without the signature.
    public_id: Mapped[str] = mapped_column(String(12), unique=True, default=new_public_id)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    #: A task of the survey's step: its form is asked, about its party. The link closes with the step.
    step_id: Mapped[int] = mapped_column(ForeignKey("step.id"))
    task_id: Mapped[int] = mapped_column(ForeignKey("user_task.id"))
    #: Whom it is for: `Ansatte`, `Pasienter og pårørende`.
    role: Mapped[str] = mapped_column(String(80))
    #: Places of the form's parts that are asked; empty: all.
    parts: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[dt.datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    #: When the owner closed it before the survey ended.
    closed_at: Mapped[dt.datetime | None]


class RespondentAnswer(Base):
    """What somebody answered through an open link; nothing says who. Retention: as the case."""

    __tablename__ = "respondent_answer"
    __table_args__ = (UniqueConstraint("link_id", "submission", name="uq_respondent_answer_submission"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    link_id: Mapped[int] = mapped_column(ForeignKey("respondent_link.id"))
    #: Made with the page, so that a button pressed twice is one answer.
    submission: Mapped[str] = mapped_column(String(32))
    #: The day only: the moment could tell who it was.
    answered_on: Mapped[dt.date]
    answers: Mapped[dict[str, Any]]
