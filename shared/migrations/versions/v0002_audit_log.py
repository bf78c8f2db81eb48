"""Who changed which user or key; users are found by name however it is written."""

import sqlalchemy as sa
from alembic import op

from shared.columns import BigId, SortKey, UtcTime, exact_text, sort_key

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", BigId, nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("actor_id", sa.BigInteger()),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("target", sa.String(length=32), nullable=False),
        sa.Column("target_id", sa.String(length=64), nullable=False),
        sa.Column("before", sa.JSON()),
        sa.Column("after", sa.JSON()),
        sa.Column("address", sa.String(length=64)),
        sa.Column("request_id", exact_text(64)),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index("ix_audit_log_target_target_id_id", "audit_log", ["target", "target_id", "id"])
    op.create_index("ix_audit_log_at", "audit_log", ["at"])
    op.add_column("app_users", sa.Column("full_name_key", SortKey()))
    users = sa.table(
        "app_users", sa.column("id"), sa.column("full_name"), sa.column("full_name_key", SortKey())
    )
    named = sa.select(users.c.id, users.c.full_name).where(users.c.full_name.is_not(None))
    for user in op.get_bind().execute(named).all():
        op.execute(users.update().where(users.c.id == user.id).values(full_name_key=sort_key(user.full_name)))


def downgrade() -> None:
    op.drop_column("app_users", "full_name_key")
    op.drop_table("audit_log")
