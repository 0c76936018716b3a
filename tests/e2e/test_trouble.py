"""What a person is told when the running bus does not do what was asked."""

import json
from pathlib import Path

import pytest

from contracts.fields import number_from
from deploy.local.bus import VHOST, LocalBus
from tests.e2e.conftest import Cli

pytestmark = pytest.mark.timeout(300)

NINE = "deploy/local/examples/negen.ndjson"
UNKNOWN = number_from("PV", "ZZZZZZZZZ")


def test_number_that_is_not_on_this_bus_is_told(praktijkbus: Cli) -> None:
    told = praktijkbus("tell", UNKNOWN)

    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == f"{UNKNOWN} komt niet voor in het journaal. Is het nummer van deze bus?\n"


def test_second_bus_in_the_same_folder_is_refused(praktijkbus: Cli) -> None:
    told = praktijkbus("up")

    assert told.returncode == 2
    assert "A bus is running here already" in told.stderr
    assert "Traceback" not in told.stderr


def test_account_of_another_or_with_a_wrong_password_is_told(bus: LocalBus, praktijkbus: Cli) -> None:
    of_sbb = bus.address.amqp["sbb"]
    wrong = of_sbb.replace(bus.passwords["sbb"], "geraden")
    told = [
        praktijkbus("submit", NINE, "--partner", partner, env={"PRAKTIJKBUS_PARTNER_URL": url})
        for partner, url in (("zorghof", of_sbb), ("sbb", wrong), ("sbb", "http://example.org"))
    ]

    assert [run.returncode for run in told] == [2, 2, 2]
    assert "may not act as zorghof" in told[0].stderr
    assert "is the password right?" in told[1].stderr
    assert "must look like amqp://" in told[2].stderr
    assert "Traceback" not in "".join(run.stderr for run in told)


def test_own_account_can_be_given_as_an_address(bus: LocalBus, praktijkbus: Cli, nowhere: dict[str, str]) -> None:
    env = {**nowhere, "PRAKTIJKBUS_PARTNER_URL": bus.address.amqp["sbb"]}
    sent = praktijkbus("submit", "-", "--partner", "sbb", stdin="[1]", env=env)

    assert (sent.returncode, sent.stderr) == (1, "")
    assert "(onleesbaar)" in sent.stdout


def test_provisioning_can_be_repeated(bus: LocalBus, praktijkbus: Cli, tmp_path: Path) -> None:
    admin, password = bus.address.admin
    (tmp_path / "admin").write_text(password + "\n")
    before = sorted(bus.queue_depths())
    done = praktijkbus(
        *("provision", "--management-url", bus.address.management_url, "--admin", admin, "--vhost", VHOST),
        *("--admin-password-file", str(tmp_path / "admin"), "--passwords", str(bus.state / "secrets")),
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{VHOST} is provisioned for {len(bus.registry.partners)} partners and 4 services.\n"
    assert sorted(bus.queue_depths()) == before


def test_provisioning_says_what_is_missing(bus: LocalBus, praktijkbus: Cli, tmp_path: Path) -> None:
    here = ("--management-url", bus.address.management_url, "--admin", bus.address.admin[0])
    secrets = ("--passwords", str(bus.state / "secrets"))
    wrong = {"PRAKTIJKBUS_ADMIN_PASSWORD": "geraden"}
    told = [
        praktijkbus("provision", *here, *secrets),
        praktijkbus("provision", *here, *secrets, env=wrong),
        praktijkbus("provision", "--management-url", "http://127.0.0.1:9", *secrets, env=wrong),
        praktijkbus("provision", *here, "--passwords", str(tmp_path), env=wrong),
    ]

    assert [run.returncode for run in told] == [2, 2, 2, 2]
    assert "set PRAKTIJKBUS_ADMIN_PASSWORD" in told[0].stderr
    assert "name and password right?" in told[1].stderr
    assert "http://127.0.0.1:9 cannot be reached" in told[2].stderr
    assert "bakkerij-de-es, billing" in told[3].stderr
    assert not [secret for secret in bus.passwords.values() if secret in json.dumps([run.stderr for run in told])]
