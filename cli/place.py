"""Where the commands find what they work on, and how they tell a person what is wrong.

What is about trajecten is said in Dutch, what is about this machine in English.
"""

from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError

from contracts.fields import PartnerId
from contracts.partners import Partner, Registry

ROOT: Final = Path(__file__).parent.parent
STATE: Final = ROOT / ".run"
PARTNERS: Final = ROOT / "deploy" / "partners.toml"

State = Annotated[
    Path, typer.Option(help="Where the local bus keeps its data.", envvar="PRAKTIJKBUS_STATE", show_default=".run")
]
Partners = Annotated[
    Path,
    typer.Option(help="The partner registry.", envvar="PRAKTIJKBUS_PARTNERS", show_default="deploy/partners.toml"),
]


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
