"""One message in hand, and what became of it."""

from dataclasses import dataclass
from typing import Any

from contracts.ontvangst import Code
from services.chassis.gate import Turned
from services.chassis.messages import Due, Fact, Submission
from services.chassis.storage import Key, Pending


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Something on the fact exchange that is no fact of the catalogue. There is nobody to answer."""

    source: str
    id: str
    cause: str
    place: tuple[str, str, int] | None = None
    """Its (entity, subject, sequence), where that much can be read."""
    newer: bool = False
    """Its type is not known here: a newer version, on its way perhaps, may know it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message: accepted, refused, repeated, discarded; set aside: waiting, held, retry, parked.
    Of due work: accepted or postponed.

    `code` is why it was refused, `error` the kind of fault where it is ours.
    """

    name: str
    code: Code | None = None
    error: str | None = None


UNDECIDED, ACCEPTED, REPEATED = Outcome("undecided"), Outcome("accepted"), Outcome("repeated")
DISCARDED = Outcome("discarded")


@dataclass(slots=True, kw_only=True)
class Item:
    """One message in a batch. `pending` is its row where it was set aside before."""

    content: Submission[Any] | Fact[Any] | Turned | Broken | Due
    hash: bytes
    body: bytes
    pending: Pending | None = None
    outcome: Outcome = UNDECIDED

    @property
    def key(self) -> Key | None:
        """Its identity; None where a partner's message may not use one up, or nobody sent any."""
        if isinstance(self.content, Due):
            return None
        if isinstance(self.content, Turned):
            return (self.content.source, self.content.id) if self.content.known and self.content.source else None
        return (self.content.source, self.content.id)

    @property
    def partner(self) -> str | None:
        return None if isinstance(self.content, (Fact, Broken, Due)) else self.content.partner
