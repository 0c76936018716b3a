import json
import re
import ssl
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

import cli.secrets
from cli.secrets import secrets
from deploy.local.bus import KEYS, SERVICES, Address
from services.chassis.settings import load_settings
from services.intake.secrets import Secrets
from tests.desk import DEPLOY

PARTNERS = DEPLOY / "partners.toml"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stack") / "secrets"
    secrets(folder, PARTNERS, "bus.example.nl")
    return folder


def test_nobody_else_on_the_machine_can_open_the_folder(drawn: Path) -> None:
    assert drawn.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("service", [service.name for service in SERVICES])
def test_service_finds_in_its_folder_what_it_must_be_told(
    drawn: Path, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AMQP_URL", "DATABASE_URL"):
        monkeypatch.delenv(f"PRAKTIJKBUS_{name}", raising=False)
    monkeypatch.setenv("PRAKTIJKBUS_SECRETS_DIR", str(drawn / "services" / service))
    monkeypatch.setenv("PRAKTIJKBUS_PARTNERS", str(PARTNERS))
    monkeypatch.setenv("PRAKTIJKBUS_KWALIFICATIES", str(DEPLOY / "kwalificaties.toml"))
    monkeypatch.setenv("PRAKTIJKBUS_CLOCK", "")  # as compose gives what is not set
    settings = load_settings()
    word = (drawn / "accounts" / service).read_text()
    assert settings.amqp_url.get_secret_value() == f"amqp://{service}:{word}@rabbitmq:5672/praktijkbus"
    assert (settings.keys_database_url is not None) == (service == "intake")
    assert (settings.persons_token is not None) == (service == "notify")
    assert settings.clock is None


def test_each_database_has_an_owner_of_its_own(drawn: Path) -> None:
    sql = (drawn / "postgres" / "init.sql").read_text()
    owned = dict(re.findall(r"CREATE DATABASE (\w+) OWNER (\w+);", sql))
    assert set(owned) == {f"praktijkbus_{name}" for name in (*(service.name for service in SERVICES), KEYS)}
    assert all(database == owner for database, owner in owned.items())
    words = re.findall(r"PASSWORD '([^']+)'", sql)
    assert len(set(words)) == len(words) == len(owned) + 1


def test_tokens_open_what_intake_guards(drawn: Path) -> None:
    known = Secrets.load(drawn / "persons")
    assert set(known.callers.values()) == {path.name for path in (drawn / "tokens").iterdir()}
    assert Address.load(drawn / "beheer").tokens["sbb"] == (drawn / "tokens" / "sbb").read_text()


def test_certificate_and_key_belong_together_and_to_the_authority(drawn: Path) -> None:
    context = ssl.create_default_context(cafile=drawn / "rabbitmq" / "ca.pem")
    context.load_cert_chain(drawn / "rabbitmq" / "server.pem", drawn / "rabbitmq" / "server.key")
    assert len(context.get_ca_certs()) == 1


def certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def test_new_certificate_is_nothing_to_who_trusts_the_authority(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    secrets(folder, PARTNERS, "bus.example.nl")
    before = contents(folder)
    authority = certificate(folder / "rabbitmq" / "ca.pem")
    (folder / "rabbitmq" / "server.pem").unlink()
    secrets(folder, PARTNERS, "bus.elders.nl")
    after = contents(folder)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"rabbitmq/server.pem", "rabbitmq/server.key"}
    server = certificate(folder / "rabbitmq" / "server.pem")
    server.verify_directly_issued_by(authority)
    assert "bus.elders.nl" in str(server.extensions)
    assert server.not_valid_after_utc < authority.not_valid_after_utc


def test_certificate_lasts_no_longer_than_its_authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.secrets, "_TRUSTED", timedelta(days=30))
    secrets(tmp_path / "secrets", PARTNERS)
    ends = {
        certificate(tmp_path / "secrets" / "rabbitmq" / name).not_valid_after_utc
        for name in ("ca.pem", "server.pem")
    }
    assert len(ends) == 1


def test_authority_is_replaced_by_removing_it(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    secrets(folder, PARTNERS)
    old = certificate(folder / "rabbitmq" / "ca.pem")
    for name in ("authority.key", "rabbitmq/server.pem"):
        (folder / name).unlink()
    secrets(folder, PARTNERS)
    server = certificate(folder / "rabbitmq" / "server.pem")
    server.verify_directly_issued_by(certificate(folder / "rabbitmq" / "ca.pem"))
    with pytest.raises(InvalidSignature):
        server.verify_directly_issued_by(old)


def test_what_was_drawn_stays_and_a_new_partner_gets_its_own(tmp_path: Path) -> None:
    folder, registry = tmp_path / "secrets", tmp_path / "partners.toml"
    partners = tomllib.loads(PARTNERS.read_text())["partners"]
    newcomer = partners[-1]["id"]
    registry.write_text(PARTNERS.read_text().rpartition("[[partners]]")[0])
    secrets(folder, registry)
    before = contents(folder)
    assert f"accounts/{newcomer}" not in before
    secrets(folder, PARTNERS, proef=True)
    after = contents(folder)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"persons/callers.json", "beheer/bus.json", "postgres/init.sql"}
    assert {
        f"accounts/{newcomer}",
        f"tokens/{newcomer}",
        "postgres/owners/partners",
    } == after.keys() - before.keys()
    assert "praktijkbus_partners" in json.loads(after["beheer/bus.json"])["databases"]["partners"]


def test_compose_mounts_nothing_that_is_not_drawn(drawn: Path) -> None:
    compose = (DEPLOY / "compose.yaml").read_text()
    mounted = set(re.findall(r"- \./secrets/([^:]+):", compose))
    assert mounted
    assert [each for each in sorted(mounted) if not (drawn / each).exists()] == []
