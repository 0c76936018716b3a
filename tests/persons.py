"""The secrets around person data of a test run, made as on a local bus; intake's reader has them at once."""

import atexit
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from contracts.persoon import Persoon, seal
from deploy.local import persons
from services.intake.persoon import lezer
from services.intake.secrets import Secrets
from tests.desk import REGISTRY

_temporary: Final = TemporaryDirectory(prefix="praktijkbus-persons-")
atexit.register(_temporary.cleanup)
FOLDER: Final = Path(_temporary.name)
TOKENS: Final = persons.prepare(FOLDER, ["notify", *(partner.id for partner in REGISTRY.partners)])
PUBLIC_KEY: Final = persons.public_key(FOLDER / persons.PUBLIC)
SECRETS: Final = Secrets.load(FOLDER)

lezer.use(SECRETS)


def sealed(persoon: Persoon) -> str:
    return seal(persoon, PUBLIC_KEY)
