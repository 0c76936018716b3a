"""The partners' systems: each on its own account, with records that are written before anything is acknowledged.

What they do is a function of what they received, so after a crash they pick up where they were: what was decided
is recorded under the reason for it, and what is recorded is not decided again. All share one database, so that
what many do at once costs one transaction; no behaviour sees what another partner received.
"""

import asyncio
import contextlib
import heapq
import json
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from itertools import count
from typing import Any, Final
from uuid import UUID, uuid5

from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import AMQPError
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.catalogue import CATALOGUE
from contracts.fields import Rol
from contracts.partners import Partner
from deploy.local.client import PartnerClient, submission
from deploy.local.partners import mistakes, records
from deploy.local.partners.behaviours import Behaviour, Claim, Event, Plan, World, behaviours
from deploy.local.partners.records import Received, ToSend
from deploy.local.partners.script import Kandidaat
from services.chassis.calendar import AMSTERDAM
from services.chassis.database import is_passing

_IDS: Final = UUID("2f3f0c2e-98b5-4a52-a8f0-9d7f51d1c0aa")
_TOGETHER: Final = 400
_PAUSE: Final = 0.3
"""Seconds before a partner that lost its connection tries again."""
_FINAL: Final = ("ontvangst.aanvaard", "ontvangst.afgewezen")
_WORK_BEGINS: Final = time(8)


@dataclass(frozen=True)
class Reading:
    """How a partner's system reads its queue."""

    prefetch: int = 200
    seconds_each: float = 0.0
    hangs_up_after: int = 0
    """Messages after which it drops its connection with what it has not acknowledged; 0 for never."""


_READING: Final = {
    "werkbedrijf": Reading(prefetch=2, seconds_each=0.003),
    "rmc-noord-limburg": Reading(prefetch=1, seconds_each=0.005),
    "greenport-logistiek": Reading(hangs_up_after=90),
}
"""Those who read slowly, or drop the line."""


class _HangsUp(ConnectionError):
    """This system drops its connection."""


@dataclass
class _Line:
    """One partner's connection, and what still has to go out over it."""

    partner: Partner
    url: str
    reading: Reading
    to_publish: deque[Any] = field(default_factory=deque)
    something: asyncio.Event = field(default_factory=asyncio.Event)
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    asleep: asyncio.Event = field(default_factory=asyncio.Event)
    hangs_up: asyncio.Event = field(default_factory=asyncio.Event)
    listening: bool = False
    read: int = 0

    def sleep(self, sleeps: bool) -> None:
        (self.asleep if sleeps else self.awake).set()
        (self.awake if sleeps else self.asleep).clear()


@dataclass(frozen=True)
class _Delivery:
    """One message, and the channel it came over: an acknowledgement means something only there."""

    partner: str
    message: AbstractIncomingMessage
    channel: object


@dataclass(order=True)
class _Due:
    """A plan in the diary."""

    day: date
    place: int
    behaviour: Behaviour = field(compare=False)
    reason: str = field(compare=False)
    plan: Plan = field(compare=False)


_REACHED: Final = {
    "traject.aangemeld": "aangemeld",
    "match.bevestigd": "gematcht",
    "match.erkend": "erkend",
    "traject.gestart": "gestart",
    "verklaring.afgegeven": "verklaring",
    "betaling.bevestigd": "betaald",
    "traject.gesloten": "gesloten",
    "traject.teruggetrokken": "teruggetrokken",
    "traject.uitgevallen": "uitgevallen",
    "traject.heropend": "heropend",
    "traject.onderbroken": "onderbroken",
    "match.herplaatsing-gestart": "herplaatst",
}


_NEWS: Final = {
    "traject.onderbroken": "is onderbroken",
    "traject.hervat": "gaat weer verder",
    "traject.uitgevallen": "is uitgevallen",
    "traject.teruggetrokken": "gaat niet door",
    "traject.heropend": "is weer open",
    "traject.mogelijk-dubbel": "lijkt op een eerdere aanmelding",
    "match.afgewezen": "krijgt nee van een werkgever",
    "match.vervallen": "verliest een werkplek",
    "match.herplaatsing-gestart": "krijgt een nieuwe werkplek",
    "erkenning.geweigerd": "wordt door SBB niet erkend",
    "erkenning.ingetrokken": "verliest de erkenning van SBB",
    "verklaring.ingetrokken": "wordt verbeterd",
    "factuur.afgekeurd": "is afgekeurd",
    "factuur.gecrediteerd": "crediteert een factuur",
    "betaling.mislukt": "is mislukt",
    "budget.vastgesteld": "heeft een budget",
}
"""What is worth telling, of a number."""


