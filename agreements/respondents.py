"""Open answers beside a survey: people of one role answer a short form by a shared link, and nobody knows who they are.

They are counted apart from the parties' answers and fulfil nothing. A link closes with its step.
"""

import csv
import hashlib
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from itsdangerous import BadSignature, Signer
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from agreements.model import RespondentAnswer, RespondentLink
from engine import history, identity, process_instances, task_forms
from engine.errors import FieldProblem, InvalidAnswers, InvalidInput, NotFound, NotOpen
from engine.form_definitions import Component, Field, Group, Rows
from engine.forms import Form
from engine.identity import Person
from engine.model import Community, Step, UserTask

#: Answers through one link; more come from a program.
MOST = 5_000
MAX_ROLE, MAX_LENGTH = 80, 200
#: What opens a formula in a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_SALT, _FORM_SALT = b"respondent-link", b"respondent-form"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A link with what it asks."""

    link: RespondentLink
    task: UserTask
    form: Form
    inputs: Mapping[str, object]

    @property
    def name(self) -> str:
        """`Ansatte, Larvik kommune`."""
        return ", ".join(filter(None, (self.link.role, self.task.item_name)))


# --- links ------------------------------------------------------------------------------------------------------------


def open_link(
    session: Session, task: UserTask, *, role: str, parts: Sequence[int], actor: Person, now: datetime
) -> RespondentLink:
    """Let people of that role answer about the task's party. Raises NotOpen, NotAllowed and InvalidInput."""
    instance = process_instances.locked(session, task.instance_id)
    identity.require_owner(actor, instance)
    process_instances.require_active(instance)
    if task.step.state != "open" or task.form_key is None:
        raise NotOpen("The survey is closed.")
    name = " ".join(role.split())
    if not name or len(name) > MAX_ROLE or not name.isprintable():
        raise InvalidInput(f"A role has 1 to {MAX_ROLE} characters.")
    link = RespondentLink(
        community_id=task.community_id, step_id=task.step_id, task_id=task.id, role=name, parts=sorted(set(parts)),
        created_at=now, created_by_id=actor.id,
    )  # fmt: skip
    session.add(link)
    history.record(
        session, instance, "respondents-invited", now=now, actor_id=actor.id, task_id=task.id, item=task.item, role=name
    )
    return link


def close_link(session: Session, link: RespondentLink, *, actor: Person, now: datetime) -> None:
    """Take no more answers through it; what was answered stays. Raises NotAllowed."""
    task = session.get_one(UserTask, link.task_id)
    instance = process_instances.locked(session, task.instance_id)
    identity.require_owner(actor, instance)
    if link.closed_at is None:
        link.closed_at = now
        history.record(
            session, instance, "respondents-closed", now=now, actor_id=actor.id, task_id=task.id, item=task.item,
            role=link.role,
        )  # fmt: skip


def of_step(session: Session, step_id: int) -> Sequence[tuple[RespondentLink, int]]:
    """The step's links with how many answered through each, oldest first."""
    counted = (
        select(RespondentAnswer.link_id, func.count().label("count")).group_by(RespondentAnswer.link_id).subquery()
    )
    query = (
        select(RespondentLink, func.coalesce(counted.c.count, 0))
        .outerjoin(counted, counted.c.link_id == RespondentLink.id)
        .where(RespondentLink.step_id == step_id)
        .order_by(RespondentLink.id)
    )
    return [(link, int(count)) for link, count in session.execute(query)]


def counts(session: Session, steps: Collection[int]) -> Mapping[int, int]:
    """How many open answers each of these steps has; steps without any are left out."""
    query = (
        select(RespondentLink.step_id, func.count())
        .join(RespondentAnswer, RespondentAnswer.link_id == RespondentLink.id)
        .where(RespondentLink.step_id.in_(steps))
        .group_by(RespondentLink.step_id)
    )
    return dict(session.execute(query).all()) if steps else {}


def token_of(link: RespondentLink, key: str) -> str:
    """What stands in the link's address."""
    return _signer((key,)).sign(link.public_id).decode()


def find(session: Session, token: str, keys: tuple[str, ...]) -> RespondentLink:
    """The link of that address. Raises NotFound."""
    if len(token) > MAX_LENGTH or not token.isascii():
        raise NotFound
    try:
        public_id = _signer(keys).unsign(token).decode()
    except BadSignature:
        raise NotFound from None
    link = session.scalar(select(RespondentLink).where(RespondentLink.public_id == public_id))
    if link is None:
        raise NotFound
    return link


def form_token(link: RespondentLink, submission: str, keys: tuple[str, ...]) -> str:
    """Binds a form to its link."""
    return _signer(keys, _FORM_SALT).sign(f"{link.id}-{submission}").decode()


