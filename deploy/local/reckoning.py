"""What is there afterwards: counted from databases, queues and mailbox, not from counters kept along the way.

The books of the services, the records of the partners and the mailbox are held against each other. Who was
entitled to what is worked out here a second time, from the journal and the catalogue, so that a service that
addresses its facts wrongly is found out.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.catalogue import ALWAYS_READS, CATALOGUE, EventType
from contracts.fields import Rol
from contracts.partners import Registry
from deploy.local.bus import KEYS, SERVICES, LocalBus
from deploy.local.mailcatcher import read_mails
from services.chassis.database import connect

_FINAL: Final = frozenset({"ontvangst.aanvaard", "ontvangst.afgewezen"})
_ENDED: Final = frozenset({"gesloten", "niet_geschikt", "uitgevallen", "teruggetrokken"})


@dataclass(kw_only=True)
class Reckoning:
    """The figures of `build/pilot.json`. `lost` and `duplicate_effects` name each case in `findings`."""

    trajecten: int
    eindstanden: dict[str, int]
    submissions: int
    aanvaard: int
    afgewezen: dict[str, int]
    wacht: int
    facts: int
    verklaringen: int
    facturen: int
    betalingen: int
    mails: int
    mail_copies: int
    """Mails that arrived again under the same Message-ID, after a crash between sending and writing it down."""
    parked: int
    lost: int
    duplicate_effects: int
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)

    @property
    def consistent(self) -> bool:
        return not self.findings


@dataclass(frozen=True)
class _Fact:
    type: EventType
    id: str
    subject: str
    sequence: int
    correlationid: str
    data: dict[str, Any]
    service: str

    @property
    def name(self) -> str:
        return self.type.routing_key

    @property
    def trajectnummer(self) -> str | None:
        return self.data.get("trajectnummer") or (self.subject if self.type.entity == "traject" else None)


class _Books:
    """Everything that is read, once."""

    def __init__(self, bus: LocalBus) -> None:
        self.registry = bus.registry
        self.queues = bus.queue_depths()
        self.mails = read_mails(Path(bus.address.mail_folder))
        self._urls = bus.address.databases

    async def read(self) -> None:
        engines = {name: connect(url) for name, url in self._urls.items()}
        try:
            await self._read(engines)
        finally:
            for engine in engines.values():
                await engine.dispose()

    async def _read(self, engines: Mapping[str, AsyncEngine]) -> None:
        async def rows(database: str, query: str) -> list[Any]:
            async with engines[database].connect() as connection:
                return list((await connection.execute(text(query))).all())

        self.facts: list[_Fact] = []
        self.inboxes: dict[str, set[str]] = {}
        self.parked: list[Any] = []
        self.unsettled: list[str] = []
        self.mailed: list[str] = []
        for service in SERVICES:
            for row in await rows(
                service.name, "SELECT body, routing_key, sent, message_id FROM outbox ORDER BY position"
            ):
                self._take(service.name, row)
            self.inboxes[service.name] = {
                row.id for row in await rows(service.name, "SELECT id FROM inbox WHERE partner IS NULL")
            }
            for row in await rows(service.name, "SELECT status, cause, entity, id FROM pending"):
                if row.status == "parked":
                    self.parked.append(row)
                elif row.status != "waiting":  # that is at rest: only what still happens can wake it
                    self.unsettled.append(f"{service.name}: {row.entity} {row.id} is {row.status}")
            for row in await rows(service.name, "SELECT key, kind, status FROM effects"):
                if row.status == "failed" and row.key.endswith("/deelnemer"):
                    continue  # who has no e-mail address, or was erased, gets no mail
                if row.status == "skipped":  # an answer came before the reminder left
                    continue
                if row.status != "done":
                    self.unsettled.append(f"{service.name}: {row.kind} {row.key} is {row.status}")
                elif row.kind == "mail":
                    self.mailed.append(row.key)
        self.journal = await rows("intake", "SELECT id, entity, subject, sequence FROM journal ORDER BY position")
        self.trajecten = await rows("intake", "SELECT subject, body FROM traject")
        self.persons = {row.key for row in await rows("intake", "SELECT key FROM persoon WHERE gewist IS NULL")}
        self.keys = {row.key for row in await rows(KEYS, "SELECT key FROM sleutel WHERE gewist IS NULL")}
        self.verklaringen = await rows("intake", "SELECT subject, body FROM verklaring")
        self.budgetten = await rows("billing", "SELECT subject, body FROM budget")
        self.opdrachten = await rows("billing", "SELECT subject, body FROM opdracht")
        self.betalingen = await rows("billing", "SELECT subject, body FROM betaling")
        self.sent = await rows("partners", "SELECT partner, id, body, confirmed FROM verzonden")
        self.received: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        for row in await rows("partners", "SELECT partner, id, message FROM ontvangen ORDER BY place"):
            self.received[row.partner][row.id] = row.message

    def _take(self, service: str, row: Any) -> None:
        if row.sent is None:
            self.unsettled.append(f"{service}: {row.message_id} was not relayed")
        if row.routing_key.startswith("aan.") or row.routing_key.endswith(".feiten"):
            return  # an earlier fact, for who became party later or has it replayed
        message = json.loads(bytes(row.body))
        event_type = CATALOGUE[message["type"]]
        if event_type.owner is not None:
            self.facts.append(
                _Fact(
                    type=event_type,
                    id=message["id"],
                    subject=message["subject"],
                    sequence=int(message["sequence"]),
                    correlationid=message["correlationid"],
                    data=message["data"],
                    service=service,
                )
            )


async def unsettled(bus: LocalBus) -> list[str]:
    """What is still under way: nothing may be, before the books are balanced."""
    books = _Books(bus)
    await books.read()
    waiting = [f"queue {name}: {depth}" for name, depth in books.queues.items() if depth]
    unsent = [f"{row.partner}: {row.id} not confirmed" for row in books.sent if not row.confirmed]
    return [*books.unsettled, *waiting, *unsent]


async def reckon(bus: LocalBus) -> Reckoning:
    """Balances the books of a bus at rest."""
    books = _Books(bus)
    await books.read()
    lost = [
        *_without_one_outcome(books),
        *_not_read(books),
        *_not_heard(books),
        *_gaps(books),
        *_mails_missing(books),
        *_persons_missing(books),
    ]
    twice = [*_second_effects(books)]
    other = [*_read_without_right(books), *_wrong_amounts(books), *_unfinished(books), *books.unsettled]
    receipts = _receipts(books)
    outcomes = Counter(kind for kinds in receipts.values() for kind, _ in kinds)
    return Reckoning(
        trajecten=len(books.trajecten),
        eindstanden=dict(Counter(row.body["status"] for row in books.trajecten)),
        submissions=len(books.sent),
        aanvaard=outcomes["ontvangst.aanvaard"],
        afgewezen=dict(
            Counter(code for kinds in receipts.values() for kind, code in kinds if kind == "ontvangst.afgewezen")
        ),
        wacht=outcomes["ontvangst.wacht"],
        facts=len(books.journal),
        verklaringen=sum(row.body["geldig"] for row in books.verklaringen),
        facturen=sum(fact.name == "factuur.klaargezet" for fact in books.facts),
        betalingen=sum(row.body["status"] == "bevestigd" for row in books.betalingen),
        mails=len(_message_ids(books)),
        mail_copies=len(books.mails) - len(_message_ids(books)),
        parked=len(books.parked),
        lost=len(lost),
        duplicate_effects=len(twice),
        findings=[*lost, *twice, *other],
    )


def _receipts(books: _Books) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """For each partner and submission: the receipts that reached it, as (kind, code)."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for partner, messages in books.received.items():
        for message in messages.values():
            event_type = CATALOGUE[message["type"]]
            if event_type.owner is None:
                found[partner, message["subject"]].append(
                    (event_type.routing_key, message["data"].get("code", ""))
                )
    return found


