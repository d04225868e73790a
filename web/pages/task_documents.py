"""Files that belong to a case or to a task: kept, listed, handed out and taken away.

A file is always handed out as an attachment. What a browser could run (HTML, SVG, XML, scripts) is kept as plain
bytes.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from flask_babel import gettext as _
from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session, defer

from engine import history, identity, process_instances, user_tasks
from engine.errors import InvalidInput, NotAllowed, NotFound
from engine.identity import Person
from engine.model import Document, ProcessInstance, UserTask, new_public_id
from web.pages import task_words

PLAIN_TYPE = "application/octet-stream"
_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,80}")
#: Kinds whose content is only shown, never run.
_HARMLESS = re.compile(r"image/(png|jpeg|gif|webp)|text/(plain|csv)|application/(pdf|zip|msword|rtf|vnd\.[a-z0-9.+-]+)")
_NAME_LENGTH = 120


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file as it came, with a safe name and type."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A file in a list; its content stays in the database."""

    public_id: str
    name: str
    size: int
    uploaded_at: datetime
    of_task: bool
    removable: bool

    @property
    def kind(self) -> str:
        """`PDF`, from the name."""
        return PurePosixPath(self.name).suffix.lstrip(".").upper()

    @property
    def size_in_words(self) -> str:
        """`340 kB`, `1,4 MB`."""
        if self.size < 1_000_000:
            return f"{max(1, round(self.size / 1000))}\u00a0kB"
        return f"{self.size / 1_000_000:.1f}\u00a0MB".replace(".", ",")


def accept(filename: str, content_type: str, content: bytes, *, max_mb: int) -> Upload:
    """The file, fit to be kept. Raises InvalidInput when it is empty or too large."""
    name = safe_name(filename)
    if not content:
        raise InvalidInput(_("Fila «%(name)s» er tom. Velg en annen.", name=name))
    if len(content) > max_mb * 1_000_000:
        raise InvalidInput(
            _("Fila «%(name)s» er større enn %(size)s MB. Gjør den mindre, eller del den opp.", name=name, size=max_mb)
        )
    return Upload(name=name, content_type=safe_type(content_type), content=content)


def safe_name(filename: str) -> str:
    """The last part of the name without anything a file system or a header could misread."""
    text = unicodedata.normalize("NFC", filename).replace("\\", "/").rsplit("/", maxsplit=1)[-1]
    # Control characters, and the marks that turn the reading direction and hide a name's real ending.
    text = "".join(" " if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else c for c in text)
    text = re.sub(r'[<>:"|?*;]', "_", " ".join(text.split())).strip(". ")
    path = PurePosixPath(text or "fil")
    ending = path.suffix[:12]
    return path.stem[: _NAME_LENGTH - len(ending)] + ending


def safe_type(content_type: str) -> str:
    """The type if a browser would only show it, else plain bytes."""
    plain = content_type.partition(";")[0].strip().lower()
    harmless = _TYPE.fullmatch(plain) and _HARMLESS.fullmatch(plain) and "xml" not in plain.split("+")
    return plain if harmless else PLAIN_TYPE


def add(
    session: Session, task_id: int, uploads: Iterable[Upload], *, actor: Person, now: datetime, to_case: bool = False
) -> list[str]:
    """Keep files with an open task, or with its case for all who take part. Answers their public ids.

    Raises NotOpen, and NotAllowed for whoever neither answers, approves nor steers.
    """
    held = user_tasks.hold(session, task_id)
    user_tasks.require_open(held, None)
    owner = identity.owns(actor, held.instance)
    if not (task_words.fills(actor, held.task) or held.task.approver_id in actor.acts_for or owner):
        raise NotAllowed(_("Bare den som har oppgaven, kan legge ved filer."))
    if to_case and not owner:
        raise NotAllowed(_("Bare den som styrer saken, kan legge filer ved saken."))
    kept = []
    for upload in uploads:
        document = Document(
            public_id=new_public_id(), community_id=held.task.community_id, instance_id=held.instance.id,
            task_id=None if to_case else task_id, name=upload.name, content_type=upload.content_type,
            size=len(upload.content), content=upload.content, uploaded_by_id=actor.id, uploaded_at=now,
        )  # fmt: skip
        session.add(document)
        history.record(
            session, held.instance, "document-added", now=now, actor_id=actor.id,
            on_behalf_of_id=user_tasks.for_whom(actor, held), task_id=task_id, item=held.task.item,
            document=document.public_id,
        )  # fmt: skip
        kept.append(document.public_id)
    return kept


