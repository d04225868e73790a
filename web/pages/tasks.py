"""Mine oppgaver and everything one does with a task: take, write, send, approve, hand over; its files; and search."""

from collections.abc import Mapping
from io import BytesIO

from flask import Blueprint, abort, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from engine import identity, user_tasks
from engine.errors import EngineError, InvalidAnswers, InvalidInput, NotAllowed, NotFound, NotOpen, Stale
from engine.model import User
from notifications import links
from web import forms
from web.context import acting, close_session, db, formatter, now, person, services, stand_ins
from web.pages import (
    meanwhile,
    respondents,
    task_answers,
    task_documents,
    task_input,
    task_lists,
    task_search,
    task_views,
    task_words,
)
from web.pages.task_views import Loaded, Written
from web.pages.task_words import Reader

pages = Blueprint("tasks", __name__)

#: The address parameters that ask for another way into a task.
CORRECT, BEHALF, SEND_BACK = "rett", "pa-vegne-av", "tilbake"


@pages.before_request
def _signed_in() -> ResponseReturnValue | None:
    if current_user.is_authenticated:
        return None
    if _from_script():
        return _saved_line(failed=_("Ikke lagret. Du er logget ut. Logg inn i en ny fane, og skriv videre her.")), 401
    abort(401)


def _from_script() -> bool:
    return request.headers.get("HX-Request") == "true"


def _reader() -> Reader:
    return Reader(person=person(), words=formatter(), instead=stand_ins())


# --- lists ------------------------------------------------------------------------------------------------------------


@pages.get("/oppgaver")
def mine() -> ResponseReturnValue:
    """What waits for me."""
    found = task_lists.mine(db(), _reader(), _page_number())
    if found.empty and found.page > 1:
        return redirect(url_for("tasks.mine"))
    return render_template("tasks/mine.html", mine=found, active="oppgaver")


def _page_number() -> int:
    return min(max(request.args.get("side", 1, type=int), 1), 10_000)


@pages.get("/oppgaver/ferdige")
def done() -> ResponseReturnValue:
    """What I have finished, the latest first."""
    number = _page_number()
    rows, more = task_lists.finished(db(), _reader(), page=number)
    return render_template("tasks/done.html", rows=rows, more=more, number=number, active="oppgaver")


@pages.get("/sok")
def search() -> ResponseReturnValue:
    """Find cases, tasks, agreements and meetings by their names."""
    words = request.args.get("q", "").strip()[: task_search.MAX_LENGTH]
    found = task_search.search(db(), person(), words)
    return render_template("tasks/search.html", words=words, found=found, too_short=len(words) < task_search.MIN_LENGTH)


# --- one task ---------------------------------------------------------------------------------------------------------


@pages.get("/oppgaver/<public_id>")
def show(public_id: str) -> ResponseReturnValue:
    """A task, in the way that fits whoever looks."""
    return _show(task_views.load(db(), person(), public_id))


def _show(loaded: Loaded, written: Written | None = None, **extra: object) -> str:
    mode = task_views.mode_of(
        loaded.task, person(), correcting=CORRECT in request.args, on_behalf=BEHALF in request.args
    )
    page = task_views.page(db(), loaded, _reader(), mode, written)
    template = "tasks/approve.html" if mode == "approve" else "tasks/task.html"
    extra.setdefault("sending_back", SEND_BACK in request.args)
    limit = services().settings.max_upload_mb
    return render_template(template, page=page, max_upload_mb=limit, active="oppgaver", **extra)


@pages.get("/oppgaver/<public_id>/svar")
def answers(public_id: str) -> ResponseReturnValue:
    """The answers given at the task's step, once they are released."""
    found = task_answers.answers_at(db(), _reader(), public_id)
    may_read = found.released or identity.owns(person(), found.instance)
    beside = respondents.views(db(), found.step_id) if may_read else []
    return render_template("tasks/answers.html", found=found, beside=beside, active="saker")


