"""Each alert fires in a running stack when its trouble is caused, and goes when that is mended."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Final

import httpx
import pytest

from contracts.partners import Registry
from deploy.local.bus import PARTNERS, ROOT, SERVICES, VHOST, Address
from services.chassis import names
from tests import watching
from tests.stack import shortened
from tests.stack.engine import Engine
from tests.stack.stack import STATE, Stack, commands
from tests.stack.troubles import DOWN, IN_TURN, PATIENCE, TOGETHER, Alerts, Ground, Trouble, manage

pytestmark = pytest.mark.timeout(1800)
TRAJECTEN: Final = "4"
SELDOM: Final = {("messaging_client_sent_messages_total", "error_type")}
"""Labels that only a trouble brings which none of these is: a message that the broker refuses."""


class OnStack:
    """Satisfies Ground. What is in containers is reached by their own addresses."""

    def __init__(self, stack: Stack, state: Path) -> None:
        self._stack = stack
        self._state = state
        self.prometheus = f"http://127.0.0.1:{stack.ports['PROMETHEUS']}"
        self._find()

    def _find(self) -> None:
        secrets = self._stack.deploy / "secrets" / "beheer"
        told = (secrets / "bus.json").read_text(encoding="utf-8").replace("/secrets/", f"{secrets}/")
        for name in ("rabbitmq", "postgres"):
            (container,) = self._stack.containers(name)
            networks = self._stack.inspect(container)["NetworkSettings"]["Networks"].values()
            address = next(each["IPAddress"] for each in networks if each["IPAddress"])
            told = told.replace(f"@{name}:", f"@{address}:").replace(f"//{name}:", f"//{address}:")
        self._state.mkdir(exist_ok=True)
        (self._state / "bus.json").write_text(told, encoding="utf-8")
        self.address = Address.load(self._state)

    def halt(self, name: str) -> None:
        self._stack.docker("stop", "-t", "10", *self._stack.containers(name))

    def go_on(self, name: str) -> None:
        self._stack.docker("start", *self._stack.containers(name, stopped=True))
        self._find()

    def log(self, name: str) -> str:
        (container,) = self._stack.containers(name)
        return self._stack.log(container)

    def rabbitmqctl(self, *words: str) -> None:
        self._stack.docker("exec", *self._stack.containers("rabbitmq"), "rabbitmqctl", "-q", *words)

    def praktijkbus(self, *words: str, stdin: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *words],
            cwd=ROOT,
            env={**os.environ, "PRAKTIJKBUS_STATE": str(self._state)},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def now(self) -> datetime:
        return datetime.fromisoformat(
            self._stack.docker("exec", *self._stack.containers("intake"), "cat", "/klok/nu").strip()
        )

    def set_clock(self, to: datetime) -> None:
        step = (
            "from datetime import datetime; from pathlib import Path;"
            " from services.chassis.calendar import SteppedCalendar as Clock;"
            f" Clock(Path('/klok/nu')).step_to(datetime.fromisoformat('{to.isoformat()}'))"
        )
        words = (
            "--profile",
            "proef",
            "run",
            "--rm",
            "--no-deps",
            "--entrypoint",
            "python",
            "partners",
            "-c",
            step,
        )
        self._stack.docker("compose", *words)


@pytest.fixture(scope="module")
def ground(engine: Engine) -> Iterator[OnStack]:
    """A stack with a short pilot behind it, whose numbers come every second and whose rules are shortened."""
    stack = Stack(engine, STATE / "watched")
    stack.end()  # of a run that was killed
    for name, shorten in (("prometheus.yaml", shortened.scraping), ("rules/praktijkbus.yaml", shortened.rules)):
        file = stack.deploy / "prometheus" / name
        file.write_text(shorten(file.read_text(encoding="utf-8")), encoding="utf-8")
    _, mkdir, secrets, _ = commands()["install"]
    *prepare, up, play, _ = commands()["trial"]
    stack.follow([mkdir, secrets, *prepare])
    for service in SERVICES:
        told = stack.deploy / "secrets" / "services" / service.name / "praktijkbus_metrics_every"
        told.write_text("1", encoding="utf-8")
        told.chmod(0o644)
    try:
        stack.follow([up, play.replace("20", TRAJECTEN)])
        yield OnStack(stack, STATE / "watched" / "place")
    finally:
        stack.end()


class Watch:
    """What Prometheus says is firing, and what was."""

    def __init__(self, prometheus: httpx.AsyncClient) -> None:
        self._prometheus = prometheus
        self.seen: set[tuple[str, str]] = set()

    async def firing(self) -> Alerts:
        asked = {"query": 'ALERTS{alertstate="firing"}'}
        answer = (await self._prometheus.get("/api/v1/query", params=asked)).raise_for_status().json()
        found = frozenset(
            (each["metric"]["alertname"], each["metric"]["severity"]) for each in answer["data"]["result"]
        )
        self.seen |= found
        return found

    async def until(self, satisfied: Callable[[Alerts], bool], says: Callable[[Alerts], str]) -> None:
        """AssertionError, with what it says, if that takes too long."""
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                found = await self.firing()
                if satisfied(found):
                    return
                said = says(found)
            except httpx.HTTPError as error:  # it may be starting
                said = f"Prometheus does not answer: {error!r}"
            assert time.monotonic() < give_up, said
            await asyncio.sleep(0.5)


async def fire_and_mend(ground: Ground, watch: Watch, troubles: Iterable[Trouble]) -> None:
    """Causes all of these, sees what they fire, mends them, sees it go."""
    watch.seen.clear()
    expected = {alert for trouble in troubles for alert in trouble.fires}
    after = {alert for trouble in troubles for alert in trouble.fires_after}
    async with AsyncExitStack() as mending:
        for trouble in troubles:
            await mending.enter_async_context(trouble.cause(ground))
        await watch.until(
            lambda _: expected <= watch.seen, lambda _: f"do not fire: {sorted(expected - watch.seen)}"
        )
    await watch.until(lambda _: after <= watch.seen, lambda _: f"do not fire: {sorted(after - watch.seen)}")
    await quiet(ground, watch)


async def quiet(ground: Ground, watch: Watch) -> None:
    """Until nothing fires, with partners that read what they get."""
    async with asyncio.TaskGroup() as beside:
        reading = beside.create_task(partners_read(ground))
        await watch.until(lambda found: not found, lambda found: f"do not go: {sorted(found)}")
        reading.cancel()


async def partners_read(ground: Ground) -> None:
    while True:
        await asyncio.sleep(1)
        with contextlib.suppress(httpx.HTTPError):  # the broker may be starting
            for partner in Registry.load(PARTNERS).partners:
                await manage(ground, "DELETE", f"queues/{VHOST}/{names.partner_queue(partner.id)}/contents")


@pytest.fixture
async def watch(ground: OnStack) -> AsyncIterator[Watch]:
    async with httpx.AsyncClient(base_url=ground.prometheus, timeout=10) as prometheus:
        watch = Watch(prometheus)
        await quiet(ground, watch)
        yield watch


async def test_troubles_at_once_each_fire_their_alert_and_go(ground: OnStack, watch: Watch) -> None:
    await fire_and_mend(ground, watch, TOGETHER)


async def test_what_is_down_fires_its_alert_and_goes(ground: OnStack, watch: Watch) -> None:
    await fire_and_mend(ground, watch, DOWN)


@pytest.mark.parametrize("trouble", IN_TURN, ids=lambda trouble: min(trouble.fires | trouble.fires_after)[0])
async def test_trouble_that_hides_others_fires_its_alert_and_goes(
    trouble: Trouble, ground: OnStack, watch: Watch
) -> None:
    await fire_and_mend(ground, watch, [trouble])


def test_every_alert_had_its_trouble() -> None:
    fired = {alert for trouble in (*TOGETHER, *DOWN, *IN_TURN) for alert in trouble.fires | trouble.fires_after}
    assert fired == {(alert.name, alert.severity) for alert in watching.ALERTS}


def test_every_metric_in_use_came_from_the_running_stack(ground: OnStack) -> None:
    """After all troubles, so that what they alone bring is among it."""
    missing = {}
    with httpx.Client(base_url=ground.prometheus, timeout=30) as http:
        for metric, labels in watching.used().items():
            asked = {"match[]": metric, "start": str(time.time() - 1800), "end": str(time.time())}
            found = http.get("/api/v1/series", params=asked).raise_for_status().json()["data"]
            seen = {label for each in found for label in each}
            if absent := {label for label in labels - seen if (metric, label) not in SELDOM} or not found:
                missing[metric] = absent
    assert not missing
