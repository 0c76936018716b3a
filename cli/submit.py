"""`praktijkbus submit`: a person's own events, one a line, and the bus' receipt for each."""

import asyncio
import contextlib
import json
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, ChannelClosed, DeliveryError
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from cli import place
from cli.place import Partners, State, Trouble
from contracts.catalogue import CATALOGUE
from contracts.envelope import CONTENT_TYPE, TYPE_PREFIX, MessageId, Unreadable, attributes
from contracts.fields import PartnerId
from contracts.ontvangst import UITLEG, Code, Waarop
from contracts.persoon import Persoon, seal
from deploy.local.client import PartnerClient
from services.chassis.calendar import AMSTERDAM
from services.chassis.telemetry import new_uuid

URL_VARIABLE: Final = "PRAKTIJKBUS_PARTNER_URL"
REFUSED: Final = 1
"""Exit code: at least one line was refused, or could not be sent."""
OPEN: Final = 3
"""Exit code: nothing was refused, but not every line has its final receipt yet."""

WACHTWOORDEN: Final[Mapping[Waarop, str]] = {
    Waarop.TRAJECT_BEKEND: "tot dit traject bekend is",
    Waarop.TRAJECT_IN_STATUS: "tot het traject zo ver is",
    Waarop.MATCH_BEKEND: "tot deze match bekend is",
    Waarop.MATCH_IN_STATUS: "tot de match zo ver is",
    Waarop.ERKENNING_BEKEND: "tot deze erkenning bekend is",
    Waarop.VERKLARING_BEKEND: "tot deze verklaring bekend is",
    Waarop.OPDRACHT_BEKEND: "tot deze opdracht bekend is",
    Waarop.FACTUUR_BEKEND: "tot deze factuur bekend is",
    Waarop.BETALING_BEKEND: "tot deze betaling bekend is",
    Waarop.BUDGET_BEKEND: "tot het budget van deze bron bekend is",
    Waarop.HERSTEL: "tot een storing op de bus voorbij is",
}

_NO_TYPE: Final = "onbekend.onbekend"
_MAX_BYTES: Final = 1024 * 1024
"""The broker closes the channel on more; the bus refuses with a receipt from 64 KiB on."""
_SHORT: Final = re.compile(r"[a-z]+\.[a-z-]+")
_FULL: Final = re.compile(re.escape(TYPE_PREFIX) + r"([a-z]+\.[a-z-]+)\.v[0-9]+")
_NUMBER_OF: Final = re.compile(r"\$\{([0-9]{1,9})\}")
_REFERENCE: Final = re.compile(rb'"\$\{([0-9]{1,9})\}"')
_READABLE_PERSON: Final = re.compile(rb'"persoon"\s*:\s*[{\[]')
_ID: Final = TypeAdapter[str](MessageId)


class NotSent(Exception):
    """Why a line does not leave this machine, in Dutch."""


class Outcome(Enum):
    """Where a line stands; the value is its sign and word."""

    SENT = "… geen antwoord"
    WAITS = "… wacht"
    ACCEPTED = "✓ aanvaard"
    REFUSED = "✗ afgewezen"
    NOT_SENT = "✗ niet verstuurd"
    NOT_YET_SENT = "… nog niet verstuurd"


