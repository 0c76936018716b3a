"""Registration, parties and the intake talk."""

import base64
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given as given_by_hypothesis
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import ECKey

from contracts import match, traject
from contracts.catalogue import CATALOGUE
from contracts.fields import Rol, Sector
from contracts.model import Data
from contracts.ontvangst import Code, Waarop
from contracts.partners import Registry
from contracts.persoon import ALGORITHM, ENCRYPTION, seal
from services.chassis import wire
from services.chassis.messages import AlreadyKnown, Fact, Keep, On, Refused, Submission, TooEarly
from services.intake.handlers import service
from services.intake.persoon import Lezer, key_of, lezer
from services.intake.traject import Status, Traject
from tests.desk import NOW, REGISTRY, Desk
from tests.persons import PUBLIC_KEY, SECRETS
from tests.unit.intake import given
from tests.unit.intake.given import ANDER_ROC, COACH, LOKET, ROC, WSP, Zaak


def travels(facts: Iterable[Fact[Data]]) -> str:
    return "".join(wire.encode(fact).decode() for fact in facts)


def refusal(persoon: str) -> tuple[Code, str | None]:
    """Why a registration with this `persoon` is refused."""
    with pytest.raises(Refused) as refused:
        Zaak().aangemeld(given.AANMELDING.model_copy(update={"persoon": persoon}))
    return refused.value.code, refused.value.veld


def test_a_registration_draws_a_trajectnummer_and_opens_a_case() -> None:
    zaak = Zaak()
    aangemeld, *_ = zaak.aangemeld(partner="rmc-noord-limburg")
    assert zaak.nummer.startswith("PV-")
    assert zaak.status() is Status.AANGEMELD
    assert zaak.stand.betrokkenen.correlationid == aangemeld.correlationid


def test_person_data_is_kept_by_intake_and_does_not_travel() -> None:
    zaak = Zaak()
    facts = zaak.aangemeld()
    kept = given.SAM.model_dump_json(exclude_none=True)
    assert zaak.desk.keeps == [Keep(zaak.stand.persoon or "", kept)]
    assert facts[0].dataref == f"https://intake.example/personen/{zaak.stand.persoon}"
    assert not [
        word for word in ("Sam", "1990", "5911AB", zaak.stand.vingerafdruk or "") if word in travels(facts)
    ]
    assert "Sam" not in repr(zaak.desk.keeps)


@given_by_hypothesis(st.binary(max_size=40), st.integers(0, 4))
def test_person_that_intake_cannot_open_is_refused(noise: bytes, part: int) -> None:
    parts = given.AANMELDING.persoon.split(".")
    other = base64.urlsafe_b64encode(noise).decode().rstrip("=")
    if other != parts[part]:
        parts[part] = other
        assert refusal(".".join(parts)) == (Code.PERSOON_ONLEESBAAR, "data.persoon")


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"epk": None},
        {"epk": 1},
        {"epk": {}},
        {"epk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}},
        {"epk": {"kty": "oct", "k": "AA"}},
        {"kid": ["?"]},
        {"crit": ["x"], "x": 1},
        {"apu": 1},
    ],
    ids=str,
)
def test_header_made_to_break_something_is_refused(header: dict[str, object]) -> None:
    written = json.dumps({"alg": ALGORITHM, "enc": ENCRYPTION, **header}).encode()
    rest = given.AANMELDING.persoon.partition(".")[2]
    first = base64.urlsafe_b64encode(written).decode().rstrip("=")
    assert refusal(f"{first}.{rest}") == (Code.PERSOON_ONLEESBAAR, "data.persoon")


def test_person_sealed_for_another_is_refused() -> None:
    assert refusal(seal(given.SAM, ECKey.generate_key("P-256"))) == (Code.PERSOON_ONLEESBAAR, "data.persoon")


def test_compressed_person_is_refused() -> None:
    header: dict[str, object] = {"alg": ALGORITHM, "enc": ENCRYPTION, "zip": "DEF"}
    algorithms = [ALGORITHM, ENCRYPTION, "DEF"]
    packed = jwe.encrypt_compact(header, given.SAM.model_dump_json(), PUBLIC_KEY, algorithms=algorithms)
    assert refusal(packed) == (Code.PERSOON_ONLEESBAAR, "data.persoon")


