"""Composition of intake."""

from services.chassis.app import main
from services.intake.handlers import service


def run() -> None:
    """The process: `python -m services.intake [migrate]`."""
    main(service, __file__)
