"""Broker and database in containers, for a test run on a machine where a container engine answers.

The engine is found as Docker's own client does: DOCKER_HOST, the context chosen, the default socket.
"""

import contextlib
import gc
import secrets
import socket
import time
import uuid
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import httpx
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from deploy.local.broker import IMAGE, MAX_MESSAGE_BYTES, PLUGINS, BrokerAddress
from deploy.local.postgres import GivenServer
from deploy.local.processes import Claim, ProcessFailed

RABBITMQ = IMAGE
POSTGRES = "docker.io/library/postgres:18"
_START_BOUND = 60.0
"""Seconds a container gets to serve; the test that waits for it has 120."""

testcontainers_config.ryuk_disabled = True  # no third image that is given the engine's socket; see _start()


def why_not(images: Iterable[str], say: Callable[[str], None]) -> str | None:
    """Why these images cannot be used, in one line; None when they can. Downloads what is not there yet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the client forgets sockets that nobody answered on
        try:
            with contextlib.closing(DockerClient(timeout=10).client) as engine:
                engine.ping()
            with contextlib.closing(DockerClient(timeout=600).client) as engine:
                for image in images:
                    try:
                        engine.images.get(image)
                    except Exception:  # not there, and else the next call tells
                        say(f"downloading {image} …")
                        engine.images.pull(image)
        except Exception as error:  # whatever is wrong with an engine, the tests can do without
            reason = " ".join(str(getattr(error, "explanation", None) or error).split())[:200]
        else:
            return None
        gc.collect()
        return reason


class Rabbit:
    """Satisfies Broker. Settings as for a private node."""

    def __init__(self, state: Path) -> None:
        word = secrets.token_urlsafe(24)
        limits = f"-rabbit max_message_size {MAX_MESSAGE_BYTES} -rabbit collect_statistics_interval 1000"
        boot = (
            f"rabbitmq-plugins enable --offline {' '.join(PLUGINS)} && exec docker-entrypoint.sh rabbitmq-server"
        )
        container = (
            DockerContainer(RABBITMQ)
            .with_command(["sh", "-c", boot])
            .with_envs(
                RABBITMQ_DEFAULT_USER="beheer",
                RABBITMQ_DEFAULT_PASS=word,
                RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=limits,
            )
        )

        def ready(host: str, ports: list[int]) -> None:
            url = f"http://{host}:{ports[1]}"
            listens = f"{url}/api/health/checks/port-listener/5672"
            httpx.get(listens, auth=("beheer", word), timeout=5, trust_env=False).raise_for_status()
            self.address = BrokerAddress(host, ports[0], url, "beheer", word)

        self.stop = _start(container, state, [5672, 15672], ready)


class Database(GivenServer):
    """Satisfies DatabaseServer."""

    def __init__(self, state: Path) -> None:
        word = secrets.token_urlsafe(24)
        container = (
            DockerContainer(POSTGRES)
            .with_command(["-c", "max_connections=200", "-c", "jit=off"])
            .with_envs(
                POSTGRES_PASSWORD=word,
                POSTGRES_INITDB_ARGS="-E UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8",
            )
        )

        def ready(host: str, ports: list[int]) -> None:
            super(Database, self).__init__(f"postgresql://postgres:{word}@{host}:{ports[0]}/postgres")
            self.ensure_database("postgres")  # is there: this connects

        self._end = _start(container, state, [5432], ready)

    def stop(self) -> None:
        self._end()


def _start(
    container: DockerContainer, state: Path, ports: list[int], ready: Callable[[str, list[int]], None]
) -> Callable[[], None]:
    """Starts it, and waits until `ready` no longer raises; how to stop it again, data included.

    What a killed run of the same state folder left behind is removed. Raises ProcessFailed, or FolderInUse.
    """
    claim = Claim(state)
    engine = container.get_docker_client()

    def stop() -> None:
        container.stop()
        claim.release()

    try:
        here = socket.gethostname()
        name = f"praktijkbus-tests-{uuid.uuid5(uuid.NAMESPACE_URL, f'file://{here}{state.resolve()}')}"
        for left in engine.client.containers.list(all=True, filters={"name": name}):
            left.remove(force=True, v=True)
        host = "localhost" if engine.client.info().get("Name") == here else engine.host()
        host = "127.0.0.1" if host == "localhost" else host
        for port in ports:  # an engine elsewhere, as beside a CI job, cannot be reached on its loopback
            cast(Any, container.ports)[f"{port}/tcp"] = (host,) if host == "127.0.0.1" else None
        container.with_name(name).start()
        give_up = time.monotonic() + _START_BOUND
        while True:
            try:
                published = [int(engine.port(container.get_container_id(), port)) for port in ports]
                ready(host, published)
                return stop
            except Exception as error:  # refused, cut off, not authorised yet, …
                container.reload()
                if container.status not in ("created", "running") or time.monotonic() > give_up:
                    log = b"".join(container.get_logs()).decode(errors="replace")[-300:]
                    raise ProcessFailed(f"{container.image} is {container.status}: {error}; {log}") from error
            time.sleep(0.2)
    except BaseException:
        stop()
        raise
