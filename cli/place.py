"""Where the commands find what they work on, and how they tell a person what is wrong.

What is about trajecten is said in Dutch, what is about this machine in English.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from pydantic import ValidationError
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.catalogue import Owner
from contracts.fields import PartnerId
from contracts.partners import Partner, Registry
from services.chassis.database import connect

T = TypeVar("T")

ROOT: Final = Path(__file__).parent.parent
STATE: Final = ROOT / ".run"
PARTNERS: Final = ROOT / "deploy" / "partners.toml"
DATABASE_VARIABLE: Final = "PRAKTIJKBUS_DATABASE_URL"

State = Annotated[
    Path, typer.Option(help="Where the local bus keeps its data.", envvar="PRAKTIJKBUS_STATE", show_default=".run")
]
Partners = Annotated[
    Path,
    typer.Option(help="The partner registry.", envvar="PRAKTIJKBUS_PARTNERS", show_default="deploy/partners.toml"),
]
Database = Annotated[
    str | None,
    typer.Option(
        help=f"Intake's database, postgresql+asyncpg://…, or ${DATABASE_VARIABLE} where no bus ran here.",
        show_default="that of the local bus",
    ),
]


_SERVICE: Final = "{service}"


class Trouble(Exception):
    """What a person can mend. The message says what is wrong and what to do; the command exits with 2."""


def registry(path: Path) -> Registry:
    """The partner registry in that file.

    Raises:
        Trouble: it is not there, or a line for each thing that is wrong in it.
    """
    try:
        return Registry.load(path)
    except OSError as problem:
        raise Trouble(f"The partner registry {path} cannot be read: {problem.strerror}.") from None
    except ValidationError as problem:
        wrong = [f"  {'.'.join(map(str, item['loc']))}: {item['msg']}" for item in problem.errors()]
        raise Trouble("\n".join([f"The partner registry {path} is not right:", *wrong])) from None
    except ValueError as problem:
        raise Trouble(f"The partner registry {path} is no valid TOML: {problem}.") from None


def partner_of(known: Registry, partner: PartnerId) -> Partner:
    """That partner.

    Raises:
        Trouble: naming the partners there are.
    """
    found = known.get(partner)
    if found is None:
        names = ", ".join(sorted(item.id for item in known.partners))
        raise Trouble(f"Partner {partner} is not in the partner registry. Choose from: {names}.")
    return found


def database(state: Path, service: Owner = Owner.INTAKE) -> str:
    """The database of a service: that of the local bus, else as the environment says.

    Raises:
        Trouble: there is neither.
    """
    from deploy.local.bus import Address

    try:
        return Address.load(state).databases[service.value]
    except FileNotFoundError:
        given = os.environ.get(DATABASE_VARIABLE)
    if given is None:
        raise Trouble(f"No bus was started here ({state}). Start it with `make run`, or set {DATABASE_VARIABLE}.")
    if service is not Owner.INTAKE and _SERVICE not in given:
        raise Trouble(
            f"The database of {service.value} is not known here. Write {_SERVICE} in {DATABASE_VARIABLE} where the"
            f" name of the service stands, such as postgresql+asyncpg://…/praktijkbus_{_SERVICE}."
        )
    return given.replace(_SERVICE, service.value)


async def transact(
    state: Path, service: Owner, work: Callable[[AsyncConnection], Awaitable[T]], url: str | None = None
) -> T:
    """Does work in one transaction in the database of a service, or in that of `url`."""
    engine = connect(url or database(state, service))
    try:
        async with engine.begin() as connection:
            return await work(connection)
    finally:
        await engine.dispose()


def ask(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs work on databases.

    Raises:
        Trouble: a database cannot be reached, or is another than it should be.
    """
    try:
        return asyncio.run(work())
    except ProgrammingError:
        raise Trouble("This database lacks the tables that are needed. Is it that of the service?") from None
    except (OSError, DBAPIError, TimeoutError):
        raise Trouble("The database cannot be reached. Is the bus up? Start it with `make run`.") from None
    except (ArgumentError, NoSuchModuleError):
        raise Trouble("This is no address of a database. Write it as postgresql+asyncpg://…") from None
