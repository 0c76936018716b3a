"""Composition of notify."""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from contracts.partners import Registry
from services.chassis.app import main
from services.chassis.settings import Settings
from services.notify.handlers import service
from services.notify.mails import MAIL
from services.notify.smtp import Mailer


def build(settings: Settings) -> Sequence[BaseRoute]:
    """Gives the service its mailer. It serves nothing over HTTP besides health."""
    service.performers[MAIL] = Mailer(settings, Registry.load(settings.partners)).deliver_mail
    return ()


def run() -> None:
    """The process: `python -m services.notify [migrate]`."""
    main(service, __file__, build)
