"""A task answered or approved by a mail's link, without signing in: what `notifications.links` lets somebody do.

GET and HEAD only show, since programs that guard mailboxes open every link. A form is bound to its link, so that it
needs no cookie. Who is signed in beside it plays no part.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from agreements import more_time as requests
from engine import history, user_tasks
from engine.errors import InvalidAnswers, InvalidInput, NotAllowed, NotFound, NotOpen, Stale
from engine.identity import Person
from engine.model import User, UserTask
from notifications import links
from notifications.links import Ended, Purpose
from notifications.model import TaskLink
from web import errors, forms
from web.context import acting, close_session, come_by_link, db, formatter, now, person, services, stand_ins
from web.pages import link_words, meanwhile, task_input, task_views, task_words
from web.pages.act_forms import MAX_REASON, Problem, date_given, reason_given
from web.pages.task_views import Loaded, Written
from web.pages.task_words import Reader

pages = Blueprint("links", __name__, url_prefix="/l/<token>")

#: The field that binds a form to its link.
FORM_FIELD = "lenke"
#: What is written is kept as a draft: the task is still the person's, only not as the mail told of it.
_WRITABLE: tuple[links.Standing, ...] = ("good", "changed")
_LATE = (Ended, NotOpen, NotAllowed, Stale)


@pages.url_value_preprocessor
def _take_token(_endpoint: str | None, values: dict[str, str] | None) -> None:
    g.token = (values or {}).pop("token", "")


@pages.before_request
def _come_in() -> ResponseReturnValue | None:
    """This request is the link's person's. A link that nobody was given, and a form of another link, end here."""
    history.via.set("link")
    link = links.find(db(), g.token, _keys())
    if link is None:
        return render_template("links/ended.html", told=link_words.unknown(), by_link=True), 404
    g.link, g.public_id = link, db().get_one(UserTask, link.task_id).public_id
    user = db().get_one(User, link.user_id)
    if not user.active:
        told = link_words.of("reassigned", link, formatter())
        return render_template("links/ended.html", told=told, by_link=True), 410
    g.language = "en" if user.locale == "en" else "nb"
    come_by_link(user.id)
    if request.method == "POST" and not links.form_fits(link, request.form.get(FORM_FIELD, ""), _keys()):
        return errors.page(400, _("Skjemaet hører ikke til denne lenken. Åpne lenken i e-posten på nytt."))
    return None


@pages.after_request
def _keep_to_itself(response: Response) -> Response:
    """The address is a secret: no other site, cache or search engine is told of it."""
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _keys() -> tuple[str, ...]:
    return services().notifications.link_keys()


def _link() -> TaskLink:
    """The link as it is now."""
    return db().get_one(TaskLink, g.link.id)


def _here(anchor: str | None = None) -> ResponseReturnValue:
    return redirect(url_for("links.show", token=g.token, _anchor=anchor), 303)


# --- showing ----------------------------------------------------------------------------------------------------------


@pages.get("")
def show() -> ResponseReturnValue:
    """The task, ready to be done; or why the link does not act any more, and what to do."""
    standing = links.standing(db(), _link(), now=now())
    return _task(_load()) if standing == "good" else _ended(standing)


def _load() -> Loaded:
    return task_views.load(db(), person(), g.public_id)


def _loaded() -> Loaded | None:
    """The task, unless it is out of the person's sight by now."""
    try:
        return _load()
    except NotFound:
        return None


def _task(loaded: Loaded, written: Written | None = None, **extra: object) -> str:
    page = task_views.page(db(), loaded, _reader(), task_views.mode_of(loaded.task, person()), written)
    return render_template("links/task.html", page=page, by_link=True, **_of_link(), **extra)


def _reader() -> Reader:
    return Reader(person=person(), words=formatter(), instead=stand_ins())


def _of_link() -> dict[str, object]:
    return {
        "who": person().name, "address": url_for("links.show", token=g.token), "form_field": FORM_FIELD,
        "form_token": links.form_token(g.link, _keys()),
    }  # fmt: skip


def _ended(standing: links.Standing, plain: str = "", *, saved: bool = False, asked: str = "") -> ResponseReturnValue:
    link = _link()
    loaded = _loaded()
    about = link_words.about(db(), loaded, _reader()) if loaded else ""
    told = link_words.of(standing, link, formatter(), about)
    happened = link_words.happened_since(db(), link, loaded, person(), formatter()) if loaded else []
    page = render_template(
        "links/ended.html", told=told, by_link=True, plain=plain, saved=saved, happened=happened, asked=asked,
        task=loaded.task if loaded else None, may_renew=standing in links.RENEWABLE and not asked, **_of_link(),
    )  # fmt: skip
    if request.method == "POST" and standing != "used":
        return page, 409
    return page, 200 if standing in ("used", "ended") or asked else 410


# --- acting -----------------------------------------------------------------------------------------------------------


@contextmanager
def _acting(purpose: Purpose) -> Iterator[tuple[Session, Person, TaskLink]]:
    """One unit of work by the link, if it still acts. Raises links.Ended."""
    with acting() as (session, actor):
        yield session, actor, links.require(session, g.link.id, now=now(), purpose=purpose)


def _late(loaded: Loaded | None = None, written: Mapping[str, object] | None = None) -> ResponseReturnValue:
    """Somebody was first, or the link ended meanwhile: say so, with what was written."""
    close_session()
    standing = links.standing(db(), _link(), now=now())
    if standing == "used":
        return _here()
    if loaded is None or written is None:
        return _ended("changed" if standing == "good" else standing, meanwhile.written())
    text = task_words.as_plain_text(task_views.summary(loaded.form, written, loaded.inputs, _reader()))
    saved = standing in _WRITABLE and task_input.keep(loaded, written)
    return _ended("changed" if standing == "good" else standing, text, saved=saved)


