"""All four services at their desks, with what lies between them under the test's control.

Facts wait in a queue per consumer and stream until the test delivers them: streams overtake one another, the
facts of one stream do not, as the chassis guarantees. Submissions that are too early are set aside and judged
again when what they wait for changes, as the chassis does. What the chassis itself does to keep that promise is
tested against the real broker and database.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from importlib import import_module
from typing import Any

from contracts.catalogue import CATALOGUE, Owner
from contracts.fields import PartnerId, Rol, number_from
from contracts.model import Data
from contracts.ontvangst import Code, Waarop
from services.chassis.messages import AlreadyKnown, Fact, Refused, Submission, TooEarly
from services.chassis.service import Service
from services.chassis.work import UnitOfWork
from tests.desk import NOW, Desk

SERVICES: dict[Owner, Service] = {owner: import_module(f"services.{owner}.handlers").service for owner in Owner}
HEARS = {owner: frozenset(service.entities_heard()) for owner, service in SERVICES.items()}
Stream = tuple[Owner, str, str]
"""Who listens, to which entity, of which subject."""


class Uitkomst(StrEnum):
    AANVAARD = "aanvaard"
    AFGEWEZEN = "afgewezen"
    WACHT = "wacht"


@dataclass(slots=True, eq=False)
class Ontvangst:
    """What became of a submission; `facts` are all that it set in motion at its owner."""

    submission: Submission[Data]
    uitkomst: Uitkomst
    facts: list[Fact[Data]] = field(default_factory=list)
    code: Code | None = None
    waarop: Waarop | None = None
    on: str = ""
    until: datetime | None = None

    @property
    def subject(self) -> str:
        return self.facts[0].subject if self.facts else ""


class Numbered(UnitOfWork):
    """Draws numbers in order: whoever plays the same again meets the same numbers in the same order."""

    def draw(self, prefix: str) -> str:
        self.drawn = getattr(self, "drawn", 0) + 1
        return number_from(prefix, f"{self.drawn:09d}")


class World:
    def __init__(self, now: datetime = NOW) -> None:
        self.now = now
        self.desks = {owner: Desk(service, now=now, work=Numbered) for owner, service in SERVICES.items()}
        self.facts: list[Fact[Data]] = []
        """Every fact, in the order of recording."""
        self.taken: dict[Owner, list[Fact[Data]]] = {owner: [] for owner in Owner}
        """By service: what it recorded and heard, in that order."""
        self.queues: dict[Stream, deque[Fact[Data]]] = {}
        self.stalled: set[Stream] = set()
        """Streams whose facts are late: everything else arrives before them."""
        self.receipts: list[Ontvangst] = []
        self.waiting: list[Ontvangst] = []

    def submit(
        self,
        fact: type[Data],
        data: Data | None = None,
        *,
        partner: PartnerId,
        subject: str | None = None,
        namens: Rol | None = None,
        referentie: str | None = None,
    ) -> Ontvangst:
        owner = CATALOGUE.of(fact).owner
        assert owner is not None
        sent = self.desks[owner].submission(
            fact, data, partner=partner, subject=subject, namens=namens, referentie=referentie
        )
        receipt = Ontvangst(sent, Uitkomst.WACHT)
        self.receipts.append(receipt)
        self._judge(owner, receipt)
        return receipt

    def state(self, owner: Owner, kind: type[Any], key: str) -> Any:
        return self.desks[owner].work.get(kind, key)

    # Delivery

    def under_way(self) -> list[Stream]:
        return sorted(stream for stream, queue in self.queues.items() if queue and stream not in self.stalled)

    def deliver(self, stream: Stream) -> bool:
        """The next fact of that stream; whether it could be taken in. If not, it holds the later ones back."""
        queue, owner = self.queues[stream], stream[0]
        try:
            follows = self.desks[owner].take_in(queue[0])
        except LookupError:
            return False
        heard = queue.popleft()
        self._took(owner, [*([heard] if heard.type.owner is not owner else []), *follows])
        self._publish(owner, follows)
        self._wake(owner)
        return True

    def deliver_all(self) -> list[Fact[Data]]:
        """Until nothing is under way but what is stalled, or waits for that; what followed."""
        before = len(self.facts)
        while streams := self.under_way():
            taken = [self.deliver(stream) for stream in streams]
            if not any(taken):
                assert self.stalled, f"stuck: {streams}"
                break
        return self.facts[before:]

    def pass_days(self, days: int) -> None:
        """Whoever waited long enough is judged for the last time."""
        self.now += timedelta(days=days)
        for desk in self.desks.values():
            desk.calendar.set(self.now)
        for receipt in [r for r in self.waiting if r.until is not None and r.until <= self.now]:
            if receipt in self.waiting:
                owner = receipt.submission.type.owner
                assert owner is not None
                self._judge(owner, receipt)

    # Inside

    def _judge(self, owner: Owner, receipt: Ontvangst) -> None:
        if receipt in self.waiting:
            self.waiting.remove(receipt)
        try:
            facts = self.desks[owner].take_in(receipt.submission)
        except Refused as refused:
            receipt.uitkomst, receipt.code = Uitkomst.AFGEWEZEN, refused.code
        except AlreadyKnown:
            receipt.uitkomst = Uitkomst.AANVAARD
        except TooEarly as early:
            self._wait(receipt, early)
        else:
            receipt.uitkomst, receipt.facts = Uitkomst.AANVAARD, facts
            self._took(owner, facts)
            self._publish(owner, facts)
            self._wake(owner)

    def _wait(self, receipt: Ontvangst, early: TooEarly) -> None:
        if receipt.until is not None and receipt.until <= self.now:
            receipt.uitkomst, receipt.code = Uitkomst.AFGEWEZEN, early.anders
            return
        receipt.waarop, receipt.on = early.waarop, str(early.on)
        receipt.until = receipt.until or self.now + timedelta(days=early.days)
        self.waiting.append(receipt)

    def _wake(self, owner: Owner) -> None:
        changed = {f"{kind.__name__}:{key}" for kind, key in self.desks[owner].work.take_touched()}
        for receipt in list(self.waiting):
            if receipt.submission.type.owner is owner and receipt.on in changed and receipt in self.waiting:
                self._judge(owner, receipt)

    def _took(self, owner: Owner, facts: list[Fact[Data]]) -> None:
        self.taken[owner] += facts

    def _publish(self, owner: Owner, facts: list[Fact[Data]]) -> None:
        self.facts += facts
        for fact in facts:
            for consumer in Owner:
                own = consumer is owner and fact.type not in SERVICES[owner].on_fact
                if fact.type.entity in HEARS[consumer] and not own:
                    stream = (consumer, fact.type.entity, fact.subject)
                    self.queues.setdefault(stream, deque()).append(fact)
