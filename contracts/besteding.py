"""Stream `besteding` (owner billing, subject the bron): what a financier sees. Amounts, not people."""

from typing import Annotated

from pydantic import Field

from contracts.fields import Cents
from contracts.model import Data


class Stand(Data):
    """The source after this event, in cents. beschikbaar = vastgesteld - gereserveerd - besteed."""

    vastgesteld_cent: Annotated[Cents, Field(examples=[5000000])]
    gereserveerd_cent: Annotated[Cents, Field(examples=[250000])]
    besteed_cent: Annotated[Cents, Field(examples=[250000])]


class _Mutatie(Data):
    bedrag_cent: Cents
    stand: Annotated[Stand, Field(description="De bron na deze mutatie")]


class Gereserveerd(_Mutatie):
    """An opdracht claimed part of the budget."""


class Besteed(_Mutatie):
    """A reservation was paid out."""


class Vrijgevallen(_Mutatie):
    """A reservation, or part of it, was not needed; or what was paid out was credited. `stand` says which."""
