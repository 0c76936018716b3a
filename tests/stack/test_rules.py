"""Each alert fires under its trouble and only then: on recorded series, as Prometheus itself evaluates them.

A world in which all is well is changed for a while; Prometheus' own `promtool` runs the rules over it. Nothing may
fire before, exactly what was expected in the trouble, and nothing some time after.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import yaml

from deploy.local.bus import ROOT, SERVICES
from services.chassis import names
from services.chassis.metrics import CATALOGUE, Kind
from tests.stack.engine import Engine
from tests.watching import ALERTS, RULES

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
LEAD: Final = 20 * MINUTE
"""Seconds in which all is well, before the trouble."""

Value = float | None
"""None: nothing is reported."""
Course = Callable[[int], Value]
"""What a series says, so many seconds after the trouble began (before it: less than 0).

Of a counter: by how much it grows a second."""
World = dict[str, Course]

COUNTERS: Final = {instrument.prometheus for instrument in CATALOGUE if instrument.kind is Kind.COUNTER}
JOBS: Final = {service.name: f"praktijkbus/praktijkbus-{service.name}" for service in SERVICES}
PARTNER: Final = "coach-kompas"


def steady(value: Value) -> Course:
    return lambda _: value


def of(metric: str, service: str, **labels: str) -> str:
    """A series that a service reports."""
    return series(metric, job=JOBS[service], instance=service, **labels)


def queue(metric: str, name: str) -> str:
    return series(metric, job="rabbitmq-queues", instance="rabbitmq:15692", vhost="praktijkbus", queue=name)


def series(metric: str, **labels: str) -> str:
    return metric + "{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"


def buckets(metric: str, service: str, a_second: Mapping[str, float], **labels: str) -> World:
    """A histogram of which so many values a second fall in or below each bucket."""
    return {of(f"{metric}_bucket", service, le=le, **labels): steady(rate) for le, rate in a_second.items()}


def consumed(service: str, outcome: str) -> str:
    return of(
        "messaging_client_consumed_messages_total",
        service,
        praktijkbus_outcome=outcome,
        praktijkbus_partner=PARTNER,
        messaging_destination_name=f"{service}.van.{PARTNER}",
    )


def well() -> World:
    """All is well, and there is some work."""
    world: World = {
        series("up", job="rabbitmq", instance="rabbitmq:15692"): steady(1),
        series("up", job="rabbitmq-queues", instance="rabbitmq:15692"): steady(1),
        series("rabbitmq_alarms_memory_used_watermark", job="rabbitmq"): steady(0),
        series("rabbitmq_alarms_free_disk_space_watermark", job="rabbitmq"): steady(0),
        queue("rabbitmq_detailed_queue_messages", names.UNDELIVERABLE): steady(0),
        queue("rabbitmq_detailed_queue_messages", names.DEAD): steady(0),
        # A partner that looks once an hour.
        queue("rabbitmq_detailed_queue_messages", f"aan.{PARTNER}"): lambda at: at % HOUR // MINUTE,
        of("praktijkbus_budget_total", "billing", praktijkbus_source="POW"): steady(100_000),
        of("praktijkbus_budget_left", "billing", praktijkbus_source="POW"): steady(40_000),
        of(
            "praktijkbus_deadlines_overdue", "notify", praktijkbus_partner=PARTNER, praktijkbus_step="intake"
        ): steady(3),
        of("praktijkbus_pending_oldest_seconds", "intake", praktijkbus_status="waiting"): lambda at: at + 20 * DAY,
    }
    for service in JOBS:
        world |= {
            of("praktijkbus_relay_active", service): steady(1),
            of("praktijkbus_outbox_messages", service): steady(0),
            of("praktijkbus_outbox_oldest_seconds", service): steady(0),
            consumed(service, "accepted"): steady(0.5),
            consumed(service, "refused"): steady(0.001),
            queue("rabbitmq_detailed_queue_messages", f"{service}.feiten"): lambda at: at // 15 % 3,
            queue("rabbitmq_detailed_queue_consumers", f"{service}.feiten"): steady(1),
            queue("rabbitmq_detailed_queue_messages", f"{service}.van.{PARTNER}"): steady(0),
            queue("rabbitmq_detailed_queue_consumers", f"{service}.van.{PARTNER}"): steady(1),
            of("praktijkbus_retries_total", service, error_type="builtins.OSError"): steady(0.01),
        }
        world |= buckets("praktijkbus_lag_seconds", service, {"1.0": 1, "60.0": 1, "300.0": 1, "+Inf": 1})
        world |= buckets("db_client_operation_duration_seconds", service, {"1.0": 1, "2.5": 1, "+Inf": 1})
    return world


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What is different for a while, and what that is to fire."""

    says: str
    lasts: int
    changes: World
    """What these series say from 0 to `lasts` seconds."""
    fires: frozenset[tuple[str, str]]
    """Alert and severity."""
    after: int = 20 * MINUTE
    """Seconds after which all is quiet again."""
    step: int = 30


