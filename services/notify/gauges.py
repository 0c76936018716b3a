"""What notify measures besides: the terms that have passed without an answer."""

from typing import Final

from contracts.termijn import Niveau
from services.chassis.metrics import Instrument, Kind, Reading

DEADLINES_OVERDUE: Final = Instrument(
    "praktijkbus.deadlines.overdue",
    Kind.GAUGE,
    "{deadline}",
    ("praktijkbus.step", "praktijkbus.partner"),
    "Terms that have passed and were told as overdue, by what is waited for and whom it was assigned to.",
)

READINGS: Final = (
    Reading(
        (DEADLINES_OVERDUE,),
        "SELECT lopend->'vraag'->>'stap', lopend->'vraag'->>'partner', count(*)"
        " FROM termijnen, jsonb_array_elements(body->'lopend') AS lopend"
        f" WHERE lopend->>'gemeld' <> '{Niveau.HINT}' GROUP BY 1, 2",
    ),
)
