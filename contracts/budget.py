"""Stream `budget` (owner billing, subject the bron): what a source of money makes available."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from contracts.fields import Cents, Datum
from contracts.model import Data


class Vastgesteld(Data):
    """The source's budget for a period. A new one replaces the amount; what is reserved stays."""

    bedrag_cent: Cents
    van: Datum
    tot: Annotated[Datum, Field(examples=["2027-10-31"])]

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.tot < self.van:
            raise ValueError("tot ligt voor van")
        return self
