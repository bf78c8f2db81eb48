"""The tables. Seed names for `leads`, `app_users`, `app_user_api_keys`, `api_request_logs`,
`api_response_logs`; the rest are ours.

Monthly partitions of `leads` on MySQL are the migrations' work: nothing here depends on them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from shared.columns import BigId, Bytes, LeadId, LongBytes, LongText, SortKey, UtcTime, exact_text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_mysql: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}

# The listing by `stored_at` ends so long before now, and a transaction that has taken longer since it stamped
# its leads is rolled back: whoever polls the listing never misses one that was stored late.
FEED_DELAY_SECONDS = 5

# `lead_counts` has minutes for so long; hours, days and the sum of all time stay.
MINUTES_KEPT = timedelta(hours=48)

leads = Table(
    "leads",
    metadata,
    Column("received_at", UtcTime, primary_key=True),
    Column("id", LeadId, primary_key=True),
    Column("client_id", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),  # stored, duplicate
    Column("duplicate_of", LeadId),
    Column("replay_of", LeadId),
    Column("test", Boolean, nullable=False),
    Column("first_name", exact_text(255)),
    Column("last_name", exact_text(255)),
    Column("email", exact_text(255), nullable=False),
    Column("phone", exact_text(50)),
    Column("date_of_birth", Date),
    Column("city", exact_text(255)),
    Column("zip_code", exact_text(20)),
    Column("province_code", exact_text(2)),
    Column("country_code", exact_text(2)),
    Column("verticals", LongText),
    Column("client_reference", exact_text(100)),
    Column("additional_data", LongText),
    Column("request_id", exact_text(64), nullable=False),
    Column("stored_at", UtcTime, nullable=False),
    Column("producer_id", LeadId, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("first_name_key", SortKey, nullable=False),
    Column("last_name_key", SortKey, nullable=False),
    Column("email_key", SortKey, nullable=False),
    # Every one ends in the primary key, so that a page in either direction is a read of one range. Those that
    # begin with the kind of a lead are read once for each kind: leads of a rare one are side by side.
    Index("ix_leads_id", "id", "received_at"),
    Index("ix_leads_phone", "phone", "received_at", "id"),
    Index("ix_leads_kind", "status", "test", "received_at", "id"),
    Index("ix_leads_kind_stored", "status", "test", "stored_at", "received_at", "id"),
    Index("ix_leads_kind_email", "status", "test", "email_key", "received_at", "id"),
    Index("ix_leads_client_kind", "client_id", "status", "test", "received_at", "id"),
    Index("ix_leads_client_kind_stored", "client_id", "status", "test", "stored_at", "received_at", "id"),
    Index("ix_leads_client_kind_email", "client_id", "status", "test", "email_key", "received_at", "id"),
    **_mysql,
)

lead_batches = Table(
    "lead_batches",
    metadata,
    # A row is the receipt of numbers `sequence` to `last_sequence` of a producer: one when it is written,
    # many once old receipts have been compacted into ranges.
    Column("producer_id", LeadId, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("void", Boolean, nullable=False),  # given up with 503 before it arrived
    Column("leads", Integer, nullable=False),
    Column("stored", Integer, nullable=False),
    Column("duplicate", Integer, nullable=False),
    Column("quarantined", Integer, nullable=False),
    Column("erased", Integer, nullable=False),
    # Sent again under their idempotency key: no leads of their own.
    Column("repeated", Integer, nullable=False, server_default="0"),
    Column("first_received_at", UtcTime),
    Column("stored_at", UtcTime, nullable=False),
    Index(None, "stored_at"),
    **_mysql,
)

lead_producers = Table(
    "lead_producers",
    metadata,
    Column("producer_id", LeadId, primary_key=True),
    # Every number up to here was confirmed, spooled or given up, with this many leads in those not given up.
    Column("settled_through", BigInteger, nullable=False),
    Column("settled_leads", BigInteger, nullable=False),
    Column("first_seen_at", UtcTime, nullable=False),
    Column("last_seen_at", UtcTime, nullable=False),
    **_mysql,
)

lead_counts = Table(
    "lead_counts",
    metadata,
    Column("client_id", BigInteger, primary_key=True, autoincrement=False),
    Column("test", Boolean, primary_key=True),
    Column("status", String(16), primary_key=True),
    Column("grain", String(6), primary_key=True),  # all, day, hour, minute
    Column("bucket", UtcTime, primary_key=True),
    Column("leads", BigInteger, nullable=False),
    Index(None, "grain", "bucket"),
    **_mysql,
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("client_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key_hash", Bytes(32), primary_key=True),
    Column("lead_id", LeadId, nullable=False),
    Column("content_hash", Bytes(32), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    # Of all that was accepted under the key, what holds it; derived from where it stood, so that it is
    # known when it comes again.
    Column("place_id", LeadId, nullable=False),
    Index(None, "lead_id"),
    **_mysql,
)

duplicate_keys = Table(
    "duplicate_keys",
    metadata,
    Column("client_id", BigInteger, primary_key=True, autoincrement=False),
    Column("email_hash", Bytes(32), primary_key=True),
    Column("lead_id", LeadId, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Index(None, "lead_id"),
    Index(None, "received_at"),
    **_mysql,
)

erasures = Table(
    "erasures",
    metadata,
    # kind `email`: keyed hash of a normalised email; kind `lead`: hash of one lead's id.
    Column("kind", String(8), primary_key=True),
    Column("subject_hash", Bytes(32), primary_key=True),
    Column("erased_at", UtcTime, nullable=False),
    Index(None, "erased_at"),
    **_mysql,
)

quarantined_leads = Table(
    "quarantined_leads",
    metadata,
    # Derived from where the lead stood or what the message said: what comes twice is parked once.
    Column("id", LeadId, primary_key=True),
    Column("lead_id", LeadId),
    Column("client_id", BigInteger),
    Column("email_hash", Bytes(32)),
    Column("received_at", UtcTime),
    Column("reason", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("payload", LongBytes, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("resolution", String(16)),  # replayed, discarded
    Column("resolved_at", UtcTime),
    Column("replayed_as", LeadId),
    Index(None, "lead_id"),
    Index(None, "created_at", "id"),
    Index(None, "client_id", "created_at", "id"),
    Index(None, "email_hash"),
    **_mysql,
)

app_users = Table(
    "app_users",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("email", exact_text(255), nullable=False),
    # Null once the user is deleted: the address may be used anew.
    Column("email_key", SortKey, unique=True),
    Column("password_hash", String(255)),
    Column("full_name", exact_text(255)),
    Column("full_name_key", SortKey),
    Column("roles", JSON, nullable=False),
    Column("description", Text),
    Column("source_url", Text),
    Column("is_active", Boolean, nullable=False),
    Column("rate_limit_per_minute", Integer),
    Column("token_version", Integer, nullable=False),  # a JWT with a lower `ver` is revoked
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("deleted_at", UtcTime),
    **_mysql,
)

app_user_api_keys = Table(
    "app_user_api_keys",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("user_id", BigId, ForeignKey("app_users.id"), nullable=False, index=True),
    Column("key_hash", Bytes(32), nullable=False, unique=True),
    Column("expires_at", UtcTime),
    Column("disabled_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    **_mysql,
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("actor_id", BigInteger),  # null: a command on the server
    Column("action", String(32), nullable=False),
    Column("target", String(32), nullable=False),  # user, api_key, quarantined_lead, lead, person
    Column("target_id", String(64), nullable=False),
    Column("before", JSON),
    Column("after", JSON),
    Column("address", String(64)),
    Column("request_id", exact_text(64)),
    Index(None, "target", "target_id", "id"),
    Index(None, "at"),
    **_mysql,
)

identity_version = Table(
    "identity_version",
    metadata,
    # One row; every transaction that changes users or keys adds one to it.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    **_mysql,
)

api_request_logs = Table(
    "api_request_logs",
    metadata,
    # The id is the exchange's own, because clients use request ids again. In order of time, so that old
    # exchanges go from one end.
    Column("received_at", UtcTime, primary_key=True),
    Column("id", LeadId, primary_key=True),
    Column("request_id", exact_text(64), nullable=False),
    Column("method", String(16), nullable=False),
    Column("endpoint", exact_text(255), nullable=False),
    Column("query", Text),
    Column("payload", Text),  # null: no body, or the service has not read it
    Column("client_id", BigInteger),
    Column("address", String(64), nullable=False),
    Column("user_agent", exact_text(255)),
    Index("ix_api_request_logs_method", "method", "received_at", "id"),
    Index("ix_api_request_logs_request", "request_id", "received_at", "id"),
    Index("ix_api_request_logs_client", "client_id", "received_at", "id"),
    Index("ix_api_request_logs_endpoint", "endpoint", "received_at", "id"),
    **_mysql,
)

api_response_logs = Table(
    "api_response_logs",
    metadata,
    # Of the exchange with the same key in `api_request_logs`.
    Column("received_at", UtcTime, primary_key=True),
    Column("id", LeadId, primary_key=True),
    Column("status", Integer, nullable=False),
    Column("body", Text),
    Column("duration_us", BigInteger, nullable=False),
    Index("ix_api_response_logs_status", "status", "received_at", "id"),
    **_mysql,
)
