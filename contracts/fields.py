"""The formats of the field as types: always strings on the wire, never numbers.

Each type carries its pattern, an example and a description, so that the exported JSON Schema
says the same as the check. Checks that a pattern cannot express (bank checks, check characters)
follow the pattern. Source of the formats: the registers named in each description.
"""

import re
import secrets
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field
from schwifty import IBAN
from schwifty.exceptions import SchwiftyException
from stdnum import iso11649
from stdnum.exceptions import ValidationError as StdnumError
from stdnum.iso7064 import mod_37_36
from stdnum.nl import btw, postcode

CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Base32 without I, L, O and U: cannot be misread aloud and spells no words."""


class Rol(StrEnum):
    """What a partner may do. Whether it may do so in one traject is a matter of being party to it."""

    WSP = "wsp"
    SBB = "sbb"
    COACH = "coach"
    OPLEIDER = "opleider"
    LEERWERKLOKET = "leerwerkloket"
    WERKGEVER = "werkgever"
    RMC = "rmc"
    LOOPBAANCENTRUM = "loopbaancentrum"
    FINANCIER = "financier"
    COORDINATIE = "coordinatie"


class Werkstatus(StrEnum):
    WERKENDE = "werkende"
    WERKZOEKENDE = "werkzoekende"


class Sector(StrEnum):
    """Where somebody wants to work, by the domains of the Entree qualifications."""

    BOUW = "bouw"
    ZORG = "zorg"
    HORECA = "horeca"
    TECHNIEK = "techniek"
    LOGISTIEK = "logistiek"
    MOBILITEIT = "mobiliteit"
    RETAIL = "retail"
    ONBEKEND = "onbekend"


class Categorie(StrEnum):
    """Why something stopped. Never free text: even a bare report of illness is health data."""

    DEELNEMER = "deelnemer"
    WERKGEVER = "werkgever"
    OPLEIDING = "opleiding"
    ERKENNING = "erkenning"
    OVERIG = "overig"


def _checked_by(check: Callable[[str], object], error: type[Exception], meaning: str) -> AfterValidator:
    def validate(value: str) -> str:
        try:
            check(value)
        except error as problem:
            raise ValueError(meaning) from problem
        return value

    return AfterValidator(validate)


def _text(pattern: str, example: str, description: str) -> object:
    return Field(pattern=pattern, examples=[example], description=description)


Kvk = Annotated[str, _text(r"^[0-9]{8}$", "12345678", "KvK-nummer, 8 cijfers")]
Vestigingsnummer = Annotated[
    str, _text(r"^[0-9]{12}$", "000012345678", "Vestigingsnummer uit het Handelsregister, 12 cijfers")
]
Crebo = Annotated[str, _text(r"^[0-9]{5}$", "25252", "Crebo-code van de kwalificatie, 5 cijfers")]
Keuzedeel = Annotated[str, _text(r"^K[0-9]{4}$", "K0072", "Code van een keuzedeel")]
Dossierversie = Annotated[
    str, _text(r"^[0-9]{4}$", "2024", "Versie van het kwalificatiedossier: het cohortjaar, 4 cijfers")
]
LeerbedrijfId = Annotated[str, _text(r"^[0-9]{6,10}$", "100234567", "Leerbedrijf-id van SBB, 6 tot 10 cijfers")]
Brin = Annotated[str, _text(r"^[0-9]{2}[A-Z]{2}$", "25PZ", "BRIN-nummer van de instelling")]
Onderwijsaanbieder = Annotated[str, _text(r"^[0-9]{3}A[0-9]{3}$", "100A123", "Onderwijsaanbieder in het RIO")]
Onderwijslocatie = Annotated[str, _text(r"^[0-9]{3}X[0-9]{3}$", "100X123", "Onderwijslocatie in het RIO")]
Oin = Annotated[str, _text(r"^[0-9]{20}$", "00000001234567890000", "Organisatie-identificatienummer, 20 cijfers")]
Postcode = Annotated[
    str,
    _text(r"^[1-9][0-9]{3}[A-Z]{2}$", "5911AB", "Postcode zonder spatie"),
    _checked_by(postcode.validate, StdnumError, "geen bestaande vorm van een Nederlandse postcode"),
]
BtwId = Annotated[
    str,
    _text(r"^NL[0-9]{9}B[0-9]{2}$", "NL004495445B01", "Btw-identificatienummer"),
    _checked_by(btw.validate, StdnumError, "de controle van dit btw-id klopt niet"),
]
Iban = Annotated[
    str,
    _text(r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$", "NL91ABNA0417164300", "IBAN zonder spaties"),
    _checked_by(lambda value: IBAN(value, validate_bban=True), SchwiftyException, "dit IBAN klopt niet"),
]
Betalingskenmerk = Annotated[
    str,
    _text(r"^RF[0-9]{2}[A-Z0-9]{1,21}$", "RF18539007547034", "Gestructureerd betalingskenmerk (ISO 11649)"),
    _checked_by(iso11649.validate, StdnumError, "de controle van dit betalingskenmerk klopt niet"),
]

_WERKPROCES = re.compile(r"([BPD][0-9]{1,2})[-.]?(K[0-9]{1,2})[-.]?(W[0-9]{1,2})")


def _normal_werkproces(value: object) -> object:
    """Folds `B1K1W1` and `B1.K1.W1` into `B1-K1-W1`; leaves all else to the pattern."""
    if isinstance(value, str) and (found := _WERKPROCES.fullmatch(value)):
        return "-".join(found.groups())
    return value


Werkproces = Annotated[
    str,
    _text(
        r"^[BPD][0-9]{1,2}-K[0-9]{1,2}-W[0-9]{1,2}$",
        "B1-K1-W1",
        "Werkproces; uniek samen met crebo en dossierversie. B1K1W1 en B1.K1.W1 mogen ook",
    ),
    BeforeValidator(_normal_werkproces),  # after the pattern, else the exported schema loses that
]

Cents = Annotated[int, Field(ge=0, le=10**12, strict=True, examples=[250000], description="Bedrag in eurocenten")]
"""Money is integer cents, never a float."""

Uren = Annotated[int, Field(ge=1, le=5000, strict=True, examples=[640], description="Aantal uren")]
Documenthash = Annotated[
    str,
    _text(r"^sha256:[0-9a-f]{64}$", "sha256:" + "0" * 63 + "1", "SHA-256 van het document, zestientallig"),
]
PartnerId = Annotated[
    str, _text(r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", "roc-maas", "Partner: de naam van zijn account op de bus")
]
Bron = Annotated[str, _text(r"^[A-Z][A-Z0-9]{1,19}$", "POW", "Geldbron, zoals POW of WERKBEDRIJF")]
PokId = Annotated[
    str,
    _text(
        r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        "7b0c1f7e-6f3e-4c53-9a55-0d3f3d3b7c11",
        "UUID van de praktijkovereenkomst, door de opleider gekozen",
    ),
]
Factuurnummer = Annotated[
    str, _text(r"^[A-Z]{2,6}-[0-9]{6}$", "RM-000001", "Factuurnummer: reeks van de opleider, zonder gaten")
]
Regelcode = Annotated[
    str, _text(r"^[A-Z]{2,5}(-[A-Z]{1,5})*-[0-9]{1,3}$", "BR-NL-1", "Regel uit EN 16931 of NLCIUS die faalt")
]


def _written_as(shape: str, example: str) -> BeforeValidator:
    """Dates travel as text: `"0"` or a bare number is a guess at somebody's epoch.

    Years outside 1900-2099 are typing errors, and near year 1 or 9999 they overflow whoever computes
    a deadline with them.
    """
    written = re.compile("(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}" + shape)

    def validate(value: object) -> object:
        if isinstance(value, date) or (isinstance(value, str) and written.fullmatch(value)):
            return value
        raise ValueError(f"schrijf dit als tekst, zoals {example}")

    return BeforeValidator(validate)


Datum = Annotated[
    date,
    _written_as("", "2026-11-02"),
    Field(examples=["2026-11-02"], description="Datum (ISO 8601)"),
]
Tijdstip = Annotated[
    AwareDatetime,
    _written_as(r"T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})", "2026-11-02T09:30:00Z"),
    Field(examples=["2026-11-02T09:30:00Z"], description="Tijdstip met zone (RFC 3339)"),
]


def check_character(characters: str) -> str:
    """The ISO 7064 check character (hybrid system) over Crockford base32."""
    return mod_37_36.calc_check_digit(characters, CROCKFORD)


@lru_cache(maxsize=8192)  # the numbers of a case come by again and again
def is_number(value: str, prefix: str) -> bool:
    """Whether `value` is an owner-drawn number with that prefix and a right check character."""
    shaped = re.fullmatch(prefix + r"-([0-9A-HJKMNP-TV-Z]{5})-([0-9A-HJKMNP-TV-Z]{5})", value)
    return shaped is not None and bool(mod_37_36.is_valid(shaped[1] + shaped[2], CROCKFORD))


def draw_number(prefix: str) -> str:
    """A fresh number such as `PV-7K3F9-QX2ME`: random, so it says nothing of person, year or region."""
    bits = secrets.randbits(45)  # five a character
    return number_from(prefix, "".join(CROCKFORD[bits >> shift & 31] for shift in range(0, 45, 5)))


def number_from(prefix: str, characters: str) -> str:
    """The number made of nine given Crockford characters and their check character."""
    whole = characters + check_character(characters)
    return f"{prefix}-{whole[:5]}-{whole[5:]}"


def _number(prefix: str, description: str) -> tuple[object, AfterValidator]:
    def validate(value: str) -> str:
        if not is_number(value, prefix):
            raise ValueError("het controleteken klopt niet: is dit nummer goed overgenomen?")
        return value

    pattern = f"^{prefix}-[0-9A-HJKMNP-TV-Z]{{5}}-[0-9A-HJKMNP-TV-Z]{{5}}$"
    return _text(pattern, number_from(prefix, "7K3F9QX2M"), description), AfterValidator(validate)


Trajectnummer = Annotated[str, *_number("PV", "Trajectnummer")]
Matchnummer = Annotated[str, *_number("M", "Nummer van de match")]
Erkenningsnummer = Annotated[str, *_number("ER", "Nummer van de erkenning van een vestiging voor een crebo")]
Verklaringnummer = Annotated[str, *_number("VK", "Nummer van de praktijkverklaring")]
Opdrachtnummer = Annotated[str, *_number("OP", "Nummer van de opdracht")]
Betalingsnummer = Annotated[str, *_number("BT", "Nummer van de betaling")]
Termijnnummer = Annotated[str, *_number("TM", "Nummer van de termijn")]