def test_any_key_of_intake_opens_a_person() -> None:
    old, new = ECKey.generate_key("P-256", {"kid": "oud"}), ECKey.generate_key("P-256", {"kid": "nieuw"})
    reader = Lezer()
    reader.use(replace(SECRETS, opening=(new, old)))
    for key in (old, new, ECKey.import_key({**old.as_dict(private=True), "kid": "zonder"})):
        assert reader.open(seal(given.SAM, key)) == given.SAM


@pytest.mark.parametrize(
    ("content", "veld"),
    [
        (b"", "data.persoon"),
        (b"[]", "data.persoon"),
        (b'{"naam": "Sam Voorbeeld", "postcode": "5911AB"}', "data.persoon.geboortedatum"),
        (b'{"naam": "Sam", "geboortedatum": "1990-04-01", "postcode": "Venlo"}', "data.persoon.postcode"),
        (b'{"naam": "Sam", "geboortedatum": "1990-04-01", "postcode": "5911AB", "bsn": "1"}', "data.persoon"),
        (b'{"naam": "\xff"}', "data.persoon"),
    ],
)
def test_person_that_does_not_fit_its_schema_is_refused_at_its_field(content: bytes, veld: str) -> None:
    header: dict[str, object] = {"alg": ALGORITHM, "enc": ENCRYPTION}
    sealed = jwe.encrypt_compact(header, content, PUBLIC_KEY, algorithms=[ALGORITHM, ENCRYPTION])
    assert refusal(sealed) == (Code.PERSOON_ONGELDIG, veld)


def test_registration_judged_again_is_kept_under_the_same_key() -> None:
    def key() -> str:
        return key_of(
            Submission(
                type=CATALOGUE.of(traject.Aangemeld),
                id="melding-1",
                source="urn:nld:kvk:41000001:systeem:dossier",
                partner=COACH,
                subject=None,
                referentie=None,
                namens=None,
                time=NOW,
                data=given.AANMELDING,
            )
        )

    assert key() == key()


# The same person twice


@pytest.mark.parametrize(
    ("naam", "dezelfde"),
    [
        ("SAM  voorbeeld", True),
        ("Sám Voorbeeld", True),
        ("Sam-Voorbeeld.", True),
        ("Sam Voorbeelt", False),
    ],
)
def test_same_person_is_recognised_however_the_name_is_written(naam: str, dezelfde: bool) -> None:
    other = given.SAM.model_copy(update={"naam": naam, "e_mail": None})
    assert (lezer.vingerafdruk(other) == lezer.vingerafdruk(given.SAM)) is dezelfde


@pytest.mark.parametrize("anders", [{"geboortedatum": date(1990, 4, 2)}, {"postcode": "5911AC"}])
def test_another_birth_date_or_postcode_is_another_person(anders: dict[str, object]) -> None:
    assert lezer.vingerafdruk(given.SAM.model_copy(update=anders)) != lezer.vingerafdruk(given.SAM)


def test_nobody_without_the_key_can_try_names() -> None:
    other = Lezer()
    other.use(replace(SECRETS, recognising=b"x" * 32))
    assert other.vingerafdruk(given.SAM) != lezer.vingerafdruk(given.SAM)


def heard(zaak: Zaak, aangemeld: Fact[Data]) -> list[Fact[Data]]:
    return zaak.desk.hear(aangemeld.data, subject=zaak.nummer, correlationid=aangemeld.correlationid)


def test_same_person_through_two_partners_is_told_to_coordinatie_alone() -> None:
    eerste = Zaak()
    aangemeld, *_ = eerste.aangemeld(partner=WSP)
    assert heard(eerste, aangemeld) == []
    tweede = Zaak(eerste.desk)
    weer, *_ = tweede.aangemeld(given.aanmelding(), partner="rmc-noord-limburg")
    before = tweede.stand
    (dubbel,) = heard(tweede, weer)
    assert (dubbel.subject, dubbel.data) == (
        tweede.nummer,
        traject.MogelijkDubbel(ander_trajectnummer=eerste.nummer),
    )
    assert tweede.lezers(dubbel) == {LOKET}
    assert replace(tweede.stand, dubbel_met=frozenset()) == before


