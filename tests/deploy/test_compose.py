"""What compose.yaml promises of every container, read from the file; `make test-deploy` runs it."""

import re
from typing import Any

import pytest
import yaml

from contracts.catalogue import Owner
from deploy.local.broker import IMAGE
from tests.containers import POSTGRES
from tests.desk import DEPLOY

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OTHERS_OWN = {"lgtm"}
"""Made for a root file system of its own."""


@pytest.mark.parametrize("name", SERVICES)
def test_container_has_limits_and_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["pids_limit"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"]["max-size"]
    if name not in OTHERS_OWN:
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_only_the_broker_is_published_beyond_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    for name, ports in published.items():
        for port in ports:
            bind = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", port).split(":")[0]
            assert bind == "127.0.0.1", f"{name} {port}"
    assert [name for name, ports in published.items() if "PRAKTIJKBUS_BIND" in str(ports)] == ["rabbitmq"]
    assert COMPOSE["networks"]["binnen"] == {"internal": True}


@pytest.mark.parametrize("owner", Owner)
def test_service_starts_when_it_is_migrated_and_provisioned(owner: Owner) -> None:
    done = {"condition": "service_completed_successfully"}
    assert SERVICES[owner.value]["depends_on"] == {f"migrate-{owner.value}": done, "provision": done}
    assert SERVICES[owner.value]["restart"] == "unless-stopped"
    migrate = SERVICES[f"migrate-{owner.value}"]
    assert (migrate["command"], migrate["restart"]) == (["migrate"], "on-failure")
    assert migrate["image"] == SERVICES[owner.value]["image"]


def test_no_secret_is_in_the_environment() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|SECRET", variable):
                assert str(value).startswith("/secrets"), f"{name} {variable}"


def test_tests_use_the_servers_of_the_stack() -> None:
    assert SERVICES["rabbitmq"]["image"] == IMAGE
    assert SERVICES["postgres"]["image"] == POSTGRES
