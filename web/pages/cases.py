"""Cases: the list, a case, its history, its answers and its diagram. The owner's acts are in `case_acts`."""

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import login_required
from sqlalchemy import select

from engine import history as engine_history
from engine import identity, task_forms
from engine.errors import NotFound
from engine.model import ProcessDefinition, ProcessInstance, UserTask
from web.context import calendar, db, formatter, person, today
from web.pages import case_acts, case_history, case_list, case_views, task_documents

pages = Blueprint("cases", __name__)
case_acts.register(pages)


@pages.get("/saker")
@login_required  # type: ignore[untyped-decorator]
def index() -> ResponseReturnValue:
    """The cases one may see: in progress, one's own, or ended."""
    wanted = _one_of(request.args.get("vis"), case_list.FILTERS)
    sorting = _one_of(request.args.get("sorter"), case_list.SORTINGS)
    page = request.args.get("side", 1, type=int)
    found = case_list.cases(db(), person(), formatter(), wanted=wanted, sorting=sorting, page=page)
    starts = case_list.may_start(db(), person())
    return render_template("cases/index.html", list=found, wanted=wanted, sorting=sorting, may_start=starts)


def _one_of(given: str | None, known: tuple[str, ...]) -> str:
    return given if given in known else known[0]


@pages.get("/saker/<id>")
@login_required  # type: ignore[untyped-decorator]
def show(id: str) -> ResponseReturnValue:
    """A case: what is wrong, who has the ball, the answers, the year, the mails, the history."""
    instance = identity.instance_by_id(db(), person(), id)
    view = case_views.case_view(db(), person(), instance, formatter(), calendar())
    return render_template("cases/show.html", view=view, instance=instance, today=today())


@pages.get("/saker/<id>/historikk")
@login_required  # type: ignore[untyped-decorator]
def history(id: str) -> ResponseReturnValue:
    """Everything that happened, latest first; the owner also sees whether the chain holds."""
    instance = identity.instance_by_id(db(), person(), id)
    rows = case_views.read_rows(db(), instance)
    events = engine_history.events(db(), instance)
    entries = case_history.entries(db(), instance, events, rows.steps, rows.tasks, person(), formatter())
    owns = identity.owns(person(), instance)
    broken = engine_history.broken_at(instance, events) if owns else None
    return render_template("cases/history.html", instance=instance, entries=entries, owns=owns, broken=broken)


@pages.get("/saker/<id>/svar/<task_id>")
@login_required  # type: ignore[untyped-decorator]
def answer(id: str, task_id: str) -> ResponseReturnValue:
    """One answer, read as text, once it is released to this reader."""
    instance = identity.instance_by_id(db(), person(), id)
    task = db().scalar(select(UserTask).where(UserTask.public_id == task_id, UserTask.instance_id == instance.id))
    if task is None or not identity.may_read_answers(person(), task, instance, task.step.state == "open"):
        raise NotFound(_("Svaret finnes ikke, eller det er ikke åpnet for deg ennå."))
    form, inputs = task_forms.form_of(db(), instance, task)
    files = task_documents.names(db(), [task.id])[task.id]
    given = form.summary(task.answers or {}, {**inputs, "files": files})
    owns = identity.owns(person(), instance)
    return render_template("cases/answer.html", instance=instance, task=task, given=given, owns=owns)


@pages.get("/saker/<id>/diagram.bpmn")
@login_required  # type: ignore[untyped-decorator]
def diagram(id: str) -> ResponseReturnValue:
    """The model that the case is pinned to, or one that it calls (`?modell=`)."""
    instance = identity.instance_by_id(db(), person(), id)
    return Response(_xml(instance, request.args.get("modell")), mimetype="application/xml")


def _xml(instance: ProcessInstance, model: str | None) -> str:
    pinned = instance.pins.get(model) if model else {"id": instance.definition_id}
    xml = db().scalar(select(ProcessDefinition.xml).where(ProcessDefinition.id == pinned["id"])) if pinned else None
    if xml is None:
        raise NotFound(_("Saken bruker ingen slik modell."))
    return xml