class Tally:
    """What partners have seen so far, for whoever looks on."""

    def __init__(self) -> None:
        self.received = 0
        self.outcomes: Counter[str] = Counter()
        """Of receipts: aanvaard, wacht, or the code of the refusal."""
        self.overdue: Counter[str] = Counter()
        """Steps that were late, by partner."""
        self.reached: dict[str, set[str]] = defaultdict(set)
        """Trajecten by what happened in them, as the Leerwerkloket read it."""
        self.budgets: dict[str, Mapping[str, int]] = {}
        """How each source stands."""
        self.news: deque[tuple[date, str]] = deque(maxlen=40)
        """What was out of the ordinary, the latest last."""
        self.silent: set[str] = set()
        """Partners whose system is off."""

    def see(self, event: Event) -> None:
        """Counts a fact that the Leerwerkloket read."""
        name, subject, data = event.name, event.subject, event.data
        if name in _NEWS:
            self.news.append((event.day, f"{subject} {_NEWS[name]}"))
        if name == "traject.intake-afgerond":
            step = data["uitkomst"].replace("-", " ")
        elif name == "budget.vastgesteld":
            nothing = {"gereserveerd_cent": 0, "besteed_cent": 0}
            before = self.budgets.get(subject, nothing)
            self.budgets[subject] = {**before, "vastgesteld_cent": data["bedrag_cent"]}
            return
        elif "stand" in data:
            self.budgets[subject] = data["stand"]
            return
        elif name in _REACHED:
            step = _REACHED[name]
        else:
            return
        self.reached[step].add(data.get("trajectnummer", subject))


