"""The participant's address: asked of intake when a mail is sent, and kept nowhere."""

from http import HTTPStatus
from typing import Final

import httpx

from contracts.catalogue import Owner
from contracts.inzage import DOEL_HEADER, ROL_HEADER, Doel
from services.chassis.calling import Calling
from services.chassis.effects import FinalFailure
from services.chassis.settings import Settings

_TIMEOUT: Final = 10.0
"""Seconds for the whole answer of intake."""


class AddressDeferred(Exception):
    """Intake was not reached, or does not show the address now. Try again."""


class Deelnemers:
    """Asks intake. The settings say where, and a `dataref` only for whom: the token goes nowhere else."""

    def __init__(self, settings: Settings) -> None:
        token = settings.persons_token.get_secret_value() if settings.persons_token else ""
        self._intake = httpx.AsyncClient(
            base_url=settings.persons_url.rstrip("/") + "/",
            headers={
                ROL_HEADER: Owner.NOTIFY.value,
                DOEL_HEADER: Doel.MAILEN.value,
                "Authorization": f"Bearer {token}",
            },
            timeout=_TIMEOUT,
            transport=Calling(trust_env=False),
        )

    async def close(self) -> None:
        """Asks no more."""
        await self._intake.aclose()

    async def address(self, dataref: str) -> str:
        """The e-mail address of whom `dataref` is about.

        Raises:
            FinalFailure: there is none, or the data was erased.
            AddressDeferred: anything else that went wrong; a later attempt may succeed.
        """
        key = dataref.rpartition("/")[2]
        try:
            answer = await self._intake.get(key)
        except httpx.HTTPError as error:
            raise AddressDeferred(type(error).__qualname__) from None
        if answer.status_code in (HTTPStatus.GONE, HTTPStatus.NOT_FOUND):
            raise FinalFailure(f"intake answers {answer.status_code}")
        if answer.status_code != HTTPStatus.OK:
            raise AddressDeferred(f"intake answers {answer.status_code}")
        address: str | None = answer.json().get("e_mail")
        if address is None:
            raise FinalFailure("the participant has no e-mail address")
        return address
