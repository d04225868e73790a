"""Every table as the first version had it.

Revision: 0001_initial
After: nothing
"""

import sqlalchemy as sa
from alembic import op

revision = "0001_initial"
down_revision = None
branch_labels = None
depends_on = None

#: 64 bits on PostgreSQL; SQLite only counts up by itself in an INTEGER key.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "clock_offset",
        sa.Column("id", ID, nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clock_offset"),
    )
    op.create_table(
        "community",
        sa.Column("id", ID, nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("timezone", sa.String(length=60), nullable=False),
        sa.Column("closing_days", sa.JSON(), nullable=False),
        sa.Column("closed_eves", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_community"),
        sa.UniqueConstraint("key", name="uq_community_key"),
    )
    op.create_table(
        "received_mail",
        sa.Column("id", ID, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("envelope_to", sa.String(length=320), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_received_mail"),
    )
    op.create_index("ix_received_mail_envelope_to", "received_mail", ["envelope_to"], unique=False)
    op.create_index("ix_received_mail_received_at", "received_mail", ["received_at"], unique=False)

    op.create_table(
        "agreement",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("parent_id", ID, nullable=True),
        sa.Column("adopted", sa.Date(), nullable=True),
        sa.Column("adopted_case", sa.String(length=30), nullable=False),
        sa.Column("in_force_from", sa.Date(), nullable=True),
        sa.Column("revised", sa.Date(), nullable=True),
        sa.Column("chapters", sa.JSON(), nullable=False),
        sa.Column("questions", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_agreement_community_id"),
        sa.ForeignKeyConstraint(["parent_id"], ["agreement.id"], name="fk_agreement_parent_id"),
        sa.PrimaryKeyConstraint("id", name="pk_agreement"),
        sa.UniqueConstraint("community_id", "key", name="uq_agreement_community_id_key"),
        sa.UniqueConstraint("public_id", name="uq_agreement_public_id"),
    )
    op.create_table(
        "group",
        sa.Column("id", ID, nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_group_community_id"),
        sa.PrimaryKeyConstraint("id", name="pk_group"),
        sa.UniqueConstraint("community_id", "key", name="uq_group_community_id_key"),
    )
    op.create_table(
        "register_change",
        sa.Column("id", ID, nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("thing", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("field", sa.String(length=40), nullable=False),
        sa.Column("old", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("new", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_register_change_community_id"),
        sa.PrimaryKeyConstraint("id", name="pk_register_change"),
    )
    op.create_index("ix_register_change_list", "register_change", ["community_id", "at"], unique=False)

    op.create_table(
        "start_default",
        sa.Column("id", ID, nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("process_key", sa.String(length=120), nullable=False),
        sa.Column("reviewers", sa.JSON(), nullable=False),
        sa.Column("hearing_bodies", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_start_default_community_id"),
        sa.PrimaryKeyConstraint("id", name="pk_start_default"),
        sa.UniqueConstraint("community_id", "process_key", name="uq_start_default_community_id_process_key"),
    )
    op.create_table(
        "user",
        sa.Column("id", ID, nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=True),
        sa.Column("session_version", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("locale", sa.String(length=5), nullable=False),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_user_community_id"),
        sa.PrimaryKeyConstraint("id", name="pk_user"),
        sa.UniqueConstraint("community_id", "key", name="uq_user_community_id_key"),
    )
    op.create_table(
        "api_token",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_api_token_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_api_token"),
        sa.UniqueConstraint("token_hash", name="uq_api_token_token_hash"),
    )
    op.create_index("ix_api_token_user_id", "api_token", ["user_id"], unique=False)

    op.create_table(
        "body",
        sa.Column("id", ID, nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("short_name", sa.String(length=80), nullable=False),
        sa.Column("level", sa.Integer(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("parent_id", ID, nullable=True),
        sa.Column("group_id", ID, nullable=True),
        sa.Column("usual_weekday", sa.Integer(), nullable=True),
        sa.Column("paper_working_days", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_body_community_id"),
        sa.ForeignKeyConstraint(["group_id"], ["group.id"], name="fk_body_group_id"),
        sa.ForeignKeyConstraint(["parent_id"], ["body.id"], name="fk_body_parent_id"),
        sa.PrimaryKeyConstraint("id", name="pk_body"),
        sa.UniqueConstraint("community_id", "key", name="uq_body_community_id_key"),
    )
    op.create_table(
        "deployment",
        sa.Column("id", ID, nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("deployed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deployed_by_id", ID, nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_deployment_community_id"),
        sa.ForeignKeyConstraint(["deployed_by_id"], ["user.id"], name="fk_deployment_deployed_by_id"),
        sa.PrimaryKeyConstraint("id", name="pk_deployment"),
    )
    op.create_table(
        "membership",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("group_id", ID, nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["group.id"], name="fk_membership_group_id"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_membership_user_id"),
        sa.PrimaryKeyConstraint("user_id", "group_id", name="pk_membership"),
    )
    op.create_index("ix_membership_group_id", "membership", ["group_id"], unique=False)

    op.create_table(
        "party",
        sa.Column("id", ID, nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("contact_id", ID, nullable=True),
        sa.Column("deputy_id", ID, nullable=True),
        sa.Column("approver_id", ID, nullable=True),
        sa.Column("group_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["approver_id"], ["user.id"], name="fk_party_approver_id"),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_party_community_id"),
        sa.ForeignKeyConstraint(["contact_id"], ["user.id"], name="fk_party_contact_id"),
        sa.ForeignKeyConstraint(["deputy_id"], ["user.id"], name="fk_party_deputy_id"),
        sa.ForeignKeyConstraint(["group_id"], ["group.id"], name="fk_party_group_id"),
        sa.PrimaryKeyConstraint("id", name="pk_party"),
        sa.UniqueConstraint("community_id", "key", name="uq_party_community_id_key"),
    )
    op.create_table(
        "meeting",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("body_id", ID, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=True),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("starts_at", sa.Time(), nullable=True),
        sa.Column("place", sa.String(length=200), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("papers_dated", sa.Date(), nullable=True),
        sa.Column("agenda", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["body_id"], ["body.id"], name="fk_meeting_body_id"),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_meeting_community_id"),
        sa.PrimaryKeyConstraint("id", name="pk_meeting"),
        sa.UniqueConstraint("body_id", "date", name="uq_meeting_body_id_date"),
        sa.UniqueConstraint("community_id", "key", name="uq_meeting_community_id_key"),
        sa.UniqueConstraint("public_id", name="uq_meeting_public_id"),
    )
    op.create_table(
        "process_definition",
        sa.Column("id", ID, nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("deployment_id", ID, nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("checksum", sa.String(length=64), nullable=False),
        sa.Column("xml", sa.Text(), nullable=False),
        sa.Column("forms", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_process_definition_community_id"),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployment.id"], name="fk_process_definition_deployment_id"),
        sa.PrimaryKeyConstraint("id", name="pk_process_definition"),
        sa.UniqueConstraint("community_id", "key", "version", name="uq_process_definition_community_id_key_version"),
    )
    op.create_table(
        "process_instance",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("definition_id", ID, nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_by_id", ID, nullable=True),
        sa.Column("owner_id", ID, nullable=True),
        sa.Column("owner_group_id", ID, nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("pins", sa.JSON(), nullable=False),
        sa.Column("state_document", sa.LargeBinary(), nullable=True),
        sa.Column("wake_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("open_incidents", sa.Integer(), nullable=False),
        sa.Column("rounds", sa.JSON(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=80), nullable=True),
        sa.Column("history_length", sa.Integer(), nullable=False),
        sa.Column("history_hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_process_instance_community_id"),
        sa.ForeignKeyConstraint(["definition_id"], ["process_definition.id"], name="fk_process_instance_definition_id"),
        sa.ForeignKeyConstraint(["owner_group_id"], ["group.id"], name="fk_process_instance_owner_group_id"),
        sa.ForeignKeyConstraint(["owner_id"], ["user.id"], name="fk_process_instance_owner_id"),
        sa.ForeignKeyConstraint(["started_by_id"], ["user.id"], name="fk_process_instance_started_by_id"),
        sa.PrimaryKeyConstraint("id", name="pk_process_instance"),
        sa.UniqueConstraint("community_id", "idempotency_key", name="uq_process_instance_community_id_idempotency_key"),
        sa.UniqueConstraint("public_id", name="uq_process_instance_public_id"),
    )
    op.create_index("ix_process_instance_definition_id", "process_instance", ["definition_id"], unique=False)
    op.create_index(
        "ix_process_instance_due",
        "process_instance",
        ["wake_at"],
        unique=False,
        postgresql_where=sa.text("wake_at IS NOT NULL AND state = 'active'"),
        sqlite_where=sa.text("wake_at IS NOT NULL AND state = 'active'"),
    )
    op.create_index("ix_process_instance_list", "process_instance", ["community_id", "state", "id"], unique=False)
    op.create_index("ix_process_instance_owner_group_id", "process_instance", ["owner_group_id"], unique=False)
    op.create_index("ix_process_instance_owner_id", "process_instance", ["owner_id"], unique=False)

    op.create_table(
        "agreement_case",
        sa.Column("id", ID, nullable=False),
        sa.Column("instance_id", ID, nullable=False),
        sa.Column("agreement_id", ID, nullable=True),
        sa.Column("case_number", sa.String(length=30), nullable=False),
        sa.Column("archive_reference", sa.String(length=60), nullable=False),
        sa.Column("commissioned_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name="fk_agreement_case_agreement_id"),
        sa.ForeignKeyConstraint(["instance_id"], ["process_instance.id"], name="fk_agreement_case_instance_id"),
        sa.PrimaryKeyConstraint("id", name="pk_agreement_case"),
        sa.UniqueConstraint("instance_id", name="uq_agreement_case_instance_id"),
    )
    op.create_index("ix_agreement_case_agreement_id", "agreement_case", ["agreement_id"], unique=False)
    op.create_index("ix_agreement_case_case_number", "agreement_case", ["case_number"], unique=False)

    op.create_table(
        "incident",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("instance_id", ID, nullable=False),
        sa.Column("call_path", sa.String(length=300), nullable=False),
        sa.Column("element_id", sa.String(length=120), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by_id", ID, nullable=True),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_incident_community_id"),
        sa.ForeignKeyConstraint(["instance_id"], ["process_instance.id"], name="fk_incident_instance_id"),
        sa.ForeignKeyConstraint(["resolved_by_id"], ["user.id"], name="fk_incident_resolved_by_id"),
        sa.PrimaryKeyConstraint("id", name="pk_incident"),
        sa.UniqueConstraint("public_id", name="uq_incident_public_id"),
    )
    op.create_index("ix_incident_open", "incident", ["instance_id", "resolved_at"], unique=False)

    op.create_table(
        "instance_participant",
        sa.Column("id", ID, nullable=False),
        sa.Column("instance_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("group_id", ID, nullable=True),
        sa.ForeignKeyConstraint(["group_id"], ["group.id"], name="fk_instance_participant_group_id"),
        sa.ForeignKeyConstraint(["instance_id"], ["process_instance.id"], name="fk_instance_participant_instance_id"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_instance_participant_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_instance_participant"),
        sa.UniqueConstraint(
            "instance_id", "user_id", "group_id", name="uq_instance_participant_instance_id_user_id_group_id"
        ),
    )
    op.create_index("ix_instance_participant_group", "instance_participant", ["group_id", "instance_id"], unique=False)
    op.create_index("ix_instance_participant_user", "instance_participant", ["user_id", "instance_id"], unique=False)

    op.create_table(
        "job",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("unique_key", sa.String(length=120), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("instance_id", ID, nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["instance_id"], ["process_instance.id"], name="fk_job_instance_id"),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.UniqueConstraint("unique_key", name="uq_job_unique_key"),
    )
    op.create_index("ix_job_due", "job", ["state", "run_at"], unique=False)
    op.create_index("ix_job_instance_id", "job", ["instance_id"], unique=False)

    op.create_table(
        "step",
        sa.Column("id", ID, nullable=False),
        sa.Column("instance_id", ID, nullable=False),
        sa.Column("call_path", sa.String(length=300), nullable=False),
        sa.Column("element_id", sa.String(length=120), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_date", sa.Date(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), nullable=False),
        sa.Column("closes", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["instance_id"], ["process_instance.id"], name="fk_step_instance_id"),
        sa.PrimaryKeyConstraint("id", name="pk_step"),
        sa.UniqueConstraint(
            "instance_id", "call_path", "element_id", "round", name="uq_step_instance_id_call_path_element_id_round"
        ),
    )
    op.create_table(
        "case_meeting",
        sa.Column("case_id", ID, nullable=False),
        sa.Column("fact", sa.String(length=40), nullable=False),
        sa.Column("meeting_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["agreement_case.id"], name="fk_case_meeting_case_id"),
        sa.ForeignKeyConstraint(["meeting_id"], ["meeting.id"], name="fk_case_meeting_meeting_id"),
        sa.PrimaryKeyConstraint("case_id", "fact", name="pk_case_meeting"),
    )
    op.create_index("ix_case_meeting_meeting", "case_meeting", ["meeting_id"], unique=False)

    op.create_table(
        "user_task",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("instance_id", ID, nullable=False),
        sa.Column("step_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("item", sa.String(length=80), nullable=True),
        sa.Column("item_name", sa.String(length=200), nullable=True),
        sa.Column("item_data", sa.JSON(), nullable=True),
        sa.Column("assignee_id", ID, nullable=True),
        sa.Column("candidate_group_id", ID, nullable=True),
        sa.Column("approver_id", ID, nullable=True),
        sa.Column("form_key", sa.String(length=120), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=True),
        sa.Column("due_by_hand", sa.Boolean(), nullable=False),
        sa.Column("due_generation", sa.Integer(), nullable=False),
        sa.Column("draft", sa.JSON(), nullable=True),
        sa.Column("draft_saved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("draft_by_id", ID, nullable=True),
        sa.Column("answers", sa.JSON(), nullable=True),
        sa.Column("submitted_by_id", ID, nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_by_id", ID, nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["approver_id"], ["user.id"], name="fk_user_task_approver_id"),
        sa.ForeignKeyConstraint(["assignee_id"], ["user.id"], name="fk_user_task_assignee_id"),
        sa.ForeignKeyConstraint(["candidate_group_id"], ["group.id"], name="fk_user_task_candidate_group_id"),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_user_task_community_id"),
        sa.ForeignKeyConstraint(["completed_by_id"], ["user.id"], name="fk_user_task_completed_by_id"),
        sa.ForeignKeyConstraint(["draft_by_id"], ["user.id"], name="fk_user_task_draft_by_id"),
        sa.ForeignKeyConstraint(["instance_id"], ["process_instance.id"], name="fk_user_task_instance_id"),
        sa.ForeignKeyConstraint(["step_id"], ["step.id"], name="fk_user_task_step_id"),
        sa.ForeignKeyConstraint(["submitted_by_id"], ["user.id"], name="fk_user_task_submitted_by_id"),
        sa.PrimaryKeyConstraint("id", name="pk_user_task"),
        sa.UniqueConstraint("public_id", name="uq_user_task_public_id"),
        sa.UniqueConstraint("step_id", "position", name="uq_user_task_step_id_position"),
    )
    op.create_index("ix_user_task_approver", "user_task", ["approver_id", "state"], unique=False)
    op.create_index("ix_user_task_assignee", "user_task", ["assignee_id", "state", "due_date"], unique=False)
    op.create_index("ix_user_task_group", "user_task", ["candidate_group_id", "state", "due_date"], unique=False)
    op.create_index("ix_user_task_instance", "user_task", ["instance_id", "state"], unique=False)
    op.create_index("ix_user_task_open", "user_task", ["community_id", "state", "due_date", "id"], unique=False)

    op.create_table(
        "delivery",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("instance_id", ID, nullable=False),
        sa.Column("step_id", ID, nullable=False),
        sa.Column("task_id", ID, nullable=True),
        sa.Column("recipient_id", ID, nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("rule", sa.String(length=20), nullable=False),
        sa.Column("cause", sa.String(length=80), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=True),
        sa.Column("due_generation", sa.Integer(), nullable=False),
        sa.Column("asked_by_id", ID, nullable=True),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("message_id", sa.String(length=300), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=True),
        sa.Column("body_text", sa.Text(), nullable=True),
        sa.Column("body_html", sa.Text(), nullable=True),
        sa.Column("composed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["asked_by_id"], ["user.id"], name="fk_delivery_asked_by_id"),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_delivery_community_id"),
        sa.ForeignKeyConstraint(["instance_id"], ["process_instance.id"], name="fk_delivery_instance_id"),
        sa.ForeignKeyConstraint(["recipient_id"], ["user.id"], name="fk_delivery_recipient_id"),
        sa.ForeignKeyConstraint(["step_id"], ["step.id"], name="fk_delivery_step_id"),
        sa.ForeignKeyConstraint(["task_id"], ["user_task.id"], name="fk_delivery_task_id"),
        sa.PrimaryKeyConstraint("id", name="pk_delivery"),
        sa.UniqueConstraint("cause", "recipient_id", "channel", name="uq_delivery_cause_recipient_id_channel"),
        sa.UniqueConstraint("public_id", name="uq_delivery_public_id"),
    )
    op.create_index(
        "ix_delivery_due",
        "delivery",
        ["state", "next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('planned', 'sending')"),
        sqlite_where=sa.text("state IN ('planned', 'sending')"),
    )
    op.create_index("ix_delivery_instance", "delivery", ["instance_id", "state", "planned_at"], unique=False)
    op.create_index("ix_delivery_recipient_id", "delivery", ["recipient_id"], unique=False)
    op.create_index("ix_delivery_step_id", "delivery", ["step_id"], unique=False)
    op.create_index("ix_delivery_task", "delivery", ["task_id", "recipient_id"], unique=False)

    op.create_table(
        "document",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("community_id", ID, nullable=False),
        sa.Column("instance_id", ID, nullable=False),
        sa.Column("task_id", ID, nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("content_type", sa.String(length=100), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("uploaded_by_id", ID, nullable=True),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name="fk_document_community_id"),
        sa.ForeignKeyConstraint(["instance_id"], ["process_instance.id"], name="fk_document_instance_id"),
        sa.ForeignKeyConstraint(["task_id"], ["user_task.id"], name="fk_document_task_id"),
        sa.ForeignKeyConstraint(["uploaded_by_id"], ["user.id"], name="fk_document_uploaded_by_id"),
        sa.PrimaryKeyConstraint("id", name="pk_document"),
        sa.UniqueConstraint("public_id", name="uq_document_public_id"),
    )
    op.create_index("ix_document_instance_id", "document", ["instance_id"], unique=False)

    op.create_table(
        "history_event",
        sa.Column("id", ID, nullable=False),
        sa.Column("instance_id", ID, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("actor_id", ID, nullable=True),
        sa.Column("on_behalf_of_id", ID, nullable=True),
        sa.Column("task_id", ID, nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("note_digest", sa.String(length=64), nullable=True),
        sa.Column("note_salt", sa.String(length=32), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("request_id", sa.String(length=36), nullable=True),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["user.id"], name="fk_history_event_actor_id"),
        sa.ForeignKeyConstraint(["instance_id"], ["process_instance.id"], name="fk_history_event_instance_id"),
        sa.ForeignKeyConstraint(["on_behalf_of_id"], ["user.id"], name="fk_history_event_on_behalf_of_id"),
        sa.ForeignKeyConstraint(["task_id"], ["user_task.id"], name="fk_history_event_task_id"),
        sa.PrimaryKeyConstraint("id", name="pk_history_event"),
        sa.UniqueConstraint("instance_id", "sequence", name="uq_history_event_instance_id_sequence"),
    )


def downgrade() -> None:
    op.drop_table("history_event")
    op.drop_table("document")
    op.drop_table("delivery")
    op.drop_table("user_task")
    op.drop_table("case_meeting")
    op.drop_table("step")
    op.drop_table("job")
    op.drop_table("instance_participant")
    op.drop_table("incident")
    op.drop_table("agreement_case")
    op.drop_table("process_instance")
    op.drop_table("process_definition")
    op.drop_table("meeting")
    op.drop_table("party")
    op.drop_table("membership")
    op.drop_table("deployment")
    op.drop_table("body")
    op.drop_table("api_token")
    op.drop_table("user")
    op.drop_table("start_default")
    op.drop_table("register_change")
    op.drop_table("group")
    op.drop_table("agreement")
    op.drop_table("received_mail")
    op.drop_table("community")
    op.drop_table("clock_offset")
