"""Where billing keeps its aggregates."""

from sqlalchemy import MetaData

from services.chassis.aggregate import aggregate_table

metadata = MetaData()

trajectbeeld = aggregate_table(metadata, "trajectbeeld")
budget = aggregate_table(metadata, "budget")
opdracht = aggregate_table(metadata, "opdracht", unique=("registratie",))
factuur = aggregate_table(metadata, "factuur")
nummering = aggregate_table(metadata, "nummering")
betaling = aggregate_table(metadata, "betaling")
tegoed = aggregate_table(metadata, "tegoed")
