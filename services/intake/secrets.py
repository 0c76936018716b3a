"""What only intake holds: the keys around person data, and who may fetch it. A folder of JSON files (secrets).

    open.jwks.json       private EC keys; partners seal `persoon` for one of them and name it by `kid`
    wrap.jwks.json       256-bit symmetric keys with a `kid`; the first wraps the keys of persons, all unwrap
    recognise.jwk.json   a symmetric key, for recognising a person registered twice; it does not change
    callers.json         by the name of a service or the id of a partner: SHA-256 digests of its tokens

A key is replaced by putting a new one first and leaving the old one in as long as something is under it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from joserfc.jwk import ECKey, OctKey
from pydantic import TypeAdapter

OPEN: Final = "open.jwks.json"
WRAP: Final = "wrap.jwks.json"
RECOGNISE: Final = "recognise.jwk.json"
CALLERS: Final = "callers.json"
_CALLERS: Final = TypeAdapter(dict[str, list[str]])


@dataclass(frozen=True, kw_only=True)
class Secrets:
    opening: tuple[ECKey, ...]
    wrapping: Mapping[str, bytes]
    """By key id, in the order of the file."""
    recognising: bytes
    callers: Mapping[str, str]
    """Who calls, by the SHA-256 digest of its token, as hexadecimal digits."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The secrets in that folder.

        Raises:
            OSError, ValueError: a file is missing, or holds no such keys.
        """
        opening = tuple(ECKey.import_key(key) for key in _keys(folder / OPEN))
        wrapping = {str(key["kid"]): OctKey.import_key(key).raw_value for key in _keys(folder / WRAP)}
        if not opening or not wrapping or {len(key) for key in wrapping.values()} != {32}:
            raise ValueError(f"{folder}: needs a private key in {OPEN} and keys of 256 bits in {WRAP}")
        callers = _CALLERS.validate_json((folder / CALLERS).read_bytes())
        return cls(
            opening=opening,
            wrapping=wrapping,
            recognising=OctKey.import_key(json.loads((folder / RECOGNISE).read_text("utf-8"))).raw_value,
            callers={digest: who for who, digests in callers.items() for digest in digests},
        )


def _keys(file: Path) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))["keys"]
    return keys
