"""Alert rules, dashboards and runbooks fit each other and what the services really measure."""

import json
import re
from datetime import timedelta
from pathlib import Path

import promql_parser as promql
import pytest
import typer
import yaml

from cli.main import app
from contracts.catalogue import CATALOGUE
from contracts.ontvangst import Code
from contracts.partners import Registry
from deploy.local.bus import PARTNERS, ROOT, SERVICES
from services.chassis import names, storage
from services.intake.traject import Status
from tests import watching
from tests.watching import ALERTS, DASHBOARDS, EXPRESSIONS, RUNBOOKS

MEASURED = watching.measured()
PAGES = sorted(page for page in RUNBOOKS.glob("*.md") if page.name != "README.md")
INDEX = (RUNBOOKS / "README.md").read_text(encoding="utf-8")
by_place = pytest.mark.parametrize("expr", EXPRESSIONS.values(), ids=EXPRESSIONS.keys())
by_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name}-{alert.severity}")
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
by_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.stem)

QUEUES = {
    names.UNDELIVERABLE,
    names.DEAD,
    *(names.facts_queue(service.name) for service in SERVICES),
    *(names.partner_queue(partner.id) for partner in Registry.load(PARTNERS).partners),
    *(
        names.ingress_queue(service.owner, partner.id)
        for service in SERVICES
        if names.takes_submissions(service.owner)
        for partner in Registry.load(PARTNERS).partners
    ),
}
"""Every queue that is provisioned."""
RECEIPTS = {"aanvaard", "afgewezen", "wacht"}
VALUES: dict[str, set[str]] = {
    "job": {"rabbitmq", "rabbitmq-queues", *(f"praktijkbus/praktijkbus-{service.name}" for service in SERVICES)},
    "queue": QUEUES,
    "praktijkbus_type": {item.routing_key for item in CATALOGUE.values()},
    "praktijkbus_kind": {kind for service in SERVICES for kind in service.performers} | {"mail"},
    "praktijkbus_status": {
        *(storage.WAITING, storage.HELD, storage.RETRY, storage.ATTEMPTING, storage.PARKED, storage.DISCARD),
        *Status,
    },
    "praktijkbus_outcome": {
        *("accepted", "refused", "repeated", "discarded", "waiting", "held", "retry", "parked"),
        *("done", "skipped", "failed"),
        *RECEIPTS,
    },
    "praktijkbus_code": {code.value for code in Code},
    "alertstate": {"pending", "firing"},
}
"""What labels can say, for those of which that is known."""


@by_place
def test_uses_only_what_is_measured(expr: str) -> None:
    for asked in watching.asks(promql.parse(expr)):
        assert asked.metric in MEASURED
        assert {label for label, _, _ in asked.matchers} <= MEASURED[asked.metric]


@by_place
def test_groups_and_matches_by_labels_there_are(expr: str) -> None:
    for part, labels in watching.grouped(promql.parse(expr)):
        assert set(labels) <= watching.labels_in(part, MEASURED)


@by_place
def test_asks_for_values_that_labels_can_have(expr: str) -> None:
    for asked in watching.asks(promql.parse(expr)):
        for label, operator, value in asked.matchers:
            if label in VALUES and value:
                wanted = value if operator.endswith("Re") else re.escape(value)
                assert any(re.fullmatch(wanted, each) for each in VALUES[label]), f'{label}{operator}"{value}"'


def test_each_kind_of_queue_is_told_apart() -> None:
    asked = {
        value
        for expr in EXPRESSIONS.values()
        for one in watching.asks(promql.parse(expr))
        for label, operator, value in one.matchers
        if label == "queue" and operator == "Re" and "coach" not in value
    }
    seen = {pattern: {queue for queue in QUEUES if re.fullmatch(pattern, queue)} for pattern in asked}
    kinds = {
        "of services": {queue for queue in QUEUES if queue.endswith(".feiten") or ".van." in queue},
        "of submissions": {queue for queue in QUEUES if ".van." in queue},
        "of partners": {queue for queue in QUEUES if queue.startswith("aan.")},
        "of nobody": {names.UNDELIVERABLE, names.DEAD},
    }
    assert {frozenset(found) for found in seen.values()} == {frozenset(kind) for kind in kinds.values()}


@by_alert
def test_alert_says_what_somebody_needs(alert: watching.Alert) -> None:
    assert set(alert.annotations) == {"summary", "description", "runbook"}
    assert alert.annotations["runbook"] == f"deploy/runbooks/{alert.name}.md"
    assert (ROOT / alert.annotations["runbook"]).is_file()
    assert alert.severity in ("page", "ticket")
    said = re.findall(r"\$labels\.(\w+)", " ".join(alert.annotations.values()))
    assert set(said) <= watching.labels_in(promql.parse(alert.expr), MEASURED)


@by_alert
def test_who_is_paged_hears_it_within_minutes(alert: watching.Alert) -> None:
    patience = timedelta(minutes=5) if alert.severity == "page" else timedelta(hours=1)
    assert alert.waits <= patience


