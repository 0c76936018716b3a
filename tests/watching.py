"""What alert rules and dashboards look at, read from their files."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import promql_parser as promql
import yaml

from deploy.local.bus import ROOT, SERVICES
from services.chassis.metrics import CATALOGUE, Instrument, Kind

RULES: Final = ROOT / "deploy" / "prometheus" / "rules" / "praktijkbus.yaml"
DASHBOARDS: Final = tuple(sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")))
RUNBOOKS: Final = ROOT / "deploy" / "runbooks"

_TARGET: Final = frozenset({"job", "instance"})
_QUEUE: Final = _TARGET | {"vhost", "queue"}
BROKER: Final[Mapping[str, frozenset[str]]] = {
    "up": _TARGET,
    "rabbitmq_alarms_memory_used_watermark": _TARGET,
    "rabbitmq_alarms_free_disk_space_watermark": _TARGET,
    "rabbitmq_process_resident_memory_bytes": _TARGET,
    "rabbitmq_resident_memory_limit_bytes": _TARGET,
    "rabbitmq_disk_space_available_bytes": _TARGET,
    "rabbitmq_disk_space_available_limit_bytes": _TARGET,
    "rabbitmq_detailed_queue_messages": _QUEUE,
    "rabbitmq_detailed_queue_messages_ready": _QUEUE,
    "rabbitmq_detailed_queue_messages_unacked": _QUEUE,
    "rabbitmq_detailed_queue_consumers": _QUEUE,
}
"""What is used of RabbitMQ's Prometheus plugin, 3.10 and 4, with its labels."""
OF_ALERTS: Final = "ALERTS"
"""The series that Prometheus keeps of alerts themselves; they have the labels of any of them."""


@dataclass(frozen=True, slots=True)
class Alert:
    name: str
    expr: str
    waits: timedelta
    """Its `for`."""
    severity: str
    annotations: Mapping[str, str]


class Asked(NamedTuple):
    """One selector: of this metric, by these matchers."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    """Label, operator, value."""


def rules() -> dict[str, Any]:
    """The rules file as it is."""
    content: dict[str, Any] = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return content


def alerts() -> list[Alert]:
    return [
        Alert(
            rule["alert"],
            rule["expr"],
            promql.parse_duration(rule["for"]) if "for" in rule else timedelta(),
            rule["labels"]["severity"],
            rule["annotations"],
        )
        for rule in _all_rules()
        if "alert" in rule
    ]


def recorded() -> dict[str, str]:
    """Each recorded series and what it is computed from."""
    return {rule["record"]: rule["expr"] for rule in _all_rules() if "record" in rule}


def panels(dashboard: Path) -> list[dict[str, Any]]:
    """Those that show something, without the titles of rows."""
    content = json.loads(dashboard.read_text(encoding="utf-8"))
    return [panel for panel in content["panels"] if panel["type"] != "row"]


def queries(dashboard: Path) -> Iterator[tuple[str, str, str]]:
    """Where, the expression with Grafana's variables filled in, and the legend."""
    content = json.loads(dashboard.read_text(encoding="utf-8"))
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield f"{dashboard.stem}: {panel['title']}", filled_in(target["expr"]), target.get("legendFormat", "")
    for variable in content["templating"]["list"]:
        asked = variable["query"]["query"]
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", asked)
        assert found, asked
        yield f"{dashboard.stem}: ${variable['name']}", found[1], f"{{{{{found[2]}}}}}"


VARIABLES: Final = {
    "$__rate_interval": "4m",
    "$__range": "1d",
    "$service": "praktijkbus/.+",
    "$partner": "coach-kompas",
    "$source": ".+",
}


def filled_in(expr: str) -> str:
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return expr


def expressions() -> dict[str, str]:
    """Everything that is asked of Prometheus, by where that is written."""
    found = {f"record {name}": expr for name, expr in recorded().items()}
    found |= {f"alert {alert.name} ({alert.severity})": alert.expr for alert in alerts()}
    for dashboard in DASHBOARDS:
        for number, (where, expr, _) in enumerate(queries(dashboard)):
            found[f"{where} #{number}"] = expr
    return found


def measured() -> dict[str, frozenset[str]]:
    """Every series there can be, with its labels: by the catalogues of metrics, the broker and our own rules."""
    found = dict(BROKER)
    own = [gauge for service in SERVICES for reading in service.readings for gauge in reading.gauges]
    for instrument in (*CATALOGUE, *own):
        labels = _TARGET | {attribute.replace(".", "_") for attribute in instrument.attributes}
        found |= {name: labels | extra for name, extra in _series(instrument)}
    for name, expr in recorded().items():
        found[name] = labels_in(promql.parse(expr), found)
    everything = frozenset().union(*found.values())
    return found | {OF_ALERTS: everything | {"alertname", "alertstate", "severity"}}


def _series(instrument: Instrument) -> list[tuple[str, frozenset[str]]]:
    name = instrument.prometheus
    if instrument.kind is not Kind.HISTOGRAM:
        return [(name, frozenset())]
    return [(f"{name}_bucket", frozenset({"le"})), (f"{name}_sum", frozenset()), (f"{name}_count", frozenset())]


def labels_in(tree: promql.Expr, known: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The labels that what an expression selects has, and those it makes."""
    selected = (known.get(asked.metric, frozenset()) for asked in asks(tree))
    return frozenset().union(made(tree), *selected)


def asks(tree: promql.Expr) -> list[Asked]:
    """All selectors in it."""
    found = []
    for node in nodes(tree):
        if isinstance(node, promql.VectorSelector):
            matchers = tuple(
                (each.name, str(each.op).rpartition(".")[2], each.value) for each in node.matchers.matchers
            )
            found.append(Asked(node.name or "", matchers))
    return found


def made(tree: promql.Expr) -> set[str]:
    """Labels that `label_replace` makes."""
    return {
        node.args[1].val
        for node in nodes(tree)
        if isinstance(node, promql.Call) and node.func.name == "label_replace"
    }


def grouped(tree: promql.Expr) -> list[tuple[promql.Expr, list[str]]]:
    """Where labels are named to group or to match by: the expression and those labels."""
    found: list[tuple[promql.Expr, list[str]]] = []
    for node in nodes(tree):
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            found.append((node, list(node.modifier.labels)))
        if (
            isinstance(node, promql.BinaryExpr)
            and node.modifier is not None
            and node.modifier.matching is not None
        ):
            found.append((node, list(node.modifier.matching.labels)))
    return found


def nodes(tree: promql.Expr) -> list[promql.Expr]:
    found: list[promql.Expr] = []
    promql.walk(tree, lambda node: found.append(node))
    return found


def used() -> dict[str, set[str]]:
    """Every metric that rules and dashboards use and the rules do not make, with the labels asked of it."""
    found: dict[str, set[str]] = defaultdict(set)
    for expr in EXPRESSIONS.values():
        for asked in asks(promql.parse(expr)):
            if asked.metric not in recorded() and asked.metric != OF_ALERTS:
                found[asked.metric] |= {label for label, _, _ in asked.matchers}
    return dict(found)


def _all_rules() -> Iterator[dict[str, Any]]:
    for group in rules()["groups"]:
        yield from group["rules"]


ALERTS: Final = alerts()
EXPRESSIONS: Final = expressions()