def silent(*services: str) -> World:
    """These processes are gone: they report nothing, and nobody reads their queues."""
    found: World = {}
    for name in well():
        if any(f'job="{JOBS[service]}"' in name for service in services):
            found[name] = steady(None)
        elif "queue_consumers" in name and any(f'queue="{service}.' in name for service in services):
            found[name] = steady(0)
        elif "queue_messages" in name and any(f'queue="{service}.' in name for service in services):
            found[name] = lambda at: at // 10
    return found


def database_gone(*services: str) -> World:
    """These read nothing from their database, and handle nothing."""
    read = ("outbox", "pending", "parked", "effects_o", "budget", "deadlines")
    found: World = {}
    for name in well():
        if any(f'job="{JOBS[service]}"' in name for service in services):
            if any(name.startswith(f"praktijkbus_{each}") for each in read):
                found[name] = steady(None)
            elif "_total" in name or "_bucket" in name or "relay_active" in name:
                found[name] = steady(0)
        elif "queue_messages" in name and any(f'queue="{service}.' in name for service in services):
            found[name] = lambda at: at // 10
    return found


def parked(at_most: float, a_second: float) -> World:
    return {
        of("praktijkbus_parked_messages", "billing", praktijkbus_cause=""): lambda at: min(
            at_most, 1 + at * a_second
        )
    }


def _once(at: int) -> float:
    """One, in the first of its samples."""
    return 1 / 30 if at < 30 else 0


PAGE, TICKET = "page", "ticket"
pytestmark = pytest.mark.timeout(1800)  # images are made first

