"""Composition of intake."""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from contracts.partners import Registry
from services.chassis.app import main
from services.chassis.database import connect
from services.chassis.settings import Settings
from services.intake import kluis
from services.intake.handlers import service
from services.intake.inzage import Inzage
from services.intake.kluis import VERNIETIG, Kluis
from services.intake.persoon import lezer
from services.intake.secrets import Secrets


def build(settings: Settings) -> Sequence[BaseRoute]:
    """Gives the service what opens, keeps and shows person data.

    Raises:
        ValueError: a setting or a secret is missing or wrong.
    """
    if settings.persons is None:
        raise ValueError("intake needs PRAKTIJKBUS_PERSONS: the folder with the secrets around person data")
    secrets = Secrets.load(settings.persons)
    engine, keys = connect(settings.database_url.get_secret_value()), connect(_keys_url(settings))
    vault = Kluis(engine, keys, secrets.wrapping)
    lezer.use(secrets)
    service.keeper = vault.keep
    service.performers[VERNIETIG] = vault.destroy
    service.chores = (vault.destroy_erased,)
    service.closing = (engine.dispose, keys.dispose)
    return Inzage(engine, vault, Registry.load(settings.partners), secrets.callers).routes


async def migrate_keys(settings: Settings) -> None:
    """Brings the key database up to date."""
    keys = connect(_keys_url(settings))
    await kluis.migrate(keys)
    await keys.dispose()


def _keys_url(settings: Settings) -> str:
    if settings.keys_database_url is None:
        raise ValueError("intake needs PRAKTIJKBUS_KEYS_DATABASE_URL: the database of the keys of persons")
    return settings.keys_database_url.get_secret_value()


def run() -> None:
    """The process: `python -m services.intake [migrate]`."""
    main(service, __file__, build, migrate_keys)
