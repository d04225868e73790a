"""The secretariat's own words in mails: plain text with placeholders, checked when it is written, kept for ever.

Nothing in such a text is run: placeholders are looked up in a fixed list, and everything else is shown as written.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.errors import InvalidInput, Stale
from engine.model import Community, User
from notifications.model import MailText

#: (kind of mail, language) -> part -> words.
Texts = Mapping[tuple[str, str], Mapping[str, str]]

LANGUAGES = ("nb", "nn", "en")
#: The parts of a mail that can be reworded, and how long each may be.
PARTS = {"subject": 150, "heading": 200, "lead": 2000, "below": 2000}
_OF_CASE = ("case", "number", "community", "why")
_OF_TASK = (*_OF_CASE, "name", "party", "due", "effort")
#: What can be reworded, with the placeholders that mean something there.
PLACEHOLDERS: Mapping[str, tuple[str, ...]] = {
    "assigned": _OF_TASK,
    "reminder": (*_OF_TASK, "days"),
    "overdue": _OF_TASK,
    "due_changed": (*_OF_TASK, "former"),
    "approval": _OF_TASK,
    "sent_back": _OF_TASK,
    "escalation": (*_OF_CASE, "name", "due", "silent"),
    "incident": _OF_CASE,
}
#: What is said in whole sentences does not stand in one line.
_SENTENCES = ("why", "effort")

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class InvalidText(InvalidInput):
    """The text cannot be used; `unknown` are placeholders that mean nothing here, and `known` those that do."""

    def __init__(self, unknown: Sequence[str], known: Sequence[str]) -> None:
        self.unknown, self.known = tuple(unknown), tuple(known)
        listed = ", ".join(f"{{{name}}}" for name in known)
        super().__init__(f"These mean nothing here: {', '.join(unknown)}. Use {listed}.")


def known(rule: str, part: str) -> tuple[str, ...]:
    """The placeholders that may stand in that part. Raises InvalidInput where there is no such part."""
    if rule not in PLACEHOLDERS or part not in PARTS:
        raise InvalidInput("There is no such text.")
    one_line = part in ("subject", "heading")
    return tuple(name for name in PLACEHOLDERS[rule] if not (one_line and name in _SENTENCES))


def check(rule: str, part: str, text: str) -> None:
    """Raises InvalidText where a placeholder means nothing or a brace stands alone, InvalidInput where too long."""
    allowed = known(rule, part)
    unknown = [f"{{{name}}}" for name in _PLACEHOLDER.findall(text) if name not in allowed]
    unknown += sorted({brace for brace in _PLACEHOLDER.sub("", text) if brace in "{}"})
    if unknown:
        raise InvalidText(unknown, allowed)
    if len(text) > PARTS[part]:
        raise InvalidInput(f"The text is longer than {PARTS[part]} characters.")


def fill(text: str, values: Mapping[str, str]) -> str | None:
    """The text with its values; None where one of them is not there, and the standard words say it better."""
    names = _PLACEHOLDER.findall(text)
    if not all(values.get(name) for name in names):
        return None
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


def read(session: Session, communities: Collection[int]) -> dict[int, Texts]:
    """The words that hold now, by community, in one statement."""
    latest = (
        select(func.max(MailText.id))
        .where(MailText.community_id.in_(communities))
        .group_by(MailText.community_id, MailText.rule, MailText.locale, MailText.part)
    )
    found: dict[int, dict[tuple[str, str], dict[str, str]]] = {key: defaultdict(dict) for key in communities}
    if communities:
        for row in session.scalars(select(MailText).where(MailText.id.in_(latest), MailText.text.is_not(None))):
            found[row.community_id][row.rule, row.locale][row.part] = row.text or ""
    return {key: dict(texts) for key, texts in found.items()}


def versions(session: Session, community_id: int, rule: str, locale: str) -> Sequence[MailText]:
    """Every version of one mail's texts in one language, the latest first."""
    of_mail = (MailText.community_id == community_id) & (MailText.rule == rule) & (MailText.locale == locale)
    return session.scalars(select(MailText).where(of_mail).order_by(MailText.id.desc())).all()


def write(
    session: Session, actor: User, *, rule: str, locale: str, part: str, text: str | None, seen: int, now: datetime
) -> bool:
    """Make these the words from now on, or with None the standard ones again; answers whether that changed anything.

    `seen` is the revision that the writer saw, 0 for none. Raises InvalidText, InvalidInput, and Stale when
    somebody else has written since. The caller checks that `actor` may.
    """
    if locale not in LANGUAGES:
        raise InvalidInput("There is no such language.")
    if text is not None:
        check(rule, part, text)
    # Of two who write at once, the second sees the first.
    session.get(Community, actor.community_id, with_for_update=True)
    present = next((v for v in versions(session, actor.community_id, rule, locale) if v.part == part), None)
    if (present.text if present else None) == text:
        return False
    if (present.revision if present else 0) != seen:
        raise Stale("Somebody else has changed this text since you opened it.")
    session.add(
        MailText(
            community_id=actor.community_id, rule=rule, locale=locale, part=part, revision=seen + 1, text=text, at=now,
            by_id=actor.id,
        )
    )  # fmt: skip
    return True
