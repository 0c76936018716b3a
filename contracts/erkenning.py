"""Stream `erkenning` (owner matching, subject ER-…): one vestiging and one crebo.

Knows no traject: SBB never sees whom a recognition is for.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from contracts.fields import Crebo, Datum, Kvk, LeerbedrijfId, Vestigingsnummer
from contracts.model import Data


class Aangevraagd(Data):
    """SBB is asked to recognise; it decides within 10 working days of `dagtekening`."""

    kvk: Kvk
    vestigingsnummer: Vestigingsnummer
    crebo: Crebo
    dagtekening: Datum
    uiterlijk: Datum


class Verleend(Data):
    """Recognised. Lapses four years after `geldig_vanaf` without practice."""

    leerbedrijf_id: LeerbedrijfId
    geldig_vanaf: Datum
    geldig_tot: Annotated[Datum, Field(examples=["2030-11-01"])]

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.geldig_tot < self.geldig_vanaf:
            raise ValueError("geldig_tot ligt voor geldig_vanaf")
        return self


class Weigerreden(StrEnum):
    GEEN_PRAKTIJKOPLEIDER = "geen_praktijkopleider"
    TE_WEINIG_LEERMOGELIJKHEDEN = "te_weinig_leermogelijkheden"
    WERKPLEK_NIET_VEILIG = "werkplek_niet_veilig"
    OVERIG = "overig"


class Geweigerd(Data):
    """Not recognised. A new request for the same place is possible after six months."""

    datum: Datum
    redencode: Weigerreden


class Intrekreden(StrEnum):
    NIET_MEER_VEILIG = "niet_meer_veilig"
    NIET_MEER_GESCHIKT = "niet_meer_geschikt"
    OP_VERZOEK = "op_verzoek"
    OVERIG = "overig"


class Ingetrokken(Data):
    """The recognition ends; every traject that runs on it needs another place."""

    datum: Datum
    redencode: Intrekreden
