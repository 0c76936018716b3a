"""The qualification table: which werkprocessen belong to which crebo in which dossier version."""

import tomllib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from contracts.fields import Crebo, Dossierversie, Sector, Werkproces


class Kwalificatie(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    crebo: Crebo
    naam: Annotated[str, Field(min_length=1, max_length=120)]
    sector: Sector
    dossierversie: Dossierversie
    werkprocessen: Annotated[frozenset[Werkproces], Field(min_length=1)]


class Kwalificatietabel(BaseModel):
    """A werkproces code is unique only together with crebo and dossier version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kwalificaties: tuple[Kwalificatie, ...]

    @classmethod
    def load(cls, path: Path) -> Self:
        """The table in a TOML file with a `[[kwalificaties]]` table for each crebo and version."""
        return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))

    @cached_property
    def _by_version(self) -> dict[tuple[str, str], Kwalificatie]:
        return {(item.crebo, item.dossierversie): item for item in self.kwalificaties}

    def kent(self, crebo: str) -> bool:
        """Whether any version of this crebo is in the table."""
        return any(known == crebo for known, _ in self._by_version)

    def werkprocessen(self, crebo: str, dossierversie: str) -> frozenset[str] | None:
        """The werkprocessen of that version, or None where the table does not have it."""
        found = self._by_version.get((crebo, dossierversie))
        return found.werkprocessen if found else None
