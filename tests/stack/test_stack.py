"""The stack as an operator runs it, by the commands of the README: a trial, a roll and an upgrade under load.

What is counted, and in how many seconds, is written to `build/deploy.json`.
"""

import hashlib
import io
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.local.bus import ROOT, SERVICES
from deploy.local.processes import free_port
from tests import previous
from tests.stack.engine import Engine, find_or_prepare

pytestmark = pytest.mark.timeout(1200)
NAMES: Final = [service.name for service in SERVICES]
LIMIT_MB: Final = 250
STATE: Final = ROOT / ".run" / "stack"
# Of this checkout alone: name servers of networks with the same name know each other's containers.
PROJECT: Final = f"praktijkbus-{hashlib.sha256(str(STATE.resolve()).encode()).hexdigest()[:8]}"
PREVIOUS: Final = "vorige"
PLAYER: Final = f"{PROJECT}-speelt"
PORTS: Final = ("AMQPS", "MAILPIT", "GRAFANA", "PROMETHEUS")

Json = dict[str, Any]


class Stack:
    """A copy of this checkout, in which an operator works."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.deploy = folder / "deploy"
        self.ports = {name: free_port() for name in PORTS}
        shutil.rmtree(folder, ignore_errors=True)
        git = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "-co", "--exclude-standard"]
        listed = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        given = "".join(f"PRAKTIJKBUS_{name}_PORT={port}\n" for name, port in self.ports.items())
        (self.deploy / ".env").write_text(given)

    def follow(self, commands: list[str], **env: str) -> str:
        """What an operator types, a line at a time; what the last one said."""
        said = ""
        for command in commands:
            words = ["sh", "-euc", command]
            said = self.engine.shell(words, cwd=self.deploy, env={"COMPOSE_PROJECT_NAME": PROJECT, **env})
        return said

    def docker(self, *words: str) -> str:
        return self.engine.run("docker", *words, cwd=self.deploy, env={"COMPOSE_PROJECT_NAME": PROJECT})

    def containers(self, service: str) -> list[str]:
        by = [f"label=com.docker.compose.{what}" for what in (f"project={PROJECT}", f"service={service}")]
        return self.docker("ps", "-q", "--no-trunc", "--filter", by[0], "--filter", by[1]).split()

    def inspect(self, container: str) -> Json:
        found: list[Json] = json.loads(self.docker("inspect", container))
        return found[0]

    def seconds_to_start(self, service: str) -> float:
        """From the start of its container until it answered."""
        (container,) = self.containers(service)
        began = datetime.fromisoformat(self.inspect(container)["State"]["StartedAt"])
        words = ["sh", "-c", f"docker logs {container} 2>&1"]
        for line in self.engine.shell(words, cwd=self.deploy).splitlines():
            if "Uvicorn running" in line:
                return round((datetime.fromisoformat(json.loads(line)["time"]) - began).total_seconds(), 1)
        raise AssertionError(f"{service} says nowhere that it serves")

    def end(self) -> None:
        """Takes down what was started, data included."""
        self.docker("compose", "--profile", "proef", "--profile", "beheer", "down", "--volumes", "--timeout", "5")


@contextmanager
def load(stack: Stack) -> Iterator[Callable[[], Json]]:
    """Partners go on working, more and more of them; call it to end that and to have the reckoning."""
    words = ["compose", "--profile", "proef", "run", "--rm", "--name", PLAYER, "partners", "play", "--on"]
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(stack.docker, *words)

        def under_way() -> bool:
            return PLAYER in stack.docker("ps", "--format", "{{.Names}}")

        def reckoning() -> Json:
            assert not playing.done(), playing.result()
            stack.docker("kill", "--signal", "TERM", PLAYER)
            return read_reckoning(playing.result())

        try:
            await_(under_way, playing)
            yield reckoning
        finally:
            if not playing.done():
                stack.docker("kill", PLAYER)


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


def commands() -> dict[str, list[str]]:
    """The commands of the README's section, by what they are for."""
    section = (ROOT / "README.md").read_text().partition("## Run it in production")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    install, trial, roll, upgrade, backup = blocks
    return {
        "install": [line for line in install.splitlines() if line != "cd deploy"],
        "trial": trial.splitlines(),
        "roll": roll.splitlines(),
        "upgrade": [line for line in upgrade.splitlines() if line != "git pull"],
        "backup": [backup],
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
def engine(report: Json, pytestconfig: pytest.Config) -> Engine:
    began = time.monotonic()
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            sys.stderr.write(f"{time.monotonic() - began:5.0f} s  {line}\n")

    return find_or_prepare(STATE, say)


@pytest.fixture(scope="module")
def built(engine: Engine) -> Iterator[Stack]:
    stack = Stack(engine, STATE / "checkout")
    stack.end()  # of a run that was killed
    stack.follow(commands()["install"][:1])
    yield stack
    stack.end()


@pytest.fixture(scope="module")
def played(built: Stack, report: Json) -> Stack:
    """A stack in which the trial was played, and that is up."""
    *_, mkdir, secrets, _ = commands()["install"]
    *prepare, up, play, _ = commands()["trial"]
    built.follow([mkdir, secrets, *prepare])
    began = time.monotonic()
    built.follow([up])
    report["up_seconds"] = round(time.monotonic() - began, 1)
    report["pilot"] = all_accounted_for(read_reckoning(built.follow([play])))
    return built


def test_images_are_small_and_not_of_root(built: Stack, report: Json) -> None:
    for name in (*NAMES, "beheer"):
        image = built.inspect(f"praktijkbus/{name}")
        report["images"][name] = round(image["Size"] / 1e6)
        assert image["Size"] < LIMIT_MB * 1e6, name
        assert image["Config"]["User"] == "10001:10001"
        if name != "beheer":
            assert "/ready" in " ".join(health_test(built, name))


def health_test(stack: Stack, name: str) -> list[str]:
    """The command by which an engine sees how a container is."""
    image = stack.inspect(f"praktijkbus/{name}")
    test: list[str] = (image.get("Healthcheck") or image["Config"]["Healthcheck"])["Test"]
    return test[1:]


def test_trial_is_played_and_every_message_is_accounted_for(played: Stack, report: Json) -> None:
    assert report["pilot"]["trajecten"] == 20
    for name in NAMES:
        report["startup_seconds"][name] = played.seconds_to_start(name)
        assert report["startup_seconds"][name] < 30


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
    trusting = ssl.create_default_context(cafile=played.deploy / "secrets" / "rabbitmq" / "ca.pem")
    with (
        socket.create_connection(("127.0.0.1", played.ports["AMQPS"]), timeout=10) as plain,
        trusting.wrap_socket(plain, server_hostname="localhost") as line,
    ):
        line.sendall(b"AMQP\x00\x00\x09\x01")
        assert line.recv(1) == b"\x01"  # a method frame: it wants to know who is there


def test_command_line_works_on_the_stack(played: Stack) -> None:
    told = played.follow(["docker compose --profile beheer run --rm beheer figures --json"])
    figures = json.loads(told[told.index("{") : told.rindex("}") + 1])
    assert figures["trechter"]["aangemeld"] == 20


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


def test_backup_has_every_database(played: Stack) -> None:
    played.follow(commands()["backup"])
    for name in (*NAMES, "sleutels"):
        assert (played.deploy / f"{name}.dump").read_bytes().startswith(b"PGDMP")


def test_upgrade_from_the_previous_version_under_load(played: Stack, engine: Engine, report: Json) -> None:
    *prepare, up, _, forget = commands()["trial"]
    build_previous(engine, STATE / "previous")
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


def build_previous(engine: Engine, folder: Path) -> None:
    """The images of what landed before this, by its own container file if it has one, else by ours."""
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(previous.archive())) as packed:
        packed.extractall(folder, filter="data")
    for name in ("Containerfile", "Containerfile.dockerignore"):
        if not (folder / "deploy" / name).exists():
            shutil.copy(ROOT / "deploy" / name, folder / "deploy" / name)
    for target in (*NAMES, "beheer"):
        words = ["docker", "build", "-f", "deploy/Containerfile", "--target", target]
        engine.run(*words, "--tag", f"praktijkbus/{target}:{PREVIOUS}", ".", cwd=folder)


def test_suite_finds_broker_and_database_in_containers(built: Stack, engine: Engine, report: Json) -> None:
    """The rest of the suite runs on the RabbitMQ that is installed; here it is 4."""
    with engine.answering() as variables:
        words = [
            sys.executable,
            "-m",
            "pytest",
            "tests/integration/test_submissions.py",
            "-q",
            "-p",
            "no:cacheprovider",
        ]
        given = {"PRAKTIJKBUS_AMQP_URL": "", "PRAKTIJKBUS_DATABASE_URL": "", **variables}
        said = engine.shell(words, cwd=ROOT, env=given)
    assert "passed" in said
    assert "No container" not in said
    report["testcontainers"] = re.findall(r"(\d+) passed", said)[0]
