"""What is sent again under its idempotency key is told from what holds the key, and counted."""

import sqlalchemy as sa
from alembic import op

from shared.columns import Bytes, LeadId, UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "lead_batches", sa.Column("repeated", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )
    _make_keys_anew(sa.Column("place_id", LeadId(), nullable=False))


def downgrade() -> None:
    _make_keys_anew()
    op.drop_column("lead_batches", "repeated")


def _make_keys_anew(*more: sa.Column[object]) -> None:
    """Before this version nothing was written to the table, and no version before reads it."""
    op.drop_table("idempotency_keys")
    op.create_table(
        "idempotency_keys",
        sa.Column("client_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key_hash", Bytes(length=32), nullable=False),
        sa.Column("lead_id", LeadId(), nullable=False),
        sa.Column("content_hash", Bytes(length=32), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        *more,
        sa.PrimaryKeyConstraint("client_id", "key_hash", name="pk_idempotency_keys"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index("ix_idempotency_keys_lead_id", "idempotency_keys", ["lead_id"])