_OPEN: Final = (Outcome.SENT, Outcome.WAITS, Outcome.NOT_YET_SENT)
_BAD: Final = (Outcome.REFUSED, Outcome.NOT_SENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who sends, and how a person is made unreadable to all but intake."""

    partner: PartnerId
    source: str
    public_key: ECKey | None
    """Intake's; needed only where a line has a readable person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One line as it goes to the bus."""

    id: str
    routing_key: str
    body: bytes
    encrypted: bool = False


@dataclass(slots=True)
class Row:
    """A line of the file and what came of it."""

    number: int
    raw: bytes
    what: str = ""
    outcome: Outcome = Outcome.SENT
    subject: str | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    final: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def refers_to(self) -> set[int]:
        """The lines whose number it asks for with `${n}`."""
        return {int(number) for number in _REFERENCE.findall(self.raw)}


def read(content: bytes) -> list[Row]:
    """A row for each line that is not blank, under its number in the file."""
    lines = enumerate(content.split(b"\n"), start=1)
    return [Row(number, line.strip()) for number, line in lines if line.strip()]


def complete(raw: bytes, sender: Sender, numbers: Mapping[int, str]) -> Message:
    """The message of one line: with what was left out filled in, and its person encrypted.

    What is no JSON goes as it is, so that the bus says so; unless it would show a person.

    Raises:
        NotSent: with the reason.
    """
    if len(raw) > _MAX_BYTES:
        raise NotSent(UITLEG[Code.TE_GROOT])
    try:
        content = attributes(raw, CONTENT_TYPE, {})
    except Unreadable:
        if _READABLE_PERSON.search(raw):
            raise NotSent("Dit is geen leesbare JSON en er staat een persoon in. Herstel de regel.") from None
        return Message(id=new_uuid(), routing_key=_NO_TYPE, body=raw)
    defaults = {"specversion": "1.0", "id": new_uuid(), "source": sender.source, "time": _now()}
    content = _with_numbers({**defaults, **content}, numbers)
    if isinstance(content.get("type"), str) and _SHORT.fullmatch(content["type"]):
        content["type"] = f"{TYPE_PREFIX}{content['type']}.v1"
    encrypted = _encrypt(content, sender)
    named = _FULL.fullmatch(str(content.get("type")))
    return Message(
        id=_valid_id(content["id"]) or new_uuid(),
        routing_key=named[1] if named else _NO_TYPE,
        body=json.dumps(content).encode(),
        encrypted=encrypted,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _valid_id(value: object) -> str | None:
    try:
        return _ID.validate_python(value, strict=True)
    except ValidationError:
        return None


def _with_numbers(value: Any, numbers: Mapping[int, str]) -> Any:
    if isinstance(value, dict):
        return {key: _with_numbers(inner, numbers) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_numbers(inner, numbers) for inner in value]
    if isinstance(value, str) and (found := _NUMBER_OF.fullmatch(value)):
        return numbers.get(int(found[1]), value)
    return value


def _encrypt(content: dict[str, Any], sender: Sender) -> bool:
    """Replaces a readable `data.persoon` by its JWE; whether there was one."""
    data = content.get("data")
    encrypted = isinstance(data, dict) and isinstance(data.get("persoon"), dict)
    if isinstance(data, dict) and encrypted:
        try:
            persoon = Persoon.model_validate(data["persoon"])
        except ValidationError as problem:
            named = [str(item["loc"][0]) for item in problem.errors() if item["loc"]]
            fields = [name for name in named if name in Persoon.model_fields] or ["een onbekend veld"]
            raise NotSent(
                f"De persoon klopt niet ({', '.join(fields)}). Kijk in contracts/schemas/persoon.json."
            ) from None
        if sender.public_key is None:
            raise NotSent("De publieke sleutel van intake ontbreekt, en deze persoon is nog leesbaar.")
        data["persoon"] = seal(persoon, sender.public_key)
    if _READABLE_PERSON.search(json.dumps(content).encode()):
        raise NotSent("Er staat een leesbare persoon op een plaats waar die niet hoort. Zet hem in data.persoon.")
    return encrypted


class Desk:
    """Sends the rows in order and writes down the receipts as they come.

    What else is in the partner's queue is left unacknowledged: it goes back when the connection closes.
    """

    def __init__(self, client: PartnerClient, sender: Sender, rows: list[Row], timeout: float) -> None:
        self._client = client
        self._sender = sender
        self._rows = {row.number: row for row in rows}
        self._timeout = timeout
        self._by_id: dict[str, list[Row]] = defaultdict(list)
        self._given_up: set[asyncio.Event] = set()
        self.encrypted = 0
        self.others = 0
        self.on_receipt: Callable[[Row, dict[str, Any]], None] = lambda row, receipt: None
        self.on_not_sent: Callable[[Row, str], None] = lambda row, reason: None

    async def run(self) -> None:
        """Until every row has its final receipt, at most `timeout` seconds after the last was sent."""
        async with self._client:
            reading = asyncio.create_task(self._read())
            try:
                await _first(reading, self._send())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._timeout):
                        await _first(reading, self._all_final())
            finally:
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError, AMQPError):
                    await reading

    async def _all_final(self) -> None:
        for row in self._rows.values():
            await row.final.wait()

    async def _send(self) -> None:
        for row in self._rows.values():
            try:
                numbers = await self._numbers_for(row)
                message = complete(row.raw, self._sender, numbers)
                row.what = message.routing_key if message.routing_key != _NO_TYPE else "bericht"
                await self._after_the_same_id(message.id)
                self._by_id[message.id].append(row)
                await self._publish(message)
            except NotSent as reason:
                row.outcome = row.outcome if row.outcome is Outcome.NOT_YET_SENT else Outcome.NOT_SENT
                row.final.set()
                row.answered.set()
                self.on_not_sent(row, str(reason))

    async def _numbers_for(self, row: Row) -> dict[int, str]:
        """The subjects of the lines it refers to, once they are accepted."""
        numbers: dict[int, str] = {}
        for number in sorted(row.refers_to):
            other = self._rows.get(number)
            if other is None or number >= row.number:
                raise NotSent(f"${{{number}}} is geen eerdere regel van dit bestand.")
            await self._patiently(other.final)
            if other.outcome in _OPEN:
                row.outcome = Outcome.NOT_YET_SENT
                raise NotSent(f"Regel {number} heeft nog geen eindantwoord, en deze regel heeft het nummer nodig.")
            if other.subject is None:
                raise NotSent(f"Regel {number} heeft geen nummer gekregen, en deze regel heeft het nodig.")
            numbers[number] = other.subject
        return numbers

    async def _after_the_same_id(self, message_id: str) -> None:
        """The second of one id is sent when the first is answered: then it is clear whose receipt is whose."""
        for earlier in self._by_id.get(message_id, ()):
            await self._patiently(earlier.answered)

    async def _patiently(self, event: asyncio.Event) -> None:
        """Waits for it `timeout` seconds at most, and after that in vain once not again."""
        if event in self._given_up:
            return
        try:
            async with asyncio.timeout(self._timeout):
                await event.wait()
        except TimeoutError:
            self._given_up.add(event)

    async def _publish(self, message: Message) -> None:
        async with asyncio.timeout(self._timeout + 30):
            while True:
                try:
                    await self._client.publish(message.body, message.routing_key, message_id=message.id)
                    break
                except DeliveryError:  # the queue is full: the bus slows its senders down
                    await asyncio.sleep(0.5)
        self.encrypted += message.encrypted

    async def _read(self) -> None:
        async for incoming in self._client.messages():
            if not await self._take(incoming):
                self.others += 1

    async def _take(self, incoming: AbstractIncomingMessage) -> bool:
        """Whether it was a receipt for one of our rows. Only such a one is acknowledged."""
        try:
            receipt = json.loads(incoming.body)
            event_type = CATALOGUE[receipt["type"]]
            row = self._row_for(receipt) if event_type.owner is None else None
        except (ValueError, KeyError, TypeError):
            row = None
        if row is None:
            return False
        row.outcome = {
            "aanvaard": Outcome.ACCEPTED,
            "afgewezen": Outcome.REFUSED,
            "wacht": Outcome.WAITS,
        }[event_type.event]
        row.subject = receipt["data"].get("subject")
        self.on_receipt(row, receipt)
        row.answered.set()
        if row.outcome is not Outcome.WAITS:
            row.final.set()
        await incoming.ack()
        return True

    def _row_for(self, receipt: dict[str, Any]) -> Row | None:
        """Of several rows with one id the earliest; but that the id was used says the bus of the latest."""
        rows = [row for row in self._by_id.get(receipt["subject"], ()) if not row.final.is_set()]
        if not rows:
            return None
        return rows[-1] if receipt["data"].get("code") == Code.ID_HERGEBRUIKT else rows[0]


