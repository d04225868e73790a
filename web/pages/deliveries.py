"""The mails of a case: what was sent, what will be, what did not arrive, and how to mend it."""

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import login_required
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from agreements.register_file import is_address
from engine import history, identity, process_instances
from engine.errors import NotAllowed, NotFound
from engine.identity import Person
from engine.model import ProcessInstance, User
from notifications import composing, delivery, facts, surroundings
from notifications.composing import Message
from notifications.model import Delivery
from web import resending
from web.context import acting, db, formatter, now, person, services
from web.pages import delivery_views

pages = Blueprint("deliveries", __name__)
#: Sent mails shown before "Vis … til".
FIRST = 12
#: A mail carries its style inside, and nothing else may: no script, no picture, no form.
MAIL_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
    "sandbox allow-top-navigation-by-user-activation"
)


@pages.get("/saker/<id>/e-post")
@login_required  # type: ignore[untyped-decorator]
def of_case(id: str) -> ResponseReturnValue:
    """The case's mails; who does not own it sees those to themselves."""
    instance = identity.instance_by_id(db(), person(), id)
    return _list(instance)


def _list(instance: ProcessInstance, typed: str = "", refused: str = "", problem: str = "") -> str:
    owns = identity.owns(person(), instance)
    mails = delivery_views.mails_of(db(), instance, recipient_id=None if owns else person().id)
    wanted = request.args.get("vis", "alle")
    chosen = delivery_views.chosen(mails, wanted)
    words = formatter()
    sent = delivery_views.sent_rows(chosen, words)
    shown = sent if request.args.get("alle") else sent[:FIRST]
    return render_template(
        "deliveries/of_case.html", instance=instance, owns=owns, total=len(mails),
        summary=delivery_views.in_words(mails), counts=delivery_views.counts(mails),
        filters=delivery_views.FILTERS, wanted=wanted,
        bounced=delivery_views.bounced(mails) if owns else [],
        unreached=delivery_views.unreached(mails) if owns else (), planned=delivery_views.planned_rows(chosen, words),
        sent=shown, more=len(sent) - len(shown), typed=typed, refused=refused, problem=problem,
    )  # fmt: skip


@pages.get("/e-post/<id>")
@login_required  # type: ignore[untyped-decorator]
def show(id: str) -> ResponseReturnValue:
    """One mail as its reader sees it, or will."""
    row, instance = _visible(db(), person(), id)
    message, void = _content(row)
    mail = next(m for m in delivery_views.mails_of(db(), instance, recipient_id=row.recipient_id) if m.public_id == id)
    return render_template(
        "deliveries/show.html", mail=mail, instance=instance, message=message, void=void,
        status=delivery_views.status_of(mail), owns=identity.owns(person(), instance),
    )  # fmt: skip


@pages.get("/e-post/<id>/innhold")
@login_required  # type: ignore[untyped-decorator]
def content(id: str) -> ResponseReturnValue:
    """The mail's HTML, for the frame on its page; with a policy of its own, because its style is inside it."""
    row, _instance = _visible(db(), person(), id)
    message, _void = _content(row)
    if message is None:
        raise NotFound(_("E-posten har ikke noe innhold."))
    # Links leave the frame: no page of ours lets itself be framed.
    html = message.html.replace("<head>", '<head><base target="_top">', 1)
    return Response(html, mimetype="text/html", headers={"Content-Security-Policy": MAIL_CSP})


def _visible(session: Session, reader: Person, public_id: str) -> tuple[Delivery, ProcessInstance]:
    """The mail, if it is theirs or they own its case. Raises NotFound either way."""
    row = session.scalar(select(Delivery).where(Delivery.public_id == public_id))
    instance = session.get(ProcessInstance, row.instance_id) if row else None
    if row is None or instance is None or not _may_read(reader, row, instance):
        raise NotFound(_("Det finnes ingen slik e-post som du kan se."))
    return row, instance


def _may_read(reader: Person, row: Delivery, instance: ProcessInstance) -> bool:
    return row.community_id == reader.community_id and (
        row.recipient_id == reader.id or identity.owns(reader, instance)
    )


def _content(row: Delivery) -> tuple[Message | None, str]:
    """What was said, or what would be said at the time it is planned for; and why it would not be."""
    if row.body_html is not None:
        return Message(subject=row.subject or "", text=row.body_text or "", html=row.body_html), ""
    if row.state != "planned":
        return None, _("Den ble aldri sendt, fordi den ikke trengtes lenger.")
    moment = max(row.planned_at, now())
    found = facts.gather(surroundings.read(db(), [row]), row, now=moment, settings=services().notifications)
    if isinstance(found, facts.Void):
        return None, _("Slik saken er nå, blir den ikke sendt.")
    return composing.compose(found), ""


# --- mending ----------------------------------------------------------------------------------------------------------


@pages.post("/e-post/<id>/send-igjen")
@login_required  # type: ignore[untyped-decorator]
def resend(id: str) -> ResponseReturnValue:
    """Send a failed or uncertain mail once more, as the same message."""
    with acting() as (session, actor):
        row, instance = _own(session, actor, id)
        resending.send_again(session, row, now=now(), actor_id=actor.id)
        public_id = instance.public_id
    flash(_("E-posten sendes på nytt nå."), "success")
    return redirect(url_for("deliveries.of_case", id=public_id), 303)


@pages.post("/e-post/<id>/adresse")
@login_required  # type: ignore[untyped-decorator]
def correct_address(id: str) -> ResponseReturnValue:
    """Correct the recipient's address, and send everything in the case that did not reach them."""
    address = request.form.get("address", "").strip()
    row, instance = _own(db(), person(), id)
    if not is_address(address):
        return _list(instance, address, id, _("Skriv en e-postadresse, for eksempel navn@kommune.no.")), 422
    with acting() as (session, actor):
        row, _instance = _own(session, actor, id)
        held = process_instances.locked(session, row.instance_id)
        user = session.get_one(User, row.recipient_id)
        _require_may_correct(actor, user)
        user.email = address
        history.record(session, held, "address-corrected", now=now(), actor_id=actor.id, user=user.key)
        for failed in session.scalars(_failed_to(row)):
            delivery.send_again(session, failed, now=now())
        name, public_id = user.name, held.public_id
    flash(_("Adressen til %(name)s er rettet, og e-posten sendes på nytt.", name=name), "success")
    return redirect(url_for("deliveries.of_case", id=public_id), 303)


def _own(session: Session, actor: Person, public_id: str) -> tuple[Delivery, ProcessInstance]:
    row, instance = _visible(session, actor, public_id)
    identity.require_owner(actor, instance)
    return row, instance


def _require_may_correct(actor: Person, user: User) -> None:
    # Whoever holds the address gets the invitations: an administrator's is not for others to change.
    if user.is_admin and not actor.is_admin:
        raise NotAllowed(_("Bare en administrator kan rette adressen til en administrator."))


def _failed_to(row: Delivery) -> Select[Delivery]:
    return select(Delivery).where(
        Delivery.instance_id == row.instance_id, Delivery.recipient_id == row.recipient_id, Delivery.state == "failed"
    )
