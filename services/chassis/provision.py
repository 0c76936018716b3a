"""Declares everything on the broker, from the partner registry, over its management API. Idempotent.

Services and partners have no configure right: what exists is decided here. Queue arguments cannot be
changed later, so only type and single-active-consumer are arguments; limits are policies.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx

from contracts.catalogue import CATALOGUE, Owner
from contracts.partners import Registry
from services.chassis import names
from services.chassis.service import Service

_QUORUM: Final = {"x-queue-type": "quorum"}
_SINGLE: Final = {**_QUORUM, "x-single-active-consumer": True}
_TOGETHER: Final = 8
"""Requests to the management API at once."""


class ProvisioningFailed(RuntimeError):
    """The broker refused a declaration. Says which and why."""


async def provision(
    management_url: str,
    admin: tuple[str, str],
    vhost: str,
    registry: Registry,
    services: list[Service],
    passwords: Mapping[str, str],
) -> None:
    """Brings virtual host, users, permissions, exchanges, queues, bindings and policies to what they should be.

    Args:
        management_url: such as `http://127.0.0.1:15672`.
        passwords: of every partner and service account, by name.

    Raises:
        ProvisioningFailed: the broker refused something.
        httpx.TransportError: the broker cannot be reached.
    """
    async with httpx.AsyncClient(base_url=management_url, auth=admin, timeout=30) as http:
        await _Provisioner(http, vhost).run(registry, services, passwords)


class _Provisioner:
    def __init__(self, http: httpx.AsyncClient, vhost: str) -> None:
        self._http = http
        self._vhost = vhost
        self._v = quote(vhost, safe="")
        self._turn = asyncio.Semaphore(_TOGETHER)

    async def run(self, registry: Registry, services: list[Service], passwords: Mapping[str, str]) -> None:
        partners = [partner.id for partner in registry.partners]
        owners = [service.owner for service in services if names.takes_submissions(service.owner)]
        await self._put(f"vhosts/{self._v}", {})
        await self._all(
            self._put(f"users/{account}", {"password": passwords[account], "tags": ""})
            for account in [*partners, *(service.name for service in services)]
        )
        await self._policies()
        await self._all(
            [
                self._exchange(names.UNDELIVERABLE, "fanout"),
                self._exchange(names.DEAD, "fanout"),
            ]
        )
        await self._all(
            [
                self._exchange(names.FACTS, "topic", {"alternate-exchange": names.UNDELIVERABLE}),
                # What matches no stream is answered by intake: an unknown type has a receipt too.
                *(self._exchange(_rest(partner), "fanout") for partner in partners),
                self._queue(names.UNDELIVERABLE, _QUORUM),
                self._queue(names.DEAD, _QUORUM),
                *(self._queue(names.partner_queue(partner), _QUORUM) for partner in partners),
                *(self._queue(names.facts_queue(service.name), _SINGLE) for service in services),
                *(
                    self._queue(names.ingress_queue(owner, partner), _SINGLE)
                    for owner in owners
                    for partner in partners
                ),
            ]
        )
        await self._all(
            self._exchange(names.partner_exchange(partner), "topic", {"alternate-exchange": _rest(partner)})
            for partner in partners
        )
        await self._all(
            [
                self._bind(names.UNDELIVERABLE, names.UNDELIVERABLE, ""),
                self._bind(names.DEAD, names.DEAD, ""),
                *(
                    self._bind(names.FACTS, names.partner_queue(partner), names.partner_queue(partner))
                    for partner in partners
                ),
                *(
                    self._bind(names.FACTS, names.facts_queue(service.name), f"{entity}.*")
                    for service in services
                    for entity in service.entities_heard()
                ),
                *(  # for what is replayed to one service alone
                    self._bind(names.FACTS, names.facts_queue(service.name), names.facts_queue(service.name))
                    for service in services
                ),
                *(
                    self._bind(_rest(partner), names.ingress_queue(Owner.INTAKE, partner), "")
                    for partner in partners
                    if Owner.INTAKE in owners
                ),
                *(
                    self._bind(names.partner_exchange(partner), names.ingress_queue(owner, partner), f"{entity}.*")
                    for partner in partners
                    for owner in owners
                    for entity in CATALOGUE.entities_of(owner)
                ),
            ]
        )
        await self._all(
            [
                *(
                    self._allow(
                        partner,
                        write=re.escape(names.partner_exchange(partner)),
                        read=re.escape(names.partner_queue(partner)),
                    )
                    for partner in partners
                ),
                *(
                    self._allow(service.name, write=names.FACTS, read=rf"{service.name}\.(feiten|van\..*)")
                    for service in services
                ),
            ]
        )

    async def _policies(self) -> None:
        """Limits and dead-lettering. One policy applies to a queue: the one of highest priority."""
        inward = "|".join(owner.value for owner in Owner)
        # A closed connection raises the delivery count of all that was prefetched: the limit is no verdict.
        internal = {
            "delivery-limit": 1000,
            "dead-letter-exchange": names.DEAD,
            "dead-letter-strategy": "at-least-once",
            "overflow": "reject-publish",
        }
        policies = {
            "feiten": (rf"^({inward})\.feiten$", internal),
            # A flood stops at its sender.
            "inzendingen": (rf"^({inward})\.van\.", {**internal, "max-length": 20_000}),
            # RabbitMQ 4 gives up after 20 deliveries unless told otherwise: here lies what nobody may lose.
            "vergaarbak": (rf"^({names.DEAD}|{names.UNDELIVERABLE})$", {"delivery-limit": 1_000_000}),
            # A full queue must not stop the relay: the oldest is dropped, long after an alarm.
            "partners": (r"^aan\.", {"max-length": 200_000, "overflow": "drop-head", "delivery-limit": 1000}),
        }
        await self._all(
            self._put(
                f"policies/{self._v}/{name}",
                {"pattern": pattern, "definition": definition, "apply-to": "queues", "priority": 10},
            )
            for name, (pattern, definition) in policies.items()
        )

    async def _exchange(self, name: str, kind: str, arguments: Mapping[str, Any] | None = None) -> None:
        await self._put(
            f"exchanges/{self._v}/{quote(name, safe='')}",
            {"type": kind, "durable": True, "arguments": arguments or {}},
        )

    async def _queue(self, name: str, arguments: Mapping[str, Any]) -> None:
        await self._put(f"queues/{self._v}/{quote(name, safe='')}", {"durable": True, "arguments": arguments})

    async def _bind(self, exchange: str, queue: str, routing_key: str) -> None:
        await self._send(
            "POST",
            f"bindings/{self._v}/e/{quote(exchange, safe='')}/q/{quote(queue, safe='')}",
            {"routing_key": routing_key, "arguments": {}},
        )

    async def _allow(self, account: str, *, write: str, read: str) -> None:
        await self._put(
            f"permissions/{self._v}/{account}",
            {"configure": "", "write": f"^{write}$", "read": f"^{read}$"},
        )

    async def _put(self, path: str, content: Mapping[str, Any]) -> None:
        await self._send("PUT", path, content)

    async def _send(self, method: str, path: str, content: Mapping[str, Any]) -> None:
        async with self._turn:
            answer = await self._http.request(method, f"/api/{path}", json=content)
        if answer.is_error:
            raise ProvisioningFailed(f"{method} {path}: {answer.status_code} {answer.text[:300]}")

    @staticmethod
    async def _all(requests: Any) -> None:
        await asyncio.gather(*requests)


def _rest(partner: str) -> str:
    """Where a partner's messages go whose routing key names no stream."""
    return f"rest.{partner}"
