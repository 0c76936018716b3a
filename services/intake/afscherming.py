"""Hides small counts in a table that people read, so that nobody can work them out from the rest of it.

A count under the threshold is hidden (primary). Where it would follow from what is still shown, such as a total
and the other parts of it, more is hidden (complementary), until it does not. What a reader can know of each
hidden count is worked out as the interval that the rules of the table leave it; one that is left a single value
is betrayed. That a group is empty says nothing of anybody, so a nought may follow.

The intervals are exact where rules that share a count do not meet again elsewhere. So a table breaks down into
groups that exclude one another, and does not show a part of a part.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

DREMPEL: Final = 5
KLEIN: Final = "<5"
"""Fewer than the threshold."""
AFGESCHERMD: Final = "afgeschermd"
"""Any number: shown, it would betray another."""

Afgeschermd = Literal["<5", "afgeschermd"]
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Som(Generic[K]):
    """The parts make up the total."""

    totaal: K
    delen: tuple[K, ...]


@dataclass(frozen=True, slots=True)
class Hoogstens(Generic[K]):
    """The parts together are not more than the whole."""

    geheel: K
    delen: tuple[K, ...]


Regel = Som[K] | Hoogstens[K]
Interval = tuple[float, float]


def scherm_af(
    aantallen: Mapping[K, int],
    regels: Sequence[Regel[K]],
    *,
    liever_niet: Iterable[K] = (),
    drempel: int = DREMPEL,
) -> dict[K, int | Afgeschermd]:
    """The table as it may be shown.

    Args:
        aantallen: what was counted.
        regels: what a reader knows of how the counts hang together; they hold for `aantallen`. They may name
            what is not in the table, so that two rules share it.
        liever_niet: what is hidden last.
    """
    rang = dict.fromkeys(liever_niet, 1)
    tabel: dict[K, int | Afgeschermd] = {
        cel: KLEIN if aantal < drempel else aantal for cel, aantal in aantallen.items()
    }
    while verraden := _verraden(tabel, aantallen, regels, drempel):
        erbij = _erbij(tabel, verraden, regels)
        if erbij:
            tabel[min(erbij, key=lambda cel: (rang.get(cel, 0), aantallen[cel], str(cel)))] = AFGESCHERMD
        else:  # nothing left to hide here but which of them are small
            tabel |= dict.fromkeys([cel for cel, wat in tabel.items() if wat == KLEIN], AFGESCHERMD)
    return tabel


def _verraden(
    tabel: Mapping[K, int | Afgeschermd], aantallen: Mapping[K, int], regels: Sequence[Regel[K]], drempel: int
) -> set[K]:
    """The hidden counts that can be worked out."""
    grenzen = intervallen(tabel, regels, drempel)
    return {
        cel
        for cel, wat in tabel.items()
        if isinstance(wat, str) and grenzen[cel][0] == grenzen[cel][1] and aantallen[cel] > 0
    }


def _erbij(tabel: Mapping[K, int | Afgeschermd], verraden: set[K], regels: Sequence[Regel[K]]) -> set[K]:
    """What is still shown in the rules by which they are betrayed, else in any that lead there."""
    bereikt = set(verraden)
    while True:
        cellen = [set(_cellen(regel)) for regel in regels]
        naast = set().union(*(samen for samen in cellen if samen & bereikt))
        getoond = {cel for cel in naast if isinstance(tabel.get(cel), int)}
        if getoond or naast <= bereikt:
            return getoond
        bereikt |= naast


def intervallen(
    tabel: Mapping[K, int | Afgeschermd], regels: Sequence[Regel[K]], drempel: int = DREMPEL
) -> dict[K, Interval]:
    """What a reader of the table can know of each count: at least, and at most."""
    # Where small counts are marked as such, a mark for any other says that it is not small.
    minst = drempel if KLEIN in tabel.values() else 0
    grenzen: dict[K, Interval] = {cel: (0, math.inf) for regel in regels for cel in _cellen(regel)}
    grenzen |= {cel: _grens(wat, drempel, minst) for cel, wat in tabel.items()}
    nauwer = True
    while nauwer:
        nauwer = False
        for regel in regels:
            for cel, grens in _nauwer(regel, grenzen):
                strakker = (max(grens[0], grenzen[cel][0]), min(grens[1], grenzen[cel][1]))
                if strakker != grenzen[cel]:
                    grenzen[cel] = strakker
                    nauwer = True
    return grenzen


def _grens(wat: int | Afgeschermd, drempel: int, minst: int) -> Interval:
    if isinstance(wat, int):
        return wat, wat
    return (0, drempel - 1) if wat == KLEIN else (minst, math.inf)


def _nauwer(regel: Regel[K], grenzen: Mapping[K, Interval]) -> Iterable[tuple[K, Interval]]:
    geheel = regel.totaal if isinstance(regel, Som) else regel.geheel
    minst = sum(grenzen[deel][0] for deel in regel.delen)
    meest = sum(grenzen[deel][1] for deel in regel.delen)
    yield geheel, (minst, meest if isinstance(regel, Som) else math.inf)
    for deel in regel.delen:
        anderen_minst = minst - grenzen[deel][0]
        anderen_meest = sum(grenzen[ander][1] for ander in regel.delen if ander != deel)
        laagst = grenzen[geheel][0] - anderen_meest if isinstance(regel, Som) else 0
        yield deel, (max(0, laagst), grenzen[geheel][1] - anderen_minst)


def _cellen(regel: Regel[K]) -> tuple[K, ...]:
    return (*regel.delen, regel.totaal if isinstance(regel, Som) else regel.geheel)
