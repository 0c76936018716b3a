"""What is there afterwards: counted from databases, queues and mailbox, not from counters kept along the way.

The books of the services, the records of the partners and the mailbox are held against each other. Who was
entitled to what is worked out here a second time, from the journal and the catalogue, so that a service that
addresses its facts wrongly is found out.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.catalogue import ALWAYS_READS, CATALOGUE, EventType
from contracts.fields import Rol
from contracts.partners import Registry
from deploy.local.bus import KEYS, SERVICES, Bus
from services.billing.betaling import Status as Betalingstatus
from services.billing.budget import Status as Budgetstatus
from services.billing.factuur import Status as Factuurstatus
from services.billing.opdracht import Status as Opdrachtstatus
from services.chassis.database import connect
from services.intake.traject import Status as Trajectstatus
from services.matching.erkenning import Status as Erkenningstatus
from services.matching.match import Status as Matchstatus

_ACCEPTED: Final = "aanvaard"
_WAITS: Final = "wacht"
_ENDED: Final = frozenset({"gesloten", "niet_geschikt", "uitgevallen", "teruggetrokken"})
_STATES: Final = {
    "traject": Trajectstatus,
    "match": Matchstatus,
    "erkenning": Erkenningstatus,
    "factuur": Factuurstatus,
    "betaling": Betalingstatus,
    "budget": Budgetstatus,
    "opdracht": Opdrachtstatus,
}
"""Of the aggregates that have more than being there or not."""


@dataclass(kw_only=True)
class Reckoning:
    """The figures of `build/pilot.json`. `lost` and `duplicate_effects` name each case in `findings`."""

    trajecten: int
    eindstanden: dict[str, int]
    """How many trajecten are in which state."""
    submissions: int
    aanvaard: int
    afgewezen: dict[str, int]
    """Refusals by their code."""
    wacht: int
    planted: int
    """Submissions that were wrong on purpose and were refused as foreseen, or taken for what they repeat."""
    facts: int
    verklaringen: int
    """Valid ones."""
    facturen: int
    """Invoices that stand: not credited, and no credit notes."""
    credits: int
    betalingen: int
    """Payments that the bank confirmed."""
    budgets: dict[str, dict[str, int]]
    """For each source, in cents: vastgesteld_cent, gereserveerd_cent, besteed_cent."""
    mails: int
    mail_copies: int
    """Mails that arrived again under the same Message-ID, after a crash between sending and writing it down."""
    overdue: dict[str, int]
    """Terms that passed, by the level they reached."""
    parked: int
    """Rows set aside for an operator. Each has a planted cause, or a finding."""
    coverage: list[str]
    """The states and event types that did not occur."""
    lost: int
    duplicate_effects: int
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)
    """What does not balance, each in a sentence. Empty is well."""

    @property
    def consistent(self) -> bool:
        return not self.findings


@dataclass(frozen=True)
class RecordedFact:
    """A fact as its owner wrote it down."""

    type: EventType
    id: str
    subject: str
    sequence: int
    correlationid: str
    data: dict[str, Any]
    service: str
    time: str
    """When it happened, by the clock that all go by."""
    created: datetime
    """When its owner wrote it."""
    position: int

    @property
    def name(self) -> str:
        return self.type.routing_key

    @property
    def trajectnummer(self) -> str | None:
        return self.data.get("trajectnummer") or (self.subject if self.type.entity == "traject" else None)


class Books:
    """Everything that is read, once: of the services, the partners and the mailbox."""

    def __init__(self, bus: Bus) -> None:
        self.registry = bus.registry
        self.mails = bus.mails()
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

        self.facts: list[RecordedFact] = []
        self.inboxes: dict[str, dict[str, datetime]] = {}
        self.parked: dict[tuple[str, str], str] = {}
        self.unsettled: list[str] = []
        self.mailed: list[str] = []
        for service in SERVICES:
            for row in await rows(
                service.name,
                "SELECT body, routing_key, sent, message_id, created, position FROM outbox ORDER BY position",
            ):
                self._take(service.name, row)
            self.inboxes[service.name] = {
                row.id: row.received
                for row in await rows(service.name, "SELECT id, received FROM inbox WHERE partner IS NULL")
            }
            for row in await rows(service.name, "SELECT status, cause, entity, id FROM pending"):
                if row.status == "parked":
                    self.parked[service.name, row.id] = row.cause
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
        self.tegoeden = await rows("billing", "SELECT subject, body FROM tegoed")
        self.betalingen = await rows("billing", "SELECT subject, body FROM betaling")
        self.sent = await rows(
            "partners",
            "SELECT partner, id, body, outcomes FROM verzonden WHERE body IS NOT NULL ORDER BY place",
        )
        self.received: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        for row in await rows("partners", "SELECT partner, id, body FROM ontvangen ORDER BY place"):
            self.received[row.partner][row.id] = json.loads(bytes(row.body))
        self.planted = {(row.service, row.id) for row in await rows("partners", "SELECT service, id FROM geplant")}

    def _take(self, service: str, row: Any) -> None:
        if row.sent is None:
            self.unsettled.append(f"{service}: {row.message_id} was not relayed")
        if row.routing_key.startswith("aan.") or row.routing_key.endswith(".feiten"):
            return  # an earlier fact, for who became party later or has it replayed
        message = json.loads(bytes(row.body))
        event_type = CATALOGUE[message["type"]]
        if event_type.owner is not None:
            self.facts.append(
                RecordedFact(
                    type=event_type,
                    id=message["id"],
                    subject=message["subject"],
                    sequence=int(message["sequence"]),
                    correlationid=message["correlationid"],
                    data=message["data"],
                    service=service,
                    time=message["time"],
                    created=row.created,
                    position=row.position,
                )
            )

    @cached_property
    def receipts(self) -> dict[tuple[str, str], list[str]]:
        """For each partner and submission what reached it: aanvaard, wacht or the code of a refusal."""
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        for partner, messages in self.received.items():
            for message in messages.values():
                event_type = CATALOGUE[message["type"]]
                if event_type.owner is None:
                    found[partner, message["subject"]].append(message["data"].get("code", event_type.event))
        return found

    @cached_property
    def rights(self) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
        """For each fact who must have received it, and who may have."""
        return _rights(self)

    @cached_property
    def standing(self) -> dict[str, RecordedFact]:
        """The invoices that were not credited."""
        credited = {f.data["vorig_factuurnummer"] for f in self.facts if f.name == "factuur.gecrediteerd"}
        return {f.subject: f for f in self.facts if f.name == "factuur.klaargezet" and f.subject not in credited}


async def unsettled(bus: Bus) -> list[str]:
    """What is still under way: nothing may be, before the books are balanced."""
    books = Books(bus)
    await books.read()
    return [*books.unsettled, *_not_read(books), *_not_heard(books)]


async def reckon(bus: Bus) -> Reckoning:
    """Balances the books of a bus at rest."""
    books = Books(bus)
    await books.read()
    return balance(books)


def balance(books: Books) -> Reckoning:
    """The figures, and everything that does not fit."""
    lost = [
        *_without_one_outcome(books),
        *_not_read(books),
        *_not_heard(books),
        *_gaps(books),
        *_mails_missing(books),
        *_persons_missing(books),
    ]
    twice = [*_second_effects(books)]
    other = [
        *_not_as_foreseen(books),
        *_read_without_right(books),
        *_wrong_amounts(books),
        *_wrong_invoices(books),
        *_unfinished(books),
        *_not_planted(books),
        *books.unsettled,
    ]
    outcomes = Counter(outcome for found in books.receipts.values() for outcome in found)
    return Reckoning(
        trajecten=len(books.trajecten),
        eindstanden=dict(Counter(row.body["status"] for row in books.trajecten)),
        submissions=len(books.sent),
        aanvaard=outcomes[_ACCEPTED],
        afgewezen={code: number for code, number in sorted(outcomes.items()) if code not in (_ACCEPTED, _WAITS)},
        wacht=outcomes[_WAITS],
        planted=sum(row.outcomes[0] != _ACCEPTED for row in books.sent),
        facts=len(books.journal),
        verklaringen=sum(row.body["geldig"] for row in books.verklaringen),
        facturen=len(books.standing),
        credits=sum(fact.name == "factuur.gecrediteerd" for fact in books.facts),
        betalingen=sum(row.body["status"] == "bevestigd" for row in books.betalingen),
        budgets={
            row.subject: {
                name: row.body[name] for name in ("vastgesteld_cent", "gereserveerd_cent", "besteed_cent")
            }
            for row in books.budgetten
        },
        mails=len(_message_ids(books)),
        mail_copies=len(books.mails) - len(_message_ids(books)),
        overdue=dict(Counter(f.data["niveau"] for f in books.facts if f.name == "termijn.overschreden")),
        parked=len(books.parked),
        coverage=[*_uncovered(books)],
        lost=len(lost),
        duplicate_effects=len(twice),
        findings=[*lost, *twice, *other],
    )


def _message_ids(books: Books) -> set[str]:
    return {str(mail["Message-ID"]) for mail in books.mails}


def _mails_missing(books: Books) -> Iterable[str]:
    missing = len(books.mailed) - len(_message_ids(books))
    if missing:
        yield f"{missing} mails that were written down as sent are not in the mailbox"


def _persons_missing(books: Books) -> Iterable[str]:
    """Of each traject that is not erased there is a person, and the key to it."""
    for row in books.trajecten:
        key = row.body["persoon"]
        if key is not None and key not in books.persons & books.keys:
            yield f"the person data of {row.subject} cannot be read any more"


def _bodies(books: Books) -> dict[tuple[str, str], dict[bytes, Sequence[str]]]:
    """For each partner and id the different messages that went out under it, with how each may end."""
    bodies: dict[tuple[str, str], dict[bytes, Sequence[str]]] = defaultdict(dict)
    for row in books.sent:
        bodies[row.partner, row.id].setdefault(bytes(row.body), row.outcomes)
    return bodies


def _without_one_outcome(books: Books) -> Iterable[str]:
    for key, versions in _bodies(books).items():
        finals = [outcome for outcome in books.receipts.get(key, ()) if outcome != _WAITS]
        if len(finals) != len(versions):
            yield f"submission {key[1]} of {key[0]} has {len(finals)} final receipts for {len(versions)} messages"


def _not_as_foreseen(books: Books) -> Iterable[str]:
    """What is right is accepted, and what is wrong on purpose is refused with the code for just that."""
    for key, versions in _bodies(books).items():
        finals = [outcome for outcome in books.receipts.get(key, ()) if outcome != _WAITS]
        for body, foreseen in sorted(versions.items(), key=lambda item: len(item[1])):
            fitting = next((outcome for outcome in finals if outcome in foreseen), None)
            if fitting is not None:
                finals.remove(fitting)
            elif finals:
                about = _what(body)
                yield f"{about} {key[1]} of {key[0]} ended as {', '.join(finals)}, not as {' or '.join(foreseen)}"


def _what(body: bytes) -> str:
    try:
        name: str = json.loads(body)["type"]
    except ValueError:
        return "nonsense"
    return name.removeprefix("nl.praktijkverklaringen.")


def _not_planted(books: Books) -> Iterable[str]:
    """Every parked row has a planted cause, and every planting is parked."""
    for service, message_id in books.parked.keys() - books.planted:
        cause = books.parked[service, message_id]
        yield f"{service} parked {message_id} ({cause}), which nobody planted"
    for service, message_id in books.planted - books.parked.keys():
        yield f"{service} did not park {message_id}, which was planted"


def _not_read(books: Books) -> Iterable[str]:
    must, _ = books.rights
    for fact in books.facts:
        for partner in must[fact.id]:
            if fact.id not in books.received[partner]:
                yield f"{fact.name} of {fact.subject} ({fact.id}) did not reach {partner}"


def _read_without_right(books: Books) -> Iterable[str]:
    _, may = books.rights
    for partner, messages in books.received.items():
        for message_id, message in messages.items():
            if CATALOGUE[message["type"]].owner and partner not in may.get(message_id, frozenset()):
                yield f"{partner} received {message['type']} {message_id} without a right to it"


def _not_heard(books: Books) -> Iterable[str]:
    for service in SERVICES:
        heard = set(service.entities_heard())
        for fact in books.facts:
            if fact.type.entity in heard and fact.id not in books.inboxes[service.name]:
                yield f"{service.name} did not hear {fact.name} of {fact.subject} ({fact.id})"


def _gaps(books: Books) -> Iterable[str]:
    """The journal holds every fact, once, and every stream without a gap."""
    journal = {row.id for row in books.journal}
    for fact in books.facts:
        if fact.id not in journal:
            yield f"{fact.name} of {fact.subject} is not in the journal"
    streams: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in books.journal:
        streams[row.entity, row.subject].append(row.sequence)
    for (entity, subject), sequences in streams.items():
        if sequences != list(range(1, len(sequences) + 1)):
            yield f"the journal has {entity} of {subject} as {sequences}"


def _second_effects(books: Books) -> Iterable[str]:
    """Second invoices, payments, mails and requests for one cause."""
    causes: dict[str, list[str]] = defaultdict(list)
    open_requests: Counter[str] = Counter()
    for fact in _by_cause(books.facts):
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
    for row in books.trajecten:
        if row.body["referentie"]:
            causes["registration " + row.body["referentie"]].append(row.subject)
    for key in books.mailed:
        _, soort, cause, partner = key.split("/")
        causes[f"mail on {cause} to {partner}"].append(soort)
    for journaled in books.journal:
        causes[f"journal entry {journaled.id}"].append(journaled.id)
    for cause, effects in causes.items():
        if len(effects) > 1:
            yield f"{len(effects)} times {cause}"


def _wrong_amounts(books: Books) -> Iterable[str]:
    """The budget of each source, to the cent, against what it covers."""
    paid = {row.body["factuurnummer"] for row in books.betalingen if row.body["status"] == "bevestigd"}
    settled = {f.data["opdrachtnummer"] for f in books.standing.values() if f.subject in paid}
    off = {fact.subject for fact in books.facts if fact.name == "opdracht.ingetrokken"}
    orders = [fact for fact in books.facts if fact.name == "opdracht.verstrekt"]
    for row in books.budgetten:
        of_source = [order for order in orders if order.data["bron"] == row.subject]
        spent = sum(order.data["bedrag_cent"] for order in of_source if order.subject in settled)
        reserved = sum(order.data["bedrag_cent"] for order in of_source if order.subject not in settled | off)
        stand = (row.body["gereserveerd_cent"], row.body["besteed_cent"])
        if stand != (reserved, spent):
            yield f"budget {row.subject} stands at {stand}, its opdrachten at {(reserved, spent)}"
        if reserved + spent > row.body["vastgesteld_cent"]:
            yield f"budget {row.subject} is overspent"
    yield from _wrong_payments(books)


def _wrong_payments(books: Books) -> Iterable[str]:
    """What each school got is what its invoices that stand and were paid come to, and what it still holds."""
    got: Counter[str] = Counter()
    due: Counter[str] = Counter()
    paid = {row.body["factuurnummer"] for row in books.betalingen if row.body["status"] == "bevestigd"}
    held = {row.subject: row.body for row in books.tegoeden}
    for row in books.betalingen:
        if row.body["status"] == "bevestigd":
            got[row.body["opleider"]] += row.body["bedrag_cent"]
    for invoice in books.standing.values():
        if invoice.subject in paid:
            due[invoice.data["opleider"]] += invoice.data["bedrag_cent"]
    for school in got.keys() | due.keys():
        reeks = books.registry[school].factuurreeks
        left = held[reeks]["bedrag_cent"] if reeks in held else 0
        if got[school] != due[school] + left:
            yield f"{school} was paid {got[school]}, its invoices come to {due[school]} and it holds {left}"


def _wrong_invoices(books: Books) -> Iterable[str]:
    """One invoice stands for each valid verklaring of a traject with an opdracht, and no other does."""
    off = {fact.subject for fact in books.facts if fact.name == "opdracht.ingetrokken"}
    commissioned = {
        fact.data["trajectnummer"]
        for fact in books.facts
        if fact.name == "opdracht.verstrekt" and fact.subject not in off
    }
    valid = Counter(row.body["trajectnummer"] for row in books.verklaringen if row.body["geldig"])
    due = Counter({nummer: number for nummer, number in valid.items() if nummer in commissioned})
    standing = Counter(fact.data["trajectnummer"] for fact in books.standing.values())
    for nummer in due.keys() | standing.keys():
        if due[nummer] != standing[nummer]:
            yield f"{nummer} has {standing[nummer]} invoices that stand and {due[nummer]} verklaringen to invoice"


def _unfinished(books: Books) -> Iterable[str]:
    for row in books.trajecten:
        of_pilot = "/pilot-" in (row.body["referentie"] or "")
        if of_pilot and row.body["status"] not in _ENDED:
            yield f"{row.subject} ended as {row.body['status']}"


# What occurred

_SHOWS: Final[Mapping[tuple[str, str], Callable[[RecordedFact], bool]]] = {
    ("traject", "geschikt"): lambda f: f.name == "traject.intake-afgerond" and f.data["uitkomst"] == "geschikt",
    ("traject", "niet_geschikt"): lambda f: (
        f.name == "traject.intake-afgerond" and f.data["uitkomst"] == "niet-geschikt"
    ),
    ("traject", "gematcht"): lambda f: f.name == "match.bevestigd",
    ("traject", "erkend"): lambda f: f.name == "match.erkend",
    ("traject", "voorbereid"): lambda f: f.name == "traject.gestart",  # nothing else starts
    ("traject", "afgerond"): lambda f: f.name == "verklaring.afgegeven",
    ("factuur", "creditnota"): lambda f: f.name == "factuur.gecrediteerd",
    ("factuur", "betaald"): lambda f: f.name == "betaling.bevestigd",
    ("opdracht", "gefactureerd"): lambda f: f.name == "factuur.klaargezet",
    ("budget", "beschikbaar"): lambda f: f.name == "budget.vastgesteld",
    ("budget", "uitgeput"): lambda f: f.type.entity == "besteding" and _left(f.data["stand"]) == 0,
    ("budget", "buiten_periode"): lambda f: f.name == "budget.vastgesteld" and f.data["van"] > f.time[:10],
}
"""How a state shows in the facts, where it is not called as its event."""


def _left(stand: Mapping[str, int]) -> int:
    return stand["vastgesteld_cent"] - stand["gereserveerd_cent"] - stand["besteed_cent"]


def _uncovered(books: Books) -> Iterable[str]:
    """Event types of the catalogue, and states of aggregates, that did not occur."""
    occurred = {fact.name for fact in books.facts}
    occurred |= {
        CATALOGUE[message["type"]].routing_key
        for messages in books.received.values()
        for message in messages.values()
    }
    for event_type in CATALOGUE.values():
        if event_type.routing_key not in occurred:
            yield event_type.routing_key
    for entity, states in _STATES.items():
        for state in states:
            shows = _SHOWS.get((entity, state))
            passed = any(map(shows, books.facts)) if shows else f"{entity}.{state}" in occurred
            if not passed:
                yield f"{entity} {state}"


# Who may read what


def _rights(books: Books) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    """Who must have received each fact, and who may have: besides, whoever the owner had not heard had left.

    Worked out as things happened, and as the fact's own owner heard of them. What it heard in the same
    transaction it may have heard before or after: so that is worked out both ways.
    """
    happened = _entitled(_by_cause(books.facts), books.registry)
    must, may = dict(happened), dict(happened)
    for service in SERVICES:
        heard = _heard(books, service.name)
        known = [fact for fact in books.facts if fact.id in heard]
        for own_first in (False, True):
            known.sort(key=lambda fact: (heard[fact.id], (fact.service == service.name) != own_first, fact.id))
            as_heard = _entitled(known, books.registry)
            for fact in known:
                if fact.service == service.name:
                    must[fact.id] &= as_heard[fact.id]
                    may[fact.id] |= as_heard[fact.id]
    return must, may


def _heard(books: Books, service: str) -> dict[str, datetime]:
    """When a service knew of each fact: its own at once, another once all before it in its stream were there."""
    received = books.inboxes[service]
    heard: dict[str, datetime] = {}
    behind: dict[tuple[str, str], datetime] = {}
    for fact in sorted(books.facts, key=lambda fact: fact.sequence):
        if fact.service == service:
            heard[fact.id] = fact.created
        elif fact.id in received:
            stream = (fact.type.entity, fact.subject)
            behind[stream] = heard[fact.id] = max(received[fact.id], behind.get(stream, received[fact.id]))
    return heard


def _entitled(facts: Iterable[RecordedFact], registry: Registry) -> dict[str, frozenset[str]]:
    """Who should have received each fact, from the roles of the catalogue and the parties by the facts so far."""
    parties: dict[str, dict[Rol, set[str]]] = defaultdict(lambda: defaultdict(set))
    ways_in: dict[str, str] = {}
    employers: dict[str, str] = {}
    active: dict[str, str] = {}
    schools: dict[str, str] = {}
    shared: dict[str, list[RecordedFact]] = defaultdict(list)  # what a party that joins later receives too
    entitled: dict[str, frozenset[str]] = {}
    for fact in facts:
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
        if fact.type.entity == "match":
            readers.add(employers.get(fact.subject, ""))
        elif Rol.WERKGEVER in fact.type.readers and nummer in active and employers.get(active[nummer]):
            readers.add(employers[active[nummer]])
        if fact.type.entity in ("opdracht", "factuur", "betaling"):
            readers.add(schools.get(fact.subject, ""))
        if fact.type.entity == "erkenning":
            readers |= set(registry.in_role(Rol.SBB))
        if fact.type.entity in ("budget", "besteding"):
            readers |= set(registry.financiers_of(fact.subject))
        if fact.type.entity == "termijn":
            readers.add(data["partner"])
        if fact.name == "match.vervallen" and nummer and active.get(nummer) == fact.subject:
            del active[nummer]
        entitled[fact.id] = frozenset(readers - {""})
        if nummer and fact.type.entity in ("traject", "match", "verklaring"):
            shared[nummer].append(fact)
    return entitled


def _by_cause(facts: Iterable[RecordedFact]) -> list[RecordedFact]:
    """Facts so that what changes the parties comes before what depends on it: by their time-ordered ids."""
    return sorted(facts, key=lambda fact: fact.id)
