"""The engine that runs the stack: Docker where it answers, else Podman.

Podman gets a store of its own under the state folder, so that nothing else on the machine sees what is made here,
and all of it can be ended without touching anything else.
"""

import contextlib
import hashlib
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from deploy.local.bus import ROOT
from deploy.local.processes import end, spawn, tail

HERE: Final = Path(__file__).parent
_PACKAGES: Final = ("podman", "runc", "conmon", "netavark", "aardvark-dns", "iptables")
_PROCESSES: Final = 4096
_FILES: Final = 20_000
_PATIENCE: Final = 1200.0
"""Seconds that a command gets."""

Say = Callable[[str], None]


class EngineUnavailable(RuntimeError):
    """There is no engine, and the message says what to do about it."""


@dataclass(frozen=True)
class Engine:
    """Runs `docker …`, whatever that is here."""

    env: Mapping[str, str] = field(repr=False)
    podman: bool
    state: Path

    def run(
        self, *words: str, cwd: Path = ROOT, timeout: float = _PATIENCE, env: Mapping[str, str] | None = None
    ) -> str:
        """What that command says. RuntimeError, with the end of what it said, where it fails."""
        return self.shell(words, cwd=cwd, timeout=timeout, env=env)

    def shell(
        self, words: Sequence[str], *, cwd: Path, timeout: float = _PATIENCE, env: Mapping[str, str] | None = None
    ) -> str:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            said = "\n".join(line for line in done.stderr.splitlines() if "systemd" not in line)[-3000:]
            raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{said}")
        return done.stdout

    @contextlib.contextmanager
    def answering(self) -> Iterator[dict[str, str]]:
        """While it answers Docker's own client libraries: the variables by which they find it."""
        if not self.podman:
            yield {}
            return
        address = f"unix://{self.state.resolve()}/engine.sock"
        words = [self.env["STACK_PODMAN"], "system", "service", "--time=0", address]
        log = self.state / "service.log"
        service = spawn(words, log=log, env=dict(self.env))
        try:
            give_up = time.monotonic() + 30
            while not (self.state / "engine.sock").is_socket():
                if service.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError(f"podman does not serve: {tail(log)}")
                time.sleep(0.1)
            yield {"DOCKER_HOST": address}
        finally:
            end(service, bound=10)
            (self.state / "engine.sock").unlink(missing_ok=True)


def find(state: Path, say: Say) -> Engine:
    """The engine. Podman is installed where there is none.

    Raises:
        EngineUnavailable: there is none, and none can be installed here.
    """
    state.mkdir(parents=True, exist_ok=True)
    if _docker_answers():
        return Engine({**os.environ}, podman=False, state=state)
    if not shutil.which("podman"):
        install(_PACKAGES, say)
    return Engine(_podman_env(state), podman=True, state=state)


def _docker_answers() -> bool:
    if not shutil.which("docker"):
        return False
    asked = (["docker", "info"], ["docker", "compose", "version"])
    return all(subprocess.run(words, capture_output=True, check=False).returncode == 0 for words in asked)


def install(packages: Sequence[str], say: Say) -> None:
    """Debian packages on this machine. EngineUnavailable where that cannot be."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise EngineUnavailable(
            "Needed: Docker with its compose plugin, or Podman; as root on Debian or Ubuntu it is installed here."
        )
    say(f"Installing {', '.join(packages)} …")
    _update()
    _apt_get("install", "--yes", "--no-install-recommends", *packages)


@cache
def _update() -> None:
    _apt_get("update")


def _apt_get(*words: str) -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", "--quiet", *words], env=quiet, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode:
        raise EngineUnavailable(f"apt-get {words[0]}: {done.stderr.decode(errors='replace')[-1000:]}")


# --- Podman --------------------------------------------------------------------------------------------------


def _podman_env(state: Path) -> dict[str, str]:
    """A store, networks and limits of our own; for builds also the certificates and settings of this machine."""
    own = hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:8]
    (state / "networks").mkdir(exist_ok=True)
    _write(
        state / "storage.conf",
        f'[storage]\ndriver = "overlay"\ngraphroot = "{state.resolve()}/images"\n'
        f'runroot = "/run/praktijkbus-{own}"\n',  # short: sockets are in it
    )
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1], resource.getrlimit(resource.RLIMIT_NPROC)[1]
    files, processes = (
        most if limit == resource.RLIM_INFINITY else min(limit, most)
        for limit, most in zip(hard, (_FILES, _PROCESSES), strict=True)
    )
    cgroups = "systemd" if Path("/run/systemd/system").exists() else "cgroupfs"
    apt, besides = _for_builds(state)
    for name, volumes in (("run", []), ("standins", [apt]), ("build", [apt, *besides])):
        listed = ", ".join(f'"{volume}"' for volume in volumes)
        _write(
            state / f"{name}.conf",
            f'[engine]\ncgroup_manager = "{cgroups}"\nevents_logger = "file"\nruntime = "runc"\n'
            f'helper_binaries_dir = ["{HERE / "bin"}", "/usr/libexec/podman", "/usr/lib/podman"]\n'
            f'[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "{state.resolve()}/networks"\n'
            f"[containers]\nvolumes = [{listed}]\n"
            f'default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]\n',
        )
    return {
        **os.environ,
        "PATH": f"{HERE / 'bin'}:{os.environ['PATH']}",
        "CONTAINERS_STORAGE_CONF": str(state.resolve() / "storage.conf"),
        "CONTAINERS_CONF": str(state.resolve() / "run.conf"),
        "BUILDAH_FORMAT": "docker",  # the other format knows no HEALTHCHECK
        "STACK_BUILD_CONF": str(state.resolve() / "build.conf"),
        "STACK_PODMAN": shutil.which("podman") or "podman",
        "STACK_PYTHON": sys.executable,
        "COMPOSE_PARALLEL_LIMIT": "1",  # images share their first stages
    }


def _for_builds(state: Path) -> tuple[str, list[str]]:
    """What apt, and what pip needs to reach its registry as this machine does, mounted and never copied."""
    given = [Path(each) for each in ("/etc/ssl/certs", "/usr/share/ca-certificates")]
    given.append(Path("/usr/local/share/ca-certificates"))
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    settings: dict[str, str] = {}
    for name, value in re.findall(r"^(?:global|:env:)\.([a-z-]+)='(.*)'$", asked.stdout, re.MULTILINE):
        settings[name] = value.replace("\\n", " ")
    said = " ".join(settings.values())
    # An index in a folder says where the files are by `..`.
    given += [Path(path).parent for path in re.findall(r"file://(/[^\s]+/[^\s]+)", said)]
    given += [Path(path) for path in re.findall(r"(?:^|(?<=\s))/[^\s]+", said)]
    _write(state / "pip.conf", "[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
    proxies = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    ours = [line for line in proxies.splitlines() if re.match(r"Acquire::https?::(\S+::)?Proxy", line)]
    _write(state / "apt.conf", "".join(f"{line}\n" for line in ours))
    certificates_and_folders = [f"{path}:{path}:ro" for path in dict.fromkeys(given) if path.exists()]
    return f"{state.resolve()}/apt.conf:/etc/apt/apt.conf.d/99proxy:ro", [
        *certificates_and_folders,
        f"{state.resolve()}/pip.conf:/etc/pip.conf:ro",
    ]


def _write(file: Path, content: str) -> None:
    """In one piece: what another worker runs may be reading it."""
    fresh = file.with_suffix(".new")
    fresh.write_text(content)
    fresh.replace(file)
