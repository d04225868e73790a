"""The mails of a case: what was sent, what will be, what did not arrive, and how to mend it."""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import login_required
from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements.register_file import is_address
from engine import history, identity, process_instances
from engine.errors import NotAllowed, NotFound
from engine.identity import Person
from engine.model import ProcessInstance, User
from notifications import composing, delivery, facts, surroundings, week_news, weekly
from notifications.composing import Message
from notifications.model import Delivery
from web import resending
from web.context import acting, calendar, db, formatter, now, person, services, today
from web.pages import delivery_board, delivery_views, mail_alarm
from web.pages.delivery_board import Choice

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


@pages.get("/e-poster")
@login_required  # type: ignore[untyped-decorator]
def every() -> ResponseReturnValue:
    """The mails of all cases; who owns no case sees those to themselves."""
    return _board()


def _board(typed: str = "", refused: str = "", problem: str = "") -> str:
    choice, words = _choice(), formatter()
    found = delivery_board.board(db(), person(), choice, calendar())
    unmended = delivery_board.unmended(db(), person())
    planned = [mail for mail in found.mails if mail.state == "planned"]
    watch = mail_alarm.watch()
    each = [delivery_views.planned_row([mail], words, watch) for mail in planned]
    bodies, parties = delivery_board.groups(db(), person())
    return render_template(
        "deliveries/every.html", choice=choice, board=found, filters=delivery_views.FILTERS,
        summary=delivery_views.counted_in_words(found.counts), bodies=bodies, parties=parties,
        kinds=delivery_views.kinds(),
        bounced=unmended, unreached=delivery_views.unreached(unmended),
        planned=delivery_views.planned_rows(planned, words, watch) if choice.sorting == "tid" else each,
        sent=delivery_views.sent_rows(found.mails, words, watch, keep_order=True), typed=typed, refused=refused,
        problem=problem, sortings=delivery_board.SORTINGS, owns=True, back="alle",
        late_minutes=services().settings.mail_late_minutes,
    )  # fmt: skip


def _choice() -> Choice:
    args = request.args
    text = {
        name: " ".join(args.get(name, "").split())[: delivery_board.MAX_LENGTH] for name in ("organ", "hvem", "sak")
    }
    first = _day("fra", today() - timedelta(days=delivery_board.BEFORE))
    last = _day("til", today() + timedelta(days=delivery_board.AFTER))
    return Choice(
        wanted=_one_of("vis", delivery_views.FILTERS), sorting=_one_of("sorter", delivery_board.SORTINGS),
        rule=_one_of("slag", ("", *delivery_views.kinds())), group=text["organ"], person=text["hvem"],
        case=text["sak"], first=min(first, last), last=max(first, last), page=args.get("side", 1, type=int),
    )  # fmt: skip


def _one_of(name: str, known: Sequence[str]) -> str:
    given = request.args.get(name, "")
    return given if given in known else known[0]


def _day(name: str, otherwise: date) -> date:
    try:
        given = date.fromisoformat(request.args.get(name, ""))
    except ValueError:
        return otherwise
    # A year far off is no day that this machine can reckon with.
    return given if abs(given - today()) < timedelta(days=36500) else otherwise


def _list(instance: ProcessInstance, typed: str = "", refused: str = "", problem: str = "") -> str:
    owns = identity.owns(person(), instance)
    mails = delivery_views.mails_of(db(), instance, recipient_id=None if owns else person().id)
    wanted = request.args.get("vis", "alle")
    chosen = delivery_views.chosen(mails, wanted)
    words = formatter()
    watch = mail_alarm.watch()
    sent = delivery_views.sent_rows(chosen, words, watch)
    shown = sent if request.args.get("alle") else sent[:FIRST]
    return render_template(
        "deliveries/of_case.html", instance=instance, owns=owns, total=len(mails),
        summary=delivery_views.in_words(mails), counts=delivery_views.counts(mails),
        filters=delivery_views.FILTERS, wanted=wanted,
        bounced=delivery_views.bounced(mails) if owns else [],
        unreached=delivery_views.unreached(mails) if owns else (), back="",
        planned=delivery_views.planned_rows(chosen, words, watch), late_minutes=services().settings.mail_late_minutes,
        alarm=mail_alarm.of_case(instance.id) if owns else None,
        sent=shown, more=len(sent) - len(shown), typed=typed, refused=refused, problem=problem,
    )  # fmt: skip