class Office:
    """Runs all partners' systems until cancelled."""

    def __init__(self, world: World, urls: Mapping[str, str], engine: AsyncEngine) -> None:
        """`urls`: for each partner its account."""
        self._world = world
        self._urls = urls
        self._engine = engine
        self._reset()

    def _reset(self) -> None:
        rustig = self._world.script.rustig
        self._lines = {
            partner.id: _Line(
                partner, self._urls[partner.id], Reading() if rustig else _READING.get(partner.id, Reading())
            )
            for partner in self._world.registry.partners
        }
        self._behaviours = {behaviour.partner.id: behaviour for behaviour in behaviours(self._world)}
        self._incoming: asyncio.Queue[_Delivery] = asyncio.Queue()
        self._diary: list[_Due] = []
        self._places = count()
        self._decided: set[tuple[str, str]] = set()
        self._sent: dict[tuple[str, str], Any] = {}
        self._unanswered: set[tuple[str, str]] = set()
        self._open: set[tuple[str, str]] = set()
        self._nummers: dict[str, Kandidaat] = {}
        self._unknown: dict[str, list[tuple[Behaviour, Event]]] = defaultdict(list)
        self._confirmed: list[int] = []
        """What the broker has. Written down with what is sent next: what is not, goes out again after a crash."""
        self._time_passed = asyncio.Event()
        self._busy = 1
        self.picked_up = asyncio.Event()
        self.tally = Tally()

    # What others may ask

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do, and every submission of a partner that listens was answered."""
        lines = (line for line in self._lines.values() if line.awake.is_set())
        return (
            self._busy == 0
            and self._incoming.empty()
            and not self._time_passed.is_set()
            and all(line.listening and not line.to_publish for line in lines)
            and not any(self._lines[partner].awake.is_set() for partner, _ in self._unanswered)
        )

    @property
    def next_day(self) -> date | None:
        """On which day somebody plans something; None where nobody does any more."""
        return self._diary[0].day if self._diary else None

    @property
    def without_outcome(self) -> int:
        """Submissions that have no final receipt yet."""
        return len(self._open)

    def under_way(self) -> list[str]:
        return [
            f"{self._incoming.qsize()} messages to read",
            *(f"{line.partner.id} is not listening" for line in self._lines.values() if not line.listening),
            *(f"no answer to {message_id} of {partner}" for partner, message_id in sorted(self._unanswered)),
        ]

    def time_passed(self) -> None:
        """The clock was set: more may be due, and who was silent may listen again."""
        self._time_passed.set()

    # Running

    async def run(self) -> None:
        """Works until cancelled; begins again when its database was away."""
        while True:
            try:
                await self._work()
            except Exception as error:
                if not _passes(error):
                    raise
                await asyncio.sleep(_PAUSE)

    async def _work(self) -> None:
        self._reset()
        await self._pick_up()
        self._time_passed.set()
        async with asyncio.TaskGroup() as tasks:
            for line in self._lines.values():
                tasks.create_task(self._keep(line))
            tasks.create_task(self._read())
            tasks.create_task(self._act())
            self._busy -= 1
            self.picked_up.set()

    async def _pick_up(self) -> None:
        """Rebuilds what everybody knows and plans from the records."""
        async with self._engine.connect() as connection:
            rows, history = await records.sent(connection), await records.history(connection)
        for row in rows:
            self._note(row)
        for behaviour in self._behaviours.values():
            self._plan(behaviour, "begin", self._world.calendar.today(), behaviour.begin())
        for row in history:
            self._take(row.partner, json.loads(row.body), row.at)

    def _note(self, row: Any) -> None:
        """Something was decided: it is not decided again, and what the broker does not have goes out."""
        self._decided.add((row.partner, row.reason))
        if row.body is None:
            return
        key = row.partner, row.id
        self._sent.setdefault(key, row)
        self._unanswered.add(key)
        self._open.add(key)
        if not row.confirmed:
            line = self._lines[row.partner]
            line.to_publish.append(row)
            line.something.set()

    # Reading

    async def _read(self) -> None:
        while True:
            taken = [await self._incoming.get()]
            self._busy += 1
            while not self._incoming.empty() and len(taken) < _TOGETHER:
                taken.append(self._incoming.get_nowait())
            now = self._world.calendar.now()
            contents = [json.loads(delivery.message.body) for delivery in taken]
            messages = [
                Received(delivery.partner, content["id"], now, delivery.message.body)
                for delivery, content in zip(taken, contents, strict=True)
            ]
            async with self._engine.begin() as connection:
                new = await records.write_received(connection, messages)
            for delivery, content in zip(taken, contents, strict=True):
                key = delivery.partner, content["id"]
                if key in new:
                    new.discard(key)
                    self._take(delivery.partner, content, now)
            # all that came over a channel before its last message is recorded too
            last = {id(delivery.channel): delivery.message for delivery in taken}
            for message in last.values():
                await _acknowledge(message)
            if self._due_now():
                self._time_passed.set()
            self._busy -= 1

    def _take(self, partner: str, content: Mapping[str, Any], at: datetime) -> None:
        _, _, entity, event, _ = content["type"].split(".")
        behaviour, name, data = self._behaviours[partner], f"{entity}.{event}", content["data"]
        day = at.astimezone(AMSTERDAM).date()
        read = Event(
            content["id"], name, content["subject"], data, int(content["sequence"]), content["actor"], day
        )
        self.tally.received += 1
        if entity == "ontvangst":
            self._take_receipt(behaviour, read)
            return
        if behaviour.ROL is Rol.LEERWERKLOKET:
            self.tally.see(read)
        if entity == "termijn" and data["partner"] == partner:
            self.tally.overdue[partner] += 1
        nummer = data.get("trajectnummer") or (read.subject if entity == "traject" else None)
        if nummer is None:
            self._react(behaviour, read, None)
        elif kandidaat := self._nummers.get(nummer):
            self._react(behaviour, read, kandidaat)
        else:  # the receipt with its number is on its way to whoever registered it, or it is not of this pilot
            self._unknown[nummer].append((behaviour, read))

    def _take_receipt(self, behaviour: Behaviour, receipt: Event) -> None:
        key = behaviour.partner.id, receipt.subject
        self._unanswered.discard(key)
        self.tally.outcomes[receipt.data.get("code", receipt.name.partition(".")[2])] += 1
        if receipt.name in _FINAL:
            self._open.discard(key)
        row = self._sent.get(key)
        if row is None:
            return
        if receipt.name == "ontvangst.aanvaard" and row.routing_key == "traject.aangemeld":
            self._learn(receipt.data["subject"], json.loads(row.body)["referentie"])
        elif receipt.name == "ontvangst.afgewezen" and row.outcomes[0] == mistakes.ACCEPTED:
            self._react(behaviour, replace(receipt, answers=json.loads(row.body)), None)

    def _learn(self, nummer: str, referentie: str) -> None:
        """Whose number this is; what was read about it before is taken up."""
        kandidaten = {kandidaat.referentie: kandidaat for kandidaat in self._world.script.kandidaten}
        if kandidaat := kandidaten.get(referentie):
            self._nummers[nummer] = kandidaat
            for behaviour, event in self._unknown.pop(nummer, ()):
                self._react(behaviour, event, kandidaat)

    def _react(self, behaviour: Behaviour, event: Event, kandidaat: Kandidaat | None) -> None:
        self._plan(behaviour, event.id, event.day, behaviour.read(event, kandidaat))

    def _plan(self, behaviour: Behaviour, cause: str, day: date, plans: Iterable[Plan]) -> None:
        for plan in plans:
            reason = f"{cause}:{plan.naam}"
            if (behaviour.partner.id, reason) not in self._decided:
                due = self._world.calendar.add_working_days(day, plan.na)
                due = max(due, plan.op or due)
                heapq.heappush(self._diary, _Due(due, next(self._places), behaviour, reason, plan))

    # Acting

    def _due_now(self) -> bool:
        now = self._world.calendar.now().astimezone(AMSTERDAM)
        return bool(self._diary) and self._diary[0].day <= now.date()

    async def _act(self) -> None:
        while True:
            await self._time_passed.wait()
            self._busy += 1
            self._time_passed.clear()
            today = self._world.calendar.today()
            self._mind_silences(today)
            rows: list[ToSend] = []
            while self._diary and self._diary[0].day <= today:
                due = heapq.heappop(self._diary)
                if until := self._silent_until(due.behaviour.partner.id, today):
                    due.day = until
                    heapq.heappush(self._diary, due)
                else:
                    rows += self._made(due, today)
            if rows:
                confirmed, self._confirmed = self._confirmed, []
                async with self._engine.begin() as connection:
                    written = await records.write_to_send(connection, rows)
                    await records.mark_sent(connection, confirmed)
                for row in sorted(written, key=lambda row: row.place):
                    self._note(row)
            self._busy -= 1

    def _silent_until(self, partner: str, today: date) -> date | None:
        for stilte in self._world.script.stiltes:
            begin, end = (self._behaviours[partner].dag(day) for day in (stilte.van, stilte.tot))
            if stilte.partner == partner and begin <= today < end:
                return end
        return None

    def _mind_silences(self, today: date) -> None:
        for line in self._lines.values():
            silent = self._silent_until(line.partner.id, today) is not None
            line.sleep(silent)
            (self.tally.silent.add if silent else self.tally.silent.discard)(line.partner.id)

    def _made(self, due: _Due, today: date) -> list[ToSend]:
        partner = due.behaviour.partner
        if (partner.id, due.reason) in self._decided:
            return []
        claim = due.plan.make(today)
        message_id = str(uuid5(_IDS, f"{partner.id}:{due.reason}"))
        if claim is None:
            return [ToSend(partner.id, due.reason, message_id, "", None, ())]
        key = CATALOGUE.of(claim.fact).routing_key
        outcomes = (mistakes.ACCEPTED, *(code.value for code in claim.mag))
        body = self._body(partner, claim, message_id)
        right = ToSend(partner.id, due.reason, message_id, key, body, outcomes)
        if claim.kandidaat is None or self._world.script.rustig:
            return [right]
        before, after = self._mistakes(right, claim.kandidaat, partner, today)
        return [*before, right, *after]

    def _body(self, partner: Partner, claim: Claim, message_id: str) -> bytes:
        return submission(
            CATALOGUE.of(claim.fact),
            min(partner.sources),
            message_id,
            claim.data,
            subject=claim.subject,
            time=self._world.calendar.now(),
            namens=claim.namens,
            referentie=claim.referentie,
        )

    def _mistakes(
        self, right: ToSend, kandidaat: Kandidaat, partner: Partner, today: date
    ) -> tuple[list[ToSend], list[ToSend]]:
        """What goes out before and after it, once a person and mistake."""
        before: list[ToSend] = []
        after: list[ToSend] = []
        assert right.body is not None
        registry = self._world.registry
        ground = mistakes.Right(right.routing_key, json.loads(right.body), kandidaat, partner, registry, today)
        for mistake, wrong in mistakes.made(ground):
            by = wrong.by or partner.id
            reason = f"{kandidaat.referentie}:{mistake.name}"
            if (by, reason) in self._decided or self._silent_until(by, today):
                continue
            self._decided.add((by, reason))
            message_id = right.id if wrong.again else str(uuid5(_IDS, f"{by}:{reason}"))
            body = right.body if wrong.again and not wrong.outcomes else wrong.body(message_id)
            key = wrong.routing_key or right.routing_key
            row = ToSend(by, reason, message_id, key, body, wrong.outcomes or right.outcomes)
            (after if mistake.after else before).append(row)
        return before, after

    # The lines

    async def _keep(self, line: _Line) -> None:
        """Keeps one partner connected, unless its system is off."""
        while True:
            await line.awake.wait()
            client = PartnerClient(line.url, line.partner.id, prefetch=line.reading.prefetch)
            try:
                async with client, asyncio.TaskGroup() as tasks:
                    line.listening = True
                    tasks.create_task(self._listen(line, client))
                    tasks.create_task(self._publish(line, client))
                    tasks.create_task(_until(line.asleep))
                    tasks.create_task(_until(line.hangs_up))
            except Exception as error:
                if not _passes(error):
                    raise
                if not _hung_up(error):
                    await asyncio.sleep(_PAUSE)
            finally:
                line.listening = False

    async def _listen(self, line: _Line, client: PartnerClient) -> None:
        """Takes what comes, at this system's own pace."""

        async def take(message: AbstractIncomingMessage) -> None:
            line.read += 1
            if line.reading.hangs_up_after and line.read % line.reading.hangs_up_after == 0:
                line.hangs_up.set()
            if line.hangs_up.is_set():  # what it has, it never acknowledges
                return
            if line.reading.seconds_each:
                await asyncio.sleep(line.reading.seconds_each)
            with contextlib.suppress(RuntimeError):  # lost already: it will come again
                self._incoming.put_nowait(_Delivery(line.partner.id, message, message.channel))

        line.hangs_up.clear()
        await client.listen(take)

    async def _publish(self, line: _Line, client: PartnerClient) -> None:
        while True:
            rows = list(line.to_publish)[:_TOGETHER]
            if not rows:
                line.something.clear()
                await line.something.wait()
                continue
            await asyncio.gather(
                *(client.publish(bytes(row.body), row.routing_key, message_id=row.id) for row in rows)
            )
            self._confirmed += [row.place for row in rows]
            for _ in rows:
                line.to_publish.popleft()


async def _acknowledge(message: AbstractIncomingMessage) -> None:
    """With all before it. What is not acknowledged comes again, and is known then."""
    try:
        await message.ack(multiple=True)
    except Exception as error:
        if not _passes(error):
            raise


async def _until(sign: asyncio.Event) -> None:
    await sign.wait()
    raise _HangsUp


def _hung_up(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_hung_up(one) for one in error.exceptions)
    return isinstance(error, _HangsUp)


def _passes(error: BaseException) -> bool:
    """Whether it is trouble with a connection, or nothing but such trouble."""
    if isinstance(error, BaseExceptionGroup):
        return all(_passes(one) for one in error.exceptions)
    cut_off = type(error) is Exception  # aiormq, where the connection ends before all was written
    return cut_off or isinstance(error, AMQPError | RuntimeError) or is_passing(error)
