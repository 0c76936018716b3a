"""Where matching keeps its aggregates."""

from sqlalchemy import MetaData

from services.chassis.aggregate import aggregate_table

metadata = MetaData()

trajectbeeld = aggregate_table(metadata, "trajectbeeld")
match = aggregate_table(metadata, "match", "voorgesteld_voor", "actief_op", unique=("registratie",))
erkenning = aggregate_table(metadata, "erkenning", unique=("plaats",))
