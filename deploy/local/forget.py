"""Forgets what a local run keeps: `python -m deploy.local.forget .run`. Refuses while a launcher works on it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from deploy.local.broker import forget_container
from deploy.local.processes import Claim, FolderInUse, ProcessFailed, end_stray


def forget(folder: Path) -> None:
    """Removes a state folder, and stops servers that a dead launcher left running on it.

    Raises FolderInUse when a launcher that is alive uses it, or any folder in it; then nothing is removed.
    """
    folder = folder.resolve()
    claims: list[Claim] = []
    try:
        claims = [Claim(lock.parent) for lock in folder.rglob("launcher.lock")]
        for note in folder.rglob("*.pid"):
            pid = note.read_text().partition("\n")[0]
            if pid.isdigit():
                end_stray(int(pid), str(note.parent), bound=30)
        for identity in folder.rglob("identity.json"):
            forget_container(identity.parent)
        if folder.exists():
            shutil.rmtree(folder)
    finally:
        for claim in claims:
            claim.release()


def main(arguments: list[str]) -> str | None:
    """Forgets each folder; returns what went wrong, for people."""
    try:
        for name in arguments:
            forget(Path(name))
    except (FolderInUse, ProcessFailed) as problem:
        return str(problem)
    except PermissionError as problem:
        return f"{problem.filename} belongs to another user; do this as root"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
