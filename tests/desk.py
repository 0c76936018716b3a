"""A desk at which one service judges messages in memory, by the same path as in production.

For tests of rules. Delivery, storage and locking are tested against the real broker and database.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from contracts.catalogue import CATALOGUE, service_source
from contracts.fields import PartnerId, Rol
from contracts.kwalificaties import Kwalificatietabel
from contracts.model import Data, Leeg
from contracts.partners import Registry
from services.chassis.aggregate import Aggregate
from services.chassis.calendar import FixedCalendar, WorkingDays
from services.chassis.gate import decide
from services.chassis.messages import Due, Effect, Fact, Keep, Submission
from services.chassis.service import Service
from services.chassis.telemetry import child_of, new_uuid
from services.chassis.work import UnitOfWork

T = TypeVar("T")

DEPLOY = Path(__file__).parent.parent / "deploy"
REGISTRY = Registry.load(DEPLOY / "partners.toml")
KWALIFICATIES = Kwalificatietabel.load(DEPLOY / "kwalificaties.toml")
NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)


class Desk:
    """`submit` gives the facts that follow or raises the verdict; `hear` takes in a foreign fact; `fall_due`
    gives what follows from time alone.
    """

    def __init__(
        self,
        service: Service,
        *,
        registry: Registry = REGISTRY,
        now: datetime = NOW,
        working_days: WorkingDays | None = None,
        work: type[UnitOfWork] = UnitOfWork,
    ) -> None:
        self.service = service
        self.calendar = FixedCalendar(now, working_days)
        self.work = work(
            service.owner,
            service.stores,
            registry,
            KWALIFICATIES,
            self.calendar,
            public_url="https://intake.example/personen",
            complete=True,
        )
        self.readers: dict[str, frozenset[PartnerId]] = {}
        """By fact id: which partners the fact was addressed to."""
        self.effects: list[Effect] = []
        self.keeps: list[Keep] = []
        self._sequences: dict[tuple[str, str], int] = {}

    def submit(
        self,
        fact: type[Data],
        data: Data | None = None,
        *,
        partner: PartnerId,
        subject: str | None = None,
        namens: Rol | None = None,
        referentie: str | None = None,
    ) -> list[Fact[Data]]:
        """What follows when `partner` submits the event type of `fact`.

        Raises:
            Verdict: Refused, TooEarly or AlreadyKnown.
        """
        return self.take_in(
            self.submission(fact, data, partner=partner, subject=subject, namens=namens, referentie=referentie)
        )

    def submission(
        self,
        fact: type[Data],
        data: Data | None = None,
        *,
        partner: PartnerId,
        subject: str | None = None,
        namens: Rol | None = None,
        referentie: str | None = None,
    ) -> Submission[Data]:
        """What `partner` sends; `take_in` may come later, and more than once."""
        event_type = CATALOGUE.of(fact)
        assert event_type.submission is not None
        assert isinstance(data or Leeg(), event_type.submission)
        return Submission(
            type=event_type,
            id=new_uuid(),
            source=sorted(self.work.registry[partner].sources)[0],
            partner=partner,
            subject=subject,
            referentie=referentie,
            namens=namens,
            time=self.calendar.now(),
            data=data or Leeg(),
        )

    def hear(
        self,
        data: Data,
        *,
        subject: str,
        actor: PartnerId = "leerwerkloket",
        correlationid: str | None = None,
        dataref: str | None = None,
    ) -> list[Fact[Data]]:
        """What follows when a fact of another service arrives."""
        made = self.fact(data, subject=subject, actor=actor, correlationid=correlationid, dataref=dataref)
        return self.take_in(made)

    def fact(
        self,
        data: Data,
        *,
        subject: str,
        actor: PartnerId = "leerwerkloket",
        correlationid: str | None = None,
        dataref: str | None = None,
    ) -> Fact[Data]:
        """A fact of another service, made now; `take_in` may come later."""
        event_type = CATALOGUE.of(type(data))
        assert event_type.owner is not None
        stream = (event_type.entity, subject)
        self._sequences[stream] = self._sequences.get(stream, 0) + 1
        return Fact(
            type=event_type,
            id=new_uuid(),
            source=service_source(event_type.owner),
            subject=subject,
            sequence=self._sequences[stream],
            time=self.calendar.now(),
            recorded=self.calendar.now(),
            correlationid=correlationid or "0198c5d2-7c1e-7a33-9d5e-0c6b9a4f1e21",
            causationid=new_uuid(),
            actor=actor,
            data=data,
            dataref=dataref,
        )

    def fall_due(self) -> list[Fact[Data]]:
        """Everything that is due by the calendar, until nothing is."""
        facts: list[Fact[Data]] = []
        while due := [
            Due(kind, key, child_of(None))
            for kind, key in sorted(self.work.changed, key=lambda row: row[1])
            if (at_of := self.service.stores[kind].due)
            and (at := at_of(self.work.get(kind, key), self.calendar))
            and at <= self.calendar.now()
        ]:
            for work in due:
                facts += self.take_in(work)
        return facts

    def look_again(self, kind: type[Aggregate], key: str) -> list[Fact[Data]]:
        """What another instance finds to do about an aggregate that it thinks is due."""
        return self.take_in(Due(kind, key, child_of(None)))

    def state(self, kind: type[T], key: str) -> T:
        found = self.work.get(kind, key)
        assert found is not None, f"no {kind.__name__} {key}"
        return found

    def take_in(self, event: Submission[Data] | Fact[Data] | Due) -> list[Fact[Data]]:
        """What follows from a message.

        Raises:
            Verdict: a submission is not accepted.
        """
        try:
            facts = decide(self.service, event, self.work, self.calendar.now())
        except Exception:
            self.work.discard()
            raise
        staged = self.work.settle()
        self.readers |= {fact.id: readers for fact, readers in staged.facts}
        self.effects += staged.effects
        self.keeps += staged.keeps
        return facts
