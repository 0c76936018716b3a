"""Canaries: looks for readable persons everywhere a run leaves something behind.

Tables, queues and the files of the broker, logs, mails, and whatever else it is handed (spans, `build/`). What it
finds it names by place and field, never by value.
"""

import asyncio
import base64
import email.policy
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx
from sqlalchemy import text

from contracts.persoon import Persoon
from deploy.local.bus import VHOST, LocalBus
from services.chassis.database import connect

_MONTHS: Final = (
    *("januari", "februari", "maart", "april", "mei", "juni"),
    *("juli", "augustus", "september", "oktober", "november", "december"),
)
_ENCODED_FROM: Final = 8
"""Bytes: what is shorter turns up by chance when it is looked for in base64 or hexadecimal digits."""
_ALL: Final = 1_000_000
"""More messages than a queue holds."""
_TABLES: Final = """
    SELECT n.nspname || '.' || quote_ident(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^(pg_|information_schema)' ORDER BY 1
"""


@dataclass(frozen=True, order=True)
class Leak:
    """A readable person where none may be."""

    place: str
    """`table matching.public.pending`, `queue aan.sbb`, `broker`, `file logs/intake.log`, `mail 0001.eml` …"""
    field: str
    """Whose, and what: `pilot-003 naam`."""


class Canaries:
    """Everything that tells who these persons are, in every form in which it may be written."""

    def __init__(self, persons: Mapping[str, Persoon]) -> None:
        """`persons` by the name under which what is found of them is reported."""
        self._needles = {
            needle: f"{name} {field}"
            for name, persoon in persons.items()
            for field, value in _values(persoon)
            for needle in _forms(value)
        }

    def seen_in(self, content: bytes) -> set[str]:
        """What of whom can be read in it."""
        lower = content.lower()
        return {found for needle, found in self._needles.items() if needle in content or needle in lower}


def _values(persoon: Persoon) -> Iterator[tuple[str, str]]:
    day = persoon.geboortedatum
    yield "naam", persoon.naam
    for written in (f"{day}", f"{day:%d-%m-%Y}", f"{day:%d/%m/%Y}", f"{day:%Y%m%d}"):
        yield "geboortedatum", written
    yield "geboortedatum", f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
    yield "postcode", persoon.postcode
    yield "postcode", f"{persoon.postcode[:4]} {persoon.postcode[4:]}"
    if persoon.e_mail is not None:
        yield "e_mail", persoon.e_mail
    if persoon.telefoon is not None:
        yield "telefoon", persoon.telefoon
        yield "telefoon", "".join(sign for sign in persoon.telefoon if sign.isdigit())


def _forms(value: str) -> set[bytes]:
    plain = value.encode()
    found = {
        plain,
        plain.lower(),
        json.dumps(value)[1:-1].encode(),
        quote(value).encode(),
        value.encode("utf-16-le"),
    }
    if len(plain) >= _ENCODED_FROM:
        found.add(plain.hex().encode())
        found |= {_inside_base64(plain, offset) for offset in range(3)}
    return found


def _inside_base64(plain: bytes, offset: int) -> bytes:
    """The characters that `plain` has in any base64 in which it begins `offset` bytes after a group of three."""
    whole = base64.b64encode(bytes(offset) + plain)
    first = (offset * 8 + 5) // 6
    last = (offset + len(plain)) * 8 // 6
    return whole[first:last]


async def leaks(
    bus: LocalBus,
    canaries: Canaries,
    *,
    besides: Mapping[str, bytes] | None = None,
    folders: Sequence[Path] = (),
) -> list[Leak]:
    """Every readable person on a bus at rest, and in the named contents and folders besides."""
    found = {
        Leak(place, field)
        for place, content in [
            *await _tables(bus),
            *await asyncio.to_thread(_queues, bus),
            *await asyncio.to_thread(lambda: list(_files(bus.state, folders))),
            *_mails(Path(bus.address.mail_folder)),
            *(besides or {}).items(),
        ]
        for field in canaries.seen_in(content)
    }
    return sorted(found)


async def _tables(bus: LocalBus) -> list[tuple[str, bytes]]:
    """Every row of every table in every database; bytes as they are, all else as text."""
    rows = []
    for name, url in bus.address.databases.items():
        engine = connect(url)
        async with engine.connect() as connection:
            for table in (await connection.scalars(text(_TABLES))).all():
                for row in await connection.execute(text(f"SELECT * FROM {table}")):
                    columns = (value if isinstance(value, bytes) else str(value).encode() for value in row)
                    rows.append((f"table {name}.{table}", b"\n".join(columns)))
        await engine.dispose()
    return rows


def _queues(bus: LocalBus) -> list[tuple[str, bytes]]:
    """What is in the queues, which stays there. A queue with a single active consumer lets nobody look; what is
    in it is in the broker's files.
    """
    broker = bus.broker.address
    found = []
    with httpx.Client(base_url=broker.management_url, auth=(broker.admin, broker.password), timeout=60) as http:
        for queue in bus.queue_depths():  # a depth is seconds old: what was just put there would be missed
            look = {"count": _ALL, "ackmode": "ack_requeue_true", "encoding": "base64"}
            answer = http.post(f"/api/queues/{VHOST}/{queue}/get", json=look)
            if answer.is_success:
                found += [(f"queue {queue}", _message(message)) for message in answer.json()]
    return found


def _message(message: dict[str, object]) -> bytes:
    body = base64.b64decode(str(message.pop("payload")))
    return body + b"\n" + json.dumps(message).encode()


def _files(state: Path, folders: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Logs, what the broker writes, and all else in the state folder that is not looked at in a way of its own."""
    for path in sorted(state.rglob("*")):
        inside = path.relative_to(state)
        own_way = inside.parts[0] == "mail" or (inside.parts[0] == "postgres" and ".log" not in path.name)
        if path.is_file() and not own_way:
            yield "broker" if inside.parts[0] == "rabbitmq" else f"file {inside.as_posix()}", path.read_bytes()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield f"file {folder.name}/{path.relative_to(folder).as_posix()}", path.read_bytes()


def _mails(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Whole mails, and their parts decoded: without the address of the one recipient, which is its own."""
    for path in sorted(folder.glob("*")):
        raw = path.read_bytes()
        mail = message_from_bytes(raw.replace(b"\r\n", b"\n"), policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        to, delivered = mail.get_all("To", []), mail.get_all("Delivered-To", [])
        if len(to) == 1 and to == delivered:
            del mail["To"], mail["Delivered-To"]
        headers = "\n".join(f"{name}: {value}" for name, value in mail.items())
        parts = [part.get_payload(decode=True) for part in mail.walk() if not part.is_multipart()]
        yield f"mail {path.name}", b"\n".join([headers.encode(), *(p for p in parts if isinstance(p, bytes))])
