"""Who may see which part of a person's data, and what for (doelbinding). Asked over HTTP at a fact's `dataref`.

A role alone opens nothing: the partner must be party to that traject in that role when it asks, and it sees
what its purpose needs and no more.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from contracts.catalogue import Owner
from contracts.fields import Rol
from contracts.persoon import Persoon

ROL_HEADER: Final = "Praktijkbus-Rol"
"""The role in which one asks; of a service, its name."""
DOEL_HEADER: Final = "Praktijkbus-Doel"


class Doel(StrEnum):
    """What the data is asked for."""

    INTAKE = "intake"
    BEMIDDELING = "bemiddeling"
    INSCHRIJVING = "inschrijving"
    PRAKTIJKOVEREENKOMST = "praktijkovereenkomst"
    BEGELEIDING = "begeleiding"
    VERKLARING = "verklaring"
    DOORVERWIJZING = "doorverwijzing"
    REGISTRATIE = "registratie"
    MAILEN = "mailen"


_BEREIKBAAR: Final = ("naam", "e_mail", "telefoon")

VELDEN: Final[Mapping[tuple[str, Doel], tuple[str, ...]]] = {
    (Rol.COACH, Doel.INTAKE): _BEREIKBAAR,
    (Rol.COACH, Doel.BEGELEIDING): _BEREIKBAAR,
    (Rol.WSP, Doel.BEMIDDELING): ("naam", "postcode"),
    (Rol.OPLEIDER, Doel.INSCHRIJVING): ("naam", "geboortedatum", "postcode"),
    (Rol.OPLEIDER, Doel.PRAKTIJKOVEREENKOMST): ("naam", "geboortedatum"),
    (Rol.OPLEIDER, Doel.BEGELEIDING): _BEREIKBAAR,
    (Rol.OPLEIDER, Doel.VERKLARING): ("naam", "geboortedatum"),
    (Rol.WERKGEVER, Doel.PRAKTIJKOVEREENKOMST): ("naam", "geboortedatum"),
    (Rol.WERKGEVER, Doel.BEGELEIDING): ("naam", "telefoon"),
    (Rol.RMC, Doel.DOORVERWIJZING): ("naam", "geboortedatum", "e_mail", "telefoon"),
    (Rol.LOOPBAANCENTRUM, Doel.DOORVERWIJZING): _BEREIKBAAR,
    (Rol.COORDINATIE, Doel.REGISTRATIE): tuple(Persoon.model_fields),
    (Owner.NOTIFY, Doel.MAILEN): ("e_mail",),
}
"""The fields that a role, or a service, sees for a purpose. What is not in here is not shown: sbb, financiers and
the leerwerkloket as payer need no person.
"""
