"""Who is ready: what can do its work, and what stands by for it. Who is not, says why."""

import asyncio
from datetime import date
from functools import partial
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from contracts import budget
from deploy.local.processes import free_port
from services.chassis import app as composition
from services.chassis import relay
from services.chassis.app import App
from tests.integration import toy
from tests.stand import Stand, eventually

AMOUNT = budget.Vastgesteld(bedrag_cent=500, van=date(2026, 1, 1), tot=date(2026, 12, 31))


async def health(port: int) -> dict[str, Any]:
    """The answer of /ready, with its status."""
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{port}/ready")
    return {"status": answer.status_code, **answer.json()}


async def answers(port: int) -> bool:
    try:
        await health(port)
    except httpx.TransportError:
        return False
    return True


async def test_process_that_stands_by_is_ready_too(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    beside = toy_stand.settings(toy.service).model_copy(update={"port": free_port()})
    second = App(toy.service, beside)
    running = asyncio.create_task(second.run())
    try:
        ready = {"service": "billing", "ready": True, "consumers": True, "broker": True, "database": True}
        for port in (toy_stand.ports["billing"], beside.port):
            await eventually(partial(answers, port))
            assert await health(port) == {**ready, "status": 200, "relay": True}
    finally:
        second.stop()
        await running


async def test_relay_that_lags_is_told(toy_stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composition, "_RELAY_LAG", 0.0)
    loket = await toy_stand.reader("leerwerkloket")
    async with toy_stand.engines["billing"].connect() as elsewhere:
        # As if another process held the relay and did not get on.
        await elsewhere.execute(text("SELECT pg_advisory_lock(:key)"), {"key": relay._LOCK})
        await toy_stand.run(toy.service)
        port = toy_stand.ports["billing"]
        await eventually(partial(answers, port))
        assert (await health(port))["ready"]
        sent = await loket.submit(budget.Vastgesteld, AMOUNT, subject="POW")

        told = await eventually(partial(health, port), lambda answer: not answer["ready"])
        assert told["status"] == 503
        assert (told["relay"], told["database"], told["broker"], told["consumers"]) == (False, True, True, True)
        await elsewhere.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": relay._LOCK})
    assert (await loket.final_receipt(sent))["uitkomst"] == "aanvaard"
    assert (await eventually(partial(health, port), lambda answer: bool(answer["ready"])))["status"] == 200


async def test_service_that_waits_for_its_database_stops_when_told(toy_stand: Stand) -> None:
    nowhere = SecretStr(f"postgresql+asyncpg://nobody:nothing@127.0.0.1:{free_port()}/none")
    waiting = App(toy.service, toy_stand.settings(toy.service).model_copy(update={"database_url": nowhere}))
    running = asyncio.create_task(waiting.run())
    waiting.stop()
    await asyncio.wait_for(running, 5)
