"""Avtaler: what the parties have agreed on, what hangs under what, and the cases about each."""

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from agreements import start_needs
from engine.errors import NotFound
from web.context import community, db, formatter, person
from web.pages import agreement_tree, case_cards

pages = Blueprint("agreements", __name__, url_prefix="/avtaler")


@pages.before_request
def _signed_in() -> None:
    if not current_user.is_authenticated:
        abort(401)


@pages.get("")
def index() -> ResponseReturnValue:
    """Every agreement, as a tree."""
    every = agreement_tree.every(db(), community())
    return render_template("agreements/index.html", tree=agreement_tree.tree(every), count=len(every), active="avtaler")


@pages.get("/<key>")
def show(key: str) -> ResponseReturnValue:
    """One agreement: since when it holds, its chapters and questions, and the cases about it."""
    every = agreement_tree.every(db(), community())
    found = next((line for line in agreement_tree.flat(agreement_tree.tree(every)) if line.agreement.key == key), None)
    if found is None:
        raise NotFound(_("Avtalen finnes ikke."))
    parent = next((a for a in every if a.id == found.agreement.parent_id), None)
    cases = case_cards.cases(db(), person(), case_cards.about(found.agreement.id), formatter())
    return render_template(
        "agreements/show.html", line=found, agreement=found.agreement, parent=parent, cases=cases,
        summary=case_cards.in_words(cases), may_start=bool(start_needs.startable(db(), person())), active="avtaler",
    )  # fmt: skip
