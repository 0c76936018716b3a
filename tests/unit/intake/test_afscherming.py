"""Nobody works out a hidden count: every table is attacked by trying all that it could have been."""

from collections.abc import Mapping, Sequence
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.afscherming import AFGESCHERMD, KLEIN, Hoogstens, Regel, Som, scherm_af

SMALL = 3
"""A threshold low enough to try everything."""


def a_breakdown(parts: Sequence[int]) -> tuple[dict[str, int], list[Regel[str]]]:
    names = tuple(f"deel {n}" for n in range(len(parts)))
    return {"totaal": sum(parts), **dict(zip(names, parts, strict=True))}, [Som("totaal", names)]


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ([10, 20], [30, 10, 20]),
        ([3, 20, 30], [53, "<5", "afgeschermd", 30]),
        ([3, 4, 30], [37, "<5", "<5", 30]),
        ([0, 20], [20, "<5", 20]),
        ([1, 1, 20], [22, "<5", "<5", 20]),
        ([4, 4, 20], [28, "<5", "<5", "afgeschermd"]),
        ([2, 1], ["<5", "<5", "<5"]),
    ],
)
def test_small_counts_are_hidden_and_what_would_betray_them(parts: list[int], shown: list[int | str]) -> None:
    counts, rules = a_breakdown(parts)

    assert list(scherm_af(counts, rules, liever_niet=["totaal"]).values()) == shown


def test_total_is_hidden_where_nothing_else_can_be() -> None:
    counts, rules = a_breakdown([4, 4])

    assert scherm_af(counts, rules, liever_niet=["totaal"])["totaal"] == AFGESCHERMD


def test_count_that_stands_by_itself_is_hidden_below_five() -> None:
    assert [scherm_af({"": n}, [])[""] for n in (0, 4, 5)] == [KLEIN, KLEIN, 5]


FUNNEL = ("geschikt", "gestart", "ongeschikt", "terug")
COLUMNS = ("klaar", "gestopt", "anders")


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, int], list[Regel[str]]]:
    """Groups broken down into what excludes one another, with their totals, as the figures have them."""
    groups = range(draw(st.integers(1, 4)))
    counts: dict[str, int] = {}
    rules: list[Regel[str]] = []
    for column in COLUMNS:
        for group in groups:
            counts[f"{column} {group}"] = draw(st.integers(0, 4))
        parts = tuple(f"{column} {group}" for group in groups)
        counts[column] = sum(counts[part] for part in parts)
        rules.append(Som(column, parts))
    counts["begon"] = sum(counts[column] for column in COLUMNS)
    counts["ongeschikt"] = draw(st.integers(0, counts["anders"]))
    counts["terug"] = draw(st.integers(0, counts["anders"] - counts["ongeschikt"]))
    ended = counts["klaar"] + counts["gestopt"]
    counts["geschikt"] = draw(st.integers(ended, counts["begon"] - counts["ongeschikt"]))
    counts["gestart"] = draw(st.integers(ended, counts["geschikt"]))
    rules += [
        Som("einde", ("klaar", "gestopt")),
        Som("begon", ("einde", "anders")),
        Hoogstens("begon", ("geschikt",)),
        Hoogstens("begon", ("geschikt", "ongeschikt")),
        Hoogstens("geschikt", ("gestart",)),
        Hoogstens("gestart", ("einde",)),
        Hoogstens("anders", ("ongeschikt", "terug")),
    ]
    return counts, rules


@settings(max_examples=300)
@given(table=tables())
def test_no_hidden_count_can_be_worked_out(table: tuple[dict[str, int], list[Regel[str]]]) -> None:
    counts, rules = table
    shown = scherm_af(counts, rules, liever_niet=["begon", *FUNNEL, *COLUMNS], drempel=SMALL)

    for name, value in shown.items():
        assert isinstance(value, str) == (value != counts[name])
        assert counts[name] >= SMALL or isinstance(value, str)
    hidden = {name for name, value in shown.items() if isinstance(value, str) and counts[name] > 0}
    possible = _what_each_could_be(shown, counts)
    assert {name for name in hidden if len(possible[name]) < 2} == set()


def _what_each_could_be(shown: Mapping[str, int | str], counts: Mapping[str, int]) -> dict[str, set[int]]:
    """Every value that a reader must hold possible, by trying all; without the rules' own machinery."""
    lowest = SMALL if KLEIN in shown.values() else 0
    most = counts["begon"] + SMALL

    def values(name: str) -> list[int]:
        known = shown[name]
        if isinstance(known, int):
            return [known]
        return list(range(SMALL)) if known == KLEIN else list(range(lowest, most + 1))

    ways = {
        column: _sums([values(name) for name in counts if name.startswith(f"{column} ")]) for column in COLUMNS
    }
    found: dict[str, set[int]] = {name: set() for name in counts}
    for totals in product(*(values(column) for column in COLUMNS)):
        if not all(total in ways[column] for column, total in zip(COLUMNS, totals, strict=True)):
            continue
        begon, ended, others = sum(totals), totals[0] + totals[1], totals[2]
        steps = [
            (fit, started, unfit, back)
            for fit, started, unfit, back in product(*(values(name) for name in FUNNEL))
            if begon in values("begon") and unfit + back <= others and ended <= started <= fit <= begon - unfit
        ]
        if steps:
            found["begon"].add(begon)
            for name, possible in zip(FUNNEL, zip(*steps, strict=True), strict=True):
                found[name] |= set(possible)
            for column, total in zip(COLUMNS, totals, strict=True):
                found[column].add(total)
                for place, part in enumerate(ways[column][total]):
                    found[f"{column} {place}"] |= part
    return found


def _sums(parts: Sequence[list[int]]) -> dict[int, list[set[int]]]:
    """For each total that the parts can have: the values that each of them can have then."""
    found: dict[int, list[set[int]]] = {}
    for row in product(*parts):
        for place, value in enumerate(row):
            found.setdefault(sum(row), [set() for _ in parts])[place].add(value)
    return found
