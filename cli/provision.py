"""`praktijkbus provision`: brings a broker to what the partner registry says."""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer
from rich.console import Console

from cli import place
from cli.place import Partners, Trouble
from services.chassis.provision import ProvisioningFailed
from services.chassis.provision import provision as declare

PASSWORD_VARIABLE: Final = "PRAKTIJKBUS_ADMIN_PASSWORD"


def read_passwords(folder: Path, accounts: Iterable[str]) -> dict[str, str]:
    """The password of each account: the content of the file of its name, without the line end.

    Raises:
        Trouble: naming the accounts whose file is not there, cannot be read, or is empty.
    """
    if not folder.is_dir():
        raise Trouble(f"The folder with passwords {folder} does not exist.")
    passwords, wrong = {}, []
    for account in sorted(accounts):
        try:
            passwords[account] = (folder / account).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError):
            passwords[account] = ""
        if not passwords[account]:
            wrong.append(account)
    if wrong:
        raise Trouble(
            f"No password in {folder} for: {', '.join(wrong)}. "
            "Make a file for each account, for instance with: "
            f"(umask 077; openssl rand -base64 24 > {folder / wrong[0]})"
        )
    return passwords


def provision(
    management_url: Annotated[
        str,
        typer.Option(help="RabbitMQ's management API: http://host:15672.", envvar="PRAKTIJKBUS_MANAGEMENT_URL"),
    ],
    passwords: Annotated[
        Path,
        typer.Option(
            help="A folder with a password file for each partner and service, named after it.",
            envvar="PRAKTIJKBUS_PASSWORDS",
        ),
    ],
    partners: Partners = place.PARTNERS,
    vhost: Annotated[
        str, typer.Option(help="The region's virtual host.", envvar="PRAKTIJKBUS_VHOST")
    ] = "praktijkbus",
    admin: Annotated[
        str, typer.Option(help="The administrator's account.", envvar="PRAKTIJKBUS_ADMIN")
    ] = "beheer",
    admin_password_file: Annotated[
        Path | None,
        typer.Option(help=f"Where the administrator's password is; else it is in ${PASSWORD_VARIABLE}."),
    ] = None,
) -> None:
    """Declares accounts, permissions, exchanges, queues, bindings and policies from the partner registry.

    For an operator. Can be repeated: what is there stays, what is missing is made, a password follows its file.
    An account whose partner left the registry is not removed.
    """
    from deploy.local.bus import SERVICES

    known = place.registry(partners)
    accounts = [*(partner.id for partner in known.partners), *(service.name for service in SERVICES)]
    words = read_passwords(passwords, accounts)
    access = (admin, _admin_password(admin_password_file))
    try:
        asyncio.run(declare(management_url.rstrip("/"), access, vhost, known, list(SERVICES), words))
    except (httpx.TransportError, httpx.InvalidURL) as problem:
        raise Trouble(f"{management_url} cannot be reached ({type(problem).__name__}).") from None
    except ProvisioningFailed as problem:
        hint = "Are the administrator's name and password right? " if ": 401 " in str(problem) else ""
        raise Trouble(f"The broker refuses. {hint}{problem}") from None
    Console(emoji=False).print(
        f"{vhost} is provisioned for {len(known.partners)} partners and {len(SERVICES)} services.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _admin_password(file: Path | None) -> str:
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as problem:
            raise Trouble(f"{file} cannot be read: {problem.strerror}.") from None
    given = os.environ.get(PASSWORD_VARIABLE)
    if given is None:
        raise Trouble(
            f"The administrator's password is missing: set {PASSWORD_VARIABLE} or --admin-password-file."
        )
    return given
