"""Composition of notify."""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from contracts.partners import Registry
from services.chassis.app import calendar, main
from services.chassis.settings import Settings
from services.notify.handlers import service
from services.notify.mails import MAIL
from services.notify.smtp import Mailer


def build(settings: Settings) -> Sequence[BaseRoute]:
    """Gives the service its mailer. It serves nothing over HTTP besides health."""
    mailer = Mailer(settings, Registry.load(settings.partners), calendar(settings))
    service.performers[MAIL] = mailer.deliver_mail
    service.closing = (mailer.close,)
    return ()


def run() -> None:
    """The process: `python -m services.notify [migrate]`."""
    main(service, __file__, build)
