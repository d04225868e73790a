"""Open answers beside a survey: the short form that a shared link leads to, and the owner's page of such links."""

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy.orm import Session

from agreements import respondents
from agreements.model import RespondentLink
from engine import identity, task_forms
from engine.errors import InvalidAnswers, InvalidInput, NotFound, NotOpen
from engine.model import Community, UserTask
from web import errors, forms
from web.context import acting, close_session, db, formatter, now, person, services
from web.form_layout import layout

#: The page that everybody with the link may answer.
pages = Blueprint("respondents", __name__, url_prefix="/u/<token>")
#: The owner's page.
owners = Blueprint("respondent_links", __name__)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What was answered to one question: each different text, and how often."""

    label: str
    texts: Sequence[tuple[str, int]]


@dataclass(frozen=True, kw_only=True)
class LinkView:
    """One link for the owner and whoever analyses."""

    public_id: str
    name: str
    address: str
    count: int
    is_open: bool
    questions: Sequence[Question]


# --- everybody --------------------------------------------------------------------------------------------------------


@pages.url_value_preprocessor
def _take_token(_endpoint: str | None, values: dict[str, str] | None) -> None:
    g.token = (values or {}).pop("token", "")


@pages.before_request
def _find() -> None:
    g.respondents = respondents.find(db(), g.token, _keys())
    g.community = db().get_one(Community, g.respondents.community_id)


@pages.after_request
def _keep_to_itself(response: Response) -> Response:
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _keys() -> tuple[str, ...]:
    return services().notifications.link_keys()


@pages.get("")
def show() -> ResponseReturnValue:
    """The short form, or that it is closed."""
    return _form() if respondents.is_open(db(), _link()) else _closed()


def _link() -> RespondentLink:
    return db().get_one(RespondentLink, g.respondents.id)


def _form(answers: forms.Answers | None = None, problems: Sequence[forms.FieldError] = (), made: str = "") -> str:
    it = respondents.asked(db(), _link())
    made = made or secrets.token_hex(16)
    return render_template(
        "respondents/form.html", it=it, form=layout(it.form, answers or {}, it.inputs, problems), by_link=True,
        address=url_for("respondents.show", token=g.token), submission=made,
        form_token=respondents.form_token(it.link, made, _keys()),
    )  # fmt: skip


def _closed() -> ResponseReturnValue:
    return render_template("respondents/closed.html", by_link=True), 410


@pages.post("")
def send() -> ResponseReturnValue:
    """Keep the answer; nothing about who sent it is kept."""
    made = request.form.get("levering", "")
    if not respondents.form_fits(_link(), made, request.form.get("lenke", ""), _keys()):
        return errors.page(400, _("Skjemaet hører ikke til denne lenken. Åpne lenken på nytt."))
    if not respondents.is_open(db(), _link()):
        return _closed()
    it = respondents.asked(db(), _link())
    answers = forms.parse(it.form, request.form, it.inputs)
    if forms.is_row_button(request.form):
        return _form(answers, made=made)
    close_session()
    try:
        with services().database.transaction() as session:
            respondents.answer(session, session.get_one(RespondentLink, it.link.id), answers, made, now())
    except InvalidAnswers as refused:
        return _form(answers, refused.problems, made), 422
    except NotOpen:
        return _closed()
    return redirect(url_for("respondents.thanks", token=g.token), 303)


@pages.get("/takk")
def thanks() -> ResponseReturnValue:
    """The answer is kept."""
    return render_template("respondents/thanks.html", by_link=True)


# --- the owner --------------------------------------------------------------------------------------------------------


@owners.before_request
def _signed_in() -> None:
    if not current_user.is_authenticated:
        abort(401)


def _survey(public_id: str) -> UserTask:
    """A task of the survey, for the owner of its case. Raises NotFound."""
    task = identity.task_by_id(db(), person(), public_id)
    if not identity.owns(person(), task.instance) or task.form_key is None:
        raise NotFound
    return task


@owners.get("/oppgaver/<public_id>/apne-svar")
def index(public_id: str) -> ResponseReturnValue:
    """The survey's open links, how many answered through each, and a form for one more."""
    return _page(_survey(public_id))


def _page(task: UserTask, role: str = "", *, refused: bool = False) -> str:
    form, _inputs = task_forms.form_of(db(), task.instance, task)
    return render_template(
        "respondents/links.html", task=task, links=views(db(), task.step_id), parts=respondents.parts_of(form),
        may_open=task.step.state == "open" and task.instance.state == "active", role=role, refused=refused,
        max_role=respondents.MAX_ROLE, active="saker",
    )  # fmt: skip


@owners.post("/oppgaver/<public_id>/apne-svar")
def create(public_id: str) -> ResponseReturnValue:
    """Make a link for one role."""
    task = _survey(public_id)
    role, parts = request.form.get("rolle", ""), request.form.getlist("del", type=int)
    try:
        with acting() as (session, actor):
            mine = session.get_one(UserTask, task.id)
            respondents.open_link(session, mine, role=role, parts=parts, actor=actor, now=now())
    except InvalidInput:
        return _page(_survey(public_id), role, refused=True), 422
    flash(_("Lenken er laget. Kopier den og del den der de er."), "success")
    return redirect(url_for("respondent_links.index", public_id=public_id), 303)


@owners.post("/oppgaver/<public_id>/apne-svar/<link_id>/steng")
def close(public_id: str, link_id: str) -> ResponseReturnValue:
    """Take no more answers through one link."""
    task = _survey(public_id)
    found = [link for link, _count in respondents.of_step(db(), task.step_id) if link.public_id == link_id]
    if not found:
        raise NotFound
    with acting() as (session, actor):
        respondents.close_link(session, session.get_one(RespondentLink, found[0].id), actor=actor, now=now())
    flash(_("Lenken er stengt. Svarene er tatt vare på."), "success")
    return redirect(url_for("respondent_links.index", public_id=public_id), 303)


@owners.get("/oppgaver/<public_id>/apne-svar.csv")
def export(public_id: str) -> ResponseReturnValue:
    """Every open answer, for a spreadsheet."""
    task = _survey(public_id)
    text = respondents.as_csv(db(), task.step_id, (_("Rolle"), _("Part"), _("Dag")))
    answer = Response(text, content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = 'attachment; filename="apne-svar.csv"'
    return answer


def views(session: Session, step_id: int) -> Sequence[LinkView]:
    """The step's links with what was answered through them."""
    keys = _keys()
    found = []
    for link, count in respondents.of_step(session, step_id):
        it = respondents.asked(session, link)
        address = url_for("respondents.show", token=respondents.token_of(link, keys[-1])) if keys else ""
        found.append(
            LinkView(
                public_id=link.public_id, name=it.name, count=count, is_open=respondents.is_open(session, link),
                address=services().settings.address + address, questions=_questions(session, it),
            )
        )  # fmt: skip
    return found


def _questions(session: Session, it: respondents.Asked) -> Sequence[Question]:
    told: dict[str, Counter[str]] = {}
    for answer in respondents.answers_of(session, it.link):
        for label, text in it.form.summary(answer.answers, it.inputs, formatter().dag):
            told.setdefault(label, Counter())[text] += 1
    return [Question(label=label, texts=counted.most_common()) for label, counted in told.items()]