@pages.post("/oppgaver/<public_id>")
def send(public_id: str) -> ResponseReturnValue:
    """Send the answers. What is refused is shown again, and kept as a draft where that is still possible."""
    try:
        loaded = task_views.load(db(), person(), public_id)
    except NotFound:
        return _given_back()
    read = task_input.read(loaded)
    written = read.answers
    if forms.is_row_button(request.form):
        return _with_other_rows(loaded, written)
    reason = request.form.get("begrunnelse", "").strip() or None
    if read.problems:
        saved = task_input.keep(loaded, written)
        return _show(task_views.load(db(), person(), public_id), read, saved=saved, reason=reason), 422
    try:
        with acting() as (session, actor):
            task = user_tasks.complete(
                session, loaded.task.id, written, actor=actor, now=now(), revision=_revision(), reason=reason
            )
            waits = task.state == "submitted"
    except InvalidAnswers as refused:
        saved = task_input.keep(loaded, written)
        again = task_views.load(db(), person(), public_id)
        return _show(again, Written(answers=written, problems=refused.problems), saved=saved, reason=reason), 422
    except Stale:
        saved = task_input.keep(loaded, written)
        again = task_views.load(db(), person(), public_id)
        told = meanwhile.since(again.instance, again.task)
        return _show(again, Written(answers=written), saved=saved, stale=True, reason=reason, happened=told), 409
    except InvalidInput:
        again = task_views.load(db(), person(), public_id)
        return _show(again, Written(answers=written), reason_missing=True), 422
    except (NotOpen, NotAllowed):
        return _not_sent(loaded, written)
    flash(_sent_words(loaded, waits=waits), "success")
    return redirect(url_for("tasks.mine"), 303)


def _sent_words(loaded: Loaded, *, waits: bool) -> str:
    if waits and loaded.task.approver is not None:
        return _("Svaret er sendt til godkjenning hos %(name)s.", name=loaded.task.approver.name)
    return _("Takk. Svaret på «%(title)s» er sendt.", title=task_words.title(loaded.task))


def _revision() -> int:
    # A form without its revision counts as stale: it must not overwrite what it never saw.
    return request.form.get("revision", 0, type=int)


def _with_other_rows(loaded: Loaded, written: Mapping[str, object]) -> ResponseReturnValue:
    """One row more or less, without script: the form again, at that part where its draft could be kept."""
    pressed = request.form.get(forms.ADD_ROW) or request.form.get(forms.REMOVE_ROW, "").rsplit("-", maxsplit=1)[0]
    public_id = loaded.task.public_id
    if loaded.task.state == "open" and task_input.keep(loaded, written):
        return redirect(_address(public_id, f"rader-{pressed}"), 303)
    return _show(task_views.load(db(), person(), public_id), Written(answers=written))


def _address(public_id: str, anchor: str = "") -> str:
    """The task's page, in the way it was asked for."""
    asked = "&".join(f"{name}=1" for name in (CORRECT, BEHALF) if name in request.args)
    page = url_for("tasks.show", public_id=public_id)
    return page + (f"?{asked}" if asked else "") + (f"#{anchor}" if anchor else "")


def _not_sent(loaded: Loaded, written: Mapping[str, object]) -> ResponseReturnValue:
    """Too late, or no longer theirs: say why, keep the words where possible, else show them for copying."""
    saved = task_input.keep(loaded, written)
    reader = _reader()
    text = task_views.summary(loaded.form, written, loaded.inputs, reader)
    try:
        task = identity.task_by_id(db(), reader.person, loaded.task.public_id)
    except NotFound:
        task = None
    happened, told = _("Oppgaven er gitt til en annen."), []
    if task is not None:
        who = db().get(User, task.completed_by_id) if task.completed_by_id else None
        happened = task_words.what_happened(task, reader, who.name if who else "")
        told = meanwhile.since(task.instance, task)
    plain = task_words.as_plain_text(text)
    page = render_template(
        "tasks/not_sent.html", title=task_words.title(loaded.task), happened=happened, saved=saved, answers=text,
        plain=plain, task=task, told=told, active="oppgaver",
    )  # fmt: skip
    return page, 409


def _given_back() -> ResponseReturnValue:
    """The task is out of their sight, perhaps handed to another meanwhile: their own words, and nothing else."""
    texts = [value for name, value in request.form.items(multi=True) if name not in ("csrf_token", "revision")]
    page = render_template(
        "tasks/not_sent.html", title=_("Svaret"), happened=_("Oppgaven er ikke din lenger, eller den finnes ikke."),
        saved=False, answers=[], plain="\n\n".join(text for text in texts if " " in text.strip()), task=None,
        active="oppgaver",
    )  # fmt: skip
    return page, 404