def test_of_two_at_once_one_is_told_of_the_other_once() -> None:
    een = Zaak()
    ander = Zaak(een.desk)
    facts = [
        zaak.aangemeld(given.aanmelding(), partner=partner)[0] for zaak, partner in ((een, WSP), (ander, ROC))
    ]
    told = [heard(zaak, fact) for zaak, fact in zip((een, ander), facts, strict=True)]
    assert [len(found) for found in told] == [1, 0]


def test_leerwerkloket_that_is_not_coordinatie_does_not_learn_of_it() -> None:
    partners = [
        p.model_copy(update={"rollen": frozenset({Rol.LEERWERKLOKET})}) if p.id == LOKET else p
        for p in REGISTRY.partners
    ]
    partners.append(
        REGISTRY[WSP].model_copy(
            update={
                "id": "coordinatiepunt",
                "rollen": frozenset({Rol.COORDINATIE}),
                "sources": frozenset({"urn:nld:kvk:41000099:systeem:coordinatie"}),
            }
        )
    )
    registry = Registry(regio=REGISTRY.regio, partners=tuple(partners))
    een = Zaak(Desk(service, registry=registry))
    een.aangemeld(partner=LOKET)
    ander = Zaak(een.desk)
    aangemeld, *_ = ander.aangemeld(given.aanmelding(), partner=LOKET)
    (dubbel,) = heard(ander, aangemeld)
    assert ander.lezers(dubbel) == {"coordinatiepunt"}


def test_another_person_is_nobodys_double() -> None:
    een = Zaak()
    een.aangemeld()
    ander = Zaak(een.desk)
    aangemeld, *_ = ander.aangemeld(given.aanmelding(given.ALEX), partner=ROC)
    assert heard(ander, aangemeld) == []


def test_erased_person_is_not_recognised_any_more() -> None:
    een = Zaak()
    een.aangemeld()
    een.teruggetrokken()
    een.gewist()
    assert een.stand.vingerafdruk is None
    ander = Zaak(een.desk)
    aangemeld, *_ = ander.aangemeld(given.aanmelding(), partner=ROC)
    assert heard(ander, aangemeld) == []


def test_erased_person_does_not_come_back_under_its_reference() -> None:
    zaak = Zaak()
    zaak.aangemeld(referentie="a-1")
    zaak.teruggetrokken()
    zaak.gewist()
    with pytest.raises(Refused) as refused:
        Zaak(zaak.desk).aangemeld(referentie="a-1")
    assert refused.value.code is Code.REFERENTIE_HERGEBRUIKT


def test_another_person_under_the_same_reference_is_refused_not_lost() -> None:
    zaak = Zaak()
    zaak.aangemeld(referentie="a-1")
    with pytest.raises(Refused) as refused:
        Zaak(zaak.desk).aangemeld(given.aanmelding(given.ALEX), referentie="a-1")
    assert (refused.value.code, refused.value.veld) == (Code.REFERENTIE_HERGEBRUIKT, "referentie")


def test_the_only_partner_in_a_role_is_assigned_at_once() -> None:
    _, *toegewezen = Zaak().aangemeld()
    assert [fact.data for fact in toegewezen] == [
        traject.BetrokkeneToegewezen(rol=Rol.WSP, partner=WSP),
        traject.BetrokkeneToegewezen(rol=Rol.COACH, partner=COACH),
    ]


def test_whoever_is_assigned_learns_where_the_person_data_is() -> None:
    zaak = Zaak()
    aangemeld, *_ = zaak.aangemeld()
    (toegewezen,) = zaak.toegewezen()
    assert toegewezen.dataref == aangemeld.dataref


def test_a_repeated_registration_is_recognised_by_its_reference() -> None:
    zaak = Zaak()
    zaak.aangemeld(referentie="a-1")
    with pytest.raises(AlreadyKnown) as known:
        Zaak(zaak.desk).aangemeld(referentie="a-1")
    assert known.value.subject == zaak.nummer


def test_two_partners_may_use_the_same_reference() -> None:
    zaak = Zaak()
    zaak.aangemeld(referentie="a-1")
    ander = Zaak(zaak.desk)
    ander.aangemeld(partner=ROC, referentie="a-1")
    assert ander.nummer != zaak.nummer


