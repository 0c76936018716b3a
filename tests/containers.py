"""Broker and database in containers, for a test run on a machine where a container engine answers.

The engine is found as Docker's own client does: DOCKER_HOST, the context chosen, the default socket.
"""

import secrets
import socket
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import httpx
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from deploy.local.broker import IMAGE as RABBITMQ
from deploy.local.broker import MAX_MESSAGE_BYTES, PLUGINS, BrokerAddress
from deploy.local.postgres import _GivenServer
from deploy.local.processes import Claim, ProcessFailed

POSTGRES = "docker.io/library/postgres:18"
_START_BOUND = 60.0
"""Seconds a container gets to serve; a test that waits for it has 120."""

testcontainers_config.ryuk_disabled = True  # no third image that is given the engine's socket: see _Container


def why_not(images: Iterable[str], say: Callable[[str], None]) -> str | None:
    """Why these images cannot be used, in one line; None when they can. Downloads what is not there yet."""
    try:
        DockerClient(timeout=10).client.ping()
        engine = DockerClient().client
        for image in images:
            if not engine.images.list(image):
                say(f"downloading {image} …")
                engine.images.pull(image)
    except Exception as error:  # whatever is wrong with an engine, the tests can do without
        return " ".join(str(error).split())[:200]
    return None


class _Container(DockerContainer):
    """Leaves nothing behind: stop() removes it with its data; after a killed run, the next one does."""

    def __init__(self, image: str, state: Path, *ports: int) -> None:
        self._claim = Claim(state)
        name = f"praktijkbus-tests-{uuid.uuid5(uuid.NAMESPACE_URL, f'//{socket.gethostname()}{state.resolve()}')}"
        super().__init__(image, name=name)
        engine = self.get_docker_client()
        same_machine = engine.client.info().get("Name") == socket.gethostname()
        host = "127.0.0.1" if same_machine else engine.host()
        self.host = "127.0.0.1" if host == "localhost" else host
        for port in ports:  # an engine elsewhere (in CI: beside us) is of no use on its own loopback
            cast(Any, self.ports)[f"{port}/tcp"] = (self.host,) if self.host == "127.0.0.1" else None
        for left in engine.client.containers.list(all=True, filters={"name": name}):
            left.remove(force=True, v=True)

    def port(self, port: int) -> int:
        """Where that port of the container can be reached, on `host`."""
        return int(self.get_docker_client().port(self.get_container_id(), port))

    def wait(self, ready: Callable[[], object]) -> None:  # type: ignore[override]
        """Waits until `ready` no longer raises; ProcessFailed with the last lines of the log."""
        give_up = time.monotonic() + _START_BOUND
        while True:
            try:
                ready()
                return
            except Exception as error:  # refused, reset, cut off, not yet authorised, …
                self.reload()
                if self.status not in ("created", "running") or time.monotonic() > give_up:
                    log = b"".join(self.get_logs()).decode(errors="replace")[-1000:]
                    raise ProcessFailed(f"{self.image} is {self.status}, but: {error}\n{log}") from error
            time.sleep(0.2)

    def stop(self, force: bool = True, delete_volume: bool = True) -> None:
        super().stop(force, delete_volume)
        self._claim.release()
