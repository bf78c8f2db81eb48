"""The first tables."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from shared.columns import BigId, Bytes, LeadId, LongBytes, LongText, SortKey, UtcTime, exact_text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "app_user_api_keys",
    "quarantined_leads",
    "leads",
    "lead_producers",
    "lead_counts",
    "lead_batches",
    "identity_version",
    "idempotency_keys",
    "erasures",
    "duplicate_keys",
    "app_users",
)
PARTITION_MONTHS = 12
_MYSQL: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
}


def upgrade() -> None:
    op.create_table(
        "app_users",
        sa.Column("id", BigId, nullable=False),
        sa.Column("email", exact_text(255), nullable=False),
        sa.Column("email_key", SortKey()),
        sa.Column("password_hash", sa.String(length=255)),
        sa.Column("full_name", exact_text(255)),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("source_url", sa.Text()),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("rate_limit_per_minute", sa.Integer()),
        sa.Column("token_version", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.Column("deleted_at", UtcTime()),
        sa.PrimaryKeyConstraint("id", name="pk_app_users"),
        sa.UniqueConstraint("email_key", name="uq_app_users_email_key"),
        **_MYSQL,
    )
    op.create_table(
        "duplicate_keys",
        sa.Column("client_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("email_hash", Bytes(length=32), nullable=False),
        sa.Column("lead_id", LeadId(), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "email_hash", name="pk_duplicate_keys"),
        **_MYSQL,
    )
    op.create_index("ix_duplicate_keys_lead_id", "duplicate_keys", ["lead_id"])
    op.create_table(
        "erasures",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("subject_hash", Bytes(length=32), nullable=False),
        sa.Column("erased_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject_hash", name="pk_erasures"),
        **_MYSQL,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("client_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key_hash", Bytes(length=32), nullable=False),
        sa.Column("lead_id", LeadId(), nullable=False),
        sa.Column("content_hash", Bytes(length=32), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "key_hash", name="pk_idempotency_keys"),
        **_MYSQL,
    )
    op.create_index("ix_idempotency_keys_lead_id", "idempotency_keys", ["lead_id"])
    op.create_table(
        "identity_version",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_identity_version"),
        **_MYSQL,
    )
    op.create_table(
        "lead_batches",
        sa.Column("producer_id", LeadId(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("void", sa.Boolean(), nullable=False),
        sa.Column("leads", sa.Integer(), nullable=False),
        sa.Column("stored", sa.Integer(), nullable=False),
        sa.Column("duplicate", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("erased", sa.Integer(), nullable=False),
        sa.Column("first_received_at", UtcTime()),
        sa.Column("stored_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("producer_id", "sequence", name="pk_lead_batches"),
        **_MYSQL,
    )
    op.create_index("ix_lead_batches_stored_at", "lead_batches", ["stored_at"])
    op.create_table(
        "lead_counts",
        sa.Column("client_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("grain", sa.String(length=6), nullable=False),
        sa.Column("bucket", UtcTime(), nullable=False),
        sa.Column("leads", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "test", "status", "grain", "bucket", name="pk_lead_counts"),
        **_MYSQL,
    )
    op.create_index("ix_lead_counts_grain_bucket", "lead_counts", ["grain", "bucket"])
    op.create_table(
        "lead_producers",
        sa.Column("producer_id", LeadId(), nullable=False),
        sa.Column("settled_through", sa.BigInteger(), nullable=False),
        sa.Column("settled_leads", sa.BigInteger(), nullable=False),
        sa.Column("first_seen_at", UtcTime(), nullable=False),
        sa.Column("last_seen_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("producer_id", name="pk_lead_producers"),
        **_MYSQL,
    )
    op.create_table(
        "leads",
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.Column("id", LeadId(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("duplicate_of", LeadId()),
        sa.Column("replay_of", LeadId()),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("first_name", exact_text(255)),
        sa.Column("last_name", exact_text(255)),
        sa.Column("email", exact_text(255), nullable=False),
        sa.Column("phone", exact_text(50)),
        sa.Column("date_of_birth", sa.Date()),
        sa.Column("city", exact_text(255)),
        sa.Column("zip_code", exact_text(20)),
        sa.Column("province_code", exact_text(2)),
        sa.Column("country_code", exact_text(2)),
        sa.Column("verticals", LongText),
        sa.Column("client_reference", exact_text(100)),
        sa.Column("additional_data", LongText),
        sa.Column("request_id", exact_text(64), nullable=False),
        sa.Column("stored_at", UtcTime(), nullable=False),
        sa.Column("producer_id", LeadId(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("first_name_key", SortKey(), nullable=False),
        sa.Column("last_name_key", SortKey(), nullable=False),
        sa.Column("email_key", SortKey(), nullable=False),
        sa.PrimaryKeyConstraint("received_at", "id", name="pk_leads"),
        **_MYSQL,
    )
    op.create_index("ix_leads_client", "leads", ["client_id", "received_at", "id"])
    op.create_index("ix_leads_email", "leads", ["email_key", "received_at", "id"])
    op.create_index("ix_leads_id", "leads", ["id", "received_at"])
    op.create_index("ix_leads_phone", "leads", ["phone", "received_at", "id"])
    op.create_index("ix_leads_stored", "leads", ["stored_at", "received_at", "id"])
    op.create_table(
        "quarantined_leads",
        sa.Column("id", LeadId(), nullable=False),
        sa.Column("lead_id", LeadId()),
        sa.Column("client_id", sa.BigInteger()),
        sa.Column("email_hash", Bytes(length=32)),
        sa.Column("received_at", UtcTime()),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("payload", LongBytes, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("resolution", sa.String(length=16)),
        sa.Column("resolved_at", UtcTime()),
        sa.Column("replayed_as", LeadId()),
        sa.PrimaryKeyConstraint("id", name="pk_quarantined_leads"),
        **_MYSQL,
    )
    op.create_index(
        "ix_quarantined_leads_client_id_created_at_id", "quarantined_leads", ["client_id", "created_at", "id"]
    )
    op.create_index("ix_quarantined_leads_created_at_id", "quarantined_leads", ["created_at", "id"])
    op.create_index("ix_quarantined_leads_email_hash", "quarantined_leads", ["email_hash"])
    op.create_index("ix_quarantined_leads_lead_id", "quarantined_leads", ["lead_id"])
    op.create_table(
        "app_user_api_keys",
        sa.Column("id", BigId, nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("key_hash", Bytes(length=32), nullable=False),
        sa.Column("expires_at", UtcTime()),
        sa.Column("disabled_at", UtcTime()),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["app_users.id"], name="fk_app_user_api_keys_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_app_user_api_keys"),
        sa.UniqueConstraint("key_hash", name="uq_app_user_api_keys_key_hash"),
        **_MYSQL,
    )
    op.create_index("ix_app_user_api_keys_user_id", "app_user_api_keys", ["user_id"])
    op.bulk_insert(
        sa.table("identity_version", sa.column("id"), sa.column("version")), [{"id": 1, "version": 0}]
    )
    if op.get_bind().dialect.name == "mysql":
        op.execute(_partition_leads(datetime.datetime.now(datetime.UTC).date()))


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)


def _partition_leads(today: datetime.date) -> str:
    """A partition for each month from this one on, the first with all before it, and one for whatever
    lies beyond: without that, a lead outside of all partitions is an error."""
    partitions = []
    for number in range(PARTITION_MONTHS):
        month, after = _month(today, number), _month(today, number + 1)
        partitions.append(f"PARTITION p{month:%Y%m} VALUES LESS THAN ('{after:%Y-%m-%d} 00:00:00')")
    partitions.append("PARTITION beyond VALUES LESS THAN (MAXVALUE)")
    return f"ALTER TABLE leads PARTITION BY RANGE COLUMNS (received_at) ({', '.join(partitions)})"


def _month(day: datetime.date, later: int) -> datetime.date:
    months = day.year * 12 + day.month - 1 + later
    return datetime.date(months // 12, months % 12 + 1, 1)
