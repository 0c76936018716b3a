"""Calls to another service over HTTP, each a part of what is in hand."""

from http import HTTPStatus

import httpx

from services.chassis.telemetry import Attributes, part


class Calling(httpx.AsyncHTTPTransport):
    """Sends requests, each as a part of what is in hand: `httpx.AsyncClient(transport=Calling())`."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        asked: Attributes = {
            "http.request.method": request.method,
            "server.address": url.host,
            "server.port": port,
        }
        with part(request.method, asked) as call:
            request.headers.update(call.headers)
            answer = await super().handle_async_request(request)
            call.attributes["http.response.status_code"] = answer.status_code
            if answer.status_code >= HTTPStatus.BAD_REQUEST:
                call.error = str(answer.status_code)
            return answer
