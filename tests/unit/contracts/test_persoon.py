import json
from base64 import urlsafe_b64encode
from datetime import date

import pytest
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey
from pydantic import TypeAdapter, ValidationError

from contracts.persoon import ALGORITHM, ENCRYPTION, Jwe, Persoon, seal
from contracts.traject import AangemeldInzending

PERSOON = Persoon(
    naam="Sam Voorbeeld", geboortedatum=date(1990, 4, 1), postcode="5911AB", e_mail="sam@example.org"
)
SECRETS = ("Sam", "Voorbeeld", "1990", "5911AB", "example.org")
KEY = ECKey.generate_key("P-256", {"kid": "intake-2026"})
PUBLIC = ECKey.import_key(KEY.as_dict(private=False))
REST = {"werkstatus": "werkende", "sectorwens": "zorg"}


def header(**fields: object) -> str:
    return urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


def test_sealed_person_opens_with_the_private_key() -> None:
    sealed = seal(PERSOON, PUBLIC)

    opened = jwe.decrypt_compact(sealed, KEY, algorithms=[ALGORITHM, ENCRYPTION])

    assert opened.headers()["kid"] == "intake-2026"
    assert opened.plaintext is not None
    assert Persoon.model_validate_json(opened.plaintext) == PERSOON
    assert AangemeldInzending.model_validate({"persoon": sealed, **REST}).persoon == sealed


def test_sealed_person_is_never_twice_the_same() -> None:
    assert seal(PERSOON, PUBLIC) != seal(PERSOON, PUBLIC)


@pytest.mark.parametrize(
    ("alg", "enc"),
    [
        ("RSA-OAEP", ENCRYPTION),
        ("dir", ENCRYPTION),
        ("none", ENCRYPTION),
        (ALGORITHM, "A128CBC-HS256"),
        (None, None),
    ],
)
def test_other_algorithms_are_refused(alg: str | None, enc: str | None) -> None:
    with pytest.raises(ValidationError, match="versleutel met"):
        TypeAdapter(Jwe).validate_python(f"{header(alg=alg, enc=enc)}.a.b.c.d")


def test_jwe_for_a_shared_key_is_refused() -> None:
    sealed = jwe.encrypt_compact(
        {"alg": "A256KW", "enc": ENCRYPTION}, b"{}", OctKey.generate_key(256), algorithms=["A256KW", ENCRYPTION]
    )

    with pytest.raises(ValidationError, match="versleutel met"):
        TypeAdapter(Jwe).validate_python(sealed)


@pytest.mark.parametrize(
    "value",
    [
        PERSOON.model_dump_json(),
        PERSOON.model_dump(mode="json"),
        "Sam.Voorbeeld.1990.5911AB.x",
        "Sam",
        f"{urlsafe_b64encode(b'[' * 9000).decode().rstrip('=')}.a.b.c.d",
        f"{urlsafe_b64encode(b'[1990]').decode()}.a.b.c.d".replace("=", ""),
        f"{header(alg=ALGORITHM, enc=ENCRYPTION)}.a.b.c",
        f"{header(alg=ALGORITHM, enc=ENCRYPTION)}.a.b.{'c' * 17000}.d",
    ],
    ids=["json", "object", "words", "word", "nested", "list", "four parts", "too long"],
)
def test_what_is_no_jwe_is_refused_without_repeating_it(value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        AangemeldInzending.model_validate({"persoon": value, **REST})

    assert not [secret for secret in SECRETS if secret in str(caught.value)]


def test_error_in_a_person_does_not_repeat_the_person() -> None:
    content = PERSOON.model_dump() | {"postcode": "Sam 5911AB", "e_mail": "1990", "telefoon": "Voorbeeld"}

    with pytest.raises(ValidationError) as caught:
        Persoon.model_validate(content)

    assert not [secret for secret in SECRETS if secret in str(caught.value)]


def test_person_does_not_show_itself_in_a_log() -> None:
    shown = f"{PERSOON} {PERSOON!r} {[PERSOON]}"

    assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize("field", ["bsn", "pgn", "opmerking"])
def test_person_has_no_other_fields(field: str) -> None:
    with pytest.raises(ValidationError):
        Persoon.model_validate(PERSOON.model_dump() | {field: "123456782"})
