"""The stack as an operator has it: a copy of this checkout, and the commands of the README."""

import hashlib
import json
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from deploy.local.bus import ROOT, SERVICES
from deploy.local.processes import free_port
from tests.stack.engine import Engine

STATE: Final = ROOT / ".run" / "stack"
NAMES: Final = [service.name for service in SERVICES]
PORTS: Final = ("AMQPS", "MAILPIT", "GRAFANA", "PROMETHEUS")

Json = dict[str, Any]


class Stack:
    """A copy of this checkout, in which an operator works."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        # Of this folder alone: name servers of networks with the same name know each other's containers.
        self.project = f"praktijkbus-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"
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
            said = self.engine.shell(words, cwd=self.deploy, env={"COMPOSE_PROJECT_NAME": self.project, **env})
        return said

    def docker(self, *words: str) -> str:
        return self.engine.run("docker", *words, cwd=self.deploy, env={"COMPOSE_PROJECT_NAME": self.project})

    def containers(self, service: str, *, stopped: bool = False) -> list[str]:
        """Those that run, or also those that are stopped."""
        by = [f"label=com.docker.compose.{what}" for what in (f"project={self.project}", f"service={service}")]
        state = ["--all"] if stopped else []
        return self.docker("ps", "-q", *state, "--no-trunc", "--filter", by[0], "--filter", by[1]).split()

    def inspect(self, container: str) -> Json:
        found: list[Json] = json.loads(self.docker("inspect", container))
        return found[0]

    def log(self, container: str) -> str:
        return self.engine.shell(["sh", "-c", f"docker logs {container} 2>&1"], cwd=self.deploy)

    def seconds_to_start(self, service: str) -> float:
        """From the start of its container until it answered."""
        (container,) = self.containers(service)
        began = datetime.fromisoformat(self.inspect(container)["State"]["StartedAt"])
        for line in self.log(container).splitlines():
            if "Uvicorn running" in line:
                return round((datetime.fromisoformat(json.loads(line)["time"]) - began).total_seconds(), 1)
        raise AssertionError(f"{service} says nowhere that it serves")

    def end(self) -> None:
        """Takes down what was started, data included."""
        self.docker("compose", "--profile", "proef", "--profile", "beheer", "down", "--volumes", "--timeout", "0")


def commands() -> dict[str, list[str]]:
    """The commands of the README's section, by what they are for."""
    section = (ROOT / "README.md").read_text().partition("## Run it in production")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    install, trial, roll, upgrade, backup = blocks
    restore, certificate = re.findall(r"^~~~\n(.*?)^~~~$", section, re.MULTILINE | re.DOTALL)
    return {
        "install": [line for line in install.splitlines() if line != "cd deploy"],
        "trial": trial.splitlines(),
        "roll": roll.splitlines(),
        "upgrade": [line for line in upgrade.splitlines() if line != "git pull"],
        "backup": [backup],
        "restore": [restore],
        "certificate": certificate.splitlines(),
    }
