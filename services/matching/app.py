"""Composition of matching."""

from services.chassis.app import main
from services.matching.handlers import service


def run() -> None:
    """The process: `python -m services.matching [migrate]`."""
    main(service, __file__)
