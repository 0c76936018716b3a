"""What billing measures besides: the budget of each source of money."""

from typing import Final

from services.chassis.metrics import Instrument, Kind, Reading

BUDGET_TOTAL: Final = Instrument(
    "praktijkbus.budget.total", Kind.GAUGE, "{cent}", ("praktijkbus.source",), "What was set for a source (bron)."
)
BUDGET_LEFT: Final = Instrument(
    "praktijkbus.budget.left",
    Kind.GAUGE,
    "{cent}",
    BUDGET_TOTAL.attributes,
    "What of it is neither reserved nor spent.",
)

READINGS: Final = (
    Reading(
        (BUDGET_TOTAL, BUDGET_LEFT),
        "SELECT subject, (body->>'vastgesteld_cent')::bigint, (body->>'vastgesteld_cent')::bigint"
        " - (body->>'gereserveerd_cent')::bigint - (body->>'besteed_cent')::bigint FROM budget",
    ),
)
