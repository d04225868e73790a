"""`avtaleflyt model …`: versions, what differs between them, and drafts."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from agreements.functions import FUNCTIONS
from engine import deployments, drafts, identity
from engine.bpmn.differences import Content, Difference, differences
from engine.deployments import Source
from engine.identity import Person
from engine.model import Community, ModelDraft, ProcessDefinition, User
from web import commands
from web.cli_parts import community_of, json_option, services, show
from web.commands import START_NAMES

_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_user = click.option("--user", "user_key", required=True, help="The administrator who does it.")


@click.group()
def model() -> None:
    """Versions of models, what differs between them, and drafts."""


# --- versions ---------------------------------------------------------------------------------------------------------


@model.command("list")
@json_option
@click.pass_context
def list_models(ctx: click.Context, as_json: bool) -> None:
    """Every process with its newest version."""
    with services(ctx).database.reading() as session:
        found = deployments.latest_definitions(session, community_of(session, ctx.obj).id)
        rows = [_version(session, definition) for definition in found]
    show(rows, as_json, lambda: "\n".join(_version_line(r) for r in rows) or "Nothing is deployed yet.")


@model.command("show")
@click.argument("key")
@click.option("--version", "version", type=int, help="Print this version's BPMN file instead of the list.")
@json_option
@click.pass_context
def show_model(ctx: click.Context, key: str, version: int | None, as_json: bool) -> None:
    """The versions of a process: when, by whom and why; or one version's BPMN file."""
    with services(ctx).database.reading() as session:
        community_id = community_of(session, ctx.obj).id
        if version is not None:
            definition = deployments.find_version(session, community_id, key, version)
            document = {**_version(session, definition), "xml": definition.xml, "forms": definition.forms}
            show(document, as_json, lambda: definition.xml)
            return
        rows = [_version(session, definition) for definition in deployments.versions(session, community_id, key)]
    show(rows, as_json, lambda: "\n".join(_version_line(r) for r in rows))


@model.command("diff")
@click.argument("key")
@click.option("--from", "older", type=int, help="Default: the version before.")
@click.option("--to", "newer", type=int, help="Default: the newest version.")
@click.option("--file", "file", type=_file, help="Compare the newest version with this model instead.")
@json_option
@click.pass_context
def diff(ctx: click.Context, key: str, older: int | None, newer: int | None, file: Path | None, as_json: bool) -> None:
    """What differs between two versions, element by element."""
    with services(ctx).database.reading() as session:
        community_id = community_of(session, ctx.obj).id
        new = deployments.find_version(session, community_id, key, newer)
        if file is not None:
            found = differences(drafts.content_of(new), _content(file))
        else:
            before = older if older is not None else max(new.version - 1, 1)
            old = deployments.find_version(session, community_id, key, before)
            found = differences(drafts.content_of(old), drafts.content_of(new))
    show(
        [asdict(difference) for difference in found],
        as_json,
        lambda: "\n".join(_difference_line(d) for d in found) or "Nothing differs.",
    )


def _content(file: Path) -> Content:
    (source,) = commands.sources([file])
    xml = source.xml.decode(errors="replace")
    used = {key: form for key, form in source.forms.items() if key in xml}
    return Content(xml=xml, forms=used, decisions=source.decisions)


def _version(session: Session, definition: ProcessDefinition) -> dict[str, Any]:
    deployment = definition.deployment
    by = session.get(User, deployment.deployed_by_id) if deployment.deployed_by_id else None
    return {
        "key": definition.key, "name": definition.name, "version": definition.version,
        "checksum": definition.checksum, "deployed_at": deployment.deployed_at.isoformat(),
        "deployed_by": by.key if by else None, "note": deployment.note,
    }  # fmt: skip


def _version_line(row: dict[str, Any]) -> str:
    by = f"  {row['deployed_by']}" if row["deployed_by"] else ""
    return (
        f"{row['key']} version {row['version']}  {row['deployed_at'][:16]}{by}  {row['checksum'][:12]}  {row['note']}"
    )


def _difference_line(difference: Difference) -> str:
    what = f" {difference.what}: {difference.old!r} -> {difference.new!r}" if difference.what else ""
    name = f" ({difference.element_name})" if difference.element_name else ""
    return f"{difference.kind:8} {difference.element_type} {difference.element_id}{name}{what}"


# --- drafts -----------------------------------------------------------------------------------------------------------


@model.group("draft")
def draft() -> None:
    """Models that somebody is drawing."""


@draft.command("list")
@_user
@json_option
@click.pass_context
def draft_list(ctx: click.Context, user_key: str, as_json: bool) -> None:
    """All drafts, the one saved last first."""
    with services(ctx).database.reading() as session:
        person = _person(session, community_of(session, ctx.obj), user_key)
        rows = [_draft(held) for held in drafts.all_of(session, person)]
    show(rows, as_json, lambda: "\n".join(_draft_line(r) for r in rows) or "No drafts.")


