"""What intake measures besides: where trajecten stand."""

from typing import Final

from services.chassis.metrics import Instrument, Kind, Reading
from services.intake.traject import Status

TRAJECTEN: Final = Instrument(
    "praktijkbus.trajecten",
    Kind.GAUGE,
    "{traject}",
    ("praktijkbus.status",),
    "Trajecten by where they stand, from aangemeld to gesloten; 0 where none does.",
)

READINGS: Final = (
    Reading(
        (TRAJECTEN,),
        "SELECT stand, count(subject)"
        f" FROM unnest(CAST('{{{','.join(Status)}}}' AS text[])) AS stand"
        " LEFT JOIN traject ON body->>'status' = stand GROUP BY 1",
    ),
)