@by_alert
def test_windows_hold_enough_samples(alert: watching.Alert) -> None:
    """Numbers come every 15 seconds: a rate needs two of them, also when one is lost."""
    windows = [
        node.range for node in watching.nodes(promql.parse(alert.expr)) if isinstance(node, promql.MatrixSelector)
    ]
    assert all(window >= timedelta(minutes=1) for window in windows)


def test_every_service_is_missed() -> None:
    (missing,) = (alert for alert in ALERTS if alert.name == "ServiceNotReporting")
    missed = {value for asked in watching.asks(promql.parse(missing.expr)) for _, _, value in asked.matchers}
    assert missed == {f"praktijkbus/praktijkbus-{service.name}" for service in SERVICES}


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    assert {page.stem for page in PAGES} == {alert.name for alert in ALERTS}


def test_index_names_each_page_with_its_severity() -> None:
    listed = {name: severities for severities, name in re.findall(r"^\| ([a-z, ]+?) \| \[(\w+)\]\(", INDEX, re.M)}
    expected: dict[str, set[str]] = {}
    for alert in ALERTS:
        expected.setdefault(alert.name, set()).add(alert.severity)
    assert {name: set(said.split(", ")) for name, said in listed.items()} == expected


@by_page
def test_page_has_its_four_parts(page: Path) -> None:
    content = page.read_text(encoding="utf-8")
    assert content.startswith(f"# {page.stem}\n\n**")
    parts = re.findall(r"^## (.+)$", content, re.MULTILINE)
    assert parts == ["What it means", "How to look", "What to do", "When it is over"]
    severities = {alert.severity for alert in ALERTS if alert.name == page.stem}
    said = content.split("\n\n")[1].lower()
    assert severities == {severity for severity in ("page", "ticket") if f"**{severity}" in said}


@pytest.mark.parametrize("page", [*PAGES, RUNBOOKS / "README.md"], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@by_page
def test_commands_exist(page: Path) -> None:
    content = page.read_text(encoding="utf-8").replace("\n  ", " ")
    group = typer.main.get_command(app)
    for line in re.findall(r"(?:^|`)praktijkbus ([^`\n]+)", content, re.MULTILINE):
        words = line.split("#")[0].split()
        command = group
        while words and hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        options = {
            option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert {word for word in words if word.startswith("--")} <= options, line


@by_page
def test_services_of_the_stack_exist(page: Path) -> None:
    stack = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    asked = re.findall(
        r"docker compose (?:ps -a|logs --since \w+|exec|run --rm|up -d(?: --force-recreate)?) ([a-z]+)",
        page.read_text(encoding="utf-8"),
    )
    assert set(asked) <= set(stack)


@by_dashboard
def test_dashboard_is_whole(dashboard: Path) -> None:
    content = json.loads(dashboard.read_text(encoding="utf-8"))
    assert content["uid"] == f"praktijkbus-{dashboard.stem}"
    ids = [panel["id"] for panel in content["panels"]]
    assert len(ids) == len(set(ids))
    for panel in watching.panels(dashboard):
        assert panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}
        assert panel["targets"]
    taken: set[tuple[int, int]] = set()
    for panel in content["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, f"{panel['title']} lies on another"
        taken |= cells


def test_stack_mounts_what_it_watches_with() -> None:
    stack = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    mounted = dict(volume.split(":")[:2] for volume in stack["lgtm"]["volumes"])
    provider = yaml.safe_load((ROOT / "deploy" / "grafana" / "praktijkbus.yaml").read_text(encoding="utf-8"))
    prometheus = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text(encoding="utf-8"))
    assert prometheus["rule_files"] == [f"{mounted['./prometheus/rules']}/*.yaml"]
    assert provider["providers"][0]["options"]["path"] == mounted["./grafana/dashboards"]
    assert mounted["./runbooks"].endswith("/grafana/public/runbooks")  # Grafana serves public/ as it is


@by_dashboard
def test_variables_are_declared_and_used(dashboard: Path) -> None:
    content = json.loads(dashboard.read_text(encoding="utf-8"))
    declared = {variable["name"] for variable in content["templating"]["list"]}
    asked = {
        name
        for panel in watching.panels(dashboard)
        for target in panel["targets"]
        for name in re.findall(r"\$([a-z]+)", target["expr"])
    }
    assert asked == declared


@by_dashboard
def test_legends_name_labels_there_are(dashboard: Path) -> None:
    for where, expr, legend in watching.queries(dashboard):
        assert set(re.findall(r"{{(\w+)}}", legend)) <= watching.labels_in(promql.parse(expr), MEASURED), where


def test_what_the_top_row_counts_as_all_is_all() -> None:
    bus = next(dashboard for dashboard in DASHBOARDS if dashboard.stem == "bus")
    for panel in watching.panels(bus):
        if panel["title"] in ("Services", "Databases", "Relays"):
            assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"] == len(SERVICES)
