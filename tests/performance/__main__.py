"""Measures all contenders in turn and writes `build/bench.json`: `make bench`."""

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from deploy.local import broker as local_broker
from deploy.local import postgres as local_postgres
from deploy.local.bus import ROOT
from tests.performance.loads import fact_load, submission_load
from tests.performance.measure import BATCH, PREFETCH, Contender, Ground, Round, shortened

TO: Final = ROOT / "build" / "bench.json"
RATIOS: Final = {
    "hop.ratio_fact": ("hop.fact", "hop.raw_batched_1"),
    "hop.ratio_submission": ("hop.submission", "hop.raw_batched_2"),
    "hop.ratio_faststream_50": ("hop.fact", "hop.faststream_50"),
    "hop.ratio_celery": ("hop.fact", "hop.celery"),
    "hop.telemetry_ratio": ("hop.fact_traced", "hop.fact"),
    "hop.telemetry_hanging_ratio": ("hop.fact_hanging", "hop.fact_traced"),
}


def contenders(messages: int) -> list[Contender]:
    """Who takes part. The slower get fewer messages, so that each is at it for about as long."""
    fact, submission = fact_load(messages), submission_load(messages)
    warm_up = messages // 5

    def slower(name: str, module: str, count: int, *, in_flight: int) -> Contender:
        return Contender(
            name=name,
            load=shortened(fact, count),
            module=module,
            in_flight=in_flight,
            batch=1,
            count=count,
            warm_up=count // 5,
        )

    return [
        Contender(name="hop.fact", load=fact, count=messages, warm_up=warm_up),
        Contender(name="hop.fact_traced", load=fact, receiver="live", count=messages, warm_up=warm_up),
        Contender(name="hop.fact_hanging", load=fact, receiver="hangs", count=messages, warm_up=warm_up),
        Contender(name="hop.raw_batched_1", load=fact, module="raw", count=messages, warm_up=warm_up),
        Contender(name="hop.submission", load=submission, count=messages, warm_up=warm_up),
        Contender(name="hop.raw_batched_2", load=submission, module="raw", count=messages, warm_up=warm_up),
        slower("hop.raw", "raw", messages // 2, in_flight=PREFETCH),
        slower("hop.faststream_1", "faststream_sqlalchemy", messages // 10, in_flight=1),
        slower("hop.faststream_50", "faststream_sqlalchemy", messages // 5, in_flight=50),
        slower("hop.celery", "celery_app", messages // 6, in_flight=4),
    ]


async def measure(messages: int, rounds: int, only: list[str]) -> dict[str, list[Round]]:
    with tempfile.TemporaryDirectory(prefix="praktijkbus-bench-") as folder:
        return await _on_servers(Path(folder), messages, rounds, only)


async def _on_servers(state: Path, messages: int, rounds: int, only: list[str]) -> dict[str, list[Round]]:
    broker = local_broker.find_or_start(state / "rabbitmq", _say)
    try:
        database = local_postgres.find_or_start(state / "postgres", _say)
        try:
            return await _rounds(Ground(broker, database, state / "logs"), messages, rounds, only)
        finally:
            database.stop()
    finally:
        broker.stop()


async def _rounds(ground: Ground, messages: int, rounds: int, only: list[str]) -> dict[str, list[Round]]:
    await ground.prepare()
    taking_part = [item for item in contenders(messages) if not only or item.name in only]
    results: dict[str, list[Round]] = {item.name: [] for item in taking_part}
    try:
        for number in range(1, rounds + 1):
            for contender in taking_part:
                result = await ground.round(contender)
                results[contender.name].append(result)
                _say(
                    f"{number}/{rounds} {contender.name:20} {result.per_second:7.0f}/s {result.cpu_us:6.0f} µs CPU"
                )
    finally:
        await ground.close()
    return results


def report(results: dict[str, list[Round]], messages: int) -> dict[str, Any]:
    """Medians and ratios under their names, then everything they come from.

    A ratio is the median of those of each round: the machine itself may be twice as fast in one as in another.
    """
    medians = {name: statistics.median(item.per_second for item in found) for name, found in results.items()}
    ratios = {
        name: statistics.median(
            our.per_second / their.per_second for our, their in zip(results[ours], results[theirs], strict=True)
        )
        for name, (ours, theirs) in RATIOS.items()
        if ours in results and theirs in results
    }
    return {
        **{name: round(median, 1) for name, median in medians.items()},
        **{name: round(ratio, 3) for name, ratio in ratios.items()},
        "unit": "messages taken in, a second, by one process",
        "rounds": {name: [round(item.per_second, 1) for item in found] for name, found in results.items()},
        "cpu_us_per_message": {
            name: round(statistics.median(item.cpu_us for item in found)) for name, found in results.items()
        },
        "method": {
            "messages": messages,
            "prefetch": PREFETCH,
            "batch": BATCH,
            "telemetry": "off, but fact_traced and fact_hanging",
        },
        "machine": {
            "cpus": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            **{name: version(name) for name in ("aio-pika", "faststream", "sqlalchemy", "asyncpg", "celery")},
        },
    }


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m tests.performance", description=__doc__)
    asked.add_argument("--messages", type=int, default=4000, help="for the fastest, in one round")
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--only", nargs="*", default=[], help="some contenders by name; writes no file")
    given = asked.parse_args()
    results = asyncio.run(measure(given.messages, given.rounds, given.only))
    content = json.dumps(report(results, given.messages), indent=2) + "\n"
    sys.stdout.write(content)
    if not given.only:
        TO.parent.mkdir(exist_ok=True)
        TO.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
