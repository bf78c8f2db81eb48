"""Requests and responses of every API exchange."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from shared.columns import LeadId, UtcTime, exact_text

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_MYSQL: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
}


def upgrade() -> None:
    op.create_table(
        "api_request_logs",
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.Column("id", LeadId(), nullable=False),
        sa.Column("request_id", exact_text(64), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("endpoint", exact_text(255), nullable=False),
        sa.Column("query", sa.Text()),
        sa.Column("payload", sa.Text()),
        sa.Column("client_id", sa.BigInteger()),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("user_agent", exact_text(255)),
        sa.PrimaryKeyConstraint("received_at", "id", name="pk_api_request_logs"),
        **_MYSQL,
    )
    for name in ("method", "request_id", "client_id", "endpoint"):
        index = f"ix_api_request_logs_{name.removesuffix('_id')}"
        op.create_index(index, "api_request_logs", [name, "received_at", "id"])
    op.create_table(
        "api_response_logs",
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.Column("id", LeadId(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text()),
        sa.Column("duration_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("received_at", "id", name="pk_api_response_logs"),
        **_MYSQL,
    )
    op.create_index("ix_api_response_logs_status", "api_response_logs", ["status", "received_at", "id"])


def downgrade() -> None:
    op.drop_table("api_response_logs")
    op.drop_table("api_request_logs")
