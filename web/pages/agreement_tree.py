"""The agreements of a community in the order people know them: each under the one it hangs under."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements.model import Agreement
from engine.model import Community

_KINDS = {
    "agreement": lambda: _("Samarbeidsavtale"),
    "sub-agreement": lambda: _("Delavtale"),
    "guideline": lambda: _("Retningslinje"),
    "annex": lambda: _("Vedlegg"),
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One agreement and what hangs under it; `level` is 0 at the top."""

    agreement: Agreement
    kind: str
    level: int
    children: tuple["Line", ...]


def kind_of(agreement: Agreement) -> str:
    """What people call its kind."""
    return _KINDS.get(agreement.kind, lambda: _("Avtale"))()


def every(session: Session, community: Community) -> Sequence[Agreement]:
    """All agreements in their usual order."""
    query = select(Agreement).where(Agreement.community_id == community.id)
    return session.scalars(query.order_by(Agreement.position, Agreement.id)).all()


def tree(agreements: Sequence[Agreement]) -> tuple[Line, ...]:
    """The agreements that hang under nothing, each with what hangs under it."""
    known = {agreement.id for agreement in agreements}
    return tuple(_line(a, agreements, 0) for a in agreements if a.parent_id not in known)


def _line(agreement: Agreement, agreements: Sequence[Agreement], level: int) -> Line:
    under = tuple(_line(a, agreements, level + 1) for a in agreements if a.parent_id == agreement.id)
    return Line(agreement=agreement, kind=kind_of(agreement), level=level, children=under)


def lines(session: Session, community: Community) -> list[Line]:
    """The whole tree from top to bottom, for a list of choices."""
    return list(flat(tree(every(session, community))))


def flat(found: Sequence[Line]) -> Iterator[Line]:
    for line in found:
        yield line
        yield from flat(line.children)
