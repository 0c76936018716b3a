"""Person data: the only thing on the bus that names somebody, and only as ciphertext.

JWE compact serialisation, ECDH-ES+A256KW with A256GCM (RFC 7516, RFC 7518 §4.6 and §5.3),
encrypted to intake's public key.
"""

import base64
import json
from collections.abc import Iterable
from typing import Annotated

from joserfc import jwe
from joserfc.jwk import ECKey
from pydantic import AfterValidator, Field

from contracts.fields import Datum, Postcode
from contracts.model import Data

ALGORITHM = "ECDH-ES+A256KW"
ENCRYPTION = "A256GCM"


_Email = Annotated[str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", examples=["sam@example.org"])]
_Telefoon = Annotated[str, Field(pattern=r"^\+?[0-9 -]{6,20}$", examples=["+31 6 00000000"])]


class Persoon(Data):
    """Who the participant is. Never travels outside a JWE, and never shows itself in a log or traceback."""

    naam: Annotated[str, Field(min_length=1, max_length=200, examples=["Sam Voorbeeld"])]
    geboortedatum: Datum
    postcode: Postcode
    e_mail: _Email | None = None
    telefoon: _Telefoon | None = None

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        return ()


def _is_for_intake(value: str) -> str:
    header = value.split(".", 1)[0]
    try:
        fields = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, RecursionError) as problem:
        raise ValueError("de JWE-header is geen base64url van JSON") from problem
    if not isinstance(fields, dict) or (fields.get("alg"), fields.get("enc")) != (ALGORITHM, ENCRYPTION):
        raise ValueError(f"versleutel met {ALGORITHM} en {ENCRYPTION}")
    return value


Jwe = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){4}$",
        max_length=16384,
        examples=["eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImVuYyI6IkEyNTZHQ00ifQ.a2V5.aXY.Y2lwaGVy.dGFn"],
        description="Versleutelde persoonsgegevens: JWE compact, ECDH-ES+A256KW, A256GCM",
    ),
    AfterValidator(_is_for_intake),
]


def seal(persoon: Persoon, public_key: ECKey) -> str:
    """`persoon` as a JWE that only the holder of intake's private key can open."""
    header: dict[str, object] = {"alg": ALGORITHM, "enc": ENCRYPTION}
    if public_key.kid:
        header["kid"] = public_key.kid
    return jwe.encrypt_compact(
        header, persoon.model_dump_json(exclude_none=True), public_key, algorithms=[ALGORITHM, ENCRYPTION]
    )