def test_a_reference_is_not_used_again_for_something_else() -> None:
    zaak = Zaak()
    zaak.aangemeld(referentie="a-1")
    anders = given.AANMELDING.model_copy(update={"sectorwens": Sector.ZORG})
    with pytest.raises(Refused) as refused:
        zaak.desk.submit(traject.Aangemeld, anders, partner=COACH, referentie="a-1")
    assert (refused.value.code, refused.value.veld) == (Code.REFERENTIE_HERGEBRUIKT, "referentie")


def test_the_way_in_reads_the_registration_and_what_follows() -> None:
    zaak = Zaak()
    aangemeld, *_ = zaak.aangemeld(partner="loopbaancentrum")
    (afgerond,) = zaak.intake_afgerond()
    assert zaak.lezers(aangemeld) == {"loopbaancentrum", LOKET}
    assert zaak.lezers(afgerond) == {"loopbaancentrum", LOKET, COACH, WSP}


def test_a_new_party_reads_its_own_assignment_and_a_replaced_one_nothing_more() -> None:
    zaak = given.een_aangemeld_traject()
    (vervangen,) = zaak.toegewezen(ANDER_ROC)
    (afgerond,) = zaak.intake_afgerond()
    for fact in (vervangen, afgerond):
        assert ANDER_ROC in zaak.lezers(fact)
        assert ROC not in zaak.lezers(fact)


def test_a_replaced_party_may_not_act_any_more() -> None:
    zaak = given.een_geschikt_traject()
    zaak.toegewezen(ANDER_ROC)
    with pytest.raises(Refused) as refused:
        zaak.inschrijving()
    assert refused.value.code is Code.GEEN_PARTIJ


@pytest.mark.parametrize(
    ("partner", "rol", "code", "veld"),
    [
        ("niemand", Rol.OPLEIDER, Code.PARTNER_ONBEKEND, "data.partner"),
        (WSP, Rol.OPLEIDER, Code.PARTNER_MIST_ROL, "data.partner"),
        ("zorghof", Rol.WERKGEVER, Code.VELD_ONGELDIG, "data.rol"),
        ("sbb", Rol.SBB, Code.VELD_ONGELDIG, "data.rol"),
    ],
)
def test_only_a_partner_with_an_assignable_role_is_assigned(partner: str, rol: Rol, code: Code, veld: str) -> None:
    zaak = Zaak()
    zaak.aangemeld()
    with pytest.raises(Refused) as refused:
        zaak.toegewezen(partner, rol)
    assert (refused.value.code, refused.value.veld) == (code, veld)


def test_the_intake_talk_decides_whether_somebody_fits() -> None:
    zaak = given.een_geschikt_traject()
    assert zaak.status() is Status.GESCHIKT


def test_whoever_does_not_fit_is_referred_and_the_referral_reads_it() -> None:
    zaak = given.een_aangemeld_traject()
    (afgerond,) = zaak.intake_afgerond(given.NIET_GESCHIKT)
    assert zaak.status() is Status.NIET_GESCHIKT
    assert "rmc-noord-limburg" in zaak.lezers(afgerond)


def test_the_intake_is_done_once() -> None:
    zaak = given.een_geschikt_traject()
    with pytest.raises(Refused) as refused:
        zaak.intake_afgerond()
    assert refused.value.code is Code.STATUS_PAST_NIET


def test_what_is_about_an_unknown_traject_waits_for_it() -> None:
    zaak = Zaak(nummer=given.ONBEKEND)
    with pytest.raises(TooEarly) as early:
        zaak.intake_afgerond()
    assert early.value.waarop is Waarop.TRAJECT_BEKEND
    assert early.value.on == On(Traject, given.ONBEKEND)


def test_facts_about_an_unknown_traject_change_nothing() -> None:
    zaak = given.een_aangemeld_traject()
    before = zaak.stand
    andere = Zaak(zaak.desk, given.ONBEKEND)
    zaak.desk.hear(
        match.Afgewezen(trajectnummer=andere.nummer),
        subject=given.MATCH,
        correlationid=before.betrokkenen.correlationid,
    )
    assert zaak.desk.work.get(Traject, andere.nummer) is None
    assert zaak.stand == before


def test_nobody_is_assigned_where_a_region_has_two_partners_in_a_role() -> None:
    assert len(REGISTRY.in_role(Rol.OPLEIDER)) == 2
    zaak = Zaak()
    zaak.aangemeld()
    assert zaak.stand.opleider is None
