"""Troubles that a stack can be in, each caused for real and mended again, to see its alerts fire and go."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import aio_pika
import httpx
from sqlalchemy import text

from contracts import budget, match
from contracts.export import FOLDER
from contracts.partners import Registry
from deploy.local.bus import PARTNERS, VHOST, Address
from deploy.local.client import PartnerClient
from deploy.local.persons import invented
from services.chassis import names
from services.chassis.amqp import connected
from services.chassis.database import connect
from services.chassis.telemetry import new_uuid
from tests.stand import eventually

COACH: Final = "coach-kompas"
WSP: Final = "wsp-venlo"
LEERWERKLOKET: Final = "leerwerkloket"
PATIENCE: Final = 240.0
"""Seconds after which what should come of a trouble, or of its end, has not."""
REGISTERED: Final = 12
"""People who come in: more late answers than the coach may have."""
SOURCE: Final = "POW"
_PROPOSAL: Final = FOLDER / "examples" / "match.voorgesteld.v1.inzending.json"
_HELD: Final = (
    "FROM pg_locks JOIN pg_database d ON d.oid = database"
    " WHERE locktype = 'advisory' AND granted AND datname = current_database()"
)

Alerts = frozenset[tuple[str, str]]
"""Each with its severity."""


class Ground(Protocol):
    """A running stack, as far as troubles are made on it."""

    address: Address
    """As it is reached from here."""

    def halt(self, name: str) -> None:
        """Stops a container."""

    def go_on(self, name: str) -> None:
        """Starts it again."""

    def log(self, name: str) -> str:
        """What a container has said."""

    def rabbitmqctl(self, *words: str) -> None: ...

    def praktijkbus(self, *words: str, stdin: str = "") -> str:
        """What that command says."""

    def now(self) -> datetime:
        """By the clock that the stack goes by."""

    def set_clock(self, to: datetime) -> None: ...


Cause = Callable[[Ground], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Trouble:
    cause: Cause
    """Causes it, and mends it at the end."""
    fires: Alerts
    fires_after: Alerts = frozenset()
    """What only shows when it is mended."""


def page(*alerts: str) -> Alerts:
    return frozenset((alert, "page") for alert in alerts)


def ticket(*alerts: str) -> Alerts:
    return frozenset((alert, "ticket") for alert in alerts)


# --- services, broker, database -------------------------------------------------------------------------------


def halted(name: str) -> Cause:
    @asynccontextmanager
    async def cause(ground: Ground) -> AsyncIterator[None]:
        ground.halt(name)
        yield
        ground.go_on(name)

    return cause


@asynccontextmanager
async def database_closed(ground: Ground) -> AsyncIterator[None]:
    """Notify's database lets nobody in."""
    name = ground.address.databases["notify"].rpartition("/")[2]
    await run(ground, "matching", f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
    await run(
        ground, "matching", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )
    yield
    await run(ground, "matching", f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")


@asynccontextmanager
async def broker_out_of_memory(ground: Ground) -> AsyncIterator[None]:
    ground.rabbitmqctl("set_vm_memory_high_watermark", "absolute", "1MB")
    yield
    ground.rabbitmqctl("set_vm_memory_high_watermark", "absolute", "900MiB")


@asynccontextmanager
async def telemetry_down(ground: Ground) -> AsyncIterator[None]:
    """Until a service says that it dropped rounds of numbers."""
    before = _dropped(ground)
    ground.halt("lgtm")

    async def more() -> bool:
        return await asyncio.to_thread(_dropped, ground) > before

    await eventually(more, within=PATIENCE)  # it says so once a minute at most
    ground.go_on("lgtm")
    yield


def _dropped(ground: Ground) -> int:
    """How often a service said that it dropped rounds of numbers."""
    lines = (json.loads(line) for line in ground.log("notify").splitlines() if "telemetry dropped" in line)
    return sum(line["signal"] == "metrics" for line in lines)


# --- flow ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def table_locked(ground: Ground) -> AsyncIterator[None]:
    """Somebody holds a lock on matching's inbox, while a partner sends on, about a traject that is not there."""
    engine = connect(ground.address.databases["matching"])
    async with engine.connect() as connection:
        await connection.execute(text("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE"))
        async with PartnerClient(ground.address.amqp[WSP], WSP) as client:
            data = match.Voorgesteld.model_validate(json.loads(_PROPOSAL.read_text(encoding="utf-8"))["data"])
            sent = (client.submit(match.Voorgesteld, source_of(WSP), new_uuid(), data) for _ in range(200))
            await asyncio.gather(*sent)
        yield
        await connection.rollback()
    await engine.dispose()


@asynccontextmanager
async def database_slow(ground: Ground) -> AsyncIterator[None]:
    """Every transaction in which intake takes something in lasts more than a second."""
    await run(
        ground,
        "intake",
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END $$",
        "CREATE TRIGGER slow BEFORE INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION slow()",
    )
    yield
    await run(ground, "intake", "DROP TRIGGER slow ON inbox", "DROP FUNCTION slow")


@asynccontextmanager
async def relay_shut_out(ground: Ground) -> AsyncIterator[None]:
    """Another session takes the lock of billing's relay; then the budget is cut down to what is reserved."""
    engine = connect(ground.address.databases["billing"])
    (held,) = await rows(ground, "billing", f"SELECT pid, (classid::bigint << 32) | objid::bigint AS key {_HELD}")
    async with engine.connect() as connection:
        taken = asyncio.ensure_future(connection.execute(text(f"SELECT pg_advisory_lock({held.key})")))
        line = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        await eventually(lambda: rows(ground, "billing", line), within=PATIENCE)
        await run(ground, "billing", f"SELECT pg_terminate_backend({held.pid})")
        await taken
        row = (await rows(ground, "billing", f"SELECT body FROM budget WHERE subject = '{SOURCE}'"))[0]
        used = row.body["gereserveerd_cent"] + row.body["besteed_cent"]
        await set_budget(ground, row.body, used + 1)
        yield
        await connection.invalidate()  # the lock goes with the session
    await engine.dispose()
    await set_budget(ground, row.body, row.body["vastgesteld_cent"])


@asynccontextmanager
async def handler_fails(ground: Ground) -> AsyncIterator[None]:
    """Billing cannot write down a traject it hears of."""
    await run(
        ground,
        "billing",
        "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$",
        "CREATE TRIGGER broken BEFORE INSERT ON trajectbeeld FOR EACH ROW EXECUTE FUNCTION broken()",
    )
    yield
    await run(ground, "billing", "DROP TRIGGER broken ON trajectbeeld", "DROP FUNCTION broken")


@asynccontextmanager
async def unreadable_facts(ground: Ground) -> AsyncIterator[None]:
    """More than twenty things in notify's queue that are no facts."""
    await put(ground, "", names.facts_queue("notify"), (b"no fact %d" % number for number in range(25)))
    yield
    parked = json.loads(ground.praktijkbus("parked", "list", "--json"))
    for cause in {each["cause"] for each in parked if each["kind"] == "feit"}:
        ground.praktijkbus("parked", "discard", *_of("notify", cause), "--reden", "onbruikbaar")


@asynccontextmanager
async def nobody_bound(ground: Ground) -> AsyncIterator[None]:
    await put(ground, names.FACTS, "nergens.heen", [b"for nobody"])
    yield
    await manage(ground, "DELETE", f"queues/{VHOST}/{names.UNDELIVERABLE}/contents")


@asynccontextmanager
async def queue_of_an_unknown_partner(ground: Ground) -> AsyncIterator[None]:
    """The broker was provisioned with a partner that matching was not started with."""
    queue = f"queues/{VHOST}/matching.van.nieuw"
    await manage(ground, "PUT", queue, {"durable": True, "arguments": {"x-queue-type": "quorum"}})
    yield
    await manage(ground, "DELETE", queue)


# --- partners and the outside world ----------------------------------------------------------------------------


@asynccontextmanager
async def partner_away(ground: Ground) -> AsyncIterator[None]:
    """A partner that reads nothing, with a queue that is nearly full by the shortened rules."""
    queue = names.partner_queue("rmc-noord-limburg")
    await put(ground, "", queue, (b"unread %d" % number for number in range(1600)))
    yield
    await manage(ground, "DELETE", f"queues/{VHOST}/{queue}/contents")


@asynccontextmanager
async def partner_sends_nonsense(ground: Ground) -> AsyncIterator[None]:
    await nonsense(ground, "zorghof", "traject.aangemeld", 30)
    yield


@asynccontextmanager
async def mail_down(ground: Ground) -> AsyncIterator[None]:
    """People come in while no mail leaves; one of those mails fails for the last time."""
    ground.halt("mailpit")
    await register(ground, REGISTERED)
    mails = "SELECT key FROM effects WHERE status = 'open' AND kind = 'mail'"
    await eventually(lambda: rows(ground, "notify", mails), within=PATIENCE)
    await run(ground, "notify", f"UPDATE effects SET attempts = 11 WHERE key = ({mails} LIMIT 1)")
    yield
    ground.go_on("mailpit")
    parked = json.loads(ground.praktijkbus("parked", "list", "--json"))
    for cause in {each["cause"] for each in parked if each["kind"] == "effect"}:
        ground.praktijkbus("parked", "retry", *_of("notify", cause), "--reden", "tijdelijk")


@asynccontextmanager
async def coach_late(ground: Ground) -> AsyncIterator[None]:
    """A month passes without a word on those who came in."""
    ground.set_clock(ground.now() + timedelta(days=30))
    yield
    waiting = await rows(ground, "intake", "SELECT subject FROM traject WHERE body->>'status' = 'aangemeld'")
    data = {"uitkomst": "niet-geschikt", "verwezen_naar": "loopbaancentrum"}
    lines = [{"type": "traject.intake-afgerond", "subject": each.subject, "data": data} for each in waiting]
    await asyncio.to_thread(submit, ground, COACH, lines)


TOGETHER: Final = (
    Trouble(database_slow, ticket("DatabaseSlow")),
    Trouble(handler_fails, ticket("RetriesGoOn", "SetAsideTooLong")),
    Trouble(mail_down, ticket("EffectsNotLeaving", "EffectsFailed")),
    Trouble(coach_late, ticket("DeadlinesOverdue")),
    Trouble(table_locked, page("ServiceStuck", "IngressFilling") | ticket("IngressFilling"), ticket("FactsLate")),
    Trouble(relay_shut_out, page("OutboxStuck") | ticket("BudgetNearlyUsed")),
    Trouble(unreadable_facts, page("MessagesParked") | ticket("MessagesParked")),
    Trouble(nobody_bound, page("MessagesUndeliverable")),
    Trouble(queue_of_an_unknown_partner, page("ConsumersMissing")),
    Trouble(partner_away, page("PartnerNotReading") | ticket("PartnerNotReading")),
    Trouble(partner_sends_nonsense, ticket("SubmissionsRefused")),
)
"""What can be wrong at the same time without one hiding another."""
DOWN: Final = (
    Trouble(halted("billing"), page("ServiceNotReporting")),
    Trouble(database_closed, page("DatabaseUnreachable")),
    Trouble(broker_out_of_memory, page("BrokerAlarm")),
)
IN_TURN: Final = (
    Trouble(halted("rabbitmq"), page("BrokerDown")),
    Trouble(telemetry_down, frozenset(), ticket("TelemetryDropped")),
)


# --- means -----------------------------------------------------------------------------------------------------


async def run(ground: Ground, database: str, *statements: str) -> None:
    """Each by itself: some may not be in a transaction."""
    engine = connect(ground.address.databases[database])
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()


async def rows(ground: Ground, database: str, query: str) -> list[Any]:
    engine = connect(ground.address.databases[database])
    async with engine.connect() as connection:
        found = list((await connection.execute(text(query))).all())
    await engine.dispose()
    return found


async def manage(ground: Ground, method: str, path: str, content: object = None) -> None:
    async with httpx.AsyncClient(base_url=ground.address.management_url, auth=ground.address.admin) as http:
        (await http.request(method, f"/api/{path}", json=content)).raise_for_status()


async def put(ground: Ground, exchange: str, routing_key: str, bodies: Iterable[bytes]) -> None:
    """As an administrator can."""
    account, password = ground.address.admin
    host = ground.address.amqp[COACH].partition("@")[2]
    async with connected(f"amqp://{account}:{password}@{host}") as connection:
        channel = await connection.channel()
        target = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
        await asyncio.gather(*(target.publish(aio_pika.Message(body), routing_key) for body in bodies))


async def nonsense(ground: Ground, partner: str, routing_key: str, count: int) -> None:
    async with PartnerClient(ground.address.amqp[partner], partner) as client:
        await asyncio.gather(*(client.publish(b"nonsense %d" % each, routing_key) for each in range(count)))


async def set_budget(ground: Ground, known: dict[str, Any], bedrag_cent: int) -> None:
    data = budget.Vastgesteld(bedrag_cent=bedrag_cent, van=known["van"], tot=known["tot"])
    async with PartnerClient(ground.address.amqp[LEERWERKLOKET], LEERWERKLOKET) as client:
        await client.submit(budget.Vastgesteld, source_of(LEERWERKLOKET), new_uuid(), data, subject=SOURCE)


def source_of(partner: str) -> str:
    (source,) = next(each.sources for each in Registry.load(PARTNERS).partners if each.id == partner)
    return source


async def register(ground: Ground, count: int) -> None:
    """People come in through the coach."""
    known = len(await rows(ground, "intake", "SELECT subject FROM traject"))
    lines = [
        {
            "type": "traject.aangemeld",
            "data": {
                "persoon": invented(9000 - known - each).model_dump(mode="json", exclude_none=True),
                "werkstatus": "werkzoekende",
                "sectorwens": "horeca",
            },
        }
        for each in range(count)
    ]
    await asyncio.to_thread(submit, ground, COACH, lines)


def submit(ground: Ground, partner: str, lines: list[dict[str, Any]]) -> None:
    """Each gets its receipt."""
    ground.praktijkbus("submit", "-", "--partner", partner, stdin="\n".join(map(json.dumps, lines)))


def _of(consumer: str, cause: str) -> tuple[str, ...]:
    return ("--consumer", consumer, "--cause", cause, "--yes")
