from __future__ import annotations

import asyncio
import socket
import stat
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aio_pika
import httpx
import pytest

from deploy.local import broker
from deploy.local.broker import (
    AMQP_VARIABLE,
    MANAGEMENT_VARIABLE,
    BrokerAddress,
    BrokerUnavailable,
    PrivateNode,
    find_or_start,
)
from deploy.local.processes import FolderInUse, command_line


def quiet(_: str) -> None:
    pass


LAUNCHER = """
import sys
from pathlib import Path
from deploy.local.broker import PrivateNode, ensure_installed
ensure_installed(str)
node = PrivateNode(Path(sys.argv[1]), str)
node.start()
print(node.pid, node.address.amqp_url(), flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class EarlierRun:
    """What a launcher that was killed left behind: a node, and a message in its queue `earlier`."""

    state: Path
    pid: int
    url: str


@pytest.fixture(scope="module")
async def earlier_run(tmp_path_factory: pytest.TempPathFactory) -> EarlierRun:
    state = tmp_path_factory.mktemp("a folder") / "rabbitmq"
    launcher = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LAUNCHER, str(state), stdin=PIPE, stdout=PIPE
    )
    assert launcher.stdout is not None
    pid, url = (await launcher.stdout.readline()).decode().split()
    await publish(url, "earlier", b"van gisteren")
    launcher.kill()
    await launcher.communicate()
    return EarlierRun(state, int(pid), url)


@pytest.fixture(scope="module")
async def node(earlier_run: EarlierRun) -> AsyncIterator[PrivateNode]:
    node = PrivateNode(earlier_run.state, quiet)
    await asyncio.to_thread(node.start)
    yield node
    node.kill()  # a graceful stop takes seconds
    await asyncio.to_thread(node.stop)


async def publish(url: str, queue_name: str, body: bytes) -> None:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        queue = await channel.declare_queue(queue_name, durable=True, arguments={"x-queue-type": "quorum"})
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, routing_key=queue.name, mandatory=True)


async def take(url: str, queue_name: str) -> bytes:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.get_queue(queue_name)
        async with queue.iterator(timeout=20) as messages:
            async for message in messages:
                await message.ack()
                return message.body
    raise AssertionError("the queue gave nothing")


def wait_until_it_would_survive(queue_name: str, state: Path) -> None:
    """RabbitMQ writes the name of a new quorum queue down up to three seconds after it confirmed it."""
    give_up = time.monotonic() + 10
    while not any(queue_name.encode() in path.read_bytes() for path in state.rglob("names.dets")):
        assert time.monotonic() < give_up, f"{queue_name} was not written down"
        time.sleep(0.05)


async def test_the_next_run_takes_over_from_a_launcher_that_was_killed(
    node: PrivateNode, earlier_run: EarlierRun
) -> None:
    assert node.pid not in (None, earlier_run.pid)
    assert "beam" not in command_line(earlier_run.pid)
    assert node.address.amqp_url() == earlier_run.url
    assert await take(node.address.amqp_url(), "earlier") == b"van gisteren"


async def test_a_durable_message_survives_a_crash_on_the_same_address(node: PrivateNode) -> None:
    before = node.address
    await publish(before.amqp_url(), "crash", b"feit")
    await asyncio.to_thread(wait_until_it_would_survive, "crash", node.state)

    node.kill()
    assert node.pid is None
    await asyncio.to_thread(node.restart)

    assert node.address == before
    assert await take(node.address.amqp_url(), "crash") == b"feit"


async def test_partners_may_send_no_more_than_the_limit(node: PrivateNode) -> None:
    connection = await aio_pika.connect(node.address.amqp_url())
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        too_large = aio_pika.Message(b"x" * (broker.MAX_MESSAGE_BYTES + 1))
        with pytest.raises(aio_pika.exceptions.ChannelPreconditionFailed):
            await channel.default_exchange.publish(too_large, routing_key="nergens")


def test_it_has_the_plugins_we_need_on_loopback_only(node: PrivateNode) -> None:
    address = node.address
    answer = httpx.get(
        f"{address.management_url}/api/overview", auth=(address.admin, address.password), trust_env=False
    )
    overview = answer.raise_for_status().json()
    assert "x-consistent-hash" in {kind["name"] for kind in overview["exchange_types"]}
    ports = {entry["protocol"]: entry["port"] for entry in overview["listeners"]}
    assert ports.keys() >= {"amqp", "http", "http/prometheus"}
    for port in ports.values():  # 127.0.0.2 is this machine too, but not the address it listens on
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5)


def test_secrets_are_for_their_owner_only(node: PrivateNode) -> None:
    assert node.address.password not in repr(node.address)
    assert stat.S_IMODE(node.state.stat().st_mode) == 0o700
    for secret in ("identity.json", "rabbitmq.conf"):
        assert stat.S_IMODE((node.state / secret).stat().st_mode) == 0o600


def test_a_second_launcher_does_not_touch_a_running_node(node: PrivateNode) -> None:
    with pytest.raises(FolderInUse):
        PrivateNode(node.state, quiet).start()
    assert node.pid is not None


def test_a_given_broker_is_used_and_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(AMQP_VARIABLE, "amqp://beheer:ge%40heim@mq.example:5673/")
    monkeypatch.delenv(MANAGEMENT_VARIABLE, raising=False)

    found = find_or_start(tmp_path / "rabbitmq", quiet)
    found.stop()

    assert found.address == BrokerAddress("mq.example", 5673, "http://mq.example:15672", "beheer", "ge@heim")
    assert not (tmp_path / "rabbitmq").exists()

    monkeypatch.setenv(MANAGEMENT_VARIABLE, "https://mq.example/beheer/")
    assert find_or_start(tmp_path, quiet).address.management_url == "https://mq.example/beheer"


def test_without_any_broker_it_says_three_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(AMQP_VARIABLE, raising=False)
    monkeypatch.setattr(broker, "_engine", lambda: None)
    monkeypatch.setattr(broker, "_server", lambda: None)

    with pytest.raises(BrokerUnavailable, match=r"\(1\) .* \(2\) .* \(3\) "):
        find_or_start(tmp_path / "rabbitmq", quiet, allow_install=False)


def test_names_in_an_amqp_url_are_encoded() -> None:
    address = BrokerAddress("127.0.0.1", 5672, "http://127.0.0.1:15672", "beheer", "a/b")
    assert address.amqp_url() == "amqp://beheer:a%2Fb@127.0.0.1:5672/%2F"
    assert address.amqp_url("noord", "van.wsp", "@:") == "amqp://van.wsp:%40%3A@127.0.0.1:5672/noord"
