"""Calls over HTTP are told on both sides, without an id, and are one trace."""

from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from contracts.catalogue import Owner
from services.chassis.calling import Calling
from services.chassis.metrics import HTTP_CLIENT_DURATION, HTTP_SERVER_DURATION
from services.chassis.otlp import CLIENT, SERVER, Operation, Span
from services.chassis.serving import Served
from services.chassis.telemetry import child_of, trace_id
from services.chassis.tracing import Tracing

ASKED = child_of(None)
KEY = "0198c5d2-7c1e-7a33-9d5e-0c6b9a4f1e21"


@pytest.fixture
def told() -> list[Span]:
    return []


@pytest.fixture
def watch(told: list[Span], monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracing]:
    made = Tracing(Owner.INTAKE, amqp_url="amqp://127.0.0.1", database_url="postgresql://127.0.0.1/intake")
    monkeypatch.setattr(made, "export", told.extend)
    yield made
    made.close()


async def answer(request: Request) -> JSONResponse:
    if request.path_params["key"] == "kapot":
        raise RuntimeError("planted")
    return JSONResponse({}, status_code=410)


ROUTE = Route("/personen/{key}", answer)
HEALTH = Route("/live", lambda _: JSONResponse({}))


def asking(watch: Tracing) -> httpx.AsyncClient:
    app = Served(Starlette(routes=[ROUTE, HEALTH]), [ROUTE], watch)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://intake")


async def test_an_answer_is_told_by_its_route_below_who_asked(watch: Tracing, told: list[Span]) -> None:
    async with asking(watch) as client:
        await client.get(f"/personen/{KEY}", headers={"traceparent": ASKED})
        await client.get("/live")
        await client.get("/anders")
    (span,) = told
    assert (span.operation, span.parent, span.failed) == (Operation("GET /personen/{key}", SERVER), ASKED, False)
    assert trace_id(span.own) == trace_id(ASKED)
    assert span.attributes == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "http.route": "/personen/{key}",
        "http.response.status_code": 410,
    }
    (series,) = watch.metrics.snapshot().numbers[HTTP_SERVER_DURATION]
    assert series == ("GET", "http", "/personen/{key}", 410, None)
    assert KEY not in repr(told)


async def test_an_answer_that_failed_is_told_though_the_trace_is_not_sampled(
    watch: Tracing, told: list[Span]
) -> None:
    async with asking(watch) as client:
        for key in (KEY, "kapot"):
            await client.get(f"/personen/{key}", headers={"traceparent": f"{ASKED[:-1]}0"})
    (span,) = told
    assert (span.failed, span.attributes["error.type"], span.own[-2:]) == (True, "500", "01")


async def test_without_a_context_an_answer_begins_a_trace(watch: Tracing, told: list[Span]) -> None:
    async with asking(watch) as client:
        await client.get(f"/personen/{KEY}", headers={"traceparent": "onzin"})
    assert [span.parent for span in told] == [None]


async def test_a_call_that_reaches_nobody_is_told_without_where_exactly(watch: Tracing, told: list[Span]) -> None:
    async with httpx.AsyncClient(transport=Calling(), base_url="http://127.0.0.1:9/personen/") as client:
        with watch.effect("mail", ASKED, 1) as effect, pytest.raises(httpx.ConnectError) as failure:
            await client.get(KEY)
        effect.outcome, effect.failure = "open", failure.value
    call, deliver = told
    assert (call.operation, call.parent) == (Operation("GET", CLIENT), deliver.own)
    assert call.attributes == {
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": 9,
        "error.type": "httpx.ConnectError",
    }
    (series,) = watch.metrics.snapshot().numbers[HTTP_CLIENT_DURATION]
    assert series == ("GET", "127.0.0.1", 9, None, "httpx.ConnectError")
    assert KEY not in repr(told)


async def test_a_call_carries_its_own_context(watch: Tracing, told: list[Span]) -> None:
    seen: list[str] = []

    class Nearby(Calling):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            try:
                return await super().handle_async_request(request)
            finally:
                seen.append(request.headers["traceparent"])

    async with httpx.AsyncClient(transport=Nearby(), base_url="http://127.0.0.1:9") as client:
        with watch.effect("mail", ASKED, 1), pytest.raises(httpx.ConnectError):
            await client.get(KEY)
    assert seen == [told[0].own]
