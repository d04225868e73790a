"""What only the demo has: the inbox of everyone that a mail was sent to, and the clock that one moves by hand."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as parsing

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import login_required
from markupsafe import Markup
from sqlalchemy import func, select
from sqlalchemy.orm import defer

from engine.errors import InvalidInput
from engine.model import User
from notifications.model import ReceivedMail
from web import demo_clock
from web.context import calendar, close_session, db, now, services

pages = Blueprint("demo", __name__, url_prefix="/demo")

PAGE = 50
#: A day that is chosen begins at this local time, when the mails leave.
_MORNING = time(8)
#: The mail's own styles and nothing else; its links may take over the window when someone presses them.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)


@pages.before_request
def _only_in_the_demo() -> None:
    if not services().settings.demo:
        abort(404)


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A mail, opened."""

    id: int
    subject: str
    sender: str
    to: str
    reply_to: str
    sent_at: datetime
    text: str
    html: str


@pages.get("/e-post")
def mail() -> ResponseReturnValue:
    """The latest mails, or those to one person."""
    to, page = request.args.get("til", "").strip(), max(1, request.args.get("side", 1, type=int))
    query = select(ReceivedMail)
    if to:
        query = query.where(func.lower(ReceivedMail.envelope_to) == to.lower())
    total = db().scalar(select(func.count()).select_from(query.subquery())) or 0
    latest = query.order_by(ReceivedMail.received_at.desc(), ReceivedMail.id.desc())
    rows = db().scalars(latest.options(defer(ReceivedMail.raw)).limit(PAGE).offset((page - 1) * PAGE)).all()
    names = {email.lower(): name for email, name in db().execute(select(User.email, User.name))}
    everyone = db().scalars(select(ReceivedMail.envelope_to).distinct().order_by(ReceivedMail.envelope_to)).all()
    view = {"rows": rows, "names": names, "everyone": everyone, "to": to, "total": total}
    return render_template("demo/mail.html", page=page, more=page * PAGE < total, **view)


@pages.get("/e-post/<int:id>")
def letter(id: int) -> ResponseReturnValue:
    """One mail as its reader sees it, and as text."""
    found = _letter(id)
    name = db().scalar(select(User.name).where(func.lower(User.email) == found.to.lower()))
    return render_template("demo/letter.html", letter=found, name=name)


@pages.get("/e-post/<int:id>/innhold")
def content(id: int) -> ResponseReturnValue:
    """The mail's own HTML, under a policy of its own."""
    found = _letter(id)
    if not found.html:
        abort(404)
    # A link in a frame must open the page itself, not a page inside the mail.
    head, tag, rest = found.html.partition("<head>")
    framed = f'{head}{tag}<base target="_top">{rest}' if tag else found.html
    return Response(Markup(framed), mimetype="text/html", headers={"Content-Security-Policy": MAIL_POLICY})


def _letter(number: int) -> Letter:
    row = db().get(ReceivedMail, number)
    if row is None:
        abort(404)
    message = message_from_bytes(row.raw, policy=parsing)
    return Letter(
        id=row.id,
        subject=row.subject,
        sender=str(message["From"] or ""),
        to=row.envelope_to,
        reply_to=str(message["Reply-To"] or ""),
        sent_at=row.received_at,
        text=_part(message, "plain"),
        html=_part(message, "html"),
    )


def _part(message: EmailMessage, kind: str) -> str:
    body = message.get_body(preferencelist=(kind,))
    return str(body.get_content()).strip() if body is not None else ""


# --- the clock --------------------------------------------------------------------------------------------------------


@pages.route("/klokke", methods=["GET", "POST"])
@login_required  # type: ignore[untyped-decorator]
def clock() -> ResponseReturnValue:
    """What time it is in the demo, what comes next, and what happened when it was moved."""
    if request.method == "POST":
        return _move()
    since, until = _moment("fra"), _moment("til")
    happened = demo_clock.told(services(), since, until) if since and until else None
    due = demo_clock.next_event(services())
    return render_template("demo/clock.html", now=now(), next=max(due, now()) if due else None, happened=happened)


def _move() -> ResponseReturnValue:
    close_session()  # what is due is done in transactions of its own
    try:
        happened = demo_clock.advance(services(), _target())
    except InvalidInput as error:
        flash(error.message, "warning")
        return redirect(url_for("demo.clock"), 303)
    since, until = happened.since.isoformat(), happened.until.isoformat()
    return redirect(url_for("demo.clock", fra=since, til=until), 303)


def _target() -> datetime:
    """Until when, as the pressed button says."""
    if "uke" in request.form:
        return now() + timedelta(days=7)
    if "hendelse" in request.form:
        due = demo_clock.next_event(services())
        if due is None:
            raise InvalidInput(_("Ingenting er planlagt. Noen må svare på en oppgave først."))
        return max(due, now())
    try:
        return calendar().at(date.fromisoformat(request.form.get("dag", "")), _MORNING)
    except ValueError:
        raise InvalidInput(_("Velg en dag.")) from None


def _moment(name: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(request.args.get(name, ""))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
