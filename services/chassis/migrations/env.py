"""Runs the migrations of one folder on the connection that `database.migrate` hands over."""

from alembic import context

options = context.config.attributes
context.configure(
    connection=options["connection"],
    version_table=options["version_table"],
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
