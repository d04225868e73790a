"""Signing in: with a password (argon2), by invitation, or, in the demo, by choosing who one is."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from flask import Blueprint, abort, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import LoginManager, current_user, login_user, logout_user
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from engine.identity import arrival
from engine.model import Membership, User
from web.context import close_session, community, db, services, welcome

pages = Blueprint("auth", __name__)
login_manager = LoginManager()
_hasher = PasswordHasher()
#: Checked when there is no such user, so that the answer takes as long. Hashing it at every start would take a while.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$MEWXOpFGmsSPEaxAyZUFOw$uX8Ay7q5ZHE8u9WrjKorxHcv00Z/EFJmzSy4gRPjYJs"
#: How long an invitation holds, in seconds.
INVITATION_AGE = 7 * 24 * 3600
MIN_PASSWORD = 12


@dataclass(frozen=True)
class SignedIn:
    """The user behind a session; ends when their session version is raised."""

    user_id: int
    session_version: int
    name: str
    key: str
    is_admin: bool = False
    is_authenticated: bool = True
    is_active: bool = True
    is_anonymous: bool = False

    def get_id(self) -> str:
        """What the session cookie holds."""
        return f"{self.user_id}:{self.session_version}"


def _signed_in(user: User) -> SignedIn:
    version = user.session_version
    return SignedIn(user_id=user.id, session_version=version, name=user.name, key=user.key, is_admin=user.is_admin)


@login_manager.user_loader  # type: ignore[untyped-decorator]
def load(cookie: str) -> SignedIn | None:
    """The user of a session cookie, if it still holds."""
    user_id, _sep, version = cookie.partition(":")
    found = arrival(db(), int(user_id)) if user_id.isdigit() else None
    if found is None or str(found.user.session_version) != version:
        return None
    welcome(found)
    return _signed_in(found.user)


def hash_password(password: str) -> str:
    """The argon2 hash to keep."""
    return _hasher.hash(password)


def password_fits(user: User | None, password: str) -> bool:
    """Is this the user's password? Takes as long when there is no such user."""
    try:
        return (
            _hasher.verify(user.password_hash if user and user.password_hash else _NOBODY, password)
            and user is not None
        )
    except (VerifyMismatchError, InvalidHashError):
        return False


def safe_next(target: str | None) -> str:
    """Where to go after signing in: a path of ours, never another site."""
    wanted = target or ""
    # Browsers read a backslash as a slash, and leave out what no address holds.
    odd = "\\" in wanted or not wanted.isprintable() or " " in wanted
    parts = urlsplit(wanted)
    if odd or parts.scheme or parts.netloc or not wanted.startswith("/") or wanted.startswith("//"):
        return url_for("tasks.mine")
    return wanted


@pages.get("/")
def home() -> ResponseReturnValue:
    """Everyone's start."""
    return redirect(url_for("tasks.mine") if current_user.is_authenticated else url_for("auth.login"))


@pages.route("/logg-inn", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """Sign in with e-mail address and password; in the demo, choose who you are."""
    wanted = request.values.get("next")
    if request.method == "POST":
        email, password = request.form.get("email", "").strip(), request.form.get("password", "")
        user = db().scalars(select(User).where(User.email == email, User.active)).first()
        close_session()
        if password_fits(user, password) and user is not None:
            return _enter(user, wanted)
        return render_template("auth/login.html", next=wanted, email=email, failed=True), 422
    if services().settings.demo:
        return redirect(url_for("auth.choose", next=wanted))
    return render_template("auth/login.html", next=wanted, email="", failed=False)


def _enter(user: User, wanted: str | None) -> ResponseReturnValue:
    session.clear()  # a session that was planted before signing in is worth nothing afterwards
    login_user(_signed_in(user))
    session["lang"] = user.locale
    return redirect(safe_next(wanted))


@pages.route("/velg-hvem-du-er", methods=["GET", "POST"])
def choose() -> ResponseReturnValue:
    """The demo's way in: a list of roles."""
    if not services().settings.demo:
        abort(404)
    if request.method == "POST":
        user = (
            db()
            .scalars(
                select(User).where(
                    User.key == request.form.get("user", ""), User.community_id == community().id, User.active
                )
            )
            .first()
        )
        if user is None:
            abort(404)
        return _enter(user, request.form.get("next"))
    users = db().scalars(select(User).where(User.community_id == community().id, User.active).order_by(User.name)).all()
    groups: dict[int, list[str]] = {}
    memberships = select(Membership).join(Membership.user).where(User.community_id == community().id)
    for membership in db().scalars(memberships.options(joinedload(Membership.group))):
        groups.setdefault(membership.user_id, []).append(membership.group.name)
    return render_template("auth/choose.html", users=users, groups=groups, next=request.args.get("next"))


@pages.post("/logg-ut")
def logout() -> ResponseReturnValue:
    """Sign out."""
    logout_user()
    session.clear()
    return redirect(url_for("auth.login"))


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(services().settings.signing_key(), salt="invitation")


def invitation(user: User, key: str) -> str:
    """The token that lets `user` set a password once, signed with `key`."""
    return URLSafeTimedSerializer(key, salt="invitation").dumps([user.id, user.session_version])


@pages.route("/invitasjon/<token>", methods=["GET", "POST"])
def accept(token: str) -> ResponseReturnValue:
    """Set a password by an invitation; the link then holds no longer."""
    try:
        user_id, version = _serializer().loads(token, max_age=INVITATION_AGE)
    except BadSignature:
        return render_template("auth/invitation.html", valid=False), 410
    password = request.form.get("password", "")
    user = db().get(User, user_id)
    if user is None or user.session_version != version:
        return render_template("auth/invitation.html", valid=False), 410
    if request.method == "GET" or len(password) < MIN_PASSWORD:
        too_short = request.method == "POST"
        return render_template(
            "auth/invitation.html", valid=True, too_short=too_short, minimum=MIN_PASSWORD
        ), 422 if too_short else 200
    hashed = hash_password(password)
    close_session()
    with services().database.transaction() as write:
        kept = write.get_one(User, user_id)
        kept.password_hash, kept.session_version = hashed, kept.session_version + 1
    flash(_("Passordet er lagret."), "success")
    return _enter(kept, None)
