"""The vault: each person encrypted under a key of its own, and those keys, wrapped, in a database of their own.

A person is AES-256-GCM with the id of its key as associated data (NIST SP 800-38D); so is the key, under a
key-encryption key that is in neither database. To erase a person is to destroy its key: a backup of intake's
database then holds bytes that nobody can read any more.

A crash loses nothing and brings nothing back, by this order. The key is committed before the person is; without
a person it opens nothing (a row of `sleutel` that `persoon` does not know), and the same registration finds it
again. Erasing empties the row in `persoon` in the transaction of the fact, and destroys the key after it, as an
effect. Both rows stay, empty: whichever of the two databases is put back, the other still knows.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import Text

from services.chassis.database import upgrade
from services.chassis.messages import Effect, Keep

VERNIETIG: Final = "vernietig-sleutel"
"""The kind of effect that destroys a key."""
_MIGRATIONS: Final = Path(__file__).parent / "migrations" / "sleutels"
_NONCE: Final = 12
"""Bytes, drawn anew for each encryption; a person's key encrypts once, a wrapping key far below 2^32 times."""


def _statement(sql: str, *texts: str, bytes_: str | None = None) -> Any:
    binds = [bindparam(name, type_=ARRAY(Text)) for name in texts]
    return text(sql).bindparams(*binds, *([bindparam(bytes_, type_=ARRAY(BYTEA))] if bytes_ else []))


_MAKE_KEYS = _statement(
    "INSERT INTO sleutel (key, kek, wrapped)"
    " SELECT key, :kek, wrapped FROM unnest(:keys, :wrapped) AS made (key, wrapped) ON CONFLICT DO NOTHING",
    "keys",
    bytes_="wrapped",
)
_KEYS = _statement("SELECT key, kek, wrapped FROM sleutel WHERE key = ANY(:keys)", "keys")
_DESTROY_KEYS = _statement(
    "INSERT INTO sleutel (key, gewist) SELECT *, now() FROM unnest(:keys)"
    " ON CONFLICT (key) DO UPDATE SET kek = NULL, wrapped = NULL, gewist = excluded.gewist"
    " WHERE sleutel.gewist IS NULL",
    "keys",
)
_STORE = _statement(
    "INSERT INTO persoon (key, versleuteld) SELECT * FROM unnest(:keys, :versleuteld)",
    "keys",
    bytes_="versleuteld",
)
_ERASE = _statement(
    "INSERT INTO persoon (key, gewist) SELECT *, now() FROM unnest(:keys)"
    " ON CONFLICT (key) DO UPDATE SET versleuteld = NULL, gewist = excluded.gewist",
    "keys",
)


class PersoonGewist(Exception):
    """The person was erased: its key is destroyed, and no other is made for the same registration."""


class PersoonOnbekend(Exception):
    """Nothing was ever kept under this key."""


def vernietiging(key: str) -> Effect:
    """The request to destroy a person's key."""
    return Effect(kind=VERNIETIG, key=f"{VERNIETIG}/{key}", payload={"key": key})


async def migrate(keys: AsyncEngine) -> None:
    """Brings the tables of the key database up to date."""
    await upgrade(keys, {"alembic_version_sleutels": _MIGRATIONS})


class Kluis:
    def __init__(self, engine: AsyncEngine, keys: AsyncEngine, wrapping: Mapping[str, bytes]) -> None:
        """`engine` is intake's database, `keys` that of the keys; the first of `wrapping` wraps new ones."""
        self._engine = engine
        self._keys = keys
        self._wrapping = {kid: AESGCM(key) for kid, key in wrapping.items()}
        self._newest = next(iter(wrapping))

    async def keep(self, connection: AsyncConnection, keeps: Sequence[Keep]) -> None:
        """Encrypts and stores each value, and erases what has none, in the caller's transaction.

        Raises:
            PersoonGewist: a registration was judged again after its person was erased.
        """
        values = {item.key: item.value for item in keeps if item.value is not None}
        if values:
            opened = await self._make_keys(list(values))
            sealed = [_encrypt(opened[key], key, value.encode()) for key, value in values.items()]
            await connection.execute(_STORE, {"keys": list(values), "versleuteld": sealed})
        erased = [item.key for item in keeps if item.value is None]
        if erased:
            await connection.execute(_ERASE, {"keys": erased})

    async def _make_keys(self, keys: list[str]) -> dict[str, AESGCM]:
        """A key for each, committed: the one it has, where the same registration was judged before."""
        wrapped = [_encrypt(self._wrapping[self._newest], key, secrets.token_bytes(32)) for key in keys]
        async with self._keys.begin() as connection:
            await connection.execute(_MAKE_KEYS, {"keys": keys, "kek": self._newest, "wrapped": wrapped})
            rows = (await connection.execute(_KEYS, {"keys": keys})).all()
        return {row.key: self._unwrapped(row) for row in rows}

    def _unwrapped(self, row: Any) -> AESGCM:
        if row.wrapped is None:
            raise PersoonGewist
        return AESGCM(_decrypt(self._wrapping[row.kek], row.key, row.wrapped))

    async def read(self, connection: AsyncConnection, key: str) -> dict[str, str]:
        """What is kept under `key`, by field.

        Raises:
            PersoonGewist: it was erased, or was once and came back out of a backup.
            PersoonOnbekend: nothing was ever kept under it.
        """
        kept = await connection.execute(text("SELECT versleuteld FROM persoon WHERE key = :key"), {"key": key})
        if (row := kept.one_or_none()) is None:
            raise PersoonOnbekend
        if row.versleuteld is None:
            raise PersoonGewist
        async with self._keys.connect() as to_keys:
            found = (await to_keys.execute(_KEYS, {"keys": [key]})).one_or_none()
        if found is None:
            raise PersoonGewist
        fields: dict[str, str] = json.loads(_decrypt(self._unwrapped(found), key, row.versleuteld))
        return fields

    async def destroy(self, effect: Effect) -> None:
        """Carries out a `vernietiging`. Doing it again changes nothing."""
        await self._destroy([effect.payload["key"]])

    async def destroy_erased(self) -> None:
        """Destroys the keys of all who were erased: some are there again after a backup of them was put back."""
        async with self._engine.connect() as connection:
            erased = (await connection.scalars(text("SELECT key FROM persoon WHERE gewist IS NOT NULL"))).all()
        if erased:
            await self._destroy(list(erased))

    async def _destroy(self, keys: list[str]) -> None:
        async with self._keys.begin() as connection:
            await connection.execute(_DESTROY_KEYS, {"keys": keys})


def _encrypt(cipher: AESGCM, key: str, content: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + cipher.encrypt(nonce, content, key.encode())


def _decrypt(cipher: AESGCM, key: str, sealed: bytes) -> bytes:
    return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], key.encode())
