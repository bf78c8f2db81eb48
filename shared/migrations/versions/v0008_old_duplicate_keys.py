"""Keys of duplicates that are older than the window, which go, are found without reading the rest."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_duplicate_keys_received_at", "duplicate_keys", ["received_at"])


def downgrade() -> None:
    op.drop_index("ix_duplicate_keys_received_at", "duplicate_keys")
