"""Person data: ciphertext under a key of its own, in intake alone."""

from collections.abc import Sequence

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from services.chassis.messages import Keep

_TEXTS = ARRAY(Text)
_STORE = text("INSERT INTO persoon (key, jwe) SELECT * FROM unnest(:keys, :jwes)").bindparams(
    bindparam("keys", type_=_TEXTS), bindparam("jwes", type_=_TEXTS)
)
_DESTROY = text("DELETE FROM persoon WHERE key = ANY(:keys)").bindparams(bindparam("keys", type_=_TEXTS))


async def keep(connection: AsyncConnection, keeps: Sequence[Keep]) -> None:
    """Stores each value under its key, and destroys what is kept under a key without value."""
    stored = {item.key: item.value for item in keeps if item.value is not None}
    if stored:
        await connection.execute(_STORE, {"keys": list(stored), "jwes": list(stored.values())})
    destroyed = [item.key for item in keeps if item.value is None]
    if destroyed:
        await connection.execute(_DESTROY, {"keys": destroyed})