@pages.get("/e-post/<id>")
@login_required  # type: ignore[untyped-decorator]
def show(id: str) -> ResponseReturnValue:
    """One mail as its reader sees it, or will."""
    row, instance = _visible(db(), person(), id)
    message, void = _content(row)
    [mail] = delivery_views.read(db(), delivery_views.listed().where(Delivery.id == row.id))
    return render_template(
        "deliveries/show.html", mail=mail, instance=instance, message=message, void=void,
        status=delivery_views.status_of(mail, mail_alarm.watch()), owns=_steers(person(), instance),
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


def _visible(session: Session, reader: Person, public_id: str) -> tuple[Delivery, ProcessInstance | None]:
    """The mail and its case, if the mail is theirs or they own the case. Raises NotFound either way."""
    row = session.scalar(select(Delivery).where(Delivery.public_id == public_id))
    instance = session.get(ProcessInstance, row.instance_id) if row and row.instance_id is not None else None
    if row is None or not _may_read(reader, row, instance):
        raise NotFound(_("Det finnes ingen slik e-post som du kan se."))
    return row, instance


def _may_read(reader: Person, row: Delivery, instance: ProcessInstance | None) -> bool:
    return row.community_id == reader.community_id and (row.recipient_id == reader.id or _steers(reader, instance))


def _steers(reader: Person, instance: ProcessInstance | None) -> bool:
    """Does the reader look after the mail? One about no single case is the administrators' business."""
    return reader.is_admin if instance is None else identity.owns(reader, instance)


def _content(row: Delivery) -> tuple[Message | None, str]:
    """What was said, or what would be said at the time it is planned for; and why it would not be."""
    said = db().get_one(Delivery, row.carrier_id) if row.carrier_id is not None else row
    if said.body_html is not None:
        if not _may_read_all(said):
            return None, _("Den gikk i samme e-post som noe fra andre saker. Bare mottakeren kan lese den.")
        return Message(subject=said.subject or "", text=said.body_text or "", html=said.body_html), ""
    if row.state != "planned":
        return None, _("Den ble aldri sendt, fordi den ikke trengtes lenger.")
    moment = max(row.planned_at, now())
    weeks = {row.id: week_news.of_mail(db(), row, now=moment)} if row.rule == weekly.RULE else {}
    found = facts.gather(surroundings.read(db(), [row], weeks), row, now=moment, settings=services().notifications)
    if isinstance(found, facts.Void):
        return None, _("Slik det står nå, blir den ikke sendt.")
    return composing.compose(found), ""


def _may_read_all(mail: Delivery) -> bool:
    """One mail may say things of several cases: whoever it is to reads them, and who steers them all."""
    if mail.recipient_id == person().id:
        return True
    said = (Delivery.id == mail.id) | (Delivery.carrier_id == mail.id)
    query = select(ProcessInstance).join(Delivery, Delivery.instance_id == ProcessInstance.id).where(said)
    return all(identity.owns(person(), instance) for instance in db().scalars(query))


# --- mending ----------------------------------------------------------------------------------------------------------


@pages.get("/e-post/<id>/send-igjen")
@login_required  # type: ignore[untyped-decorator]
def ask_to_resend(id: str) -> ResponseReturnValue:
    """What sending it again may lead to, before it is sent."""
    row, instance = _own(db(), person(), id)
    if row.state not in ("failed", "uncertain"):
        return redirect(url_for("deliveries.show", id=id), 303)
    [mail] = delivery_views.read(db(), delivery_views.listed().where(Delivery.id == row.id))
    return render_template(
        "deliveries/resend.html", mail=mail, instance=instance, subject=delivery_views.subject_of(mail, formatter()),
        back=request.args.get("back", ""), to_return=_back(instance),
    )  # fmt: skip


@pages.post("/e-post/<id>/send-igjen")
@login_required  # type: ignore[untyped-decorator]
def resend(id: str) -> ResponseReturnValue:
    """Send a failed or uncertain mail once more, as the same message."""
    with acting() as (session, actor):
        row, instance = _own(session, actor, id)
        resending.send_again(session, row, now=now(), actor_id=actor.id)
        back = _back(instance)
    flash(_("E-posten sendes på nytt nå."), "success")
    return redirect(back, 303)


@pages.post("/e-post/<id>/adresse")
@login_required  # type: ignore[untyped-decorator]
def correct_address(id: str) -> ResponseReturnValue:
    """Correct the recipient's address, and send everything that did not reach them in the cases one steers."""
    address = request.form.get("address", "").strip()
    _row, instance = _own(db(), person(), id)
    if not is_address(address):
        problem = _("Skriv en e-postadresse, for eksempel navn@kommune.no.")
        again = _board if instance is None or _came_from_board() else partial(_list, instance)
        return again(address, id, problem), 422
    with acting() as (session, actor):
        row, instance = _own(session, actor, id)
        back = _back(instance)
        user = session.get_one(User, row.recipient_id)
        _require_may_correct(actor, user)
        _correct(session, actor, user, address, also=row.instance_id)
        name = user.name
    flash(_("Adressen til %(name)s er rettet, og e-posten sendes på nytt.", name=name), "success")
    return redirect(back, 303)


def _correct(session: Session, actor: Person, user: User, address: str, *, also: int | None) -> None:
    """The new address, in the history of each case whose mails it lets leave."""
    failed = select(Delivery).where(Delivery.recipient_id == user.id, Delivery.state == "failed")
    steered = failed.outerjoin(ProcessInstance, ProcessInstance.id == Delivery.instance_id)
    found = session.scalars(steered.where(delivery_board.steered_by(actor))).all()
    user.email = address
    # Cases are held in one order by everybody.
    for instance_id in sorted({key for key in (also, *(mail.instance_id for mail in found)) if key is not None}):
        held = process_instances.locked(session, instance_id)
        history.record(session, held, "address-corrected", now=now(), actor_id=actor.id, user=user.key)
        for mail in session.scalars(failed.where(Delivery.instance_id == instance_id)).all():
            delivery.send_again(session, mail, now=now())
    for mail in found:
        if mail.instance_id is None:
            delivery.send_again(session, mail, now=now())


def _came_from_board() -> bool:
    return request.values.get("back") == "alle"


def _back(instance: ProcessInstance | None) -> str:
    """The page that the form was on."""
    if instance is None or _came_from_board():
        return url_for("deliveries.every")
    return url_for("deliveries.of_case", id=instance.public_id)


def _own(session: Session, actor: Person, public_id: str) -> tuple[Delivery, ProcessInstance | None]:
    row, instance = _visible(session, actor, public_id)
    if instance is not None:
        identity.require_owner(actor, instance)
    elif not actor.is_admin:
        raise NotAllowed(_("Bare en administrator kan gjøre det."))
    return row, instance


def _require_may_correct(actor: Person, user: User) -> None:
    # Whoever holds the address gets the invitations: an administrator's is not for others to change.
    if user.is_admin and not actor.is_admin:
        raise NotAllowed(_("Bare en administrator kan rette adressen til en administrator."))
