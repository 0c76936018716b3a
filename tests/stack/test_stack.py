"""The stack as an operator runs it, by the commands of the README: a trial, a roll and an upgrade under load.

What is counted, and in how many seconds, is written to `build/deploy.json`.
"""

import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import pytest

from deploy.local.bus import ROOT
from tests import previous
from tests.stack.engine import Engine
from tests.stack.images import PREVIOUS
from tests.stack.stack import NAMES, STATE, Json, Stack, commands

pytestmark = pytest.mark.timeout(1800)
LIMIT_MB: Final = 250


@contextmanager
def load(stack: Stack) -> Iterator[Callable[[], Json]]:
    """Partners go on working, more and more of them; call it to end that and to have the reckoning."""
    player = f"{stack.project}-speelt"
    words = ["compose", "--profile", "proef", "run", "--rm", "--name", player, "partners", "play", "--on"]
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(stack.docker, *words)

        def under_way() -> bool:
            return player in stack.docker("ps", "--format", "{{.Names}}")

        def reckoning() -> Json:
            assert not playing.done(), playing.result()
            stack.docker("kill", "--signal", "TERM", player)
            return read_reckoning(playing.result())

        try:
            await_(under_way, playing)
            yield reckoning
        finally:
            if not playing.done():
                stack.docker("kill", player)


def await_(condition: Callable[[], bool], beside: "Future[str]") -> None:
    """Waits for it, as long as what goes on beside it goes on."""
    while not condition():
        assert not beside.done(), beside.result()
        time.sleep(0.2)


def read_reckoning(said: str) -> Json:
    found: Json = json.loads(next(line for line in reversed(said.splitlines()) if line.startswith("{")))
    return found


def all_accounted_for(figures: Json) -> Json:
    """What goes into the report of a reckoning in which nothing is missing, and nothing is there twice."""
    assert figures["findings"] == []
    assert (figures["lost"], figures["duplicate_effects"], figures["parked"]) == (0, 0, 0)
    assert figures["eindstanden"] == {"gesloten": figures["trajecten"]}
    return {
        "trajecten": figures["trajecten"],
        "messages": figures["submissions"] + figures["facts"],
        "lost": figures["lost"],
        "double_effects": figures["duplicate_effects"],
    }


@pytest.fixture(scope="module")
def report() -> Iterator[Json]:
    """`build/deploy.json`, written also when something fails: then without what was not reached."""
    began = time.monotonic()
    found: Json = {"images": {}, "startup_seconds": {}, "messages": 0, "lost": None, "double_effects": None}
    yield found
    parts = [found[part] for part in ("pilot", "rolling", "upgrade") if part in found]
    found["messages"] = sum(part["messages"] for part in parts)
    if len(parts) == 3:
        found["lost"] = sum(part["lost"] for part in parts)
        found["double_effects"] = sum(part["double_effects"] for part in parts)
    found["seconds"] = round(time.monotonic() - began)
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "deploy.json").write_text(json.dumps(found, indent=2) + "\n")


@pytest.fixture(scope="module")
def stack(engine: Engine) -> Iterator[Stack]:
    stack = Stack(engine, STATE / "checkout")
    stack.end()  # of a run that was killed
    yield stack
    stack.end()


@pytest.fixture(scope="module")
def played(stack: Stack, report: Json) -> Stack:
    """A stack in which the trial was played, and that is up."""
    _, mkdir, secrets, _ = commands()["install"]
    *prepare, up, play, _ = commands()["trial"]
    stack.follow([mkdir, secrets, *prepare])
    began = time.monotonic()
    stack.follow([up])
    report["up_seconds"] = round(time.monotonic() - began, 1)
    report["pilot"] = all_accounted_for(read_reckoning(stack.follow([play])))
    return stack


def test_images_are_small_and_not_of_root(stack: Stack, report: Json) -> None:
    for name in (*NAMES, "beheer"):
        image = stack.inspect(f"praktijkbus/{name}")
        report["images"][name] = round(image["Size"] / 1e6)
        assert image["Size"] < LIMIT_MB * 1e6, name
        assert image["Config"]["User"] == "10001:10001"
        if name != "beheer":
            assert "/ready" in " ".join(health_test(stack, name))


def health_test(stack: Stack, name: str) -> list[str]:
    """The command by which an engine sees how a container is."""
    image = stack.inspect(f"praktijkbus/{name}")
    test: list[str] = (image.get("Healthcheck") or image["Config"]["Healthcheck"])["Test"]
    return test[1:]


def test_trial_is_played_and_every_message_is_accounted_for(played: Stack, report: Json) -> None:
    assert report["pilot"]["trajecten"] == 20
    for name in NAMES:
        report["startup_seconds"][name] = played.seconds_to_start(name)
        assert report["startup_seconds"][name] < 60