def form_fits(link: RespondentLink, submission: str, token: str, keys: tuple[str, ...]) -> bool:
    """Was the form made for this link?"""
    try:
        return _signer(keys, _FORM_SALT).unsign(token) == f"{link.id}-{submission}".encode()
    except BadSignature:
        return False


def _signer(keys: tuple[str, ...], salt: bytes = _SALT) -> Signer:
    return Signer(list(keys), salt=salt, digest_method=hashlib.sha256)


# --- answers ----------------------------------------------------------------------------------------------------------


def asked(session: Session, link: RespondentLink) -> Asked:
    """What the link asks: the survey's form without files, people and dates of the case, and nothing is required."""
    task = session.get_one(UserTask, link.task_id)
    form, inputs = task_forms.form_of(session, task.instance, task, {})
    chosen = [part for place, part in enumerate(form.components) if not link.parts or place in link.parts]
    return Asked(link=link, task=task, form=replace(form, components=_open(chosen)), inputs=inputs)


def parts_of(form: Form) -> Sequence[tuple[int, str]]:
    """The named parts of a form that a link may ask: place and label."""
    named = [(place, part) for place, part in enumerate(form.components) if isinstance(part, Group | Rows)]
    return [(place, part.label) for place, part in named if part.label and _open([part])]


def _open(components: Sequence[Component]) -> tuple[Component, ...]:
    found: list[Component] = []
    for part in components:
        if isinstance(part, Field):
            # A list of the people is nobody's business outside, and files can't be looked through by anyone.
            if part.type != "filepicker" and part.values_key is None and not part.properties.get("setsFact"):
                found.append(replace(part, required=False))
        elif isinstance(part, Group):
            if inner := _open(part.components):
                found.append(replace(part, components=inner))
        elif isinstance(part, Rows):
            if inner := _open(part.components):
                found.append(replace(part, components=inner, required=False))
        else:
            found.append(part)
    return tuple(found)


def is_open(session: Session, link: RespondentLink) -> bool:
    """Does it still take answers?"""
    step = session.get_one(Step, link.step_id)
    instance = session.get_one(UserTask, link.task_id).instance
    return link.closed_at is None and step.state == "open" and instance.state == "active"


def answer(
    session: Session, link: RespondentLink, answers: Mapping[str, object], submission: str, now: datetime
) -> None:
    """Keep one answer; the same submission counts once. Raises NotOpen and InvalidAnswers."""
    session.get_one(RespondentLink, link.id, with_for_update=True, populate_existing=True)
    if not is_open(session, link):
        raise NotOpen("The survey is closed.")
    mine = RespondentAnswer.link_id == link.id
    if session.scalar(select(RespondentAnswer.id).where(mine, RespondentAnswer.submission == submission)):
        return
    if (session.scalar(select(func.count()).where(mine)) or 0) >= MOST:
        raise NotOpen("Nobody can answer through this link any more.")
    it = asked(session, link)
    clean = task_forms.checked(it.form, answers, it.inputs)
    if not it.form.summary(clean, it.inputs):
        raise InvalidAnswers([FieldProblem(key="", label="", message="Svar på minst ett spørsmål.")])
    calendar = identity.calendar_of(session.get_one(Community, link.community_id))
    session.add(
        RespondentAnswer(
            community_id=link.community_id, link_id=link.id, submission=submission, answers=clean,
            answered_on=calendar.local_date(now),
        )
    )  # fmt: skip


def answers_of(session: Session, link: RespondentLink) -> Sequence[RespondentAnswer]:
    """What was answered through it, in no telling order."""
    query = select(RespondentAnswer).where(RespondentAnswer.link_id == link.id)
    return session.scalars(query.order_by(RespondentAnswer.submission)).all()


# --- spreadsheets -----------------------------------------------------------------------------------------------------


def as_csv(session: Session, step_id: int, headings: tuple[str, str, str]) -> str:
    """Every open answer of the step, a row each, under `headings` of role, party and day and the questions' labels."""
    rows: list[dict[str, str]] = []
    for link, _count in of_step(session, step_id):
        it = asked(session, link)
        known = (link.role, it.task.item_name or "")
        for found in answers_of(session, link):
            first = dict(zip(headings, (*known, found.answered_on.isoformat()), strict=True))
            rows.append(first | dict(it.form.summary(found.answers, it.inputs)))
    columns = dict.fromkeys([*headings, *(label for row in rows for label in row)])
    written = io.StringIO()
    sheet = csv.writer(written, delimiter=";", lineterminator="\r\n")
    sheet.writerow([_harmless(label) for label in columns])
    sheet.writerows([_harmless(row.get(label, "")) for label in columns] for row in rows)
    return "\ufeff" + written.getvalue()


def _harmless(text: str) -> str:
    """The text as a spreadsheet shows it, and never reckons it."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
