"""The parties of a community, and the items that a model's multi-instance steps run over."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from agreements.model import Party
from agreements.register_file import is_address
from engine.errors import InvalidInput
from engine.model import Community, User

#: What one row of a multi-instance step is about; JSON-native, keys only, no person's name.
Item = dict[str, str | None]


def all_of(session: Session, community: Community) -> list[Party]:
    """The community's parties in their usual order."""
    query = select(Party).where(Party.community_id == community.id).order_by(Party.position, Party.id)
    people = (Party.contact, Party.approver, Party.deputy, Party.group)
    return list(session.scalars(query.options(*(selectinload(relation) for relation in people))))


def items(session: Session, community: Community, keys: Iterable[str] | None = None) -> list[Item]:
    """{key, name, contact, approver, group} per party, in the usual order, each once; all for `keys` None.

    Raises InvalidInput for no party, an unknown key, and a party in which nobody can be asked: without
    contact, or with one who has left or has no e-mail address.
    """
    chosen = _chosen(all_of(session, community), keys)
    return [_item(party) for party in chosen]


def _chosen(parties: list[Party], keys: Iterable[str] | None) -> list[Party]:
    wanted = [p.key for p in parties] if keys is None else list(keys)
    known = {p.key for p in parties}
    for key in wanted:
        if key not in known:
            names = ", ".join(p.key for p in parties)
            raise InvalidInput(f"Ukjent part: «{key}». Velg blant disse: {names}.", key=key)
    if not wanted:
        raise InvalidInput("Ingen part er valgt. Velg minst én.")
    return [p for p in parties if p.key in wanted]


def _item(party: Party) -> Item:
    contact = _reachable(party, "kontakt", party.contact)
    if contact is None:
        raise InvalidInput(f"{party.name} har ingen kontakt. Velg en før saken starter.", party=party.key)
    approver = _reachable(party, "godkjenner", party.approver)
    return {
        "key": party.key,
        "name": party.name,
        "contact": contact.key,
        "approver": approver.key if approver else None,
        "group": party.group.key,
    }


def _reachable(party: Party, role: str, user: User | None) -> User | None:
    if user is not None and not user.active:
        text = f"{party.name} har en {role} som er slått av: {user.name}. Velg en annen."
        raise InvalidInput(text, party=party.key, user=user.key)
    if user is not None and not is_address(user.email):
        text = f"{party.name} har en {role} uten gyldig e-postadresse: {user.name}. Fyll ut adressen."
        raise InvalidInput(text, party=party.key, user=user.key)
    return user
