"""The partner registry: which organisations are on the bus, as whom, and where their mail goes.

An operator keeps it as TOML (`deploy/partners.toml`); provisioning and every service read the same file.
"""

import tomllib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from contracts.envelope import Source
from contracts.fields import Bron, BtwId, Iban, Kvk, Oin, PartnerId, Rol, Vestigingsnummer

MANAGER: Final = "manager"
"""By this name mail goes to the manager's mailbox, as it goes to a partner by its id."""
_RESERVED = frozenset({"intake", "matching", "billing", "notify", "deelnemer", MANAGER})
EmailAddress = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]


class Partner(BaseModel):
    """An organisation with an account: one or more roles, one or more CloudEvents sources."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: PartnerId
    naam: Annotated[str, Field(min_length=1, max_length=120)]
    rollen: Annotated[frozenset[Rol], Field(min_length=1)]
    sources: Annotated[frozenset[Source], Field(min_length=1)]
    contact: EmailAddress
    """A mailbox of the organisation, never of a person."""
    mail: bool = True
    """Whether people there want mail besides, or instead of, messages."""
    oin: Oin | None = None
    kvk: Kvk | None = None
    vestigingen: frozenset[Vestigingsnummer] = frozenset()
    """Of an employer: the establishments it speaks for."""
    bronnen: frozenset[Bron] = frozenset()
    """Of a financier: the sources of money it may see."""
    factuurreeks: Annotated[str, Field(pattern=r"^[A-Z]{2,6}$")] | None = None
    """Of an opleider: the prefix of its invoice numbers."""
    btw_id: BtwId | None = None
    iban: Iban | None = None

    @model_validator(mode="after")
    def _has_what_its_roles_need(self) -> Self:
        if self.id in _RESERVED:
            raise ValueError(f"{self.id} is a name of Praktijkbus itself")
        if Rol.WERKGEVER in self.rollen and not self.vestigingen:
            raise ValueError("an employer needs vestigingen")
        if Rol.OPLEIDER in self.rollen and self.factuurreeks is None:
            raise ValueError("an opleider needs a factuurreeks")
        if Rol.FINANCIER in self.rollen and not self.bronnen:
            raise ValueError("a financier needs bronnen")
        return self


class Registry(BaseModel):
    """All partners of a region, and the mailboxes of functions that have no account of their own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    regio: Annotated[str, Field(pattern=r"^[a-z-]{2,40}$")]
    partners: Annotated[tuple[Partner, ...], Field(min_length=1)]
    manager: EmailAddress | None = None
    """The mailbox of who manages the coördinatiepunt: hears of what stays unanswered longest."""

    @model_validator(mode="after")
    def _nothing_belongs_to_two(self) -> Self:
        for what, values in {
            "id": [partner.id for partner in self.partners],
            "source": [source for partner in self.partners for source in partner.sources],
            "vestiging": [place for partner in self.partners for place in partner.vestigingen],
            "factuurreeks": [p.factuurreeks for p in self.partners if p.factuurreeks],
        }.items():
            twice = {value for value in values if values.count(value) > 1}
            if twice:
                raise ValueError(f"{what} of two partners: {', '.join(sorted(twice))}")
        return self

    @classmethod
    def load(cls, path: Path) -> Self:
        """The registry in a TOML file: `regio = "…"` and a `[[partners]]` table for each partner.

        Raises:
            pydantic.ValidationError: naming the partner and field that is wrong.
        """
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        try:
            return cls.model_validate(content)
        except ValidationError as problem:
            raise _by_name(problem, content) from None

    @cached_property
    def _by_id(self) -> dict[PartnerId, Partner]:
        return {partner.id: partner for partner in self.partners}

    @cached_property
    def _by_vestiging(self) -> dict[str, Partner]:
        return {place: partner for partner in self.partners for place in partner.vestigingen}

    def get(self, partner: PartnerId) -> Partner | None:
        return self._by_id.get(partner)

    def __getitem__(self, partner: PartnerId) -> Partner:
        return self._by_id[partner]

    def contact(self, aan: PartnerId) -> EmailAddress | None:
        """Where mail to a partner, or to the `MANAGER`, goes."""
        if aan == MANAGER:
            return self.manager
        partner = self._by_id.get(aan)
        return partner.contact if partner else None

    def wants_mail(self, aan: PartnerId) -> bool:
        """Whether there is a mailbox, and mail is wanted there."""
        partner = self._by_id.get(aan)
        return partner.mail if partner else self.contact(aan) is not None

    def in_role(self, *rollen: Rol) -> tuple[PartnerId, ...]:
        """Every partner with one of these roles, in the order of the file."""
        return tuple(partner.id for partner in self.partners if not partner.rollen.isdisjoint(rollen))

    def only_in_role(self, rol: Rol) -> PartnerId | None:
        """The one partner with this role, or None where there are more or none."""
        found = self.in_role(rol)
        return found[0] if len(found) == 1 else None

    def werkgever_of(self, vestigingsnummer: Vestigingsnummer) -> PartnerId | None:
        """The employer with a system that speaks for this establishment."""
        partner = self._by_vestiging.get(vestigingsnummer)
        return partner.id if partner else None

    def financiers_of(self, bron: Bron) -> tuple[PartnerId, ...]:
        return tuple(partner.id for partner in self.partners if bron in partner.bronnen)

    def sources(self) -> Iterable[tuple[str, PartnerId]]:
        return ((source, partner.id) for partner in self.partners for source in partner.sources)


def _by_name(problem: ValidationError, content: dict[str, Any]) -> ValidationError:
    """The same problem, with the partner's id where pydantic gives its position in the file."""

    def named(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
        match loc:
            case ("partners", int(position), *rest):
                partner = content["partners"][position]
                name = partner.get("id", position) if isinstance(partner, dict) else position
                return ("partners", name if isinstance(name, str) else position, *rest)
        return loc

    return ValidationError.from_exception_data(
        problem.title,
        [
            InitErrorDetails(
                type=error["type"], loc=named(error["loc"]), input=error["input"], ctx=error.get("ctx", {})
            )
            for error in problem.errors(include_url=False)
        ],
    )
