"""Stream `opdracht` (owner billing, subject OP-…): the Leerwerkloket commissions a school."""

from contracts.fields import Bron, Categorie, Cents, PartnerId, Trajectnummer
from contracts.model import Data


class Verstrekt(Data):
    """The school may carry the traject out for at most this amount, reserved on one source."""

    trajectnummer: Trajectnummer
    opleider: PartnerId
    bedrag_cent: Cents
    bron: Bron


class IngetrokkenInzending(Data):
    categorie: Categorie


class Ingetrokken(Data):
    """The opdracht is off; what was reserved for it is free again."""

    trajectnummer: Trajectnummer
    categorie: Categorie
