"""Why an element failed, in plain words. The engine speaks English to programs; people get these.

What the engine said itself stands with the incident, for whoever draws the model.
"""

import re
from collections.abc import Callable

from flask_babel import gettext as _


def cause(text: str) -> str:
    """What went wrong, as the owner of a case reads it."""
    for pattern, words in _KNOWN:
        if (found := pattern.search(text)) is not None:
            return words(found)
    return _("Steget kunne ikke kjøres.")


def _known(pattern: str, words: Callable[["re.Match[str]"], str]) -> tuple["re.Pattern[str]", Callable[..., str]]:
    return re.compile(pattern, re.IGNORECASE), words


_KNOWN = (
    _known(r"There is no user '([^']*)'", lambda m: _("Det finnes ingen bruker «%(key)s».", key=m[1])),
    _known(r"There is no group '([^']*)'", lambda m: _("Det finnes ingen gruppe «%(key)s».", key=m[1])),
    _known(r"Nobody is bound to the role '([^']*)'", lambda m: _("Ingen har rollen «%(role)s».", role=m[1])),
    _known(r"The name (\w+) is not defined", lambda m: _("Verdien «%(name)s» er ikke satt.", name=m[1])),
    _known(r"There is no function '?([\w.-]+)", lambda m: _("Funksjonen «%(name)s» finnes ikke.", name=m[1])),
    _known(r"Expected a date", lambda m: _("En verdi som skulle vært en dato, er ikke det.")),
    _known(r"Expected a (?:whole )?number", lambda m: _("En verdi som skulle vært et tall, er ikke det.")),
    _known(r"Expected a text", lambda m: _("En verdi som skulle vært en tekst, er ikke det.")),
    _known(r"Expected a list", lambda m: _("En verdi som skulle vært en liste, er ikke det.")),
    _known(r"Expected a dictionary", lambda m: _("En verdi mangler det modellen leser i den.")),
    _known(r"more than \d+ steps", lambda m: _("Skriptet regner for lenge.")),
    _known(r"the rules [\d, ]+ match", lambda m: _("Flere regler i beslutningen passer på en gang.")),
    _known(r"by zero", lambda m: _("Det ble delt på null.")),
    _known(r"is not a list", lambda m: _("Det som skulle vært en liste over hvem som spørres, er ikke en liste.")),
    _known(r"no date", lambda m: _("Det som skulle vært en frist, er ikke en dato.")),
    _known(r"default flow", lambda m: _("Ingen av veiene videre passer, og modellen har ingen vei for resten.")),
    _known(r"loops|without a pause", lambda m: _("Modellen går i ring uten å stanse.")),
)
