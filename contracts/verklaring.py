"""Stream `verklaring` (owner intake, subject VK-…): the praktijkverklaring that the school issues."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from contracts.fields import Crebo, Datum, Documenthash, Dossierversie, PartnerId, Trajectnummer, Werkproces
from contracts.model import Data

_Beheerst = Annotated[tuple[Werkproces, ...], Field(min_length=1, max_length=40)]


class AfgegevenInzending(Data):
    trajectnummer: Trajectnummer
    werkprocessen: _Beheerst
    datum: Datum
    documenthash: Documenthash


class Afgegeven(Data):
    """Issued by the traject's own school, over werkprocessen that were mastered and no others."""

    trajectnummer: Trajectnummer
    opleider: PartnerId
    crebo: Crebo
    dossierversie: Dossierversie
    werkprocessen: _Beheerst
    datum: Datum
    documenthash: Documenthash


class VerklaringIntrekreden(StrEnum):
    CORRECTIE = "correctie"
    ONTERECHT = "onterecht"


class IngetrokkenInzending(Data):
    datum: Datum
    redencode: VerklaringIntrekreden


class Ingetrokken(Data):
    """Withdrawn. A correction is a withdrawal and a new verklaring, never an edit."""

    trajectnummer: Trajectnummer
    datum: Datum
    redencode: VerklaringIntrekreden
