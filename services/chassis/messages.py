"""What a handler is given and what it returns."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from contracts.catalogue import EventType
from contracts.fields import PartnerId, Rol
from contracts.model import Data
from contracts.ontvangst import Code, Waarop

D = TypeVar("D", bound=Data, covariant=True)

Parties = frozenset[tuple[Rol, PartnerId]]
"""Who belongs to a subject, and in which role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission(Generic[D]):
    """A partner's claim that something happened. Its identity, role and contract were checked."""

    type: EventType
    id: str
    source: str
    partner: PartnerId
    subject: str | None
    referentie: str | None
    namens: Rol | None
    time: datetime
    """When it happened, says the partner."""
    data: D
    traceparent: str | None = None
    tracestate: str | None = None
    begins_trace: bool = False
    """The partner began no trace: `traceparent` is that of the processing itself."""

    @property
    def about(self) -> str:
        """The subject of a submission whose type names one; the gate saw to it that it does."""
        if self.subject is None:
            raise ValueError(f"{self.type.name} opens a stream and has no subject")
        return self.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact(Generic[D]):
    """What the owner of a stream recorded: the `sequence`-th fact of `subject`."""

    type: EventType
    id: str
    source: str
    subject: str
    sequence: int
    time: datetime
    recorded: datetime
    correlationid: str
    causationid: str
    actor: PartnerId
    data: D
    dataref: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    referentie: str | None = None
    """The submitter's own name for what it registered. The owner's aggregate may keep it; it never travels."""
    private: str | None = None
    """What else the owner's aggregate may keep and never travels, see `Emit`."""
    heard: datetime | None = None
    """When this service took it up, by its calendar. Told to aggregates that fall due; it never travels."""


@dataclass(frozen=True, slots=True)
class Due:
    """The time of an aggregate has come: nobody sent anything."""

    kind: type
    key: str
    traceparent: str
    """Of the processing itself: it begins a trace."""
    tracestate: None = None


@dataclass(frozen=True, slots=True)
class Dossier:
    """The case a fact belongs to: the correlation that ties it together, and its parties.

    Who of the parties reads a fact is the catalogue's matter. A fact whose correlation differs from that
    of what caused it starts a trace of its own.
    """

    correlationid: str
    parties: Parties


@dataclass(frozen=True, slots=True)
class Emit:
    """A fact that follows. The chassis gives it its id, sequence, time and readers."""

    subject: str
    data: Data
    dossier: Dossier
    dataref: str | None = None
    private: str | None = None
    """For the aggregate that the fact moves here, and for nobody else: it never travels."""
    because: str | None = None
    """Of what follows from time alone: the id of the fact that set the time."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Something to do in the outside world once the transaction is committed, such as a mail.

    `key` is deterministic: the same effect is recorded once, and a second attempt after a crash can be
    recognised by it. `payload` is what the performer of `kind` needs; it names no person.
    """

    kind: str
    key: str
    payload: dict[str, str]


@dataclass(frozen=True, slots=True)
class Keep:
    """Something of a submission that the service must keep and that never travels, such as `persoon`."""

    key: str
    value: str | None = field(repr=False)
    """None: what was kept under `key` is destroyed."""


@dataclass(frozen=True, slots=True)
class On:
    """What a waiting submission waits for: a change of this aggregate."""

    kind: type
    key: str

    def __str__(self) -> str:
        return f"{self.kind.__name__}:{self.key}"


class Verdict(Exception):
    """Raised by a rule that does not accept. A handler that returns has accepted."""


class Refused(Verdict):
    """The claim is refused for good. `veld` is the path of the field that is wrong, such as `data.crebo`."""

    def __init__(self, code: Code, veld: str | None = None) -> None:
        super().__init__(code.value)
        self.code = code
        self.veld = veld


class TooEarly(Verdict):
    """Judge it again when that aggregate changes, until `days` calendar days have passed; then it is refused
    with `anders`.
    """

    def __init__(self, waarop: Waarop, on: On, *, days: int = 30, anders: Code = Code.TE_VROEG_VERLOPEN) -> None:
        super().__init__(waarop.value)
        self.waarop = waarop
        self.on = on
        self.days = days
        self.anders = anders


class AlreadyKnown(Verdict):
    """The same thing was registered before under another id (its `referentie` says so): answer that."""

    def __init__(self, subject: str, sequence: int = 1) -> None:
        super().__init__(subject)
        self.subject = subject
        self.sequence = sequence


def registered_as(partner: PartnerId, referentie: str | None) -> str | None:
    """A partner's own name for what it registers. A `referentie` is unique per partner only."""
    return f"{partner}/{referentie}" if referentie else None


Follows = Iterable[Emit | Effect | Keep]
