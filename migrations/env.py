"""Alembic's way into the database: the connection is given by `web.migrating`."""

from alembic import context

import agreements.model
import notifications.model
from engine.model import Base

__all__ = ["agreements", "notifications"]


def run() -> None:
    """Bring the schema to where the versions say, in one transaction."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


run()