# --- drafts -----------------------------------------------------------------------------------------------------------


@pages.post("/oppgaver/<public_id>/utkast")
def draft(public_id: str) -> ResponseReturnValue:
    """Keep what is written so far. Script gets the line that says so; without script the page comes again."""
    loaded = task_views.load(db(), person(), public_id)
    written = task_input.read(loaded).answers
    saved = task_input.keep(loaded, written)
    if _from_script():
        words = "" if saved else _("Ikke lagret: oppgaven kan ikke endres lenger. Kopier det du har skrevet.")
        return _saved_line(failed=words), 200 if saved else 409
    if not saved:
        return _not_sent(loaded, written)
    flash(_("Utkastet er lagret. Du kan lukke siden og fortsette senere."), "success")
    return redirect(_address(public_id), 303)


def _saved_line(failed: str = "") -> str:
    return render_template("tasks/saved.html", at=now(), failed=failed)


# --- who has it -------------------------------------------------------------------------------------------------------


@pages.post("/oppgaver/<public_id>/ta")
def claim(public_id: str) -> ResponseReturnValue:
    """Take a free task of one of my groups."""
    task = identity.task_by_id(db(), person(), public_id)
    try:
        with acting() as (session, actor):
            user_tasks.claim(session, task.id, actor=actor, now=now(), revision=_revision())
    except (NotOpen, NotAllowed, Stale) as refused:
        return _refused(public_id, refused)
    flash(_("Oppgaven er din."), "success")
    return redirect(url_for("tasks.show", public_id=public_id), 303)


@pages.post("/oppgaver/<public_id>/gi-tilbake")
def release(public_id: str) -> ResponseReturnValue:
    """Give a task back to its group."""
    task = identity.task_by_id(db(), person(), public_id)
    group = task.candidate_group.name if task.candidate_group else ""
    try:
        with acting() as (session, actor):
            user_tasks.release(session, task.id, actor=actor, now=now())
    except (NotOpen, NotAllowed) as refused:
        return _refused(public_id, refused)
    flash(_("Oppgaven er ledig for %(group)s igjen.", group=group), "success")
    return redirect(url_for("tasks.mine"), 303)


@pages.route("/oppgaver/<public_id>/gi-videre", methods=["GET", "POST"])
def hand_over(public_id: str) -> ResponseReturnValue:
    """Hand the task to another: choose, see what follows, confirm."""
    task = identity.task_by_id(db(), person(), public_id)
    if not (task_words.fills(person(), task) or identity.owns(person(), task.instance)) or task.state != "open":
        return _refused(public_id, NotAllowed())
    people = task_views.candidates(db(), task)
    chosen = next((user for user in people if user.key == request.form.get("til")), None)
    reason = request.form.get("begrunnelse", "").strip()[:1000]
    if request.method == "GET" or chosen is None or "bekreft" not in request.form:
        missing = request.method == "POST" and chosen is None
        page = render_template(
            "tasks/hand_over.html", task=task, title=task_words.title(task), people=people, chosen=chosen,
            reason=reason, missing=missing, active="oppgaver",
        )  # fmt: skip
        return page, 422 if missing else 200
    if _revision() != task.revision:
        return _refused(public_id, Stale())
    try:
        with acting() as (session, actor):
            to = identity.user(session, actor.community_id, chosen.key)
            user_tasks.delegate(session, task.id, to=to, actor=actor, now=now(), reason=reason or None)
    except (NotOpen, NotAllowed) as refused:
        return _refused(public_id, refused)
    flash(_("%(name)s har fått oppgaven.", name=chosen.name), "success")
    return redirect(url_for("tasks.mine"), 303)


def _refused(public_id: str, error: EngineError) -> ResponseReturnValue:
    """The task as it is now, with what others did meanwhile, and what was written where it can't be used any more."""
    close_session()
    try:
        loaded = task_views.load(db(), person(), public_id)
    except NotFound:
        return _given_back()
    if isinstance(error, Stale):
        words = _("Oppgaven er endret siden du åpnet siden. Se på den på nytt.")
    else:
        words = _("Det gikk ikke.") + " " + task_words.what_happened(loaded.task, _reader())
    happened, plain = meanwhile.since(loaded.instance, loaded.task), meanwhile.written()
    sending_back = request.endpoint == "tasks.send_back"
    return _show(loaded, happened=happened, refusal=words, plain=plain, sending_back=sending_back), 409


