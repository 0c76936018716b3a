"""`praktijkbus secrets`: draws every secret of a stack of containers, one file each.

accounts/<name>        broker passwords of services and partners; a partner is handed its own
tokens/<name>          what a partner, or notify, shows to intake when it asks for person data
persons/               intake's keys around person data, and intake.pub.json for partners
services/<name>/       what one service is told: a file a setting
rabbitmq/ postgres/    administrators, certificate, the databases and their owners
authority.key          what signs the broker's certificates; partners trust rabbitmq/ca.pem
beheer/bus.json        where everything is, for this command line
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from secrets import token_urlsafe
from typing import Annotated, Final

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from rich.console import Console

from cli import place
from cli.place import Partners

_ADMIN: Final = "beheer"
_CERTIFIED: Final = timedelta(days=3 * 365)
_TRUSTED: Final = timedelta(days=10 * 365)
"""How long the authority lasts, so that a new certificate of the broker is nothing to partners."""
_MAIL_PAGE: Final = "http://mailpit:8025/"


def secrets(
    folder: Annotated[Path, typer.Argument(help="Where they are kept; made readable by you alone.")],
    partners: Partners = place.PARTNERS,
    host: Annotated[
        str, typer.Option(help="The name under which partners reach the broker; its certificate says so.")
    ] = "localhost",
    proef: Annotated[bool, typer.Option(help="Also a database for the simulated partners of a trial.")] = False,
) -> None:
    """Draws what is not there yet of the secrets that a stack of containers needs.

    For an operator. Can be repeated, and has to be when a partner was added: what was drawn stays. To replace one,
    remove its file; what the databases were made with (postgres/) cannot be replaced this way.
    """
    from deploy.local import persons
    from deploy.local.bus import KEYS, SERVICES, VHOST, Address

    known = place.registry(partners)
    services = [service.name for service in SERVICES]
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    accounts = {name: _drawn(folder / "accounts" / name) for name in (*services, *(p.id for p in known.partners))}
    tokens = persons.prepare(folder / "persons", ["notify", *(p.id for p in known.partners)], folder / "tokens")
    admin = _drawn(folder / "rabbitmq" / "password")
    _write(folder / "rabbitmq" / "admin.conf", f"default_user = {_ADMIN}\ndefault_pass = {admin}\n")
    if not (folder / "rabbitmq" / "server.pem").exists():
        _certify(folder, host)

    databases = [*services, KEYS, *(["partners"] if proef else [])]
    _drawn(folder / "postgres" / "password")
    owners = {name: _drawn(folder / "postgres" / "owners" / name) for name in databases}
    overall = _drawn(folder / "postgres" / "owners" / _ADMIN)
    _write(folder / "postgres" / "init.sql", _databases(owners, overall))

    amqp = {name: f"amqp://{name}:{word}@rabbitmq:5672/{VHOST}" for name, word in accounts.items()}
    urls = {name: _url(name, name, word) for name, word in owners.items()}
    for name in services:
        told = {"amqp_url": amqp[name], "database_url": urls[name]}
        if name == "intake":
            told["keys_database_url"] = urls[KEYS]
        if name == "notify":
            told["persons_token"] = tokens[name]
        for setting, value in told.items():
            _write(folder / "services" / name / f"praktijkbus_{setting}", value)

    public = (folder / "persons" / persons.PUBLIC).read_text(encoding="utf-8")
    _write(folder / "beheer" / persons.PUBLIC, public)
    address = Address(
        amqp=amqp,
        databases={name: _url(name, _ADMIN, overall) for name in databases},
        management_url="http://rabbitmq:15672",
        admin=(_ADMIN, admin),
        mail_page=_MAIL_PAGE,
        mail_folder="",
        public_key=f"/secrets/{persons.PUBLIC}",
        tokens=tokens,
    )
    _write(folder / "beheer" / "bus.json", json.dumps(asdict(address), indent=2))
    for path in folder.rglob("*"):
        # Readable in the containers, where nobody else is; on this machine the folder itself is closed.
        path.chmod(0o755 if path.is_dir() else 0o644)
    Console(emoji=False).print(
        f"{folder} holds the secrets of {len(known.partners)} partners and {len(services)} services.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _drawn(file: Path) -> str:
    """What is in that file, drawn now if there is none."""
    if not file.exists():
        _write(file, token_urlsafe(24))
    return file.read_text(encoding="utf-8").strip()


def _write(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")


def _url(database: str, owner: str, word: str) -> str:
    return f"postgresql+asyncpg://praktijkbus_{owner}:{word}@postgres:5432/praktijkbus_{database}"


def _databases(owners: dict[str, str], overall: str) -> str:
    """SQL that makes each database with an owner of its own, and one role that may do what all of them may."""

    def lines() -> Iterable[str]:
        yield f"CREATE ROLE praktijkbus_{_ADMIN} LOGIN PASSWORD '{overall}';"
        for name, word in owners.items():
            role = f"praktijkbus_{name}"
            yield f"CREATE ROLE {role} LOGIN PASSWORD '{word}';"
            yield f"CREATE DATABASE {role} OWNER {role};"
            yield f"REVOKE ALL ON DATABASE {role} FROM PUBLIC;"
            yield f"GRANT {role} TO praktijkbus_{_ADMIN};"

    return "\n".join([*lines(), ""])


def _certify(folder: Path, host: str) -> None:
    """A certificate for the broker, by the authority that partners are to trust for it."""
    key, signing, authority = ec.generate_private_key(ec.SECP256R1()), *_authority(folder)
    names = x509.SubjectAlternativeName([_name(host), x509.DNSName("rabbitmq")])
    server = (
        _certificate(host, key, min(datetime.now(UTC) + _CERTIFIED, authority.not_valid_after_utc))
        .issuer_name(authority.subject)
        .add_extension(names, False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .sign(signing, hashes.SHA256())
    )
    _write(folder / "rabbitmq" / "server.key", _pem(key))
    _write(folder / "rabbitmq" / "server.pem", server.public_bytes(serialization.Encoding.PEM).decode())


def _authority(folder: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """The one there is, made now if there is none."""
    kept, shown = folder / "authority.key", folder / "rabbitmq" / "ca.pem"
    if kept.exists():
        key = serialization.load_pem_private_key(kept.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key, x509.load_pem_x509_certificate(shown.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    authority = (
        _certificate("Praktijkbus", key, datetime.now(UTC) + _TRUSTED)
        .issuer_name(_named("Praktijkbus"))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    _write(shown, authority.public_bytes(serialization.Encoding.PEM).decode())
    _write(kept, _pem(key))
    return key, authority


def _certificate(subject: str, key: ec.EllipticCurvePrivateKey, until: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_named(subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(until)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
