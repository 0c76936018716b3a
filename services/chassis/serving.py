"""What is served over HTTP, told by its route: an address has an id in it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis.telemetry import usable

if TYPE_CHECKING:
    from services.chassis.tracing import Tracing


class Served:
    """Tells of every request for one of these routes."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute], tracing: "Tracing") -> None:
        self._app = app
        self._routes = [route for route in routes if isinstance(route, Route)]
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._route(scope)
        if route is None:
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        traceparent = usable(headers.get(b"traceparent", b"").decode("latin-1"))
        with self._tracing.serving(scope["method"], scope["scheme"], route.path, traceparent) as told:

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    told.status = message["status"]
                await send(message)

            await self._app(scope, receive, sending)

    def _route(self, scope: Scope) -> Route | None:
        if scope["type"] != "http":
            return None
        return next((route for route in self._routes if route.matches(scope)[0] is Match.FULL), None)