def remove(session: Session, person: Person, public_id: str, *, now: datetime) -> Document:
    """Take a file away; whoever put it there may while its task is open, and the owner while the case runs."""
    document = find(session, person, public_id)
    task = session.get(UserTask, document.task_id) if document.task_id is not None else None
    instance = process_instances.locked(session, document.instance_id)
    process_instances.require_active(instance)
    if not _removable(document.uploaded_by_id, person, task, owner=identity.owns(person, instance)):
        raise NotAllowed(_("Fila hører til et svar som er sendt. Bare den som la den ved, kan fjerne den før det."))
    session.execute(delete(Document).where(Document.id == document.id))
    history.record(
        session, instance, "document-removed", now=now, actor_id=person.id, task_id=document.task_id,
        document=document.public_id,
    )  # fmt: skip
    return document


def _removable(uploaded_by_id: int | None, person: Person, task: UserTask | None, *, owner: bool) -> bool:
    if task is None:
        return owner
    return task.state == "open" and uploaded_by_id == person.id


def find(session: Session, person: Person, public_id: str) -> Document:
    """The file without its content, if they may read it. Raises NotFound either way, so that ids tell nothing.

    A case's file is for all who see the case; a task's for those it concerns, and for others once its answer is
    released.
    """
    query = (
        select(Document)
        .join(ProcessInstance, ProcessInstance.id == Document.instance_id)
        .where(Document.public_id == public_id, identity.visible_instances(person))
        .options(defer(Document.content))
    )
    document = session.scalar(query)
    if document is None or not _may_read(session, person, document):
        raise NotFound(_("Fila finnes ikke, eller du har ikke tilgang til den."))
    return document


def _may_read(session: Session, person: Person, document: Document) -> bool:
    if document.task_id is None or document.uploaded_by_id == person.id:
        return True
    task = session.get_one(UserTask, document.task_id)
    return identity.may_read_answers(person, task, task.instance, task.step.state == "open")


def of_task(session: Session, person: Person, task: UserTask) -> list[Listed]:
    """The case's files and the task's own, oldest first; for someone who may read the task's answers."""
    query = (
        select(Document)
        .options(defer(Document.content))
        .where(Document.instance_id == task.instance_id, or_(Document.task_id.is_(None), Document.task_id == task.id))
        .order_by(Document.id)
    )
    owner = identity.owns(person, task.instance)
    readable = identity.may_read_answers(person, task, task.instance, task.step.state == "open")
    found = []
    for row in session.scalars(query):
        if row.task_id is not None and not readable and row.uploaded_by_id != person.id:
            continue
        removable = _removable(row.uploaded_by_id, person, task if row.task_id else None, owner=owner)
        found.append(
            Listed(
                public_id=row.public_id,
                name=row.name,
                size=row.size,
                uploaded_at=row.uploaded_at,
                of_task=row.task_id is not None,
                removable=removable and task.instance.state == "active",
            )
        )
    return found


def names(session: Session, task_ids: Sequence[int]) -> dict[int, dict[str, str]]:
    """Per task: public id and name of its files, as forms name them (`inputs["files"]`)."""
    found: dict[int, dict[str, str]] = {task_id: {} for task_id in task_ids}
    query = select(Document.task_id, Document.public_id, Document.name).where(Document.task_id.in_(task_ids))
    for row in session.execute(query.order_by(Document.id)):
        found[row.task_id][row.public_id] = row.name
    return found
