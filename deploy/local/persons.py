"""Person data on this machine: intake's keys, a token for everyone who may ask, and people who do not exist."""

import hashlib
import json
import secrets
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from joserfc.jwk import ECKey, OctKey

from contracts.persoon import Persoon
from deploy.local.processes import write_private
from services.intake.secrets import CALLERS, OPEN, RECOGNISE, WRAP

PUBLIC: Final = "intake.pub.json"
"""Intake's public key, with which partners seal `persoon`."""
_VOORNAMEN: Final = ("Amina", "Bas", "Chantal", "Dirk", "Esra", "Femke", "Gijs", "Hatice", "Ivo", "Jolanda")


def prepare(folder: Path, callers: Iterable[str], tokens: Path | None = None) -> dict[str, str]:
    """Makes what is not there yet, readable by its owner alone; the token of each caller.

    Tokens are kept in `folder`/tokens, unless another folder is given for them.
    """
    tokens = tokens or folder / "tokens"
    for each in (folder, tokens):
        each.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (folder / PUBLIC).exists():
        private = ECKey.generate_key("P-256")
        private = ECKey.import_key(private.as_dict(private=True) | {"kid": private.thumbprint()})
        _write(folder / OPEN, {"keys": [private.as_dict(private=True)]})
        _write(folder / WRAP, {"keys": [_symmetric()]})
        _write(folder / RECOGNISE, _symmetric())
        (folder / PUBLIC).write_text(json.dumps(private.as_dict(private=False)), encoding="utf-8")
    words = {name: _token(tokens / name) for name in callers}
    _write(folder / CALLERS, {name: [hashlib.sha256(token.encode()).hexdigest()] for name, token in words.items()})
    return words


def invented(number: int) -> Persoon:
    """Somebody who does not exist: no two have a name, birth date, address or telephone number in common."""
    voornaam = _VOORNAMEN[number % len(_VOORNAMEN)]
    return Persoon(
        naam=f"{voornaam} Proefpersoon {number:04d}",
        geboortedatum=date(1980, 1, 1) + timedelta(days=(97 * number) % 9000),
        postcode=f"{5900 + number % 100}XK",
        e_mail=f"{voornaam.lower()}.{number:04d}@deelnemers.example",
        telefoon=f"06 5550{number:04d}",
    )


def public_key(file: Path) -> ECKey:
    return ECKey.import_key(json.loads(file.read_text(encoding="utf-8")))


def _symmetric() -> dict[str, object]:
    key = OctKey.generate_key(256)
    return {**key.as_dict(private=True), "kid": key.thumbprint()}


def _token(file: Path) -> str:
    if not file.exists():
        write_private(file, secrets.token_urlsafe(32))
    return file.read_text(encoding="utf-8")


def _write(file: Path, content: object) -> None:
    write_private(file, json.dumps(content))
