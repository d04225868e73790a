"""Why an element failed, in plain words. The engine speaks English to programs; people get these."""

import re
from collections.abc import Callable

from flask_babel import gettext as _


def cause(text: str) -> str:
    """What went wrong; the engine's own words where this version knows no better."""
    for pattern, words in _KNOWN:
        if (found := pattern.search(text)) is not None:
            return words(found)
    return text


def _known(pattern: str, words: Callable[["re.Match[str]"], str]) -> tuple["re.Pattern[str]", Callable[..., str]]:
    return re.compile(pattern, re.IGNORECASE), words


_KNOWN = (
    _known(r"There is no user '([^']*)'", lambda m: _("Det finnes ingen bruker «%(key)s».", key=m[1])),
    _known(r"There is no group '([^']*)'", lambda m: _("Det finnes ingen gruppe «%(key)s».", key=m[1])),
    _known(r"Nobody is bound to the role '([^']*)'", lambda m: _("Ingen har rollen «%(role)s».", role=m[1])),
    _known(r"The name (\w+) is not defined", lambda m: _("Verdien «%(name)s» er ikke satt.", name=m[1])),
    _known(r"by zero", lambda m: _("Det ble delt på null.")),
    _known(r"is not a list", lambda m: _("Det som skulle vært en liste over hvem som spørres, er ikke en liste.")),
    _known(r"no date", lambda m: _("Det som skulle vært en frist, er ikke en dato.")),
    _known(r"default flow", lambda m: _("Ingen av veiene videre passer, og modellen har ingen vei for resten.")),
    _known(r"loops|without a pause", lambda m: _("Modellen går i ring uten å stanse.")),
)