async def _first(reading: asyncio.Task[None], work: Coroutine[Any, Any, None]) -> None:
    """Does `work`, unless reading the queue fails before."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait([reading, task], return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            reading.result()
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class _Paper:
    """What a person sees: a line for each receipt, and a count at the end."""

    def __init__(self, out: Console, width: int) -> None:
        self._out = out
        self._width = width

    def receipt(self, row: Row, receipt: dict[str, Any]) -> None:
        data = receipt["data"]
        match row.outcome:
            case Outcome.ACCEPTED:
                text = f"{row.what} → {data['subject']} (feit {data['sequence']})"
            case Outcome.REFUSED:
                veld = f", veld {data['veld']}" if data.get("veld") else ""
                text = f"{row.what} ({data['code']}{veld}): {data['uitleg']}"
            case _:
                tot = datetime.fromisoformat(data["tot"]).astimezone(AMSTERDAM)
                waarop = WACHTWOORDEN[Waarop(data["waarop"])]
                text = f"{row.what} {waarop}, uiterlijk {tot:%d-%m-%Y %H:%M} ({data['waarop']})"
        self._line(row, text)

    def not_sent(self, row: Row, reason: str) -> None:
        self._line(row, reason)

    def _line(self, row: Row, text: str) -> None:
        colour = "green" if row.outcome is Outcome.ACCEPTED else "red" if row.outcome in _BAD else "yellow"
        place = f"regel {row.number:>{self._width}}"
        self._out.print(f"{place}  [{colour}]{row.outcome.value:<12}[/{colour}] ", end="", soft_wrap=True)
        self._out.print(text, markup=False, highlight=False, soft_wrap=True)


def _summary(rows: Iterable[Row], desk: Desk, out: Console, partner: PartnerId, *, stopped: bool) -> None:
    rows = list(rows)
    found = Counter(row.outcome for row in rows)
    words = [f"{found[outcome]} {outcome.value[2:]}" for outcome in Outcome if found[outcome]]
    lines = f"{len(rows)} regels" if len(rows) != 1 else "1 regel"
    out.print(f"{lines}: {', '.join(words)}.", markup=False, highlight=False, soft_wrap=True)
    if desk.encrypted:
        text = f"Versleuteld voor verzending: {desk.encrypted} keer een persoon. Alleen intake kan die lezen."
        out.print(text, markup=False, highlight=False, soft_wrap=True)
    still = [str(row.number) for row in rows if row.outcome in (Outcome.SENT, Outcome.WAITS)]
    if still:
        why = "Gestopt met wachten" if stopped else "De tijd is om"
        text = f"{why}. Nog zonder eindantwoord: regel {', '.join(still)}. Dat komt in de wachtrij aan.{partner}."
        out.print(text, markup=False, highlight=False, soft_wrap=True)
    if desk.others:
        text = f"Andere berichten in aan.{partner}: {desk.others}. Die blijven daar staan."
        out.print(text, markup=False, highlight=False, soft_wrap=True)


def _exit_code(rows: Iterable[Row]) -> int:
    outcomes = {row.outcome for row in rows}
    if not outcomes.isdisjoint(_BAD):
        return REFUSED
    return 0 if outcomes.isdisjoint(_OPEN) else OPEN


def submit(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="One CloudEvent a line (NDJSON); - is stdin.")],
    partner: Annotated[str, typer.Option(help="Who sends: an id of the partner registry.")],
    timeout: Annotated[float, typer.Option(help="Seconds to wait for final receipts after the last line.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print the receipts themselves, one a line.")] = False,
    state: State = place.STATE,
    partners: Partners = place.PARTNERS,
    public_key: Annotated[
        Path | None,
        typer.Option(
            help="Intake's public key (JWK), for persons.",
            envvar="PRAKTIJKBUS_PUBLIC_KEY",
            show_default="that of the local bus",
        ),
    ] = None,
) -> None:
    """Submits your own events to the bus and prints the receipt of each.

    Goes to the bus that runs on this machine, or to the AMQP URL in PRAKTIJKBUS_PARTNER_URL.

    A line may be short: specversion, id, time and source are filled in where they are missing, and a type
    such as match.bevestigd becomes its full name. A readable persoon in data is encrypted for intake before
    it is sent. "${1}" as a whole value stands for the number that line 1 got. A line that is no JSON is sent
    as it is, and gets its receipt too. To send a line again as the same message, give it its own id and time.

    Only receipts for these lines are taken from the partner's queue. Everything else goes back to it, so do
    not run this while the partner's own system is reading there: it would share the receipts.

    Exit code: 0 all accepted, 1 something refused, 2 the bus cannot be used, 3 not every line has its final
    receipt yet.
    """
    out, notes = Console(emoji=False), Console(stderr=as_json, emoji=False)
    known = place.partner_of(place.registry(partners), partner)
    rows = read(_content(file))
    if not rows:
        raise Trouble(f"{'stdin' if file == '-' else file} has no lines.")
    url, key_file = _addresses(state, partner)
    personal = any(_READABLE_PERSON.search(row.raw) for row in rows)
    sender = Sender(
        partner=partner,
        source=sorted(known.sources)[0],
        public_key=_key(public_key or key_file) if personal else None,
    )
    desk = Desk(PartnerClient(url, partner, prefetch=0), sender, rows, timeout)
    paper = _Paper(out if not as_json else notes, len(str(rows[-1].number)))
    desk.on_receipt, desk.on_not_sent = paper.receipt, paper.not_sent
    if as_json:
        desk.on_receipt = lambda row, receipt: typer.echo(json.dumps({"regel": row.number, **receipt}))
    stopped = False
    try:
        asyncio.run(desk.run())
    except KeyboardInterrupt:
        stopped = True
    except (AMQPError, OSError, TimeoutError) as problem:
        raise Trouble(_unreachable(problem, partner)) from None
    _summary(rows, desk, notes, partner, stopped=stopped)
    raise typer.Exit(_exit_code(rows))


def _content(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as problem:
        raise Trouble(f"{file} cannot be read: {problem.strerror}.") from None


def _addresses(state: Path, partner: PartnerId) -> tuple[str, Path | None]:
    """Where the partner's account is, and intake's public key where that is known."""
    from deploy.local.bus import Address

    try:
        local: Address | None = Address.load(state)
    except FileNotFoundError:
        local = None
    given = os.environ.get(URL_VARIABLE)
    if given:
        if not given.startswith(("amqp://", "amqps://")):
            raise Trouble(f"{URL_VARIABLE} must look like amqp://{partner}:password@host:5672/vhost.")
        return given, Path(local.public_key) if local else None
    if local is None:
        raise Trouble(f"No bus was started here ({state}). Start it with `make run`, or set {URL_VARIABLE}.")
    if partner not in local.amqp:
        raise Trouble(
            f"Partner {partner} has no account on this bus yet. Stop it and start it again with `make run`."
        )
    return local.amqp[partner], Path(local.public_key)


def _key(file: Path | None) -> ECKey:
    if file is None:
        raise Trouble("A readable persoon needs intake's public key: --public-key FILE.")
    try:
        return ECKey.import_key(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, JoseError):
        raise Trouble(f"{file} is no public key (JWK).") from None


def _unreachable(problem: BaseException, partner: PartnerId) -> str:
    if isinstance(problem, ChannelClosed):
        return f"The account may not act as {partner}. Does the address belong to that partner?"
    return (
        f"The bus cannot be reached as {partner} ({type(problem).__name__}). "
        "Is it up, and is the password right? Start it with `make run`."
    )
