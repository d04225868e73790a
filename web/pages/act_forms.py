"""What the forms of the owner's acts share: the case and the task, held as they were seen; reasons; pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from engine import identity, process_instances, user_tasks
from engine.errors import NotFound
from engine.identity import Person
from engine.model import ProcessInstance, UserTask
from web.context import db, person
from web.pages import meanwhile

#: Longest reason that is kept.
MAX_REASON = 2000
#: View -> the states of a case in which it makes sense, where that is not just `active`.
_STATES = {
    "resume": ("suspended",), "reopen": ("completed", "cancelled"), "cancel": ("active", "suspended"),
    "correct": ("active", "suspended", "completed", "cancelled"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is wrong with one field of an act's form."""

    field: str
    message: str


def own(session: Session, actor: Person, public_id: str) -> ProcessInstance:
    """The case, if they may steer it. Raises NotFound or NotAllowed."""
    instance = identity.instance_by_id(session, actor, public_id)
    identity.require_owner(actor, instance)
    return instance


def task_of(session: Session, instance: ProcessInstance, public_id: str) -> UserTask:
    """The case's task, with its people. Raises NotFound."""
    people = (joinedload(UserTask.assignee), joinedload(UserTask.approver), joinedload(UserTask.candidate_group))
    query = select(UserTask).where(UserTask.public_id == public_id, UserTask.instance_id == instance.id)
    task = session.scalar(query.options(*people, joinedload(UserTask.step)))
    if task is None:
        raise NotFound(_("Saken har ingen slik oppgave."))
    return task


def shown_again(view: meanwhile.View) -> meanwhile.View:
    """The act's view, whose form comes again when somebody else was first."""
    return meanwhile.shown_again(view, lambda public_id: own(db(), person(), public_id), _STATES)


def is_shown() -> bool:
    """Is the form to be shown, because it was asked for or because somebody else was first?"""
    return request.method == "GET" or meanwhile.is_second()


def locked(session: Session, actor: Person, public_id: str) -> ProcessInstance:
    """The case, held, at the revision that the form showed."""
    instance = process_instances.locked(session, own(session, actor, public_id).id)
    process_instances.require_revision(instance, revision_seen())
    return instance


def held(session: Session, actor: Person, public_id: str, task_id: str, *states: str) -> UserTask:
    """The task, held, at the revision that the form showed."""
    task = task_of(session, own(session, actor, public_id), task_id)
    held = user_tasks.hold(session, task.id)
    user_tasks.require_open(held, revision_seen(), *states)
    return held.task


def revision_seen() -> int | None:
    """The revision that the form showed."""
    return request.form.get("revision", type=int)


def reason_given(problems: list[Problem], message: str) -> str:
    """Why; `message` is what is said where nothing was written."""
    text = request.form.get("reason", "").strip()
    if not text:
        problems.append(Problem(field="reason", message=message))
    elif len(text) > MAX_REASON:
        problems.append(Problem(field="reason", message=_("Begrunnelsen kan ha høyst %(n)s tegn.", n=MAX_REASON)))
    return text


def date_given(problems: list[Problem], name: str, message: str) -> date | None:
    """The date in a field; `message` is what is said where there is none."""
    try:
        return date.fromisoformat(request.form.get(name, ""))
    except ValueError:
        problems.append(Problem(field=name, message=message))
        return None


def page(
    template: str, instance: ProcessInstance, problems: Sequence[Problem] = (), *, status: int = 422, **more: Any
) -> ResponseReturnValue:
    """The act's page; what is typed stays in it. `status` is that of a form which was sent."""
    happened = g.get("meanwhile", [])
    text = render_template(
        f"cases/{template}", instance=instance, problems=problems, typed=request.form, max_reason=MAX_REASON,
        happened=happened, **more,
    )  # fmt: skip
    if meanwhile.is_second():
        return text, 409
    return text, status if request.method == "POST" else 200


def done(public_id: str, message: str) -> ResponseReturnValue:
    """Back to the case, with what was done."""
    flash(message, "success")
    return redirect(url_for("cases.show", id=public_id), 303)
