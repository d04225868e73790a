"""The API's blueprint: who is calling, what a body may be, and how refusals look."""

import hashlib
from typing import Any

from apiflask import APIBlueprint, APIFlask
from apiflask.exceptions import HTTPError
from flask import Response, jsonify, request
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from engine import identity
from engine.identity import Arrival
from engine.model import ApiToken
from web.api import json_bodies
from web.api.schemas import Problem
from web.context import db, welcome

#: Answers are texts in forms; files go by the pages.
MAX_BODY_BYTES = 1_000_000
_READING = ("GET", "HEAD")
_CHALLENGE = 'Bearer realm="Avtaleflyt"'
_PROBLEM = "application/problem+json"
_ABOUT = (
    "Processes, cases and tasks. Every request acts as one person: the one the bearer token was made for with "
    "`avtaleflyt user token`. Nothing is shown or done that the person could not see or do on the pages. "
    "Refusals are problem documents (RFC 9457). A signed-in browser may read without a token."
)
SECURITY = "bearer"

blueprint = APIBlueprint("api", __name__, url_prefix="/api/v1", tag="api")


@blueprint.record_once
def _describe(state: BlueprintSetupState) -> None:
    app = state.app
    assert isinstance(app, APIFlask), "the API describes itself through APIFlask"
    app.config["DESCRIPTION"] = _ABOUT
    app.config["SECURITY_SCHEMES"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    app.config["VALIDATION_ERROR_SCHEMA"] = Problem
    app.config["HTTP_ERROR_SCHEMA"] = Problem
    app.error_processor(_invalid)


@blueprint.before_request
def _begin() -> ResponseReturnValue | None:
    # What is larger is refused before a byte of it is parsed.
    request.max_content_length = MAX_BODY_BYTES
    caller = _caller()
    if caller is None:
        detail = "Send `Authorization: Bearer <token>`. `avtaleflyt user token` makes one."
        return problem(401, "Unauthorized", detail, {"WWW-Authenticate": _CHALLENGE})
    welcome(caller)
    if (found := json_bodies.fault(request)) is not None:
        return problem(found.status, "BadBody", found.detail)
    return None


def _caller() -> Arrival | None:
    """The bearer token's person. A browser's session counts for reading only: other sites can make it write."""
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    if scheme:
        return _owner(token.strip()) if scheme.lower() == "bearer" else None
    if request.method in _READING and current_user.is_authenticated:
        return identity.arrival(db(), current_user.user_id)
    return None


def _owner(token: str) -> Arrival | None:
    # The digest, not the token, is looked up: how long that takes tells nothing about the token.
    digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
    holder = select(ApiToken.user_id).where(ApiToken.token_hash == digest, ApiToken.revoked_at.is_(None))
    return identity.arrival(db(), holder.scalar_subquery())


@blueprint.after_request
def _as_problem(response: Response) -> Response:
    if response.status_code >= 400 and response.is_json:
        response.content_type = _PROBLEM
    response.headers.setdefault("Vary", "Authorization, Cookie")
    return response


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> ResponseReturnValue:
    """A refusal as a problem document."""
    return jsonify({"title": title, "detail": detail, "status": status}), status, headers or {}


def _invalid(error: HTTPError) -> tuple[Response, int, Any]:
    """What the schemas refuse, field by field."""
    document: dict[str, Any] = {"title": "InvalidInput", "detail": error.message, "status": error.status_code}
    if isinstance(error.detail, dict):
        document["errors"] = [
            {"key": key, "label": key, "message": message}
            for fields in error.detail.values()
            for key, message in _flat(fields, "")
        ]
    return jsonify(document), error.status_code, error.headers or {}


def _flat(found: object, key: str) -> list[tuple[str, str]]:
    """Messages of nested fields, each with its path: `roles.fagutvalg.value`."""
    if isinstance(found, dict):
        inner = [(f"{key}.{name}" if key else str(name), value) for name, value in found.items()]
        return [pair for name, value in inner for pair in _flat(value, name.replace("._schema", ""))]
    messages = found if isinstance(found, list) else [found]
    return [(key, str(message)) for message in messages]
