"""What Alembic runs for every command; `shared.migrations.upgrade` gives it the connection."""

from alembic import context

from shared.models import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
