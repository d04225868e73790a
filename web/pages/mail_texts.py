"""Tekster: the secretariat's own words in mails, with a preview, checked placeholders, and every version kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import login_required
from markupsafe import escape
from sqlalchemy import select

from engine.errors import InvalidInput, NotAllowed, NotFound
from engine.model import User
from notifications import composing, samples, texts
from notifications.model import MailText
from notifications.texts import InvalidText
from web.context import acting, calendar, community, db, now, person, today
from web.pages.deliveries import MAIL_CSP

pages = Blueprint("mail_texts", __name__, url_prefix="/tekster")

#: Whose members may reword mails.
SECRETARIAT = "sekretariat"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a mail on the page where it is reworded."""

    name: str
    label: str
    text: str
    #: The revision that the writer sees.
    seen: int
    known: Sequence[str]
    problem: str


@dataclass(frozen=True, kw_only=True)
class Version:
    """One change in the list of them."""

    label: str
    text: str | None
    by: str
    row: MailText


@pages.before_request
@login_required  # type: ignore[untyped-decorator]
def _secretariat() -> None:
    if not (person().is_admin or SECRETARIAT in person().group_keys):
        raise NotAllowed(_("Bare sekretariatet endrer tekster. Spør dem."))


@pages.get("")
def index() -> ResponseReturnValue:
    """Every mail that can be reworded, and in which languages it is."""
    own = texts.read(db(), [community().id])[community().id]
    return render_template("notifications/texts.html", names=_names(), languages=_languages(), own=own)


@pages.get("/<rule>/<locale>")
def show(rule: str, locale: str) -> ResponseReturnValue:
    """One mail's words in one language."""
    return _page(rule, locale)


@pages.post("/<rule>/<locale>")
def save(rule: str, locale: str) -> ResponseReturnValue:
    """Keep the words; a part that is left empty has the standard words."""
    _require_known(rule, locale)
    written = _written()
    if problems := _problems(rule, written):
        return _page(rule, locale, written, problems), 422
    with acting() as (session, actor):
        user = session.get_one(User, actor.id)
        changed = [
            texts.write(
                session, user, rule=rule, locale=locale, part=part, text=text or None, now=now(),
                seen=request.form.get(f"seen-{part}", 0, type=int),
            )
            for part, text in written.items()
        ]  # fmt: skip
    flash(
        _("Teksten er lagret. Den brukes fra neste e-post.") if any(changed) else _("Ingenting er endret."), "success"
    )
    return redirect(url_for("mail_texts.show", rule=rule, locale=locale), 303)


@pages.route("/<rule>/<locale>/eksempel", methods=["GET", "POST"])
def example(rule: str, locale: str) -> ResponseReturnValue:
    """The mail as a reader would get it, with the words as they stand in the form, or as they are kept."""
    _require_known(rule, locale)
    own: Mapping[str, str] = texts.read(db(), [community().id])[community().id].get((rule, locale), {})
    if request.method == "POST":
        written = _written()
        if problems := _problems(rule, written):
            return _framed("".join(f"<p>{escape(problem)}</p>" for problem in problems.values()))
        own = {part: text for part, text in written.items() if text}
    facts = samples.sample(rule, locale, community(), calendar(), today(), {(rule, locale): own})
    message = composing.compose(facts)
    if request.form.get("as") == "text":
        return _framed(f"<pre>{escape(message.subject)}\n\n{escape(message.text)}</pre>")
    return _framed(message.html)


def _framed(html: str) -> Response:
    return Response(html, mimetype="text/html", headers={"Content-Security-Policy": MAIL_CSP})


def _page(
    rule: str, locale: str, written: Mapping[str, str] | None = None, problems: Mapping[str, str] | None = None
) -> str:
    _require_known(rule, locale)
    rows = texts.versions(db(), community().id, rule, locale)
    latest = {row.part: row for row in reversed(rows)}
    parts = [
        Part(
            name=name, label=label, known=texts.known(rule, name), problem=(problems or {}).get(name, ""),
            text=written[name] if written else (latest[name].text or "" if name in latest else ""),
            seen=latest[name].revision if name in latest else 0,
        )
        for name, label in _parts().items()
    ]  # fmt: skip
    writers = select(User.id, User.name).where(User.id.in_({row.by_id for row in rows}))
    people = {row.id: row.name for row in db().execute(writers)}
    versions = [Version(label=_parts()[row.part], text=row.text, by=people[row.by_id], row=row) for row in rows]
    facts = samples.sample(rule, locale, community(), calendar(), today(), {})
    return render_template(
        "notifications/text.html", rule=rule, lang=locale, name=_names()[rule],
        language_name=dict(_languages())[locale],
        parts=parts, versions=versions, meaning=_meaning(), standard=composing.compose(facts), problems=problems or {},
    )  # fmt: skip


def _written() -> dict[str, str]:
    # Line ends as they are kept: what browsers send has carriage returns.
    return {part: request.form.get(part, "").replace("\r\n", "\n").strip() for part in texts.PARTS}


def _problems(rule: str, written: Mapping[str, str]) -> dict[str, str]:
    problems = {}
    for part, text in written.items():
        try:
            texts.check(rule, part, text)
        except InvalidText as error:
            known = ", ".join(f"{{{name}}}" for name in error.known)
            problems[part] = _(
                "%(unknown)s kan ikke brukes her. Bruk %(known)s.", unknown=", ".join(error.unknown), known=known
            )
        except InvalidInput:
            problems[part] = _("Teksten er for lang. Den kan ha %(count)s tegn.", count=texts.PARTS[part])
    return problems


def _require_known(rule: str, locale: str) -> None:
    if rule not in texts.PLACEHOLDERS or locale not in texts.LANGUAGES:
        raise NotFound(_("Det finnes ingen slik tekst."))


# --- words ------------------------------------------------------------------------------------------------------------


def _languages() -> list[tuple[str, str]]:
    return [("nb", _("Bokmål")), ("nn", _("Nynorsk")), ("en", _("Engelsk"))]


def _names() -> dict[str, str]:
    return {
        "assigned": _("Ny oppgave"), "reminder": _("Påminnelse"), "overdue": _("Fristen er ute"),
        "due_changed": _("Ny frist"), "approval": _("Til godkjenning"), "sent_back": _("Sendt tilbake"),
        "escalation": _("Noen har ikke svart"), "incident": _("Saken står stille"),
    }  # fmt: skip


def _parts() -> dict[str, str]:
    return {
        "subject": _("Emne"), "heading": _("Overskrift"), "lead": _("Over knappen"), "below": _("Under knappen"),
    }  # fmt: skip


def _meaning() -> dict[str, str]:
    return {
        "case": _("sakens navn"), "number": _("saksnummeret"), "community": _("helsefellesskapets navn"),
        "why": _("hvorfor mottakeren får e-posten"), "name": _("oppgavens navn"), "party": _("parten som skal svare"),
        "due": _("fristen"), "effort": _("hvor lang tid det tar, og om en må logge inn"),
        "days": _("virkedager igjen"), "former": _("fristen før den ble flyttet"), "silent": _("de som ikke har svart"),
    }  # fmt: skip
