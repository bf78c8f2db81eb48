"""Leads of a rare status, and tests among others, are found in every order without reading the rest."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KIND, PLACE = ["status", "test"], ["received_at", "id"]
BEFORE = {
    "ix_leads_client": ["client_id", *PLACE],
    "ix_leads_email": ["email_key", *PLACE],
    "ix_leads_stored": ["stored_at", *PLACE],
    "ix_leads_client_email": ["client_id", "email_key", *PLACE],
    "ix_leads_client_stored": ["client_id", "stored_at", *PLACE],
}
AFTER = {
    "ix_leads_kind": [*KIND, *PLACE],
    "ix_leads_kind_stored": [*KIND, "stored_at", *PLACE],
    "ix_leads_kind_email": [*KIND, "email_key", *PLACE],
    "ix_leads_client_kind": ["client_id", *KIND, *PLACE],
    "ix_leads_client_kind_stored": ["client_id", *KIND, "stored_at", *PLACE],
    "ix_leads_client_kind_email": ["client_id", *KIND, "email_key", *PLACE],
}


def upgrade() -> None:
    _replace(BEFORE, AFTER)


def downgrade() -> None:
    _replace(AFTER, BEFORE)


def _replace(old: dict[str, list[str]], new: dict[str, list[str]]) -> None:
    for name, columns in new.items():
        op.create_index(name, "leads", columns)
    for name in old:
        op.drop_index(name, "leads")
