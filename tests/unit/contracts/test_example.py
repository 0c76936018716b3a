from enum import StrEnum
from typing import Annotated, Self

import pytest
from pydantic import Field, model_validator

from contracts.catalogue import CATALOGUE, Owner, service_source
from contracts.example import NoExample, example, fact, submission
from contracts.fields import Datum, Kvk, Trajectnummer
from contracts.model import Data

UUID7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}"


class Kleur(StrEnum):
    ROOD = "rood"
    GROEN = "groen"


class Inner(Data):
    kvk: Kvk


class Anything(Data):
    kleur: Kleur
    inner: Inner
    several: tuple[Inner, ...]
    numbers: tuple[Trajectnummer, ...]
    maybe: Kvk | None = None


class Period(Data):
    van: Datum
    midden: Datum
    tot: Datum

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.van < self.midden < self.tot:
            raise ValueError("not in order")
        return self


class Exclusive(Data):
    kleur: Kleur
    red: Kvk | None = None
    green: Kvk | None = None

    @model_validator(mode="after")
    def _one_goes_with_it(self) -> Self:
        if (self.kleur is Kleur.ROOD) != (self.red is not None) or (self.red and self.green):
            raise ValueError("one or the other")
        return self


def test_example_follows_from_the_fields() -> None:
    shown = example(Anything)

    assert shown == example(Anything)
    assert (shown.kleur, shown.inner.kvk, shown.maybe) == (Kleur.ROOD, "12345678", "12345678")
    assert shown.several == (shown.inner,)


def test_dates_run_on_in_the_order_of_the_fields() -> None:
    example(Period)


def test_optional_field_is_left_out_only_where_a_rule_refuses_it() -> None:
    shown = example(Exclusive)

    assert (shown.red, shown.green) == ("12345678", None)


def test_given_values_come_first() -> None:
    assert example(Inner, kvk="87654321").kvk == "87654321"


def test_field_without_an_example_is_named() -> None:
    class Nameless(Data):
        iets: Annotated[str, Field(pattern="^x$")]

    with pytest.raises(NoExample, match=r"Nameless\.iets"):
        example(Nameless)


def test_model_whose_rules_refuse_every_combination_is_named() -> None:
    class Impossible(Data):
        kvk: Kvk

        @model_validator(mode="after")
        def _never(self) -> Self:
            raise ValueError("never")

    with pytest.raises(NoExample, match="Impossible"):
        example(Impossible)


def test_messages_have_ids_of_their_own() -> None:
    facts = [fact(event_type) for event_type in CATALOGUE.values()]
    submissions = [submission(event_type) for event_type in CATALOGUE.values() if event_type.submission]

    assert len({message.id for message in [*facts, *submissions]}) == len(facts) + len(submissions)
    assert {message.source for message in facts} == {service_source(owner) for owner in Owner}


def test_type_that_nobody_submits_has_no_submission() -> None:
    with pytest.raises(NoExample, match="submitted by nobody"):
        submission(CATALOGUE["nl.praktijkverklaringen.match.erkend.v1"])


def test_person_is_referred_to_only_where_somebody_is_registered() -> None:
    assert [event for event, kind in CATALOGUE.items() if fact(kind).dataref] == [
        "nl.praktijkverklaringen.traject.aangemeld.v1"
    ]
