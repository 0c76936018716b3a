"""The runner: takes messages from the service's queues in turn, a batch a transaction.

Group commit is both the guarantee and the speed: inbox, aggregates and outbox of a whole batch in one
commit, then one acknowledgement a queue. One loop, so nothing in a process runs against itself.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import AMQPError
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.fields import PartnerId
from contracts.kwalificaties import Kwalificatietabel
from contracts.partners import Registry
from services.chassis import names, wire
from services.chassis.batch import ENDED_PROCESS, Batch
from services.chassis.calendar import Calendar
from services.chassis.database import is_passing
from services.chassis.gate import Arrival, Gate, Turned
from services.chassis.item import Broken, Item
from services.chassis.messages import Due, Fact
from services.chassis.metrics import Series, Value
from services.chassis.service import Service
from services.chassis.storage import ATTEMPTING, RETRY, Pending, Storage
from services.chassis.telemetry import child_of
from services.chassis.work import UnitOfWork
from services.chassis.worker import Worker

if TYPE_CHECKING:
    from services.chassis.tracing import Tracing

_log = logging.getLogger(__name__)

_TICK: Final = 0.5
"""Seconds between looks at what is due."""
_SWEEP: Final = 30.0
"""Seconds between judging again all that waits, in case another instance's change was missed."""
_SUSPECT: Final = 2
"""At this many redeliveries a message may be what brought the process down: it is tried alone."""
_DUE_AT_ONCE: Final = 100
_PASSES: Final = 3
"""Passes of the event loop within which something more comes in, if anything is under way."""


@dataclass(slots=True)
class _Inlet:
    """One queue and what has come in from it."""

    queue: str
    partner: PartnerId | None
    waiting: "deque[_Delivery]"


@dataclass(slots=True)
class _Delivery:
    """One message, and the channel it came over: an acknowledgement means something only there."""

    inlet: _Inlet
    message: AbstractIncomingMessage
    channel: object


