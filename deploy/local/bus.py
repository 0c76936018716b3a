"""The whole bus on one machine: broker, database, provisioning, migrations, mail catcher, four services."""

import asyncio
import contextlib
import json
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Final, Protocol, Self

import httpx
from joserfc.jwk import ECKey

from contracts.partners import Registry
from deploy.local import broker as local_broker
from deploy.local import persons
from deploy.local import postgres as local_postgres
from deploy.local.partners import records
from deploy.local.processes import Claim, Supervisor, free_port, write_private
from services.billing.handlers import service as billing
from services.chassis.calendar import SteppedCalendar
from services.chassis.database import connect, migrate
from services.chassis.provision import provision
from services.chassis.service import Service
from services.intake import kluis
from services.intake.handlers import service as intake
from services.matching.handlers import service as matching
from services.notify.handlers import service as notify

ROOT: Final = Path(__file__).parent.parent.parent
SERVICES: Final[tuple[Service, ...]] = (intake, matching, billing, notify)
PARTNERS: Final = ROOT / "deploy" / "partners.toml"
KWALIFICATIES: Final = ROOT / "deploy" / "kwalificaties.toml"
VHOST: Final = "praktijkbus"
KEYS: Final = "sleutels"
"""The name of the database of the keys of persons."""
TRACES: Final = "traces"
"""The folder, in the state folder, where the services keep their spans."""
_READY: Final = 60.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Address:
    """Where a running local bus is, for the command line. Kept in the state folder, readable by its owner."""

    amqp: dict[str, str]
    """For each account its AMQP URL."""
    databases: dict[str, str]
    """For each service, for the keys of persons, and for the simulated partners, its database."""
    management_url: str
    admin: tuple[str, str]
    mail_page: str
    mail_folder: str
    public_key: str
    tokens: dict[str, str]
    """For each partner, and for notify, the token with which it fetches person data."""

    @classmethod
    def load(cls, state: Path) -> Self:
        """The address of the bus whose data is in `state`.

        Raises:
            FileNotFoundError: no bus was started there.
        """
        content = json.loads((state / "bus.json").read_text(encoding="utf-8"))
        return cls(**{**content, "admin": tuple(content["admin"])})

    def save(self, state: Path) -> None:
        write_private(state / "bus.json", json.dumps(asdict(self), indent=2))


class Bus(Protocol):
    """A running bus, here or in containers, as the simulated partners and the reckoning see it."""

    registry: Registry
    address: Address
    clock: SteppedCalendar | None

    def instances(self, service: Service) -> Sequence[tuple[str, int]]:
        """Host and port of each process of that service."""

    def mails(self) -> list[EmailMessage]:
        """What was caught, in order of arrival."""

    def public_key(self) -> ECKey:
        """The key with which partners encrypt `persoon`."""


