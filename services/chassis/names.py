"""What things on the broker are called: the one place that provisioning and services agree on."""

from typing import Final

from contracts.catalogue import CATALOGUE, Owner
from contracts.fields import PartnerId

FACTS: Final = "feiten"
"""The exchange for facts and receipts."""
UNDELIVERABLE: Final = "onbestelbaar"
"""Exchange and queue for what nobody was bound to."""
DEAD: Final = "dood"
"""Exchange and queue for what a queue gave up on."""


def partner_exchange(partner: PartnerId) -> str:
    """Where a partner publishes; only it may write there."""
    return f"van.{partner}"


def partner_queue(partner: PartnerId) -> str:
    """Where a partner reads; only it may read there."""
    return f"aan.{partner}"


def ingress_queue(owner: Owner, partner: PartnerId) -> str:
    """What one partner submits to one owner."""
    return f"{owner.value}.van.{partner}"


def facts_queue(service: str) -> str:
    """The facts that one service listens to."""
    return f"{service}.feiten"


def takes_submissions(owner: Owner) -> bool:
    """Whether partners submit anything to this service."""
    return any(item.owner is owner and item.submission for item in CATALOGUE.values())
