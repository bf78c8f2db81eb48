"""A partner's leads by email and in the order of storing cost the same however many others have."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_leads_client_email", "leads", ["client_id", "email_key", "received_at", "id"])
    op.create_index("ix_leads_client_stored", "leads", ["client_id", "stored_at", "received_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_leads_client_stored", "leads")
    op.drop_index("ix_leads_client_email", "leads")
