"""The praktijkverklaring: what the school states that somebody masters."""

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any, Self

from contracts import verklaring as feit
from contracts.fields import PartnerId, Trajectnummer, Verklaringnummer
from contracts.ontvangst import Code
from services.chassis.messages import Fact, Refused
from services.intake.traject import Status, Traject


class Stand(StrEnum):
    GELDIG = "geldig"
    INGETROKKEN = "ingetrokken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verklaring:
    """Never edited: a correction is a withdrawal and a new one."""

    nummer: Verklaringnummer
    trajectnummer: Trajectnummer
    datum: date
    geldig: bool = True

    @property
    def stand(self) -> Stand:
        return Stand.GELDIG if self.geldig else Stand.INGETROKKEN

    @staticmethod
    def afgegeven(
        traject: Traject, data: feit.AfgegevenInzending, opleider: PartnerId, vandaag: date
    ) -> feit.Afgegeven:
        """Over at least one mastered werkproces and only over mastered ones, by the traject's own school
        alone. A traject has one valid verklaring: after it, it is no longer GESTART. One that was withdrawn is
        issued again from ONDERBROKEN too: the workplace may be gone, what was mastered is not.
        """
        if traject.status is not Status.ONDERBROKEN or not traject.te_corrigeren:
            traject.vereist(Status.GESTART)
        if opleider != traject.opleider:
            raise Refused(Code.OPLEIDER_WIJKT_AF)
        plan = traject.plan
        werkprocessen = tuple(dict.fromkeys(data.werkprocessen))
        if plan is None or not plan.werkprocessen.issuperset(werkprocessen):
            raise Refused(Code.WERKPROCES_NIET_IN_PLAN, "data.werkprocessen")
        beheerst_op = traject.beheerst_op()
        if not beheerst_op.keys() >= set(werkprocessen):
            raise Refused(Code.WERKPROCES_NIET_BEHEERST, "data.werkprocessen")
        if not max(beheerst_op[werkproces] for werkproces in werkprocessen) <= data.datum <= vandaag:
            raise Refused(Code.DATUM_ONJUIST, "data.datum")
        return feit.Afgegeven(
            trajectnummer=traject.nummer,
            opleider=opleider,
            crebo=plan.crebo,
            dossierversie=plan.dossierversie,
            werkprocessen=werkprocessen,
            datum=data.datum,
            documenthash=data.documenthash,
        )

    def ingetrokken(self, traject: Traject, data: feit.IngetrokkenInzending, vandaag: date) -> feit.Ingetrokken:
        """Returns the traject to GESTART, from where the school can issue a new one. By the school that issued
        it: that is the traject's own as long as it is AFGEROND.
        """
        if not self.geldig or traject.status is not Status.AFGEROND:
            raise Refused(Code.STATUS_PAST_NIET)
        if not self.datum <= data.datum <= vandaag:
            raise Refused(Code.DATUM_ONJUIST, "data.datum")
        return feit.Ingetrokken(trajectnummer=self.trajectnummer, datum=data.datum, redencode=data.redencode)

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        data = fact.data
        if isinstance(data, feit.Afgegeven):
            return cls(nummer=fact.subject, trajectnummer=data.trajectnummer, datum=data.datum)
        if state is not None and isinstance(data, feit.Ingetrokken):
            return replace(state, geldig=False)
        return state
