"""What has a first and a last day ends no sooner than it begins."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from contracts import budget, erkenning, match, traject
from contracts.example import example
from contracts.model import Data


@pytest.mark.parametrize(
    ("model", "first", "last"),
    [
        (budget.Vastgesteld, "van", "tot"),
        (erkenning.Verleend, "geldig_vanaf", "geldig_tot"),
        (match.Erkend, "erkenning_geldig_vanaf", "erkenning_geldig_tot"),
        (traject.PokOpgesteld, "begin", "eind"),
    ],
)
def test_a_period_ends_no_sooner_than_it_begins(model: type[Data], first: str, last: str) -> None:
    data = example(model).model_dump()
    model.model_validate(data | {last: data[first]})
    with pytest.raises(ValidationError):
        model.model_validate(data | {last: data[first] - timedelta(days=1)})
