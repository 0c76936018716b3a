"""Stream `factuur` (owner billing, subject the factuurnummer): invoices of the schools."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from contracts.fields import Cents, Factuurnummer, Opdrachtnummer, PartnerId, Regelcode, Trajectnummer
from contracts.model import Data


class Profiel(StrEnum):
    """Which rule set of EN 16931 the buyer wants."""

    NLCIUS = "nlcius"
    PEPPOL_BIS_3 = "peppol-bis-3"


class Klaargezet(Data):
    """The invoice for an issued verklaring is ready. It never changes after this."""

    trajectnummer: Trajectnummer
    opdrachtnummer: Opdrachtnummer
    opleider: PartnerId
    bedrag_cent: Cents
    profiel: Profiel


class Goedgekeurd(Data):
    """The buyer accepts the invoice; payment follows."""

    trajectnummer: Trajectnummer


class AfgekeurdInzending(Data):
    regelcodes: Annotated[tuple[Regelcode, ...], Field(min_length=1, max_length=20)]


class Afgekeurd(Data):
    """The buyer sends the invoice back: these rules fail."""

    trajectnummer: Trajectnummer
    regelcodes: Annotated[tuple[Regelcode, ...], Field(min_length=1, max_length=20)]


class Gecrediteerd(Data):
    """A credit note over an earlier invoice, under a number of its own. What was paid of that invoice already is
    `tegoed_cent`, and is set off against the supplier's next payment.
    """

    trajectnummer: Trajectnummer
    opdrachtnummer: Opdrachtnummer
    opleider: PartnerId
    vorig_factuurnummer: Factuurnummer
    bedrag_cent: Cents
    tegoed_cent: Cents = 0
