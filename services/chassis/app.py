"""Composition: one service as a process, from its declaration and its settings.

python -m services.matching migrate    # its own step in a roll-out
python -m services.matching            # runs until SIGTERM, then drains
"""

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvicorn
import uvloop
from faststream.rabbit import RabbitBroker
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from contracts.kwalificaties import Kwalificatietabel
from contracts.partners import Registry
from services.chassis import logs
from services.chassis.calendar import EXTRA_DAYS, SteppedCalendar, SystemCalendar, WorkingDays, load_extra_days
from services.chassis.database import connect, ensure_partitions, is_passing, migrate
from services.chassis.effects import Effects
from services.chassis.gauges import Gauges
from services.chassis.metrics import INLET, RELAY_ACTIVE
from services.chassis.relay import Relay
from services.chassis.runner import Runner
from services.chassis.service import Service
from services.chassis.serving import Served
from services.chassis.settings import Settings, load_settings
from services.chassis.telemetry import sample

if TYPE_CHECKING:
    from services.chassis.tracing import Tracing

_log = logging.getLogger(__name__)
_HOUSEKEEPING: Final = 6 * 3600.0
_RELAY_LAG: Final = 60.0
"""Seconds a committed message may wait to be sent, by whichever process relays, before none is ready."""
_CLOCK_LOOK: Final = 0.01
"""Seconds between looks at a stepped clock."""
_OLDEST_UNSENT: Final = text(
    "SELECT extract(epoch FROM clock_timestamp() - created) FROM outbox"
    " WHERE sent IS NULL ORDER BY position LIMIT 1"
)


