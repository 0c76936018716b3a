"""Who the participant is, as far as judging a registration needs it: opened, and recognised when seen before.

Nothing in here keeps or shows a person; keeping is for `kluis`, showing for `inzage`.
"""

import hashlib
import hmac
import unicodedata
from typing import Any, Final
from uuid import UUID, uuid5

from joserfc import jwe
from joserfc.jwk import ECKey
from pydantic import ValidationError

from contracts.ontvangst import Code
from contracts.persoon import ALGORITHM, ENCRYPTION, Persoon
from services.chassis.messages import Refused, Submission
from services.intake.secrets import Secrets

_PERSONEN: Final = UUID("3d0c1b0a-66c4-4f0a-9a3e-5b1f7a4c2e90")
"""The namespace of persons' keys (RFC 9562 §5.5). Never change it: it tells a registration that comes back."""


def key_of(aanmelding: Submission[Any]) -> str:
    """The key under which the person of this registration is kept: the same whenever it is judged again.

    So one that comes back out of a backup meets the key that was destroyed, and is not kept a second time.
    """
    return str(uuid5(_PERSONEN, f"{aanmelding.source}/{aanmelding.id}"))


class Lezer:
    """Opens sealed persons. Has no keys until it is given them, where the service is composed."""

    def __init__(self) -> None:
        self._opening: tuple[ECKey, ...] = ()
        self._recognising = b""

    def use(self, secrets: Secrets) -> None:
        self._opening = secrets.opening
        self._recognising = secrets.recognising

    def open(self, sealed: str) -> Persoon:
        """The person in a JWE.

        Raises:
            Refused: it was sealed for another, or is no person; without showing what is in it.
        """
        try:
            return Persoon.model_validate_json(self._decrypted(sealed))
        except ValidationError as problem:
            first = problem.errors(include_url=False, include_context=False, include_input=False)[0]["loc"]
            field = first[0] if first and first[0] in Persoon.model_fields else None
            raise Refused(Code.PERSOON_ONGELDIG, f"data.persoon.{field}" if field else "data.persoon") from None

    def _decrypted(self, sealed: str) -> bytes:
        for key in self._opening:
            try:
                opened = jwe.decrypt_compact(sealed, key, algorithms=[ALGORITHM, ENCRYPTION])
            except Exception:  # of another key, or anything that a sender can put into a header
                continue
            return opened.plaintext or b""
        raise Refused(Code.PERSOON_ONLEESBAAR, "data.persoon")

    def vingerafdruk(self, persoon: Persoon) -> str:
        """The same for the same name, birth date and postcode, however the name is written.

        Keyed (HMAC-SHA256), so that nobody without the key can try names on it.
        """
        parts = (_bare(persoon.naam), persoon.geboortedatum.isoformat(), persoon.postcode)
        return hmac.new(self._recognising, "\0".join(parts).encode(), hashlib.sha256).hexdigest()


def _bare(naam: str) -> str:
    """Letters and digits alone: without case, accents, spaces and punctuation."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", naam.casefold()) if sign.isalnum())


lezer: Final = Lezer()
"""Intake's own."""
