from pathlib import Path

import pytest
from pydantic import ValidationError

from contracts.fields import Rol
from contracts.partners import MANAGER, Registry

WSP = """
[[partners]]
id = "wsp-noord"
naam = "WSP Noord-Limburg"
rollen = ["wsp"]
sources = ["urn:nld:oin:00000001000000000001:systeem:wsp"]
contact = "bus@wsp.example"
"""
COACH = """
[[partners]]
id = "coach-noord"
naam = "Jobcoaches Noord"
rollen = ["coach"]
sources = ["urn:nld:oin:00000001000000000002:systeem:coach"]
contact = "bus@coach.example"
"""
WERKGEVER = """
[[partners]]
id = "bakker"
naam = "Bakkerij Voorbeeld"
rollen = ["werkgever"]
sources = ["urn:nld:kvk:12345678"]
contact = "bus@bakker.example"
vestigingen = ["000012345678"]
"""


def registry(folder: Path, *partners: str) -> Registry:
    path = folder / "partners.toml"
    path.write_text('regio = "noord-limburg"\n' + "".join(partners), encoding="utf-8")
    return Registry.load(path)


def test_registry_is_read_from_toml(tmp_path: Path) -> None:
    read = registry(tmp_path, WSP, COACH, WERKGEVER)

    assert read["wsp-noord"].rollen == {Rol.WSP}
    assert read.get("niemand") is None
    assert read.in_role(Rol.COACH, Rol.WSP) == ("wsp-noord", "coach-noord")
    assert read.only_in_role(Rol.COACH) == "coach-noord"
    assert read.only_in_role(Rol.SBB) is None
    assert read.werkgever_of("000012345678") == "bakker"
    assert dict(read.sources())["urn:nld:kvk:12345678"] == "bakker"


@pytest.mark.parametrize(
    ("right", "wrong", "field"),
    [
        ('contact = "bus@coach.example"', 'contact = "geen adres"', "contact"),
        ('rollen = ["coach"]', 'rollen = ["trainer"]', "rollen"),
        ('rollen = ["coach"]', "rollen = []", "rollen"),
        ('naam = "Jobcoaches Noord"', 'naam = "Jobcoaches Noord"\nfax = "1"', "fax"),
        ('rollen = ["coach"]', 'rollen = ["opleider"]', "factuurreeks"),
        ('rollen = ["coach"]', 'rollen = ["werkgever"]', "vestigingen"),
        ('rollen = ["coach"]', 'rollen = ["financier"]', "bronnen"),
    ],
)
def test_wrong_field_is_named_with_its_partner(tmp_path: Path, right: str, wrong: str, field: str) -> None:
    assert right in COACH
    with pytest.raises(ValidationError) as caught:
        registry(tmp_path, WSP, COACH.replace(right, wrong))

    assert "coach-noord" in str(caught.value)
    assert field in str(caught.value)


def test_partner_without_a_usable_id_is_named_by_its_position(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"partners\.1\.id"):
        registry(tmp_path, WSP, COACH.replace('id = "coach-noord"\n', ""))


@pytest.mark.parametrize("name", ["intake", "matching", "billing", "notify", MANAGER])
def test_names_of_our_own_are_reserved(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError, match="a name of Praktijkbus itself"):
        registry(tmp_path, WSP.replace("wsp-noord", name))


@pytest.mark.parametrize(
    ("what", "first", "second"),
    [
        ("id", WSP, COACH.replace("coach-noord", "wsp-noord")),
        ("source", WSP, COACH.replace("00000001000000000002:systeem:coach", "00000001000000000001:systeem:wsp")),
        (
            "vestiging",
            WERKGEVER,
            WERKGEVER.replace('"bakker"', '"slager"').replace("kvk:12345678", "kvk:87654321"),
        ),
    ],
)
def test_nothing_belongs_to_two_partners(tmp_path: Path, what: str, first: str, second: str) -> None:
    with pytest.raises(ValidationError, match=f"{what} of two partners"):
        registry(tmp_path, first, second)


def test_empty_registry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="partners"):
        registry(tmp_path)


def test_mail_goes_to_partners_that_want_it_and_to_the_manager_where_there_is_one(tmp_path: Path) -> None:
    quiet = COACH.replace("[[partners]]", "[[partners]]\nmail = false")
    without = registry(tmp_path, WSP, quiet)
    assert without.contact("wsp-noord") == "bus@wsp.example"
    assert [without.wants_mail(aan) for aan in ("wsp-noord", "coach-noord", "niemand", MANAGER)] == [
        *(True, False, False, False)
    ]
    managed = registry(tmp_path, 'manager = "manager@loket.example"\n', WSP)
    assert managed.contact(MANAGER) == "manager@loket.example"
    assert managed.wants_mail(MANAGER)
