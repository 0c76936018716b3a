"""What there is to do: messages that come in, the state they meet, and the messages that must come of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from contracts import budget, match, opdracht, traject, verklaring
from contracts.catalogue import CATALOGUE, service_source
from contracts.fields import Rol, Sector, Werkstatus, draw_number
from contracts.model import Data
from contracts.partners import Registry
from deploy.local.client import submission
from services.billing.handlers import service as billing
from services.billing.opdracht import Opdracht
from services.billing.trajectbeeld import Trajectbeeld as Factuurbeeld
from services.chassis import wire
from services.chassis.messages import Fact
from services.chassis.names import facts_queue, ingress_queue
from services.chassis.service import Service
from services.chassis.telemetry import child_of, new_uuid
from services.chassis.work import Row
from services.matching.handlers import service as matching
from services.matching.trajectbeeld import Trajectbeeld as Matchbeeld
from tests.desk import Desk

PARTNERS: Final = Path(__file__).parent / "partners.toml"
_REGISTRY: Final = Registry.load(PARTNERS)
PARTNER: Final = _REGISTRY.partners[0].id
"""The one organisation: what it submits and what it reads is all there is."""

_PV: Final = "PV-7K3F9-QX2ME"
_AANGEMELD: Final = traject.Aangemeld(
    werkstatus=Werkstatus.WERKZOEKENDE, sectorwens=Sector.LOGISTIEK, toegangspartner=PARTNER
)
_TOEGEWEZEN: Final = [
    traject.BetrokkeneToegewezen(rol=rol, partner=PARTNER) for rol in (Rol.WSP, Rol.COACH, Rol.OPLEIDER)
]
_GESCHIKT: Final = traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT)
_VERKLARING: Final = verklaring.Afgegeven(
    trajectnummer=_PV,
    opleider=PARTNER,
    crebo="25254",
    dossierversie="2024",
    werkprocessen=("B1-K1-W1", "B1-K1-W2", "B1-K2-W1"),
    datum=datetime(2026, 11, 2, tzinfo=UTC).date(),
    documenthash="sha256:" + "5" * 64,
)
_VOORSTEL: Final = match.Voorgesteld(
    trajectnummer=_PV, kvk="51000002", vestigingsnummer="000051000003", crebo="25254"
)
_VERSTREKT: Final = opdracht.Verstrekt(trajectnummer=_PV, opleider=PARTNER, bedrag_cent=250_000, bron="POW")


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A message that must come of each message in: the same for all contenders, to the queue of `PARTNER`."""

    type: str
    routing_key: str
    body: str


@dataclass(frozen=True, kw_only=True)
class Load:
    """One kind of work. `incoming` has a message for each traject, `state` what the service knows of it."""

    service: Service
    queue: str
    """Where the service takes it from."""
    partner: str | None
    """Who submits it; None for a fact."""
    routing_key: str
    incoming: Sequence[tuple[str, bytes]]
    """Message id and body."""
    subjects: Sequence[str]
    """The traject that each is about."""
    state: Mapping[tuple[type, str], Row]
    outgoing: Sequence[Outgoing]


