"""Stream `termijn` (owner notify, subject TM-…): an answer that did not come in time."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from contracts.fields import Datum, PartnerId
from contracts.model import Data


class Stap(StrEnum):
    """What is waited for."""

    INTAKE = "intake"
    ERKENNING = "erkenning"
    HANDTEKENING = "handtekening"
    FACTUUR = "factuur"
    VOORTGANG = "voortgang"


class Niveau(StrEnum):
    """How far it has been escalated."""

    HINT = "hint"
    VERLOPEN = "verlopen"
    COORDINATIE = "coordinatie"
    MANAGER = "manager"


class Overschreden(Data):
    """A partner has not answered in time; goes to that partner, and to more people at each level."""

    stroom: Annotated[
        str,
        Field(
            pattern=r"^(PV|ER|BT)-[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}$|^[A-Z]{2,6}-[0-9]{6}$",
            examples=["PV-7K3F9-QX2ME"],
            description="Het onderwerp waarop gewacht wordt",
        ),
    ]
    stap: Stap
    partner: PartnerId
    uiterlijk: Datum
    niveau: Niveau
