"""Stream `budget` (owner billing, subject the bron): what a source of money makes available."""

from typing import Self

from pydantic import model_validator

from contracts.fields import Cents, Datum
from contracts.model import Data


class Vastgesteld(Data):
    """The source's budget for a period. A new one replaces the amount; what is reserved stays."""

    bedrag_cent: Cents
    van: Datum
    tot: Datum

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.tot < self.van:
            raise ValueError("tot ligt voor van")
        return self
