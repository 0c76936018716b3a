"""The version that this one replaces in a roll-out: what landed before it, by the commit in `deploy/PREVIOUS`."""

import subprocess
from typing import Final

from deploy.local.bus import ROOT

COMMIT: Final = (ROOT / "deploy" / "PREVIOUS").read_text().strip()


def listed(folder: str) -> list[str]:
    """The paths of what it had in a folder."""
    return _git("ls-tree", "--name-only", COMMIT, f"{folder}/").decode().splitlines()


def text(path: str) -> str:
    """What a file of it said."""
    return _git("show", f"{COMMIT}:{path}").decode()


def archive() -> bytes:
    """All of it, as a tar."""
    return _git("archive", "--format=tar", COMMIT)


def _git(*arguments: str) -> bytes:
    run = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT)]
    there = subprocess.run([*run, "cat-file", "-e", f"{COMMIT}^{{commit}}"], capture_output=True, check=False)
    if there.returncode:  # a clone without its history
        subprocess.run([*run, "fetch", "--quiet", "origin", COMMIT], capture_output=True, check=False)
    done = subprocess.run([*run, *arguments], capture_output=True, check=False)
    if done.returncode:
        problem = done.stderr.decode(errors="replace").strip()
        raise RuntimeError(
            f"the previous version, {COMMIT[:12]}, is not in this clone and could not be fetched;"
            f" `git fetch --unshallow` gets the history: {problem}"
        )
    return done.stdout
