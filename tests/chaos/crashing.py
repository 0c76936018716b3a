"""A real service process that ends itself with SIGKILL at one point: `python -m tests.chaos.crashing …`.

    python -m tests.chaos.crashing matching before-commit 3

The point is patched in from outside, so that the product carries no switches for its tests.
"""

import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from services.chassis.batch import Batch
from services.chassis.effects import Effects
from services.chassis.relay import Relay
from services.chassis.runner import Runner

POINTS: dict[str, tuple[type, str, bool]] = {
    # name: (class, method, whether the method is carried out first)
    "before-commit": (Batch, "run", True),
    "before-due-commit": (Batch, "fall_due", True),
    "after-commit-before-ack": (Runner, "_acknowledge", False),
    "between-publish-and-mark": (Relay, "_mark", False),
    "before-effect": (Effects, "_carry_out", False),
}


def plant(point: str, nth: int) -> None:
    """Makes the process die at the `nth` passing of that point."""
    owner, name, first = POINTS[point]
    original: Callable[..., Any] = getattr(owner, name)
    passed = 0

    async def passing(self: object, *args: Any, **kwargs: Any) -> Any:
        nonlocal passed
        passed += 1
        result = await original(self, *args, **kwargs) if first or passed < nth else None
        if passed >= nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, passing)


if __name__ == "__main__":
    service, point, nth = sys.argv[1:4]
    del sys.argv[1:]
    plant(point, int(nth))
    import_module(f"services.{service}.app").run()