class Runner(Worker):
    """Consumes the service's queues and runs every message through a `Batch`."""

    FALLBACK = _TICK

    def __init__(
        self,
        service: Service,
        broker: RabbitBroker,
        engine: AsyncEngine,
        registry: Registry,
        kwalificaties: Kwalificatietabel,
        calendar: Calendar,
        *,
        public_url: str,
        prefetch: int,
        batch: int,
        committed: Callable[[], None],
        tracing: "Tracing | None" = None,
    ) -> None:
        super().__init__()
        self._service = service
        self._broker = broker
        self._engine = engine
        self._registry = registry
        self._kwalificaties = kwalificaties
        self._calendar = calendar
        self._public_url = public_url
        self._prefetch = prefetch
        self._batch = batch
        self._committed = committed
        self._tracing = tracing
        self._gate = Gate(service.owner, registry)
        self._inlets = [_Inlet(names.facts_queue(service.name), None, deque())]
        if names.takes_submissions(service.owner):
            self._inlets += [
                _Inlet(names.ingress_queue(service.owner, partner.id), partner.id, deque())
                for partner in registry.partners
            ]
        self._subscribers: list[Any] = []
        self._look_for_woken = True
        self._swept = 0.0
        self._ticked = 0.0
        self.looked_at: datetime | None = None
        """Up to which time, by the calendar, everything due was taken up."""

    async def start(self) -> None:
        """Begins to take messages from every queue, each over a channel of its own."""
        for inlet in self._inlets:
            subscriber: Any = self._broker.subscriber(
                RabbitQueue(inlet.queue, durable=True, declare=False),
                channel=Channel(prefetch_count=self._prefetch),
                ack_policy=AckPolicy.MANUAL,
                no_reply=True,
            )
            take = self._taker(inlet)
            subscriber(take)
            # Messages go to the batch as they come: FastStream's way to a handler (parsing, filters, middlewares,
            # injection) would cost a tenth of the whole hop for what is not used here.
            subscriber.consume = take
            await subscriber.start()
            self._subscribers.append(subscriber)

    async def stop(self) -> None:
        """Takes no more. What was not begun goes back to the queues when the connection closes."""
        await super().stop()
        for subscriber in self._subscribers:
            with contextlib.suppress(AMQPError, ConnectionError, RuntimeError):
                await subscriber.stop()

    @property
    def at_rest(self) -> bool:
        return super().at_rest and not any(inlet.waiting for inlet in self._inlets)

    def look_at_due(self) -> None:
        """The time has changed: more may be due."""
        self._ticked = 0.0
        self.wake()

    @property
    def consuming(self) -> bool:
        """Whether every queue has its consumer."""
        return bool(self._subscribers) and all(subscriber.running for subscriber in self._subscribers)

    def in_hand(self) -> dict[Series, Value]:
        """Messages taken from each queue and not judged yet."""
        return {(inlet.queue,): len(inlet.waiting) for inlet in self._inlets}

    def _taker(self, inlet: _Inlet) -> Callable[[AbstractIncomingMessage], Awaitable[None]]:
        async def take(message: AbstractIncomingMessage) -> None:
            with contextlib.suppress(RuntimeError):  # lost already: it will come again
                inlet.waiting.append(_Delivery(inlet, message, message.channel))
            self.wake()

        return take

    # One turn

    async def _turn(self) -> bool:
        """One batch of what came in, and what is due. Whether there was anything to do."""
        due = await self._take_up_due()
        await self._gather()
        taken, suspect = self._pick()
        if not taken:
            return due
        try:
            if suspect:
                await self._alone(taken[0])
            else:
                await self._together(taken)
        except BaseException:
            for delivery in reversed(taken):
                delivery.inlet.waiting.appendleft(delivery)
            raise
        await self._acknowledge(taken)
        return True

    async def _gather(self) -> None:
        """Lets what is coming in come in: a fuller batch is a cheaper one. Waits for nothing that is not there."""
        waiting = -1
        while waiting < (now := sum(len(inlet.waiting) for inlet in self._inlets)) < self._batch:
            waiting = now
            for _ in range(_PASSES):
                await asyncio.sleep(0)

    def _pick(self) -> tuple[list[_Delivery], bool]:
        """The next messages, from the queues in turn. A suspect comes alone."""
        taken: list[_Delivery] = []
        open_inlets = deque(inlet for inlet in self._inlets if inlet.waiting)
        while open_inlets and len(taken) < self._batch:
            inlet = open_inlets.popleft()
            if _redelivered(inlet.waiting[0].message) >= _SUSPECT:
                if taken:
                    continue
                return [inlet.waiting.popleft()], True
            taken.append(inlet.waiting.popleft())
            if inlet.waiting:
                open_inlets.append(inlet)
        self._inlets.append(self._inlets.pop(0))
        return taken, False

    async def _together(self, taken: list[_Delivery]) -> None:
        items = [self._read(delivery) for delivery in taken]
        try:
            await self._commit(items)
        except Exception as error:
            if is_passing(error):
                raise
            _log.warning("batch failed, one by one", extra={"cause": type(error).__qualname__})
            for item in items:
                item.pending = None
                await self._singly(item)

    async def _singly(self, item: Item) -> None:
        """Only the culprit suffers: what fails alone is set aside."""
        for _ in range(3):
            try:
                await self._commit([item])
                return
            except Exception as error:
                if is_passing(error):
                    raise
                failure = error
                item.pending = None
        async with self._transaction() as batch:
            await batch.fail(item, failure)
        self._look_for_woken = True
        self._committed()

    async def _alone(self, delivery: _Delivery) -> None:
        """Tries a message that may have brought the process down, after writing down that it is tried."""
        item = self._read(delivery)
        content = item.content
        if item.key is None or isinstance(content, Turned | Broken | Due):
            await self._singly(item)
            return
        row = Pending(
            key=item.key,
            status=ATTEMPTING,
            partner=item.partner,
            entity=content.type.entity,
            subject=content.subject,
            sequence=content.sequence if isinstance(content, Fact) else None,
            body=item.body,
        )
        async with self._engine.begin() as connection:
            storage = Storage(connection, self._service.name)
            known = await storage.known([item.key])
            attempts = 0 if known else await storage.attempt(row)
        if attempts > _SUSPECT:
            async with self._transaction() as batch:
                await batch.park(item, ENDED_PROCESS)
            self._committed()
            return
        await self._singly(item)
        if attempts:
            async with self._engine.begin() as connection:
                await Storage(connection, self._service.name).forget_attempt(item.key)

    async def _commit(self, items: list[Item]) -> None:
        async with self._transaction() as batch:
            await batch.run(items, look_for_woken=self._look_for_woken)
        self._look_for_woken |= batch.set_aside
        self._committed()

    async def _take_up_due(self) -> bool:
        """Retries, expired waits, what follows from time alone and, now and then, everything that waits.

        Whether there was any.
        """
        now = asyncio.get_running_loop().time()
        if now - self._ticked < _TICK:
            return False
        self._ticked, today = now, self._calendar.now()
        async with self._engine.begin() as connection:
            storage = Storage(connection, self._service.name)
            self._look_for_woken = await storage.has_pending()
            rows = await storage.due(datetime.now(UTC), today, _DUE_AT_ONCE) if self._look_for_woken else []
            if self._look_for_woken and not rows and now - self._swept >= _SWEEP:
                self._swept = now
                rows = await storage.waiting(_DUE_AT_ONCE)
            due = await self._fallen_due(storage, today)
            if not rows and not due:
                self.looked_at = today
                return False
        self._ticked = 0.0  # there may be more
        if rows:
            await self._resume_all(rows)
        if due:
            await self._fall_due(due)
        self._committed()
        return True

    async def _resume_all(self, rows: list[Pending]) -> None:
        dangerous = [row for row in rows if row.cause == ENDED_PROCESS and row.status == RETRY]
        for row in dangerous:
            await self._resume_parked(row)
        rows = [row for row in rows if row not in dangerous]
        try:
            if rows:
                await self._resume(rows)
        except Exception as error:
            if is_passing(error):
                raise
            for row in rows:
                await self._resume_singly(row)

    async def _resume(self, rows: list[Pending], *, parked: bool = False) -> None:
        async with self._transaction() as batch:
            await batch.resume([row.key for row in rows], parked=parked)

    async def _resume_parked(self, row: Pending) -> None:
        """Tries a message again that ended the process: it stays parked until it proves harmless."""
        async with self._engine.begin() as connection:
            await Storage(connection, self._service.name).park(row.key)
        await self._resume_singly(row, parked=True)

    async def _resume_singly(self, row: Pending, *, parked: bool = False) -> None:
        try:
            await self._resume([row], parked=parked)
        except Exception as error:
            if is_passing(error):
                raise
            async with self._transaction() as batch:
                await batch.fail_again(row, error)

    async def _fallen_due(self, storage: Storage, now: datetime) -> list[Due]:
        stores = (self._service.stores[kind] for kind in self._service.on_due)
        return [
            Due(store.kind, key, child_of(None))
            for store in stores
            for key in await storage.overdue(store, now, limit=_DUE_AT_ONCE)
        ]

    async def _fall_due(self, due: list[Due]) -> None:
        """In one transaction, or one by one where the database refuses that."""
        try:
            async with self._transaction() as batch:
                await batch.fall_due(due)
        except Exception as error:
            if is_passing(error):
                raise
            if len(due) > 1:
                for work in due:
                    await self._fall_due([work])
                return
            async with self._transaction() as batch:
                await batch.fail_due(due[0], error)

    @contextlib.asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Batch]:
        work = UnitOfWork(
            self._service.owner,
            self._service.stores,
            self._registry,
            self._kwalificaties,
            self._calendar,
            public_url=self._public_url,
        )
        async with self._engine.begin() as connection:
            spans = None if self._tracing is None else self._tracing.batch(connection.info)
            batch = Batch(self._service, self._gate, work, Storage(connection, self._service.name), spans)
            yield batch
        batch.committed()

    def _read(self, delivery: _Delivery) -> Item:
        inlet, message = delivery.inlet, delivery.message
        arrival = Arrival(
            partner=inlet.partner or "",
            body=message.body,
            content_type=message.content_type,
            message_id=message.message_id,
            user_id=message.user_id,
            headers=message.headers,
        )
        if inlet.partner is not None:
            admitted = self._gate.admit(arrival)
            body = b"" if isinstance(admitted, Turned) else arrival.structured()
            return Item(content=admitted, hash=arrival.digest, body=body)
        try:
            content: Fact[Any] | Broken = wire.decode(message.body)
        except wire.Unusable as problem:
            content = Broken(
                source="",
                id=f"sha256:{arrival.digest.hex()}",
                cause=str(problem),
                place=problem.place,
                newer=problem.newer,
            )
            _log.error("not a fact, set aside", extra={"message_id": content.id, "cause": content.cause})
        return Item(content=content, hash=arrival.digest, body=message.body)

    async def _acknowledge(self, taken: list[_Delivery]) -> None:
        """One acknowledgement a channel: everything up to the last of a queue is committed."""
        last = {id(delivery.channel): delivery.message for delivery in taken}
        for message in last.values():
            try:
                await message.ack(multiple=True)
            except (AMQPError, ConnectionError, RuntimeError) as error:
                _log.info("not acknowledged, will come again", extra={"cause": type(error).__qualname__})


def _redelivered(message: AbstractIncomingMessage) -> int:
    count = message.headers.get("x-delivery-count", 0)
    return count if isinstance(count, int) else 0
