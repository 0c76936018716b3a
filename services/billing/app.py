"""Composition of billing."""

from services.chassis.app import main
from services.billing.handlers import service


def run() -> None:
    """The process: `python -m services.billing [migrate]`."""
    main(service, __file__)
