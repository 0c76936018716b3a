"""Composition of billing."""

from services.billing.handlers import service
from services.chassis.app import main


def run() -> None:
    """The process: `python -m services.billing [migrate]`."""
    main(service, __file__)