class LocalBus:
    """Starts what is needed, and stops all it started and only that."""

    def __init__(self, state: Path, say: Say, *, begin: datetime | None = None) -> None:
        """`begin`: when its clock begins, if none runs there yet. Without either it goes by the real time."""
        self.state = state
        self._begin = begin
        self.registry = Registry.load(PARTNERS)
        self._say = say
        self._exits = contextlib.ExitStack()
        self.extra_settings: dict[str, str] = {}
        """`PRAKTIJKBUS_*` variables that every service is started with besides."""
        self.supervisor = Supervisor(state / "logs")

    def __enter__(self) -> Self:
        """Starts everything; a second start finds the data of the first.

        Raises:
            FolderInUse, BrokerUnavailable, DatabaseUnavailable, ProcessFailed: with what to do.
        """
        try:
            claim = Claim(self.state)
            self._exits.callback(claim.release)
            self.broker = local_broker.find_or_start(self.state / "rabbitmq", self._say)
            self._exits.callback(self.broker.stop)
            self.database = local_postgres.find_or_start(self.state / "postgres", self._say)
            self._exits.callback(self.database.stop)
            self._exits.callback(self.supervisor.stop_all)
            self.passwords = self._passwords()
            self.tokens = persons.prepare(self._persons, [notify.name, *(p.id for p in self.registry.partners)])
            self.ports = {service.name: free_port() for service in SERVICES}
            self._set_clock()
            self.address = self._prepare()
            self._start_processes()
            self.address.save(self.state)
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def _set_clock(self) -> None:
        file = self.state / "clock"
        if self._begin is not None:
            SteppedCalendar.begin(file, self._begin)
        self.clock = SteppedCalendar(file) if file.exists() else None
        """What all go by who play months in a minute; None for the real time."""

    def _passwords(self) -> dict[str, str]:
        """A password a file, made once, as secrets are handed to containers."""
        accounts = [*(service.name for service in SERVICES), *(partner.id for partner in self.registry.partners)]
        folder = self.state / "secrets"
        folder.mkdir(parents=True, exist_ok=True)
        passwords = {}
        for account in accounts:
            file = folder / account
            if not file.exists():
                write_private(file, secrets.token_urlsafe(24))
            passwords[account] = file.read_text(encoding="utf-8")
        return passwords

    def _prepare(self) -> Address:
        self._say("Accounts, exchanges, queues and tables …")
        broker = self.broker.address
        databases = {name: self.database_url(name) for name in (*(s.name for s in SERVICES), KEYS, "partners")}
        for name in databases:
            self.database.ensure_database(_database(name))
        asyncio.run(self._provision_and_migrate())
        self._smtp_port, self._mail_port = free_port(), free_port()
        return Address(
            amqp={account: self.amqp_url(account) for account in self.passwords},
            databases=databases,
            management_url=broker.management_url,
            admin=(broker.admin, broker.password),
            mail_page=f"http://127.0.0.1:{self._mail_port}/",
            mail_folder=str(self.state / "mail"),
            public_key=str(self._persons / persons.PUBLIC),
            tokens=self.tokens,
        )

    def amqp_url(self, account: str) -> str:
        return self.broker.address.amqp_url(VHOST, account, self.passwords[account])

    def database_url(self, name: str) -> str:
        return self.database.url(_database(name))

    async def _provision_and_migrate(self) -> None:
        broker = self.broker.address
        await asyncio.gather(
            provision(
                broker.management_url,
                (broker.admin, broker.password),
                VHOST,
                self.registry,
                list(SERVICES),
                self.passwords,
            ),
            self._migrate(),
        )

    async def _migrate(self) -> None:
        for service in SERVICES:
            engine = connect(self.database_url(service.name))
            await migrate(engine, service.name, ROOT / "services" / service.name / "migrations")
            await engine.dispose()
        engine = connect(self.database_url(KEYS))
        await kluis.migrate(engine)
        await engine.dispose()
        engine = connect(self.database_url("partners"))
        await records.prepare(engine)
        await engine.dispose()

    def _start_processes(self) -> None:
        self._say("Services …")
        self.supervisor.start(
            "mailcatcher",
            [
                *(sys.executable, "-m", "deploy.local.mailcatcher"),
                *("--port", str(self._smtp_port), "--http-port", str(self._mail_port)),
                *("--folder", str(self.state / "mail")),
            ],
            {"PYTHONPATH": str(ROOT)},
            f"http://127.0.0.1:{self._mail_port}/ready",
        )
        for service in SERVICES:
            self.start_service(service)
        self.supervisor.wait_ready(["mailcatcher", *(service.name for service in SERVICES)], _READY)

    def start_service(self, service: Service, program: Sequence[str] | None = None) -> None:
        """Starts one service as a process of its own, each time on the same port."""
        port = self.ports[service.name]
        self.supervisor.start(
            service.name,
            [sys.executable, *(program or ("-m", f"services.{service.name}"))],
            {
                "PYTHONPATH": str(ROOT),
                "PRAKTIJKBUS_AMQP_URL": self.amqp_url(service.name),
                "PRAKTIJKBUS_DATABASE_URL": self.database_url(service.name),
                "PRAKTIJKBUS_PARTNERS": str(PARTNERS),
                "PRAKTIJKBUS_KWALIFICATIES": str(KWALIFICATIES),
                "PRAKTIJKBUS_PORT": str(port),
                "PRAKTIJKBUS_PUBLIC_URL": self.persons_url,
                "PRAKTIJKBUS_SMTP_PORT": str(self._smtp_port),
                "PRAKTIJKBUS_TRACE_FILE": str(self.state / TRACES / f"{service.name}.jsonl"),
                **({"PRAKTIJKBUS_CLOCK": str(self.state / "clock")} if self.clock else {}),
                **self._around_persons(service),
                **self.extra_settings,
            },
            f"http://127.0.0.1:{port}/ready",
        )

    def _around_persons(self, service: Service) -> dict[str, str]:
        """What a service that deals with person data is told besides; the others are told nothing of it."""
        if service is intake:
            return {
                "PRAKTIJKBUS_PERSONS": str(self._persons),
                "PRAKTIJKBUS_KEYS_DATABASE_URL": self.database_url(KEYS),
            }
        if service is notify:
            return {
                "PRAKTIJKBUS_PERSONS_URL": self.persons_url,
                "PRAKTIJKBUS_PERSONS_TOKEN": self.tokens[notify.name],
            }
        return {}

    @property
    def persons_url(self) -> str:
        """Where intake answers for person data."""
        return f"http://127.0.0.1:{self.ports[intake.name]}/personen"

    @property
    def _persons(self) -> Path:
        return self.state / "persons"

    def instances(self, service: Service) -> Sequence[tuple[str, int]]:
        """Host and port of the process of that service."""
        return [("127.0.0.1", self.ports[service.name])]

    def mails(self) -> list[EmailMessage]:
        """What was caught, in order of arrival."""
        from deploy.local.mailcatcher import read_mails  # which needs praktijkbus[local]

        return read_mails(Path(self.address.mail_folder))

    def public_key(self) -> ECKey:
        """The key with which partners encrypt `persoon`."""
        return persons.public_key(self._persons / persons.PUBLIC)

    def queue_depths(self) -> dict[str, int]:
        """Messages in each queue of the bus, ready or unacknowledged, as the broker counts them."""
        answer = httpx.get(
            f"{self.address.management_url}/api/queues/{VHOST}",
            auth=self.address.admin,
            params={"columns": "name,messages"},
            timeout=30,
        )
        answer.raise_for_status()
        return {queue["name"]: queue.get("messages", 0) for queue in answer.json()}


def _database(name: str) -> str:
    return f"praktijkbus_{name}"