def _message_ids(books: _Books) -> set[str]:
    return {str(mail["Message-ID"]) for mail in books.mails}


def _mails_missing(books: _Books) -> Iterable[str]:
    missing = len(books.mailed) - len(_message_ids(books))
    if missing:
        yield f"{missing} mails that were written down as sent are not in the mailbox"


def _persons_missing(books: _Books) -> Iterable[str]:
    """Of each traject that is not erased there is a person, and the key to it."""
    for row in books.trajecten:
        key = row.body["persoon"]
        if key is not None and key not in books.persons & books.keys:
            yield f"the person data of {row.subject} cannot be read any more"


def _without_one_outcome(books: _Books) -> Iterable[str]:
    receipts = _receipts(books)
    bodies: dict[tuple[str, str], set[bytes]] = defaultdict(set)
    for row in books.sent:
        bodies[row.partner, row.id].add(hashlib.sha256(bytes(row.body)).digest())
    for key, versions in bodies.items():
        finals = sum(kind in _FINAL for kind, _ in receipts.get(key, ()))
        if finals != len(versions):
            yield f"submission {key[1]} of {key[0]} has {finals} final receipts for {len(versions)} messages"


def _not_read(books: _Books) -> Iterable[str]:
    entitled = _entitled(books.facts, books.registry)
    for fact in books.facts:
        for partner in entitled[fact.id] - {p for p in entitled[fact.id] if fact.id in books.received[p]}:
            yield f"{fact.name} of {fact.subject} ({fact.id}) did not reach {partner}"