def fact_load(count: int) -> Load:
    """`verklaring.afgegeven` to billing: the traject's invoice follows, under the school's next number.

    Of all real reactions the one of which one fact always comes: others give none, or two. It is not the smallest:
    traject, opdracht and numbering are locked and changed, the invoice is new.
    """
    desk = Desk(billing, registry=_REGISTRY)
    desk.hear(_AANGEMELD, subject=_PV)
    for toegewezen in _TOEGEWEZEN:
        desk.hear(toegewezen, subject=_PV)
    desk.submit(budget.Vastgesteld, _budget(), partner=PARTNER, subject="POW")
    order = desk.submit(opdracht.Verstrekt, _VERSTREKT, partner=PARTNER)[0].subject
    beeld, given = desk.state(Factuurbeeld, _PV), desk.state(Opdracht, order)
    (invoice,) = desk.hear(_VERKLARING, subject=draw_number("VK"))
    incoming: list[tuple[str, bytes]] = []
    subjects: list[str] = []
    state: dict[tuple[type, str], Row] = {}
    for _ in range(count):
        pv, op = draw_number("PV"), draw_number("OP")
        case = new_uuid()
        betrokkenen = replace(beeld.betrokkenen, correlationid=case)
        state[Factuurbeeld, pv] = Row(replace(beeld, nummer=pv, opdracht=op, betrokkenen=betrokkenen), {}, False)
        state[Opdracht, op] = Row(replace(given, nummer=op, trajectnummer=pv), {"opdracht": 1}, False)
        fact = _fact("intake", _VERKLARING.model_copy(update={"trajectnummer": pv}), draw_number("VK"), case)
        incoming.append((fact.id, wire.encode(fact)))
        subjects.append(pv)
    return Load(
        service=billing,
        queue=facts_queue(billing.name),
        partner=None,
        routing_key=CATALOGUE.of(verklaring.Afgegeven).routing_key,
        incoming=incoming,
        subjects=subjects,
        state=state,
        outgoing=[_outgoing(invoice)],
    )


def submission_load(count: int) -> Load:
    """`match.voorgesteld` by the WSP, each for its own traject: the fact and the receipt follow."""
    desk = Desk(matching, registry=_REGISTRY)
    for data in (_AANGEMELD, *_TOEGEWEZEN, _GESCHIKT):
        desk.hear(data, subject=_PV)
    beeld = desk.state(Matchbeeld, _PV)
    (fact,) = desk.submit(match.Voorgesteld, _VOORSTEL, partner=PARTNER)
    receipt = wire.receipt(
        wire.accepted(fact.subject, fact.sequence),
        service=matching.name,
        submission_id=new_uuid(),
        sequence=1,
        now=datetime.now(UTC),
        correlationid=fact.correlationid,
        traceparent=child_of(None),
        deterministic=b"",
    )
    event_type = CATALOGUE.of(match.Voorgesteld)
    source = sorted(_REGISTRY[PARTNER].sources)[0]
    incoming: list[tuple[str, bytes]] = []
    subjects: list[str] = []
    state: dict[tuple[type, str], Row] = {}
    for number in range(count):
        pv, message_id = draw_number("PV"), new_uuid()
        betrokkenen = replace(beeld.betrokkenen, correlationid=new_uuid())
        state[Matchbeeld, pv] = Row(replace(beeld, nummer=pv, betrokkenen=betrokkenen), {}, False)
        data = _VOORSTEL.model_copy(update={"trajectnummer": pv})
        body = submission(event_type, source, message_id, data, referentie=f"voorstel-{number}")
        incoming.append((message_id, body))
        subjects.append(pv)
    return Load(
        service=matching,
        queue=ingress_queue(matching.owner, PARTNER),
        partner=PARTNER,
        routing_key=event_type.routing_key,
        incoming=incoming,
        subjects=subjects,
        state=state,
        outgoing=[_outgoing(fact), _outgoing(receipt)],
    )


def _budget() -> budget.Vastgesteld:
    jaar = datetime(2026, 1, 1, tzinfo=UTC).date()
    return budget.Vastgesteld(bedrag_cent=10**9, van=jaar, tot=jaar.replace(month=12, day=31))


def _fact(owner: str, data: Data, subject: str, case: str) -> Fact[Data]:
    now = datetime.now(UTC)
    return Fact(
        type=CATALOGUE.of(type(data)),
        id=new_uuid(),
        source=service_source(owner),
        subject=subject,
        sequence=1,
        time=now,
        recorded=now,
        correlationid=case,
        causationid=new_uuid(),
        actor=PARTNER,
        data=data,
        traceparent=child_of(None),
    )


def _outgoing(fact: Fact[Data]) -> Outgoing:
    return Outgoing(
        type=fact.type.name,
        routing_key=fact.type.routing_key,
        body=wire.encode(fact).decode(),
    )
