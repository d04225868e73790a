"""Moving a case to another version of its process, and back."""

from typing import Any

from flask.typing import ResponseReturnValue

from engine import deployments, identity, process_instances
from engine.errors import InvalidInput
from engine.model import Community
from web import acts, migration_documents, migration_views
from web.api import act_schemas, migration_schemas, schemas
from web.api.blueprint import SECURITY, blueprint
from web.api.tasks import etag, revision
from web.context import acting, db, now, person, services
from web.migration_views import Wanted

_OWNER = {
    403: "Only the owner of the case may.",
    409: "It can't be moved as it stands, or back.",
    412: "The case has changed since you read it.",
}


@blueprint.post("/process-instances/<instance_id>/migration")
@blueprint.input(schemas.IfMatch, location="headers")
@blueprint.input(migration_schemas.Migration, location="json")
@blueprint.output(migration_schemas.MigrationResult)
@blueprint.doc(summary="Move a case to another version, or try it", security=SECURITY, responses=_OWNER)
def migrate_instance(instance_id: str, headers_data: dict[str, Any], json_data: dict[str, Any]) -> ResponseReturnValue:
    """A dry run says why it can't be moved; without it, that is refused."""
    instance, seen = identity.instance_by_id(db(), person(), instance_id), revision(headers_data)
    identity.require_owner(person(), instance)
    process_instances.require_revision(instance, seen)
    definition = deployments.find_version(db(), person().community_id, instance.definition.key, json_data["to"])
    dry_run, mapping, reason = json_data["dry_run"], json_data["mapping"], json_data["reason"]
    if not dry_run and not reason.strip():
        raise InvalidInput("Say why the case is moved; the reason is kept in its history.")
    tried = migration_views.attempt(
        services().database, instance, definition, now=now(), settings=services().notifications, mapping=mapping
    )
    current = tried.revision
    if not dry_run:
        wanted = Wanted(public_id=instance_id, revision=tried.revision)
        with acting() as (session, actor):
            moved = migration_views.move(
                session, wanted, definition, actor=actor, now=now(), reason=reason, mapping=mapping
            )
            current = moved.revision
    row = migration_documents.document(instance, tried, moved=not dry_run)
    return {**row, "from_": row["from"]}, 200, etag(current)


@blueprint.post("/process-instances/<instance_id>/migration/revert")
@blueprint.input(schemas.IfMatch, location="headers")
@blueprint.input(act_schemas.Reason, location="json")
@blueprint.output(migration_schemas.Reverted)
@blueprint.doc(summary="Move a case back to the version it came from", security=SECURITY, responses=_OWNER)
def revert_migration(instance_id: str, headers_data: dict[str, Any], json_data: dict[str, Any]) -> ResponseReturnValue:
    """Only while nothing has happened in the case since it was moved."""
    with acting() as (session, actor):
        community = session.get_one(Community, actor.community_id)
        instance = acts.held(session, community, instance_id, actor, revision(headers_data))
        row = migration_views.revert(session, instance, actor, now=now(), reason=json_data["reason"])
    return row, 200, etag(row["revision"])