# --- approving --------------------------------------------------------------------------------------------------------


@pages.post("/oppgaver/<public_id>/godkjenn")
def approve(public_id: str) -> ResponseReturnValue:
    """Make the submitted answers the party's answer."""
    task = identity.task_by_id(db(), person(), public_id)
    title = task_words.title(task)
    try:
        with acting() as (session, actor):
            user_tasks.approve(session, task.id, actor=actor, now=now(), revision=_revision())
    except (NotOpen, NotAllowed, Stale) as refused:
        return _refused(public_id, refused)
    flash(_("Takk. Svaret på «%(title)s» er godkjent og sendt.", title=title), "success")
    return redirect(url_for("tasks.mine"), 303)


@pages.post("/oppgaver/<public_id>/send-tilbake")
def send_back(public_id: str) -> ResponseReturnValue:
    """Ask whoever filled it in to change the answer, and say what."""
    note = request.form.get("merknad", "").strip()[:4000]
    loaded = task_views.load(db(), person(), public_id)
    if not note:
        return _show(loaded, sending_back=True, note_missing=True), 422
    try:
        with acting() as (session, actor):
            task = user_tasks.send_back(
                session, loaded.task.id, actor=actor, now=now(), note=note, revision=_revision()
            )
            name = task.assignee.name if task.assignee else ""
    except (NotOpen, NotAllowed, Stale) as refused:
        return _refused(public_id, refused)
    flash(_("Svaret er sendt tilbake til %(name)s.", name=name), "success")
    return redirect(url_for("tasks.mine"), 303)


# --- links in mails ---------------------------------------------------------------------------------------------------


@pages.post("/oppgaver/<public_id>/steng-lenker")
def close_links(public_id: str) -> ResponseReturnValue:
    """End what the mails about the task let people do without signing in: everybody's for the owner, else one's own."""
    task = identity.task_by_id(db(), person(), public_id)
    whose = None if identity.owns(person(), task.instance) else person().id
    with acting() as (session, actor):
        count = links.revoke(session, task, actor=actor, now=now(), user_id=whose)
    flash(_("Lenkene i e-postene er stengt.") if count else _("Det er ingen lenker å stenge."), "success")
    return redirect(url_for("tasks.show", public_id=public_id), 303)


# --- files ------------------------------------------------------------------------------------------------------------


@pages.post("/oppgaver/<public_id>/dokumenter")
def upload(public_id: str) -> ResponseReturnValue:
    """Keep files with the task, or with the case for all who take part."""
    task = identity.task_by_id(db(), person(), public_id)
    uploads = [task_input.accepted(file) for file in request.files.getlist("fil") if file.filename]
    if not uploads:
        flash(_("Velg en fil først."), "warning")
        return redirect(url_for("tasks.show", public_id=public_id, _anchor="dokumenter"), 303)
    with acting() as (session, actor):
        task_documents.add(session, task.id, uploads, actor=actor, now=now(), to_case="ved_saken" in request.form)
    flash(_("Lagt ved: %(names)s.", names=", ".join(upload.name for upload in uploads)), "success")
    return redirect(url_for("tasks.show", public_id=public_id, _anchor="dokumenter"), 303)


@pages.get("/dokumenter/<public_id>")
def document(public_id: str) -> ResponseReturnValue:
    """A file, always as an attachment that no browser shows or runs in place."""
    found = task_documents.find(db(), person(), public_id)
    answer = send_file(
        BytesIO(found.content), mimetype=found.content_type, as_attachment=True, download_name=found.name, etag=False
    )
    answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


@pages.post("/dokumenter/<public_id>/fjern")
def remove_document(public_id: str) -> ResponseReturnValue:
    """Take a file away before its answer is sent."""
    with acting() as (session, actor):
        gone = task_documents.remove(session, actor, public_id, now=now())
    flash(_("Fila «%(name)s» er fjernet.", name=gone.name), "success")
    back = request.form.get("oppgave", "")
    return redirect(url_for("tasks.show", public_id=back) if back.isalnum() else url_for("tasks.mine"), 303)