TROUBLES: Final = (
    Trouble(
        says="one service is down",
        lasts=15 * MINUTE,
        changes=silent("billing"),
        fires=frozenset({("ServiceNotReporting", PAGE)}),
    ),
    Trouble(
        says="all services are down",
        lasts=15 * MINUTE,
        changes=silent(*JOBS),
        fires=frozenset({("ServiceNotReporting", PAGE)}),
    ),
    Trouble(
        says="the broker is down, outboxes fill",
        lasts=15 * MINUTE,
        changes={
            **{name: steady(None) for name in well() if "rabbitmq_" in name},
            **{name: steady(0) for name in well() if name.startswith("up")},
            **{name: steady(0) for name in well() if "consumed_messages_total" in name},
            **{of("praktijkbus_outbox_oldest_seconds", service): lambda at: at for service in JOBS},
            **{of("praktijkbus_relay_active", service): steady(0) for service in JOBS},
        },
        fires=frozenset({("BrokerDown", PAGE)}),
    ),
    Trouble(
        says="the broker has no disk space",
        lasts=15 * MINUTE,
        changes={
            series("rabbitmq_alarms_free_disk_space_watermark", job="rabbitmq"): steady(1),
            **{of("praktijkbus_outbox_oldest_seconds", service): lambda at: at for service in JOBS},
        },
        fires=frozenset({("BrokerAlarm", PAGE)}),
    ),
    Trouble(
        says="the broker has no memory",
        lasts=15 * MINUTE,
        changes={
            series("rabbitmq_alarms_memory_used_watermark", job="rabbitmq"): steady(1),
            of("praktijkbus_outbox_oldest_seconds", "billing"): lambda at: at,
        },
        fires=frozenset({("BrokerAlarm", PAGE)}),
    ),
    Trouble(
        says="one service cannot read its database",
        lasts=15 * MINUTE,
        changes=database_gone("billing"),
        fires=frozenset({("DatabaseUnreachable", PAGE)}),
    ),
    Trouble(
        says="PostgreSQL is down",
        lasts=15 * MINUTE,
        changes=database_gone(*JOBS),
        fires=frozenset({("DatabaseUnreachable", PAGE)}),
    ),
    Trouble(
        says="nobody reads the queue of a new partner",
        lasts=10 * MINUTE,
        changes={
            queue("rabbitmq_detailed_queue_consumers", f"matching.van.{PARTNER}"): steady(0),
            queue("rabbitmq_detailed_queue_messages", f"matching.van.{PARTNER}"): lambda at: at // 10,
        },
        fires=frozenset({("ConsumersMissing", PAGE)}),
    ),
    Trouble(
        says="a lock holds up every transaction",
        lasts=15 * MINUTE,
        changes={
            consumed("billing", "accepted"): steady(0),
            consumed("billing", "refused"): steady(0),
            **buckets("praktijkbus_lag_seconds", "billing", dict.fromkeys(("1.0", "60.0", "300.0", "+Inf"), 0)),
            queue("rabbitmq_detailed_queue_messages", "billing.feiten"): lambda at: 1 + at // 10,
        },
        fires=frozenset({("ServiceStuck", PAGE)}),
    ),
    Trouble(
        says="the relay cannot send",
        lasts=10 * MINUTE,
        changes={
            of("praktijkbus_outbox_oldest_seconds", "intake"): lambda at: at,
            of("praktijkbus_outbox_messages", "intake"): lambda at: at // 10,
        },
        fires=frozenset({("OutboxStuck", PAGE)}),
    ),
    Trouble(
        says="something reached nobody",
        lasts=5 * MINUTE,
        changes={queue("rabbitmq_detailed_queue_messages", names.UNDELIVERABLE): steady(1)},
        fires=frozenset({("MessagesUndeliverable", PAGE)}),
    ),
    Trouble(
        says="a queue gave up on a message",
        lasts=5 * MINUTE,
        changes={queue("rabbitmq_detailed_queue_messages", names.DEAD): steady(1)},
        fires=frozenset({("MessagesUndeliverable", PAGE)}),
    ),
    Trouble(
        says="one message is parked",
        lasts=30 * MINUTE,
        changes=parked(1, 0),
        fires=frozenset({("MessagesParked", TICKET)}),
    ),
    Trouble(
        says="message after message is parked",
        lasts=10 * MINUTE,
        changes=parked(1000, 0.1),
        fires=frozenset({("MessagesParked", TICKET), ("MessagesParked", PAGE)}),
    ),
    Trouble(
        says="many were parked an hour ago",
        lasts=HOUR,
        changes=parked(60, 0.1),
        fires=frozenset({("MessagesParked", TICKET)}),
    ),
    Trouble(
        says="every message is tried three times",
        lasts=30 * MINUTE,
        changes={
            of("praktijkbus_retries_total", "matching", error_type="builtins.OSError"): steady(1),
            of("praktijkbus_pending_oldest_seconds", "matching", praktijkbus_status="retry"): steady(5),
        },
        fires=frozenset({("RetriesGoOn", TICKET)}),
    ),
    Trouble(
        says="a fact is held for five hours",
        lasts=5 * HOUR,
        changes={of("praktijkbus_pending_oldest_seconds", "billing", praktijkbus_status="held"): lambda at: at},
        fires=frozenset({("SetAsideTooLong", TICKET)}),
        step=MINUTE,
    ),
    Trouble(
        says="facts are two minutes old when they take effect",
        lasts=20 * MINUTE,
        changes=buckets("praktijkbus_lag_seconds", "notify", {"1.0": 0, "60.0": 0, "300.0": 1, "+Inf": 1}),
        fires=frozenset({("FactsLate", TICKET)}),
    ),
    Trouble(
        says="every transaction takes two seconds",
        lasts=30 * MINUTE,
        changes=buckets("db_client_operation_duration_seconds", "intake", {"1.0": 0, "2.5": 1, "+Inf": 1}),
        fires=frozenset({("DatabaseSlow", TICKET)}),
    ),
    Trouble(
        says="a partner sends more than is handled",
        lasts=30 * MINUTE,
        changes={queue("rabbitmq_detailed_queue_messages", f"intake.van.{PARTNER}"): steady(5000)},
        fires=frozenset({("IngressFilling", TICKET)}),
    ),
    Trouble(
        says="a partner floods its queue",
        lasts=5 * MINUTE,
        changes={
            queue("rabbitmq_detailed_queue_messages", f"intake.van.{PARTNER}"): lambda at: min(20_000, at * 200)
        },
        fires=frozenset({("IngressFilling", PAGE)}),
    ),
    Trouble(
        says="a partner has not read for two days",
        lasts=2 * DAY + HOUR,
        changes={queue("rabbitmq_detailed_queue_messages", f"aan.{PARTNER}"): lambda at: 1 + at // HOUR},
        fires=frozenset({("PartnerNotReading", TICKET)}),
        step=MINUTE,
    ),
    Trouble(
        says="a partner's queue is nearly full",
        lasts=15 * MINUTE,
        changes={queue("rabbitmq_detailed_queue_messages", f"aan.{PARTNER}"): steady(160_000)},
        fires=frozenset({("PartnerNotReading", PAGE)}),
    ),
    Trouble(
        says="most of what a partner sends is refused",
        lasts=20 * MINUTE,
        changes={consumed("matching", "refused"): steady(5)},
        fires=frozenset({("SubmissionsRefused", TICKET)}),
        after=80 * MINUTE,
    ),
    Trouble(
        says="the mail server is down",
        lasts=30 * MINUTE,
        changes={of("praktijkbus_effects_oldest_seconds", "notify", praktijkbus_kind="mail"): lambda at: at},
        fires=frozenset({("EffectsNotLeaving", TICKET)}),
    ),
    Trouble(
        says="a mail was refused, the first ever",
        lasts=10 * MINUTE,
        changes={
            of("praktijkbus_effects_total", "notify", praktijkbus_kind="mail", praktijkbus_outcome="failed"): _once
        },
        fires=frozenset({("EffectsFailed", TICKET)}),
        after=80 * MINUTE,
    ),
    Trouble(
        says="a partner is late with everything",
        lasts=2 * HOUR,
        changes={
            of(
                "praktijkbus_deadlines_overdue", "notify", praktijkbus_partner=PARTNER, praktijkbus_step="pok"
            ): steady(9)
        },
        fires=frozenset({("DeadlinesOverdue", TICKET)}),
    ),
    Trouble(
        says="a budget is nearly used",
        lasts=15 * MINUTE,
        changes={of("praktijkbus_budget_left", "billing", praktijkbus_source="POW"): steady(9_999)},
        fires=frozenset({("BudgetNearlyUsed", TICKET)}),
    ),
    Trouble(
        says="spans are dropped, the first ever",
        lasts=5 * MINUTE,
        changes={of("praktijkbus_telemetry_dropped_total", "intake", praktijkbus_signal="traces"): _once},
        fires=frozenset({("TelemetryDropped", TICKET)}),
    ),
)


def test_every_alert_has_its_trouble() -> None:
    assert set().union(*(trouble.fires for trouble in TROUBLES)) == {
        (alert.name, alert.severity) for alert in ALERTS
    }


@pytest.mark.parametrize("step", [30, MINUTE])
def test_alerts_fire_under_their_trouble_and_only_then(step: int, promtool: Callable[..., str]) -> None:
    tests = {
        "rule_files": [RULES.name],
        "evaluation_interval": f"{2 * step}s",
        "tests": [_as_promtool_reads_it(trouble) for trouble in TROUBLES if trouble.step == step],
    }
    said = promtool("test", "rules", "tests.yaml", files={"tests.yaml": json.dumps(tests)})
    assert "SUCCESS" in said


def test_rules_and_settings_are_what_prometheus_reads(promtool: Callable[..., str]) -> None:
    assert "SUCCESS" in promtool("check", "rules", RULES.name)
    settings = (ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text(encoding="utf-8")
    assert "SUCCESS" in promtool("check", "config", "--syntax-only", "made.yaml", files={"made.yaml": settings})


def _as_promtool_reads_it(trouble: Trouble) -> dict[str, object]:
    usual = well()
    moments = range(-LEAD, trouble.lasts + trouble.after + 1, trouble.step)

    def values(name: str) -> Iterator[str]:
        counts = name.partition("{")[0] in COUNTERS or "_bucket{" in name
        total = 0.0
        for at in moments:
            in_trouble = name in trouble.changes and 0 <= at < trouble.lasts
            value = (trouble.changes if in_trouble else usual).get(name, steady(0 if counts and at > 0 else None))(
                at
            )
            if value is not None and counts:
                value = total = total + value * trouble.step
            yield "_" if value is None else f"{value:g}"

    def firing(at: int, expected: frozenset[tuple[str, str]]) -> dict[str, object]:
        return {
            "expr": 'group by (alertname, severity) (ALERTS{alertstate="firing"})',
            "eval_time": f"{LEAD + at}s",
            "exp_samples": [
                {"labels": f'{{alertname="{name}",severity="{severity}"}}', "value": 1}
                for name, severity in sorted(expected)
            ],
        }

    return {
        "name": trouble.says,
        "interval": f"{trouble.step}s",
        "input_series": [
            {"series": name, "values": " ".join(values(name))} for name in {**usual, **trouble.changes}
        ],
        "promql_expr_test": [
            firing(-1, frozenset()),
            firing(trouble.lasts - 1, trouble.fires),
            firing(trouble.lasts + trouble.after, frozenset()),
        ],
    }


@pytest.fixture
def promtool(engine: Engine, tmp_path: Path) -> Callable[..., str]:
    """Runs it in the image with Prometheus, in a folder with the rules and these files; what it says.

    RuntimeError, with what it says, where it finds something wrong.
    """
    shutil.copy(RULES, tmp_path)
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    image = compose["services"]["lgtm"]["image"]

    def run(*words: str, files: Mapping[str, str] | None = None) -> str:
        for name, content in (files or {}).items():
            (tmp_path / name).write_text(content, encoding="utf-8")
        given = ("--rm", "--volume", f"{tmp_path}:/rules:ro", "--workdir", "/rules", "--network", "none")
        path = "PATH=/otel-lgtm/prometheus:/usr/local/bin:/usr/bin:/bin"
        return engine.run("docker", "run", *given, "--env", path, "--entrypoint", "promtool", image, *words)

    return run