def test_services_can_write_nowhere_and_are_healthy(played: Stack) -> None:
    for name in NAMES:
        (container,) = played.containers(name)
        with pytest.raises(RuntimeError, match="Read-only file system"):
            played.docker("exec", container, "python", "-c", "open('/app/here', 'w')")
        host = played.inspect(container)["HostConfig"]
        assert host["Memory"] > 0
        assert host["PidsLimit"] > 0
        played.docker("exec", container, *health_test(played, name))


def test_broker_is_reached_by_tls_and_by_nothing_else(played: Stack) -> None:
    published = {
        (each["HostIp"], int(each["HostPort"]))
        for service in ("rabbitmq", "postgres", "mailpit", "lgtm", *NAMES)
        for bindings in played.inspect(*played.containers(service))["NetworkSettings"]["Ports"].values()
        for each in bindings or ()
    }
    assert published == {("127.0.0.1", port) for port in played.ports.values()}
    assert greeted(played, trusting(played))


def test_certificate_is_renewed_and_partners_go_on_trusting_it(played: Stack) -> None:
    trusted = trusting(played)
    before = greeted(played, trusted)
    played.follow(commands()["certificate"])
    assert greeted(played, trusted) != before
    _, addresses_of_who_plays, *_ = commands()["trial"]
    played.follow([addresses_of_who_plays])


def trusting(stack: Stack) -> ssl.SSLContext:
    """As a partner that was given the authority."""
    return ssl.create_default_context(cafile=stack.deploy / "secrets" / "rabbitmq" / "ca.pem")


def greeted(stack: Stack, trusted: ssl.SSLContext) -> bytes:
    """The certificate of the broker, which wants to know who is there."""
    with (
        socket.create_connection(("127.0.0.1", stack.ports["AMQPS"]), timeout=10) as plain,
        trusted.wrap_socket(plain, server_hostname="localhost") as line,
    ):
        line.sendall(b"AMQP\x00\x00\x09\x01")
        assert line.recv(1) == b"\x01"  # a method frame
        return line.getpeercert(binary_form=True) or b""


def test_command_line_works_on_the_stack(played: Stack) -> None:
    told = played.follow(["docker compose --profile beheer run --rm beheer figures --json"])
    figures = json.loads(told[told.index("{") : told.rindex("}") + 1])
    assert figures["trechter"]["aangemeld"] == 20


def test_backup_is_put_back_and_every_message_is_still_accounted_for(played: Stack, report: Json) -> None:
    """Who plays has nothing more to do: what the outboxes send once more, it has."""
    played.follow(commands()["backup"])
    for name in (*NAMES, "sleutels"):
        assert (played.deploy / f"{name}.dump").read_bytes().startswith(b"PGDMP")
    (restore,) = commands()["restore"]
    *_, play, _ = commands()["trial"]
    played.follow([restore.replace("praktijkbus_broker", f"{played.project}_broker")])
    report["restored"] = all_accounted_for(read_reckoning(played.follow([play])))
    assert report["restored"] == report["pilot"]


def test_every_container_is_replaced_under_load(played: Stack, report: Json) -> None:
    before = {name: played.containers(name) for name in NAMES}
    with load(played) as reckoning:
        began = time.monotonic()
        said = played.follow(commands()["roll"])
        seconds = round(time.monotonic() - began, 1)
        report["rolling"] = {**all_accounted_for(reckoning()), "seconds": seconds, "drain_seconds": drained(said)}
    for name in NAMES:
        assert len(played.containers(name)) == 1
        assert played.containers(name) != before[name]


def drained(said: str) -> dict[str, int]:
    """How long each old container took to stop, as `roll` tells. Seconds are enough."""
    found = {
        name: int(took) for name, took in re.findall(r"^(\w+) is replaced: .* (\d+) s\.$", said, re.MULTILINE)
    }
    assert list(found) == NAMES
    assert max(found.values()) <= 20, found
    return found


def test_upgrade_from_the_previous_version_under_load(played: Stack, report: Json) -> None:
    *prepare, up, _, forget = commands()["trial"]
    played.follow([forget, *prepare])
    played.follow([up], PRAKTIJKBUS_VERSION=PREVIOUS)
    old = {name: played.inspect(*played.containers(name))["Image"] for name in NAMES}
    with load(played) as reckoning:
        began = time.monotonic()
        said = played.follow([line for line in commands()["upgrade"] if line != "docker compose build"])
        seconds = round(time.monotonic() - began, 1)
        report["upgrade"] = {
            "from": previous.COMMIT[:12],
            **all_accounted_for(reckoning()),
            "seconds": seconds,
            "drain_seconds": drained(said),
        }
    for name in NAMES:
        assert played.inspect(*played.containers(name))["Image"] != old[name]
