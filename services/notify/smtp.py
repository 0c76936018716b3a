"""How a mail leaves: over SMTP, one connection for mails that follow one another."""

import asyncio
import logging
from email.message import EmailMessage
from typing import Final

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)

from contracts.partners import Registry
from services.chassis.calendar import Calendar
from services.chassis.effects import FinalFailure
from services.chassis.messages import Effect
from services.chassis.settings import Settings
from services.chassis.telemetry import Attributes, part
from services.notify.deelnemer import Deelnemers
from services.notify.mails import Composer, Mail

_log = logging.getLogger(__name__)

_TIMEOUT: Final = 30.0
"""Seconds for each answer of the mail server."""
_KEPT: Final = 2.0
"""Seconds for which a connection waits for another mail."""
_STATUS: Final = "praktijkbus.smtp.status_code"
_ABOUT_THIS_MAIL: Final = (SMTPSenderRefused, SMTPRecipientRefused, SMTPRecipientsRefused, SMTPDataError)
"""Answers to a greeting or a login are about us: those are worth another try, whatever their code."""


class MailDeferred(Exception):
    """The mail server was not reached, or asks to come back later (4xx). Try again."""


class Mailer:
    """Delivers mails to the contacts in the registry, and to participants.

    No error and no log line holds an address: the errors of aiosmtplib do, so none of them gets out.
    STARTTLS is used where the server offers it, and then its certificate must be right.
    """

    def __init__(self, settings: Settings, registry: Registry, calendar: Calendar) -> None:
        self._host = settings.smtp_host
        self._port = settings.smtp_port
        self._registry = registry
        self._calendar = calendar
        self._deelnemers = Deelnemers(settings)
        self._composer = Composer(settings.mail_from, settings.portal_url)
        self._turn = asyncio.Lock()
        self._connection: SMTP | None = None
        self._hanging_up: asyncio.TimerHandle | None = None

    async def close(self) -> None:
        """Sends no more."""
        self._hang_up()
        await self._deelnemers.close()

    async def deliver_mail(self, effect: Effect) -> None:
        """Sends the mail that `effect` asks for, under a Message-ID that a second attempt repeats.

        Raises:
            FinalFailure: the server refuses this mail for good (5xx), or there is nobody (any more) to send it to.
            MailDeferred, AddressDeferred: anything else that went wrong; a later attempt may succeed.
        """
        to = await self._address(effect)
        mail = self._composer.compose(effect, to, self._calendar.now())
        at: Attributes = {"network.protocol.name": "smtp", "server.address": self._host, "server.port": self._port}
        try:
            with part("send mail", at) as sending:
                await self._send(mail, to)
        except Exception as error:
            cause, code, final = type(error).__qualname__, _code(error), _is_final(error)
            if code is not None:
                sending.attributes[_STATUS] = code
        else:
            _log.info("mail sent", extra={"key": effect.key})
            return
        # outside the handler, so that the error with the address in it is not the context of ours
        _log.warning("mail not sent", extra={"key": effect.key, "cause": cause, "code": code, "final": final})
        raise (FinalFailure if final else MailDeferred)(f"{cause} {code or ''}".strip())

    async def _send(self, mail: EmailMessage, to: str) -> None:
        """Over the connection of the mail before, or another where the server closed that."""
        async with self._turn:
            if self._hanging_up is not None:
                self._hanging_up.cancel()
            kept = self._connection is not None
            try:
                await self._send_over_connection(mail, to)
            except SMTPServerDisconnected:
                self._hang_up()
                if not kept:
                    raise
                await self._send_over_connection(mail, to)
            except SMTPResponseException:  # an answer: the connection goes on
                raise
            except BaseException:
                self._hang_up()
                raise
            finally:
                self._hanging_up = asyncio.get_running_loop().call_later(_KEPT, self._hang_up)

    async def _send_over_connection(self, mail: EmailMessage, to: str) -> None:
        if self._connection is None:
            connection = SMTP(hostname=self._host, port=self._port, timeout=_TIMEOUT)
            await connection.connect()
            self._connection = connection
        await self._connection.send_message(mail, recipients=[to])

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _address(self, effect: Effect) -> str:
        mail = Mail.of(effect)
        if mail.dataref is not None:
            try:
                return await self._deelnemers.address(mail.dataref)
            except FinalFailure as none:
                _log.info("no mail to the participant", extra={"key": effect.key, "why": str(none)})
                raise
        contact = self._registry.contact(mail.aan)
        if contact is None:
            raise FinalFailure(f"{mail.aan} is not in the partner registry")
        return contact


def _is_final(error: Exception) -> bool:
    return isinstance(error, _ABOUT_THIS_MAIL) and (_code(error) or 0) >= 500


def _code(error: Exception) -> int | None:
    """The SMTP reply code, such as 550."""
    if isinstance(error, SMTPRecipientsRefused):
        return max(refused.code for refused in error.recipients)
    return error.code if isinstance(error, SMTPResponseException) else None
