"""What everyone may read without signing in: accessibility and privacy."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_babel import get_locale

pages = Blueprint("about", __name__)


def _page(name: str) -> str:
    return render_template(f"about/{name}_{'en' if str(get_locale()) == 'en' else 'nb'}.html")


@pages.get("/tilgjengelighet")
def accessibility() -> ResponseReturnValue:
    """The accessibility statement."""
    return _page("accessibility")


@pages.get("/personvern")
def privacy() -> ResponseReturnValue:
    """What is kept about people, why, and for how long."""
    return _page("privacy")
