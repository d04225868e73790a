"""Prøvekjør: a case lived in advance, before its start or from where it stands, with every mail to be opened.

Nothing is stored. A mail's address says what was rehearsed and when; who asks for it later has it rehearsed again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from itsdangerous import BadSignature, URLSafeSerializer

from agreements import bodies, starting
from engine import identity, reasons
from engine.errors import InvalidInput, NotAllowed
from web import rehearsal_scenarios, rehearsals
from web.context import calendar, community, db, formatter, now, person, services
from web.keeping import Kept
from web.pages import rehearsal_views, start_state
from web.rehearsal_scenarios import OUTCOME, Known, Wishes
from web.rehearsals import Lived, RehearsedMail

pages = Blueprint("rehearsal", __name__)

#: The mail's own styles and nothing else. Its links lead to tasks that only the rehearsal had.
_MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
#: Rehearsals whose mails are at hand, of all readers together.
_SIZE = 8


#: So that opening a mail does not rehearse the year again.
_kept = Kept[Lived](_SIZE)


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """What is rehearsed: a start that is prepared, or a running case."""

    #: Everything that decides how it goes, except the scenario and the moment.
    key: str
    title: str
    known: Known
    facts: Mapping[str, date]
    lived: Callable[[Wishes, datetime], Lived]
    #: Where its page, its mails and the way back are.
    endpoint: str
    address: Mapping[str, Any]
    back: str
    back_words: str
    started: bool


@pages.before_request
def _signed_in() -> None:
    if not current_user.is_authenticated:
        abort(401)


# --- before the start -------------------------------------------------------------------------------------------------


@pages.get("/saker/start/provekjor")
def of_start() -> ResponseReturnValue:
    """The whole case, from the start that is being prepared."""
    subject = _start()
    return redirect(url_for("starting.plan"), 303) if subject is None else _page(subject)


@pages.get("/saker/start/provekjor/e-post/<int:number>")
def mail_of_start(number: int) -> ResponseReturnValue:
    """One of its mails."""
    subject = _start()
    return abort(404) if subject is None else _mail(subject, number)


def _start() -> _Subject | None:
    """The start that the reader is preparing; None when there is nothing to rehearse yet."""
    state = start_state.read()
    if state is None or not state.who_is_chosen:
        return None
    wanted = state.request()
    try:
        prepared = starting.prepare(db(), community(), wanted, now=now())
    except InvalidInput:
        return None

    def lived(wishes: Wishes, at: datetime) -> Lived:
        return rehearsals.of_start(
            db(), prepared, now=at, settings=services().notifications, owner=person(),
            scenario=rehearsal_scenarios.scenario(wishes, known),
        )  # fmt: skip

    known = rehearsal_scenarios.known_of_start(db(), prepared.definition, prepared.data)
    return _Subject(
        key=repr((state, prepared.facts)), title=prepared.title, known=known, facts=prepared.facts, lived=lived,
        endpoint="rehearsal.of_start", address={}, back=url_for("starting.plan"), back_words=_("Planen"), started=False,
    )  # fmt: skip


# --- from where a case stands -----------------------------------------------------------------------------------------


@pages.get("/saker/<id>/hva-hvis")
def of_case(id: str) -> ResponseReturnValue:
    """What is left of a running case."""
    return _page(_case(id))


@pages.get("/saker/<id>/hva-hvis/e-post/<int:number>")
def mail_of_case(id: str, number: int) -> ResponseReturnValue:
    """One of its mails."""
    return _mail(_case(id), number)


def _case(public_id: str) -> _Subject:
    instance = identity.instance_by_id(db(), person(), public_id)
    if not identity.owns(person(), instance):
        raise NotAllowed(_("Bare den som eier saken, kan prøvekjøre den."))
    if instance.state != "active":
        raise InvalidInput(_("Saken er ikke i gang, så det er ikke noe å prøvekjøre."))
    known = rehearsal_scenarios.known_of_case(db(), instance)

    def lived(wishes: Wishes, at: datetime) -> Lived:
        return rehearsals.of_case(
            db(), instance, now=at, settings=services().notifications,
            scenario=rehearsal_scenarios.scenario(wishes, known),
        )  # fmt: skip

    return _Subject(
        key=f"{instance.public_id}:{instance.revision}", title=instance.title, known=known,
        facts=reasons.facts_of(instance), lived=lived, endpoint="rehearsal.of_case", address={"id": public_id},
        back=url_for("cases.show", id=public_id), back_words=instance.title, started=True,
    )  # fmt: skip


# --- both -------------------------------------------------------------------------------------------------------------


def _page(subject: _Subject) -> ResponseReturnValue:
    wanted, silent = _wanted()
    lived = _lived(subject, wanted, silent, now())
    names = {body.key: body.short_name for body in bodies.all_of(db(), community())}
    return render_template(
        "rehearsal/show.html",
        subject=subject,
        choices=rehearsal_views.choices(subject.known, wanted),
        silent=silent,
        verdict=rehearsal_views.verdict(lived, subject.facts, names, formatter()),
        months=rehearsal_views.months(lived, calendar(), formatter()),
        mail_address=lambda mail, **how: _mail_address(subject, mail, **how),
        active="saker",
    )


def _mail(subject: _Subject, number: int) -> ResponseReturnValue:
    wanted, silent = _wanted()
    mails = _lived(subject, wanted, silent, _moment()).mails
    if number >= len(mails):
        abort(404)
    if "tekst" in request.args:
        return Response(mails[number].text, mimetype="text/plain")
    return Response(mails[number].html, mimetype="text/html", headers={"Content-Security-Policy": _MAIL_POLICY})


def _wanted() -> tuple[dict[str, str], list[str]]:
    """Which way each question goes, and who is silent, as the address says."""
    ways = {key.removeprefix("utfall-"): way for key, way in request.args.items() if key.startswith("utfall-") and way}
    return ways, request.args.getlist("taus")


def _lived(subject: _Subject, wanted: Mapping[str, str], silent: list[str], at: datetime) -> Lived:
    # An outcome is that of the visit that somebody decides next.
    rounds = {element: subject.known.rounds.get(element, 1) for element in wanted}
    outcomes = {f"{element}:{rounds[element]}": {OUTCOME: way} for element, way in wanted.items()}
    document = {"outcomes": outcomes, "silent": silent}
    wishes = rehearsal_scenarios.read(document, subject.known)
    key = (services().database.url, person().key, subject.key, repr(document), at)
    return _kept.get(key, lambda: subject.lived(wishes, at))


def _mail_address(subject: _Subject, mail: RehearsedMail, **how: Any) -> str:
    endpoint = subject.endpoint.replace(".of_", ".mail_of_")
    asked: dict[str, Any] = {key: request.args.getlist(key) for key in request.args if key != "kl"}
    moment = _signer().dumps(now().isoformat())
    return url_for(endpoint, number=mail.number, kl=moment, **subject.address, **asked, **how)


def _moment() -> datetime:
    """When the page was made that the mail stands on."""
    try:
        return datetime.fromisoformat(_signer().loads(request.args.get("kl", "")))
    except BadSignature:
        abort(404)


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(services().settings.signing_key(), salt="rehearsal")