def _read_without_right(books: _Books) -> Iterable[str]:
    entitled = _entitled(books.facts, books.registry)
    for partner, messages in books.received.items():
        for message_id, message in messages.items():
            if CATALOGUE[message["type"]].owner and partner not in entitled.get(message_id, frozenset()):
                yield f"{partner} received {message['type']} {message_id} without a right to it"


def _not_heard(books: _Books) -> Iterable[str]:
    for service in SERVICES:
        heard = set(service.entities_heard())
        for fact in books.facts:
            if fact.type.entity in heard and fact.id not in books.inboxes[service.name]:
                yield f"{service.name} did not hear {fact.name} of {fact.subject} ({fact.id})"


def _gaps(books: _Books) -> Iterable[str]:
    """The journal holds every fact, once, and every stream without a gap."""
    journal = [row.id for row in books.journal]
    for fact in books.facts:
        if fact.id not in set(journal):
            yield f"{fact.name} of {fact.subject} is not in the journal"
    streams: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in books.journal:
        streams[row.entity, row.subject].append(row.sequence)
    for (entity, subject), sequences in streams.items():
        if sequences != list(range(1, len(sequences) + 1)):
            yield f"the journal has {entity} of {subject} as {sequences}"


def _second_effects(books: _Books) -> Iterable[str]:
    """Second invoices, payments, mails and requests for one cause."""
    causes: dict[str, list[str]] = defaultdict(list)
    open_requests: Counter[str] = Counter()
    for fact in sorted(books.facts, key=lambda fact: fact.sequence):
        if fact.name == "factuur.klaargezet":
            causes["invoice for " + fact.data["trajectnummer"]].append(fact.subject)
        elif fact.name == "factuur.gecrediteerd":
            causes["invoice for " + fact.data["trajectnummer"]].pop()
        elif fact.name == "betaling.opgedragen":
            causes["payment of " + fact.data["factuurnummer"]].append(fact.subject)
        elif fact.name == "traject.aangemeld":
            causes["registration " + fact.correlationid].append(fact.subject)
        elif fact.name == "erkenning.aangevraagd":
            open_requests[fact.subject] += 1
        elif fact.type.entity == "erkenning":
            open_requests[fact.subject] = 0
        if open_requests[fact.subject] > 1:
            yield f"{fact.subject} was requested again while a request was open"
    for key in books.mailed:
        _, soort, cause, partner = key.split("/")
        causes[f"mail on {cause} to {partner}"].append(soort)
    for journaled in books.journal:
        causes[f"journal entry {journaled.id}"].append(journaled.id)
    for cause, effects in causes.items():
        if len(effects) > 1:
            yield f"{len(effects)} times {cause}"