@pages.post("")
def send() -> ResponseReturnValue:
    """Send the answers. What is refused is shown again, and kept as a draft where that is still possible."""
    if links.standing(db(), _link(), now=now()) not in _WRITABLE:
        return _late()
    loaded = _load()
    read = task_input.read(loaded)
    if forms.is_row_button(request.form):
        return _with_other_rows(loaded, read.answers)
    if read.problems:
        task_input.keep(loaded, read.answers)
        return _task(_load(), read), 422
    try:
        with _acting("answer") as (session, actor, link):
            user_tasks.complete(session, link.task_id, read.answers, actor=actor, now=now(), revision=link.revision)
            links.use(link, now=now())
    except InvalidAnswers as refused:
        task_input.keep(loaded, read.answers)
        return _task(_load(), Written(answers=read.answers, problems=refused.problems)), 422
    except _LATE:
        return _late(loaded, read.answers)
    return _here()


def _with_other_rows(loaded: Loaded, written: Mapping[str, object]) -> ResponseReturnValue:
    """One row more or less, without script."""
    pressed = request.form.get(forms.ADD_ROW) or request.form.get(forms.REMOVE_ROW, "").rsplit("-", maxsplit=1)[0]
    if task_input.keep(loaded, written):
        return _here(f"rader-{pressed}")
    return _late(loaded, written)


@pages.post("/utkast")
def draft() -> ResponseReturnValue:
    """Keep what is written so far; script gets the line that says so."""
    by_script = request.headers.get("HX-Request") == "true"
    if links.standing(db(), _link(), now=now()) != "good":
        failed = _("Ikke lagret: lenken virker ikke lenger. Kopier det du har skrevet, og last siden på nytt.")
        return (render_template("tasks/saved.html", at=now(), failed=failed), 409) if by_script else _late()
    loaded = _load()
    written = task_input.read(loaded).answers
    if not task_input.keep(loaded, written):
        return _late(loaded, written)
    return render_template("tasks/saved.html", at=now(), failed="") if by_script else _here("lagret")


@pages.post("/ta")
def claim() -> ResponseReturnValue:
    """Take a free task of one's group, and go on to its form."""
    try:
        with _acting("answer") as (session, actor, link):
            links.follow(link, user_tasks.claim(session, link.task_id, actor=actor, now=now(), revision=link.revision))
    except _LATE:
        return _late()
    return _here()


@pages.post("/godkjenn")
def approve() -> ResponseReturnValue:
    """Make the submitted answers the party's answer."""
    try:
        with _acting("approve") as (session, actor, link):
            user_tasks.approve(session, link.task_id, actor=actor, now=now(), revision=link.revision)
            links.use(link, now=now())
    except _LATE:
        return _late()
    return _here()


@pages.post("/send-tilbake")
def send_back() -> ResponseReturnValue:
    """Ask whoever filled it in to change the answer, and say what."""
    note = request.form.get("merknad", "").strip()[:4000]
    if not note and links.standing(db(), _link(), now=now()) == "good":
        return _task(_load(), note_missing=True), 422
    try:
        with _acting("approve") as (session, actor, link):
            user_tasks.send_back(session, link.task_id, actor=actor, now=now(), note=note, revision=link.revision)
            links.use(link, now=now())
    except _LATE:
        return _late()
    return _here()


@pages.route("/mer-tid", methods=["GET", "POST"])
def more_time() -> ResponseReturnValue:
    """Ask the owner for another due date, with a reason; the task still waits for its answer."""
    if links.standing(db(), _link(), now=now()) != "good" or g.link.purpose != "answer":
        return _late() if request.method == "POST" else _here()
    if request.method == "GET":
        return _asking([])
    problems: list[Problem] = []
    day = date_given(problems, "wanted", _("Velg dagen du trenger."))
    reason = reason_given(problems, _("Skriv hvorfor du trenger mer tid."))
    if day is None or problems:
        return _asking(problems), 422
    try:
        with _acting("answer") as (session, actor, link):
            requests.ask(
                session, link.task_id, wanted=day, reason=reason, actor=actor, now=now(), revision=link.revision
            )
    except InvalidInput as refused:
        return _asking([Problem(field=str(refused.data.get("field", "wanted")), message=refused.message)]), 422
    except _LATE:
        return _late()
    return redirect(url_for("links.more_time", token=g.token), 303)


def _asking(problems: list[Problem]) -> str:
    task = _load().task
    return render_template(
        "links/more_time.html", task=task, title=task_words.title(task), problems=problems, typed=request.form,
        asked=requests.waiting_of_task(db(), task.id), max_reason=MAX_REASON, by_link=True, **_of_link(),
    )  # fmt: skip


@pages.post("/steng")
def close() -> ResponseReturnValue:
    """The person, or whoever the mail was forwarded to, ends the person's links to the task."""
    with acting() as (session, actor):
        task = session.get_one(UserTask, g.link.task_id)
        links.revoke(session, task, actor=actor, now=now(), user_id=actor.id)
    return _here()


@pages.post("/ny")
def renew() -> ResponseReturnValue:
    """Mail a fresh link to the address we know."""
    try:
        with acting() as (session, _actor):
            sent = links.renew(session, g.link.id, now=now(), settings=services().notifications)
    except Ended as ended:
        return _ended(ended.standing)
    standing = links.standing(db(), _link(), now=now())
    words = _("Vi har sendt en ny lenke til e-postadressen din.")
    return _ended(standing, asked=words if sent else _("Vi sendte deg en lenke for litt siden. Se i innboksen din."))