@draft.command("open")
@click.argument("key")
@_user
@click.option("--version", "version", type=int, help="Begin with this version; default the newest.")
@click.option("--as", "new_key", metavar="KEY", help="Make it another process with this id.")
@click.option("--name", help="Name of the other process.")
@json_option
@click.pass_context
def draft_open(
    ctx: click.Context, key: str, user_key: str, version: int | None, new_key: str | None, name: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Begin a draft with a version of a process."""
    served = services(ctx)
    with served.database.transaction() as session:
        person = _person(session, community_of(session, ctx.obj), user_key)
        definition = deployments.find_version(session, person.community_id, key, version)
        if new_key is None:
            made = drafts.open_version(session, definition, person=person, now=served.clock())
        else:
            made = drafts.copy_version(
                session, definition, new_key, name or definition.name, person=person, now=served.clock()
            )
        row = _draft(made)
    show(row, as_json, lambda: _draft_line(row))


@draft.command("new")
@_user
@click.option("--file", "file", type=_file, help="Begin with this model and the forms beside it.")
@click.option("--key", help="Begin with an empty process of this id.")
@click.option("--name", help="Name of the empty process.")
@json_option
@click.pass_context
def draft_new(
    ctx: click.Context, user_key: str, file: Path | None, key: str | None, name: str | None, as_json: bool
) -> None:
    """Begin a draft with a file or an empty process."""
    if (file is None) == (key is None):
        raise click.UsageError("Give either --file or --key.")
    served = services(ctx)
    with served.database.transaction() as session:
        person = _person(session, community_of(session, ctx.obj), user_key)
        if file is not None:
            (source,) = commands.sources([file])
            made = drafts.begin_with(session, _used(source), person=person, now=served.clock())
        else:
            made = drafts.begin(session, key or "", name or key or "", person=person, now=served.clock())
        row = _draft(made)
    show(row, as_json, lambda: _draft_line(row))


def _used(source: Source) -> Source:
    text = source.xml.decode(errors="replace")
    return Source(
        xml=source.xml, forms={k: f for k, f in source.forms.items() if k in text}, decisions=source.decisions
    )


@draft.command("show")
@click.argument("draft_id", metavar="ID")
@_user
@json_option
@click.pass_context
def draft_show(ctx: click.Context, draft_id: str, user_key: str, as_json: bool) -> None:
    """The draft's BPMN file."""
    with services(ctx).database.reading() as session:
        found = drafts.find(session, _person(session, community_of(session, ctx.obj), user_key), draft_id)
        document = {**_draft(found), "xml": found.xml, "forms": found.forms}
    show(document, as_json, lambda: str(document["xml"]))


@draft.command("lint")
@click.argument("draft_id", metavar="ID")
@_user
@json_option
@click.pass_context
def draft_lint(ctx: click.Context, draft_id: str, user_key: str, as_json: bool) -> None:
    """Say what is wrong with a draft; exit 1 when an error is among it."""
    with services(ctx).database.reading() as session:
        held = drafts.find(session, _person(session, community_of(session, ctx.obj), user_key), draft_id)
        found = drafts.findings(session, held, functions=FUNCTIONS, names=START_NAMES)
    show(
        [asdict(f) for f in found],
        as_json,
        lambda: "\n".join(commands.finding_line(f) for f in found) or "Nothing to say.",
    )
    ctx.exit(1 if any(f.severity == "error" for f in found) else 0)


@draft.command("deploy")
@click.argument("draft_id", metavar="ID")
@_user
@click.option("--note", required=True, help="Why; kept with the version.")
@json_option
@click.pass_context
def draft_deploy(ctx: click.Context, draft_id: str, user_key: str, note: str, as_json: bool) -> None:
    """Deploy a draft as the next version of its process."""
    served = services(ctx)
    with served.database.transaction() as session:
        person = _person(session, community_of(session, ctx.obj), user_key)
        held = drafts.find(session, person, draft_id)
        made = drafts.deploy(
            session, draft_id, revision=held.revision, note=note, person=person, now=served.clock(), functions=FUNCTIONS
        )
        row = _version(session, made)
    show(row, as_json, lambda: f"{row['key']} version {row['version']}")


@draft.command("discard")
@click.argument("draft_id", metavar="ID")
@_user
@click.confirmation_option(prompt="Throw the draft away for good?")
@click.pass_context
def draft_discard(ctx: click.Context, draft_id: str, user_key: str) -> None:
    """Throw a draft away."""
    with services(ctx).database.transaction() as session:
        person = _person(session, community_of(session, ctx.obj), user_key)
        held = drafts.find(session, person, draft_id)
        drafts.discard(session, draft_id, revision=held.revision, person=person)
    click.echo(f"Threw away {draft_id}.")


def _person(session: Session, community: Community, user_key: str) -> Person:
    return identity.person(session, identity.user(session, community.id, user_key))


def _draft(held: ModelDraft) -> dict[str, Any]:
    return {
        "id": held.public_id, "name": held.name, "revision": held.revision, "saved_at": held.saved_at.isoformat(),
        "forms": sorted(held.forms),
    }  # fmt: skip


def _draft_line(row: dict[str, Any]) -> str:
    return f"{row['id']}  {row['saved_at'][:16]}  {row['name']}"