def _wrong_amounts(books: _Books) -> Iterable[str]:
    """The budget of each source, to the cent, against what it covers."""
    paid = {row.body["factuurnummer"] for row in books.betalingen if row.body["status"] == "bevestigd"}
    invoices = {
        fact.data["opdrachtnummer"]: fact.subject for fact in books.facts if fact.name == "factuur.klaargezet"
    }
    for row in books.budgetten:
        orders = [order for order in books.opdrachten if order.body["bron"] == row.subject]
        spent = sum(o.body["bedrag_cent"] for o in orders if invoices.get(o.subject) in paid)
        reserved = sum(
            o.body["bedrag_cent"]
            for o in orders
            if not o.body["ingetrokken"] and invoices.get(o.subject) not in paid
        )
        stand = (row.body["gereserveerd_cent"], row.body["besteed_cent"])
        if stand != (reserved, spent):
            yield f"budget {row.subject} stands at {stand}, its opdrachten at {(reserved, spent)}"
        if reserved + spent > row.body["vastgesteld_cent"]:
            yield f"budget {row.subject} is overspent"


def _unfinished(books: _Books) -> Iterable[str]:
    for row in books.trajecten:
        of_pilot = "/pilot-" in (row.body["referentie"] or "")
        if of_pilot and row.body["status"] not in _ENDED:
            yield f"{row.subject} ended as {row.body['status']}"


def _entitled(facts: Iterable[_Fact], registry: Registry) -> dict[str, frozenset[str]]:
    """Who should have received each fact, from the roles of the catalogue and the parties by the facts."""
    parties: dict[str, dict[Rol, set[str]]] = defaultdict(lambda: defaultdict(set))
    ways_in: dict[str, str] = {}
    employers: dict[str, str] = {}
    active: dict[str, str] = {}
    schools: dict[str, str] = {}
    shared: dict[str, list[_Fact]] = defaultdict(list)  # what a party that joins later receives too
    entitled: dict[str, frozenset[str]] = {}
    for fact in _by_cause(facts):
        nummer, data = fact.trajectnummer, fact.data
        of_traject = parties[nummer] if nummer else {}
        if fact.name == "traject.aangemeld":
            ways_in[fact.subject] = data["toegangspartner"]
        elif fact.name == "traject.betrokkene-toegewezen":
            of_traject[Rol(data["rol"])] = {data["partner"]}
            for earlier in shared[fact.subject]:
                if Rol(data["rol"]) in earlier.type.readers:
                    entitled[earlier.id] |= {data["partner"]}
        elif fact.name == "traject.intake-afgerond" and data.get("verwezen_naar"):
            rol = Rol(data["verwezen_naar"])
            of_traject[rol] = set(registry.in_role(rol))
        elif fact.name in ("match.voorgesteld", "match.herplaatsing-gestart"):
            employers[fact.subject] = registry.werkgever_of(data["vestigingsnummer"]) or ""
        elif fact.name == "match.bevestigd" and nummer:
            active[nummer] = fact.subject
        elif fact.type.entity in ("opdracht", "factuur", "betaling") and "opleider" in data:
            schools[fact.subject] = data["opleider"]
        readers = set(registry.in_role(*(ALWAYS_READS & fact.type.readers)))
        if fact.type.entity in ("traject", "match", "verklaring"):
            for rol in fact.type.readers - ALWAYS_READS:
                readers |= of_traject.get(rol, set())
        if fact.type.entity == "traject" and fact.type.readers > ALWAYS_READS:
            readers.add(ways_in[fact.subject])  # whatever its role
        if fact.type.entity == "match" and employers.get(fact.subject):
            readers.add(employers[fact.subject])
        elif Rol.WERKGEVER in fact.type.readers and nummer in active and employers.get(active[nummer]):
            readers.add(employers[active[nummer]])
        if fact.type.entity in ("opdracht", "factuur", "betaling"):
            readers.add(schools.get(fact.subject, ""))
        if fact.type.entity == "termijn":
            readers.add(data["partner"])
        if fact.type.entity == "erkenning":
            readers |= set(registry.in_role(Rol.SBB))
        if fact.type.entity in ("budget", "besteding"):
            readers |= set(registry.financiers_of(fact.subject))
        if fact.name == "match.vervallen" and nummer and active.get(nummer) == fact.subject:
            del active[nummer]
        entitled[fact.id] = frozenset(readers - {""})
        if nummer and fact.type.entity in ("traject", "match", "verklaring"):
            shared[nummer].append(fact)
    return entitled


def _by_cause(facts: Iterable[_Fact]) -> list[_Fact]:
    """Facts so that what changes the parties comes before what depends on it: by their time-ordered ids."""
    return sorted(facts, key=lambda fact: fact.id)
