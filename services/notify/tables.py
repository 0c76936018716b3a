"""Where notify keeps its aggregates."""

from sqlalchemy import MetaData

from services.chassis.aggregate import aggregate_table

metadata = MetaData()

trajectbeeld = aggregate_table(metadata, "trajectbeeld")
begunstigde = aggregate_table(metadata, "begunstigde")
termijnen = aggregate_table(metadata, "termijnen", "due")
overschrijding = aggregate_table(metadata, "overschrijding")
