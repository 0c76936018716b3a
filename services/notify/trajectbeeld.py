"""What notify knows of a traject: its parties, where its participant is kept, until when it is planned to run."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Self

from contracts import traject
from contracts.catalogue import ALWAYS_READS
from contracts.fields import PartnerId, Rol
from contracts.partners import Registry
from services.chassis.betrokkenen import Betrokkenen
from services.chassis.messages import Fact


@dataclass(frozen=True, slots=True)
class Trajectbeeld:
    betrokkenen: Betrokkenen
    gepland_eind: date | None = None
    """The last day of the latest praktijkovereenkomst."""
    dataref: str | None = None
    """Where intake keeps the participant's data; None once it is erased."""

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        betrokkenen = Betrokkenen.evolve(state.betrokkenen if state else None, fact)
        if betrokkenen is None:
            return None
        if state is None:
            return cls(betrokkenen, dataref=fact.dataref)
        if betrokkenen is not state.betrokkenen:
            state = replace(state, betrokkenen=betrokkenen)
        if isinstance(fact.data, traject.PokOpgesteld | traject.PokGewijzigd):
            return replace(state, gepland_eind=fact.data.eind)
        if isinstance(fact.data, traject.GegevensGewist):
            return replace(state, dataref=None)
        return state

    def in_rol(self, registry: Registry, *rollen: Rol) -> frozenset[PartnerId]:
        """The parties in one of these roles. The region's leerwerkloket and coordinatie are always party."""
        parties = {partner for rol, partner in self.betrokkenen.parties(registry) if rol in rollen}
        return frozenset(parties.union(registry.in_role(*ALWAYS_READS.intersection(rollen))))

    def allen(self, registry: Registry, leest: Collection[Rol]) -> frozenset[PartnerId]:
        """Everyone involved, its way in too, in one of the roles that `leest` the fact it is about."""
        way_in = {partner for rol, partner in self.betrokkenen.with_way_in(registry) if rol in leest}
        return self.in_rol(registry, *leest) | way_in
