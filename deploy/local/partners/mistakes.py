"""What real partners also do: send again, change and send again, send nonsense, claim to be another, be too early.

Each mistake is made out of something right, and says how it must end. Who makes which is in the script's numbers.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from pydantic_core import to_json

from contracts.envelope import MAX_BYTES, TYPE_PREFIX
from contracts.fields import Rol, number_from
from contracts.ontvangst import Code
from contracts.partners import Partner, Registry
from deploy.local.partners.script import STOPS, Kandidaat, Verloop

ACCEPTED: Final = "aanvaard"
Content = dict[str, Any]


@dataclass(frozen=True)
class Right:
    """A submission as it should be, and who sends it."""

    routing_key: str
    content: Content
    kandidaat: Kandidaat
    partner: Partner
    registry: Registry
    day: date

    @property
    def others(self) -> list[Partner]:
        """Partners with the same roles."""
        same = (other for other in self.registry.partners if other.rollen == self.partner.rollen)
        return [other for other in same if other.id != self.partner.id]


@dataclass(frozen=True)
class Wrong:
    """What goes out besides, or `again`: under the id of the right one."""

    outcomes: tuple[str, ...]
    content: Content | None = None
    raw: bytes | None = None
    routing_key: str | None = None
    """If another than that of the right one."""
    by: str | None = None
    """If sent by another partner."""
    again: bool = False

    def body(self, message_id: str) -> bytes:
        return self.raw if self.raw is not None else to_json({**(self.content or {}), "id": message_id})


@dataclass(frozen=True)
class Mistake:
    name: str
    fits: tuple[str, ...]
    """The routing keys it is made of."""
    make: Callable[[Right], Wrong | None]
    after: bool = False
    """Whether it is sent after the right one."""


_ABOUT_TRAJECT: Final = (
    "traject.intake-afgerond",
    "traject.inschrijving-bevestigd",
    "traject.pok-ondertekend",
    "traject.bezoek-geregistreerd",
    "traject.betrokkene-toegewezen",
)
_AT_THE_START: Final = ("traject.aangemeld", "traject.intake-afgerond", "traject.betrokkene-toegewezen")
_DATED: Final = ("traject.werkproces-beoordeeld", "traject.bezoek-geregistreerd", "traject.gestart")


def _changed(right: Right, **envelope: Any) -> Content:
    return {**deepcopy(right.content), **envelope}


def _with_data(right: Right, **data: Any) -> Content:
    return _changed(right, data={**right.content["data"], **data})


def _wrong(code: Code, content: Content, **more: Any) -> Wrong:
    return Wrong((code.value,), content, **more)


def _without(right: Right, field: str) -> Content:
    return _changed(right, data={name: value for name, value in right.content["data"].items() if name != field})


def _typing_error(right: Right) -> Wrong:
    subject = right.content["subject"]
    return _wrong(Code.VELD_ONGELDIG, _changed(right, subject=subject[:-1] + ("0" if subject[-1] != "0" else "1")))


def _as_another(right: Right) -> Wrong:
    other = next(partner for partner in right.registry.partners if partner.id != right.partner.id)
    return _wrong(Code.AFZENDER_ONJUIST, _changed(right, source=min(other.sources)))


def _of_another_role(right: Right) -> Wrong | None:
    if Rol.COORDINATIE in right.partner.rollen:
        return None
    data = {"redencode": "voltooid"}
    content = _changed(right, type=f"{TYPE_PREFIX}traject.gesloten.v1", data=data)
    return _wrong(Code.ROL_NIET_BEVOEGD, content, routing_key="traject.gesloten")


def _by_another_school(right: Right) -> Wrong | None:
    if not right.others or right.kandidaat.verloop is Verloop.ANDERE_SCHOOL:
        return None
    other = right.others[0]
    return _wrong(Code.GEEN_PARTIJ, _changed(right, source=min(other.sources)), by=other.id)


def _never_existed(right: Right) -> Wrong:
    return _wrong(
        Code.TE_VROEG_VERLOPEN, _changed(right, subject=number_from("PV", f"ZZZZZ{right.kandidaat.nummer:04d}"))
    )


def _again_with_other_words(right: Right) -> Wrong:
    other = "werkende" if right.content["data"]["werkstatus"] != "werkende" else "werkzoekende"
    return _wrong(Code.REFERENTIE_HERGEBRUIKT, _with_data(right, werkstatus=other))


def _too_soon_a_verklaring(right: Right) -> Wrong:
    data = {
        "trajectnummer": right.content["subject"],
        "werkprocessen": [right.content["data"]["werkproces"]],
        "datum": right.day,
        "documenthash": "sha256:" + "0" * 64,
    }
    content = _changed(right, type=f"{TYPE_PREFIX}verklaring.afgegeven.v1", data=data)
    del content["subject"]
    return _wrong(Code.WERKPROCES_NIET_BEHEERST, content, routing_key="verklaring.afgegeven")


def _second_order(right: Right) -> Wrong:
    where_no_money = (Code.BUDGET_ONTOEREIKEND.value, Code.BUITEN_BUDGETPERIODE.value)
    return Wrong((Code.OPDRACHT_BESTAAT.value, *where_no_money), _changed(right))


def _order_for_another(right: Right) -> Wrong:
    school = right.content["data"]["opleider"]
    other = next(partner for partner in right.registry.in_role(Rol.OPLEIDER) if partner != school)
    outcomes = (Code.OPLEIDER_WIJKT_AF.value, Code.OPDRACHT_BESTAAT.value)
    return Wrong(outcomes, _with_data(right, opleider=other))


MISTAKES: Final = (
    Mistake("twice", (), lambda right: Wrong((), right.content, again=True), after=True),
    Mistake(
        "changed-under-its-id",
        (*_ABOUT_TRAJECT, "match.voorgesteld", "traject.aangemeld"),
        lambda right: _wrong(Code.ID_HERGEBRUIKT, _changed(right, referentie="gewijzigd"), again=True),
        after=True,
    ),
    Mistake("nonsense", (), lambda right: Wrong((Code.ONLEESBAAR.value,), raw=to_json(right.content)[:-9])),
    Mistake("wrong-envelope", (), lambda right: _wrong(Code.ENVELOP_ONGELDIG, _changed(right, specversion="0.3"))),
    Mistake(
        "extra-field", (), lambda right: _wrong(Code.VELD_ONBEKEND, _with_data(right, opmerking="belt terug"))
    ),
    Mistake("missing-field", _DATED, lambda right: _wrong(Code.VELD_ONTBREEKT, _without(right, "datum"))),
    Mistake("typing-error", _ABOUT_TRAJECT, _typing_error),
    Mistake(
        "unknown-type",
        _ABOUT_TRAJECT,
        lambda right: _wrong(
            Code.TYPE_ONBEKEND, _changed(right, type=f"{TYPE_PREFIX}traject.klaar.v1"), routing_key="traject.klaar"
        ),
    ),
    Mistake(
        "type-of-the-bus",
        _ABOUT_TRAJECT,
        lambda right: _wrong(
            Code.TYPE_NIET_IN_TE_DIENEN,
            _changed(right, type=f"{TYPE_PREFIX}match.erkend.v1"),
            routing_key="match.erkend",
        ),
    ),
    Mistake(
        "wrong-road",
        _ABOUT_TRAJECT,
        lambda right: _wrong(Code.ROUTERING_ONJUIST, _changed(right), routing_key="match.bevestigd"),
    ),
    Mistake("too-large", (), lambda right: _wrong(Code.TE_GROOT, _with_data(right, opmerking="x" * MAX_BYTES))),
    Mistake("as-another", (), _as_another),
    Mistake(
        "on-behalf",
        _ABOUT_TRAJECT,
        lambda right: _wrong(Code.NAMENS_NIET_TOEGESTAAN, _changed(right, namens="werkgever")),
    ),
    Mistake("of-another-role", _ABOUT_TRAJECT, _of_another_role),
    Mistake("no-party", ("traject.inschrijving-bevestigd", "traject.pok-ondertekend"), _by_another_school),
    Mistake("never-existed", ("traject.intake-afgerond", "traject.inschrijving-bevestigd"), _never_existed),
    Mistake(
        "done-already",
        ("traject.intake-afgerond", "traject.gestart"),
        lambda right: _wrong(Code.STATUS_PAST_NIET, _changed(right)),
        after=True,
    ),
    Mistake(
        "registered-again", ("traject.aangemeld",), lambda right: Wrong((ACCEPTED,), _changed(right)), after=True
    ),
    Mistake("registered-differently", ("traject.aangemeld",), _again_with_other_words, after=True),
    Mistake(
        "in-the-future",
        _DATED,
        lambda right: _wrong(Code.DATUM_ONJUIST, _with_data(right, datum=right.day + timedelta(days=400))),
    ),
    Mistake(
        "not-in-the-plan",
        ("traject.werkproces-beoordeeld",),
        lambda right: _wrong(Code.WERKPROCES_NIET_IN_PLAN, _with_data(right, werkproces="P9-K9-W9")),
    ),
    Mistake(
        "other-leerbedrijf",
        ("traject.werkproces-beoordeeld",),
        lambda right: _wrong(Code.LEERBEDRIJF_WIJKT_AF, _with_data(right, leerbedrijf_id="999999999")),
    ),
    Mistake("verklaring-too-soon", ("traject.werkproces-beoordeeld",), _too_soon_a_verklaring),
    Mistake(
        "unknown-werkproces",
        ("traject.begeleidingsdocument-vastgesteld",),
        lambda right: _wrong(Code.WERKPROCES_ONBEKEND, _with_data(right, werkprocessen=["P9-K9-W9"])),
    ),
    Mistake(
        "unknown-crebo",
        ("traject.begeleidingsdocument-vastgesteld", "match.voorgesteld"),
        lambda right: _wrong(Code.CREBO_ONBEKEND, _with_data(right, crebo="99999")),
    ),
    Mistake(
        "other-pok",
        ("traject.pok-ondertekend",),
        lambda right: _wrong(Code.POK_ONBEKEND, _with_data(right, pok_id="00000000-0000-4000-8000-000000000000")),
    ),
    Mistake(
        "signed-twice",
        ("traject.pok-ondertekend",),
        lambda right: _wrong(Code.POK_AL_ONDERTEKEND, _changed(right)),
        after=True,
    ),
    Mistake(
        "before-the-pok",
        ("traject.gestart",),
        lambda right: _wrong(Code.DATUM_BUITEN_POK, _with_data(right, datum=right.day - timedelta(days=90))),
    ),
    Mistake("second-order", ("opdracht.verstrekt",), _second_order, after=True),
    Mistake("order-for-another", ("opdracht.verstrekt",), _order_for_another),
    Mistake(
        "unknown-source",
        ("opdracht.verstrekt",),
        lambda right: Wrong(
            (Code.BRON_ONBEKEND.value, Code.OPDRACHT_BESTAAT.value), _with_data(right, bron="LEENFONDS")
        ),
    ),
    Mistake(
        "unknown-partner",
        ("traject.betrokkene-toegewezen",),
        lambda right: _wrong(Code.PARTNER_ONBEKEND, _with_data(right, partner="bestaat-niet")),
    ),
    Mistake(
        "partner-without-role",
        ("traject.betrokkene-toegewezen",),
        lambda right: _wrong(Code.PARTNER_MIST_ROL, _with_data(right, partner="sbb")),
    ),
)
"""In the order in which people make them: each of the candidates has two."""


def made(right: Right) -> Iterator[tuple[Mistake, Wrong]]:
    """What goes wrong around this submission."""
    number = right.kandidaat.nummer
    if right.kandidaat.verloop in STOPS and right.routing_key not in _AT_THE_START:
        return  # how it ends would be a matter of who is first
    for turn in {number % len(MISTAKES), (5 * number + 3) % len(MISTAKES)}:
        mistake = MISTAKES[turn]
        if not mistake.fits or right.routing_key in mistake.fits:
            wrong = mistake.make(right)
            if wrong is not None:
                yield mistake, wrong
