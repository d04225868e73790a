"""`avtaleflyt migrate`: the schema brought up to date; with a process, its running cases moved to a version."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from engine import deployments, identity
from engine.errors import EngineError, InvalidInput
from engine.identity import Person
from engine.model import ProcessDefinition, ProcessInstance
from web import acts, commands, migration_documents, migration_views, running
from web.cli_parts import community_of, json_option, services, show
from web.migration_views import Tried, Wanted
from web.services import Services


@click.command()
@click.argument("key", required=False)
@click.option("--to", "version", type=click.IntRange(1, 999_999), help="The version; default the newest.")
@click.option("--case", "case_ids", multiple=True, metavar="ID", help="Only this case; repeat for several.")
@click.option("--map", "mapping", multiple=True, metavar="OLD=NEW", help="The element that takes another's place.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")
@click.option("--revert", "reverted", metavar="CASE", help="Move this case back, while nothing has happened in it.")
@click.option("--reason", default="", help="Why; kept in the history. Required unless it is a dry run.")
@click.option("--user", "user_key", help="Who does it: must own the cases. Default: the operator.")
@json_option
@click.pass_context
def migrate(
    ctx: click.Context, key: str | None, version: int | None, case_ids: tuple[str, ...], mapping: tuple[str, ...],
    dry_run: bool, reverted: str | None, reason: str, user_key: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Bring the database's schema up to date; with KEY, move running cases of that process to a version.

    Each case is moved in a transaction of its own. Exit 1 when some case can't be moved.
    """
    if key is not None and reverted is not None:
        raise click.UsageError("Give either a process or --revert.")
    if reverted is not None:
        _revert(ctx, reverted, reason, user_key, as_json)
    elif key is not None:
        wanted = _Wanted(key=key, version=version, case_ids=case_ids, mapping=_pairs(mapping), reason=reason)
        if not dry_run and not reason.strip():
            raise InvalidInput("Say why the cases are moved, with --reason; or try it first, with --dry-run.")
        _move(ctx, wanted, user_key, dry_run=dry_run, as_json=as_json)
    elif version is not None or case_ids or mapping or dry_run or reason or user_key:
        raise click.UsageError("Name the process whose cases are to be moved.")
    else:
        _schema(ctx, as_json)


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for pair in texts:
        old, sign, new = pair.partition("=")
        if not (old and sign and new):
            raise click.UsageError(f"--map takes OLD=NEW, not {pair!r}.")
        pairs[old] = new
    return pairs


def _schema(ctx: click.Context, as_json: bool) -> None:
    served = services(ctx)
    version = running.migrate(served)
    with served.database.transaction() as session:
        commands.ensure_community(session, ctx.obj)
    show({"schema": version}, as_json, lambda: f"The schema is at {version}.")


# --- moving -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What the command was asked to move, and where."""

    key: str
    version: int | None
    case_ids: Sequence[str]
    mapping: dict[str, str]
    reason: str


def _move(ctx: click.Context, wanted: _Wanted, user_key: str | None, *, dry_run: bool, as_json: bool) -> None:
    served = services(ctx)
    now = served.clock()
    definition, cases, actor = _found(served, ctx, wanted, user_key)
    tried = [(case, _tried(served, case, definition, wanted, now)) for case in cases]
    if dry_run:
        rows = [migration_documents.document(case, found, moved=False) for case, found in tried]
    else:
        rows = [_moved(served, case, found, definition, wanted, actor, now) for case, found in tried]
    document = {"process": definition.key, "to": definition.version, "dry_run": dry_run, "cases": rows}
    show(
        document, as_json, lambda: "\n".join(map(migration_documents.text, rows)) or "No case runs on another version."
    )
    ctx.exit(0 if all(row["can_move"] for row in rows) else 1)


def _found(
    served: Services, ctx: click.Context, wanted: _Wanted, user_key: str | None
) -> tuple[ProcessDefinition, list[ProcessInstance], Person | None]:
    """The version, and the cases that are named, or all on other versions. Raises NotFound."""
    with served.database.reading() as session:
        community = community_of(session, ctx.obj)
        actor = identity.person(session, identity.user(session, community.id, user_key)) if user_key else None
        definition = deployments.find_version(session, community.id, wanted.key, wanted.version)
        if wanted.case_ids:
            cases = [commands.find_instance(session, community, case_id) for case_id in wanted.case_ids]
        else:
            cases = migration_views.running(session, definition, actor)
        for case in cases:
            if actor is not None:
                identity.require_owner(actor, case)
            _ = case.definition  # read while the session is open
    return definition, cases, actor


def _tried(
    served: Services, case: ProcessInstance, definition: ProcessDefinition, wanted: _Wanted, now: datetime
) -> Tried:
    tried = migration_views.attempt_one_of_many(
        served.database, case, definition, now=now, settings=served.notifications, mapping=wanted.mapping
    )
    if tried is not None:
        return tried
    fault = EngineError("Something went wrong on our side. See the log.")
    return Tried(revision=case.revision, version=case.definition.version, to=definition.version, refused=fault)


def _moved(
    served: Services, case: ProcessInstance, tried: Tried, definition: ProcessDefinition, wanted: _Wanted,
    actor: Person | None, now: datetime,
) -> dict[str, Any]:  # fmt: skip
    """Move what can be moved, unless the case changed since it was tried."""
    if not tried.can_move:
        return migration_documents.document(case, tried, moved=False)
    one = Wanted(public_id=case.public_id, revision=tried.revision)
    (result,) = migration_views.move_each(
        served.database, [one], definition, actor=actor, now=now, reason=wanted.reason, mapping=wanted.mapping
    )
    row = migration_documents.document(case, tried, moved=result.is_moved)
    if not result.is_moved:
        row |= {"can_move": False, "refused": result.refused.message if result.refused else "See the log."}
    return row


# --- moving back ------------------------------------------------------------------------------------------------------


def _revert(ctx: click.Context, case_id: str, reason: str, user_key: str | None, as_json: bool) -> None:
    served = services(ctx)
    with served.database.transaction() as session:
        community = community_of(session, ctx.obj)
        actor = identity.person(session, identity.user(session, community.id, user_key)) if user_key else None
        instance = acts.held(session, community, case_id, actor)
        row = migration_views.revert(session, instance, actor, now=served.clock(), reason=reason)
    show(row, as_json, lambda: f"{row['id']} is on version {row['version']} again.")
