"""Finds a RabbitMQ to use, or starts one: given by the environment, in a container, or as a private node."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

import httpx

from deploy.local.processes import (
    Claim,
    ProcessFailed,
    Say,
    end,
    end_stray,
    free_port,
    is_listening,
    kill,
    spawn,
    tail,
)

AMQP_VARIABLE = "PRAKTIJKBUS_AMQP_URL"
MANAGEMENT_VARIABLE = "PRAKTIJKBUS_MANAGEMENT_URL"
IMAGE = "docker.io/library/rabbitmq:4-management"
PLUGINS = ("rabbitmq_management", "rabbitmq_prometheus", "rabbitmq_consistent_hash_exchange")
MAX_MESSAGE_BYTES = 1024 * 1024

_START_BOUND = 90.0
"""Seconds a broker gets to accept connections; six is usual, a cold and busy machine needs more."""
_DOWNLOAD_BOUND = 600.0
"""Seconds the container image gets to be downloaded."""
_STOP_BOUND = 30.0
"""Seconds a broker gets to close its queues before it is killed."""

_HOW_TO_HELP = (
    "No RabbitMQ found. One of these helps: (1) install it, e.g. `apt-get install rabbitmq-server` "
    "(it need not be started), (2) start Docker or Podman, "
    f"(3) set {AMQP_VARIABLE}=amqp://user:password@host:5672/ to use one you have."
)


class BrokerUnavailable(RuntimeError):
    """There is no broker, and the message says what to do about it."""


@dataclass(frozen=True)
class BrokerAddress:
    """Where the broker is and who may administer it."""

    host: str
    port: int
    management_url: str
    admin: str
    password: str = field(repr=False)
    tls: bool = False

    def amqp_url(self, vhost: str = "/", user: str | None = None, password: str | None = None) -> str:
        """An AMQP URL with everything percent-encoded; for the administrator unless a user is given."""
        name = quote(self.admin if user is None else user, safe="")
        word = quote(self.password if password is None else password, safe="")
        scheme = "amqps" if self.tls else "amqp"
        return f"{scheme}://{name}:{word}@{self.host}:{self.port}/{quote(vhost, safe='')}"


class Broker(Protocol):
    """A broker that can be used now."""

    @property
    def address(self) -> BrokerAddress: ...

    def stop(self) -> None:
        """Stops it, if it was started here."""


def find_or_start(state: Path, say: Say, *, allow_install: bool = True) -> Broker:
    """The broker to use: the environment's, else a container's, else a private node with its data in `state`.

    Where the server is installed, a container is used only if its image is there already; and a state folder
    that holds a private node's data keeps using that. As root, and unless `allow_install` is false, the
    Debian package is installed when nothing else works. Raises BrokerUnavailable when there is no way,
    FolderInUse when another launcher works on `state`, ProcessFailed when RabbitMQ does not start.
    """
    given = os.environ.get(AMQP_VARIABLE)
    if given:
        return _given(given, os.environ.get(MANAGEMENT_VARIABLE))
    if not (_server() and (state / "mnesia").exists()):
        container = _container(state, say)
        if container is not None:
            return container
    ensure_installed(say, allow_install=allow_install)
    node = PrivateNode(state, say)
    node.start()
    return node


def ensure_installed(say: Say, *, allow_install: bool = True) -> None:
    """Sees to it that a private node can be started here. Raises BrokerUnavailable when it cannot."""
    if _server() is None:
        if not (allow_install and _may_install()):
            raise BrokerUnavailable(_HOW_TO_HELP)
        _install(say)


# --- a broker somebody else runs ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _GivenBroker:
    address: BrokerAddress

    def stop(self) -> None:
        """Not ours to stop."""


def _given(url: str, management: str | None) -> Broker:
    parts = urlsplit(url)
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname:
        raise BrokerUnavailable(f"{AMQP_VARIABLE} must look like amqp://user:password@host:5672/")
    tls = parts.scheme == "amqps"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return _GivenBroker(
        BrokerAddress(
            host=host,
            port=parts.port or (5671 if tls else 5672),
            management_url=(management or f"http://{host}:15672").rstrip("/"),
            admin=unquote(parts.username or "guest"),
            password=unquote(parts.password or "guest"),
            tls=tls,
        )
    )


# --- what is remembered between runs -----------------------------------------------------------------------


@dataclass
class _Identity:
    """Who the broker of a state folder is: as long as this stays the same, its data can be used again."""

    name: str = field(default_factory=lambda: f"praktijkbus-{secrets.token_hex(4)}")
    admin: str = "beheer"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    ports: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, state: Path) -> _Identity:
        state.mkdir(parents=True, exist_ok=True)
        state.chmod(0o700)
        try:
            return cls(**json.loads((state / "identity.json").read_text()))
        except FileNotFoundError:
            identity = cls()
            identity.save(state)
            return identity

    def save(self, state: Path) -> None:
        _write_private(state / "identity.json", json.dumps(asdict(self), indent=1))

    def port(self, use: str) -> int:
        self.ports[use] = free_port(self.ports.get(use))
        return self.ports[use]


def _write_private(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


# --- a private node ----------------------------------------------------------------------------------------


class PrivateNode:
    """A RabbitMQ node of our own on loopback ports, with all it writes below one state folder.

    Nothing shared is touched: it has its own node name, Erlang cookie and port mapper. It stops when this
    process ends; one that an earlier launcher left behind is stopped by start().
    """

    def __init__(self, state: Path, say: Say) -> None:
        """Raises BrokerUnavailable when the RabbitMQ server is not installed."""
        server = _server()
        if server is None:
            raise BrokerUnavailable(_HOW_TO_HELP)
        self._server = server
        self.state = state.resolve()
        self._say = say
        self._claim: Claim | None = None
        self._node: subprocess.Popen[bytes] | None = None
        self._mapper: subprocess.Popen[bytes] | None = None
        self._address: BrokerAddress | None = None

    @property
    def address(self) -> BrokerAddress:
        """Where it is; RuntimeError before the first start."""
        if self._address is None:
            raise RuntimeError("the RabbitMQ node has not been started")
        return self._address

    @property
    def pid(self) -> int | None:
        """Process id of the node's virtual machine, None while it is down."""
        return self._node.pid if self._node is not None and self._node.poll() is None else None

    @property
    def log(self) -> Path:
        """What the node writes about itself."""
        return self.state / "log" / "rabbitmq.log"

    def start(self) -> None:
        """Starts the node with the data and, where they are still free, the ports it had; waits until it serves.

        No error when it runs already. Raises FolderInUse, or ProcessFailed with the last log lines.
        """
        if self.pid is not None:
            return
        if self._claim is None:
            self._claim = Claim(self.state)
        started = time.monotonic()
        self._say("RabbitMQ: starting a private node …")
        try:
            identity = _Identity.of(self.state)
            self._end_strays(identity)
            self._write_configuration(identity)
            environment = self._environment(identity)
            self._start_port_mapper(identity, environment)
            self._node = spawn([self._server], log=self.state / "log" / "console.log", env=environment)
            (self.state / "node.pid").write_text(str(self._node.pid))
            self._address = BrokerAddress(
                host="127.0.0.1",
                port=identity.ports["amqp"],
                management_url=f"http://127.0.0.1:{identity.ports['management']}",
                admin=identity.admin,
                password=identity.password,
            )
            self._wait_until_it_serves()
        except BaseException:
            self.stop()
            raise
        self._say(
            f"RabbitMQ: ready in {time.monotonic() - started:.1f} s on 127.0.0.1:{self.address.port}, "
            f"management {self.address.management_url}"
        )

    def stop(self) -> None:
        """Stops the node and its port mapper and gives the state folder up. The data stay."""
        if self._node is not None:
            end(self._node, bound=_STOP_BOUND)
        if self._mapper is not None:
            end(self._mapper, bound=5)
        for leftover in ("node.pid", "mapper.pid"):
            (self.state / leftover).unlink(missing_ok=True)
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    def kill(self) -> None:
        """SIGKILL to the node, as in a crash. The port mapper and the claim on the folder stay.

        RabbitMQ writes a new quorum queue's name down up to three seconds after it confirmed the declaration;
        killed before that, it comes back with the queue present but unusable (seen with 3.10).
        """
        if self._node is not None:
            kill(self._node)

    def restart(self) -> None:
        """Comes back on the same ports with the same data, after a kill or from running."""
        if self._node is not None:
            end(self._node, bound=_STOP_BOUND)
        self.start()

    def _end_strays(self, identity: _Identity) -> None:
        strays = {"node.pid": self._marker}
        if self._mapper is None or self._mapper.poll() is not None:
            strays["mapper.pid"] = f"epmd -port {identity.ports.get('mapper')}"
        for file, marker in strays.items():
            with contextlib.suppress(FileNotFoundError, ValueError):
                if end_stray(int((self.state / file).read_text()), marker, bound=_STOP_BOUND):
                    self._say("RabbitMQ: stopped what an earlier run left behind")

    @property
    def _marker(self) -> str:
        """On the command line of the node we start, so that a later run knows it."""
        return f"praktijkbus={self.state}"

    def _write_configuration(self, identity: _Identity) -> None:
        for folder in ("log", "mnesia", "plugins", "config", "schema", "home"):
            (self.state / folder).mkdir(exist_ok=True)
        lines = {
            "listeners.tcp.local": f"127.0.0.1:{identity.port('amqp')}",
            "management.tcp.ip": "127.0.0.1",
            "management.tcp.port": str(identity.port("management")),
            "prometheus.tcp.ip": "127.0.0.1",
            "prometheus.tcp.port": str(identity.port("prometheus")),
            "default_user": identity.admin,
            "default_pass": identity.password,
            "loopback_users": "none",
            "collect_statistics_interval": "1000",  # milliseconds: queue depths are looked at by people and tests
            "max_message_size": str(MAX_MESSAGE_BYTES),
            "log.console": "false",
            "log.file": self.log.name,
            "log.file.level": "info",
        }
        identity.port("distribution")
        if self._mapper is None or self._mapper.poll() is not None:
            identity.port("mapper")
        identity.save(self.state)
        _write_private(self.state / "rabbitmq.conf", "".join(f"{key} = {value}\n" for key, value in lines.items()))
        _write_private(self.state / "advanced.config", "[].\n")
        _write_private(self.state / "enabled_plugins", f"[{','.join(PLUGINS)}].\n")
        _write_private(self.state / "rabbitmq-env.conf", "# Deliberately empty: keeps the machine's own away.\n")
        # No /etc/hosts and no name server needed to know what localhost is.
        _write_private(self.state / "inetrc", '{host, {127,0,0,1}, ["localhost"]}.\n{lookup, [file, native]}.\n')

    def _environment(self, identity: _Identity) -> dict[str, str]:
        state = self.state
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("RABBITMQ_", "ERL_"))}
        return inherited | {
            "HOME": str(state / "home"),
            "LC_ALL": "C.UTF-8",
            "ERL_INETRC": str(state / "inetrc"),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(identity.ports["mapper"]),
            # Makes the start script become the virtual machine instead of its parent: one process to signal.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_NODENAME": f"{identity.name}@localhost",
            "RABBITMQ_DIST_PORT": str(identity.ports["distribution"]),
            "RABBITMQ_BASE": str(state),
            "RABBITMQ_MNESIA_BASE": str(state / "mnesia"),
            "RABBITMQ_LOG_BASE": str(state / "log"),
            "RABBITMQ_PLUGINS_EXPAND_DIR": str(state / "plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(state / "config"),
            "RABBITMQ_SCHEMA_DIR": str(state / "schema"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(state / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(state / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(state / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(state / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(state / "rabbitmq-env.conf"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                # schedulers that have nothing to do leave the processor to the others on this machine
                "+sbwt none +sbwtdcpu none +sbwtdio none "
                f"-kernel inet_dist_use_interface {{127,0,0,1}} -{self._marker}"
            ),
        }

    def _start_port_mapper(self, identity: _Identity, environment: Mapping[str, str]) -> None:
        """Erlang's epmd. Started by us, because a node that finds none leaves a daemon behind."""
        if self._mapper is not None and self._mapper.poll() is None:
            return
        program = _port_mapper()
        if program is None:
            raise BrokerUnavailable(f"Erlang's epmd, which RabbitMQ needs, is not installed. {_HOW_TO_HELP}")
        port = identity.ports["mapper"]
        log = self.state / "log" / "console.log"
        self._mapper = spawn([program, "-port", str(port)], log=log, env=environment)
        (self.state / "mapper.pid").write_text(str(self._mapper.pid))
        give_up = time.monotonic() + 10
        while not is_listening(port):
            if self._mapper.poll() is not None or time.monotonic() > give_up:
                raise ProcessFailed(f"Erlang's epmd does not start on port {port}:\n{tail(log)}")
            time.sleep(0.02)

    def _wait_until_it_serves(self) -> None:
        assert self._node is not None
        give_up = time.monotonic() + _START_BOUND
        while not _serves(self.address):
            log = self.log if self.log.exists() else self.state / "log" / "console.log"
            if self._node.poll() is not None:
                raise ProcessFailed(f"RabbitMQ stopped while starting:\n{tail(log)}")
            if time.monotonic() > give_up:
                raise ProcessFailed(f"RabbitMQ is not ready after {_START_BOUND:g} s:\n{tail(log)}")
            time.sleep(0.1)


def _serves(address: BrokerAddress) -> bool:
    """Whether it takes AMQP connections and the administrator may log in."""
    try:
        answer = httpx.get(
            f"{address.management_url}/api/whoami",
            auth=(address.admin, address.password),
            timeout=5.0,
            trust_env=False,
        )
    except httpx.HTTPError:
        return False
    return answer.is_success and is_listening(address.port)


def _server() -> str | None:
    # Debian's program on PATH insists on its own account; what it wraps does not.
    for candidate in ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/sbin/rabbitmq-server"):
        if os.access(candidate, os.X_OK):
            return candidate
    return shutil.which("rabbitmq-server")


def _port_mapper() -> str | None:
    found = shutil.which("epmd")
    if found:
        return found
    inside_erlang = sorted(Path("/usr/lib/erlang").glob("erts-*/bin/epmd"))
    return str(inside_erlang[-1]) if inside_erlang else None


# --- installing the package --------------------------------------------------------------------------------


def _may_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _install(say: Say) -> None:
    """Installs Debian's rabbitmq-server without letting its own service start, now or at the next boot."""
    with _one_at_a_time():
        if _server() is None:
            _install_package(say)


def _install_package(say: Say) -> None:
    say("RabbitMQ is not installed; installing the package rabbitmq-server (a minute or two) …")
    had_mapper = _port_mapper() is not None
    with _no_services_started():
        _apt(say, "update")
        _apt(say, "install", "--yes", "--no-install-recommends", "rabbitmq-server")
    units = ["rabbitmq-server.service"] + ([] if had_mapper else ["epmd.service", "epmd.socket"])
    if shutil.which("systemctl"):
        for unit in units:
            subprocess.run(
                ["systemctl", "disable", unit], stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
    if _server() is None:
        raise BrokerUnavailable(f"The package was installed, but there is no rabbitmq-server. {_HOW_TO_HELP}")


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two launchers that install at once would take away each other's policy."""
    with (Path(tempfile.gettempdir()) / "praktijkbus-install.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _no_services_started() -> Iterator[None]:
    """Debian's own way to say so (invoke-rc.d(8)): a policy that forbids every action. Taken away after use."""
    policy = Path("/usr/sbin/policy-rc.d")
    aside = policy.with_name("policy-rc.d.praktijkbus")
    if policy.exists():
        policy.replace(aside)
    try:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        yield
    finally:
        policy.unlink(missing_ok=True)
        if aside.exists():
            aside.replace(policy)


_NEWS = re.compile(r"(Need to get|Setting up rabbitmq|E: )")
_PROGRESS = re.compile(r"(Get:|Unpacking|Setting up)")


def _apt(say: Say, *arguments: str) -> None:
    seen: list[str] = []
    said = 0.0
    with subprocess.Popen(
        ["apt-get", "-o", "DPkg::Lock::Timeout=120", *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            seen.append(line.rstrip())
            if _NEWS.match(line) or (_PROGRESS.match(line) and time.monotonic() - said > 2):
                said = time.monotonic()
                say(f"  {seen[-1][:100]}")
    if process.returncode != 0:
        last = "\n".join(seen[-20:])
        raise BrokerUnavailable(f"apt-get {arguments[0]} failed:\n{last}\n{_HOW_TO_HELP}")


# --- a container -------------------------------------------------------------------------------------------


class _ContainerBroker:
    """RabbitMQ in a container on loopback ports. Its data are in a named volume, so they outlive it."""

    def __init__(self, engine: str, name: str, address: BrokerAddress, claim: Claim) -> None:
        self.address = address
        self._engine = engine
        self._name = name
        self._claim = claim

    def stop(self) -> None:
        try:
            _order(self._engine, "stop", "--time", f"{_STOP_BOUND:.0f}", self._name, bound=_STOP_BOUND + 30)
            _order(self._engine, "rm", "--force", self._name)
        finally:
            self._claim.release()


def _container(state: Path, say: Say) -> Broker | None:
    """A container when an engine answers and the image can be had; None, with the reason said, otherwise.

    The image is not downloaded where a server is installed that does as well.
    """
    engine = _engine()
    if engine is None:
        return None
    there = _order(engine, "image", "inspect", IMAGE, check=False).returncode == 0
    if not there and _server() is not None:
        return None
    claim = Claim(state)
    identity = _Identity.of(state)
    address = BrokerAddress(
        host="127.0.0.1",
        port=identity.port("amqp"),
        management_url=f"http://127.0.0.1:{identity.port('management')}",
        admin=identity.admin,
        password=identity.password,
    )
    identity.save(state)
    try:
        if not there:
            say(f"RabbitMQ: downloading {IMAGE} …")
            _order(engine, "pull", IMAGE, bound=_DOWNLOAD_BOUND)
        say("RabbitMQ: starting a container …")
        _order(engine, "rm", "--force", identity.name, check=False)  # of a launcher that was killed
        _run_container(engine, identity)
        _wait_for_container(engine, identity, address)
    except (subprocess.SubprocessError, ProcessFailed) as error:
        reason = str(getattr(error, "stderr", None) or error).strip().splitlines()[-1][:200]
        say(f"RabbitMQ: no container ({reason}); looking further")
        _order(engine, "rm", "--force", identity.name, check=False)
        claim.release()
        return None
    say(f"RabbitMQ: ready on 127.0.0.1:{address.port}, management {address.management_url}")
    return _ContainerBroker(engine, identity.name, address, claim)


def _run_container(engine: str, identity: _Identity) -> None:
    settings = {
        "RABBITMQ_DEFAULT_USER": identity.admin,
        "RABBITMQ_DEFAULT_PASS": identity.password,
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-rabbit max_message_size {MAX_MESSAGE_BYTES}",
    }
    boot = f"rabbitmq-plugins enable --offline {' '.join(PLUGINS)} && exec docker-entrypoint.sh rabbitmq-server"
    options = ["--detach", "--name", identity.name, "--hostname", identity.name]
    options += ["--volume", f"{identity.name}:/var/lib/rabbitmq"]
    options += ["--publish", f"127.0.0.1:{identity.ports['amqp']}:5672"]
    options += ["--publish", f"127.0.0.1:{identity.ports['management']}:15672"]
    for name in settings:  # by name only: command lines can be read by everyone
        options += ["--env", name]
    _order(engine, "run", *options, IMAGE, "sh", "-c", boot, settings=settings)


def _wait_for_container(engine: str, identity: _Identity, address: BrokerAddress) -> None:
    give_up = time.monotonic() + _START_BOUND
    while not _serves(address):
        running = _order(engine, "inspect", "--format", "{{.State.Running}}", identity.name)
        if running.stdout.strip() != "true" or time.monotonic() > give_up:
            logs = _order(engine, "logs", "--tail", "20", identity.name, check=False)
            raise ProcessFailed(f"the container does not get ready:\n{logs.stdout}{logs.stderr}")
        time.sleep(0.2)


def _engine() -> str | None:
    """The command of a container engine that answers."""
    for program in ("docker", "podman"):
        with contextlib.suppress(subprocess.TimeoutExpired):
            if shutil.which(program) and _order(program, "info", check=False, bound=15).returncode == 0:
                return program
    return None


def _order(
    engine: str,
    *words: str,
    settings: Mapping[str, str] | None = None,
    check: bool = True,
    bound: float = 60.0,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [engine, *words],
        env={**os.environ, **(settings or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=check,
        timeout=bound,
    )


def forget_container(state: Path) -> None:
    """Removes the container and the data that belong to a state folder, where an engine has them."""
    engine = _engine()
    if engine is not None:
        name = _Identity.of(state).name
        _order(engine, "rm", "--force", name, check=False)
        _order(engine, "volume", "rm", name, check=False)