class _Web(uvicorn.Server):
    """A web server that leaves signals to the app."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class App:
    """One running service: runner, relay, effects and health, over one engine and one broker."""

    def __init__(self, service: Service, settings: Settings, routes: Sequence[BaseRoute] = ()) -> None:
        self._service = service
        self._settings = settings
        self._engine: AsyncEngine = connect(settings.database_url.get_secret_value())
        amqp_url = settings.amqp_url.get_secret_value()
        self._broker = RabbitBroker(amqp_url, logger=None, apply_types=False, graceful_timeout=10)
        self._tracing = _tracing(service, settings)
        self._gauges: Gauges | None = None
        sample(settings.trace_ratio)
        self._relay = Relay(service.name, self._engine, amqp_url, self._tracing)
        self._effects = Effects(self._engine, service.performers, service.needed, self._tracing)
        self._calendar = calendar(settings)
        self._runner = Runner(
            service,
            self._broker,
            self._engine,
            Registry.load(settings.partners),
            Kwalificatietabel.load(settings.kwalificaties),
            self._calendar,
            public_url=settings.public_url,
            prefetch=settings.prefetch,
            batch=settings.batch,
            committed=self._committed,
            tracing=self._tracing,
        )
        health: list[BaseRoute] = [Route("/live", self._live), Route("/ready", self._ready)]
        if settings.clock:
            health.append(Route("/rest", self._rest))
        self._web: ASGIApp = Starlette(routes=[*health, *routes])
        if self._tracing is not None:
            self._observe(self._tracing, routes)
        self._stop = asyncio.Event()

    def _observe(self, tracing: "Tracing", routes: Sequence[BaseRoute]) -> None:
        tracing.count_statements(self._engine)
        if tracing.snapshots is not None:
            self._gauges = Gauges(
                connect(self._settings.database_url.get_secret_value()),
                tracing.metrics,
                tracing.snapshots,
                self._service.readings,
            )
        tracing.metrics.ask(INLET, self._runner.in_hand)
        tracing.metrics.ask(RELAY_ACTIVE, lambda: {(): int(self._relay.active)})
        self._web = Served(self._web, routes, tracing)

    async def run(self) -> None:
        """Runs until `stop`. What is in hand is committed and acknowledged first."""
        async with self._exporting():
            await self._run()

    @contextlib.asynccontextmanager
    async def _exporting(self) -> AsyncIterator[None]:
        """Has all that is logged meanwhile exported, and at the end what is left."""
        if self._tracing is None:
            yield
            return
        exporting = logs.Exporting(self._tracing.line)
        logging.getLogger().addHandler(exporting)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(exporting)
            if self._gauges is not None:
                self._gauges.hand_over()
                await self._gauges.close()
            await asyncio.to_thread(self._tracing.close)

    async def _run(self) -> None:
        config = uvicorn.Config(
            self._web, host=self._settings.host, port=self._settings.port, log_config=None, lifespan="off"
        )
        web = _Web(config)
        if not await self._connect():
            await self._engine.dispose()
            return
        await self._runner.start()
        tasks = [
            asyncio.create_task(self._runner.run(), name="runner"),
            asyncio.create_task(self._relay.run(), name="relay"),
            asyncio.create_task(self._effects.run(), name="effects"),
            asyncio.create_task(web.serve(), name="web"),
        ]
        for_ever = [asyncio.create_task(self._housekeeping(), name="housekeeping")]
        if self._settings.clock:
            for_ever.append(asyncio.create_task(self._follow_clock(), name="clock"))
        if self._gauges is not None:
            for_ever.append(asyncio.create_task(self._gauges.run(self._settings.metrics_every), name="gauges"))
        stop = asyncio.create_task(self._stop.wait(), name="stop")
        _log.info("started")
        try:
            done, _ = await asyncio.wait([stop, *tasks, *for_ever], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stop}:
                task.result()
                raise RuntimeError(f"{task.get_name()} ended by itself")
        finally:
            await self._runner.stop()
            await self._effects.stop()
            await self._relay.stop()
            web.should_exit = True
            for task in for_ever:
                task.cancel()
            await asyncio.wait(tasks, timeout=20)
            await self._broker.stop()
            await self._engine.dispose()
            for close in self._service.closing:
                await close()
            _log.info("stopped")

    @property
    def consuming(self) -> bool:
        """Whether every queue has its consumer."""
        return self._runner.consuming

    def stop(self) -> None:
        """Begins to drain."""
        self._stop.set()

    async def _connect(self) -> bool:
        """Waits for both, so that the order of starting does not matter; False if it was stopped before."""
        while not self._stop.is_set():
            try:
                async with self._engine.connect() as connection:
                    await connection.execute(text("SELECT 1 FROM inbox LIMIT 1"))
                await self._broker.connect()
                return True
            except Exception as error:
                _log.warning("waiting for broker and database", extra={"cause": type(error).__qualname__})
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), 0.5)
        return False

    def _committed(self) -> None:
        self._relay.wake()
        self._effects.wake()

    async def _housekeeping(self) -> None:
        while True:
            for chore in (self._make_partitions, *self._service.chores):
                try:
                    await chore()
                except Exception as error:
                    if not is_passing(error):
                        raise
                    _log.warning("housekeeping put off", extra={"cause": type(error).__qualname__})
            await asyncio.sleep(_HOUSEKEEPING)

    async def _follow_clock(self) -> None:
        """Looks at what is due as soon as a stepped clock was set, rather than at the next tick."""
        seen = self._calendar.now()
        while True:
            await asyncio.sleep(_CLOCK_LOOK)
            if (now := self._calendar.now()) != seen:
                seen = now
                self._runner.look_at_due()

    async def _make_partitions(self) -> None:
        async with self._engine.begin() as connection:
            await ensure_partitions(connection, datetime.now(UTC).date())

    async def _live(self, _: Request) -> JSONResponse:
        return JSONResponse({"service": self._service.name, "live": True})

    async def _ready(self, _: Request) -> JSONResponse:
        """Broker, consumers, database and relay; what cannot do its work is not ready.

        Who stands by is ready: its consumers wait for their turn, and what the other relays is sent.
        """
        checks = {"consumers": self._runner.consuming, "broker": await self._broker.ping(timeout=2)}
        try:
            async with self._engine.connect() as connection:
                waited = await connection.scalar(_OLDEST_UNSENT)
            checks |= {"database": True, "relay": waited is None or waited <= _RELAY_LAG}
        except Exception:
            checks |= {"database": False, "relay": False}
        ready = all(checks.values())
        return JSONResponse(
            {"service": self._service.name, "ready": ready, **checks}, status_code=200 if ready else 503
        )

    async def _rest(self, _: Request) -> JSONResponse:
        """Whether anything is in hand, for whoever sets the clock: it waits for everyone to be at rest.

        `turns` counts what was done: two answers at rest with the same count have nothing in between. Where
        nobody `relays`, facts may lie in the outbox.
        """
        workers = (self._runner, self._relay, self._effects)
        at_rest = all(worker.at_rest for worker in workers) and self._runner.looked_at == self._calendar.now()
        turns = [worker.turns for worker in workers]
        return JSONResponse({"at_rest": at_rest, "relays": self._relay.active, "turns": turns})


def calendar(settings: Settings) -> SystemCalendar:
    """The calendar that the settings ask for: by the real clock, or by a stepped one."""
    rules = WorkingDays(load_extra_days(settings.extra_days) if settings.extra_days else EXTRA_DAYS)
    return SteppedCalendar(settings.clock, rules) if settings.clock else SystemCalendar(rules)


def _tracing(service: Service, settings: Settings) -> "Tracing | None":
    if not settings.otlp_endpoint and settings.trace_file is None:
        return None
    # Nothing of OpenTelemetry is loaded where it is off.
    from services.chassis.tracing import Tracing

    return Tracing(
        service.owner,
        endpoint=settings.otlp_endpoint,
        headers={name: value.get_secret_value() for name, value in settings.otlp_headers.items()},
        file=settings.trace_file,
        amqp_url=settings.amqp_url.get_secret_value(),
        database_url=settings.database_url.get_secret_value(),
        slow=settings.trace_slow,
    )


def main(
    service: Service,
    package: str,
    build: Callable[[Settings], Sequence[BaseRoute]] = lambda _: (),
    migrate_besides: Callable[[Settings], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """The command line of a service process.

    `build` completes the service from its settings; `migrate_besides` is for databases besides its own.
    """
    settings = load_settings()
    logs.configure(service.name, settings.log_level)
    migrations = Path(package).parent / "migrations"
    if sys.argv[1:] == ["migrate"]:
        asyncio.run(_migrate(service, settings, migrations))
        if migrate_besides is not None:
            asyncio.run(migrate_besides(settings))
    else:
        routes = build(settings)
        uvloop.run(_run(service, settings, routes))


async def _migrate(service: Service, settings: Settings, migrations: Path) -> None:
    engine = connect(settings.database_url.get_secret_value())
    await migrate(engine, service.name, migrations)
    await engine.dispose()


async def _run(service: Service, settings: Settings, routes: Sequence[BaseRoute]) -> None:
    app = App(service, settings, routes)
    # A batch makes many objects that all live as long as it does: looking for cycles among them finds none.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, app.stop)
    try:
        await app.run()
    except Exception:
        _log.critical("ended by an error", exc_info=True)
        raise SystemExit(1) from None
